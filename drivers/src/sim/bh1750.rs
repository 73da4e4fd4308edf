//! BH1750FVI at instruction level (datasheet Rev. D, pages 4 to 7).

use alloc::boxed::Box;
use core::time::Duration;

use super::{Chip, Nack};

/// A simulated BH1750.
pub fn bh1750(address: u8) -> Box<dyn Chip + Send> {
    Box::new(Bh1750 { address, illuminance: 300.0, mode: 0, data: 0, remaining: Duration::ZERO })
}

struct Bh1750 {
    address: u8,
    illuminance: f64,
    /// The running measurement's instruction; 0 when powered down.
    mode: u8,
    data: u16,
    remaining: Duration,
}

impl Bh1750 {
    fn once(&self) -> bool {
        self.mode & 0x20 != 0
    }

    /// Typical: low resolution 16 ms, high 120 ms.
    fn begin(&mut self, mode: u8) {
        self.mode = mode;
        self.remaining = Duration::from_millis(if mode & 0b11 == 0b11 { 16 } else { 120 });
    }
}

impl Chip for Bh1750 {
    fn address(&self) -> u8 {
        self.address
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        for &instruction in bytes {
            match instruction {
                0x00 => self.mode = 0,
                0x07 if self.mode != 0 => self.data = 0,
                0x10 | 0x11 | 0x13 | 0x20 | 0x21 | 0x23 => self.begin(instruction),
                _ => {}
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let data = self.data.to_be_bytes();
        buffer.iter_mut().zip(data.iter().cycle()).for_each(|(byte, data)| *byte = *data);
        Ok(())
    }

    fn power_on(&mut self) {
        (self.mode, self.data, self.remaining) = (0, 0, Duration::ZERO);
    }

    fn advance(&mut self, by: Duration) {
        if self.mode == 0 {
            return;
        }
        self.remaining = self.remaining.saturating_sub(by);
        if !self.remaining.is_zero() {
            return;
        }
        let double = if self.mode & 0b11 == 0b01 { 2.0 } else { 1.0 };
        self.data = (self.illuminance * 1.2 * double + 0.5) as u16;
        if self.once() {
            self.mode = 0;
        }
    }

    fn set(&mut self, quantity: &str, value: f64) -> bool {
        self.illuminance = value;
        quantity == "illuminance"
    }
}
