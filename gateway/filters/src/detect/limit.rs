//! Limit alarms: somebody said what is too high or too low.

use serde::{Deserialize, Serialize};

use crate::event::{Log, Notice};
use crate::settings::positive;
use crate::{Class, Nanos, Output, Phase, Reason, SettingsError};

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Which side of the limit is wrong.
    pub side: Side,
    /// The limit, in the channel's unit.
    pub limit: f64,
    /// How far back inside the value must come before the alarm is over.
    pub hysteresis: f64,
    /// How long the value must stay outside before it is an alarm.
    pub delay: Nanos,
}

/// A side of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Above the limit is wrong.
    High,
    /// Below the limit is wrong.
    Low,
}

impl Alarm {
    pub(super) fn check(&self, range: Option<(f64, f64)>) -> Result<(), SettingsError> {
        let Self { limit, hysteresis, delay, .. } = *self;
        if !limit.is_finite() {
            return Err(SettingsError::NoNumber("an alarm limit"));
        }
        if hysteresis != 0.0 {
            positive("hysteresis, if set,", Some(hysteresis))?;
        }
        if delay < 0 {
            return Err(SettingsError::NotPositive("the delay of an alarm, if set,"));
        }
        let (lo, hi) = range.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        let reachable = match self.side {
            Side::High => limit < hi,
            Side::Low => limit > lo,
        };
        if reachable { Ok(()) } else { Err(SettingsError::AlarmOutsideRange(limit, lo, hi)) }
    }

    /// How far the value is on the wrong side.
    fn excess(&self, value: f64) -> f64 {
        match self.side {
            Side::High => value - self.limit,
            Side::Low => self.limit - value,
        }
    }

    const fn reason(&self) -> Reason {
        match self.side {
            Side::High => Reason::Above(self.limit),
            Side::Low => Reason::Below(self.limit),
        }
    }
}

/// State of one limit alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    /// Since when the value has been outside without a break.
    outside: Option<Nanos>,
    /// Number of the open alarm.
    open: Option<u32>,
    /// The largest score so far.
    peak: f64,
}

impl Watch {
    /// Takes a reading. `scale` is what an excess is compared with in the score: 1.0 at the limit, 2.0 one scale beyond.
    pub(crate) fn push(
        &mut self,
        alarm: &Alarm,
        scale: f64,
        at: Nanos,
        value: f64,
        log: &mut Log,
        out: &mut dyn FnMut(Output),
    ) {
        let excess = alarm.excess(value);
        let score = 1.0 + excess.max(0.0) / scale.max(f64::MIN_POSITIVE);
        let notice = |phase, score| Notice { class: Class::Alarm, phase, at, value, score, reason: alarm.reason() };
        if let Some(number) = self.open {
            self.peak = self.peak.max(score);
            if excess <= -alarm.hysteresis {
                log.tell(number, notice(Phase::Closed, self.peak), out);
                *self = Self::default();
            }
        } else if excess <= 0.0 {
            self.outside = None;
        } else if at.saturating_sub(*self.outside.get_or_insert(at)) >= alarm.delay {
            self.peak = score;
            self.open = Some(log.open(notice(Phase::Opened, score), out));
        }
    }

    /// A break: how long the value has been outside is not known. An open alarm stays open until a reading ends it.
    pub(crate) fn interrupt(&mut self) {
        self.outside = None;
    }
}
