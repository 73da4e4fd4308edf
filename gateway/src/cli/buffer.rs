//! `weir buffer`: looks into the store of a gateway, running, stopped or crashed. Everything happens on a copy.

use super::{Done, FAILED, OK, print, say};
use crate::buffer::survey::{Copied, Survey};
use crate::clock::Timeline;
use crate::config::Config;
use crate::sink::{Lane, Outgoing, wire};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Looks into the outage buffer
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  weir buffer inspect                       what is stored, where every sink stands
  weir buffer fsck --json                   reads every record, checks every account
  weir buffer export --store ./from-card    every record as a line of JSON

Works on a copy: neither a running daemon nor the store is touched. While a daemon is writing, a copy can be torn, and
what fsck finds then need not be real. Exit codes: 0 done, nothing wrong; 1 something is wrong, or could not be read.")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,

    /// The configuration of the gateway, which says where it keeps its state
    #[arg(short, long, global = true, default_value = super::run::DEFAULT_CONFIG)]
    config: PathBuf,

    /// The folder of the store itself, instead of looking into the configuration
    #[arg(long, global = true)]
    store: Option<PathBuf>,

    /// For scripts: everything, as one line of JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::Subcommand)]
enum What {
    /// Shows what is stored and where every sink stands
    Inspect,
    /// Reads every record and checks every account
    Fsck,
    /// Prints every record that can be read as a line of JSON, events first
    Export,
}

pub(super) fn main(args: &Args) -> Done {
    let (dir, gateway) = match &args.store {
        Some(store) => (store.clone(), String::new()),
        None => {
            let gateway = Config::load(&args.config)?.gateway;
            (gateway.state.join("buffer"), gateway.id.to_string())
        }
    };
    let mut copied = Copied::open(&dir).map_err(anyhow::Error::msg)?;
    match args.what {
        What::Inspect => show(copied.survey(), args.json),
        What::Fsck => show(copied.check().map_err(anyhow::Error::msg)?, args.json),
        What::Export => export(&mut copied, &gateway),
    }
}

fn show(survey: &Survey, json: bool) -> Done {
    print(&if json { serde_json::to_string(survey)? + "\n" } else { describe(survey) });
    if !survey.problems.is_empty() && !json {
        say(&format!("weir: {} problems\n", survey.problems.len()));
    }
    Ok(if survey.problems.is_empty() { OK } else { FAILED })
}

fn describe(survey: &Survey) -> String {
    let mut text = String::new();
    let epoch = survey.epochs.last().map_or("", |(_, epoch)| epoch);
    // Writing into a string cannot fail.
    let _ = writeln!(text, "epoch {epoch}, next number {}, reserved below {}", survey.next, survey.reserved);
    for sink in &survey.sinks {
        for (class, (account, cursor)) in ["events", "data"].iter().zip(sink.accounts.iter().zip(sink.cursors)) {
            let _ = writeln!(
                text,
                "sink {} {class}: settled up to {cursor}; recorded {} = acknowledged {} + pending {} + merged {} + evicted {} + rejected {} + not for it {} + void {}",
                sink.name,
                account.recorded,
                account.acknowledged,
                account.pending(),
                account.merged,
                account.evicted,
                account.rejected,
                account.not_for,
                account.void
            );
        }
    }
    for generation in &survey.generations {
        let [(_, _, events), (first, last, data)] = generation.contents;
        let kib = generation.bytes >> 10;
        let _ =
            writeln!(text, "{}  {kib} KiB, {events} events, {data} data records ({first} to {last})", generation.name);
    }
    if survey.quarantined > 0 {
        let _ = writeln!(text, "{} broken generations lie in quarantine", survey.quarantined);
    }
    survey.problems.iter().for_each(|problem| _ = writeln!(text, "PROBLEM: {problem}"));
    text
}

/// The epoch and the times are those that receivers were or would be shown.
fn export(copied: &mut Copied, gateway: &str) -> Done {
    let timeline: Timeline = copied.timeline().and_then(|bytes| postcard::from_bytes(&bytes).ok()).unwrap_or_default();
    let epochs = copied.survey().epochs.clone();
    let epoch_of =
        |seq| epochs.iter().rev().find(|(from, _)| *from <= seq).map_or_else(|| Arc::from(""), |(_, e)| e.clone());
    let mut line = Vec::new();
    copied
        .export(|record| {
            let (wall, trust) = timeline.stamp(record.draft.boot, record.draft.at);
            let (record, epoch) = (Arc::new(record.clone()), epoch_of(record.seq));
            line.clear();
            wire::write(gateway, &Outgoing { record, epoch, lane: Lane::Backfill, wall, trust }, &mut line);
            line.push(b'\n');
            print(&String::from_utf8_lossy(&line));
        })
        .map_err(anyhow::Error::msg)?;
    Ok(OK)
}
