//! The self-tuning detector.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::Nanos;

/// What it knows of one channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Auto {}

impl Auto {
    /// Knows nothing yet. `period`: the expected interval between readings, 0 if unknown.
    #[must_use]
    pub fn new(_period: Nanos) -> Self {
        Self {}
    }

    /// Judges one raw, finite reading; `Some` at or above the alert threshold (score >= 1.0).
    pub fn push(&mut self, _at: Nanos, _value: f64) -> Option<Verdict> {
        None
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reason {}

impl fmt::Display for Reason {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
