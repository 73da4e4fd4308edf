//! What a running gateway can tell about itself: gathered on demand, answered as JSON on a Unix socket.
//!
//! It only looks; nothing is changed from here.

use crate::buffer::{Account, Buffer, Stats};
use crate::clock::Clock;
use crate::forward::{self, Forward, Health, Stamps};
use crate::identity::Gateway;
use crate::pipeline::{Ledger, Row, Shared, Tally, Worker};
use crate::record::Nanos;
use crate::registry::Registry;
use crate::source::{Pulse, Sources};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

/// Everything there is to look at while a gateway runs.
pub struct Desk {
    gateway: Gateway,
    clock: Clock,
    started: Nanos,
    registry: Arc<Registry>,
    view: Shared,
    pipeline: Arc<AtomicI64>,
    pulses: Vec<Arc<Pulse>>,
    buffer: Buffer,
    sinks: BTreeMap<Box<str>, Health>,
    stamps: Arc<Stamps>,
}

/// The state of a gateway at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its id.
    pub gateway: Box<str>,
    /// Seconds since it was started.
    pub uptime_s: f64,
    /// Whether the wall clock is known to be right.
    pub clock_synced: bool,
    /// Seconds that data still waits for it at most; absent: it does not wait.
    pub data_waits_for_clock_s: Option<f64>,
    /// All readings by fate.
    pub readings: Tally,
    /// Whether every reading has exactly one fate, and every record for every sink.
    pub balances: bool,
    /// By sensor, in the order of the configuration.
    pub sensors: Vec<SensorLine>,
    /// The ledger: readings by channel and fate.
    pub channels: Vec<Row>,
    /// By sink.
    pub sinks: Vec<SinkLine>,
    /// The log.
    pub store: Store,
    /// Threads that hang.
    pub hanging: Option<String>,
}

/// A sensor's health.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SensorLine {
    /// Its name.
    pub name: Box<str>,
    /// Seconds since its last reading.
    pub last_reading_s: Option<f64>,
    /// Failed polls since then.
    pub failures: u32,
    /// Polls that did not happen in time.
    pub missed: u64,
    /// Why the last poll failed, and what to do.
    pub error: Option<Box<str>>,
}

/// A sink's health, and the records by fate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SinkLine {
    /// Its name.
    pub name: Box<str>,
    /// How it is doing.
    pub health: forward::State,
    /// Events by fate.
    pub events: Account,
    /// Everything else by fate.
    pub data: Account,
}

impl SinkLine {
    /// Records that wait for this sink.
    pub fn pending(&self) -> u64 {
        self.events.pending() + self.data.pending()
    }
}

/// The log on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Store {
    /// What it takes.
    pub disk_bytes: u64,
    /// Commits in this run.
    pub commits: u64,
    /// Why records are in memory only, if they are.
    pub trouble: Option<String>,
}

/// A thread that shows no sign of life for so long hangs.
const HANGING: Duration = Duration::from_secs(20);

impl Desk {
    /// Knows where to look.
    #[expect(
        clippy::too_many_arguments,
        reason = "it looks at every part of a gateway once; a struct would only rename them"
    )]
    pub fn new(
        gateway: Gateway,
        clock: &Clock,
        registry: &Arc<Registry>,
        pipeline: &Worker,
        buffer: &Buffer,
        forward: &Forward,
        stamps: &Arc<Stamps>,
        sources: &Sources,
    ) -> Self {
        Self {
            gateway,
            clock: clock.clone(),
            started: crate::sys::boot_time(),
            registry: Arc::clone(registry),
            view: pipeline.view(),
            pipeline: pipeline.beat(),
            pulses: sources.pulses(),
            buffer: buffer.clone(),
            sinks: forward.health(),
            stamps: Arc::clone(stamps),
        }
    }

    /// Whose desk this is.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Where the daemon answers.
    pub fn socket(&self) -> PathBuf {
        socket(&self.gateway.state)
    }

    /// As things are now.
    pub fn snapshot(&self) -> Snapshot {
        let ledger = self.view.lock().unwrap_or_else(PoisonError::into_inner).ledger.clone();
        self.gather(ledger)
    }

    /// As things were in the end.
    pub fn last_snapshot(&self, ledger: Ledger) -> Snapshot {
        self.gather(ledger)
    }

    /// What hangs, in words; `None` while everything makes progress. An unplugged bus does not hang.
    pub fn hanging(&self) -> Option<String> {
        let now = crate::sys::boot_time();
        let silent = Duration::from_nanos(now.abs_diff(self.pipeline.load(Ordering::Relaxed)));
        if silent > HANGING {
            return Some(format!("the pipeline has not moved for {} s", silent.as_secs()));
        }
        let of = |p: &Arc<Pulse>| p.silent_for(self.clock.now()).filter(|silent| *silent > HANGING);
        let (pulse, silent) = self.pulses.iter().find_map(|p| Some((p, of(p)?)))?;
        Some(format!("{} has not moved for {} s", pulse.name(), silent.as_secs()))
    }

    /// Nobody answers here any more.
    pub fn leave(&self) {
        // It may never have been made.
        let _ = std::fs::remove_file(self.socket());
    }

    fn gather(&self, ledger: Ledger) -> Snapshot {
        let buffer = self.buffer.stats();
        Snapshot {
            gateway: self.gateway.id.clone(),
            uptime_s: seconds(crate::sys::boot_time() - self.started),
            clock_synced: !self.stamps.is_guess(),
            data_waits_for_clock_s: self.stamps.holds().map(|left| left.as_secs_f64().round()),
            readings: ledger.total(),
            balances: ledger.balances() && buffer.sinks.iter().flat_map(|s| &s.accounts).all(Account::balances),
            sensors: self.sensors(),
            sinks: self.sinks(&buffer),
            channels: ledger.rows,
            store: Store { disk_bytes: buffer.disk_bytes, commits: buffer.commits, trouble: buffer.trouble },
            hanging: self.hanging(),
        }
    }

    fn sinks(&self, buffer: &Stats) -> Vec<SinkLine> {
        let line = |name: &str, health: &Health| {
            let accounts = buffer.sinks.iter().find(|s| *s.name == *name).map(|s| s.accounts).unwrap_or_default();
            let [events, data] = accounts;
            SinkLine { name: name.into(), health: health.state(), events, data }
        };
        self.sinks.iter().map(|(name, health)| line(name, health)).collect()
    }

    fn sensors(&self) -> Vec<SensorLine> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let line = |(sensor, state): (&crate::registry::Sensor, &crate::pipeline::SensorState)| SensorLine {
            name: sensor.name.clone(),
            last_reading_s: state.last_reading.map(|at| seconds(now - at)),
            failures: state.failures,
            missed: state.missed,
            error: state.error.as_deref().map(Into::into),
        };
        self.registry.sensors().iter().zip(&view.sensors).map(line).collect()
    }
}

fn seconds(span: Nanos) -> f64 {
    (span as f64 / 1e9 * 1000.0).round() / 1000.0
}

impl Snapshot {
    /// Records that wait for the sink that is furthest behind.
    pub fn waiting(&self) -> u64 {
        self.sinks.iter().map(SinkLine::pending).max().unwrap_or(0)
    }

    /// One line for logs and `systemctl status`.
    pub fn headline(&self) -> String {
        let silent = self.sensors.iter().filter(|s| s.error.is_some()).count();
        let failing: Vec<_> =
            self.sinks.iter().filter(|s| s.health.failing.is_some()).map(|s| s.name.as_ref()).collect();
        let mut text = format!("{} readings, {:.1} % dropped", self.readings.read, self.readings.dropped() * 100.0);
        if silent > 0 {
            text += &format!("; {silent} of {} sensors do not answer", self.sensors.len());
        }
        if !failing.is_empty() {
            text += &format!("; not taking anything: {}", failing.join(", "));
        }
        let waiting = self.waiting();
        if waiting > 0 {
            text += &format!("; {waiting} records waiting");
        }
        text
    }
}

/// Where the daemon with this state directory answers.
pub fn socket(state: &Path) -> PathBuf {
    state.join("weir.sock")
}

/// Answers everybody who connects with a [`Snapshot`] as one line of JSON, until the process ends. Without a socket the
/// gateway works all the same.
pub async fn serve(desk: Arc<Desk>) {
    let path = desk.socket();
    // A socket left behind by a crash would be in the way; nobody else may use this state directory.
    let _ = std::fs::remove_file(&path);
    let listener = match UnixListener::bind(&path) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!("`weir status` will find nobody: {} cannot be made: {error}", path.display());
            return;
        }
    };
    loop {
        let Ok((mut peer, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let mut answer = serde_json::to_vec(&desk.snapshot()).unwrap_or_default();
        answer.push(b'\n');
        // Whoever asked and went away does not matter, nor does one who does not read.
        let _ = tokio::time::timeout(Duration::from_secs(5), peer.write_all(&answer)).await;
    }
}
