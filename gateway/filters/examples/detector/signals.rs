//! Fourteen kinds of normal plant signals at 1 Hz, and seven faults to inject. Same seed, same signal.
//!
//! Every kind is normal operation, rare but legitimate episodes included. Sizes of faults are in units of the signal's own range
//! (its 1 % to 99 % quantiles); they begin at a random instant of the signal's last 10 to 40 %.

use std::f64::consts::{PI, TAU};

pub(crate) const DAY: usize = 86_400;
const HOUR: usize = 3_600;

/// Makes a signal of so many readings; the last argument scales the rate of cycles.
type Make = fn(usize, &mut Dice, f64) -> Vec<f64>;

pub(crate) const CLASSES: [(&str, Make); 14] = [
    ("white_lo", |n, dice, _| dice.noise(n, 20.0, 0.05)),
    ("white_hi", |n, dice, _| dice.noise(n, 20.0, 3.0)),
    ("ar_fast", |n, dice, _| wandering(n, dice, 60.0, 50.0, 2.0, 0.2)),
    ("ar_slow", |n, dice, _| wandering(n, dice, 3_600.0, 50.0, 2.0, 0.2)),
    ("wander", |n, dice, _| wandering(n, dice, 21_600.0, 7.0, 0.5, 0.02)),
    ("quantised", |n, dice, _| {
        wandering(n, dice, 3_000.0, 21.0, 0.6, 0.1).into_iter().map(|x| (x * 2.0).round() / 2.0).collect()
    }),
    ("daynight", daynight),
    ("workday", workday),
    ("fridge", fridge),
    ("power", power),
    ("setpoint", setpoint),
    ("drift", drift),
    ("highload", highload),
    ("bursty", |n, dice, _| {
        wander(n, dice, 300.0).into_iter().map(|a| (0.5 * a).exp() * dice.normal().abs()).collect()
    }),
];

pub(crate) const FAULTS: [&str; 7] = ["spike", "step", "drift", "stuck", "dropout", "variance", "frequency"];

/// A signal of class number `class`.
pub(crate) fn normal(class: usize, seed: u64, days: usize) -> Vec<f64> {
    let (_, make) = CLASSES[class];
    make(days * DAY, &mut Dice::new(seed * 31 + class as u64), 1.0)
}

/// The same with fault number `fault`, and the reading with which it begins.
pub(crate) fn faulty(class: usize, fault: usize, seed: u64, days: usize) -> (Vec<f64>, usize) {
    let mut x = normal(class, seed, days);
    let mut dice = Dice::new(seed * 7_919 + (class * FAULTS.len() + fault) as u64);
    let start = (x.len() as f64 * dice.between(0.6, 0.9)) as usize;
    let sign = if dice.uniform() < 0.5 { -1.0 } else { 1.0 };
    let (low, range) = range(&x);
    let len = x.len();
    let until = |length: usize| start..(start + length).min(len);
    let hours = until(8 * HOUR);
    match FAULTS[fault] {
        "spike" => x[until(2)].iter_mut().for_each(|v| *v += sign * 2.0 * range),
        "step" => x[start..].iter_mut().for_each(|v| *v += sign * range),
        "drift" => {
            let share = |k: usize| (k as f64 / (8 * HOUR) as f64).min(1.0);
            x[start..].iter_mut().enumerate().for_each(|(k, v)| *v += sign * 1.5 * range * share(k));
        }
        "stuck" => {
            let held = x[start];
            x[hours].fill(held);
        }
        "dropout" => x[until(600)].fill((low - 0.5 * range).min(0.0)),
        "variance" => x[until(6 * HOUR)].iter_mut().for_each(|v| *v += 0.5 * range * dice.normal()),
        "frequency" if matches!(CLASSES[class].0, "fridge" | "power") => {
            let fast = (CLASSES[class].1)(x.len(), &mut Dice::new(seed + 99), 2.5);
            x[hours.clone()].copy_from_slice(&fast[hours]);
        }
        _ => {
            let hum = |k: usize| 0.25 * range * (TAU * k as f64 / 180.0).sin();
            x[hours].iter_mut().enumerate().for_each(|(k, v)| *v += hum(k));
        }
    }
    (x, start)
}

/// 1 % quantile, and the way from there to the 99 % quantile.
fn range(x: &[f64]) -> (f64, f64) {
    let mut some: Vec<f64> = x.iter().step_by(97).copied().collect();
    some.sort_by(f64::total_cmp);
    let quantile = |share: f64| some[((some.len() - 1) as f64 * share) as usize];
    (quantile(0.01), quantile(0.99) - quantile(0.01))
}

/// A first-order process of unit variance that forgets within `memory` readings.
fn wander(n: usize, dice: &mut Dice, memory: f64) -> Vec<f64> {
    let keep = 1.0 - 1.0 / memory;
    let fresh = (1.0 - keep * keep).sqrt();
    let mut x = dice.normal();
    (0..n)
        .map(|_| {
            x = keep * x + fresh * dice.normal();
            x
        })
        .collect()
}

fn wandering(n: usize, dice: &mut Dice, memory: f64, level: f64, size: f64, noise: f64) -> Vec<f64> {
    wander(n, dice, memory).into_iter().map(|a| level + size * a + noise * dice.normal()).collect()
}

/// Follows `drive` with these time constants.
fn lag(drive: &[f64], up: f64, down: f64) -> Vec<f64> {
    let mut x = drive[0];
    drive
        .iter()
        .map(|&to| {
            x += (to - x) / if to > x { up } else { down };
            x
        })
        .collect()
}

/// 1 for about `duty` of each cycle, else 0; both vary.
fn cycles(n: usize, dice: &mut Dice, period: f64, jitter: f64, duty: f64) -> Vec<f64> {
    let mut on = vec![0.0; n];
    let mut start = 0.0;
    while start < n as f64 {
        let length = period * (1.0 + jitter * dice.normal()).clamp(0.5, 2.0);
        let busy = length * duty * (1.0 + jitter * dice.normal()).clamp(0.5, 1.6);
        let end = ((start + busy) as usize).min(n);
        on[(start as usize).min(end)..end].fill(1.0);
        start += length;
    }
    on
}

fn daynight(n: usize, dice: &mut Dice, _: f64) -> Vec<f64> {
    let days = n / DAY + 2;
    let height: Vec<f64> = (0..days).map(|_| 5.0 * (1.0 + 0.15 * dice.normal())).collect();
    let base: Vec<f64> = (0..days).map(|_| 18.0 + 0.8 * dice.normal()).collect();
    let weather = wander(n, dice, 1_200.0);
    let mut at = |t: usize| {
        let (day, share) = (t / DAY, (t % DAY) as f64 / DAY as f64);
        let between = |of: &[f64]| of[day] * (1.0 - share) + of[day + 1] * share;
        between(&base) - between(&height) * (TAU * (share - 0.15)).cos() + 0.3 * weather[t] + 0.1 * dice.normal()
    };
    (0..n).map(&mut at).collect()
}

fn workday(n: usize, dice: &mut Dice, _: f64) -> Vec<f64> {
    let late: Vec<f64> = (0..=n / DAY).map(|_| 0.25 * dice.normal()).collect();
    let is_on = |t: usize| {
        let (day, hour) = (t / DAY, (t % DAY) as f64 / HOUR as f64);
        day % 7 < 5 && (6.0 + late[day]..18.0 + late[day]).contains(&hour)
    };
    let drive: Vec<f64> = (0..n).map(|t| if is_on(t) { 80.0 } else { 20.0 }).collect();
    let ripple = wander(n, dice, 600.0);
    let level = lag(&drive, 1_800.0, 3_600.0);
    level.into_iter().zip(ripple).map(|(x, a)| x * (1.0 + 0.03 * a) + 0.5 * dice.normal()).collect()
}

fn fridge(n: usize, dice: &mut Dice, speed: f64) -> Vec<f64> {
    let warm: Vec<f64> = cycles(n, dice, 1_500.0 / speed, 0.12, 0.4).into_iter().map(|on| 1.0 - on).collect();
    lag(&warm, 500.0, 500.0).into_iter().map(|x| 4.0 + 2.0 * (x - 0.5) + 0.05 * dice.normal()).collect()
}

/// A motor with an inrush of one reading.
fn power(n: usize, dice: &mut Dice, speed: f64) -> Vec<f64> {
    let on = cycles(n, dice, 1_200.0 / speed, 0.15, 0.4);
    let mut before = 0.0;
    let mut watts = |on: f64| {
        let starts = on > before;
        before = on;
        let inrush = if starts { 2_500.0 * (1.0 + 0.15 * dice.normal()) } else { 0.0 };
        40.0 + 1_460.0 * on + (2.0 + 15.0 * on) * dice.normal() + inrush
    };
    on.into_iter().map(&mut watts).collect()
}

fn setpoint(n: usize, dice: &mut Dice, _: f64) -> Vec<f64> {
    let mut drive = Vec::with_capacity(n);
    while drive.len() < n {
        let level = [60.0, 65.0, 70.0, 80.0][(dice.uniform() * 4.0) as usize];
        let until = (drive.len() + 1 + dice.waiting(14_400.0) as usize).min(n);
        drive.resize(until, level);
    }
    let ripple = wander(n, dice, 20.0);
    lag(&drive, 300.0, 600.0).into_iter().zip(ripple).map(|(x, a)| x + 0.3 * a).collect()
}

fn drift(n: usize, dice: &mut Dice, _: f64) -> Vec<f64> {
    let at = |t: usize| {
        let days = t as f64 / DAY as f64;
        100.0 + 1.2 * days / 7.0 + 0.4 * (2.0 * PI * days).sin()
    };
    (0..n).map(|t| at(t) + 0.3 * dice.normal()).collect()
}

/// About two episodes of high load a week.
fn highload(n: usize, dice: &mut Dice, _: f64) -> Vec<f64> {
    let mut drive = vec![0.0; n];
    let mut start = dice.waiting(3.5 * DAY as f64);
    while start < n as f64 {
        let end = ((start + dice.between(1_800.0, 9_000.0)) as usize).min(n);
        drive[start as usize..end].fill(dice.between(30.0, 45.0));
        start += dice.waiting(3.5 * DAY as f64);
    }
    let usual = wander(n, dice, 900.0);
    lag(&drive, 120.0, 300.0).into_iter().zip(usual).map(|(x, a)| 30.0 + 6.0 * a + x + dice.normal()).collect()
}

/// SplitMix64 (Steele, Lea, Flood 2014), with the polar method for normal deviates.
pub(crate) struct Dice {
    state: u64,
    spare: Option<f64>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03, spare: None }
    }

    /// In 0..1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (a, b) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let square = a * a + b * b;
            if square > 0.0 && square < 1.0 {
                let scale = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(b * scale);
                return a * scale;
            }
        }
    }

    /// Until the next of events that come by chance, `mean` apart.
    fn waiting(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.uniform()).ln()
    }

    fn noise(&mut self, n: usize, level: f64, size: f64) -> Vec<f64> {
        (0..n).map(|_| level + size * self.normal()).collect()
    }
}
