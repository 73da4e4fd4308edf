//! The flight recorder: full-rate readings from before and after an event.

use serde::{Deserialize, Serialize};

use crate::{Output, Reading, Sample};

/// State of a context ring whose readings lie in memory that the caller lends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Context {
    /// Where the next reading goes.
    next: u16,
    /// Readings in the ring that have not been sent around an event, newest last.
    fresh: u16,
    /// Readings still to be sent around the event.
    after: u16,
    event: u32,
}

impl Context {
    /// Takes a raw reading; returns how many readings were sent at full rate.
    pub(crate) fn push(&mut self, ring: &mut [Reading], reading: Reading, out: &mut dyn FnMut(Output)) -> u64 {
        let len = Self::len(ring);
        let Some(place) = ring.get_mut(usize::from(self.next)) else { return 0 };
        *place = reading;
        self.next = (self.next + 1) % len;
        self.fresh = (self.fresh + 1).min(len);
        if self.after == 0 {
            return 0;
        }
        self.after -= 1;
        self.send(ring, out)
    }

    /// An event opens at the reading pushed last: sends what came before, and from now on what comes after.
    pub(crate) fn open(&mut self, ring: &[Reading], event: u32, out: &mut dyn FnMut(Output)) -> u64 {
        self.event = event;
        self.after = Self::len(ring);
        self.send(ring, out)
    }

    /// The series breaks here: what is in the ring belongs to another time.
    pub(crate) fn interrupt(&mut self) {
        *self = Self::default();
    }

    fn send(&mut self, ring: &[Reading], out: &mut dyn FnMut(Output)) -> u64 {
        let (len, next) = (ring.len(), usize::from(self.next));
        for back in (1..=usize::from(self.fresh)).rev() {
            if let Some(&Reading { at, value, quality }) = ring.get((next + len - back) % len.max(1)) {
                out(Output::Sample(Sample { at, value, bound: 0.0, quality, event: Some(self.event), gap: false }));
            }
        }
        u64::from(core::mem::take(&mut self.fresh))
    }

    fn len(ring: &[Reading]) -> u16 {
        u16::try_from(ring.len()).unwrap_or(u16::MAX)
    }
}
