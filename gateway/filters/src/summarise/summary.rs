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
