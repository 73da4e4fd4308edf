//! `driver = "host"`: this machine's own sensors, whatever the kernel shows: thermal zones, hwmon chips, load, memory,
//! processor and disks. It reads files under /proc and /sys; it starts no program and needs no rights.

use super::grid::Grid;
use super::{Arrival, Closed, Draft, Entry, Feed, Life, Measured, Open, Running, Source, thread};
use crate::record::Nanos;
use crate::registry::{ChannelIndex, Declared};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const ENTRY: Entry =
    Entry { name: "host", summary: "this machine's temperatures, load, memory and disks", open: Open::Alone(open) };

fn open(draft: Draft<'_, '_>) -> Option<Box<dyn Source>> {
    let every = draft.require_every();
    let mut section = draft.section;
    let root = section.take("root").unwrap_or_else(|| PathBuf::from("/"));
    let disks = section.take("disks").unwrap_or_else(|| vec![PathBuf::from("/")]);
    section.finish();
    draft.channels.into_iter().for_each(crate::section::Section::finish);
    Some(Box::new(Host { probes: discover(&root, &disks), every: every? }))
}

struct Host {
    probes: Vec<Probe>,
    every: Duration,
}

/// One channel and where its value stands.
struct Probe {
    declared: Declared,
    place: Place,
}

enum Place {
    /// The n-th word of a file, times a factor.
    Word { path: PathBuf, word: usize, scale: f64 },
    /// A line of /proc/meminfo, times a factor.
    Memory { path: PathBuf, key: &'static str },
    /// Share of the processors' time that was not idle since the last look.
    Busy { path: PathBuf, last: Ticks },
    /// Share of a disk that is free for ordinary users.
    Free { path: PathBuf },
}

impl Source for Host {
    fn channels(&self) -> Vec<Vec<Declared>> {
        vec![self.probes.iter().map(|p| p.declared.clone()).collect()]
    }

    fn run(self: Box<Self>, feeds: Vec<Feed>, life: Life) -> Running {
        thread::run(life, move |life, runtime| {
            let Some(feed) = feeds.into_iter().next() else { return };
            let mut grid = Grid::new(feed.clock().now(), self.every);
            let known = |p: Probe| Some((feed.channel(p.declared)?, p.place));
            let mut places: Vec<_> = self.probes.into_iter().filter_map(known).collect();
            while life.sleep_until(runtime, grid.due()) {
                let now = feed.clock().now();
                if thread::miss(&feed, grid.begin(now)).and_then(|()| look(&feed, &mut places, now)).is_err() {
                    return;
                }
                grid.end();
            }
            let _ = thread::miss(&feed, grid.finish(feed.clock().now()));
        })
    }
}

fn look(feed: &Feed, places: &mut [(ChannelIndex, Place)], at: Nanos) -> Result<(), Closed> {
    places.iter_mut().try_for_each(|(channel, place)| {
        feed.send_blocking(match place.read() {
            Ok(value) => Arrival::Reading { channel: *channel, at, value: Measured::Gauge(value) },
            Err(why) => Arrival::Failed { sensor: feed.sensor(), channel: Some(*channel), at, why: why.into() },
        })
    })
}

impl Place {
    fn read(&mut self) -> Result<f64, String> {
        match self {
            Self::Word { path, word, scale } => Ok(number(path, &text(path)?, *word)? * *scale),
            Self::Memory { path, key } => memory(path, key),
            Self::Busy { path, last } => busy(path, last),
            Self::Free { path } => {
                let disk = rustix::fs::statvfs(path.as_path()).map_err(|e| unreadable(path, e.into()))?;
                Ok(100.0 * disk.f_bavail as f64 / (disk.f_blocks as f64).max(1.0))
            }
        }
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> String {
    format!("{} cannot be read: {error}; the device may be gone or its driver unloaded", path.display())
}

fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| unreadable(path, e))
}

fn number(path: &Path, text: &str, word: usize) -> Result<f64, String> {
    let found = text.split_whitespace().nth(word).and_then(|w| w.parse::<f64>().ok()).filter(|v| v.is_finite());
    found.ok_or_else(|| format!("{} holds no number where one was expected", path.display()))
}

/// /proc/meminfo: `MemAvailable:   123 kB` (man 5 proc).
fn memory(path: &Path, key: &str) -> Result<f64, String> {
    let text = text(path)?;
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    Ok(number(path, line, 1)? * 1024.0)
}

/// The first line of /proc/stat counts ticks of user, nice, system, idle, iowait, … (man 5 proc). Guests are in user already.
fn busy(path: &Path, last: &mut Ticks) -> Result<f64, String> {
    let text = text(path)?;
    let ticks: Vec<u64> = text.split_whitespace().skip(1).take(8).map_while(|w| w.parse().ok()).collect();
    let [_, _, _, idle, iowait, ..] = ticks[..] else { return Err(format!("{} has another form", path.display())) };
    Ok(last.busy_since(idle + iowait, ticks.iter().sum()))
}

/// What the processors had done when they were last looked at.
#[derive(Default)]
struct Ticks {
    idle: u64,
    total: u64,
    busy: f64,
}

impl Ticks {
    /// Percent; as before if no tick has passed.
    fn busy_since(&mut self, idle: u64, total: u64) -> f64 {
        let passed = total.saturating_sub(self.total);
        if passed > 0 {
            let busy = passed.saturating_sub(idle.saturating_sub(self.idle));
            self.busy = 100.0 * busy as f64 / passed as f64;
        }
        (self.idle, self.total) = (idle, total);
        self.busy
    }
}

/// Everything that can be read now. What appears later needs a restart.
fn discover(root: &Path, disks: &[PathBuf]) -> Vec<Probe> {
    let proc = root.join("proc");
    let word = |word| Place::Word { path: proc.join("loadavg"), word, scale: 1.0 };
    let percent = |name: &str, place| Probe { declared: bounded(name, "%", 100.0), place };
    let mut probes = vec![
        Probe { declared: Declared::gauge("load_1m", "1"), place: word(0) },
        Probe { declared: Declared::gauge("load_5m", "1"), place: word(1) },
        Probe {
            declared: Declared::gauge("memory_available", "By"),
            place: Place::Memory { path: proc.join("meminfo"), key: "MemAvailable:" },
        },
        percent("cpu", Place::Busy { path: proc.join("stat"), last: Ticks::default() }),
    ];
    probes.extend(disks.iter().map(|disk| {
        let name = format!("disk_free{}", disk.to_string_lossy().trim_end_matches('/').replace('/', "_"));
        percent(&name, Place::Free { path: disk.clone() })
    }));
    probes.extend(thermal_zones(&root.join("sys/class/thermal")));
    probes.extend(hwmon(&root.join("sys/class/hwmon")));
    probes.retain_mut(|probe| probe.place.read().is_ok());
    number_the_same_names(&mut probes);
    probes
}

fn bounded(name: &str, unit: &str, high: f64) -> Declared {
    Declared { valid: Some((0.0, high)), span: Some((0.0, high)), ..Declared::gauge(name, unit) }
}

/// Two zones of the same type become `acpitz` and `acpitz_2`.
fn number_the_same_names(probes: &mut [Probe]) {
    for n in 0..probes.len() {
        let (before, rest) = probes.split_at_mut(n);
        let Some(probe) = rest.first_mut() else { continue };
        let base = probe.declared.name.clone();
        let is_taken = |name: &str| before.iter().any(|p| *p.declared.name == *name);
        let free = (2..).map(|n| format!("{base}_{n}")).find(|name| !is_taken(name));
        if let (true, Some(name)) = (is_taken(&base), free) {
            probe.declared.name = name.into();
        }
    }
}

/// Millidegrees (kernel, Documentation/driver-api/thermal/sysfs-api.rst).
fn thermal_zones(folder: &Path) -> Vec<Probe> {
    let zones = entries(folder, "thermal_zone");
    let probe = |zone: PathBuf| {
        let name = fs::read_to_string(zone.join("type")).ok()?;
        let place = Place::Word { path: zone.join("temp"), word: 0, scale: 1e-3 };
        Some(Probe { declared: Declared::gauge(word_of(&name), "Cel"), place })
    };
    zones.into_iter().filter_map(probe).collect()
}

/// What `…_input` files hold, by the start of their name (kernel, Documentation/hwmon/sysfs-interface.rst).
const HWMON: &[(&str, &str, f64)] = &[
    ("temp", "Cel", 1e-3),
    ("in", "V", 1e-3),
    ("curr", "A", 1e-3),
    ("power", "W", 1e-6),
    ("fan", "/min", 1.0),
    ("humidity", "%", 1e-3),
];

fn hwmon(folder: &Path) -> Vec<Probe> {
    let of_chip = |chip: PathBuf| {
        let name = fs::read_to_string(chip.join("name")).unwrap_or_default();
        entries(&chip, "").into_iter().filter_map(move |path| input(&word_of(&name), path)).collect::<Vec<_>>()
    };
    entries(folder, "hwmon").into_iter().flat_map(of_chip).collect()
}

fn input(chip: &str, path: PathBuf) -> Option<Probe> {
    let stem = path.file_name()?.to_str()?.strip_suffix("_input")?.to_owned();
    let sort = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let (_, unit, scale) = HWMON.iter().find(|(name, ..)| *name == sort)?;
    let label = fs::read_to_string(path.with_file_name(format!("{stem}_label"))).unwrap_or(stem);
    let name = format!("{chip}_{}", word_of(&label));
    Some(Probe { declared: Declared::gauge(name, *unit), place: Place::Word { path, word: 0, scale: *scale } })
}

/// A folder's entries whose names start with `start`, in order.
fn entries(folder: &Path, start: &str) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    let fits = |path: &PathBuf| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(start));
    let mut paths: Vec<_> = found.filter_map(|entry| Some(entry.ok()?.path())).filter(fits).collect();
    paths.sort();
    paths
}

/// A label as a channel name: lower case, everything else becomes `_`.
fn word_of(label: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    label.trim().chars().take(48).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Measured;
    use crate::source::testing::Bench;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A machine with two processors' worth of files.
    fn machine() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "proc/loadavg", "0.52 0.58 0.59 1/467 12345\n");
        write(root, "proc/meminfo", "MemTotal: 1000 kB\nMemAvailable:    600 kB\n");
        write(root, "proc/stat", "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3\n");
        write(root, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
        write(root, "sys/class/thermal/thermal_zone0/temp", "48312\n");
        write(root, "sys/class/thermal/thermal_zone1/type", "cpu-thermal\n");
        write(root, "sys/class/thermal/thermal_zone1/temp", "51000\n");
        write(root, "sys/class/hwmon/hwmon0/name", "rpi_volt\n");
        write(root, "sys/class/hwmon/hwmon0/in0_input", "4980\n");
        write(root, "sys/class/hwmon/hwmon0/in0_label", "Main Supply\n");
        write(root, "sys/class/hwmon/hwmon0/fan1_input", "garbage\n");
        folder
    }

    fn config(root: &Path) -> String {
        format!("[sensor.host]\ndriver = \"host\"\nevery = \"20ms\"\nroot = {root:?}\n")
    }

    #[test]
    fn everything_the_kernel_shows_becomes_a_channel() {
        let machine = machine();
        let mut bench = Bench::start(&config(machine.path()));
        bench.until(|b| b.values("host/rpi_volt_main_supply").len() == 2);
        let first = |name: &str| bench.values(name).first().copied();
        assert_eq!(first("host/load_1m"), Some(0.52));
        assert_eq!(first("host/memory_available"), Some(614_400.0));
        assert_eq!(first("host/cpu"), Some(20.0), "since the machine was started");
        assert_eq!(first("host/cpu_thermal"), Some(48.312));
        assert_eq!(first("host/cpu_thermal_2"), Some(51.0));
        assert_eq!(first("host/rpi_volt_main_supply"), Some(4.98));
        assert!(first("host/disk_free").is_some_and(|share| (0.0..=100.0).contains(&share)));
        assert_eq!(first("host/rpi_volt_fan1"), None);
    }

    #[test]
    fn a_file_that_vanishes_fails_alone_and_comes_back() {
        let machine = machine();
        let zone = machine.path().join("sys/class/thermal/thermal_zone0/temp");
        let mut bench = Bench::start(&config(machine.path()));
        bench.until(|b| b.values("host/cpu_thermal").len() == 2);
        fs::remove_file(&zone).unwrap();
        bench.until(|b| b.failures("host").len() == 2);
        assert!(bench.failures("host")[0].contains("thermal_zone0/temp cannot be read"));
        fs::write(&zone, "50000").unwrap();
        bench.until(|b| b.values("host/cpu_thermal").last() == Some(&50.0));
    }

    #[test]
    fn this_machine_has_a_load_whatever_else_it_has() {
        let mut bench = Bench::start("[sensor.host]\ndriver = \"host\"\nevery = \"20ms\"");
        bench.until(|b| b.measured("host/load_1m").len() == 1);
        assert!(matches!(bench.measured("host/load_1m")[..], [Measured::Gauge(load)] if load >= 0.0));
    }
}
