//! What the gateway has to tell about itself when it starts: gaps in its numbers, damage, a configuration that did not work.

use crate::buffer::Buffer;
use crate::clock::Clock;
use crate::identity::Gateway;
use crate::record::{Body, Channel, Class, Draft, Event, EventId, GATEWAY, Phase, Status};
use std::sync::Arc;

/// Puts what was found and what is to be told into the log, so that every receiver hears of it.
pub(crate) fn announce(buffer: &Buffer, clock: &Clock, gateway: &Gateway, found: Vec<Status>, told: Vec<String>) {
    let channel =
        Channel { sensor: GATEWAY.into(), name: "status".into(), labels: gateway.labels.clone(), ..Channel::default() };
    let channel = Arc::new(channel);
    let say = |body| {
        buffer.append(Draft { channel: Arc::clone(&channel), boot: clock.boot(), at: clock.now(), body });
    };
    for status in found {
        if let Status::Damaged { what, .. } = &status {
            tracing::error!("the store was damaged: {what}");
            say(fault(what));
        }
        say(Body::Status(status));
    }
    told.iter().for_each(|what| say(fault(what)));
}

fn fault(what: &str) -> Body {
    let id = EventId(crate::sys::random() as u64);
    let phase = Phase::Opened;
    Body::Event(Event { class: Class::Fault, id, phase, value: None, score: None, reason: what.into() })
}
