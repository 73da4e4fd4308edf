//! Fourth stage: forwards a point only when it matters within the error bound.
//!
//! Between two gaps the samples, joined by lines, pass every reading within the bound that the later sample states (to a
//! relative 1e-9 of it, and to what the value changes in the nanosecond to which times are rounded).

mod bound;
mod deadband;
mod door;
mod funnel;
mod reducer;
mod round;
mod scale;

use serde::{Deserialize, Serialize};

use crate::settings::positive;
use crate::{Counts, Nanos, Output, Quality, Reading, Sample, Settings as Channel, SettingsError};
pub use bound::Bound;
use reducer::{Emit, Knot, Leeway, Reducer};
use scale::Scale;

/// So that a reading exactly one bound away still counts as within: integer data often is.
const SLACK: f64 = 1.0 + 3e-10;
/// The part of an `auto` bound that is spent on shorter numbers. A bound that somebody set is kept for the readings: integer
/// data often lies exactly on it.
const GRAIN: f64 = 0.006;
/// The bound is looked at again after so many readings, and changed when it is this far off.
const REVIEW: u32 = 64;
const TOO_TIGHT: f64 = 1.25;
const TOO_WIDE: f64 = 0.92;

/// What to forward.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How points are chosen.
    pub method: Method,
    /// How long a channel can go without a sample, as long as readings come.
    pub heartbeat: Option<Heartbeat>,
}

/// The longest pause between samples: as soon as so much time *and* so many readings have passed, one is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Time.
    pub time: Nanos,
    /// Readings: keeps channels that are read seldom from being sent whole.
    pub readings: u32,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { time: 900_000_000_000, readings: 100 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { method: Method::default(), heartbeat: Some(Heartbeat::default()) }
    }
}

impl Settings {
    pub(crate) fn check(&self, span: Option<f64>) -> Result<(), SettingsError> {
        positive("heartbeat", self.heartbeat.map(|heartbeat| heartbeat.time as f64))?;
        self.method.bound().map_or(Ok(()), |bound| bound.check(span))
    }
}

/// How points are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Method {
    /// No samples; windows alone speak for the channel.
    None,
    /// Every reading.
    Every,
    /// A reading that differs from the last one sent by more than the bound, at once.
    Deadband(Bound),
    /// Readings, joined by lines that pass every reading within the bound.
    SwingingDoor(Bound),
    /// Free points, joined by lines that pass every reading within the bound: fewest points.
    Funnel(Bound),
}

/// State of the report stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    reducer: Reducer,
    scale: Scale,
    /// The bound in force, and the wider one of the readings up to `wide_until`.
    bound: f64,
    wide: f64,
    wide_until: Nanos,
    review: u32,
    /// Newest reading of the open run.
    last: Reading,
    /// Newest sample; whether the next one follows a gap.
    sent: Nanos,
    joined: bool,
    /// Readings since then.
    since: u32,
}

impl Report {
    /// Takes a cleaned reading; `at` never runs backwards. Returns nothing, tells `counts` what became of which readings.
    pub(crate) fn push(
        &mut self,
        channel: &Channel,
        reading: Reading,
        counts: &mut Counts,
        out: &mut dyn FnMut(Output),
    ) {
        if channel.report.method == Method::None {
            counts.represented += 1;
            return;
        }
        if self.breaks(channel, reading) {
            self.finish(counts, out);
        } else if self.repeats(reading) {
            counts.represented += 1;
            return;
        }
        self.scale.learn(reading.value);
        self.review(channel);
        let overdue = self.is_overdue(channel, reading.at);
        let knot = Knot { at: reading.at, value: reading.value };
        counts.held += 1;
        let method = channel.report.method;
        let grain = if method.is_auto() { self.bound * GRAIN } else { 0.0 };
        let leeway = Leeway { bound: self.bound * SLACK - grain, grain };
        self.run(reading.quality, counts, out, |reducer, emit| {
            reducer.push(method, knot, leeway, emit);
            if overdue {
                reducer.cut(emit);
            }
        });
        self.last = reading;
        self.since = self.since.saturating_add(1);
    }

    /// The run ends: every reading held is decided, and the next sample follows a gap.
    pub(crate) fn finish(&mut self, counts: &mut Counts, out: &mut dyn FnMut(Output)) {
        self.cut(counts, out);
        self.reducer = Reducer::Idle;
        self.joined = false;
    }

    /// Sends what stands for the readings held, without a gap.
    pub(crate) fn cut(&mut self, counts: &mut Counts, out: &mut dyn FnMut(Output)) {
        self.run(self.last.quality, counts, out, |reducer, emit| reducer.cut(emit));
    }

    fn is_idle(&self) -> bool {
        self.reducer == Reducer::Idle
    }

    /// A gap, another quality, or two values at one instant: no line can join them.
    fn breaks(&self, channel: &Channel, reading: Reading) -> bool {
        let pause = reading.at.saturating_sub(self.last.at);
        !self.is_idle()
            && (reading.quality != self.last.quality
                || channel.gap().is_some_and(|gap| pause > gap)
                || (pause == 0 && reading.value != self.last.value))
    }

    fn repeats(&self, reading: Reading) -> bool {
        !self.is_idle() && reading.at == self.last.at
    }

    fn is_overdue(&self, channel: &Channel, now: Nanos) -> bool {
        channel.report.heartbeat.is_some_and(|heartbeat| {
            now.saturating_sub(self.sent) >= heartbeat.time && self.since >= heartbeat.readings
        })
    }

    /// Keeps the bound in step with the channel. Readings that are still held were taken in under the bound before, so the
    /// next sample states the wider of both.
    fn review(&mut self, channel: &Channel) {
        if self.review > 0 {
            self.review -= 1;
            return;
        }
        let bound = channel.report.method.bound().map_or(0.0, |bound| bound.resolve(channel, &self.scale));
        if bound > self.bound * TOO_TIGHT || bound < self.bound * TOO_WIDE {
            self.wide = self.wide.max(self.bound);
            self.wide_until = self.last.at;
            self.bound = bound;
        }
        self.review = if bound == 0.0 { 0 } else { self.scale.readings().min(4 * REVIEW) / 4 };
    }

    /// Lets the reducer work and books what became of the readings.
    fn run(
        &mut self,
        quality: Quality,
        counts: &mut Counts,
        out: &mut dyn FnMut(Output),
        work: impl FnOnce(&mut Reducer, Emit<'_>),
    ) {
        let (mut points, mut joined, mut newest, mut wide) = (0, self.joined, self.sent, self.wide);
        let decided = self.reducer.decided();
        work(&mut self.reducer, &mut |Knot { at, value }| {
            // Crossings may round to one nanosecond.
            let at = if joined { at.max(newest.saturating_add(1)) } else { at };
            let bound = wide.max(self.bound);
            out(Output::Sample(Sample { at, value, bound, quality, event: None, gap: !joined }));
            (points, joined, newest) = (points + 1, true, at);
            if at >= self.wide_until {
                wide = 0.0;
            }
        });
        (self.joined, self.sent, self.wide) = (joined, newest, wide);
        if points > 0 {
            self.since = 0;
        }
        let decided = self.reducer.decided().saturating_sub(decided);
        counts.sent += points;
        counts.held -= decided;
        counts.represented += decided.saturating_sub(points);
    }
}

impl Default for Method {
    fn default() -> Self {
        Self::Funnel(Bound::default())
    }
}

impl Method {
    /// Whether it finds its bound by itself.
    #[must_use]
    pub const fn is_auto(self) -> bool {
        matches!(self.bound(), Some(Bound::Auto { .. }))
    }

    const fn bound(self) -> Option<Bound> {
        match self {
            Self::None | Self::Every => None,
            Self::Deadband(bound) | Self::SwingingDoor(bound) | Self::Funnel(bound) => Some(bound),
        }
    }
}
