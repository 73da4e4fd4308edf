//! Devices that talk on a serial line, simulated: what they send for the world as it is now. Whoever owns one decides
//! when it sends and what becomes of the bytes on their way.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A simulated device on a serial line.
pub trait Talker {
    /// Sets a quantity of the world around it, by channel name and in the channel's unit.
    /// False if the device does not sense it.
    fn set(&mut self, quantity: &str, value: f64) -> bool;

    /// What it sends next.
    fn say(&mut self) -> Vec<u8>;
}

/// A simulated PMS5003: one frame (data manual V2.3, appendix I).
pub fn pms5003() -> Box<dyn Talker + Send> {
    Box::new(Pms5003 { atmosphere: [5.0, 8.0, 9.0], numbers: [900.0, 260.0, 45.0, 4.0, 1.0, 0.0] })
}

struct Pms5003 {
    atmosphere: [f64; 3],
    numbers: [f64; 6],
}

impl Talker for Pms5003 {
    fn set(&mut self, quantity: &str, value: f64) -> bool {
        let at = match quantity {
            "pm1_0" => &mut self.atmosphere[0],
            "pm2_5" => &mut self.atmosphere[1],
            "pm10" => &mut self.atmosphere[2],
            "count_0_3" => &mut self.numbers[0],
            "count_0_5" => &mut self.numbers[1],
            "count_1_0" => &mut self.numbers[2],
            "count_2_5" => &mut self.numbers[3],
            "count_5_0" => &mut self.numbers[4],
            "count_10" => &mut self.numbers[5],
            _ => return false,
        };
        *at = value;
        true
    }

    /// The "CF=1" masses are those of the atmosphere, as they are in clean air.
    fn say(&mut self) -> Vec<u8> {
        let mut frame = Vec::from([0x42, 0x4D, 0, 28]);
        let values = self.atmosphere.iter().chain(&self.atmosphere).chain(&self.numbers);
        values.for_each(|value| frame.extend(((value + 0.5) as u16).to_be_bytes()));
        frame.extend([0x97, 0]);
        let sum: u16 = frame.iter().map(|&byte| u16::from(byte)).sum();
        frame.extend(sum.to_be_bytes());
        frame
    }
}

/// A simulated MH-Z19: the answer to command 0x86.
pub fn mhz19() -> Box<dyn Talker + Send> {
    Box::new(Mhz19 { co2: 600.0 })
}

struct Mhz19 {
    co2: f64,
}

impl Talker for Mhz19 {
    fn set(&mut self, quantity: &str, value: f64) -> bool {
        self.co2 = value;
        quantity == "co2"
    }

    fn say(&mut self) -> Vec<u8> {
        let [high, low] = (self.co2 as u16).to_be_bytes();
        let mut frame = Vec::from([0xFF, 0x86, high, low, 0x47, 0, 0, 0]);
        let sum: u32 = frame[1..].iter().map(|&byte| u32::from(byte)).sum();
        frame.push((0x100 - sum % 0x100) as u8);
        frame
    }
}

/// A simulated GNSS receiver: one GGA and one RMC sentence.
pub fn nmea() -> Box<dyn Talker + Send> {
    Box::new(Receiver { values: [48.117_3, 11.516_7, 545.4, 0.9, 8.0, 1.0, 1.5, 84.4] })
}

struct Receiver {
    /// In the order of [`QUANTITIES`].
    values: [f64; 8],
}

const QUANTITIES: [&str; 8] = ["latitude", "longitude", "altitude", "hdop", "satellites", "fix", "speed", "course"];

impl Talker for Receiver {
    fn set(&mut self, quantity: &str, value: f64) -> bool {
        let Some(n) = QUANTITIES.iter().position(|known| *known == quantity) else { return false };
        self.values[n] = value;
        true
    }

    fn say(&mut self) -> Vec<u8> {
        let [latitude, longitude, altitude, hdop, satellites, fix, speed, course] = self.values;
        let place = format!("{},{}", minutes(latitude, 2, ["N", "S"]), minutes(longitude, 3, ["E", "W"]));
        let gga = format!("GNGGA,120000.00,{place},{fix:.0},{satellites:.0},{hdop:.2},{altitude:.1},M,0.0,M,,");
        let (valid, knots) = (if fix == 0.0 { 'V' } else { 'A' }, speed * 3.6 / 1.852);
        let rmc = format!("GNRMC,120000.00,{valid},{place},{knots:.3},{course:.1},010126,,,A");
        (sentence(&gga) + &sentence(&rmc)).into_bytes()
    }
}

/// `4807.03800,N`: degrees with so many digits, minutes, hemisphere.
fn minutes(degrees: f64, digits: usize, hemispheres: [&str; 2]) -> String {
    let (size, hemisphere) = (degrees.abs(), hemispheres[usize::from(degrees < 0.0)]);
    // In steps of 0.00001 minutes, so that 59.999999 does not print as 60.
    let steps = (size * 6_000_000.0 + 0.5) as u64;
    let (whole, rest) = (steps / 6_000_000, steps % 6_000_000);
    format!("{whole:0digits$}{:02}.{:05},{hemisphere}", rest / 100_000, rest % 100_000)
}

fn sentence(body: &str) -> String {
    let checksum = body.bytes().fold(0, |sum, byte| sum ^ byte);
    format!("${body}*{checksum:02X}\r\n")
}
