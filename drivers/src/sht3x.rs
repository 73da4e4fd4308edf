//! Sensirion SHT30, SHT31 and SHT35: temperature and relative humidity.
//!
//! Single-shot measurements at high repeatability, without clock stretching (which the Raspberry Pi's controller
//! gets wrong). Not done: periodic mode, alerts, the heater.
//!
//! Datasheet: SHT3x-DIS, version 5, May 2018, whose sections later versions keep,
//! <https://sensirion.com/media/documents/213E6A3B/63A5A569/Datasheet_SHT3x_DIS.pdf>.

use core::time::Duration;

use crate::registers::registers;
use crate::sensirion::{command, words};
use crate::{Channel, Driver, Error, I2c, Measurements};

registers! {
    /// Sections 4.3 to 4.11.
    enum Command: u16 {
        /// High repeatability, no clock stretching (table 9).
        Measure = 0x2400,
        /// Ends a periodic measurement that somebody else began.
        Break = 0x3093,
        HeaterOff = 0x3066,
        Status = 0xF32D,
    }
}

/// Table 4, high repeatability, below 2.4 V.
const CONVERSION: Duration = Duration::from_micros(15_500);
/// Section 4.8: the sensor is idle 1 ms after a break.
const BREAK: Duration = Duration::from_millis(1);
/// Table 18.
const STATUS_HEATER: u16 = 1 << 13;
const STATUS_ALWAYS_ZERO: u16 = 0x500C;

/// Tables 1 and 2; resolution and repeatability (three sigma there, one here).
pub const CHANNELS: &[Channel] = &[
    Channel::gauge("temperature", "Cel", -40.0, 125.0).resolution(0.01).noise(0.013),
    Channel::gauge("humidity", "%", 0.0, 100.0).resolution(0.01).noise(0.027),
];

/// An SHT3x at one address.
#[derive(Debug)]
pub struct Sht3x {
    address: u8,
    stopped: bool,
}

impl Sht3x {
    /// At `address` 0x44 (ADDR low) or 0x45 (ADDR high).
    pub fn new(address: u8) -> Self {
        Self { address, stopped: false }
    }
}

/// Whether something at `address` has an SHT3x's status register, checksum and all.
pub fn identify(bus: &mut I2c, address: u8) -> Result<bool, Error> {
    match status(bus, address) {
        Ok(status) => Ok(status & STATUS_ALWAYS_ZERO == 0),
        Err(Error::Checksum { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn status(bus: &mut I2c, address: u8) -> Result<u16, Error> {
    command(bus, address, Command::Status)?;
    words(bus, address, Command::Status).map(|[status]| status)
}

/// Degrees Celsius and percent (section 4.13).
fn convert([temperature, humidity]: [u16; 2]) -> [f64; 2] {
    let part = |code| f64::from(code) / 65_535.0;
    [175.0 * part(temperature) - 45.0, 100.0 * part(humidity)]
}

impl Driver for Sht3x {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    /// Twice: the first time ends whatever the sensor was doing, the second finds it idle.
    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        if !self.stopped {
            command(bus, self.address, Command::Break)?;
            self.stopped = true;
            return Err(Error::NotReady { after: BREAK });
        }
        self.stopped = false;
        let status = status(bus, self.address)?;
        if status & STATUS_ALWAYS_ZERO != 0 {
            return Err(Error::WrongChip { expected: "SHT3x", found: status.into() });
        }
        if status & STATUS_HEATER != 0 {
            command(bus, self.address, Command::HeaterOff)?;
        }
        Ok(())
    }

    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        command(bus, self.address, Command::Measure)?;
        Ok(CONVERSION)
    }

    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        let values = convert(words(bus, self.address, Command::Measure)?);
        values.into_iter().enumerate().for_each(|(channel, value)| out.push(channel, value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Step::{Read, Silence, Write};
    use crate::testing::{absent, assert_close, collect, measure, script};
    use rstest::rstest;

    const AT: u8 = 0x44;

    fn idle() -> Sht3x {
        Sht3x { address: AT, stopped: true }
    }

    #[test]
    fn init_stops_waits_and_asks_for_the_status() {
        let mut driver = Sht3x::new(AT);
        let first = script(AT, &[Write(&[0x30, 0x93])], |bus| driver.init(bus));
        assert_eq!(first, Err(Error::NotReady { after: BREAK }));
        let steps = [Write(&[0xF3, 0x2D]), Read(&[0x80, 0x10, 0xE1])];
        assert_eq!(script(AT, &steps, |bus| driver.init(bus)), Ok(()));
    }

    #[test]
    fn a_heater_left_on_is_turned_off() {
        let steps = [Write(&[0xF3, 0x2D]), Read(&[0x20, 0x00, 0x5D]), Write(&[0x30, 0x66])];
        assert_eq!(script(AT, &steps, |bus| idle().init(bus)), Ok(()));
    }

    #[test]
    fn a_conversation_is_a_command_and_two_checked_words() {
        let mut driver = idle();
        assert_eq!(script(AT, &[Write(&[0x24, 0x00])], |bus| driver.start(bus)), Ok(CONVERSION));
        let steps = [Read(&[0xBE, 0xEF, 0x92, 0x80, 0x00, 0xA2])];
        let out = script(AT, &steps, |bus| collect(&mut driver, bus)).unwrap();
        assert_close(&[out[0].value, out[1].value], &[85.523, 50.001], &[0.001, 0.001]);
    }

    /// Section 4.13 at both ends of the code.
    #[rstest]
    #[case([0, 0], [-45.0, 0.0])]
    #[case([0xFFFF, 0xFFFF], [130.0, 100.0])]
    #[case([0x6666, 0x8000], [25.0, 50.0008])]
    fn conversion_at_the_corners(#[case] codes: [u16; 2], #[case] expected: [f64; 2]) {
        assert_close(&convert(codes), &expected, &[0.0001, 0.0001]);
    }

    #[rstest]
    #[case::first_word([0xBE, 0xEF, 0x93, 0x80, 0x00, 0xA2], 0x92, 0x93)]
    #[case::second_word([0xBE, 0xEF, 0x92, 0x80, 0x00, 0xA3], 0xA2, 0xA3)]
    #[case::all_ones([0xFF; 6], 0xAC, 0xFF)]
    #[case::all_zeros([0; 6], 0x81, 0x00)]
    fn damaged_words_are_no_data(#[case] bytes: [u8; 6], #[case] computed: u8, #[case] received: u8) {
        let result = script(AT, &[Read(&bytes)], |bus| collect(&mut idle(), bus));
        assert_eq!(result, Err(Error::Checksum { register: "Measure", computed, received }));
    }

    #[test]
    fn every_access_names_its_command() {
        let result = script(AT, &[Silence(&[0x30, 0x93], 0)], |bus| Sht3x::new(AT).init(bus));
        assert_eq!(result, Err(absent("Break")));
        let result = script(AT, &[Silence(&[0xF3, 0x2D], 0)], |bus| idle().init(bus));
        assert_eq!(result, Err(absent("Status")));
        let result = script(AT, &[Silence(&[0x24, 0x00], 0)], |bus| idle().start(bus));
        assert_eq!(result, Err(absent("Measure")));
        let result = script(AT, &[Silence(&[], 6)], |bus| collect(&mut idle(), bus));
        assert_eq!(result, Err(absent("Measure")));
    }

    #[test]
    fn what_has_impossible_status_bits_is_another_chip() {
        let steps = [Write(&[0xF3, 0x2D]), Read(&[0xBE, 0xEF, 0x92])];
        let result = script(AT, &steps, |bus| idle().init(bus));
        assert_eq!(result, Err(Error::WrongChip { expected: "SHT3x", found: 0xBEEF }));
    }

    #[rstest]
    #[case(-40.0, 0.0)]
    #[case(23.5, 41.2)]
    #[case(125.0, 100.0)]
    fn the_simulated_chip_is_read_as_it_was_set(#[case] t: f64, #[case] h: f64) {
        let values = measure("sht3x", &mut Sht3x::new(AT), &[("temperature", t), ("humidity", h)]).unwrap();
        assert_close(&values, &[t, h], &[0.003, 0.002]);
    }
}
