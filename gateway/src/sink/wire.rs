//! The JSON record: one line per record, the same for MQTT, Kafka and the file.
//!
//! Keys come in one fixed order, and those that say nothing are left out: `unit` and `labels` when empty, `gap` and
//! `partial` when false, `value`, `score`, `bound` where there is none. Receivers must tolerate keys they do not know; `v` grows
//! when one changes its meaning. A number that is not finite is `null`. Measured numbers (`value`, `min`, `max`, `last`) are
//! exact; computed ones (`mean`, `stddev`, `sum`, `rate`, `score`) carry ten significant digits, because the rest is rounding
//! noise that no compression can shrink. Times are UTC, cut (never rounded up) to milliseconds, those of samples to
//! microseconds: their bound holds of the line through their exact places. `seq`, not the time, gives the order.
//!
//! Every record has `v`, `gw` (the gateway), `epoch` and `seq` (with `gw` the record's name: the same twice is the same record),
//! `lane`, `kind`, `sensor`, `channel`, `unit` (UCUM), `labels`, `t` (or `start` of a window) and `clock` (`synced`, `unsynced`,
//! `corrected`). Beside these:
//!
//! | `kind` | keys |
//! |---|---|
//! | `sample` | `value` (a gauge's number, a counter's or state's integer, a text); `bound`: no reading since the sample before is further from the joining line; `gap`: no line leads here; `lasted_s`: how long a state was what it was before; `id`: of the event around which this reading was kept, which is then no part of the reduced series; `quality` |
//! | `summary` | `dur_s`, `expected` and `count` of readings, the configured of `min max mean stddev sum last`, `partial`, `quality`; of a counter `last delta rate` (per second) `resets` |
//! | `event` | `event` (`alarm`, `anomaly`, `fault`), `id` (the same in each phase), `phase` (`opened`, `updated`, `closed`), `value`, `score` (1.0 is just enough), `reason` |
//! | `status` | `status`, `from` and `to` (numbers); of a `coverage` `sink`, `of_lane`, `sent`, `not_for_you` (the other numbers of the range), `rejected`; of `merged` and `evicted` `records`; of `damaged` `what` |
//!
//! This file knows nothing of topics, batches or compression.

use super::Outgoing;
use crate::record::{Body, Event, Nanos, Quality, Sample, Status, Summary, Value};
use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use weir_filters::Count;
use weir_filters::summarise::Aggregate;

/// Version of the record's form.
const VERSION: u8 = 1;

/// Significant digits of a computed number: far beyond what any sensor resolves.
const DIGITS: usize = 10;

/// Appends one record as a line, without its line feed.
pub fn write(gateway: &str, outgoing: &Outgoing, line: &mut Vec<u8>) {
    let start = line.len();
    // Writing into memory cannot fail, and no key of a record can be anything but a string.
    if serde_json::to_writer(&mut *line, &Line { gateway, outgoing }).is_err() {
        line.truncate(start);
    }
}

/// One record as it stands on the wire.
struct Line<'a> {
    gateway: &'a str,
    outgoing: &'a Outgoing,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Outgoing { record, epoch, lane, wall, trust } = self.outgoing;
        let (channel, body) = (&record.draft.channel, &record.draft.body);
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("v", &VERSION)?;
        map.serialize_entry("gw", self.gateway)?;
        map.serialize_entry("epoch", &**epoch)?;
        map.serialize_entry("seq", &record.seq)?;
        map.serialize_entry("lane", lane.as_str())?;
        map.serialize_entry("kind", body.kind().as_str())?;
        map.serialize_entry("sensor", &channel.sensor)?;
        map.serialize_entry("channel", &channel.name)?;
        if !channel.unit.is_empty() {
            map.serialize_entry("unit", &channel.unit)?;
        }
        if !channel.labels.is_empty() {
            map.serialize_entry("labels", &channel.labels)?;
        }
        let is_window = matches!(body, Body::Summary(_) | Body::Count(_));
        let fine = matches!(body, Body::Sample(_));
        map.serialize_entry(if is_window { "start" } else { "t" }, &Moment { at: *wall, fine })?;
        match body {
            Body::Sample(sample) => write_sample(&mut map, sample)?,
            Body::Summary(summary) => write_summary(&mut map, summary)?,
            Body::Count(count) => write_count(&mut map, count)?,
            Body::Event(event) => write_event(&mut map, event)?,
            Body::Status(status) => write_status(&mut map, status)?,
        }
        map.serialize_entry("clock", trust.as_str())?;
        map.end()
    }
}

fn write_sample<M: SerializeMap>(map: &mut M, sample: &Sample) -> Result<(), M::Error> {
    match &sample.value {
        Value::Float(value) => map.serialize_entry("value", value)?,
        Value::Integer(value) => map.serialize_entry("value", value)?,
        Value::Text(value) => map.serialize_entry("value", value)?,
    }
    entry_if_some(map, "bound", sample.bound)?;
    entry_if_some(map, "lasted_s", sample.lasted.map(seconds))?;
    entry_if_some(map, "id", sample.event.as_ref().map(ToString::to_string))?;
    entry_if_true(map, "gap", sample.gap)?;
    write_quality(map, sample.quality)
}

fn write_summary<M: SerializeMap>(map: &mut M, summary: &Summary) -> Result<(), M::Error> {
    map.serialize_entry("dur_s", &Seconds(summary.width))?;
    map.serialize_entry("expected", &summary.expected)?;
    for aggregate in summary.aggregates.iter() {
        let (name, value) = (aggregate.as_str(), aggregate.of(summary));
        match aggregate {
            Aggregate::Count => map.serialize_entry(name, &summary.count)?,
            _ if aggregate.is_reading() => map.serialize_entry(name, &value)?,
            _ => map.serialize_entry(name, &Computed(value))?,
        }
    }
    entry_if_true(map, "partial", summary.partial)?;
    write_quality(map, summary.quality)
}

fn write_count<M: SerializeMap>(map: &mut M, count: &Count) -> Result<(), M::Error> {
    map.serialize_entry("dur_s", &Seconds(count.width))?;
    map.serialize_entry("expected", &count.expected)?;
    map.serialize_entry("count", &count.count)?;
    map.serialize_entry("last", &count.value)?;
    map.serialize_entry("delta", &count.delta)?;
    map.serialize_entry("rate", &Computed(count.rate))?;
    map.serialize_entry("resets", &count.resets)?;
    entry_if_true(map, "partial", count.partial)
}

fn write_event<M: SerializeMap>(map: &mut M, event: &Event) -> Result<(), M::Error> {
    map.serialize_entry("event", event.class.as_str())?;
    map.serialize_entry("id", &event.id.to_string())?;
    map.serialize_entry("phase", event.phase.as_str())?;
    entry_if_some(map, "value", event.value)?;
    entry_if_some(map, "score", event.score.map(Computed))?;
    map.serialize_entry("reason", &event.reason)
}

fn write_status<M: SerializeMap>(map: &mut M, status: &Status) -> Result<(), M::Error> {
    let (word, from, to) = match status {
        Status::Coverage { from, to, .. } => ("coverage", from, to),
        Status::Void { from, to } => ("void", from, to),
        Status::Merged { from, to, .. } => ("merged", from, to),
        Status::Evicted { from, to, .. } => ("evicted", from, to),
        Status::Damaged { from, to, .. } => ("damaged", from, to),
    };
    map.serialize_entry("status", word)?;
    map.serialize_entry("from", from)?;
    map.serialize_entry("to", to)?;
    match status {
        Status::Coverage { sink, lane, sent, not_for_you, rejected, .. } => {
            map.serialize_entry("sink", sink)?;
            map.serialize_entry("of_lane", lane)?;
            map.serialize_entry("sent", sent)?;
            map.serialize_entry("not_for_you", not_for_you)?;
            map.serialize_entry("rejected", rejected)
        }
        Status::Void { .. } => Ok(()),
        Status::Merged { records, .. } | Status::Evicted { records, .. } => map.serialize_entry("records", records),
        Status::Damaged { what, .. } => map.serialize_entry("what", what),
    }
}

fn write_quality<M: SerializeMap>(map: &mut M, quality: Quality) -> Result<(), M::Error> {
    map.serialize_entry("quality", quality.as_str())
}

fn entry_if_some<M: SerializeMap, T: Serialize>(map: &mut M, key: &str, value: Option<T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
}

fn entry_if_true<M: SerializeMap>(map: &mut M, key: &str, value: bool) -> Result<(), M::Error> {
    if value { map.serialize_entry(key, &true) } else { Ok(()) }
}

/// A point on the wall clock: `2026-11-22T05:00:00.000Z`; `null` when it is beyond the calendar (years -9999 to 9999).
struct Moment {
    at: Nanos,
    /// Microseconds, where there are any.
    fine: bool,
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let micros = self.at.div_euclid(1_000);
        let digits = if self.fine && micros % 1_000 != 0 { 6 } else { 3 };
        let cut = if digits == 6 { micros } else { micros.div_euclid(1_000) * 1_000 };
        match Timestamp::from_microsecond(cut) {
            Ok(moment) => to.collect_str(&format_args!("{moment:.digits$}")),
            Err(_) => to.serialize_none(),
        }
    }
}

/// A span of time in seconds: an integer if it is whole.
struct Seconds(Nanos);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1_000_000_000 == 0 {
            to.serialize_i64(self.0 / 1_000_000_000)
        } else {
            to.serialize_f64(seconds(self.0))
        }
    }
}

/// A number that was computed from readings.
struct Computed(f64);

impl Serialize for Computed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(rounded(self.0))
    }
}

/// A computed number with [`DIGITS`] significant digits.
pub(super) fn rounded(value: f64) -> f64 {
    format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value)
}

fn seconds(span: Nanos) -> f64 {
    span as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{EventId, Seq};
    use crate::sink::fixture::{self, MORNING, anomaly, boiler, gauge, minute, record};
    use std::sync::Arc;

    fn line(seq: Seq, body: Body) -> String {
        let mut line = Vec::new();
        write("press-line-4", &record(seq, boiler(), MORNING, body), &mut line);
        String::from_utf8(line).unwrap()
    }

    const HEAD: &str = r#"{"v":1,"gw":"press-line-4","epoch":"k3f9","seq":812,"lane":"live","kind":"#;
    const WHO: &str = r#""sensor":"boiler","channel":"temperature","unit":"Cel","labels":{"site":"NYC"},"#;

    #[test]
    fn a_summary() {
        let expected = format!(
            r#"{HEAD}"summary",{WHO}"start":"2026-11-22T05:00:00.000Z","dur_s":60,"expected":60,"count":60,"min":71.0,"max":72.0,"mean":71.475,"stddev":0.319228413,"sum":4288.5,"last":71.4,"quality":"good","clock":"synced"}}"#
        );
        assert_eq!(line(812, Body::Summary(minute())), expected);
    }

    #[test]
    fn a_sample() {
        let expected = format!(
            r#"{HEAD}"sample",{WHO}"t":"2026-11-22T05:00:00.000Z","value":71.4,"bound":0.1,"quality":"good","clock":"synced"}}"#
        );
        assert_eq!(line(812, Body::Sample(gauge(71.4))), expected);
    }

    #[test]
    fn an_event_and_a_reading_kept_around_it_share_an_id() {
        let event = line(812, Body::Event(anomaly()));
        assert_eq!(
            event,
            format!(
                r#"{HEAD}"event",{WHO}"t":"2026-11-22T05:00:00.000Z","event":"anomaly","id":"000000000000beef","phase":"opened","value":93.1,"score":1.8,"reason":"range over 32 readings is 1.8 times the largest seen","clock":"synced"}}"#
            )
        );
        let context = line(813, Body::Sample(Sample { event: Some(EventId(0xbeef)), bound: None, ..gauge(93.1) }));
        assert!(context.contains(r#""value":93.1,"id":"000000000000beef","quality""#), "{context}");
    }

    #[test]
    fn exact_integers_stay_exact_and_states_say_how_long_the_last_one_lasted() {
        let counter = Value::Integer(9_007_199_254_740_993);
        let state = Sample { value: counter, bound: None, lasted: Some(1_500_000_000), gap: true, ..gauge(0.0) };
        assert!(line(1, Body::Sample(state)).contains(r#""value":9007199254740993,"lasted_s":1.5,"gap":true"#));
    }

    #[test]
    fn a_counters_window() {
        let count = Count {
            start: 0,
            width: 500_000_000,
            expected: 5,
            count: 4,
            value: u64::MAX,
            delta: 3,
            rate: 7.5,
            resets: 1,
            partial: true,
        };
        let line = line(1, Body::Count(count));
        assert!(line.contains(r#""kind":"summary""#));
        assert!(line.contains(
            r#""dur_s":0.5,"expected":5,"count":4,"last":18446744073709551615,"delta":3,"rate":7.5,"resets":1,"partial":true"#
        ));
    }

    #[test]
    fn the_gateway_about_itself() {
        let status = Status::Coverage {
            sink: "plant".into(),
            lane: "live".into(),
            from: 3,
            to: 9,
            sent: 5,
            not_for_you: 1,
            rejected: 1,
        };
        assert!(line(1, Body::Status(status)).contains(
            r#""status":"coverage","from":3,"to":9,"sink":"plant","of_lane":"live","sent":5,"not_for_you":1,"rejected":1,"clock""#
        ));
    }

    #[test]
    fn whatever_a_device_says_the_line_is_one_line_of_json() {
        for text in ["\"\\\n\r\0\u{7f}\u{2028}", "grüße", ""] {
            let line = line(1, Body::Sample(Sample { value: Value::Text(text.into()), ..gauge(0.0) }));
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["value"], text);
        }
        assert!(line(1, Body::Sample(gauge(f64::NAN))).contains(r#""value":null"#));
    }

    #[test]
    fn a_time_beyond_the_calendar_is_null_and_one_before_1970_is_cut_downwards() {
        let at = |wall| {
            let mut line = Vec::new();
            write("g", &record(1, Arc::clone(&boiler()), wall, Body::Sample(gauge(1.0))), &mut line);
            serde_json::from_slice::<serde_json::Value>(&line).unwrap()["t"].clone()
        };
        assert_eq!(at(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(at(fixture::MORNING + 1_999_999), "2026-11-22T05:00:00.001999Z");
        assert_eq!(at(i64::MIN), "1677-09-21T00:12:43.145224Z");
    }
}
