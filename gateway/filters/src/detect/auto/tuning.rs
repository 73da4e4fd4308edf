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
    /// Trust shrinks by this for each e-fold that fewer than 40 independent values were seen.
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
    /// A single reading that is outside of everything seen, by this share of the way from the mean to there, alerts at once.
    pub far_out: f32,
}

impl Tuning {
    /// What ships.
    pub const SHIPPED: Self = Self {
        threshold: 0.26,
        weight: [1.0, 1.0, 1.1, 1.1, 0.98, 0.45, 2.8, 10.0, 0.54, 1.5, 0.3, 0.57],
        of_record: 0.21,
        of_mean: 0.5,
        of_noise: 5.5,
        of_step: 0.23,
        least_level: 0.89,
        least_trend: 0.24,
        least_dip: 0.55,
        least_for_the_time: 0.035,
        least_rough: 0.085,
        turns_floor: 0.3,
        still_floor: 18.0,
        age: 0.083,
        age_limit: 53_000.0,
        smoothness: 0.037,
        dependence: 0.04,
        warm_up: 150,
        learn_from: 100,
        forget: 0.99998,
        hold_off: 103,
        louder: 5.0,
        cost: 0.29,
        refill: 0.99986,
        far_out: 0.34,
    };
}
