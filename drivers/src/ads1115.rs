//! Texas Instruments ADS1115 (16 bits) and ADS1015 (12 bits): voltages at four inputs.
//!
//! One single-shot conversion per input, so that the chip sleeps between readings and a power loss shows in its
//! configuration register. Not done: the comparator and its ALERT pin.
//!
//! Datasheets: ADS111x SBAS444D, January 2018, <https://www.ti.com/lit/ds/symlink/ads1115.pdf>;
//! ADS101x SBAS473E, January 2018, <https://www.ti.com/lit/ds/symlink/ads1015.pdf>. Sections are those of the former.

use core::time::Duration;

use heapless::Vec;

use crate::registers::{read, registers, write};
use crate::{Accepts, Channel, Driver, Error, I2c, Measurements, OptionError, Options, Setting};

registers! {
    /// Section 9.6.1, table 6.
    enum Register: u8 {
        Conversion = 0,
        Config = 1,
    }
}

/// Section 9.6.3: writing 1 begins a conversion, reading 1 means idle.
const IDLE: u16 = 1 << 15;
const SINGLE_SHOT: u16 = 1 << 8;
const NO_COMPARATOR: u16 = 0b11;

/// The inputs in the order of the multiplexer's codes (section 9.6.3, bits 14 to 12).
pub const INPUTS: &[&str] = &["a0-a1", "a0-a3", "a1-a3", "a2-a3", "a0", "a1", "a2", "a3"];
/// The ranges in the order of the amplifier's codes (section 9.6.3, bits 11 to 9), and in volts.
const RANGES: &[&str] = &["6.144V", "4.096V", "2.048V", "1.024V", "0.512V", "0.256V"];
const VOLTS: [f64; 6] = [6.144, 4.096, 2.048, 1.024, 0.512, 0.256];

/// Every input at the default range; which of them an instance has is an option.
pub const CHANNELS: &[Channel] = &[
    Channel::gauge("a0", "V", -4.096, 4.096),
    Channel::gauge("a1", "V", -4.096, 4.096),
    Channel::gauge("a2", "V", -4.096, 4.096),
    Channel::gauge("a3", "V", -4.096, 4.096),
    Channel::gauge("a0-a1", "V", -4.096, 4.096),
    Channel::gauge("a0-a3", "V", -4.096, 4.096),
    Channel::gauge("a1-a3", "V", -4.096, 4.096),
    Channel::gauge("a2-a3", "V", -4.096, 4.096),
];

const WHICH: Setting = Setting {
    key: "inputs",
    help: "what is measured: inputs against ground, or one against another",
    accepts: Accepts::Words { default: &["a0", "a1", "a2", "a3"], of: INPUTS },
};
const RANGE: Setting = Setting {
    key: "range",
    help: "full scale, both signs; no input may ever exceed the chip's supply",
    accepts: Accepts::Word { default: "4.096V", of: RANGES },
};
const fn rate(default: &'static str, of: &'static [&'static str]) -> Setting {
    let help = "conversions per second: slower is quieter, 8 and 16 suppress mains hum";
    Setting { key: "rate", help, accepts: Accepts::Word { default, of } }
}

/// What can be set for an ADS1115.
pub const SETTINGS: &[Setting] = &[WHICH, RANGE, rate("128", &["8", "16", "32", "64", "128", "250", "475", "860"])];
/// What can be set for an ADS1015.
pub const SETTINGS_ADS1015: &[Setting] =
    &[WHICH, RANGE, rate("1600", &["128", "250", "490", "920", "1600", "2400", "3300"])];

/// The two members of the family that have four inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// 12 bits, up to 3300 conversions per second.
    Ads1015,
    /// 16 bits, up to 860 conversions per second.
    Ads1115,
}

impl Part {
    /// Conversions per second in the order of the rate's codes (section 9.6.3, bits 7 to 5).
    const fn rates(self) -> [u16; 8] {
        match self {
            Self::Ads1015 => [128, 250, 490, 920, 1600, 2400, 3300, 3300],
            Self::Ads1115 => [8, 16, 32, 64, 128, 250, 475, 860],
        }
    }

    /// The largest code, in the left-aligned 16 bits of the conversion register.
    const fn largest(self) -> i16 {
        match self {
            Self::Ads1015 => 0x7FF0,
            Self::Ads1115 => 0x7FFF,
        }
    }
}

/// How the chip is to measure, all as codes of its configuration register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Multiplexer codes, in the order of the channels: indices into [`INPUTS`].
    pub inputs: Vec<u8, 8>,
    /// 0 (6.144 V) to 5 (0.256 V).
    pub range: u8,
    /// 0 (slowest) to 7.
    pub rate: u8,
}

impl Config {
    /// From checked options.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        Ok(Self {
            inputs: options.choices("inputs").into_iter().map(|code| code as u8).take(8).collect(),
            range: options.choice("range") as u8,
            rate: options.choice("rate") as u8,
        })
    }

    fn full_scale(&self) -> f64 {
        VOLTS[usize::from(self.range.min(5))]
    }

    fn register(&self, input: u8) -> u16 {
        let [input, range, rate] = [input, self.range, self.rate].map(u16::from);
        input << 12 | range << 9 | SINGLE_SHOT | rate << 5 | NO_COMPARATOR
    }
}

/// An ADS1115 or ADS1015 at one address.
#[derive(Debug)]
pub struct Ads1115 {
    address: u8,
    part: Part,
    config: Config,
    channels: Vec<Channel, 8>,
    converting: usize,
    saturated: Option<Error>,
}

impl Ads1115 {
    /// At `address` 0x48 to 0x4B (ADDR to ground, supply, SDA, SCL).
    pub fn new(address: u8, part: Part, config: Config) -> Self {
        let full = config.full_scale();
        let step = full / 32_768.0 * f64::from(0x8000 - i32::from(part.largest()));
        let channel = |&input: &u8| Channel::gauge(INPUTS[usize::from(input & 7)], "V", -full, full).resolution(step);
        let channels = config.inputs.iter().map(channel).collect();
        Self { address, part, config, channels, converting: 0, saturated: None }
    }

    /// Begins the conversion of one input and says how long it takes.
    fn convert_input(&mut self, bus: &mut I2c, n: usize) -> Result<Duration, Error> {
        let Some(&input) = self.config.inputs.get(n) else {
            return Ok(Duration::ZERO);
        };
        self.converting = n;
        let register = self.config.register(input) | IDLE;
        write(bus, self.address, Register::Config, &register.to_be_bytes())?;
        Ok(self.conversion())
    }

    /// Section 7.5: the rate may be 10 % off; 50 us more to wake up (section 9.4.2.1, twice the typical).
    fn conversion(&self) -> Duration {
        let rate = self.part.rates()[usize::from(self.config.rate & 7)];
        Duration::from_micros(1_100_000 / u64::from(rate) + 50)
    }

    /// Collects the conversion of one input.
    fn collect(&self, bus: &mut I2c, input: u8) -> Result<f64, Error> {
        let found = u16::from_be_bytes(read(bus, self.address, Register::Config)?);
        let wrote = self.config.register(input);
        if found & !IDLE != wrote {
            let (wrote, read) = (wrote.into(), found.into());
            return Err(Error::Configuration { register: "Config", wrote, read });
        }
        if found & IDLE == 0 {
            return Err(Error::NotReady { after: self.conversion() / 8 });
        }
        let code = i16::from_be_bytes(read(bus, self.address, Register::Conversion)?);
        // At either end the converter is saturated: the voltage is anything beyond (section 9.5.4).
        if code >= self.part.largest() || code == i16::MIN {
            return Err(Error::OutOfRange { register: "Conversion", raw: u32::from(code.cast_unsigned()) });
        }
        Ok(convert(code, self.config.full_scale()))
    }
}

/// Volts from the left-aligned code (section 9.5.4).
fn convert(code: i16, full_scale: f64) -> f64 {
    f64::from(code) / 32_768.0 * full_scale
}

impl Driver for Ads1115 {
    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The chip has no identity; that it keeps a configuration of ours must do.
    fn init(&mut self, bus: &mut I2c) -> Result<(), Error> {
        let Some(&input) = self.config.inputs.first() else {
            return Ok(());
        };
        let wrote = self.config.register(input);
        write(bus, self.address, Register::Config, &wrote.to_be_bytes())?;
        let found = u16::from_be_bytes(read(bus, self.address, Register::Config)?) & !IDLE;
        if found == wrote {
            return Ok(());
        }
        Err(Error::Configuration { register: "Config", wrote: wrote.into(), read: found.into() })
    }

    fn start(&mut self, bus: &mut I2c) -> Result<Duration, Error> {
        self.saturated = None;
        self.convert_input(bus, 0)
    }

    /// Collects one input and begins the next: not ready until the last one is in.
    ///
    /// A saturated input does not keep the others from being measured; it is reported at the end.
    fn read(&mut self, bus: &mut I2c, out: &mut Measurements) -> Result<(), Error> {
        let Some(&input) = self.config.inputs.get(self.converting) else {
            return Ok(());
        };
        match self.collect(bus, input) {
            Ok(volts) => out.push(self.converting, volts),
            Err(error @ Error::OutOfRange { .. }) => self.saturated = self.saturated.or(Some(error)),
            Err(error) => return Err(error),
        }
        if self.converting + 1 == self.config.inputs.len() {
            return self.saturated.map_or(Ok(()), Err);
        }
        let after = self.convert_input(bus, self.converting + 1)?;
        Err(Error::NotReady { after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Step::{Ask, Silence, Write};
    use crate::testing::{Bench, absent, assert_close, collect, measure, script};
    use rstest::rstest;

    const AT: u8 = 0x48;

    fn chip(inputs: &[u8]) -> Ads1115 {
        let inputs = inputs.iter().copied().collect();
        Ads1115::new(AT, Part::Ads1115, Config { inputs, range: 1, rate: 4 })
    }

    #[test]
    fn init_writes_the_first_input_and_reads_it_back() {
        let steps = [Write(&[1, 0x43, 0x83]), Ask(&[1], &[0xC3, 0x83])];
        assert_eq!(script(AT, &steps, |bus| chip(&[4]).init(bus)), Ok(()));
        let steps = [Write(&[1, 0x43, 0x83]), Ask(&[1], &[0xFF, 0xFF])];
        let refused = Error::Configuration { register: "Config", wrote: 0x4383, read: 0x7FFF };
        assert_eq!(script(AT, &steps, |bus| chip(&[4]).init(bus)), Err(refused));
    }

    #[test]
    fn inputs_are_converted_one_after_the_other() {
        let mut driver = chip(&[4, 3]);
        let wait = script(AT, &[Write(&[1, 0xC3, 0x83])], |bus| driver.start(bus));
        assert_eq!(wait, Ok(Duration::from_micros(1_100_000 / 128 + 50)));
        let mut out = Measurements::new();
        let steps = [Ask(&[1], &[0xC3, 0x83]), Ask(&[0], &[0x40, 0x00]), Write(&[1, 0xB3, 0x83])];
        let next = script(AT, &steps, |bus| driver.read(bus, &mut out));
        assert_eq!(next, Err(Error::NotReady { after: wait.unwrap() }));
        let steps = [Ask(&[1], &[0xB3, 0x83]), Ask(&[0], &[0xC0, 0x00])];
        assert_eq!(script(AT, &steps, |bus| driver.read(bus, &mut out)), Ok(()));
        assert_eq!([out[0].value, out[1].value], [2.048, -2.048]);
        assert_eq!(driver.channels().iter().map(|c| c.name).collect::<Vec<_, 8>>(), ["a0", "a2-a3"]);
    }

    /// Section 9.5.4, table 3: ideal output codes against the input.
    #[rstest]
    #[case(0x4000, 2.048)]
    #[case(1, 0.000125)]
    #[case(0, 0.0)]
    #[case(-1, -0.000125)]
    #[case(-0x7FFF, -4.095875)]
    fn conversion_at_the_corners(#[case] code: i16, #[case] volts: f64) {
        assert_close(&[convert(code, 4.096)], &[volts], &[1e-9]);
    }

    #[rstest]
    #[case::still_busy(&[0x43, 0x83], Error::NotReady { after: Duration::from_nanos(1_080_375) })]
    #[case::power_lost(&[0x85, 0x83], Error::Configuration { register: "Config", wrote: 0x4383, read: 0x8583 })]
    #[case::all_ones(&[0xFF, 0xFF], Error::Configuration { register: "Config", wrote: 0x4383, read: 0xFFFF })]
    fn the_configuration_tells_before_the_data_is_believed(#[case] config: &[u8], #[case] error: Error) {
        assert_eq!(script(AT, &[Ask(&[1], config)], |bus| collect(&mut chip(&[4]), bus)), Err(error));
    }

    #[rstest]
    #[case(&[0x7F, 0xFF], 0x7FFF)]
    #[case(&[0x80, 0x00], 0x8000)]
    fn a_saturated_input_is_an_error_and_hurts_no_other(#[case] code: &[u8], #[case] raw: u32) {
        let mut driver = chip(&[4, 5]);
        let mut out = Measurements::new();
        let steps = [Ask(&[1], &[0xC3, 0x83]), Ask(&[0], code), Write(&[1, 0xD3, 0x83])];
        let next = script(AT, &steps, |bus| driver.read(bus, &mut out));
        assert!(matches!(next, Err(Error::NotReady { .. })));
        let steps = [Ask(&[1], &[0xD3, 0x83]), Ask(&[0], &[0, 8])];
        let end = script(AT, &steps, |bus| driver.read(bus, &mut out));
        assert_eq!(end, Err(Error::OutOfRange { register: "Conversion", raw }));
        assert_eq!(*out, [crate::Measurement { channel: 1, value: 0.001 }]);
    }

    #[test]
    fn every_access_names_its_register() {
        let result = script(AT, &[Silence(&[1, 0x43, 0x83], 0)], |bus| chip(&[4]).init(bus));
        assert_eq!(result, Err(absent("Config")));
        let result = script(AT, &[Silence(&[1, 0xC3, 0x83], 0)], |bus| chip(&[4]).start(bus));
        assert_eq!(result, Err(absent("Config")));
        let steps = [Ask(&[1], &[0xC3, 0x83]), Silence(&[0], 2)];
        let result = script(AT, &steps, |bus| collect(&mut chip(&[4]), bus));
        assert_eq!(result, Err(absent("Conversion")));
    }

    #[rstest]
    #[case("ads1115", Part::Ads1115, SETTINGS, 0.000125)]
    #[case("ads1015", Part::Ads1015, SETTINGS_ADS1015, 0.002)]
    fn the_simulated_chip_is_read_as_it_was_set(
        #[case] name: &str,
        #[case] part: Part,
        #[case] settings: &'static [Setting],
        #[case] step: f64,
    ) {
        let config = Config::from_options(&Options::new(settings)).unwrap();
        let world = [("a0", 0.0), ("a1", 1.5), ("a2", 3.3), ("a3", 4.09)];
        let values = measure(name, &mut Ads1115::new(AT, part, config), &world).unwrap();
        assert_close(&values, &world.map(|(_, volts)| volts), &[step; 4]);
    }

    #[test]
    fn options_become_codes() {
        let mut options = Options::new(SETTINGS);
        options.set("inputs", crate::Value::Words(std::vec!["a2-a3".into(), "a0".into()])).unwrap();
        options.set("range", crate::Value::Word("0.256V".into())).unwrap();
        options.set("rate", crate::Value::Word("860".into())).unwrap();
        let config = Config::from_options(&options).unwrap();
        assert_eq!(config, Config { inputs: Vec::from_array([3, 4]), range: 5, rate: 7 });
        assert_eq!(Ads1115::new(AT, Part::Ads1115, config).channels()[0].valid, (-0.256, 0.256));
    }

    /// The crate `ads1x1x` on the same simulated chip.
    #[test]
    fn the_ads1x1x_crate_reads_the_same() {
        use ads1x1x::{Ads1x1x, FullScaleRange, TargetAddr, channel};
        let mut bench = Bench::new(crate::sim::ads1115::ads1115(AT));
        let mut oracle = Ads1x1x::new_ads1115(bench.clone(), TargetAddr::default());
        oracle.set_full_scale_range(FullScaleRange::Within4_096V).unwrap();
        for volts in [-1.25, 0.0, 0.000_2, 3.3] {
            bench.set(AT, "a0", volts);
            let mut driver = chip(&[4]);
            bench.wait(driver.start(&mut bench.clone()).unwrap());
            let ours = collect(&mut driver, &mut bench).unwrap()[0].value;
            assert!(oracle.read(channel::SingleA0).is_err(), "its conversion has only begun");
            bench.wait(Duration::from_millis(10));
            let theirs = oracle.read(channel::SingleA0).unwrap();
            assert_eq!(ours, convert(theirs, 4.096));
        }
    }
}
