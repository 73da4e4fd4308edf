//! What the drivers' tests share: a conversation with a device, written down as a script.

use core::cell::RefCell;
use core::time::Duration;
use std::boxed::Box;
use std::rc::Rc;
use std::vec::Vec;

use embedded_hal::i2c::{ErrorKind, ErrorType, NoAcknowledgeSource, Operation};
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

use crate::{BusError, BusFault, Driver, Error, I2c, Mapped, Measurements, sim};

/// One exchange on the wire.
pub(crate) enum Step<'a> {
    /// The driver writes these bytes.
    Write(&'a [u8]),
    /// The driver writes the first bytes and then reads the second.
    Ask(&'a [u8], &'a [u8]),
    /// The driver reads these bytes.
    Read(&'a [u8]),
    /// The driver writes the first bytes and wants to read so many, but nobody is there.
    Silence(&'a [u8], usize),
}

/// Runs `talk` on a bus that plays exactly `steps`, no more and no less.
pub(crate) fn script<T>(address: u8, steps: &[Step], talk: impl FnOnce(&mut I2c) -> T) -> T {
    let silence = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
    let transactions: Vec<_> = steps
        .iter()
        .map(|step| match *step {
            Step::Write(bytes) => Transaction::write(address, bytes.into()),
            Step::Ask(bytes, answer) => Transaction::write_read(address, bytes.into(), answer.into()),
            Step::Read(answer) => Transaction::read(address, answer.into()),
            Step::Silence(bytes, 0) => Transaction::write(address, bytes.into()).with_error(silence),
            Step::Silence(&[], n) => Transaction::read(address, std::vec![0; n]).with_error(silence),
            Step::Silence(bytes, n) => {
                Transaction::write_read(address, bytes.into(), std::vec![0; n]).with_error(silence)
            }
        })
        .collect();
    let mut bus = Mapped::new(Mock::new(&transactions), BusError::from);
    let result = talk(&mut bus);
    bus.inner().done();
    result
}

/// The error of a register that nobody answers for.
pub(crate) const fn absent(register: &'static str) -> Error {
    Error::Bus { register, source: BusError::new(BusFault::Absent) }
}

/// A simulated bus that several drivers share, and whose time passes while one of them waits.
#[derive(Clone)]
pub(crate) struct Bench(Rc<RefCell<sim::Bus>>);

impl Bench {
    pub(crate) fn new(chip: Box<dyn sim::Chip + Send>) -> Self {
        let mut bus = sim::Bus::new(400_000);
        bus.attach(chip);
        Self(Rc::new(RefCell::new(bus)))
    }

    pub(crate) fn set(&self, address: u8, quantity: &str, value: f64) -> bool {
        self.0.borrow_mut().set(address, quantity, value)
    }

    pub(crate) fn wait(&self, time: Duration) {
        self.0.borrow_mut().advance(time);
    }
}

impl ErrorType for Bench {
    type Error = BusError;
}

impl embedded_hal::i2c::I2c for Bench {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusError> {
        self.0.borrow_mut().transaction(address, operations)
    }
}

impl embedded_hal::delay::DelayNs for Bench {
    fn delay_ns(&mut self, ns: u32) {
        self.wait(Duration::from_nanos(ns.into()));
    }
}

/// What `read` brings in, or its error.
pub(crate) fn collect(driver: &mut dyn Driver, bus: &mut I2c) -> Result<Measurements, Error> {
    let mut out = Measurements::new();
    driver.read(bus, &mut out).map(|()| out)
}

/// One whole conversation with the simulated chip `name` whose surroundings are `world`.
pub(crate) fn measure(name: &str, driver: &mut dyn Driver, world: &[(&str, f64)]) -> Result<Vec<f64>, Error> {
    let Some(crate::Connection::I2c { addresses, simulate, .. }) = crate::find(name).map(|entry| entry.connection)
    else {
        panic!("{name} is not an I2C device of the table");
    };
    let mut bus = sim::Bus::new(400_000);
    bus.attach(simulate(addresses[0]));
    for &(quantity, value) in world {
        assert!(bus.set(addresses[0], quantity, value), "the simulated {name} has no {quantity}");
    }
    patiently(&mut bus, |bus| driver.init(bus))?;
    let wait = patiently(&mut bus, |bus| driver.start(bus))?;
    bus.advance(wait);
    let mut out = Measurements::new();
    patiently(&mut bus, |bus| driver.read(bus, &mut out))?;
    Ok(out.iter().map(|measurement| measurement.value).collect())
}

/// Asks again as long as the device says that it is not ready, letting the time pass that it asks for.
fn patiently<T>(bus: &mut sim::Bus, mut ask: impl FnMut(&mut sim::Bus) -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..100 {
        match ask(bus) {
            Err(Error::NotReady { after }) => bus.advance(after.max(Duration::from_micros(1))),
            result => return result,
        }
    }
    panic!("never ready");
}

/// What a stream brings in: the values of each frame, or its error.
pub(crate) fn frames(framing: &mut dyn crate::Framing, stream: &[u8]) -> Vec<Result<Vec<f64>, crate::FrameError>> {
    let mut found = Vec::new();
    for &byte in stream {
        let mut out = Measurements::new();
        match framing.push(byte, &mut out) {
            Ok(false) => {}
            Ok(true) => found.push(Ok(out.iter().map(|measurement| measurement.value).collect())),
            Err(error) => found.push(Err(error)),
        }
    }
    found
}

/// Whether `values` are `expected`, each within `tolerance`.
#[track_caller]
pub(crate) fn assert_close(values: &[f64], expected: &[f64], tolerance: &[f64]) {
    assert_eq!(values.len(), expected.len());
    for ((value, expected), tolerance) in values.iter().zip(expected).zip(tolerance) {
        assert!((value - expected).abs() <= *tolerance, "{value} is not {expected} within {tolerance}");
    }
}
