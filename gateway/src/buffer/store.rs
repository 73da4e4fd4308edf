//! The log on disk: a series of generations, oldest first, the last of them being written.
//!
//! Records enter at the end, are read from any place, and leave a whole generation at a time. This file decides neither
//! what is worth storing nor when.

use super::fault::Fault;
use super::folder::{self, Name, Sealed};
use super::frame;
use super::generation::{Contents, Generation};
use super::identity::{self, Identity};
use super::page::{self, Page};
use super::salvage::{self, Damage};
use super::standing::Standing;
use super::{CLASSES, Class};
use crate::record::{Record, Seq};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The smallest generation that is worth a folder, in bytes.
const SMALLEST: u64 = 1 << 20;

/// The largest that is worth rewriting at once.
const LARGEST: u64 = 2 << 20;

/// The log.
pub(super) struct Store {
    dir: PathBuf,
    _lock: File,
    /// Who this is and which numbers it may use.
    pub(super) identity: Identity,
    sealed: Vec<Sealed>,
    name: Name,
    active: Generation,
    /// The sealed generation that was read last.
    open: Option<(Name, Generation)>,
    ledger: Option<Vec<u8>>,
    /// Bytes at which a generation is closed.
    full: u64,
    /// What was found damaged and has not been told yet.
    pub(super) damage: Vec<Damage>,
}

/// What was found when the store was opened.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Where everybody stood.
    pub(super) standing: Standing,
    /// Ledger of the last commit that had one.
    pub(super) ledger: Option<Vec<u8>>,
}

impl Store {
    /// Opens the store in `dir`, or makes one. Damage is set aside, salvaged and reported; only a disk that cannot be used
    /// is an error.
    pub(super) fn open(dir: &Path, max_size: u64) -> Result<(Self, Left), Fault> {
        fs::create_dir_all(dir).map_err(|e| Fault::io("create", dir, &e))?;
        let lock = lock(dir)?;
        let mut damage = Vec::new();
        let mut sealed = Vec::new();
        for name in folder::tidy(dir)? {
            sealed.push(inspect(dir, name, &mut damage)?);
        }
        let mut left = last_words(dir, &sealed, &mut damage)?;
        let (name, active) = reopen_newest(dir, &mut sealed, &mut damage)?;
        let extents = sealed.iter().map(|s| s.contents).chain([active.contents()]).flatten();
        let last = extents.map(|extent| extent.last).max().unwrap_or(0);
        left.standing.next = left.standing.next.max(last + 1);
        let identity = known_identity(dir, left.standing.next)?;
        let (ledger, full) = (left.ledger.clone(), (max_size / 16).clamp(SMALLEST, LARGEST));
        let (dir, open) = (dir.to_owned(), None);
        Ok((Self { dir, _lock: lock, identity, sealed, name, active, open, ledger, full, damage }, left))
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
        if self.active.bytes() >= self.full {
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
        let name = Name::plain(self.name.last + 1);
        let next = folder::create(&self.dir, name)?;
        let full = std::mem::replace(&mut self.active, next);
        self.sealed.push(folder::seal(self.name, full)?);
        self.name = name;
        Ok(())
    }

    /// Some records of a class after `after`. When there are no more, everything until `until` counts as read.
    pub(super) fn read(&mut self, class: Class, after: Seq, until: Seq) -> Result<Page, Fault> {
        let holds_more = |s: &&Sealed| s.contents[class as usize].last > after;
        let Some(sealed) = self.sealed.iter().find(holds_more).cloned() else {
            return page::read(&self.active, class, after, until);
        };
        page::read(self.open_sealed(sealed.name)?, class, after, sealed.contents[class as usize].last)
    }

    /// Opens a closed generation; the last one stays open, because more will be read from it.
    fn open_sealed(&mut self, name: Name) -> Result<&Generation, Fault> {
        let open = match self.open.take().filter(|(open, _)| *open == name) {
            Some((_, open)) => open,
            None => self.open_anew(name)?,
        };
        Ok(&self.open.insert((name, open)).1)
    }

    /// What is found damaged now is not what the note promised.
    fn open_anew(&mut self, name: Name) -> Result<Generation, Fault> {
        let before = self.damage.len();
        let open = salvage::open(&self.dir, name, &mut self.damage)?;
        if self.damage.len() > before
            && let Some(sealed) = self.sealed.iter_mut().find(|s| s.name == name)
        {
            sealed.contents = open.contents();
        }
        Ok(open)
    }

    /// Records on disk of a class after `after`.
    pub(super) fn count_after(&mut self, class: Class, after: Seq) -> Result<u64, Fault> {
        let extents = self.sealed.iter().map(|s| (s.name, s.contents[class as usize])).filter(|(_, e)| e.last > after);
        let (whole, partly): (Vec<_>, Vec<_>) = extents.partition(|(_, extent)| extent.first > after);
        let mut count: u64 = whole.iter().map(|(_, extent)| extent.count).sum();
        for (name, _) in partly {
            count += page::count(self.open_sealed(name)?, class, after)?;
        }
        Ok(count + page::count(&self.active, class, after)?)
    }

    /// Deletes what everybody has settled.
    pub(super) fn release(&mut self, standing: &Standing) -> Result<(), Fault> {
        let settled = |contents: &Contents| {
            Class::ALL.into_iter().all(|class| contents[class as usize].last <= standing.settled(class))
        };
        while let Some(at) = self.sealed.iter().position(|s| settled(&s.contents)) {
            let gone = self.sealed.remove(at);
            self.open.take_if(|(open, _)| *open == gone.name);
            folder::remove(&self.dir, gone.name)?;
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

/// What the newest generation that tells has to say about where everybody stood.
fn last_words(dir: &Path, sealed: &[Sealed], damage: &mut Vec<Damage>) -> Result<Left, Fault> {
    for sealed in sealed.iter().rev() {
        let generation = salvage::open(dir, sealed.name, damage)?;
        if let Some(standing) = generation.standing()? {
            return Ok(Left { standing, ledger: generation.ledger()? });
        }
    }
    Ok(Left::default())
}

/// The newest generation goes on being written, unless it has been rewritten since.
fn reopen_newest(dir: &Path, sealed: &mut Vec<Sealed>, damage: &mut Vec<Damage>) -> Result<(Name, Generation), Fault> {
    let newest = sealed.last().map(|s| s.name);
    match sealed.pop_if(|newest| newest.name.level == 0) {
        Some(newest) => {
            folder::unseal(dir, newest.name);
            Ok((newest.name, salvage::open(dir, newest.name, damage)?))
        }
        None => {
            let name = Name::plain(newest.map_or(1, |newest| newest.last + 1));
            Ok((name, folder::create(dir, name)?))
        }
    }
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

/// What a generation holds: from its own note, or by opening it, or by salvaging it.
fn inspect(dir: &Path, name: Name, damage: &mut Vec<Damage>) -> Result<Sealed, Fault> {
    match folder::noted(dir, name) {
        Some(sealed) => Ok(sealed),
        None => folder::seal(name, salvage::open(dir, name, damage)?),
    }
}
