//! A recording, row by row: `timestamp,value`, `sensor,timestamp,value`, or `timestamp` and several columns.
//!
//! Rows are numbered as benchmarks do it: from 0, without the header and without empty lines. What cannot be read is counted by
//! reason, never skipped in silence.

use crate::record::Nanos;
use crate::source::csv::{Flaw, Lines, Tally, nanos_of, number_of, unquoted};
use anyhow::{Context, bail};
use jiff::tz::Offset;
use std::path::Path;

/// Columns with the answers in them, as benchmarks call them: not readings.
const LABELS: [&str; 2] = ["anomaly", "changepoint"];
/// More series in one file are a mistake.
const MOST_COLUMNS: usize = 1024;

/// One row.
pub(super) struct Row {
    pub(super) number: u64,
    /// The time, as the file writes it ...
    pub(super) stamp: Box<str>,
    /// ... and in nanoseconds since 1970; stamps without a zone are taken as UTC.
    pub(super) at: Nanos,
    /// Readings by column.
    pub(super) values: Vec<(usize, f64)>,
}

impl Row {
    /// The values alone, in the order of the columns; fewer than columns where one could not be read.
    pub(super) fn all_values(&self) -> Vec<f64> {
        self.values.iter().map(|(_, value)| *value).collect()
    }
}

/// A CSV file.
pub(super) struct Recording {
    lines: Lines,
    delimiter: char,
    width: usize,
    time: usize,
    form: Form,
    /// Names of the series; without one: the only one of the file.
    columns: Vec<Option<Box<str>>>,
    rows: u64,
    newest: Nanos,
    /// Rows stand this far apart, whatever their stamps say.
    pace: Option<Nanos>,
    tally: Tally,
}

enum Form {
    /// One reading a row, of the only series or of the one that is named.
    Long { sensor: Option<usize>, value: usize, first: Option<Box<str>> },
    /// One column for each series.
    Wide { cells: Vec<usize> },
}

impl Recording {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut lines = Lines::open(path)?;
        let header = lines.next()?.and_then(|(_, line)| line.ok().map(str::to_owned)).unwrap_or_default();
        let delimiter = if header.contains(';') && !header.contains(',') { ';' } else { ',' };
        let names: Vec<_> = header.split(delimiter).map(unquoted).collect();
        let find = |wanted: &[&str]| names.iter().position(|n| wanted.iter().any(|w| n.eq_ignore_ascii_case(w)));
        let time = find(&["timestamp", "time", "datetime"])
            .context("its first line must name the columns, one of them `timestamp`")?;
        let (form, columns) = match find(&["value"]) {
            Some(value) => (Form::Long { sensor: find(&["sensor"]), value, first: None }, vec![None]),
            None => {
                let is_series = |n: &usize| *n != time && !LABELS.contains(&names[*n]);
                let cells: Vec<_> = (0..names.len()).filter(is_series).collect();
                let columns = cells.iter().map(|n| Some(Box::from(names[*n]))).collect();
                (Form::Wide { cells }, columns)
            }
        };
        if columns.is_empty() || columns.len() > MOST_COLUMNS {
            bail!("its first line names {} columns beside the time; 1 to {MOST_COLUMNS} can be read", columns.len());
        }
        let width = names.len();
        let tally = Tally::default();
        Ok(Self { lines, delimiter, width, time, form, columns, rows: 0, newest: Nanos::MIN, pace: None, tally })
    }

    /// The same; but if the recording's clock does not advance with every row, rows are set an even distance apart. No receiver
    /// could draw a line over a clock that stands still or runs backwards. Reads the file once more.
    pub(super) fn open_evenly(path: &Path) -> anyhow::Result<Self> {
        let mut first = Self::open(path)?;
        let (mut before, mut advances, mut time, mut even) = (None, 0, 0, true);
        while let Some(row) = first.next()? {
            let step = before.map_or(1, |before| row.at.saturating_sub(before));
            if before.is_some() && step > 0 {
                (advances, time) = (advances + 1, time + i128::from(step));
            }
            even &= step > 0;
            before = Some(row.at);
        }
        let mean = Nanos::try_from(time / i128::max(advances, 1)).unwrap_or(Nanos::MAX).max(1);
        Ok(Self { pace: (!even).then_some(mean), ..Self::open(path)? })
    }

    /// Names of the series so far; in a file with several sensors new ones may turn up with any row.
    pub(super) fn columns(&self) -> &[Option<Box<str>>] {
        &self.columns
    }

    /// Whether all series are measured together, in one row.
    pub(super) fn is_group(&self) -> bool {
        matches!(&self.form, Form::Wide { cells } if cells.len() > 1)
    }

    /// The next row that can be read.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Row>> {
        loop {
            let Some((line, text)) = self.lines.next()? else { return Ok(None) };
            let text = text.map(str::to_owned);
            if text.as_ref().is_ok_and(|t| t.is_empty()) {
                continue;
            }
            let number = self.rows;
            self.rows += 1;
            self.tally.lines += 1;
            match text.and_then(|text| self.row(number, line, &text)) {
                Ok(row) => return Ok(Some(row)),
                Err(flaw) => self.tally.count(flaw, line),
            }
        }
    }

    /// What was read, and what was not.
    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    fn row(&mut self, number: u64, line: u64, text: &str) -> Result<Row, Flaw> {
        let cells: Vec<_> = text.split(self.delimiter).map(unquoted).collect();
        if cells.len() != self.width {
            return Err(Flaw::Ragged);
        }
        let stamp = cells[self.time];
        let stamped = nanos_of(stamp, Offset::UTC).ok_or(Flaw::NoTime)?;
        let even = |pace: Nanos| pace.saturating_mul(Nanos::try_from(number).unwrap_or(Nanos::MAX));
        let at = self.pace.map_or(stamped, even);
        if at < self.newest {
            self.tally.count(Flaw::Backwards, line);
        }
        self.newest = at;
        let mut values = Vec::with_capacity(self.columns.len());
        for (column, cell) in self.cells(&cells)? {
            match number_of(cell) {
                Ok(value) => values.push((column, value)),
                Err(flaw) => self.tally.count(flaw, line),
            }
        }
        self.tally.readings += values.len() as u64;
        Ok(Row { number, stamp: stamp.into(), at, values })
    }

    /// The cells with readings, by column.
    fn cells<'c>(&mut self, cells: &[&'c str]) -> Result<Vec<(usize, &'c str)>, Flaw> {
        match &mut self.form {
            Form::Wide { cells: places } => Ok(places.iter().map(|n| cells[*n]).enumerate().collect()),
            Form::Long { sensor: None, value, .. } => Ok(vec![(0, cells[*value])]),
            Form::Long { sensor: Some(sensor), value, first } => {
                let name = cells[*sensor];
                let first = first.get_or_insert_with(|| name.into());
                let known = if **first == *name { Some(0) } else { find(&self.columns, name) };
                let column = known.unwrap_or(self.columns.len());
                if column == MOST_COLUMNS {
                    return Err(Flaw::TooManyChannels);
                }
                if known.is_none() {
                    self.columns.push(Some(name.into()));
                }
                Ok(vec![(column, cells[*value])])
            }
        }
    }
}

fn find(columns: &[Option<Box<str>>], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.as_deref() == Some(name))
}
