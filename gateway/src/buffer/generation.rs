//! One small sled database: a stretch of the log.
//!
//! sled 0.34 asks for care, all of it measured: `flush` does not reach the disk, so the database file is synced on a handle
//! of our own; values stay far below the size at which sled moves them to files that it never syncs; any I/O error
//! poisons the database for good; opening a damaged one may panic. Every call is therefore wrapped by [`guarded`], and a
//! generation that has failed once is given up and opened again by its owner.

use super::block::{self, Dictionary, Run};
use super::fault::Fault;
use super::frame::{self, Kind};
use super::standing::Standing;
use super::{CLASSES, Class};
use crate::record::{Record, Seq};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A larger piece would not stay inside a sled page.
const PIECE: usize = 3 << 10;

/// Enough for the working set of an append-only database; sled's own default is a gigabyte.
const CACHE: u64 = 1 << 20;

/// Two seconds in all.
const LOCK_TRIES: u32 = 400;
const LOCK_WAIT: Duration = Duration::from_millis(5);

/// What a generation holds of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Extent {
    /// First number; meaningless when `count` is 0.
    pub(super) first: Seq,
    /// Last number; 0 when empty.
    pub(super) last: Seq,
    /// Records.
    pub(super) count: u64,
}

/// What a generation holds, by class.
pub(super) type Contents = [Extent; CLASSES];

/// An open generation.
pub(super) struct Generation {
    /// Its folder.
    pub(super) path: PathBuf,
    db: sled::Db,
    file: File,
    dictionary: Dictionary,
    runs: Vec<Run>,
}

impl Generation {
    /// Opens or creates the generation in `path`.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let db = open_patiently(path)?;
        let file = File::open(path.join("db")).map_err(|e| Fault::io("open", path, &e))?;
        let mut generation =
            Self { path: path.to_owned(), db, file, dictionary: Dictionary::default(), runs: Vec::new() };
        generation.index()?;
        Ok(generation)
    }

    /// Reads the dictionary and the keys; blocks stay on disk.
    fn index(&mut self) -> Result<(), Fault> {
        for page in self.entries(b"c")? {
            let raw = frame::unpack(Kind::Channels, &page.1);
            raw.and_then(|raw| self.dictionary.add_page(&raw))
                .ok_or_else(|| Fault::damaged(&self.path, "a page of the channel dictionary"))?;
        }
        let keys = guarded(&self.path, || self.db.scan_prefix(b"b").keys().collect::<Result<Vec<_>, _>>())?;
        self.runs = keys.iter().filter_map(|key| Run::from_key(key)).collect();
        Ok(())
    }

    fn entries(&self, prefix: &[u8]) -> Result<Vec<(sled::IVec, sled::IVec)>, Fault> {
        guarded(&self.path, || self.db.scan_prefix(prefix).collect())
    }

    /// Writes records (ascending, by class), where everybody stands if it is to be told here, and perhaps a ledger: all of
    /// it or nothing, on the disk when this returns.
    pub(super) fn commit(
        &mut self,
        records: [&[Arc<Record>]; CLASSES],
        standing: Option<&Standing>,
        ledger: Option<&[u8]>,
    ) -> Result<(), Fault> {
        let mut batch = sled::Batch::default();
        let mut runs = Vec::new();
        for (class, records) in Class::ALL.into_iter().zip(records) {
            for (run, block) in block::pack(class, records, &mut self.dictionary) {
                batch.insert(&run.key(), block);
                runs.push(run);
            }
        }
        for (key, page) in self.dictionary.take_pages() {
            batch.insert(&key, page);
        }
        if let Some(standing) = standing {
            batch.insert(b"z", frame::write(Kind::Standing, standing));
        }
        for (key, piece) in pieces(ledger) {
            batch.insert(&key, piece);
        }
        self.write(batch)?;
        self.runs.extend(runs);
        self.runs.sort_unstable();
        Ok(())
    }

    /// Puts blocks and pages into an empty generation as they were found in another.
    pub(super) fn restore(&mut self, frames: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), Fault> {
        let mut batch = sled::Batch::default();
        for (key, value) in frames {
            batch.insert(key, value);
        }
        self.write(batch)?;
        self.index()
    }

    fn write(&self, batch: sled::Batch) -> Result<(), Fault> {
        guarded(&self.path, || {
            self.db.apply_batch(batch)?;
            self.db.flush()
        })?;
        self.file.sync_data().map_err(|e| Fault::io("sync", &self.path, &e))
    }

    /// The blocks of a class that hold numbers after `after`, oldest first.
    pub(super) fn runs_after(&self, class: Class, after: Seq) -> impl Iterator<Item = Run> + '_ {
        self.runs.iter().copied().filter(move |run| run.class == class && run.last > after)
    }

    /// The records of a block; `Ok(None)` when only this block is damaged.
    pub(super) fn records(&self, run: Run) -> Result<Option<Vec<Arc<Record>>>, Fault> {
        let value = guarded(&self.path, || self.db.get(run.key()))?;
        let raw = value.and_then(|value| frame::unpack(Kind::Block, &value));
        Ok(raw.and_then(|raw| block::unpack(&raw, &self.dictionary)))
    }

    /// Where everybody stood at the last commit.
    pub(super) fn standing(&self) -> Result<Option<Standing>, Fault> {
        let value = guarded(&self.path, || self.db.get(b"z"))?;
        Ok(value.and_then(|value| frame::read(Kind::Standing, &value)))
    }

    /// The ledger of the last commit that had one.
    pub(super) fn ledger(&self) -> Result<Option<Vec<u8>>, Fault> {
        let entries = self.entries(b"l")?;
        let count = entries.first().and_then(|(_, first)| frame::read::<(u32, Vec<u8>)>(Kind::Piece, first));
        let Some((count, _)) = count else { return Ok(None) };
        let pieces = entries.iter().take(count as usize).map(|(_, p)| frame::read::<(u32, Vec<u8>)>(Kind::Piece, p));
        let all: Option<Vec<Vec<u8>>> = pieces.map(|p| p.map(|(_, bytes)| bytes)).collect();
        Ok(all.filter(|all| all.len() == count as usize).map(|all| all.concat()))
    }

    /// What it holds, by class.
    pub(super) fn contents(&self) -> Contents {
        let mut contents = Contents::default();
        for run in &self.runs {
            let extent = &mut contents[run.class as usize];
            if extent.count == 0 {
                extent.first = run.first;
            }
            extent.last = extent.last.max(run.last);
            extent.count += u64::from(run.count);
        }
        contents
    }

    /// Length of the database file.
    pub(super) fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |m| m.len())
    }
}

/// A database that was closed a moment ago may still be held by one of sled's own threads. Nobody else can hold it: the
/// store has a lock of its own.
fn open_patiently(path: &Path) -> Result<sled::Db, Fault> {
    let config = || sled::Config::new().path(path).cache_capacity(CACHE).flush_every_ms(None);
    let mut tries = 0;
    loop {
        match guarded(path, || config().open()) {
            Err(fault) if fault.is_lock() && tries < LOCK_TRIES => std::thread::sleep(LOCK_WAIT),
            other => return other,
        }
        tries += 1;
    }
}

/// A ledger in pieces that fit a page; each tells how many there are.
fn pieces(ledger: Option<&[u8]>) -> Vec<([u8; 5], Vec<u8>)> {
    let Some(bytes) = ledger else { return Vec::new() };
    let count = bytes.len().div_ceil(PIECE) as u32;
    let keys = (0u32..).map(|n| {
        let mut key = [b'l'; 5];
        key[1..].copy_from_slice(&n.to_be_bytes());
        key
    });
    keys.zip(bytes.chunks(PIECE)).map(|(key, piece)| (key, frame::write(Kind::Piece, &(count, piece)))).collect()
}

/// Calls sled, which may panic on damage, and says what went wrong where.
fn guarded<T>(path: &Path, call: impl FnOnce() -> sled::Result<T>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) => Err(Fault::io("use", path, &error)),
        Ok(Err(error)) => Err(Fault::damaged(path, &error.to_string())),
        Err(_) => Err(Fault::damaged(path, "sled panicked")),
    }
}
