//! The promise of the report stage: between two gaps, the samples joined by lines pass every reading within the bound that they
//! state. And the ledger's: every reading has exactly one fate, after every call.

#![expect(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use weir_filters::report::{Bound, Heartbeat, Method};
use weir_filters::summarise::{Pane, Window};
use weir_filters::{Bulk, Gauge, Interrupt, Nanos, Output, Reading, Sample, Settings};

const SECOND: Nanos = 1_000_000_000;

/// What happens to a channel next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A reading so many nanoseconds after the one before (0: the same stamp), moved by so much.
    Reading(Nanos, f64),
    Interrupt(Interrupt),
    /// The clock goes back, which is announced, and a reading follows.
    BackTo(Nanos),
    Tick,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let time = prop_oneof![
        40 => Just(SECOND),
        10 => (SECOND / 2)..(SECOND * 2),
        2 => 1_000_000i64..SECOND,
        1 => Just(0),
        1 => Just(-3 * SECOND),
        1 => Just(90 * SECOND),
    ];
    let series = prop_oneof![
        Just((0.1, 0.0)),  // slow walk
        Just((1.0, 0.0)),  // walk
        Just((0.1, 40.0)), // with steps
        Just((0.0, 3.0)),  // constants with spikes
        Just((1e-7, 1e9)),
    ];
    (series, any::<bool>()).prop_flat_map(move |((walk, step), whole)| {
        let change = prop_oneof![30 => -walk..=walk, 1 => -step..=step]
            .prop_map(move |by: f64| if whole { by.round() } else { by });
        let one = prop_oneof![
            200 => (time.clone(), change).prop_map(|(dt, by)| Step::Reading(dt, by)),
            1 => Just(Step::Interrupt(Interrupt::Gap)),
            1 => Just(Step::Interrupt(Interrupt::Restart)),
            1 => (0..3600i64).prop_map(|back| Step::BackTo(back * SECOND)),
            2 => Just(Step::Tick),
        ];
        prop::collection::vec(one, 1..600)
    })
}

fn methods() -> impl Strategy<Value = Method> {
    let bound = prop_oneof![
        (0.01f64..10.0).prop_map(Bound::Absolute),
        Just(Bound::Share(0.01)),
        Just(Bound::Auto { share: 0.01, noise: 3.0 }),
    ];
    bound.prop_flat_map(|bound| {
        prop_oneof![
            Just(Method::Every),
            Just(Method::Deadband(bound)),
            Just(Method::SwingingDoor(bound)),
            Just(Method::Funnel(bound)),
        ]
    })
}

/// A stretch of time that nothing tears: the readings that should be rebuilt, the samples that should do it.
#[derive(Debug, Default)]
struct Stretch {
    readings: Vec<Reading>,
    samples: Vec<Sample>,
}

/// Runs a channel through the steps; a stretch ends where the clock may go back.
fn run(settings: &Settings, steps: &[Step]) -> Vec<Stretch> {
    let mut gauge = Gauge::default();
    let mut panes = vec![Pane::default(); settings.panes_len()];
    let mut context = vec![Reading::default(); settings.context_len()];
    let mut stretches = vec![Stretch::default()];
    let (mut at, mut value, mut newest) = (1_000_000 * SECOND, 20.0, Nanos::MIN);
    for &step in steps {
        let now = stretches.last_mut().unwrap();
        let mut out = |output| {
            if let Output::Sample(sample @ Sample { event: None, .. }) = output {
                now.samples.push(sample);
            }
        };
        let bulk = Bulk { context: &mut context, panes: &mut panes };
        match step {
            Step::Reading(dt, by) => {
                value += by;
                let reading = Reading::good(at + dt, value);
                at = at.max(reading.at);
                gauge.push(settings, bulk, reading, &mut out);
                if reading.at >= newest {
                    newest = reading.at;
                    now.readings.push(reading);
                }
            }
            Step::Tick => gauge.tick(settings, bulk, at, &mut out),
            Step::Interrupt(Interrupt::Gap) => gauge.interrupt(settings, bulk, Interrupt::Gap, &mut out),
            Step::Interrupt(why) => {
                gauge.interrupt(settings, bulk, why, &mut out);
                (at, newest) = (at + SECOND, Nanos::MIN);
                stretches.push(Stretch::default());
            }
            Step::BackTo(back) => {
                gauge.interrupt(settings, bulk, Interrupt::ClockStep, &mut out);
                (at, newest) = (at - back, Nanos::MIN);
                stretches.push(Stretch::default());
            }
        }
        assert!(gauge.counts().balances(), "after {step:?}: {:?}", gauge.counts());
    }
    let samples = &mut stretches.last_mut().unwrap().samples;
    gauge.finish(settings, Bulk { context: &mut context, panes: &mut panes }, &mut |output| {
        if let Output::Sample(sample) = output {
            samples.push(sample);
        }
    });
    assert!(gauge.counts().balances());
    assert_eq!(gauge.counts().held, 0, "nothing is held at the end");
    stretches
}

/// Whether some line between two joined samples, or a lone sample, passes the reading within the bound.
fn rebuilt(reading: Reading, samples: &[Sample]) -> bool {
    let rounding = |bound: f64| bound * 1e-9 + reading.value.abs() * 1e-14;
    let alone = |s: &Sample| s.at == reading.at && (s.value - reading.value).abs() <= s.bound + rounding(s.bound);
    let joined = |a: &Sample, b: &Sample| {
        let slope = (b.value - a.value) / (b.at - a.at) as f64;
        let line = a.value + slope * (reading.at - a.at) as f64;
        (line - reading.value).abs() <= b.bound + rounding(b.bound) + slope.abs()
    };
    samples.iter().any(alone)
        || samples.windows(2).any(|pair| {
            !pair[1].gap && pair[0].at <= reading.at && reading.at <= pair[1].at && joined(&pair[0], &pair[1])
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn samples_rebuild_every_reading(
        steps in steps(),
        method in methods(),
        span in prop::option::of(1.0f64..100.0),
        period in prop_oneof![Just(0), Just(SECOND)],
        heartbeat in prop::option::of(Just(Heartbeat { time: 20 * SECOND, readings: 5 })),
    ) {
        let mut settings = Settings { period, span, ..Settings::default() };
        settings.report.method = method;
        settings.report.heartbeat = heartbeat;
        let _ = settings.summarise.windows.push(Window::Tumbling { width: 10 * SECOND });
        for stretch in run(&settings, &steps) {
            for pair in stretch.samples.windows(2) {
                prop_assert!(pair[0].at < pair[1].at || (pair[0].at == pair[1].at && pair[1].gap), "{pair:?}");
            }
            prop_assert!(stretch.samples.first().is_none_or(|first| first.gap), "a stretch begins with a gap");
            for &reading in &stretch.readings {
                let near: Vec<_> = stretch.samples.iter().filter(|s| (s.at - reading.at).abs() < 100 * SECOND).collect();
                prop_assert!(rebuilt(reading, &stretch.samples), "{reading:?} is not rebuilt by {near:?}");
            }
        }
    }
}
