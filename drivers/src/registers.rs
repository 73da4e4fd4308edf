//! Reading and writing named registers, so that every error can say which one it was.
//! Only for the drivers: no retries, no caching.

use heapless::Vec;

use crate::{Error, I2c};

/// A register or command: the bytes that select it, and its name in the datasheet.
pub(crate) trait Register: Copy {
    fn code(self) -> [u8; 2];
    /// How many of the last bytes of `code` go over the wire.
    const WIDTH: usize;
    fn name(self) -> &'static str;
}

/// Declares a chip's registers as an enum whose variants know their code (sent big-endian) and name.
macro_rules! registers {
    ($(#[$meta:meta])* enum $name:ident: $code:ident { $($(#[$doc:meta])* $variant:ident = $value:expr,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum $name { $($(#[$doc])* $variant,)+ }

        impl crate::registers::Register for $name {
            const WIDTH: usize = size_of::<$code>();
            fn code(self) -> [u8; 2] {
                let code: $code = match self { $(Self::$variant => $value,)+ };
                u16::from(code).to_be_bytes()
            }
            fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}
pub(crate) use registers;

/// The longest message a driver sends: register and data in one buffer, as I2C wants it.
const LONGEST: usize = 16;

fn message<R: Register>(register: R, data: &[u8]) -> Vec<u8, LONGEST> {
    let mut message = Vec::new();
    let _ = message.extend_from_slice(&register.code()[2 - R::WIDTH..]);
    let fits = message.extend_from_slice(data);
    debug_assert!(fits.is_ok(), "a driver sends at most {LONGEST} bytes");
    message
}

/// Selects `register` and reads `N` bytes from it in one transaction.
pub(crate) fn read<const N: usize, R: Register>(bus: &mut I2c, address: u8, register: R) -> Result<[u8; N], Error> {
    let mut answer = [0; N];
    bus.write_read(address, &message(register, &[]), &mut answer)
        .map_err(|source| Error::Bus { register: register.name(), source })?;
    Ok(answer)
}

/// Fills `buffer` with the answer to a command that was sent earlier.
pub(crate) fn answer<R: Register>(bus: &mut I2c, address: u8, command: R, buffer: &mut [u8]) -> Result<(), Error> {
    bus.read(address, buffer).map_err(|source| Error::Bus { register: command.name(), source })
}

/// Writes `data` to `register`, or sends a command with its arguments.
pub(crate) fn write<R: Register>(bus: &mut I2c, address: u8, register: R, data: &[u8]) -> Result<(), Error> {
    bus.write(address, &message(register, data)).map_err(|source| Error::Bus { register: register.name(), source })
}

/// Writes `data` to `register` and makes sure that it stayed there.
pub(crate) fn configure<const N: usize, R: Register>(
    bus: &mut I2c,
    address: u8,
    register: R,
    data: [u8; N],
) -> Result<(), Error> {
    write(bus, address, register, &data)?;
    let kept = read::<N, R>(bus, address, register)?;
    if kept == data {
        return Ok(());
    }
    Err(Error::Configuration { register: register.name(), wrote: number(&data), read: number(&kept) })
}

/// The bytes as one big-endian number (the last four of them).
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
}
