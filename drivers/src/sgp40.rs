//! Sensirion SGP40: the VOC index, from 1 to 500; the average of the last day is 100.
//!
//! The index is Sensirion's gas index algorithm on the raw signal. It needs a steady period, and begins 45 s after
//! the first reading. The signal is compensated for a fixed humidity and temperature that can be set; taking them from
//! another sensor is not done here, where one device knows nothing of another.
//!
//! Datasheet: SGP40, version 1.0, July 2020,
//! <https://sensirion.com/media/documents/296373BB/6203C5DF/Sensirion_Gas_Sensors_Datasheet_SGP40.pdf>.

use core::time::Duration;

use gas_index_algorithm::{AlgorithmType, GasIndexAlgorithm};

use crate::registers::registers;
use crate::sensirion::{command, command_with, words};
use crate::{Accepts, Channel, Driver, Error, I2c, Measurements, OptionError, Options, Setting};

registers! {
    /// Tables 9, 12 and 14.
    enum Command: u16 {
        SelfTest = 0x280E,
        MeasureRaw = 0x260F,
    }
}

/// Table 8, maxima.
const SELF_TEST: Duration = Duration::from_millis(320);
const CONVERSION: Duration = Duration::from_millis(30);
/// Table 13: all tests passed, in the high byte.
const PASSED: u8 = 0xD4;

/// Table 11 and the index's definition; the raw signal falls with rising VOC.
pub const CHANNELS: &[Channel] = &[
    Channel::gauge("voc_raw", "1", 1.0, 65_534.0).resolution(1.0),
    Channel::gauge("voc_index", "1", 1.0, 500.0).resolution(1.0),
];

/// What can be set in the configuration.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "interval",
        help: "seconds between readings, the same as the sensor's `every`: the index depends on it",
        accepts: Accepts::Number { default: 1.0, min: 0.5, max: 10.0, unit: "s" },
    },
    Setting {
        key: "humidity",
        help: "usual relative humidity around the sensor, for compensation",
        accepts: Accepts::Number { default: 50.0, min: 0.0, max: 100.0, unit: "%" },
    },
    Setting {
        key: "temperature",
        help: "usual temperature around the sensor, for compensation",
        accepts: Accepts::Number { default: 25.0, min: -45.0, max: 130.0, unit: "Cel" },
    },
];

/// How the sensor is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Seconds between readings.
    pub interval: f64,
    /// Percent.
    pub humidity: f64,
    /// Degrees Celsius.
    pub temperature: f64,
}

impl Config {
    /// From checked options.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        Ok(Self {
            interval: options.number("interval"),
            humidity: options.number("humidity"),
            temperature: options.number("temperature"),
        })
    }

    /// The argument words of a measurement (table 10).
    fn compensation(&self) -> [u16; 2] {
        let code = |part: f64| (part * 65_535.0 + 0.5) as u16;
        [code(self.humidity / 100.0), code((self.temperature + 45.0) / 175.0)]
    }
}

/// An SGP40; they are all at address 0x59.
#[derive(Debug)]
pub struct Sgp40 {
    address: u8,
    config: Config,
    algorithm: GasIndexAlgorithm,
    testing: bool,
}

impl Sgp40 {
    /// At `address` 0x59.
    pub fn new(address: u8, config: Config) -> Self {
        let algorithm = GasIndexAlgorithm::new(AlgorithmType::Voc, config.interval as f32);
        Self { address, config, algorithm, testing: false }
    }
}

impl Driver for Sgp40 {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    /// Twice: the first time begins the self-test, the second collects its verdict. The index goes on as it was.
    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        if !core::mem::take(&mut self.testing) {
            command(bus, self.address, Command::SelfTest)?;
            self.testing = true;
            return Err(Error::NotReady { after: SELF_TEST });
        }
        let [verdict] = words(bus, self.address, Command::SelfTest)?;
        if verdict.to_be_bytes()[0] == PASSED {
            return Ok(());
        }
        Err(Error::OutOfRange { register: "SelfTest", raw: verdict.into() })
    }

    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        command_with(bus, self.address, Command::MeasureRaw, self.config.compensation())?;
        Ok(CONVERSION)
    }

    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        let [raw] = words(bus, self.address, Command::MeasureRaw)?;
        if matches!(raw, 0 | 0xFFFF) {
            return Err(Error::OutOfRange { register: "MeasureRaw", raw: raw.into() });
        }
        out.push(0, f64::from(raw));
        let index = self.algorithm.process(raw.into());
        if index > 0 {
            out.push(1, f64::from(index));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Step::{Read, Silence, Write};
    use crate::testing::{absent, collect, script};
    use rstest::rstest;

    const AT: u8 = 0x59;

    fn chip() -> Sgp40 {
        Sgp40::new(AT, Config { interval: 1.0, humidity: 50.0, temperature: 25.0 })
    }

    #[test]
    fn init_is_the_self_test() {
        let mut driver = chip();
        script(AT, &[Write(&[0x28, 0x0E]), Read(&[0xD4, 0x00, 0xC6])], |bus| {
            assert_eq!(driver.init(bus), Err(Error::NotReady { after: SELF_TEST }));
            assert_eq!(driver.init(bus), Ok(()));
        });
        script(AT, &[Write(&[0x28, 0x0E]), Read(&[0x4B, 0x00, 0x12])], |bus| {
            let _ = driver.init(bus);
            assert_eq!(driver.init(bus), Err(Error::OutOfRange { register: "SelfTest", raw: 0x4B00 }));
        });
    }

    /// Table 10: the argument bytes for 50 percent and 25 degrees.
    #[test]
    fn a_measurement_is_sent_with_its_compensation() {
        let mut driver = chip();
        let steps = [Write(&[0x26, 0x0F, 0x80, 0x00, 0xA2, 0x66, 0x66, 0x93]), Read(&[0xBE, 0xEF, 0x92])];
        let out = script(AT, &steps, |bus| {
            assert_eq!(driver.start(bus), Ok(CONVERSION));
            collect(&mut driver, bus).unwrap()
        });
        assert_eq!(*out, [crate::Measurement { channel: 0, value: f64::from(0xBEEF) }]);
    }

    #[rstest]
    #[case::damaged(Read(&[0xBE, 0xEF, 0x93]), Error::Checksum { register: "MeasureRaw", computed: 0x92, received: 0x93 })]
    #[case::zero(Read(&[0x00, 0x00, 0x81]), Error::OutOfRange { register: "MeasureRaw", raw: 0 })]
    #[case::saturated(Read(&[0xFF, 0xFF, 0xAC]), Error::OutOfRange { register: "MeasureRaw", raw: 0xFFFF })]
    #[case::nobody(Silence(&[], 3), absent("MeasureRaw"))]
    fn read_fails(#[case] step: crate::testing::Step, #[case] error: Error) {
        assert_eq!(script(AT, &[step], |bus| collect(&mut chip(), bus)), Err(error));
    }

    #[test]
    fn every_access_names_its_command() {
        let result = script(AT, &[Silence(&[0x28, 0x0E], 0)], |bus| chip().init(bus));
        assert_eq!(result, Err(absent("SelfTest")));
    }

    /// After a quarter of an hour of steady air the index is near its mean of 100, and rises when the signal falls.
    #[test]
    fn the_index_follows_the_air() {
        let mut driver = chip();
        let mut index = |raw| driver.algorithm.process(raw);
        let steady = (0..900).map(|n| index(30_000 + n % 7)).last().unwrap();
        assert!((80..=120).contains(&steady), "{steady}");
        let polluted = (0..60).map(|_| index(27_000)).last().unwrap();
        assert!(polluted > 200, "{polluted}");
    }
}
