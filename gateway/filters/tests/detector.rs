//! The short form of what `examples/detector` measures at length: weeks of normal signals and injected faults.

#[path = "../examples/detector/signals.rs"]
mod signals;

use signals::{CLASSES, DAY, FAULTS};
use weir_filters::detect::auto::Auto;

const SECOND: i64 = 1_000_000_000;

fn alerts(signal: &[f64], every: usize) -> Vec<usize> {
    let mut auto = Auto::new(0);
    let readings = signal.iter().enumerate().step_by(every);
    readings.filter(|(t, x)| auto.push(*t as i64 * SECOND, **x).is_some()).map(|(t, _)| t).collect()
}

#[test]
fn normal_signals_polled_every_five_minutes_cause_few_alerts() {
    let weeks = 3;
    let late = |class| {
        let found = alerts(&signals::normal(class, 3, 7 * weeks), 300);
        found.into_iter().filter(|t| *t >= DAY).count()
    };
    let counts: Vec<usize> = (0..CLASSES.len()).map(late).collect();
    assert!(counts.iter().all(|count| *count <= 2 * weeks), "{counts:?}");
    assert!(counts.iter().sum::<usize>() <= CLASSES.len() * weeks, "{counts:?}");
}

#[test]
fn faults_are_found_within_half_a_day() {
    let classes = ["ar_slow", "fridge"].map(|name| CLASSES.iter().position(|(known, _)| *known == name).unwrap());
    for class in classes {
        for (fault, name) in FAULTS.iter().enumerate() {
            let (signal, start) = signals::faulty(class, fault, 5, 8);
            let found = alerts(&signal, 1).into_iter().any(|t| (start..start + DAY / 2).contains(&t));
            assert!(found, "{name} in {}", CLASSES[class].0);
        }
    }
}
