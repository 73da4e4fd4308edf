//! Second stage: is something wrong? Looks at the raw reading, before anything is cleaned or dropped.

pub mod auto;
pub mod group;
mod limit;
mod tuned;

use serde::{Deserialize, Serialize};

use crate::event::{Episode, Log};
use crate::{Nanos, Output, Reason, Settings as Channel, SettingsError};
use auto::Auto;
use limit::Watch;
pub use limit::{Alarm, Side};
pub use tuned::Detector;
use tuned::Tuned;

/// Limits that one channel can have.
pub const ALARMS: usize = 4;
/// Detectors, besides `auto`, that one channel can have.
pub const DETECTORS: usize = 2;

/// What to look for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The self-tuning detector.
    pub auto: bool,
    /// Limits somebody set.
    pub alarms: heapless::Vec<Alarm, ALARMS>,
    /// Detectors that somebody tuned.
    pub detectors: heapless::Vec<Detector, DETECTORS>,
}

impl Settings {
    pub(crate) fn check(&self, range: Option<(f64, f64)>) -> Result<(), SettingsError> {
        self.alarms.iter().try_for_each(|alarm| alarm.check(range))?;
        self.detectors.iter().try_for_each(Detector::check)?;
        let limits = |side| self.alarms.iter().filter(move |alarm| alarm.side == side).map(|alarm| alarm.limit);
        for low in limits(Side::Low) {
            if let Some(high) = limits(Side::High).find(|&high| low >= high) {
                return Err(SettingsError::AlarmsOverlap(low, high));
            }
        }
        Ok(())
    }
}

/// What a detector has to say of a reading; only said if `score` >= 1.0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// How odd: 1.0 is just odd enough for an event.
    pub score: f64,
    /// Why.
    pub reason: Reason,
}

/// State of the detect stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Detect {
    alarms: [Watch; ALARMS],
    tuned: [(Tuned, Episode); DETECTORS],
    auto: Option<Auto>,
    odd: Episode,
}

impl Detect {
    /// Judges a raw, finite reading; `at` never runs backwards.
    pub(crate) fn push(
        &mut self,
        channel: &Channel,
        at: Nanos,
        value: f64,
        log: &mut Log,
        out: &mut dyn FnMut(Output),
    ) {
        let settings = &channel.detect;
        for (watch, alarm) in self.alarms.iter_mut().zip(&settings.alarms) {
            let scale = channel.span.unwrap_or_else(|| alarm.limit.abs().max(alarm.hysteresis));
            watch.push(alarm, scale, at, value, log, out);
        }
        for ((tuned, episode), detector) in self.tuned.iter_mut().zip(&settings.detectors) {
            episode.push(tuned.push(detector, at, value), at, value, log, out);
        }
        if settings.auto {
            let auto = self.auto.get_or_insert_with(|| Auto::new(channel.period));
            self.odd.push(auto.push(at, value), at, value, log, out);
        }
    }

    /// The series breaks here.
    pub(crate) fn interrupt(&mut self) {
        self.alarms.iter_mut().for_each(Watch::interrupt);
        self.tuned.iter_mut().for_each(|(tuned, _)| tuned.interrupt());
    }
}
