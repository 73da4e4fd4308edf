//! `driver = "csv"`: recorded readings played back from files, streamed, in constant memory.
//!
//! Two forms, told apart by the header: `sensor,timestamp,value` (one reading a line; `sensor` names the channel), or
//! `timestamp` and one column for each channel. On a simulated clock a file is played as fast as the pipeline takes it and
//! readings carry the recorded times; on a real clock it is played at `speed`, from now on.
//! What cannot be read is counted by reason, with the first line it was seen in. Files are not sorted: readings whose time
//! runs backwards are delivered as they stand, for the filters to refuse.

use super::{Arrival, Closed, Draft, Entry, Feed, Life, Measured, Open, Running, Source, thread};
use crate::record::Nanos;
use crate::registry::{ChannelIndex, Declared};
use crate::section::Section;
use jiff::tz::Offset;
use jiff::{Timestamp, civil};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

pub(super) const ENTRY: Entry =
    Entry { name: "csv", summary: "recorded readings from CSV files", open: Open::Alone(open) };

/// A longer line is not CSV.
const LONGEST_LINE: u64 = 64 << 10;

fn open(draft: Draft<'_, '_>) -> Option<Box<dyn Source>> {
    let mut section = draft.section;
    let path = section.require::<PathBuf>("path", "\"recording.csv\"");
    let speed = section.take_checked("speed", "must be above 0: 1 is as fast as it was recorded", |s: &f64| *s > 0.0);
    let ignore = section.take("ignore").unwrap_or_default();
    let zone = read_zone(&mut section);
    section.finish();
    draft.channels.into_iter().for_each(Section::finish);
    Some(Box::new(Replay { path: path?, speed: speed.unwrap_or(1.0), ignore, zone }))
}

/// `zone`: what stamps without one are in. UTC unless given as an offset.
fn read_zone(section: &mut Section<'_, '_>) -> Offset {
    let Some(word) = section.take_spanned::<String>("zone").filter(|w| w.get_ref() != "UTC") else {
        return Offset::UTC;
    };
    let shifted = format!("1970-01-01T00:00:00{}", word.get_ref()).parse::<Timestamp>();
    let offset = shifted.ok().and_then(|t| Offset::from_seconds(i32::try_from(-t.as_second()).ok()?).ok());
    offset.unwrap_or_else(|| {
        let message = format!("`zone` in [{}] cannot be \"{}\"", section.name(), word.get_ref());
        section.report(word.span(), message, "must be \"UTC\" or an offset such as \"+02:00\"", None);
        Offset::UTC
    })
}

struct Replay {
    path: PathBuf,
    speed: f64,
    ignore: Vec<String>,
    zone: Offset,
}

impl Source for Replay {
    /// The columns of a file that is there already; others, and those of the long form, appear with their readings.
    fn channels(&self) -> Vec<Vec<Declared>> {
        let header = Lines::open(&self.path).ok().and_then(|mut lines| lines.header(&self.ignore).ok());
        vec![header.into_iter().flat_map(|h| h.channels()).map(|name| Declared::gauge(name, "")).collect()]
    }

    fn run(self: Box<Self>, feeds: Vec<Feed>, life: Life) -> Running {
        thread::run(life, move |life, runtime| {
            let Some(feed) = feeds.into_iter().next() else { return };
            let name = self.path.display().to_string();
            match self.play(feed, life, runtime) {
                Ok(tally) => tracing::info!("{name} has been played: {tally}"),
                Err(error) => tracing::error!("{name} cannot be played: {error}; check the path and the first line"),
            }
        })
    }
}

impl Replay {
    fn play(self, feed: Feed, life: &Life, runtime: &Handle) -> io::Result<Tally> {
        let mut lines = Lines::open(&self.path)?;
        let header = lines.header(&self.ignore)?;
        let pace = Pace { life, runtime, clock: feed.clock().clone(), speed: self.speed, began: None };
        let mut player = Player { feed, header, zone: self.zone, pace, tally: Tally::default(), last: Nanos::MIN };
        while !life.is_over() {
            let Some((number, line)) = lines.next()? else { break };
            if player.line(number, line) == Err(Closed) {
                break;
            }
        }
        Ok(player.tally)
    }
}

/// What the first line says.
struct Header {
    delimiter: char,
    width: usize,
    time: usize,
    form: Form,
}

enum Form {
    /// One reading a line.
    Long { sensor: usize, value: usize },
    /// One column for each channel.
    Wide { columns: Vec<(usize, Box<str>)> },
}

impl Header {
    fn read(line: &str, ignore: &[String]) -> Option<Self> {
        let delimiter = if line.contains(';') && !line.contains(',') { ';' } else { ',' };
        let names: Vec<_> = line.split(delimiter).map(unquoted).collect();
        let find = |wanted: &[&str]| names.iter().position(|n| wanted.iter().any(|w| n.eq_ignore_ascii_case(w)));
        let time = find(&["timestamp", "time", "datetime"])?;
        let form = match (find(&["sensor"]), find(&["value"])) {
            (Some(sensor), Some(value)) => Form::Long { sensor, value },
            _ => {
                let is_channel = |n: &usize| *n != time && !ignore.iter().any(|i| i == names[*n]);
                Form::Wide { columns: (0..names.len()).filter(is_channel).map(|n| (n, word_of(names[n]))).collect() }
            }
        };
        Some(Self { delimiter, width: names.len(), time, form })
    }

    fn channels(self) -> Vec<Box<str>> {
        match self.form {
            Form::Long { .. } => Vec::new(),
            Form::Wide { columns } => columns.into_iter().map(|(_, name)| name).collect(),
        }
    }
}

/// Quotes around a field are taken off; a delimiter within quotes is not understood.
pub(crate) fn unquoted(field: &str) -> &str {
    field.trim().trim_matches('"')
}

/// A column's title as a channel name: `Volume Flow RateRMS` becomes `Volume_Flow_RateRMS`.
fn word_of(title: &str) -> Box<str> {
    title.chars().take(64).map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

/// A file, line by line.
pub(crate) struct Lines {
    from: BufReader<File>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { from: BufReader::new(File::open(path)?), line: Vec::new(), number: 0 })
    }

    fn header(&mut self, ignore: &[String]) -> io::Result<Header> {
        let header = self.next()?.and_then(|(_, line)| line.ok()).and_then(|line| Header::read(line, ignore));
        header.ok_or_else(|| io::Error::other("its first line must name the columns, one of them `timestamp`"))
    }

    /// The next line's number, and the line without its end or what is wrong with it.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Result<&str, Flaw>)>> {
        self.line.clear();
        if self.from.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.len() as u64 == LONGEST_LINE && !self.line.ends_with(b"\n") {
            self.from.skip_until(b'\n')?;
            return Ok(Some((self.number, Err(Flaw::TooLong))));
        }
        let line = std::str::from_utf8(&self.line).map(str::trim_end).map_err(|_| Flaw::NotText);
        Ok(Some((self.number, line)))
    }
}

/// Plays lines into the feed.
struct Player<'l> {
    feed: Feed,
    header: Header,
    zone: Offset,
    pace: Pace<'l>,
    tally: Tally,
    last: Nanos,
}

impl Player<'_> {
    fn line(&mut self, number: u64, line: Result<&str, Flaw>) -> Result<(), Closed> {
        self.tally.lines += 1;
        let row = line.and_then(|line| self.row(line));
        let (at, readings) = match row {
            Ok(row) => row,
            Err(Flaw::Empty) => return Ok(()),
            Err(flaw) => {
                let at = self.pace.clock.now();
                return self.fail(None, at, number, flaw);
            }
        };
        if at < self.last {
            self.tally.count(Flaw::Backwards, number);
        }
        self.last = at;
        let at = self.pace.wait(at);
        readings.into_iter().try_for_each(|(channel, value)| match value {
            Ok(value) => {
                self.tally.readings += 1;
                self.feed.send_blocking(Arrival::Reading { channel, at, value: Measured::Gauge(value) })
            }
            Err(flaw) => self.fail(Some(channel), at, number, flaw),
        })
    }

    fn fail(&mut self, channel: Option<ChannelIndex>, at: Nanos, line: u64, flaw: Flaw) -> Result<(), Closed> {
        self.tally.count(flaw, line);
        let why = Arc::from(format!("line {line}: {}", flaw.as_str()));
        self.feed.send_blocking(Arrival::Failed { sensor: self.feed.sensor(), channel, at, why })
    }

    fn row(&self, line: &str) -> Result<Row, Flaw> {
        let cells: Vec<_> = line.split(self.header.delimiter).map(unquoted).collect();
        if line.is_empty() {
            return Err(Flaw::Empty);
        }
        if cells.len() != self.header.width {
            return Err(Flaw::Ragged);
        }
        let at = nanos_of(cells[self.header.time], self.zone).ok_or(Flaw::NoTime)?;
        let reading = |name: &str, cell: &str| {
            let channel = self.feed.channel(Declared::gauge(name, "")).ok_or(Flaw::TooManyChannels)?;
            Ok((channel, number_of(cell)))
        };
        let readings = match &self.header.form {
            Form::Long { sensor, value } => vec![reading(&word_of(cells[*sensor]), cells[*value])?],
            Form::Wide { columns } => {
                columns.iter().map(|(n, name)| reading(name, cells[*n])).collect::<Result<_, _>>()?
            }
        };
        Ok((at, readings))
    }
}

/// A line's time and its readings.
type Row = (Nanos, Vec<(ChannelIndex, Result<f64, Flaw>)>);

pub(crate) fn number_of(cell: &str) -> Result<f64, Flaw> {
    cell.parse().ok().filter(|v: &f64| v.is_finite()).ok_or(Flaw::NotANumber)
}

/// `2026-11-22T05:00:00Z`, the same with another zone, without one (then it is in `zone`), or seconds since 1970.
pub(crate) fn nanos_of(text: &str, zone: Offset) -> Option<Nanos> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (0.0..9e9).contains(&seconds).then_some((seconds * 1e9) as Nanos);
    }
    let stamp = match text.parse::<Timestamp>() {
        Ok(stamp) => stamp,
        Err(_) => zone.to_timestamp(text.parse::<civil::DateTime>().ok()?).ok()?,
    };
    Nanos::try_from(stamp.as_nanosecond()).ok()
}

/// When readings are sent.
struct Pace<'l> {
    life: &'l Life,
    runtime: &'l Handle,
    clock: crate::clock::Clock,
    speed: f64,
    /// The first recorded time, and when it was played.
    began: Option<(Nanos, Nanos)>,
}

impl Pace<'_> {
    /// Waits for the moment at which `recorded` is to be played; says which boot time that is.
    fn wait(&mut self, recorded: Nanos) -> Nanos {
        if self.clock.is_simulated() {
            self.life.beat();
            self.clock.advance_to(recorded);
            return recorded;
        }
        let (first, played) = *self.began.get_or_insert((recorded, self.clock.now()));
        let due = played + ((recorded - first) as f64 / self.speed) as Nanos;
        self.life.sleep_until(self.runtime, due);
        due
    }
}

/// Why a line or a cell gave no reading, or an odd one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    Empty,
    TooLong,
    NotText,
    Ragged,
    NoTime,
    NotANumber,
    Backwards,
    TooManyChannels,
}

impl Flaw {
    fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "an empty line",
            Self::TooLong => "longer than 64 KiB",
            Self::NotText => "not UTF-8",
            Self::Ragged => "not as many cells as the header",
            Self::NoTime => "no time that can be read; stamps look like 2026-11-22T05:00:00Z or 2026-11-22 05:00:00",
            Self::NotANumber => "not a number",
            Self::Backwards => "time runs backwards",
            Self::TooManyChannels => "more channels than a sensor can have",
        }
    }
}

/// What became of a file.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) lines: u64,
    pub(crate) readings: u64,
    flaws: BTreeMap<Flaw, (u64, u64)>,
}

impl Tally {
    pub(crate) fn count(&mut self, flaw: Flaw, line: u64) {
        self.flaws.entry(flaw).or_insert((0, line)).0 += 1;
    }

    pub(crate) fn has_flaws(&self) -> bool {
        !self.flaws.is_empty()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} lines, {} readings", self.lines, self.readings)?;
        self.flaws
            .iter()
            .try_for_each(|(flaw, (count, first))| write!(f, "; {count} × {} (first in line {first})", flaw.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Bench;
    use rstest::rstest;

    /// Plays `text` on a simulated clock.
    fn play(text: &str, keys: &str) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording.csv");
        std::fs::write(&path, text).unwrap();
        let mut bench = Bench::simulated(&format!("[sensor.pump]\ndriver = \"csv\"\npath = {path:?}\n{keys}"));
        bench.until_ended();
        bench
    }

    #[test]
    fn columns_are_channels_and_the_clock_follows_the_recording() {
        let bench = play(
            "timestamp,flow,label\n2020-03-09 10:14:33,125.0,0\n2020-03-09 10:14:34,126.5,0\n",
            "ignore = [\"label\"]",
        );
        assert_eq!(bench.gauges("pump/flow"), [(1_583_748_873_000_000_000, 125.0), (1_583_748_874_000_000_000, 126.5)]);
        assert_eq!(bench.gauges("pump/label"), []);
        assert_eq!(bench.clock.now(), 1_583_748_874_000_000_000);
    }

    #[test]
    fn one_reading_a_line_names_its_channel() {
        let bench = play("sensor,timestamp,value\nn07,1970-01-01 00:00:01,20\nn08,1970-01-01 00:00:02,21\n", "");
        assert_eq!(bench.gauges("pump/n07"), [(1_000_000_000, 20.0)]);
        assert_eq!(bench.gauges("pump/n08"), [(2_000_000_000, 21.0)]);
    }

    #[test]
    fn flaws_are_failed_readings_and_the_rest_goes_on() {
        let bench = play("timestamp,a,b\n1,1,2\n2,NaN,2\nnever,1,2\n3,1\n4,,9\n5,3,4\n", "");
        assert_eq!(bench.values("pump/a"), [1.0, 3.0]);
        assert_eq!(bench.values("pump/b"), [2.0, 2.0, 9.0, 4.0]);
        let failed = bench.failures("pump");
        assert_eq!(failed.len(), 4);
        assert!(failed[1].starts_with("line 4: no time that can be read"), "{failed:?}");
        assert_eq!(failed[2], "line 5: not as many cells as the header");
    }

    #[test]
    fn lines_that_are_too_long_or_no_text_do_no_harm() {
        let mut text = b"timestamp,a\n1,1\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 200_000));
        text.extend(b"\n\xff\xfe\n2,2\n");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.csv");
        std::fs::write(&path, text).unwrap();
        let mut bench = Bench::simulated(&format!("[sensor.pump]\ndriver = \"csv\"\npath = {path:?}"));
        bench.until_ended();
        assert_eq!(bench.values("pump/a"), [1.0, 2.0]);
        assert_eq!(bench.failures("pump"), ["line 3: longer than 64 KiB", "line 4: not UTF-8"]);
    }

    #[test]
    fn time_that_runs_backwards_is_delivered_for_the_filters_to_refuse() {
        let bench = play("timestamp;a\n2;1\n1;2\n", "");
        assert_eq!(bench.gauges("pump/a"), [(2_000_000_000, 1.0), (1_000_000_000, 2.0)]);
        assert_eq!(bench.clock.now(), 2_000_000_000, "the clock never does");
    }

    #[rstest]
    #[case("2026-11-22T05:00:00Z", Some(1_795_323_600))]
    #[case("2026-11-22T05:00:00+02:00", Some(1_795_316_400))]
    #[case("2026-11-22 05:00:00", Some(1_795_320_000))]
    #[case("1795323600", Some(1_795_323_600))]
    #[case("22.11.2026 05:00", None)]
    #[case("-5", None)]
    #[case("", None)]
    fn stamps_are_read_in_the_zone_they_are_in(#[case] text: &str, #[case] seconds: Option<i64>) {
        let zone = Offset::from_seconds(3600).unwrap();
        assert_eq!(nanos_of(text, zone), seconds.map(|s| s * 1_000_000_000));
    }

    #[test]
    fn a_zone_that_is_none_is_a_problem_of_the_configuration() {
        let report = Bench::problems("[sensor.pump]\ndriver = \"csv\"\npath = \"x\"\nzone = \"Berlin\"");
        assert_eq!(report[0].label, "must be \"UTC\" or an offset such as \"+02:00\"");
    }
}
