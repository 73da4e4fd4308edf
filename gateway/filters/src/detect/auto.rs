//! The self-tuning detector: is this channel unlike itself?
//!
//! ```text
//! readings ─► blocks of 300 s ─► features ─► each against its own record ─► the oddest is the score ─► alert?
//!          └► a reading far outside everything seen ──────────────────────────────────────────────────┘
//! ```
//!
//! One pass, constant memory, no look-ahead, no clock, one set of constants for every channel ([`Tuning::SHIPPED`]). What it
//! reaches on public benchmarks and where it is weak: DETECTOR.md in this crate. It finds news, not faults: what is news to a
//! channel that it has watched for days may be no news to a person. During its first two days and 150
//! blocks it only learns, but for far readings after the first day; and it tells each kind of news once: what was reported
//! becomes usual.

mod block;
mod feature;
mod record;
mod tuning;
mod usual;

use core::fmt;

use serde::{Deserialize, Serialize};

use self::block::{Block, Gates, Gather};
use self::feature::{FEATURES, Oddness, Shape};
use self::record::{NO_SCORE, Record};
use self::usual::Usual;
use super::Verdict;
use crate::{Nanos, Reason as EventReason};

pub use self::feature::Feature;
pub use self::tuning::Tuning;

/// Blocks of a day, at 300 s.
const DAY: u32 = 288;
/// The level of hours this many spreads off the mean, for a day on end, is the new level.
const MOVED: f32 = 3.0;
/// Seconds in which a channel's news are not told: what is usual at a time of the day is known on the third day.
const FIRST_DAYS: f32 = 2.0 * 86_400.0;
/// So many independent values say little about what is usual.
const FEW: f32 = 40.0;
/// Values beyond this are taken as this: no sensor means them, and their squares must fit an `f32`.
const LARGEST: f64 = 1e15;

/// What the detector knows of one channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Auto {
    gather: Gather,
    gates: Gates,
    envelope: Envelope,
    usual: Usual,
    shape: Shape,
    records: [Record; FEATURES],
    patience: Patience,
    /// Blocks so far.
    age: u32,
    /// Blocks on end for which the level has been away from the mean.
    away: u32,
    /// The level's records (high, low) half a day and a day before it went away.
    kept: [[f32; 2]; 2],
    /// The present standstill was reported.
    still_reported: bool,
}

impl Auto {
    /// Knows nothing yet. `period`: the expected interval between readings, 0 if unknown.
    #[must_use]
    pub fn new(period: Nanos) -> Self {
        Self { gather: Gather::new(period), ..Self::default() }
    }

    /// Judges one raw, finite reading; `Some` at or above the alert threshold (score >= 1.0).
    pub fn push(&mut self, at: Nanos, value: f64) -> Option<Verdict> {
        self.push_tuned(at, value, &Tuning::SHIPPED)
    }

    /// The same with other constants: for measuring what they are worth. Always use the same ones with one channel.
    #[inline]
    pub fn push_tuned(&mut self, at: Nanos, value: f64, tuning: &Tuning) -> Option<Verdict> {
        if !value.is_finite() {
            return None;
        }
        let value = value.clamp(-LARGEST, LARGEST);
        let sudden =
            self.envelope.far_out(value).and_then(|score| self.patience.judge(2.0 * score, Reason::FarOut, tuning));
        let settled = self.gather.push(at, value, &self.gates).and_then(|block| self.judge(&block, tuning));
        sudden.or(settled)
    }

    /// Judges one block.
    pub(crate) fn judge(&mut self, block: &Block, tuning: &Tuning) -> Option<Verdict> {
        if self.age == 0 {
            self.usual = Usual::start(block.mean);
            self.shape = Shape::start(block.mean);
        }
        let off = self.usual.residual(block);
        self.shape.learn(block, self.age);
        self.gates = self.shape.gates();
        let oddness = self.shape.oddness(block, &off, &self.usual, tuning);
        let (feature, score) = self.oddest(&oddness, tuning);
        let reason = Reason::Unlike(feature, self.times_record(feature, &oddness));

        let away = self.age > DAY && self.shape.away_from(self.usual.mean) > MOVED * self.usual.spread;
        self.learn_records(&oddness, away, tuning);
        self.usual.learn(block, &off, self.age, !away);
        self.follow_level(away);
        self.envelope.learn(block, self.usual.mean, self.age, tuning);
        self.age = self.age.saturating_add(1);
        self.patience.pass_block(tuning);

        // News of the first days is kept to itself, but not news a second time either.
        let verdict = self.patience.judge(score / tuning.threshold, reason, tuning).filter(|_| self.knows_the_day());
        self.still_reported &= self.shape.is_still();
        self.still_reported |= verdict.is_some() && feature == Feature::Still;
        verdict
    }

    /// Whether every time of the day was seen more than once.
    fn knows_the_day(&self) -> bool {
        self.age as f32 * self.gather.pace() >= FIRST_DAYS
    }

    fn oddest(&self, oddness: &[Oddness; FEATURES], tuning: &Tuning) -> (Feature, f32) {
        let mut oddest = (Feature::High, NO_SCORE);
        if self.age < tuning.warm_up {
            return oddest;
        }
        let trust = self.trust(tuning);
        for (((feature, odd), record), weight) in
            Feature::ALL.into_iter().zip(oddness).zip(&self.records).zip(&tuning.weight)
        {
            let score = record.score(odd, *weight, trust, tuning);
            if score > oddest.1 {
                oddest = (feature, score);
            }
        }
        oddest
    }

    /// Few independent values so far mean a young record: less trust.
    fn trust(&self, tuning: &Tuning) -> f32 {
        let age = (self.age as f32 + 1.0).min(tuning.age_limit) / 1000.0;
        let few = (self.usual.independent(self.age) / FEW).clamp(1e-9, 1.0);
        tuning.age * libm::logf(age) + tuning.dependence * libm::logf(few)
            - tuning.smoothness * libm::logf(self.usual.smoothness().max(1.0))
    }

    fn times_record(&self, feature: Feature, oddness: &[Oddness; FEATURES]) -> f32 {
        let k = feature as usize;
        oddness[k].value / (self.records[k].top + f32::MIN_POSITIVE)
    }

    fn learn_records(&mut self, oddness: &[Oddness; FEATURES], away: bool, tuning: &Tuning) {
        if !away && self.age.is_multiple_of(DAY / 2) {
            self.kept = [self.kept[1], [self.records[0].top, self.records[1].top]];
        }
        for ((feature, odd), record) in Feature::ALL.into_iter().zip(oddness).zip(&mut self.records) {
            let value = if feature == Feature::Still { self.shape.standstill(self.still_reported) } else { odd.value };
            record.learn(value, self.age, feature.is_slow(), tuning);
        }
    }

    /// A level that has been away for a day is the new level: mean and profiles move there, and what the move did to the
    /// records of the level is forgotten.
    fn follow_level(&mut self, away: bool) {
        self.away = if away { self.away + 1 } else { 0 };
        if self.away < DAY {
            return;
        }
        self.away = 0;
        self.usual.mean = self.shape.level();
        self.records[0].top = self.kept[0][0];
        self.records[1].top = self.kept[0][1];
    }
}

/// Everything seen so far, slowly shrinking, and the limits around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Envelope {
    high: f64,
    low: f64,
    top: f64,
    bottom: f64,
}

impl Default for Envelope {
    fn default() -> Self {
        Self { high: f64::NEG_INFINITY, low: f64::INFINITY, top: f64::INFINITY, bottom: f64::NEG_INFINITY }
    }
}

impl Envelope {
    const SHRINK: f64 = 2e-5;

    /// 1.0 at the limit.
    #[inline]
    fn far_out(&self, value: f64) -> Option<f32> {
        let share = if value > self.top {
            (value - self.high) / (self.top - self.high)
        } else if value < self.bottom {
            (self.low - value) / (self.low - self.bottom)
        } else {
            return None;
        };
        // A channel that has never moved has no room around it: any move is far.
        Some(share.min(1e6) as f32)
    }

    fn learn(&mut self, block: &Block, usual: f64, age: u32, tuning: &Tuning) {
        self.high =
            if block.high > self.high { block.high } else { self.high - (self.high - block.high) * Self::SHRINK };
        self.low = if block.low < self.low { block.low } else { self.low + (block.low - self.low) * Self::SHRINK };
        if age >= DAY && block.readings > 1 {
            let usual = usual.clamp(self.low, self.high);
            let room = f64::from(tuning.far_out);
            self.top = self.high + room * (self.high - usual) + f64::MIN_POSITIVE;
            self.bottom = self.low - room * (usual - self.low) - f64::MIN_POSITIVE;
        }
    }
}

/// When to speak: not again soon after an alert, and the less often the more there was to say lately.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Patience {
    /// Blocks since the last alert.
    since: u32,
    /// Its score.
    last: f32,
    /// It was about a single far reading.
    was_far: bool,
    /// By what share the threshold is raised at present.
    spent: f32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { since: u32::MAX, last: 0.0, was_far: false, spent: 0.0 }
    }
}

impl Patience {
    /// `score`: 1.0 is an alert if there were none before. A far reading is news also soon after something else.
    fn judge(&mut self, score: f32, reason: Reason, tuning: &Tuning) -> Option<Verdict> {
        let is_far = reason == Reason::FarOut;
        let other_news = is_far && !self.was_far;
        let held = !other_news && self.since <= tuning.hold_off && score <= tuning.louder * self.last;
        if score < 1.0 + self.spent || held {
            return None;
        }
        let verdict = Verdict { score: f64::from(score), reason: EventReason::Unusual(reason) };
        self.since = 0;
        self.last = score;
        self.was_far = is_far;
        self.spent += tuning.cost;
        Some(verdict)
    }

    fn pass_block(&mut self, tuning: &Tuning) {
        self.since = self.since.saturating_add(1);
        self.spent *= tuning.refill;
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reason {
    /// One reading far outside everything seen.
    FarOut,
    /// A feature, and how many times its largest value so far it has reached.
    Unlike(Feature, f32),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Unlike(feature, times) = self else {
            return f.write_str("one reading far outside everything seen so far");
        };
        let what = match feature {
            Feature::High => "the value is further above its usual",
            Feature::Low => "the value is further below its usual",
            Feature::Rising => "it has risen more within hours",
            Feature::Falling => "it has fallen more within hours",
            Feature::Dip => "the value is further below its last hours",
            Feature::LowForTheTime => "the value is further below its usual for this time of the day",
            Feature::Swinging => "it swings further around its level",
            Feature::Rough => "it changes more from reading to reading",
            Feature::Spread => "it varies more within minutes",
            Feature::Still => "it has not changed for longer",
            Feature::Fast => "it goes up and down more often",
            Feature::Slow => "it goes up and down less often",
        };
        write!(f, "{what} than ever before ({times:.1} times)")
    }
}

#[cfg(test)]
mod tests;
