//! From the configuration's `filter`, `alarm` and `channel` keys to the settings of one channel's filters.
//!
//! Precedence: channel > sensor > `[filter]` > what the driver says of its channel.

use crate::config::Section;

/// What was configured about filters, for every sensor and channel.
#[derive(Debug, Default)]
pub struct Rules;

impl Rules {
    /// Reads `[filter]` and `[group.NAME]`.
    pub fn read(_defaults: Option<Section<'_, '_>>, _groups: Option<Section<'_, '_>>) -> Self {
        Self
    }

    /// Takes a sensor's own filter keys.
    pub fn read_sensor(&mut self, _sensor: &str, _section: &mut Section<'_, '_>) {}

    /// Takes the filter keys of one channel; what is left belongs to the driver.
    pub fn read_channel(&mut self, _sensor: &str, _section: &mut Section<'_, '_>) {}
}
