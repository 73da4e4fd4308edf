//! ADS1115 and ADS1015 at register level (datasheets SBAS444D, SBAS473E; section 9.6).

use alloc::boxed::Box;
use core::time::Duration;

use super::Chip;
use super::wire::{Model, WordRegisters, words};

/// A simulated ADS1115.
pub fn ads1115(address: u8) -> Box<dyn Chip + Send> {
    words(address, Ads::new([8, 16, 32, 64, 128, 250, 475, 860], 0xFFFF))
}

/// A simulated ADS1015.
pub fn ads1015(address: u8) -> Box<dyn Chip + Send> {
    words(address, Ads::new([128, 250, 490, 920, 1600, 2400, 3300, 3300], 0xFFF0))
}

struct Ads {
    rates: [u32; 8],
    /// The bits of the conversion register that exist.
    mask: u16,
    inputs: [f64; 4],
    config: u16,
    conversion: u16,
    thresholds: [u16; 2],
    remaining: Duration,
}

impl Ads {
    fn new(rates: [u32; 8], mask: u16) -> Self {
        let mut chip = Self {
            rates,
            mask,
            inputs: [0.0; 4],
            config: 0,
            conversion: 0,
            thresholds: [0; 2],
            remaining: Duration::ZERO,
        };
        chip.power_on();
        chip
    }

    /// The difference that the multiplexer selects.
    fn volts(&self) -> f64 {
        let [a0, a1, a2, a3] = self.inputs;
        match self.config >> 12 & 7 {
            0 => a0 - a1,
            1 => a0 - a3,
            2 => a1 - a3,
            3 => a2 - a3,
            4 => a0,
            5 => a1,
            6 => a2,
            _ => a3,
        }
    }

    fn convert(&mut self) {
        let full_scale = match self.config >> 9 & 7 {
            0 => 6.144,
            1 => 4.096,
            2 => 2.048,
            3 => 1.024,
            4 => 0.512,
            _ => 0.256,
        };
        let code = (self.volts() / full_scale * 32_768.0) as i16; // saturates, as the converter does
        self.conversion = code.cast_unsigned() & self.mask;
    }

    fn single_shot(&self) -> bool {
        self.config & 1 << 8 != 0
    }
}

impl Model for Ads {
    fn power_on(&mut self) {
        (self.config, self.conversion, self.thresholds) = (0x0583, 0, [0x8000, 0x7FFF]);
        self.remaining = Duration::ZERO;
    }

    fn advance(&mut self, by: Duration) {
        let busy = !self.remaining.is_zero();
        self.remaining = self.remaining.saturating_sub(by);
        if self.remaining.is_zero() && (busy || !self.single_shot()) {
            self.convert();
        }
    }

    fn set(&mut self, quantity: &str, value: f64) -> bool {
        let input = match quantity {
            "a0" => 0,
            "a1" => 1,
            "a2" => 2,
            "a3" => 3,
            _ => return false,
        };
        self.inputs[input] = value;
        true
    }
}

impl WordRegisters for Ads {
    fn load(&mut self, register: u8) -> u16 {
        match register & 3 {
            0 => self.conversion,
            1 => self.config | u16::from(self.remaining.is_zero()) << 15,
            n => self.thresholds[usize::from(n) - 2],
        }
    }

    fn store(&mut self, register: u8, value: u16) {
        match register & 3 {
            0 => {}
            1 => {
                self.config = value & 0x7FFF;
                if value & 1 << 15 != 0 && self.single_shot() {
                    let rate = self.rates[usize::from(value >> 5 & 7)];
                    self.remaining = Duration::from_secs(1) / rate + Duration::from_micros(25);
                }
            }
            n => self.thresholds[usize::from(n) - 2] = value,
        }
    }
}
