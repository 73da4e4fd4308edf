//! LM75 and TMP105 at register level (datasheets SNIS153B, SLLS648D).

use alloc::boxed::Box;
use core::time::Duration;

use super::Chip;
use super::wire::{Model, WordRegisters, words};

/// A simulated LM75: 9 bits, 100 ms.
pub fn lm75(address: u8) -> Box<dyn Chip + Send> {
    words(address, Lm75::new(false))
}

/// A simulated TMP105: 9 to 12 bits, 27.5 to 220 ms.
pub fn tmp105(address: u8) -> Box<dyn Chip + Send> {
    words(address, Lm75::new(true))
}

struct Lm75 {
    resolves: bool,
    temperature: f64,
    result: u16,
    configuration: u8,
    limits: [u16; 2],
    remaining: Duration,
}

impl Lm75 {
    fn new(resolves: bool) -> Self {
        let remaining = Duration::ZERO;
        let mut chip = Self { resolves, temperature: 20.0, result: 0, configuration: 0, limits: [0; 2], remaining };
        chip.power_on();
        chip
    }

    /// Bits beyond the usual nine.
    fn extra_bits(&self) -> u16 {
        if self.resolves { u16::from(self.configuration >> 5 & 3) } else { 0 }
    }

    fn conversion(&self) -> Duration {
        if self.resolves { Duration::from_micros(27_500 << self.extra_bits()) } else { Duration::from_millis(100) }
    }

    /// Rounded to the resolution, in the upper bits of the register.
    fn convert(&mut self) {
        let step = 0.5 / f64::from(1 << self.extra_bits());
        let steps = (self.temperature.clamp(-55.0, 127.9) / step + 0.5_f64.copysign(self.temperature)) as i16;
        self.result = steps.cast_unsigned() << (7 - self.extra_bits());
    }
}

impl Model for Lm75 {
    fn power_on(&mut self) {
        (self.result, self.configuration, self.limits) = (0, 0, [0x4B00, 0x5000]);
        self.remaining = self.conversion();
    }

    fn advance(&mut self, by: Duration) {
        let shut_down = self.configuration & 1 == 1;
        self.remaining = self.remaining.saturating_sub(by);
        if self.remaining.is_zero() && !shut_down {
            self.convert();
        }
    }

    fn set(&mut self, quantity: &str, value: f64) -> bool {
        self.temperature = value;
        quantity == "temperature"
    }
}

impl WordRegisters for Lm75 {
    fn load(&mut self, register: u8) -> u16 {
        match register {
            0 => self.result,
            1 => self.configuration.into(),
            n => self.limits[usize::from(n & 1)],
        }
    }

    fn store(&mut self, register: u8, value: u16) {
        match register {
            0 => {}
            1 => {
                let kept = if self.resolves { 0x7F } else { 0x1F };
                self.configuration = value as u8 & kept;
                self.remaining = self.conversion();
            }
            n => self.limits[usize::from(n & 1)] = value,
        }
    }

    fn width(&self, register: u8) -> usize {
        if register == 1 { 1 } else { 2 }
    }
}
