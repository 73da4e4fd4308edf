//! What the demo shows while it runs: a progress bar on a terminal, plain lines elsewhere, and events as they fire.
//!
//! It is a sink like any other, for events; nothing is shown that has not gone the whole way.

use crate::cli::{print, show};
use crate::record::{Body, Event, Phase};
use crate::sink::{Outcome, Outgoing, Sending, Sink};
use crate::status::Snapshot;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// The screen. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    bar: Option<ProgressBar>,
}

impl Screen {
    /// A bar of `length` on a terminal.
    pub(super) fn new(length: Duration) -> Self {
        let bar = std::io::stdout().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:24.cyan/blue} {msg}");
            let bar = ProgressBar::new(length.as_millis() as u64);
            bar.set_draw_target(indicatif::ProgressDrawTarget::stdout());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar }
    }

    /// How often it is worth showing something.
    pub(super) fn pace(&self) -> Duration {
        Duration::from_millis(if self.bar.is_some() { 200 } else { 1000 })
    }

    /// Shows how things are.
    pub(super) fn show(&self, s: &Snapshot, elapsed: Duration) {
        let r = &s.readings;
        let waiting = s.waiting();
        let text = format!(
            "{:>4.0} s  {} readings → {} records, {:.1} % dropped, {waiting} waiting",
            elapsed.as_secs_f64(),
            show::grouped(r.read),
            show::grouped(r.records),
            r.dropped() * 100.0,
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(elapsed.as_millis() as u64);
                bar.set_message(text);
            }
            None => print(&(text + "\n")),
        }
    }

    /// Says something that stays on the screen.
    pub(super) fn tell(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(format!("  ● {text}")),
            None => print(&format!("  * {text}\n")),
        }
    }

    /// Leaves the screen to what comes after.
    pub(super) fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Sink for Screen {
    fn send<'a>(&'a self, batch: &'a [Outgoing]) -> Sending<'a> {
        for outgoing in batch {
            let draft = &outgoing.record.draft;
            if let Body::Event(event) = &draft.body {
                self.tell(&told(&draft.channel.to_string(), event));
            }
        }
        Box::pin(async { Outcome::done(batch.len()) })
    }
}

fn told(channel: &str, e: &Event) -> String {
    let value = e.value.map_or(String::new(), |v| format!(" at {v:.2}"));
    let was = if e.phase == Phase::Closed { "it was: " } else { "" };
    format!("{} {} {channel}{value}: {was}{}", e.class.as_str(), e.phase.as_str(), e.reason)
}
