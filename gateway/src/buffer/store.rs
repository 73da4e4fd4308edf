//! The log on disk: a series of generations, oldest first, the last of them being written.
//!
//! Records enter at the end, are read from any place, and leave a whole generation at a time. This file decides neither
//! what is worth storing nor when.

use super::fault::Fault;
use super::frame::{self, Kind};
use super::generation::{Contents, Generation};
use super::identity::{self, Identity};
use super::salvage;
use super::standing::Standing;
use super::{CLASSES, Class};
use crate::record::{Record, Seq};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// About as much is read at once.
const READ_RECORDS: usize = 512;

/// The smallest generation that is worth a folder, and the largest that is worth rewriting at once.
const GENERATION: (u64, u64) = (1 << 20, 2 << 20);

/// A generation that is no longer written.
#[derive(Debug)]
pub(super) struct Sealed {
    /// Its folder.
    pub(super) path: PathBuf,
    /// What it holds.
    pub(super) contents: Contents,
    /// What it takes on disk.
    pub(super) bytes: u64,
}

/// The log.
pub(super) struct Store {
    dir: PathBuf,
    _lock: File,
    /// Who this is and which numbers it may use.
    pub(super) identity: Identity,
    sealed: Vec<Sealed>,
    active: Generation,
    /// The sealed generation that was read last.
    open: Option<Generation>,
    ledger: Option<Vec<u8>>,
    limit: u64,
    /// Found since it was opened: first and last number that may be affected, and what happened.
    pub(super) damage: Vec<(Seq, Seq, String)>,
}

/// What was found when the store was opened.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Where everybody stood.
    pub(super) standing: Standing,
    /// Ledger of the last commit that had one.
    pub(super) ledger: Option<Vec<u8>>,
    /// What was damaged, in plain words, with the first and last number that may be affected.
    pub(super) damage: Vec<(Seq, Seq, String)>,
}

impl Store {
    /// Opens the store in `dir`, or makes one. Damage is set aside, salvaged and reported; only a disk that cannot be used
    /// is an error.
    pub(super) fn open(dir: &Path, max_size: u64) -> Result<(Self, Left), Fault> {
        fs::create_dir_all(dir).map_err(|e| Fault::io("create", dir, &e))?;
        let lock = lock(dir)?;
        let mut found = Left::default();
        let folders = salvage::tidy(dir, &mut found.damage)?;
        let mut sealed = Vec::new();
        for path in &folders {
            sealed.push(inspect(path, &mut found.damage)?);
        }
        let active = Self::take_newest(dir, &mut sealed, &mut found)?;
        let last = active.contents().iter().chain(sealed.iter().flat_map(|s| &s.contents)).map(|e| e.last).max();
        found.standing.next = found.standing.next.max(last.unwrap_or(0) + 1);
        let identity = known_identity(dir, found.standing.next)?;
        let ledger = found.ledger.clone();
        let limit = (max_size / 16).clamp(GENERATION.0, GENERATION.1);
        let store = Self {
            dir: dir.into(),
            _lock: lock,
            identity,
            sealed,
            active,
            open: None,
            ledger,
            limit,
            damage: Vec::new(),
        };
        Ok((store, found))
    }

    /// The newest generation becomes the one that is written; it also knows where everybody stood.
    fn take_newest(dir: &Path, sealed: &mut Vec<Sealed>, found: &mut Left) -> Result<Generation, Fault> {
        for known in sealed.iter().rev() {
            let generation = Generation::open(&known.path)?;
            if let Some(standing) = generation.standing()? {
                found.standing = standing;
                found.ledger = generation.ledger()?;
                break;
            }
        }
        match sealed.pop() {
            Some(newest) => {
                drop(fs::remove_file(newest.path.join(CONTENTS)));
                Generation::open(&newest.path)
            }
            None => create(dir, 1),
        }
    }

    /// Makes sure that numbers below `upto` may be used.
    pub(super) fn reserve(&mut self, upto: Seq) -> Result<(), Fault> {
        let next = Identity { epochs: self.identity.epochs.clone(), reserved: upto };
        next.store(&self.dir)?;
        self.identity = next;
        Ok(())
    }

    /// Writes records (ascending, by class) together with where everybody stands; on the disk when this returns.
    pub(super) fn commit(
        &mut self,
        records: [&[Arc<Record>]; CLASSES],
        standing: &Standing,
        ledger: Option<Vec<u8>>,
    ) -> Result<(), Fault> {
        if self.active.bytes() >= self.limit {
            self.rotate()?;
            self.ledger = ledger.or(self.ledger.take());
            return self.active.commit(records, standing, self.ledger.as_deref());
        }
        self.active.commit(records, standing, ledger.as_deref())?;
        self.ledger = ledger.or(self.ledger.take());
        Ok(())
    }

    /// Closes the generation being written and begins the next one.
    fn rotate(&mut self) -> Result<(), Fault> {
        let next = create(&self.dir, number_of(&self.active.path).unwrap_or(0) + 1)?;
        let full = std::mem::replace(&mut self.active, next);
        self.sealed.push(seal(full)?);
        crate::sys::trim_memory();
        Ok(())
    }

    /// Some records of a class after `after`. When there are no more, everything until `until` counts as read.
    pub(super) fn read(&mut self, class: Class, after: Seq, until: Seq) -> Result<Page, Fault> {
        let holds_more = |s: &&Sealed| s.contents[class as usize].last > after;
        let Some(sealed) = self.sealed.iter().find(holds_more) else {
            return read_from(&self.active, class, after, until);
        };
        let last = sealed.contents[class as usize].last;
        let open = match self.open.take().filter(|open| open.path == sealed.path) {
            Some(open) => open,
            None => salvage::open(&sealed.path, &mut self.damage)?,
        };
        let page = read_from(&open, class, after, last);
        self.open = Some(open);
        page
    }

    /// Deletes what everybody has settled.
    pub(super) fn release(&mut self, standing: &Standing) -> Result<(), Fault> {
        let settled = |contents: &Contents| {
            Class::ALL.into_iter().all(|class| contents[class as usize].last <= standing.settled(class))
        };
        while let Some(at) = self.sealed.iter().position(|s| settled(&s.contents)) {
            let gone = self.sealed.remove(at);
            self.open.take_if(|open| open.path == gone.path);
            salvage::remove_folder(&self.dir, &gone.path)?;
        }
        Ok(())
    }

    /// Highest number on disk of a class.
    pub(super) fn last(&self, class: Class) -> Seq {
        let active = self.active.contents();
        let all = self.sealed.iter().map(|s| &s.contents).chain([&active]);
        all.map(|contents| contents[class as usize].last).max().unwrap_or(0)
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.sealed.iter().map(|s| s.bytes).sum::<u64>() + self.active.bytes()
    }

    /// Puts a small file beside the generations.
    pub(super) fn put_file(&self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        identity::replace(&self.dir, name, &frame::pack_large(bytes))
    }

    /// The inverse of [`put_file`](Self::put_file); `None` when it is not there or damaged.
    pub(super) fn file(&self, name: &str) -> Option<Vec<u8>> {
        frame::unpack_large(&fs::read(self.dir.join(name)).ok()?)
    }
}

/// What was read from the log.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// In order.
    pub(super) found: Vec<Found>,
    /// Nothing up to this number is missing from `found`.
    pub(super) upto: Seq,
}

/// A record, or a hole where some were.
#[derive(Debug)]
pub(super) enum Found {
    /// A record.
    Record(Arc<Record>),
    /// A block that cannot be read any more.
    Lost {
        /// First number that it held.
        from: Seq,
        /// Last number that it held.
        to: Seq,
        /// How many records of the class.
        records: u64,
    },
}

impl Found {
    /// Its (last) number.
    pub(super) fn seq(&self) -> Seq {
        match self {
            Self::Record(record) => record.seq,
            Self::Lost { to, .. } => *to,
        }
    }
}

/// Blocks of one generation; `end` when it has no more.
fn read_from(generation: &Generation, class: Class, after: Seq, end: Seq) -> Result<Page, Fault> {
    let mut page = Page::default();
    for run in generation.runs_after(class, after) {
        if page.found.len() >= READ_RECORDS {
            return Ok(page);
        }
        page.upto = run.last;
        match generation.records(run)? {
            Some(records) => page.found.extend(records.into_iter().filter(|r| r.seq > after).map(Found::Record)),
            None => page.found.push(Found::Lost { from: run.first, to: run.last, records: u64::from(run.count) }),
        }
    }
    page.upto = page.upto.max(end);
    Ok(page)
}

/// Nobody else may use the store at the same time.
fn lock(dir: &Path) -> Result<File, Fault> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(|e| Fault::io("create", &path, &e))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|e| Fault::io("lock (is another weir running on this store?)", &path, &e.into()))?;
    Ok(file)
}

/// The identity file, or a new epoch when it is lost.
fn known_identity(dir: &Path, next: Seq) -> Result<Identity, Fault> {
    if let Some(identity) = Identity::load(dir) {
        return Ok(identity);
    }
    let identity = Identity::fresh(next);
    identity.store(dir)?;
    Ok(identity)
}

const CONTENTS: &str = "contents";

fn create(dir: &Path, number: u64) -> Result<Generation, Fault> {
    let generation = Generation::open(&dir.join(format!("g{number:010}")))?;
    salvage::sync_folder(&generation.path)?;
    salvage::sync_folder(dir)?;
    Ok(generation)
}

/// The number of a generation's folder.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix('g')?.parse().ok()
}

/// Writes down what a generation holds, so that it need not be opened to know.
fn seal(generation: Generation) -> Result<Sealed, Fault> {
    let sealed = Sealed { path: generation.path.clone(), contents: generation.contents(), bytes: generation.bytes() };
    let bytes = frame::write(Kind::Contents, &(&sealed.contents, sealed.bytes));
    identity::replace(&sealed.path, CONTENTS, &bytes)?;
    Ok(sealed)
}

/// What a generation holds: from its own note, or by opening it, or by salvaging it.
fn inspect(path: &Path, damage: &mut Vec<(Seq, Seq, String)>) -> Result<Sealed, Fault> {
    let note = fs::read(path.join(CONTENTS)).ok();
    if let Some((contents, bytes)) = note.and_then(|note| frame::read(Kind::Contents, &note)) {
        return Ok(Sealed { path: path.into(), contents, bytes });
    }
    let generation = salvage::open(path, damage)?;
    Ok(Sealed { path: path.into(), contents: generation.contents(), bytes: generation.bytes() })
}
