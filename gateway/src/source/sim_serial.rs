//! `kind = "sim-serial"`: a device that prints lines on a real pseudo-terminal, driven by a [`Scenario`].
//!
//! Weir reads it through the same port code as a real one. A device of the driver table sends its own frames. For others
//! `line` says what is printed: `"T={temperature:.2}"` puts in the scenario's value with two digits.

use super::dice::Dice;
use super::pty::Pty;
use super::scenario::{Fault, FaultKind, Scenario, World, active};
use super::serial::{self, Port};
use super::{BusKind, Carries, Draft, Feed, Life, Running, Source};
use crate::registry::Declared;
use crate::section::{Section, Span};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use weir_drivers::Connection;
use weir_drivers::sim::Talker;

pub(super) const KIND: BusKind = BusKind {
    name: "sim-serial",
    summary: "a simulated device on a pseudo-terminal, `line = \"{weight:.1} kg\"`, driven by a scenario",
    carries: Carries::Serial,
    open,
};

fn open(mut section: Section<'_, '_>, drafts: Vec<Draft<'_, '_>>) -> Option<Box<dyn Source>> {
    let sensor = drafts.first()?.section.key().to_owned();
    let mut scenario = Scenario::read(&mut section);
    let world = scenario.take(&sensor);
    let voice = match weir_drivers::find(drafts.first()?.driver_name()).map(|device| device.connection) {
        Some(Connection::Serial { simulate, .. }) => read_device(&section, simulate(), &world),
        _ => read_line(&mut section, &world),
    };
    let every = section.take::<Span>("every").map_or(Duration::from_secs(1), |s| s.0).max(Duration::from_millis(1));
    let device = Arc::new(Mutex::new(None));
    let port = Port::read(&mut section, drafts.first(), Arc::clone(&device));
    let reader = serial::connect(&section, port, drafts);
    let everywhere = scenario.finish(&section);
    section.finish();
    let dice = Dice::new(1, &sensor);
    let printer = Printer { device, voice: voice?, every, world, everywhere, dice, pty: None, last: Vec::new() };
    Some(Box::new(Simulated { printer, reader: reader? }))
}

fn read_line(section: &mut Section<'_, '_>, world: &World) -> Option<Voice> {
    let line = section.require::<toml::Spanned<String>>("line", "\"T={temperature:.2}\"")?;
    let refuse =
        |why| section.report(line.span(), format!("`line` in [{}] cannot be printed", section.name()), why, None);
    Line::read(line.get_ref(), world).map_err(refuse).map(Voice::Line).ok()
}

fn read_device(section: &Section<'_, '_>, mut device: Box<dyn Talker + Send>, world: &World) -> Option<Voice> {
    let unknown = world.signals.iter().find(|(quantity, signal)| !device.set(quantity, signal.clone().at(0.0)));
    if let Some((quantity, _)) = unknown {
        let message = format!("the scenario of [{}] sets `{quantity}`", section.name());
        section.report(section.place(), message, "the device does not sense it", None);
        return None;
    }
    Some(Voice::Device(device))
}

/// A device and Weir's end of the line.
struct Simulated {
    printer: Printer,
    reader: Box<dyn Source>,
}

impl Source for Simulated {
    fn channels(&self) -> Vec<Vec<Declared>> {
        self.reader.channels()
    }

    fn run(self: Box<Self>, feeds: Vec<Feed>, life: Life) -> Running {
        let Self { mut printer, reader } = *self;
        printer.plug_in();
        let reading = reader.run(feeds, life.clone());
        Box::pin(async move {
            tokio::select! {
                () = reading => {}
                () = printer.print() => {}
                // Both ends go at once; the reader has nothing to add.
                () = life.over() => {}
            }
        })
    }
}

/// The device: prints a line every so often while its cable is plugged in.
struct Printer {
    device: Arc<Mutex<Option<PathBuf>>>,
    voice: Voice,
    every: Duration,
    world: World,
    everywhere: Vec<Fault>,
    dice: Dice,
    pty: Option<Pty>,
    /// What was said last.
    last: Vec<u8>,
}

impl Printer {
    async fn print(mut self) {
        let start = Instant::now();
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for tick in 0u64.. {
            ticks.tick().await;
            self.tick(tick, start.elapsed().as_secs_f64());
        }
    }

    fn tick(&mut self, tick: u64, t: f64) {
        let fault = self.world.fault(t).or_else(|| active(&self.everywhere, t)).copied();
        match fault.map(|fault| (fault.kind, fault.times)) {
            Some((FaultKind::Unplug, _)) => return self.unplug(),
            Some((FaultKind::Slow, times)) if !tick.is_multiple_of(times.max(1).into()) => return,
            Some((FaultKind::Frozen, _)) => {}
            _ => self.last = self.voice.say(&mut self.world, t),
        }
        self.plug_in();
        let bytes = self.spoil(fault.map(|fault| fault.kind));
        if let Some(pty) = &mut self.pty {
            pty.send(&bytes);
        }
    }

    fn plug_in(&mut self) {
        if self.pty.is_none() {
            self.pty = Pty::open().map_err(|e| tracing::error!("there is no pseudo-terminal to be had: {e}")).ok();
            self.say_where();
        }
    }

    fn unplug(&mut self) {
        self.pty = None;
        self.say_where();
    }

    fn say_where(&self) {
        *self.device.lock().unwrap_or_else(PoisonError::into_inner) = self.pty.as_ref().map(Pty::path);
    }

    fn spoil(&mut self, fault: Option<FaultKind>) -> Vec<u8> {
        let line = self.last.as_slice();
        match fault {
            Some(FaultKind::Garbage) => line.iter().map(|_| self.dice.roll() as u8).collect(),
            Some(FaultKind::Damage) => line[..line.len() / 2].to_vec(),
            _ => line.to_vec(),
        }
    }
}

/// What the device says.
enum Voice {
    Line(Line),
    Device(Box<dyn Talker + Send>),
}

impl Voice {
    fn say(&mut self, world: &mut World, t: f64) -> Vec<u8> {
        match self {
            Self::Line(line) => line.print(world, t).into_bytes(),
            Self::Device(device) => {
                for (quantity, signal) in &mut world.signals {
                    device.set(quantity, signal.at(t));
                }
                device.say()
            }
        }
    }
}

/// What is printed: texts and quantities in turn.
struct Line(Vec<Piece>);

enum Piece {
    Text(String),
    /// Which signal, with how many digits.
    Quantity(usize, usize),
}

impl Line {
    /// `{name}` or `{name:.2}`; everything else stands for itself.
    fn read(text: &str, world: &World) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, after) = after.split_once('}').ok_or("a { has no }")?;
            let (name, digits) = inside.split_once(":.").unwrap_or((inside, "3"));
            let signal = world.signals.iter().position(|(quantity, _)| quantity == name);
            let known: Vec<_> = world.signals.iter().map(|(quantity, _)| quantity.as_str()).collect();
            let signal = signal.ok_or_else(|| format!("the scenario has no `{name}`, only: {}", known.join(", ")))?;
            let digits =
                digits.parse().ok().filter(|d| *d <= 15).ok_or_else(|| format!("`{digits}` is no number of digits"))?;
            pieces.extend([Piece::Text(before.into()), Piece::Quantity(signal, digits)]);
            rest = after;
        }
        pieces.push(Piece::Text(format!("{rest}\n")));
        Ok(Self(pieces))
    }

    fn print(&self, world: &mut World, t: f64) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Quantity(signal, digits) => {
                let value = world.signals.get_mut(*signal).map_or(0.0, |(_, signal)| signal.at(t));
                format!("{value:.digits$}")
            }
        };
        self.0.iter().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::source::testing::Bench;

    const SCALE: &str = r#"
        [bus.port]
        kind = "sim-serial"
        line = "ST,{weight:.1} kg"
        every = "5ms"
        value.scale.weight = 12.34
        [sensor.scale]
        driver = "text"
        bus = "port"
        match = '^ST,(?<weight>[0-9.]+) kg$'
    "#;

    #[test]
    fn what_is_printed_is_read_through_a_real_port() {
        let mut bench = Bench::start(SCALE);
        bench.until(|b| b.values("scale/weight").len() >= 20);
        assert!(bench.values("scale/weight").iter().all(|w| *w == 12.3));
        bench.stop();
    }

    #[test]
    fn an_unplugged_port_comes_back_with_another_name() {
        let fault = "[[bus.port.fault]]\nsensor = \"scale\"\nkind = \"unplug\"\nat = \"200ms\"\nfor = \"300ms\"";
        let mut bench = Bench::start(&format!("{SCALE}{fault}"));
        bench.until(|b| !b.failures("scale").is_empty());
        let before = bench.values("scale/weight").len();
        bench.until(|b| b.values("scale/weight").len() > before + 5);
        assert!(before > 0);
    }

    #[test]
    fn half_lines_never_become_values() {
        let fault = "[[bus.port.fault]]\nkind = \"damage\"\nat = \"100ms\"\nfor = \"100ms\"";
        let mut bench = Bench::start(&format!("{SCALE}{fault}"));
        bench.until(|b| !b.failures("scale").is_empty() && b.values("scale/weight").len() > 60);
        assert!(bench.values("scale/weight").iter().all(|w| *w == 12.3), "{:?}", bench.values("scale/weight"));
    }

    #[test]
    fn a_line_that_cannot_be_printed_is_a_problem() {
        let problems = Bench::problems(&SCALE.replace("{weight:.1}", "{wait}"));
        assert_eq!(problems[0].label, "the scenario has no `wait`, only: weight");
    }

    fn device(driver: &str, value: &str) -> String {
        format!(
            "[bus.p]\nkind = \"sim-serial\"\nevery = \"10ms\"\n{value}\n[sensor.air]\ndriver = \"{driver}\"\nbus = \"p\"\nevery = \"20ms\"\n"
        )
    }

    #[test]
    fn devices_of_the_table_send_their_own_frames() {
        let mut bench = Bench::start(&device("pms5003", "value.air.pm2_5 = 12"));
        bench.until(|b| b.values("air/pm2_5").len() >= 3);
        assert!(bench.values("air/pm2_5").iter().all(|v| *v == 12.0), "{:?}", bench.values("air/pm2_5"));
    }

    #[test]
    fn a_device_that_waits_to_be_asked_is_asked_and_its_silence_is_a_failure() {
        let mut bench = Bench::start(&device("mhz19", "value.air.co2 = 800"));
        bench.until(|b| b.values("air/co2").len() >= 3);
        assert!(bench.values("air/co2").iter().all(|v| *v == 800.0));
        let silent = crate::source::pty::Pty::open().unwrap();
        let config = device("mhz19", &format!("device = {:?}", silent.path()))
            .replace("sim-serial", "serial")
            .replace("every = \"10ms\"\n", "");
        let mut bench = Bench::start(&config);
        bench.until(|b| b.failures("air").len() >= 2);
        assert!(bench.failures("air")[0].starts_with("the device does not answer"));
    }

    #[test]
    fn every_serial_device_of_the_table_is_read_from_its_twin() {
        for entry in
            weir_drivers::TABLE.iter().filter(|e| matches!(e.connection, weir_drivers::Connection::Serial { .. }))
        {
            let mut bench = Bench::start(&device(entry.name, ""));
            bench.until(|b| b.arrivals.iter().any(|a| matches!(a, crate::source::Arrival::Reading { .. })));
        }
    }
}
