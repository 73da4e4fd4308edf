//! `weir replay --data DIR --scores R.csv --forwarded F.csv`: what the filters say about recordings, in the form that benchmarks read.
//!
//! Every CSV file below a folder goes through the filters with the shipped defaults, each series on its own, in one pass and in
//! constant memory. Nothing is stored or sent, and the labels of a benchmark are never looked at.

mod recording;
mod series;
mod tables;

use super::{Done, OK, print};
use crate::source::csv::Tally;
use anyhow::{Context, bail};
use recording::Recording;
use series::Series;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tables::Tables;
use weir_filters::detect::group::Group;

/// Options of the scoring form.
#[derive(Debug, clap::Args)]
pub(super) struct Scoring {
    /// Scores every CSV file below this folder instead of sending anything
    #[arg(long, value_name = "DIR", requires = "scores", requires = "forwarded", help_heading = "Scoring")]
    pub(super) data: Option<PathBuf>,

    /// Engineering ranges of the series: a CSV file `file,min,max`
    #[arg(long, value_name = "FILE", requires = "data", help_heading = "Scoring")]
    spans: Option<PathBuf>,

    /// Reports within this share of the span (0.01 = 1 %) instead of the default bound; needs --spans. Only points of the
    /// reduced series and windows are written then: readings around an event and events are not on its line
    #[arg(long, value_name = "SHARE", requires = "spans", help_heading = "Scoring")]
    max_error: Option<f64>,

    /// Where the scores go: `file,timestamp,anomaly_score,row`, 1.0 being an alert
    #[arg(long, value_name = "FILE", requires = "data", help_heading = "Scoring")]
    scores: Option<PathBuf>,

    /// Where everything forwarded goes: `file,timestamp,value,kind,bytes,row,sent_row`
    #[arg(long, value_name = "FILE", requires = "data", help_heading = "Scoring")]
    forwarded: Option<PathBuf>,
}

/// Engineering range of a series, by its name.
type Spans = BTreeMap<String, (f64, f64)>;

pub(super) fn main(args: &Scoring, data: &Path) -> Done {
    if args.max_error.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
        bail!("--max-error is a share of the span, such as 0.01 for 1 %");
    }
    let (Some(scores), Some(forwarded)) = (&args.scores, &args.forwarded) else {
        bail!("--data needs --scores and --forwarded");
    };
    let spans = args.spans.as_deref().map(read_spans).transpose()?.unwrap_or_default();
    let files = super::replay::find_all(&[data.to_owned()])?;
    let mut tables = Tables::create(scores, forwarded)?;
    let (mut readings, mut lines) = (0, 0);
    for path in &files {
        let name = path.strip_prefix(data).unwrap_or(path).to_string_lossy();
        let tally = score(path, &name, &spans, args.max_error, &mut tables)
            .with_context(|| format!("{} cannot be scored", path.display()))?;
        if tally.has_flaws() {
            super::say(&format!("{}: {tally}\n", path.display()));
        }
        readings += tally.readings;
        lines += tally.lines;
    }
    tables.finish()?;
    print(&format!("{} files, {lines} lines, {readings} readings\n", files.len()));
    Ok(OK)
}

/// One file, all its series; several columns of one file also as a group.
fn score(path: &Path, name: &str, spans: &Spans, share: Option<f64>, tables: &mut Tables) -> anyhow::Result<Tally> {
    let open = if share.is_some() { Recording::open_evenly } else { Recording::open };
    let mut recording = open(path)?;
    let mut group = recording.is_group().then(|| Group::new(recording.columns().len()));
    let mut series: Vec<Series> = Vec::new();
    while let Some(row) = recording.next()? {
        for column in &recording.columns()[series.len()..] {
            series.push(Series::new(name, column.as_deref(), spans, share)?);
        }
        for (column, value) in &row.values {
            if let Some(series) = series.get_mut(*column) {
                series.push(&row, *value, tables)?;
            }
        }
        let finding = group.as_mut().and_then(|group| group.push(&row.all_values()));
        if let Some(finding) = finding {
            tables.score(name, &row.stamp, finding.score, row.number)?;
        }
    }
    for series in &mut series {
        series.finish(tables)?;
    }
    Ok(recording.into_tally())
}

/// `file,min,max`; `file` may end in `#Column`.
fn read_spans(path: &Path) -> anyhow::Result<Spans> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let row = |line: &str| -> Option<(String, (f64, f64))> {
        let mut cells = line.rsplitn(3, ',');
        let (max, min) = (cells.next()?.trim().parse().ok()?, cells.next()?.trim().parse().ok()?);
        Some((cells.next()?.trim_matches('"').to_owned(), (min, max)))
    };
    text.lines()
        .enumerate()
        .skip(1)
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(n, line)| row(line).with_context(|| format!("{}, line {}: not `file,min,max`", path.display(), n + 1)))
        .collect()
}

#[cfg(test)]
mod tests;
