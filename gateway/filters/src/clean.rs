//! Third stage: takes out spikes and noise that nobody wants to see.
//!
//! Hampel and median look at the window *around* a reading, so they hold it until half a window has followed: spikes go, and
//! real steps pass unchanged and sharp, half a window later.

use serde::{Deserialize, Serialize};

use crate::settings::positive;
use crate::{Reading, SettingsError};

/// Readings that the largest window holds.
pub const WINDOW: usize = 7;
/// Median absolute deviation to standard deviation, for normal noise.
const TO_SIGMA: f64 = 1.4826;

/// How to clean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Settings {
    /// Leave the readings as they are.
    #[default]
    None,
    /// Replace a reading more than `sigma` robust deviations from the median of the window around it (Hampel 1974).
    Hampel {
        /// Readings: 3, 5 or 7.
        window: u8,
        /// Robust standard deviations.
        sigma: f64,
    },
    /// Replace every reading by the median of the window around it.
    Median {
        /// Readings: 3, 5 or 7.
        window: u8,
    },
    /// Exponential moving average: each reading moves the value by this share of the difference.
    Ema {
        /// Share, above 0 and up to 1.
        share: f64,
    },
}

impl Settings {
    pub(crate) fn check(self) -> Result<(), SettingsError> {
        match self {
            Self::Hampel { window, .. } | Self::Median { window } if !matches!(window, 3 | 5 | 7) => {
                Err(SettingsError::CleanWindow(window))
            }
            Self::Hampel { sigma, .. } => positive("the sigma of a hampel filter", Some(sigma)),
            Self::Ema { share } if share > 1.0 => Err(SettingsError::EmaShare(share)),
            Self::Ema { share } => positive("the share of a moving average", Some(share)),
            Self::Median { .. } | Self::None => Ok(()),
        }
    }

    /// Readings on either side that decide on one.
    const fn half(self) -> usize {
        match self {
            Self::Hampel { window, .. } | Self::Median { window } => {
                let half = window as usize / 2;
                if half < WINDOW / 2 { half } else { WINDOW / 2 }
            }
            Self::None | Self::Ema { .. } => 0,
        }
    }

    /// What the reading in the middle becomes.
    fn clean(self, value: f64, around: &[f64]) -> f64 {
        match self {
            Self::Hampel { sigma, .. } => {
                let middle = median(around.iter().copied());
                let off = (value - middle).abs();
                if off > sigma * spread(around, middle, off) { middle } else { value }
            }
            Self::Median { .. } => median(around.iter().copied()),
            Self::None | Self::Ema { .. } => value,
        }
    }
}

/// State of the clean stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Clean {
    window: heapless::Vec<Reading, WINDOW>,
    /// Readings at the end of the window that have not left yet.
    held: usize,
    smooth: Option<f64>,
}

impl Clean {
    /// Takes a reading; hands on those that are decided.
    pub(crate) fn push(&mut self, settings: Settings, reading: Reading, mut out: impl FnMut(Reading)) {
        match settings {
            Settings::None => out(reading),
            Settings::Ema { share } => {
                let before = self.smooth.unwrap_or(reading.value);
                // A share that fails its check must do no harm.
                let share = if share > 0.0 { share.min(1.0) } else { 1.0 };
                let value = before + share * (reading.value - before);
                self.smooth = Some(value);
                out(Reading { value, ..reading });
            }
            Settings::Hampel { .. } | Settings::Median { .. } => self.slide(settings, reading, out),
        }
    }

    /// The series ends or breaks: what is held leaves, judged by the part of the window that there is.
    pub(crate) fn finish(&mut self, settings: Settings, mut out: impl FnMut(Reading)) {
        while self.held > 0 {
            self.release(settings, &mut out);
        }
        *self = Self::default();
    }

    fn slide(&mut self, settings: Settings, reading: Reading, mut out: impl FnMut(Reading)) {
        if self.window.len() > 2 * settings.half() || self.window.is_full() {
            self.window.remove(0);
        }
        if self.window.push(reading).is_ok() {
            self.held += 1;
        }
        while self.held > settings.half() {
            self.release(settings, &mut out);
        }
    }

    /// Hands on the oldest reading held.
    fn release(&mut self, settings: Settings, out: &mut impl FnMut(Reading)) {
        let middle = self.window.len().saturating_sub(self.held);
        let from = middle.saturating_sub(settings.half());
        let around: heapless::Vec<f64, WINDOW> =
            self.window.iter().skip(from).take(2 * settings.half() + 1).map(|reading| reading.value).collect();
        self.held -= 1;
        if let Some(reading) = self.window.get(middle) {
            out(Reading { value: settings.clean(reading.value, &around), ..*reading });
        }
    }
}

/// Robust standard deviation of a window. Where more than half of it is one value, as with coarse sensors, the median deviation
/// is 0 and every other value would be a spike: then the mean deviation of all but the suspect, which is `off`.
fn spread(around: &[f64], middle: f64, off: f64) -> f64 {
    let deviations = around.iter().map(|value| (value - middle).abs());
    let median = median(deviations.clone());
    if median > 0.0 || around.len() < 2 {
        return TO_SIGMA * median;
    }
    (deviations.sum::<f64>() - off).max(0.0) / (around.len() - 1) as f64
}

/// Median of at most [`WINDOW`] values; of an even number the lower middle one, so that it is always one of them.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: heapless::Vec<f64, WINDOW> = values.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}
