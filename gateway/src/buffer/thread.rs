//! The one thread that touches the disk. Whatever it meets there, it goes on: what cannot be written stays in memory and
//! is tried again.

use super::fault::Fault;
use super::identity::{Identity, RESERVED, new_epoch};
use super::page::{Found, Page};
use super::room;
use super::salvage::{self, Damage};
use super::state::{Commit, State};
use super::store::{Left, Store};
use super::{Class, Config};
use crate::record::{Seq, Status};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// How long a disk that failed is left alone.
const RETRY: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(5) };

/// File beside the generations: filter state.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// File beside the generations: the clock's offsets.
pub(super) const TIMELINE: &str = "timeline";

/// What others ask of the thread.
pub(super) enum Request {
    /// Records of a class, those after one number until another at least.
    Read {
        /// Which log.
        class: Class,
        /// The last number known.
        after: Seq,
        /// Up to here the disk has what memory has not.
        until: Seq,
        /// Where to.
        reply: oneshot::Sender<Page>,
    },
    /// The clock's offsets must be on the disk.
    Timeline(Vec<u8>, oneshot::Sender<()>),
    /// Everything so far must be on the disk.
    Flush(oneshot::Sender<()>),
    /// Everything must be on the disk; nothing more will come.
    Close(oneshot::Sender<()>),
    /// Nobody is left to care.
    Abandon,
}

/// What all handles, readers and the thread share.
pub(super) struct Shared {
    state: Mutex<Inner>,
    work: Condvar,
    /// By class: something was appended, or appends have ended.
    pub(super) arrived: [Notify; super::CLASSES],
    /// There is something to be announced.
    pub(super) told: Notify,
}

/// Under the lock.
pub(super) struct Inner {
    /// The bookkeeping.
    pub(super) state: State,
    /// Who this store is; numbers below `reserved` may be used.
    pub(super) identity: Identity,
    /// What the thread should do.
    pub(super) requests: VecDeque<Request>,
    /// This process started without a store and has not found one yet.
    pub(super) began_without: bool,
    /// No more appends.
    pub(super) ended: bool,
    /// Figures about the disk.
    pub(super) disk: Disk,
}

impl Inner {
    /// Goes on with a store that has come back. What it knows is older than what memory knows, unless this process began
    /// without it: then what it holds comes first.
    fn adopt(&mut self, store: &mut Store, left: &Left) -> Result<(), String> {
        let (ours, theirs) = (self.identity.epochs.first(), left.standing.next);
        if self.began_without && ours.is_some_and(|(from, _)| *from < theirs) {
            return Err("a store with later numbers has come back: restart weir to use it".into());
        }
        if self.began_without && theirs > 1 {
            let known = store.identity.epochs.iter().chain(&self.identity.epochs);
            self.identity.epochs = known.cloned().collect();
            self.state.join(&left.standing);
        }
        self.began_without = false;
        store.identity = self.identity.clone();
        self.state.disk_has(Class::ALL.map(|class| store.last(class)));
        Ok(())
    }

    /// A number that could not be reserved gets an epoch of its own, so that it is never used twice under one name.
    pub(super) fn renew_epoch(&mut self, seq: Seq) {
        if seq == self.identity.reserved {
            self.identity.epochs.push((seq, new_epoch()));
        }
    }
}

/// Figures about the disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    /// Why records are only in memory, if they are.
    pub(super) trouble: Option<String>,
    /// Bytes on disk.
    pub(super) bytes: u64,
    /// Commits so far; each is at least one sync.
    pub(super) commits: u64,
}

impl Shared {
    pub(super) fn new(inner: Inner) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(inner),
            work: Condvar::new(),
            arrived: Default::default(),
            told: Notify::new(),
        })
    }

    /// Short, and never held while the disk works.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the thread for something.
    pub(super) fn request(&self, request: Request) {
        self.lock().requests.push_back(request);
        self.work.notify_one();
    }

    /// Lets the thread look at what is due.
    pub(super) fn wake(&self) {
        self.work.notify_one();
    }
}

/// The thread's own.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) dir: PathBuf,
    pub(super) config: Config,
    pub(super) store: Option<Store>,
    pub(super) last_sync: Option<Instant>,
    pub(super) retry_at: Instant,
    /// What was found damaged while there was no store.
    pub(super) damage: Vec<Damage>,
    /// When sinks that are no longer configured were last made older.
    pub(super) aged: Instant,
}

/// What the thread does next.
enum Job {
    Commit,
    Request(Request),
    Reserve,
    Reopen,
}

impl Worker {
    /// Works until the buffer is closed or every handle is gone. A panic (sled has some) costs the database, not the thread.
    pub(super) fn run(mut self) {
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work())) {
            let what = panic.downcast_ref::<&str>().copied().unwrap_or("the buffer's thread panicked");
            self.give_up(&Fault::damaged(&self.dir, what));
        }
    }

    fn work(&mut self) {
        loop {
            if self.shared.lock().state.has_notices() {
                self.shared.told.notify_one();
            }
            match self.next_job() {
                Job::Commit => self.commit(false),
                Job::Reserve => self.reserve(),
                Job::Reopen => self.reopen(),
                Job::Request(Request::Read { class, after, until, reply }) => self.read(class, after, until, reply),
                Job::Request(Request::Timeline(bytes, reply)) => self.put_timeline(&bytes, reply),
                Job::Request(Request::Flush(reply)) => {
                    self.commit(true);
                    let _ = reply.send(());
                }
                Job::Request(Request::Close(reply)) => {
                    self.close();
                    let _ = reply.send(());
                    return;
                }
                Job::Request(Request::Abandon) => return,
            }
        }
    }

    /// Waits for the next thing to do.
    fn next_job(&self) -> Job {
        let mut inner = self.shared.lock();
        loop {
            let now = Instant::now();
            let usable = self.store.is_some();
            let due = inner.state.due(self.last_sync, self.config.commit_every.0).filter(|_| usable);
            if due.is_some_and(|at| at <= now) {
                return Job::Commit;
            }
            if usable && self.retry_at <= now && inner.state.next + RESERVED / 2 > inner.identity.reserved {
                return Job::Reserve;
            }
            if !usable && self.retry_at <= now {
                return Job::Reopen;
            }
            if let Some(request) = self.take_request(&mut inner) {
                return Job::Request(request);
            }
            let retry = (self.retry_at > now).then_some(self.retry_at);
            let until = due.into_iter().chain(retry).min();
            let wait = until.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(now));
            inner = self.shared.work.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Without a disk, reads wait until it is back.
    fn take_request(&self, inner: &mut Inner) -> Option<Request> {
        let can = |request: &Request| self.store.is_some() || !matches!(request, Request::Read { .. });
        let at = inner.requests.iter().position(can)?;
        inner.requests.remove(at)
    }

    fn commit(&mut self, all: bool) {
        self.age();
        if self.store.is_none() {
            return;
        }
        let Some(commit) = self.shared.lock().state.begin_commit(all) else { return };
        let result = self.write(&commit);
        let now = Instant::now();
        self.last_sync = Some(now);
        let mut inner = self.shared.lock();
        match result {
            Ok(()) => {
                inner.state.finish_commit(commit.upto);
                inner.disk.commits += 1;
                inner.disk.trouble = None;
                drop(inner);
                self.make_room();
            }
            Err(fault) => {
                inner.state.fail_commit(commit, now);
                drop(inner);
                self.cannot_write(&fault);
            }
        }
    }

    /// A full disk was noticed before it could do harm: then the database is still good, and room may be made.
    fn cannot_write(&mut self, fault: &Fault) {
        let Some(store) = self.store.as_ref().filter(|_| matches!(fault, Fault::Full { .. })) else {
            return self.give_up(fault);
        };
        tracing::warn!("{fault}");
        {
            let mut inner = self.shared.lock();
            inner.disk.trouble = Some(fault.to_string());
            inner.state.disk_has(Class::ALL.map(|class| store.last(class)));
        }
        self.make_room();
    }

    /// Steps towards having room; a request that waits comes between them.
    fn make_room(&mut self) {
        let Some(store) = &mut self.store else { return };
        let result = loop {
            match room::make(store, &self.shared, self.config.max_size.0) {
                Ok(true) if self.shared.lock().requests.is_empty() => {}
                other => break other,
            }
        };
        self.shared.lock().disk.bytes = store.bytes();
        if let Err(fault) = result {
            self.give_up(&fault);
        }
    }

    fn age(&mut self) {
        let seconds = self.aged.elapsed().as_secs();
        if seconds >= 60 {
            self.aged = Instant::now();
            self.shared.lock().state.age(u32::try_from(seconds).unwrap_or(u32::MAX));
        }
    }

    /// Records first, then the filter state that presupposes them, then what nobody needs is deleted.
    fn write(&mut self, commit: &Commit) -> Result<(), Fault> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let records = [commit.records[0].as_slice(), commit.records[1].as_slice()];
        store.commit(records, &commit.standing, commit.ledger.clone())?;
        if let Some(checkpoint) = &commit.checkpoint {
            store.put_file(CHECKPOINT, checkpoint)?;
        }
        store.release(&commit.standing)?;
        Ok(())
    }

    pub(super) fn reserve(&mut self) {
        let upto = self.shared.lock().state.next + RESERVED;
        let Some(store) = &mut self.store else { return };
        match store.reserve(upto) {
            Ok(()) => self.shared.lock().identity = store.identity.clone(),
            Err(fault) => {
                self.retry_at = Instant::now() + RETRY;
                self.cannot_write(&fault);
            }
        }
    }

    fn read(&mut self, class: Class, after: Seq, until: Seq, reply: oneshot::Sender<Page>) {
        let Some(store) = &mut self.store else { return };
        match store.read(class, after, until) {
            Ok(page) => {
                self.announce_losses(&page);
                let _ = reply.send(page);
                self.report_damage();
            }
            Err(fault) => {
                self.shared.lock().requests.push_back(Request::Read { class, after, until, reply });
                self.give_up(&fault);
            }
        }
    }

    fn announce_losses(&self, page: &Page) {
        for found in &page.found {
            if let Found::Lost { from, to, records } = found {
                let what = format!("{records} records in the store cannot be read any more").into();
                self.shared.lock().state.announce(Status::Damaged { from: *from, to: *to, what });
            }
        }
    }

    fn put_timeline(&mut self, bytes: &[u8], reply: oneshot::Sender<()>) {
        let Some(store) = &self.store else {
            let _ = reply.send(());
            return;
        };
        let result = store.put_file(TIMELINE, bytes);
        let _ = reply.send(());
        if let Err(fault) = result {
            self.give_up(&fault);
        }
    }

    /// A database that has failed once is of no more use: it is closed and opened again later.
    fn give_up(&mut self, fault: &Fault) {
        tracing::error!("the buffer goes on in memory only: {fault}");
        drop(catch_unwind(AssertUnwindSafe(|| drop(self.store.take()))));
        self.store = None;
        let is_rebuilt =
            matches!(fault, Fault::Damaged { path, .. } if salvage::repair(&self.dir, path, &mut self.damage));
        self.retry_at = Instant::now() + if is_rebuilt { Duration::ZERO } else { RETRY };
        self.shared.lock().disk.trouble = Some(fault.to_string());
    }

    fn reopen(&mut self) {
        match Store::open(&self.dir, self.config.max_size.0) {
            Ok((store, left)) => self.resume(store, &left),
            Err(fault) => {
                self.retry_at = Instant::now() + RETRY;
                self.shared.lock().disk.trouble = Some(fault.to_string());
            }
        }
    }

    /// The disk is back: what was kept in memory is written by the next commit.
    fn resume(&mut self, mut store: Store, left: &Left) {
        let mut inner = self.shared.lock();
        if let Err(why) = inner.adopt(&mut store, left) {
            self.retry_at = Instant::now() + RETRY;
            inner.disk.trouble = Some(why);
            return;
        }
        inner.disk.trouble = None;
        drop(inner);
        self.store = Some(store);
        self.reserve();
        self.report_damage();
        self.reconcile();
    }

    /// Asks the disk what it has of what everybody is waiting for.
    pub(super) fn reconcile(&mut self) {
        let Some(store) = &mut self.store else { return };
        let expectations = self.shared.lock().state.expectations();
        for expected in expectations {
            match store.count_after(expected.class, expected.cursor) {
                Ok(found) => self.shared.lock().state.settle_difference(&expected, found),
                Err(fault) => return self.give_up(&fault),
            }
        }
    }

    /// Tells what was found damaged, and counts what was lost by it.
    pub(super) fn report_damage(&mut self) {
        let Some(store) = &mut self.store else { return };
        let found: Vec<Damage> = self.damage.drain(..).chain(store.damage.drain(..)).collect();
        if found.is_empty() {
            return;
        }
        for Damage { from, to, what, .. } in found {
            tracing::warn!("{what}");
            self.shared.lock().state.announce(Status::Damaged { from, to, what: what.into() });
        }
        self.reconcile();
    }

    fn close(&mut self) {
        self.commit(true);
        let next = self.shared.lock().state.next;
        if let Some(store) = &mut self.store
            && let Err(fault) = store.reserve(next)
        {
            tracing::error!("numbers were reserved that will count as void: {fault}");
        }
        self.store = None;
    }
}
