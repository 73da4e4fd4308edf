//! Time: the filters' and the store's boot time, and the wall clock that receivers see.
//!
//! Boot time never jumps; the wall clock does. Records keep boot time. A [`Timeline`] knows, for every boot, which offset
//! to the wall clock held from when; it is append-only in what it has already used, so a record sent twice carries the
//! same stamp twice. This file neither sets a clock nor waits for one.

use crate::record::{BootId, Nanos};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where time comes from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock {
    boot: BootId,
    source: Source,
    /// The offset that records are stamped with now, so that windows stand on the same round times.
    adopted: Arc<AtomicI64>,
}

#[derive(Debug, Clone)]
enum Source {
    System,
    Simulated(Arc<AtomicI64>),
}

/// What the wall clock is worth at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wall {
    /// Wall clock minus boot time.
    pub offset: Nanos,
    /// Whether the kernel believes it to be right.
    pub synced: bool,
}

impl Clock {
    /// This machine's clocks.
    pub fn system() -> Self {
        Self { boot: crate::sys::boot_id(), source: Source::System, adopted: Arc::default() }
    }

    /// A clock that stands until it is [`set`](Self::advance_to): boot time is then the wall clock (1970 = 0), synced.
    /// Replays use it, so that their records carry the recorded times.
    pub fn simulated(start: Nanos) -> Self {
        let source = Source::Simulated(Arc::new(AtomicI64::new(start)));
        Self { boot: BootId(0), source, adopted: Arc::default() }
    }

    /// The boot that [`now`](Self::now) counts from.
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// Boot time.
    pub fn now(&self) -> Nanos {
        match &self.source {
            Source::System => crate::sys::boot_time(),
            Source::Simulated(now) => now.load(Ordering::Acquire),
        }
    }

    /// Moves a simulated clock forwards; never backwards, and never a real one.
    pub fn advance_to(&self, at: Nanos) {
        if let Source::Simulated(now) = &self.source {
            now.fetch_max(at, Ordering::AcqRel);
        }
    }

    /// Whether time passes only when told to.
    pub fn is_simulated(&self) -> bool {
        matches!(self.source, Source::Simulated(_))
    }

    /// The offset to the wall clock that records are stamped with now.
    pub fn adopted_offset(&self) -> Nanos {
        self.adopted.load(Ordering::Acquire)
    }

    /// Says which offset records are stamped with from now on.
    pub fn adopt_offset(&self, offset: Nanos) {
        self.adopted.store(offset, Ordering::Release);
    }

    /// The wall clock now.
    pub fn wall(&self) -> Wall {
        match &self.source {
            Source::System => crate::sys::wall_clock(),
            Source::Simulated(_) => Wall { offset: 0, synced: true },
        }
    }
}

/// How far a record's wall time can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    /// The clock was synchronised when the record was made.
    Synced,
    /// It was not, and is not yet: the stamp is the best guess.
    Unsynced,
    /// It was not then, but was before the record first left: the stamp is right.
    Corrected,
}

impl Trust {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Unsynced => "unsynced",
            Self::Corrected => "corrected",
        }
    }
}

/// From `from` on, in `boot`, the wall clock was boot time plus `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Segment {
    boot: BootId,
    from: Nanos,
    offset: Nanos,
    trust: Trust,
}

/// A smaller change is slewing or the two clocks not being read at one instant, not a step.
const STEP: Nanos = 20_000_000;

/// More boots and steps than an outage is likely to span; the oldest are forgotten first.
const SEGMENTS: usize = 512;

/// So far ahead of the record that leaves are stamps frozen: one write to the disk serves all that leave within.
/// A correction comes too late for what waits that long at most.
const AHEAD: Nanos = 10_000_000_000;

/// Which wall-clock offset held when, for every boot that may still have records in the store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timeline {
    segments: Vec<Segment>,
    /// Boot time up to which stamps of the newest boot have been used: these are never changed.
    used: Nanos,
}

impl Timeline {
    /// Takes note of the wall clock at boot time `now`. True when something changed that must be stored before the next
    /// stamp is used.
    pub fn observe(&mut self, boot: BootId, now: Nanos, wall: Wall) -> bool {
        let trust = if wall.synced { Trust::Synced } else { Trust::Unsynced };
        let Some(last) = self.segments.last().copied().filter(|s| s.boot == boot) else {
            self.used = Nanos::MIN;
            self.push(Segment { boot, from: Nanos::MIN, offset: wall.offset, trust });
            return true;
        };
        let stepped = (wall.offset - last.offset).abs() > STEP;
        let newly_synced = last.trust == Trust::Unsynced && wall.synced;
        if newly_synced {
            self.correct(boot, wall.offset);
        }
        if stepped || newly_synced {
            self.push(Segment { boot, from: now, offset: wall.offset, trust });
        }
        stepped || newly_synced
    }

    /// Boot time and boot to wall clock (nanoseconds since 1970), for ever the same once [`mark_used`](Self::mark_used).
    pub fn stamp(&self, boot: BootId, at: Nanos) -> (Nanos, Trust) {
        let of_boot = || self.segments.iter().filter(|s| s.boot == boot);
        let segment = of_boot().rev().find(|s| s.from <= at).or_else(|| of_boot().next());
        segment.map_or((at, Trust::Unsynced), |s| (at.saturating_add(s.offset), s.trust))
    }

    /// The offset in force now.
    pub fn offset(&self) -> Nanos {
        self.segments.last().map_or(0, |s| s.offset)
    }

    /// Whether the newest boot's clock is still a guess.
    pub fn is_guess(&self) -> bool {
        self.segments.last().is_none_or(|s| s.trust == Trust::Unsynced)
    }

    /// A stamp of `boot` at `at` is about to leave: it must never change. True when that must be stored first; stamps of
    /// a synchronised clock never change anyway. Frozen a little ahead: an alarm must not wait for the disk every time.
    pub fn mark_used(&mut self, boot: BootId, at: Nanos) -> bool {
        let matters = self.is_guess() && self.segments.last().is_some_and(|s| s.boot == boot) && at > self.used;
        if matters {
            self.used = at.saturating_add(AHEAD);
        }
        matters
    }

    /// The clock has become right: what was a guess and has not been used yet gets the right offset.
    fn correct(&mut self, boot: BootId, offset: Nanos) {
        let unused = self.used.saturating_add(1);
        self.segments.retain(|s| s.boot != boot || s.from < unused || s.from == Nanos::MIN && self.used != Nanos::MIN);
        let from = if self.used == Nanos::MIN { Nanos::MIN } else { unused };
        self.push(Segment { boot, from, offset, trust: Trust::Corrected });
    }

    fn push(&mut self, segment: Segment) {
        if self.segments.len() >= SEGMENTS {
            self.segments.remove(0);
        }
        self.segments.push(segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: BootId = BootId(7);
    const GUESS: Wall = Wall { offset: 1_000_000_000, synced: false };
    const RIGHT: Wall = Wall { offset: 900_000_000_000, synced: true };

    #[test]
    fn a_guess_becomes_right_for_everything_that_has_not_left_yet() {
        let mut time = Timeline::default();
        time.observe(BOOT, 0, GUESS);
        assert_eq!(time.stamp(BOOT, 100), (100 + GUESS.offset, Trust::Unsynced));
        assert!(time.mark_used(BOOT, 100), "a used guess must be stored");
        assert!(!time.mark_used(BOOT, 100 + AHEAD), "what is frozen already need not be stored again");
        let (frozen, free, now) = (100 + AHEAD, 101 + AHEAD, 3 * AHEAD);
        time.observe(BOOT, now, RIGHT);
        assert_eq!(
            time.stamp(BOOT, frozen),
            (frozen + GUESS.offset, Trust::Unsynced),
            "what has left stays as it left"
        );
        assert_eq!(time.stamp(BOOT, free), (free + RIGHT.offset, Trust::Corrected));
        assert_eq!(time.stamp(BOOT, now), (now + RIGHT.offset, Trust::Synced));
    }

    #[test]
    fn nothing_used_means_everything_is_corrected() {
        let mut time = Timeline::default();
        time.observe(BOOT, 0, GUESS);
        time.observe(BOOT, 500, RIGHT);
        assert_eq!(time.stamp(BOOT, -5), (RIGHT.offset - 5, Trust::Corrected));
    }

    #[test]
    fn a_step_changes_only_what_comes_after_it() {
        let mut time = Timeline::default();
        time.observe(BOOT, 0, RIGHT);
        let before = time.stamp(BOOT, 999);
        assert!(time.observe(BOOT, 1_000, Wall { offset: RIGHT.offset + 3_600_000_000_000, synced: true }));
        assert_eq!(time.stamp(BOOT, 999), before);
        assert_eq!(time.stamp(BOOT, 1_000).0, 1_000 + RIGHT.offset + 3_600_000_000_000);
    }

    #[test]
    fn slewing_is_no_step_and_old_boots_keep_their_offsets() {
        let mut time = Timeline::default();
        time.observe(BOOT, 0, RIGHT);
        assert!(!time.observe(BOOT, 10, Wall { offset: RIGHT.offset + STEP / 2, synced: true }));
        time.observe(BootId(8), 0, GUESS);
        assert_eq!(time.stamp(BOOT, 50), (50 + RIGHT.offset, Trust::Synced));
        assert_eq!(time.stamp(BootId(8), 50), (50 + GUESS.offset, Trust::Unsynced));
    }

    #[test]
    fn an_unknown_boot_is_a_guess_and_no_error() {
        assert_eq!(Timeline::default().stamp(BOOT, 5), (5, Trust::Unsynced));
    }
}
