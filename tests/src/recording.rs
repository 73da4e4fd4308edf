//! Recordings of the pump test bench, or made-up ones of the same shape where the real ones are not at hand.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The columns of a pump recording, without its time and labels.
pub const CHANNELS: [&str; 8] = [
    "Accelerometer1RMS",
    "Accelerometer2RMS",
    "Current",
    "Pressure",
    "Temperature",
    "Thermocouple",
    "Voltage",
    "Volume Flow RateRMS",
];

/// Pump recordings below `folder`, and how many readings they hold: the real ones under `$WEIR_DATA/skab/data` without
/// their two label columns, or made-up ones.
#[must_use]
pub fn pump(folder: &Path) -> u64 {
    let lines = match std::env::var_os("WEIR_DATA") {
        Some(data) => copy_unlabelled(&Path::new(&data).join("skab/data"), folder),
        None => (0..12).map(|number| made_up(folder, number)).sum(),
    };
    lines * CHANNELS.len() as u64
}

fn copy_unlabelled(from: &Path, to: &Path) -> u64 {
    csv_files(from).iter().enumerate().map(|(number, file)| copy_one(file, to, number)).sum()
}

fn copy_one(file: &Path, to: &Path, number: usize) -> u64 {
    let text = std::fs::read_to_string(file).expect("a recording");
    let kept: Vec<String> =
        text.lines().map(|line| line.split(',').take(1 + CHANNELS.len()).collect::<Vec<_>>().join(",")).collect();
    std::fs::write(to.join(format!("pump-{number:02}.csv")), kept.join("\n") + "\n").expect("a folder to write to");
    kept.len() as u64 - 1
}

fn csv_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    let inside = |path: PathBuf| if path.is_dir() { csv_files(&path) } else { vec![path] };
    files
        .into_iter()
        .flat_map(inside)
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect()
}

/// Levels, noise and slow drift as measured on the bench; one fault (a shift of all levels) two thirds in.
const SHAPE: [(f64, f64); 8] = [
    (0.027, 0.0003),
    (0.040, 0.0007),
    (1.0, 0.25),
    (0.05, 0.25),
    (71.0, 0.2),
    (25.0, 0.02),
    (228.0, 10.0),
    (32.0, 0.4),
];

fn made_up(folder: &Path, number: u32) -> u64 {
    const SECONDS: u32 = 1150;
    let mut noise = Noise(u64::from(number) + 1);
    let mut text = format!("timestamp,{}\n", CHANNELS.join(","));
    for second in 0..SECONDS {
        let shift = if (760..900).contains(&second) { 6.0 } else { 0.0 };
        let time = (10 + second / 3600, second / 60 % 60, second % 60);
        write!(text, "2020-03-{:02} {:02}:{:02}:{:02}", 10 + number, time.0, time.1, time.2).expect("memory");
        for (level, spread) in SHAPE {
            let drift = (f64::from(second) / 300.0).sin();
            write!(text, ",{:.7}", level + spread * (drift + noise.next() + shift)).expect("memory");
        }
        text.push('\n');
    }
    std::fs::write(folder.join(format!("pump-{number:02}.csv")), text).expect("a folder to write to");
    u64::from(SECONDS)
}

/// Roughly normal noise of unit spread: the sum of uniform numbers, the same on every run.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((self.0 >> 33) as u32) / f64::from(1_u32 << 31)
    }

    fn next(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}
