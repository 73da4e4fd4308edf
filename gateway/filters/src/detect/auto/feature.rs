//! The ways in which a channel can be unlike itself: from a block, one number each that grows with oddness.

use serde::{Deserialize, Serialize};

use super::block::{Block, Gates};
use super::tuning::Tuning;
use super::usual::{Residual, Usual};

/// A way of being odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Feature {
    /// Above what is usual now.
    High,
    /// Below what is usual now.
    Low,
    /// Has risen over the last hours.
    Rising,
    /// Has fallen over the last hours.
    Falling,
    /// Below its last hours.
    Dip,
    /// Below this time of the day.
    LowForTheTime,
    /// Swings further around its level.
    Swinging,
    /// Changes more from reading to reading.
    Rough,
    /// Spreads more within minutes.
    Spread,
    /// Does not change at all.
    Still,
    /// Turns more often.
    Fast,
    /// Turns less often.
    Slow,
}

/// Number of features.
pub(crate) const FEATURES: usize = 12;

impl Feature {
    /// In the order in which weights are given.
    pub const ALL: [Self; FEATURES] = [
        Self::High,
        Self::Low,
        Self::Rising,
        Self::Falling,
        Self::Dip,
        Self::LowForTheTime,
        Self::Swinging,
        Self::Rough,
        Self::Spread,
        Self::Still,
        Self::Fast,
        Self::Slow,
    ];

    /// Moves so slowly that its record must not follow at once.
    pub(crate) const fn is_slow(self) -> bool {
        matches!(self, Self::Spread | Self::Fast | Self::Slow)
    }
}

/// One feature's present value, and what is not worth mentioning.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Oddness {
    pub value: f32,
    /// Added to the feature's own size.
    pub floor: f32,
    /// The feature must pass its record by this much, however small the record ...
    pub least: f32,
    /// ... and by this many times its mean.
    pub least_of_mean: f32,
}

/// Moving averages from which the features are made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shape {
    hour: f64,
    hours: f64,
    half_day: f64,
    noise: f32,
    swing: f32,
    rough: f32,
    fuzz: f32,
    turns: f32,
    amplitude: f32,
    /// Blocks without any change, until now.
    still: u32,
    /// Length of the last standstill that is over.
    was_still: u32,
}

impl Shape {
    pub(crate) fn start(value: f64) -> Self {
        Self { hour: value, hours: value, half_day: value, was_still: 1, ..Self::default() }
    }

    /// Takes a block in. `age`: blocks before this one.
    pub(crate) fn learn(&mut self, block: &Block, age: u32) {
        let at_least = |rate: f32| (1.0 / (age as f32 + 1.0)).max(rate);
        follow(&mut self.hour, block.mean, at_least(1.0 / 8.0));
        follow(&mut self.hours, block.mean, at_least(1.0 / 32.0));
        follow(&mut self.half_day, block.mean, at_least(1.0 / 128.0));
        let off = (block.mean - self.hours) as f32;
        let amplitude = libm::sqrtf(block.deviation * block.deviation + off * off);
        for (average, value, rate) in [
            (&mut self.noise, block.deviation, at_least(1.0 / 2000.0)),
            (&mut self.fuzz, block.deviation, at_least(1.0 / 16.0)),
            (&mut self.rough, block.step, at_least(1.0 / 32.0)),
            (&mut self.swing, off.abs(), 1.0 / 32.0),
            (&mut self.turns, block.turns as f32, at_least(1.0 / 16.0)),
            (&mut self.amplitude, amplitude, at_least(1.0 / 2000.0)),
        ] {
            *average += (value - *average) * rate;
        }
        if block.step > 0.0 {
            self.was_still = self.still.saturating_add(1);
            self.still = 0;
        } else {
            self.still = self.still.saturating_add(1);
        }
    }

    /// Half the usual amplitude around the level of the last hours.
    pub(crate) fn gates(&self) -> Gates {
        let half = 0.5 * f64::from(self.amplitude);
        Gates { high: self.hours + half, low: self.hours - half }
    }

    /// All features, in the order of [`Feature::ALL`].
    pub(crate) fn oddness(&self, block: &Block, off: &Residual, usual: &Usual, tuning: &Tuning) -> [Oddness; FEATURES] {
        let floor = tuning.of_noise * self.noise + tuning.of_step * usual.step;
        let odd =
            |value: f32, floor: f32, least: f32| Oddness { value: value.max(0.0), floor, least, least_of_mean: 0.0 };
        let in_units_of = |unit: f32, value: f32, least: f32| {
            if unit > 0.0 { odd(value / unit, floor / unit, least) } else { Oddness::default() }
        };
        let least = tuning.least_level * usual.best_spread();
        let least_trend = tuning.least_trend * usual.spread;
        let trend = (self.hour - self.half_day) as f32;
        let size = (self.half_day.abs() + 0.1 * usual.mean.abs()) as f32;
        [
            odd(off.best, floor, least),
            odd(-off.best, floor, least),
            odd(trend, floor, least_trend),
            odd(-trend, floor, least_trend),
            Oddness { least_of_mean: tuning.least_dip, ..odd((self.hours - block.mean) as f32, floor, 0.0) },
            in_units_of(off.day_spread, -off.day, tuning.least_for_the_time),
            in_units_of(size, self.swing, 0.0),
            Oddness { least_of_mean: tuning.least_rough, ..odd(self.rough, 0.0, 0.0) },
            odd(self.fuzz, 0.0, 0.0),
            odd(self.still as f32 + 1.0, tuning.still_floor, 0.0),
            odd(self.turns, tuning.turns_floor, 0.0),
            odd(1.0 / (self.turns + 2.0 * tuning.turns_floor), 0.0, 0.0),
        ]
    }

    /// How far the level of the last hours is from `mean`.
    pub(crate) fn away_from(&self, mean: f64) -> f32 {
        (self.hours - mean).abs() as f32
    }

    /// The level of the last half day.
    pub(crate) const fn level(&self) -> f64 {
        self.half_day
    }

    /// A standstill counts for its record once it is over, or once it was reported.
    pub(crate) const fn standstill(&self, reported: bool) -> f32 {
        if reported { self.still as f32 + 1.0 } else { self.was_still as f32 }
    }

    pub(crate) const fn is_still(&self) -> bool {
        self.still > 0
    }
}

fn follow(average: &mut f64, value: f64, rate: f32) {
    *average += (value - *average) * f64::from(rate);
}
