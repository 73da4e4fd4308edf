//! The whole way of a gauge: a channel of numbers that rise and fall.

use serde::{Deserialize, Serialize};

use crate::summarise::Pane;
use crate::{Counts, Nanos, Output, Reading, Sample, Settings};

/// Memory that a channel needs beside its state, lent by the caller at every call: always the same slices, as long as
/// [`Settings::context_len`] and [`Settings::panes_len`] say. A shorter one costs context or windows, never a panic.
#[derive(Debug)]
pub struct Bulk<'a> {
    /// Readings at full rate, for the time before an event.
    pub context: &'a mut [Reading],
    /// Open windows.
    pub panes: &'a mut [Pane],
}

/// Why a series breaks: nothing is interpolated or averaged across it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Interrupt {
    /// Readings are known to be missing.
    Gap,
    /// The gateway was down.
    Restart,
    /// Time itself jumped; it may go on anywhere, also earlier.
    ClockStep,
}

/// State of a gauge channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gauge {
    counts: Counts,
}

impl Gauge {
    /// A channel that has seen nothing yet.
    #[must_use]
    pub fn new(_settings: &Settings) -> Self {
        Self::default()
    }

    /// Takes one reading through all stages.
    pub fn push(&mut self, _settings: &Settings, _bulk: Bulk<'_>, reading: Reading, out: &mut dyn FnMut(Output)) {
        self.counts.read += 1;
        if !reading.value.is_finite() {
            self.counts.invalid += 1;
            return;
        }
        self.counts.sent += 1;
        let Reading { at, value, quality } = reading;
        out(Output::Sample(Sample { at, value, bound: 0.0, quality, event: None, gap: false }));
    }

    /// Time passes without a reading: windows close, heartbeats leave, a silent sensor is noticed. `now` is boot time.
    pub fn tick(&mut self, _settings: &Settings, _bulk: Bulk<'_>, _now: Nanos, _out: &mut dyn FnMut(Output)) {}

    /// The series breaks here: open windows close as partial, the next sample is marked as a gap.
    pub fn interrupt(&mut self, _settings: &Settings, _bulk: Bulk<'_>, _why: Interrupt, _out: &mut dyn FnMut(Output)) {}

    /// End of the stream: everything held leaves. Events stay open; they are not over because the gateway stops.
    pub fn finish(&mut self, settings: &Settings, bulk: Bulk<'_>, out: &mut dyn FnMut(Output)) {
        self.interrupt(settings, bulk, Interrupt::Restart, out);
    }

    /// What became of the readings so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }
}
