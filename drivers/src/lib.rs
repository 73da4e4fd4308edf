//! Sensors on embedded-hal traits: what a chip says, turned into measurements with units, or into an error that
//! names what is wrong and what to do about it.
//!
//! A driver knows its registers and its mathematics. It does *not* know the gateway: it never sleeps, never retries,
//! keeps no clock and opens no device. Whoever drives it waits as long as [`Driver::start`] says, decides how often
//! to ask again after an error, and brings any bus that speaks `embedded_hal::i2c::I2c<Error = BusError>`:
//! Linux, the simulator in [`sim`], a mock, a multiplexer's port.
//!
//! Everything else (help texts, `scan`, the device table in the README, error suggestions) derives from [`TABLE`].

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bus;
mod channel;
mod error;
mod frame;
mod options;
mod registers;
mod sensirion;
mod table;
#[cfg(test)]
mod testing;

pub mod ads1115;
pub mod adxl345;
pub mod bh1750;
pub mod bme280;
pub mod bme680;
pub mod bmp280;
pub mod ina219;
pub mod ina226;
pub mod lm75;
pub mod mcp9808;
pub mod mhz19;
pub mod nmea;
pub mod pms5003;
pub mod scd4x;
pub mod sgp40;
pub mod sht3x;
pub mod sht4x;
pub mod sim;
pub mod tca9548a;
pub mod tmp117;

use core::time::Duration;

pub use bus::{I2c, Mapped};
pub use channel::{Channel, Kind, MAX_CHANNELS, Measurement, Measurements};
pub use error::{BusError, BusFault, Error, Fault, FrameError};
pub use options::{Accepts, OptionError, Options, Setting, Value};
pub use table::{Connection, Entry, Identify, Opened, TABLE, find};

/// A polled device: one conversation is [`start`](Self::start), a pause, [`read`](Self::read).
///
/// Any method may answer [`Error::NotReady`]: nothing is wrong, call the same method again after the given time (and
/// `read` with the same `out`, which keeps what is in it). The caller limits how often; a device that never gets
/// ready is stale. After any other error call [`init`](Self::init) before the next `start`: the chip may have lost power.
pub trait Driver {
    /// The channels of this instance, in the order of [`Measurement::channel`].
    ///
    /// Names and units are those of the device's row in [`TABLE`]; ranges may depend on the options (gain, shunt).
    fn channels(&self) -> &[Channel];

    /// Asks the chip who it is, reads its calibration, writes its configuration and reads it back.
    fn init(&mut self, bus: &mut I2c) -> Result<(), Error>;

    /// Begins a conversion and says how long it takes at most.
    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error>;

    /// Collects the conversion and appends its measurements to `out`.
    ///
    /// What is in `out` when this fails is good: a chip may know its voltage but not its current.
    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error>;
}

/// A device on a byte stream that talks by itself or answers to one request: bytes in, measurements out, no I/O.
pub trait Framing {
    /// The channels of this instance, in the order of [`Measurement::channel`].
    fn channels(&self) -> &[Channel];

    /// What is to be sent for each reading; `None` if the device talks by itself.
    fn request(&self) -> Option<&'static [u8]> {
        None
    }

    /// Takes one byte. `Ok(true)` when it completed a frame whose measurements are now in `out`.
    ///
    /// After an error the framing has already found its feet again: just go on with the next byte.
    fn push(&mut self, byte: u8, out: &mut Measurements) -> Result<bool, FrameError>;
}
