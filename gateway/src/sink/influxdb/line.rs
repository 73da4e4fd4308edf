//! A record as a point of InfluxDB's line protocol.
//!
//! ```text
//! sensor_readings,gateway=press-line-4,sensor_id=boiler,kind=summary,width=1m,site=NYC temperature_mean=71.5,… 1795323600000000000
//! ```
//!
//! Fields are named after the channel: `temperature` for a sample's value, `temperature_mean` and so on for a window's
//! aggregates, `temperature_event`, `temperature_phase`, `temperature_reason` for an event. Numbers are floats, counters, states
//! and counts are integers, so that a field never changes its type while its channel keeps its own. What is not finite, or too
//! large for a signed 64-bit integer, has no form in line protocol and is left out.
//!
//! **No two records share a point.** A point is (tags, time). The reduced series has one sample and one full window per
//! instant and channel, and channels of one sensor have fields of their own; so these keep their exact stamps, and a record sent
//! twice is one point. Everything of which one instant may bring several is kept apart by its number: the stamp is cut to
//! milliseconds and gets the record's `seq` (modulo a million) as its nanoseconds, the same each time it is sent. These are
//! events, the gateway's own statements, incomplete windows (`part=cut`: two restarts may leave two pieces of one window), and
//! full-rate readings around events, which have `kind=context` and do not mix with the reduced series.

use crate::clock::Trust;
use crate::record::{Body, Channel, Event, Kind, Nanos, Quality, Sample, Status, Summary, Value};
use crate::section::Span;
use crate::sink::Outgoing;
use crate::sink::wire::rounded;
use std::fmt::Write;
use std::time::Duration;
use weir_filters::Count;
use weir_filters::summarise::Aggregate;

/// Tags of our own; a label of the same name becomes `label_…`.
const OWN_TAGS: &[&str] = &["gateway", "sensor_id", "kind", "width", "part", "time"];

/// The record's point, or why it has none.
pub(super) fn point(measurement: &str, gateway: &str, outgoing: &Outgoing) -> Result<String, String> {
    let draft = &outgoing.record.draft;
    let mut line = String::with_capacity(256);
    push_escaped(&mut line, measurement, &[',', ' ']);
    push_tags(&mut line, gateway, &draft.channel, &draft.body);
    let mut fields = Fields { line, channel: &draft.channel.name, any: false };
    push_body(&mut fields, &draft.body);
    if outgoing.trust != Trust::Synced && fields.any {
        fields.text("clock", outgoing.trust.as_str());
    }
    if !fields.any {
        return Err("it holds no number that line protocol can express".into());
    }
    let mut line = fields.line;
    push(&mut line, format_args!(" {}", stamp(outgoing)));
    Ok(line)
}

fn push_tags(line: &mut String, gateway: &str, channel: &Channel, body: &Body) {
    push_tag(line, "gateway", gateway);
    push_tag(line, "sensor_id", &channel.sensor);
    push_tag(line, "kind", if is_context(body) { "context" } else { body.kind().as_str() });
    let window = match body {
        Body::Summary(summary) => Some((summary.width, summary.partial)),
        Body::Count(count) => Some((count.width, count.partial)),
        _ => None,
    };
    if let Some((width, partial)) = window {
        let width = Span(Duration::from_nanos(u64::try_from(width).unwrap_or(0)));
        push_tag(line, "width", &width.to_string());
        if partial {
            push_tag(line, "part", "cut");
        }
    }
    for (name, value) in &channel.labels {
        if OWN_TAGS.contains(&&**name) || name.starts_with('_') {
            push_tag(line, &format!("label_{name}"), value);
        } else {
            push_tag(line, name, value);
        }
    }
}

fn is_context(body: &Body) -> bool {
    matches!(body, Body::Sample(sample) if sample.event.is_some())
}

/// The point's time: see the head of this file.
fn stamp(outgoing: &Outgoing) -> Nanos {
    let body = &outgoing.record.draft.body;
    let is_cut = match body {
        Body::Summary(summary) => summary.partial,
        Body::Count(count) => count.partial,
        _ => false,
    };
    if !is_cut && !is_context(body) && !matches!(body.kind(), Kind::Event | Kind::Status) {
        return outgoing.wall;
    }
    let number = i64::try_from(outgoing.record.seq % 1_000_000).unwrap_or(0);
    outgoing.wall.div_euclid(1_000_000).saturating_mul(1_000_000).saturating_add(number)
}

fn push_body(fields: &mut Fields<'_>, body: &Body) {
    match body {
        Body::Sample(sample) => push_sample(fields, sample),
        Body::Summary(summary) => push_summary(fields, summary),
        Body::Count(count) => push_count(fields, count),
        Body::Event(event) => push_event(fields, event),
        Body::Status(status) => push_status(fields, status),
    }
}

fn push_sample(fields: &mut Fields<'_>, sample: &Sample) {
    match &sample.value {
        Value::Float(value) => fields.float("", *value),
        Value::Integer(value) => fields.integer("", *value),
        Value::Text(value) => fields.text("", value),
    }
    if !fields.any {
        return;
    }
    if let Some(bound) = sample.bound {
        fields.float("bound", bound);
    }
    if let Some(lasted) = sample.lasted {
        fields.float("lasted_s", lasted as f64 / 1e9);
    }
    if let Some(event) = sample.event {
        fields.text("id", &event.to_string());
    }
    if sample.gap {
        fields.flag("gap");
    }
    push_quality(fields, sample.quality);
}

fn push_summary(fields: &mut Fields<'_>, summary: &Summary) {
    for aggregate in summary.aggregates.iter() {
        let (name, value) = (aggregate.as_str(), aggregate.of(summary));
        match aggregate {
            Aggregate::Count => fields.integer(name, summary.count),
            _ if aggregate.is_reading() => fields.float(name, value),
            _ => fields.float(name, rounded(value)),
        }
    }
    fields.integer("expected", summary.expected);
    push_quality(fields, summary.quality);
}

fn push_count(fields: &mut Fields<'_>, count: &Count) {
    fields.integer("last", count.value);
    fields.integer("delta", count.delta);
    fields.float("rate", rounded(count.rate));
    fields.integer("resets", count.resets);
    fields.integer("count", count.count);
    fields.integer("expected", count.expected);
}

fn push_event(fields: &mut Fields<'_>, event: &Event) {
    fields.text("event", event.class.as_str());
    fields.text("id", &event.id.to_string());
    fields.text("phase", event.phase.as_str());
    if let Some(value) = event.value {
        fields.float("value", value);
    }
    if let Some(score) = event.score {
        fields.float("score", rounded(score));
    }
    fields.text("reason", &event.reason);
}

fn push_status(fields: &mut Fields<'_>, status: &Status) {
    let (word, from, to) = match status {
        Status::Coverage { from, to, .. } => ("coverage", from, to),
        Status::Void { from, to } => ("void", from, to),
        Status::Merged { from, to, .. } => ("merged", from, to),
        Status::Evicted { from, to, .. } => ("evicted", from, to),
        Status::Damaged { from, to, .. } => ("damaged", from, to),
    };
    fields.text("status", word);
    fields.integer("from", *from);
    fields.integer("to", *to);
    match status {
        Status::Coverage { sink, lane, sent, not_for_you, rejected, .. } => {
            fields.text("sink", sink);
            fields.text("of_lane", lane);
            fields.integer("sent", *sent);
            fields.integer("not_for_you", *not_for_you);
            fields.integer("rejected", *rejected);
        }
        Status::Void { .. } => {}
        Status::Merged { records, .. } | Status::Evicted { records, .. } => fields.integer("records", *records),
        Status::Damaged { what, .. } => fields.text("what", what),
    }
}

/// Good needs no mention.
fn push_quality(fields: &mut Fields<'_>, quality: Quality) {
    if quality != Quality::Good {
        fields.text("quality", quality.as_str());
    }
}

/// The field set of one point.
struct Fields<'a> {
    line: String,
    channel: &'a str,
    any: bool,
}

impl Fields<'_> {
    fn float(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.key(name);
            push(&mut self.line, format_args!("{value:?}"));
        }
    }

    fn integer(&mut self, name: &str, value: impl TryInto<i64>) {
        if let Ok(value) = value.try_into() {
            self.key(name);
            push(&mut self.line, format_args!("{value}i"));
        }
    }

    fn flag(&mut self, name: &str) {
        self.key(name);
        self.line.push_str("true");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.key(name);
        self.line.push('"');
        push_escaped(&mut self.line, value, &['"', '\\']);
        self.line.push('"');
    }

    /// `channel` or `channel_name`. InfluxDB keeps the name `time` for itself.
    fn key(&mut self, name: &str) {
        self.line.push(if self.any { ',' } else { ' ' });
        self.any = true;
        push_escaped(&mut self.line, self.channel, &[',', '=', ' ']);
        if !name.is_empty() {
            self.line.push('_');
            self.line.push_str(name);
        } else if self.channel == "time" {
            self.line.push_str("_value");
        }
        self.line.push('=');
    }
}

fn push_tag(line: &mut String, name: &str, value: &str) {
    if name.is_empty() || value.is_empty() {
        return; // InfluxDB knows no empty tag.
    }
    line.push(',');
    push_escaped(line, name, &[',', '=', ' ']);
    line.push('=');
    push_escaped(line, value, &[',', '=', ' ']);
}

/// A line feed would end the point, whatever stands before it; and a backslash at the end would swallow the delimiter.
fn push_escaped(line: &mut String, text: &str, special: &[char]) {
    let is_quoted = special.contains(&'"');
    for c in text.chars() {
        match c {
            c if c.is_control() => line.push_str(if is_quoted { " " } else { "\\ " }),
            '\\' if !is_quoted => line.push('/'),
            c => {
                if special.contains(&c) {
                    line.push('\\');
                }
                line.push(c);
            }
        }
    }
}

fn push(line: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = line.write_fmt(what);
}
