//! The events of a channel: their numbers, and the life of an anomaly.

use serde::{Deserialize, Serialize};

use crate::detect::Verdict;
use crate::{Class, Event, Nanos, Output, Phase, Reason};

/// An anomaly is told of again when its score has grown by this factor.
const GROWN: f64 = 1.5;
/// An anomaly is over after so many readings that are not odd.
const CALM: u16 = 60;

/// The largest score: more says no more, and infinity cannot be written down.
const CERTAIN: f64 = 1e9;

/// Gives events their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Log {
    newest: u32,
}

/// What there is to tell about an event.
pub(crate) struct Notice {
    pub(crate) class: Class,
    pub(crate) phase: Phase,
    pub(crate) at: Nanos,
    pub(crate) value: f64,
    pub(crate) score: f64,
    pub(crate) reason: Reason,
}

impl Log {
    /// Tells of a new event; returns its number.
    pub(crate) fn open(&mut self, notice: Notice, out: &mut dyn FnMut(Output)) -> u32 {
        self.newest = self.newest.wrapping_add(1).max(1);
        self.tell(self.newest, notice, out);
        self.newest
    }

    /// Tells of an event that is open.
    pub(crate) fn tell(&self, number: u32, notice: Notice, out: &mut dyn FnMut(Output)) {
        let Notice { class, phase, at, value, score, reason } = notice;
        let value = if value.is_finite() { value } else { 0.0 };
        let score = if score.is_nan() { 0.0 } else { score.clamp(0.0, CERTAIN) };
        out(Output::Event(Event { class, number, phase, at, value, score, reason }));
    }

    /// The event opened last.
    pub(crate) const fn newest(&self) -> u32 {
        self.newest
    }
}

/// An anomaly from its first odd reading until the signal has been calm for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    number: u32,
    calm: u16,
    /// The largest score, and the one last told of.
    peak: f64,
    told: f64,
    reason: Reason,
}

impl Episode {
    /// Takes what a detector says of one reading.
    pub(crate) fn push(
        &mut self,
        verdict: Option<Verdict>,
        at: Nanos,
        value: f64,
        log: &mut Log,
        out: &mut dyn FnMut(Output),
    ) {
        let notice = |phase, score, reason| Notice { class: Class::Anomaly, phase, at, value, score, reason };
        match (&mut self.open, verdict) {
            (None, None) => {}
            (None, Some(Verdict { score, reason })) => {
                let number = log.open(notice(Phase::Opened, score, reason), out);
                self.open = Some(Open { number, calm: 0, peak: score, told: score, reason });
            }
            (Some(open), Some(Verdict { score, reason })) => {
                open.calm = 0;
                open.peak = open.peak.max(score);
                if score >= open.told * GROWN {
                    (open.told, open.reason) = (score, reason);
                    log.tell(open.number, notice(Phase::Updated, score, reason), out);
                }
            }
            (Some(open), None) => {
                open.calm += 1;
                if open.calm >= CALM {
                    log.tell(open.number, notice(Phase::Closed, open.peak, open.reason), out);
                    self.open = None;
                }
            }
        }
    }
}
