//! Last stage: windows over the cleaned readings. Sees every valid reading, whatever was reported.

mod aggregate;
mod clocked;
mod pane;
mod run;
mod summary;

use serde::{Deserialize, Serialize};

use crate::settings::positive;
use crate::{Nanos, Output, Reading, Settings as Channel, SettingsError};
pub use aggregate::{Aggregate, Aggregates};
use clocked::{Clocked, Grid};
pub use pane::Pane;
pub use summary::{Point, Summary};

/// Kinds of windows that one channel can have at once.
pub const WINDOWS: usize = 2;
/// Panes that one kind of window can need.
pub const PANES: usize = 64;

/// Which windows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// None: no summaries.
    pub windows: heapless::Vec<Window, WINDOWS>,
    /// How long a window waits for readings that come out of order.
    pub grace: Nanos,
    /// The figures that every summary is to tell.
    pub aggregates: Aggregates,
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.grace < 0 {
            return Err(SettingsError::NotPositive("grace, if set,"));
        }
        self.windows.iter().try_for_each(|window| window.check(self.grace))
    }
}

/// How time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// Back to back.
    Tumbling {
        /// Width of each.
        width: Nanos,
    },
    /// A new one every `hop`.
    Hopping {
        /// From start to start.
        hop: Nanos,
        /// Width of each: a multiple of `hop`.
        width: Nanos,
    },
    /// As long as readings come.
    Session {
        /// Silence that ends it.
        gap: Nanos,
    },
    /// So many readings.
    Count {
        /// Readings.
        readings: u32,
    },
}

impl Window {
    fn check(self, grace: Nanos) -> Result<(), SettingsError> {
        let size = match self {
            Self::Tumbling { width } => width,
            Self::Hopping { hop, width } => hop.min(width),
            Self::Session { gap } => gap,
            Self::Count { readings } => Nanos::from(readings),
        };
        positive("the size of a window", Some(size as f64))?;
        match self {
            Self::Hopping { hop, width } if width % hop != 0 => Err(SettingsError::BrokenHops),
            _ if self.needed(grace) > PANES => Err(SettingsError::TooManyPanes(self.needed(grace))),
            _ => Ok(()),
        }
    }

    /// Panes that its open windows get.
    pub(crate) fn panes(self, grace: Nanos) -> usize {
        self.needed(grace).clamp(1, PANES)
    }

    /// Panes that its open windows need.
    fn needed(self, grace: Nanos) -> usize {
        let Some((hop, width)) = self.hop_and_width() else { return 1 };
        let open = width.saturating_add(grace.max(0));
        if open <= hop.saturating_mul(2) {
            // Nearly always: spares a division for every reading.
            return if open <= hop { 1 } else { 2 };
        }
        usize::try_from(open.saturating_add(hop - 1) / hop).unwrap_or(usize::MAX)
    }

    fn hop_and_width(self) -> Option<(Nanos, Nanos)> {
        match self {
            Self::Tumbling { width } => Some((width.max(1), width.max(1))),
            Self::Hopping { hop, width } => Some((hop.max(1), width.max(1))),
            Self::Session { .. } | Self::Count { .. } => None,
        }
    }

    fn grid(self, channel: &Channel) -> Option<Grid> {
        let (hop, width) = self.hop_and_width()?;
        Some(Grid { hop, width, grace: channel.summarise.grace, period: channel.period })
    }
}

/// State of the summarise stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summarise {
    clocked: [Clocked; WINDOWS],
    /// The newest reading in order: what the next one is joined to.
    last: Option<Reading>,
}

impl Summarise {
    /// Takes a cleaned reading, never older than the one before.
    pub(crate) fn push(
        &mut self,
        channel: &Channel,
        panes: &mut [Pane],
        reading: Reading,
        out: &mut dyn FnMut(Output),
    ) {
        let out = &mut told(channel, out);
        let last = self.last.replace(reading).filter(|last| {
            let pause = reading.at.saturating_sub(last.at);
            pause > 0 && channel.gap().is_none_or(|gap| pause <= gap)
        });
        self.each(channel, panes, |clocked, window, panes| match window.grid(channel) {
            Some(grid) => clocked.push(grid, panes, last, reading, out),
            None => run::push(window, panes, last, reading, out),
        });
    }

    /// Takes a reading older than one already seen; false: no open window holds its time.
    pub(crate) fn push_late(&mut self, channel: &Channel, panes: &mut [Pane], reading: Reading) -> bool {
        let mut taken = false;
        self.each(channel, panes, |clocked, window, panes| {
            taken |= match window.grid(channel) {
                Some(grid) => clocked.push_late(grid, panes, reading),
                None => run::push_late(panes, reading),
            };
        });
        taken
    }

    /// Closes the windows whose time, and grace, is over.
    pub(crate) fn tick(&mut self, channel: &Channel, panes: &mut [Pane], now: Nanos, out: &mut dyn FnMut(Output)) {
        let out = &mut told(channel, out);
        self.each(channel, panes, |clocked, window, panes| match window.grid(channel) {
            Some(grid) => clocked.close_until(grid, panes, now, out),
            None => run::tick(window, panes, now, out),
        });
    }

    /// Closes all windows as partial.
    pub(crate) fn interrupt(&mut self, channel: &Channel, panes: &mut [Pane], out: &mut dyn FnMut(Output)) {
        self.last = None;
        let out = &mut told(channel, out);
        self.each(channel, panes, |clocked, window, panes| match window.grid(channel) {
            Some(grid) => clocked.interrupt(grid, panes, out),
            None => run::interrupt(panes, out),
        });
    }

    /// Every kind of window with its share of the panes.
    fn each(
        &mut self,
        channel: &Channel,
        mut panes: &mut [Pane],
        mut work: impl FnMut(&mut Clocked, Window, &mut [Pane]),
    ) {
        let settings = &channel.summarise;
        for (clocked, &window) in self.clocked.iter_mut().zip(&settings.windows) {
            let Some((own, rest)) = panes.split_at_mut_checked(window.panes(settings.grace)) else { return };
            work(clocked, window, own);
            panes = rest;
        }
    }
}

/// Where closed windows go, with the figures that they are to tell.
fn told(channel: &Channel, out: &mut dyn FnMut(Output)) -> impl FnMut(Summary) {
    let aggregates = channel.summarise.aggregates;
    move |summary| out(Output::Summary(Summary { aggregates, ..summary }))
}
