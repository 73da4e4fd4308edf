//! How wide a channel's values range and how noisy they are: what the `auto` bound is made of.

use serde::{Deserialize, Serialize};

/// Readings before the noise is believed.
const YOUNG: u32 = 10;
/// How far, in usual differences, one reading moves the median of the differences.
const STEP: f64 = 0.005;
/// Memory, in readings, of the mean difference: only the least unit in which the median moves.
const MEMORY: f64 = 1000.0;
/// Median of the absolute value of normal noise per mean of it.
const MEDIAN_PER_MEAN: f64 = 0.845_3;
/// Standard deviation of normal noise per median absolute second difference: 1.4826 / sqrt(6).
const PER_DIFFERENCE: f64 = 0.605_27;

/// What is known of a channel's scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    lo: f64,
    hi: f64,
    /// The two readings before.
    before: [f64; 2],
    /// Mean and median absolute second difference.
    mean: f64,
    median: f64,
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

    /// The median takes a step towards each difference (Robbins & Monro 1951): half of the readings may be anything, steps
    /// and spikes of the signal are not noise.
    fn learn_difference(&mut self, difference: f64) {
        let n = f64::from(self.n - 1);
        self.mean += (difference - self.mean) / n.min(MEMORY);
        if self.is_young() {
            self.median = self.mean * MEDIAN_PER_MEAN;
            return;
        }
        let step = self.median.max(self.mean / 10.0) * STEP.max(1.0 / n);
        let towards = if difference > self.median { step } else { -step };
        self.median = (self.median + towards).max(0.0);
    }

    /// Width of the range seen so far.
    pub(crate) fn range(&self) -> f64 {
        self.hi - self.lo
    }

    /// Readings seen.
    pub(crate) const fn readings(&self) -> u32 {
        self.n
    }

    const fn is_young(&self) -> bool {
        self.n < YOUNG
    }

    /// Standard deviation of the noise; 0 as long as too little was seen.
    pub(crate) fn noise(&self) -> f64 {
        if self.is_young() { 0.0 } else { self.median * PER_DIFFERENCE }
    }
}
