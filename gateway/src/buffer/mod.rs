//! The outage buffer: what the pipeline has recorded waits here, in order, until every sink has it.
//!
//! # Constraints
//!
//! - **Nothing waits for the disk.** One named thread owns sled; [`Buffer::append`] numbers a record, puts it into memory
//!   and returns. A disk that is slow, full, read-only, broken or absent costs durability, never a reading or an alarm.
//! - **It always starts.** Damage is set aside, salvaged and announced. Without a usable disk it works in memory and
//!   tries again every five seconds.
//! - **Identity.** (gateway, epoch, number) names a record for ever. Numbers are reserved on the disk, 65,536 at a time,
//!   before they are used; after a crash numbering goes on behind the reservation and the unused rest is announced as
//!   `void`. Without a disk to reserve on, a new epoch begins.
//! - **Memory first.** A data record that every sink acknowledges before the next commit is never written. Events are
//!   committed at once, at most once per `commit_every`.
//! - **Committed means readable after a power cut**: the database file is synced on a handle of our own, and so is every
//!   folder whose entries have changed.
//! - **Bounded.** Memory by bytes for each class, disk by `max_size` or by what others have left free. Detail is
//!   given up before history, history before events, and every step is announced and counted.
//! - **The accounts balance** for every sink: recorded = acknowledged + pending + merged + evicted + rejected + not for it
//!   + void. They are committed together with the records they count.
//!
//! # In memory
//!
//! ```text
//!             append                                        next / acknowledge / reject / rewind
//! pipeline ───────────► state: a ring and the lanes of each class ◄─────────────────── one reader per sink and class
//!                        ▲ one lock, never held while the disk works        │
//!                        │ commit, spill, remove                            │ what only the disk has
//!                        └─────────────────── thread ◄──────────────────────┘
//!                                               │
//!                                             store ──► generations ──► blocks
//! ```
//!
//! There are two classes, events and data, so that an alarm overtakes any backlog. The **ring** holds the newest records of a
//! class; entries leave when every sink has settled them, or when the disk has them and room is short (`spilled`). A **lane** is
//! one sink in one class: its *cursor* (everything up to here is settled), its *position* (everything up to here has been handed
//! out) and what lies between. A reader whose position lies before `spilled` asks the thread for a page from the disk.
//!
//! # On disk
//!
//! ```text
//! buffer/
//!   lock                              held by the process that uses the store
//!   identity                          epochs, and below which number all may be used; replaced as a whole
//!   checkpoint, timeline              filter state, clock offsets; replaced as a whole
//!   g0000000007-0000000007.0/         a generation: a small sled database (about 2 MiB), oldest first
//!     db, conf, blobs/, snap.*        sled's own
//!     contents                        first and last number and count, by class; written when it is closed
//!   g0000000001-0000000006.2/         generations 1 to 6, rewritten at decay level 2
//!   new-…, trash-…                    half written, half deleted: removed at the next start
//!   quarantine/                       at most four broken generations, for people to look at
//! ```
//!
//! The keys of a generation, all numbers big-endian:
//!
//! | key | value |
//! |---|---|
//! | `b` first class last count | a block: records of one class and one boot, about 3 KiB before compression |
//! | `c` number | a page of the channel dictionary, from that number on |
//! | `l` number | a piece of the pipeline's ledger |
//! | `z` | where everybody stood at the last commit: next number, cursors, accounts |
//!
//! Every value is a *frame* (16 bytes of magic, kind, version, lengths and CRC-32, then LZ4; see `frame.rs`), so that it
//! can be recognised in the rubble of a database that does not open. A record in a block is its step from the last
//! number, its channel's number, its step in time and its body, in postcard.
//!
//! # Operations
//!
//! **Commit.** Under the lock: take the records that some sink still needs, the standing and the ledger; what
//! nobody needs leaves the memory unwritten. Then one sled batch, `flush`, `fdatasync`. Only then is a checkpoint
//! published that presupposes those records. Last, generations that everybody has settled are renamed to `trash-…` and deleted. A
//! full generation is closed and the next one begun before the batch.
//!
//! **Open.** Remove what was half done, read the notes of closed generations (one is only opened if it has none), open the
//! newest, take its standing, reserve numbers, count on the disk what every sink is waiting for. A difference is damage, and counts as
//! void.
//!
//! **Salvage.** A generation that does not open, or fails while in use, or holds less than its note says, is searched byte by
//! byte for intact frames. These go into a new generation that takes the place of the broken one by one exchange of
//! names; the broken one goes to quarantine.
//!
//! **Decay and eviction.** From 70 % of the limit on, groups of up to five neighbouring generations that no sink is reading are
//! rewritten coarser (`decay.rs`) into `new-…`, synced, and renamed; a range within another's range has been
//! replaced. Above 92 % generations lose their data, oldest first, and last of all their events.
//!
//! **Full disk.** With less than 2 MiB free nothing is begun: sled does not survive being refused. Records wait in memory,
//! the oldest are given up when that is full, and writing goes on by itself once there is room.
//!
//! # What it does not do
//!
//! - A crash between rewriting a generation and the next commit counts the merged records as void instead of merged.
//! - While the disk is away, a sink that still needs records from it waits for it; its newer records follow after them.
//! - If a store comes back whose numbers lie above those that a process without a disk has given out meanwhile, it stays aside
//!   until the next start.
//! - There is no cap on the rate of events.
//!
//! # Figures
//!
//! Measured with `cargo test -p weir --lib buffer::tests::figures -- --ignored --nocapture` and `WEIR_RECORDS=300000` (100
//! channels, nine samples to a summary, a commit every 500 records) in the test profile, on a virtual machine with two busy x86
//! cores:
//!
//! | | |
//! |---|---|
//! | written online, every record acknowledged before the commit | 0 bytes per record |
//! | written in an outage | 76 bytes per record, 2.0 times its payload of 37 bytes |
//! | appended and committed | 25,000 to 82,000 records/s |
//! | drained | 40,000 to 225,000 records/s |
//! | open after a crash with 300,000 records (23 MB) waiting | 0.05 to 0.2 s; the first record after 0.07 to 0.55 s |
//! | memory (RssAnon of the whole process) empty, after writing, after draining | 2.4, 6.5, 5.6 MB |
//!
//! `WEIR_TRIALS=100 cargo test -p weir --lib buffer::tests::crash -- --nocapture`: 100 kills (-9) while 174,000 readings were
//! written and committed and 78,480 of their records rewritten coarser: everything that was safe came back. 100 trials of a
//! flipped bit, a cut, a zeroed page or a deleted file among 13: every start succeeded, 72 cost nothing, and everything that
//! the others cost was announced and counted.

mod block;
mod decay;
mod fault;
mod folder;
mod frame;
mod generation;
mod identity;
mod lane;
mod page;
mod reader;
mod ring;
mod room;
mod salvage;
mod standing;
mod state;
mod store;
pub mod survey;
mod thread;

pub use reader::Reader;
pub use standing::Account;

use crate::record::{Body, Draft, Record, Seq, Status};
use crate::section::{Section, Size, Span};
use identity::{Identity, RESERVED};
use serde::{Deserialize, Serialize};
use state::State;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Left, Store};
use thread::{CHECKPOINT, Disk, Inner, Request, Shared, TIMELINE, Worker};
use tokio::sync::oneshot;

/// `[buffer]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The most that the store may take on disk.
    pub max_size: Size,
    /// Data records are on the disk, or at every sink, after this time at the latest. Events are at once.
    pub commit_every: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_size: Size(256 << 20), commit_every: Span(Duration::from_secs(1)) }
    }
}

impl Config {
    /// Reads `[buffer]`.
    pub fn read(section: Option<Section<'_, '_>>) -> Self {
        let default = Self::default();
        let Some(mut section) = section else { return default };
        let max_size = section.take_checked("max_size", "must be at least 8MiB", |s: &Size| s.0 >= 8 << 20);
        let commit_every = section.take_checked("commit_every", "must be between 100ms and 1h", |s: &Span| {
            (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&s.0)
        });
        section.finish();
        Self {
            max_size: max_size.unwrap_or(default.max_size),
            commit_every: commit_every.unwrap_or(default.commit_every),
        }
    }
}

/// The two logs: events overtake everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Class {
    /// Alarms, anomalies, faults.
    Events = 0,
    /// Everything else.
    Data = 1,
}

const CLASSES: usize = 2;

impl Class {
    /// Both, by index.
    pub const ALL: [Self; CLASSES] = [Self::Events, Self::Data];

    /// Where a record belongs.
    pub fn of(record: &Record) -> Self {
        if matches!(record.draft.body, Body::Event(_)) { Self::Events } else { Self::Data }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| *class as u8 == byte)
    }
}

/// How much is sent at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Records in a batch.
    pub records: usize,
    /// Bytes in a batch, roughly, uncompressed.
    pub bytes: usize,
    /// How long to wait for a batch of data to fill. Events never wait.
    pub linger: Duration,
}

/// A sink, as far as the buffer needs to know it.
pub struct Subscriber {
    /// Its name in the configuration; its cursor is kept under it.
    pub name: Box<str>,
    /// Which records it wants; asked while the buffer is locked, so it must be quick.
    pub wants: Box<dyn Fn(&Record) -> bool + Send + Sync>,
}

/// What was found when the buffer was opened.
#[derive(Debug)]
pub struct Opened {
    /// With the gateway's id and a record's number, the record's name. See [`Buffer::epoch_of`].
    pub epoch: Arc<str>,
    /// What receivers should be told: numbers lost unused, damage.
    pub notices: Vec<Status>,
    /// The last published filter state.
    pub checkpoint: Option<Vec<u8>>,
    /// The counters of the last commit that had some.
    pub ledger: Option<Vec<u8>>,
    /// The clock's offsets.
    pub timeline: Option<Vec<u8>>,
}

/// What became of everything, for `weir status` and the metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// By sink.
    pub sinks: Vec<SinkStats>,
    /// Records in memory, events and data.
    pub in_memory: [usize; CLASSES],
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Commits to disk so far.
    pub commits: u64,
    /// Why records are in memory only, if they are.
    pub trouble: Option<String>,
}

/// One sink's accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkStats {
    /// Its name.
    pub name: Box<str>,
    /// Events and data.
    pub accounts: [Account; CLASSES],
    /// Everything up to these numbers is settled.
    pub cursors: [Seq; CLASSES],
}

/// Bytes of memory for records of one class, events and data. The oldest go to the disk alone when it is full.
const ROOM: [usize; CLASSES] = [1 << 20, 2 << 20];

/// The buffer. Cheap to clone; nothing here waits for the disk unless it says so.
#[derive(Clone)]
pub struct Buffer {
    shared: Arc<Shared>,
    _last: Arc<LastHandle>,
}

/// Ends the thread when nobody is left. What has not been committed is then lost, as in a crash: see [`Buffer::close`].
struct LastHandle(Arc<Shared>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        self.0.request(Request::Abandon);
    }
}

impl Buffer {
    /// Opens the store in `dir`, or makes one. It always starts: damage is set aside and reported, and without a usable
    /// disk records are kept in memory until there is one.
    pub fn open(dir: &Path, config: &Config, subscribers: Vec<Subscriber>) -> (Self, Opened) {
        crate::sys::tame_allocator();
        let (store, left, trouble) = match Store::open(dir, config.max_size.0) {
            Ok((store, left)) => (Some(store), left, None),
            Err(fault) => {
                tracing::error!("the buffer works in memory only: {fault}");
                (None, Left::default(), Some(fault.to_string()))
            }
        };
        let file = |name| store.as_ref().and_then(|store| store.file(name));
        let (checkpoint, timeline) = (file(CHECKPOINT), file(TIMELINE));
        let identity = store.as_ref().map_or_else(Identity::volatile, |store| store.identity.clone());
        let last = Class::ALL.map(|class| store.as_ref().map_or(0, |store| store.last(class)));
        let mut standing = left.standing;
        let void = if store.is_some() { identity.reserved.saturating_sub(standing.next) } else { 0 };
        standing.next = (standing.next + void).max(identity.begins());
        let epoch = identity.epoch_of(standing.next);
        let mut state = State::new(&standing, last, subscribers, ROOM);
        if void > 0 {
            state.announce(Status::Void { from: standing.next - void, to: standing.next - 1 });
        }
        let disk = Disk { trouble, bytes: store.as_ref().map_or(0, Store::bytes), commits: 0 };
        let inner =
            Inner { state, identity, requests: Default::default(), began_without: store.is_none(), ended: false, disk };
        let shared = Shared::new(inner);
        let mut worker = Worker {
            shared: shared.clone(),
            dir: dir.to_owned(),
            config: config.clone(),
            store,
            last_sync: None,
            retry_at: Instant::now(),
            damage: Vec::new(),
            aged: Instant::now(),
        };
        worker.reserve();
        worker.report_damage();
        worker.reconcile();
        let notices = {
            let mut inner = shared.lock();
            inner.state.count_void(void);
            inner.state.take_notices()
        };
        if let Err(error) = std::thread::Builder::new().name("buffer".into()).spawn(move || worker.run()) {
            tracing::error!("the buffer's thread cannot be started, records stay in memory: {error}");
        }
        let _last = Arc::new(LastHandle(shared.clone()));
        (Self { shared, _last }, Opened { epoch, notices, checkpoint, ledger: left.ledger, timeline })
    }

    /// Numbers a record and takes it in. Never waits: when memory and disk are full, the oldest data goes, which is
    /// counted and announced. An event is committed at once.
    pub fn append(&self, draft: Draft) -> Seq {
        let class = if matches!(draft.body, Body::Event(_)) { Class::Events } else { Class::Data };
        let (seq, wake) = {
            let mut inner = self.shared.lock();
            let (seq, wake) = inner.state.append(draft, Instant::now());
            inner.renew_epoch(seq);
            (seq, wake || seq + RESERVED / 2 > inner.identity.reserved)
        };
        self.shared.arrived[class as usize].notify_waiters();
        if wake {
            self.shared.wake();
        }
        seq
    }

    /// The filters' state after everything appended so far; published once all of that is safe.
    pub fn checkpoint(&self, bytes: Vec<u8>) {
        self.shared.lock().state.set_checkpoint(bytes, Instant::now());
        self.shared.wake();
    }

    /// The counters after everything appended so far; committed together with it.
    pub fn ledger(&self, bytes: Vec<u8>) {
        self.shared.lock().state.set_ledger(bytes);
    }

    /// Stores the clock's offsets. Returns when they are on the disk, or there is no disk.
    pub async fn put_timeline(&self, bytes: Vec<u8>) {
        let (reply, done) = oneshot::channel();
        self.shared.request(Request::Timeline(bytes, reply));
        let _ = done.await;
    }

    /// A sink's reader of one class, at the first record that it has not settled. An unknown name reads nothing.
    pub fn reader(&self, subscriber: &str, class: Class) -> Reader {
        let member = self.shared.lock().state.member(subscriber).unwrap_or(usize::MAX);
        if let Some(lane) = self.shared.lock().state.lane(member, class) {
            lane.rewind();
        }
        Reader { shared: self.shared.clone(), member, class, ahead: None, layout: 0 }
    }

    /// The epoch of a number. It only changes when the disk has been away for so long that numbers could not be reserved.
    pub fn epoch_of(&self, seq: Seq) -> Arc<str> {
        self.shared.lock().identity.epoch_of(seq)
    }

    /// No more records will be appended: readers come to their end once they have read everything.
    pub fn end(&self) {
        self.shared.lock().ended = true;
        self.shared.arrived.iter().for_each(tokio::sync::Notify::notify_waiters);
    }

    /// What has happened that receivers should be told (records merged or given up, damage): each is to be appended as a
    /// record of the gateway. Waits until there is something.
    pub async fn notices(&self) -> Vec<Status> {
        loop {
            let notices = self.shared.lock().state.take_notices();
            if !notices.is_empty() {
                return notices;
            }
            self.shared.told.notified().await;
        }
    }

    /// Returns when everything appended so far, and every cursor, is on the disk; or at once when there is none.
    pub async fn flush(&self) {
        let (reply, done) = oneshot::channel();
        self.shared.request(Request::Flush(reply));
        let _ = done.await;
    }

    /// Ends, and returns when everything that sinks have not settled is on the disk.
    pub async fn close(self) {
        self.end();
        let (reply, done) = oneshot::channel();
        self.shared.request(Request::Close(reply));
        let _ = done.await;
    }

    /// What became of everything.
    pub fn stats(&self) -> Stats {
        let inner = self.shared.lock();
        let sinks = inner.state.standing().places.into_iter().map(|place| SinkStats {
            name: place.name,
            accounts: place.progress.map(|p| p.account),
            cursors: place.progress.map(|p| p.cursor),
        });
        Stats {
            sinks: sinks.collect(),
            in_memory: Class::ALL.map(|class| inner.state.in_memory(class)),
            disk_bytes: inner.disk.bytes,
            commits: inner.disk.commits,
            trouble: inner.disk.trouble.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
