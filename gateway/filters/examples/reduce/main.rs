//! How much the default filter drops, and how far what it sends is from the readings, on a folder of recorded series.
//!
//! ```text
//! cargo run --release -p weir-filters --example reduce -- DIR [--bound SHARE] [--share SHARE] [--noise K] [--method door] [--each]
//! ```
//!
//! DIR holds CSV files: `timestamp` and one or more columns of numbers (`sensor,timestamp,value` or wide). Without `--bound` the
//! defaults run, told nothing about the series; `--share` and `--noise` change their two constants. With it, the bound is that
//! share of each series' own range and the points are compared with O'Rourke's lower bound.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measuring tool for developers"
)]

mod bench;
mod lower_bound;
mod series;

use bench::Measured;
use series::Series;
use weir_filters::Settings;
use weir_filters::report::{Bound, Method};
use weir_filters::summarise::Window;

fn main() {
    let mut words = std::env::args().skip(1);
    let dir = words.next().expect("a folder of CSV files");
    let (mut share, mut noise, mut door, mut each, mut auto) = (None, None, false, false, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bound" => share = words.next().map(|w| w.parse::<f64>().unwrap()),
            "--share" => auto = words.next().map(|w| w.parse::<f64>().unwrap()),
            "--noise" => noise = words.next().map(|w| w.parse::<f64>().unwrap()),
            "--method" => door = words.next().as_deref() == Some("door"),
            "--each" => each = true,
            other => panic!("unknown option {other}"),
        }
    }
    let Bound::Auto { share: usual_share, noise: usual_noise } = Bound::default() else {
        panic!("the default is auto")
    };
    let auto = Bound::Auto { share: auto.unwrap_or(usual_share), noise: noise.unwrap_or(usual_noise) };
    let bound = share.map_or(auto, Bound::Share);
    let method = if door { Method::SwingingDoor(bound) } else { Method::Funnel(bound) };
    let mut all = Measured::default();
    for series in series::load(dir.as_ref()) {
        let one = bench::measure(&series, &settings(&series, method, share.is_some()), share);
        if each {
            println!("{:60} {one}", series.name);
        }
        all.add(&one);
    }
    println!("{all}");
}

fn settings(series: &Series, method: Method, told: bool) -> Settings {
    let mut settings = Settings { period: series.period, ..Settings::default() };
    settings.span = told.then(|| series.range().max(f64::MIN_POSITIVE));
    settings.report.method = method;
    if told {
        settings.report.heartbeat = None;
    }
    settings.summarise.windows.extend([Window::Tumbling { width: 60_000_000_000 }]);
    settings
}
