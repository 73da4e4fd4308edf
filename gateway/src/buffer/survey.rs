//! Looking at a store from outside: for `weir buffer`, also when it comes from a machine that has crashed.
//!
//! Everything happens on a copy, so that neither a running daemon nor the evidence is touched. What opening the copy
//! repairs is what a start would repair.

use super::store::Store;
use super::{CLASSES, Class, SinkStats, folder, salvage};
use crate::record::{Record, Seq};
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a store holds.
#[derive(Debug, Serialize)]
pub struct Survey {
    /// From which number on which epoch holds.
    pub epochs: Vec<(Seq, Arc<str>)>,
    /// The first number that had not been given out at the last commit.
    pub next: Seq,
    /// Numbers below this may have been used.
    pub reserved: Seq,
    /// Where every sink stands.
    pub sinks: Vec<SinkStats>,
    /// Oldest first; the last one is being written.
    pub generations: Vec<Generation>,
    /// Broken generations that were set aside earlier.
    pub quarantined: usize,
    /// What is wrong, in plain words; empty when nothing is.
    pub problems: Vec<String>,
}

/// One stretch of the log.
#[derive(Debug, Serialize)]
pub struct Generation {
    /// Its folder.
    pub name: String,
    /// How coarse it is: 0 as recorded, 4 events only.
    pub level: u8,
    /// What it takes on disk.
    pub bytes: u64,
    /// First and last number and count, events and data.
    pub contents: [(Seq, Seq, u64); CLASSES],
}

/// A store opened on a copy that is deleted in the end.
pub struct Copied {
    dir: PathBuf,
    store: Store,
    survey: Survey,
}

impl Drop for Copied {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.dir));
    }
}

impl Copied {
    /// Copies the store in `dir` and opens the copy.
    ///
    /// # Errors
    /// In words for people: there is no store, it cannot be read, there is no room for a copy.
    pub fn open(dir: &Path) -> Result<Self, String> {
        let names = fs::read_dir(dir).map_err(|e| format!("{}: no store can be read here: {e}", dir.display()))?;
        let is_store = names.filter_map(Result::ok).any(|entry| entry.file_name() == "identity");
        if !is_store {
            return Err(format!("{} is not the folder of a buffer: it has no file `identity`", dir.display()));
        }
        let copy = std::env::temp_dir().join(format!("weir-buffer-{:016x}", crate::sys::random() as u64));
        let opened = copy_store(dir, &copy)
            .map_err(|e| {
                format!(
                    "{} cannot be copied to {}: {e}; set TMPDIR to a place with room",
                    dir.display(),
                    copy.display()
                )
            })
            .and_then(|()| Store::open(&copy, u64::MAX).map_err(|fault| fault.to_string()));
        let (store, left) = opened.inspect_err(|_| drop(fs::remove_dir_all(&copy)))?;
        let shelf = fs::read_dir(dir.join(salvage::QUARANTINE)).map_or(0, Iterator::count);
        let sinks = left.standing.places.iter().map(|place| SinkStats {
            name: place.name.clone(),
            accounts: place.progress.map(|progress| progress.account),
            cursors: place.progress.map(|progress| progress.cursor),
        });
        let survey = Survey {
            epochs: store.identity.epochs.clone(),
            next: left.standing.next,
            reserved: store.identity.reserved,
            sinks: sinks.collect(),
            generations: store.generations().into_iter().map(generation).collect(),
            quarantined: shelf,
            problems: store.damage.iter().map(|damage| damage.what.clone()).collect(),
        };
        Ok(Self { dir: copy, store, survey })
    }

    /// What was found without reading the records.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Reads every record, checks every account, and adds what is wrong.
    ///
    /// # Errors
    /// The copy cannot be read.
    pub fn check(&mut self) -> Result<&Survey, String> {
        let mut problems = Vec::new();
        for class in Class::ALL {
            self.read(class, |lost| problems.push(lost), |_| {})?;
        }
        for sink in &self.survey.sinks {
            for class in Class::ALL {
                let (account, cursor) = (sink.accounts[class as usize], sink.cursors[class as usize]);
                let found = self.store.count_after(class, cursor).map_err(|fault| fault.to_string())?;
                if !account.balances() || account.pending() != found {
                    let (name, pending) = (&sink.name, account.pending());
                    problems.push(format!("sink {name}, {class:?}: {pending} records are pending, {found} are there"));
                }
            }
        }
        problems.extend(self.store.damage.iter().map(|damage| damage.what.clone()));
        problems.sort();
        problems.dedup();
        self.survey.problems = problems;
        Ok(&self.survey)
    }

    /// Shows every record that can be read, events first, each class in order.
    ///
    /// # Errors
    /// The copy cannot be read.
    pub fn export(&mut self, mut show: impl FnMut(&Record)) -> Result<(), String> {
        Class::ALL.into_iter().try_for_each(|class| self.read(class, |_| {}, &mut show))
    }

    /// The clock's offsets as they were stored.
    pub fn timeline(&self) -> Option<Vec<u8>> {
        self.store.file(super::thread::TIMELINE)
    }

    fn read(
        &mut self,
        class: Class,
        mut lose: impl FnMut(String),
        mut show: impl FnMut(&Record),
    ) -> Result<(), String> {
        let (mut after, last) = (0, self.store.last(class));
        while after < last {
            let page = self.store.read(class, after, last).map_err(|fault| fault.to_string())?;
            for found in &page.found {
                match found {
                    super::page::Found::Record(record) => show(record),
                    super::page::Found::Lost { from, to, records } => {
                        lose(format!("{records} records between {from} and {to} cannot be read"));
                    }
                }
            }
            after = page.upto.max(after + 1);
        }
        Ok(())
    }
}

fn generation(sealed: folder::Sealed) -> Generation {
    Generation {
        name: sealed.name.to_string(),
        level: sealed.name.level,
        bytes: sealed.bytes,
        contents: sealed.contents.map(|extent| (extent.first, extent.last, extent.count)),
    }
}

/// Copies what belongs to the store, but not what was set aside.
fn copy_store(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != salvage::QUARANTINE {
                copy_store(&entry.path(), &target)?;
            }
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
