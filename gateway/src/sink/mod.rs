//! Destinations. Each file is one: it takes records in order and says what the far end answered for every one of them.
//!
//! A new destination is a file here, its `mod` line and its row in [`TABLE`]. A sink connects by itself, keeps no record
//! after [`Sink::send`] has returned, and never decides what is kept or sent again: that is the buffer's and
//! [`crate::forward`]'s business.

pub mod file;
#[cfg(test)]
pub(crate) mod fixture;
pub mod influxdb;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod mqtt;
pub mod wire;

pub use crate::buffer::Limits;

use crate::clock::Trust;
use crate::identity::Gateway;
use crate::record::{Kind, Nanos, Record};
use crate::section::Section;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Every kind of sink, in the order in which help and documentation list them.
pub const TABLE: &[Entry] = &[
    mqtt::ENTRY,
    #[cfg(feature = "kafka")]
    kafka::ENTRY,
    influxdb::ENTRY,
    file::ENTRY,
];

/// How long data waits for company where nothing else was configured. Much shorter than the buffer's `commit_every`: what
/// is acknowledged before the next commit never touches the flash.
const LINGER: Duration = Duration::from_millis(250);

/// A row of [`TABLE`].
pub struct Entry {
    /// The word after `kind =`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Reads the sink's own keys. Makes no connection: Weir starts with every destination absent.
    pub open: fn(&mut Section<'_, '_>, &Gateway) -> Option<Box<dyn Sink>>,
}

/// Which way through the gateway a record takes. Order holds per channel within a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Alarms, anomalies and faults: overtake everything.
    Event,
    /// Data in the order in which it was recorded.
    Live,
    /// Older data, sent beside the live lane after an outage.
    Backfill,
}

impl Lane {
    /// The word used on the wire and in `weir status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Live => "live",
            Self::Backfill => "backfill",
        }
    }
}

/// A record on its way out, with all that a receiver needs to tell it from every other.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The record.
    pub record: Arc<Record>,
    /// The store's epoch: with the gateway's id and `record.seq` the record's name.
    pub epoch: Arc<str>,
    /// Which way it takes.
    pub lane: Lane,
    /// Its time on the wall clock, nanoseconds since 1970. Never different when it is sent again.
    pub wall: Nanos,
    /// How far `wall` can be trusted.
    pub trust: Trust,
}

impl Outgoing {
    /// The record's sort.
    pub fn kind(&self) -> Kind {
        self.record.kind()
    }
}

/// What became of a batch: the far end has taken the first `accepted` records; about the next one `then` speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Acknowledged by the far end, counted from the start of the batch.
    pub accepted: usize,
    /// What about the rest.
    pub then: Then,
}

/// What to do after the accepted part of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Nothing: everything was accepted.
    Done,
    /// The rest can be sent again later; nothing is wrong with the records.
    Retry {
        /// The far end's own wish (`Retry-After`, throttling), if it has one.
        after: Option<Duration>,
        /// What happened and what to do about it, for the log and `weir status`.
        why: String,
    },
    /// The far end will never take the record at `accepted`: it is set aside and counted, the rest goes on.
    Reject {
        /// The far end's reason.
        why: String,
    },
}

impl Outcome {
    /// All `records` were accepted.
    pub fn done(records: usize) -> Self {
        Self { accepted: records, then: Then::Done }
    }

    /// The first `accepted` were; the rest may be tried again.
    pub fn retry(accepted: usize, why: impl Into<String>) -> Self {
        Self { accepted, then: Then::Retry { after: None, why: why.into() } }
    }

    /// The first `accepted` were; the next one never will be.
    pub fn reject(accepted: usize, why: impl Into<String>) -> Self {
        Self { accepted, then: Then::Reject { why: why.into() } }
    }
}

/// The answer to a batch, when it comes.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// A destination. The event lane and the data lanes call it at the same time, one batch each, so that no alarm waits for
/// a batch of data to be answered.
pub trait Sink: Send + Sync {
    /// Sends a batch in order; ready when the far end has answered for every record, or will not.
    /// May be dropped at any point: whatever was not reported as accepted is sent again.
    fn send<'a>(&'a self, batch: &'a [Outgoing]) -> Sending<'a>;

    /// The most records and bytes (as JSON) of one batch.
    fn limits(&self) -> Limits {
        Limits { records: 500, bytes: 256 << 10, linger: Duration::from_millis(20) }
    }

    /// Says goodbye: what a destination wants to hear before the gateway goes (MQTT: status offline). Records are not sent.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }
}
