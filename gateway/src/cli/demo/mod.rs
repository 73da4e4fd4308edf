//! `weir demo`: a minute of everything, with nothing else installed and no root.
//!
//! The gateway that runs here is the real one with a real configuration; only the chips and the link are simulated.

mod link;
mod screen;

use super::{Done, FAILED, OK, print, runtime, show};
use crate::clock::Clock;
use crate::config::Config;
use crate::forward::{Route, Wants};
use crate::record::Kind;
use crate::section::{Size, Span};
use crate::status::{Desk, Snapshot};
use crate::{Orders, run};
use anyhow::Context;
use link::Link;
use screen::Screen;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A minute of everything: simulated sensors, a fault, a link outage, and a ledger that balances
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Simulated I2C chips are read through the real drivers, a serial sensor on a real pseudo-terminal, and this machine's own
sensors, at 20 Hz with windows of 5 s. Everything goes through the filters and the store into JSON lines.

Examples:
  weir demo
  weir demo --for 10s --out /tmp/demo        for scripts")]
pub(super) struct Args {
    /// How long to run
    #[arg(long = "for", default_value = "1m", value_name = "TIME", value_parser = at_least_three_seconds)]
    length: Span,

    /// Where the records go; everything in it is replaced
    #[arg(long, default_value_os_t = std::env::temp_dir().join("weir-demo"))]
    out: PathBuf,
}

fn at_least_three_seconds(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.0 < Duration::from_secs(3) { Err("the demo needs at least 3s".into()) } else { Ok(span) }
}

/// When things happen, as shares of the demo's length.
const FAULT: (f64, f64) = (0.20, 0.35);
const OUTAGE: (f64, f64) = (0.45, 0.65);
const HOT: (f64, f64) = (0.75, 0.87);

pub(super) fn main(args: Args) -> Done {
    prepare(&args.out)?;
    let length = args.length.0;
    let text = fill(include_str!("demo.toml"), &args.out, length);
    std::fs::write(args.out.join("weir.toml"), &text)
        .with_context(|| format!("cannot write to {}", args.out.display()))?;
    let config = Config::parse(&text, "the demo's configuration")?;
    let last = runtime()?.block_on(perform(config, length))?;
    print(&finale(&last, &args.out));
    Ok(if last.balances { OK } else { FAILED })
}

async fn perform(mut config: Config, length: Duration) -> anyhow::Result<Snapshot> {
    let stop = CancellationToken::new();
    super::run::stop_on_signals(&stop)?;
    let screen = Screen::new(length);
    let link = Link::default();
    for route in &mut config.sinks {
        route.sink = Arc::new(link.before(Arc::clone(&route.sink)));
    }
    config.sinks.push(Route {
        name: "screen".into(),
        kind: "screen",
        sink: Arc::new(screen.clone()),
        wants: Wants { kind: vec![Kind::Event], ..Wants::default() },
    });
    let orders = Orders {
        config,
        clock: Clock::system(),
        stop: stop.clone(),
        until_exhausted: false,
        patience: Duration::from_secs(5),
        announcements: Vec::new(),
    };
    let shown = screen.clone();
    let last = run(orders, |desk| {
        tokio::spawn(direct(Arc::clone(desk), shown, link, length, stop));
    })
    .await?;
    screen.close();
    Ok(last)
}

/// Lets the time pass: the outage comes and goes, the screen is kept up to date, and in the end the curtain falls.
async fn direct(desk: Arc<Desk>, screen: Screen, link: Link, length: Duration, stop: CancellationToken) {
    let begun = tokio::time::Instant::now();
    let mut told = false;
    while begun.elapsed() < length && !stop.is_cancelled() {
        let share = begun.elapsed().as_secs_f64() / length.as_secs_f64();
        let down = (OUTAGE.0..OUTAGE.1).contains(&share);
        if down != told {
            told = down;
            link.set_down(down);
            screen.tell(if down {
                "the link to the destination goes down (staged): records wait in the store"
            } else {
                "the link is back: the store drains"
            });
        }
        screen.show(&desk.snapshot(), begun.elapsed());
        tokio::time::sleep(screen.pace()).await;
    }
    stop.cancel();
}

/// An empty folder for the demo. Only a folder that looks like an earlier demo's is emptied.
fn prepare(out: &Path) -> anyhow::Result<()> {
    let earlier = out.join("weir.toml").exists();
    let empty = std::fs::read_dir(out).map_or(true, |mut entries| entries.next().is_none());
    if !earlier && !empty {
        anyhow::bail!("{} is not empty and not from an earlier demo: name another folder with --out", out.display());
    }
    for part in ["state", "records"] {
        let path = out.join(part);
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| format!("{} cannot be emptied", path.display()))?;
        }
    }
    std::fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))
}

/// The demo's configuration, a plain file that may be copied and changed, with its places and times filled in.
fn fill(text: &str, out: &Path, length: Duration) -> String {
    let at = |share: f64| format!("{}ms", (length.as_secs_f64() * share * 1000.0) as u64);
    text.replace("{out}", &out.display().to_string())
        .replace("{fault at}", &at(FAULT.0))
        .replace("{fault for}", &at(FAULT.1 - FAULT.0))
        .replace("{hot at}", &at(HOT.0))
        .replace("{hot for}", &at(HOT.1 - HOT.0))
}

fn finale(last: &Snapshot, out: &Path) -> String {
    let mut text = String::from("\n");
    show::ledger(&mut text, last);
    let records = out.join("records");
    let bytes = Size(folder_bytes(&records));
    text + &format!(
        "\nRecords: {} ({bytes}, JSON lines)\nConfiguration: {} (copy it, change it, `weir run -c` it)\n",
        records.display(),
        out.join("weir.toml").display()
    )
}

fn folder_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|m| m.len()).sum()
}
