//! The exact, mergeable summary of a window of readings.

use serde::{Deserialize, Serialize};

use super::Aggregates;
use crate::{Nanos, Quality};

/// A value at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub at: Nanos,
    /// In the channel's unit.
    pub value: f64,
}

/// What is known of the readings of one window. `count`, `min`, `max`, `first`, `last` are exact, `sum`, `m2` and `integral` to
/// rounding, also after merging.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// First instant of the window.
    pub start: Nanos,
    /// Its width.
    pub width: Nanos,
    /// Readings that a full window has; 0 when the period is not known.
    pub expected: u32,
    /// Readings that it had.
    pub count: u32,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean of the readings.
    pub mean: f64,
    /// Sum of the squared distances from the mean.
    pub m2: f64,
    /// Sum of the readings.
    pub sum: f64,
    /// Oldest reading.
    pub first: Point,
    /// Newest reading.
    pub last: Point,
    /// Area under the readings joined by lines, in unit x seconds, over `covered`.
    pub integral: f64,
    /// The part of the window in which readings follow each other without a gap.
    pub covered: Nanos,
    /// Of its worst reading.
    pub quality: Quality,
    /// Cut short: restart, clock step, gap, end.
    pub partial: bool,
    /// The figures that the channel is to tell.
    pub aggregates: Aggregates,
}

impl Summary {
    /// An empty window.
    #[must_use]
    pub fn new(start: Nanos, width: Nanos, expected: u32) -> Self {
        Self { start, width, expected, ..Self::default() }
    }

    /// Takes in one reading (Welford 1962).
    pub fn add(&mut self, at: Nanos, value: f64) {
        let here = Point { at, value };
        if self.count == 0 {
            (self.min, self.max) = (value, value);
            (self.first, self.last) = (here, here);
        }
        self.count = self.count.saturating_add(1);
        let distance = value - self.mean;
        self.mean += distance / f64::from(self.count);
        self.m2 += distance * (value - self.mean);
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.reach(here, here);
    }

    /// Takes in another summary, of the same or of another time (Chan, Golub, LeVeque 1979). The window becomes the hull of
    /// both.
    pub fn merge(&mut self, other: &Self) {
        let end = self.end().max(other.end());
        self.start = self.start.min(other.start);
        self.width = end.saturating_sub(self.start);
        self.expected = self.expected.saturating_add(other.expected);
        self.partial |= other.partial;
        self.aggregates = self.aggregates.or(other.aggregates);
        self.integral += other.integral;
        self.covered = self.covered.saturating_add(other.covered);
        if other.count > 0 {
            self.merge_readings(other);
        }
    }

    fn merge_readings(&mut self, other: &Self) {
        if self.count == 0 {
            (self.min, self.max) = (other.min, other.max);
            (self.first, self.last) = (other.first, other.last);
        }
        let (n, m) = (f64::from(self.count), f64::from(other.count));
        let distance = other.mean - self.mean;
        self.mean += distance * (m / (n + m));
        self.m2 += other.m2 + distance * distance * (n * m / (n + m));
        self.sum += other.sum;
        self.count = self.count.saturating_add(other.count);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.quality = self.quality.max(other.quality);
        self.reach(other.first, other.last);
    }

    fn reach(&mut self, first: Point, last: Point) {
        if first.at < self.first.at {
            self.first = first;
        }
        if last.at >= self.last.at {
            self.last = last;
        }
    }

    fn end(&self) -> Nanos {
        self.start.saturating_add(self.width)
    }

    /// Sample variance of the readings; 0 below two readings.
    #[must_use]
    pub fn variance(&self) -> f64 {
        if self.count < 2 { 0.0 } else { self.m2 / f64::from(self.count - 1) }
    }

    /// Sample standard deviation of the readings; 0 below two readings.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        libm::sqrt(self.variance())
    }

    /// Mean over time: the integral by the covered time; the plain mean without any.
    #[must_use]
    pub fn time_mean(&self) -> f64 {
        if self.covered > 0 { self.integral / (self.covered as f64 / 1e9) } else { self.mean }
    }

    /// Last value less the first.
    #[must_use]
    pub fn delta(&self) -> f64 {
        self.last.value - self.first.value
    }

    /// `delta` per second; 0 if all readings are of one instant.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let time = self.last.at.saturating_sub(self.first.at);
        if time > 0 { self.delta() / (time as f64 / 1e9) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn summary(readings: &[(Nanos, f64)]) -> Summary {
        let mut summary = Summary::new(0, 60, 0);
        readings.iter().for_each(|&(at, value)| summary.add(at, value));
        summary
    }

    fn close(a: f64, b: f64, scale: f64) -> bool {
        (a - b).abs() <= 1e-9 * scale.max(1.0)
    }

    proptest! {
        #[test]
        fn parts_merged_in_any_order_are_the_whole(
            mut readings in prop::collection::vec((0..1000i64, -1e6f64..1e6), 1..200),
            offset in prop_oneof![Just(0.0), Just(1e9)],
            cuts in prop::collection::vec(1..40usize, 1..40),
        ) {
            readings.iter_mut().for_each(|reading| reading.1 += offset);
            readings.sort_by_key(|reading| reading.0);
            let whole = summary(&readings);
            let mut rest = &readings[..];
            let mut parts: Vec<Summary> = Vec::new();
            for cut in cuts {
                let (part, more) = rest.split_at(cut.min(rest.len()));
                parts.push(summary(part));
                rest = more;
            }
            parts.push(summary(rest));
            let mut merged = Summary::new(0, 60, 0);
            parts.iter().rev().for_each(|part| merged.merge(part));
            prop_assert_eq!((merged.count, merged.min, merged.max), (whole.count, whole.min, whole.max));
            prop_assert_eq!((merged.first.at, merged.last.at), (whole.first.at, whole.last.at));
            prop_assert!(close(merged.mean, whole.mean, offset.max(1e6)) && close(merged.sum, whole.sum, whole.sum.abs()));
            prop_assert!(close(merged.m2, whole.m2, whole.m2 + 1e6));
            let mean = readings.iter().map(|reading| reading.1).sum::<f64>() / readings.len() as f64;
            prop_assert!(close(merged.mean, mean, mean.abs()));
        }
    }

    #[test]
    fn variance_is_stable_far_from_zero() {
        let readings: Vec<_> = (0..1000).map(|n| (n, 1e12 + (n % 2) as f64)).collect();
        assert!((summary(&readings).variance() - 0.25 * 1000.0 / 999.0).abs() < 1e-6);
    }

    #[test]
    fn an_empty_part_brings_its_time_but_no_readings() {
        let mut merged = summary(&[(5, 2.0)]);
        merged.merge(&Summary { covered: 60, integral: 3.0, ..Summary::new(60, 60, 0) });
        assert_eq!((merged.count, merged.min, merged.width, merged.covered), (1, 2.0, 120, 60));
    }
}
