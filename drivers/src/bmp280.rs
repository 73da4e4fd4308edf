//! Bosch BMP280: temperature and air pressure. A BME280 without humidity, and with the same mathematics.
//!
//! Not done: SPI, normal mode, soft reset.
//!
//! Datasheet: BST-BMP280-DS001 rev. 1.14,
//! <https://www.bosch-sensortec.com/media/boschsensortec/downloads/datasheets/bst-bmp280-ds001.pdf>.

use core::time::Duration;

use crate::bme280::{Air, Config, FORCED, MEASURING, START_UP};
use crate::registers::{configure, read, registers, write};
use crate::{Channel, Driver, Error, I2c, Measurements};

registers! {
    /// Section 4.2, table 18.
    enum Register: u8 {
        Calibration = 0x88,
        Id = 0xD0,
        /// Followed by ctrl_meas, config and, after one unused byte, the data.
        Status = 0xF3,
        CtrlMeas = 0xF4,
        Config = 0xF5,
    }
}

/// Section 4.3.1; 0x56 and 0x57 are early samples that are still sold.
const IDS: [u8; 3] = [0x58, 0x57, 0x56];
const COPYING_CALIBRATION: u8 = 1;

/// Table 2: ranges, resolution and RMS noise without oversampling.
pub const CHANNELS: &[Channel] = &[
    Channel::gauge("temperature", "Cel", -40.0, 85.0).resolution(0.01).noise(0.005),
    Channel::gauge("pressure", "Pa", 30_000.0, 110_000.0).resolution(0.16).noise(1.3),
];

/// A BMP280 at one address.
#[derive(Debug)]
pub struct Bmp280 {
    address: u8,
    config: Config,
    calibration: Air,
}

impl Bmp280 {
    /// At `address` 0x76 (SDO low) or 0x77 (SDO high).
    pub fn new(address: u8, config: Config) -> Self {
        Self { address, config, calibration: Air::default() }
    }
}

/// Whether the chip at `address` says that it is a BMP280.
pub fn identify(bus: &mut I2c, address: u8) -> Result<bool, Error> {
    read::<1, _>(bus, address, Register::Id).map(|[id]| IDS.contains(&id))
}

/// Degrees and pascals from the six data bytes (0xF7 to 0xFC); `Err` is a code that says "not measured".
fn convert(calibration: &Air, data: [u8; 6]) -> Result<[f64; 2], u32> {
    let twenty_bits = |at: usize| u32::from_be_bytes([0, data[at], data[at + 1], data[at + 2]]) >> 4;
    let (pressure, temperature) = (twenty_bits(0), twenty_bits(3));
    // Both at their reset values (section 4.3.6): nothing measured since power-on.
    if (pressure, temperature) == (0x80000, 0x80000) {
        return Err(temperature);
    }
    let fine = calibration.fine(temperature);
    let pascals = calibration.pressure(pressure, fine).ok_or(pressure)?;
    Ok([fine / 5_120.0, pascals])
}

impl Driver for Bmp280 {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        let [id] = read(bus, self.address, Register::Id)?;
        if !IDS.contains(&id) {
            return Err(Error::WrongChip { expected: "BMP280", found: id.into() });
        }
        let [status] = read(bus, self.address, Register::Status)?;
        if status & COPYING_CALIBRATION != 0 {
            return Err(Error::NotReady { after: START_UP });
        }
        self.calibration = Air::parse(&read(bus, self.address, Register::Calibration)?);
        configure(bus, self.address, Register::Config, [self.config.smoothing << 2])
    }

    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        write(bus, self.address, Register::CtrlMeas, &[self.config.ctrl_meas() | FORCED])?;
        Ok(self.config.conversion())
    }

    /// One transaction for settings, status and data: a chip that lost power in between is found out.
    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        let bytes: [u8; 10] = read(bus, self.address, Register::Status)?;
        let [status, ctrl_meas, _config, _unused, data @ ..] = bytes;
        let (wrote, found) = (self.config.ctrl_meas(), ctrl_meas & !0b11);
        if found != wrote {
            let (wrote, read) = (wrote.into(), found.into());
            return Err(Error::Configuration { register: "CtrlMeas", wrote, read });
        }
        if status & MEASURING != 0 {
            return Err(Error::NotReady { after: Duration::from_millis(1) });
        }
        let values = convert(&self.calibration, data).map_err(|raw| Error::OutOfRange { register: "Data", raw })?;
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
    /// The worked example of section 3.12, page 23: T1 to T3, P1 to P9; codes 415148 and 519888.
    const CALIBRATION: [u8; 24] = [
        0x70, 0x6B, 0x43, 0x67, 0x18, 0xFC, 0x7D, 0x8E, 0x43, 0xD6, 0xD0, 0x0B, 0x27, 0x0B, 0x8C, 0x00, 0xF9, 0xFF,
        0x8C, 0x3C, 0xF8, 0xC6, 0x70, 0x17,
    ];
    const DATA: [u8; 6] = [0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00];

    fn chip() -> Bmp280 {
        Bmp280 { calibration: Air::parse(&CALIBRATION), ..Bmp280::new(AT, Config::default()) }
    }

    fn burst(status: u8, ctrl_meas: u8, data: [u8; 6]) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&[status, ctrl_meas]);
        bytes[4..].copy_from_slice(&data);
        bytes
    }

    #[test]
    fn init_identifies_calibrates_and_configures() {
        let mut driver = Bmp280::new(AT, Config { oversampling: 0, smoothing: 4 });
        let steps = [
            Ask(&[0xD0], &[0x58]),
            Ask(&[0xF3], &[0x00]),
            Ask(&[0x88], &CALIBRATION),
            Write(&[0xF5, 0x10]),
            Ask(&[0xF5], &[0x10]),
        ];
        assert_eq!(script(AT, &steps, |bus| driver.init(bus)), Ok(()));
        assert_eq!(driver.calibration, chip().calibration);
    }

    #[test]
    fn a_bme280_is_another_chip() {
        let found = script(AT, &[Ask(&[0xD0], &[0x60])], |bus| chip().init(bus));
        assert_eq!(found, Err(Error::WrongChip { expected: "BMP280", found: 0x60 }));
        assert_eq!(script(AT, &[Ask(&[0xD0], &[0x60])], |bus| identify(bus, AT)), Ok(false));
    }

    #[test]
    fn the_worked_example_comes_out_as_printed() {
        let steps = [Write(&[0xF4, 0x25]), Ask(&[0xF3], &burst(0, 0x24, DATA))];
        let out = script(AT, &steps, |bus| {
            chip().start(bus).unwrap();
            collect(&mut chip(), bus).unwrap()
        });
        assert_close(&[out[0].value, out[1].value], &[25.08, 100_653.27], &[0.005, 0.01]);
    }

    #[rstest]
    #[case::power_lost(burst(0, 0, DATA), Error::Configuration { register: "CtrlMeas", wrote: 0x24, read: 0 })]
    #[case::still_busy(burst(8, 0x25, DATA), Error::NotReady { after: Duration::from_millis(1) })]
    #[case::never_measured(burst(0, 0x24, [0x80, 0, 0, 0x80, 0, 0]), Error::OutOfRange { register: "Data", raw: 0x80000 })]
    fn bad_data_is_an_error(#[case] bytes: [u8; 10], #[case] error: Error) {
        assert_eq!(script(AT, &[Ask(&[0xF3], &bytes)], |bus| collect(&mut chip(), bus)), Err(error));
    }

    #[test]
    fn a_chip_without_calibration_is_out_of_range() {
        let mut driver = Bmp280::new(AT, Config::default());
        let result = script(AT, &[Ask(&[0xF3], &burst(0, 0x24, DATA))], |bus| collect(&mut driver, bus));
        assert_eq!(result, Err(Error::OutOfRange { register: "Data", raw: 415_148 }));
    }

    #[test]
    fn every_access_names_its_register() {
        assert_eq!(script(AT, &[Silence(&[0xD0], 1)], |bus| chip().init(bus)), Err(absent("Id")));
        let result = script(AT, &[Silence(&[0xF4, 0x25], 0)], |bus| chip().start(bus));
        assert_eq!(result, Err(absent("CtrlMeas")));
        let result = script(AT, &[Silence(&[0xF3], 10)], |bus| collect(&mut chip(), bus));
        assert_eq!(result, Err(absent("Status")));
    }

    #[rstest]
    #[case(-40.0, 30_000.0)]
    #[case(85.0, 110_000.0)]
    fn the_simulated_chip_is_read_as_it_was_set(#[case] t: f64, #[case] p: f64) {
        let world = [("temperature", t), ("pressure", p)];
        let values = measure("bmp280", &mut Bmp280::new(AT, Config::default()), &world).unwrap();
        assert_close(&values, &[t, p], &[0.02, 5.0]);
        assert!(!Bench::new(crate::sim::bme280::bmp280(AT)).set(AT, "humidity", 1.0));
    }
}
