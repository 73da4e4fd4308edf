//! All that the buffer knows in memory, under one lock that is never held while the disk works.
//!
//! Pure bookkeeping: no file, no thread, no waiting. Time comes as an argument.

use super::generation::Extent;
use super::lane::{Fate, Lane};
use super::page::{Found, Page};
use super::ring::{Entry, Ring, weight};
use super::standing::{Place, Progress, Standing};
use super::{CLASSES, Class, Limits, Subscriber};
use crate::record::{Draft, Record, Seq, Status};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More would not fit the bits of [`Entry::wanted`].
pub(super) const MOST_SINKS: usize = 64;

/// A sink and its ways.
pub(super) struct Member {
    name: Box<str>,
    wants: Arc<dyn Fn(&Record) -> bool + Send + Sync>,
    lanes: [Lane; CLASSES],
}

/// Why records on the disk are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    /// They live on in a coarser one.
    Merged,
    /// There was no room for them.
    Evicted,
}

/// What a lane expects of the disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expectation {
    member: usize,
    /// Which log.
    pub(super) class: Class,
    /// After this number.
    pub(super) cursor: Seq,
    /// So many records.
    records: u64,
}

/// What is to be written together.
pub(super) struct Commit {
    /// Records by class, ascending.
    pub(super) records: [Vec<Arc<Record>>; CLASSES],
    /// Where everybody stood at that moment.
    pub(super) standing: Standing,
    /// Counters that belong to it.
    pub(super) ledger: Option<Vec<u8>>,
    /// Filter state that may be published afterwards.
    pub(super) checkpoint: Option<Vec<u8>>,
    /// Everything up to here is decided by it.
    pub(super) upto: Seq,
}

/// The bookkeeping.
pub(super) struct State {
    /// The next number.
    pub(super) next: Seq,
    /// Changes whenever records on the disk have been rewritten: what was read before is out of date.
    pub(super) layout: u64,
    /// Bytes that the records of a class may take in memory.
    room: [usize; CLASSES],
    rings: [Ring; CLASSES],
    members: Vec<Member>,
    gone: Vec<Place>,
    /// Everything up to here is being written just now, and must not be counted as lost meanwhile.
    committing: Seq,
    /// A cursor has moved over records that the disk has.
    moved: bool,
    waiting_since: Option<Instant>,
    urgent: bool,
    ledger: Option<Vec<u8>>,
    checkpoint: Option<Vec<u8>>,
    notices: Vec<Status>,
    evicted: Option<(Seq, Seq, u64)>,
}

impl State {
    /// Begins where the store stands.
    pub(super) fn new(
        found: &Standing,
        last: [Seq; CLASSES],
        subscribers: Vec<Subscriber>,
        room: [usize; CLASSES],
    ) -> Self {
        let member = |s: Subscriber| {
            let place = found.places.iter().find(|place| place.name == s.name);
            let progress = place.map_or([Progress::default(); CLASSES], |place| place.progress);
            Member { name: s.name, wants: s.wants.into(), lanes: progress.map(Lane::new) }
        };
        let members: Vec<Member> = subscribers.into_iter().take(MOST_SINKS).map(member).collect();
        let is_gone = |place: &&Place| members.iter().all(|m| m.name != place.name) && !place.is_forgotten();
        Self {
            next: found.next,
            layout: 0,
            room,
            rings: last.map(Ring::new),
            gone: found.places.iter().filter(is_gone).cloned().collect(),
            members,
            committing: 0,
            moved: false,
            waiting_since: None,
            urgent: false,
            ledger: None,
            checkpoint: None,
            notices: Vec::new(),
            evicted: None,
        }
    }

    /// Numbers that were reserved and never used, or used and never stored: nobody knows.
    pub(super) fn count_void(&mut self, numbers: u64) {
        for member in &mut self.members {
            let account = &mut member.lanes[Class::Data as usize].progress.account;
            account.recorded += numbers;
            account.void += numbers;
        }
    }

    /// A store has come back whose records come before all that memory has.
    pub(super) fn join(&mut self, found: &Standing) {
        for member in &mut self.members {
            let Some(place) = found.places.iter().find(|place| place.name == member.name) else { continue };
            for (lane, progress) in member.lanes.iter_mut().zip(place.progress) {
                let mut account = lane.progress.account;
                account.add(&progress.account);
                *lane = Lane::new(Progress { cursor: progress.cursor, account });
            }
        }
    }

    /// Up to these numbers the disk has whatever is needed.
    pub(super) fn disk_has(&mut self, last: [Seq; CLASSES]) {
        for (ring, last) in self.rings.iter_mut().zip(last) {
            ring.mark_stored(last);
            let oldest = ring.front().map_or(Seq::MAX, |entry| entry.record.seq);
            ring.spilled = ring.spilled.max(last.min(oldest - 1));
        }
    }

    /// What every lane expects to be on the disk, in the order of [`settle_difference`](Self::settle_difference).
    pub(super) fn expectations(&self) -> Vec<Expectation> {
        let lanes = (0..self.members.len()).flat_map(|member| Class::ALL.map(|class| (member, class)));
        let expectation = |(member, class): (usize, Class)| {
            let progress = self.members[member].lanes[class as usize].progress;
            let in_memory = self.rings[class as usize].after(progress.cursor).filter(|e| !e.stored).count() as u64;
            let records = progress.account.pending().saturating_sub(in_memory);
            Expectation { member, class, cursor: progress.cursor, records }
        };
        lanes.map(expectation).collect()
    }

    /// The disk has `found` records where a lane expected others: the rest was lost by damage; a sink that is new, or was
    /// away, finds more than it knew of. Everything unsettled is read again.
    pub(super) fn settle_difference(&mut self, expected: &Expectation, found: u64) {
        self.layout += 1;
        let Some(lane) = self.lane(expected.member, expected.class) else { return };
        let account = &mut lane.progress.account;
        account.void += expected.records.saturating_sub(found);
        account.recorded += found.saturating_sub(expected.records);
        lane.rewind();
    }

    /// Numbers a record and takes it in. True when the store thread should look.
    pub(super) fn append(&mut self, draft: Draft, now: Instant) -> (Seq, bool) {
        let seq = self.next;
        self.next += 1;
        let record = Arc::new(Record { seq, draft });
        let class = Class::of(&record);
        let mut wanted = 0;
        for (bit, member) in self.members.iter_mut().enumerate() {
            wanted |= u64::from((member.wants)(&record)) << bit;
            member.lanes[class as usize].progress.account.recorded += 1;
        }
        if wanted == 0 {
            self.forget_unwanted(class, seq, 0);
            return (seq, false);
        }
        self.rings[class as usize].push(record, wanted);
        let first = self.waiting_since.is_none();
        self.waiting_since.get_or_insert(now);
        self.urgent |= class == Class::Events;
        (seq, self.make_room(class) || first || class == Class::Events)
    }

    /// Keeps the ring within its bounds. True when only the disk can make more room.
    fn make_room(&mut self, class: Class) -> bool {
        let room = self.room[class as usize];
        while self.rings[class as usize].bytes() > room && self.rings[class as usize].spill() {}
        if self.rings[class as usize].bytes() > 2 * room {
            for entry in self.rings[class as usize].shed(self.committing, room + room / 2) {
                self.evict(class, &entry);
            }
        }
        self.rings[class as usize].bytes() > room
    }

    /// Gives a record up that nobody but the memory had.
    fn evict(&mut self, class: Class, entry: &Entry) {
        let seq = entry.record.seq;
        for (bit, member) in self.members.iter_mut().enumerate() {
            let lane = &mut member.lanes[class as usize];
            if entry.wanted & (1 << bit) == 0 {
                lane.progress.account.not_for += u64::from(lane.forget(seq));
            } else {
                lane.progress.account.evicted += u64::from(lane.forget(seq));
            }
        }
        self.announce_eviction(seq);
    }

    fn announce_eviction(&mut self, seq: Seq) {
        let (_, to, records) = self.evicted.get_or_insert((seq, seq, 0));
        (*to, *records) = ((*to).max(seq), *records + 1);
    }

    /// For whoever did not want it, a record that leaves the memory without having been stored is settled.
    fn forget_unwanted(&mut self, class: Class, seq: Seq, wanted: u64) {
        for (_, member) in self.members.iter_mut().enumerate().filter(|(bit, _)| wanted & (1 << bit) == 0) {
            let lane = &mut member.lanes[class as usize];
            lane.progress.account.not_for += u64::from(lane.forget(seq));
        }
    }

    /// Whether some sink still needs the record.
    fn is_needed(&self, class: Class, entry: &Entry) -> bool {
        let mut members = self.members.iter().enumerate();
        members.any(|(bit, m)| {
            entry.wanted & (1 << bit) != 0 && m.lanes[class as usize].progress.cursor < entry.record.seq
        })
    }

    /// When a commit is due; `None` while there is nothing to do.
    pub(super) fn due(&self, last_sync: Option<Instant>, every: Duration) -> Option<Instant> {
        let since = self.waiting_since?;
        let next_sync = last_sync.map(|last| last + every);
        let full = Class::ALL.into_iter().any(|c| self.rings[c as usize].bytes() > self.room[c as usize]);
        let soon = self.urgent || full;
        Some(if soon { next_sync.unwrap_or(since).max(since) } else { since + every })
    }

    /// Takes everything that a commit must write. `None`: nothing needs the disk.
    pub(super) fn begin_commit(&mut self, all: bool) -> Option<Commit> {
        self.waiting_since = None;
        self.urgent = false;
        let upto = self.next - 1;
        let records = Class::ALL.map(|class| self.unstored(class));
        let moved = std::mem::take(&mut self.moved);
        let nothing = records.iter().all(Vec::is_empty) && self.checkpoint.is_none() && !moved && !all;
        if nothing {
            return None;
        }
        self.committing = upto;
        let (ledger, checkpoint) = (self.ledger.take(), self.checkpoint.take());
        Some(Commit { records, standing: self.standing(), ledger, checkpoint, upto })
    }

    /// Records of a class that must be written; the others leave the memory.
    fn unstored(&mut self, class: Class) -> Vec<Arc<Record>> {
        let mut unneeded = Vec::new();
        let mut needed = Vec::new();
        for entry in self.rings[class as usize].after(0).filter(|entry| !entry.stored) {
            match self.is_needed(class, entry) {
                true => needed.push(entry.record.clone()),
                false => unneeded.push((entry.record.seq, entry.wanted)),
            }
        }
        self.rings[class as usize].retain(|e| unneeded.binary_search_by_key(&e.record.seq, |(seq, _)| *seq).is_err());
        for (seq, wanted) in unneeded {
            self.forget_unwanted(class, seq, wanted);
        }
        needed
    }

    /// The disk has it.
    pub(super) fn finish_commit(&mut self, upto: Seq) {
        self.committing = 0;
        for class in Class::ALL {
            self.rings[class as usize].mark_stored(upto);
            self.make_room(class);
        }
    }

    /// The disk does not have it: the next commit tries again.
    pub(super) fn fail_commit(&mut self, commit: Commit, now: Instant) {
        self.committing = 0;
        self.ledger = self.ledger.take().or(commit.ledger);
        self.checkpoint = self.checkpoint.take().or(commit.checkpoint);
        self.waiting_since.get_or_insert(now);
    }

    /// Time passes for sinks that are no longer configured.
    pub(super) fn age(&mut self, seconds: u32) {
        self.gone.iter_mut().for_each(|place| place.absent = place.absent.saturating_add(seconds));
        self.gone.retain(|place| !place.is_forgotten());
    }

    /// Whether no sink is in the middle of these records, and none of them is in memory: then they may be rewritten.
    pub(super) fn is_at_rest(&self, class: Class, extent: &Extent) -> bool {
        let lane_rests = |lane: &Lane| lane.position < extent.first || lane.progress.cursor >= extent.last;
        extent.count == 0
            || self.is_spilled(class, extent) && self.members.iter().all(|m| lane_rests(&m.lanes[class as usize]))
    }

    /// Whether only the disk has these records.
    pub(super) fn is_spilled(&self, class: Class, extent: &Extent) -> bool {
        extent.count == 0 || extent.last <= self.rings[class as usize].spilled
    }

    /// Records on the disk are gone for good: everybody who was still waiting for one counts it.
    pub(super) fn remove(&mut self, class: Class, removed: &[Arc<Record>], how: Removal) {
        self.layout += 1;
        for member in &mut self.members {
            let lane = &mut member.lanes[class as usize];
            for record in removed {
                let counts = u64::from(lane.forget(record.seq));
                let account = &mut lane.progress.account;
                match how {
                    _ if !(member.wants)(record) => account.not_for += counts,
                    Removal::Merged => account.merged += counts,
                    Removal::Evicted => account.evicted += counts,
                }
            }
        }
        let (Some(from), Some(to)) = (removed.iter().map(|r| r.seq).min(), removed.iter().map(|r| r.seq).max()) else {
            return;
        };
        let records = removed.len() as u64;
        self.notices.push(match how {
            Removal::Merged => Status::Merged { from, to, records },
            Removal::Evicted => Status::Evicted { from, to, records },
        });
    }

    /// Where everybody stands now.
    pub(super) fn standing(&self) -> Standing {
        let progress = |m: &Member| [m.lanes[0].progress, m.lanes[1].progress];
        let place = |m: &Member| Place { name: m.name.clone(), progress: progress(m), absent: 0 };
        let places = self.members.iter().map(place).chain(self.gone.iter().cloned()).collect();
        Standing { next: self.next, places }
    }

    /// Counters that belong to everything appended so far.
    pub(super) fn set_ledger(&mut self, bytes: Vec<u8>) {
        self.ledger = Some(bytes);
    }

    /// Filter state after everything appended so far.
    pub(super) fn set_checkpoint(&mut self, bytes: Vec<u8>, now: Instant) {
        self.checkpoint = Some(bytes);
        self.waiting_since.get_or_insert(now);
    }

    /// Which member has this name.
    pub(super) fn member(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|m| *m.name == *name)
    }

    /// A lane, if there is such a member.
    pub(super) fn lane(&mut self, member: usize, class: Class) -> Option<&mut Lane> {
        self.members.get_mut(member).map(|m| &mut m.lanes[class as usize])
    }

    /// After which number and until which the disk must be read for this lane; `None` when memory has all that follows.
    pub(super) fn must_read(&self, member: usize, class: Class) -> Option<(Seq, Seq)> {
        let position = self.members.get(member)?.lanes[class as usize].position;
        let spilled = self.rings[class as usize].spilled;
        (position < spilled).then_some((position, spilled))
    }

    /// Whether memory has something for this data lane, but less than a full batch.
    pub(super) fn is_partial(&self, member: usize, limits: &Limits) -> bool {
        let Some(lane) = self.members.get(member).map(|m| &m.lanes[Class::Data as usize]) else { return false };
        let (mut records, mut bytes) = (0, 0);
        for entry in self.rings[Class::Data as usize].after(lane.position).filter(|e| e.wanted & (1 << member) != 0) {
            (records, bytes) = (records + 1, bytes + entry.weight);
            if records >= limits.records || bytes >= limits.bytes {
                return false;
            }
        }
        records > 0
    }

    /// Hands out records from memory within `limits`.
    pub(super) fn take(&mut self, member: usize, class: Class, limits: &Limits) -> Vec<Arc<Record>> {
        let Some(lane) = self.members.get_mut(member).map(|m| &mut m.lanes[class as usize]) else { return Vec::new() };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for entry in self.rings[class as usize].after(lane.position) {
            let seq = entry.record.seq;
            if entry.wanted & (1 << member) == 0 {
                lane.pass(seq, Fate::NotFor);
                continue;
            }
            if !batch.is_empty() && (batch.len() >= limits.records || bytes + entry.weight > limits.bytes) {
                break;
            }
            bytes += entry.weight;
            batch.push(entry.record.clone());
            lane.pass(seq, Fate::Wanted);
        }
        self.prune(class);
        batch
    }

    /// Hands out what was read from the disk, within `limits`.
    pub(super) fn take_page(&mut self, member: usize, class: Class, page: &Page, limits: &Limits) -> Vec<Arc<Record>> {
        let Some(member) = self.members.get_mut(member) else { return Vec::new() };
        let lane = &mut member.lanes[class as usize];
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let from = page.found.partition_point(|found| found.seq() <= lane.position);
        for found in &page.found[from..] {
            if found.seq() <= lane.position {
                continue;
            }
            let record = match found {
                Found::Record(record) => record,
                Found::Lost { to, records, .. } => {
                    lane.pass(*to, Fate::Void(*records));
                    continue;
                }
            };
            if !(member.wants)(record) {
                lane.pass(record.seq, Fate::NotFor);
                continue;
            }
            bytes += weight(record);
            if !batch.is_empty() && (batch.len() >= limits.records || bytes > limits.bytes) {
                return batch;
            }
            lane.pass(record.seq, Fate::Wanted);
            batch.push(record.clone());
        }
        lane.skip_to(page.upto);
        batch
    }

    /// Moves a cursor, and lets go of what everybody has settled. True when the store thread should look.
    pub(super) fn acknowledge(&mut self, member: usize, class: Class, upto: Seq, now: Instant) -> bool {
        let on_disk = self.rings[class as usize].stored_upto();
        let Some(lane) = self.lane(member, class) else { return false };
        let before = lane.progress.cursor;
        lane.acknowledge(upto);
        let moved = before < on_disk && before < lane.progress.cursor;
        self.prune(class);
        let first = moved && self.waiting_since.is_none();
        if moved {
            self.moved = true;
            self.waiting_since.get_or_insert(now);
        }
        first
    }

    /// Lets go of what nobody needs any more, oldest first.
    fn prune(&mut self, class: Class) {
        while let Some(entry) = self.rings[class as usize].front().filter(|entry| !self.is_needed(class, entry)) {
            let (seq, wanted, stored) = (entry.record.seq, entry.wanted, entry.stored);
            self.rings[class as usize].pop();
            if stored {
                let ring = &mut self.rings[class as usize];
                ring.spilled = ring.spilled.max(seq);
            } else {
                self.forget_unwanted(class, seq, wanted);
            }
        }
    }

    /// Announcements for the pipeline to record.
    pub(super) fn take_notices(&mut self) -> Vec<Status> {
        let evicted = self.evicted.take().map(|(from, to, records)| Status::Evicted { from, to, records });
        self.notices.drain(..).chain(evicted).collect()
    }

    /// Whether there is something to announce.
    pub(super) fn has_notices(&self) -> bool {
        self.evicted.is_some() || !self.notices.is_empty()
    }

    /// Adds an announcement.
    pub(super) fn announce(&mut self, notice: Status) {
        self.notices.push(notice);
    }

    /// Records in memory of a class.
    pub(super) fn in_memory(&self, class: Class) -> usize {
        self.rings[class as usize].len()
    }
}
