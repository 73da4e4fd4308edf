//! Texas Instruments INA226: voltage, current and power of a supply line through a shunt resistor.
//!
//! The current is computed here from the shunt's voltage: the chip's own current register is the same product,
//! rounded to 16 bits and able to overflow, so its calibration register stays unused.
//!
//! Datasheet: SBOS547B, September 2024, <https://www.ti.com/lit/ds/symlink/ina226.pdf>.

use alloc::borrow::ToOwned;
use alloc::format;
use core::time::Duration;

use crate::registers::{configure, read, registers, write};
use crate::{Accepts, Channel, Driver, Error, I2c, Measurements, OptionError, Options, Setting};

registers! {
    /// Section 7.1, table 7-1.
    enum Register: u8 {
        Configuration = 0x00,
        ShuntVoltage = 0x01,
        BusVoltage = 0x02,
        MaskEnable = 0x06,
        ManufacturerId = 0xFE,
        DieId = 0xFF,
    }
}

/// "TI" and, but for a revision in the last four bits, 226 (sections 7.1.9 and 7.1.10).
const MANUFACTURER: u16 = 0x5449;
const DIE: u16 = 0x2260;
/// Section 7.1.1: a bit that is always set, 1.1 ms per conversion; the mode is off between readings.
const ALWAYS_ONE: u16 = 1 << 14;
const CONVERSIONS_1_1_MS: u16 = 0b100 << 6 | 0b100 << 3;
const MODE_SHUNT_AND_BUS_ONCE: u16 = 0b011;
/// Section 7.1.7.
const CONVERSION_READY: u16 = 1 << 3;
/// Section 5.5, in volts.
const BUS_STEP: f64 = 0.001_25;
const SHUNT_STEP: f64 = 0.000_002_5;
/// What the shunt converter can hold, in volts.
const SHUNT_RANGE: f64 = 0.081_92;
/// Section 5.3.
const MOST_VOLTS: f64 = 36.0;

/// With the default shunt of 0.1 Ohm.
pub const CHANNELS: &[Channel] = &channels(0.1, 0.8);

const fn channels(shunt: f64, max_current: f64) -> [Channel; 3] {
    let most_power = MOST_VOLTS * max_current;
    [
        Channel::gauge("voltage", "V", 0.0, MOST_VOLTS).resolution(BUS_STEP),
        Channel::gauge("current", "A", -max_current, max_current).resolution(SHUNT_STEP / shunt),
        Channel::gauge("power", "W", -most_power, most_power),
    ]
}

/// What can be set in the configuration.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "shunt",
        help: "the shunt resistor; R100 on most modules is 0.1",
        accepts: Accepts::Number { default: 0.1, min: 0.000_01, max: 1_000.0, unit: "Ohm" },
    },
    Setting {
        key: "max_current",
        help: "the largest current to be measured; its voltage over the shunt may be at most 0.08192 V",
        accepts: Accepts::Number { default: 0.8, min: 0.000_1, max: 10_000.0, unit: "A" },
    },
    Setting {
        key: "average",
        help: "samples averaged by the chip for each reading, 2.2 ms each",
        accepts: Accepts::Word { default: "1", of: &["1", "4", "16", "64", "128", "256", "512", "1024"] },
    },
];

/// How the chip is wired and is to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Ohms.
    pub shunt: f64,
    /// Amperes; together with `shunt` at most 0.08192 V.
    pub max_current: f64,
    /// Samples per reading: 0 to 7 for 1, 4, 16, 64, 128, 256, 512, 1024.
    pub average: u8,
}

impl Config {
    /// From checked options; fails when the current is too large for the shunt.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        let config = Self {
            shunt: options.number("shunt"),
            max_current: options.number("max_current"),
            average: options.choice("average") as u8,
        };
        let volts = config.max_current * config.shunt;
        if volts <= SHUNT_RANGE {
            return Ok(config);
        }
        let (shunt, most) = (config.shunt, SHUNT_RANGE / config.shunt);
        let message = format!("over a shunt of {shunt} Ohm the chip measures at most {most:.3} A; use a smaller shunt");
        Err(OptionError { key: "max_current".to_owned(), message })
    }

    /// The configuration register, powered down.
    fn register(&self) -> u16 {
        ALWAYS_ONE | u16::from(self.average & 7) << 9 | CONVERSIONS_1_1_MS
    }

    /// Both conversions, one after the other: 1.21 ms at most per sample (section 5.5).
    fn conversion(&self) -> Duration {
        let samples = [1, 4, 16, 64, 128, 256, 512, 1024][usize::from(self.average & 7)];
        Duration::from_micros(2 * 1_210) * samples
    }
}

/// An INA226 at one address.
#[derive(Debug)]
pub struct Ina226 {
    address: u8,
    config: Config,
    channels: [Channel; 3],
}

impl Ina226 {
    /// At `address` 0x40 to 0x4F (pins A0 and A1, section 6.5.5.1).
    pub fn new(address: u8, config: Config) -> Self {
        Self { address, config, channels: channels(config.shunt, config.max_current) }
    }
}

/// Both identity registers in one number.
fn identity(bus: &mut I2c, address: u8) -> Result<u32, Error> {
    let manufacturer = u16::from_be_bytes(read(bus, address, Register::ManufacturerId)?);
    let die = u16::from_be_bytes(read(bus, address, Register::DieId)?);
    Ok(u32::from(manufacturer) << 16 | u32::from(die))
}

fn is_ina226(identity: u32) -> bool {
    identity & 0xFFFF_FFF0 == u32::from(MANUFACTURER) << 16 | u32::from(DIE)
}

/// Whether the chip at `address` says that it is an INA226.
pub fn identify(bus: &mut I2c, address: u8) -> Result<bool, Error> {
    identity(bus, address).map(is_ina226)
}

/// Volts of the bus register (section 7.1.3); its highest bit is always zero.
fn bus_volts(register: u16) -> Option<f64> {
    (register < 0x8000).then_some(f64::from(register) * BUS_STEP)
}

/// Volts over the shunt (section 7.1.2); `None` at the ends of the range, where the converter is saturated.
fn shunt_volts(register: u16) -> Option<f64> {
    let code = register.cast_signed();
    let inside = code > i16::MIN && code < i16::MAX;
    inside.then_some(f64::from(code) * SHUNT_STEP)
}

impl Driver for Ina226 {
    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        let found = identity(bus, self.address)?;
        if !is_ina226(found) {
            return Err(Error::WrongChip { expected: "INA226", found });
        }
        configure(bus, self.address, Register::Configuration, self.config.register().to_be_bytes())
    }

    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        let once = self.config.register() | MODE_SHUNT_AND_BUS_ONCE;
        write(bus, self.address, Register::Configuration, &once.to_be_bytes())?;
        Ok(self.config.conversion())
    }

    /// With a saturated shunt the voltage is still good.
    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        let flags = u16::from_be_bytes(read(bus, self.address, Register::MaskEnable)?);
        if flags & CONVERSION_READY == 0 {
            return Err(Error::NotReady { after: self.config.conversion() / 8 });
        }
        let register = u16::from_be_bytes(read(bus, self.address, Register::BusVoltage)?);
        let volts = bus_volts(register).ok_or(Error::OutOfRange { register: "BusVoltage", raw: register.into() })?;
        out.push(0, volts);
        let register = u16::from_be_bytes(read(bus, self.address, Register::ShuntVoltage)?);
        let drop = shunt_volts(register).ok_or(Error::OutOfRange { register: "ShuntVoltage", raw: register.into() })?;
        let amperes = drop / self.config.shunt;
        out.push(1, amperes);
        out.push(2, volts * amperes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Step::{Ask, Silence, Write};
    use crate::testing::{absent, assert_close, collect, measure, script};
    use crate::{Measurement, Value};
    use rstest::rstest;

    const AT: u8 = 0x40;
    /// The datasheet's example (section 6.5.1): 2 mOhm, 10 A at 11.98 V.
    const EXAMPLE: Config = Config { shunt: 0.002, max_current: 15.0, average: 0 };

    #[test]
    fn init_identifies_and_configures() {
        let mut driver = Ina226::new(AT, Config { average: 2, ..EXAMPLE });
        let steps = [
            Ask(&[0xFE], &[0x54, 0x49]),
            Ask(&[0xFF], &[0x22, 0x61]),
            Write(&[0, 0x45, 0x20]),
            Ask(&[0], &[0x45, 0x20]),
        ];
        assert_eq!(script(AT, &steps, |bus| driver.init(bus)), Ok(()));
    }

    #[rstest]
    #[case::an_ina219(&[Ask(&[0xFE], &[0x39, 0x9F]), Ask(&[0xFF], &[0x39, 0x9F])], Error::WrongChip { expected: "INA226", found: 0x399F_399F })]
    #[case::refused(
        &[Ask(&[0xFE], &[0x54, 0x49]), Ask(&[0xFF], &[0x22, 0x60]), Write(&[0, 0x41, 0x20]), Ask(&[0], &[0x41, 0x27])],
        Error::Configuration { register: "Configuration", wrote: 0x4120, read: 0x4127 },
    )]
    #[case::nobody(&[Silence(&[0xFE], 2)], absent("ManufacturerId"))]
    #[case::gone(&[Ask(&[0xFE], &[0x54, 0x49]), Silence(&[0xFF], 2)], absent("DieId"))]
    fn init_fails(#[case] steps: &[crate::testing::Step], #[case] error: Error) {
        assert_eq!(script(AT, steps, |bus| Ina226::new(AT, EXAMPLE).init(bus)), Err(error));
    }

    #[test]
    fn a_conversion_is_triggered_and_takes_its_time() {
        let mut driver = Ina226::new(AT, EXAMPLE);
        let wait = script(AT, &[Write(&[0, 0x41, 0x23])], |bus| driver.start(bus));
        assert_eq!(wait, Ok(Duration::from_micros(2_420)));
    }

    /// Section 6.5.1: bus register 0x2570, shunt register 0x1F40.
    #[test]
    fn the_worked_example_comes_out_as_printed() {
        let steps = [Ask(&[6], &[0, 8]), Ask(&[2], &[0x25, 0x70]), Ask(&[1], &[0x1F, 0x40])];
        let out = script(AT, &steps, |bus| collect(&mut Ina226::new(AT, EXAMPLE), bus)).unwrap();
        let values: [f64; 3] = core::array::from_fn(|n| out[n].value);
        assert_close(&values, &[11.98, 10.0, 119.8], &[0.0001, 0.0001, 0.001]);
    }

    /// Section 7.1.2: the example of -80 mV, and both ends.
    #[rstest]
    #[case(0x8300, Some(-0.08))]
    #[case(0x0001, Some(0.000_002_5))]
    #[case(0x7FFE, Some(0.081_915))]
    #[case(0x7FFF, None)]
    #[case(0x8000, None)]
    fn the_shunt_at_its_corners(#[case] register: u16, #[case] volts: Option<f64>) {
        let found = shunt_volts(register);
        assert_eq!(found.is_some(), volts.is_some());
        assert_close(&[found.unwrap_or(0.0)], &[volts.unwrap_or(0.0)], &[1e-9]);
    }

    #[rstest]
    #[case::still_busy(&[Ask(&[6], &[0, 0])], Error::NotReady { after: Duration::from_nanos(302_500) })]
    #[case::all_ones(&[Ask(&[6], &[0xFF, 0xFF]), Ask(&[2], &[0xFF, 0xFF])], Error::OutOfRange { register: "BusVoltage", raw: 0xFFFF })]
    #[case::nobody(&[Silence(&[6], 2)], absent("MaskEnable"))]
    #[case::gone(&[Ask(&[6], &[0, 8]), Silence(&[2], 2)], absent("BusVoltage"))]
    fn read_fails(#[case] steps: &[crate::testing::Step], #[case] error: Error) {
        assert_eq!(script(AT, steps, |bus| collect(&mut Ina226::new(AT, EXAMPLE), bus)), Err(error));
    }

    #[test]
    fn a_saturated_shunt_leaves_the_voltage() {
        let mut out = Measurements::new();
        let steps = [Ask(&[6], &[0, 8]), Ask(&[2], &[0x25, 0x70]), Ask(&[1], &[0x7F, 0xFF])];
        let result = script(AT, &steps, |bus| Ina226::new(AT, EXAMPLE).read(bus, &mut out));
        assert_eq!(result, Err(Error::OutOfRange { register: "ShuntVoltage", raw: 0x7FFF }));
        assert_eq!(*out, [Measurement { channel: 0, value: 11.98 }]);
    }

    #[test]
    fn a_current_beyond_the_shunt_is_refused_with_the_arithmetic() {
        let mut options = Options::new(SETTINGS);
        options.set("max_current", Value::Number(5.0)).unwrap();
        let error = Config::from_options(&options).unwrap_err();
        assert_eq!(error.key, "max_current");
        assert!(error.message.contains("0.1 Ohm") && error.message.contains("0.819 A"), "{error}");
    }

    #[rstest]
    #[case(0.0, 0.0)]
    #[case(12.0, -0.75)]
    #[case(36.0, 0.8)]
    fn the_simulated_chip_is_read_as_it_was_set(#[case] volts: f64, #[case] amperes: f64) {
        let config = Config::from_options(&Options::new(SETTINGS)).unwrap();
        let world = [("voltage", volts), ("current", amperes)];
        let values = measure("ina226", &mut Ina226::new(AT, config), &world).unwrap();
        assert_close(&values, &[volts, amperes, volts * amperes], &[0.001, 0.00002, 0.002]);
    }
}
