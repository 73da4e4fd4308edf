//! Records as bytes: runs of one class and one boot, with channels by their number in the generation's dictionary.
//!
//! A block is about [`RAW`] bytes before compression: large enough for LZ4 to find repetitions, small enough to stay
//! inside a sled page (a larger one would become a separate file that sled never syncs).

use super::Class;
use super::frame::{self, Kind};
use crate::record::{Body, BootId, Channel, Draft, Nanos, Record, Seq};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// Raw bytes at which a block is closed.
const RAW: usize = 3 << 10;

/// Fewer channels to a page, because names and labels are long.
const CHANNELS_PER_PAGE: usize = 32;

/// What a block holds, without opening it: also its key in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Run {
    /// First number in it.
    pub(super) first: Seq,
    /// Last number in it.
    pub(super) last: Seq,
    /// How many records; numbers of the other class lie between them.
    pub(super) count: u32,
    /// Which class.
    pub(super) class: Class,
}

/// Keys: `b`, first, class, last, count, all big-endian, so that blocks lie in order of their first number.
const KEY: usize = 1 + 8 + 1 + 8 + 4;

impl Run {
    pub(super) fn key(&self) -> [u8; KEY] {
        let mut key = [b'b'; KEY];
        key[1..9].copy_from_slice(&self.first.to_be_bytes());
        key[9] = self.class as u8;
        key[10..18].copy_from_slice(&self.last.to_be_bytes());
        key[18..].copy_from_slice(&self.count.to_be_bytes());
        key
    }

    pub(super) fn from_key(key: &[u8]) -> Option<Self> {
        let key: &[u8; KEY] = key.try_into().ok()?;
        if key[0] != b'b' {
            return None;
        }
        Some(Self {
            first: Seq::from_be_bytes(key[1..9].try_into().ok()?),
            class: Class::from_byte(key[9])?,
            last: Seq::from_be_bytes(key[10..18].try_into().ok()?),
            count: u32::from_be_bytes(key[18..].try_into().ok()?),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    run: Run,
    boot: BootId,
    at: Nanos,
}

/// The channels of a generation by number, both ways.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    channels: Vec<Option<Arc<Channel>>>,
    numbers: HashMap<Arc<Channel>, u32>,
    written: usize,
}

impl Dictionary {
    fn number(&mut self, channel: &Arc<Channel>) -> u32 {
        if let Some(number) = self.numbers.get(channel) {
            return *number;
        }
        let number = self.channels.len() as u32;
        self.channels.push(Some(channel.clone()));
        self.numbers.insert(channel.clone(), number);
        number
    }

    fn channel(&self, number: u32) -> Option<&Arc<Channel>> {
        self.channels.get(number as usize)?.as_ref()
    }

    /// Pages for the channels that are not on disk yet, as keys and values.
    pub(super) fn take_pages(&mut self) -> Vec<([u8; 5], Vec<u8>)> {
        let first = self.written;
        self.written = self.channels.len();
        let pages = self.channels[first..].chunks(CHANNELS_PER_PAGE).zip((first..).step_by(CHANNELS_PER_PAGE));
        pages.map(|(channels, first)| page(first as u32, channels)).collect()
    }

    /// Takes in a page as it was on disk.
    pub(super) fn add_page(&mut self, raw: &[u8]) -> Option<()> {
        let (first, channels): (u32, Vec<Channel>) = postcard::from_bytes(raw).ok()?;
        let end = (first as usize).checked_add(channels.len()).filter(|end| *end <= 1 << 20)?;
        if self.channels.len() < end {
            self.channels.resize(end, None);
        }
        for (number, channel) in (first..).zip(channels) {
            let channel = Arc::new(channel);
            self.channels[number as usize] = Some(channel.clone());
            self.numbers.insert(channel, number);
        }
        self.written = self.channels.len();
        Some(())
    }
}

fn page(first: u32, channels: &[Option<Arc<Channel>>]) -> ([u8; 5], Vec<u8>) {
    let mut key = [b'c'; 5];
    key[1..].copy_from_slice(&first.to_be_bytes());
    let known: Vec<&Channel> = channels.iter().flatten().map(Arc::as_ref).collect();
    (key, frame::write(Kind::Channels, &(first, known)))
}

/// Packs records of one class, ascending, into blocks.
pub(super) fn pack(class: Class, records: &[Arc<Record>], dictionary: &mut Dictionary) -> Vec<(Run, Vec<u8>)> {
    let mut blocks = Vec::new();
    let mut rest = records;
    while let Some(first) = rest.first() {
        let (raw, taken) = fill(first, rest, dictionary);
        let (block, others) = rest.split_at(taken);
        let last = block.last().map_or(first.seq, |r| r.seq);
        let run = Run { first: first.seq, last, count: taken as u32, class };
        let header = Header { run, boot: first.draft.boot, at: first.draft.at };
        let mut bytes = postcard::to_allocvec(&header).unwrap_or_default();
        bytes.extend(raw);
        blocks.push((run, frame::pack(Kind::Block, &bytes)));
        rest = others;
    }
    blocks
}

/// The raw bytes of as many records as fit into one block, and their number (at least one).
fn fill(first: &Record, records: &[Arc<Record>], dictionary: &mut Dictionary) -> (Vec<u8>, usize) {
    let mut raw = Vec::with_capacity(RAW + 256);
    let (mut seq, mut at, mut taken) = (first.seq, first.draft.at, 0);
    for record in records.iter().take_while(|r| r.draft.boot == first.draft.boot) {
        let draft = &record.draft;
        let number = dictionary.number(&draft.channel);
        let stored = (record.seq - seq, number, draft.at.wrapping_sub(at), &draft.body);
        raw = postcard::to_extend(&stored, raw).unwrap_or_default();
        (seq, at, taken) = (record.seq, draft.at, taken + 1);
        if raw.len() >= RAW {
            break;
        }
    }
    (raw, taken)
}

/// The records of a block. `None` when it is damaged or its channels are not known.
pub(super) fn unpack(raw: &[u8], dictionary: &Dictionary) -> Option<Vec<Arc<Record>>> {
    let (header, mut rest) = postcard::take_from_bytes::<Header>(raw).ok()?;
    let (mut seq, mut at) = (header.run.first, header.at);
    let mut records = Vec::new();
    for _ in 0..header.run.count {
        let ((step, number, later, body), tail) = postcard::take_from_bytes::<(Seq, u32, Nanos, Body)>(rest).ok()?;
        rest = tail;
        seq = seq.checked_add(step)?;
        at = at.wrapping_add(later);
        let channel = dictionary.channel(number)?.clone();
        records.push(Arc::new(Record { seq, draft: Draft { channel, boot: header.boot, at, body } }));
    }
    Some(records)
}

/// Which numbers a block holds, from its raw bytes.
pub(super) fn run_of(raw: &[u8]) -> Option<Run> {
    postcard::take_from_bytes::<Header>(raw).ok().map(|(header, _)| header.run)
}
