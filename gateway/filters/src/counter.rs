//! The way of a counter: exact integers that only grow, until they wrap or start again.

use serde::{Deserialize, Serialize};

use crate::{Counts, Nanos, Output};

/// How a counter channel is filtered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Expected interval between readings; 0: not known.
    pub period: Nanos,
    /// Width of its windows.
    pub window: Nanos,
    /// Number of bits after which the counter wraps to 0: 8 to 64.
    pub bits: u8,
}

/// State of a counter channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counter {
    counts: Counts,
}

impl Counter {
    /// Takes one reading.
    pub fn push(&mut self, _settings: &Settings, _at: Nanos, _value: u64, _out: &mut dyn FnMut(Output)) {
        self.counts.read += 1;
        self.counts.represented += 1;
    }

    /// Time passes without a reading.
    pub fn tick(&mut self, _settings: &Settings, _now: Nanos, _out: &mut dyn FnMut(Output)) {}

    /// The series breaks here: the open window closes as partial.
    pub fn interrupt(&mut self, _settings: &Settings, _out: &mut dyn FnMut(Output)) {}

    /// What became of the readings so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }
}
