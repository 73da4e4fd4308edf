//! How a sink is doing, for `weir status` and the log.

use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Shared by a sink's lanes and whoever looks. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<State>>, Arc<Notify>);

/// What is known of a sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Why it does not take anything at the moment, and what to do; `None` while all is well.
    pub failing: Option<String>,
    /// Attempts that failed since it last took something.
    pub failures: u64,
    /// Records acknowledged by the far end in this run.
    pub acknowledged: u64,
    /// Records that the far end will never take, in this run.
    pub rejected: u64,
    /// The far end's reason for the last one.
    pub last_reject: Option<String>,
}

impl Health {
    /// As it is now.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// The far end took `records`. True when it had been failing before.
    pub(super) fn accepted(&self, records: usize) -> bool {
        let mut state = self.lock();
        state.acknowledged += records as u64;
        state.failures = 0;
        let again = state.failing.take().is_some();
        if again {
            self.1.notify_waiters();
        }
        again
    }

    /// Waits until another lane finds that the far end takes records again.
    pub(super) async fn works_again(&self) {
        self.1.notified().await;
    }

    /// An attempt failed. True when this is news: the first failure, or another reason.
    pub(super) fn failed(&self, why: &str) -> bool {
        let mut state = self.lock();
        state.failures += 1;
        let news = state.failing.as_deref() != Some(why);
        if news {
            state.failing = Some(why.to_owned());
        }
        news
    }

    /// The far end will never take a record.
    pub(super) fn rejected(&self, why: &str) {
        let mut state = self.lock();
        state.rejected += 1;
        state.last_reject = Some(why.to_owned());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
