//! What is usual: a running mean, a profile of the day and one of the week, and how well each of them predicts.
//!
//! Profiles are kept relative to the mean, so that a level that moves for good takes them along. Days and weeks are counted on the
//! clock of the readings, wherever that starts.

use serde::{Deserialize, Serialize};

use super::block::Block;

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
const NANOS: i64 = 1_000_000_000;
/// Blocks that means and spreads remember.
const MEMORY: f32 = 5_000.0;
/// One block moves mean and day profile by no more than this many spreads, once that many blocks are known.
const CLIP: f32 = 3.0;
const CLIP_FROM: u32 = 100;

/// How far a block is from what was expected of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Residual {
    /// From the mean.
    pub plain: f32,
    /// From the day profile.
    pub day: f32,
    /// From the week profile.
    week: f32,
    /// From the one of the three that predicts best so far.
    pub best: f32,
    /// Usual size of `day` at this time of the day.
    pub day_spread: f32,
    /// From the block before.
    step: f32,
}

/// Everything learnt about the level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usual {
    pub mean: f64,
    before: f64,
    /// Mean size of the residuals: of the mean, the day, the week, and of the step from block to block.
    pub spread: f32,
    spread_day: f32,
    spread_week: f32,
    pub step: f32,
    day: DayProfile,
    week: WeekProfile,
}

impl Usual {
    pub(crate) fn start(value: f64) -> Self {
        Self { mean: value, before: value, ..Self::default() }
    }

    /// Usual size of [`Residual::best`].
    pub(crate) fn best_spread(&self) -> f32 {
        self.spread.min(self.spread_day).min(self.spread_week)
    }

    /// How many independent values the blocks so far are worth, about: a slow signal repeats itself from block to block.
    pub(crate) fn independent(&self, age: u32) -> f32 {
        let smoothness = self.smoothness().clamp(1.0, 1e9);
        age as f32 / (smoothness * smoothness)
    }

    /// Spread against step: 1 and less for values that know nothing of each other, large for a slow signal.
    pub(crate) fn smoothness(&self) -> f32 {
        (self.spread + f32::MIN_POSITIVE) / (self.step + f32::MIN_POSITIVE)
    }

    pub(crate) fn residual(&self, block: &Block) -> Residual {
        let plain = (block.mean - self.mean) as f32;
        let half_hour = self.day.slot(block.start);
        let day = plain - half_hour.mean;
        let week = self.week.at(block.start).map_or(day, |usual| plain - usual);
        let mut best = (self.spread, plain);
        if self.spread_day < best.0 {
            best = (self.spread_day, day);
        }
        if self.spread_week < best.0 {
            best = (self.spread_week, week);
        }
        let own = if half_hour.seen > 2 { half_hour.spread } else { self.spread };
        Residual {
            plain,
            day,
            week,
            best: best.1,
            day_spread: own + 0.5 * self.spread_day,
            step: (block.mean - self.before) as f32,
        }
    }

    /// `age`: blocks before this one. `profiles`: not while the level is away from where it was.
    pub(crate) fn learn(&mut self, block: &Block, off: &Residual, age: u32, profiles: bool) {
        let rate = (1.0 / (age as f32 + 1.0)).max(1.0 / MEMORY);
        if age > 0 {
            for (spread, residual) in [
                (&mut self.spread, off.plain),
                (&mut self.spread_day, off.day),
                (&mut self.spread_week, off.week),
                (&mut self.step, off.step),
            ] {
                *spread += (residual.abs() - *spread) * rate;
            }
        }
        let clip = |residual: f32, spread: f32| {
            if age < CLIP_FROM { residual } else { residual.clamp(-CLIP * spread, CLIP * spread) }
        };
        self.mean += f64::from(clip(off.plain, self.spread) * rate);
        self.before = block.mean;
        if profiles {
            self.day.learn(block.start, off, clip(off.day, self.spread_day));
            self.week.learn(block.start, off);
        }
    }
}

/// The usual level of each half hour of the day, relative to the mean, its usual spread, and how many blocks that is from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct DayProfile {
    mean: [[f32; 2]; 24],
    spread: [[f32; 2]; 24],
    seen: [[u8; 2]; 24],
}

#[derive(Clone, Copy)]
struct HalfHour {
    mean: f32,
    spread: f32,
    seen: u8,
}

impl DayProfile {
    fn index(at: i64) -> (usize, usize) {
        let second = at.div_euclid(NANOS).rem_euclid(DAY);
        ((second / HOUR) as usize, (second % HOUR * 2 / HOUR) as usize)
    }

    fn slot(&self, at: i64) -> HalfHour {
        let (h, m) = Self::index(at);
        HalfHour { mean: self.mean[h][m], spread: self.spread[h][m], seen: self.seen[h][m] }
    }

    fn learn(&mut self, at: i64, off: &Residual, clipped: f32) {
        let (h, m) = Self::index(at);
        let seen = self.seen[h][m].saturating_add(1);
        let rate = (1.0 / f32::from(seen)).max(0.05);
        if seen == 1 {
            self.mean[h][m] = off.plain;
        } else {
            self.mean[h][m] += clipped * rate;
        }
        self.spread[h][m] += (off.day.abs() - self.spread[h][m]) * rate;
        self.seen[h][m] = seen;
    }
}

/// The usual level of each hour of the week, relative to the mean: the upper halves of `f32`s, which is exact to 0.4 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WeekProfile {
    mean: [[u16; 24]; 7],
}

const NEVER_SEEN: u16 = 0x7fc0;

impl Default for WeekProfile {
    fn default() -> Self {
        Self { mean: [[NEVER_SEEN; 24]; 7] }
    }
}

impl WeekProfile {
    const RATE: f32 = 0.15;

    fn index(at: i64) -> (usize, usize) {
        let hour = at.div_euclid(NANOS).div_euclid(HOUR).rem_euclid(7 * 24);
        ((hour / 24) as usize, (hour % 24) as usize)
    }

    fn at(&self, at: i64) -> Option<f32> {
        let (d, h) = Self::index(at);
        let half = self.mean[d][h];
        (half != NEVER_SEEN).then(|| f32::from_bits(u32::from(half) << 16))
    }

    fn learn(&mut self, at: i64, off: &Residual) {
        let (d, h) = Self::index(at);
        let mean = match self.at(at) {
            Some(_) => off.plain - off.week * (1.0 - Self::RATE),
            None => off.plain,
        };
        self.mean[d][h] = (mean.to_bits().saturating_add(0x8000) >> 16) as u16;
    }
}
