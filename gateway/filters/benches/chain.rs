//! Speed of the whole chain, one core: `cargo bench -p weir-filters`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir_filters::report::{Bound, Method};
use weir_filters::summarise::{Pane, Window};
use weir_filters::{Bulk, Gauge, Reading, Settings};

const READINGS: usize = 100_000;
const SECOND: i64 = 1_000_000_000;

/// A day's swing with noise, at 1 Hz: what most channels look like.
fn signal() -> Vec<Reading> {
    let mut dice: u64 = 1;
    let mut noise = || {
        // Twelve uniform numbers make a normal one (Marsaglia's xorshift64).
        let uniform = (0..12).map(|_| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            (dice >> 11) as f64 / (1_u64 << 53) as f64
        });
        uniform.sum::<f64>() - 6.0
    };
    (0..READINGS as i64).map(|n| Reading::good(n * SECOND, (n as f64 / 13_751.0).sin() * 20.0 + noise())).collect()
}

/// The shipped defaults of a gauge read every second.
fn defaults() -> Settings {
    let mut settings = Settings { period: SECOND, context: 30, ..Settings::default() };
    settings.detect.auto = true;
    settings.summarise.windows.extend([Window::Tumbling { width: 60 * SECOND }]);
    settings.summarise.grace = SECOND;
    settings
}

fn chain(criterion: &mut Criterion) {
    let signal = signal();
    let mut group = criterion.benchmark_group("chain");
    group.throughput(Throughput::Elements(READINGS as u64)).sample_size(20);
    let mut quiet = defaults();
    quiet.detect.auto = false;
    let mut tight = quiet.clone();
    tight.span = Some(40.0);
    tight.report.method = Method::Funnel(Bound::Share(0.01));
    let mut door = quiet.clone();
    door.report.method = Method::SwingingDoor(Bound::default());
    for (name, settings) in
        [("default", defaults()), ("without auto", quiet), ("funnel at 1 % of span", tight), ("swinging door", door)]
    {
        group.bench_function(name, |bencher| {
            let mut context = vec![Reading::default(); settings.context_len()];
            let mut panes = vec![Pane::default(); settings.panes_len()];
            bencher.iter(|| {
                let mut gauge = Gauge::default();
                let mut outputs = 0_u64;
                for &reading in &signal {
                    let bulk = Bulk { context: &mut context, panes: &mut panes };
                    gauge.push(&settings, bulk, black_box(reading), &mut |_| outputs += 1);
                }
                outputs
            });
        });
    }
    group.finish();
}

criterion_group!(benches, chain);
criterion_main!(benches);
