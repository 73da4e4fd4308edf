//! Texas Instruments TMP117: temperature to 0.1 °C.
//!
//! One-shot conversions, averaged by the chip. Not done: alerts, the offset register (the gateway has offsets), and
//! anything that writes the EEPROM.
//!
//! Datasheet: SNOSD82D, September 2022, <https://www.ti.com/lit/ds/symlink/tmp117.pdf>.

use core::time::Duration;

use crate::registers::{read, registers, write};
use crate::{Accepts, Channel, Driver, Error, I2c, Measurements, OptionError, Options, Setting};

registers! {
    /// Section 7.6, "register map".
    enum Register: u8 {
        TempResult = 0x00,
        Configuration = 0x01,
        DeviceId = 0x0F,
    }
}

/// Device ID register; the four bits above are a revision.
const ID: u16 = 0x117;
/// Configuration register.
const READY: u16 = 1 << 13;
const EEPROM_BUSY: u16 = 1 << 12;
const SHUT_DOWN: u16 = 0b01 << 10;
const ONE_SHOT: u16 = 0b11 << 10;
/// The fields that stay as written: cycle time and averaging. A reset chip has another cycle time than ours.
const KEPT: u16 = 0b11_1110_0000;
/// The result register before the first conversion (section 7.6).
const NEVER_MEASURED: u16 = 0x8000;

/// Sections 6.3 and 7.3.3.
pub const CHANNELS: &[Channel] = &[Channel::gauge("temperature", "Cel", -55.0, 150.0).resolution(0.007_812_5)];

/// What can be set in the configuration.
pub const SETTINGS: &[Setting] = &[Setting {
    key: "average",
    help: "conversions averaged by the chip for each reading, 16 ms each",
    accepts: Accepts::Word { default: "8", of: &["1", "8", "32", "64"] },
}];

/// How the chip is to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Conversions per reading: 0 for 1, 1 for 8, 2 for 32, 3 for 64.
    pub average: u8,
}

impl Config {
    /// From checked options.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        Ok(Self { average: options.choice("average") as u8 })
    }

    fn register(self) -> u16 {
        u16::from(self.average & 3) << 5
    }

    /// Section 6.5: 17.5 ms at most for one conversion.
    fn conversion(self) -> Duration {
        let times = [1, 8, 32, 64][usize::from(self.average & 3)];
        Duration::from_micros(17_500) * times
    }
}

/// A TMP117 at one address.
#[derive(Debug)]
pub struct Tmp117 {
    address: u8,
    config: Config,
}

impl Tmp117 {
    /// At `address` 0x48 to 0x4B (ADD0 to ground, supply, SDA, SCL).
    pub fn new(address: u8, config: Config) -> Self {
        Self { address, config }
    }

    /// The configuration register; an error if it is not ours.
    fn configuration(&self, bus: &mut I2c) -> Result<u16, Error> {
        let found = u16::from_be_bytes(read(bus, self.address, Register::Configuration)?);
        let wrote = self.config.register();
        if found & KEPT == wrote {
            return Ok(found);
        }
        Err(Error::Configuration { register: "Configuration", wrote: wrote.into(), read: found.into() })
    }
}

fn id(bus: &mut I2c, address: u8) -> Result<u16, Error> {
    read(bus, address, Register::DeviceId).map(u16::from_be_bytes)
}

/// Whether the chip at `address` says that it is a TMP117.
pub fn identify(bus: &mut I2c, address: u8) -> Result<bool, Error> {
    id(bus, address).map(|id| id & 0xFFF == ID)
}

/// Degrees Celsius (table 7-1).
fn convert(register: u16) -> f64 {
    f64::from(register.cast_signed()) / 128.0
}

impl Driver for Tmp117 {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        let id = id(bus, self.address)?;
        if id & 0xFFF != ID {
            return Err(Error::WrongChip { expected: "TMP117", found: id.into() });
        }
        let shut_down = self.config.register() | SHUT_DOWN;
        write(bus, self.address, Register::Configuration, &shut_down.to_be_bytes())?;
        if self.configuration(bus)? & EEPROM_BUSY != 0 {
            return Err(Error::NotReady { after: Duration::from_millis(7) }); // section 6.6, programming time
        }
        Ok(())
    }

    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        let one_shot = self.config.register() | ONE_SHOT;
        write(bus, self.address, Register::Configuration, &one_shot.to_be_bytes())?;
        Ok(self.config.conversion())
    }

    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        if self.configuration(bus)? & READY == 0 {
            return Err(Error::NotReady { after: self.config.conversion() / 8 });
        }
        let register = u16::from_be_bytes(read(bus, self.address, Register::TempResult)?);
        if register == NEVER_MEASURED {
            return Err(Error::OutOfRange { register: "TempResult", raw: register.into() });
        }
        out.push(0, convert(register));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Step::{Ask, Silence, Write};
    use crate::testing::{absent, assert_close, collect, measure, script};
    use rstest::rstest;

    const AT: u8 = 0x48;

    fn chip() -> Tmp117 {
        Tmp117::new(AT, Config { average: 1 })
    }

    #[test]
    fn init_identifies_and_configures() {
        let steps = [Ask(&[0x0F], &[0x11, 0x17]), Write(&[1, 0x04, 0x20]), Ask(&[1], &[0x04, 0x20])];
        assert_eq!(script(AT, &steps, |bus| chip().init(bus)), Ok(()));
    }

    #[rstest]
    #[case::another_chip(&[Ask(&[0x0F], &[0x01, 0x16])], Error::WrongChip { expected: "TMP117", found: 0x116 })]
    #[case::refused(
        &[Ask(&[0x0F], &[0x01, 0x17]), Write(&[1, 0x04, 0x20]), Ask(&[1], &[0x02, 0x20])],
        Error::Configuration { register: "Configuration", wrote: 0x20, read: 0x220 },
    )]
    #[case::starting_up(
        &[Ask(&[0x0F], &[0x01, 0x17]), Write(&[1, 0x04, 0x20]), Ask(&[1], &[0x14, 0x20])],
        Error::NotReady { after: Duration::from_millis(7) },
    )]
    #[case::nobody(&[Silence(&[0x0F], 2)], absent("DeviceId"))]
    fn init_fails(#[case] steps: &[crate::testing::Step], #[case] error: Error) {
        assert_eq!(script(AT, steps, |bus| chip().init(bus)), Err(error));
    }

    #[test]
    fn a_conversation_is_one_shot() {
        let mut driver = chip();
        let wait = script(AT, &[Write(&[1, 0x0C, 0x20])], |bus| driver.start(bus));
        assert_eq!(wait, Ok(Duration::from_millis(140)));
        let steps = [Ask(&[1], &[0x24, 0x20]), Ask(&[0], &[0x0C, 0x80])];
        let out = script(AT, &steps, |bus| collect(&mut driver, bus)).unwrap();
        assert_eq!(out[0].value, 25.0);
    }

    /// Table 7-1.
    #[rstest]
    #[case(0xF380, -25.0)]
    #[case(0xFFF0, -0.125)]
    #[case(0xFFFF, -0.007_812_5)]
    #[case(0x0000, 0.0)]
    #[case(0x0001, 0.007_812_5)]
    #[case(0x0080, 1.0)]
    #[case(0x3200, 100.0)]
    #[case(0x7FFF, 255.992_187_5)]
    fn conversion_as_in_the_datasheet(#[case] register: u16, #[case] degrees: f64) {
        assert_eq!(convert(register), degrees);
    }

    #[rstest]
    #[case::still_busy(&[Ask(&[1], &[0x0C, 0x20])], Error::NotReady { after: Duration::from_micros(17_500) })]
    #[case::power_lost(&[Ask(&[1], &[0x22, 0x20])], Error::Configuration { register: "Configuration", wrote: 0x20, read: 0x2220 })]
    #[case::never_measured(&[Ask(&[1], &[0x24, 0x20]), Ask(&[0], &[0x80, 0x00])], Error::OutOfRange { register: "TempResult", raw: 0x8000 })]
    #[case::nobody(&[Silence(&[1], 2)], absent("Configuration"))]
    #[case::gone(&[Ask(&[1], &[0x24, 0x20]), Silence(&[0], 2)], absent("TempResult"))]
    fn read_fails(#[case] steps: &[crate::testing::Step], #[case] error: Error) {
        assert_eq!(script(AT, steps, |bus| collect(&mut chip(), bus)), Err(error));
    }

    #[rstest]
    #[case(-55.0)]
    #[case(21.375)]
    #[case(150.0)]
    fn the_simulated_chip_is_read_as_it_was_set(#[case] degrees: f64) {
        let values = measure("tmp117", &mut chip(), &[("temperature", degrees)]).unwrap();
        assert_close(&values, &[degrees], &[0.004]);
    }
}
