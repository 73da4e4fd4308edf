//! Fourth stage: forwards a point only when it matters within the error bound.

use serde::{Deserialize, Serialize};

use crate::Nanos;

/// What to forward.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How points are chosen.
    pub method: Method,
    /// At least one sample in this time, as long as readings come.
    pub heartbeat: Option<Nanos>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { method: Method::SwingingDoor(Bound::Auto { share: 0.01, noise: 3.0 }), heartbeat: Some(900_000_000_000) }
    }
}

/// How points are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Method {
    /// No samples; windows alone speak for the channel.
    None,
    /// Every reading.
    Every,
    /// A reading that differs from the last one sent by more than the bound.
    Deadband(Bound),
    /// Readings joined by lines that pass every reading within the bound.
    SwingingDoor(Bound),
    /// Free points joined by lines that pass every reading within the bound: fewest points.
    Funnel(Bound),
}

/// How far the forwarded series may be from the readings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Bound {
    /// In the channel's unit.
    Absolute(f64),
    /// Share of the channel's span, 0.01 = 1 %.
    Share(f64),
    /// The larger of a share of the span and a multiple of the channel's own noise, capped; stated on each sample.
    Auto {
        /// Share of the span (of the range seen so far, if no span is known).
        share: f64,
        /// Multiple of the standard deviation of the channel's noise.
        noise: f64,
    },
}
