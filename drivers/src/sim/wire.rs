//! The three ways in which the simulated chips talk: byte registers, word registers, and commands with checksums.
//! A chip models only its registers and its world; addresses, pointers and checksums on the wire are here.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Chip, Nack};

/// What every simulated chip has beside its registers; see [`Chip`].
pub(super) trait Model: Send {
    fn power_on(&mut self);
    fn advance(&mut self, by: Duration);
    fn set(&mut self, quantity: &str, value: f64) -> bool;
}

/// 8-bit registers; reading and writing go on with the next register.
pub(super) trait ByteRegisters: Model {
    fn load(&mut self, register: u8) -> u8;
    fn store(&mut self, register: u8, value: u8);
}

/// Registers of one or two bytes, high byte first; reading stays at the register.
pub(super) trait WordRegisters: Model {
    fn load(&mut self, register: u8) -> u16;
    fn store(&mut self, register: u8, value: u16);
    fn width(&self, _register: u8) -> usize {
        2
    }
}

/// Sensirion's 16-bit commands: every word of data is followed by its checksum.
pub(super) trait Commands: Model {
    /// Takes a command; with [`Nack`] it is refused.
    fn command(&mut self, code: u16, arguments: &[u16]) -> Result<(), Nack>;
    /// What the chip has to say; with [`Nack`] nothing yet.
    fn answer(&mut self) -> Result<Vec<u16>, Nack>;
    /// How long a command is on the wire; the SHT4x family uses one byte.
    fn command_width(&self) -> usize {
        2
    }
}

/// A [`ByteRegisters`] chip on the wire.
pub(super) struct Bytes<M> {
    pub(super) address: u8,
    pub(super) pointer: u8,
    pub(super) model: M,
}

/// A [`WordRegisters`] chip on the wire.
pub(super) struct Words<M> {
    pub(super) address: u8,
    pub(super) pointer: u8,
    pub(super) model: M,
}

/// A [`Commands`] chip on the wire.
pub(super) struct Sensirion<M> {
    pub(super) address: u8,
    pub(super) model: M,
}

/// Puts a chip with byte registers on the wire.
pub(super) fn bytes<M: ByteRegisters + 'static>(address: u8, model: M) -> Box<dyn Chip + Send> {
    Box::new(Bytes { address, pointer: 0, model })
}

/// Puts a chip with word registers on the wire.
pub(super) fn words<M: WordRegisters + 'static>(address: u8, model: M) -> Box<dyn Chip + Send> {
    Box::new(Words { address, pointer: 0, model })
}

/// Puts a chip with commands and checksums on the wire.
pub(super) fn sensirion<M: Commands + 'static>(address: u8, model: M) -> Box<dyn Chip + Send> {
    Box::new(Sensirion { address, model })
}

/// The part of [`Chip`] that is the model's own affair.
macro_rules! delegate {
    () => {
        fn address(&self) -> u8 {
            self.address
        }
        fn power_on(&mut self) {
            self.model.power_on();
        }
        fn advance(&mut self, by: Duration) {
            self.model.advance(by);
        }
        fn set(&mut self, quantity: &str, value: f64) -> bool {
            self.model.set(quantity, value)
        }
    };
}

impl<M: ByteRegisters> Chip for Bytes<M> {
    delegate!();

    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let Some((&pointer, data)) = bytes.split_first() else {
            return Ok(());
        };
        self.pointer = pointer;
        for &byte in data {
            self.model.store(self.pointer, byte);
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        for byte in buffer {
            *byte = self.model.load(self.pointer);
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}

impl<M: WordRegisters> Chip for Words<M> {
    delegate!();

    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let Some((&pointer, data)) = bytes.split_first() else {
            return Ok(());
        };
        self.pointer = pointer;
        match (self.model.width(pointer), data) {
            (1, &[value, ..]) => self.model.store(pointer, value.into()),
            (2, &[high, low, ..]) => self.model.store(pointer, u16::from_be_bytes([high, low])),
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        let width = self.model.width(self.pointer);
        let word = self.model.load(self.pointer).to_be_bytes();
        for (n, byte) in buffer.iter_mut().enumerate() {
            *byte = word[2 - width..][n % width];
        }
        Ok(())
    }
}

impl<M: Commands> Chip for Sensirion<M> {
    delegate!();

    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let width = self.model.command_width().min(bytes.len());
        let (code, data) = bytes.split_at(width);
        let code = code.iter().fold(0, |code, &byte| code << 8 | u16::from(byte));
        let mut arguments = Vec::new();
        for chunk in data.chunks(3) {
            let &[high, low, check] = chunk else {
                return Err(Nack);
            };
            if check != checksum([high, low]) {
                return Err(Nack);
            }
            arguments.push(u16::from_be_bytes([high, low]));
        }
        self.model.command(code, &arguments)
    }

    /// Beyond the answer the wire stays high.
    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Nack> {
        buffer.fill(0xFF);
        let words = self.model.answer()?;
        for (chunk, word) in buffer.chunks_mut(3).zip(words) {
            let [high, low] = word.to_be_bytes();
            let bytes = [high, low, checksum([high, low])];
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

/// CRC-8 as Sensirion uses it (datasheet SHT3x-DIS, section 4.12), as polynomial division over the whole word.
fn checksum(word: [u8; 2]) -> u8 {
    // x^8 + x^5 + x^4 + 1, at the top of 24 bits; the start value 0xFF inverts the first byte.
    let mut rest = u32::from_be_bytes([0, !word[0], word[1], 0]);
    for bit in (8..24).rev() {
        if rest >> bit & 1 == 1 {
            rest ^= 0x131 << (bit - 8);
        }
    }
    rest as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_datasheet() {
        assert_eq!(checksum([0xBE, 0xEF]), 0x92); // SHT3x-DIS, table 20
        assert_eq!(checksum([0, 0]), 0x81);
    }
}
