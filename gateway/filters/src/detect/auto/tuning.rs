//! Every number that was chosen by measuring (see DETECTOR.md), in one place. There is one set for all channels.

use super::feature::FEATURES;

/// The constants of the detector. All times are in blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// Score of an alert.
    pub threshold: f32,
    /// How much each feature counts, in the order of [`super::Feature::ALL`].
    pub weight: [f32; FEATURES],
    /// A feature's size is this share of its record ...
    pub of_record: f32,
    /// ... and this share of its mean ...
    pub of_mean: f32,
    /// ... and this many deviations within a block ...
    pub of_noise: f32,
    /// ... and this many steps from block to block.
    pub of_step: f32,
    /// A level must pass its record by this many of its usual spreads ...
    pub least_level: f32,
    /// ... a rise or fall by this many spreads ...
    pub least_trend: f32,
    /// ... a dip by this many times the mean dip ...
    pub least_dip: f32,
    /// ... a low value for the time of the day by this many of that time's spreads ...
    pub least_for_the_time: f32,
    /// ... the roughness by this share of its mean.
    pub least_rough: f32,
    /// Turns per block that are no news.
    pub turns_floor: f32,
    /// Blocks without change that are no news.
    pub still_floor: f32,
    /// Trust grows by this for each e-fold of age.
    pub age: f32,
    /// Age from which trust grows no further.
    pub age_limit: f32,
    /// Trust shrinks by this for each e-fold of smoothness (spread / step).
    pub smoothness: f32,
    /// Trust shrinks by this for each e-fold that less than [`super::FEW`] independent values were seen.
    pub dependence: f32,
    /// Blocks before the first alert.
    pub warm_up: u32,
    /// Blocks before records count.
    pub learn_from: u32,
    /// Decay of a record.
    pub forget: f32,
    /// Blocks after an alert in which only a `louder` times higher score alerts again.
    pub hold_off: u32,
    /// See `hold_off`.
    pub louder: f32,
    /// Each alert raises the threshold by this share ...
    pub cost: f32,
    /// ... which wears off by this factor.
    pub refill: f32,
    /// A single reading this many widths of everything seen outside of it alerts at once.
    pub far_out: f32,
}

impl Tuning {
    /// What ships.
    pub const SHIPPED: Self = Self {
        threshold: 0.24,
        weight: [1.0, 1.0, 1.0, 1.0, 1.0, 0.7, 1.0, 3.0, 1.0, 1.0, 1.0, 1.0],
        of_record: 0.2,
        of_mean: 0.5,
        of_noise: 3.0,
        of_step: 0.0,
        least_level: 0.0,
        least_trend: 0.0,
        least_dip: 0.0,
        least_for_the_time: 0.0,
        least_rough: 0.0,
        turns_floor: 0.25,
        still_floor: 50.0,
        age: 0.12,
        age_limit: 20_000.0,
        smoothness: 0.03,
        dependence: 0.0,
        warm_up: 200,
        learn_from: 100,
        forget: 0.99998,
        hold_off: 100,
        louder: 3.0,
        cost: 0.2,
        refill: 0.9998,
        far_out: 0.5,
    };
}
