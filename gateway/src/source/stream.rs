//! A device on a serial line of its own: lines of text (`driver = "text"`) or the frames of a known device, which talks by
//! itself or is asked every so often.
//!
//! The port is opened again and again until it is there, and again when it goes away. Bytes are cut into lines or frames of
//! limited length; what is damaged is a failed reading, and the next one counts again.

use super::delivery::Delivery;
use super::extract::{Extract, Found, excerpt};
use super::poll::{declared, measured};
use super::serial::{PORT_GONE, Port};
use super::trouble::Trouble;
use super::{Carries, Closed, Draft, Entry, Feed, Life, Open, Running, Source, check_channel, device};
use crate::registry::Declared;
use crate::section::Section;
use regex::Regex;
use std::borrow::Cow;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{MissedTickBehavior, interval};
use tokio_serial::SerialStream;
use weir_drivers::{Channel, Connection, Framing, Measurements};

pub(super) const ENTRY: Entry = Entry {
    name: "text",
    summary: "lines of text from a serial port: `match` with named groups, `columns`, or JSON",
    open: Open::On(Carries::Serial),
};

/// A line of a sensor is shorter; a longer one is another device or a wrong baud rate.
const LONGEST_LINE: usize = 4096;

/// First wait before a port is opened again.
const RETRY: Duration = Duration::from_millis(200);

/// How often a device that waits to be asked is asked, unless `every` says otherwise.
const EVERY: Duration = Duration::from_secs(1);

/// Reads the one sensor of a port.
pub(super) fn open(port: Port, draft: Draft<'_, '_>) -> Option<Box<dyn Source>> {
    let device = weir_drivers::find(draft.driver_name());
    let Draft { mut section, channels, every, .. } = draft;
    let name = section.key().into();
    let framer = match device.map(|device| (device, device.connection)) {
        Some((device, Connection::Serial { open, .. })) => {
            let options = device::read_options(&mut section, device.settings);
            let known: Vec<_> = device.channels.iter().map(|c| c.name).collect();
            channels.into_iter().for_each(|channel| check_channel(channel, device.name, &known));
            let framing =
                open(&options).map_err(|e| section.report(section.place(), e.to_string(), "this sensor", None));
            framing.ok().map(Framer::Device)
        }
        _ => Lines::read(&mut section, channels).map(Framer::Lines),
    };
    section.finish();
    Some(Box::new(Stream { name, port, framer: framer?, every: every.unwrap_or(EVERY) }))
}

struct Stream {
    name: Box<str>,
    port: Port,
    framer: Framer,
    every: Duration,
}

impl Source for Stream {
    fn channels(&self) -> Vec<Vec<Declared>> {
        vec![self.framer.channels()]
    }

    fn run(self: Box<Self>, feeds: Vec<Feed>, life: Life) -> Running {
        Box::pin(async move {
            let Some(feed) = feeds.into_iter().next() else { return };
            let mut trouble = Trouble::new(self.name, RETRY);
            let mut talk = Talk { delivery: Delivery::new(feed), framer: self.framer, every: self.every };
            loop {
                let end = life.until_over(talk.listen(&self.port, &mut trouble)).await;
                let Some(Ok(why)) = end else { return };
                let wait = trouble.failed(&why, talk.delivery.now());
                if talk.delivery.fail(&why).await == Err(Closed) || !life.sleep(wait).await {
                    return;
                }
            }
        })
    }
}

/// A conversation with a device: it talks by itself, or answers one question that is asked again and again.
struct Talk {
    delivery: Delivery,
    framer: Framer,
    every: Duration,
}

impl Talk {
    /// Listens until the port goes away; says why.
    async fn listen(&mut self, port: &Port, trouble: &mut Trouble) -> Result<String, Closed> {
        let mut stream = match port.open() {
            Ok(stream) => stream,
            Err(why) => return Ok(why),
        };
        self.framer.restart();
        let question = self.framer.question();
        let mut questions = interval(self.every);
        questions.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut is_unanswered = false;
        let mut buffer = [0; 512];
        loop {
            tokio::select! {
                bytes = read(&mut stream, &mut buffer) => match bytes {
                    Ok(bytes) => {
                        trouble.over();
                        is_unanswered = false;
                        self.take(bytes).await?;
                    }
                    Err(why) => return Ok(why),
                },
                _ = questions.tick(), if question.is_some() => {
                    if is_unanswered {
                        self.delivery.fail("the device does not answer: check its power, and that RX and TX are crossed").await?;
                    }
                    is_unanswered = true;
                    if let Err(error) = stream.write_all(question.unwrap_or_default()).await {
                        return Ok(format!("{PORT_GONE} ({error})"));
                    }
                }
            }
        }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        let at = self.delivery.now();
        for byte in bytes {
            match self.framer.push(*byte) {
                Some(Ok(found)) => self.delivery.send(found, at).await?,
                Some(Err(why)) => self.delivery.fail(&why).await?,
                None => {}
            }
        }
        Ok(())
    }
}

/// Some bytes; none at all means that the adapter has been unplugged.
async fn read<'b>(stream: &mut SerialStream, buffer: &'b mut [u8]) -> Result<&'b [u8], String> {
    match stream.read(buffer).await {
        Ok(0) => Err(PORT_GONE.into()),
        Ok(count) => Ok(&buffer[..count]),
        Err(error) => Err(format!("{PORT_GONE} ({error})")),
    }
}

/// From bytes to values.
enum Framer {
    Lines(Lines),
    Device(Box<dyn Framing + Send>),
}

impl Framer {
    fn channels(&self) -> Vec<Declared> {
        match self {
            Self::Lines(lines) => lines.extract.channels.clone(),
            Self::Device(framing) => framing.channels().iter().map(declared).collect(),
        }
    }

    /// The port has been opened: what comes first may be the rest of something.
    fn restart(&mut self) {
        if let Self::Lines(lines) = self {
            lines.buffer.clear();
            lines.skipping = true;
        }
    }

    /// What the device waits for before it talks.
    fn question(&self) -> Option<&'static [u8]> {
        match self {
            Self::Lines(_) => None,
            Self::Device(framing) => framing.request(),
        }
    }

    /// What a byte has completed, if it has completed anything.
    fn push(&mut self, byte: u8) -> Option<Result<Vec<Found<'_>>, String>> {
        match self {
            Self::Lines(lines) => lines.push(byte),
            Self::Device(framing) => {
                let mut out = Measurements::new();
                match framing.push(byte, &mut out) {
                    Ok(false) => None,
                    Ok(true) => Some(Ok(found(framing.channels(), &out))),
                    Err(error) => Some(Err(error.to_string())),
                }
            }
        }
    }
}

fn found<'c>(channels: &'c [Channel], out: &Measurements) -> Vec<Found<'c>> {
    let one = |m: &weir_drivers::Measurement| {
        let channel = channels.get(usize::from(m.channel))?;
        Some(Found { name: Cow::Borrowed(channel.name), declared: None, value: Ok(measured(channel.kind, m)) })
    };
    out.iter().filter_map(one).collect()
}

/// Lines of text, ended by CR, LF or both.
struct Lines {
    extract: Extract,
    ignore: Option<Regex>,
    buffer: Vec<u8>,
    line: String,
    /// Until the next end of line nothing counts: it is the rest of something.
    skipping: bool,
}

impl Lines {
    fn read(section: &mut Section<'_, '_>, channels: Vec<Section<'_, '_>>) -> Option<Self> {
        let extract = Extract::read(section, channels);
        let ignore = section.take_spanned::<String>("ignore").and_then(|pattern| {
            let refuse = |error: regex::Error| {
                let message = format!("`ignore` in [{}] cannot be used", section.name());
                section.report(pattern.span(), message, error.to_string(), None);
            };
            Regex::new(pattern.get_ref()).map_err(refuse).ok()
        });
        Some(Self { extract: extract?, ignore, buffer: Vec::new(), line: String::new(), skipping: false })
    }

    fn push(&mut self, byte: u8) -> Option<Result<Vec<Found<'_>>, String>> {
        if !matches!(byte, b'\n' | b'\r') {
            return self.keep(byte).map(Err);
        }
        let ended_skipping = std::mem::take(&mut self.skipping);
        self.line = String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned();
        let is_ignored = self.ignore.as_ref().is_some_and(|ignore| ignore.is_match(&self.line));
        if ended_skipping || self.line.trim().is_empty() || is_ignored {
            return None;
        }
        Some(self.extract.find(&self.line).map_err(|why| format!("the line {why}")))
    }

    /// Says why if the line is too long by now.
    fn keep(&mut self, byte: u8) -> Option<String> {
        if self.skipping {
            return None;
        }
        self.buffer.push(byte);
        if self.buffer.len() <= LONGEST_LINE {
            return None;
        }
        let start = String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned();
        self.skipping = true;
        Some(format!(
            "no end of line within {LONGEST_LINE} bytes: check `baud` and `parity`; it begins {}",
            excerpt(&start)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::pty::Pty;
    use super::LONGEST_LINE;
    use crate::source::Measured;
    use crate::source::testing::Bench;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn start(device: &Path, keys: &str) -> Bench {
        Bench::start(&format!(
            "[bus.port]\nkind = \"serial\"\ndevice = {device:?}\nbaud = 115200\n[sensor.scale]\ndriver = \"text\"\nbus = \"port\"\n{keys}"
        ))
    }

    const WEIGHT: &str = "match = '(?<weight>[0-9.]+) kg'";

    /// Lines sent before the port is open are lost: says them until the sensor has heard one.
    fn talk(bench: &mut Bench, pty: &mut Pty, line: &str, heard: impl Fn(&Bench) -> bool) {
        bench.until_nudged(|| pty.send(line.as_bytes()), heard);
    }

    #[test]
    fn lines_become_readings() {
        let mut pty = Pty::open().unwrap();
        let mut bench = start(&pty.path(), WEIGHT);
        talk(&mut bench, &mut pty, "12.5 kg\r\n", |b| b.values("scale/weight").len() >= 3);
        assert!(bench.values("scale/weight").iter().all(|v| *v == 12.5));
        bench.stop();
    }

    #[test]
    fn the_rest_of_a_line_that_began_before_is_no_value() {
        let mut pty = Pty::open().unwrap();
        pty.send(b"2.5 kg\n");
        let mut bench = start(&pty.path(), WEIGHT);
        talk(&mut bench, &mut pty, "12.5 kg\n", |b| !b.values("scale/weight").is_empty());
        assert_eq!(bench.values("scale/weight")[0], 12.5);
    }

    #[test]
    fn a_port_that_goes_away_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("port");
        let mut pty = Pty::open().unwrap();
        symlink(pty.path(), &link).unwrap();
        let mut bench = start(&link, WEIGHT);
        talk(&mut bench, &mut pty, "1 kg\n", |b| !b.values("scale/weight").is_empty());
        std::fs::remove_file(&link).unwrap();
        drop(pty);
        bench.until(|b| b.failures("scale").len() >= 2);
        let why = bench.failures("scale");
        assert!(why[0].starts_with("the serial port has disappeared"), "{why:?}");
        assert!(why[1].contains("is not there: plug the adapter in"), "{why:?}");
        let mut pty = Pty::open().unwrap();
        symlink(pty.path(), &link).unwrap();
        talk(&mut bench, &mut pty, "2 kg\n", |b| b.values("scale/weight").contains(&2.0));
    }

    #[test]
    fn garbage_and_endless_lines_fail_and_the_next_line_counts() {
        let mut pty = Pty::open().unwrap();
        let mut bench = start(&pty.path(), WEIGHT);
        talk(&mut bench, &mut pty, "1 kg\n", |b| !b.values("scale/weight").is_empty());
        pty.send(b"\xff\xfe\x00 gr\n");
        bench.until(|b| b.failures("scale").iter().any(|why| why.starts_with("the line does not match")));
        let mut left = LONGEST_LINE + 100;
        bench.until_nudged(
            || {
                pty.send(&vec![b'x'; left.min(512)]);
                left = left.saturating_sub(512);
            },
            |b| b.failures("scale").iter().any(|why| why.starts_with("no end of line within 4096 bytes: check `baud`")),
        );
        talk(&mut bench, &mut pty, "\n3 kg\n", |b| b.values("scale/weight").contains(&3.0));
    }

    #[test]
    fn types_units_and_ignored_lines_are_respected() {
        let mut pty = Pty::open().unwrap();
        let keys = "columns = [\"total\", \"door\"]\nignore = '^#'\nchannel.total = { kind = \"counter\", unit = \"W.h\" }\nchannel.door.kind = \"state\"";
        let mut bench = start(&pty.path(), keys);
        talk(&mut bench, &mut pty, "# hello\n42,open\n", |b| !b.measured("scale/door").is_empty());
        assert_eq!(bench.measured("scale/total")[0], Measured::Counter(42));
        assert_eq!(bench.measured("scale/door")[0], Measured::State(1));
        assert_eq!(bench.failures("scale"), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_is_no_port_is_said_so() {
        let mut bench = start(Path::new("/dev/null"), WEIGHT);
        bench.until(|b| !b.failures("scale").is_empty());
        assert!(bench.failures("scale")[0].starts_with("/dev/null cannot be opened"), "{:?}", bench.failures("scale"));
    }

    #[test]
    fn two_talkers_on_one_line_are_a_problem() {
        let sensor = |name| format!("[sensor.{name}]\ndriver = \"text\"\nbus = \"p\"\n");
        let problems = Bench::problems(&format!(
            "[bus.p]\nkind = \"serial\"\ndevice = \"/dev/ttyS0\"\n{}{}",
            sensor("a"),
            sensor("b")
        ));
        assert_eq!(problems[0].message, "[bus.p] has more than one device, and not all of them speak Modbus");
    }
}
