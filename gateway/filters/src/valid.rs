//! First stage: can the sensor have meant this? Faults of the sensor, never alarms about what it measures.

use core::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::event::{Log, Notice};
use crate::settings::positive;
use crate::{Class, Nanos, Output, Phase, Quality, Reading, Reason, SettingsError};

/// A value beyond this is no measurement; within it, no sum of squares overflows.
pub const LARGEST: f64 = 1e100;
/// Readings without change before a sensor can be called stuck.
const STUCK_READINGS: u32 = 60;

/// What a healthy sensor can say. Every check is off by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Lowest and highest possible value: what is outside is rejected and a fault.
    pub range: Option<(f64, f64)>,
    /// No change at all for so long, over at least 60 readings, is a fault.
    pub stuck: Option<Nanos>,
    /// Fastest possible change, in units per second; a faster one makes the reading suspect.
    pub rate: Option<f64>,
    /// No reading for so long is a fault, and nothing is interpolated across it.
    pub stale: Option<Nanos>,
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        positive("stuck", self.stuck.map(|time| time as f64))?;
        positive("stale", self.stale.map(|time| time as f64))?;
        positive("rate", self.rate)?;
        match self.range {
            Some((lo, hi)) if lo.partial_cmp(&hi) != Some(Ordering::Less) => Err(SettingsError::EmptyRange(lo, hi)),
            _ => Ok(()),
        }
    }

    /// Whether this can be a measurement at all.
    pub(crate) fn admits(&self, reading: Reading) -> bool {
        reading.quality < Quality::Invalid && self.impossible(reading.value).is_none()
    }

    fn impossible(&self, value: f64) -> Option<Reason> {
        if !value.is_finite() || value.abs() > LARGEST {
            return Some(Reason::NotFinite);
        }
        let (lo, hi) = self.range.filter(|&(lo, hi)| value < lo || value > hi)?;
        Some(Reason::OutOfRange(lo, hi))
    }
}

/// State of the valid stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Valid {
    /// Number and reason of the open fault: there is at most one.
    fault: Option<(u32, Reason)>,
    /// The last valid reading.
    last: Option<Reading>,
    /// Since when, and over how many readings, the value has been what it is.
    still: (Nanos, u32),
    /// When anything last came.
    heard: Option<Nanos>,
}

impl Valid {
    /// Judges a reading: its quality is the worse of what its source says and what is found here.
    pub(crate) fn push(
        &mut self,
        settings: &Settings,
        reading: Reading,
        log: &mut Log,
        out: &mut dyn FnMut(Output),
    ) -> Quality {
        let Reading { at, value, quality } = reading;
        self.heard = Some(self.heard.map_or(at, |heard| heard.max(at)));
        let fault = self.fault_of(settings, reading);
        self.announce(fault.map(|(_, reason)| reason), at, value, log, out);
        let quality = quality.max(fault.map_or(Quality::Good, |(quality, _)| quality));
        if quality < Quality::Invalid {
            self.last = Some(reading);
        }
        quality
    }

    /// Time passes without a reading.
    pub(crate) fn tick(&mut self, settings: &Settings, now: Nanos, log: &mut Log, out: &mut dyn FnMut(Output)) {
        let (Some(stale), Some(heard)) = (settings.stale, self.heard) else { return };
        let silent = now.saturating_sub(heard);
        let known = matches!(self.fault, Some((_, Reason::Silent(_))));
        if silent > stale && !known {
            let value = self.last.map_or(0.0, |last| last.value);
            self.announce(Some(Reason::Silent(silent)), now, value, log, out);
        }
    }

    /// Forgets what it would compare the next reading with. The open fault stays: only a reading can end it.
    pub(crate) fn interrupt(&mut self) {
        (self.last, self.heard, self.still) = (None, None, (0, 0));
    }

    fn fault_of(&mut self, settings: &Settings, reading: Reading) -> Option<(Quality, Reason)> {
        if let Some(reason) = settings.impossible(reading.value) {
            return Some((Quality::Invalid, reason));
        }
        self.count_still(reading);
        let (since, readings) = self.still;
        let still = reading.at.saturating_sub(since);
        if readings >= STUCK_READINGS && settings.stuck.is_some_and(|stuck| still >= stuck) {
            return Some((Quality::Stuck, Reason::Stuck(still)));
        }
        let limit = settings.rate?;
        let last = self.last.filter(|last| reading.at > last.at)?;
        let seconds = reading.at.saturating_sub(last.at) as f64 / 1e9;
        ((reading.value - last.value).abs() > limit * seconds).then_some((Quality::Suspect, Reason::TooFast(limit)))
    }

    fn count_still(&mut self, reading: Reading) {
        match self.last {
            Some(last) if last.value == reading.value => self.still.1 = self.still.1.saturating_add(1),
            _ => self.still = (reading.at, 1),
        }
    }

    /// Opens, changes or closes the fault.
    fn announce(&mut self, reason: Option<Reason>, at: Nanos, value: f64, log: &mut Log, out: &mut dyn FnMut(Output)) {
        if let (Some((_, open)), Some(new)) = (self.fault, reason)
            && core::mem::discriminant(&open) == core::mem::discriminant(&new)
        {
            return;
        }
        let notice = |phase, reason| Notice { class: Class::Fault, phase, at, value, score: 1.0, reason };
        if let Some((number, open)) = self.fault.take() {
            log.tell(number, notice(Phase::Closed, open), out);
        }
        if let Some(reason) = reason {
            let number = log.open(notice(Phase::Opened, reason), out);
            self.fault = Some((number, reason));
        }
    }
}
