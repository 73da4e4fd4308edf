//! The sensors and channels of this run, by small numbers.
//!
//! Sensors are known from the configuration; channels either too, or from the first reading that names them (MQTT, line
//! protocol). What happens to a channel's readings is not decided here.

use crate::record::Channel;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A sensor's place in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SensorIndex(pub u32);

/// A channel's place in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelIndex(pub u32);

/// A sensor as the configuration describes it, whatever drives it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sensor {
    /// Its name: `boiler`.
    pub name: Box<str>,
    /// Time between two polls, or expected between two pushed readings; `None` when there is no telling.
    pub every: Option<Duration>,
    /// The gateway's labels with the sensor's on top.
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

/// What sort of quantity a channel carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// A physical quantity that can take any value.
    Gauge,
    /// Only grows, but for resets.
    Counter,
    /// One of a few values; reported on change.
    State,
    /// Words; reported on change.
    Text,
}

/// What a source knows about a channel of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// `temperature`.
    pub name: Box<str>,
    /// UCUM code, empty when there is none.
    pub unit: Box<str>,
    /// What sort of quantity.
    pub quantity: Quantity,
    /// Outside: cannot be. The device's datasheet range, where there is one.
    pub valid: Option<(f64, f64)>,
    /// The range that "1 %" refers to.
    pub span: Option<(f64, f64)>,
    /// Standard deviation of the device's own noise, where the datasheet states it; allows the stuck check.
    pub noise: Option<f64>,
}

impl Declared {
    /// A gauge of which nothing but name and unit is known.
    pub fn gauge(name: impl Into<Box<str>>, unit: impl Into<Box<str>>) -> Self {
        Self { name: name.into(), unit: unit.into(), quantity: Quantity::Gauge, valid: None, span: None, noise: None }
    }
}

/// A channel as the pipeline sees it.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its name, unit and labels.
    pub channel: Arc<Channel>,
    /// Whose it is.
    pub sensor: SensorIndex,
    /// What its source says of it.
    pub declared: Declared,
}

/// More channels than one sensor has a use for.
const CHANNELS_PER_SENSOR: usize = 1024;

/// The sensors and channels of this run.
#[derive(Debug)]
pub struct Registry {
    sensors: Vec<Sensor>,
    channels: Mutex<Channels>,
}

#[derive(Debug, Default)]
struct Channels {
    known: Vec<Known>,
    by_name: HashMap<(SensorIndex, Box<str>), ChannelIndex>,
    per_sensor: HashMap<SensorIndex, usize>,
}

impl Registry {
    /// A registry of these sensors, without channels.
    pub fn new(sensors: Vec<Sensor>) -> Self {
        Self { sensors, channels: Mutex::default() }
    }

    /// All sensors, by index.
    pub fn sensors(&self) -> &[Sensor] {
        &self.sensors
    }

    /// One sensor.
    pub fn sensor(&self, index: SensorIndex) -> Option<&Sensor> {
        self.sensors.get(index.0 as usize)
    }

    /// One channel.
    pub fn channel(&self, index: ChannelIndex) -> Option<Known> {
        self.lock().known.get(index.0 as usize).cloned()
    }

    /// The channels of a sensor that have been declared so far.
    pub fn channels_of(&self, sensor: SensorIndex) -> Vec<ChannelIndex> {
        let channels = self.lock();
        let indices = 0..u32::try_from(channels.known.len()).unwrap_or(u32::MAX);
        indices
            .zip(&channels.known)
            .filter(|(_, known)| known.sensor == sensor)
            .map(|(index, _)| ChannelIndex(index))
            .collect()
    }

    /// Makes a channel known; the same name gives the same index. `None` when the sensor is unknown or has too many.
    pub fn declare(&self, sensor: SensorIndex, declared: Declared) -> Option<ChannelIndex> {
        let owner = self.sensor(sensor)?;
        let mut channels = self.lock();
        let key = (sensor, declared.name.clone());
        if let Some(index) = channels.by_name.get(&key) {
            return Some(*index);
        }
        let count = channels.per_sensor.entry(sensor).or_default();
        if *count >= CHANNELS_PER_SENSOR {
            return None;
        }
        *count += 1;
        let channel = Arc::new(Channel {
            sensor: owner.name.clone(),
            name: declared.name.clone(),
            unit: declared.unit.clone(),
            labels: owner.labels.clone(),
        });
        let index = ChannelIndex(u32::try_from(channels.known.len()).ok()?);
        channels.known.push(Known { channel, sensor, declared });
        channels.by_name.insert(key, index);
        Some(index)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        Registry::new(vec![Sensor { name: "boiler".into(), ..Sensor::default() }])
    }

    #[test]
    fn a_name_keeps_its_index() {
        let registry = registry();
        let first = registry.declare(SensorIndex(0), Declared::gauge("temperature", "Cel"));
        registry.declare(SensorIndex(0), Declared::gauge("pressure", "Pa"));
        assert_eq!(registry.declare(SensorIndex(0), Declared::gauge("temperature", "Cel")), first);
        assert_eq!(registry.channels_of(SensorIndex(0)).len(), 2);
    }

    #[test]
    fn a_publisher_that_invents_names_is_stopped() {
        let registry = registry();
        let declared = (0..CHANNELS_PER_SENSOR + 10)
            .filter_map(|n| registry.declare(SensorIndex(0), Declared::gauge(format!("c{n}"), "")));
        assert_eq!(declared.count(), CHANNELS_PER_SENSOR);
    }
}
