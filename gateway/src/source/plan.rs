//! From the configuration to running sources: every bus and sensor is checked before anything is opened.

use super::{Alone, Arrival, BUSES, BusKind, Carries, Draft, Feed, Life, Open, Pulse, Source, TABLE};
use crate::clock::Clock;
use crate::registry::{Declared, Registry, Sensor, SensorIndex};
use crate::section::{Section, did_you_mean};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use weir_drivers::Connection;

/// Everything that will deliver readings, checked, nothing opened yet.
#[derive(Default)]
pub struct Plan {
    planned: Vec<Planned>,
}

/// A source and the sensors it was given, in its order.
struct Planned {
    name: Box<str>,
    source: Box<dyn Source>,
    sensors: Vec<SensorIndex>,
}

/// The sources at work. Dropping it ends them where they stand.
pub struct Sources {
    tasks: JoinSet<()>,
    pulses: Vec<Arc<Pulse>>,
}

/// A bus that sensors can be connected to.
struct Line<'p, 'i> {
    section: Section<'p, 'i>,
    kind: Option<&'static BusKind>,
    sensors: Vec<SensorIndex>,
    drafts: Vec<Draft<'p, 'i>>,
}

impl Plan {
    /// Reads `[bus.NAME]` and gives each sensor to its bus or source. What is wrong is reported.
    pub fn read<'p, 'i>(buses: Vec<Section<'p, 'i>>, drafts: Vec<Draft<'p, 'i>>) -> Self {
        let mut plan = Self::default();
        let mut lines: Vec<_> = buses.into_iter().map(Line::read).collect();
        for (index, draft) in (0..).map(SensorIndex).zip(drafts) {
            match home(&draft) {
                Some(Open::Alone(open)) => plan.add_alone(index, draft, open),
                Some(Open::On(carries)) => {
                    if let Some(line) = find_bus(&mut lines, &draft, carries) {
                        line.sensors.push(index);
                        line.drafts.push(draft);
                    }
                }
                None => {}
            }
        }
        lines.into_iter().for_each(|line| plan.add_bus(line));
        plan
    }

    fn add_alone(&mut self, index: SensorIndex, draft: Draft<'_, '_>, open: Alone) {
        if let Some(bus) = &draft.bus {
            let message = format!("`{}` in [{}] needs no bus", draft.driver_name(), draft.section.name());
            draft.section.report(bus.span(), message, "leave this out", None);
        }
        let name = draft.section.key().into();
        self.planned.extend(open(draft).map(|source| Planned { name, source, sensors: vec![index] }));
    }

    fn add_bus(&mut self, line: Line<'_, '_>) {
        let Some(kind) = line.kind else { return };
        let name = line.section.key().into();
        let source = (kind.open)(line.section, line.drafts);
        self.planned.extend(source.map(|source| Planned { name, source, sensors: line.sensors }));
    }

    /// The channels that are known before anything runs.
    pub fn channels(&self) -> Vec<(SensorIndex, Declared)> {
        let of = |p: &Planned| {
            let channels = p.source.channels();
            p.sensors.clone().into_iter().zip(channels).flat_map(|(s, all)| all.into_iter().map(move |d| (s, d)))
        };
        self.planned.iter().flat_map(|p| of(p).collect::<Vec<_>>()).collect()
    }

    /// Leaves out every bus and source that the sensor called `name` does not need.
    #[must_use]
    pub fn only(mut self, name: &str, sensors: &[Sensor]) -> Self {
        let is_it = |index: &SensorIndex| sensors.get(index.0 as usize).is_some_and(|s| *s.name == *name);
        self.planned.retain(|planned| planned.sensors.iter().any(is_it));
        self
    }

    /// Starts everything, on the current tokio runtime. The channels that are known already are declared before the
    /// first reading, so that a sensor that never answers is accounted for as well.
    pub fn start(
        self,
        registry: &Arc<Registry>,
        clock: &Clock,
        to: &mpsc::Sender<Arrival>,
        stop: &CancellationToken,
    ) -> Sources {
        let mut sources = Sources { tasks: JoinSet::new(), pulses: Vec::new() };
        for Planned { name, source, sensors } in self.planned {
            for (sensor, channels) in sensors.iter().zip(source.channels()) {
                for declared in channels {
                    registry.declare(*sensor, declared);
                }
            }
            let feed = |s: &SensorIndex| Feed::new(*s, Arc::clone(registry), to.clone(), clock.clone());
            let life = Life::new(name, stop.clone(), clock.clone());
            sources.pulses.push(life.pulse());
            sources.tasks.spawn(source.run(sensors.iter().map(feed).collect(), life));
        }
        sources
    }
}

impl Sources {
    /// Ready when every source has ended: told to stop, or with nothing more to come.
    pub async fn ended(&mut self) {
        while let Some(end) = self.tasks.join_next().await {
            if let Err(panic) = end {
                tracing::error!("a source ended in a panic, the others go on; please report this: {panic}");
            }
        }
    }

    /// The signs of life of sources that have a thread of their own, which can hang in the kernel or in a driver.
    pub fn pulses(&self) -> Vec<Arc<Pulse>> {
        self.pulses.clone()
    }
}

impl<'p, 'i> Line<'p, 'i> {
    fn read(mut section: Section<'p, 'i>) -> Self {
        let words: Vec<_> = BUSES.iter().map(|kind| (kind.name, kind)).collect();
        let kind = if section.has("kind") {
            section.take_word("kind", &words)
        } else {
            section.require::<String>("kind", "\"i2c\"").and(None)
        };
        Self { section, kind, sensors: Vec::new(), drafts: Vec::new() }
    }
}

/// Where the sensor belongs; an unknown driver is reported.
fn home(draft: &Draft<'_, '_>) -> Option<Open> {
    let driver = draft.driver.as_ref()?;
    let name = driver.get_ref().as_str();
    let device = weir_drivers::find(name).map(|device| match device.connection {
        Connection::I2c { .. } => Open::On(Carries::I2c),
        Connection::Serial { .. } => Open::On(Carries::Serial),
    });
    let found = device.or_else(|| TABLE.iter().find(|entry| entry.name == name).map(|entry| entry.open));
    if found.is_none() {
        let words = driver_names();
        let help = did_you_mean(name, &words).unwrap_or_else(|| format!("known drivers: {}", words.join(", ")));
        let message = format!("[{}]: there is no driver `{name}`", draft.section.name());
        draft.section.report(driver.span(), message, "unknown driver", Some(help));
    }
    found
}

/// Every word that may stand after `driver =`: the devices, then the other sources.
pub fn driver_names() -> Vec<&'static str> {
    let devices = weir_drivers::TABLE.iter().map(|device| device.name);
    devices.chain(TABLE.iter().map(|entry| entry.name)).collect()
}

/// The bus that the sensor names; a missing, unknown or unfit one is reported.
fn find_bus<'l, 'p, 'i>(
    lines: &'l mut [Line<'p, 'i>],
    draft: &Draft<'_, '_>,
    carries: Carries,
) -> Option<&'l mut Line<'p, 'i>> {
    let section = &draft.section;
    let fits = |line: &Line<'_, '_>| line.kind.is_none_or(|kind| kind.carries.takes(carries));
    let fitting: Vec<_> = lines.iter().filter(|line| fits(line)).map(|line| line.section.key().to_owned()).collect();
    let Some(bus) = &draft.bus else {
        let message = format!("[{}]: a {} is connected to a bus", section.name(), draft.driver_name());
        section.report(section.place(), message, "`bus` is missing here", Some(which(&fitting, carries)));
        return None;
    };
    let Some(at) = lines.iter().position(|line| line.section.key() == bus.get_ref()) else {
        let words: Vec<_> = fitting.iter().map(String::as_str).collect();
        let help = did_you_mean(bus.get_ref(), &words).unwrap_or_else(|| which(&fitting, carries));
        let message = format!("[{}]: there is no [bus.{}]", section.name(), bus.get_ref());
        section.report(bus.span(), message, "unknown bus", Some(help));
        return None;
    };
    if !fits(&lines[at]) {
        let message = format!("[{}]: a {} cannot be connected to this bus", section.name(), draft.driver_name());
        section.report(bus.span(), message, "wrong kind of bus", Some(which(&fitting, carries)));
        return None;
    }
    lines.get_mut(at)
}

/// Names the buses that would do, or how to write one.
fn which(fitting: &[String], carries: Carries) -> String {
    match (fitting, carries) {
        ([_, ..], _) => format!("add or change: bus = \"{}\"", fitting.join("\" or \"")),
        ([], Carries::I2c) => "add a bus:\n[bus.i2c-1]\nkind = \"i2c\"\ndevice = \"/dev/i2c-1\"".into(),
        ([], Carries::Modbus) => {
            "add a bus:\n[bus.plc]\nkind = \"modbus-tcp\"\naddress = \"192.168.1.5:502\"\nor one of kind \"serial\""
                .into()
        }
        ([], Carries::Serial) => "add a bus:\n[bus.port]\nkind = \"serial\"\ndevice = \"/dev/ttyUSB0\"".into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::section::Problem;
    use crate::source::testing::Bench;
    use rstest::rstest;

    const BUS: &str = "[bus.i2c-1]\nkind = \"i2c\"\ndevice = \"/dev/i2c-1\"\n";

    fn sensor(name: &str, keys: &str) -> String {
        format!("[sensor.{name}]\nbus = \"i2c-1\"\nevery = \"1s\"\n{keys}\n")
    }

    fn only_problem(sensors: &str) -> Problem {
        let mut problems = Bench::problems(&format!("{BUS}{sensors}"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }

    #[rstest]
    #[case("driver = \"bme28\"", "[sensor.a]: there is no driver `bme28`", "did you mean `bme280`?")]
    #[case("driver = \"bme280\"\naddress = 0x04", "`address` in [sensor.a] cannot be 0x04", "")]
    #[case("driver = \"bme280\"\naddress = 0x44", "`address` in [sensor.a] cannot be 0x44", "")]
    #[case("driver = \"bme280\"\nadress = 0x76", "[sensor.a] has no key `adress`", "did you mean `address`?")]
    #[case(
        "driver = \"bme280\"\nchannel.temprature.x = 1",
        "[sensor.a.channel.temprature]: a bme280 has no channel `temprature`",
        "did you mean `temperature`?"
    )]
    #[case("driver = \"ads1115\"\nrange = \"9V\"", "`range` in [sensor.a] is impossible", "")]
    fn what_is_wrong_with_a_sensor_is_said(#[case] keys: &str, #[case] message: &str, #[case] help: &str) {
        let problem = only_problem(&sensor("a", keys));
        assert_eq!(problem.message, message);
        if !help.is_empty() {
            assert_eq!(problem.help.as_deref(), Some(help));
        }
    }

    #[test]
    fn two_sensors_cannot_share_an_address() {
        let problem = only_problem(&(sensor("a", "driver = \"bme280\"") + &sensor("b", "driver = \"bmp280\"")));
        assert_eq!(problem.label, "[sensor.a] on the same bus has this address already");
    }

    #[test]
    fn a_bus_that_is_not_there_or_does_not_fit_is_said_with_what_would() {
        let problem = only_problem("[sensor.a]\ndriver = \"bme280\"\nbus = \"i2c-2\"\nevery = \"1s\"");
        assert_eq!(
            (problem.message.as_str(), problem.help.as_deref()),
            ("[sensor.a]: there is no [bus.i2c-2]", Some("did you mean `i2c-1`?"))
        );
        let problem = only_problem("[sensor.a]\ndriver = \"bme280\"\nevery = \"1s\"");
        assert_eq!(problem.help.as_deref(), Some("add or change: bus = \"i2c-1\""));
        let problem = only_problem("[bus.i2c-2]\nkind = \"i2d\"\n");
        assert_eq!(problem.help.as_deref(), Some("did you mean `i2c`?"));
    }

    #[test]
    fn a_polled_sensor_says_how_often() {
        let problem = only_problem("[sensor.a]\ndriver = \"bme280\"\nbus = \"i2c-1\"");
        assert_eq!(problem.message, "[sensor.a] does not say how often to read");
    }

    #[test]
    fn a_period_shorter_than_a_conversion_is_refused_with_the_arithmetic() {
        let problem = only_problem("[sensor.a]\ndriver = \"bme280\"\nbus = \"i2c-1\"\nevery = \"2ms\"");
        assert_eq!(problem.message, "[sensor.a]: a bme280 cannot be read every 2ms");
        assert!(problem.help.is_some_and(|help| help.contains("ms on the wire")));
    }

    #[test]
    fn a_bus_asked_for_more_than_it_can_carry_is_refused_with_the_arithmetic() {
        let slow = BUS.replace("device", "hertz = 1000\ndevice");
        let many = sensor("a", "driver = \"bme280\"").replace("1s", "200ms")
            + &sensor("b", "driver = \"sht3x\"").replace("1s", "200ms");
        let problems = Bench::problems(&format!("{slow}{many}"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.starts_with("[bus.i2c-1] is asked for more than it can carry"), "{problems:?}");
        assert!(problems[0].help.as_ref().is_some_and(|help| help.contains("a: ") && help.contains("every 200ms = ")));
    }

    #[test]
    fn many_problems_are_found_in_one_go() {
        let text =
            format!("{BUS}{}{}", sensor("a", "driver = \"bme28\""), sensor("b", "driver = \"bme280\"\naddress = 1"));
        assert_eq!(Bench::problems(&text).len(), 2);
    }

    #[test]
    fn every_driver_of_the_table_can_be_planned_on_a_simulated_bus() {
        for device in weir_drivers::TABLE {
            if !matches!(device.connection, weir_drivers::Connection::I2c { .. }) {
                continue;
            }
            let text = format!(
                "[gateway]\nid = \"g\"\n[bus.s]\nkind = \"sim\"\n[sensor.x]\ndriver = \"{}\"\nbus = \"s\"\nevery = \"1m\"\n",
                device.name
            );
            if let Err(report) = Config::parse(&text, "weir.toml") {
                panic!("{}: {report}", device.name);
            }
        }
    }
}
