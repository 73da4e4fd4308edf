//! Asks an InfluxDB 1.x on this machine, over plain HTTP.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::record::Record;

/// Makes the database `name`.
pub fn create(port: u16, name: &str) {
    let _ = request(port, "POST", &format!("/query?q={}", encode(&format!("CREATE DATABASE \"{name}\""))));
}

/// One row of an answer: column name to value, tags of `GROUP BY` not included.
pub type Row = serde_json::Map<String, Value>;

/// The rows of every series that `query` finds in `database`; times in nanoseconds.
#[must_use]
pub fn query(port: u16, database: &str, query: &str) -> Vec<Row> {
    let answer = request(port, "GET", &format!("/query?db={}&epoch=ns&q={}", encode(database), encode(query)));
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} in {answer}"));
    let result = &answer["results"][0];
    assert!(result["error"].is_null() && answer["error"].is_null(), "{query}: {answer}");
    let series = result["series"].as_array().cloned().unwrap_or_default();
    series.iter().flat_map(rows).collect()
}

fn rows(series: &Value) -> Vec<Row> {
    let columns: Vec<&str> = series["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let values = series["values"].as_array().cloned().unwrap_or_default();
    values
        .iter()
        .map(|row| columns.iter().enumerate().map(|(i, name)| ((*name).to_owned(), row[i].clone())).collect())
        .collect()
}

/// Sensor, channel, time in milliseconds (a window's: its start), and the last six digits of the number of records of
/// which one instant may bring several: events, full-rate readings around them and windows cut short.
pub type Point = (String, String, i64, u64);

/// What a point says of itself in its tag `kind`: the record's kind, or `context` for readings around an event.
pub const KINDS: [&str; 4] = ["sample", "context", "summary", "event"];

/// The points of `kind` in the measurement `sensor_readings`. Panics when one channel has two within a millisecond:
/// sensors of these tests are slower, so that is one record with two stamps.
#[must_use]
pub fn points(port: u16, database: &str, kind: &str) -> BTreeSet<Point> {
    let rows = query(port, database, &format!("SELECT * FROM sensor_readings WHERE kind = '{kind}'"));
    let mut points = BTreeSet::new();
    for point in rows.iter().flat_map(|row| points_of(row, kind)) {
        assert!(!points.contains(&point), "{point:?} is there twice");
        points.insert(point);
    }
    points
}

/// The points that `records` become, as far as they are of `kind`.
#[must_use]
pub fn expected(records: &[Record], kind: &str) -> BTreeSet<Point> {
    records.iter().filter(|record| kind_of(record) == kind).map(point_of).collect()
}

fn kind_of(record: &Record) -> &str {
    if record.is("sample") && !record.0["id"].is_null() { "context" } else { record.text("kind") }
}

fn point_of(record: &Record) -> Point {
    let numbered = kind_of(record) != "sample" && (!record.is("summary") || record.0["partial"] == true);
    let number = if numbered { record.id().2 % 1_000_000 } else { 0 };
    (record.text("sensor").to_owned(), record.text("channel").to_owned(), record.time().as_millisecond(), number)
}

/// Channels of one sensor share a row; one of the fields that each of them has stands for all of its fields.
fn points_of(row: &Row, kind: &str) -> Vec<Point> {
    let sensor = row["sensor_id"].as_str().expect("every point has a sensor");
    let time = row["time"].as_i64().expect("times are asked for as numbers");
    let numbered = kind != "sample" && (kind != "summary" || row.get("part").is_some_and(|part| part == "cut"));
    let number = if numbered { time.rem_euclid(1_000_000).unsigned_abs() } else { 0 };
    let filled = row.iter().filter(|(_, value)| !value.is_null());
    let channels = filled.filter_map(|(field, value)| channel_of(field, value, kind));
    channels.map(|channel| (sensor.to_owned(), channel.to_owned(), time.div_euclid(1_000_000), number)).collect()
}

fn channel_of<'a>(field: &'a str, value: &Value, kind: &str) -> Option<&'a str> {
    match kind {
        "summary" => field.strip_suffix("_count"),
        "event" => field.strip_suffix("_event"),
        _ if !value.is_number() || field == "time" || field.ends_with("_bound") => None,
        _ => Some(field),
    }
}

/// HTTP/1.0, so that the answer is neither chunked nor kept alive.
fn request(port: u16, method: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("InfluxDB is up");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a TCP socket");
    write!(stream, "{method} {target} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("InfluxDB listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("InfluxDB answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    assert!(head.contains(" 200 "), "{head}\n{body}");
    body.to_owned()
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
