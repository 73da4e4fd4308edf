//! What leaves the filters, lies in the buffer and is given to the sinks.
//!
//! Times are boot times of the boot that the record names; the wall clock is added by [`crate::clock::Timeline`] when a
//! batch is built. How a record is written for a receiver is the sinks' business ([`crate::sink::wire`]).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
pub use weir_filters::{Class, Nanos, Phase, Quality, Summary};

/// The reserved sensor name under which the gateway speaks of itself.
pub const GATEWAY: &str = "weir";

/// One quantity of a sensor: one time series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Channel {
    /// The sensor's name in the configuration.
    pub sensor: Box<str>,
    /// The quantity: `temperature`.
    pub name: Box<str>,
    /// UCUM code: `Cel`, `Pa`, `%`; empty when there is none.
    pub unit: Box<str>,
    /// The gateway's, the sensor's and the channel's labels; the nearer wins.
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.sensor, self.name)
    }
}

/// One start of the machine: names the zero of a boot time. Random where the kernel gives none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BootId(pub u128);

/// A record's place in the order in which the buffer took it in. Never used twice within an epoch.
pub type Seq = u64;

/// An event's name, the same from opening to closing and on its context samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventId(pub u64);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A record before the buffer has given it its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Whose it is.
    pub channel: Arc<Channel>,
    /// The boot that `at` counts from.
    pub boot: BootId,
    /// Boot time: the reading's, a window's start, an event's.
    pub at: Nanos,
    /// What it says.
    pub body: Body,
}

/// One record: (gateway, epoch, seq) names it for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its number within the epoch.
    pub seq: Seq,
    /// What the pipeline said.
    pub draft: Draft,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// A point of the reduced series, or a full-rate reading around an event.
    Sample(Sample),
    /// A closed window of a gauge.
    Summary(Summary),
    /// A closed window of a counter.
    Count(weir_filters::Count),
    /// An alarm, anomaly or fault begins, grows or ends.
    Event(Event),
    /// The gateway speaks of itself.
    Status(Status),
}

/// A record's sort, as configuration and wire call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Points of a series.
    Sample,
    /// Closed windows.
    Summary,
    /// Alarms, anomalies, faults.
    Event,
    /// The gateway about itself.
    Status,
}

impl Kind {
    /// All, with the words used in configuration and on the wire.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("sample", Self::Sample), ("summary", Self::Summary), ("event", Self::Event), ("status", Self::Status)];

    /// The word used in configuration and on the wire.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

impl Body {
    /// The record's sort.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Sample(_) => Kind::Sample,
            Self::Summary(_) | Self::Count(_) => Kind::Summary,
            Self::Event(_) => Kind::Event,
            Self::Status(_) => Kind::Status,
        }
    }
}

/// One value at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// What was measured.
    pub value: Value,
    /// Of a gauge's reduced series: no reading since the last sample is further than this from the joining line.
    pub bound: Option<f64>,
    /// How far the value can be trusted.
    pub quality: Quality,
    /// The event around which this full-rate reading was kept; then it is not part of the reduced series.
    pub event: Option<EventId>,
    /// No line leads here from the sample before (gap, restart, clock step, quality change).
    pub gap: bool,
    /// Of a state: how long it was what it was before, in nanoseconds.
    pub lasted: Option<Nanos>,
}

/// A channel's value. A channel never changes its variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A gauge's.
    Float(f64),
    /// A counter's or a state's.
    Integer(i64),
    /// A text channel's.
    Text(Box<str>),
}

/// An alarm, anomaly or fault, of a channel or of the gateway itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// A limit somebody set, an odd signal, or something broken.
    pub class: Class,
    /// The same in every phase.
    pub id: EventId,
    /// It begins, has grown, or is over.
    pub phase: Phase,
    /// The reading's value, where there is one.
    pub value: Option<f64>,
    /// How strong, 1.0 being just enough.
    pub score: Option<f64>,
    /// Why, in plain words.
    pub reason: Box<str>,
}

/// What the gateway says about its own records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Status {
    /// To one sink: of the records of one lane with numbers `from..=to`, so many were sent to it and so many were not for
    /// it. A receiver that has fewer than `sent` of them has lost some; one that has all knows that the rest was filtered.
    Coverage {
        /// The sink's name.
        sink: Box<str>,
        /// The lane's word.
        lane: Box<str>,
        /// First number spoken of.
        from: Seq,
        /// Last number spoken of.
        to: Seq,
        /// Acknowledged by the far end.
        sent: u64,
        /// The other numbers of the range: of other lanes, filtered by the sink's route, merged, evicted or void.
        not_for_you: u64,
        /// Set aside because the far end refused them.
        rejected: u64,
    },
    /// Numbers that were reserved but never used (a crash came first).
    Void {
        /// First number.
        from: Seq,
        /// Last number.
        to: Seq,
    },
    /// Records merged into coarser ones for want of room, oldest first.
    Merged {
        /// First number.
        from: Seq,
        /// Last number.
        to: Seq,
        /// How many.
        records: u64,
    },
    /// Records given up for want of room, oldest first.
    Evicted {
        /// First number.
        from: Seq,
        /// Last number.
        to: Seq,
        /// How many.
        records: u64,
    },
    /// Damage found in the store; readable records were saved.
    Damaged {
        /// First number that may be affected.
        from: Seq,
        /// Last number that may be affected.
        to: Seq,
        /// What happened, in plain words.
        what: Box<str>,
    },
}

impl Record {
    /// The record's sort.
    pub fn kind(&self) -> Kind {
        self.draft.body.kind()
    }
}
