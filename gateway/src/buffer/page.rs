//! Reading from a generation, a page at a time.

use super::Class;
use super::fault::Fault;
use super::generation::Generation;
use crate::record::{Record, Seq};
use std::sync::Arc;

/// About as many records are read at once.
const RECORDS: usize = 512;

/// What was read from the log.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// In order.
    pub(super) found: Vec<Found>,
    /// Nothing up to this number is missing from `found`.
    pub(super) upto: Seq,
}

/// A record, or a hole where some were.
#[derive(Debug)]
pub(super) enum Found {
    /// A record.
    Record(Arc<Record>),
    /// A block that cannot be read any more.
    Lost {
        /// First number that it held.
        from: Seq,
        /// Last number that it held.
        to: Seq,
        /// How many records of the class.
        records: u64,
    },
}

impl Found {
    /// Its (last) number.
    pub(super) fn seq(&self) -> Seq {
        match self {
            Self::Record(record) => record.seq,
            Self::Lost { to, .. } => *to,
        }
    }
}

/// Blocks of one generation; `end` when it has no more.
pub(super) fn read(generation: &Generation, class: Class, after: Seq, end: Seq) -> Result<Page, Fault> {
    let mut page = Page::default();
    for run in generation.runs_after(class, after) {
        if page.found.len() >= RECORDS {
            return Ok(page);
        }
        page.upto = run.last;
        match generation.records(run)? {
            Some(records) => page.found.extend(records.into_iter().filter(|r| r.seq > after).map(Found::Record)),
            None => page.found.push(Found::Lost { from: run.first, to: run.last, records: u64::from(run.count) }),
        }
    }
    page.upto = page.upto.max(end);
    Ok(page)
}

/// Shows all readable blocks of a class.
pub(super) fn each(generation: &Generation, class: Class, mut show: impl FnMut(Vec<Arc<Record>>)) -> Result<(), Fault> {
    for run in generation.runs_after(class, 0) {
        show(generation.records(run)?.unwrap_or_default());
    }
    Ok(())
}

/// Records of a class after `after`. A block that is damaged counts as it says in its key: it is found as lost when read.
pub(super) fn count(generation: &Generation, class: Class, after: Seq) -> Result<u64, Fault> {
    let mut count = 0;
    for run in generation.runs_after(class, after) {
        let straddles = run.first <= after;
        let records = if straddles { generation.records(run)? } else { None };
        count += records.map_or(u64::from(run.count), |r| r.iter().filter(|r| r.seq > after).count() as u64);
    }
    Ok(count)
}
