//! SHT4x at command level (datasheet version 6.5, section 4).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::sht3x::code;
use super::wire::{Commands, Model, sensirion};
use super::{Chip, Nack};

/// A simulated SHT4x.
pub fn sht4x(address: u8) -> Box<dyn Chip + Send> {
    let remaining = Duration::ZERO;
    sensirion(address, Sht4x { temperature: 20.0, humidity: 50.0, answer: Vec::new(), remaining })
}

struct Sht4x {
    temperature: f64,
    humidity: f64,
    answer: Vec<u16>,
    remaining: Duration,
}

impl Model for Sht4x {
    fn power_on(&mut self) {
        self.answer.clear();
        self.remaining = Duration::ZERO;
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

impl Commands for Sht4x {
    fn command(&mut self, code_byte: u16, _arguments: &[u16]) -> Result<(), Nack> {
        if !self.remaining.is_zero() {
            return Err(Nack);
        }
        let microseconds = match code_byte {
            0xFD => 6_900,
            0xF6 => 3_700,
            0xE0 => 1_300,
            0x89 => {
                self.answer = vec![0x0F1E, 0x2D3C];
                return Ok(());
            }
            0x94 => {
                self.power_on();
                return Ok(());
            }
            _ => return Err(Nack),
        };
        self.remaining = Duration::from_micros(microseconds);
        self.answer = vec![code((self.temperature + 45.0) / 175.0), code((self.humidity + 6.0) / 125.0)];
        Ok(())
    }

    fn answer(&mut self) -> Result<Vec<u16>, Nack> {
        if !self.remaining.is_zero() || self.answer.is_empty() {
            return Err(Nack);
        }
        Ok(core::mem::take(&mut self.answer))
    }

    fn command_width(&self) -> usize {
        1
    }
}
