//! JSON lines on this machine's disk: rotated by size, capped in total, synced before they count as accepted.
//!
//! Guaranteed: an accepted record is on the disk, as far as the disk tells the truth. A line cut off by a crash is removed
//! when the file is next opened; its record was never accepted and comes again. Not guaranteed: that old records stay
//! (the oldest file goes when `max_total` is reached), and that a record stands there once (a batch whose answer was lost
//! is written again).
//!
//! ```toml
//! [sink.local]
//! kind = "file"
//! path = "/var/lib/weir/out"   # a folder: weir-00000001.jsonl, weir-00000002.jsonl, …
//! max_file = "16MiB"           # a file is closed at this size
//! max_total = "256MiB"         # the oldest file is deleted beyond this
//! ```

use super::{Entry, LINGER, Limits, Outcome, Outgoing, Sending, Sink, wire};
use crate::identity::Gateway;
use crate::section::{Section, Size};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The row of [`super::TABLE`].
pub(super) const ENTRY: Entry =
    Entry { name: "file", summary: "JSON lines on this machine's disk, rotated and capped", open };

/// `[sink.NAME]` with `kind = "file"`.
#[derive(Debug, Clone)]
struct Config {
    path: PathBuf,
    max_file: u64,
    max_total: u64,
}

impl Config {
    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let path = section.require::<PathBuf>("path", "\"/var/lib/weir/out\"");
        let size = |s: &Size| s.0 >= 4096;
        let max_file = section.take_checked("max_file", "must be at least 4KiB", size).map_or(16 << 20, |s| s.0);
        let max_total = section
            .take_checked("max_total", "must be at least twice `max_file`", |s: &Size| s.0 / 2 >= max_file)
            .map_or(max_file.saturating_mul(16), |s| s.0);
        Some(Self { path: path?, max_file, max_total })
    }
}

fn open(section: &mut Section<'_, '_>, gateway: &Gateway) -> Option<Box<dyn Sink>> {
    let config = Config::read(section)?;
    let writer = Writer { config, current: None, told_of_deleting: false };
    Some(Box::new(Files { gateway: gateway.id.clone(), writer: Arc::new(Mutex::new(writer)) }))
}

/// The sink.
struct Files {
    gateway: Box<str>,
    writer: Arc<Mutex<Writer>>,
}

impl Sink for Files {
    fn send<'a>(&'a self, batch: &'a [Outgoing]) -> Sending<'a> {
        let mut lines = Vec::new();
        for record in batch {
            wire::write(&self.gateway, record, &mut lines);
            lines.push(b'\n');
        }
        let writer = Arc::clone(&self.writer);
        let writing = move || writer.lock().unwrap_or_else(PoisonError::into_inner).append(&lines);
        Box::pin(async move {
            match tokio::task::spawn_blocking(writing).await {
                Ok(Ok(())) => Outcome::done(batch.len()),
                Ok(Err(why)) => Outcome::retry(0, why),
                Err(_) => Outcome::retry(0, "the gateway is shutting down"),
            }
        })
    }

    /// Every batch costs a sync, so that data waits for company; events do not.
    fn limits(&self) -> Limits {
        Limits { records: 1000, bytes: 512 << 10, linger: LINGER }
    }
}

/// Owns the folder.
struct Writer {
    config: Config,
    current: Option<Current>,
    told_of_deleting: bool,
}

/// The file that is being written; `length` bytes of it are known to be good.
struct Current {
    number: u64,
    file: File,
    length: u64,
}

impl Writer {
    /// Writes and syncs whole lines, all or none.
    fn append(&mut self, lines: &[u8]) -> Result<(), String> {
        let result = self.try_append(lines);
        if result.is_err() {
            // After a failed write or sync nobody knows what is on the disk: it is looked at again.
            self.current = None;
        }
        result.map_err(|error| explain(&self.config.path, &error))
    }

    fn try_append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut current = match self.current.take() {
            Some(current) => current,
            None => resume(&self.config.path)?,
        };
        let size = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if current.length > 0 && current.length.saturating_add(size) > self.config.max_file {
            current = create(&self.config.path, current.number + 1)?;
        }
        self.make_room(current.number, size)?;
        let written = current.file.write_all(lines).and_then(|()| current.file.sync_data());
        if let Err(error) = written {
            // Best effort: what cannot be cut off now is a duplicate or a partial line, removed when opened again.
            let _ = current.file.set_len(current.length);
            return Err(error);
        }
        current.length += size;
        self.current = Some(current);
        Ok(())
    }

    /// Deletes the oldest files until `size` more bytes fit.
    fn make_room(&mut self, current: u64, size: u64) -> io::Result<()> {
        let files = list(&self.config.path)?;
        let mut total = files.iter().map(|(_, length)| length).sum::<u64>().saturating_add(size);
        for (number, length) in files.into_iter().filter(|(number, _)| *number < current) {
            if total <= self.config.max_total {
                break;
            }
            fs::remove_file(file_path(&self.config.path, number))?;
            total -= length;
            if !std::mem::replace(&mut self.told_of_deleting, true) {
                let folder = self.config.path.display();
                tracing::warn!("{folder} has reached max_total: its oldest file was deleted, and more will be");
            }
        }
        Ok(())
    }
}

/// Goes on with the newest file of the folder, without a last line that a crash has cut off.
fn resume(folder: &Path) -> io::Result<Current> {
    fs::create_dir_all(folder)?;
    let Some((number, _)) = list(folder)?.pop() else { return create(folder, 1) };
    let mut file = OpenOptions::new().read(true).append(true).open(file_path(folder, number))?;
    let length = end_of_last_line(&mut file)?;
    if length < file.metadata()?.len() {
        file.set_len(length)?;
        file.sync_data()?;
    }
    Ok(Current { number, file, length })
}

fn create(folder: &Path, number: u64) -> io::Result<Current> {
    let file = OpenOptions::new().create_new(true).append(true).open(file_path(folder, number))?;
    File::open(folder)?.sync_all()?;
    Ok(Current { number, file, length: 0 })
}

/// The number of bytes up to and with the last line feed.
fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    const STEP: u64 = 64 << 10;
    let mut end = file.metadata()?.len();
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        chunk.clear();
        (&*file).take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Numbers and sizes of the folder's files, oldest first; whatever else lies there is left alone.
fn list(folder: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(file_number) {
            files.push((number, entry.metadata()?.len()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn file_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("weir-{number:08}.jsonl"))
}

fn file_number(name: &str) -> Option<u64> {
    name.strip_prefix("weir-")?.strip_suffix(".jsonl")?.parse().ok()
}

fn explain(folder: &Path, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space, or lower `max_total`",
        io::ErrorKind::PermissionDenied => "the user that runs weir must be allowed to write there",
        io::ErrorKind::ReadOnlyFilesystem => "mount it writable",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "`path` must be a folder",
        _ => "check the disk",
    };
    format!("{} cannot be written: {error}; {remedy}", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Then;
    use crate::sink::fixture::{self, samples};
    use tempfile::TempDir;

    fn sink(folder: &Path, more: &str) -> Box<dyn Sink> {
        fixture::open(&ENTRY, &format!("path = {:?}\n{more}", folder.display().to_string())).unwrap()
    }

    fn numbers(folder: &Path) -> Vec<u64> {
        let mut lines = Vec::new();
        for (number, _) in list(folder).unwrap() {
            let text = fs::read_to_string(file_path(folder, number)).unwrap();
            assert!(text.ends_with('\n'));
            lines.extend(
                text.lines()
                    .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap()),
            );
        }
        lines
    }

    #[tokio::test]
    async fn every_accepted_record_is_a_line_in_order() {
        let folder = TempDir::new().unwrap();
        let sink = sink(folder.path(), "");
        assert_eq!(sink.send(&samples(0..3)).await, Outcome::done(3));
        assert_eq!(sink.send(&samples(3..4)).await, Outcome::done(1));
        assert_eq!(numbers(folder.path()), [0, 1, 2, 3]);
    }

    #[tokio::test]
    async fn a_line_cut_off_by_a_crash_is_removed_and_writing_goes_on() {
        let folder = TempDir::new().unwrap();
        sink(folder.path(), "").send(&samples(0..2)).await;
        let mut file = OpenOptions::new().append(true).open(file_path(folder.path(), 1)).unwrap();
        // Longer than one step backwards through the file.
        file.write_all(&[b'x'; 100_000]).unwrap();
        sink(folder.path(), "").send(&samples(2..3)).await;
        assert_eq!(numbers(folder.path()), [0, 1, 2]);
    }

    #[tokio::test]
    async fn a_file_that_holds_no_whole_line_is_begun_again() {
        let folder = TempDir::new().unwrap();
        fs::write(file_path(folder.path(), 7), "{\"v\":1,").unwrap();
        sink(folder.path(), "").send(&samples(0..1)).await;
        assert_eq!(numbers(folder.path()), [0]);
        assert_eq!(list(folder.path()).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn files_are_rotated_and_the_oldest_go_first() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
        let sink = sink(folder.path(), "max_file = \"4KiB\"\nmax_total = \"12KiB\"");
        for n in 0..200 {
            assert_eq!(sink.send(&samples(n..n + 1)).await, Outcome::done(1));
            let total: u64 = list(folder.path()).unwrap().iter().map(|(_, length)| length).sum();
            assert!(total <= 12 << 10, "{total} bytes after record {n}");
        }
        let left = numbers(folder.path());
        let first = left[0];
        assert!(first > 0 && left.len() > 20);
        assert_eq!(left, (first..200).collect::<Vec<_>>());
        assert!(folder.path().join("notes.txt").exists());
    }

    #[tokio::test]
    async fn a_full_disk_is_said_and_tried_again() {
        let folder = TempDir::new().unwrap();
        std::os::unix::fs::symlink("/dev/full", file_path(folder.path(), 1)).unwrap();
        let sink = sink(folder.path(), "");
        let Outcome { accepted: 0, then: Then::Retry { why, .. } } = sink.send(&samples(0..2)).await else { panic!() };
        assert!(why.contains("free some space"), "{why}");
        fs::remove_file(file_path(folder.path(), 1)).unwrap();
        assert_eq!(sink.send(&samples(0..2)).await, Outcome::done(2));
        assert_eq!(numbers(folder.path()), [0, 1]);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_said() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("out");
        fs::write(&file, "").unwrap();
        let Then::Retry { why, .. } = sink(&file, "").send(&samples(0..1)).await.then else { panic!() };
        assert!(why.contains("must be a folder"), "{why}");
    }

    #[tokio::test]
    async fn two_lanes_never_mix_their_lines() {
        let folder = TempDir::new().unwrap();
        let sink = sink(folder.path(), "max_file = \"64KiB\"\nmax_total = \"10MiB\"");
        for round in 0..10 {
            let (events, data) = (samples(round..round + 1), samples(1000..1200));
            let (first, second) = tokio::join!(sink.send(&events), sink.send(&data));
            assert_eq!((first, second), (Outcome::done(1), Outcome::done(200)));
        }
        assert_eq!(numbers(folder.path()).len(), 2010);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let problems = fixture::open(&ENTRY, "path = \"x\"\nmax_file = \"1MiB\"\nmax_total = \"1MiB\"").err().unwrap();
        assert_eq!(problems[0].label, "must be at least twice `max_file`");
        let problems = fixture::open(&ENTRY, "").err().unwrap();
        assert_eq!(problems[0].help.as_deref(), Some("add a line such as: path = \"/var/lib/weir/out\""));
    }
}
