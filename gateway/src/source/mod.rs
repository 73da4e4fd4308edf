//! Where readings come from: buses with polled sensors, serial streams, this machine, files, the network.
//!
//! Each file is one kind. A source is told what its channels are called, sends [`Arrival`]s into its [`Feed`] and counts
//! what it could not read. It filters nothing, stores nothing, and never stops another source.

pub(crate) mod csv;
mod delivery;
mod device;
mod dice;
mod exec;
mod extract;
mod grid;
mod host;
mod i2c;
mod life;
mod modbus;
mod mqtt;
mod plan;
mod poll;
mod pty;
pub mod scan;
mod scenario;
mod serial;
mod sim;
mod sim_serial;
mod stream;
#[cfg(test)]
mod testing;
mod thread;
mod trouble;
mod w1;

pub use life::{Life, Pulse};
pub use plan::{Plan, Sources, driver_names};

use crate::clock::Clock;
use crate::record::Nanos;
use crate::registry::{ChannelIndex, Declared, Registry, SensorIndex};
use crate::section::{Section, did_you_mean};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use toml::Spanned;

/// What a source tells the pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// One value of one channel.
    Reading {
        /// Which channel.
        channel: ChannelIndex,
        /// Boot time of the measurement (for a conversion: of its start).
        at: Nanos,
        /// What was measured.
        value: Measured,
    },
    /// A poll that was due did not happen in time; every channel of the sensor misses one reading.
    Missed {
        /// Which sensor.
        sensor: SensorIndex,
        /// How many polls in a row.
        polls: u64,
    },
    /// A poll was tried and failed: one failed reading of one channel, or of every channel of the sensor.
    Failed {
        /// Which sensor.
        sensor: SensorIndex,
        /// The one channel that failed while others were read; `None` for all of them.
        channel: Option<ChannelIndex>,
        /// Boot time of the attempt.
        at: Nanos,
        /// What happened and what to do about it, in words a technician can act on.
        why: Arc<str>,
    },
}

/// A value as it comes from a sensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// A gauge's.
    Gauge(f64),
    /// A counter's, exact.
    Counter(u64),
    /// A state's.
    State(i64),
    /// A text's; at most [`TEXT_LIMIT`] bytes are kept.
    Text(Box<str>),
}

/// The longest text that is kept of a text channel, in bytes.
pub const TEXT_LIMIT: usize = 1024;

/// The way into the pipeline. Cheap to clone; one sensor each.
#[derive(Debug, Clone)]
pub struct Feed {
    sensor: SensorIndex,
    registry: Arc<Registry>,
    to: mpsc::Sender<Arrival>,
    clock: Clock,
}

/// The pipeline is gone: the gateway is shutting down, the source should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl Feed {
    /// A feed for `sensor`.
    pub fn new(sensor: SensorIndex, registry: Arc<Registry>, to: mpsc::Sender<Arrival>, clock: Clock) -> Self {
        Self { sensor, registry, to, clock }
    }

    /// Which sensor this feed belongs to.
    pub fn sensor(&self) -> SensorIndex {
        self.sensor
    }

    /// The clock that readings are stamped with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Makes a channel known before its first reading; the same name gives the same index. `None` when the sensor has
    /// used up its channels (a publisher that invents names must not fill the memory).
    pub fn channel(&self, declared: Declared) -> Option<ChannelIndex> {
        self.registry.declare(self.sensor, declared)
    }

    /// Sends from a task; waits while the pipeline is busy.
    pub async fn send(&self, arrival: Arrival) -> Result<(), Closed> {
        self.to.send(arrival).await.map_err(|_| Closed)
    }

    /// Sends from a bus thread; waits while the pipeline is busy.
    pub fn send_blocking(&self, arrival: Arrival) -> Result<(), Closed> {
        self.to.blocking_send(arrival).map_err(|_| Closed)
    }
}

/// A sensor on its way from the file to a source: the common keys are taken, the rest is for its driver.
pub struct Draft<'p, 'i> {
    /// What is left of `[sensor.NAME]`.
    pub section: Section<'p, 'i>,
    /// The word after `driver =`, with its place; `None` when it is missing, which has been reported.
    pub driver: Option<Spanned<String>>,
    /// The word after `bus =`, with its place.
    pub bus: Option<Spanned<String>>,
    /// The word after `every =`.
    pub every: Option<Duration>,
    /// What is left of each `[sensor.NAME.channel.CHANNEL]`.
    pub channels: Vec<Section<'p, 'i>>,
}

impl Draft<'_, '_> {
    /// The word after `driver =`; empty when it is missing.
    fn driver_name(&self) -> &str {
        self.driver.as_ref().map_or("", |driver| driver.get_ref())
    }

    /// The period of a polled sensor; reports its absence.
    fn require_every(&self) -> Option<Duration> {
        if self.every.is_none() {
            let help = "add a line such as: every = \"1s\"".to_owned();
            let message = format!("[{}] does not say how often to read", self.section.name());
            self.section.report(self.section.place(), message, "`every` is missing here", Some(help));
        }
        self.every
    }
}

/// Reports what is left of `[sensor.NAME.channel.CHANNEL]` for a driver whose channels are fixed.
fn check_channel(channel: Section<'_, '_>, driver: &str, known: &[&str]) {
    if known.contains(&channel.key()) {
        return channel.finish();
    }
    let message = format!("[{}]: a {driver} has no channel `{}`", channel.name(), channel.key());
    let help = did_you_mean(channel.key(), known).unwrap_or_else(|| format!("its channels: {}", known.join(", ")));
    channel.report(channel.place(), message, "unknown channel", Some(help));
}

/// A kind of bus: a row of [`BUSES`].
pub struct BusKind {
    /// The word after `kind =`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// What can be connected to it.
    pub carries: Carries,
    open: fn(Section<'_, '_>, Vec<Draft<'_, '_>>) -> Option<Box<dyn Source>>,
}

/// What can be connected to a bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// Chips on an I2C bus.
    I2c,
    /// Whatever talks on a serial line.
    Serial,
    /// Modbus units; a serial line carries them too.
    Modbus,
}

impl Carries {
    /// Whether a bus that carries this will do for what needs `other`.
    fn takes(self, other: Self) -> bool {
        self == other || (self == Self::Serial && other == Self::Modbus)
    }
}

/// A driver that is not a device: a row of [`TABLE`].
pub struct Entry {
    /// The word after `driver =`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    open: Open,
}

/// Where a sensor belongs.
#[derive(Clone, Copy)]
enum Open {
    /// To a bus of this kind.
    On(Carries),
    /// It is a source of its own.
    Alone(Alone),
}

/// Reads a sensor that is a source of its own.
type Alone = fn(Draft<'_, '_>) -> Option<Box<dyn Source>>;

/// Every kind of bus, in the order in which help and documentation list them.
pub const BUSES: &[BusKind] = &[i2c::KIND, sim::KIND, serial::KIND, sim_serial::KIND, modbus::KIND];

/// Every driver that is not a device, in the order in which help and documentation list them.
pub const TABLE: &[Entry] =
    &[stream::ENTRY, modbus::ENTRY, mqtt::ENTRY, host::ENTRY, w1::ENTRY, exec::ENTRY, csv::ENTRY];

/// Something that delivers readings of one or more sensors until it is told to stop: a bus with its sensors, a file,
/// a subscription. It opens what it needs by itself, again and again if need be: Weir starts with everything absent.
pub trait Source: Send {
    /// The channels that are known before anything runs, for each sensor in the order of the configuration.
    fn channels(&self) -> Vec<Vec<Declared>>;

    /// Delivers into `feeds` (one for each sensor) until `life` is over or there is nothing more to come.
    fn run(self: Box<Self>, feeds: Vec<Feed>, life: Life) -> Running;
}

/// A source at work.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
