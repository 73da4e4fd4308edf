//! Swinging door (Bristol 1987) with a true bound: what is sent are readings, and the line to the next one sent passes every
//! reading between within the bound. The textbook form only promises that *some* line does.

use serde::{Deserialize, Serialize};

use super::reducer::{Emit, Knot};

/// Every slope.
const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// State of the door of one run of readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Door {
    pivot: Knot,
    last: Knot,
    /// Slopes, per nanosecond, of the lines from the pivot that pass all readings since.
    open: (f64, f64),
    n: u64,
    covered: u64,
}

impl Door {
    /// Begins a run with its first reading, which the caller sends.
    pub(crate) const fn start(knot: Knot) -> Self {
        Self { pivot: knot, last: knot, open: ANY, n: 1, covered: 1 }
    }

    /// Takes the next reading of the run, later than the one before.
    pub(crate) fn push(&mut self, knot: Knot, bound: f64, emit: Emit<'_>) {
        if self.waiting() && !self.admits(knot) {
            self.turn(emit);
        }
        let (rise, run) = (knot.value - self.pivot.value, self.age(knot));
        self.open.0 = self.open.0.max((rise - bound) / run);
        self.open.1 = self.open.1.min((rise + bound) / run);
        self.last = knot;
        self.n += 1;
    }

    /// Sends the newest reading, if it was not.
    pub(crate) fn cut(&mut self, emit: Emit<'_>) {
        if self.waiting() {
            self.turn(emit);
        }
    }

    /// Readings that the points sent rebuild.
    pub(crate) const fn covered(&self) -> u64 {
        self.covered
    }

    const fn waiting(&self) -> bool {
        self.n > self.covered
    }

    fn age(&self, knot: Knot) -> f64 {
        knot.at.saturating_sub(self.pivot.at) as f64
    }

    fn admits(&self, knot: Knot) -> bool {
        let slope = (knot.value - self.pivot.value) / self.age(knot);
        self.open.0 <= slope && slope <= self.open.1
    }

    /// The newest reading leaves and is the next pivot.
    fn turn(&mut self, emit: Emit<'_>) {
        emit(self.last);
        self.pivot = self.last;
        self.open = ANY;
        self.covered = self.n;
    }
}
