//! LM75 and its many likenesses (9 bits), TMP105 and TMP75 (12 bits): temperature.
//!
//! They measure all the time; a reading is at most one conversion old. The alarm output is not used, so its fault
//! queue serves as a mark: a chip that has lost it has lost power, and its result register is not to be believed.
//!
//! Datasheets: LM75B SNIS153B, March 2013, <https://www.ti.com/lit/ds/symlink/lm75b.pdf>;
//! TMP105 SLLS648D, September 2011, <https://www.ti.com/lit/ds/symlink/tmp105.pdf>.

use core::time::Duration;

use crate::registers::{configure, read, registers};
use crate::{Channel, Driver, Error, I2c, Measurements};

registers! {
    /// LM75B, "pointer register"; TMP105, table 2.
    enum Register: u8 {
        Temperature = 0,
        Configuration = 1,
    }
}

/// Fault queue of two ("Configuration register" of both).
const MARK: u8 = 0b01 << 3;
/// The longest conversion (LM75B, "converter characteristics"; TMP105 at 12 bits, "electrical characteristics").
const CONVERSION: Duration = Duration::from_millis(300);

/// LM75B, "converter characteristics".
pub const CHANNELS: &[Channel] = &[Channel::gauge("temperature", "Cel", -55.0, 125.0).resolution(0.5)];
/// TMP105, table 5.
pub const CHANNELS_TMP105: &[Channel] = &[Channel::gauge("temperature", "Cel", -55.0, 127.937_5).resolution(0.062_5)];

/// Which of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// 9 bits, as every likeness has them.
    Lm75,
    /// 12 bits; also right for TMP75 and TMP175.
    Tmp105,
}

impl Part {
    /// The bits of the temperature register that mean something.
    const fn mask(self) -> u16 {
        match self {
            Self::Lm75 => 0xFF80,
            Self::Tmp105 => 0xFFF0,
        }
    }

    /// The configuration register: running, at full resolution, marked.
    const fn configuration(self) -> u8 {
        match self {
            Self::Lm75 => MARK,
            Self::Tmp105 => MARK | 0b11 << 5,
        }
    }
}

/// An LM75 or TMP105 at one address.
#[derive(Debug)]
pub struct Lm75 {
    address: u8,
    part: Part,
    measuring: bool,
}

impl Lm75 {
    /// At `address` 0x48 to 0x4F (pins A0 to A2).
    pub fn new(address: u8, part: Part) -> Self {
        Self { address, part, measuring: false }
    }
}

/// Degrees Celsius (LM75B, "temperature data format"; TMP105, table 5).
fn convert(register: u16, part: Part) -> f64 {
    f64::from((register & part.mask()).cast_signed()) / 256.0
}

impl Driver for Lm75 {
    fn channels(&self) -> &[Channel] {
        match self.part {
            Part::Lm75 => CHANNELS,
            Part::Tmp105 => CHANNELS_TMP105,
        }
    }

    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        self.measuring = false;
        configure(bus, self.address, Register::Configuration, [self.part.configuration()])
    }

    /// Only the first conversion after `init` has to be waited for.
    fn start(&mut self, _bus: &mut I2c) -> Result<Duration, Error> {
        let first = !core::mem::replace(&mut self.measuring, true);
        Ok(if first { CONVERSION } else { Duration::ZERO })
    }

    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        let register = u16::from_be_bytes(read(bus, self.address, Register::Temperature)?);
        if self.part == Part::Tmp105 && register & !self.part.mask() != 0 {
            return Err(Error::OutOfRange { register: "Temperature", raw: register.into() });
        }
        let [found] = read(bus, self.address, Register::Configuration)?;
        let wrote = self.part.configuration();
        if found & 0x7F != wrote {
            let (wrote, read) = (wrote.into(), found.into());
            return Err(Error::Configuration { register: "Configuration", wrote, read });
        }
        out.push(0, convert(register, self.part));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Step::{Ask, Silence, Write};
    use crate::testing::{Bench, absent, assert_close, collect, measure, script};
    use rstest::rstest;

    const AT: u8 = 0x48;

    #[rstest]
    #[case(Part::Lm75, 0x08)]
    #[case(Part::Tmp105, 0x68)]
    fn init_writes_and_reads_back_the_configuration(#[case] part: Part, #[case] byte: u8) {
        let steps = [Write(&[1, byte]), Ask(&[1], &[byte])];
        assert_eq!(script(AT, &steps, |bus| Lm75::new(AT, part).init(bus)), Ok(()));
        let steps = [Write(&[1, byte]), Ask(&[1], &[0xFF])];
        let refused = Error::Configuration { register: "Configuration", wrote: byte.into(), read: 0xFF };
        assert_eq!(script(AT, &steps, |bus| Lm75::new(AT, part).init(bus)), Err(refused));
    }

    #[test]
    fn only_the_first_conversion_is_waited_for() {
        let mut driver = Lm75::new(AT, Part::Lm75);
        let waits = script(AT, &[], |bus| [driver.start(bus), driver.start(bus)]);
        assert_eq!(waits, [Ok(Duration::from_millis(300)), Ok(Duration::ZERO)]);
    }

    /// LM75B, "temperature data format"; TMP105, table 5.
    #[rstest]
    #[case(Part::Lm75, 0x7D00, 125.0)]
    #[case(Part::Lm75, 0x1900, 25.0)]
    #[case(Part::Lm75, 0x0080, 0.5)]
    #[case(Part::Lm75, 0x007F, 0.0)] // undefined bits do not count
    #[case(Part::Lm75, 0xFF80, -0.5)]
    #[case(Part::Lm75, 0xC900, -55.0)]
    #[case(Part::Tmp105, 0x7FF0, 127.937_5)]
    #[case(Part::Tmp105, 0x0040, 0.25)]
    #[case(Part::Tmp105, 0xFFC0, -0.25)]
    #[case(Part::Tmp105, 0xC900, -55.0)]
    fn conversion_as_in_the_datasheet(#[case] part: Part, #[case] register: u16, #[case] degrees: f64) {
        assert_eq!(convert(register, part), degrees);
    }

    #[rstest]
    #[case::all_ones(&[Ask(&[0], &[0xFF, 0xFF]), Ask(&[1], &[0xFF])], Error::Configuration { register: "Configuration", wrote: 8, read: 0xFF })]
    #[case::power_lost(&[Ask(&[0], &[0, 0]), Ask(&[1], &[0])], Error::Configuration { register: "Configuration", wrote: 8, read: 0 })]
    #[case::nobody(&[Silence(&[0], 2)], absent("Temperature"))]
    #[case::gone(&[Ask(&[0], &[0, 0]), Silence(&[1], 1)], absent("Configuration"))]
    fn read_fails(#[case] steps: &[crate::testing::Step], #[case] error: Error) {
        let result = script(AT, steps, |bus| collect(&mut Lm75::new(AT, Part::Lm75), bus));
        assert_eq!(result, Err(error));
    }

    /// The unused bits of the TMP105 are zero (tables 3 and 4); those of the LM75 are anything.
    #[test]
    fn bits_that_must_be_zero_are() {
        let steps = [Ask(&[0], &[0xFF, 0xFF])];
        let result = script(AT, &steps, |bus| collect(&mut Lm75::new(AT, Part::Tmp105), bus));
        assert_eq!(result, Err(Error::OutOfRange { register: "Temperature", raw: 0xFFFF }));
        let steps = [Ask(&[0], &[0x19, 0x7F]), Ask(&[1], &[0x08])];
        let result = script(AT, &steps, |bus| collect(&mut Lm75::new(AT, Part::Lm75), bus));
        assert_eq!(result.unwrap()[0].value, 25.0);
    }

    #[rstest]
    #[case("lm75", Part::Lm75, -55.0, 0.25)]
    #[case("lm75", Part::Lm75, 125.0, 0.25)]
    #[case("tmp105", Part::Tmp105, -40.06, 0.032)]
    #[case("tmp105", Part::Tmp105, 21.44, 0.032)]
    fn the_simulated_chip_is_read_as_it_was_set(
        #[case] name: &str,
        #[case] part: Part,
        #[case] degrees: f64,
        #[case] tolerance: f64,
    ) {
        let values = measure(name, &mut Lm75::new(AT, part), &[("temperature", degrees)]).unwrap();
        assert_close(&values, &[degrees], &[tolerance]);
    }

    /// The crate `lm75` on the same simulated chip.
    #[test]
    fn the_lm75_crate_reads_the_same() {
        let mut bench = Bench::new(crate::sim::lm75::lm75(AT));
        for degrees in [-55.0, -0.5, 0.0, 21.6, 125.0] {
            bench.set(AT, "temperature", degrees);
            let mut driver = Lm75::new(AT, Part::Lm75);
            driver.init(&mut bench).unwrap();
            bench.wait(driver.start(&mut bench.clone()).unwrap());
            let ours = collect(&mut driver, &mut bench).unwrap()[0].value;
            let theirs = lm75::Lm75::new(bench.clone(), AT).read_temperature().unwrap();
            assert_eq!(ours, f64::from(theirs));
        }
    }
}
