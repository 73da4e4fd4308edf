//! What Sensirion's I2C sensors have in common: words, each followed by its checksum.

use crate::registers::{Register, answer, write};
use crate::{Error, I2c};

/// The most words of one answer.
const MOST: usize = 3;

/// Sends a command without arguments.
pub(crate) fn command<R: Register>(bus: &mut I2c, address: u8, command: R) -> Result<(), Error> {
    write(bus, address, command, &[])
}

/// Sends a command with arguments (at most 3 words).
pub(crate) fn command_with<const N: usize, R: Register>(
    bus: &mut I2c,
    address: u8,
    command: R,
    arguments: [u16; N],
) -> Result<(), Error> {
    let mut data = heapless::Vec::<u8, { 3 * MOST }>::new();
    for word in arguments {
        let [high, low] = word.to_be_bytes();
        let _ = data.extend_from_slice(&[high, low, checksum([high, low])]);
    }
    write(bus, address, command, &data)
}

/// Reads the `N` words (at most 3) that answer a command sent earlier.
pub(crate) fn words<const N: usize, R: Register>(bus: &mut I2c, address: u8, command: R) -> Result<[u16; N], Error> {
    const { assert!(N <= MOST) };
    let mut bytes = [0; 3 * MOST];
    answer(bus, address, command, &mut bytes[..3 * N])?;
    let mut words = [0; N];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(3)) {
        let (data, received) = ([chunk[0], chunk[1]], chunk[2]);
        let computed = checksum(data);
        if received != computed {
            return Err(Error::Checksum { register: command.name(), computed, received });
        }
        *word = u16::from_be_bytes(data);
    }
    Ok(words)
}

/// CRC-8, polynomial 0x31, start 0xFF, not reflected (SHT3x-DIS datasheet, section 4.12, table 20).
fn checksum(word: [u8; 2]) -> u8 {
    word.into_iter().fold(0xFF, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x31 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 20 of the SHT3x-DIS datasheet; and the idle wire, whose all ones must not pass.
    #[test]
    fn the_checksum_is_that_of_the_datasheet() {
        assert_eq!(checksum([0xBE, 0xEF]), 0x92);
        assert_ne!(checksum([0xFF, 0xFF]), 0xFF);
        assert_ne!(checksum([0x00, 0x00]), 0x00);
    }
}
