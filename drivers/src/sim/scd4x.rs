//! SCD4x at command level (datasheet version 1.3, section 3).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::sht3x::code;
use super::wire::{Commands, Model, sensirion};
use super::{Chip, Nack};

const EVERY: Duration = Duration::from_secs(5);

/// A simulated SCD4x.
pub fn scd4x(address: u8) -> Box<dyn Chip + Send> {
    sensirion(address, Scd4x { co2: 600.0, temperature: 20.0, humidity: 50.0, ..Scd4x::default() })
}

#[derive(Default)]
struct Scd4x {
    co2: f64,
    temperature: f64,
    humidity: f64,
    /// Time to the next periodic measurement.
    next: Option<Duration>,
    waiting: Option<[u16; 3]>,
    answer: Vec<u16>,
    busy: Duration,
}

impl Scd4x {
    fn measurement(&self) -> [u16; 3] {
        [self.co2 as u16, code((self.temperature + 45.0) / 175.0), code(self.humidity / 100.0)]
    }
}

impl Model for Scd4x {
    fn power_on(&mut self) {
        (self.next, self.waiting, self.busy) = (None, None, Duration::ZERO);
        self.answer.clear();
    }

    fn advance(&mut self, by: Duration) {
        self.busy = self.busy.saturating_sub(by);
        let Some(next) = self.next else { return };
        self.next = Some(next.saturating_sub(by));
        if next <= by {
            self.waiting = Some(self.measurement());
            self.next = Some(EVERY);
        }
    }

    fn set(&mut self, quantity: &str, value: f64) -> bool {
        match quantity {
            "co2" => self.co2 = value,
            "temperature" => self.temperature = value,
            "humidity" => self.humidity = value,
            _ => return false,
        }
        true
    }
}

impl Commands for Scd4x {
    /// Section 3.4, table 9: while it measures it takes only some commands, and none while it is busy.
    fn command(&mut self, code: u16, _arguments: &[u16]) -> Result<(), Nack> {
        if !self.busy.is_zero() {
            return Err(Nack);
        }
        self.busy = Duration::from_millis(1);
        match (code, self.next) {
            (0x21B1, None) => (self.next, self.busy) = (Some(EVERY), Duration::ZERO),
            (0x3682, None) => self.answer = vec![0xF896, 0x9F07, 0x3BBE],
            (0x3F86, _) => {
                (self.next, self.waiting) = (None, None);
                self.busy = Duration::from_millis(500);
            }
            (0xE4B8, _) => self.answer = vec![if self.waiting.is_some() { 0x8006 } else { 0x8000 }],
            (0xEC05, Some(_)) => self.answer = self.waiting.take().ok_or(Nack)?.to_vec(),
            _ => return Err(Nack),
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<Vec<u16>, Nack> {
        if !self.busy.is_zero() || self.answer.is_empty() {
            return Err(Nack);
        }
        Ok(core::mem::take(&mut self.answer))
    }
}
