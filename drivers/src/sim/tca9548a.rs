//! TCA9548A and PCA9546A: the control register (datasheet SCPS207F, section 8.5.4). What is behind the ports is
//! the simulated bus's to know.

use alloc::boxed::Box;
use core::time::Duration;

use super::{Chip, Nack};

/// A simulated TCA9548A with eight ports.
pub fn tca9548a(address: u8) -> Box<dyn Chip + Send> {
    Box::new(Multiplexer { address, ports: 0xFF, open: 0 })
}

/// A simulated PCA9546A with four ports.
pub fn pca9546(address: u8) -> Box<dyn Chip + Send> {
    Box::new(Multiplexer { address, ports: 0x0F, open: 0 })
}

struct Multiplexer {
    address: u8,
    /// The ports that exist.
    ports: u8,
    open: u8,
}

impl Chip for Multiplexer {
    fn address(&self) -> u8 {
        self.address
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        if let Some(control) = bytes.last() {
            self.open = control & self.ports;
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.fill(self.open);
        Ok(())
    }

    fn power_on(&mut self) {
        self.open = 0;
    }

    fn advance(&mut self, _by: Duration) {}

    fn set(&mut self, _quantity: &str, _value: f64) -> bool {
        false
    }

    fn connects(&self, port: u8) -> bool {
        port < 8 && self.open >> port & 1 == 1
    }
}
