//! From the configuration's `filter` and `alarm` keys to the settings of one channel's filters.
//!
//! Precedence, key by key: channel > sensor > `[filter]` > what the driver says of its channel > Weir's defaults.

mod keys;

use crate::registry::{Known, Quantity, Sensor};
use crate::section::{Section, Span};
use keys::Keys;
use std::collections::BTreeMap;
use std::ops::Range;
use weir_filters::report::Heartbeat;
use weir_filters::{Nanos, Settings, counter, state};

/// What was configured about filters, for every sensor and channel.
#[derive(Debug, Default)]
pub struct Rules {
    defaults: Keys,
    sensors: BTreeMap<Box<str>, Keys>,
    channels: BTreeMap<(Box<str>, Box<str>), Keys>,
}

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

/// Full-rate readings kept either side of an event.
const CONTEXT: u16 = 30;
/// Widths of the windows of channels that are given none: the narrowest that holds at least so many readings.
const WINDOWS: [Nanos; 4] = [MINUTE, 10 * MINUTE, 60 * MINUTE, 1440 * MINUTE];
const MINUTE: Nanos = 60_000_000_000;
const READINGS: Nanos = 6;
/// How long a window waits for readings that come out of order.
const GRACE: Nanos = 1_000_000_000;
/// A sensor whose noise is known cannot stand still for so long.
const STUCK: Nanos = 600_000_000_000;

impl Rules {
    /// Reads `[filter]`.
    pub fn read(defaults: Option<Section<'_, '_>>) -> Self {
        let mut rules = Self::default();
        if let Some(mut section) = defaults {
            rules.defaults.read(&mut section);
            section.finish();
        }
        rules
    }

    /// Takes a sensor's own filter keys.
    pub fn read_sensor(&mut self, sensor: &str, section: &mut Section<'_, '_>) {
        if let Some(mut filter) = section.take_section("filter") {
            let mut keys = Keys { place: filter.place(), ..Keys::default() };
            keys.read(&mut filter);
            filter.finish();
            self.sensors.insert(sensor.into(), keys);
        }
    }

    /// Takes the filter keys of one channel; what is left belongs to the driver.
    pub fn read_channel(&mut self, sensor: &str, section: &mut Section<'_, '_>) {
        let mut keys = Keys { place: section.place(), ..Keys::default() };
        if let Some(mut filter) = section.take_section("filter") {
            keys.read(&mut filter);
            filter.finish();
        }
        keys.read_channel(section);
        self.channels.insert((sensor.into(), section.key().into()), keys);
    }

    /// What is wrong with the filters of a channel that is known before anything runs, in words, and where it was
    /// configured: the nearest place that says anything about it.
    pub fn check(&self, known: &Known, sensor: &Sensor) -> Result<(), (Range<usize>, String)> {
        let Chain::Gauge(settings) = self.prepare(known, sensor).settings else { return Ok(()) };
        settings.check().map_err(|error| {
            let layers = self.layers(known);
            let place = layers.iter().find(|keys| !keys.place.is_empty()).map_or(0..0, |keys| keys.place.clone());
            (place, error.to_string())
        })
    }

    /// The settings of a channel. Channels that appear at run time come here too, so nothing may fail: settings that fail
    /// their check are still safe to run, and `weir check` has complained about everything known before.
    pub fn prepare(&self, known: &Known, sensor: &Sensor) -> Prepared {
        let keys = self.layers(known).into_iter().rev().fold(Keys::default(), |under, over| under.overlaid(over));
        let period = sensor.every.map_or(0, |every| Span(every).nanos());
        let settings = match known.declared.quantity {
            Quantity::Gauge => Chain::Gauge(Box::new(gauge(&keys, known, period))),
            Quantity::Counter => Chain::Counter(counter::Settings {
                period,
                window: keys.first_width().unwrap_or(usual_window(period)),
                bits: keys.bits.unwrap_or(64),
            }),
            Quantity::State => Chain::State(state::Settings {
                heartbeat: keys.heartbeat.unwrap_or(Some(Heartbeat::default().time)),
                debounce: keys.debounce.unwrap_or(0),
            }),
            Quantity::Text => Chain::Text,
        };
        Prepared { settings, scale: keys.scale.unwrap_or(1.0), offset: keys.offset.unwrap_or(0.0) }
    }

    /// What was said about a channel, nearest first.
    fn layers(&self, known: &Known) -> Vec<&Keys> {
        let (sensor, name) = (&known.channel.sensor, &known.channel.name);
        let own = self.channels.get(&(sensor.clone(), name.clone()));
        [own, self.sensors.get(sensor), Some(&self.defaults)].into_iter().flatten().collect()
    }
}

/// The window of a channel that is given none.
fn usual_window(period: Nanos) -> Nanos {
    WINDOWS.into_iter().find(|width| width / READINGS >= period).unwrap_or(1440 * MINUTE)
}

fn gauge(keys: &Keys, known: &Known, period: Nanos) -> Settings {
    let declared = &known.declared;
    let corrected = |(lo, hi): (f64, f64)| {
        let (scale, offset) = (keys.scale.unwrap_or(1.0), keys.offset.unwrap_or(0.0));
        let (a, b) = (lo * scale + offset, hi * scale + offset);
        (a.min(b), a.max(b))
    };
    let range = keys.valid.or(declared.valid.map(corrected));
    let method = keys.method.unwrap_or_default();
    // What a datasheet says a chip can measure is far more than what a channel ever does: `auto` goes by what it sees.
    let possible = if method.is_auto() { None } else { declared.span.map(corrected).or(keys.valid) };
    let span = keys.span.or(possible);
    let heartbeat = keys.heartbeat.map(|time| time.map(|time| Heartbeat { time, readings: 0 }));
    Settings {
        period,
        span: span.map(|(lo, hi)| hi - lo).filter(|width| *width > 0.0),
        noise: keys.noise.or(declared.noise),
        valid: weir_filters::valid::Settings {
            range,
            stuck: keys.stuck.unwrap_or_else(|| declared.noise.map(|_| STUCK)),
            rate: keys.rate,
            stale: keys.stale,
        },
        detect: weir_filters::detect::Settings {
            auto: keys.auto.unwrap_or(true),
            alarms: keys.alarms.clone().unwrap_or_default(),
            detectors: keys.detectors.clone().unwrap_or_default(),
        },
        clean: keys.clean.unwrap_or_default(),
        report: weir_filters::report::Settings { method, heartbeat: heartbeat.unwrap_or(Some(Heartbeat::default())) },
        summarise: weir_filters::summarise::Settings {
            windows: keys.windows.clone().unwrap_or_else(|| keys::windows_of([usual_window(period)])),
            grace: keys.grace.unwrap_or(GRACE),
            aggregates: keys.aggregates.unwrap_or_default(),
        },
        context: keys.context.unwrap_or(CONTEXT),
    }
}

#[cfg(test)]
mod tests;
