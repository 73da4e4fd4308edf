//! What leaves the filters.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::detect::auto;
use crate::{Nanos, Quality, Summary};

/// One thing that leaves a channel.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A point of the reduced series, or a full-rate reading around an event.
    Sample(Sample),
    /// A closed window of a gauge.
    Summary(Summary),
    /// An alarm, anomaly or fault begins, grows or ends.
    Event(Event),
    /// A state changed, or is still what it was (heartbeat).
    Change(Change),
    /// A closed window of a counter.
    Count(Count),
}

/// A point of the reduced series. A receiver joins consecutive ones by straight lines, except across a `gap`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Boot time; not always that of a reading.
    pub at: Nanos,
    /// In the channel's unit.
    pub value: f64,
    /// Every reading since the last sample lies within this distance of the joining line.
    pub bound: f64,
    /// Of the readings it stands for.
    pub quality: Quality,
    /// `Some`: one raw reading kept around the event of that number; not part of the reduced series.
    pub event: Option<u32>,
    /// No line leads from the sample before to this one (gap, restart, clock step, quality change).
    pub gap: bool,
}

/// What kind of event. A limit somebody set; an odd signal; a broken sensor. Never mixed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Class {
    /// A limit somebody set was passed.
    Alarm,
    /// The signal is not like itself.
    Anomaly,
    /// The sensor, not what it measures, is at fault.
    Fault,
}

impl Class {
    /// The word used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Anomaly => "anomaly",
            Self::Fault => "fault",
        }
    }
}

/// Where an event is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// It begins.
    Opened,
    /// It has grown noticeably since it was last told of.
    Updated,
    /// It is over.
    Closed,
}

impl Phase {
    /// The word used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Closed => "closed",
        }
    }
}

/// An alarm, anomaly or fault.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Which kind.
    pub class: Class,
    /// Its number in this channel, from 1; the same from opening to closing.
    pub number: u32,
    /// Beginning, growing or over.
    pub phase: Phase,
    /// The reading that caused this phase.
    pub at: Nanos,
    /// That reading's value. Not finite values are reported as 0 with [`Reason::NotFinite`].
    pub value: f64,
    /// How strong, 1.0 being just enough for an event; the largest so far in `Closed`.
    pub score: f64,
    /// Why, for people.
    pub reason: Reason,
}

/// Why there is an event. `Display` says it in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reason {
    /// The value is above the limit.
    Above(f64),
    /// The value is below the limit.
    Below(f64),
    /// The value is outside the range the sensor can measure.
    OutOfRange(f64, f64),
    /// The source delivered NaN or an infinity.
    NotFinite,
    /// The value changed faster than this many units per second.
    TooFast(f64),
    /// The value has not moved for this long.
    Stuck(Nanos),
    /// No reading for this long.
    Silent(Nanos),
    /// The value is so many of its usual deviations away from its median.
    Deviates(f64),
    /// The mean has drifted by so many of the usual deviations.
    Drifted(f64),
    /// What the self-tuning detector found.
    Unusual(auto::Reason),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above(limit) => write!(f, "above the limit of {limit}"),
            Self::Below(limit) => write!(f, "below the limit of {limit}"),
            Self::OutOfRange(lo, hi) => write!(f, "outside the valid range {lo} to {hi}"),
            Self::NotFinite => f.write_str("not a number"),
            Self::TooFast(rate) => write!(f, "changes by more than {rate} per second"),
            Self::Stuck(time) => write!(f, "no change at all for {}", Words(*time)),
            Self::Silent(time) => write!(f, "no reading for {}", Words(*time)),
            Self::Deviates(times) => write!(f, "{times:.1} times its usual deviation away from its median"),
            Self::Drifted(times) => write!(f, "mean has drifted by {times:.1} times its usual deviation"),
            Self::Unusual(reason) => reason.fmt(f),
        }
    }
}

/// A span of time for people: the largest fitting unit, one decimal.
struct Words(Nanos);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 as f64 / 1e9;
        match seconds {
            s if s < 120.0 => write!(f, "{s:.1} s"),
            s if s < 7200.0 => write!(f, "{:.1} min", s / 60.0),
            s => write!(f, "{:.1} h", s / 3600.0),
        }
    }
}

/// A state's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When the state was first read as it is now; of a heartbeat: the reading's time.
    pub at: Nanos,
    /// What it is now.
    pub state: i64,
    /// What it was before; `None`: not known (start, gap).
    pub before: Option<i64>,
    /// How long it was what it was before; of a heartbeat: how long it has been what it is.
    pub duration: Nanos,
    /// Nothing changed, the value is only confirmed.
    pub heartbeat: bool,
}

/// A closed window of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// First instant of the window.
    pub start: Nanos,
    /// Its width.
    pub width: Nanos,
    /// Readings that a full window has; 0 when the period is not known.
    pub expected: u32,
    /// Readings that it had.
    pub count: u32,
    /// The last reading: the counter's exact value.
    pub value: u64,
    /// What was counted in the window, across resets and wraps.
    pub delta: u64,
    /// `delta` per second of the time between the readings it was counted over; 0 without such time.
    pub rate: f64,
    /// How often the counter started again from a smaller value.
    pub resets: u32,
    /// The window was cut short (restart, clock step, end).
    pub partial: bool,
}
