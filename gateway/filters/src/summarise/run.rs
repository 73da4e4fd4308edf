//! Windows cut by the readings themselves: sessions and counts. All there is to know is in their one pane.

use super::{Pane, Summary, Window};
use crate::{Nanos, Reading};

/// Takes a reading in order; `last` is the one it is joined to.
pub(super) fn push(
    window: Window,
    panes: &mut [Pane],
    last: Option<Reading>,
    reading: Reading,
    out: &mut dyn FnMut(Summary),
) {
    tick(window, panes, reading.at, out);
    let Some(pane) = panes.first_mut() else { return };
    if pane.is_free() {
        *pane = Pane::new(reading.at, 0);
    } else if let Some(last) = last {
        pane.join(last, reading, last.at, reading.at);
    }
    pane.add(reading);
    pane.summary.width = reading.at.saturating_sub(pane.summary.start);
    if let Window::Count { readings } = window {
        pane.summary.expected = readings;
        if pane.summary.count >= readings {
            close(pane, false, out);
        }
    }
}

/// Takes a reading out of order; false: it is older than the window.
pub(super) fn push_late(panes: &mut [Pane], reading: Reading) -> bool {
    match panes.first_mut() {
        Some(pane) if !pane.is_free() && pane.summary.start <= reading.at => {
            pane.add(reading);
            true
        }
        _ => false,
    }
}

/// Ends a session after its silence.
pub(super) fn tick(window: Window, panes: &mut [Pane], now: Nanos, out: &mut dyn FnMut(Summary)) {
    if let (Window::Session { gap }, Some(pane)) = (window, panes.first_mut())
        && !pane.is_free()
        && now.saturating_sub(pane.summary.last.at) > gap
    {
        close(pane, false, out);
    }
}

/// Closes what is open, as partial.
pub(super) fn interrupt(panes: &mut [Pane], out: &mut dyn FnMut(Summary)) {
    if let Some(pane) = panes.first_mut().filter(|pane| !pane.is_free()) {
        close(pane, true, out);
    }
}

fn close(pane: &mut Pane, partial: bool, out: &mut dyn FnMut(Summary)) {
    let mut window = core::mem::take(pane).summary;
    window.partial = partial;
    out(window);
}
