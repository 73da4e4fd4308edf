//! How one sink gets through one class: what it has been handed, what the far end has said, what became of everything.

use super::standing::Progress;
use crate::record::Seq;
use std::collections::VecDeque;

/// What a record that was passed will count as once it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Handed out; counts as acknowledged.
    Wanted,
    /// Handed out and refused for good.
    Rejected,
    /// Passed over.
    NotFor,
    /// So many records that could not be read.
    Void(u64),
}

/// One sink in one class.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// What is settled.
    pub(super) progress: Progress,
    /// Up to where records have been handed out.
    pub(super) position: Seq,
    in_flight: VecDeque<(Seq, Fate)>,
}

impl Lane {
    pub(super) fn new(progress: Progress) -> Self {
        Self { progress, position: progress.cursor, in_flight: VecDeque::new() }
    }

    /// A record was handed out or passed over.
    pub(super) fn pass(&mut self, seq: Seq, fate: Fate) {
        self.in_flight.push_back((seq, fate));
        self.position = self.position.max(seq);
        self.settle_unwanted();
    }

    /// Everything up to `upto` has been passed, whatever there was.
    pub(super) fn skip_to(&mut self, upto: Seq) {
        self.position = self.position.max(upto);
        if self.in_flight.is_empty() {
            self.progress.cursor = self.position;
        }
    }

    /// The far end has taken everything up to `upto`, as far as it was handed out.
    pub(super) fn acknowledge(&mut self, upto: Seq) {
        while let Some((seq, fate)) = self.in_flight.front().copied().filter(|(seq, _)| *seq <= upto) {
            self.settle(seq, fate);
        }
        self.settle_unwanted();
    }

    /// The far end will never take this one.
    pub(super) fn reject(&mut self, seq: Seq) {
        if let Some(entry) = self.find(seq).and_then(|at| self.in_flight.get_mut(at)) {
            entry.1 = Fate::Rejected;
        }
        self.settle_unwanted();
    }

    /// Hands out again what has not been settled.
    pub(super) fn rewind(&mut self) {
        self.position = self.progress.cursor;
        self.in_flight.clear();
    }

    /// A record has gone for good (evicted, or never stored because nobody else wanted it either). True when that must be
    /// counted, because it was not settled yet.
    pub(super) fn forget(&mut self, seq: Seq) -> bool {
        if let Some(at) = self.find(seq) {
            self.in_flight.remove(at);
        }
        seq > self.progress.cursor
    }

    fn find(&self, seq: Seq) -> Option<usize> {
        self.in_flight.binary_search_by_key(&seq, |(seq, _)| *seq).ok()
    }

    fn settle(&mut self, seq: Seq, fate: Fate) {
        self.in_flight.pop_front();
        self.progress.cursor = if self.in_flight.is_empty() { self.position } else { seq };
        let account = &mut self.progress.account;
        match fate {
            Fate::Wanted => account.acknowledged += 1,
            Fate::Rejected => account.rejected += 1,
            Fate::NotFor => account.not_for += 1,
            Fate::Void(records) => account.void += records,
        }
    }

    /// Nobody answers for what was not sent, or was refused.
    fn settle_unwanted(&mut self) {
        while let Some((seq, fate)) = self.in_flight.front().copied().filter(|(_, fate)| *fate != Fate::Wanted) {
            self.settle(seq, fate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_wanted_settles_as_soon_as_nothing_waits_before_it() {
        let mut lane = Lane::default();
        lane.pass(1, Fate::Wanted);
        lane.pass(2, Fate::NotFor);
        assert_eq!(lane.progress.cursor, 0, "the answer for 1 is still to come");
        lane.acknowledge(1);
        assert_eq!((lane.progress.cursor, lane.progress.account.not_for), (2, 1));
    }

    #[test]
    fn a_refused_record_is_counted_and_does_not_block() {
        let mut lane = Lane::default();
        (1..=3).for_each(|seq| lane.pass(seq, Fate::Wanted));
        lane.acknowledge(1);
        lane.reject(2);
        lane.acknowledge(3);
        let account = lane.progress.account;
        assert_eq!((account.acknowledged, account.rejected, lane.progress.cursor), (2, 1, 3));
    }

    #[test]
    fn rewinding_hands_out_again_and_counts_once() {
        let mut lane = Lane::default();
        lane.pass(1, Fate::Wanted);
        lane.rewind();
        assert_eq!(lane.position, 0);
        lane.pass(1, Fate::Wanted);
        lane.acknowledge(9);
        assert_eq!((lane.progress.account.acknowledged, lane.progress.cursor), (1, 1));
    }
}
