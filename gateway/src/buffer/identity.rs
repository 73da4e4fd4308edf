//! Who this store is and which numbers it may give out: a small file beside the generations.
//!
//! It is replaced as a whole (written aside, synced, renamed, folder synced), and always before a number of a new range
//! is used. If it is lost, a new epoch begins: a number is never used twice under one name.

use super::fault::Fault;
use super::frame::{self, Kind};
use crate::record::Seq;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// How many numbers are reserved at a time.
pub(super) const RESERVED: Seq = 1 << 16;

/// The name and the reserved numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// From which number on which epoch holds, ascending.
    pub(super) epochs: Vec<(Seq, Arc<str>)>,
    /// Numbers below this may be in use.
    pub(super) reserved: Seq,
}

impl Identity {
    /// Somebody new, whose first number is `from`.
    pub(super) fn fresh(from: Seq) -> Self {
        Self { epochs: vec![(from, new_epoch())], reserved: from }
    }

    /// Somebody without a disk: numbers need not be reserved, because the name is forgotten with them. They begin far
    /// above those of a store that may come back.
    pub(super) fn volatile() -> Self {
        let far = (1 + (crate::sys::random() as Seq & 0xfff)) << 40;
        Self { reserved: Seq::MAX, ..Self::fresh(far) }
    }

    /// The first number of the newest epoch.
    pub(super) fn begins(&self) -> Seq {
        self.epochs.last().map_or(1, |(from, _)| *from)
    }

    /// The epoch of a number.
    pub(super) fn epoch_of(&self, seq: Seq) -> Arc<str> {
        let known = self.epochs.iter().rev().find(|(from, _)| *from <= seq).or(self.epochs.first());
        known.map_or_else(|| Arc::from(""), |(_, epoch)| epoch.clone())
    }

    /// Reads it; `None` when it is not there or damaged.
    pub(super) fn load(dir: &Path) -> Option<Self> {
        let bytes = fs::read(dir.join(FILE)).ok()?;
        frame::read(Kind::Identity, &bytes).filter(|identity: &Self| !identity.epochs.is_empty())
    }

    /// Puts it on the disk.
    pub(super) fn store(&self, dir: &Path) -> Result<(), Fault> {
        replace(dir, FILE, &frame::write(Kind::Identity, self))
    }
}

const FILE: &str = "identity";

/// Six letters and digits: enough to tell the stores of one gateway apart.
pub(super) fn new_epoch() -> Arc<str> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let random = crate::sys::random();
    let word: String = (0..6).map(|n| char::from(LETTERS[(random >> (n * 5)) as usize % LETTERS.len()])).collect();
    word.into()
}

/// Replaces a file as a whole; it is on the disk when this returns.
pub(super) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Fault> {
    let (path, aside) = (dir.join(name), dir.join(format!("{name}.new")));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|e| Fault::file("write", &path, &e))
}
