//! BME280 and BMP280 at register level (datasheets BST-BME280-DS002, BST-BMP280-DS001).
//!
//! The codes of a given climate are found by searching the datasheet's *integer* formulas (section 4.2.3), so that
//! our driver, which uses the floating-point ones, is held against something else than itself.

#![expect(clippy::precedence, reason = "products before shifts, as in the datasheet")]

use alloc::boxed::Box;
use core::time::Duration;

use super::Chip;
use super::wire::{ByteRegisters, Model, bytes};

/// The example chip of the BMP280 datasheet (section 3.12), and plausible values for humidity.
const T: [i64; 3] = [27504, 26435, -1000];
const P: [i64; 9] = [36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000];
const H: [i64; 6] = [75, 361, 0, 324, 50, 30];

const CTRL_HUM: u8 = 0xF2;
const CTRL_MEAS: u8 = 0xF4;
const CONFIG: u8 = 0xF5;
const RESET: u8 = 0xE0;

/// A simulated BME280.
pub fn bme280(address: u8) -> Box<dyn Chip + Send> {
    bytes(address, Bosch::new(0x60))
}

/// A simulated BMP280.
pub fn bmp280(address: u8) -> Box<dyn Chip + Send> {
    bytes(address, Bosch::new(0x58))
}

struct Bosch {
    id: u8,
    temperature: f64,
    pressure: f64,
    humidity: f64,
    ctrl_hum: u8,
    ctrl_meas: u8,
    config: u8,
    data: [u8; 8],
    remaining: Duration,
}

impl Bosch {
    fn new(id: u8) -> Self {
        let mut chip = Self {
            id,
            temperature: 20.0,
            pressure: 101_325.0,
            humidity: 50.0,
            ctrl_hum: 0,
            ctrl_meas: 0,
            config: 0,
            data: [0; 8],
            remaining: Duration::ZERO,
        };
        chip.power_on();
        chip
    }

    fn has_humidity(&self) -> bool {
        self.id == 0x60
    }

    /// Section 9.1, typical.
    fn conversion(&self) -> Duration {
        let samples = |field: u8| (1 << (field & 7).min(5)) >> 1;
        let (t, p, h) = (samples(self.ctrl_meas >> 5), samples(self.ctrl_meas >> 2), samples(self.ctrl_hum));
        let settling = 500 * (u64::from(p > 0) + u64::from(h > 0));
        Duration::from_micros(1_000 + 2_000 * (t + p + h) + settling)
    }

    /// Writes the data registers for the climate of this moment.
    fn latch(&mut self) {
        let t = solve(20, (self.temperature * 100.0) as i64, |code| (fine(code) * 5 + 128) >> 8);
        let fine = fine(t);
        let p = solve(20, -(self.pressure * 256.0) as i64, |code| -pascals_q8(code, fine));
        let h = solve(16, (self.humidity * 1024.0) as i64, |code| percent_q10(code, fine));
        self.data[..3].copy_from_slice(&((p as u32) << 4).to_be_bytes()[1..]);
        self.data[3..6].copy_from_slice(&((t as u32) << 4).to_be_bytes()[1..]);
        if self.has_humidity() {
            self.data[6..].copy_from_slice(&(h as u16).to_be_bytes());
        }
    }

    fn calibration(&self, register: u8) -> u8 {
        let n = usize::from(register);
        let little = |words: &[i64], n: usize| words[n / 2].to_le_bytes()[n % 2];
        match n {
            0x88..=0x8D => little(&T, n - 0x88),
            0x8E..=0x9F => little(&P, n - 0x8E),
            _ if !self.has_humidity() => 0,
            0xA1 => H[0] as u8,
            0xE1 | 0xE2 => little(&H[1..], n - 0xE1),
            0xE3 => H[2] as u8,
            0xE4 => (H[3] >> 4) as u8,
            0xE5 => (H[3] & 15 | (H[4] & 15) << 4) as u8,
            0xE6 => (H[4] >> 4) as u8,
            0xE7 => H[5] as u8,
            _ => 0,
        }
    }
}

impl Model for Bosch {
    fn power_on(&mut self) {
        (self.ctrl_hum, self.ctrl_meas, self.config) = (0, 0, 0);
        self.data = [0x80, 0, 0, 0x80, 0, 0, if self.has_humidity() { 0x80 } else { 0 }, 0];
        self.remaining = Duration::ZERO;
    }

    /// A forced conversion ends asleep.
    fn advance(&mut self, by: Duration) {
        if self.remaining.is_zero() {
            return;
        }
        self.remaining = self.remaining.saturating_sub(by);
        if self.remaining.is_zero() {
            self.ctrl_meas &= !0b11;
            self.latch();
        }
    }

    fn set(&mut self, quantity: &str, value: f64) -> bool {
        match quantity {
            "temperature" => self.temperature = value,
            "pressure" => self.pressure = value,
            "humidity" if self.has_humidity() => self.humidity = value,
            _ => return false,
        }
        true
    }
}

impl ByteRegisters for Bosch {
    fn load(&mut self, register: u8) -> u8 {
        match register {
            0xD0 => self.id,
            CTRL_HUM => self.ctrl_hum,
            0xF3 => u8::from(!self.remaining.is_zero()) << 3,
            CTRL_MEAS => self.ctrl_meas,
            CONFIG => self.config,
            0xF7.. if register != 0xFF => self.data[usize::from(register - 0xF7)],
            _ => self.calibration(register),
        }
    }

    fn store(&mut self, register: u8, value: u8) {
        match register {
            CTRL_HUM if self.has_humidity() => self.ctrl_hum = value & 0b111,
            CTRL_MEAS => {
                self.ctrl_meas = value;
                if matches!(value & 0b11, 0b01 | 0b10) {
                    self.remaining = self.conversion();
                }
            }
            CONFIG => self.config = value & !0b10,
            RESET if value == 0xB6 => self.power_on(),
            _ => {}
        }
    }
}

/// The smallest code of `bits` bits whose value reaches `target`; `value` grows with the code.
pub(super) fn solve(bits: u32, target: i64, value: impl Fn(i64) -> i64) -> i64 {
    let (mut low, mut high) = (0, (1 << bits) - 1);
    while low < high {
        let middle = (low + high) / 2;
        if value(middle) < target { low = middle + 1 } else { high = middle }
    }
    low
}

/// Section 4.2.3, `BME280_compensate_T_int32`: fine temperature.
fn fine(code: i64) -> i64 {
    let linear = ((code >> 3) - (T[0] << 1)) * T[1] >> 11;
    let offset = (code >> 4) - T[0];
    linear + ((offset * offset >> 12) * T[2] >> 14)
}

/// Section 4.2.3, `BME280_compensate_P_int64`: pascals in Q24.8.
fn pascals_q8(code: i64, fine: i64) -> i64 {
    let t = fine - 128_000;
    let offset = t * t * P[5] + (t * P[4] << 17) + (P[3] << 35);
    let slope = (t * t * P[2] >> 8) + (t * P[1] << 12);
    let slope = ((1 << 47) + slope) * P[0] >> 33;
    if slope == 0 {
        return 0;
    }
    let p = (((1_048_576 - code) << 31) - offset) * 3125 / slope;
    let square = P[8] * (p >> 13) * (p >> 13) >> 25;
    ((p + square + (P[7] * p >> 19)) >> 8) + (P[6] << 4)
}

/// Section 4.2.3, `BME280_compensate_H_int32`: percent in Q22.10.
fn percent_q10(code: i64, fine: i64) -> i64 {
    let t = fine - 76_800;
    let raw = ((code << 14) - (H[3] << 20) - H[4] * t + 16_384) >> 15;
    let slope = ((t * H[5] >> 10) * ((t * H[2] >> 11) + 32_768) >> 10) + 2_097_152;
    let h = raw * ((slope * H[1] + 8_192) >> 14);
    let h = h - (((h >> 15) * (h >> 15) >> 7) * H[0] >> 4);
    h.clamp(0, 419_430_400) >> 12
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BMP280 datasheet, section 3.12: the worked example, which gives 25.08 degrees and 100 656 Pa with the
    /// integer formulas (100 653 Pa with floating point).
    #[test]
    fn the_formulas_give_the_worked_example() {
        let fine = fine(519_888);
        assert_eq!((fine * 5 + 128) >> 8, 2508);
        assert!((pascals_q8(415_148, fine) / 256 - 100_655).abs() <= 2);
    }
}
