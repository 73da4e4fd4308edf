//! From the configuration to running sources: every bus and sensor is checked before anything is opened.

use super::{Alone, Arrival, BUSES, BusKind, Carries, Draft, Feed, Life, Open, Pulse, Source, TABLE};
use crate::clock::Clock;
use crate::config::{Section, did_you_mean};
use crate::record::Nanos;
use crate::registry::{Registry, SensorIndex};
use std::sync::Arc;
use std::time::Duration;
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

    /// Threads without a sign of life for longer than `limit`: they hang in the kernel or in a driver.
    pub fn hanging(&self, now: Nanos, limit: Duration) -> Vec<(&str, Duration)> {
        let silent = |p: &'_ Arc<Pulse>| p.silent_for(now).filter(|span| *span > limit);
        self.pulses.iter().filter_map(|p| Some((p.name(), silent(p)?))).collect()
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
    let fits = |line: &Line<'_, '_>| line.kind.is_none_or(|kind| kind.carries == carries);
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
        ([], Carries::Serial) => "add a bus:\n[bus.port]\nkind = \"serial\"\ndevice = \"/dev/ttyUSB0\"".into(),
    }
}
