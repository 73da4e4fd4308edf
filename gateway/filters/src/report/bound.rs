//! How far the forwarded series may be from the readings.

use serde::{Deserialize, Serialize};

use super::round;
use super::scale::Scale;
use crate::settings::positive;
use crate::valid::LARGEST;
use crate::{Settings, SettingsError};

/// The part of an `auto` bound that noise makes is at most this share of the span.
const NOISE_CAP: f64 = 0.1;

/// An `auto` bound is at least so many steps of the sensor's resolution: a reading between two steps flickers.
const STEPS: f64 = 0.6;
/// Three digits say enough of an `auto` bound.
const DIGITS: f64 = 0.005;

/// The error bound of the report stage. The one in force is stated on every sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Bound {
    /// In the channel's unit.
    Absolute(f64),
    /// Share of the channel's span, 0.01 = 1 %.
    Share(f64),
    /// The larger of a share of the span and a multiple of the channel's own noise, which is capped at a tenth of the span.
    Auto {
        /// Share of the span; of the range seen so far, if no span is known.
        share: f64,
        /// Multiple of the standard deviation of the channel's noise.
        noise: f64,
    },
}

impl Default for Bound {
    fn default() -> Self {
        Self::Auto { share: 0.02, noise: 2.9 }
    }
}

impl Bound {
    pub(super) fn check(self, span: Option<f64>) -> Result<(), SettingsError> {
        match self {
            Self::Absolute(bound) => positive("the bound", Some(bound)),
            Self::Share(_) if span.is_none() => Err(SettingsError::NoSpan),
            Self::Share(share) => positive("the bound", Some(share)),
            Self::Auto { share, noise } => {
                positive("the bound's share of the span", Some(share))?;
                if noise == 0.0 { Ok(()) } else { positive("the bound's multiple of the noise", Some(noise)) }
            }
        }
    }

    /// The bound in the channel's unit, as far as its scale is known.
    pub(super) fn resolve(self, channel: &Settings, scale: &Scale) -> f64 {
        let span = channel.span.unwrap_or_else(|| scale.range());
        let bound = match self {
            Self::Absolute(bound) => bound,
            Self::Share(share) => share * span,
            Self::Auto { share, noise } => {
                let own = scale.noise().max(channel.noise.unwrap_or(0.0));
                let cap = channel.span.map_or(scale.range(), |span| NOISE_CAP * span);
                let bound = (noise * own).min(cap).max(share * span).max(STEPS * scale.resolution());
                round::decimal(bound, bound * DIGITS)
            }
        };
        // Settings that fail their check must do no harm.
        if bound >= 0.0 { bound.min(LARGEST) } else { 0.0 }
    }
}
