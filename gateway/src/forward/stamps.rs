//! The wall-clock times that receivers see: applied when a batch is built, and never changed once a batch may have left.

use crate::buffer::Buffer;
use crate::clock::{Clock, Timeline};
use crate::record::{BootId, Nanos, Record, Seq};
use crate::sink::{Lane, Outgoing};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// The timeline, kept up to date and durable. Shared by all lanes.
pub struct Stamps {
    timeline: Mutex<Timeline>,
    clock: Clock,
    /// Boot time until which data waits for the clock to become right.
    hold_until: Nanos,
}

/// How often the wall clock is compared with boot time.
const LOOK: Duration = Duration::from_secs(1);

impl Stamps {
    /// Goes on with the timeline of earlier runs. Data waits up to `hold` for the clock.
    pub fn new(clock: Clock, stored: Option<&[u8]>, hold: Duration) -> Self {
        let timeline = stored.and_then(|bytes| postcard::from_bytes(bytes).ok()).unwrap_or_default();
        let hold_until = clock.now().saturating_add(i64::try_from(hold.as_nanos()).unwrap_or(i64::MAX));
        Self { timeline: Mutex::new(timeline), clock, hold_until }
    }

    /// Watches the wall clock and keeps what it sees durable, until the task is aborted. The first look is taken before this
    /// returns.
    pub async fn watch(self: &Arc<Self>, buffer: &Buffer) -> JoinHandle<()> {
        self.look(buffer).await;
        let (stamps, buffer) = (Arc::clone(self), buffer.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                stamps.look(&buffer).await;
            }
        })
    }

    async fn look(&self, buffer: &Buffer) {
        if let Some(changed) = self.observe() {
            buffer.put_timeline(changed).await;
        }
    }

    /// What must be stored if the wall clock has changed.
    fn observe(&self) -> Option<Vec<u8>> {
        let mut timeline = self.lock();
        let (boot, now, wall) = (self.clock.boot(), self.clock.now(), self.clock.wall());
        let changed = timeline.observe(boot, now, wall);
        self.clock.adopt_offset(timeline.offset());
        changed.then(|| encode(&timeline))
    }

    /// Ready when `lane` may leave: events at once, data when the clock is right or has had its time.
    pub async fn ready(&self, lane: Lane) {
        while let Some(left) = self.holds().filter(|_| lane != Lane::Event) {
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// How much longer data waits for the clock to become right; `None`: it does not.
    pub fn holds(&self) -> Option<Duration> {
        let left = self.hold_until.saturating_sub(self.clock.now());
        let waits = left > 0 && self.is_guess() && !self.clock.is_simulated();
        waits.then(|| Duration::from_nanos(left.unsigned_abs()))
    }

    /// Boot time, on the clock that records are stamped with.
    pub fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Whether the wall clock is still a guess.
    pub fn is_guess(&self) -> bool {
        self.lock().is_guess()
    }

    /// Records with their stamps, which are durable when this returns.
    pub async fn stamp(&self, records: &[Arc<Record>], lane: Lane, buffer: &Buffer) -> Vec<Outgoing> {
        let epochs = Epochs::of(records, buffer);
        let (batch, changed) = self.stamp_now(records, lane, &epochs);
        if let Some(changed) = changed {
            buffer.put_timeline(changed).await;
        }
        batch
    }

    fn stamp_now(&self, records: &[Arc<Record>], lane: Lane, epochs: &Epochs) -> (Vec<Outgoing>, Option<Vec<u8>>) {
        let mut timeline = self.lock();
        let mut changed = false;
        let mut outgoing = |record: &Arc<Record>| {
            let (boot, at): (BootId, Nanos) = (record.draft.boot, record.draft.at);
            changed |= timeline.mark_used(boot, at);
            let (wall, trust) = timeline.stamp(boot, at);
            Outgoing { record: Arc::clone(record), epoch: epochs.get(record.seq), lane, wall, trust }
        };
        let batch = records.iter().map(&mut outgoing).collect();
        (batch, changed.then(|| encode(&timeline)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The epochs of a batch. There is nearly always one: another begins only after a disk has been away for long.
enum Epochs<'a> {
    One(Arc<str>),
    Several(&'a Buffer),
}

impl<'a> Epochs<'a> {
    fn of(records: &[Arc<Record>], buffer: &'a Buffer) -> Self {
        let epoch = |record: Option<&Arc<Record>>| buffer.epoch_of(record.map_or(0, |r| r.seq));
        let (first, last) = (epoch(records.first()), epoch(records.last()));
        if first == last { Self::One(first) } else { Self::Several(buffer) }
    }

    fn get(&self, seq: Seq) -> Arc<str> {
        match self {
            Self::One(epoch) => Arc::clone(epoch),
            Self::Several(buffer) => buffer.epoch_of(seq),
        }
    }
}

fn encode(timeline: &Timeline) -> Vec<u8> {
    postcard::to_allocvec(timeline).unwrap_or_default()
}
