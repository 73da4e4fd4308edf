//! Which sensors answer: a sensor that does not is a fault, told once when it begins and once when it is over.
//!
//! When to try again is the sources' business.

use super::line::event_id;
use super::sensor_channel;
use crate::record::{Body, BootId, Channel, Class, Draft, Event, EventId, Nanos, Phase};
use crate::registry::{Sensor, SensorIndex};
use serde::Serialize;
use std::sync::Arc;

/// One disturbed transfer is no fault; so many failed polls in a row are.
const FAILURES: u32 = 3;

/// A sensor's health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SensorState {
    /// Boot time of its last reading.
    pub last_reading: Option<Nanos>,
    /// Failed polls since its last reading.
    pub failures: u32,
    /// Why the last poll failed, and what to do.
    pub error: Option<Arc<str>>,
    /// Polls that did not happen in time, in this run.
    pub missed: u64,
}

#[derive(Debug)]
pub(super) struct Sensors {
    boot: BootId,
    channels: Vec<Arc<Channel>>,
    states: Vec<SensorState>,
    faults: Vec<Option<(EventId, Arc<str>)>>,
}

impl Sensors {
    pub(super) fn new(sensors: &[Sensor], boot: BootId) -> Self {
        let channels: Vec<_> = sensors.iter().map(sensor_channel).collect();
        Self {
            boot,
            states: vec![SensorState::default(); channels.len()],
            faults: vec![None; channels.len()],
            channels,
        }
    }

    pub(super) fn states(&self) -> &[SensorState] {
        &self.states
    }

    pub(super) fn missed(&mut self, sensor: SensorIndex, polls: u64) {
        if let Some(state) = self.states.get_mut(sensor.0 as usize) {
            state.missed += polls;
        }
    }

    /// A reading came: a fault is over.
    pub(super) fn worked(&mut self, sensor: SensorIndex, at: Nanos, out: &mut dyn FnMut(Draft)) {
        let index = sensor.0 as usize;
        let Some(state) = self.states.get_mut(index) else { return };
        state.last_reading = Some(at);
        state.failures = 0;
        state.error = None;
        if let Some((id, why)) = self.faults[index].take() {
            out(self.event(index, id, Phase::Closed, at, &why));
        }
    }

    /// A poll failed. True when this is the one that makes it a fault.
    pub(super) fn failed(
        &mut self,
        sensor: SensorIndex,
        at: Nanos,
        why: &Arc<str>,
        out: &mut dyn FnMut(Draft),
    ) -> bool {
        let index = sensor.0 as usize;
        let Some(state) = self.states.get_mut(index) else { return false };
        state.failures = state.failures.saturating_add(1);
        state.error = Some(why.clone());
        let begins = state.failures >= FAILURES && self.faults[index].is_none();
        if begins {
            let id = event_id(&self.channels[index], self.boot, at, 0);
            self.faults[index] = Some((id, why.clone()));
            out(self.event(index, id, Phase::Opened, at, why));
        }
        begins
    }

    fn event(&self, index: usize, id: EventId, phase: Phase, at: Nanos, why: &Arc<str>) -> Draft {
        let event = Event { class: Class::Fault, id, phase, value: None, score: None, reason: why.as_ref().into() };
        Draft { channel: self.channels[index].clone(), boot: self.boot, at, body: Body::Event(event) }
    }
}
