//! How long to wait before trying again: doubling, with jitter, so that a fleet does not come back all at once.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// The far end's own wish is honoured up to here.
const LONGEST_WISH: Duration = Duration::from_secs(600);

/// Consecutive failures, and what they are worth in waiting.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// A wait was cut short since something last worked. Once is enough: a lane that is refused while another is served
    /// would never rest.
    pub(super) hurried: bool,
}

impl Backoff {
    /// Something worked: the next failure starts from the shortest wait.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The wait after one more failure; `wish` is what the far end asked for. `chance` in 0..1 spreads the fleet.
    pub(super) fn next(&mut self, wish: Option<Duration>, chance: f64) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let spread = doubled.mul_f64(0.5 + 0.5 * chance);
        wish.map_or(spread, |wish| wish.min(LONGEST_WISH).max(spread))
    }
}

/// A number in 0..1 that differs between machines and calls.
pub(super) fn chance() -> f64 {
    (crate::sys::random() >> 75) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_start_again_after_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..10).map(|_| backoff.next(None, 1.0)).collect();
        assert_eq!(waits[..3], [FIRST, FIRST * 2, FIRST * 4]);
        assert_eq!(waits[9], LONGEST);
        backoff.reset();
        assert_eq!(backoff.next(None, 1.0), FIRST);
    }

    #[test]
    fn the_far_ends_wish_is_honoured_but_not_for_ever() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(Some(Duration::from_secs(7)), 0.0), Duration::from_secs(7));
        assert_eq!(backoff.next(Some(Duration::from_secs(99_999)), 0.0), LONGEST_WISH);
    }

    #[test]
    fn chance_stays_in_its_range_and_varies() {
        let drawn: Vec<_> = (0..100).map(|_| chance()).collect();
        assert!(drawn.iter().all(|c| (0.0..1.0).contains(c)));
        assert!(drawn.windows(2).any(|w| w[0] != w[1]));
    }
}
