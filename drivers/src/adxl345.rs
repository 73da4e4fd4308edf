//! Analog Devices ADXL345: acceleration in three axes, for tilt and for vibration.
//!
//! Each reading is a burst of 32 samples from the chip's own buffer: their mean (tilt, gravity), the RMS of what is
//! left (vibration) and its peak. Always ±16 g at full resolution. Not done: tap, free-fall and activity detection,
//! offsets, rates above 800 Hz (a 100 kHz bus could not carry them), spectra.
//!
//! Datasheet: rev. G, <https://www.analog.com/media/en/technical-documentation/data-sheets/adxl345.pdf>.

use core::time::Duration;

use crate::registers::{configure, read, registers, write};
use crate::{Accepts, Channel, Driver, Error, I2c, Measurements, OptionError, Options, Setting};

registers! {
    /// Table 19.
    enum Register: u8 {
        DevId = 0x00,
        /// Followed by POWER_CTL, INT_ENABLE, INT_MAP, INT_SOURCE and DATA_FORMAT.
        BwRate = 0x2C,
        PowerCtl = 0x2D,
        DataFormat = 0x31,
        DataX0 = 0x32,
        FifoCtl = 0x38,
        FifoStatus = 0x39,
    }
}

/// Table 19 and "Register definitions".
const ID: u8 = 0xE5;
const MEASURE: u8 = 1 << 3;
const FULL_RESOLUTION_16_G: u8 = 1 << 3 | 0b11;
const FIFO_BYPASS: u8 = 0;
const FIFO_FILL: u8 = 0b01 << 6;
const FIFO_ENTRIES: u8 = 0b11_1111;

/// The buffer's size.
const BURST: usize = 32;
/// Full resolution: 256 counts per g (table 1), 13 bits and sign.
const COUNTS_PER_G: f64 = 256.0;
const MOST_COUNTS: u16 = 4_096;

/// Mean, RMS and peak for each axis.
pub const CHANNELS: &[Channel] = &[
    mean("x"),
    mean("y"),
    mean("z"),
    vibration("rms_x"),
    vibration("rms_y"),
    vibration("rms_z"),
    vibration("peak_x"),
    vibration("peak_y"),
    vibration("peak_z"),
];

const fn mean(name: &'static str) -> Channel {
    Channel::gauge(name, "[g]", -16.0, 16.0).span(-2.0, 2.0).resolution(1.0 / COUNTS_PER_G)
}

const fn vibration(name: &'static str) -> Channel {
    Channel::gauge(name, "[g]", 0.0, 32.0).span(0.0, 4.0)
}

/// What can be set in the configuration.
pub const SETTINGS: &[Setting] = &[Setting {
    key: "rate",
    help: "samples per second within a burst of 32; vibration is seen up to half of it",
    accepts: Accepts::Word { default: "800", of: &["100", "200", "400", "800"] },
}];

/// How the chip is to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// 0 to 3 for 100, 200, 400, 800 samples per second.
    pub rate: u8,
}

impl Config {
    /// From checked options.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        Ok(Self { rate: options.choice("rate") as u8 })
    }

    /// Table 7: rate codes.
    fn bw_rate(self) -> u8 {
        0b1010 + (self.rate & 3)
    }

    /// The buffer's 32 samples, and two more because the rate is not exact.
    fn burst(self) -> Duration {
        Duration::from_millis(340) / (1 << (self.rate & 3))
    }
}

/// An ADXL345 at one address.
#[derive(Debug)]
pub struct Adxl345 {
    address: u8,
    config: Config,
}

impl Adxl345 {
    /// At `address` 0x53 (ALT ADDRESS low) or 0x1D (high).
    pub fn new(address: u8, config: Config) -> Self {
        Self { address, config }
    }

    /// Makes sure that the chip still has its configuration.
    fn check(&self, bus: &mut I2c) -> Result<(), Error> {
        let found: [u8; 6] = read(bus, self.address, Register::BwRate)?;
        let [bw_rate, power_ctl, .., data_format] = found;
        let wrote = [self.config.bw_rate(), MEASURE, FULL_RESOLUTION_16_G];
        if [bw_rate, power_ctl, data_format] == wrote {
            return Ok(());
        }
        let number = |[a, b, c]: [u8; 3]| u32::from_be_bytes([0, a, b, c]);
        let (wrote, read) = (number(wrote), number([bw_rate, power_ctl, data_format]));
        Err(Error::Configuration { register: "BwRate, PowerCtl and DataFormat", wrote, read })
    }
}

/// Whether the chip at `address` says that it is an ADXL345.
pub fn identify(bus: &mut I2c, address: u8) -> Result<bool, Error> {
    read::<1, _>(bus, address, Register::DevId).map(|[id]| id == ID)
}

/// The three axes of one sample in g; `Err` is a count beyond the range.
fn convert(sample: [u8; 6]) -> Result<[f64; 3], u16> {
    let mut axes = [0.0; 3];
    for (axis, bytes) in axes.iter_mut().zip(sample.chunks_exact(2)) {
        let counts = i16::from_le_bytes([bytes[0], bytes[1]]);
        if counts.unsigned_abs() > MOST_COUNTS {
            return Err(counts.cast_unsigned());
        }
        *axis = f64::from(counts) / COUNTS_PER_G;
    }
    Ok(axes)
}

/// Mean, RMS of the deviations from it and the largest of them.
fn summarise(samples: &[f64; BURST]) -> [f64; 3] {
    let mean = samples.iter().sum::<f64>() / BURST as f64;
    let deviations = samples.map(|sample| sample - mean);
    let square = deviations.iter().map(|d| d * d).sum::<f64>() / BURST as f64;
    let peak = deviations.iter().fold(0.0_f64, |peak, d| peak.max(d.abs()));
    [mean, libm::sqrt(square), peak]
}

impl Driver for Adxl345 {
    fn channels(&self) -> &[Channel] {
        CHANNELS
    }

    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        let [id] = read(bus, self.address, Register::DevId)?;
        if id != ID {
            return Err(Error::WrongChip { expected: "ADXL345", found: id.into() });
        }
        configure(bus, self.address, Register::BwRate, [self.config.bw_rate()])?;
        configure(bus, self.address, Register::DataFormat, [FULL_RESOLUTION_16_G])?;
        configure(bus, self.address, Register::PowerCtl, [MEASURE])
    }

    /// Empties the buffer and lets it fill; once full it keeps what it has.
    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        write(bus, self.address, Register::FifoCtl, &[FIFO_BYPASS])?;
        write(bus, self.address, Register::FifoCtl, &[FIFO_FILL])?;
        Ok(self.config.burst())
    }

    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        self.check(bus)?;
        let [status] = read(bus, self.address, Register::FifoStatus)?;
        if usize::from(status & FIFO_ENTRIES) < BURST {
            return Err(Error::NotReady { after: self.config.burst() / 8 });
        }
        let mut axes = [[0.0; BURST]; 3];
        for n in 0..BURST {
            let sample = convert(read(bus, self.address, Register::DataX0)?)
                .map_err(|raw| Error::OutOfRange { register: "DataX0", raw: raw.into() })?;
            axes.iter_mut().zip(sample).for_each(|(axis, value)| axis[n] = value);
        }
        for (axis, samples) in axes.iter().enumerate() {
            let values = summarise(samples);
            values.into_iter().enumerate().for_each(|(n, value)| out.push(3 * n + axis, value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Step::{self, Ask, Silence, Write};
    use crate::testing::{absent, assert_close, collect, measure, script};
    use rstest::rstest;

    const AT: u8 = 0x53;
    const KEPT: [u8; 6] = [0x0D, 0x08, 0, 0, 0x83, 0x0B];

    fn chip() -> Adxl345 {
        Adxl345::new(AT, Config { rate: 3 })
    }

    #[test]
    fn init_identifies_and_configures() {
        let steps = [
            Ask(&[0x00], &[0xE5]),
            Write(&[0x2C, 0x0D]),
            Ask(&[0x2C], &[0x0D]),
            Write(&[0x31, 0x0B]),
            Ask(&[0x31], &[0x0B]),
            Write(&[0x2D, 0x08]),
            Ask(&[0x2D], &[0x08]),
        ];
        assert_eq!(script(AT, &steps, |bus| chip().init(bus)), Ok(()));
        let other = Error::WrongChip { expected: "ADXL345", found: 0x1D };
        assert_eq!(script(AT, &[Ask(&[0x00], &[0x1D])], |bus| chip().init(bus)), Err(other));
    }

    #[test]
    fn a_burst_is_started_by_emptying_the_buffer() {
        let steps = [Write(&[0x38, 0x00]), Write(&[0x38, 0x40])];
        assert_eq!(script(AT, &steps, |bus| chip().start(bus)), Ok(Duration::from_micros(42_500)));
    }

    /// Half the samples at -1 g and half at 2 g in z: mean 0.5 g, RMS and peak 1.5 g.
    #[test]
    fn a_burst_is_summarised() {
        let mut steps = std::vec![Ask(&[0x2C], &KEPT), Ask(&[0x39], &[32])];
        for n in 0..32 {
            steps.push(Ask(&[0x32], if n % 2 == 0 { &[0, 1, 0, 0, 0, 0xFF] } else { &[0, 1, 0, 0, 0, 2] }));
        }
        let out = script(AT, &steps, |bus| collect(&mut chip(), bus)).unwrap();
        let mut values = [f64::NAN; 9];
        out.iter().for_each(|m| values[usize::from(m.channel)] = m.value);
        assert_close(&values, &[1.0, 0.0, 0.5, 0.0, 0.0, 1.5, 0.0, 0.0, 1.5], &[1e-12; 9]);
    }

    #[rstest]
    #[case([0x00, 0x01, 0x00, 0xFF, 0x01, 0x00], Ok([1.0, -1.0, 1.0 / 256.0]))]
    #[case([0xFF, 0x0F, 0x00, 0xF0, 0x00, 0x00], Ok([4_095.0 / 256.0, -16.0, 0.0]))]
    #[case([0x00, 0x00, 0x01, 0x10, 0x00, 0x00], Err(0x1001))]
    #[case([0x00, 0x00, 0x00, 0x00, 0x00, 0x80], Err(0x8000))]
    fn conversion_at_the_corners(#[case] sample: [u8; 6], #[case] expected: Result<[f64; 3], u16>) {
        assert_eq!(convert(sample), expected);
    }

    #[rstest]
    #[case::power_lost(&[Ask(&[0x2C], &[0x0A, 0, 0, 0, 0x02, 0])], Error::Configuration { register: "BwRate, PowerCtl and DataFormat", wrote: 0x0D080B, read: 0x0A0000 })]
    #[case::filling(&[Ask(&[0x2C], &KEPT), Ask(&[0x39], &[31])], Error::NotReady { after: Duration::from_nanos(5_312_500) })]
    #[case::impossible(&[Ask(&[0x2C], &KEPT), Ask(&[0x39], &[32]), Ask(&[0x32], &[0xFF, 0x7F, 0, 0, 0, 0])], Error::OutOfRange { register: "DataX0", raw: 0x7FFF })]
    #[case::nobody(&[Silence(&[0x2C], 6)], absent("BwRate"))]
    #[case::gone(&[Ask(&[0x2C], &KEPT), Silence(&[0x39], 1)], absent("FifoStatus"))]
    #[case::gone_in_a_burst(&[Ask(&[0x2C], &KEPT), Ask(&[0x39], &[32]), Silence(&[0x32], 6)], absent("DataX0"))]
    fn read_fails(#[case] steps: &[Step], #[case] error: Error) {
        assert_eq!(script(AT, steps, |bus| collect(&mut chip(), bus)), Err(error));
    }

    #[test]
    fn the_simulated_chip_is_read_as_it_was_set() {
        let world = [("x", 0.1), ("y", -0.2), ("z", 0.98), ("rms_z", 0.5), ("frequency", 100.0)];
        let values = measure("adxl345", &mut chip(), &world).unwrap();
        let by_axis: std::vec::Vec<_> = [0, 3, 6, 1, 4, 7, 2, 5, 8].map(|n| values[n]).into();
        assert_close(&by_axis[..3], &[0.1, -0.2, 0.98], &[0.004; 3]);
        assert_close(&by_axis[3..6], &[0.0, 0.0, 0.5], &[0.004; 3]);
        assert_close(&by_axis[6..], &[0.0, 0.0, 0.707], &[0.004; 3]);
    }
}
