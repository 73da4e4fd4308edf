//! One series on its way through the filters, and on which rows of the recording what they forward lies.

use super::Spans;
use super::recording::Row;
use super::tables::{Forwarded, Kind, Tables};
use crate::filter::{Chain, Rules};
use crate::record::{Channel, Nanos};
use crate::registry::{Declared, Known, Sensor, SensorIndex};
use anyhow::bail;
use std::collections::VecDeque;
use std::sync::Arc;
use weir_filters::report::{Bound, Method};
use weir_filters::summarise::Pane;
use weir_filters::{Bulk, Class, Gauge, Interrupt, Output, Phase, Reading, Settings};

/// Rows remembered to place forwarded points; a point older than all of them is placed on the oldest.
const REMEMBERED: usize = 1 << 17;

/// A series and its filters.
pub(super) struct Series {
    /// `path.csv` or `path.csv#Column`.
    name: String,
    settings: Box<Settings>,
    gauge: Box<Gauge>,
    context: Box<[Reading]>,
    panes: Box<[Pane]>,
    places: Places,
    newest: Nanos,
    /// Write only what lies on the reduced line, and windows.
    line_only: bool,
}

impl Series {
    pub(super) fn new(file: &str, column: Option<&str>, spans: &Spans, share: Option<f64>) -> anyhow::Result<Self> {
        let name = column.map_or_else(|| file.to_owned(), |column| format!("{file}#{column}"));
        let span = spans.get(&name).copied();
        if share.is_some() && span.is_none() {
            bail!("--max-error needs a span for {name}; --spans has none");
        }
        let settings = settings(span, share);
        Ok(Self {
            gauge: Box::default(),
            context: vec![Reading::default(); settings.context_len()].into(),
            panes: vec![Pane::default(); settings.panes_len()].into(),
            name,
            settings,
            places: Places::default(),
            newest: Nanos::MIN,
            line_only: share.is_some(),
        })
    }

    pub(super) fn push(&mut self, row: &Row, value: f64, tables: &mut Tables) -> std::io::Result<()> {
        if row.at < self.newest {
            // The logger's clock was set back: time may go on from anywhere, nothing is dropped as late.
            self.through(tables, |gauge, settings, bulk, out| {
                gauge.interrupt(settings, bulk, Interrupt::ClockStep, out)
            })?;
            self.places.forget();
        }
        self.newest = row.at;
        self.places.remember(row);
        self.through(tables, |gauge, settings, bulk, out| gauge.push(settings, bulk, Reading::good(row.at, value), out))
    }

    pub(super) fn finish(&mut self, tables: &mut Tables) -> std::io::Result<()> {
        self.through(tables, |gauge, settings, bulk, out| gauge.finish(settings, bulk, out))
    }

    fn through(
        &mut self,
        tables: &mut Tables,
        act: impl FnOnce(&mut Gauge, &Settings, Bulk<'_>, &mut dyn FnMut(Output)),
    ) -> std::io::Result<()> {
        let Self { name, settings, gauge, context, panes, places, line_only, .. } = self;
        let mut result = Ok(());
        act(gauge, settings, Bulk { context, panes }, &mut |output| {
            if result.is_ok() {
                result = write(name, &output, places, *line_only, tables);
            }
        });
        result
    }
}

/// The shipped defaults, as the configuration gives them to a gauge about which nothing else is said.
fn settings(span: Option<(f64, f64)>, share: Option<f64>) -> Box<Settings> {
    let known = Known {
        channel: Arc::new(Channel::default()),
        sensor: SensorIndex(0),
        declared: Declared { span, ..Declared::gauge("value", "") },
    };
    let Chain::Gauge(mut settings) = Rules::default().prepare(&known, &Sensor::default()).settings else {
        return Box::default();
    };
    if let Some(share) = share {
        settings.report.method = Method::Funnel(Bound::Share(share));
    }
    settings
}

fn write(name: &str, output: &Output, places: &Places, line_only: bool, tables: &mut Tables) -> std::io::Result<()> {
    let (kind, at, value) = match output {
        Output::Sample(sample) if sample.event.is_some() => (Kind::Context, sample.at, sample.value),
        Output::Sample(sample) => (Kind::Raw, sample.at, sample.value),
        Output::Summary(summary) => (Kind::Aggregate, summary.last.at, summary.mean),
        Output::Event(event) if event.phase != Phase::Closed => {
            if event.class == Class::Anomaly {
                let (row, stamp) = places.newest();
                tables.score(name, stamp, event.score, row)?;
            }
            (Kind::Alert, event.at, event.value)
        }
        Output::Event(_) | Output::Change(_) | Output::Count(_) => return Ok(()),
    };
    if line_only && matches!(kind, Kind::Context | Kind::Alert) {
        return Ok(());
    }
    let (row, stamp) = places.at(at);
    let sent_row = places.newest().0;
    let bytes = size(output);
    tables.forwarded(name, &Forwarded { stamp, value, kind, bytes, row, sent_row })
}

/// Bytes of it as the store writes it, before blocks of records are compressed.
fn size(output: &Output) -> usize {
    let size = match output {
        Output::Sample(it) => postcard::experimental::serialized_size(it),
        Output::Summary(it) => postcard::experimental::serialized_size(it),
        Output::Event(it) => postcard::experimental::serialized_size(it),
        Output::Change(it) => postcard::experimental::serialized_size(it),
        Output::Count(it) => postcard::experimental::serialized_size(it),
    };
    size.unwrap_or_default()
}

/// The newest rows and their times.
#[derive(Default)]
struct Places {
    rows: VecDeque<(Nanos, u64, Box<str>)>,
}

impl Places {
    fn remember(&mut self, row: &Row) {
        if self.rows.len() == REMEMBERED {
            self.rows.pop_front();
        }
        self.rows.push_back((row.at, row.number, row.stamp.clone()));
    }

    /// Before time runs backwards.
    fn forget(&mut self) {
        self.rows.clear();
    }

    fn newest(&self) -> (u64, &str) {
        self.rows.back().map_or((0, ""), |(_, row, stamp)| (*row, stamp))
    }

    /// The row at `at`, or the place between the rows before and after it; and the stamp of the row there or before.
    fn at(&self, at: Nanos) -> (f64, &str) {
        let after = self.rows.partition_point(|(time, ..)| *time < at);
        let Some((time, row, stamp)) = self.rows.get(after) else {
            let (row, stamp) = self.newest();
            return (row as f64, stamp);
        };
        match after.checked_sub(1).and_then(|before| self.rows.get(before)) {
            Some((before, from, stamp)) if *time > at => {
                let share = (at - before) as f64 / (time - before) as f64;
                (*from as f64 + share * (row - from) as f64, stamp)
            }
            _ => (*row as f64, stamp),
        }
    }
}
