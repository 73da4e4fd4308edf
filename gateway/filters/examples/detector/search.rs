//! What would the benchmark say of recordings the constants were not chosen on? Searches constants on all categories but one,
//! scores the one left out, and pools that over all categories.
//!
//! Every search begins with the same round numbers, and holds normal signals and faults in view as the shipped choice did.

use std::collections::BTreeSet;
use std::path::Path;

use weir_filters::detect::auto::Tuning;

use super::nab::{Recording, Tally, load};
use super::signals::{CLASSES, DAY, Dice, FAULTS, faulty, normal};
use super::{FAULT_DAYS, FOUND_WITHIN, WEEKS, alerts};

/// Where every search begins: nothing but round numbers.
const ROUND: Tuning = Tuning {
    threshold: 0.25,
    weight: [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 1.0, 1.0, 1.0, 1.0],
    of_record: 0.2,
    of_mean: 0.5,
    of_noise: 4.0,
    of_step: 0.2,
    least_level: 0.5,
    least_trend: 0.5,
    least_dip: 0.5,
    least_for_the_time: 0.3,
    least_rough: 0.1,
    turns_floor: 0.5,
    still_floor: 20.0,
    age: 0.1,
    age_limit: 20_000.0,
    smoothness: 0.03,
    dependence: 0.05,
    louder: 4.0,
    cost: 0.25,
    refill: 0.9998,
    far_out: 0.35,
    hold_off: 100,
    ..Tuning::SHIPPED
};

/// Everything that constants are judged by, besides recordings.
struct Bench {
    normal: Vec<Vec<f64>>,
    /// Fault, signal, where it begins.
    faults: Vec<(usize, Vec<f64>, usize)>,
}

pub(crate) fn leave_out(data: &str, steps: u64) {
    let recordings = load(Path::new(data));
    let bench = Bench::new();
    let categories: BTreeSet<&str> = recordings.iter().map(Recording::category).collect();
    let mut pooled = Tally::default();
    println!("round numbers, nothing searched: {}", said(score(&recordings.iter().collect::<Vec<_>>(), &ROUND)));
    for left_out in categories {
        let (out, rest): (Vec<_>, Vec<_>) = recordings.iter().partition(|r| r.category() == left_out);
        let tuning = search(&bench, &rest, steps);
        let tally = score(&out, &tuning);
        println!("{left_out}: {}  (the rest: {})", said(tally), said(score(&rest, &tuning)));
        pooled = pooled.add(tally);
    }
    println!("pooled, each category scored by constants that never saw it: {}", said(pooled));
}

fn said(tally: Tally) -> String {
    let [standard, low_fp, low_fn] = tally.scores();
    if !standard.is_finite() {
        return "no windows".to_owned();
    }
    format!("standard {standard:.1}  low FP {low_fp:.1}  low FN {low_fn:.1}")
}

fn score(recordings: &[&Recording], tuning: &Tuning) -> Tally {
    recordings.iter().map(|r| r.tally(tuning)).fold(Tally::default(), Tally::add)
}

/// Takes random steps, keeps the good ones.
fn search(bench: &Bench, recordings: &[&Recording], steps: u64) -> Tuning {
    let mut dice = Dice::new(7);
    let mut best = (bench.badness(recordings, &ROUND), ROUND);
    for _ in 0..steps {
        let mut tuning = best.1.clone();
        for _ in 0..1 + (dice.uniform() * 4.0) as usize {
            nudge(&mut tuning, &mut dice);
        }
        let badness = bench.badness(recordings, &tuning);
        if badness < best.0 {
            best = (badness, tuning);
        }
    }
    best.1
}

/// Changes one constant by about 15 %, sometimes by more. High and low, rising and falling stay alike.
fn nudge(t: &mut Tuning, dice: &mut Dice) {
    let wide = if dice.uniform() < 0.2 { 0.45 } else { 0.15 };
    let by = (wide * dice.normal()).exp() as f32;
    let [_, _, rising, _, weights @ ..] = &mut t.weight;
    let mut all: Vec<&mut f32> = vec![
        &mut t.threshold,
        &mut t.of_record,
        &mut t.of_mean,
        &mut t.of_noise,
        &mut t.of_step,
        &mut t.least_level,
        &mut t.least_trend,
        &mut t.least_dip,
        &mut t.least_for_the_time,
        &mut t.least_rough,
        &mut t.turns_floor,
        &mut t.still_floor,
        &mut t.age,
        &mut t.age_limit,
        &mut t.smoothness,
        &mut t.dependence,
        &mut t.louder,
        &mut t.cost,
        &mut t.far_out,
        rising,
    ];
    all.extend(weights);
    let which = (dice.uniform() * (all.len() + 2) as f64) as usize;
    match which.checked_sub(all.len()) {
        None => *all[which] *= by,
        Some(0) => t.refill = 1.0 - (1.0 - t.refill) * by * by,
        Some(_) => t.hold_off = ((t.hold_off as f32 * by) as u32).clamp(24, 288),
    }
    t.weight[3] = t.weight[2];
}

impl Bench {
    fn new() -> Self {
        let cases = (0..FAULTS.len()).flat_map(|fault| (0..CLASSES.len()).map(move |class| (fault, class)));
        let case = |(fault, class)| {
            let (signal, start) = faulty(class, fault, 100, FAULT_DAYS);
            (fault, signal, start)
        };
        Self {
            normal: (0..CLASSES.len()).map(|class| normal(class, 0, 7 * WEEKS)).collect(),
            faults: cases.map(case).collect(),
        }
    }

    /// Missing points of the benchmark, averaged over thresholds a little off; false alerts; faults not found.
    fn badness(&self, recordings: &[&Recording], tuning: &Tuning) -> f64 {
        let scores = [0.94, 0.97, 1.0, 1.03, 1.06].map(|scale| {
            let near = Tuning { threshold: tuning.threshold * scale, ..tuning.clone() };
            score(recordings, &near).scores()[0]
        });
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let short = 2.0 * (76.0 - mean).max(0.0);
        let rates =
            [1, 300].into_iter().flat_map(|every| self.normal.iter().map(move |signal| rate(signal, every, tuning)));
        let alerts: f64 = rates.map(|rate| 6.0 * (rate - 0.8).max(0.0) + 0.3 * rate).sum();
        short - mean + alerts + self.missed(tuning)
    }

    /// Per fault: 0.6 for each per cent below what is wanted.
    fn missed(&self, tuning: &Tuning) -> f64 {
        let mut found = [0.0; FAULTS.len()];
        for (fault, signal, start) in &self.faults {
            let hit = alerts(signal, 1, tuning).iter().any(|t| (*start..start + FOUND_WITHIN).contains(t));
            found[*fault] += if hit { 100.0 / CLASSES.len() as f64 } else { 0.0 };
        }
        let wanted = [84.0, 98.0, 93.0, 100.0, 100.0, 100.0, 90.0];
        wanted.iter().zip(found).map(|(wanted, found): (&f64, f64)| 0.6 * (wanted - found).max(0.0)).sum()
    }
}

/// False alerts per week after the first day.
fn rate(signal: &[f64], every: usize, tuning: &Tuning) -> f64 {
    alerts(signal, every, tuning).iter().filter(|t| **t >= DAY).count() as f64 / (WEEKS as f64 - 1.0 / 7.0)
}
