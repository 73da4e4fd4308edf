//! Weir, the daemon on a sensor gateway: it reads sensors, keeps what matters, drops what does not, stores it through an
//! outage and forwards it.
//!
//! ```text
//!  thread per ioctl bus,        one pipeline thread          sled thread                one task per sink and lane
//!  task per serial/net source
//!  sensors ──► drivers ──► Reading ──► filters ──► Record ──► buffer (log) ──► batch ──► sink ──► MQTT · Kafka · InfluxDB
//!                                                               cursors ◄── acknowledged
//! ```
//!
//! Data flows one way. The modules stand here in that order; [`run()`] connects them.

pub mod config;
pub mod identity;
pub mod record;
pub mod section;

pub mod clock;
pub mod registry;
pub mod source;

pub mod filter;
pub mod pipeline;

pub mod buffer;
pub mod forward;
pub mod sink;

pub mod cli;
pub mod status;

mod broker;
mod hold;
mod notices;
mod secret;
mod sys;
mod tls;

#[cfg(test)]
mod tidy;

use buffer::Buffer;
use clock::Clock;
use config::Config;
use forward::{Forward, Stamps};
use hold::Hold;
use notices::Notices;
use pipeline::{Earlier, Pipeline, Worker};
use registry::Registry;
use status::{Desk, Snapshot};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How a gateway is run.
pub struct Orders {
    /// What it does.
    pub config: Config,
    /// Where its time comes from.
    pub clock: Clock,
    /// Cancelled: stop reading, drain, and return.
    pub stop: CancellationToken,
    /// Return when all sources have nothing more to come (a replay); otherwise only `stop` ends it.
    pub until_exhausted: bool,
    /// How long the sinks may take in the end for what is still in the log. It stays there if they cannot.
    pub patience: Duration,
    /// What the gateway has to tell about its start, as events.
    pub announcements: Vec<String>,
}

/// Runs a gateway from its first reading to its last acknowledgement. `watch` is shown where to look while it runs.
///
/// # Errors
/// Only what makes work impossible from the start: a state directory that cannot be made or is another gateway's, no thread
/// to be had. Absent
/// sensors, absent brokers and damaged stores are nothing to fail on.
pub async fn run(orders: Orders, watch: impl FnOnce(&Arc<Desk>)) -> anyhow::Result<Snapshot> {
    let Orders { config, clock, stop, until_exhausted, patience, announcements } = orders;
    let Config { gateway, sensors, sources, filters, buffer, sinks } = config;

    let _hold = Hold::take(&gateway.state)?;
    let registry = Arc::new(Registry::new(sensors));
    let (buffer, opened) = Buffer::open(&gateway.state.join("buffer"), &buffer, forward::subscribers(&sinks));
    let stamps = Arc::new(Stamps::new(clock.clone(), opened.timeline.as_deref(), gateway.clock_hold));
    let clock_watch = stamps.watch(&buffer).await;
    let notices = Notices::new(&buffer, &clock, &gateway);
    notices.tell(opened.notices);
    announcements.iter().for_each(|what| notices.raise(what));
    let told = notices.keep_telling();

    let forward = Forward::start(sinks, &buffer, &stamps, clock.boot());
    let earlier = Earlier { ledger: opened.ledger, checkpoint: opened.checkpoint };
    let pipeline = Pipeline::new(Arc::clone(&registry), filters, clock.clone(), &earlier);
    let pipeline = Worker::start(pipeline, buffer.clone())?;
    let mut sources = sources.start(&registry, &clock, pipeline.arrivals(), &stop);

    let desk = Arc::new(Desk::new(gateway, &clock, &registry, &pipeline, &buffer, &forward, &stamps, &sources));
    watch(&desk);

    sources.ended().await;
    if !until_exhausted {
        stop.cancelled().await;
    }
    let ledger = pipeline.finish().await;
    told.abort();
    buffer.end();
    forward.finish(patience).await;
    clock_watch.abort();
    let last = desk.last_snapshot(ledger);
    buffer.close().await;
    desk.leave();
    Ok(last)
}
