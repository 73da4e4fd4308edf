//! What every device of the table must do, whoever wrote it.

use std::time::Duration;

use embedded_hal::i2c::{ErrorType, I2c, Operation};
use proptest::prelude::*;
use weir_drivers::sim::{self, Trouble};
use weir_drivers::{
    BusError, Connection, Driver, Entry, Error, Fault, Framing, Kind, MAX_CHANNELS, Measurements, Options, TABLE,
};

/// An I2C device of the table on a simulated bus of its own.
struct Bench {
    entry: &'static Entry,
    driver: Box<dyn Driver + Send>,
    address: u8,
    bus: Wire,
}

/// A simulated bus on which one bit of all that is read may be wrong.
struct Wire {
    chips: sim::Bus,
    /// How many bits are still read before it.
    flip: usize,
}

impl ErrorType for Wire {
    type Error = BusError;
}

impl I2c for Wire {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        self.chips.transaction(address, operations)?;
        for operation in operations {
            let Operation::Read(buffer) = operation else { continue };
            if let Some(byte) = buffer.get_mut(self.flip / 8) {
                *byte ^= 1 << (self.flip % 8);
            }
            self.flip = self.flip.checked_sub(8 * buffer.len()).unwrap_or(usize::MAX);
        }
        Ok(())
    }
}

#[expect(clippy::expect_used, reason = "a driver that does not open with its defaults fails the test")]
fn benches() -> impl Iterator<Item = Bench> {
    TABLE.iter().filter_map(|entry| {
        let Connection::I2c { addresses, open, simulate, .. } = entry.connection else {
            return None;
        };
        let (address, mut chips) = (addresses[0], sim::Bus::new(400_000));
        chips.attach(simulate(address));
        let bus = Wire { chips, flip: usize::MAX };
        let driver = open(address, &Options::new(entry.settings)).expect(entry.name);
        Some(Bench { entry, driver, address, bus })
    })
}

impl Bench {
    fn init(&mut self) -> Result<(), Error> {
        patiently(&mut self.bus, |bus| self.driver.init(bus))
    }

    fn measure(&mut self) -> Result<Measurements, Error> {
        let wait = patiently(&mut self.bus, |bus| self.driver.start(bus))?;
        self.bus.chips.advance(wait);
        let mut out = Measurements::new();
        patiently(&mut self.bus, |bus| self.driver.read(bus, &mut out))?;
        Ok(out)
    }
}

/// Asks until the device is ready or `Stale` after ten thousand times.
fn patiently<T>(bus: &mut Wire, mut ask: impl FnMut(&mut Wire) -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..10_000 {
        match ask(bus) {
            Err(Error::NotReady { after }) => bus.chips.advance(after.max(Duration::from_micros(10))),
            result => return result,
        }
    }
    Err(Error::Stale { register: "never ready" })
}

#[test]
fn the_table_is_in_order_and_its_rows_make_sense() {
    assert!(TABLE.is_sorted_by(|a, b| a.name < b.name), "names must be unique and in order");
    for entry in TABLE {
        assert!((1..=MAX_CHANNELS).contains(&entry.channels.len()), "{}", entry.name);
        assert!(entry.datasheet.starts_with("https://"), "{}", entry.name);
        for channel in entry.channels {
            let (name, (low, high)) = (channel.name, channel.valid);
            assert!(low < high && low <= channel.span.0 && channel.span.1 <= high, "{}/{name}", entry.name);
            assert!(!channel.unit.is_empty(), "{}/{name}", entry.name);
            assert!(channel.kind != Kind::State || low == 0.0, "{}/{name}", entry.name);
        }
    }
}

#[test]
fn an_instance_has_channels_of_its_row() {
    for bench in benches() {
        let named = |name| bench.entry.channels.iter().find(|channel| channel.name == name);
        for channel in bench.driver.channels() {
            let row = named(channel.name).expect(channel.name);
            assert_eq!((row.unit, row.kind), (channel.unit, channel.kind), "{}", bench.entry.name);
        }
    }
}

#[test]
fn every_simulated_chip_is_measured_in_full_and_within_its_range() {
    for mut bench in benches() {
        let name = bench.entry.name;
        bench.init().expect(name);
        for n in 0..60 {
            let out = bench.measure().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(n < 59 || out.len() == bench.driver.channels().len(), "{name} is still not complete");
            for measurement in out.iter() {
                let channel = bench.driver.channels()[usize::from(measurement.channel)];
                let (low, high) = channel.valid;
                assert!((low..=high).contains(&measurement.value), "{name}/{}: {}", channel.name, measurement.value);
            }
        }
    }
}

#[test]
fn every_simulated_chip_is_identified_and_no_other_is() {
    for bench in benches() {
        let Connection::I2c { identify: Some(identify), .. } = bench.entry.connection else {
            continue;
        };
        for mut other in benches() {
            let kin = bench.entry.title == other.entry.title;
            let says = patiently(&mut other.bus, |bus| identify(bus, other.address));
            assert_eq!(says == Ok(true), kin, "{} about {}", bench.entry.name, other.entry.name);
        }
    }
}

#[test]
fn an_unplugged_chip_is_absent_and_back_after_init() {
    for mut bench in benches() {
        let name = bench.entry.name;
        bench.init().expect(name);
        bench.bus.chips.trouble(bench.address, Some(Trouble::Unplugged));
        assert_eq!(bench.measure().unwrap_err().fault(), Some(Fault::Absent), "{name}");
        assert_eq!(bench.init().unwrap_err().fault(), Some(Fault::Absent), "{name}");
        bench.bus.chips.trouble(bench.address, None);
        bench.init().expect(name);
        bench.measure().expect(name);
    }
}

#[test]
fn a_damaged_answer_is_noticed_by_chips_with_checksums() {
    for mut bench in benches().filter(|bench| bench.entry.title.starts_with("Sensirion")) {
        let name = bench.entry.name;
        bench.init().expect(name);
        bench.bus.chips.trouble(bench.address, Some(Trouble::WrongChecksum));
        assert_eq!(bench.measure().unwrap_err().fault(), Some(Fault::Checksum), "{name}");
    }
}

#[test]
fn a_chip_that_is_ten_times_too_slow_is_waited_for_or_noticed() {
    for mut bench in benches() {
        let name = bench.entry.name;
        bench.init().expect(name);
        let before = bench.measure().expect(name);
        bench.bus.chips.trouble(bench.address, Some(Trouble::Slow(10)));
        if let Ok(late) = bench.measure() {
            assert_eq!(late, before, "{name} makes up data");
        }
    }
}

#[test]
fn a_stuck_bus_is_called_that() {
    for mut bench in benches() {
        bench.bus.chips.stick(true);
        assert_eq!(bench.init().unwrap_err().fault(), Some(Fault::BusStuck), "{}", bench.entry.name);
    }
}

/// Most chips forget their configuration and say so; some measure on by themselves, and rightly.
#[test]
fn a_power_cut_during_a_conversion_never_makes_up_data() {
    for mut bench in benches() {
        let name = bench.entry.name;
        bench.init().expect(name);
        let before = bench.measure().expect(name);
        let wait = patiently(&mut bench.bus, |bus| bench.driver.start(bus)).expect(name);
        bench.bus.chips.trouble(bench.address, Some(Trouble::Unplugged));
        bench.bus.chips.trouble(bench.address, None);
        bench.bus.chips.advance(wait);
        let mut out = Measurements::new();
        match patiently(&mut bench.bus, |bus| bench.driver.read(bus, &mut out)) {
            Ok(()) => assert_eq!(out, before, "{name}"),
            Err(_) => assert!(out.is_empty(), "{name}: {out:?}"),
        }
    }
}

/// Serial devices of the table, each with its twin.
fn talkers() -> impl Iterator<Item = (&'static Entry, Box<dyn Framing + Send>, Box<dyn sim::Talker + Send>)> {
    TABLE.iter().filter_map(|entry| {
        let Connection::Serial { open, simulate, .. } = entry.connection else { return None };
        Some((entry, open(&Options::new(entry.settings)).ok()?, simulate()))
    })
}

/// All values of a stream by channel, and how many errors there were.
fn listen(framing: &mut dyn Framing, stream: &[u8]) -> (Measurements, usize) {
    let (mut out, mut errors) = (Measurements::new(), 0);
    for &byte in stream {
        errors += usize::from(framing.push(byte, &mut out).is_err());
    }
    (out, errors)
}

#[test]
fn every_simulated_talker_is_read_as_it_was_set() {
    let mut tested = 0;
    for (entry, mut framing, mut twin) in talkers() {
        for (n, channel) in entry.channels.iter().enumerate() {
            assert!(twin.set(channel.name, n as f64 + 1.0), "{}/{}", entry.name, channel.name);
        }
        let (out, errors) = listen(&mut *framing, &twin.say());
        assert_eq!((out.len(), errors), (entry.channels.len(), 0), "{}", entry.name);
        for measurement in out.iter() {
            let expected = f64::from(measurement.channel) + 1.0;
            assert!((measurement.value - expected).abs() < 0.001, "{}: {measurement:?}", entry.name);
        }
        tested += 1;
    }
    assert_eq!(tested, 3);
}

/// A bus on which a device answers every read with the next of some bytes.
struct Babble {
    bytes: Vec<u8>,
    at: usize,
}

impl ErrorType for Babble {
    type Error = BusError;
}

impl I2c for Babble {
    fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        for operation in operations {
            let Operation::Read(buffer) = operation else {
                continue;
            };
            for byte in buffer.iter_mut() {
                *byte = self.bytes[self.at % self.bytes.len()];
                self.at += 1;
            }
        }
        Ok(())
    }
}

/// Each bit that a chip with checksums sends, flipped on its own: noticed, or of no consequence.
#[test]
fn checksums_let_no_flipped_bit_through() {
    let converse = |mut bench: Bench| bench.init().and_then(|()| bench.measure());
    for (n, bench) in benches().enumerate().filter(|(_, bench)| bench.entry.title.starts_with("Sensirion")) {
        let name = bench.entry.name;
        let truth = converse(bench).expect(name);
        let mut noticed = 0;
        for (bit, mut bench) in (0..8 * 24).filter_map(|bit| Some((bit, benches().nth(n)?))) {
            bench.bus.flip = bit;
            match converse(bench) {
                Ok(values) => assert_eq!(values, truth, "{name}: bit {bit}"),
                Err(error) => {
                    assert_eq!(error.fault(), Some(Fault::Checksum), "{name}: bit {bit}");
                    noticed += 1;
                }
            }
        }
        assert!(noticed >= 8 * 6, "{name} reads fewer bytes than it has");
    }
}

proptest! {
    /// No sequence of bytes from a device panics a driver or makes it return a value that is not finite.
    ///
    /// `Measurements` would leave such a value out, so a driver that lets one through comes out short.
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
        for mut bench in benches() {
            let mut bus = Babble { bytes: bytes.clone(), at: 0 };
            let mut out = Measurements::new();
            for _ in 0..8 {
                let _ = bench.driver.init(&mut bus);
                let _ = bench.driver.start(&mut bus);
                out.clear();
                if bench.driver.read(&mut bus, &mut out).is_ok() {
                    prop_assert!(!out.is_empty(), "{}", bench.entry.name);
                }
                prop_assert!(out.iter().all(|measurement| measurement.value.is_finite()));
            }
        }
    }

    /// The same for devices on a serial line, whose next good frame must count again.
    #[test]
    fn arbitrary_bytes_on_a_line_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (entry, mut framing, mut twin) in talkers() {
            let (out, _) = listen(&mut *framing, &bytes);
            prop_assert!(out.iter().all(|measurement| measurement.value.is_finite()));
            let (first, _) = listen(&mut *framing, &twin.say());
            let (second, _) = listen(&mut *framing, &twin.say());
            prop_assert!(!first.is_empty() || !second.is_empty(), "{} lost its feet", entry.name);
        }
    }

    /// The same from a chip whose identity and calibration are genuine and whose data are not.
    #[test]
    fn garbage_after_a_good_start_does_no_harm(start in any::<u16>()) {
        for mut bench in benches() {
            bench.init().expect(bench.entry.name);
            for _ in 0..start % 64 {
                let _ = bench.measure();
            }
            bench.bus.chips.trouble(bench.address, Some(Trouble::Garbage));
            for _ in 0..20 {
                if let Ok(out) = bench.measure() {
                    prop_assert!(!out.is_empty() && out.iter().all(|measurement| measurement.value.is_finite()));
                }
            }
        }
    }
}
