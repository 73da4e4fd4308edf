//! Sensirion SCD40 and SCD41: carbon dioxide, temperature and relative humidity.
//!
//! Periodic measurement, a new one every 5 s: polled faster, a reading waits for the next. Not done: low-power and
//! single-shot modes, pressure compensation, forced recalibration and anything else that writes the EEPROM.
//!
//! Datasheet: SCD4x, version 1.3, September 2022,
//! <https://sensirion.com/media/documents/E0F04247/631EF271/CD_DS_SCD40_SCD41_Datasheet_D1.pdf>.

use core::time::Duration;

use crate::registers::registers;
use crate::sensirion::{command, words};
use crate::{Channel, Driver, Error, I2c, Measurements};

registers! {
    /// Section 3.4, table 9.
    enum Command: u16 {
        StopPeriodicMeasurement = 0x3F86,
        StartPeriodicMeasurement = 0x21B1,
        GetSerialNumber = 0x3682,
        GetDataReadyStatus = 0xE4B8,
        ReadMeasurement = 0xEC05,
    }
}

/// Table 9: how long the commands take.
const STOPPING: Duration = Duration::from_millis(500);
const ANSWERING: Duration = Duration::from_millis(1);
/// Any of these bits set means that a measurement is waiting (section 3.8.2).
const READY: u16 = 0x07FF;
/// A measurement is due every 5 s; one that has not come after twice that time is not coming.
const AGAIN: Duration = Duration::from_millis(250);
const PATIENCE: u8 = 40;

/// Tables 1 to 3: output ranges; the span of carbon dioxide is where the SCD41 is specified.
pub const CHANNELS: &[Channel] = &[
    Channel::gauge("co2", "[ppm]", 0.0, 40_000.0).span(400.0, 5_000.0).resolution(1.0),
    Channel::gauge("temperature", "Cel", -10.0, 60.0).resolution(0.01),
    Channel::gauge("humidity", "%", 0.0, 100.0).resolution(0.01),
];

/// An SCD4x; they are all at address 0x62.
#[derive(Debug)]
pub struct Scd4x {
    address: u8,
    next: Next,
    tries: u8,
}

/// What comes next in a conversation of several commands with pauses.
#[derive(Debug, Default)]
enum Next {
    #[default]
    Begin,
    AskSerialNumber,
    TakeSerialNumber,
    AskStatus,
    TakeStatus,
    TakeMeasurement,
}

impl Scd4x {
    /// At `address` 0x62.
    pub fn new(address: u8) -> Self {
        Self { address, next: Next::Begin, tries: 0 }
    }

    /// Sends a command whose answer, or effect, is `next` after a pause.
    fn ask(&mut self, bus: &mut I2c, code: Command, after: Duration, next: Next) -> Error {
        match command(bus, self.address, code) {
            Ok(()) => {
                self.next = next;
                Error::NotReady { after }
            }
            Err(error) => error,
        }
    }

    /// No measurement yet: ask later, but not for ever.
    fn wait(&mut self) -> Error {
        self.tries += 1;
        if self.tries > PATIENCE {
            return Error::Stale { register: "GetDataReadyStatus" };
        }
        self.next = Next::AskStatus;
        Error::NotReady { after: AGAIN }
    }
}

/// Parts per million, degrees Celsius, percent (section 3.5.2).
fn convert([co2, temperature, humidity]: [u16; 3]) -> [f64; 3] {
    let part = |code| f64::from(code) / 65_535.0;
    [f64::from(co2), 175.0 * part(temperature) - 45.0, 100.0 * part(humidity)]
}

impl Driver for Scd4x {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    /// Three steps: stop what is running, read the serial number, which only an idle sensor tells, and begin.
    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        match core::mem::take(&mut self.next) {
            Next::AskSerialNumber => Err(self.ask(bus, Command::GetSerialNumber, ANSWERING, Next::TakeSerialNumber)),
            Next::TakeSerialNumber => {
                words::<3, _>(bus, self.address, Command::GetSerialNumber)?;
                command(bus, self.address, Command::StartPeriodicMeasurement)
            }
            _ => Err(self.ask(bus, Command::StopPeriodicMeasurement, STOPPING, Next::AskSerialNumber)),
        }
    }

    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        self.tries = 0;
        command(bus, self.address, Command::GetDataReadyStatus)?;
        self.next = Next::TakeStatus;
        Ok(ANSWERING)
    }

    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        match core::mem::take(&mut self.next) {
            Next::TakeStatus => {
                let [status] = words(bus, self.address, Command::GetDataReadyStatus)?;
                if status & READY == 0 {
                    return Err(self.wait());
                }
                Err(self.ask(bus, Command::ReadMeasurement, ANSWERING, Next::TakeMeasurement))
            }
            Next::TakeMeasurement => {
                let codes = words(bus, self.address, Command::ReadMeasurement)?;
                if codes[0] == 0 {
                    return Err(Error::OutOfRange { register: "ReadMeasurement", raw: 0 });
                }
                let values = convert(codes);
                values.into_iter().enumerate().for_each(|(channel, value)| out.push(channel, value));
                Ok(())
            }
            _ => Err(self.ask(bus, Command::GetDataReadyStatus, ANSWERING, Next::TakeStatus)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Step::{Read, Silence, Write};
    use crate::testing::{Bench, absent, assert_close, collect, measure, script};
    use rstest::rstest;

    const AT: u8 = 0x62;
    /// The examples of sections 3.9.2 and 3.5.2.
    const SERIAL: [u8; 9] = [0xF8, 0x96, 0x31, 0x9F, 0x07, 0xC2, 0x3B, 0xBE, 0x89];
    const MEASUREMENT: [u8; 9] = [0x01, 0xF4, 0x33, 0x66, 0x67, 0xA2, 0x5E, 0xB9, 0x3C];

    fn not_ready(after: Duration) -> Result<(), Error> {
        Err(Error::NotReady { after })
    }

    #[test]
    fn init_stops_identifies_and_starts() {
        let mut driver = Scd4x::new(AT);
        let steps = [Write(&[0x3F, 0x86]), Write(&[0x36, 0x82]), Read(&SERIAL), Write(&[0x21, 0xB1])];
        script(AT, &steps, |bus| {
            assert_eq!(driver.init(bus), not_ready(STOPPING));
            assert_eq!(driver.init(bus), not_ready(ANSWERING));
            assert_eq!(driver.init(bus), Ok(()));
        });
    }

    #[test]
    fn init_begins_anew_after_an_error() {
        let mut driver = Scd4x::new(AT);
        let steps = [Write(&[0x3F, 0x86]), Silence(&[0x36, 0x82], 0), Write(&[0x3F, 0x86])];
        script(AT, &steps, |bus| {
            assert_eq!(driver.init(bus), not_ready(STOPPING));
            assert_eq!(driver.init(bus), Err(absent("GetSerialNumber")));
            assert_eq!(driver.init(bus), not_ready(STOPPING));
        });
    }

    /// Section 3.5.2: 500 ppm, 25 degrees, 37 percent.
    #[test]
    fn the_worked_example_comes_out_as_printed() {
        let mut driver = Scd4x::new(AT);
        let steps = [Write(&[0xE4, 0xB8]), Read(&[0x80, 0x06, 0x04]), Write(&[0xEC, 0x05]), Read(&MEASUREMENT)];
        let out = script(AT, &steps, |bus| {
            assert_eq!(driver.start(bus), Ok(ANSWERING));
            assert_eq!(collect(&mut driver, bus).map(|_| ()), not_ready(ANSWERING));
            collect(&mut driver, bus).unwrap()
        });
        let values: [f64; 3] = core::array::from_fn(|n| out[n].value);
        assert_close(&values, &[500.0, 25.0, 37.0], &[0.0, 0.005, 0.005]);
    }

    #[test]
    fn a_measurement_that_is_not_there_is_waited_for() {
        let mut driver = Scd4x::new(AT);
        let steps = [Write(&[0xE4, 0xB8]), Read(&[0x80, 0x00, 0xA2]), Write(&[0xE4, 0xB8])];
        script(AT, &steps, |bus| {
            driver.start(bus).unwrap();
            assert_eq!(collect(&mut driver, bus).map(|_| ()), not_ready(AGAIN));
            assert_eq!(collect(&mut driver, bus).map(|_| ()), not_ready(ANSWERING));
        });
    }

    #[test]
    fn a_sensor_that_stopped_measuring_is_stale() {
        let mut driver = Scd4x { tries: PATIENCE, next: Next::TakeStatus, ..Scd4x::new(AT) };
        let result = script(AT, &[Read(&[0x80, 0x00, 0xA2])], |bus| collect(&mut driver, bus));
        assert_eq!(result, Err(Error::Stale { register: "GetDataReadyStatus" }));
    }

    #[rstest]
    #[case::no_air(&[0x00, 0x00, 0x81, 0x66, 0x67, 0xA2, 0x5E, 0xB9, 0x3C], Error::OutOfRange { register: "ReadMeasurement", raw: 0 })]
    #[case::damaged(&[0x01, 0xF4, 0x33, 0x66, 0x67, 0xA3, 0x5E, 0xB9, 0x3C], Error::Checksum { register: "ReadMeasurement", computed: 0xA2, received: 0xA3 })]
    #[case::all_ones(&[0xFF; 9], Error::Checksum { register: "ReadMeasurement", computed: 0xAC, received: 0xFF })]
    fn bad_data_is_an_error(#[case] bytes: &[u8], #[case] error: Error) {
        let mut driver = Scd4x { next: Next::TakeMeasurement, ..Scd4x::new(AT) };
        assert_eq!(script(AT, &[Read(bytes)], |bus| collect(&mut driver, bus)), Err(error));
    }

    #[test]
    fn every_access_names_its_command() {
        let result = script(AT, &[Silence(&[0x3F, 0x86], 0)], |bus| Scd4x::new(AT).init(bus));
        assert_eq!(result, Err(absent("StopPeriodicMeasurement")));
        let result = script(AT, &[Silence(&[0xE4, 0xB8], 0)], |bus| Scd4x::new(AT).start(bus));
        assert_eq!(result, Err(absent("GetDataReadyStatus")));
        let mut driver = Scd4x { next: Next::TakeMeasurement, ..Scd4x::new(AT) };
        let result = script(AT, &[Silence(&[], 9)], |bus| collect(&mut driver, bus));
        assert_eq!(result, Err(absent("ReadMeasurement")));
    }

    #[test]
    fn the_simulated_chip_is_read_as_it_was_set() {
        let world = [("co2", 1234.0), ("temperature", 21.5), ("humidity", 41.2)];
        let values = measure("scd4x", &mut Scd4x::new(AT), &world).unwrap();
        assert_close(&values, &world.map(|(_, value)| value), &[0.5, 0.002, 0.001]);
    }

    /// The crate `scd4x` on the same simulated chip, one periodic measurement later.
    #[test]
    fn the_scd4x_crate_reads_the_same() {
        let bench = Bench::new(crate::sim::scd4x::scd4x(AT));
        for (quantity, value) in [("co2", 815.0), ("temperature", 19.25), ("humidity", 63.0)] {
            assert!(bench.set(AT, quantity, value));
        }
        let mut driver = Scd4x::new(AT);
        let until_ready = |ask: &mut dyn FnMut(&mut Bench) -> Result<(), Error>| {
            while let Err(Error::NotReady { after }) = ask(&mut bench.clone()) {
                bench.wait(after);
            }
        };
        let mut ours = Measurements::new();
        until_ready(&mut |bus| driver.init(bus));
        bench.wait(driver.start(&mut bench.clone()).unwrap());
        until_ready(&mut |bus| driver.read(bus, &mut ours));
        bench.wait(Duration::from_secs(5));
        let theirs = scd4x::Scd4x::new(bench.clone(), bench.clone()).measurement().unwrap();
        let theirs = [f64::from(theirs.co2), theirs.temperature.into(), theirs.humidity.into()];
        let ours: [f64; 3] = core::array::from_fn(|n| ours[n].value);
        assert_close(&ours, &theirs, &[0.0, 0.003, 0.002]);
    }
}
