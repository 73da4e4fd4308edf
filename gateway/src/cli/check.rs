//! `weir check`: finds as many problems of a configuration as it can in one go.

use super::{Done, OK, print};
use crate::config::Config;
use std::path::PathBuf;

/// Finds what is wrong with a configuration, without starting anything
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    #[arg(short, long, default_value = super::run::DEFAULT_CONFIG)]
    config: PathBuf,
}

pub(super) fn main(args: &Args) -> Done {
    let config = Config::load(&args.config)?;
    let sinks: Vec<_> = config.sinks.iter().map(|s| format!("{} ({})", s.name, s.kind)).collect();
    print(&format!(
        "{}: fine. Gateway {}, {} sensor{}, sinks: {}\n",
        args.config.display(),
        config.gateway.id,
        config.sensors.len(),
        if config.sensors.len() == 1 { "" } else { "s" },
        if sinks.is_empty() { "none".to_owned() } else { sinks.join(", ") },
    ));
    Ok(OK)
}
