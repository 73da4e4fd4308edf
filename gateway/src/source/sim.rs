//! `kind = "sim"`: an I2C bus that is not there. The same thread, the same drivers, chips simulated at register level, and a
//! [`Scenario`] that drives what they sense and what goes wrong.

use super::i2c::{Bus, Sensor, Wire};
use super::scenario::{Fault, FaultKind, Scenario, World, active};
use super::{BusKind, Carries, Draft, Source, device};
use crate::config::Section;
use crate::record::Nanos;
use std::time::Duration;
use weir_drivers::sim::{Bus as Chips, Trouble};
use weir_drivers::{BusError, BusFault, Connection, I2c};

pub(super) const KIND: BusKind =
    BusKind { name: "sim", summary: "a simulated I2C bus, driven by a scenario", carries: Carries::I2c, open };

fn open(mut section: Section<'_, '_>, drafts: Vec<Draft<'_, '_>>) -> Option<Box<dyn Source>> {
    let mut scenario = Scenario::read(&mut section);
    let sensors = device::read_sensors(&mut section, drafts)?;
    let mut wire = Simulated::new();
    for sensor in &sensors {
        wire.attach(sensor, scenario.take(&sensor.name), &section);
    }
    wire.faults = scenario.finish(&section);
    section.finish();
    Some(Box::new(Bus { wire, sensors }))
}

/// The simulated wire with its chips, and the world around each of them.
struct Simulated {
    chips: Chips,
    slots: Vec<(u8, World)>,
    faults: Vec<Fault>,
    started: Option<Nanos>,
    last: Option<Nanos>,
}

/// Transactions take no time here; the clock of the wire matters only to the check of the configuration.
const HERTZ: u32 = 100_000;

impl Simulated {
    fn new() -> Self {
        Self { chips: Chips::new(HERTZ), slots: Vec::new(), faults: Vec::new(), started: None, last: None }
    }

    fn attach(&mut self, sensor: &Sensor, mut world: World, bus: &Section<'_, '_>) {
        let Connection::I2c { simulate, .. } = sensor.device.connection else { return };
        let mut chip = simulate(sensor.address);
        for (quantity, signal) in &mut world.signals {
            if !chip.set(quantity, signal.clone().at(0.0)) {
                let known: Vec<_> = sensor.device.channels.iter().map(|c| c.name).collect();
                bus.report(
                    bus.place(),
                    format!(
                        "the scenario sets {}/{quantity}, which a {} does not sense",
                        sensor.name, sensor.device.name
                    ),
                    "this bus",
                    Some(format!("its quantities: {}", known.join(", "))),
                );
            }
        }
        self.chips.attach(chip);
        self.slots.push((sensor.address, world));
    }

    /// Lets the world go on until `now`.
    fn advance(&mut self, slot: usize, now: Nanos) {
        let start = *self.started.get_or_insert(now);
        let past = now - self.last.replace(now).unwrap_or(now);
        self.chips.advance(Duration::from_nanos(past.max(0).unsigned_abs()));
        let t = (now - start) as f64 / 1e9;
        self.chips.stick(active(&self.faults, t).is_some_and(|fault| fault.kind == FaultKind::BusStuck));
        let Some((address, world)) = self.slots.get_mut(slot) else { return };
        self.chips.trouble(*address, world.fault(t).and_then(trouble));
        for (quantity, signal) in &mut world.signals {
            self.chips.set(*address, quantity, signal.at(t));
        }
    }
}

impl Wire for Simulated {
    fn at(&mut self, slot: usize, _fresh: bool, now: Nanos) -> Result<&mut I2c<'_>, BusError> {
        self.advance(slot, now);
        if slot < self.slots.len() { Ok(&mut self.chips) } else { Err(BusError::new(BusFault::Other)) }
    }
}

fn trouble(fault: &Fault) -> Option<Trouble> {
    match fault.kind {
        FaultKind::Unplug => Some(Trouble::Unplugged),
        FaultKind::Garbage => Some(Trouble::Garbage),
        FaultKind::Damage => Some(Trouble::WrongChecksum),
        FaultKind::Frozen => Some(Trouble::Frozen),
        FaultKind::Slow => Some(Trouble::Slow(fault.times)),
        FaultKind::BusStuck => None,
    }
}
