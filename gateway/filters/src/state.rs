//! The way of a state: a switch, a mode, a code. Reported on change, with how long it lasted.

use serde::{Deserialize, Serialize};

use crate::{Change, Counts, Nanos, Output};

/// How a state channel is filtered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// At least one report in this time, as long as readings come.
    pub heartbeat: Option<Nanos>,
    /// A state must be read for so long before it counts; shorter ones are bounces.
    pub debounce: Nanos,
}

/// State of a state channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    counts: Counts,
    now: Option<(i64, Nanos)>,
}

impl State {
    /// Takes one reading.
    pub fn push(&mut self, _settings: &Settings, at: Nanos, state: i64, out: &mut dyn FnMut(Output)) {
        self.counts.read += 1;
        let before = self.now;
        if before.is_some_and(|(was, _)| was == state) {
            self.counts.represented += 1;
            return;
        }
        self.counts.sent += 1;
        self.now = Some((state, at));
        out(Output::Change(Change {
            at,
            state,
            before: before.map(|(was, _)| was),
            duration: before.map_or(0, |(_, since)| at.saturating_sub(since)),
            heartbeat: false,
        }));
    }

    /// The series breaks here: how long the state lasted is not known.
    pub fn interrupt(&mut self, _settings: &Settings, _out: &mut dyn FnMut(Output)) {
        self.now = None;
    }

    /// What became of the readings so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }
}
