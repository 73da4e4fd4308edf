//! One channel's way through the filters: its chain, the memory the chain borrows, and what its output is called outside.
//!
//! The chain's clock is boot time plus a shift that makes window borders fall on round wall-clock times; the shift is
//! taken off again from everything that leaves.

use super::ledger::{Row, Tally};
use crate::filter::{Chain, Prepared};
use crate::record::{Body, BootId, Channel, Draft, Event, EventId, Nanos, Quality, Sample, Value};
use crate::registry::{Known, SensorIndex};
use crate::source::Measured;
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use weir_filters::summarise::Pane;
use weir_filters::{Bulk, Counter, Counts, Gauge, Interrupt, Output, Reading, Settings, State, counter, state};

/// Events of one channel whose names are remembered: all that can be open at once, and some whose context may still be
/// under way.
const REMEMBERED_EVENTS: usize = 16;

/// One channel on its way through the filters.
pub(super) struct Line {
    pub(super) sensor: SensorIndex,
    channel: Arc<Channel>,
    boot: BootId,
    shift: Nanos,
    scale: f64,
    offset: f64,
    stages: Stages,
    events: Vec<(u32, EventId)>,
    /// Earlier runs, and polls without a reading.
    base: Tally,
    /// The chain's counts when this run began.
    before: Tally,
}

/// The chain that fits the channel's quantity, with its settings and memory.
enum Stages {
    Gauge { state: Box<Gauge>, settings: Box<Settings>, context: Box<[Reading]>, panes: Box<[Pane]> },
    Counter { state: Box<Counter>, settings: counter::Settings },
    State { state: Box<State>, settings: state::Settings },
    Text { last: Option<Box<str>>, counts: Counts },
}

/// What a checkpoint keeps of a channel; it is used again only under the same settings.
#[derive(Serialize, Deserialize)]
pub(super) enum Saved {
    /// With the names of its events: one that is open now may be closed by another run.
    Gauge(Box<Gauge>, Box<Settings>, Vec<(u32, EventId)>),
    Counter(Box<Counter>, counter::Settings),
    State(Box<State>, state::Settings),
}

impl Line {
    /// A channel that has seen nothing yet. `earlier` is what previous runs counted.
    pub(super) fn new(known: Known, prepared: Prepared, boot: BootId, shift: Nanos, earlier: Tally) -> Self {
        let stages = Stages::new(prepared.settings);
        let (scale, offset) = (prepared.scale, prepared.offset);
        let Known { sensor, channel, .. } = known;
        Self {
            sensor,
            channel,
            boot,
            shift,
            scale,
            offset,
            stages,
            events: Vec::new(),
            base: earlier,
            before: Tally::default(),
        }
    }

    /// Goes on with what a checkpoint kept, if it was made under the same settings. Whatever was in the making then has
    /// left, or was lost and counted, since: it is not sent again.
    pub(super) fn restore(&mut self, mut saved: Saved) -> bool {
        let events = match &mut saved {
            Saved::Gauge(_, _, events) => std::mem::take(events),
            Saved::Counter(..) | Saved::State(..) => Vec::new(),
        };
        if !self.stages.restore(saved) {
            return false;
        }
        self.events = events;
        self.stages.interrupt(Interrupt::ClockStep, &mut |_| {});
        self.before = Tally::of_filters(self.stages.counts());
        true
    }

    /// What a checkpoint keeps.
    pub(super) fn save(&self) -> Option<Saved> {
        match &self.stages {
            Stages::Gauge { state, settings, .. } => {
                Some(Saved::Gauge(state.clone(), settings.clone(), self.events.clone()))
            }
            Stages::Counter { state, settings } => Some(Saved::Counter(state.clone(), *settings)),
            Stages::State { state, settings } => Some(Saved::State(state.clone(), *settings)),
            Stages::Text { .. } => None,
        }
    }

    /// Takes one reading through the chain.
    pub(super) fn push(&mut self, at: Nanos, value: Measured, out: &mut dyn FnMut(Draft)) {
        if !self.stages.fits(&value) {
            // A source changed its mind about the channel's quantity: the reading is not lost in silence.
            self.base = self.base + Tally { due: 1, read: 1, invalid: 1, ..Tally::default() };
            return;
        }
        let at = at.saturating_add(self.shift);
        let (scale, offset) = (self.scale, self.offset);
        self.through(out, |stages, emit| stages.push(at, value, scale, offset, emit));
    }

    /// Time passes without a reading.
    pub(super) fn tick(&mut self, now: Nanos, out: &mut dyn FnMut(Draft)) {
        let now = now.saturating_add(self.shift);
        self.through(out, |stages, emit| stages.tick(now, emit));
    }

    /// The series breaks; what is in the making leaves as partial.
    pub(super) fn interrupt(&mut self, why: Interrupt, out: &mut dyn FnMut(Draft)) {
        self.through(out, |stages, emit| stages.interrupt(why, emit));
    }

    /// End of the stream: everything held leaves.
    pub(super) fn finish(&mut self, out: &mut dyn FnMut(Draft)) {
        self.through(out, Stages::finish);
    }

    /// The wall clock has stepped: windows close as partial, and the next ones start on its new round times.
    pub(super) fn step(&mut self, shift: Nanos, out: &mut dyn FnMut(Draft)) {
        self.interrupt(Interrupt::ClockStep, out);
        self.shift = shift;
    }

    /// Polls that brought no reading.
    pub(super) fn missed(&mut self, polls: u64) {
        self.base.due += polls;
        self.base.missed += polls;
    }

    /// A poll that failed.
    pub(super) fn failed(&mut self) {
        self.base.due += 1;
        self.base.failed += 1;
    }

    /// The channel's line of the ledger.
    pub(super) fn row(&self) -> Row {
        let tally = self.base + (Tally::of_filters(self.stages.counts()) - self.before);
        Row { sensor: self.channel.sensor.clone(), channel: self.channel.name.clone(), tally }
    }

    fn through(&mut self, out: &mut dyn FnMut(Draft), act: impl FnOnce(&mut Stages, &mut dyn FnMut(Emitted))) {
        let Self { channel, boot, shift, events, base, stages, .. } = self;
        act(stages, &mut |emitted| {
            let (at, body) = outward(emitted, *shift, channel, *boot, events);
            base.records += 1;
            base.samples += u64::from(matches!(&body, Body::Sample(s) if s.event.is_none()));
            out(Draft { channel: channel.clone(), boot: *boot, at, body });
        });
    }
}

/// What a chain gives off: the filters' output, or a text that changed.
enum Emitted {
    Output(Output),
    Text(Nanos, Box<str>),
}

impl Stages {
    fn new(chain: Chain) -> Self {
        match chain {
            Chain::Gauge(settings) => Self::Gauge {
                state: Box::default(),
                context: vec![Reading::good(0, 0.0); settings.context_len()].into(),
                panes: vec![Pane::default(); settings.panes_len()].into(),
                settings,
            },
            Chain::Counter(settings) => Self::Counter { state: Box::default(), settings },
            Chain::State(settings) => Self::State { state: Box::default(), settings },
            Chain::Text => Self::Text { last: None, counts: Counts::default() },
        }
    }

    fn restore(&mut self, saved: Saved) -> bool {
        match (self, saved) {
            (Self::Gauge { state, settings, .. }, Saved::Gauge(was, under, _)) if *settings == under => *state = was,
            (Self::Counter { state, settings }, Saved::Counter(was, under)) if *settings == under => *state = was,
            (Self::State { state, settings }, Saved::State(was, under)) if *settings == under => *state = was,
            _ => return false,
        }
        true
    }

    fn push(&mut self, at: Nanos, value: Measured, scale: f64, offset: f64, emit: &mut dyn FnMut(Emitted)) {
        let mut wrapped = |output| emit(Emitted::Output(output));
        match (self, value) {
            (Self::Gauge { state, settings, context, panes }, value) => {
                let reading = Reading::good(at, number(&value) * scale + offset);
                state.push(settings, Bulk { context, panes }, reading, &mut wrapped);
            }
            (Self::Counter { state, settings }, Measured::Counter(value)) => {
                state.push(settings, at, value, &mut wrapped);
            }
            (Self::State { state, settings }, Measured::State(value)) => state.push(settings, at, value, &mut wrapped),
            (Self::Text { last, counts }, Measured::Text(text)) => {
                counts.read += 1;
                if last.as_ref() == Some(&text) {
                    counts.represented += 1;
                } else {
                    counts.sent += 1;
                    *last = Some(text.clone());
                    emit(Emitted::Text(at, text));
                }
            }
            // Ruled out by `fits`.
            _ => {}
        }
    }

    /// Whether the chain is made for such a value. A gauge takes all of them: a text is not a number, which its first
    /// stage notices.
    fn fits(&self, value: &Measured) -> bool {
        matches!(
            (self, value),
            (Self::Gauge { .. }, _)
                | (Self::Counter { .. }, Measured::Counter(_))
                | (Self::State { .. }, Measured::State(_))
                | (Self::Text { .. }, Measured::Text(_))
        )
    }

    fn tick(&mut self, now: Nanos, emit: &mut dyn FnMut(Emitted)) {
        let mut wrapped = |output| emit(Emitted::Output(output));
        match self {
            Self::Gauge { state, settings, context, panes } => {
                state.tick(settings, Bulk { context, panes }, now, &mut wrapped);
            }
            Self::Counter { state, settings } => state.tick(settings, now, &mut wrapped),
            Self::State { .. } | Self::Text { .. } => {}
        }
    }

    fn interrupt(&mut self, why: Interrupt, emit: &mut dyn FnMut(Emitted)) {
        let mut wrapped = |output| emit(Emitted::Output(output));
        match self {
            Self::Gauge { state, settings, context, panes } => {
                state.interrupt(settings, Bulk { context, panes }, why, &mut wrapped);
            }
            Self::Counter { state, settings } => state.interrupt(settings, &mut wrapped),
            Self::State { state, settings } => state.interrupt(settings, &mut wrapped),
            Self::Text { last, .. } => *last = None,
        }
    }

    fn finish(&mut self, emit: &mut dyn FnMut(Emitted)) {
        match self {
            Self::Gauge { state, settings, context, panes } => {
                state.finish(settings, Bulk { context, panes }, &mut |output| emit(Emitted::Output(output)));
            }
            other => other.interrupt(Interrupt::Restart, emit),
        }
    }

    fn counts(&self) -> &Counts {
        match self {
            Self::Gauge { state, .. } => state.counts(),
            Self::Counter { state, .. } => state.counts(),
            Self::State { state, .. } => state.counts(),
            Self::Text { counts, .. } => counts,
        }
    }
}

/// A gauge's reading; a text is not a number, and is counted as invalid by the first stage.
fn number(value: &Measured) -> f64 {
    match value {
        Measured::Gauge(value) => *value,
        Measured::Counter(value) => *value as f64,
        Measured::State(value) => *value as f64,
        Measured::Text(_) => f64::NAN,
    }
}

/// The name and time under which an output is known outside of the filters.
fn outward(
    emitted: Emitted,
    shift: Nanos,
    channel: &Channel,
    boot: BootId,
    events: &mut Vec<(u32, EventId)>,
) -> (Nanos, Body) {
    let output = match emitted {
        Emitted::Output(output) => output,
        Emitted::Text(at, text) => return (at - shift, Body::Sample(sample(Value::Text(text), Quality::Good))),
    };
    match output {
        Output::Sample(s) => {
            let event = s.event.and_then(|number| events.iter().find(|(n, _)| *n == number)).map(|(_, id)| *id);
            let bound = event.is_none().then_some(s.bound);
            (
                s.at - shift,
                Body::Sample(Sample { bound, event, gap: s.gap, ..sample(Value::Float(s.value), s.quality) }),
            )
        }
        Output::Change(c) => {
            let lasted = (c.before.is_some() || c.heartbeat).then_some(c.duration);
            let gap = c.before.is_none() && !c.heartbeat;
            (c.at - shift, Body::Sample(Sample { lasted, gap, ..sample(Value::Integer(c.state), Quality::Good) }))
        }
        Output::Summary(mut s) => {
            s.start -= shift;
            s.first.at -= shift;
            s.last.at -= shift;
            (s.start, Body::Summary(s))
        }
        Output::Count(mut c) => {
            c.start -= shift;
            (c.start, Body::Count(c))
        }
        Output::Event(e) => {
            let at = e.at - shift;
            let id = named(events, e.number, channel, boot, at);
            if e.phase == weir_filters::Phase::Closed {
                forget_first(events, e.number);
            }
            let event = Event {
                class: e.class,
                id,
                phase: e.phase,
                value: Some(e.value),
                score: Some(e.score),
                reason: e.reason.to_string().into(),
            };
            (at, Body::Event(event))
        }
    }
}

fn sample(value: Value, quality: Quality) -> Sample {
    Sample { value, bound: None, quality, event: None, gap: false, lasted: None }
}

/// The event's name, made when it is first heard of.
fn named(events: &mut Vec<(u32, EventId)>, number: u32, channel: &Channel, boot: BootId, at: Nanos) -> EventId {
    if let Some((_, id)) = events.iter().find(|(n, _)| *n == number) {
        return *id;
    }
    if events.len() >= REMEMBERED_EVENTS {
        events.remove(0);
    }
    let id = event_id(channel, boot, at, number);
    events.push((number, id));
    id
}

/// An event is over: its name is the first to be forgotten. One that is open may stay so for months.
fn forget_first(events: &mut [(u32, EventId)], number: u32) {
    if let Some(place) = events.iter().position(|(n, _)| *n == number) {
        events[..=place].rotate_right(1);
    }
}

/// A name that no other event has: a hash of whose it is, when it began, and its number.
pub(super) fn event_id(channel: &Channel, boot: BootId, at: Nanos, number: u32) -> EventId {
    let mut hash = DefaultHasher::new();
    (&channel.sensor, &channel.name, &channel.labels, boot, at, number).hash(&mut hash);
    EventId(hash.finish())
}
