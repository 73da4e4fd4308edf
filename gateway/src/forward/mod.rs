//! From the log to the destinations: batch, stamp, send, back off, commit.
//!
//! One task per sink and lane. A destination that is away or slow holds up nobody but itself, and within it no alarm waits
//! for data. Nothing is kept here: whatever has not been acknowledged by the far end is read from the log again.

mod backoff;
mod health;
mod lane;
mod route;
mod stamps;

pub use health::{Health, State};
pub use route::{Route, Wants};
pub use stamps::Stamps;

use crate::buffer::{Buffer, Class, Subscriber};
use crate::record::BootId;
use crate::sink::{Lane, Sink};
use lane::Way;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// All lanes of all sinks at work.
pub struct Forward {
    lanes: JoinSet<()>,
    sinks: Vec<Arc<dyn Sink>>,
    health: BTreeMap<Box<str>, Health>,
}

/// What the log must know of the sinks before it is opened.
pub fn subscribers(routes: &[Route]) -> Vec<Subscriber> {
    routes.iter().map(Route::subscriber).collect()
}

impl Forward {
    /// Starts a task for every sink and lane, on the current tokio runtime.
    pub fn start(routes: Vec<Route>, buffer: &Buffer, stamps: &Arc<Stamps>, boot: BootId) -> Self {
        let mut forward = Self { lanes: JoinSet::new(), sinks: Vec::new(), health: BTreeMap::new() };
        for route in routes {
            let health = Health::default();
            for (class, lane) in [(Class::Events, Lane::Event), (Class::Data, Lane::Live)] {
                let way = Way {
                    sink_name: route.name.clone(),
                    sink: Arc::clone(&route.sink),
                    reader: buffer.reader(&route.name, class),
                    buffer: buffer.clone(),
                    stamps: Arc::clone(stamps),
                    health: health.clone(),
                    boot,
                    lane,
                };
                forward.lanes.spawn(way.run());
            }
            forward.sinks.push(route.sink);
            forward.health.insert(route.name, health);
        }
        forward
    }

    /// How each sink is doing, by name.
    pub fn health(&self) -> BTreeMap<Box<str>, Health> {
        self.health.clone()
    }

    /// Waits until everything in the log has been acknowledged, but no longer than `patience`; then says goodbye to the
    /// destinations. The log must have been told that nothing more comes. True when nothing was left.
    pub async fn finish(mut self, patience: Duration) -> bool {
        let lanes = &mut self.lanes;
        let drained =
            tokio::time::timeout(patience, async { while lanes.join_next().await.is_some() {} }).await.is_ok();
        self.lanes.shutdown().await;
        for sink in &self.sinks {
            // A destination that does not even take a goodbye is not waited for.
            let _ = tokio::time::timeout(GOODBYE, sink.close()).await;
        }
        drained
    }
}

/// How long a destination may take to hear that the gateway goes.
const GOODBYE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
