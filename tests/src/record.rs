//! Records as a receiver of JSON sees them: MQTT, Kafka and files carry the same lines.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// What names a record for ever: gateway, epoch, sequence number.
pub type Id = (String, String, u64);

/// One JSON line.
#[derive(Clone, Debug, PartialEq)]
pub struct Record(pub Value);

impl Record {
    /// A received line; anything but a JSON object is the gateway's mistake.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let value = serde_json::from_slice(line)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(line)));
        Self(value)
    }

    /// A received line if it carries a sequence number, as every record does.
    #[must_use]
    pub fn parse_or_none(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().map(Self).filter(|record| record.0["seq"].is_u64())
    }

    /// The record's name.
    #[must_use]
    pub fn id(&self) -> Id {
        let seq = self.0["seq"].as_u64().unwrap_or_else(|| panic!("no seq in {}", self.0));
        (self.text("gw").to_owned(), self.text("epoch").to_owned(), seq)
    }

    /// The text under `key`.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", self.0))
    }

    /// When it was read; of a window, its start. Cut to milliseconds.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        let key = if self.is("summary") { "start" } else { "t" };
        self.text(key).parse().unwrap_or_else(|error| panic!("{error} in {}", self.0))
    }

    /// When it was complete: a window ends after its start.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.time() + SignedDuration::from_secs_f64(self.0["dur_s"].as_f64().unwrap_or(0.0))
    }

    /// Whether it is of this kind: `sample`, `summary`, `event`, `status`.
    #[must_use]
    pub fn is(&self, kind: &str) -> bool {
        self.0["kind"] == kind
    }

    /// `sensor/channel`.
    #[must_use]
    pub fn channel(&self) -> String {
        format!("{}/{}", self.text("sensor"), self.text("channel"))
    }
}

/// The distinct records in order of arrival (first arrival counts), and how many arrived again.
///
/// Panics when two records that differ carry the same name: then a duplicate could not be told from news. The lane
/// is how a record travels, not what it says; it may differ the second time.
#[must_use]
pub fn distinct(records: &[Record]) -> (Vec<Record>, usize) {
    let mut seen: BTreeMap<Id, Value> = BTreeMap::new();
    let mut firsts = Vec::new();
    for record in records {
        let said = without_lane(&record.0);
        match seen.get(&record.id()) {
            Some(before) => assert_eq!(*before, said, "one name, two records"),
            None => {
                seen.insert(record.id(), said);
                firsts.push(record.clone());
            }
        }
    }
    let again = records.len() - firsts.len();
    (firsts, again)
}

fn without_lane(value: &Value) -> Value {
    let mut value = value.clone();
    value.as_object_mut().expect("a record is an object").remove("lane");
    value
}

/// Panics when, within one channel, lane and epoch, first arrivals are not in the order of their numbers.
pub fn assert_ordered(firsts: &[Record]) {
    let mut last: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for record in firsts {
        let (gateway, epoch, seq) = record.id();
        let place = (format!("{gateway}/{epoch}"), record.channel(), record.text("lane").to_owned());
        if let Some(before) = last.insert(place.clone(), seq) {
            assert!(before < seq, "{place:?}: {seq} came after {before}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(seq: u64, lane: &str, value: f64) -> Record {
        Record(
            json!({"gw": "g", "epoch": "e", "seq": seq, "lane": lane, "sensor": "s", "channel": "c", "value": value}),
        )
    }

    #[test]
    fn a_second_arrival_is_counted_not_kept() {
        let (firsts, again) = distinct(&[record(1, "live", 2.0), record(2, "live", 3.0), record(1, "backfill", 2.0)]);
        assert_eq!((firsts.len(), again), (2, 1));
        assert_ordered(&firsts);
    }

    #[test]
    #[should_panic(expected = "one name, two records")]
    fn one_name_for_two_records_is_found() {
        let _ = distinct(&[record(1, "live", 2.0), record(1, "live", 2.5)]);
    }

    #[test]
    #[should_panic(expected = "1 came after 2")]
    fn disorder_within_a_lane_is_found() {
        assert_ordered(&[record(2, "live", 2.0), record(1, "live", 2.0)]);
    }
}
