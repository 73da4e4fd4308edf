//! The whole way of a gauge: a channel of numbers that rise and fall.

use serde::{Deserialize, Serialize};

use crate::clean::Clean;
use crate::context::Context;
use crate::detect::Detect;
use crate::event::Log;
use crate::report::Report;
use crate::summarise::{Pane, Summarise};
use crate::valid::Valid;
use crate::{Counts, Nanos, Output, Quality, Reading, Settings};

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
    log: Log,
    newest: Option<Nanos>,
    valid: Valid,
    detect: Detect,
    context: Context,
    clean: Clean,
    report: Report,
    summarise: Summarise,
}

impl Gauge {
    /// Takes one reading through all stages.
    pub fn push(&mut self, settings: &Settings, bulk: Bulk<'_>, reading: Reading, out: &mut dyn FnMut(Output)) {
        self.counts.read += 1;
        if self.newest.is_some_and(|newest| reading.at < newest) {
            return self.push_late(settings, bulk, reading);
        }
        let quality = self.valid.push(&settings.valid, reading, &mut self.log, out);
        if quality == Quality::Invalid {
            self.counts.invalid += 1;
            return;
        }
        if self.is_gap(settings, reading.at) {
            self.release(settings, bulk.panes, out);
        }
        self.newest = Some(reading.at);
        let reading = Reading { quality, ..reading };
        self.detect(settings, bulk.context, reading, out);
        self.counts.held += 1;
        let Self { clean, report, summarise, counts, .. } = self;
        clean.push(settings.clean, reading, |reading| {
            counts.held -= 1;
            report.push(settings, reading, counts, out);
            summarise.push(settings, bulk.panes, reading, out);
        });
    }

    /// Time passes, with or without readings: windows close, a silent sensor is noticed, what waits for its next reading in
    /// vain leaves. `now` is boot time.
    pub fn tick(&mut self, settings: &Settings, bulk: Bulk<'_>, now: Nanos, out: &mut dyn FnMut(Output)) {
        self.valid.tick(&settings.valid, now, &mut self.log, out);
        if self.is_gap(settings, now) {
            self.release(settings, bulk.panes, out);
        }
        self.summarise.tick(settings, bulk.panes, now, out);
    }

    /// The series breaks here: open windows close as partial, the next sample is marked as following a gap.
    pub fn interrupt(&mut self, settings: &Settings, bulk: Bulk<'_>, why: Interrupt, out: &mut dyn FnMut(Output)) {
        self.release(settings, bulk.panes, out);
        self.summarise.interrupt(settings, bulk.panes, out);
        self.valid.interrupt();
        self.detect.interrupt();
        self.context.interrupt();
        if why != Interrupt::Gap {
            self.newest = None;
        }
    }

    /// End of the stream: everything held leaves. Events stay open; they are not over because the gateway stops.
    pub fn finish(&mut self, settings: &Settings, bulk: Bulk<'_>, out: &mut dyn FnMut(Output)) {
        self.interrupt(settings, bulk, Interrupt::Restart, out);
    }

    /// What became of the readings so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// A reading older than the newest one: too late for samples and detectors, perhaps not for a window.
    fn push_late(&mut self, settings: &Settings, bulk: Bulk<'_>, reading: Reading) {
        let fate = if !settings.valid.admits(reading) {
            &mut self.counts.invalid
        } else if self.summarise.push_late(settings, bulk.panes, reading) {
            &mut self.counts.represented
        } else {
            &mut self.counts.late
        };
        *fate += 1;
    }

    fn is_gap(&self, settings: &Settings, now: Nanos) -> bool {
        let pause = self.newest.map_or(0, |newest| now.saturating_sub(newest));
        settings.gap().is_some_and(|gap| pause > gap)
    }

    fn detect(&mut self, settings: &Settings, ring: &mut [Reading], reading: Reading, out: &mut dyn FnMut(Output)) {
        self.counts.context += self.context.push(ring, reading, out);
        let before = self.log.newest();
        self.detect.push(settings, reading.at, reading.value, &mut self.log, out);
        if self.log.newest() != before {
            self.counts.context += self.context.open(ring, self.log.newest(), out);
        }
    }

    /// What the clean and report stages hold leaves.
    fn release(&mut self, settings: &Settings, panes: &mut [Pane], out: &mut dyn FnMut(Output)) {
        let Self { clean, report, summarise, counts, .. } = self;
        clean.finish(settings.clean, |reading| {
            counts.held -= 1;
            report.push(settings, reading, counts, out);
            summarise.push(settings, panes, reading, out);
        });
        report.finish(counts, out);
    }
}
