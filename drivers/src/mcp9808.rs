//! Microchip MCP9808: temperature to 0.25 °C.
//!
//! Measures all the time; a reading is at most one conversion old. The alert output is not used, so its hysteresis
//! serves as a mark: a chip that has lost it has lost power, and its result register is not to be believed.
//!
//! Datasheet: DS25095A, 2011,
//! <https://ww1.microchip.com/downloads/en/DeviceDoc/25095A.pdf>.

use core::time::Duration;

use crate::registers::{configure, read, registers};
use crate::{Channel, Driver, Error, I2c, Measurements};

registers! {
    /// Section 5.1, register 5-1.
    enum Register: u8 {
        Config = 1,
        AmbientTemperature = 5,
        ManufacturerId = 6,
        DeviceId = 7,
        Resolution = 8,
    }
}

/// Sections 5.1.4 and 5.1.5; the low byte of the latter is a revision.
const MANUFACTURER: u16 = 0x0054;
const DEVICE: u16 = 0x0400;
/// Hysteresis of 1.5 degrees (register 5-2).
const MARK: u16 = 0b01 << 9;
/// 0.0625 degrees (register 5-7).
const FINEST: u8 = 0b11;
/// 250 ms typically (section 1, temperature conversion time); no maximum is given, so half as much again.
const CONVERSION: Duration = Duration::from_millis(375);

/// Section 1.
pub const CHANNELS: &[Channel] = &[Channel::gauge("temperature", "Cel", -40.0, 125.0).resolution(0.062_5)];

/// An MCP9808 at one address.
#[derive(Debug)]
pub struct Mcp9808 {
    address: u8,
    measuring: bool,
}

impl Mcp9808 {
    /// At `address` 0x18 to 0x1F (pins A0 to A2).
    pub fn new(address: u8) -> Self {
        Self { address, measuring: false }
    }
}

/// Both identity registers.
fn identity(bus: &mut I2c, address: u8) -> Result<(u16, u16), Error> {
    let manufacturer = u16::from_be_bytes(read(bus, address, Register::ManufacturerId)?);
    Ok((manufacturer, u16::from_be_bytes(read(bus, address, Register::DeviceId)?)))
}

/// Whether the chip at `address` says that it is an MCP9808.
pub fn identify(bus: &mut I2c, address: u8) -> Result<bool, Error> {
    identity(bus, address).map(is_mcp9808)
}

fn is_mcp9808((manufacturer, device): (u16, u16)) -> bool {
    manufacturer == MANUFACTURER && device & 0xFF00 == DEVICE
}

/// Degrees Celsius; the three bits above the sign are alert flags (section 5.1.3.1).
fn convert(register: u16) -> f64 {
    f64::from((register << 3).cast_signed() >> 3) / 16.0
}

impl Driver for Mcp9808 {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        self.measuring = false;
        let identity = identity(bus, self.address)?;
        if !is_mcp9808(identity) {
            let found = u32::from(identity.0) << 16 | u32::from(identity.1);
            return Err(Error::WrongChip { expected: "MCP9808", found });
        }
        configure(bus, self.address, Register::Config, MARK.to_be_bytes())?;
        configure(bus, self.address, Register::Resolution, [FINEST])
    }

    /// Only the first conversion after `init` has to be waited for.
    fn start(&mut self, _bus: &mut I2c) -> Result<Duration, Error> {
        let first = !core::mem::replace(&mut self.measuring, true);
        Ok(if first { CONVERSION } else { Duration::ZERO })
    }

    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        let register = u16::from_be_bytes(read(bus, self.address, Register::AmbientTemperature)?);
        if register == 0xFFFF {
            return Err(Error::OutOfRange { register: "AmbientTemperature", raw: register.into() });
        }
        let found = u16::from_be_bytes(read(bus, self.address, Register::Config)?);
        if found != MARK {
            let (wrote, read) = (MARK.into(), found.into());
            return Err(Error::Configuration { register: "Config", wrote, read });
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

    const AT: u8 = 0x18;

    #[test]
    fn init_identifies_and_configures() {
        let steps = [
            Ask(&[6], &[0x00, 0x54]),
            Ask(&[7], &[0x04, 0x00]),
            Write(&[1, 0x02, 0x00]),
            Ask(&[1], &[0x02, 0x00]),
            Write(&[8, 0x03]),
            Ask(&[8], &[0x03]),
        ];
        assert_eq!(script(AT, &steps, |bus| Mcp9808::new(AT).init(bus)), Ok(()));
    }

    #[test]
    fn another_chip_is_not_touched() {
        let other = || [Ask(&[6], &[0x00, 0x54]), Ask(&[7], &[0x02, 0x01])];
        let result = script(AT, &other(), |bus| Mcp9808::new(AT).init(bus));
        assert_eq!(result, Err(Error::WrongChip { expected: "MCP9808", found: 0x0054_0201 }));
        assert_eq!(script(AT, &other(), |bus| identify(bus, AT)), Ok(false));
    }

    #[test]
    fn only_the_first_conversion_is_waited_for() {
        let mut driver = Mcp9808::new(AT);
        let waits = script(AT, &[], |bus| [driver.start(bus), driver.start(bus)]);
        assert_eq!(waits, [Ok(CONVERSION), Ok(Duration::ZERO)]);
    }

    /// Section 5.1.3.1: sign, sixteenths, flags ignored.
    #[rstest]
    #[case(0x0194, 25.25)]
    #[case(0xC194, 25.25)]
    #[case(0x07D0, 125.0)]
    #[case(0x0001, 0.062_5)]
    #[case(0x0000, 0.0)]
    #[case(0x1FFF, -0.062_5)]
    #[case(0x1D80, -40.0)]
    fn conversion_as_in_the_datasheet(#[case] register: u16, #[case] degrees: f64) {
        assert_eq!(convert(register), degrees);
    }

    #[rstest]
    #[case::all_ones(&[Ask(&[5], &[0xFF, 0xFF])], Error::OutOfRange { register: "AmbientTemperature", raw: 0xFFFF })]
    #[case::power_lost(&[Ask(&[5], &[0, 0]), Ask(&[1], &[0, 0])], Error::Configuration { register: "Config", wrote: 0x200, read: 0 })]
    #[case::nobody(&[Silence(&[5], 2)], absent("AmbientTemperature"))]
    #[case::gone(&[Ask(&[5], &[0, 0]), Silence(&[1], 2)], absent("Config"))]
    fn read_fails(#[case] steps: &[crate::testing::Step], #[case] error: Error) {
        assert_eq!(script(AT, steps, |bus| collect(&mut Mcp9808::new(AT), bus)), Err(error));
    }

    #[rstest]
    #[case(-40.0)]
    #[case(22.5)]
    #[case(125.0)]
    fn the_simulated_chip_is_read_as_it_was_set(#[case] degrees: f64) {
        let values = measure("mcp9808", &mut Mcp9808::new(AT), &[("temperature", degrees)]).unwrap();
        assert_close(&values, &[degrees], &[0.032]);
    }
}
