//! What became of every reading, channel by channel. The ledger balances, always; a row that does not is a bug.
//!
//! What became of every *record* is the buffer's to count ([`crate::buffer`]).

use crate::record::Channel;
use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};
use weir_filters::Counts;

/// The readings of one channel by fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Readings that should have come: polls that were due, values that were pushed.
    pub due: u64,
    /// Polls that did not happen in time.
    pub missed: u64,
    /// Polls that were tried and failed.
    pub failed: u64,
    /// Readings that came.
    pub read: u64,
    /// Left as samples.
    pub sent: u64,
    /// Dropped: rebuilt from samples within the bound, or held by a window.
    pub represented: u64,
    /// Not a number, or outside the valid range.
    pub invalid: u64,
    /// Too old when they came.
    pub late: u64,
    /// Not decided yet.
    pub held: u64,
    /// Undecided when the gateway crashed.
    pub lost: u64,
    /// Sent at full rate around an event, beside the fate they have above.
    pub context: u64,
    /// Points of reduced series made of them.
    pub samples: u64,
    /// Records of every kind made of them.
    pub records: u64,
}

impl Tally {
    /// Whether every reading that was due has exactly one fate.
    pub fn balances(&self) -> bool {
        self.due == self.read + self.missed + self.failed
            && self.read == self.sent + self.represented + self.invalid + self.late + self.held + self.lost
    }

    /// After a crash: what was undecided is lost, and counted.
    pub fn after_crash(self) -> Self {
        Self { held: 0, lost: self.lost + self.held, ..self }
    }

    /// The share of the readings that did not leave as a sample.
    pub fn dropped(&self) -> f64 {
        if self.read == 0 { 0.0 } else { 1.0 - self.samples as f64 / self.read as f64 }
    }

    /// The filters' counts as a row; due and read are theirs, polls are added by who counts them.
    pub fn of_filters(counts: &Counts) -> Self {
        Self {
            due: counts.read,
            read: counts.read,
            sent: counts.sent,
            represented: counts.represented,
            invalid: counts.invalid,
            late: counts.late,
            held: counts.held,
            context: counts.context,
            ..Self::default()
        }
    }

    fn zip(self, other: Self, op: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            due: op(self.due, other.due),
            missed: op(self.missed, other.missed),
            failed: op(self.failed, other.failed),
            read: op(self.read, other.read),
            sent: op(self.sent, other.sent),
            represented: op(self.represented, other.represented),
            invalid: op(self.invalid, other.invalid),
            late: op(self.late, other.late),
            held: op(self.held, other.held),
            lost: op(self.lost, other.lost),
            context: op(self.context, other.context),
            samples: op(self.samples, other.samples),
            records: op(self.records, other.records),
        }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.zip(other, u64::saturating_add)
    }
}

impl Sub for Tally {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(rows: I) -> Self {
        rows.fold(Self::default(), Add::add)
    }
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The sensor's name.
    pub sensor: Box<str>,
    /// The channel's name.
    pub channel: Box<str>,
    /// Its readings by fate.
    pub tally: Tally,
}

/// Every channel that ever had a reading due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// A line each.
    pub rows: Vec<Row>,
}

impl Ledger {
    /// As it was stored; a ledger that cannot be read starts again from nothing, which the caller reports.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }

    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// All channels together.
    pub fn total(&self) -> Tally {
        self.rows.iter().map(|row| row.tally).sum()
    }

    /// Whether every line balances.
    pub fn balances(&self) -> bool {
        self.rows.iter().all(|row| row.tally.balances())
    }

    /// Takes out the row of a channel.
    pub fn take(&mut self, channel: &Channel) -> Option<Tally> {
        let at = self.rows.iter().position(|row| row.sensor == channel.sensor && row.channel == channel.name)?;
        Some(self.rows.swap_remove(at).tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_undecided_in_a_crash_is_lost_and_still_balances() {
        let row =
            Tally { due: 12, missed: 1, failed: 1, read: 10, sent: 3, represented: 5, held: 2, ..Tally::default() };
        assert!(row.balances());
        let after = row.after_crash();
        assert!(after.balances());
        assert_eq!((after.held, after.lost), (0, 2));
    }

    #[test]
    fn a_reading_without_a_fate_is_noticed() {
        assert!(!Tally { due: 1, read: 1, ..Tally::default() }.balances());
        assert!(!Tally { due: 2, missed: 1, ..Tally::default() }.balances());
    }

    #[test]
    fn the_ledger_survives_storing() {
        let tally = Tally { due: 1, read: 1, sent: 1, ..Tally::default() };
        let mut ledger = Ledger { rows: vec![Row { sensor: "a".into(), channel: "b".into(), tally }] };
        assert_eq!(Ledger::decode(&ledger.encode()), Some(ledger.clone()));
        let channel = Channel { sensor: "a".into(), name: "b".into(), ..Channel::default() };
        assert_eq!(ledger.take(&channel), Some(tally));
        assert_eq!(ledger.take(&channel), None);
    }
}
