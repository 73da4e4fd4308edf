//! One sink's view of one class: records in order, from memory where they are, from the disk where they are not.

use super::Class;
use super::Limits;
use super::page::Page;
use super::thread::{Request, Shared};
use crate::record::{Record, Seq};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// Reads one class for one sink. There is one for each; what it has read must be acknowledged, rejected or rewound.
pub struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) member: usize,
    pub(super) class: Class,
    /// Read from the disk, but not handed out yet.
    pub(super) ahead: Option<Page>,
    /// How the disk was laid out when `ahead` was read.
    pub(super) layout: u64,
}

impl Reader {
    /// The next records after those read so far: at least one, at most as many as `limits` allow. Waits for them, and with
    /// data for a batch to fill; events never wait. `None` once everything has been read and no more will come.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self, limits: &Limits) -> Option<Vec<Arc<Record>>> {
        loop {
            let shared = self.shared.clone();
            let mut arrived = pin!(shared.arrived[self.class as usize].notified());
            arrived.as_mut().enable();
            if let Some((after, until)) = self.must_read() {
                self.read_disk(after, until).await;
            } else {
                self.linger(limits).await;
            }
            if let Some(batch) = self.take(limits) {
                return Some(batch);
            }
            if self.must_read().is_some() {
                continue;
            }
            if self.shared.lock().ended {
                return None;
            }
            arrived.await;
        }
    }

    /// The far end has taken everything up to `upto`, as far as it was read and not rejected.
    pub fn acknowledge(&mut self, upto: Seq) {
        if self.shared.lock().state.acknowledge(self.member, self.class, upto, Instant::now()) {
            self.shared.wake();
        }
    }

    /// The far end will never take this record: it is counted, and does not come again.
    pub fn reject(&mut self, seq: Seq) {
        if let Some(lane) = self.shared.lock().state.lane(self.member, self.class) {
            lane.reject(seq);
        }
    }

    /// Reads again from the first record that was neither acknowledged nor rejected.
    pub fn rewind(&mut self) {
        self.ahead = None;
        if let Some(lane) = self.shared.lock().state.lane(self.member, self.class) {
            lane.rewind();
        }
    }

    fn must_read(&self) -> Option<(Seq, Seq)> {
        self.shared.lock().state.must_read(self.member, self.class)
    }

    /// Waits for company for what there is to send: until a batch is full, nothing more will come, or the time is over.
    async fn linger(&self, limits: &Limits) {
        let deadline = tokio::time::Instant::now() + limits.linger;
        loop {
            let arrived = self.shared.arrived[self.class as usize].notified();
            if !self.is_worth_waiting(limits) {
                return;
            }
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }

    fn is_worth_waiting(&self, limits: &Limits) -> bool {
        if self.class != Class::Data || limits.linger.is_zero() {
            return false;
        }
        let inner = self.shared.lock();
        !inner.ended && inner.state.is_partial(self.member, limits)
    }

    async fn read_disk(&mut self, after: Seq, until: Seq) {
        if self.ahead.as_ref().is_some_and(|page| page.upto > after) {
            return;
        }
        let (reply, page) = oneshot::channel();
        self.shared.request(Request::Read { class: self.class, after, until, reply });
        // An error means that the thread has ended: then nothing more comes from the disk.
        self.ahead = Some(page.await.unwrap_or_else(|_| Page { upto: until, ..Page::default() }));
    }

    fn take(&mut self, limits: &Limits) -> Option<Vec<Arc<Record>>> {
        let mut inner = self.shared.lock();
        if inner.state.layout != self.layout {
            self.ahead = None;
            self.layout = inner.state.layout;
        }
        let batch = match (&self.ahead, inner.state.must_read(self.member, self.class)) {
            (Some(page), Some(_)) => inner.state.take_page(self.member, self.class, page, limits),
            (None, Some(_)) => Vec::new(),
            (_, None) => inner.state.take(self.member, self.class, limits),
        };
        (!batch.is_empty()).then_some(batch)
    }
}
