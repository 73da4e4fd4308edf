//! kill -9 at random points, and damage to every file: what was safe comes back, what is lost is announced.
//!
//! The short form runs with the other tests. The long one: `WEIR_TRIALS=2000 cargo test -p weir --lib buffer::tests::crash`.

use super::{NOW, all, crash, event, named, sample, summary_of, told};
use crate::buffer::*;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Tells the test binary that it is the process to be killed, and where its store is.
const CHILD: &str = "WEIR_BUFFER_CHILD";

/// So small that generations are rewritten and given up all the time.
const TINY: Config = Config { max_size: Size(3 << 20), ..SMALL };

const SMALL: Config = Config { max_size: Size(8 << 20), commit_every: Span(Duration::from_secs(3600)) };

fn trials(short: u64) -> u64 {
    std::env::var("WEIR_TRIALS").ok().and_then(|n| n.parse().ok()).unwrap_or(short)
}

/// Reproducible randomness: SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }
}

/// Not a test of its own: what the killed process does. Every summary stands for one reading.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (buffer, _) = Buffer::open(Path::new(&dir), &TINY, vec![all("far")]);
        let channels: Vec<_> = (0..20).map(|n| named(&format!("s{n}"))).collect();
        let mut alarms = buffer.reader("far", Class::Events);
        say("opened", 0, 0);
        for round in 0i64.. {
            let (mut readings, mut last) = (0, 0);
            for n in 0..400i64 {
                let at = (round * 20 + n / 20) * 60_000_000_000;
                last = buffer.append(summary_of(&channels[n as usize % 20], at, &[n as f64]));
                readings += 1;
            }
            let alarm = buffer.append(event(round));
            buffer.flush().await;
            say("safe", readings, last.max(alarm));
            if round % 3 == 0
                && let Some(batch) = alarms.next(&NOW).await
            {
                let upto = batch.last().unwrap().seq;
                say("answered", 0, upto);
                alarms.acknowledge(upto);
            }
        }
    });
}

fn say(what: &str, readings: u64, seq: Seq) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{what} {readings} {seq}").and_then(|()| out.flush()).unwrap();
}

fn start_child(dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "buffer::tests::crash::child", "--nocapture", "--test-threads=1"]).env(CHILD, dir);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// What the children of one store have promised so far.
#[derive(Default)]
struct Promised {
    readings: u64,
    events: BTreeSet<Seq>,
    answered: Seq,
}

impl Promised {
    /// Kills a child after a while and notes what it had said until then.
    fn kill(&mut self, dir: &Path, after: Duration) {
        let mut child = start_child(dir);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !lines.next().unwrap().unwrap().contains("@opened") {}
        std::thread::sleep(after);
        child.kill().unwrap();
        for line in lines.map_while(Result::ok) {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                ["@safe", readings, seq] => {
                    self.readings += readings.parse::<u64>().unwrap();
                    self.events.insert(seq.parse().unwrap());
                }
                ["@answered", _, seq] => self.answered = seq.parse().unwrap(),
                _ => {}
            }
        }
        child.wait().unwrap();
    }
}

/// kill -9 while records are written, committed, rewritten coarser and deleted.
#[tokio::test]
async fn killed_at_any_point_nothing_that_was_safe_is_lost() {
    let mut dice = Dice(1);
    let (mut left, mut readings, mut merged) = (trials(12), 0, 0);
    while left > 0 {
        let dir = tempfile::tempdir().unwrap();
        let mut promised = Promised::default();
        for _ in 0..left.min(24) {
            promised.kill(dir.path(), Duration::from_millis(dice.roll(700)));
            left -= 1;
        }
        merged += check_promises(dir.path(), &promised).await;
        readings += promised.readings;
    }
    println!("{} kills, {readings} readings ({merged} merged) and all alarms that were safe came back", trials(12));
}

/// How many records had been merged.
async fn check_promises(dir: &Path, promised: &Promised) -> u64 {
    let (buffer, opened) = Buffer::open(dir, &TINY, vec![all("far")]);
    assert!(opened.notices.iter().all(|notice| matches!(notice, Status::Void { .. })), "{:?}", opened.notices);
    assert_eq!(buffer.stats().trouble, None);
    let (mut data, mut alarms) = (buffer.reader("far", Class::Data), buffer.reader("far", Class::Events));
    buffer.end();
    let (mut readings, mut before) = (0, 0);
    while let Some(batch) = data.next(&NOW).await {
        for record in &batch {
            let Body::Summary(summary) = &record.draft.body else { panic!("{record:?}") };
            assert!(record.seq > before, "order holds");
            (readings, before) = (readings + u64::from(summary.count), record.seq);
        }
        data.acknowledge(before);
    }
    let evicted = buffer.stats().sinks[0].accounts[Class::Data as usize].evicted;
    assert!(readings >= promised.readings || evicted > 0, "{readings} readings of {} came back", promised.readings);
    let mut came = BTreeSet::new();
    while let Some(batch) = alarms.next(&NOW).await {
        came.extend(batch.iter().map(|record| record.seq));
        alarms.acknowledge(batch.last().unwrap().seq);
    }
    let missing: Vec<_> = promised.events.range(promised.answered + 1..).filter(|seq| !came.contains(seq)).collect();
    assert!(missing.is_empty(), "alarms {missing:?} did not come back");
    let stats = buffer.stats();
    assert!(stats.sinks[0].accounts.iter().all(|account| account.pending() == 0 && account.balances()), "{stats:?}");
    crash(buffer, dir);
    stats.sinks[0].accounts[Class::Data as usize].merged
}

/// A store with a few generations; the last ones of its records were never answered.
async fn template(dir: &Path) -> BTreeSet<Seq> {
    let (buffer, _) = Buffer::open(dir, &Config { max_size: Size(16 << 20), ..SMALL }, vec![all("far")]);
    let mut numbers = BTreeSet::new();
    let mut dice = Dice(3);
    for round in 0..80 {
        for _ in 0..500 {
            numbers.insert(buffer.append(sample(dice.roll(u64::MAX / 2) as i64)));
        }
        numbers.insert(buffer.append(event(round)));
        buffer.flush().await;
    }
    buffer.close().await;
    numbers
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    all.sort_unstable();
    all
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Flips a bit, cuts the end off, zeroes a page or deletes the file.
fn harm(file: &Path, dice: &mut Dice) -> String {
    let mut bytes = fs::read(file).unwrap();
    let at = dice.roll(bytes.len() as u64) as usize;
    let kind = if bytes.is_empty() { 3 } else { dice.roll(4) };
    match kind {
        0 => bytes[at] ^= 1 << dice.roll(8),
        1 => bytes.truncate(at),
        2 => bytes.iter_mut().skip(at & !4095).take(4096).for_each(|byte| *byte = 0),
        _ => {}
    }
    if kind == 3 {
        fs::remove_file(file).unwrap()
    } else {
        fs::write(file, bytes).unwrap()
    }
    format!("{} of {} at {at}", ["flip", "cut", "zero", "delete"][kind as usize], file.display())
}

/// Whatever is done to whichever file: it starts, nothing false is read, and what is lost is announced and counted.
#[tokio::test]
async fn damage_to_any_file_costs_no_more_than_what_it_hit() {
    let pristine = tempfile::tempdir().unwrap();
    let numbers = template(pristine.path()).await;
    let mut dice = Dice(2);
    let (mut harmless, mut lost_in_all) = (0, 0);
    for trial in 0..trials(16) {
        let dir = tempfile::tempdir().unwrap();
        copy(pristine.path(), dir.path());
        let all_files = files(dir.path());
        let what = harm(&all_files[dice.roll(all_files.len() as u64) as usize], &mut dice);
        let (buffer, opened) = Buffer::open(dir.path(), &SMALL, vec![all("far")]);
        assert_eq!(buffer.stats().trouble, None, "trial {trial}: {what}");
        let mut came = BTreeSet::new();
        let (mut data, mut alarms) = (buffer.reader("far", Class::Data), buffer.reader("far", Class::Events));
        buffer.end();
        for reader in [&mut data, &mut alarms] {
            while let Some(batch) = reader.next(&NOW).await {
                // A record may come twice: when a generation is rebuilt, whatever is unanswered is sent again.
                came.extend(batch.iter().map(|record| record.seq));
                reader.acknowledge(batch.last().unwrap().seq);
            }
        }
        assert!(came.is_subset(&numbers), "trial {trial}: {what}: something false was read");
        let notices = [opened.notices, told(&buffer)].concat();
        let lost: Vec<_> = numbers.difference(&came).filter(|seq| !is_announced(**seq, &notices)).collect();
        assert!(
            lost.is_empty(),
            "trial {trial}: {what}: {} lost unannounced, from {:?}: {notices:?}",
            lost.len(),
            lost[0]
        );
        let stats = buffer.stats();
        let accounts = &stats.sinks[0].accounts;
        assert!(accounts.iter().all(|a| a.pending() == 0 && a.balances()), "trial {trial}: {what}: {stats:?}");
        harmless += u64::from(came == numbers);
        lost_in_all += numbers.len() - came.len();
        crash(buffer, dir.path());
    }
    let (trials, records, files) = (trials(16), numbers.len(), files(pristine.path()).len());
    println!(
        "{trials} trials on {files} files, {records} records each: {harmless} cost nothing, {lost_in_all} records lost in all"
    );
}

fn is_announced(seq: Seq, notices: &[Status]) -> bool {
    notices.iter().any(|notice| match notice {
        Status::Void { from, to } | Status::Damaged { from, to, .. } => (*from..=*to).contains(&seq),
        _ => false,
    })
}
