//! Logs: for people on a terminal, to journald under systemd. Records and reports never go here.

use std::io::IsTerminal;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging. `WEIR_LOG` (`warn`, `weir::sink=debug`, …) wins over `verbose`; `quiet` leaves only warnings.
pub(super) fn start(verbose: u8, quiet: bool) {
    let level = match (verbose, quiet) {
        (0, true) => "error",
        (0, false) => "weir=info,warn",
        (1, _) => "weir=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let registry = tracing_subscriber::registry().with(filter);
    if let Some(journal) = journal() {
        registry.with(journal).init();
        return;
    }
    let plain = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    registry.with(plain).init();
}

/// The journal, if systemd has connected our stderr to it.
fn journal() -> Option<tracing_journald::Layer> {
    std::env::var_os("JOURNAL_STREAM")?;
    tracing_journald::layer().ok()
}
