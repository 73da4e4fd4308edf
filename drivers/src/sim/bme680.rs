//! BME680 and BME688 at register level (datasheet BST-BME680-DS001).
//!
//! As in [`super::bme280`] the codes are found by searching *integer* formulas, those of Bosch's BME680 API, so that
//! our driver, which uses the floating-point ones, is held against something else than itself.

#![expect(clippy::precedence, reason = "products before shifts, as in the API")]

use alloc::boxed::Box;
use core::time::Duration;

use super::Chip;
use super::bme280::solve;
use super::wire::{ByteRegisters, Model, bytes};

/// Trimming values as chips have them.
const T: [i64; 3] = [26_203, 26_426, 3];
const P: [i64; 10] = [36_673, -10_515, 88, 7_310, -141, 30, 36, -2_834, -2_436, 30];
const H: [i64; 7] = [777, 1_022, 0, 45, 20, 120, -100];
const G: [i64; 3] = [-30, -5_969, 18];
const HEAT_VALUE: u8 = 46;
const HEAT_RANGE: u8 = 1;

const CTRL_MEAS: u8 = 0x74;
/// The heater's temperature is reached after this time.
const HEATER: Duration = Duration::from_millis(20);

/// A simulated BME680.
pub fn bme680(address: u8) -> Box<dyn Chip + Send> {
    bytes(address, Bme68x::new(false))
}

/// A simulated BME688.
pub fn bme688(address: u8) -> Box<dyn Chip + Send> {
    bytes(address, Bme68x::new(true))
}

struct Bme68x {
    high: bool,
    temperature: f64,
    pressure: f64,
    humidity: f64,
    gas: f64,
    /// The writable registers from 0x50 to 0x75.
    settings: [u8; 0x26],
    /// Registers 0x1D to 0x2D.
    data: [u8; 17],
    remaining: Duration,
}

impl Bme68x {
    fn new(high: bool) -> Self {
        let mut chip = Self {
            high,
            temperature: 20.0,
            pressure: 101_325.0,
            humidity: 50.0,
            gas: 50_000.0,
            settings: [0; 0x26],
            data: [0; 17],
            remaining: Duration::ZERO,
        };
        chip.power_on();
        chip
    }

    fn setting(&mut self, register: u8) -> &mut u8 {
        &mut self.settings[usize::from(register - 0x50)]
    }

    /// Section 5.3.3.3.
    fn heating(&mut self) -> Duration {
        let runs = *self.setting(0x71) & (if self.high { 1 << 5 } else { 1 << 4 }) != 0;
        let wait = *self.setting(0x64);
        if runs { Duration::from_millis(u64::from(wait & 63) << (2 * (wait >> 6))) } else { Duration::ZERO }
    }

    /// Typical (section 3.2.1, with 1.85 ms per sample).
    fn conversion(&mut self) -> Duration {
        let samples = |field: u8| (1_u64 << (field & 7).min(5)) >> 1;
        let (meas, humidity) = (*self.setting(CTRL_MEAS), *self.setting(0x72));
        let samples = samples(meas >> 5) + samples(meas >> 2) + samples(humidity);
        Duration::from_micros(1_850 * samples + 3_000) + self.heating()
    }

    /// Writes the data registers for the air of this moment.
    fn latch(&mut self) {
        let t = solve(20, (self.temperature * 100.0) as i64, |code| (fine(code) * 5 + 128) >> 8);
        let fine = fine(t);
        let p = solve(20, -(self.pressure as i64), |code| -pascals(code, fine));
        let h = solve(16, (self.humidity * 1_000.0) as i64, |code| milli_percent(code, fine));
        self.data[0] = 1 << 7;
        self.data[2..5].copy_from_slice(&((p as u32) << 4).to_be_bytes()[1..]);
        self.data[5..8].copy_from_slice(&((t as u32) << 4).to_be_bytes()[1..]);
        self.data[8..10].copy_from_slice(&(h as u16).to_be_bytes());
        let heating = self.heating();
        let flags = u8::from(!heating.is_zero()) << 5 | u8::from(heating >= HEATER) << 4;
        let at = if self.high { 15 } else { 13 };
        let [high, low] = self.gas_code();
        self.data[at..at + 2].copy_from_slice(&[high, low | flags]);
    }

    /// The first range in whose middle part the resistance lies, and the ten-bit code there.
    fn gas_code(&self) -> [u8; 2] {
        let ohms = |code, range| if self.high { ohms_high(code, range) } else { ohms_low(code, range) };
        let code = |range| solve(10, -(self.gas as i64), |code| -ohms(code, range));
        let range = (0..16).find(|&range| (1..900).contains(&code(range))).unwrap_or(15);
        let code = code(range) as u16;
        [(code >> 2) as u8, (code << 6) as u8 | range as u8]
    }

    fn calibration(register: u8) -> u8 {
        let low = |word: i64| word as u8;
        let high = |word: i64| (word >> 8) as u8;
        match register {
            0x00 => HEAT_VALUE,
            0x02 => HEAT_RANGE << 4,
            0x8A => low(T[1]),
            0x8B => high(T[1]),
            0x8C => low(T[2]),
            0x8E => low(P[0]),
            0x8F => high(P[0]),
            0x90 => low(P[1]),
            0x91 => high(P[1]),
            0x92 => low(P[2]),
            0x94 => low(P[3]),
            0x95 => high(P[3]),
            0x96 => low(P[4]),
            0x97 => high(P[4]),
            0x98 => low(P[6]),
            0x99 => low(P[5]),
            0x9C => low(P[7]),
            0x9D => high(P[7]),
            0x9E => low(P[8]),
            0x9F => high(P[8]),
            0xA0 => low(P[9]),
            0xE1 => low(H[1] >> 4),
            0xE2 => low((H[1] & 15) << 4 | H[0] & 15),
            0xE3 => low(H[0] >> 4),
            0xE4..=0xE8 => low(H[usize::from(register - 0xE2)]),
            0xE9 => low(T[0]),
            0xEA => high(T[0]),
            0xEB => low(G[1]),
            0xEC => high(G[1]),
            0xED => low(G[0]),
            0xEE => low(G[2]),
            _ => 0,
        }
    }
}

impl Model for Bme68x {
    fn power_on(&mut self) {
        self.settings = [0; 0x26];
        self.data = [0; 17];
        (self.data[2], self.data[5], self.data[8]) = (0x80, 0x80, 0x80);
        self.remaining = Duration::ZERO;
    }

    fn advance(&mut self, by: Duration) {
        if self.remaining.is_zero() {
            return;
        }
        self.remaining = self.remaining.saturating_sub(by);
        if self.remaining.is_zero() {
            *self.setting(CTRL_MEAS) &= !0b11;
            self.latch();
        }
    }

    fn set(&mut self, quantity: &str, value: f64) -> bool {
        match quantity {
            "temperature" => self.temperature = value,
            "pressure" => self.pressure = value,
            "humidity" => self.humidity = value,
            "gas" => self.gas = value,
            _ => return false,
        }
        true
    }
}

impl ByteRegisters for Bme68x {
    fn load(&mut self, register: u8) -> u8 {
        match register {
            0x1D => self.data[0] | u8::from(!self.remaining.is_zero()) << 5,
            0x1E..=0x2D => self.data[usize::from(register - 0x1D)],
            0x50..=0x75 => *self.setting(register),
            0xD0 => 0x61,
            0xF0 => self.high.into(),
            _ => Self::calibration(register),
        }
    }

    fn store(&mut self, register: u8, value: u8) {
        match register {
            0x50..=0x75 => *self.setting(register) = value,
            0xE0 if value == 0xB6 => self.power_on(),
            _ => {}
        }
        if register == CTRL_MEAS && value & 0b11 == 0b01 {
            self.data[0] = 0;
            self.remaining = self.conversion();
        }
    }
}

/// `calc_temperature` of the integer API: fine temperature.
fn fine(code: i64) -> i64 {
    let offset = (code >> 3) - (T[0] << 1);
    let square = (offset >> 1) * (offset >> 1) >> 12;
    (offset * T[1] >> 11) + (square * (T[2] << 4) >> 14)
}

/// `calc_pressure` of the integer API, without its detours around 32 bits.
fn pascals(code: i64, fine: i64) -> i64 {
    let t = (fine >> 1) - 64_000;
    let square = (t >> 2) * (t >> 2);
    let offset = ((square >> 11) * P[5] >> 2) + (t * P[4] << 1);
    let offset = (offset >> 2) + (P[3] << 16);
    let slope = ((square >> 13) * (P[2] << 5) >> 3) + (P[1] * t >> 1);
    let slope = (32_768 + (slope >> 18)) * P[0] >> 15;
    let p = (1_048_576 - code - (offset >> 12)) * 3_125 * 2 / slope;
    let square = P[8] * ((p >> 3) * (p >> 3) >> 13) >> 12;
    let cube = (p >> 8) * (p >> 8) * (p >> 8) * P[9] >> 17;
    p + (square + ((p >> 2) * P[7] >> 13) + cube + (P[6] << 7) >> 4)
}

/// `calc_humidity` of the integer API.
fn milli_percent(code: i64, fine: i64) -> i64 {
    let t = (fine * 5 + 128) >> 8;
    let offset = code - H[0] * 16 - (t * H[2] / 100 >> 1);
    let slope = t * H[3] / 100 + ((t * (t * H[4] / 100) >> 6) / 100) + (1 << 14);
    let linear = offset * (H[1] * slope >> 10);
    let bend = (H[5] << 7) + t * H[6] / 100 >> 4;
    let square = (linear >> 14) * (linear >> 14) >> 10;
    ((linear + (bend * square >> 1) >> 10) * 1_000 >> 12).clamp(0, 100_000)
}

/// `calc_gas_resistance_low` of the integer API.
fn ohms_low(code: i64, range: usize) -> i64 {
    const STEPS: [i64; 16] = [
        2_147_483_647,
        2_147_483_647,
        2_147_483_647,
        2_147_483_647,
        2_147_483_647,
        2_126_008_810,
        2_147_483_647,
        2_130_303_777,
        2_147_483_647,
        2_147_483_647,
        2_143_188_679,
        2_136_746_228,
        2_147_483_647,
        2_126_008_810,
        2_147_483_647,
        2_147_483_647,
    ];
    const SCALE: [i64; 16] = [
        4_096_000_000,
        2_048_000_000,
        1_024_000_000,
        512_000_000,
        255_744_255,
        127_110_228,
        64_000_000,
        32_258_064,
        16_016_016,
        8_000_000,
        4_000_000,
        2_000_000,
        1_000_000,
        500_000,
        250_000,
        125_000,
    ];
    let steps = 1_340 * STEPS[range] >> 16;
    let divisor = (code << 15) - 16_777_216 + steps;
    ((SCALE[range] * steps >> 9) + (divisor >> 1)) / divisor
}

/// `calc_gas_resistance_high` of the integer API.
fn ohms_high(code: i64, range: usize) -> i64 {
    (262_144 >> range) * 10_000 / ((code - 512) * 3 + 4_096) * 100
}
