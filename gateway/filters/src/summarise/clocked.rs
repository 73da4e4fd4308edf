//! Windows cut by the clock: tumbling and hopping ones. A hopping window is put together from panes one hop wide.

use serde::{Deserialize, Serialize};

use super::{Pane, Summary};
use crate::{Nanos, Reading};

/// Where windows begin and end.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) hop: Nanos,
    pub(super) width: Nanos,
    pub(super) grace: Nanos,
    /// Expected interval between readings; 0: not known.
    pub(super) period: Nanos,
}

impl Grid {
    /// Start of the pane that holds a time.
    fn start(&self, at: Nanos) -> Nanos {
        at.div_euclid(self.hop).saturating_mul(self.hop)
    }

    /// Readings that a full window has.
    fn expected(&self) -> u32 {
        let readings = if self.period > 0 { self.width / self.period } else { 0 };
        u32::try_from(readings).unwrap_or(u32::MAX)
    }

    fn slot(&self, start: Nanos, panes: usize) -> usize {
        let number = start.div_euclid(self.hop).rem_euclid(panes.max(1) as i64);
        usize::try_from(number).unwrap_or(0)
    }

    /// Whether a window that starts here is over, grace and all.
    fn is_over(&self, start: Nanos, now: Nanos) -> bool {
        start.saturating_add(self.width).saturating_add(self.grace) <= now
    }

    /// Start of the oldest window that holds, or with its grace still waits for, this time.
    fn oldest(&self, at: Nanos) -> Nanos {
        self.start(at.saturating_sub(self.width).saturating_sub(self.grace)).saturating_add(self.hop)
    }
}

/// State of the windows of one grid, beside their panes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clocked {
    /// Start of the oldest window that has not closed.
    next: Option<Nanos>,
}

impl Clocked {
    /// Takes a reading in order; `last` is the one it is joined to.
    pub(super) fn push(
        &mut self,
        grid: Grid,
        panes: &mut [Pane],
        last: Option<Reading>,
        reading: Reading,
        out: &mut dyn FnMut(Summary),
    ) {
        let closes = self.next.is_none_or(|next| grid.is_over(next, reading.at));
        if !closes && let Some(pane) = panes.iter_mut().find(|pane| pane.holds(last, reading)) {
            // What nearly every reading does.
            if let Some(last) = last {
                pane.join(last, reading, last.at, reading.at);
            }
            pane.add(reading);
            return;
        }
        let start = grid.start(reading.at);
        if let Some(last) = last {
            // The line's first part belongs to a window that may close right after.
            let old = grid.start(last.at);
            let end = old.saturating_add(grid.hop).min(reading.at);
            if let Some(pane) = held(grid, panes, old) {
                pane.join(last, reading, last.at, end);
            }
        }
        self.close_until(grid, panes, reading.at, out);
        self.next.get_or_insert_with(|| start.saturating_sub(grid.width).saturating_add(grid.hop));
        if let Some(last) = last {
            let between = grid.start(last.at).saturating_add(grid.hop);
            join_later(grid, panes, last, reading, between.max(grid.oldest(reading.at)));
        }
        if let Some(pane) = entered(grid, panes, start) {
            pane.add(reading);
        }
    }

    /// Takes a reading out of order; false: its windows have closed.
    pub(super) fn push_late(&mut self, grid: Grid, panes: &mut [Pane], reading: Reading) -> bool {
        let start = grid.start(reading.at);
        let pane = self.next.filter(|&next| start >= next).and_then(|_| entered(grid, panes, start));
        pane.map(|pane| pane.add(reading)).is_some()
    }

    /// Closes the windows that are over.
    pub(super) fn close_until(&mut self, grid: Grid, panes: &mut [Pane], now: Nanos, out: &mut dyn FnMut(Summary)) {
        let Some(next) = self.next else { return };
        if !grid.is_over(next, now) {
            return;
        }
        let end = self.close(grid, panes, false, |start| grid.is_over(start, now), out);
        self.next = Some(end.max(grid.oldest(now)));
    }

    /// Closes everything that is open, as partial.
    pub(super) fn interrupt(&mut self, grid: Grid, panes: &mut [Pane], out: &mut dyn FnMut(Summary)) {
        self.close(grid, panes, true, |_| true, out);
        self.next = None;
    }

    /// Closes windows in order as long as `over` says so; returns the start of the first one left. Panes lie within one turn
    /// of the ring from the oldest window on, so that one turn is enough.
    fn close(
        &self,
        grid: Grid,
        panes: &mut [Pane],
        partial: bool,
        over: impl Fn(Nanos) -> bool,
        out: &mut dyn FnMut(Summary),
    ) -> Nanos {
        let Some(mut start) = self.next else { return 0 };
        for _ in 0..panes.len() {
            if !over(start) {
                break;
            }
            let mut window = put_together(grid, panes, start);
            window.partial = partial;
            if window.count > 0 {
                out(window);
            }
            if let Some(pane) = held(grid, panes, start) {
                *pane = Pane::default();
            }
            start = start.saturating_add(grid.hop);
        }
        start
    }
}

/// The window that starts here.
fn put_together(grid: Grid, panes: &mut [Pane], start: Nanos) -> Summary {
    let mut window = Summary::new(start, grid.width, grid.expected());
    let mut next = start;
    for _ in 0..panes.len() {
        if next >= start.saturating_add(grid.width) {
            break;
        }
        if let Some(pane) = held(grid, panes, next) {
            window.merge(&pane.summary);
        }
        next = next.saturating_add(grid.hop);
    }
    Summary { start, width: grid.width, expected: grid.expected(), ..window }
}

/// The pane of this start, if there is anything in it.
fn held(grid: Grid, panes: &mut [Pane], start: Nanos) -> Option<&mut Pane> {
    let slot = grid.slot(start, panes.len());
    panes.get_mut(slot).filter(|pane| !pane.is_free() && pane.summary.start == start)
}

/// The pane of this start, made if need be.
fn entered(grid: Grid, panes: &mut [Pane], start: Nanos) -> Option<&mut Pane> {
    let slot = grid.slot(start, panes.len());
    let pane = panes.get_mut(slot)?;
    if pane.is_free() || pane.summary.start != start {
        *pane = Pane::new(start, grid.hop);
    }
    Some(pane)
}

/// Adds the part of the line between two readings that lies behind the first one's pane.
fn join_later(grid: Grid, panes: &mut [Pane], last: Reading, reading: Reading, from: Nanos) {
    let mut from = from;
    for _ in 0..panes.len() {
        let to = from.saturating_add(grid.hop).min(reading.at);
        if from >= to {
            return;
        }
        if let Some(pane) = entered(grid, panes, from) {
            pane.join(last, reading, from, to);
        }
        from = to;
    }
}
