//! Sensirion SHT40, SHT41 and SHT45: temperature and relative humidity.
//!
//! Measurements at high precision. Not done: the heater.
//!
//! Datasheet: SHT4x, version 6.5, April 2024,
//! <https://sensirion.com/media/documents/33FD6951/662A593A/HT_DS_Datasheet_SHT4x.pdf>.

use core::time::Duration;

use crate::registers::registers;
use crate::sensirion::{command, words};
use crate::{Channel, Driver, Error, I2c, Measurements};

registers! {
    /// "Command overview".
    enum Command: u8 {
        /// High precision.
        Measure = 0xFD,
        SerialNumber = 0x89,
    }
}

/// "Timing specifications": high repeatability, maximum.
const CONVERSION: Duration = Duration::from_micros(8_300);
/// No time is given for the serial number; Sensirion's own driver waits 10 ms.
const LOOK_UP: Duration = Duration::from_millis(10);

/// Tables 1 and 2; repeatability (three sigma there, one here).
pub const CHANNELS: &[Channel] = &[
    Channel::gauge("temperature", "Cel", -40.0, 125.0).resolution(0.01).noise(0.013),
    Channel::gauge("humidity", "%", 0.0, 100.0).resolution(0.01).noise(0.027),
];

/// An SHT4x at one address.
#[derive(Debug)]
pub struct Sht4x {
    address: u8,
    asked: bool,
}

impl Sht4x {
    /// At `address` 0x44, 0x45 or 0x46, by the part's last letter.
    pub fn new(address: u8) -> Self {
        Self { address, asked: false }
    }
}

/// Degrees Celsius, and percent limited to what is physically possible ("Conversion of signal output").
fn convert([temperature, humidity]: [u16; 2]) -> [f64; 2] {
    let part = |code| f64::from(code) / 65_535.0;
    [175.0 * part(temperature) - 45.0, (125.0 * part(humidity) - 6.0).clamp(0.0, 100.0)]
}

impl Driver for Sht4x {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    /// Twice: the first time asks for the serial number, the second collects it, checksums and all.
    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        if !core::mem::take(&mut self.asked) {
            command(bus, self.address, Command::SerialNumber)?;
            self.asked = true;
            return Err(Error::NotReady { after: LOOK_UP });
        }
        words::<2, _>(bus, self.address, Command::SerialNumber).map(|_| ())
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

    #[test]
    fn init_asks_for_the_serial_number_and_checks_it() {
        let mut driver = Sht4x::new(AT);
        script(AT, &[Write(&[0x89]), Read(&[0xBE, 0xEF, 0x92, 0xBE, 0xEF, 0x92])], |bus| {
            assert_eq!(driver.init(bus), Err(Error::NotReady { after: LOOK_UP }));
            assert_eq!(driver.init(bus), Ok(()));
        });
        script(AT, &[Write(&[0x89]), Read(&[0xBE, 0xEF, 0x92, 0xBE, 0xEF, 0x00])], |bus| {
            let _ = driver.init(bus);
            let damaged = Error::Checksum { register: "SerialNumber", computed: 0x92, received: 0 };
            assert_eq!(driver.init(bus), Err(damaged));
        });
    }

    #[test]
    fn a_conversation_is_a_command_and_two_checked_words() {
        let mut driver = Sht4x::new(AT);
        assert_eq!(script(AT, &[Write(&[0xFD])], |bus| driver.start(bus)), Ok(CONVERSION));
        let steps = [Read(&[0xBE, 0xEF, 0x92, 0x80, 0x00, 0xA2])];
        let out = script(AT, &steps, |bus| collect(&mut driver, bus)).unwrap();
        assert_close(&[out[0].value, out[1].value], &[85.523, 56.501], &[0.001, 0.001]);
    }

    /// "Conversion of signal output" at both ends of the codes.
    #[rstest]
    #[case([0, 0], [-45.0, 0.0])]
    #[case([0xFFFF, 0xFFFF], [130.0, 100.0])]
    #[case([0x6666, 0x7FFF], [25.0, 56.499])]
    fn conversion_at_the_corners(#[case] codes: [u16; 2], #[case] expected: [f64; 2]) {
        assert_close(&convert(codes), &expected, &[0.001, 0.001]);
    }

    #[rstest]
    #[case::damaged(Read(&[0xBE, 0xEF, 0x93, 0x80, 0x00, 0xA2]), Error::Checksum { register: "Measure", computed: 0x92, received: 0x93 })]
    #[case::all_ones(Read(&[0xFF; 6]), Error::Checksum { register: "Measure", computed: 0xAC, received: 0xFF })]
    #[case::nobody(Silence(&[], 6), absent("Measure"))]
    fn read_fails(#[case] step: crate::testing::Step, #[case] error: Error) {
        assert_eq!(script(AT, &[step], |bus| collect(&mut Sht4x::new(AT), bus)), Err(error));
    }

    #[test]
    fn every_access_names_its_command() {
        let result = script(AT, &[Silence(&[0x89], 0)], |bus| Sht4x::new(AT).init(bus));
        assert_eq!(result, Err(absent("SerialNumber")));
        let result = script(AT, &[Silence(&[0xFD], 0)], |bus| Sht4x::new(AT).start(bus));
        assert_eq!(result, Err(absent("Measure")));
    }

    #[rstest]
    #[case(-40.0, 0.0)]
    #[case(23.5, 41.2)]
    #[case(125.0, 100.0)]
    fn the_simulated_chip_is_read_as_it_was_set(#[case] t: f64, #[case] h: f64) {
        let values = measure("sht4x", &mut Sht4x::new(AT), &[("temperature", t), ("humidity", h)]).unwrap();
        assert_close(&values, &[t, h], &[0.003, 0.002]);
    }
}
