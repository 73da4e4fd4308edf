//! Where every sink stands: its cursors and its account, by class. Committed together with the records.

use super::{CLASSES, Class};
use crate::record::Seq;
use serde::{Deserialize, Serialize};

/// What became of the records of one class for one sink. It balances:
/// `recorded = acknowledged + pending + merged + evicted + rejected + not_for + void`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// Numbers given out, and numbers lost unused.
    pub recorded: u64,
    /// Taken by the far end.
    pub acknowledged: u64,
    /// Merged into coarser records for want of room.
    pub merged: u64,
    /// Given up for want of room.
    pub evicted: u64,
    /// Refused by the far end for good.
    pub rejected: u64,
    /// Not wanted by this sink.
    pub not_for: u64,
    /// Lost in a crash or by damage.
    pub void: u64,
}

impl Account {
    /// Whether no more is settled than was recorded.
    pub fn balances(&self) -> bool {
        self.settled() <= self.recorded
    }

    /// Takes in another account.
    pub(super) fn add(&mut self, other: &Self) {
        self.recorded += other.recorded;
        self.acknowledged += other.acknowledged;
        self.merged += other.merged;
        self.evicted += other.evicted;
        self.rejected += other.rejected;
        self.not_for += other.not_for;
        self.void += other.void;
    }

    /// Not yet decided.
    pub fn pending(&self) -> u64 {
        self.recorded.saturating_sub(self.settled())
    }

    fn settled(&self) -> u64 {
        self.acknowledged + self.merged + self.evicted + self.rejected + self.not_for + self.void
    }
}

/// How far one sink has come in one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Everything up to here is settled.
    pub(super) cursor: Seq,
    /// What became of it.
    pub(super) account: Account,
}

/// One sink in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The sink's name.
    pub(super) name: Box<str>,
    /// By class.
    pub(super) progress: [Progress; CLASSES],
    /// For how many seconds of running it has not been configured.
    pub(super) absent: u32,
}

/// A sink that has been taken out of the configuration keeps its place for a day of running, in case it comes back.
const FORGOTTEN: u32 = 24 * 3600;

impl Place {
    /// It holds nothing back any longer.
    pub(super) fn is_forgotten(&self) -> bool {
        self.absent >= FORGOTTEN
    }
}

/// Where everybody stands at one commit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Standing {
    /// The first number that had not been given out.
    pub(super) next: Seq,
    /// Every sink that counts.
    pub(super) places: Vec<Place>,
}

impl Standing {
    /// Up to where everybody has settled a class; everything when there is nobody.
    pub(super) fn settled(&self, class: Class) -> Seq {
        self.places.iter().map(|p| p.progress[class as usize].cursor).min().unwrap_or(Seq::MAX)
    }
}
