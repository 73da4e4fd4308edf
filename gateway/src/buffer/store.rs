//! The log on disk: a series of generations, oldest first, the last of them being written.
//!
//! Records enter at the end, are read from any place, and leave a whole generation at a time. This file decides neither
//! what is worth storing nor when.

use super::decay::{self, Coarsener};
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

/// Sled takes half a megabyte at a time, and does not survive being refused.
const NEEDED: u64 = 2 << 20;

/// So many generations are rewritten together.
const GROUP: usize = 4;

/// A generation that has been rewritten and does not count yet.
pub(super) struct Rewritten {
    name: Name,
    draft: Generation,
    /// What is no longer there.
    pub(super) removed: Vec<Arc<Record>>,
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
        let mut damage = Vec::new();
        loop {
            match Self::open_intact(dir, max_size, &mut damage) {
                Err(Fault::Damaged { path, .. }) if salvage::repair(dir, &path, &mut damage) => {}
                other => {
                    return other.map(|(mut store, left)| {
                        store.damage = damage;
                        (store, left)
                    });
                }
            }
        }
    }

    fn open_intact(dir: &Path, max_size: u64, damage: &mut Vec<Damage>) -> Result<(Self, Left), Fault> {
        let lock = lock(dir)?;
        let mut sealed = Vec::new();
        for name in folder::tidy(dir)? {
            sealed.push(inspect(dir, name, damage)?);
        }
        let mut left = last_words(dir, &sealed, damage)?;
        let (name, active) = reopen_newest(dir, &mut sealed, damage)?;
        let extents = sealed.iter().map(|s| s.contents).chain([active.contents()]).flatten();
        let last = extents.map(|extent| extent.last).max().unwrap_or(0);
        left.standing.next = left.standing.next.max(last + 1);
        let identity = known_identity(dir, left.standing.next)?;
        let (ledger, full) = (left.ledger.clone(), (max_size / 16).clamp(SMALLEST, LARGEST));
        let (dir, open) = (dir.to_owned(), None);
        let damage = Vec::new();
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
        let left = self.available();
        if left < NEEDED {
            return Err(Fault::Full { path: self.dir.clone(), left });
        }
        if self.active.bytes() >= self.full {
            self.rotate()?;
            self.ledger = ledger.or(self.ledger.take());
            return self.active.commit(records, Some(standing), self.ledger.as_deref());
        }
        self.active.commit(records, Some(standing), ledger.as_deref())?;
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

    /// What is found now may be less than the note promised: sled takes a cut-off file for a crash and says nothing.
    fn open_anew(&mut self, name: Name) -> Result<Generation, Fault> {
        let mut open = salvage::open(&self.dir, name, &mut self.damage)?;
        let Some(sealed) = self.sealed.iter_mut().find(|s| s.name == name) else { return Ok(open) };
        if open.contents() != sealed.contents && self.damage.iter().all(|damage| damage.name != name) {
            drop(open);
            open = salvage::rebuild(&self.dir, name, "records are missing", &mut self.damage)?;
        }
        sealed.contents = open.contents();
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

    /// The oldest generations that can be rewritten together at a level: next to each other, coarser than none of them is
    /// already, and not being read just now.
    pub(super) fn group(&self, level: u8, can: impl Fn(&Contents) -> bool) -> Vec<Sealed> {
        let fits = |s: &&Sealed| s.name.level <= level && can(&s.contents);
        let Some(start) = self.sealed.iter().position(|s| s.name.level < level && can(&s.contents)) else {
            return Vec::new();
        };
        let small_before = start.checked_sub(1).and_then(|at| self.sealed.get(at));
        let small_before = small_before.filter(|s| fits(s) && s.bytes < SMALLEST);
        small_before.into_iter().chain(self.sealed[start..].iter().take_while(fits).take(GROUP)).cloned().collect()
    }

    /// The generation that is given up first when only that is left: the oldest, but one with events only if all have some.
    pub(super) fn victim(&self, can: impl Fn(&Contents) -> bool) -> Option<Sealed> {
        let mut without = self.sealed.iter().filter(|s| s.contents[Class::Events as usize].count == 0);
        without.find(|s| can(&s.contents)).or(self.sealed.iter().find(|s| can(&s.contents))).cloned()
    }

    /// Rewrites a group at a level. It does not count before [`replace`](Self::replace).
    pub(super) fn rewrite(&mut self, group: &[Sealed], level: u8) -> Result<Rewritten, Fault> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Err(Fault::damaged(&self.dir, "nothing to rewrite"));
        };
        let name = Name { first: first.name.first, last: last.name.last, level };
        let mut coarsener = Coarsener::new(level);
        let (mut events, mut standing, mut ledger) = (Vec::new(), None, None);
        for sealed in group {
            let open = self.open_sealed(sealed.name)?;
            page::each(open, decay::TAKEN, |records| coarsener.look_at(&records))?;
            page::each(open, decay::TAKEN, |records| records.into_iter().for_each(|r| coarsener.push(r)))?;
            page::each(open, Class::Events, |records| events.extend(records))?;
            standing = open.standing()?.or(standing);
            ledger = open.ledger()?.or(ledger);
        }
        let (kept, removed) = coarsener.finish();
        let mut draft = folder::draft(&self.dir, name)?;
        draft.commit([&events, &kept], standing.as_ref(), ledger.as_deref())?;
        Ok(Rewritten { name, draft, removed })
    }

    /// Puts a rewritten generation in the place of those it was made from.
    pub(super) fn replace(&mut self, group: &[Sealed], rewritten: Rewritten) -> Result<(), Fault> {
        self.open = None;
        let sealed = folder::publish(&self.dir, rewritten.name, rewritten.draft)?;
        let at = self.sealed.iter().position(|s| group.contains(s)).unwrap_or(0);
        self.sealed.retain(|s| !group.contains(s));
        if sealed.contents.iter().all(|extent| extent.count == 0) {
            folder::remove(&self.dir, sealed.name)?;
        } else {
            self.sealed.insert(at, sealed);
        }
        group.iter().try_for_each(|old| folder::remove(&self.dir, old.name))
    }

    /// All records of a class in a closed generation.
    pub(super) fn records_of(&mut self, name: Name, class: Class) -> Result<Vec<Arc<Record>>, Fault> {
        let mut all = Vec::new();
        page::each(self.open_sealed(name)?, class, |records| all.extend(records))?;
        Ok(all)
    }

    /// Gives a closed generation up.
    pub(super) fn remove(&mut self, name: Name) -> Result<(), Fault> {
        self.open.take_if(|(open, _)| *open == name);
        self.sealed.retain(|s| s.name != name);
        folder::remove(&self.dir, name)
    }

    /// Bytes that others have left on the disk.
    pub(super) fn available(&self) -> u64 {
        rustix::fs::statvfs(&self.dir).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// All generations, oldest first.
    pub(super) fn generations(&self) -> Vec<Sealed> {
        let (contents, bytes) = (self.active.contents(), self.active.bytes());
        self.sealed.iter().cloned().chain([Sealed { name: self.name, contents, bytes }]).collect()
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
