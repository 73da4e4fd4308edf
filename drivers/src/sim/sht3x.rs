//! SHT3x at command level (datasheet SHT3x-DIS, sections 4.3 to 4.13).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::wire::{Commands, Model, sensirion};
use super::{Chip, Nack};

/// A simulated SHT3x.
pub fn sht3x(address: u8) -> Box<dyn Chip + Send> {
    let mut model = Sht3x { temperature: 20.0, humidity: 50.0, ..Sht3x::default() };
    model.power_on();
    sensirion(address, model)
}

#[derive(Default)]
struct Sht3x {
    temperature: f64,
    humidity: f64,
    status: u16,
    pending: Pending,
    remaining: Duration,
}

/// What the next read header gets.
#[derive(Default)]
enum Pending {
    #[default]
    Nothing,
    Status,
    Measurement,
}

impl Model for Sht3x {
    /// Table 18: alert pending and reset detected.
    fn power_on(&mut self) {
        (self.status, self.pending, self.remaining) = (0x8010, Pending::Nothing, Duration::ZERO);
    }

    fn advance(&mut self, by: Duration) {
        self.remaining = self.remaining.saturating_sub(by);
    }

    fn set(&mut self, quantity: &str, value: f64) -> bool {
        match quantity {
            "temperature" => self.temperature = value,
            "humidity" => self.humidity = value,
            _ => return false,
        }
        true
    }
}

impl Commands for Sht3x {
    /// While it measures the sensor acknowledges nothing but a break.
    fn command(&mut self, code: u16, _arguments: &[u16]) -> Result<(), Nack> {
        if !self.remaining.is_zero() && code != 0x3093 {
            return Err(Nack);
        }
        match code {
            0x2400 | 0x240B | 0x2416 => {
                self.pending = Pending::Measurement;
                self.remaining = Duration::from_micros(12_500); // table 4, typical
            }
            0x3093 => (self.pending, self.remaining) = (Pending::Nothing, Duration::ZERO),
            0xF32D => self.pending = Pending::Status,
            0x3041 => self.status = 0,
            0x306D => self.status |= 1 << 13,
            0x3066 => self.status &= !(1 << 13),
            0x30A2 => self.power_on(),
            _ => self.status |= 1 << 1,
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<Vec<u16>, Nack> {
        if !self.remaining.is_zero() {
            return Err(Nack);
        }
        match core::mem::take(&mut self.pending) {
            Pending::Nothing => Err(Nack),
            Pending::Status => Ok(vec![self.status]),
            Pending::Measurement => Ok(vec![code((self.temperature + 45.0) / 175.0), code(self.humidity / 100.0)]),
        }
    }
}

/// A part of the full scale as a 16-bit code; the converter saturates.
pub(super) fn code(part: f64) -> u16 {
    (part * 65_535.0 + 0.5) as u16
}
