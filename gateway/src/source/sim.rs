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
    let bus = Simulated::read(&mut section, drafts);
    section.finish();
    Some(Box::new(bus?))
}

/// The simulated wire with its chips, and the world around each of them.
struct Simulated {
    chips: Chips,
    slots: Vec<(u8, World)>,
    faults: Vec<Fault>,
    started: Option<Nanos>,
    last: Option<Nanos>,
}

impl Simulated {
    fn read(section: &mut Section<'_, '_>, drafts: Vec<Draft<'_, '_>>) -> Option<Bus<Self>> {
        let mut scenario = Scenario::read(section);
        let hertz = device::read_hertz(section);
        let sensors = device::read_sensors(section, hertz, drafts)?;
        let mut wire =
            Self { chips: Chips::new(hertz), slots: Vec::new(), faults: Vec::new(), started: None, last: None };
        for sensor in &sensors {
            wire.attach(sensor, scenario.take(&sensor.name), section);
        }
        wire.faults = scenario.finish(section);
        Some(Bus { wire, sensors })
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

/// Eight busy buses through ten minutes of faults, on a clock of their own: a transaction takes the time it takes on the wire.
#[cfg(test)]
mod ledger {
    use super::*;
    use crate::clock::Clock;
    use crate::registry::{Registry, SensorIndex};
    use crate::section::{Problems, Span};
    use crate::source::dice::Dice;
    use crate::source::i2c::{polls, turn};
    use crate::source::poll::Poll;
    use crate::source::{Arrival, Feed};
    use std::collections::HashMap;
    use std::fmt::Write as _;
    use std::sync::Arc;
    use tokio::sync::mpsc;
    use toml::de::DeTable;

    const TEN_MINUTES: Nanos = 600_000_000_000;
    const EVERY: Nanos = 1_000_000_000;
    const SENSORS: usize = 25;

    /// 25 chips on a slow bus, and faults at random times; which is the dice's choice.
    fn config(dice: &mut Dice, faults: usize) -> String {
        let chips =
            (0x40..=0x4F).map(|a| ("ina219", a)).chain((0x18..=0x1F).map(|a| ("mcp9808", a))).chain([("bme280", 0x76)]);
        let mut text = "hertz = 3900\n".to_owned();
        for (n, (driver, address)) in chips.enumerate() {
            let _ = writeln!(text, "[sensor.s{n}]\ndriver = \"{driver}\"\naddress = {address}\nevery = \"1s\"");
        }
        for _ in 0..faults {
            let kind = ["unplug", "garbage", "damage", "frozen", "bus-stuck"][(dice.roll() % 5) as usize];
            let sensor = dice.roll() as usize % SENSORS;
            let (at, lasting) = (dice.roll() % 590, 1 + dice.roll() % 20);
            let whose = if kind == "bus-stuck" { String::new() } else { format!("sensor = \"s{sensor}\"\n") };
            let _ = writeln!(text, "[[fault]]\n{whose}kind = \"{kind}\"\nat = \"{at}s\"\nfor = \"{lasting}s\"");
        }
        text
    }

    fn bus(text: &str) -> Bus<Simulated> {
        let problems = Problems::default();
        let mut section = Section::new("bus.b", 0..0, DeTable::parse(text).unwrap().into_inner(), &problems);
        let drafts = section.take_named("sensor").into_iter().map(|mut section| Draft {
            driver: section.require("driver", ""),
            bus: None,
            every: section.take::<Span>("every").map(|s| s.0),
            channels: Vec::new(),
            section,
        });
        let drafts = drafts.collect();
        let bus = Simulated::read(&mut section, drafts);
        assert!(problems.is_empty(), "{problems:?}");
        bus.unwrap()
    }

    /// Runs a bus for ten minutes; what arrived, how busy it was, and the longest turn.
    fn run(bus: Bus<Simulated>, clock: &Clock, registry: &Arc<Registry>) -> (Vec<Arrival>, Vec<Poll>, Duration, Nanos) {
        let (to, mut from) = mpsc::channel(1000);
        let feeds =
            (0..SENSORS as u32).map(|n| Feed::new(SensorIndex(n), Arc::clone(registry), to.clone(), clock.clone()));
        let Bus { mut wire, sensors } = bus;
        let mut polls = polls(sensors, feeds.collect(), 0);
        let (mut arrivals, mut now, mut longest) = (Vec::new(), 0, 0);
        loop {
            let slot = (0..SENSORS).min_by_key(|slot| polls[*slot].next()).unwrap();
            now = now.max(polls[slot].next());
            if now >= TEN_MINUTES {
                break;
            }
            let before = wire.chips.busy();
            turn(&mut wire, &mut polls[slot], slot, now).unwrap();
            let took = (wire.chips.busy() - before).as_nanos() as Nanos;
            (now, longest) = (now + took, longest.max(took));
            arrivals.extend(std::iter::from_fn(|| from.try_recv().ok()));
        }
        polls.iter_mut().for_each(|poll| poll.finish(TEN_MINUTES - 1).unwrap());
        arrivals.extend(std::iter::from_fn(|| from.try_recv().ok()));
        (arrivals, polls, wire.chips.busy(), longest)
    }

    fn registry() -> Arc<Registry> {
        let sensor = |n| crate::registry::Sensor { name: format!("s{n}").into(), ..Default::default() };
        Arc::new(Registry::new((0..SENSORS).map(sensor).collect()))
    }

    #[test]
    fn every_poll_of_two_hundred_sensors_is_accounted_for() {
        let mut dice = Dice::new(2026, "faults");
        for _ in 0..8 {
            let registry = registry();
            let (arrivals, ..) = run(bus(&config(&mut dice, 40)), &Clock::simulated(0), &registry);
            assert!(arrivals.iter().any(|a| matches!(a, Arrival::Failed { .. })));
            check_accounts(&arrivals, &registry);
        }
    }

    #[test]
    fn at_four_fifths_of_what_a_bus_can_carry_polls_are_as_late_as_the_longest_transaction() {
        let registry = registry();
        let (_, polls, busy, longest) = run(bus(&config(&mut Dice::new(0, ""), 0)), &Clock::simulated(0), &registry);
        let used = busy.as_nanos() as f64 / TEN_MINUTES as f64;
        assert!((0.75..0.85).contains(&used), "the bus is in use {:.0} % of the time", used * 100.0);
        let allowed = Duration::from_nanos(longest.unsigned_abs()) + Duration::from_millis(5);
        let worst = polls.iter().map(|poll| poll.lateness().quantile(0.99)).max().unwrap();
        // The quantile is rounded up to a power of two.
        assert!(worst <= 2 * allowed, "{worst:?}, allowed {allowed:?}");
    }

    /// For each channel: due = read + missed + failed.
    fn check_accounts(arrivals: &[Arrival], registry: &Registry) {
        let mut accounts: HashMap<_, u64> = HashMap::new();
        for arrival in arrivals {
            let (channels, count) = match arrival {
                Arrival::Reading { channel, .. } | Arrival::Failed { channel: Some(channel), .. } => {
                    (vec![*channel], 1)
                }
                Arrival::Failed { sensor, channel: None, .. } => (registry.channels_of(*sensor), 1),
                Arrival::Missed { sensor, polls } => (registry.channels_of(*sensor), *polls),
            };
            channels.into_iter().for_each(|channel| *accounts.entry(channel).or_default() += count);
        }
        for sensor in 0..SENSORS {
            let first = EVERY / SENSORS as Nanos * sensor as Nanos;
            let due = ((TEN_MINUTES - 1 - first) / EVERY + 1).unsigned_abs();
            for channel in registry.channels_of(SensorIndex(sensor as u32)) {
                assert_eq!(accounts.get(&channel), Some(&due), "channel {channel:?} of s{sensor}");
            }
        }
    }
}
