//! Gathers readings into blocks of time, so that a channel read at 1 kHz and one polled every five minutes are judged on the
//! same scale of time. A channel slower than half a block makes each reading a block, without delay.
//!
//! Knows nothing of what is usual, except the two gates between which a reading counts as neither high nor low.

use serde::{Deserialize, Serialize};

use crate::Nanos;

/// Seconds of a block.
const WIDTH: f32 = 300.0;

/// What a block of readings comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Block {
    /// When its first reading was made.
    pub start: Nanos,
    pub mean: f64,
    pub high: f64,
    pub low: f64,
    /// Mean of |reading - reading before|.
    pub step: f32,
    /// Standard deviation within the block.
    pub deviation: f32,
    /// How often the readings changed sides (see [`Gates`]).
    pub turns: u32,
    pub readings: u32,
}

/// A reading above `high` is on the high side until one below `low` comes: small noise makes no turns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gates {
    pub high: f64,
    pub low: f64,
}

impl Default for Gates {
    fn default() -> Self {
        Self { high: f64::INFINITY, low: f64::NEG_INFINITY }
    }
}

/// The block in progress. Sums are relative to its first reading, so that a small ripple on a large value is not rounded away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gather {
    start: Nanos,
    before: Nanos,
    /// Typical seconds between readings.
    interval: f32,
    readings: u32,
    turns: u32,
    on_high_side: bool,
    started: bool,
    first: f64,
    last: f64,
    high: f64,
    low: f64,
    sum: f64,
    squares: f64,
    steps: f64,
}

impl Gather {
    /// `period`: expected time between readings, 0 if unknown.
    pub(crate) fn new(period: Nanos) -> Self {
        Self { interval: seconds(period.max(0)), ..Self::default() }
    }

    /// Takes a finite reading; `Some` when a block is complete with it.
    #[inline]
    pub(crate) fn push(&mut self, at: Nanos, value: f64, gates: &Gates) -> Option<Block> {
        let very_first = !self.started;
        self.learn_interval(at);
        if very_first {
            self.last = value;
        }
        if self.readings == 0 {
            self.open(at, value);
        }
        self.readings = self.readings.saturating_add(1);
        let offset = value - self.first;
        self.sum += offset;
        self.squares += offset * offset;
        self.steps += (value - self.last).abs();
        self.last = value;
        self.high = self.high.max(value);
        self.low = self.low.min(value);
        self.take_side(value, gates);
        (very_first || self.is_full(at)).then(|| self.close())
    }

    /// Seconds from block to block.
    pub(crate) fn pace(&self) -> f32 {
        if self.interval > WIDTH / 2.0 { self.interval } else { WIDTH }
    }

    fn learn_interval(&mut self, at: Nanos) {
        let gap = seconds(at.saturating_sub(self.before));
        if self.started && gap > 0.0 {
            self.interval = if self.interval > 0.0 {
                self.interval + (gap.clamp(self.interval / 2.0, self.interval * 2.0) - self.interval) / 16.0
            } else {
                gap
            };
        }
        self.before = at;
        self.started = true;
    }

    fn open(&mut self, at: Nanos, value: f64) {
        self.start = at;
        self.first = value;
        self.high = value;
        self.low = value;
        self.turns = 0;
        self.sum = 0.0;
        self.squares = 0.0;
        self.steps = 0.0;
    }

    fn take_side(&mut self, value: f64, gates: &Gates) {
        let crossed = if self.on_high_side { value < gates.low } else { value > gates.high };
        if crossed {
            self.on_high_side = !self.on_high_side;
            self.turns = self.turns.saturating_add(1);
        }
    }

    /// Also when time went backwards, or when the next reading would come too late for this block.
    fn is_full(&self, at: Nanos) -> bool {
        let age = seconds(at.saturating_sub(self.start));
        age < 0.0 || age + self.interval >= WIDTH || self.interval > WIDTH / 2.0
    }

    fn close(&mut self) -> Block {
        let n = f64::from(self.readings);
        let offset = self.sum / n;
        let variance = (self.squares / n - offset * offset).max(0.0);
        let block = Block {
            start: self.start,
            mean: self.first + offset,
            high: self.high,
            low: self.low,
            step: (self.steps / n) as f32,
            deviation: libm::sqrtf(variance as f32),
            turns: self.turns,
            readings: self.readings,
        };
        self.readings = 0;
        block
    }
}

fn seconds(time: Nanos) -> f32 {
    time as f32 * 1e-9
}
