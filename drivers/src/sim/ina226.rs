//! INA226 at register level (datasheet SBOS547B, section 7.1).
//!
//! Beside voltage and current its world has a `shunt`, which is 0.1 Ohm as on most modules unless it is set.

use alloc::boxed::Box;
use core::time::Duration;

use super::Chip;
use super::wire::{Model, WordRegisters, words};

/// A simulated INA226.
pub fn ina226(address: u8) -> Box<dyn Chip + Send> {
    let mut model = Ina226 { shunt_ohms: 0.1, voltage: 12.0, current: 0.5, ..Ina226::default() };
    model.power_on();
    words(address, model)
}

#[derive(Default)]
struct Ina226 {
    shunt_ohms: f64,
    voltage: f64,
    current: f64,
    configuration: u16,
    calibration: u16,
    bus: u16,
    shunt: i16,
    ready: bool,
    remaining: Duration,
}

impl Ina226 {
    fn convert(&mut self) {
        self.shunt = (self.current * self.shunt_ohms / 2.5e-6 + 0.5_f64.copysign(self.current)) as i16;
        self.bus = ((self.voltage / 1.25e-3 + 0.5) as u16).min(0x7FFF);
        self.ready = true;
    }

    /// Tables 7-3 to 7-5: averages times both conversion times.
    fn conversion(&self) -> Duration {
        let time = |field: u16| [140, 204, 332, 588, 1_100, 2_116, 4_156, 8_244][usize::from(field & 7)];
        let averages = [1, 4, 16, 64, 128, 256, 512, 1_024][usize::from(self.configuration >> 9 & 7)];
        Duration::from_micros(time(self.configuration >> 6) + time(self.configuration >> 3)) * averages
    }

    /// Section 6.5.1: the product in 16 bits.
    fn current(&self) -> i16 {
        (i32::from(self.shunt) * i32::from(self.calibration) / 2_048) as i16
    }
}

impl Model for Ina226 {
    fn power_on(&mut self) {
        (self.configuration, self.calibration) = (0x4127, 0);
        (self.bus, self.shunt, self.ready, self.remaining) = (0, 0, false, Duration::ZERO);
    }

    fn advance(&mut self, by: Duration) {
        let continuous = self.configuration & 7 > 4;
        let busy = !self.remaining.is_zero();
        self.remaining = self.remaining.saturating_sub(by);
        if self.remaining.is_zero() && (busy || continuous) {
            self.convert();
        }
    }

    fn set(&mut self, quantity: &str, value: f64) -> bool {
        match quantity {
            "shunt" => self.shunt_ohms = value,
            "voltage" => self.voltage = value,
            "current" => self.current = value,
            _ => return false,
        }
        true
    }
}

impl WordRegisters for Ina226 {
    fn load(&mut self, register: u8) -> u16 {
        match register {
            0x00 => self.configuration,
            0x01 => self.shunt.cast_unsigned(),
            0x02 => self.bus,
            0x03 => (i32::from(self.current()).unsigned_abs() * u32::from(self.bus) / 20_000) as u16,
            0x04 => self.current().cast_unsigned(),
            0x05 => self.calibration,
            // Reading the flag takes it back.
            0x06 => u16::from(core::mem::take(&mut self.ready)) << 3,
            0xFE => 0x5449,
            0xFF => 0x2260,
            _ => 0,
        }
    }

    fn store(&mut self, register: u8, value: u16) {
        match register {
            0x00 if value & 1 << 15 != 0 => self.power_on(),
            0x00 => {
                self.configuration = value & 0x0FFF | 1 << 14;
                self.ready = false;
                if !matches!(value & 7, 0 | 4) {
                    self.remaining = self.conversion();
                }
            }
            0x05 => self.calibration = value & 0x7FFF,
            _ => {}
        }
    }
}
