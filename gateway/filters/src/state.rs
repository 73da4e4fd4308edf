//! The way of a state: a switch, a mode, a code. Reported on change, with how long the state before lasted: the receiver adds
//! these up to time in state. Short bounces are not changes.

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
    newest: Option<Nanos>,
    /// The state that counts, since when, and when it was last told of.
    now: Option<Held>,
    /// Another state that was read, and since when: a change, or a bounce.
    next: Option<(i64, Nanos)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    state: i64,
    since: Nanos,
    told: Nanos,
}

impl State {
    /// Takes one reading.
    pub fn push(&mut self, settings: &Settings, at: Nanos, state: i64, out: &mut dyn FnMut(Output)) {
        self.counts.read += 1;
        if self.newest.is_some_and(|newest| at < newest) {
            self.counts.late += 1;
            return;
        }
        self.newest = Some(at);
        let told = match self.now {
            Some(held) if held.state == state => {
                self.next = None;
                self.confirm(settings, held, at, out)
            }
            _ => self.change(settings, at, state, out),
        };
        *(if told { &mut self.counts.sent } else { &mut self.counts.represented }) += 1;
    }

    /// The series breaks here: how long the state lasted is not known.
    pub fn interrupt(&mut self, _settings: &Settings, _out: &mut dyn FnMut(Output)) {
        (self.newest, self.now, self.next) = (None, None, None);
    }

    /// What became of the readings so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The same state again; whether it was told of.
    fn confirm(&mut self, settings: &Settings, held: Held, at: Nanos, out: &mut dyn FnMut(Output)) -> bool {
        let Held { state, since, told } = held;
        if settings.heartbeat.is_none_or(|heartbeat| at.saturating_sub(told) < heartbeat) {
            return false;
        }
        self.now = Some(Held { told: at, ..held });
        let duration = at.saturating_sub(since);
        out(Output::Change(Change { at, state, before: Some(state), duration, heartbeat: true }));
        true
    }

    /// Another state; whether it was told of. The first one of all counts at once.
    fn change(&mut self, settings: &Settings, at: Nanos, state: i64, out: &mut dyn FnMut(Output)) -> bool {
        let (_, since) = *self.next.insert(self.next.filter(|next| next.0 == state).unwrap_or((state, at)));
        if self.now.is_some() && at.saturating_sub(since) < settings.debounce {
            return false;
        }
        let before = self.now.replace(Held { state, since, told: at });
        self.next = None;
        let duration = before.map_or(0, |before| since.saturating_sub(before.since));
        let before = before.map(|before| before.state);
        out(Output::Change(Change { at: since, state, before, duration, heartbeat: false }));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn changes(settings: Settings, readings: impl IntoIterator<Item = (Nanos, i64)>) -> Vec<Change> {
        let (mut channel, mut changes) = (State::default(), Vec::new());
        for (at, state) in readings {
            channel.push(&settings, at, state, &mut |output| {
                if let Output::Change(change) = output {
                    changes.push(change);
                }
            });
            assert!(channel.counts().balances());
        }
        changes
    }

    #[test]
    fn a_change_tells_how_long_it_was_what_it_was() {
        let changes = changes(Settings::default(), [(0, 1), (10, 1), (20, 2), (30, 2), (45, 1)]);
        let told: Vec<_> = changes.iter().map(|c| (c.at, c.before, c.state, c.duration)).collect();
        assert_eq!(told, [(0, None, 1, 0), (20, Some(1), 2, 20), (45, Some(2), 1, 25)]);
    }

    #[test]
    fn a_bounce_is_not_a_change_and_a_change_is_dated_back_to_its_first_reading() {
        let settings = Settings { debounce: 10, ..Settings::default() };
        let changes = changes(settings, [(0, 1), (10, 2), (15, 1), (20, 3), (25, 3), (30, 3)]);
        let told: Vec<_> = changes.iter().map(|c| (c.at, c.state, c.duration)).collect();
        assert_eq!(told, [(0, 1, 0), (20, 3, 20)]);
    }

    #[test]
    fn a_heartbeat_confirms_without_a_change() {
        let settings = Settings { heartbeat: Some(100), ..Settings::default() };
        let changes = changes(settings, (0..25).map(|n| (n * 10, 7)));
        let told: Vec<_> = changes.iter().map(|c| (c.at, c.heartbeat, c.duration)).collect();
        assert_eq!(told, [(0, false, 0), (100, true, 100), (200, true, 200)]);
    }
}
