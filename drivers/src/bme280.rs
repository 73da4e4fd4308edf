//! Bosch BME280: temperature, air pressure and relative humidity.
//!
//! Measures in forced mode: the chip sleeps between readings, which also keeps it from heating itself.
//! Not done: SPI, normal mode, and the soft reset (`init` writes everything that matters).
//!
//! Datasheet: BST-BME280-DS002 rev. 1.6,
//! <https://www.bosch-sensortec.com/media/boschsensortec/downloads/datasheets/bst-bme280-ds002.pdf>.

use core::time::Duration;

use crate::registers::{configure, read, registers, write};
use crate::{Accepts, Channel, Driver, Error, I2c, Measurements, OptionError, Options, Setting};

registers! {
    /// Section 5.3, table 18.
    enum Register: u8 {
        Calibration = 0x88,
        Id = 0xD0,
        CalibrationHumidity = 0xE1,
        /// Followed by status, ctrl_meas, config and, after one unused byte, the data.
        CtrlHum = 0xF2,
        Status = 0xF3,
        CtrlMeas = 0xF4,
        Config = 0xF5,
    }
}

/// Section 5.4.1.
const ID: u8 = 0x60;
/// The non-volatile memory takes this long to be copied after power-on (table 1, start-up time).
pub(crate) const START_UP: Duration = Duration::from_millis(2);
pub(crate) const FORCED: u8 = 0b01;
pub(crate) const MEASURING: u8 = 1 << 3;
const COPYING_CALIBRATION: u8 = 1;

/// Tables 2 to 4: ranges, resolution and RMS noise without oversampling.
pub const CHANNELS: &[Channel] = &[
    Channel::gauge("temperature", "Cel", -40.0, 85.0).resolution(0.01).noise(0.005),
    Channel::gauge("pressure", "Pa", 30_000.0, 110_000.0).resolution(0.18).noise(1.3),
    Channel::gauge("humidity", "%", 0.0, 100.0).resolution(0.008).noise(0.07),
];

/// What can be set in the configuration.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "oversampling",
        help: "measurements averaged by the chip for each reading: less noise, longer conversion",
        accepts: Accepts::Word { default: "1x", of: &["1x", "2x", "4x", "8x", "16x"] },
    },
    Setting {
        key: "smoothing",
        help: "the chip's own low-pass filter for temperature and pressure, in readings",
        accepts: Accepts::Word { default: "off", of: &["off", "2", "4", "8", "16"] },
    },
];

/// How the chip is to measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Measurements per reading, as a power of two: 0 to 4.
    pub oversampling: u8,
    /// Readings in the low-pass filter, as a power of two: 0 (off) to 4.
    pub smoothing: u8,
}

impl Config {
    /// From checked options.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        Ok(Self { oversampling: options.choice("oversampling") as u8, smoothing: options.choice("smoothing") as u8 })
    }

    /// The oversampling field for one quantity (table 20); 0 would skip it.
    fn samples(self) -> u8 {
        self.oversampling + 1
    }

    /// Temperature and pressure; the chip is asleep between readings.
    pub(crate) fn ctrl_meas(self) -> u8 {
        self.samples() << 5 | self.samples() << 2
    }

    /// Section 9.1, maximum.
    pub(crate) fn conversion(self) -> Duration {
        let samples = 1_u64 << self.oversampling;
        Duration::from_micros(1_250 + 3 * 2_300 * samples + 2 * 575)
    }
}

/// A BME280 at one address.
#[derive(Debug)]
pub struct Bme280 {
    address: u8,
    config: Config,
    calibration: Calibration,
}

impl Bme280 {
    /// At `address` 0x76 (SDO low) or 0x77 (SDO high).
    pub fn new(address: u8, config: Config) -> Self {
        Self { address, config, calibration: Calibration::default() }
    }
}

/// Whether the chip at `address` says that it is a BME280.
pub fn identify(bus: &mut I2c, address: u8) -> Result<bool, Error> {
    read::<1, _>(bus, address, Register::Id).map(|[id]| id == ID)
}

/// The trimming values of one chip (table 16).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Calibration {
    air: Air,
    h: [f64; 6],
}

/// The trimming values that the BMP280 has too: T1 to T3 and P1 to P9.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Air {
    t: [f64; 3],
    p: [f64; 9],
}

impl Air {
    /// From the 24 bytes at 0x88: little-endian words, the first of each quantity unsigned.
    pub(crate) fn parse(bytes: &[u8; 24]) -> Self {
        let unsigned = |n: usize| f64::from(u16::from_le_bytes([bytes[2 * n], bytes[2 * n + 1]]));
        let signed = |n: usize| f64::from(i16::from_le_bytes([bytes[2 * n], bytes[2 * n + 1]]));
        let mut air = Self { t: core::array::from_fn(signed), p: core::array::from_fn(|n| signed(n + 3)) };
        air.t[0] = unsigned(0);
        air.p[0] = unsigned(3);
        air
    }

    /// Fine temperature (degrees Celsius times 5120) from the 20-bit code (section 8.1).
    pub(crate) fn fine(&self, code: u32) -> f64 {
        let code = f64::from(code);
        let linear = code / 16_384.0 - self.t[0] / 1_024.0;
        let square = code / 131_072.0 - self.t[0] / 8_192.0;
        linear * self.t[1] + square * square * self.t[2]
    }

    /// Pascals from the 20-bit code (section 8.1); `None` where the formula would divide by zero.
    pub(crate) fn pressure(&self, code: u32, fine: f64) -> Option<f64> {
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9] = self.p;
        let t = fine / 2.0 - 64_000.0;
        let offset = (t * t * p6 / 32_768.0 + t * p5 * 2.0) / 4.0 + p4 * 65_536.0;
        let slope = (1.0 + (p3 * t * t / 524_288.0 + p2 * t) / 524_288.0 / 32_768.0) * p1;
        if slope == 0.0 {
            return None;
        }
        let p = (1_048_576.0 - f64::from(code) - offset / 4_096.0) * 6_250.0 / slope;
        Some(p + (p9 * p * p / 2_147_483_648.0 + p * p8 / 32_768.0 + p7) / 16.0)
    }
}

impl Calibration {
    /// From the bytes at 0x88 and at 0xE1; H4 and H5 share a byte (table 16).
    fn parse(first: &[u8; 26], second: &[u8; 7]) -> Self {
        let mut air = [0; 24];
        air.copy_from_slice(&first[..24]);
        let twelve_bits = |high: u8, low: u8| f64::from(i16::from(high as i8) << 4 | i16::from(low));
        Self {
            air: Air::parse(&air),
            h: [
                f64::from(first[25]),
                f64::from(i16::from_le_bytes([second[0], second[1]])),
                f64::from(second[2]),
                twelve_bits(second[3], second[4] & 0x0F),
                twelve_bits(second[5], second[4] >> 4),
                f64::from(second[6] as i8),
            ],
        }
    }

    /// Percent from the 16-bit code (section 8.1), limited as there.
    fn humidity(&self, code: u32, fine: f64) -> f64 {
        let [h1, h2, h3, h4, h5, h6] = self.h;
        let t = fine - 76_800.0;
        let offset = h4 * 64.0 + h5 / 16_384.0 * t;
        let slope = 1.0 + h6 / 67_108_864.0 * t * (1.0 + h3 / 67_108_864.0 * t);
        let h = (f64::from(code) - offset) * (h2 / 65_536.0 * slope);
        (h * (1.0 - h1 * h / 524_288.0)).clamp(0.0, 100.0)
    }
}

/// The three values from the eight data bytes (registers 0xF7 to 0xFE); `Err` is a code that says "not measured".
fn convert(calibration: &Calibration, data: &[u8; 8]) -> Result<[f64; 3], u32> {
    let twenty_bits = |at: usize| u32::from_be_bytes([0, data[at], data[at + 1], data[at + 2]]) >> 4;
    let (pressure, temperature) = (twenty_bits(0), twenty_bits(3));
    let humidity = u32::from(u16::from_be_bytes([data[6], data[7]]));
    // All three at their reset values (table 18): nothing measured since power-on. Each alone may be a real code.
    if (pressure, temperature, humidity) == (0x80000, 0x80000, 0x8000) {
        return Err(temperature);
    }
    let fine = calibration.air.fine(temperature);
    let pascals = calibration.air.pressure(pressure, fine).ok_or(pressure)?;
    Ok([fine / 5_120.0, pascals, calibration.humidity(humidity, fine)])
}

impl Driver for Bme280 {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        let [id] = read(bus, self.address, Register::Id)?;
        if id != ID {
            return Err(Error::WrongChip { expected: "BME280", found: id.into() });
        }
        let [status] = read(bus, self.address, Register::Status)?;
        if status & COPYING_CALIBRATION != 0 {
            return Err(Error::NotReady { after: START_UP });
        }
        let first = read(bus, self.address, Register::Calibration)?;
        let second = read(bus, self.address, Register::CalibrationHumidity)?;
        self.calibration = Calibration::parse(&first, &second);
        configure(bus, self.address, Register::CtrlHum, [self.config.samples()])?;
        configure(bus, self.address, Register::Config, [self.config.smoothing << 2])
    }

    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        write(bus, self.address, Register::CtrlMeas, &[self.config.ctrl_meas() | FORCED])?;
        Ok(self.config.conversion())
    }

    /// One transaction for settings, status and data: a chip that lost power in between is found out.
    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        let bytes: [u8; 13] = read(bus, self.address, Register::CtrlHum)?;
        let [ctrl_hum, status, ctrl_meas, _config, _unused, data @ ..] = bytes;
        let kept = [ctrl_hum & 0b111, ctrl_meas & !0b11];
        let wrote = [self.config.samples(), self.config.ctrl_meas()];
        if kept != wrote {
            let number = |pair| u32::from(u16::from_be_bytes(pair));
            let (wrote, read) = (number(wrote), number(kept));
            return Err(Error::Configuration { register: "CtrlHum and CtrlMeas", wrote, read });
        }
        if status & MEASURING != 0 {
            return Err(Error::NotReady { after: Duration::from_millis(1) });
        }
        let values = convert(&self.calibration, &data).map_err(|raw| Error::OutOfRange { register: "Data", raw })?;
        values.into_iter().enumerate().for_each(|(channel, value)| out.push(channel, value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Step::{Ask, Silence, Write};
    use crate::testing::{Bench, absent, assert_close, collect, measure, script};
    use rstest::rstest;

    const AT: u8 = 0x76;
    /// The chip of the worked example in the BMP280 datasheet (BST-BMP280-DS001 rev. 1.14, section 3.12, page 23):
    /// T1 to T3, P1 to P9, a reserved byte; then H1 of a chip from the bench.
    const FIRST: [u8; 26] = [
        0x70, 0x6B, 0x43, 0x67, 0x18, 0xFC, 0x7D, 0x8E, 0x43, 0xD6, 0xD0, 0x0B, 0x27, 0x0B, 0x8C, 0x00, 0xF9, 0xFF,
        0x8C, 0x3C, 0xF8, 0xC6, 0x70, 0x17, 0x00, 0x4B,
    ];
    const SECOND: [u8; 7] = [0x69, 0x01, 0x00, 0x14, 0x24, 0x03, 0x1E];
    /// Codes 415148 (pressure) and 519888 (temperature) of the same example, and 27000 for humidity.
    const DATA: [u8; 8] = [0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x69, 0x78];

    fn ready(config: Config) -> Bme280 {
        Bme280 { calibration: Calibration::parse(&FIRST, &SECOND), ..Bme280::new(AT, config) }
    }

    fn burst(ctrl_hum: u8, status: u8, ctrl_meas: u8, data: [u8; 8]) -> [u8; 13] {
        let mut bytes = [0; 13];
        bytes[..3].copy_from_slice(&[ctrl_hum, status, ctrl_meas]);
        bytes[5..].copy_from_slice(&data);
        bytes
    }

    #[test]
    fn init_identifies_calibrates_and_configures() {
        let mut driver = Bme280::new(AT, Config { oversampling: 1, smoothing: 2 });
        let steps = [
            Ask(&[0xD0], &[0x60]),
            Ask(&[0xF3], &[0x00]),
            Ask(&[0x88], &FIRST),
            Ask(&[0xE1], &SECOND),
            Write(&[0xF2, 0x02]),
            Ask(&[0xF2], &[0x02]),
            Write(&[0xF5, 0x08]),
            Ask(&[0xF5], &[0x08]),
        ];
        assert_eq!(script(AT, &steps, |bus| driver.init(bus)), Ok(()));
        assert_eq!(driver.calibration.h, [75.0, 361.0, 0.0, 324.0, 50.0, 30.0]);
    }

    #[test]
    fn another_chip_is_not_touched() {
        let found = script(AT, &[Ask(&[0xD0], &[0x58])], |bus| Bme280::new(AT, Config::default()).init(bus));
        assert_eq!(found, Err(Error::WrongChip { expected: "BME280", found: 0x58 }));
    }

    #[test]
    fn a_chip_that_is_starting_up_gets_its_time() {
        let steps = [Ask(&[0xD0], &[0x60]), Ask(&[0xF3], &[0x01])];
        let result = script(AT, &steps, |bus| Bme280::new(AT, Config::default()).init(bus));
        assert_eq!(result, Err(Error::NotReady { after: START_UP }));
    }

    #[test]
    fn a_conversion_is_forced_and_takes_its_time() {
        let mut driver = ready(Config::default());
        let wait = script(AT, &[Write(&[0xF4, 0x25])], |bus| driver.start(bus));
        assert_eq!(wait, Ok(Duration::from_micros(9_300))); // section 9.1: 9.3 ms for 1x each
    }

    /// Degrees and pascals are those of the BMP280 datasheet's example, page 23.
    #[test]
    fn the_worked_example_comes_out_as_printed() {
        let mut driver = ready(Config::default());
        let steps = [Ask(&[0xF2], &burst(0x01, 0, 0x24, DATA))];
        let out = script(AT, &steps, |bus| collect(&mut driver, bus)).unwrap();
        assert_eq!([out[0].channel, out[1].channel, out[2].channel], [0, 1, 2]);
        assert_close(&[out[0].value, out[1].value], &[25.08, 100_653.27], &[0.005, 0.01]);
    }

    #[rstest]
    #[case::power_lost(burst(0x00, 0, 0x00, DATA), Error::Configuration { register: "CtrlHum and CtrlMeas", wrote: 0x0124, read: 0 })]
    #[case::still_busy(burst(0x01, 8, 0x25, DATA), Error::NotReady { after: Duration::from_millis(1) })]
    #[case::never_measured(burst(0x01, 0, 0x24, [0x80, 0, 0, 0x80, 0, 0, 0x80, 0]), Error::OutOfRange { register: "Data", raw: 0x80000 })]
    #[case::all_ones([0xFF; 13], Error::Configuration { register: "CtrlHum and CtrlMeas", wrote: 0x0124, read: 0x07FC })]
    fn bad_data_is_an_error(#[case] bytes: [u8; 13], #[case] error: Error) {
        let mut driver = ready(Config::default());
        assert_eq!(script(AT, &[Ask(&[0xF2], &bytes)], |bus| collect(&mut driver, bus)), Err(error));
    }

    #[test]
    fn a_chip_without_calibration_is_out_of_range() {
        let mut driver = Bme280::new(AT, Config::default());
        let steps = [Ask(&[0xF2], &burst(0x01, 0, 0x24, DATA))];
        let result = script(AT, &steps, |bus| collect(&mut driver, bus));
        assert_eq!(result, Err(Error::OutOfRange { register: "Data", raw: 415_148 }));
    }

    #[test]
    fn every_access_names_its_register() {
        let mut driver = ready(Config::default());
        let silent = |register, bytes: &[u8], n, talk: &mut dyn FnMut(&mut I2c) -> Result<(), Error>| {
            assert_eq!(script(AT, &[Silence(bytes, n)], talk), Err(absent(register)));
        };
        silent("Id", &[0xD0], 1, &mut |bus| driver.init(bus));
        silent("CtrlMeas", &[0xF4, 0x25], 0, &mut |bus| driver.start(bus).map(|_| ()));
        silent("CtrlHum", &[0xF2], 13, &mut |bus| collect(&mut driver, bus).map(|_| ()));
    }

    #[rstest]
    #[case(-40.0, 30_000.0, 0.0)]
    #[case(20.0, 101_325.0, 45.0)]
    #[case(85.0, 110_000.0, 100.0)]
    fn the_simulated_chip_is_read_as_it_was_set(#[case] t: f64, #[case] p: f64, #[case] h: f64) {
        let world = [("temperature", t), ("pressure", p), ("humidity", h)];
        let values = measure("bme280", &mut Bme280::new(AT, Config::default()), &world).unwrap();
        assert_close(&values, &[t, p, h], &[0.02, 5.0, 0.1]);
    }

    /// The crate `bme280` (same formulas, other hands) on the same simulated chip.
    #[test]
    fn the_bme280_crate_reads_the_same() {
        let bus = Bench::new(crate::sim::bme280::bme280(AT));
        let mut driver = Bme280::new(AT, Config::default());
        driver.init(&mut bus.clone()).unwrap();
        bus.clone().wait(driver.start(&mut bus.clone()).unwrap());
        let ours = collect(&mut driver, &mut bus.clone()).unwrap();
        let mut oracle = bme280::i2c::BME280::new_primary(bus.clone());
        oracle.init(&mut bus.clone()).unwrap();
        let theirs = oracle.measure(&mut bus.clone()).unwrap();
        let theirs = [theirs.temperature, theirs.pressure, theirs.humidity].map(f64::from);
        assert_close(&[ours[0].value, ours[1].value, ours[2].value], &theirs, &[0.001, 0.1, 0.001]);
    }
}
