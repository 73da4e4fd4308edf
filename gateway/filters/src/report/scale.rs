//! How wide a channel's values range and how noisy they are: what the `auto` bound is made of.

use serde::{Deserialize, Serialize};

/// Readings before the noise is believed.
const YOUNG: u32 = 32;
/// Memory of the noise, in readings.
const MEMORY: f64 = 1000.0;
/// One difference counts as at most so many usual ones: a step is not noise.
const CLIP: f64 = 4.0;
/// Standard deviation of normal noise, per mean absolute second difference: sqrt(pi / 2) / sqrt(6).
const PER_DIFFERENCE: f64 = 0.511_66;

/// What is known of a channel's scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    lo: f64,
    hi: f64,
    /// The two readings before.
    before: [f64; 2],
    /// Mean absolute second difference.
    difference: f64,
    n: u32,
}

impl Scale {
    pub(crate) fn learn(&mut self, value: f64) {
        if self.n == 0 {
            (self.lo, self.hi) = (value, value);
        }
        // Half way only: one wild reading does not make the range.
        if value > self.hi {
            self.hi += (value - self.hi) / 2.0;
        } else if value < self.lo {
            self.lo += (value - self.lo) / 2.0;
        }
        if self.n >= 2 {
            self.learn_difference((value - 2.0 * self.before[1] + self.before[0]).abs());
        }
        self.before = [self.before[1], value];
        self.n = self.n.saturating_add(1);
    }

    fn learn_difference(&mut self, difference: f64) {
        let n = f64::from(self.n - 1);
        let usual =
            if self.is_young() { difference } else { difference.min(CLIP * self.difference.max(f64::MIN_POSITIVE)) };
        self.difference += (usual - self.difference) / n.min(MEMORY);
    }

    /// Width of the range seen so far.
    pub(crate) fn range(&self) -> f64 {
        self.hi - self.lo
    }

    pub(crate) const fn is_young(&self) -> bool {
        self.n < YOUNG
    }

    /// Standard deviation of the noise; 0 as long as too little was seen.
    pub(crate) fn noise(&self) -> f64 {
        if self.is_young() { 0.0 } else { self.difference * PER_DIFFERENCE }
    }
}
