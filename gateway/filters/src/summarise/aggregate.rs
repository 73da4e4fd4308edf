//! The figures of a summary by their names in the configuration and on the wire.

use serde::{Deserialize, Serialize};

use super::Summary;

/// One figure of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Aggregate {
    /// Number of readings.
    Count,
    /// Smallest reading.
    Min,
    /// Largest reading.
    Max,
    /// Mean of the readings.
    Mean,
    /// Standard deviation of the readings.
    Stddev,
    /// Sum of the readings.
    Sum,
    /// Oldest reading.
    First,
    /// Newest reading.
    Last,
    /// Mean over time: the area under the readings joined by lines, by the time.
    TimeMean,
    /// Area under the readings joined by lines, in unit x seconds.
    Integral,
    /// Newest reading less the oldest.
    Delta,
    /// `delta` per second.
    Rate,
}

impl Aggregate {
    /// All of them, with their names.
    pub const ALL: &[(&'static str, Self)] = &[
        ("count", Self::Count),
        ("min", Self::Min),
        ("max", Self::Max),
        ("mean", Self::Mean),
        ("stddev", Self::Stddev),
        ("sum", Self::Sum),
        ("first", Self::First),
        ("last", Self::Last),
        ("time_mean", Self::TimeMean),
        ("integral", Self::Integral),
        ("delta", Self::Delta),
        ("rate", Self::Rate),
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, other)| *other == self).map_or("", |(name, _)| name)
    }

    /// Whether it is a reading as it came, not the result of a calculation.
    #[must_use]
    pub const fn is_reading(self) -> bool {
        matches!(self, Self::Min | Self::Max | Self::First | Self::Last)
    }

    /// Its value. `count` is a whole number.
    #[must_use]
    pub fn of(self, summary: &Summary) -> f64 {
        match self {
            Self::Count => f64::from(summary.count),
            Self::Min => summary.min,
            Self::Max => summary.max,
            Self::Mean => summary.mean,
            Self::Stddev => summary.deviation(),
            Self::Sum => summary.sum,
            Self::First => summary.first.value,
            Self::Last => summary.last.value,
            Self::TimeMean => summary.time_mean(),
            Self::Integral => summary.integral,
            Self::Delta => summary.delta(),
            Self::Rate => summary.rate(),
        }
    }
}

/// A choice of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregates(u16);

impl Aggregates {
    /// None.
    pub const NONE: Self = Self(0);

    /// The figures chosen, in the order of [`Aggregate::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Aggregate> {
        Aggregate::ALL.iter().map(|(_, aggregate)| *aggregate).filter(move |a| self.0 & Self::bit(*a) != 0)
    }

    /// What either chooses.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn bit(aggregate: Aggregate) -> u16 {
        1 << aggregate as u16
    }
}

impl FromIterator<Aggregate> for Aggregates {
    fn from_iter<I: IntoIterator<Item = Aggregate>>(chosen: I) -> Self {
        chosen.into_iter().fold(Self::NONE, |all, one| Self(all.0 | Self::bit(one)))
    }
}

impl Default for Aggregates {
    /// Count, min, max, mean, stddev, sum, last.
    fn default() -> Self {
        use Aggregate::{Count, Last, Max, Mean, Min, Stddev, Sum};
        [Count, Min, Max, Mean, Stddev, Sum, Last].into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_keeps_every_figure_once() {
        let all: Aggregates = Aggregate::ALL.iter().map(|(_, aggregate)| *aggregate).collect();
        assert!(all.iter().eq(Aggregate::ALL.iter().map(|(_, aggregate)| *aggregate)));
        assert_eq!(Aggregates::default().iter().count(), 7);
        assert_eq!(Aggregates::NONE.or(all), all);
    }
}
