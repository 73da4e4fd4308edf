//! SGP40 at command level (datasheet version 1.0, section 4). Its world is the raw signal itself.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::wire::{Commands, Model, sensirion};
use super::{Chip, Nack};

/// A simulated SGP40.
pub fn sgp40(address: u8) -> Box<dyn Chip + Send> {
    sensirion(address, Sgp40 { raw: 30_000.0, answer: Vec::new(), busy: Duration::ZERO })
}

struct Sgp40 {
    raw: f64,
    answer: Vec<u16>,
    busy: Duration,
}

impl Model for Sgp40 {
    fn power_on(&mut self) {
        self.answer.clear();
        self.busy = Duration::ZERO;
    }

    fn advance(&mut self, by: Duration) {
        self.busy = self.busy.saturating_sub(by);
    }

    fn set(&mut self, quantity: &str, value: f64) -> bool {
        self.raw = value;
        quantity == "voc_raw"
    }
}

impl Commands for Sgp40 {
    fn command(&mut self, code: u16, arguments: &[u16]) -> Result<(), Nack> {
        if !self.busy.is_zero() {
            return Err(Nack);
        }
        let (answer, milliseconds) = match (code, arguments.len()) {
            (0x280E, 0) => (vec![0xD400], 320),
            (0x260F, 2) => (vec![self.raw as u16], 25),
            (0x3615, 0) => (Vec::new(), 1),
            (0x3682, 0) => (vec![0, 0x1234, 0x5678], 1),
            _ => return Err(Nack),
        };
        (self.answer, self.busy) = (answer, Duration::from_millis(milliseconds));
        Ok(())
    }

    fn answer(&mut self) -> Result<Vec<u16>, Nack> {
        if !self.busy.is_zero() || self.answer.is_empty() {
            return Err(Nack);
        }
        Ok(core::mem::take(&mut self.answer))
    }
}
