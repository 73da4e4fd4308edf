//! Detectors that somebody tunes: z-score, rate of change, CUSUM.

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::settings::positive;
use crate::{Nanos, Reason, SettingsError};

/// Readings before a verdict.
const WARM: u32 = 30;
/// Memory, in readings, of the usual level: short for spikes, long so that a drift does not become usual.
const SHORT: f64 = 300.0;
const LONG: f64 = 10_000.0;
/// One reading counts as at most so many deviations (Huber 1964): spikes do not become usual.
const CLIP: f64 = 3.0;
/// Mean absolute deviation to standard deviation, for normal noise: sqrt(pi / 2).
const TO_SIGMA: f64 = 1.253_314;

/// A detector that needs tuning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Detector {
    /// A reading more than `sigma` robust deviations away from the usual level.
    ZScore {
        /// Deviations.
        sigma: f64,
    },
    /// A change faster than `limit` units per second.
    Rate {
        /// Units per second.
        limit: f64,
    },
    /// A slow drift of the mean: two-sided CUSUM (Page 1954), in usual deviations.
    Cusum {
        /// Slack: a drift smaller than this is nothing.
        slack: f64,
        /// Sum of deviations beyond the slack that is an anomaly.
        limit: f64,
    },
}

impl Detector {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        match *self {
            Self::ZScore { sigma } => positive("the sigma of a z-score", Some(sigma)),
            Self::Rate { limit } => positive("the limit of a rate", Some(limit)),
            Self::Cusum { slack, limit } => {
                positive("the slack of a cusum", Some(slack))?;
                positive("the limit of a cusum", Some(limit))
            }
        }
    }
}

/// State of one such detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tuned {
    usual: Usual,
    last: Option<(Nanos, f64)>,
    /// CUSUM upwards and downwards.
    sums: [f64; 2],
}

impl Tuned {
    pub(crate) fn push(&mut self, detector: &Detector, at: Nanos, value: f64) -> Option<Verdict> {
        let last = self.last.replace((at, value));
        let (score, reason) = match *detector {
            Detector::ZScore { sigma } => {
                let z = self.usual.deviation(value);
                self.usual.learn(value, SHORT);
                (z.abs() / sigma, Reason::Deviates(z.abs()))
            }
            Detector::Rate { limit } => {
                let (before, was) = last.filter(|last| last.0 < at)?;
                let rate = (value - was) / (at.saturating_sub(before) as f64 / 1e9);
                (rate.abs() / limit, Reason::TooFast(limit))
            }
            Detector::Cusum { slack, limit } => {
                let sum = self.cusum(value, slack);
                if sum >= limit {
                    // What was drifted to is the new usual.
                    *self = Self { last: self.last, ..Self::default() };
                }
                (sum / limit, Reason::Drifted(sum))
            }
        };
        (score >= 1.0).then_some(Verdict { score, reason })
    }

    pub(crate) fn interrupt(&mut self) {
        self.last = None;
    }

    fn cusum(&mut self, value: f64, slack: f64) -> f64 {
        let z = self.usual.deviation(value).clamp(-2.0 * CLIP, 2.0 * CLIP);
        self.usual.learn(value, LONG);
        self.sums = [(self.sums[0] + z - slack).max(0.0), (self.sums[1] - z - slack).max(0.0)];
        self.sums[0].max(self.sums[1])
    }
}

/// The usual level and deviation, robust against spikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Usual {
    level: f64,
    deviation: f64,
    n: u32,
}

impl Usual {
    /// How many usual deviations away; 0 as long as too little was seen or nothing ever moved.
    fn deviation(&self, value: f64) -> f64 {
        if self.n < WARM || self.deviation <= 0.0 { 0.0 } else { (value - self.level) / self.deviation }
    }

    fn learn(&mut self, value: f64, memory: f64) {
        if self.n == 0 {
            self.level = value;
        }
        self.n = self.n.saturating_add(1);
        let off = value - self.level;
        let most = if self.n <= WARM { f64::INFINITY } else { CLIP * self.deviation.max(f64::MIN_POSITIVE) };
        let share = 1.0 / f64::from(self.n).min(memory);
        self.level += off.clamp(-most, most) * share;
        self.deviation += (off.abs().min(most) * TO_SIGMA - self.deviation) * share;
    }
}
