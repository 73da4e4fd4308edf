//! How wide a channel's values range and how noisy they are: what the `auto` bound is made of.

use serde::{Deserialize, Serialize};

/// Readings before the noise is believed.
const YOUNG: u32 = 10;
/// How far, in usual differences, one reading moves the median of the differences.
const STEP: f64 = 0.005;
/// Memory, in readings, of the mean difference: only the least unit in which the median moves.
const MEMORY: f64 = 1000.0;
/// A signal of fewer levels is a switch, not a coarse sensor.
const LEVELS: f64 = 8.0;
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
    /// The smallest change seen; 0: none yet.
    step: f64,
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
        let change = (value - self.before[1]).abs();
        if self.n > 0 && change > 0.0 && (self.step == 0.0 || change < self.step) {
            self.step = change;
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

    /// The smallest step of a coarse sensor, once it was seen to take more than a few; 0 otherwise.
    pub(crate) fn resolution(&self) -> f64 {
        if self.range() >= LEVELS * self.step { self.step } else { 0.0 }
    }

    /// Standard deviation of the noise; 0 as long as too little was seen.
    pub(crate) fn noise(&self) -> f64 {
        if self.is_young() { 0.0 } else { self.median * PER_DIFFERENCE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nearly normal noise of deviation 1, always the same.
    fn noise() -> impl Iterator<Item = f64> {
        let mut dice: u64 = 7;
        core::iter::repeat_with(move || {
            let uniform = core::iter::repeat_with(|| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (dice >> 33) as f64 / (1_u64 << 31) as f64
            });
            uniform.take(12).sum::<f64>() - 6.0
        })
    }

    fn learnt(values: impl Iterator<Item = f64>) -> Scale {
        let mut scale = Scale::default();
        values.for_each(|value| scale.learn(value));
        scale
    }

    #[test]
    fn noise_is_told_from_trend_steps_and_spikes() {
        let signal = noise().take(5000).enumerate().map(|(n, noise)| {
            let step = if n % 500 < 250 { 0.0 } else { 80.0 };
            let spike = if n % 40 == 0 { 300.0 } else { 0.0 };
            n as f64 * 0.1 + step + spike + noise
        });
        let found = learnt(signal).noise();
        assert!((0.9..1.3).contains(&found), "{found}");
    }

    #[test]
    fn noise_is_believed_early() {
        let found = learnt(noise().take(30)).noise();
        assert!((0.5..2.0).contains(&found), "{found}");
        assert_eq!(learnt(noise().take(5)).noise(), 0.0);
    }

    #[test]
    fn one_wild_reading_does_not_make_the_range() {
        let range = learnt((0..100).map(|n| if n == 50 { 1000.0 } else { f64::from(n % 10) })).range();
        assert!(range < 600.0, "{range}");
    }

    #[test]
    fn a_coarse_sensor_is_told_from_a_switch() {
        assert_eq!(learnt((0..100).map(|n| f64::from(n % 20) / 2.0)).resolution(), 0.5);
        assert_eq!(learnt((0..100).map(|n| f64::from(n % 2) * 60.0)).resolution(), 0.0);
    }
}
