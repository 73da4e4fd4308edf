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
    /// Finds contradictions and what does not fit the fixed capacities. Settings that fail it are still safe to run.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.valid.check()?;
        self.detect.check(self.valid.range)?;
        self.clean.check()?;
        self.report.check(self.span)?;
        self.summarise.check()?;
        positive("span", self.span)?;
        if self.report.method == report::Method::None && self.summarise.windows.is_empty() {
            return Err(SettingsError::NothingLeaves);
        }
        match self.valid.stale {
            Some(stale) if stale <= self.period => Err(SettingsError::StaleWithinPeriod),
            _ => Ok(()),
        }
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
    /// The named setting must be a number above 0.
    NotPositive(&'static str),
    /// The named setting must be a finite number.
    NoNumber(&'static str),
    /// A limit that no valid reading can pass.
    AlarmOutsideRange(f64, f64, f64),
    /// A low limit at or above a high one.
    AlarmsOverlap(f64, f64),
    /// A window of a size that the clean stage does not have.
    CleanWindow(u8),
    /// An exponential average whose share is above 1.
    EmaShare(f64),
    /// A bound that is a share of a span that nobody knows.
    NoSpan,
    /// A hopping window that is not a whole number of hops.
    BrokenHops,
    /// Windows that need more panes at once than there is room for.
    TooManyPanes(usize),
    /// Neither samples nor summaries.
    NothingLeaves,
    /// Silence that would set in before the next reading is due.
    StaleWithinPeriod,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyRange(lo, hi) => write!(f, "the range {lo} to {hi} holds nothing: put the smaller number first"),
            Self::NotPositive(name) => write!(f, "{name} must be more than 0"),
            Self::NoNumber(name) => write!(f, "{name} must be a number"),
            Self::AlarmOutsideRange(limit, lo, hi) => write!(
                f,
                "the alarm limit {limit} can never be passed, because readings outside the valid range {lo} to {hi} are \
                 rejected before: widen the valid range or move the limit"
            ),
            Self::AlarmsOverlap(low, high) => {
                write!(f, "every reading would be an alarm: the low limit {low} is not below the high limit {high}")
            }
            Self::CleanWindow(window) => write!(f, "a window of {window} readings cannot be had: choose 3, 5 or 7"),
            Self::EmaShare(share) => write!(f, "a moving average cannot take {share} of a difference: choose up to 1"),
            Self::NoSpan => f.write_str(
                "the bound is a share of the span, but the channel's span is not known: set span = [lowest, highest], \
                 or give the bound as a number in the channel's unit",
            ),
            Self::BrokenHops => f.write_str("the width of a hopping window must be a whole number of hops"),
            Self::TooManyPanes(needed) => write!(
                f,
                "the windows would need {needed} parts in memory at once, and there is room for {}: \
                 choose a longer hop, a narrower window or a shorter grace",
                summarise::PANES
            ),
            Self::NothingLeaves => f.write_str(
                "neither samples nor summaries would leave: choose a report other than \"none\", or a window",
            ),
            Self::StaleWithinPeriod => {
                f.write_str("the channel would be stale before its next reading is due: stale must exceed the interval")
            }
        }
    }
}

impl core::error::Error for SettingsError {}

/// Whether a number, if given, is above 0.
pub(crate) fn positive(name: &'static str, number: Option<f64>) -> Result<(), SettingsError> {
    match number {
        Some(number) if !(number > 0.0 && number.is_finite()) => Err(SettingsError::NotPositive(name)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Alarm, Side};
    use crate::report::{Bound, Method};
    use crate::summarise::Window;
    use std::string::ToString;

    type Spoil = fn(&mut Settings);

    const IMPOSSIBLE: &[(Spoil, &str)] = &[
        (|s| s.valid.range = Some((5.0, -5.0)), "the range 5 to -5 holds nothing: put the smaller number first"),
        (|s| s.valid.stuck = Some(0), "stuck must be more than 0"),
        (
            |s| s.valid.stale = Some(s.period),
            "the channel would be stale before its next reading is due: stale must exceed the interval",
        ),
        (|s| s.clean = clean::Settings::Median { window: 9 }, "a window of 9 readings cannot be had: choose 3, 5 or 7"),
        (
            |s| s.clean = clean::Settings::Ema { share: 1.5 },
            "a moving average cannot take 1.5 of a difference: choose up to 1",
        ),
        (|s| s.report.method = Method::Deadband(Bound::Absolute(-1.0)), "the bound must be more than 0"),
        (
            |s| s.report.method = Method::None,
            "neither samples nor summaries would leave: choose a report other than \"none\", or a window",
        ),
        (
            |s| s.summarise.windows.extend([Window::Hopping { hop: 7, width: 60 }]),
            "the width of a hopping window must be a whole number of hops",
        ),
        (
            |s| s.summarise.windows.extend([Window::Hopping { hop: 1, width: 60_000 }]),
            "the windows would need 60000 parts in memory at once, and there is room for 64: \
             choose a longer hop, a narrower window or a shorter grace",
        ),
    ];

    #[test]
    fn what_cannot_work_says_what_to_change() {
        for (spoil, message) in IMPOSSIBLE {
            let mut settings = Settings { period: 1_000_000_000, ..Settings::default() };
            assert_eq!(settings.check(), Ok(()));
            spoil(&mut settings);
            assert_eq!(settings.check().unwrap_err().to_string(), *message);
        }
    }

    #[test]
    fn alarms_must_be_able_to_fire_and_to_be_quiet() {
        let alarm = |side, limit| Alarm { side, limit, hysteresis: 0.0, delay: 0 };
        let mut settings = Settings::default();
        settings.detect.alarms.extend([alarm(Side::High, 90.0), alarm(Side::Low, 95.0)]);
        assert_eq!(settings.check(), Err(SettingsError::AlarmsOverlap(95.0, 90.0)));
        settings.detect.alarms.truncate(1);
        settings.valid.range = Some((0.0, 80.0));
        assert_eq!(settings.check(), Err(SettingsError::AlarmOutsideRange(90.0, 0.0, 80.0)));
    }

    #[test]
    fn a_share_needs_a_span() {
        let mut settings = Settings::default();
        settings.report.method = Method::Funnel(Bound::Share(0.01));
        assert_eq!(settings.check(), Err(SettingsError::NoSpan));
        settings.span = Some(10.0);
        assert_eq!(settings.check(), Ok(()));
    }
}
