//! `driver = "exec"`: what a program prints, run again every so often. For everything that has no driver yet.
//!
//! ```toml
//! [sensor.ups]
//! driver = "exec"
//! command = ["upsc", "office@localhost"]
//! match = 'battery.charge: (?<charge>\d+)'   # or `columns`, `format`, `path` of a channel, as for serial lines
//! every = "10s"
//! timeout = "5s"
//! ```
//!
//! The program is started directly, without a shell, as Weir's user. One that takes longer than `timeout` is killed; one
//! that fails is a failed poll, with the start of what it said on stderr. At most 64 KiB of its output are read. It must not
//! leave children behind that keep its output open.

use super::delivery::Delivery;
use super::extract::{Extract, excerpt};
use super::grid::Grid;
use super::poll::nanos;
use super::trouble::Trouble;
use super::{Closed, Draft, Entry, Feed, Life, Open, Running, Source, thread};
use crate::registry::Declared;
use crate::section::Span;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

pub(super) const ENTRY: Entry =
    Entry { name: "exec", summary: "what a program prints, run every so often", open: Open::Alone(open) };

/// What a pipe holds: a program that prints more is stopped by its own output, and then by `timeout`.
const LONGEST_OUTPUT: u64 = 64 << 10;

fn open(draft: Draft<'_, '_>) -> Option<Box<dyn Source>> {
    let every = draft.require_every();
    let Draft { mut section, channels, .. } = draft;
    let name = section.key().into();
    let command = section.require::<Vec<String>>("command", "[\"upsc\", \"office@localhost\"]");
    if command.as_ref().is_some_and(Vec::is_empty) {
        section.report(section.place(), format!("`command` in [{}] is empty", section.name()), "this sensor", None);
    }
    let timeout = section.take_checked("timeout", "must be 1ms to 1h", |t: &Span| {
        (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&t.0)
    });
    let extract = Extract::read(&mut section, channels);
    section.finish();
    let timeout = timeout.map_or(Duration::from_secs(5), |t| t.0);
    Some(Box::new(Program { name, command: command?, timeout, every: every?, extract: extract? }))
}

struct Program {
    name: Box<str>,
    command: Vec<String>,
    timeout: Duration,
    every: Duration,
    extract: Extract,
}

impl Source for Program {
    fn channels(&self) -> Vec<Vec<Declared>> {
        vec![self.extract.channels.clone()]
    }

    fn run(self: Box<Self>, feeds: Vec<Feed>, life: Life) -> Running {
        thread::run(life, move |life, runtime| {
            let Some(feed) = feeds.into_iter().next() else { return };
            let mut delivery = Delivery::new(feed);
            let mut grid = Grid::new(delivery.now(), self.every);
            let mut trouble = Trouble::new(self.name.clone(), self.every);
            let mut next = grid.due();
            while life.sleep_until(runtime, next) {
                match runtime.block_on(self.poll(&mut delivery, &mut grid, &mut trouble, life)) {
                    Ok(wait) => next = grid.due().max(delivery.now() + nanos(wait)),
                    Err(Closed) => return,
                }
            }
            finish(&delivery, &mut grid, runtime);
        })
    }
}

fn finish(delivery: &Delivery, grid: &mut Grid, runtime: &Handle) {
    let missed = grid.finish(delivery.now());
    let _ = runtime.block_on(delivery.miss(missed));
}

impl Program {
    /// One poll; how long to wait at least before the next one.
    async fn poll(
        &self,
        delivery: &mut Delivery,
        grid: &mut Grid,
        trouble: &mut Trouble,
        life: &Life,
    ) -> Result<Duration, Closed> {
        let at = delivery.now();
        delivery.miss(grid.begin(at)).await?;
        grid.end();
        let output = self.output(life);
        match output.as_ref().map_err(Clone::clone).and_then(|output| self.extract.find(output)) {
            Ok(found) => {
                trouble.over();
                delivery.send(found, at).await?;
                Ok(Duration::ZERO)
            }
            Err(why) => {
                let why = format!("{} {why}", self.command[0]);
                delivery.fail(&why).await?;
                Ok(trouble.failed(&why, delivery.now()))
            }
        }
    }

    /// Runs the program to its end; what it printed.
    fn output(&self, life: &Life) -> Result<String, String> {
        let mut child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot be started: {error}; is it installed, and its path right?"))?;
        let ended = self.wait(&mut child, life);
        if ended.is_none() {
            let _ = child.kill();
        }
        // Also takes away what the kernel keeps of a child that has ended.
        let status = child.wait().map_err(|error| error.to_string())?;
        if ended.is_none() {
            return Err(format!("took longer than {:?} and was killed", self.timeout));
        }
        if !status.success() {
            return Err(format!("failed ({status}): {}", excerpt(&text(child.stderr.take()))));
        }
        Ok(text(child.stdout.take()))
    }

    /// `None` when it takes too long or the gateway is shutting down.
    fn wait(&self, child: &mut Child, life: &Life) -> Option<()> {
        let begin = Instant::now();
        while begin.elapsed() < self.timeout && !life.is_over() {
            life.beat();
            if !matches!(child.try_wait(), Ok(None)) {
                return Some(());
            }
            sleep(Duration::from_millis(2));
        }
        None
    }
}

fn text(from: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    let _ = from.map(|from| from.take(LONGEST_OUTPUT).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use crate::source::testing::Bench;

    fn start(command: &str, keys: &str) -> Bench {
        Bench::start(&format!("[sensor.p]\ndriver = \"exec\"\nevery = \"50ms\"\ncommand = {command}\n{keys}"))
    }

    #[test]
    fn what_a_program_prints_becomes_readings() {
        let mut bench = start("[\"printf\", \"charge: 93\\\\nload: 12\\\\n\"]", "match = 'charge: (?<charge>\\d+)'");
        bench.until(|b| b.values("p/charge").len() >= 2);
        assert_eq!(bench.values("p/charge")[0], 93.0);
        bench.stop();
    }

    #[test]
    fn a_program_that_fails_says_why() {
        let mut bench = start("[\"sh\", \"-c\", \"echo no such UPS >&2; exit 3\"]", "");
        bench.until(|b| !b.failures("p").is_empty());
        assert_eq!(bench.failures("p")[0], "sh failed (exit status: 3): \"no such UPS\\n\"");
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let mut bench = start("[\"sleep\", \"1000\"]", "timeout = \"30ms\"");
        bench.until(|b| b.failures("p").len() >= 2);
        assert_eq!(bench.failures("p")[0], "sleep took longer than 30ms and was killed");
    }

    #[test]
    fn a_program_that_is_not_there_is_said_so() {
        let mut bench = start("[\"/nowhere/program\"]", "");
        bench.until(|b| !b.failures("p").is_empty());
        assert!(bench.failures("p")[0].starts_with("/nowhere/program cannot be started: "));
    }
}
