//! What the gateway has to tell about itself: gaps in its numbers, damage, records given up, a configuration that did not work.

use crate::buffer::Buffer;
use crate::clock::Clock;
use crate::identity::Gateway;
use crate::record::{Body, Channel, Class, Draft, Event, EventId, GATEWAY, Phase, Status};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The gateway's voice in its own log.
#[derive(Clone)]
pub(crate) struct Notices {
    buffer: Buffer,
    clock: Clock,
    channel: Arc<Channel>,
}

impl Notices {
    /// A voice for this gateway.
    pub(crate) fn new(buffer: &Buffer, clock: &Clock, gateway: &Gateway) -> Self {
        let labels = gateway.labels.clone();
        let channel = Channel { sensor: GATEWAY.into(), name: "status".into(), labels, ..Channel::default() };
        Self { buffer: buffer.clone(), clock: clock.clone(), channel: Arc::new(channel) }
    }

    /// Tells what became of records. Damage is an event as well: somebody should look at the disk.
    pub(crate) fn tell(&self, found: Vec<Status>) {
        for status in found {
            if let Status::Damaged { what, .. } = &status {
                tracing::error!("the store was damaged: {what}");
                self.raise(what);
            }
            self.say(Body::Status(status));
        }
    }

    /// Raises a fault of the gateway itself.
    pub(crate) fn raise(&self, what: &str) {
        let id = EventId(crate::sys::random() as u64);
        let (class, phase) = (Class::Fault, Phase::Opened);
        self.say(Body::Event(Event { class, id, phase, value: None, score: None, reason: what.into() }));
    }

    /// Passes on what the buffer has to tell, until the task is aborted.
    pub(crate) fn keep_telling(&self) -> JoinHandle<()> {
        let notices = self.clone();
        tokio::spawn(async move {
            loop {
                notices.tell(notices.buffer.notices().await);
            }
        })
    }

    fn say(&self, body: Body) {
        let channel = Arc::clone(&self.channel);
        self.buffer.append(Draft { channel, boot: self.clock.boot(), at: self.clock.now(), body });
    }
}
