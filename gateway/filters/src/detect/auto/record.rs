//! How far something has ever gone: the yardstick of a feature.

use serde::{Deserialize, Serialize};

use super::feature::Oddness;
use super::tuning::Tuning;

/// Score of a feature that cannot be judged yet.
pub(crate) const NO_SCORE: f32 = -50.0;
/// Blocks for which a slow feature's new values are held back from its record, once or twice over.
const HELD_BACK: u32 = 48;

/// Largest value so far, and the mean. A feature that rises slowly would drag its own record along and never pass it: `recent`
/// holds the largest of the current and of the last [`HELD_BACK`] blocks until they join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub top: f32,
    pub mean: f32,
    recent: [f32; 2],
}

impl Record {
    /// Distance above the record, in units of the feature's own size, weighted; `trust` is added.
    pub(crate) fn score(&self, odd: &Oddness, weight: f32, trust: f32, tuning: &Tuning) -> f32 {
        if self.top <= 0.0 {
            return NO_SCORE;
        }
        let above = odd.value - self.top;
        let size = tuning.of_record * self.top + tuning.of_mean * self.mean + odd.floor;
        let score = weight * above / (size + f32::MIN_POSITIVE) + trust;
        let least = odd.least + odd.least_of_mean * self.mean;
        score.min(tuning.threshold * above / (least + f32::MIN_POSITIVE))
    }

    pub(crate) fn learn(&mut self, value: f32, age: u32, slow: bool, tuning: &Tuning) {
        let from = tuning.learn_from;
        if let Some(seen) = age.checked_sub(from / 2) {
            self.mean += (value - self.mean) * (1.0 / (seen as f32 + 1.0)).max(1.0 / 5_000.0);
        }
        if age < from {
            return;
        }
        self.top *= tuning.forget;
        if !slow {
            self.top = self.top.max(value);
            return;
        }
        if age.is_multiple_of(HELD_BACK) {
            self.top = self.top.max(self.recent[1]);
            self.recent = [0.0, self.recent[0]];
        }
        self.recent[0] = self.recent[0].max(value);
    }
}
