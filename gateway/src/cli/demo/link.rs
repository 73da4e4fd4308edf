//! A link that can be taken down: stands before a sink and answers for it, as a network would, that nobody is there.

use crate::sink::{Limits, Outcome, Outgoing, Sending, Sink};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The link's switch. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Link(Arc<AtomicBool>);

impl Link {
    /// Takes the link down, or up again.
    pub(super) fn set_down(&self, down: bool) {
        self.0.store(down, Ordering::Release);
    }

    /// `sink` behind this link.
    pub(super) fn before(&self, sink: Arc<dyn Sink>) -> impl Sink + use<> {
        Behind { link: self.clone(), sink }
    }

    fn is_down(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

struct Behind {
    link: Link,
    sink: Arc<dyn Sink>,
}

impl Sink for Behind {
    fn send<'a>(&'a self, batch: &'a [Outgoing]) -> Sending<'a> {
        if self.link.is_down() {
            return Box::pin(async { Outcome::retry(0, "the link is down") });
        }
        self.sink.send(batch)
    }

    fn limits(&self) -> Limits {
        self.sink.limits()
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.sink.close()
    }
}
