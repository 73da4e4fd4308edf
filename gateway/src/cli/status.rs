//! `weir status`: asks the running daemon and shows what it says.

use super::{Done, OK, UNAVAILABLE, print, say, show};
use crate::config::Config;
use crate::status::{Snapshot, socket};
use anyhow::Context;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Shows what the running daemon is doing
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 answered, 69 no daemon answers, 78 the configuration cannot be used.")]
pub(super) struct Args {
    /// The configuration of the daemon, which says where it keeps its state
    #[arg(short, long, default_value = super::run::DEFAULT_CONFIG)]
    config: PathBuf,

    /// The daemon's state directory, instead of looking into the configuration
    #[arg(long)]
    state: Option<PathBuf>,

    /// For scripts: everything, as one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Args) -> Done {
    let state = match &args.state {
        Some(state) => state.clone(),
        None => Config::load(&args.config)?.gateway.state,
    };
    let path = socket(&state);
    let answer = match ask(&path) {
        Ok(answer) => answer,
        Err(error) => {
            say(&format!(
                "weir: no daemon answers at {}: {error}. Is it running (systemctl status weir)? Another state directory is named with --state DIR\n",
                path.display()
            ));
            return Ok(UNAVAILABLE);
        }
    };
    if args.json {
        print(&answer);
    } else {
        let snapshot: Snapshot =
            serde_json::from_str(&answer).context("the daemon that answers is of another version")?;
        print(&show::snapshot(&snapshot));
    }
    Ok(OK)
}

/// 16 MiB are enough for a hundred thousand channels.
const LONGEST_ANSWER: u64 = 16 << 20;

fn ask(path: &std::path::Path) -> std::io::Result<String> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}
