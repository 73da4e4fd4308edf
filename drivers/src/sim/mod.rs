//! The chips as hardware that is not there: each simulated at register level, written from its datasheet and not
//! from our driver, behind the same embedded-hal traits as the real thing.
//!
//! [`Bus`] is the wire with its chips; whoever owns it sets the quantities around the sensors, lets time pass with
//! [`Bus::advance`] and breaks things with [`Trouble`]. It has no clock and no threads of its own.

pub mod ads1115;
pub mod adxl345;
pub mod bh1750;
pub mod bme280;
pub mod bme680;
mod bus;
pub mod ina219;
pub mod ina226;
pub mod lm75;
pub mod mcp9808;
pub mod scd4x;
pub mod sgp40;
pub mod sht3x;
pub mod sht4x;
mod talkers;
pub mod tca9548a;
pub mod tmp117;
mod wire;

use core::time::Duration;

pub use bus::{Bus, Place};
pub use talkers::{Talker, mhz19, nmea, pms5003};

/// One simulated chip. Time only passes in [`advance`](Self::advance).
pub trait Chip {
    /// The 7-bit address it answers to.
    fn address(&self) -> u8;

    /// Takes a message: the bytes that a controller writes after the address.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack>;

    /// Fills the whole buffer with what the chip puts on the wire.
    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack>;

    /// Registers as after a power-on reset. The world around the sensor stays as it is.
    fn power_on(&mut self);

    /// Lets time pass: conversions finish.
    fn advance(&mut self, by: Duration);

    /// Sets a quantity of the world around the sensor, by channel name and in the channel's unit.
    /// False if the chip does not sense it.
    fn set(&mut self, quantity: &str, value: f64) -> bool;

    /// Whether this is a multiplexer that has `port` open.
    fn connects(&self, _port: u8) -> bool {
        false
    }
}

/// The chip does not acknowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack;

/// What can be wrong with one simulated chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Off the bus and without power; plugged back in, it starts from its power-on state.
    Unplugged,
    /// Every byte read from it is random.
    Garbage,
    /// The last bit of every answer is wrong: the checksum of chips that have one.
    WrongChecksum,
    /// It senses nothing new: [`Bus::set`] is ignored.
    Frozen,
    /// Its own time runs this many times slower: conversions are late.
    Slow(u32),
}
