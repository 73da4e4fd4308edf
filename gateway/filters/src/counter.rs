//! The way of a counter: exact integers that only grow, until they wrap or start again.
//!
//! Every window is told: its last value, what was counted in it, how often the counter started again. What was counted between
//! two readings belongs to the window of the later one. Nothing is interpolated, so that the deltas of all windows add up to
//! what was counted.

use serde::{Deserialize, Serialize};

use crate::{Count, Counts, Nanos, Output};

/// A wrap is believed up to this part of the counter's range in one step; a larger step down is a reset.
const WRAP: u64 = 4;

/// How a counter channel is filtered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Expected interval between readings; 0: not known.
    pub period: Nanos,
    /// Width of its windows; at least 1.
    pub window: Nanos,
    /// Bits after which the counter wraps to 0: 8 to 64. A 64-bit counter never wraps, it only starts again.
    pub bits: u8,
}

/// State of a counter channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counter {
    counts: Counts,
    /// The newest reading.
    last: Option<(Nanos, u64)>,
    open: Option<Open>,
}

/// The open window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    start: Nanos,
    count: u32,
    delta: u64,
    resets: u32,
    /// The time over which `delta` was counted.
    time: Nanos,
}

impl Counter {
    /// Takes one reading.
    pub fn push(&mut self, settings: &Settings, at: Nanos, value: u64, out: &mut dyn FnMut(Output)) {
        self.counts.read += 1;
        if self.last.is_some_and(|(last, _)| at < last) {
            self.counts.late += 1;
            return;
        }
        self.tick(settings, at, out);
        let width = settings.window.max(1);
        let start = at.div_euclid(width).saturating_mul(width);
        let open = self.open.get_or_insert(Open { start, count: 0, delta: 0, resets: 0, time: 0 });
        if let Some((before, was)) = self.last {
            let (delta, reset) = step(settings.bits, was, value);
            open.delta = open.delta.saturating_add(delta);
            open.resets = open.resets.saturating_add(u32::from(reset));
            open.time = open.time.saturating_add(at.saturating_sub(before));
        }
        open.count = open.count.saturating_add(1);
        self.last = Some((at, value));
        self.counts.held += 1;
    }

    /// Time passes without a reading: a window closes when it is over.
    pub fn tick(&mut self, settings: &Settings, now: Nanos, out: &mut dyn FnMut(Output)) {
        if self.open.is_some_and(|open| open.start.saturating_add(settings.window) <= now) {
            self.close(settings, false, out);
        }
    }

    /// The series breaks here: the open window closes as partial. What is counted until the next reading is not known.
    pub fn interrupt(&mut self, settings: &Settings, out: &mut dyn FnMut(Output)) {
        self.close(settings, true, out);
        self.last = None;
    }

    /// What became of the readings so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    fn close(&mut self, settings: &Settings, partial: bool, out: &mut dyn FnMut(Output)) {
        let (Some(open), Some((_, value))) = (self.open.take(), self.last) else { return };
        let Open { start, count, delta, resets, time } = open;
        let expected = if settings.period > 0 { settings.window / settings.period } else { 0 };
        self.counts.held -= u64::from(count);
        self.counts.represented += u64::from(count);
        out(Output::Count(Count {
            start,
            width: settings.window,
            expected: u32::try_from(expected).unwrap_or(u32::MAX),
            count,
            value,
            delta,
            rate: if time > 0 { delta as f64 / (time as f64 / 1e9) } else { 0.0 },
            resets,
            partial,
        }));
    }
}

/// What was counted from one reading to the next, and whether the counter started again in between: then at least what it
/// shows now.
const fn step(bits: u8, was: u64, is: u64) -> (u64, bool) {
    if is >= was {
        return (is - was, false);
    }
    let range = if bits < 64 { 1_u64 << bits } else { u64::MAX };
    let across = is.wrapping_sub(was) & (range - 1);
    if bits < 64 && was < range && across <= range / WRAP { (across, false) } else { (is, true) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const SECOND: Nanos = 1_000_000_000;
    const MINUTE: Settings = Settings { period: 10 * SECOND, window: 60 * SECOND, bits: 32 };

    fn windows(settings: &Settings, readings: impl IntoIterator<Item = (Nanos, u64)>) -> Vec<Count> {
        let (mut counter, mut windows) = (Counter::default(), Vec::new());
        let mut out = |output| {
            if let Output::Count(count) = output {
                windows.push(count);
            }
        };
        for (second, value) in readings {
            counter.push(settings, second * SECOND, value, &mut out);
            assert!(counter.counts().balances());
        }
        counter.interrupt(settings, &mut out);
        assert_eq!(counter.counts().held, 0);
        windows
    }

    #[test]
    fn deltas_of_all_windows_add_up_to_what_was_counted() {
        let windows = windows(&MINUTE, (0..30).map(|n| (n * 7, 1000 + n as u64 * 3)));
        assert_eq!(windows.iter().map(|w| w.delta).sum::<u64>(), 87);
        assert_eq!(windows[1].rate, 3.0 / 7.0);
        assert!(windows[..3].iter().all(|w| !w.partial) && windows[3].partial);
        assert_eq!((windows[1].start, windows[1].expected, windows[1].count), (60 * SECOND, 6, 9));
    }

    #[test]
    fn a_wrap_is_counted_through_and_a_reset_is_told() {
        let wrap = windows(&MINUTE, [(0, u64::from(u32::MAX) - 9), (10, 15)]);
        assert_eq!((wrap[0].delta, wrap[0].resets), (25, 0));
        let reset = windows(&MINUTE, [(0, 1_000_000), (10, 15)]);
        assert_eq!((reset[0].delta, reset[0].resets), (15, 1));
    }

    #[test]
    fn the_largest_numbers_stay_exact() {
        let wide = Settings { bits: 64, ..MINUTE };
        let windows = windows(&wide, [(0, (1 << 53) + 1), (10, (1 << 53) + 2), (20, u64::MAX)]);
        assert_eq!((windows[0].delta, windows[0].value), (u64::MAX - (1 << 53) - 1, u64::MAX));
    }

    #[test]
    fn a_reading_out_of_order_is_late() {
        let mut counter = Counter::default();
        counter.push(&MINUTE, 20, 5, &mut |_| {});
        counter.push(&MINUTE, 10, 4, &mut |_| {});
        assert_eq!((counter.counts().late, counter.counts().held), (1, 1));
    }
}
