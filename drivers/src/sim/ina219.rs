//! INA219 at register level (datasheet SBOS448G, sections 8.5 and 8.6).
//!
//! Beside voltage and current its world has a `shunt`, which is 0.1 Ohm as on most modules unless it is set.

use alloc::boxed::Box;
use core::time::Duration;

use super::Chip;
use super::wire::{Model, WordRegisters, words};

/// A simulated INA219.
pub fn ina219(address: u8) -> Box<dyn Chip + Send> {
    let mut model = Ina219 { shunt_ohms: 0.1, voltage: 12.0, current: 1.0, ..Ina219::default() };
    model.power_on();
    words(address, model)
}

#[derive(Default)]
struct Ina219 {
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

impl Ina219 {
    /// Tables 4 to 6: the amplifier's range limits the shunt, the bus range the bus.
    fn convert(&mut self) {
        let full_scale = 4_000_i16 << (self.configuration >> 11 & 3);
        let shunt = (self.current * self.shunt_ohms / 10e-6 + 0.5_f64.copysign(self.current)) as i16;
        let highest = if self.configuration & 1 << 13 == 0 { 4_000 } else { 8_000 };
        self.shunt = shunt.clamp(-full_scale, full_scale);
        self.bus = ((self.voltage / 4e-3 + 0.5) as u16).min(highest);
        self.ready = true;
    }

    /// One converter field (table 5), typical.
    fn time(field: u16) -> Duration {
        Duration::from_micros(match field & 0b1111 {
            0b0000 | 0b0100 => 84,
            0b0001 | 0b0101 => 148,
            0b0010 | 0b0110 => 276,
            n if n & 0b1000 == 0 => 532,
            n => 532 << (n & 7),
        })
    }

    /// Section 8.5.2: current register.
    fn current(&self) -> i16 {
        (i32::from(self.shunt) * i32::from(self.calibration & !1) / 4096) as i16
    }
}

impl Model for Ina219 {
    fn power_on(&mut self) {
        (self.configuration, self.calibration) = (0x399F, 0);
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

impl WordRegisters for Ina219 {
    fn load(&mut self, register: u8) -> u16 {
        match register {
            0 => self.configuration,
            1 => self.shunt.cast_unsigned(),
            2 => self.bus << 3 | u16::from(self.ready) << 1,
            3 => {
                self.ready = false;
                (i32::from(self.current()) * i32::from(self.bus) / 5000) as u16
            }
            4 => self.current().cast_unsigned(),
            5 => self.calibration,
            _ => 0,
        }
    }

    fn store(&mut self, register: u8, value: u16) {
        match register {
            0 if value & 1 << 15 != 0 => self.power_on(),
            0 => {
                self.configuration = value;
                self.ready = false;
                if !matches!(value & 7, 0 | 4) {
                    self.remaining = Self::time(value >> 7) + Self::time(value >> 3);
                }
            }
            5 => self.calibration = value & !1,
            _ => {}
        }
    }
}
