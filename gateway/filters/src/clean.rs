//! Third stage: takes out spikes and noise that nobody wants to see.

use serde::{Deserialize, Serialize};

/// How to clean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Settings {
    /// Leave the readings as they are.
    #[default]
    None,
    /// Replace a reading more than `sigma` robust deviations from the median of the window around it. Holds half a window.
    Hampel {
        /// Readings, odd, 3 to 15.
        window: u8,
        /// Robust standard deviations.
        sigma: f64,
    },
    /// Replace every reading by the median of the window around it. Holds half a window.
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
