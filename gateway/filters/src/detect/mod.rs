//! Second stage: is something wrong? Looks at the raw reading, before anything is cleaned or dropped.

pub mod auto;

use serde::{Deserialize, Serialize};

use crate::{Nanos, Reason};

/// Limits that one channel can have.
pub const ALARMS: usize = 4;
/// Detectors, besides `auto`, that one channel can have.
pub const DETECTORS: usize = 2;

/// What to look for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The self-tuning detector.
    pub auto: bool,
    /// Limits somebody set.
    pub alarms: heapless::Vec<Alarm, ALARMS>,
    /// Detectors that somebody tuned.
    pub detectors: heapless::Vec<Detector, DETECTORS>,
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Which side of the limit is wrong.
    pub side: Side,
    /// The limit, in the channel's unit.
    pub limit: f64,
    /// How far back inside the value must come before the alarm is over.
    pub hysteresis: f64,
    /// How long the value must stay outside before it is an alarm.
    pub delay: Nanos,
}

/// A side of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Above the limit is wrong.
    High,
    /// Below the limit is wrong.
    Low,
}

/// A detector that needs tuning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Detector {
    /// A reading more than `sigma` robust deviations away from the running median.
    ZScore {
        /// Deviations.
        sigma: f64,
    },
    /// A change faster than `limit` units per second.
    Rate {
        /// Units per second.
        limit: f64,
    },
    /// A slow drift of the mean (two-sided CUSUM), in usual deviations.
    Cusum {
        /// Slack: drifts smaller than this are nothing.
        slack: f64,
        /// Sum of deviations beyond the slack that is an anomaly.
        limit: f64,
    },
}

/// What a detector has to say of a reading; only said if `score` >= 1.0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// How odd: 1.0 is just odd enough for an event.
    pub score: f64,
    /// Why.
    pub reason: Reason,
}
