//! `driver = "ds18b20"`: thermometers on 1-Wire, through the kernel's w1 driver.
//!
//! `address = "28-0316a2791eff"` is the folder under /sys/bus/w1/devices; `weir scan` lists them. Reading starts a conversion,
//! which blocks for up to 750 ms: each sensor has a thread of its own. The kernel checks the CRC; what is checked here
//! besides is the power-on value and a bus without answers, which both look like temperatures.

use super::grid::Grid;
use super::poll::nanos;
use super::trouble::Trouble;
use super::{Arrival, Closed, Draft, Entry, Feed, Life, Measured, Open, Running, Source, check_channel, thread};
use crate::registry::{ChannelIndex, Declared};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) const ENTRY: Entry =
    Entry { name: "ds18b20", summary: "a 1-Wire thermometer, through the kernel's w1 driver", open: Open::Alone(open) };

/// Where the kernel lists the devices.
pub(super) const DEVICES: &str = "/sys/bus/w1/devices";

/// What the chip can measure (Maxim DS18B20 data sheet 19-7487, page 1), and its resolution of 1/16 degree.
const RANGE: (f64, f64) = (-55.0, 125.0);

fn open(draft: Draft<'_, '_>) -> Option<Box<dyn Source>> {
    let every = draft.require_every();
    let Draft { mut section, channels, .. } = draft;
    let name = section.key().into();
    let is_plain = |a: &String| !a.is_empty() && a.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let address = if section.has("address") {
        section.take_checked(
            "address",
            "must be the name of a folder in /sys/bus/w1/devices, such as \"28-0316a2791eff\"",
            is_plain,
        )
    } else {
        section.require::<String>("address", "\"28-0316a2791eff\"")
    };
    let devices = section.take("devices").unwrap_or_else(|| PathBuf::from(DEVICES));
    section.finish();
    channels.into_iter().for_each(|channel| check_channel(channel, ENTRY.name, &["temperature"]));
    Some(Box::new(Thermometer { name, file: devices.join(address?).join("w1_slave"), every: every? }))
}

struct Thermometer {
    name: Box<str>,
    file: PathBuf,
    every: Duration,
}

fn declared() -> Declared {
    Declared { valid: Some(RANGE), span: Some(RANGE), ..Declared::gauge("temperature", "Cel") }
}

impl Source for Thermometer {
    fn channels(&self) -> Vec<Vec<Declared>> {
        vec![vec![declared()]]
    }

    fn run(self: Box<Self>, feeds: Vec<Feed>, life: Life) -> Running {
        thread::run(life, move |life, runtime| {
            let Some(feed) = feeds.into_iter().next() else { return };
            let Some(channel) = feed.channel(declared()) else { return };
            let mut grid = Grid::new(feed.clock().now(), self.every);
            let mut trouble = Trouble::new(self.name.clone(), self.every);
            let mut next = grid.due();
            while life.sleep_until(runtime, next) {
                match self.poll(&feed, channel, &mut grid, &mut trouble) {
                    Ok(wait) => next = grid.due().max(feed.clock().now() + nanos(wait)),
                    Err(Closed) => return,
                }
            }
            let _ = thread::miss(&feed, grid.finish(feed.clock().now()));
        })
    }
}

impl Thermometer {
    /// One poll; how long to wait at least before the next one.
    fn poll(
        &self,
        feed: &Feed,
        channel: ChannelIndex,
        grid: &mut Grid,
        trouble: &mut Trouble,
    ) -> Result<Duration, Closed> {
        let at = feed.clock().now();
        thread::miss(feed, grid.begin(at))?;
        grid.end();
        match read(&self.file) {
            Ok(value) => {
                trouble.over();
                feed.send_blocking(Arrival::Reading { channel, at, value: Measured::Gauge(value) })?;
                Ok(Duration::ZERO)
            }
            Err(why) => {
                let wait = trouble.failed(&why, feed.clock().now());
                let why = Arc::from(why);
                feed.send_blocking(Arrival::Failed { sensor: feed.sensor(), channel: None, at, why })?;
                Ok(wait)
            }
        }
    }
}

/// Converts and reads; in degrees Celsius.
pub(super) fn read(file: &Path) -> Result<f64, String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let place = file.display();
        format!("{place} cannot be read: {error}; check the wiring, and that the kernel's w1 driver is loaded (`dtoverlay=w1-gpio` on a Raspberry Pi)")
    })?;
    parse(&text)
}

/// The scratchpad twice, with the kernel's verdict on the CRC and its conversion (kernel, drivers/w1/slaves/w1_therm.c):
/// `72 01 4b 46 7f ff 0e 10 57 : crc=57 YES` and `… t=23125`.
fn parse(text: &str) -> Result<f64, String> {
    const DAMAGED: &str =
        "the answer is damaged (CRC): shorten or shield the cable, check the 4.7 kOhm pull-up resistor";
    let (first, second) = text.split_once('\n').ok_or(DAMAGED)?;
    if !first.trim_end().ends_with("YES") {
        return Err(DAMAGED.into());
    }
    let bytes: Vec<u8> = first.split_whitespace().map_while(|word| u8::from_str_radix(word, 16).ok()).take(9).collect();
    match bytes[..] {
        [0, 0, 0, 0, 0, 0, 0, 0, 0] => Err("nothing but zeros: the data line is shorted to ground".into()),
        // A conversion sets byte 6 to 0x10 less the low digit; 0x0C is what it holds after power-on (data sheet, figure 8).
        [0x50, 0x05, _, _, _, _, 0x0C, _, _] => {
            Err("85 degrees is what the sensor says after power-on, before it has measured: check its supply".into())
        }
        _ => {
            let millis = second.rsplit_once("t=").and_then(|(_, t)| t.trim().parse::<f64>().ok()).ok_or(DAMAGED)?;
            Ok(millis / 1000.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Bench;
    use rstest::rstest;

    const WARM: &str = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n";

    #[rstest]
    #[case(WARM, 23.125)]
    #[case("5e ff 4b 46 7f ff 02 10 1e : crc=1e YES\n5e ff 4b 46 7f ff 02 10 1e t=-10125\n", -10.125)]
    #[case("50 05 4b 46 7f ff 10 10 8e : crc=8e YES\n50 05 4b 46 7f ff 10 10 8e t=85000\n", 85.0)]
    fn temperatures_are_read(#[case] text: &str, #[case] expected: f64) {
        assert_eq!(parse(text), Ok(expected));
    }

    #[rstest]
    #[case("50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n", "after power-on")]
    #[case("00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n", "shorted")]
    #[case("ff ff ff ff ff ff ff ff ff : crc=c9 NO\nff ff ff ff ff ff ff ff ff t=-62\n", "damaged")]
    #[case("", "damaged")]
    #[case("72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\nnothing", "damaged")]
    fn what_only_looks_like_a_temperature_is_none(#[case] text: &str, #[case] why: &str) {
        let said = parse(text).unwrap_err();
        assert!(said.contains(why), "{said}");
    }

    #[test]
    fn a_sensor_that_is_unplugged_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("28-0316a2791eff");
        std::fs::create_dir(&device).unwrap();
        std::fs::write(device.join("w1_slave"), WARM).unwrap();
        let mut bench = Bench::start(&format!(
            "[sensor.tank]\ndriver = \"ds18b20\"\naddress = \"28-0316a2791eff\"\nevery = \"20ms\"\ndevices = {:?}",
            folder.path()
        ));
        bench.until(|b| b.values("tank/temperature").len() == 2);
        std::fs::remove_file(device.join("w1_slave")).unwrap();
        bench.until(|b| !b.failures("tank").is_empty());
        assert!(bench.failures("tank")[0].contains("w1_slave cannot be read"));
        std::fs::write(device.join("w1_slave"), WARM).unwrap();
        let before = bench.values("tank/temperature").len();
        bench.until(|b| b.values("tank/temperature").len() > before);
    }
}
