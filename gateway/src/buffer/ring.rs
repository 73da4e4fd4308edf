//! The newest records of one class in memory, until every sink has settled them or the disk has them and room is short.

use crate::record::{Body, Channel, Record, Seq, Value};
use std::collections::VecDeque;
use std::sync::Arc;

/// A record in memory.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The record.
    pub(super) record: Arc<Record>,
    /// Which sinks want it: one bit each.
    pub(super) wanted: u64,
    /// What it takes in memory, and about what it takes as JSON.
    pub(super) weight: usize,
    /// The disk has it.
    pub(super) stored: bool,
}

/// The newest records of one class, ascending.
#[derive(Debug, Default)]
pub(super) struct Ring {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Newest number that only the disk has.
    pub(super) spilled: Seq,
}

impl Ring {
    /// Empty; the disk has everything up to `spilled`.
    pub(super) fn new(spilled: Seq) -> Self {
        Self { spilled, ..Self::default() }
    }

    pub(super) fn push(&mut self, record: Arc<Record>, wanted: u64) {
        let weight = weight(&record);
        self.bytes += weight;
        self.entries.push_back(Entry { record, wanted, weight, stored: false });
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn front(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// Entries after `after`.
    pub(super) fn after(&self, after: Seq) -> impl Iterator<Item = &Entry> {
        let from = self.entries.partition_point(|entry| entry.record.seq <= after);
        self.entries.range(from..)
    }

    /// Takes the oldest one out.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.weight;
        Some(entry)
    }

    /// Takes the oldest one out, because the disk has it.
    pub(super) fn spill(&mut self) -> bool {
        let stored = self.front().is_some_and(|entry| entry.stored);
        if stored && let Some(entry) = self.pop() {
            self.spilled = entry.record.seq;
        }
        stored
    }

    /// Takes out the oldest entries after `after` until no more than `room` bytes are left.
    pub(super) fn shed(&mut self, after: Seq, room: usize) -> Vec<Entry> {
        let from = self.entries.partition_point(|entry| entry.record.seq <= after);
        let (mut to, mut bytes) = (from, self.bytes);
        while let Some(entry) = self.entries.get(to).filter(|_| bytes > room) {
            (to, bytes) = (to + 1, bytes - entry.weight);
        }
        self.bytes = bytes;
        self.entries.drain(from..to).collect()
    }

    /// Newest number that the disk has.
    pub(super) fn stored_upto(&self) -> Seq {
        let end = self.entries.partition_point(|entry| entry.stored);
        let newest = end.checked_sub(1).and_then(|at| self.entries.get(at));
        newest.map_or(self.spilled, |entry| entry.record.seq)
    }

    /// Takes out every entry that is not `keep`.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) {
        let bytes = &mut self.bytes;
        self.entries.retain(|entry| {
            let kept = keep(entry);
            if !kept {
                *bytes -= entry.weight;
            }
            kept
        });
    }

    /// The disk has everything up to `upto`.
    pub(super) fn mark_stored(&mut self, upto: Seq) {
        let end = self.entries.partition_point(|entry| entry.record.seq <= upto);
        for entry in self.entries.range_mut(..end) {
            entry.stored = true;
        }
    }
}

/// What a record takes in memory and on the wire, roughly: channel and labels are written out on the wire, shared in memory.
pub(super) fn weight(record: &Record) -> usize {
    let body = match &record.draft.body {
        Body::Sample(sample) => 120 + if let Value::Text(text) = &sample.value { text.len() } else { 0 },
        Body::Summary(_) => 300,
        Body::Count(_) => 220,
        Body::Event(event) => 200 + event.reason.len(),
        Body::Status(_) => 200,
    };
    body + 120 + name_length(&record.draft.channel)
}

fn name_length(channel: &Channel) -> usize {
    let labels: usize = channel.labels.iter().map(|(key, value)| key.len() + value.len() + 6).sum();
    channel.sensor.len() + channel.name.len() + channel.unit.len() + labels
}
