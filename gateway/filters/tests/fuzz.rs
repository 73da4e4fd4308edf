//! Whatever comes in: nothing panics, nothing that leaves is NaN, every reading has one fate, and a state survives its own
//! serialised form.

use proptest::prelude::*;
use weir_filters::detect::{Alarm, Detector, Side};
use weir_filters::report::{Bound, Heartbeat, Method};
use weir_filters::summarise::{Aggregate, Pane, Window};
use weir_filters::{Bulk, Counter, Gauge, Interrupt, Output, Quality, Reading, Settings, State, clean, counter, state};

/// Numbers of every sort, the odd ones more often.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -100.0f64..100.0,
        2 => any::<f64>(),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::MIN, f64::MAX, f64::MIN_POSITIVE, 0.0, -0.0, 1e-300]),
    ]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0..100_000_000_000i64,
        1 => any::<i64>(),
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, 0, 1, -1]),
    ]
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        number().prop_map(Bound::Absolute),
        number().prop_map(Bound::Share),
        (number(), number()).prop_map(|(share, noise)| Bound::Auto { share, noise }),
    ]
}

fn method() -> impl Strategy<Value = Method> {
    bound().prop_flat_map(|bound| {
        prop::sample::select(vec![
            Method::None,
            Method::Every,
            Method::Deadband(bound),
            Method::SwingingDoor(bound),
            Method::Funnel(bound),
        ])
    })
}

fn window() -> impl Strategy<Value = Window> {
    prop_oneof![
        time().prop_map(|width| Window::Tumbling { width }),
        (time(), time()).prop_map(|(hop, width)| Window::Hopping { hop, width }),
        time().prop_map(|gap| Window::Session { gap }),
        any::<u32>().prop_map(|readings| Window::Count { readings }),
    ]
}

fn detector() -> impl Strategy<Value = Detector> {
    prop_oneof![
        number().prop_map(|sigma| Detector::ZScore { sigma }),
        number().prop_map(|limit| Detector::Rate { limit }),
        (number(), number()).prop_map(|(slack, limit)| Detector::Cusum { slack, limit }),
    ]
}

fn cleaning() -> impl Strategy<Value = clean::Settings> {
    prop_oneof![
        Just(clean::Settings::None),
        (any::<u8>(), number()).prop_map(|(window, sigma)| clean::Settings::Hampel { window, sigma }),
        any::<u8>().prop_map(|window| clean::Settings::Median { window }),
        number().prop_map(|share| clean::Settings::Ema { share }),
    ]
}

prop_compose! {
    fn alarm()(high: bool, limit in number(), hysteresis in number(), delay in time()) -> Alarm {
        Alarm { side: if high { Side::High } else { Side::Low }, limit, hysteresis, delay }
    }
}

prop_compose! {
    fn settings()(
        (period, span, noise) in (time(), prop::option::of(number()), prop::option::of(number())),
        range in prop::option::of((number(), number())),
        (stuck, rate, stale) in (prop::option::of(time()), prop::option::of(number()), prop::option::of(time())),
        auto: bool,
        alarms in prop::collection::vec(alarm(), 0..4),
        detectors in prop::collection::vec(detector(), 0..2),
        clean in cleaning(),
        method in method(),
        heartbeat in prop::option::of((time(), any::<u32>())),
        windows in prop::collection::vec(window(), 0..2),
        grace in time(),
        context in 0..20u16,
    ) -> Settings {
        let mut settings = Settings { period, span, noise, clean, context, ..Settings::default() };
        settings.valid = weir_filters::valid::Settings { range, stuck, rate, stale };
        settings.detect.auto = auto;
        settings.detect.alarms.extend(alarms);
        settings.detect.detectors.extend(detectors);
        settings.report.method = method;
        settings.report.heartbeat = heartbeat.map(|(time, readings)| Heartbeat { time, readings });
        settings.summarise.windows.extend(windows);
        settings.summarise.grace = grace;
        settings
    }
}

#[derive(Clone, Debug)]
enum Step {
    Reading(Reading),
    Tick(i64),
    Interrupt(Interrupt),
}

fn step() -> impl Strategy<Value = Step> {
    let quality = prop::sample::select(vec![Quality::Good, Quality::Good, Quality::Suspect, Quality::Invalid]);
    prop_oneof![
        20 => (time(), number(), quality).prop_map(|(at, value, quality)| Step::Reading(Reading { at, value, quality })),
        2 => time().prop_map(Step::Tick),
        1 => prop::sample::select(vec![Interrupt::Gap, Interrupt::Restart, Interrupt::ClockStep]).prop_map(Step::Interrupt),
    ]
}

/// Every number that leaves is one.
fn check(output: &Output) {
    let numbers: Vec<f64> = match output {
        Output::Sample(sample) => vec![sample.value, sample.bound],
        Output::Summary(summary) => Aggregate::ALL.iter().map(|(_, aggregate)| aggregate.of(summary)).collect(),
        Output::Event(event) => vec![event.value, event.score],
        Output::Count(count) => vec![count.rate],
        Output::Change(_) => vec![],
    };
    assert!(numbers.iter().all(|number| number.is_finite()), "{output:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn a_gauge_takes_whatever_comes(settings in settings(), steps in prop::collection::vec(step(), 1..80)) {
        let _ = settings.check();
        let mut gauge = Gauge::default();
        let mut context = vec![Reading::default(); settings.context_len()];
        let mut panes = vec![Pane::default(); settings.panes_len()];
        for step in steps {
            let bulk = Bulk { context: &mut context, panes: &mut panes };
            match step {
                Step::Reading(reading) => gauge.push(&settings, bulk, reading, &mut |output| check(&output)),
                Step::Tick(now) => gauge.tick(&settings, bulk, now, &mut |output| check(&output)),
                Step::Interrupt(why) => gauge.interrupt(&settings, bulk, why, &mut |output| check(&output)),
            }
            prop_assert!(gauge.counts().balances(), "{:?}", gauge.counts());
        }
        let bytes = postcard::to_allocvec(&gauge).unwrap();
        let again = postcard::from_bytes::<Gauge>(&bytes).unwrap();
        prop_assert_eq!(postcard::to_allocvec(&again).unwrap(), bytes);
        gauge.finish(&settings, Bulk { context: &mut context, panes: &mut panes }, &mut |output| check(&output));
        prop_assert!(gauge.counts().balances() && gauge.counts().held == 0, "{:?}", gauge.counts());
    }

    #[test]
    fn arbitrary_bytes_as_a_state_are_an_error_or_a_state_that_works(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(mut gauge) = postcard::from_bytes::<Gauge>(&bytes) {
            let settings = Settings::default();
            gauge.push(&settings, Bulk { context: &mut [], panes: &mut [] }, Reading::good(0, 1.0), &mut |_| {});
        }
    }

    #[test]
    fn counters_and_states_take_whatever_comes(
        (period, window, bits) in (time(), time(), any::<u8>()),
        (heartbeat, debounce) in (prop::option::of(time()), time()),
        readings in prop::collection::vec((time(), any::<u64>()), 1..60),
    ) {
        let settings = counter::Settings { period, window, bits };
        let mut counter = Counter::default();
        for &(at, value) in &readings {
            counter.push(&settings, at, value, &mut |output| check(&output));
            prop_assert!(counter.counts().balances());
        }
        counter.interrupt(&settings, &mut |output| check(&output));
        prop_assert_eq!(counter.counts().held, 0);
        let settings = state::Settings { heartbeat, debounce };
        let mut state = State::default();
        for (at, value) in readings {
            state.push(&settings, at, value as i64, &mut |output| check(&output));
            prop_assert!(state.counts().balances());
        }
    }
}
