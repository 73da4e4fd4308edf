//! `weir replay`: recorded readings through the whole gateway, as fast as the sinks take them.
//!
//! The recording becomes a configuration like any other: one `csv` sensor per file, beside the filters and sinks of the
//! user's own file. Time is the recording's.

use super::{Done, FAILED, OK, print, runtime, score, show};
use crate::clock::Clock;
use crate::config::Config;
use crate::section::is_name;
use crate::status::Snapshot;
use crate::{Orders, run};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toml::{Table, Value};

/// Sends recorded readings through the filters and the sinks, as fast as they take them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A recording is a CSV file with a header: `sensor,timestamp,value`, or `timestamp` and one column per quantity.
Without --config, the default filters are used and the records go to JSON lines below --out.

Examples:
  weir replay pump.csv
  weir replay recordings/ --config weir.toml      into that file's sinks, through its filters
  weir replay --data recordings/ --scores scores.csv --forwarded forwarded.csv      what the filters say, for benchmarks")]
pub(super) struct Args {
    /// CSV files, or folders of them
    #[arg(required_unless_present = "data")]
    recordings: Vec<PathBuf>,

    /// Takes filters, sinks and gateway from this configuration; its own sensors are left out
    #[arg(short, long)]
    config: Option<PathBuf>,

    /// Where state and output are kept
    #[arg(long, default_value = "weir-replay")]
    out: PathBuf,

    /// How long the sinks may take in the end for what is still in the store
    #[arg(long, default_value = "5m")]
    patience: crate::section::Span,

    /// For scripts: the final state as one line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    scoring: score::Scoring,
}

/// A recording of more files is a mistake.
const MOST_FILES: usize = 1000;

pub(super) fn main(args: Args) -> Done {
    if let Some(data) = &args.scoring.data {
        return score::main(&args.scoring, data);
    }
    let files = find_all(&args.recordings)?;
    let text = compose(&args, &files)?;
    let config = Config::parse(&text, "the composed configuration")?;
    let last = runtime()?.block_on(replay(config, args.patience.0))?;
    if args.json {
        print(&(serde_json::to_string(&last)? + "\n"));
    } else {
        let mut out = String::new();
        show::ledger(&mut out, &last);
        print(&out);
    }
    let drained = last.waiting() == 0;
    Ok(if last.balances && drained { OK } else { FAILED })
}

async fn replay(config: Config, patience: Duration) -> anyhow::Result<Snapshot> {
    let stop = CancellationToken::new();
    super::run::stop_on_signals(&stop)?;
    let orders =
        Orders { config, clock: Clock::simulated(0), stop, until_exhausted: true, patience, announcements: Vec::new() };
    run(orders, |_| {}).await
}

/// The CSV files at all `paths`; none is an error.
pub(super) fn find_all(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        find(path, &mut files)?;
    }
    if files.is_empty() {
        bail!("there is no CSV file in {}", list(paths));
    }
    Ok(files)
}

/// The CSV files at `path`, in the order of their names.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut inside: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    inside.sort();
    for path in inside.into_iter().filter(|p| p.is_dir() || p.extension().is_some_and(|e| e == "csv")) {
        find(&path, files)?;
    }
    if files.len() > MOST_FILES {
        bail!("more than {MOST_FILES} CSV files in {}: name the ones you mean", path.display());
    }
    Ok(())
}

/// The user's configuration with the recordings in place of its sensors.
fn compose(args: &Args, files: &[PathBuf]) -> anyhow::Result<String> {
    let mut root = match &args.config {
        Some(path) => {
            Config::load(path)?;
            std::fs::read_to_string(path)?.parse::<Table>()?
        }
        None => default_config(&args.out),
    };
    root.remove("bus");
    root.remove("sensor");
    let mut sensors = Table::new();
    for (name, file) in names(files).into_iter().zip(files) {
        let path = file.to_str().with_context(|| format!("{} is not UTF-8", file.display()))?;
        let sensor = Table::from_iter([("driver".to_owned(), "csv".into()), ("path".to_owned(), Value::from(path))]);
        sensors.insert(name, Value::Table(sensor));
    }
    root.insert("sensor".into(), Value::Table(sensors));
    Ok(toml::to_string(&root)?)
}

fn default_config(out: &Path) -> Table {
    let text = |path: PathBuf| Value::from(path.to_string_lossy().into_owned());
    let gateway = Table::from_iter([("id".to_owned(), "replay".into()), ("state".to_owned(), text(out.join("state")))]);
    let file = Table::from_iter([("kind".to_owned(), "file".into()), ("path".to_owned(), text(out.join("records")))]);
    let sinks = Table::from_iter([("file".to_owned(), Value::Table(file))]);
    Table::from_iter([("gateway".to_owned(), Value::Table(gateway)), ("sink".to_owned(), Value::Table(sinks))])
}

/// A sensor name for each file: its own name, with as many folders as it takes to tell it from the others.
fn names(files: &[PathBuf]) -> Vec<String> {
    let name = |file: &Path, folders: usize| {
        let parts: Vec<_> = file.with_extension("").iter().map(|p| p.to_string_lossy().into_owned()).collect();
        let kept = parts[parts.len().saturating_sub(folders + 1)..].join("-");
        let clean: String =
            kept.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
        let start = clean.len().saturating_sub(64);
        if is_name(&clean[start..]) { clean[start..].to_owned() } else { "recording".to_owned() }
    };
    for folders in 0..8 {
        let all: Vec<_> = files.iter().map(|f| name(f, folders)).collect();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        if distinct.len() == all.len() {
            return all;
        }
    }
    (1..=files.len()).map(|n| format!("recording-{n}")).collect()
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_name_are_told_apart_by_their_folders() {
        let files = ["valve1/0.csv", "valve2/0.csv", "valve1/3.csv"].map(PathBuf::from);
        assert_eq!(names(&files), ["valve1-0", "valve2-0", "valve1-3"]);
    }

    #[test]
    fn a_single_file_is_called_as_it_is() {
        assert_eq!(names(&[PathBuf::from("/data/pump 7.csv")]), ["pump-7"]);
    }
}
