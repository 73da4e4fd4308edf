//! `kind = "sim"`: an I2C bus that is not there. The same thread, the same drivers, chips simulated at register level, and a
//! [`Scenario`] that drives what they sense and what goes wrong.

use super::i2c::{Bus, Sensor, Wire};
use super::scenario::{Fault, FaultKind, Scenario, World, active};
use super::{BusKind, Carries, Draft, Source, device};
use crate::record::Nanos;
use crate::section::Section;
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

#[cfg(test)]
mod tests {
    use crate::source::testing::Bench;

    const BOILER: &str = r#"
        [bus.sim]
        kind = "sim"
        value.boiler = { temperature = [70, { step = 20, at = "5s" }], humidity = 40, pressure = 100000 }
        value.tank = { temperature = 15, humidity = 60 }
        [sensor.boiler]
        driver = "bme280"
        bus = "sim"
        address = 0x76
        every = "1s"
        [sensor.tank]
        driver = "sht3x"
        bus = "sim"
        address = 0x44
        every = "1s"
    "#;

    fn near(values: &[f64], expected: f64) -> bool {
        !values.is_empty() && values.iter().all(|v| (v - expected).abs() < 0.1)
    }

    #[test]
    fn chips_sense_what_the_scenario_says_when_it_says_so() {
        let mut bench = Bench::simulated(BOILER);
        bench.until(|b| b.values("boiler/temperature").len() == 10);
        let values = bench.values("boiler/temperature");
        assert!(near(&values[..5], 70.0) && near(&values[6..], 90.0), "{values:?}");
        assert!(near(&bench.values("tank/temperature"), 15.0));
    }

    #[test]
    fn polls_stay_on_their_grid() {
        let mut bench = Bench::simulated(BOILER);
        bench.until(|b| b.values("tank/temperature").len() == 10);
        let times: Vec<_> = bench.gauges("tank/temperature").iter().map(|(at, _)| *at).collect();
        assert!(times[1..].windows(2).all(|pair| pair[1] - pair[0] == 1_000_000_000), "{times:?}");
    }

    #[test]
    fn a_chip_that_vanishes_leaves_the_others_alone_and_comes_back_by_itself() {
        let faults = "[[bus.sim.fault]]\nsensor = \"boiler\"\nkind = \"unplug\"\nat = \"3s\"\nfor = \"20s\"";
        let mut bench = Bench::simulated(&format!("{BOILER}{faults}"));
        bench.until(|b| b.values("tank/temperature").len() == 100);
        bench.stop();
        assert_eq!(bench.failures("tank"), Vec::<String>::new());
        assert_eq!(bench.missed("tank"), 0);
        let why = bench.failures("boiler");
        assert!(
            why[0].starts_with("no answer from the device (error 121)") && why[0].contains("`weir scan`"),
            "{why:?}"
        );
        assert!((4..=7).contains(&why.len()), "backs off: {why:?}");
        let read = bench.values("boiler/temperature").len() as u64;
        assert!(read >= 60, "is back");
        let due = read + why.len() as u64 + bench.missed("boiler");
        let at_tank = (bench.values("tank/temperature").len() as u64).abs_diff(due);
        assert!(at_tank <= 1, "every poll is accounted for: {due}");
    }

    #[test]
    fn a_stuck_bus_fails_everybody_until_it_is_free() {
        let faults = "[[bus.sim.fault]]\nkind = \"bus-stuck\"\nat = \"3s\"\nfor = \"2s\"";
        let mut bench = Bench::simulated(&format!("{BOILER}{faults}"));
        bench.until(|b| b.values("tank/temperature").len() >= 20 && b.values("boiler/temperature").len() >= 20);
        for sensor in ["boiler", "tank"] {
            assert!(
                bench.failures(sensor)[0].starts_with("the bus is stuck (error 16)"),
                "{:?}",
                bench.failures(sensor)
            );
        }
    }

    #[test]
    fn damaged_answers_are_failures_and_never_values() {
        let faults = "[[bus.sim.fault]]\nsensor = \"tank\"\nkind = \"damage\"\nat = \"2s\"\nfor = \"3s\"";
        let mut bench = Bench::simulated(&format!("{BOILER}{faults}"));
        bench.until(|b| b.values("tank/temperature").len() == 20);
        assert!(near(&bench.values("tank/temperature"), 15.0));
        assert!(bench.failures("tank").iter().any(|why| why.contains("checksum")), "{:?}", bench.failures("tank"));
    }

    #[test]
    fn a_scenario_that_cannot_be_played_is_a_problem_of_the_configuration() {
        let said = |extra: &str| {
            Bench::problems(&format!("{BOILER}{extra}")).into_iter().map(|p| p.message).collect::<Vec<_>>()
        };
        assert_eq!(said("[bus.sim.value.tank2]\ntemperature = 1"), ["the scenario of [bus.sim] speaks of `tank2`"]);
        assert_eq!(
            said("[[bus.sim.fault]]\nsensor = \"tank\"\nkind = \"explode\"\nat = \"1s\""),
            ["`fault` in [bus.sim] cannot be used"]
        );
    }
}
