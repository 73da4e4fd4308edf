//! Texas Instruments INA219: voltage, current and power of a supply line through a shunt resistor.
//!
//! The current is computed here from the shunt's voltage: the chip's own current register is the same product,
//! rounded to 16 bits and able to overflow, so its calibration register stays unused.
//!
//! Datasheet: SBOS448G, December 2015, <https://www.ti.com/lit/ds/symlink/ina219.pdf>.

use alloc::borrow::ToOwned;
use alloc::format;
use core::time::Duration;

use crate::registers::{configure, read, registers, write};
use crate::{Accepts, Channel, Driver, Error, I2c, Measurements, OptionError, Options, Setting};

registers! {
    /// Section 8.6.1, table 2.
    enum Register: u8 {
        Configuration = 0,
        ShuntVoltage = 1,
        BusVoltage = 2,
    }
}

/// Section 8.6.2.1: bus range 32 V; the mode is off between readings.
const BUS_32V: u16 = 1 << 13;
const MODE_SHUNT_AND_BUS_ONCE: u16 = 0b011;
/// Section 8.6.3.2.
const CONVERSION_READY: u16 = 1 << 1;
const ALWAYS_ZERO: u16 = 1 << 2;
/// Section 8.6.3.2, in volts; section 8.6.3.1, in volts.
const BUS_STEP: f64 = 0.004;
const SHUNT_STEP: f64 = 0.000_01;
/// The converter's ranges in volts, in the order of the amplifier's codes (table 4).
const RANGES: [f64; 4] = [0.04, 0.08, 0.16, 0.32];
/// Recommended common-mode voltage (section 7.3).
const MOST_VOLTS: f64 = 26.0;

/// With the default shunt of 0.1 Ohm.
pub const CHANNELS: &[Channel] = &channels(0.1, 3.2);

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
        help: "the largest current to be measured; its voltage over the shunt may be at most 0.32 V",
        accepts: Accepts::Number { default: 3.2, min: 0.000_1, max: 10_000.0, unit: "A" },
    },
    Setting {
        key: "average",
        help: "samples averaged by the chip for each reading, 0.6 ms each for voltage and current",
        accepts: Accepts::Word { default: "1", of: &["1", "2", "4", "8", "16", "32", "64", "128"] },
    },
];

/// How the chip is wired and is to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Ohms.
    pub shunt: f64,
    /// Amperes; together with `shunt` at most 0.32 V.
    pub max_current: f64,
    /// Samples per reading, as a power of two: 0 to 7.
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
        if volts <= RANGES[3] + SHUNT_STEP / 2.0 {
            return Ok(config);
        }
        let (shunt, most) = (config.shunt, RANGES[3] / config.shunt);
        let message = format!("over a shunt of {shunt} Ohm the chip measures at most {most:.3} A; use a smaller shunt");
        Err(OptionError { key: "max_current".to_owned(), message })
    }

    /// The code of the smallest range that holds the largest current.
    fn range(&self) -> usize {
        let volts = self.max_current * self.shunt;
        RANGES.iter().position(|range| volts <= range + SHUNT_STEP / 2.0).unwrap_or(3)
    }

    /// The configuration register, powered down.
    fn register(&self) -> u16 {
        let samples = 0b1000 | u16::from(self.average & 7);
        BUS_32V | (self.range() as u16) << 11 | samples << 7 | samples << 3
    }

    /// Both conversions, one after the other: 586 us at most per sample (section 7.5).
    fn conversion(&self) -> Duration {
        Duration::from_micros((2 * 586) << (self.average & 7))
    }
}

/// An INA219 at one address.
#[derive(Debug)]
pub struct Ina219 {
    address: u8,
    config: Config,
    channels: [Channel; 3],
}

impl Ina219 {
    /// At `address` 0x40 to 0x4F (pins A0 and A1, table 1).
    pub fn new(address: u8, config: Config) -> Self {
        Self { address, config, channels: channels(config.shunt, config.max_current) }
    }
}

/// Volts of the bus register (section 8.6.3.2).
fn bus_volts(register: u16) -> f64 {
    f64::from(register >> 3) * BUS_STEP
}

/// Volts over the shunt (section 8.6.3.1); `None` at the ends of the range, where the converter is saturated.
fn shunt_volts(register: u16, range: usize) -> Option<f64> {
    let volts = f64::from(register.cast_signed()) * SHUNT_STEP;
    (volts.abs() < RANGES[range] - SHUNT_STEP / 2.0).then_some(volts)
}

impl Driver for Ina219 {
    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The chip has no identity; that it keeps its configuration must do.
    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        configure(bus, self.address, Register::Configuration, self.config.register().to_be_bytes())
    }

    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        let once = self.config.register() | MODE_SHUNT_AND_BUS_ONCE;
        write(bus, self.address, Register::Configuration, &once.to_be_bytes())?;
        Ok(self.config.conversion())
    }

    /// With a saturated shunt the voltage is still good.
    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        let register = u16::from_be_bytes(read(bus, self.address, Register::BusVoltage)?);
        if register & ALWAYS_ZERO != 0 {
            return Err(Error::OutOfRange { register: "BusVoltage", raw: register.into() });
        }
        if register & CONVERSION_READY == 0 {
            return Err(Error::NotReady { after: self.config.conversion() / 8 });
        }
        let volts = bus_volts(register);
        out.push(0, volts);
        let register = u16::from_be_bytes(read(bus, self.address, Register::ShuntVoltage)?);
        let drop = shunt_volts(register, self.config.range())
            .ok_or(Error::OutOfRange { register: "ShuntVoltage", raw: register.into() })?;
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
    use crate::testing::{Bench, absent, assert_close, collect, measure, script};
    use crate::{Measurement, Value};
    use rstest::rstest;

    const AT: u8 = 0x40;
    /// The datasheet's example (section 9.2): 2 mOhm, 10 A at 11.98 V.
    const EXAMPLE: Config = Config { shunt: 0.002, max_current: 15.0, average: 0 };

    #[test]
    fn init_writes_and_reads_back_the_configuration() {
        let mut driver = Ina219::new(AT, Config { shunt: 0.1, max_current: 3.2, average: 3 });
        let steps = [Write(&[0, 0x3D, 0xD8]), Ask(&[0], &[0x3D, 0xD8])];
        assert_eq!(script(AT, &steps, |bus| driver.init(bus)), Ok(()));
        let steps = [Write(&[0, 0x3D, 0xD8]), Ask(&[0], &[0x39, 0x9F])];
        let refused = Error::Configuration { register: "Configuration", wrote: 0x3DD8, read: 0x399F };
        assert_eq!(script(AT, &steps, |bus| driver.init(bus)), Err(refused));
    }

    #[test]
    fn a_conversion_is_triggered_and_takes_its_time() {
        let mut driver = Ina219::new(AT, EXAMPLE);
        let wait = script(AT, &[Write(&[0, 0x24, 0x43])], |bus| driver.start(bus));
        assert_eq!(wait, Ok(Duration::from_micros(1_172)));
    }

    /// Section 9.2: bus register 0x5D98, shunt register 0x07D0.
    #[test]
    fn the_worked_example_comes_out_as_printed() {
        let steps = [Ask(&[2], &[0x5D, 0x9A]), Ask(&[1], &[0x07, 0xD0])];
        let out = script(AT, &steps, |bus| collect(&mut Ina219::new(AT, EXAMPLE), bus)).unwrap();
        let values: [f64; 3] = core::array::from_fn(|n| out[n].value);
        assert_close(&values, &[11.98, 10.0, 119.8], &[0.0001, 0.0001, 0.001]);
    }

    /// Section 8.6.3.1: full scale in each range, and its negative.
    #[rstest]
    #[case(0x0001, 0, Some(0.00001))]
    #[case(0xFFFF, 0, Some(-0.00001))]
    #[case(0x0F9F, 0, Some(0.03999))]
    #[case(0x0FA0, 0, None)]
    #[case(0xF060, 0, None)]
    #[case(0x7CFF, 3, Some(0.31999))]
    #[case(0x7D00, 3, None)]
    #[case(0x8300, 3, None)]
    fn the_shunt_at_its_corners(#[case] register: u16, #[case] range: usize, #[case] volts: Option<f64>) {
        let found = shunt_volts(register, range);
        assert_eq!(found.map(|v| microvolts(v * 1e6)), volts.map(|v| microvolts(v * 1e6)));
    }

    fn microvolts(value: f64) -> i64 {
        (value + 0.5_f64.copysign(value)) as i64
    }

    #[rstest]
    #[case::still_busy(&[0x5D, 0x98], Error::NotReady { after: Duration::from_nanos(146_500) })]
    #[case::all_ones(&[0xFF, 0xFF], Error::OutOfRange { register: "BusVoltage", raw: 0xFFFF })]
    fn the_bus_register_tells_before_the_data_is_believed(#[case] register: &[u8], #[case] error: Error) {
        let result = script(AT, &[Ask(&[2], register)], |bus| collect(&mut Ina219::new(AT, EXAMPLE), bus));
        assert_eq!(result, Err(error));
    }

    #[test]
    fn a_saturated_shunt_leaves_the_voltage() {
        let mut out = Measurements::new();
        let steps = [Ask(&[2], &[0x5D, 0x9A]), Ask(&[1], &[0x0F, 0xA0])];
        let result = script(AT, &steps, |bus| Ina219::new(AT, EXAMPLE).read(bus, &mut out));
        assert_eq!(result, Err(Error::OutOfRange { register: "ShuntVoltage", raw: 0x0FA0 }));
        assert_eq!(*out, [Measurement { channel: 0, value: 11.98 }]);
    }

    #[test]
    fn every_access_names_its_register() {
        let driver = || Ina219::new(AT, EXAMPLE);
        let result = script(AT, &[Silence(&[0, 0x24, 0x40], 0)], |bus| driver().init(bus));
        assert_eq!(result, Err(absent("Configuration")));
        let result = script(AT, &[Silence(&[2], 2)], |bus| collect(&mut driver(), bus));
        assert_eq!(result, Err(absent("BusVoltage")));
        let steps = [Ask(&[2], &[0x5D, 0x9A]), Silence(&[1], 2)];
        let result = script(AT, &steps, |bus| collect(&mut driver(), bus));
        assert_eq!(result, Err(absent("ShuntVoltage")));
    }

    #[test]
    fn a_current_beyond_the_shunt_is_refused_with_the_arithmetic() {
        let mut options = Options::new(SETTINGS);
        options.set("max_current", Value::Number(5.0)).unwrap();
        let error = Config::from_options(&options).unwrap_err();
        assert_eq!(error.key, "max_current");
        assert!(error.message.contains("0.1 Ohm") && error.message.contains("3.200 A"), "{error}");
    }

    #[rstest]
    #[case(0.0, 0.0)]
    #[case(12.0, -1.5)]
    #[case(26.0, 3.199)]
    fn the_simulated_chip_is_read_as_it_was_set(#[case] volts: f64, #[case] amperes: f64) {
        let config = Config::from_options(&Options::new(SETTINGS)).unwrap();
        let world = [("voltage", volts), ("current", amperes)];
        let values = measure("ina219", &mut Ina219::new(AT, config), &world).unwrap();
        assert_close(&values, &[volts, amperes, volts * amperes], &[0.004, 0.0001, 0.02]);
    }

    /// The crate `ina219` on the same simulated chip.
    #[test]
    fn the_ina219_crate_reads_the_same() {
        use ina219::{SyncIna219, address::Address, calibration::UnCalibrated};
        let mut bench = Bench::new(crate::sim::ina219::ina219(AT));
        let mut oracle = SyncIna219::new_unchecked(bench.clone(), Address::from_byte(AT).unwrap(), UnCalibrated);
        for (volts, amperes) in [(0.0, 0.0), (3.3, -0.75), (24.0, 2.5)] {
            assert!(bench.set(AT, "voltage", volts) && bench.set(AT, "current", amperes));
            let mut driver = Ina219::new(AT, Config { shunt: 0.1, max_current: 3.2, average: 0 });
            driver.init(&mut bench).unwrap();
            bench.wait(driver.start(&mut bench.clone()).unwrap());
            let ours = collect(&mut driver, &mut bench).unwrap();
            let bus = f64::from(oracle.bus_voltage().unwrap().voltage_mv()) / 1e3;
            let shunt = f64::from(oracle.shunt_voltage().unwrap().shunt_voltage_uv()) / 1e6;
            assert_close(&[ours[0].value, ours[1].value], &[bus, shunt / 0.1], &[1e-9, 1e-9]);
        }
    }
}
