//! Lines against the parser of InfluxDB itself, requests against servers that misbehave and servers that are real.

use super::*;
use crate::clock::Trust;
use crate::record::{Body, EventId, Quality, Sample, Summary, Value};
use crate::sink::fixture::{
    self, AN_HOUR_OF_READINGS, MORNING, an_hour, anomaly, boiler, channel, gauge, minute, record, samples, server,
    unique,
};
use crate::tls;
use influxdb_line_protocol::{FieldValue, parse_lines};
use proptest::prelude::*;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn point(outgoing: &Outgoing) -> String {
    line::point("sensor_readings", "press-line-4", outgoing).unwrap()
}

fn time(line: &str) -> i64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_sample_and_a_summary() {
    assert_eq!(
        point(&record(1, boiler(), MORNING + 5, Body::Sample(gauge(71.0)))),
        "sensor_readings,gateway=press-line-4,sensor_id=boiler,kind=sample,site=NYC \
         temperature=71.0,temperature_bound=0.1 1795323600000000005"
    );
    assert_eq!(
        point(&record(1, boiler(), MORNING, Body::Summary(minute()))),
        "sensor_readings,gateway=press-line-4,sensor_id=boiler,kind=summary,width=1m,site=NYC \
         temperature_count=60i,temperature_min=71.0,temperature_max=72.0,temperature_mean=71.475,\
         temperature_stddev=0.319228413,temperature_sum=4288.5,temperature_last=71.4,temperature_expected=60i \
         1795323600000000000"
    );
}

#[test]
fn records_of_one_instant_keep_their_own_points_and_each_keeps_its_stamp() {
    let context = |id| Body::Sample(Sample { event: Some(EventId(id)), ..gauge(93.1) });
    let cut = Body::Summary(Summary { partial: true, ..minute() });
    let bodies = [
        Body::Event(anomaly()),
        Body::Event(anomaly()),
        context(1),
        context(2),
        cut.clone(),
        cut,
        Body::Sample(gauge(71.4)),
    ];
    let points: Vec<_> =
        (812..).zip(bodies).map(|(seq, body)| record(seq, boiler(), MORNING + 999_999, body)).collect();
    let keys: std::collections::BTreeSet<_> =
        points.iter().map(|p| (point(p).split(' ').next().unwrap().to_owned(), time(&point(p)))).collect();
    assert_eq!(keys.len(), points.len());
    assert_eq!(time(&point(&points[0])), MORNING + 812, "milliseconds and the number");
    assert_eq!(time(&point(&points[6])), MORNING + 999_999, "the reduced series is exact");
    assert!(point(&points[2]).contains("kind=context") && point(&points[4]).contains("part=cut"));
}

#[test]
fn what_line_protocol_cannot_express_is_left_out_or_rejected() {
    let nothing = record(1, boiler(), MORNING, Body::Sample(gauge(f64::NAN)));
    assert!(line::point("m", "g", &nothing).is_err());
    let count = weir_filters::Count {
        start: 0,
        width: 60_000_000_000,
        expected: 60,
        count: 60,
        value: u64::MAX,
        delta: 3,
        rate: f64::INFINITY,
        resets: 0,
        partial: false,
    };
    let line = point(&record(1, boiler(), MORNING, Body::Count(count)));
    assert!(line.contains(" temperature_delta=3i,temperature_resets=0i,"), "{line}");
}

#[test]
fn labels_and_channels_that_would_clash_are_renamed() {
    let mut clash = (*channel("boiler", "time", "s")).clone();
    clash.labels =
        [("kind", "x"), ("_field", "y"), ("empty", ""), ("floor", "3")].map(|(k, v)| (k.into(), v.into())).into();
    let line = point(&record(1, Arc::new(clash), MORNING, Body::Sample(gauge(1.0))));
    assert!(line.contains(",kind=sample,label__field=y,floor=3,label_kind=x time_value=1.0,"), "{line}");
}

#[test]
fn doubts_are_fields() {
    let doubtful = Sample { quality: Quality::Suspect, gap: true, ..gauge(1.0) };
    let outgoing = Outgoing { trust: Trust::Unsynced, ..record(1, boiler(), MORNING, Body::Sample(doubtful)) };
    let line = point(&outgoing);
    assert!(
        line.contains("temperature_gap=true,temperature_quality=\"suspect\",temperature_clock=\"unsynced\""),
        "{line}"
    );
}

proptest! {
    /// Whatever a device or a technician calls things, InfluxDB reads one point with exactly our tags and fields.
    #[test]
    fn every_name_and_text_is_one_valid_point(
        sensor in ".{1,20}", name in ".{1,20}", label in "\\PC{0,8}", tag in ".{0,12}", text in "(?s).{0,40}", value in any::<f64>(),
        integer in any::<i64>(), wall in any::<i64>(),
    ) {
        let mut named = (*channel(&sensor, &name, "")).clone();
        named.labels = [(label.into(), tag.into())].into();
        let named = Arc::new(named);
        for value in [Value::Float(value), Value::Integer(integer), Value::Text(text.as_str().into())] {
            let body = Body::Sample(Sample { value: value.clone(), bound: None, ..gauge(0.0) });
            let Ok(line) = line::point("sensor readings", "g", &record(1, Arc::clone(&named), wall, body)) else {
                prop_assert!(matches!(value, Value::Float(v) if !v.is_finite()));
                continue;
            };
            let parsed: Vec<_> = parse_lines(&line).collect();
            prop_assert_eq!(parsed.len(), 1, "{}", line);
            let parsed = parsed[0].as_ref().unwrap();
            prop_assert_eq!(parsed.timestamp, Some(wall));
            prop_assert_eq!(parsed.series.measurement.as_str(), "sensor readings");
            prop_assert_eq!(parsed.field_set.len(), 1);
            match (&parsed.field_set[0].1, &value) {
                (FieldValue::F64(read), Value::Float(written)) => prop_assert_eq!(read, written),
                (FieldValue::I64(read), Value::Integer(written)) => prop_assert_eq!(read, written),
                (FieldValue::String(read), Value::Text(written)) => {
                    prop_assert_eq!(read.as_str(), written.replace(char::is_control, " "));
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}

/// A server that answers what the test says, and remembers what it was asked.
struct Fake {
    listener: TcpListener,
}

struct Asked {
    head: String,
    lines: Vec<String>,
    body_length: usize,
}

impl Fake {
    async fn new() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        (Self { listener }, url)
    }

    /// Answers every request with what `answer` makes of its lines, until it is dropped.
    fn serve(self, answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Arc<Mutex<Vec<Asked>>> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = self.listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&log), Arc::clone(&answer)));
            }
        });
        asked
    }
}

async fn converse(
    mut stream: TcpStream,
    log: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<impl Fn(&Asked) -> String + Send + Sync + 'static>,
) {
    while let Some(asked) = read_request(&mut stream).await {
        let reply = answer(&asked);
        log.lock().unwrap().push(asked);
        stream.write_all(reply.as_bytes()).await.unwrap();
        if reply.is_empty() {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    };
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    while bytes.len() < length {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).unwrap();
    Some(Asked { head, lines: text.lines().map(Into::into).collect(), body_length: length })
}

fn reply(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn accepted() -> String {
    reply(204, "", "")
}

fn sink(url: &str, more: &str) -> Box<dyn Sink> {
    fixture::open(&ENTRY, &format!("url = \"{url}\"\n{more}")).unwrap()
}

fn why(outcome: &Outcome) -> &str {
    match &outcome.then {
        Then::Retry { why, .. } | Then::Reject { why } => why,
        Then::Done => panic!("accepted"),
    }
}

#[tokio::test]
async fn each_kind_goes_to_its_retention_policy() {
    let (fake, url) = Fake::new().await;
    let asked = fake.serve(|_| accepted());
    let policies = "database = \"edge 1\"\nrp = { sample = \"realtime\", summary = \"downsampled\" }\nusername = \"u\"\npassword_env = \"PATH\"";
    let mut batch = samples(0..2);
    batch.push(record(2, boiler(), MORNING, Body::Summary(minute())));
    batch.push(record(3, boiler(), MORNING, Body::Event(anomaly())));
    assert_eq!(sink(&url, policies).send(&batch).await, Outcome::done(4));
    let asked = asked.lock().unwrap();
    let requests: Vec<_> = asked.iter().map(|a| (a.head.lines().next().unwrap(), a.lines.len())).collect();
    assert_eq!(
        requests,
        [
            ("POST /write?precision=ns&db=edge+1 HTTP/1.1", 1),
            ("POST /write?precision=ns&db=edge+1&rp=downsampled HTTP/1.1", 1),
            ("POST /write?precision=ns&db=edge+1&rp=realtime HTTP/1.1", 2),
        ]
    );
    assert!(asked[0].head.contains("authorization: Basic "));
}

#[tokio::test]
async fn a_bucket_is_written_with_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let (fake, url) = Fake::new().await;
    let asked = fake.serve(|_| accepted());
    let config = format!("org = \"acme\"\nbucket = \"edge\"\ntoken_file = {token:?}");
    assert_eq!(sink(&format!("{url}/behind/a/proxy/"), &config).send(&samples(0..1)).await, Outcome::done(1));
    let head = &asked.lock().unwrap()[0].head;
    assert!(head.starts_with("POST /behind/a/proxy/api/v2/write?precision=ns&bucket=edge&org=acme "), "{head}");
    assert!(head.contains("authorization: Token s3cret\r\n"));
}

#[tokio::test]
async fn exactly_the_offender_is_rejected() {
    let offender = 700;
    let (fake, url) = Fake::new().await;
    let asked = fake.serve(move |asked| {
        let is_bad = |line: &String| line.ends_with(&format!(" {}", MORNING + offender * 1_000_000_000));
        match asked.lines.iter().any(is_bad) {
            true => reply(400, "", r#"{"error":"partial write: field type conflict: … dropped=1"}"#),
            false => accepted(),
        }
    });
    let (sink, batch) = (sink(&url, "database = \"edge\""), samples(0..1000));
    let outcome = sink.send(&batch).await;
    assert_eq!((outcome.accepted, matches!(outcome.then, Then::Reject { .. })), (700, true), "{outcome:?}");
    assert!(why(&outcome).contains("field type conflict"));
    assert!(asked.lock().unwrap().len() <= 21, "two requests per halving");
    assert_eq!(sink.send(&batch[701..]).await, Outcome::done(299));
    assert!(asked.lock().unwrap().len() <= 21, "what was accepted is not sent again");
}

#[tokio::test]
async fn what_is_too_large_is_sent_in_parts() {
    let (fake, url) = Fake::new().await;
    let asked = fake.serve(|asked| if asked.lines.len() > 30 { reply(413, "", "too large") } else { accepted() });
    assert_eq!(sink(&url, "database = \"edge\"").send(&samples(0..100)).await, Outcome::done(100));
    let taken: Vec<_> = asked.lock().unwrap().iter().map(|a| a.lines.len()).filter(|n| *n <= 30).collect();
    assert_eq!(taken, [25, 25, 25, 25]);
}

#[tokio::test]
async fn an_answer_decides_between_again_and_never() {
    for (answer, wait, word) in [
        (reply(401, "", r#"{"error":"authorization failed"}"#), None, "password_file"),
        (reply(404, "", r#"{"error":"database not found: \"edge\""}"#), None, "create the database"),
        (reply(429, "retry-after: 7\r\n", ""), Some(7), "fewer"),
        (reply(503, "retry-after: 999999\r\n", ""), Some(3600), "503"),
        (reply(500, "retry-after: soon\r\n", r#"{"error":"timeout"}"#), None, "timeout"),
        (reply(302, "location: /\r\n", ""), None, "`url`"),
        (reply(400, "", "Client sent an HTTP request to an HTTPS server."), None, "No InfluxDB says this"),
        (String::new(), None, "the connection broke"),
    ] {
        let (fake, url) = Fake::new().await;
        fake.serve(move |_| answer.clone());
        let outcome = sink(&url, "database = \"edge\"").send(&samples(0..3)).await;
        let Then::Retry { after, .. } = outcome.then else { panic!("{outcome:?}") };
        assert_eq!((outcome.accepted, after.map(|a| a.as_secs())), (0, wait));
        assert!(why(&outcome).contains(word), "{outcome:?}");
    }
}

#[tokio::test]
async fn an_absent_server_is_said_and_tried_again() {
    let (fake, url) = Fake::new().await;
    let address = fake.listener.local_addr().unwrap();
    drop(fake);
    let sink = sink(&url, "database = \"edge\"");
    let outcome = sink.send(&samples(0..3)).await;
    assert!(why(&outcome).contains("is it running"), "{outcome:?}");
    let listener = TcpListener::bind(address).await.unwrap();
    Fake { listener }.serve(|_| accepted());
    assert_eq!(sink.send(&samples(0..3)).await, Outcome::done(3));
}

#[tokio::test]
async fn a_record_without_a_form_is_rejected_and_the_others_are_written_once() {
    let (fake, url) = Fake::new().await;
    let asked = fake.serve(|_| accepted());
    let mut batch = samples(0..5);
    batch[3] = record(3, boiler(), MORNING, Body::Sample(gauge(f64::NAN)));
    let sink = sink(&url, "database = \"edge\"");
    let outcome = sink.send(&batch).await;
    assert_eq!((outcome.accepted, matches!(outcome.then, Then::Reject { .. })), (3, true));
    assert_eq!(sink.send(&batch[4..]).await, Outcome::done(1));
    let lines: Vec<_> = asked.lock().unwrap().iter().map(|a| a.lines.len()).collect();
    assert_eq!(lines, [4]);
}

#[tokio::test]
async fn a_channel_that_is_refused_as_a_whole_holds_up_nobody() {
    let (fake, url) = Fake::new().await;
    let asked = fake.serve(|asked| match asked.lines.iter().filter(|line| line.contains("sensor_id=odd")).count() {
        0 => accepted(),
        n => reply(400, "", &format!(r#"{{"error":"partial write: field type conflict: … dropped={n}"}}"#)),
    });
    let names = ["a", "b", "odd", "p", "q", "r", "s", "t"].map(|name| channel(name, "x", ""));
    let batch: Vec<_> = (0..800)
        .map(|seq| {
            let channel = Arc::clone(&names[usize::try_from(seq % 8).unwrap()]);
            record(seq, channel, MORNING + i64::try_from(seq).unwrap(), Body::Sample(gauge(1.0)))
        })
        .collect();
    let sink = sink(&url, "database = \"edge\"");
    let (mut rest, mut rejected) = (&batch[..], Vec::new());
    loop {
        let outcome = sink.send(rest).await;
        let Then::Reject { .. } = outcome.then else { break assert_eq!(outcome, Outcome::done(rest.len())) };
        rejected.push(rest[outcome.accepted].record.seq);
        rest = &rest[outcome.accepted + 1..];
    }
    assert_eq!(rejected, (0..100).map(|n| 8 * n + 2).collect::<Vec<_>>());
    let requests = asked.lock().unwrap().len();
    assert!(requests <= 20, "{requests} requests");
}

#[test]
fn impossible_configurations_are_refused() {
    for (text, word) in [
        ("database = \"edge\"", "add a line such as: url"),
        ("url = \"http://h\"", "neither of `database`"),
        ("url = \"http://h\"\ndatabase = \"a\"\nbucket = \"b\"", "both `database`"),
        ("url = \"mqtt://h\"\ndatabase = \"a\"", "not of the form http://"),
        ("url = \"http://u:p@h\"\ndatabase = \"a\"", "would show up in logs"),
        ("url = \"http://h\"\nbucket = \"a\"\nrp = { sample = \"x\" }", "no retention policies"),
        ("url = \"http://h\"\ndatabase = \"a\"\nrp = { smple = \"x\" }", "cannot be used"),
    ] {
        let problems = fixture::open(&ENTRY, text).err().unwrap();
        assert!(format!("{problems:?}").contains(word), "{text}: {problems:?}");
    }
}

#[tokio::test]
async fn a_reading_costs_at_most_five_bytes_on_the_wire() {
    let (fake, url) = Fake::new().await;
    // As InfluxDB 1.6 answers.
    let headers = "Content-Type: application/json\r\nRequest-Id: 2a5a6e0a-c75f-11f0-8001-0242ac110002\r\nX-Influxdb-Build: OSS\r\n\
                   X-Influxdb-Version: 1.6.7~rc0\r\nX-Request-Id: 2a5a6e0a-c75f-11f0-8001-0242ac110002\r\n\
                   Date: Sun, 22 Nov 2026 05:00:00 GMT\r\n";
    let answer = reply(204, headers, "");
    let received = answer.len();
    let asked = fake.serve(move |_| answer.clone());
    let (sink, records) = (sink(&url, "database = \"edge\""), an_hour());
    for batch in records.chunks(1000) {
        assert_eq!(sink.send(batch).await, Outcome::done(batch.len()));
    }
    let bytes: usize = asked.lock().unwrap().iter().map(|a| a.head.len() + a.body_length + received).sum();
    let per_reading = bytes as f64 / AN_HOUR_OF_READINGS;
    println!("{} records, {bytes} bytes, {per_reading:.2} per reading", records.len());
    assert!(per_reading <= 5.0, "{per_reading}");
}

/// Asks an InfluxDB 1.x, and gives the rows of the first series.
async fn query(url: &str, database: &str, question: &str) -> Vec<Vec<serde_json::Value>> {
    let mut target = Url::parse(&format!("{url}/query")).unwrap();
    target.query_pairs_mut().extend_pairs([("db", database), ("q", question), ("epoch", "ns")]);
    let text =
        Client::builder().tls_backend_preconfigured(tls::Files::default().client_config().unwrap()).build().unwrap();
    let text = text.post(target).send().await.unwrap().text().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(answer["results"][0]["series"][0]["values"].clone()).unwrap_or_default()
}

#[tokio::test]
async fn influxdb_holds_every_record_once() {
    let Some(url) = server("WEIR_TEST_INFLUX", "influxdb_holds_every_record_once") else { return };
    let database = unique("holds");
    let sink = sink(&url, &format!("database = \"{database}\"\nrp = {{ summary = \"long\" }}"));
    let outcome = sink.send(&samples(0..10)).await;
    assert!(why(&outcome).contains("create the database"), "{outcome:?}");

    query(&url, "", &format!("CREATE DATABASE \"{database}\"")).await;
    query(&url, "", &format!("CREATE RETENTION POLICY \"long\" ON \"{database}\" DURATION INF REPLICATION 1")).await;
    let mut batch = samples(0..1000);
    batch.push(record(1000, boiler(), MORNING, Body::Summary(minute())));
    batch.extend((1001..1003).map(|seq| record(seq, boiler(), MORNING, Body::Event(anomaly()))));
    for _ in 0..2 {
        assert_eq!(sink.send(&batch).await, Outcome::done(1003));
    }
    let count = |field: &'static str, policy: &'static str| {
        let question = format!("SELECT count({field}) FROM {policy}sensor_readings");
        let (url, database) = (url.clone(), database.clone());
        async move { query(&url, &database, &question).await[0][1].as_u64() }
    };
    assert_eq!(count("temperature", "").await, Some(1000));
    assert_eq!(count("temperature_event", "").await, Some(2));
    assert_eq!(count("temperature_mean", "long.").await, Some(1));
}

#[tokio::test]
async fn influxdb_refuses_another_type_and_only_that_record_is_rejected() {
    let name = "influxdb_refuses_another_type_and_only_that_record_is_rejected";
    let Some(url) = server("WEIR_TEST_INFLUX", name) else { return };
    let database = unique("types");
    query(&url, "", &format!("CREATE DATABASE \"{database}\"")).await;
    let sink = sink(&url, &format!("database = \"{database}\""));
    assert_eq!(sink.send(&samples(0..1)).await, Outcome::done(1));
    let mut batch = samples(1..100);
    let text = Sample { value: Value::Text("hot".into()), bound: None, ..gauge(0.0) };
    batch[42] = record(43, boiler(), MORNING + 43_000_000_000, Body::Sample(text));
    let outcome = sink.send(&batch).await;
    assert_eq!((outcome.accepted, matches!(outcome.then, Then::Reject { .. })), (42, true), "{outcome:?}");
    assert!(why(&outcome).contains("field type conflict"), "{outcome:?}");
    assert_eq!(sink.send(&batch[43..]).await, Outcome::done(56));
    let rows = query(&url, &database, "SELECT count(temperature) FROM sensor_readings").await;
    assert_eq!(rows[0][1], 99);
}

#[tokio::test]
async fn influxdb_over_tls_wants_the_password() {
    let name = "influxdb_over_tls_wants_the_password";
    let (Some(url), Some(certs)) = (server("WEIR_TEST_INFLUX_TLS", name), server("WEIR_TEST_CERTS", name)) else {
        return;
    };
    let (Some(user), Some(password)) = (server("WEIR_TEST_USER", name), server("WEIR_TEST_PASSWORD_FILE", name)) else {
        return;
    };
    let config = format!("database = \"none\"\nca_file = \"{certs}/ca.pem\"\nusername = \"{user}\"");
    let right = sink(&url, &format!("{config}\npassword_file = \"{password}\"")).send(&samples(0..1)).await;
    assert!(why(&right).contains("create the database"), "{right:?}");
    let wrong = sink(&url, &format!("{config}\npassword_env = \"PATH\"")).send(&samples(0..1)).await;
    assert!(why(&wrong).contains("check `username`"), "{wrong:?}");
    let unknown =
        sink(&url, &format!("database = \"none\"\nca_file = \"{certs}/stranger.pem\"")).send(&samples(0..1)).await;
    assert!(why(&unknown).contains("certificate"), "{unknown:?}");
}

#[tokio::test]
async fn victoria_metrics_takes_buckets() {
    let Some(url) = server("WEIR_TEST_VM", "victoria_metrics_takes_buckets") else { return };
    assert_eq!(sink(&url, "bucket = \"edge\"\norg = \"acme\"").send(&samples(0..10)).await, Outcome::done(10));
}
