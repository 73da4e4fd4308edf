//! Measures the self-tuning detector: the commands behind the figures in DETECTOR.md.
//!
//! ```text
//! cargo run --release -p weir-filters --example detector -- false-alerts [FIRST_SEED [SEEDS]]
//! cargo run --release -p weir-filters --example detector -- faults [FIRST_SEED [SEEDS]]
//! cargo run --release -p weir-filters --example detector -- nab DATA               DATA holds data/ and windows.csv
//! cargo run --release -p weir-filters --example detector -- leave-out DATA [STEPS]
//! ```

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a measuring tool for developers: stopping with the reason is right"
)]

mod nab;
mod search;
mod signals;

use signals::{CLASSES, DAY, FAULTS};
use weir_filters::detect::auto::{Auto, Tuning};

const SECOND: i64 = 1_000_000_000;
const WEEKS: usize = 4;
/// Days of a signal with a fault, and how soon the fault must be found.
const FAULT_DAYS: usize = 10;
const FOUND_WITHIN: usize = DAY / 2;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, otherwise: u64| words.get(n).map_or(otherwise, |w| w.parse().expect("a number"));
    match words.first().map(String::as_str) {
        Some("false-alerts") => [1, 300].into_iter().for_each(|every| false_alerts(every, number(1, 0), number(2, 3))),
        Some("faults") => faults(number(1, 100), number(2, 2)),
        Some("nab") => nab::report(words.get(1).expect("the folder with data/ and windows.csv")),
        Some("leave-out") => {
            search::leave_out(words.get(1).expect("the folder with data/ and windows.csv"), number(2, 140))
        }
        _ => panic!("false-alerts, faults, nab DATA or leave-out DATA"),
    }
}

/// Readings at which the detector alerts, one reading every so many seconds.
fn alerts(signal: &[f64], every: usize, tuning: &Tuning) -> Vec<usize> {
    let mut auto = Auto::new(0);
    let readings = signal.iter().enumerate().step_by(every);
    readings.filter(|(t, x)| auto.push_tuned(*t as i64 * SECOND, **x, tuning).is_some()).map(|(t, _)| t).collect()
}

/// False alerts per week of each class, after the first day.
fn false_alerts(every: usize, first: u64, seeds: u64) {
    println!(
        "false alerts per channel and week, {WEEKS} weeks after day 1, seeds {first} to {}, every {every} s",
        first + seeds - 1
    );
    let mut sum = 0.0;
    for (class, (name, _)) in CLASSES.iter().enumerate() {
        let late = |seed| {
            let found = alerts(&signals::normal(class, seed, 7 * WEEKS), every, &Tuning::SHIPPED);
            found.into_iter().filter(|t| *t >= DAY).count()
        };
        let count: usize = (first..first + seeds).map(late).sum();
        let rate = count as f64 / seeds as f64 / (WEEKS as f64 - 1.0 / 7.0);
        println!("  {name:10} {rate:.2}");
        sum += rate;
    }
    println!("  mean       {:.2}", sum / CLASSES.len() as f64);
}

/// Share of injected faults that are found, over all classes.
fn faults(first: u64, seeds: u64) {
    println!("faults found within 12 h, 14 classes, seeds {first} to {}, 1 Hz", first + seeds - 1);
    for (fault, name) in FAULTS.iter().enumerate() {
        let mut delays = Vec::new();
        let mut missed = Vec::new();
        for (class, (class_name, _)) in CLASSES.iter().enumerate() {
            for seed in first..first + seeds {
                let (signal, start) = signals::faulty(class, fault, seed, FAULT_DAYS);
                let found = alerts(&signal, 1, &Tuning::SHIPPED)
                    .into_iter()
                    .find(|t| (start..start + FOUND_WITHIN).contains(t));
                match found {
                    Some(at) => delays.push(at - start),
                    None => missed.push(*class_name),
                }
            }
        }
        delays.sort_unstable();
        let share = 100.0 * delays.len() as f64 / (delays.len() + missed.len()) as f64;
        let median = delays.get(delays.len() / 2).map_or(0, |s| *s);
        println!("  {name:10} {share:3.0} %  median delay {median} s  missed: {}", missed.join(" "));
    }
}
