//! ROHM BH1750FVI: illuminance.
//!
//! One-time measurements at high resolution; the chip sleeps between them. It can say neither who it is nor that it
//! lost power, after which it reads as darkness: a zero is therefore measured twice before it is believed.
//! Not done: other measurement times (for windows in front of the sensor).
//!
//! Datasheet: Rev. D, November 2011,
//! <https://www.mouser.com/datasheet/2/348/bh1750fvi-e-186247.pdf>.

use core::time::Duration;

use crate::registers::{answer, registers, write};
use crate::{Channel, Driver, Error, I2c, Measurements};

registers! {
    /// Instruction set, page 5.
    enum Instruction: u8 {
        PowerDown = 0x00,
        MeasureOnce = 0x20,
    }
}

/// Electrical characteristics, page 2: high-resolution mode, maximum.
const CONVERSION: Duration = Duration::from_millis(180);
/// Counts per lux at the usual measurement time (page 11).
const COUNTS_PER_LUX: f64 = 1.2;
const SATURATED: u16 = 0xFFFF;

/// Page 11: 16 bits at 1.2 counts per lux.
pub const CHANNELS: &[Channel] =
    &[Channel::gauge("illuminance", "lx", 0.0, 65_535.0 / COUNTS_PER_LUX).resolution(1.0 / COUNTS_PER_LUX)];

/// A BH1750 at one address.
#[derive(Debug)]
pub struct Bh1750 {
    address: u8,
    doubting: bool,
}

impl Bh1750 {
    /// At `address` 0x23 (ADDR low) or 0x5C (ADDR high).
    pub fn new(address: u8) -> Self {
        Self { address, doubting: false }
    }

    fn measure(&self, bus: &mut I2c) -> Result<Duration, Error> {
        write(bus, self.address, Instruction::MeasureOnce, &[])?;
        Ok(CONVERSION)
    }
}

/// Lux (page 11).
fn convert(counts: u16) -> f64 {
    f64::from(counts) / COUNTS_PER_LUX
}

impl Driver for Bh1750 {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        write(bus, self.address, Instruction::PowerDown, &[])
    }

    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        self.doubting = false;
        self.measure(bus)
    }

    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        let mut counts = [0; 2];
        answer(bus, self.address, Instruction::MeasureOnce, &mut counts)?;
        match u16::from_be_bytes(counts) {
            SATURATED => Err(Error::OutOfRange { register: "MeasureOnce", raw: SATURATED.into() }),
            0 if !self.doubting => {
                self.doubting = true;
                Err(Error::NotReady { after: self.measure(bus)? })
            }
            counts => {
                out.push(0, convert(counts));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Step::{Read, Silence, Write};
    use crate::testing::{absent, assert_close, collect, measure, script};
    use rstest::rstest;

    const AT: u8 = 0x23;

    #[test]
    fn a_conversation_is_one_instruction_and_two_bytes() {
        let mut driver = Bh1750::new(AT);
        let steps = [Write(&[0x00]), Write(&[0x20]), Read(&[0x83, 0x90])];
        let out = script(AT, &steps, |bus| {
            driver.init(bus).unwrap();
            assert_eq!(driver.start(bus), Ok(CONVERSION));
            collect(&mut driver, bus).unwrap()
        });
        assert_close(&[out[0].value], &[28_067.0], &[0.5]); // the example of page 7
    }

    #[test]
    fn darkness_is_measured_twice() {
        let mut driver = Bh1750::new(AT);
        let steps = [Write(&[0x20]), Read(&[0, 0]), Write(&[0x20]), Read(&[0, 0])];
        script(AT, &steps, |bus| {
            driver.start(bus).unwrap();
            assert_eq!(collect(&mut driver, bus), Err(Error::NotReady { after: CONVERSION }));
            assert_eq!(collect(&mut driver, bus).unwrap()[0].value, 0.0);
        });
    }

    #[rstest]
    #[case::saturated(Read(&[0xFF, 0xFF]), Error::OutOfRange { register: "MeasureOnce", raw: 0xFFFF })]
    #[case::nobody(Silence(&[], 2), absent("MeasureOnce"))]
    fn read_fails(#[case] step: crate::testing::Step, #[case] error: Error) {
        assert_eq!(script(AT, &[step], |bus| collect(&mut Bh1750::new(AT), bus)), Err(error));
    }

    #[test]
    fn every_access_names_its_instruction() {
        let result = script(AT, &[Silence(&[0x00], 0)], |bus| Bh1750::new(AT).init(bus));
        assert_eq!(result, Err(absent("PowerDown")));
        let result = script(AT, &[Silence(&[0x20], 0)], |bus| Bh1750::new(AT).start(bus));
        assert_eq!(result, Err(absent("MeasureOnce")));
    }

    #[rstest]
    #[case(0, 0.0)]
    #[case(1, 0.833_333)]
    #[case(0xFFFE, 54_611.666_667)]
    fn conversion_at_the_corners(#[case] counts: u16, #[case] lux: f64) {
        assert_close(&[convert(counts)], &[lux], &[1e-6]);
    }

    #[rstest]
    #[case(0.0)]
    #[case(480.0)]
    #[case(54_000.0)]
    fn the_simulated_chip_is_read_as_it_was_set(#[case] lux: f64) {
        let values = measure("bh1750", &mut Bh1750::new(AT), &[("illuminance", lux)]).unwrap();
        assert_close(&values, &[lux], &[0.5]);
    }
}
