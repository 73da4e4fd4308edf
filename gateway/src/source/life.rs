//! How long a source lives, and how others see that it still does.

use crate::clock::Clock;
use crate::record::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A source's end, when it comes, and its sign of life until then. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Life {
    stop: CancellationToken,
    pulse: Arc<Pulse>,
    clock: Clock,
}

/// When a thread that can hang in the kernel was last seen at work.
#[derive(Debug)]
pub struct Pulse {
    name: Box<str>,
    beat: AtomicI64,
}

/// A thread that waits does so in slices no longer than this, with a beat between them.
const LONGEST_NAP: Duration = Duration::from_secs(2);

impl Life {
    /// A life that ends with `stop`; `name` is what the source is called when it hangs.
    pub fn new(name: impl Into<Box<str>>, stop: CancellationToken, clock: Clock) -> Self {
        Self { stop, pulse: Arc::new(Pulse { name: name.into(), beat: AtomicI64::new(NEVER) }), clock }
    }

    /// Whether it is time to end.
    pub fn is_over(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Ready when it is time to end.
    pub async fn over(&self) {
        self.stop.cancelled().await;
    }

    /// Does `work` unless it is time to end; then `None`.
    pub async fn until_over<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stop.run_until_cancelled(work).await
    }

    /// Waits in a task. False when it is time to end.
    pub async fn sleep(&self, span: Duration) -> bool {
        self.until_over(tokio::time::sleep(span)).await.is_some()
    }

    /// Waits in a thread until boot time `until`, beating. False when it is time to end.
    pub fn sleep_until(&self, runtime: &tokio::runtime::Handle, until: Nanos) -> bool {
        loop {
            self.beat();
            let now = self.clock.now();
            if self.is_over() || now >= until {
                return !self.is_over();
            }
            if self.clock.is_simulated() {
                self.clock.advance_to(until);
                continue;
            }
            let left = Duration::from_nanos(until.abs_diff(now)).min(LONGEST_NAP);
            runtime.block_on(self.sleep(left));
        }
    }

    /// A sign of life, from a thread.
    pub fn beat(&self) {
        self.pulse.beat.store(self.clock.now(), Ordering::Relaxed);
    }

    /// The sign of life, for whoever watches.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }
}

const NEVER: Nanos = Nanos::MIN;

impl Pulse {
    /// What the thread is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long ago the last sign of life was; `None` for a source that has no thread of its own.
    pub fn silent_for(&self, now: Nanos) -> Option<Duration> {
        let beat = self.beat.load(Ordering::Relaxed);
        (beat != NEVER).then(|| Duration::from_nanos(now.saturating_sub(beat).max(0).unsigned_abs()))
    }
}
