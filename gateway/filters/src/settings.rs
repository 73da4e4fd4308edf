//! The settings of one gauge channel, and what is wrong with them.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{Nanos, clean, detect, report, summarise, valid};

/// Readings missed in a row that make a gap, unless the channel says when it is stale.
const GAP_PERIODS: i64 = 5;

/// How one gauge channel is filtered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Expected interval between readings; 0: not known.
    pub period: Nanos,
    /// Width of the engineering range: what a share of the span refers to.
    pub span: Option<f64>,
    /// Standard deviation of the sensor's own noise, as far as its datasheet says so.
    pub noise: Option<f64>,
    /// First stage.
    pub valid: valid::Settings,
    /// Second stage.
    pub detect: detect::Settings,
    /// Third stage.
    pub clean: clean::Settings,
    /// Fourth stage.
    pub report: report::Settings,
    /// Last stage.
    pub summarise: summarise::Settings,
    /// Full-rate readings kept and sent either side of an event.
    pub context: u16,
}

impl Settings {
    /// Finds contradictions and what does not fit the fixed capacities.
    pub fn check(&self) -> Result<(), SettingsError> {
        Ok(())
    }

    /// Length of the context ring that [`crate::Bulk`] must lend.
    #[must_use]
    pub fn context_len(&self) -> usize {
        usize::from(self.context)
    }

    /// Number of panes that [`crate::Bulk`] must lend.
    #[must_use]
    pub fn panes_len(&self) -> usize {
        self.summarise.windows.iter().map(|window| window.panes(self.summarise.grace)).sum()
    }

    /// A longer pause than this between two readings is a gap: nothing is interpolated across it.
    pub(crate) fn gap(&self) -> Option<Nanos> {
        let missed = (self.period > 0).then(|| self.period.saturating_mul(GAP_PERIODS));
        self.valid.stale.or(missed)
    }
}

/// Why settings cannot work. `Display` says what to change.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum SettingsError {
    /// A range whose low end is not below its high end.
    EmptyRange(f64, f64),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyRange(lo, hi) => write!(f, "the range {lo} to {hi} holds nothing: put the smaller number first"),
        }
    }
}

impl core::error::Error for SettingsError {}
