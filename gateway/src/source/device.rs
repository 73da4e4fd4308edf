//! Devices of the driver table as sensors of an I2C bus: their keys, and whether the bus can carry them all.
//!
//! Nothing is opened here. What a conversation costs on the wire is measured on the chip's simulated twin.

use super::Draft;
use super::i2c::Sensor;
use crate::section::Section;
use serde::Deserialize;
use std::time::Duration;
use weir_drivers::{Accepts, Connection, Entry, Error, Measurements, OptionError, Options, Setting, Value, sim};

/// The addresses that a 7-bit device may have (NXP UM10204, table 4).
const ADDRESSES: std::ops::RangeInclusive<u8> = 0x08..=0x77;

/// The usual clock of an I2C bus, which Linux's adapters run at unless told otherwise.
const STANDARD_MODE: u32 = 100_000;

/// The clock of a bus.
pub(super) fn read_hertz(bus: &mut Section<'_, '_>) -> u32 {
    let hertz = bus.take_checked("hertz", "must be 1000 to 5000000", |h| (1_000..=5_000_000).contains(h));
    hertz.unwrap_or(STANDARD_MODE)
}

/// Reads the sensors of `bus`, and checks that it can carry them. `None` when anything was reported.
pub(super) fn read_sensors(bus: &Section<'_, '_>, hertz: u32, drafts: Vec<Draft<'_, '_>>) -> Option<Vec<Sensor>> {
    let count = drafts.len();
    let mut load = Load::new(hertz);
    let mut sensors: Vec<Sensor> = Vec::with_capacity(count);
    for draft in drafts {
        sensors.extend(read_sensor(draft, &mut load, &sensors));
    }
    load.check(bus);
    (sensors.len() == count).then_some(sensors)
}

/// The keys of one sensor; those of its device are declared in the table of drivers.
fn read_sensor(draft: Draft<'_, '_>, load: &mut Load, others: &[Sensor]) -> Option<Sensor> {
    let device = weir_drivers::find(draft.driver_name())?;
    let Connection::I2c { addresses, open, .. } = device.connection else { return None };
    let every = draft.require_every();
    let Draft { mut section, channels, .. } = draft;
    let address = read_address(&mut section, device.name, addresses, others);
    let options = read_options(&mut section, device.settings);
    let known: Vec<_> = device.channels.iter().map(|c| c.name).collect();
    channels.into_iter().for_each(|channel| super::check_channel(channel, device.name, &known));
    let driver = address
        .and_then(|address| open(address, &options).map_err(|error| refuse(&section, &error.to_string(), None)).ok());
    let sensor = || {
        let sensor = Sensor { name: section.key().into(), address: address?, every: every?, device, driver: driver? };
        load.add(&section, &sensor, &options)?;
        Some(sensor)
    };
    let sensor = sensor();
    section.finish();
    sensor
}

fn refuse(section: &Section<'_, '_>, message: &str, help: Option<String>) {
    section.report(section.place(), format!("[{}]: {message}", section.name()), "this sensor", help);
}

fn read_address(section: &mut Section<'_, '_>, device: &str, possible: &[u8], others: &[Sensor]) -> Option<u8> {
    let given = section.take_spanned::<u8>("address");
    let place = given.as_ref().map_or(section.place(), |g| g.span());
    let address = given.map(|g| g.into_inner()).or(possible.first().copied())?;
    let refuse = |label: String| {
        section.report(place, format!("`address` in [{}] cannot be {address:#04x}", section.name()), label, None);
    };
    let hex: Vec<_> = possible.iter().map(|a| format!("{a:#04x}")).collect();
    if !ADDRESSES.contains(&address) {
        refuse(format!("an I2C device has an address from 0x08 to 0x77; a {device} {}", hex.join(", ")));
    } else if !possible.contains(&address) {
        refuse(format!("a {device} can be set to {}", hex.join(", ")));
    } else if let Some(other) = others.iter().find(|s| s.address == address) {
        refuse(format!("[sensor.{}] on the same bus has this address already", other.name));
    } else {
        return Some(address);
    }
    None
}

/// An option's value in any of its forms; which one is right is the driver's business.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number, a word or a list of words")]
enum Written {
    Number(f64),
    Word(String),
    Words(Vec<String>),
}

/// Takes the options that a driver declares; wrong ones are reported and left at their default.
pub(super) fn read_options(section: &mut Section<'_, '_>, settings: &'static [Setting]) -> Options {
    let mut options = Options::new(settings);
    for setting in settings {
        let Some(written) = section.take_spanned::<Written>(setting.key) else { continue };
        let place = written.span();
        let value = match written.into_inner() {
            // `rate = 128` is as good as `rate = "128"`.
            Written::Number(number) if matches!(setting.accepts, Accepts::Word { .. }) => {
                Value::Word(number.to_string())
            }
            Written::Number(number) => Value::Number(number),
            Written::Word(word) => Value::Word(word),
            Written::Words(words) => Value::Words(words),
        };
        if let Err(OptionError { key, message }) = options.set(setting.key, value) {
            section.report(
                place,
                format!("`{key}` in [{}] is impossible", section.name()),
                message,
                Some(setting.help.into()),
            );
        }
    }
    options
}

/// What the sensors of a bus ask of it.
struct Load {
    hertz: u32,
    shares: Vec<(Box<str>, Duration, Duration)>,
}

impl Load {
    fn new(hertz: u32) -> Self {
        Self { hertz, shares: Vec::new() }
    }

    /// Adds a sensor; `None` when its device is too slow for its period, which is reported.
    fn add(&mut self, section: &Section<'_, '_>, sensor: &Sensor, options: &Options) -> Option<()> {
        let Ok(cost) = Conversation::measure(sensor.device, sensor.address, options, self.hertz) else {
            return Some(());
        };
        if cost.conversion + cost.wire > sensor.every {
            let message = format!("a {} cannot be read every {:?}", sensor.device.name, sensor.every);
            let (wire, conversion) = (cost.wire, cost.conversion);
            let help = format!("one conversion takes {conversion:?} and {wire:?} on the wire: choose a longer `every`");
            refuse(section, &message, Some(help));
            return None;
        }
        self.shares.push((sensor.name.clone(), cost.wire, sensor.every));
        Some(())
    }

    /// Reports a bus that would be busy for more than all of its time.
    fn check(&self, bus: &Section<'_, '_>) {
        let share = |wire: &Duration, every: &Duration| wire.as_secs_f64() / every.as_secs_f64();
        let total: f64 = self.shares.iter().map(|(_, wire, every)| share(wire, every)).sum();
        if total <= 1.0 {
            return;
        }
        let line = |(name, wire, every): &(Box<str>, Duration, Duration)| {
            format!("{name}: {:.2} ms every {every:?} = {:.0} %", wire.as_secs_f64() * 1e3, share(wire, every) * 100.0)
        };
        let sum = self.shares.iter().map(line).collect::<Vec<_>>().join("\n");
        bus.report(
            bus.place(),
            format!(
                "[{}] is asked for more than it can carry: {:.0} % of its time at {} Hz",
                bus.name(),
                total * 100.0,
                self.hertz
            ),
            "this bus",
            Some(format!("{sum}\nread less often, use a faster bus (`hertz`) or a second one")),
        );
    }
}

/// What one reading of a device takes.
struct Conversation {
    wire: Duration,
    conversion: Duration,
}

/// Far more steps than any chip needs to get ready.
const STEPS: usize = 100;

impl Conversation {
    /// Reads the simulated twin once and looks at the wire. An error says that the twin does not answer as it should.
    fn measure(device: &Entry, address: u8, options: &Options, hertz: u32) -> Result<Self, Error> {
        let Connection::I2c { open, simulate, .. } = device.connection else { return Err(NEVER) };
        let mut bus = sim::Bus::new(hertz);
        bus.attach(simulate(address));
        let mut driver = open(address, options).map_err(|_| NEVER)?;
        let driver = driver.as_mut();
        patiently(&mut bus, |bus| driver.init(bus))?;
        let before = bus.busy();
        let conversion = patiently(&mut bus, |bus| driver.start(bus))?;
        bus.advance(conversion);
        patiently(&mut bus, |bus| driver.read(bus, &mut Measurements::new()))?;
        Ok(Self { wire: bus.busy() - before, conversion })
    }
}

const NEVER: Error = Error::NotReady { after: Duration::MAX };

fn patiently<T>(bus: &mut sim::Bus, mut step: impl FnMut(&mut sim::Bus) -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..STEPS {
        match step(bus) {
            Err(Error::NotReady { after }) => bus.advance(after),
            done => return done,
        }
    }
    Err(NEVER)
}
