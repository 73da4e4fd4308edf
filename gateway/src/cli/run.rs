//! `weir run`: the daemon. Ends on SIGTERM or SIGINT, after everything that was read is safe.

use super::{Done, OK, runtime};
use crate::clock::Clock;
use crate::config::Config;
use crate::status::Desk;
use crate::{Orders, run};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub(super) const DEFAULT_CONFIG: &str = "/etc/weir/weir.toml";

/// Runs the gateway until it is told to stop
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    #[arg(short, long, default_value = DEFAULT_CONFIG)]
    config: PathBuf,

    /// If the configuration is broken, starts with the last one that ran, and raises an event
    #[arg(long)]
    last_good: bool,
}

/// How long the sinks may take in the end; what they do not take stays in the store.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn main(args: Args) -> Done {
    let (config, announcements) = load(&args)?;
    let kept = announcements.is_empty().then(|| (args.config.clone(), config.gateway.state.clone()));
    runtime()?.block_on(async {
        let stop = CancellationToken::new();
        stop_on_signals(&stop)?;
        let orders = Orders {
            config,
            clock: Clock::system(),
            stop: stop.clone(),
            until_exhausted: false,
            patience: PATIENCE,
            announcements,
        };
        let last = run(orders, |desk| {
            if let Some((config, state)) = kept {
                keep_as_last_good(&config, &state);
            }
            attend(desk, &stop);
        })
        .await?;
        match last.store.trouble {
            None => tracing::info!("stopped; everything that was read is sent or stored"),
            Some(why) => tracing::error!(
                "stopped; what the sinks have not taken is lost, because the store could not be used: {why}"
            ),
        }
        Ok(OK)
    })
}

/// The configuration to run with, and what there is to tell about that.
fn load(args: &Args) -> anyhow::Result<(Config, Vec<String>)> {
    let broken = match Config::load(&args.config) {
        Ok(config) => return Ok((config, Vec::new())),
        Err(report) if !args.last_good => return Err(report.into()),
        Err(report) => report,
    };
    // Where the state is kept stands in the broken file: systemd's word or the default is all there is to go by.
    let state = std::env::var_os("STATE_DIRECTORY").map_or_else(|| PathBuf::from("/var/lib/weir"), PathBuf::from);
    let Ok(config) = Config::load(&last_good(&state)) else { return Err(broken.into()) };
    tracing::error!("{broken}");
    let first = broken.problems().first().map(|p| p.message.clone()).unwrap_or_default();
    let told =
        format!("the configuration {} is broken ({first}); running with the last good one", args.config.display());
    tracing::error!("{told}");
    Ok((config, vec![told]))
}

fn last_good(state: &Path) -> PathBuf {
    state.join("last-good.toml")
}

fn keep_as_last_good(config: &Path, state: &Path) {
    if let Err(error) = std::fs::copy(config, last_good(state)) {
        tracing::warn!("the configuration could not be kept as last good: {error}");
    }
}

/// First signal: stop in order. There is no second meaning: what is read is stored first.
pub(super) fn stop_on_signals(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::info!("stopping: no more readings, then draining");
        stop.cancel();
    });
    Ok(())
}

/// What the daemon does beside its work: answers `weir status` and systemd.
fn attend(desk: &Arc<Desk>, stop: &CancellationToken) {
    tokio::spawn(crate::status::serve(Arc::clone(desk)));
    tokio::spawn(report_to_systemd(Arc::clone(desk), stop.clone()));
    tracing::info!("running as {}; {}", desk.gateway().id, desk.snapshot().headline());
}

/// READY once the pipeline runs, STATUS worth reading, and a watchdog fed by real progress. Does nothing without systemd.
async fn report_to_systemd(desk: Arc<Desk>, stop: CancellationToken) {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let watchdog = sd_notify::watchdog_enabled();
    let every = watchdog.map_or(Duration::from_secs(10), |limit| limit / 3);
    loop {
        let headline = desk.snapshot().headline();
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&headline)]);
        if let Some(hung) = desk.hanging() {
            tracing::error!("{hung}; the watchdog is not fed");
        } else if watchdog.is_some() {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        }
        if stop.run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
            return;
        }
    }
}
