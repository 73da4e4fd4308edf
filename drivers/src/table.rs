//! The table of drivers: everything about a device that is not code. A new device is one new file, its `mod` line
//! and its row here.

use alloc::boxed::Box;

use crate::sim::Chip;
use crate::{Channel, Driver, Error, Framing, I2c, OptionError, Options, Setting};

/// Every device that Weir knows, in alphabetical order.
pub const TABLE: &[Entry] = &[];

/// One kind of device.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As in `driver = "bme280"`.
    pub name: &'static str,
    /// Maker and part.
    pub title: &'static str,
    /// What it measures; the ranges are those with default options.
    pub channels: &'static [Channel],
    /// The options it accepts beside those of every sensor.
    pub settings: &'static [Setting],
    /// How it is connected, and how to talk to it.
    pub connection: Connection,
    /// Typical accuracy, from the datasheet.
    pub accuracy: &'static str,
    /// Where the datasheet is.
    pub datasheet: &'static str,
    /// How the driver has been tested.
    pub tested: &'static str,
}

/// How a device is connected.
#[derive(Clone, Copy, Debug)]
pub enum Connection {
    /// An I2C chip.
    I2c {
        /// The 7-bit addresses it can be set to; the first is the usual one.
        addresses: &'static [u8],
        /// A driver for the chip at an address. Touches no bus; fails only for options that do not go together.
        open: fn(address: u8, &Options) -> Result<Box<dyn Driver + Send>, OptionError>,
        /// Whether the chip at an address is one of these. Only reads. `None` if the chip has nothing to tell by.
        identify: Option<fn(&mut I2c, address: u8) -> Result<bool, Error>>,
        /// The simulated twin at an address.
        simulate: fn(address: u8) -> Box<dyn Chip + Send>,
    },
    /// A device that talks by itself on a serial line.
    Serial {
        /// Its usual speed, 8 data bits, no parity, 1 stop bit.
        baud: u32,
        /// A framing for its bytes.
        open: fn(&Options) -> Result<Box<dyn Framing + Send>, OptionError>,
    },
}

/// The device called `name` in the configuration.
pub fn find(name: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.name == name)
}
