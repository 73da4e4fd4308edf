//! Readings → records: one thread takes every arrival through its channel's filters and gives what comes out to the log.
//!
//! It never waits for storage or for a destination. It reads no sensor and sends nothing.

mod ledger;
mod line;
mod sensors;
mod thread;

pub use ledger::{Ledger, Row, Tally};
pub use sensors::SensorState;
pub use thread::Worker;

use crate::clock::Clock;
use crate::filter::Rules;
use crate::record::{Channel, Draft, Nanos};
use crate::registry::{ChannelIndex, Registry, SensorIndex};
use crate::source::Arrival;
use line::{Line, Saved};
use sensors::Sensors;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use weir_filters::Interrupt;

/// Idle channels are looked at this often: windows close, heartbeats leave, silence is noticed.
pub const TICK: Duration = Duration::from_millis(250);

const WEEK: Nanos = 7 * 86_400_000_000_000;

/// What others may see of the pipeline while it runs.
#[derive(Debug, Default)]
pub struct View {
    /// The readings by fate.
    pub ledger: Ledger,
    /// The sensors' health, by sensor index.
    pub sensors: Vec<SensorState>,
}

/// A [`View`] that is renewed every [`TICK`].
pub type Shared = Arc<Mutex<View>>;

/// What a previous run left: counted readings, learnt states.
#[derive(Debug, Default)]
pub struct Earlier {
    /// [`Ledger::encode`]d.
    pub ledger: Option<Vec<u8>>,
    /// [`Pipeline::checkpoint`]ed.
    pub checkpoint: Option<Vec<u8>>,
}

/// All channels on their way through the filters.
pub struct Pipeline {
    registry: Arc<Registry>,
    rules: Rules,
    clock: Clock,
    offset: Nanos,
    lines: Vec<Option<Line>>,
    sensors: Sensors,
    /// Rows of channels that this run has not heard of yet.
    earlier: Ledger,
    saved: HashMap<(Box<str>, Box<str>), Saved>,
}

impl Pipeline {
    /// A pipeline that goes on where an earlier run stopped.
    pub fn new(registry: Arc<Registry>, rules: Rules, clock: Clock, earlier: &Earlier) -> Self {
        let mut ledger = earlier.ledger.as_deref().and_then(Ledger::decode).unwrap_or_default();
        ledger.rows.iter_mut().for_each(|row| row.tally = row.tally.after_crash());
        let saved: Vec<(Box<str>, Box<str>, Saved)> =
            earlier.checkpoint.as_deref().and_then(|bytes| postcard::from_bytes(bytes).ok()).unwrap_or_default();
        let saved = saved.into_iter().map(|(sensor, channel, state)| ((sensor, channel), state)).collect();
        let sensors = Sensors::new(registry.sensors(), clock.boot());
        let offset = clock.adopted_offset();
        Self { registry, rules, clock, offset, lines: Vec::new(), sensors, earlier: ledger, saved }
    }

    /// Takes one arrival through its channel's filters.
    pub fn take(&mut self, arrival: Arrival, out: &mut dyn FnMut(Draft)) {
        match arrival {
            Arrival::Reading { channel, at, value } => {
                let Some(line) = self.line(channel) else { return };
                line.push(at, value, out);
                let sensor = line.sensor;
                self.sensors.worked(sensor, at, out);
            }
            Arrival::Missed { sensor, polls } => {
                self.sensors.missed(sensor, polls);
                self.each_of(sensor, |line| line.missed(polls));
            }
            Arrival::Failed { channel: Some(channel), .. } => {
                if let Some(line) = self.line(channel) {
                    line.failed();
                }
            }
            Arrival::Failed { sensor, channel: None, at, why } => {
                self.each_of(sensor, Line::failed);
                if self.sensors.failed(sensor, at, &why, out) {
                    self.each_of(sensor, |line| line.interrupt(Interrupt::Gap, out));
                }
            }
        }
    }

    /// Lets time pass for all channels. Not on a simulated clock: there recordings of different times run side by side,
    /// and each channel's own readings tell the time.
    pub fn tick(&mut self, out: &mut dyn FnMut(Draft)) {
        if self.clock.is_simulated() {
            return;
        }
        self.follow_wall_clock(out);
        let now = self.clock.now();
        self.lines.iter_mut().flatten().for_each(|line| line.tick(now, out));
    }

    /// End of the stream: everything that is held leaves.
    pub fn finish(&mut self, out: &mut dyn FnMut(Draft)) {
        self.lines.iter_mut().flatten().for_each(|line| line.finish(out));
    }

    /// What became of every reading so far, earlier runs included.
    pub fn ledger(&self) -> Ledger {
        let rows = self.lines.iter().flatten().map(Line::row).chain(self.earlier.rows.iter().cloned());
        Ledger { rows: rows.collect() }
    }

    /// What the filters have learnt, to go on with after a restart.
    pub fn checkpoint(&self) -> Vec<u8> {
        let lines = self.lines.iter().flatten();
        let states: Vec<_> = lines
            .filter_map(|line| Some((line.row(), line.save()?)))
            .map(|(row, state)| (row.sensor, row.channel, state))
            .collect();
        postcard::to_allocvec(&states).unwrap_or_default()
    }

    /// Renews what others see.
    pub fn show(&self, shared: &Shared) {
        let view = View { ledger: self.ledger(), sensors: self.sensors.states().to_vec() };
        *shared.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    fn line(&mut self, index: ChannelIndex) -> Option<&mut Line> {
        let at = index.0 as usize;
        if self.lines.get(at).is_none_or(Option::is_none) {
            let line = self.open(index)?;
            if self.lines.len() <= at {
                self.lines.resize_with(at + 1, || None);
            }
            self.lines[at] = Some(line);
        }
        self.lines[at].as_mut()
    }

    fn open(&mut self, index: ChannelIndex) -> Option<Line> {
        let known = self.registry.channel(index)?;
        let prepared = self.rules.prepare(&known, self.registry.sensor(known.sensor)?);
        let earlier = self.earlier.take(&known.channel).unwrap_or_default();
        let key = (known.channel.sensor.clone(), known.channel.name.clone());
        let mut line = Line::new(known, prepared, self.clock.boot(), self.shift(), earlier);
        if let Some(saved) = self.saved.remove(&key) {
            line.restore(saved);
        }
        Some(line)
    }

    /// Every channel of a sensor, also one that has not had a reading yet.
    fn each_of(&mut self, sensor: SensorIndex, mut act: impl FnMut(&mut Line)) {
        for index in self.registry.channels_of(sensor) {
            if let Some(line) = self.line(index) {
                act(line);
            }
        }
    }

    fn follow_wall_clock(&mut self, out: &mut dyn FnMut(Draft)) {
        let offset = self.clock.adopted_offset();
        if offset == self.offset {
            return;
        }
        self.offset = offset;
        let shift = self.shift();
        self.lines.iter_mut().flatten().for_each(|line| line.step(shift, out));
    }

    /// What makes round boot times round wall-clock times, and a weekday of detectors the same one after every restart.
    fn shift(&self) -> Nanos {
        self.offset.rem_euclid(WEEK)
    }
}

/// The channel under which a sensor's own faults are told.
pub(crate) fn sensor_channel(sensor: &crate::registry::Sensor) -> Arc<Channel> {
    Arc::new(Channel {
        sensor: sensor.name.clone(),
        name: "sensor".into(),
        labels: sensor.labels.clone(),
        ..Channel::default()
    })
}

#[cfg(test)]
mod tests;
