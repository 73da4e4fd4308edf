//! From the configuration's `filter`, `alarm` and `channel` keys to the settings of one channel's filters.
//!
//! Precedence: channel > sensor > `[filter]` > what the driver says of its channel.

use crate::config::Section;
use crate::registry::{Known, Quantity, Sensor};
use weir_filters::{Settings, counter, state};

/// What was configured about filters, for every sensor and channel.
#[derive(Debug, Default)]
pub struct Rules;

/// What one channel's readings go through, and how they are corrected before.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The chain's settings, by the channel's quantity.
    pub settings: Chain,
    /// Multiplies every gauge reading …
    pub scale: f64,
    /// … and is added to it then, in the channel's unit.
    pub offset: f64,
}

/// Settings of the chain that fits the channel's quantity.
#[derive(Debug, Clone, PartialEq)]
pub enum Chain {
    /// Of a gauge.
    Gauge(Box<Settings>),
    /// Of a counter.
    Counter(counter::Settings),
    /// Of a state.
    State(state::Settings),
    /// Of a text: reported on change.
    Text,
}

impl Rules {
    /// Reads `[filter]` and `[group.NAME]`.
    pub fn read(_defaults: Option<Section<'_, '_>>, _groups: Option<Section<'_, '_>>) -> Self {
        Self
    }

    /// Takes a sensor's own filter keys.
    pub fn read_sensor(&mut self, _sensor: &str, _section: &mut Section<'_, '_>) {}

    /// Takes the filter keys of one channel; what is left belongs to the driver.
    pub fn read_channel(&mut self, _sensor: &str, _section: &mut Section<'_, '_>) {}

    /// The settings of a channel. Channels that appear at run time come here too, so nothing may fail: what does not fit
    /// falls back to what fits (`weir check` has complained about everything known before).
    pub fn prepare(&self, known: &Known, _sensor: &Sensor) -> Prepared {
        let settings = match known.declared.quantity {
            Quantity::Gauge => Chain::Gauge(Box::default()),
            Quantity::Counter => Chain::Counter(counter::Settings { period: 0, window: 60_000_000_000, bits: 64 }),
            Quantity::State => Chain::State(state::Settings::default()),
            Quantity::Text => Chain::Text,
        };
        Prepared { settings, scale: 1.0, offset: 0.0 }
    }
}
