//! What to do about a sensor or connection that fails: wait longer and longer, and say so without flooding the log.

use super::dice::Dice;
use crate::record::Nanos;
use std::time::Duration;

/// Failures in a row of one sensor or connection.
#[derive(Debug)]
pub(super) struct Trouble {
    name: Box<str>,
    first: Duration,
    failures: u32,
    said: Option<(Nanos, Box<str>)>,
    dice: Dice,
}

/// Whatever comes back is noticed within this time, and a shorter wait would not be worth more.
const LONGEST: Duration = Duration::from_secs(30);

/// The same trouble is mentioned again after this time, another trouble not before [`PAUSE`].
const REMIND: Nanos = 600_000_000_000;
const PAUSE: Nanos = 10_000_000_000;

impl Trouble {
    /// No trouble yet; after the first failure of `name` about `first` is waited.
    pub(super) fn new(name: impl Into<Box<str>>, first: Duration) -> Self {
        let name = name.into();
        let dice = Dice::new(u64::from(std::process::id()), &name);
        Self { name, first, failures: 0, said: None, dice }
    }

    /// Counts a failure at boot time `now`; how long to wait before the next attempt. Spread by a fifth, so that what failed
    /// together does not come back together.
    pub(super) fn failed(&mut self, why: &str, now: Nanos) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.say(why, now);
        let doubled = self.first.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST.max(self.first));
        doubled.mul_f64(0.9 + 0.2 * self.dice.share())
    }

    /// It works again.
    pub(super) fn over(&mut self) {
        if self.failures > 0 && self.said.take().is_some() {
            tracing::info!("{} is back after {} failed attempts", self.name, self.failures);
        }
        self.failures = 0;
    }

    fn say(&mut self, why: &str, now: Nanos) {
        if self.is_worth_saying(why, now) {
            tracing::warn!("{}: {why}", self.name);
            self.said = Some((now, why.into()));
        }
    }

    fn is_worth_saying(&self, why: &str, now: Nanos) -> bool {
        self.said.as_ref().is_none_or(|(at, last)| {
            let pause = if **last == *why { REMIND } else { PAUSE };
            now.saturating_sub(*at) >= pause
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn trouble() -> Trouble {
        Trouble::new("boiler", Duration::from_secs(1))
    }

    #[test]
    fn waits_grow_to_a_limit_and_start_over_after_a_success() {
        let mut trouble = trouble();
        let waits: Vec<_> = (0..40).map(|n| trouble.failed("absent", n).as_secs_f64()).collect();
        for (wait, expected) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]) {
            assert!((wait / expected - 1.0).abs() <= 0.1, "{waits:?}");
        }
        assert!(waits.iter().all(|wait| *wait <= 33.0));
        trouble.over();
        assert!(trouble.failed("absent", 99).as_secs_f64() <= 1.1);
    }

    #[test]
    fn a_period_longer_than_the_limit_is_kept() {
        let mut trouble = Trouble::new("tank", Duration::from_secs(3600));
        assert!((0..5).all(|n| trouble.failed("absent", n) >= Duration::from_secs(3240)));
    }

    #[test]
    fn the_log_hears_of_a_cause_once_and_of_a_new_one_after_a_pause() {
        let mut trouble = trouble();
        trouble.failed("absent", 0);
        assert!(!trouble.is_worth_saying("absent", 500 * SECOND));
        assert!(trouble.is_worth_saying("absent", 600 * SECOND));
        assert!(!trouble.is_worth_saying("checksum", SECOND));
        assert!(trouble.is_worth_saying("checksum", 10 * SECOND));
    }
}
