//! An open window, or a part of one.

use serde::{Deserialize, Serialize};

use super::Summary;
use crate::{Nanos, Reading};

/// An open window, or a part of one. Lent by the caller, so that a channel pays only for the windows it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pane {
    pub(super) summary: Summary,
}

impl Pane {
    pub(super) fn new(start: Nanos, width: Nanos) -> Self {
        Self { summary: Summary::new(start, width, 0) }
    }

    pub(super) const fn is_free(&self) -> bool {
        self.summary.count == 0 && self.summary.covered == 0
    }

    /// Whether it is the pane of a reading, and of the one that it is joined to.
    pub(super) fn holds(&self, last: Option<Reading>, reading: Reading) -> bool {
        let start = self.summary.start;
        let inside = reading.at >= start && reading.at < start.saturating_add(self.summary.width);
        inside && !self.is_free() && last.is_none_or(|last| last.at >= start)
    }

    pub(super) fn add(&mut self, Reading { at, value, quality }: Reading) {
        self.summary.add(at, value);
        self.summary.quality = self.summary.quality.max(quality);
    }

    /// Adds the area under the line between two readings, as far as it lies between `from` and `to`.
    pub(super) fn join(&mut self, a: Reading, b: Reading, from: Nanos, to: Nanos) {
        let seconds = |time: Nanos| time as f64 / 1e9;
        let slope = (b.value - a.value) / seconds(b.at.saturating_sub(a.at));
        let middle = seconds(from.saturating_sub(a.at)) + seconds(to.saturating_sub(from)) / 2.0;
        let time = to.saturating_sub(from);
        self.summary.integral += (a.value + slope * middle) * seconds(time);
        self.summary.covered = self.summary.covered.saturating_add(time);
    }
}
