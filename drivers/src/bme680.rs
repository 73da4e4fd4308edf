//! Bosch BME680 and BME688: temperature, pressure, humidity, and the resistance of a heated gas sensor.
//!
//! Forced mode with one heater step per reading. The resistance falls with volatile organic compounds and needs
//! minutes to settle; Bosch's air quality index (BSEC, closed source) is not done, nor are BME688's heater profiles.
//!
//! Datasheet: BME680 BST-BME680-DS001 rev. 1.9,
//! <https://www.bosch-sensortec.com/media/boschsensortec/downloads/datasheets/bst-bme680-ds001.pdf>; the formulas in
//! floating point are those of Bosch's BME68x Sensor API 4.4.8, <https://github.com/boschsensortec/BME68x_SensorAPI>.

use core::time::Duration;

use crate::registers::{configure, read, registers, write};
use crate::{Accepts, Channel, Driver, Error, I2c, Measurements, OptionError, Options, Setting};

registers! {
    /// Section 5.2, table 20, and for what it leaves out the API's `bme68x_defs.h`.
    enum Register: u8 {
        HeaterCalibration = 0x00,
        /// Followed by the data.
        MeasStatus0 = 0x1D,
        ResHeat0 = 0x5A,
        GasWait0 = 0x64,
        /// Followed by ctrl_hum, an unused byte, ctrl_meas and config.
        CtrlGas1 = 0x71,
        CtrlHum = 0x72,
        CtrlMeas = 0x74,
        Config = 0x75,
        Calibration = 0x8A,
        Id = 0xD0,
        CalibrationHumidity = 0xE1,
        Variant = 0xF0,
    }
}

/// Section 5.3, "id".
const ID: u8 = 0x61;
const FORCED: u8 = 0b01;
/// Section 5.3.5.1: meas_status_0 and gas_r_lsb.
const NEW_DATA: u8 = 1 << 7;
const GAS_VALID: u8 = 1 << 5;
const HEATER_STABLE: u8 = 1 << 4;

/// Tables 2 to 5; the resistance is what the converter can express.
pub const CHANNELS: &[Channel] = &[
    Channel::gauge("temperature", "Cel", -40.0, 85.0).resolution(0.01).noise(0.005),
    Channel::gauge("pressure", "Pa", 30_000.0, 110_000.0).resolution(0.18),
    Channel::gauge("humidity", "%", 0.0, 100.0).resolution(0.008).noise(0.01),
    Channel::gauge("gas", "Ohm", 100.0, 1.1e8).span(1e3, 1e6),
];

/// What can be set in the configuration.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "oversampling",
        help: "measurements averaged by the chip for each reading: less noise, longer conversion",
        accepts: Accepts::Word { default: "2x", of: &["1x", "2x", "4x", "8x", "16x"] },
    },
    Setting {
        key: "heater",
        help: "temperature of the gas sensor while it measures",
        accepts: Accepts::Number { default: 320.0, min: 200.0, max: 400.0, unit: "Cel" },
    },
    Setting {
        key: "heating",
        help: "how long it is heated for each reading",
        accepts: Accepts::Number { default: 150.0, min: 20.0, max: 4_000.0, unit: "ms" },
    },
];

/// How the chip is to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Measurements per reading, as a power of two: 0 to 4.
    pub oversampling: u8,
    /// Degrees Celsius.
    pub heater: f64,
    /// Milliseconds.
    pub heating: u16,
}

impl Config {
    /// From checked options.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        Ok(Self {
            oversampling: options.choice("oversampling") as u8,
            heater: options.number("heater"),
            heating: options.number("heating") as u16,
        })
    }

    fn samples(self) -> u8 {
        self.oversampling + 1
    }

    fn ctrl_meas(self) -> u8 {
        self.samples() << 5 | self.samples() << 2
    }

    /// Six bits of milliseconds and a factor of 1, 4, 16 or 64 (section 5.3.3.3), rounded up.
    fn gas_wait(self) -> u8 {
        let (mut steps, mut factor) = (self.heating, 0);
        while steps > 63 && factor < 3 {
            steps = steps.div_ceil(4);
            factor += 1;
        }
        factor << 6 | steps.min(63) as u8
    }

    /// As the API computes it (`bme68x_get_meas_dur`), and the heating, rounded up like `gas_wait`.
    fn conversion(self) -> Duration {
        let samples = 3_u64 << self.oversampling;
        let wait = self.gas_wait();
        let heating = u64::from(wait & 63) << (2 * (wait >> 6));
        Duration::from_micros(1_963 * samples + 9 * 477 + 1_000 + 1_000 * heating)
    }
}

/// The trimming values of one chip (`bme68x.c`, `get_calib_data`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Calibration {
    t: [f64; 3],
    p: [f64; 10],
    h: [f64; 7],
    g: [f64; 3],
    heat_range: f64,
    heat_value: f64,
    switching_error: f64,
}

impl Calibration {
    /// From the bytes at 0x8A, 0xE1 and 0x00.
    fn parse(first: &[u8; 23], second: &[u8; 14], third: &[u8; 5]) -> Self {
        let word = |at: usize| f64::from(i16::from_le_bytes([first[at], first[at + 1]]));
        let byte = |byte: u8| f64::from(byte as i8);
        let t1 = u16::from_le_bytes([second[8], second[9]]);
        let p1 = u16::from_le_bytes([first[4], first[5]]);
        let h1 = u16::from(second[2]) << 4 | u16::from(second[1] & 15);
        let h2 = u16::from(second[0]) << 4 | u16::from(second[1] >> 4);
        let g2 = i16::from_le_bytes([second[10], second[11]]);
        Self {
            t: [t1.into(), word(0), byte(first[2])],
            p: [
                p1.into(),
                word(6),
                byte(first[8]),
                word(10),
                word(12),
                byte(first[15]),
                byte(first[14]),
                word(18),
                word(20),
                first[22].into(),
            ],
            h: [
                h1.into(),
                h2.into(),
                byte(second[3]),
                byte(second[4]),
                byte(second[5]),
                second[6].into(),
                byte(second[7]),
            ],
            g: [byte(second[12]), g2.into(), byte(second[13])],
            heat_range: f64::from(third[2] >> 4 & 3),
            heat_value: byte(third[0]),
            switching_error: f64::from((third[4] as i8) >> 4),
        }
    }

    /// Fine temperature (degrees Celsius times 5120) from the 20-bit code; `calc_temperature`.
    fn fine(&self, code: u32) -> f64 {
        let [t1, t2, t3] = self.t;
        let code = f64::from(code);
        let square = code / 131_072.0 - t1 / 8_192.0;
        (code / 16_384.0 - t1 / 1_024.0) * t2 + square * square * t3 * 16.0
    }

    /// Pascals from the 20-bit code; `calc_pressure`. `None` where the formula would divide by zero.
    fn pressure(&self, code: u32, fine: f64) -> Option<f64> {
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9, p10] = self.p;
        let t = fine / 2.0 - 64_000.0;
        let offset = (t * t * p6 / 131_072.0 + t * p5 * 2.0) / 4.0 + p4 * 65_536.0;
        let slope = (1.0 + (p3 * t * t / 16_384.0 + p2 * t) / 524_288.0 / 32_768.0) * p1;
        if slope == 0.0 {
            return None;
        }
        let p = (1_048_576.0 - f64::from(code) - offset / 4_096.0) * 6_250.0 / slope;
        let part = p / 256.0;
        let cubic = part * part * part * p10 / 131_072.0;
        Some(p + (p9 * p * p / 2_147_483_648.0 + p * p8 / 32_768.0 + cubic + p7 * 128.0) / 16.0)
    }

    /// Percent from the 16-bit code, limited as there; `calc_humidity`.
    fn humidity(&self, code: u32, fine: f64) -> f64 {
        let [h1, h2, h3, h4, h5, h6, h7] = self.h;
        let t = fine / 5_120.0;
        let offset = h1 * 16.0 + h3 / 2.0 * t;
        let slope = h2 / 262_144.0 * (1.0 + h4 / 16_384.0 * t + h5 / 1_048_576.0 * t * t);
        let h = (f64::from(code) - offset) * slope;
        (h + (h6 / 16_384.0 + h7 / 2_097_152.0 * t) * h * h).clamp(0.0, 100.0)
    }

    /// The code that heats the sensor to `target` at `ambient` degrees (section 3.3.5; `calc_res_heat`).
    fn heater_code(&self, target: f64, ambient: f64) -> u8 {
        let [g1, g2, g3] = self.g;
        let slope = g2 / 32_768.0 * 0.000_5 + 0.002_35;
        let heat = (g1 / 16.0 + 49.0) * (1.0 + slope * target) + g3 / 1_024.0 * ambient;
        let scale = 4.0 / (4.0 + self.heat_range) / (1.0 + self.heat_value * 0.002);
        (3.4 * (heat * scale - 25.0)) as u8
    }

    /// Ohms of a BME680 (section 3.4.1, with the API's tables in percent).
    fn gas_low(&self, code: f64, range: usize) -> f64 {
        const SLOPE: [f64; 16] = [0., 0., 0., 0., 0., -1., 0., -0.8, 0., 0., -0.2, -0.5, 0., -1., 0., 0.];
        const SCALE: [f64; 16] = [0., 0., 0., 0., 0.1, 0.7, 0., -0.8, -0.1, 0., 0., 0., 0., 0., 0., 0.];
        let steps = (1_340.0 + 5.0 * self.switching_error) * (1.0 + SLOPE[range] / 100.0);
        let scale = 1.0 + SCALE[range] / 100.0;
        8e6 / (scale * f64::from(1_u32 << range) * ((code - 512.0) / steps + 1.0))
    }
}

/// Ohms of a BME688 (`calc_gas_resistance_high`).
fn gas_high(code: f64, range: usize) -> f64 {
    1e6 * f64::from(262_144_u32 >> range) / ((code - 512.0) * 3.0 + 4_096.0)
}

/// Degrees, pascals and percent from the data bytes (0x1F to 0x26); `Err` is a code that says "not measured".
fn convert(calibration: &Calibration, data: &[u8]) -> Result<[f64; 3], u32> {
    let byte = |at: usize| u32::from(data[at]);
    let twenty_bits = |at: usize| (byte(at) << 16 | byte(at + 1) << 8 | byte(at + 2)) >> 4;
    let (pressure, temperature) = (twenty_bits(0), twenty_bits(3));
    // Both at their reset values: nothing measured since power-on.
    if (pressure, temperature) == (0x80000, 0x80000) {
        return Err(temperature);
    }
    let fine = calibration.fine(temperature);
    let pascals = calibration.pressure(pressure, fine).ok_or(pressure)?;
    Ok([fine / 5_120.0, pascals, calibration.humidity(byte(6) << 8 | byte(7), fine)])
}

/// A BME680 or BME688 at one address.
#[derive(Debug)]
pub struct Bme680 {
    address: u8,
    config: Config,
    calibration: Calibration,
    /// A BME688, whose gas converter is another.
    high: bool,
    /// What the heater has to start from, in degrees Celsius.
    ambient: f64,
}

impl Bme680 {
    /// At `address` 0x76 (SDO low) or 0x77 (SDO high).
    pub fn new(address: u8, config: Config) -> Self {
        Self { address, config, calibration: Calibration::default(), high: false, ambient: 25.0 }
    }

    /// The gas measurement is on (section 5.3.3.5; another bit on the BME688).
    fn ctrl_gas_1(&self) -> u8 {
        if self.high { 1 << 5 } else { 1 << 4 }
    }

    /// Makes sure that the chip still has its configuration.
    fn check(&self, bus: &mut I2c) -> Result<(), Error> {
        let [gas, humidity, _unused, meas, _config] = read(bus, self.address, Register::CtrlGas1)?;
        let wrote = [self.ctrl_gas_1(), self.config.samples(), self.config.ctrl_meas()];
        let found = [gas, humidity & 0b111, meas & !0b11];
        if found == wrote {
            return Ok(());
        }
        let number = |[a, b, c]: [u8; 3]| u32::from_be_bytes([0, a, b, c]);
        let register = "CtrlGas1, CtrlHum and CtrlMeas";
        Err(Error::Configuration { register, wrote: number(wrote), read: number(found) })
    }

    /// Ohms from the two gas bytes; `Err` while the heater has not reached its temperature.
    fn gas(&self, [high, low]: [u8; 2]) -> Result<f64, u32> {
        if low & GAS_VALID == 0 || low & HEATER_STABLE == 0 {
            return Err(u16::from_be_bytes([high, low]).into());
        }
        let code = f64::from(u16::from(high) << 2 | u16::from(low >> 6));
        let range = usize::from(low & 0x0F);
        Ok(if self.high { gas_high(code, range) } else { self.calibration.gas_low(code, range) })
    }
}

/// Whether the chip at `address` says that it is a BME680 or BME688.
pub fn identify(bus: &mut I2c, address: u8) -> Result<bool, Error> {
    read::<1, _>(bus, address, Register::Id).map(|[id]| id == ID)
}

impl Driver for Bme680 {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        let at = self.address;
        let [id] = read(bus, at, Register::Id)?;
        if id != ID {
            return Err(Error::WrongChip { expected: "BME680", found: id.into() });
        }
        let [variant] = read(bus, at, Register::Variant)?;
        self.high = variant == 1;
        let first = read(bus, at, Register::Calibration)?;
        let second = read(bus, at, Register::CalibrationHumidity)?;
        let third = read(bus, at, Register::HeaterCalibration)?;
        self.calibration = Calibration::parse(&first, &second, &third);
        configure(bus, at, Register::GasWait0, [self.config.gas_wait()])?;
        configure(bus, at, Register::CtrlGas1, [self.ctrl_gas_1()])?;
        configure(bus, at, Register::CtrlHum, [self.config.samples()])?;
        configure(bus, at, Register::Config, [0])
    }

    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        let heat = self.calibration.heater_code(self.config.heater, self.ambient);
        write(bus, self.address, Register::ResHeat0, &[heat])?;
        write(bus, self.address, Register::CtrlMeas, &[self.config.ctrl_meas() | FORCED])?;
        Ok(self.config.conversion())
    }

    /// While the heater is cold only the gas is missing.
    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        self.check(bus)?;
        let bytes: [u8; 17] = read(bus, self.address, Register::MeasStatus0)?;
        if bytes[0] & NEW_DATA == 0 {
            return Err(Error::NotReady { after: self.config.conversion() / 8 });
        }
        let values =
            convert(&self.calibration, &bytes[2..10]).map_err(|raw| Error::OutOfRange { register: "Data", raw })?;
        values.into_iter().enumerate().for_each(|(channel, value)| out.push(channel, value));
        self.ambient = values[0].clamp(-40.0, 85.0);
        let gas = if self.high { [bytes[15], bytes[16]] } else { [bytes[13], bytes[14]] };
        out.push(3, self.gas(gas).map_err(|raw| Error::OutOfRange { register: "GasR", raw })?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::bme680 as sim;
    use crate::testing::Step::{self, Ask, Silence, Write};
    use crate::testing::{Bench, absent, assert_close, collect, measure, script};
    use rstest::rstest;

    const AT: u8 = 0x76;
    const DEFAULT: Config = Config { oversampling: 1, heater: 320.0, heating: 150 };
    const KEPT: [u8; 5] = [0x10, 0x02, 0x00, 0x48, 0x00];

    fn chip() -> Bme680 {
        Bme680::new(AT, DEFAULT)
    }

    /// A simulated chip, initialised.
    fn bench(chip: std::boxed::Box<dyn crate::sim::Chip + Send>) -> (Bench, Bme680) {
        let (mut bench, mut driver) = (Bench::new(chip), self::chip());
        driver.init(&mut bench).unwrap();
        (bench, driver)
    }

    #[test]
    fn init_identifies_calibrates_and_configures() {
        let steps = [
            Ask(&[0xD0], &[0x61]),
            Ask(&[0xF0], &[0x00]),
            Ask(&[0x8A], &[1; 23]),
            Ask(&[0xE1], &[2; 14]),
            Ask(&[0x00], &[0x30; 5]),
            Write(&[0x64, 0x66]),
            Ask(&[0x64], &[0x66]),
            Write(&[0x71, 0x10]),
            Ask(&[0x71], &[0x10]),
            Write(&[0x72, 0x02]),
            Ask(&[0x72], &[0x02]),
            Write(&[0x75, 0x00]),
            Ask(&[0x75], &[0x00]),
        ];
        assert_eq!(script(AT, &steps, |bus| chip().init(bus)), Ok(()));
        let other = Error::WrongChip { expected: "BME680", found: 0x60 };
        assert_eq!(script(AT, &[Ask(&[0xD0], &[0x60])], |bus| chip().init(bus)), Err(other));
    }

    #[test]
    fn a_conversion_sets_the_heater_and_is_forced() {
        let steps = [Write(&[0x5A, 0x00]), Write(&[0x74, 0x49])];
        let mut uncalibrated = chip();
        uncalibrated.calibration.heat_range = 3.0;
        uncalibrated.calibration.g[0] = -784.0;
        let wait = script(AT, &steps, |bus| uncalibrated.start(bus));
        assert_eq!(wait, Ok(Duration::from_micros(6 * 1_963 + 9 * 477 + 1_000 + 152_000)));
    }

    /// Section 5.3.3.3: six bits and a factor of four per step; rounded up, so that it is never heated too briefly.
    #[rstest]
    #[case(20, 20)]
    #[case(63, 63)]
    #[case(64, 0x40 | 16)]
    #[case(150, 0x40 | 38)]
    #[case(4_000, 0xC0 | 63)]
    fn heating_time_is_coded(#[case] heating: u16, #[case] code: u8) {
        assert_eq!(Config { heating, ..DEFAULT }.gas_wait(), code);
    }

    #[rstest]
    #[case::power_lost(&[Ask(&[0x71], &[0; 5])], Error::Configuration { register: "CtrlGas1, CtrlHum and CtrlMeas", wrote: 0x10_02_48, read: 0 })]
    #[case::still_busy(&[Ask(&[0x71], &KEPT), Ask(&[0x1D], &[0x20; 17])], Error::NotReady { after: DEFAULT.conversion() / 8 })]
    #[case::never_measured(
        &[Ask(&[0x71], &KEPT), Ask(&[0x1D], &[0x80, 0, 0x80, 0, 0, 0x80, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0])],
        Error::OutOfRange { register: "Data", raw: 0x80000 },
    )]
    #[case::no_calibration(&[Ask(&[0x71], &KEPT), Ask(&[0x1D], &[0x80; 17])], Error::OutOfRange { register: "Data", raw: 0x80808 })]
    #[case::nobody(&[Silence(&[0x71], 5)], absent("CtrlGas1"))]
    #[case::gone(&[Ask(&[0x71], &KEPT), Silence(&[0x1D], 17)], absent("MeasStatus0"))]
    fn read_fails(#[case] steps: &[Step], #[case] error: Error) {
        assert_eq!(script(AT, steps, |bus| collect(&mut chip(), bus)), Err(error));
    }

    #[test]
    fn a_cold_heater_costs_only_the_gas() {
        let (mut bench, mut driver) = bench(sim::bme680(AT));
        driver.config.heating = 10; // the simulated heater needs 20 ms
        driver.init(&mut bench).unwrap();
        bench.wait(driver.start(&mut bench.clone()).unwrap());
        let mut out = Measurements::new();
        let result = driver.read(&mut bench, &mut out);
        assert!(matches!(result, Err(Error::OutOfRange { register: "GasR", .. })), "{result:?}");
        assert_eq!(out.len(), 3);
    }

    /// At the ends of the converter and of its ranges (section 3.4.1: 12.8 MOhm at most at range 0).
    #[rstest]
    #[case(0.0, 0, 12_945_411.0)]
    #[case(512.0, 0, 8_000_000.0)]
    #[case(512.0, 7, 63_004.0)]
    #[case(1023.0, 15, 176.7)]
    fn resistance_at_the_corners(#[case] code: f64, #[case] range: usize, #[case] ohms: f64) {
        let value = Calibration::default().gas_low(code, range);
        assert!((value / ohms - 1.0).abs() < 0.000_5, "{value}");
    }

    #[rstest]
    #[case(-40.0, 30_000.0, 1.0, 1e3)]
    #[case(22.0, 98_000.0, 45.0, 5e4)]
    #[case(85.0, 110_000.0, 95.0, 5e6)]
    fn the_simulated_chip_is_read_as_it_was_set(#[case] t: f64, #[case] p: f64, #[case] h: f64, #[case] gas: f64) {
        let world = [("temperature", t), ("pressure", p), ("humidity", h), ("gas", gas)];
        let values = measure("bme680", &mut chip(), &world).unwrap();
        assert_close(&values, &[t, p, h, gas], &[0.03, 20.0, 0.3, gas * 0.005]);
    }

    #[test]
    fn the_bme688_has_its_own_gas_converter() {
        let (mut bench, mut driver) = bench(sim::bme688(AT));
        assert!(bench.set(AT, "gas", 200_000.0));
        bench.wait(driver.start(&mut bench.clone()).unwrap());
        let out = collect(&mut driver, &mut bench).unwrap();
        assert_close(&[out[3].value], &[200_000.0], &[1_000.0]);
    }

    /// The crate `bosch-bme680` (Bosch's API in other hands) on the same simulated chip.
    #[test]
    fn the_bosch_bme680_crate_reads_the_same() {
        let (mut bench, mut driver) = bench(sim::bme680(AT));
        bench.wait(driver.start(&mut bench.clone()).unwrap());
        let ours = collect(&mut driver, &mut bench).unwrap();
        let address = bosch_bme680::DeviceAddress::Primary;
        let config = bosch_bme680::Configuration::default();
        let mut oracle = bosch_bme680::Bme680::new(bench.clone(), address, bench.clone(), &config, 25).unwrap();
        let theirs = oracle.measure().unwrap();
        let gas = f64::from(theirs.gas_resistance.unwrap());
        let theirs = [theirs.temperature, theirs.pressure, theirs.humidity].map(f64::from);
        let ours: [f64; 4] = core::array::from_fn(|n| ours[n].value);
        assert_close(&ours, &[theirs[0], theirs[1], theirs[2], gas], &[0.001, 0.5, 0.001, gas * 1e-4]);
    }
}
