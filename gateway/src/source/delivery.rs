//! From what was found in a text or frame to arrivals: channels are named once, what is wrong is counted.

use super::extract::Found;
use super::{Arrival, Closed, Feed, Measured};
use crate::record::Nanos;
use crate::registry::{ChannelIndex, Declared, Quantity};
use std::collections::HashMap;
use std::sync::Arc;

/// The way of one sensor's pushed values into the pipeline.
pub(super) struct Delivery {
    feed: Feed,
    known: HashMap<Box<str>, Option<(ChannelIndex, Quantity)>>,
}

/// Names beyond those of real channels that are remembered as refused; then the memory of them is cleared.
const REFUSED: usize = 4096;

impl Delivery {
    pub(super) fn new(feed: Feed) -> Self {
        Self { feed, known: HashMap::new() }
    }

    /// Boot time.
    pub(super) fn now(&self) -> Nanos {
        self.feed.clock().now()
    }

    /// Sends everything that was found; a value that is none is a failed reading of its channel.
    pub(super) async fn send(&mut self, all: Vec<Found<'_>>, at: Nanos) -> Result<(), Closed> {
        for found in all {
            let Some((channel, quantity)) = self.channel(&found) else { continue };
            let arrival = match found.value {
                Ok(value) if quantity_of(&value) == quantity => Arrival::Reading { channel, at, value },
                Ok(_) => self.failure(Some(channel), at, &format!("{} was a {quantity:?} before", found.name)),
                Err(why) => self.failure(Some(channel), at, &format!("{} {why}", found.name)),
            };
            self.feed.send(arrival).await?;
        }
        Ok(())
    }

    /// Counts a failed reading of every channel.
    pub(super) async fn fail(&self, why: &str) -> Result<(), Closed> {
        self.feed.send(self.failure(None, self.now(), why)).await
    }

    /// Counts polls that nobody began.
    pub(super) async fn miss(&self, polls: u64) -> Result<(), Closed> {
        if polls == 0 {
            return Ok(());
        }
        self.feed.send(Arrival::Missed { sensor: self.feed.sensor(), polls }).await
    }

    fn failure(&self, channel: Option<ChannelIndex>, at: Nanos, why: &str) -> Arrival {
        Arrival::Failed { sensor: self.feed.sensor(), channel, at, why: Arc::from(why) }
    }

    fn channel(&mut self, found: &Found<'_>) -> Option<(ChannelIndex, Quantity)> {
        if let Some(known) = self.known.get(&*found.name) {
            return *known;
        }
        let declared = declared(found);
        let quantity = declared.quantity;
        let known = self.feed.channel(declared).map(|index| (index, quantity));
        if known.is_none() {
            tracing::warn!("{} is left out: the sensor has as many channels as one can have", found.name);
        }
        if self.known.len() > REFUSED {
            self.known.clear();
        }
        self.known.insert(found.name.as_ref().into(), known);
        known
    }
}

/// What is known of a channel, or follows from its first value.
fn declared(found: &Found<'_>) -> Declared {
    let quantity = found.value.as_ref().map_or(Quantity::Gauge, quantity_of);
    let guessed = || Declared { quantity, ..Declared::gauge(&*found.name, "") };
    Declared { name: found.name.as_ref().into(), ..found.declared.cloned().unwrap_or_else(guessed) }
}

fn quantity_of(value: &Measured) -> Quantity {
    match value {
        Measured::Gauge(_) => Quantity::Gauge,
        Measured::Counter(_) => Quantity::Counter,
        Measured::State(_) => Quantity::State,
        Measured::Text(_) => Quantity::Text,
    }
}
