//! I2C buses: a named thread for each, because every transaction is a blocking ioctl, with its sensors on their time grids.
//!
//! While one chip converts, others are served. What a bus can carry is checked with the simulated twins of its chips before
//! anything is opened. The wire itself is Linux's here and a simulated one in [`super::sim`].

use super::poll::{Poll, nanos};
use super::{BusKind, Carries, Closed, Draft, Feed, Life, Running, Source, device, thread};
use crate::clock::Clock;
use crate::record::Nanos;
use crate::registry::Declared;
use crate::section::Section;
use linux_embedded_hal::I2cdev;
use linux_embedded_hal::i2cdev::linux::LinuxI2CError;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;
use weir_drivers::{BusError, BusFault, Driver, I2c, Mapped};

pub(super) const KIND: BusKind =
    BusKind { name: "i2c", summary: "an I2C adapter of Linux, `device = \"/dev/i2c-1\"`", carries: Carries::I2c, open };

/// What carries the conversations of one bus.
pub(super) trait Wire: Send {
    /// The bus for the sensor in `slot`, at boot time `now`; opened anew if `fresh`.
    fn at(&mut self, slot: usize, fresh: bool, now: Nanos) -> Result<&mut I2c<'_>, BusError>;
}

/// A bus with its sensors, in the order of the configuration.
pub(super) struct Bus<W> {
    pub(super) wire: W,
    pub(super) sensors: Vec<Sensor>,
}

/// A chip on the bus.
pub(super) struct Sensor {
    pub(super) name: Box<str>,
    pub(super) address: u8,
    pub(super) every: Duration,
    pub(super) device: &'static weir_drivers::Entry,
    pub(super) driver: Box<dyn Driver + Send>,
}

/// Reads a `[bus.NAME]` of kind `i2c` and its sensors.
fn open(mut section: Section<'_, '_>, drafts: Vec<Draft<'_, '_>>) -> Option<Box<dyn Source>> {
    let device = section.require::<PathBuf>("device", "\"/dev/i2c-1\"");
    let hertz = device::read_hertz(&mut section);
    let sensors = device::read_sensors(&section, hertz, drafts);
    section.finish();
    let sensors = sensors?;
    let wire = Linux::new(device?, sensors.len());
    Some(Box::new(Bus { wire, sensors }))
}

impl<W: Wire + 'static> Source for Bus<W> {
    fn channels(&self) -> Vec<Vec<Declared>> {
        let of = |s: &Sensor| s.driver.channels().iter().map(super::poll::declared).collect();
        self.sensors.iter().map(of).collect()
    }

    fn run(self: Box<Self>, feeds: Vec<Feed>, life: Life) -> Running {
        thread::run(life, move |life, runtime| {
            let Some(clock) = feeds.first().map(|feed| feed.clock().clone()) else { return };
            let polls = polls(self.sensors, feeds, clock.now());
            serve(self.wire, polls, &clock, life, runtime);
        })
    }
}

/// Polls begin one after the other within their period, so that they do not all want the bus at the same moment.
pub(super) fn polls(sensors: Vec<Sensor>, feeds: Vec<Feed>, now: Nanos) -> Vec<Poll> {
    let count = sensors.len().max(1) as i64;
    let first = |sensor: &Sensor, n: i64| now + nanos(sensor.every) / count * n;
    let pairs = sensors.into_iter().zip(feeds).zip(0..);
    pairs.map(|((s, feed), n)| Poll::new(feed, first(&s, n), s)).collect()
}

/// The thread: whoever has waited longest for its turn is served next.
fn serve(mut wire: impl Wire, mut polls: Vec<Poll>, clock: &Clock, life: &Life, runtime: &Handle) {
    while let Some(slot) = (0..polls.len()).min_by_key(|slot| polls[*slot].next()) {
        if !life.sleep_until(runtime, polls[slot].next()) {
            break;
        }
        if turn(&mut wire, &mut polls[slot], slot, clock.now()) == Err(Closed) {
            return;
        }
    }
    let now = clock.now();
    for poll in &mut polls {
        tracing::debug!("polls began at most {:?} late, 99 of 100 of them", poll.lateness().quantile(0.99));
        let _ = poll.finish(now);
    }
}

pub(super) fn turn(wire: &mut impl Wire, poll: &mut Poll, slot: usize, now: Nanos) -> Result<(), Closed> {
    poll.step(wire.at(slot, !poll.is_ready(), now), now)
}

/// An adapter of the kernel. One handle for each sensor: changing the address of a handle means opening it anew.
struct Linux {
    device: PathBuf,
    handles: Vec<Option<Mapped<I2cdev>>>,
}

impl Linux {
    fn new(device: PathBuf, sensors: usize) -> Self {
        Self { device, handles: (0..sensors).map(|_| None).collect() }
    }
}

impl Wire for Linux {
    fn at(&mut self, slot: usize, fresh: bool, _now: Nanos) -> Result<&mut I2c<'_>, BusError> {
        let handle = self.handles.get_mut(slot).ok_or(BusError::new(BusFault::Other))?;
        if fresh {
            *handle = None;
        }
        let device = handle.take().map_or_else(|| open_adapter(&self.device), Ok)?;
        Ok(handle.insert(device))
    }
}

/// Opens an adapter of the kernel.
pub(super) fn open_adapter(device: &Path) -> Result<Mapped<I2cdev>, BusError> {
    let adapter = I2cdev::new(device).map_err(|error| bus_error(&error))?;
    Ok(Mapped::new(adapter, |error| bus_error(error.inner())))
}

fn bus_error(error: &LinuxI2CError) -> BusError {
    let errno = match error {
        LinuxI2CError::Errno(errno) => Some(*errno),
        LinuxI2CError::Io(error) => error.raw_os_error(),
    };
    errno.map_or(BusError::new(BusFault::Other), BusError::from_errno)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Bench;

    #[test]
    fn an_adapter_that_is_not_there_is_said_so_and_tried_again() {
        let mut bench = Bench::start(
            "[bus.i2c-9]\nkind = \"i2c\"\ndevice = \"/dev/i2c-none\"\n[sensor.boiler]\ndriver = \"bme280\"\nbus = \"i2c-9\"\nevery = \"20ms\"",
        );
        bench.until(|b| b.failures("boiler").len() >= 3);
        let why = bench.failures("boiler");
        assert!(
            why[0].starts_with("the bus has disappeared (error 2)") && why[0].contains("plug the adapter back in"),
            "{why:?}"
        );
        bench.stop();
    }

    #[test]
    fn errors_of_the_kernel_keep_their_number() {
        let io = std::io::Error::from_raw_os_error(13);
        assert_eq!(bus_error(&LinuxI2CError::Io(io)).kind, BusFault::Permission);
        assert_eq!(bus_error(&LinuxI2CError::Errno(121)), BusError { kind: BusFault::Absent, errno: Some(121) });
    }
}
