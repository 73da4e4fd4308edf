//! Making old records coarser, so that a long outage costs detail before it costs history.
//!
//! | level | what is left |
//! |---|---|
//! | 0 | everything, as it was recorded |
//! | 1 | samples of channels that have summaries are gone |
//! | 2 | summaries are merged to 10 minutes; other samples to the last one of every 10 minutes |
//! | 3 | the same, to 60 minutes |
//! | 4 | events only |
//!
//! Merging is exact: count, sum, squared distances, minimum, maximum, first and last of the whole are those of its parts.
//! Windows that overlap are never merged with each other. A merged record bears the number of its last part. Events and
//! what the gateway says of itself stay as they are at every level but the last, which only keeps events.

use super::Class;
use crate::record::{Body, Channel, Draft, Nanos, Record, Seq, Summary};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use weir_filters::Count;

/// The level at which only events are left.
pub(super) const EVENTS_ONLY: u8 = 4;

/// Levels that keep the history.
pub(super) const GENTLE: std::ops::RangeInclusive<u8> = 1..=3;

const MINUTE: Nanos = 60_000_000_000;

/// The window into which a level merges.
fn width(level: u8) -> Option<Nanos> {
    match level {
        2 => Some(10 * MINUTE),
        3 => Some(60 * MINUTE),
        _ => None,
    }
}

/// A window that may still grow.
struct Merge {
    bucket: Nanos,
    seq: Seq,
    draft: Draft,
}

/// Takes records in order and keeps what a level leaves of them.
pub(super) struct Coarsener {
    level: u8,
    summarised: HashSet<Arc<Channel>>,
    open: HashMap<Arc<Channel>, Vec<Merge>>,
    kept: Vec<Arc<Record>>,
    removed: Vec<Arc<Record>>,
}

impl Coarsener {
    pub(super) fn new(level: u8) -> Self {
        Self { level, summarised: HashSet::new(), open: HashMap::new(), kept: Vec::new(), removed: Vec::new() }
    }

    /// Looks at what is coming: a channel's samples only go if it has summaries.
    pub(super) fn look_at(&mut self, records: &[Arc<Record>]) {
        let summaries = records.iter().filter(|r| matches!(r.draft.body, Body::Summary(_)));
        self.summarised.extend(summaries.map(|record| record.draft.channel.clone()));
    }

    /// Takes the next data record.
    pub(super) fn push(&mut self, record: Arc<Record>) {
        match (&record.draft.body, width(self.level)) {
            _ if self.level >= EVENTS_ONLY => self.removed.push(record),
            (Body::Sample(_), _) if self.summarised.contains(&record.draft.channel) => self.removed.push(record),
            (Body::Sample(_) | Body::Summary(_) | Body::Count(_), Some(width)) => self.merge(record, width),
            _ => self.kept.push(record),
        }
    }

    /// Joins a record to a window of its channel that it continues, or opens one with it.
    fn merge(&mut self, record: Arc<Record>, width: Nanos) {
        let bucket = record.draft.at.div_euclid(width);
        let open = self.open.entry(record.draft.channel.clone()).or_default();
        for merge in open.iter_mut().filter(|merge| merge.bucket == bucket && merge.draft.boot == record.draft.boot) {
            if let Some(body) = join(&merge.draft.body, &record.draft.body) {
                let part = std::mem::replace(&mut merge.seq, record.seq);
                let gone =
                    Record { seq: part, draft: Draft { body: merge.draft.body.clone(), ..record.draft.clone() } };
                self.removed.push(Arc::new(gone));
                merge.draft.body = body;
                return;
            }
        }
        let closed = open.extract_if(.., |merge| merge.bucket + 1 < bucket);
        self.kept.extend(closed.map(Merge::close));
        open.push(Merge { bucket, seq: record.seq, draft: record.draft.clone() });
    }

    /// What is left, in order, and what is gone. Of several records that were merged the last one counts as left.
    pub(super) fn finish(mut self) -> (Vec<Arc<Record>>, Vec<Arc<Record>>) {
        self.kept.extend(self.open.into_values().flatten().map(Merge::close));
        self.kept.sort_unstable_by_key(|record| record.seq);
        (self.kept, self.removed)
    }
}

impl Merge {
    fn close(self) -> Arc<Record> {
        let mut draft = self.draft;
        match &draft.body {
            Body::Summary(summary) => draft.at = summary.start,
            Body::Count(count) => draft.at = count.start,
            _ => {}
        }
        Arc::new(Record { seq: self.seq, draft })
    }
}

/// The whole of two parts, where there is one.
fn join(earlier: &Body, later: &Body) -> Option<Body> {
    match (earlier, later) {
        (Body::Summary(a), Body::Summary(b)) if follows(a.start, a.width, b.start) => {
            let mut whole: Summary = *a;
            whole.merge(b);
            Some(Body::Summary(whole))
        }
        (Body::Count(a), Body::Count(b)) if follows(a.start, a.width, b.start) => Some(Body::Count(join_counts(a, b))),
        (Body::Sample(_), Body::Sample(sample)) => {
            let mut last = sample.clone();
            (last.gap, last.bound, last.event) = (true, None, None);
            Some(Body::Sample(last))
        }
        _ => None,
    }
}

/// Whether a window begins after another has ended.
fn follows(start: Nanos, width: Nanos, next: Nanos) -> bool {
    start.checked_add(width).is_some_and(|end| end <= next)
}

/// The rate of the whole is over the time in which its parts counted.
fn join_counts(a: &Count, b: &Count) -> Count {
    let time =
        |count: &Count| if count.rate > 0.0 { count.delta as f64 / count.rate } else { count.width as f64 / 1e9 };
    let (delta, time) = (a.delta.saturating_add(b.delta), time(a) + time(b));
    Count {
        start: a.start,
        width: b.start.saturating_add(b.width).saturating_sub(a.start),
        expected: a.expected.saturating_add(b.expected),
        count: a.count.saturating_add(b.count),
        value: b.value,
        delta,
        rate: if time > 0.0 { delta as f64 / time } else { 0.0 },
        resets: a.resets.saturating_add(b.resets),
        partial: a.partial || b.partial,
    }
}

/// A class that decay takes from.
pub(super) const TAKEN: Class = Class::Data;

#[cfg(test)]
mod tests {
    use super::super::tests::{channel, sample, summary};
    use super::*;
    use proptest::prelude::*;

    fn coarsen(level: u8, drafts: &[Draft]) -> (Vec<Arc<Record>>, Vec<Arc<Record>>) {
        let records: Vec<_> =
            (1..).zip(drafts).map(|(seq, draft)| Arc::new(Record { seq, draft: draft.clone() })).collect();
        let mut coarsener = Coarsener::new(level);
        coarsener.look_at(&records);
        records.into_iter().for_each(|record| coarsener.push(record));
        coarsener.finish()
    }

    #[test]
    fn samples_go_first_where_there_are_summaries() {
        let (kept, removed) = coarsen(1, &[sample(1), summary(0, &[1.0]), sample(2)]);
        assert_eq!(kept.iter().map(|r| r.seq).collect::<Vec<_>>(), [2]);
        assert_eq!(removed.len(), 2);
        assert_eq!(coarsen(1, &[sample(1), sample(2)]).0.len(), 2, "without summaries they stay");
    }

    #[test]
    fn an_hour_of_minutes_becomes_one_window() {
        let minutes: Vec<_> = (0..60).map(|minute| summary(minute * MINUTE, &[minute as f64])).collect();
        let (kept, removed) = coarsen(3, &minutes);
        let Body::Summary(hour) = &kept[0].draft.body else { panic!("{kept:?}") };
        assert_eq!((kept.len(), removed.len(), kept[0].seq), (1, 59, 60));
        assert_eq!((hour.start, hour.width, hour.count, hour.min, hour.max), (0, 60 * MINUTE, 60, 0.0, 59.0));
        assert_eq!((hour.first.value, hour.last.value), (0.0, 59.0));
    }

    proptest! {
        /// Through both levels, nothing is lost and nothing is counted twice.
        #[test]
        fn merging_is_exact(values in prop::collection::vec(-1e3..1e3f64, 1..200)) {
            let minutes: Vec<_> = (0..).zip(&values).map(|(minute, v)| summary(minute * MINUTE, &[*v])).collect();
            let tens: Vec<_> = coarsen(2, &minutes).0.iter().map(|r| r.draft.clone()).collect();
            let hours = coarsen(3, &tens).0;
            prop_assert_eq!(hours.len(), values.len().div_ceil(60));
            let mut whole = Summary::default();
            for hour in &hours {
                let Body::Summary(hour) = &hour.draft.body else { panic!("{hour:?}") };
                whole.merge(hour);
            }
            let (mean, count) = (values.iter().sum::<f64>() / values.len() as f64, values.len());
            let m2: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            prop_assert_eq!(whole.count as usize, count);
            prop_assert_eq!((whole.min, whole.max), values.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v))));
            prop_assert!((whole.sum - values.iter().sum::<f64>()).abs() < 1e-6);
            prop_assert!((whole.m2 - m2).abs() <= 1e-9 * m2.max(1.0));
        }
    }

    #[test]
    fn overlapping_windows_are_never_merged() {
        let hops: Vec<_> = (0..4).map(|n| summary(n * MINUTE / 2, &[1.0])).collect();
        let (kept, _) = coarsen(2, &hops);
        let counted: u32 = kept.iter().map(|r| if let Body::Summary(s) = &r.draft.body { s.count } else { 0 }).sum();
        assert_eq!((kept.len(), counted), (2, 4), "two rows of windows side by side");
        assert_eq!(channel().sensor, kept[0].draft.channel.sensor);
    }
}
