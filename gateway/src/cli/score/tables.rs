//! The two tables that benchmarks read.

use anyhow::Context;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Open output files.
pub(super) struct Tables {
    scores: BufWriter<File>,
    forwarded: BufWriter<File>,
}

/// What was forwarded, as the benchmark's `kind`.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A sample.
    Raw,
    /// An event that begins or grows.
    Alert,
    /// A full-rate reading around an event.
    Context,
    /// A window.
    Aggregate,
}

/// One row of the forwarded table.
pub(super) struct Forwarded<'r> {
    pub(super) stamp: &'r str,
    pub(super) value: f64,
    pub(super) kind: Kind,
    pub(super) bytes: usize,
    /// Which row of the recording it speaks of; between two rows for a point between two readings.
    pub(super) row: f64,
    /// The row being read when it left.
    pub(super) sent_row: u64,
}

impl Tables {
    pub(super) fn create(scores: &Path, forwarded: &Path) -> anyhow::Result<Self> {
        let create = |path: &Path, header: &str| -> anyhow::Result<BufWriter<File>> {
            let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
            let mut file = BufWriter::new(file);
            writeln!(file, "{header}")?;
            Ok(file)
        };
        Ok(Self {
            scores: create(scores, "file,timestamp,anomaly_score,row")?,
            forwarded: create(forwarded, "file,timestamp,value,kind,bytes,row,sent_row")?,
        })
    }

    pub(super) fn score(&mut self, file: &str, stamp: &str, score: f64, row: u64) -> std::io::Result<()> {
        writeln!(self.scores, "{},{stamp},{score:.6},{row}", Quoted(file))
    }

    pub(super) fn forwarded(&mut self, file: &str, it: &Forwarded<'_>) -> std::io::Result<()> {
        let Forwarded { stamp, value, kind, bytes, row, sent_row } = it;
        let kind = match kind {
            Kind::Raw => "raw",
            Kind::Alert => "alert",
            Kind::Context => "context",
            Kind::Aggregate => "agg",
        };
        writeln!(self.forwarded, "{},{stamp},{value},{kind},{bytes},{row},{sent_row}", Quoted(file))
    }

    pub(super) fn finish(mut self) -> std::io::Result<()> {
        self.scores.flush()?;
        self.forwarded.flush()
    }
}

/// A cell, in quotes where it needs them.
struct Quoted<'t>(&'t str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.contains([',', '"']) { write!(f, "\"{}\"", self.0.replace('"', "\"\"")) } else { f.write_str(self.0) }
    }
}
