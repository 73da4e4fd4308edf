//! Generations as folders: how they are called, made, closed, replaced and removed, so that a crash at any point leaves
//! either the old or the new state.
//!
//! `g0000000003-0000000005.1` holds what generations 3 to 5 held, rewritten at decay level 1. Writing happens in
//! `new-…`; the rename is what makes it count. A folder whose range lies within that of another that is at least as
//! coarse has been replaced by it. Deleting begins with a rename to `trash-…`.

use super::fault::Fault;
use super::frame::{self, Kind};
use super::generation::{Contents, Generation};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A generation's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// First generation that went into it.
    pub(super) first: u64,
    /// Last generation that went into it.
    pub(super) last: u64,
    /// How coarse it is: see [`super::decay`].
    pub(super) level: u8,
}

impl Name {
    /// A generation as it was written.
    pub(super) fn plain(number: u64) -> Self {
        Self { first: number, last: number, level: 0 }
    }

    /// Where it lies.
    pub(super) fn path(self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }

    /// The name of a folder, if it is one of a generation.
    pub(super) fn parse(folder: &str) -> Option<Self> {
        let (range, level) = folder.strip_prefix('g')?.split_once('.')?;
        let (first, last) = range.split_once('-')?;
        Some(Self { first: first.parse().ok()?, last: last.parse().ok()?, level: level.parse().ok()? })
    }

    /// Whether this one was made to replace the other.
    fn replaces(self, other: Self) -> bool {
        self != other && self.level >= other.level && self.first <= other.first && other.last <= self.last
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "g{:010}-{:010}.{}", self.first, self.last, self.level)
    }
}

/// A generation that is no longer written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sealed {
    /// Its name.
    pub(super) name: Name,
    /// What it holds.
    pub(super) contents: Contents,
    /// What it takes on disk.
    pub(super) bytes: u64,
}

/// A note inside the folder of what it holds, so that it need not be opened to know.
const NOTE: &str = "contents";

/// Clears away what was half done, and lists the generations, oldest first.
pub(super) fn tidy(dir: &Path) -> Result<Vec<Name>, Fault> {
    let entries = fs::read_dir(dir).map_err(|e| Fault::io("list", dir, &e))?;
    let mut names = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let folder = path.file_name().unwrap_or_default().to_string_lossy();
        if folder.starts_with("trash-") || folder.starts_with("new-") {
            drop(fs::remove_dir_all(&path));
        } else if path.is_dir() {
            names.extend(Name::parse(&folder));
        }
    }
    names.sort_unstable();
    let (replaced, kept) = names.iter().partition::<Vec<Name>, _>(|n| names.iter().any(|other| other.replaces(**n)));
    for name in replaced {
        remove(dir, name)?;
    }
    Ok(kept)
}

/// A new, empty generation.
pub(super) fn create(dir: &Path, name: Name) -> Result<Generation, Fault> {
    let generation = Generation::open(&name.path(dir))?;
    sync(&generation.path.join("blobs"))?;
    sync(&generation.path)?;
    sync(dir)?;
    Ok(generation)
}

/// An empty generation that does not count before [`publish`].
pub(super) fn draft(dir: &Path, name: Name) -> Result<Generation, Fault> {
    let path = dir.join(format!("new-{name}"));
    drop(fs::remove_dir_all(&path));
    Generation::open(&path)
}

/// Makes a draft count.
pub(super) fn publish(dir: &Path, name: Name, draft: Generation) -> Result<Sealed, Fault> {
    let from = draft.path.clone();
    let sealed = seal(name, draft)?;
    fs::rename(&from, name.path(dir)).map_err(|e| Fault::io("rename", &from, &e))?;
    sync(dir)?;
    Ok(sealed)
}

/// Makes a draft count in the place of a damaged generation, whose new path is returned.
pub(super) fn exchange(dir: &Path, name: Name, draft: Generation) -> Result<PathBuf, Fault> {
    let (from, to) = (draft.path.clone(), name.path(dir));
    seal(name, draft)?;
    rustix::fs::renameat_with(rustix::fs::CWD, &from, rustix::fs::CWD, &to, rustix::fs::RenameFlags::EXCHANGE)
        .map_err(|e| Fault::io("exchange", &to, &e.into()))?;
    sync(dir)?;
    Ok(from)
}

/// Closes a generation and writes down what it holds.
pub(super) fn seal(name: Name, generation: Generation) -> Result<Sealed, Fault> {
    let path = generation.path.clone();
    let contents = generation.contents();
    drop(generation);
    let sealed = Sealed { name, contents, bytes: size(&path) };
    super::identity::replace(&path, NOTE, &frame::write(Kind::Contents, &(sealed.contents, sealed.bytes)))?;
    crate::sys::trim_memory();
    Ok(sealed)
}

/// What a closed generation says that it holds.
pub(super) fn noted(dir: &Path, name: Name) -> Option<Sealed> {
    let note = fs::read(name.path(dir).join(NOTE)).ok()?;
    let (contents, bytes) = frame::read(Kind::Contents, &note)?;
    Some(Sealed { name, contents, bytes })
}

/// The note does not hold any longer: the generation will be written again.
pub(super) fn unseal(dir: &Path, name: Name) {
    drop(fs::remove_file(name.path(dir).join(NOTE)));
}

/// Deletes a generation.
pub(super) fn remove(dir: &Path, name: Name) -> Result<(), Fault> {
    let (path, trash) = (name.path(dir), dir.join(format!("trash-{name}")));
    fs::rename(&path, &trash).map_err(|e| Fault::io("remove", &path, &e))?;
    sync(dir)?;
    fs::remove_dir_all(&trash).map_err(|e| Fault::io("remove", &trash, &e))
}

/// Makes the names in a folder last.
pub(super) fn sync(dir: &Path) -> Result<(), Fault> {
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(|e| Fault::io("sync", dir, &e))
}

/// What a folder and everything in it takes on disk.
pub(super) fn size(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(m) if m.is_dir() => size(&entry.path()),
        Ok(m) => m.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back() {
        let name = Name { first: 3, last: 5, level: 1 };
        assert_eq!(Name::parse(&name.to_string()), Some(name));
        assert_eq!(Name::parse("quarantine"), None);
    }

    #[test]
    fn what_a_crash_left_half_done_is_cleared_away() {
        let dir = tempfile::tempdir().unwrap();
        let merged = Name { first: 1, last: 2, level: 1 };
        for folder in ["new-g1-1.1".to_string(), "trash-g1-1.0".into()] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        for name in [Name::plain(1), Name::plain(2), Name::plain(3), merged] {
            fs::create_dir(name.path(dir.path())).unwrap();
        }
        assert_eq!(tidy(dir.path()).unwrap(), [merged, Name::plain(3)]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
