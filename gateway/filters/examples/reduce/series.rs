//! Recorded series from CSV files.

use std::path::Path;
use weir_filters::{Nanos, Reading};

/// Columns that are not sensors.
const OTHERS: &[&str] = &["timestamp", "sensor", "anomaly", "changepoint"];

/// One column of one file.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) readings: Vec<Reading>,
    /// The interval of a regular series, 0 of an irregular one.
    pub(crate) period: Nanos,
}

impl Series {
    pub(crate) fn range(&self) -> f64 {
        let values = || self.readings.iter().map(|reading| reading.value);
        values().fold(f64::MIN, f64::max) - values().fold(f64::MAX, f64::min)
    }
}

/// All series of the CSV files in a folder and below, by name.
pub(crate) fn load(dir: &Path) -> Vec<Series> {
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let mut all = Vec::new();
    for path in entries {
        if path.is_dir() {
            all.extend(load(&path));
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            all.extend(read(&path));
        }
    }
    all
}

fn read(path: &Path) -> Vec<Series> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().filter(|line| !line.is_empty()).map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap_or_default();
    let Some(time) = head.iter().position(|name| *name == "timestamp") else { return Vec::new() };
    let rows: Vec<_> = lines.collect();
    let times = times(&rows.iter().map(|row| seconds(row[time])).collect::<Vec<_>>());
    let mut steps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_unstable();
    let period =
        steps.get(steps.len() / 2).filter(|median| steps[steps.len() * 9 / 10] <= **median * 2).map_or(0, |p| *p);
    let column = |(column, name): (usize, &&str)| Series {
        name: format!("{}#{name}", path.display()),
        period,
        readings: rows.iter().zip(&times).map(|(row, &at)| Reading::good(at, row[column].parse().unwrap())).collect(),
    };
    head.iter().enumerate().filter(|(_, name)| !OTHERS.contains(name)).map(column).collect()
}

/// Times in nanoseconds; row numbers in seconds where the clock does not strictly advance.
fn times(seconds: &[i64]) -> Vec<Nanos> {
    let advances = seconds.windows(2).all(|pair| pair[0] < pair[1]);
    let second = |row: usize| if advances { seconds[row] } else { row as i64 };
    (0..seconds.len()).map(|row| second(row) * 1_000_000_000).collect()
}

/// Seconds since 1970 of `2020-03-01 15:44:06`.
fn seconds(text: &str) -> i64 {
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (part(0, 4), part(5, 7), part(8, 10));
    // Days from civil, H. Hinnant.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468;
    days * 86_400 + part(11, 13) * 3600 + part(14, 16) * 60 + part(17, 19)
}
