//! TMP117 at register level (datasheet SNOSD82D, section 7.6).

use alloc::boxed::Box;
use core::time::Duration;

use super::Chip;
use super::wire::{Model, WordRegisters, words};

const READY: u16 = 1 << 13;

/// A simulated TMP117.
pub fn tmp117(address: u8) -> Box<dyn Chip + Send> {
    let mut model = Tmp117 { temperature: 20.0, ..Tmp117::default() };
    model.power_on();
    words(address, model)
}

#[derive(Default)]
struct Tmp117 {
    temperature: f64,
    result: u16,
    configuration: u16,
    remaining: Duration,
}

impl Tmp117 {
    fn mode(&self) -> u16 {
        self.configuration >> 10 & 3
    }

    /// Section 7.3.2: 15.5 ms for each conversion that is averaged.
    fn conversion(&self) -> Duration {
        Duration::from_micros(15_500) * [1, 8, 32, 64][usize::from(self.configuration >> 5 & 3)]
    }

    fn convert(&mut self) {
        let code = self.temperature * 128.0;
        self.result = ((code + 0.5_f64.copysign(code)) as i16).cast_unsigned();
        self.configuration |= READY;
    }
}

impl Model for Tmp117 {
    /// Continuous conversions, and a result that stands for -256 degrees until the first is done.
    fn power_on(&mut self) {
        (self.result, self.configuration) = (0x8000, 0x0220);
        self.remaining = self.conversion();
    }

    fn advance(&mut self, by: Duration) {
        if self.mode() == 0b01 {
            return;
        }
        self.remaining = self.remaining.saturating_sub(by);
        if !self.remaining.is_zero() {
            return;
        }
        self.convert();
        if self.mode() == 0b11 {
            self.configuration = self.configuration & !(0b11 << 10) | 0b01 << 10;
        }
    }

    fn set(&mut self, quantity: &str, value: f64) -> bool {
        self.temperature = value;
        quantity == "temperature"
    }
}

impl WordRegisters for Tmp117 {
    /// Reading either register takes the flag back.
    fn load(&mut self, register: u8) -> u16 {
        let configuration = self.configuration;
        match register {
            0x00 => {
                self.configuration &= !READY;
                self.result
            }
            0x01 => {
                self.configuration &= !READY;
                configuration
            }
            0x0F => 0x0117,
            _ => 0,
        }
    }

    fn store(&mut self, register: u8, value: u16) {
        match (register, value >> 1 & 1) {
            (0x01, 1) => self.power_on(),
            (0x01, _) => {
                self.configuration = value & 0x0FFC;
                self.remaining = self.conversion();
            }
            _ => {}
        }
    }
}
