//! Deadband: a reading leaves at once when it differs from the last one sent by more than the bound.
//!
//! A receiver joins samples by lines, so the value held until then leaves too, at the time of the reading before: without it
//! the line would run through readings that never were.

use serde::{Deserialize, Serialize};

use super::reducer::{Emit, Knot};

/// State of the deadband of one run of readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deadband {
    sent: Knot,
    last: Knot,
    n: u64,
    covered: u64,
}

impl Deadband {
    /// Begins a run with its first reading, which the caller sends.
    pub(crate) const fn start(knot: Knot) -> Self {
        Self { sent: knot, last: knot, n: 1, covered: 1 }
    }

    /// Takes the next reading of the run, later than the one before.
    pub(crate) fn push(&mut self, knot: Knot, bound: f64, emit: Emit<'_>) {
        if (knot.value - self.sent.value).abs() > bound {
            self.cut(emit);
            emit(knot);
            self.sent = knot;
            self.covered = self.n + 1;
        }
        self.last = knot;
        self.n += 1;
    }

    /// Confirms the held value at the newest reading.
    pub(crate) fn cut(&mut self, emit: Emit<'_>) {
        if self.n > self.covered {
            self.sent.at = self.last.at;
            emit(self.sent);
            self.covered = self.n;
        }
    }

    /// Readings that the points sent rebuild.
    pub(crate) const fn covered(&self) -> u64 {
        self.covered
    }
}
