//! Asks an InfluxDB 1.x on this machine, over plain HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

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
