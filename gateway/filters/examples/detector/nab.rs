//! The Numenta Anomaly Benchmark's score (Lavin and Ahmad 2015, arXiv:1510.03336), for any constants of the detector.
//!
//! Only for comparing constants. The published figures come from the benchmark's own scorer, fed by `weir replay --scores`.

use std::path::Path;

use weir_filters::detect::auto::{Auto, Tuning};

use super::SECOND;

/// A series with its labelled windows.
pub(crate) struct Recording {
    name: String,
    at: Vec<i64>,
    values: Vec<f64>,
    /// First and last row of each window.
    windows: Vec<(usize, usize)>,
}

/// Parts of a score that can be added over recordings.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    hits: f64,
    false_alerts: f64,
    /// Windows: found, that can be found, all.
    found: usize,
    live: usize,
    all: usize,
    pub(crate) rows_wrong: usize,
}

impl Recording {
    /// The folder of the benchmark's category.
    pub(crate) fn category(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    pub(crate) fn tally(&self, tuning: &Tuning) -> Tally {
        let probation = ((self.values.len() as f64 * 0.15) as usize).min(750);
        let mut tally = Tally {
            live: self.windows.iter().filter(|w| w.1 >= probation).count(),
            all: self.windows.len(),
            ..Tally::default()
        };
        let mut seen = vec![false; self.windows.len()];
        for row in self.alerts(tuning).into_iter().filter(|row| *row >= probation) {
            let Some(w) = self.windows.iter().position(|w| (w.0..=w.1).contains(&row)) else {
                tally.false_alerts += self.price(row);
                tally.rows_wrong += 1;
                continue;
            };
            if !std::mem::replace(&mut seen[w], true) {
                let (first, last) = self.windows[w];
                tally.hits += squash(-((last - row + 1) as f64) / (last - first + 1) as f64) / squash(-1.0);
                tally.found += 1;
            }
        }
        tally
    }

    fn alerts(&self, tuning: &Tuning) -> Vec<usize> {
        let mut auto = Auto::new(0);
        let rows = self.at.iter().zip(&self.values).enumerate();
        rows.filter(|(_, (at, x))| auto.push_tuned(**at, **x, tuning).is_some()).map(|(row, _)| row).collect()
    }

    /// Of a false alert: less, the sooner after a window.
    fn price(&self, row: usize) -> f64 {
        let before = self.windows.iter().rfind(|w| w.1 < row);
        before.map_or(-1.0, |w| squash((row - w.1) as f64 / (w.1 - w.0).max(1) as f64))
    }
}

impl Tally {
    pub(crate) fn add(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            false_alerts: self.false_alerts + other.false_alerts,
            found: self.found + other.found,
            live: self.live + other.live,
            all: self.all + other.all,
            rows_wrong: self.rows_wrong + other.rows_wrong,
        }
    }

    /// Standard, few false alerts, few misses.
    pub(crate) fn scores(self) -> [f64; 3] {
        [(0.11, 1.0), (0.22, 1.0), (0.11, 2.0)].map(|(wrong, missed)| {
            let raw = self.hits + wrong * self.false_alerts - missed * (self.live - self.found) as f64;
            let nothing = -missed * self.live as f64;
            100.0 * (raw - nothing) / (self.all as f64 - nothing)
        })
    }
}

fn squash(y: f64) -> f64 {
    2.0 / (1.0 + (5.0 * y).exp()) - 1.0
}

/// The shipped constants, and with the threshold a little off.
pub(crate) fn report(data: &str) {
    let recordings = load(Path::new(data));
    for scale in [0.94, 0.97, 1.0, 1.03, 1.06] {
        let tuning = Tuning { threshold: Tuning::SHIPPED.threshold * scale, ..Tuning::SHIPPED };
        let tally = recordings.iter().map(|r| r.tally(&tuning)).fold(Tally::default(), Tally::add);
        let [standard, low_fp, low_fn] = tally.scores();
        println!(
            "threshold x {scale}: standard {standard:.2}  low FP {low_fp:.2}  low FN {low_fn:.2}  windows {}/{}  false alerts {}",
            tally.found, tally.all, tally.rows_wrong
        );
    }
}

/// `data/CATEGORY/FILE.csv` (`sensor,timestamp,value`) and `windows.csv` (`sensor,file,start,end`).
pub(crate) fn load(folder: &Path) -> Vec<Recording> {
    let windows = std::fs::read_to_string(folder.join("windows.csv")).expect("windows.csv");
    let windows: Vec<Vec<&str>> = windows.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let mut all = Vec::new();
    for category in std::fs::read_dir(folder.join("data")).expect("data/") {
        let category = category.expect("a folder").path();
        for file in std::fs::read_dir(&category).expect("a folder") {
            let file = file.expect("a file").path();
            let name = file.strip_prefix(folder.join("data")).expect("below data/").display().to_string();
            let text = std::fs::read_to_string(&file).expect("a recording");
            let cells = |line: &str| -> Option<(i64, f64)> {
                let mut cells = line.split(',').skip(1);
                Some((nanos(cells.next()?)?, cells.next()?.parse().ok()?))
            };
            let (at, values): (Vec<i64>, Vec<f64>) = text.lines().skip(1).map(|l| cells(l).expect("a reading")).unzip();
            let row = |stamp: &str| at.iter().position(|t| Some(*t) == nanos(stamp)).expect("a window's edge");
            let windows = windows.iter().filter(|w| w[1] == name).map(|w| (row(w[2]), row(w[3]))).collect();
            all.push(Recording { name, at, values, windows });
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// `2014-02-14 14:30:00`, in nanoseconds since 1970.
fn nanos(stamp: &str) -> Option<i64> {
    let number = |from: usize, to: usize| stamp.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    // Days from the civil calendar, with the year beginning in March (Hinnant, "chrono-compatible date algorithms").
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some((((days * 24 + number(11, 13)?) * 60 + number(14, 16)?) * 60 + number(17, 19)?) * SECOND)
}
