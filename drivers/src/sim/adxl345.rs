//! ADXL345 at register level (datasheet rev. G).
//!
//! Its world: a steady acceleration `x`, `y`, `z` in g, and a sine of `frequency` in Hz whose RMS on each axis is
//! `rms_x`, `rms_y`, `rms_z`.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::f64::consts::{SQRT_2, TAU};
use core::time::Duration;

use super::Chip;
use super::wire::{ByteRegisters, Model, bytes};

const FIFO_SIZE: usize = 32;

/// A simulated ADXL345 that lies flat.
pub fn adxl345(address: u8) -> Box<dyn Chip + Send> {
    let mut model = Adxl345 { steady: [0.0, 0.0, 1.0], frequency: 50.0, ..Adxl345::default() };
    model.power_on();
    bytes(address, model)
}

#[derive(Default)]
struct Adxl345 {
    steady: [f64; 3],
    rms: [f64; 3],
    frequency: f64,
    time: Duration,
    next_sample: Duration,
    bw_rate: u8,
    power_ctl: u8,
    data_format: u8,
    fifo_ctl: u8,
    fifo: VecDeque<[u8; 6]>,
    /// The sample in the output registers.
    output: [u8; 6],
}

impl Adxl345 {
    fn measuring(&self) -> bool {
        self.power_ctl & 1 << 3 != 0
    }

    /// Table 7: 3200 Hz at code 15, halved with each code below.
    fn period(&self) -> Duration {
        Duration::from_nanos(312_500 << (15 - (self.bw_rate & 15)))
    }

    /// Counts of one axis: 256 per g at full resolution, otherwise 10 bits over the range.
    fn counts(&self, g: f64) -> [u8; 2] {
        let range = self.data_format & 0b11;
        let (per_g, most) =
            if self.data_format & 1 << 3 != 0 { (256.0, 512 << range) } else { (256.0 / f64::from(1 << range), 512) };
        let counts = (g * per_g + 0.5_f64.copysign(g)) as i16;
        counts.clamp(-most, most - 1).to_le_bytes()
    }

    fn sample(&mut self) {
        let phase = TAU * self.frequency * self.time.as_secs_f64();
        let sine = libm::sin(phase) * SQRT_2;
        let mut sample = [0; 6];
        for axis in 0..3 {
            let counts = self.counts(self.steady[axis] + self.rms[axis] * sine);
            sample[2 * axis..][..2].copy_from_slice(&counts);
        }
        match self.fifo_ctl >> 6 {
            0 => self.output = sample,
            1 if self.fifo.len() == FIFO_SIZE => {}
            _ => {
                self.fifo.truncate(FIFO_SIZE - 1);
                self.fifo.push_back(sample);
            }
        }
    }
}

impl Model for Adxl345 {
    fn power_on(&mut self) {
        (self.bw_rate, self.power_ctl, self.data_format, self.fifo_ctl) = (0x0A, 0, 0, 0);
        self.fifo.clear();
        self.output = [0; 6];
    }

    fn advance(&mut self, by: Duration) {
        let end = self.time + by;
        while self.measuring() && self.next_sample <= end {
            self.time = self.next_sample;
            self.sample();
            self.next_sample += self.period();
        }
        self.time = end;
        self.next_sample = self.next_sample.max(end);
    }

    fn set(&mut self, quantity: &str, value: f64) -> bool {
        match quantity {
            "x" => self.steady[0] = value,
            "y" => self.steady[1] = value,
            "z" => self.steady[2] = value,
            "rms_x" => self.rms[0] = value,
            "rms_y" => self.rms[1] = value,
            "rms_z" => self.rms[2] = value,
            "frequency" => self.frequency = value,
            _ => return false,
        }
        true
    }
}

impl ByteRegisters for Adxl345 {
    /// Reading the first data register takes the next sample out of the buffer.
    fn load(&mut self, register: u8) -> u8 {
        match register {
            0x00 => 0xE5,
            0x2C => self.bw_rate,
            0x2D => self.power_ctl,
            0x31 => self.data_format,
            0x32..=0x37 => {
                if register == 0x32
                    && let Some(sample) = self.fifo.pop_front()
                {
                    self.output = sample;
                }
                self.output[usize::from(register - 0x32)]
            }
            0x38 => self.fifo_ctl,
            0x39 => self.fifo.len() as u8,
            _ => 0,
        }
    }

    fn store(&mut self, register: u8, value: u8) {
        match register {
            0x2C => self.bw_rate = value & 0x1F,
            0x2D => {
                self.power_ctl = value & 0x3F;
                self.next_sample = self.time + self.period();
            }
            0x31 => self.data_format = value,
            0x38 => {
                self.fifo_ctl = value;
                if value >> 6 == 0 {
                    self.fifo.clear();
                }
            }
            _ => {}
        }
    }
}
