//! The time grid of a polled sensor: when polls are due, and which ones nobody began in time.

use super::poll::nanos;
use crate::record::Nanos;
use std::time::Duration;

/// Polls are due at multiples of a period after the first one, whatever happens: nothing drifts.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    due: Nanos,
    every: Nanos,
}

impl Grid {
    pub(super) fn new(first: Nanos, every: Duration) -> Self {
        Self { due: first, every: nanos(every).max(1) }
    }

    /// When the next poll is due.
    pub(super) fn due(&self) -> Nanos {
        self.due
    }

    /// Time between two polls.
    pub(super) fn every(&self) -> Nanos {
        self.every
    }

    /// A poll begins at `now`: how many before it have been missed. It counts as the last one that was due.
    pub(super) fn begin(&mut self, now: Nanos) -> u64 {
        let missed = (now - self.due).max(0) / self.every;
        self.due += missed * self.every;
        missed.unsigned_abs()
    }

    /// The poll that began has ended, well or not.
    pub(super) fn end(&mut self) {
        self.due += self.every;
    }

    /// There will be no more polls: how many have become due by `now` and were not ended.
    pub(super) fn finish(&mut self, now: Nanos) -> u64 {
        if now < self.due {
            return 0;
        }
        let missed = 1 + self.begin(now);
        self.end();
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_poll_that_was_due_is_accounted_for() {
        let mut grid = Grid::new(100, Duration::from_nanos(10));
        assert_eq!(grid.begin(101), 0);
        grid.end();
        assert_eq!((grid.due(), grid.begin(135)), (110, 2), "110 and 120 are gone, 130 is being done");
        grid.end();
        assert_eq!((grid.due(), grid.finish(139)), (140, 0));
        assert_eq!(grid.finish(150), 2, "140 and 150");
    }
}
