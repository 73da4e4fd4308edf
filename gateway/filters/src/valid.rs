//! First stage: can the sensor have meant this? Faults, never alarms.

use serde::{Deserialize, Serialize};

use crate::Nanos;

/// What a healthy sensor can say. Every check is off by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Lowest and highest possible value: what is outside is rejected and a fault.
    pub range: Option<(f64, f64)>,
    /// No change at all for so long, over at least 60 readings, is a fault.
    pub stuck: Option<Nanos>,
    /// Fastest possible change, in units per second; a faster one makes the reading suspect.
    pub rate: Option<f64>,
    /// No reading for so long is a fault, and nothing is interpolated across it.
    pub stale: Option<Nanos>,
}
