//! MCP9808 at register level (datasheet DS25095A, section 5).

use alloc::boxed::Box;
use core::time::Duration;

use super::Chip;
use super::wire::{Model, WordRegisters, words};

/// A simulated MCP9808.
pub fn mcp9808(address: u8) -> Box<dyn Chip + Send> {
    let mut model = Mcp9808 { temperature: 20.0, ..Mcp9808::default() };
    model.power_on();
    words(address, model)
}

#[derive(Default)]
struct Mcp9808 {
    temperature: f64,
    ambient: u16,
    config: u16,
    limits: [u16; 3],
    resolution: u8,
    remaining: Duration,
}

impl Mcp9808 {
    /// Register 5-7: 30, 65, 130, 250 ms.
    fn conversion(&self) -> Duration {
        Duration::from_millis([30, 65, 130, 250][usize::from(self.resolution & 3)])
    }

    /// Section 5.1.3: thirteen bits in sixteenths, and the flags that compare with the limits.
    fn convert(&mut self) {
        let bits = 3 - u32::from(self.resolution & 3);
        let sixteenths = (self.temperature * 16.0 + 0.5_f64.copysign(self.temperature)) as i16;
        let code = (sixteenths >> bits << bits).cast_unsigned() & 0x1FFF;
        let signed = |code: u16| (code << 3).cast_signed();
        let [upper, lower, critical] = self.limits.map(signed);
        let ambient = signed(code);
        let flags = [ambient < lower, ambient > upper, ambient >= critical];
        self.ambient = (13..).zip(flags).fold(code, |code, (bit, flag)| code | u16::from(flag) << bit);
    }
}

impl Model for Mcp9808 {
    fn power_on(&mut self) {
        (self.ambient, self.config, self.limits, self.resolution) = (0, 0, [0; 3], 3);
        self.remaining = self.conversion();
    }

    fn advance(&mut self, by: Duration) {
        let shut_down = self.config & 1 << 8 != 0;
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

impl WordRegisters for Mcp9808 {
    fn load(&mut self, register: u8) -> u16 {
        match register {
            1 => self.config,
            2..=4 => self.limits[usize::from(register) - 2],
            5 => self.ambient,
            6 => 0x0054,
            7 => 0x0400,
            8 => self.resolution.into(),
            _ => 0,
        }
    }

    fn store(&mut self, register: u8, value: u16) {
        match register {
            1 => self.config = value & 0x07FF,
            2..=4 => self.limits[usize::from(register) - 2] = value & 0x1FFC,
            8 => self.resolution = value as u8 & 3,
            _ => {}
        }
    }

    fn width(&self, register: u8) -> usize {
        if register == 8 { 1 } else { 2 }
    }
}
