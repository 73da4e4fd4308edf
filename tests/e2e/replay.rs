//! Recordings of a pump into MQTT, Kafka, InfluxDB and a file at once: a tenth leaves, the same tenth everywhere.

use std::collections::BTreeSet;
use std::time::Duration;

use weir_tests::gateway::Gateway;
use weir_tests::mqtt::Subscriber;
use weir_tests::proxy::Proxy;
use weir_tests::record::{Id, Record, distinct};
use weir_tests::server::{Kind, Server};
use weir_tests::{influx, kafka, recording, wait};

const NAME: &str = "replay::a_tenth_leaves_and_is_the_same_everywhere";

#[test]
fn a_tenth_leaves_and_is_the_same_everywhere() {
    let _machine = crate::beside_others();
    let Some(mosquitto) = Server::start(Kind::Mosquitto, NAME) else { return };
    let Some(influxd) = Server::start(Kind::Influxd, NAME) else { return };
    let Some(mut broker) = Server::absent(Kind::Kafka, NAME) else { return };
    let lines = [&mosquitto, &influxd, &broker].map(|server| Proxy::new(server.port()));
    let [to_mqtt, to_influx, to_kafka] = &lines;
    broker.advertise(to_kafka.port());
    broker.up();
    influx::create(influxd.port(), "edge");
    let subscriber = Subscriber::new(mosquitto.port(), "weir/#");

    let gateway = Gateway::new(&config(to_mqtt, to_influx, to_kafka));
    let recordings = gateway.folder().join("recordings");
    std::fs::create_dir(&recordings).unwrap();
    let readings = recording::pump(&recordings);
    let output = gateway.command(&["replay", "--json", &recordings.to_string_lossy()]);
    let [mqtt_bytes, influx_bytes, kafka_bytes] = lines.each_ref().map(Proxy::bytes);
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

    let (local, again) = distinct(&gateway.file_records());
    assert_eq!(again, 0, "nothing failed, so nothing came twice");
    assert_eq!(report["readings"]["read"], readings);
    assert_eq!(report["balances"], true, "{report}");

    let samples = local.iter().filter(|record| record.is("sample")).count() as u64;
    let per_reading = |bytes: u64| bytes as f64 / readings as f64;
    println!(
        "{readings} readings, {samples} samples ({:.1} %); bytes a reading on the wire: {:.2} to MQTT, {:.2} to InfluxDB, {:.2} to Kafka",
        per_reading(samples) * 100.0,
        per_reading(mqtt_bytes),
        per_reading(influx_bytes),
        per_reading(kafka_bytes),
    );
    assert!(per_reading(samples) <= 0.1, "{samples} samples of {readings} readings");
    assert!(per_reading(kafka_bytes) <= 5.0, "{kafka_bytes} bytes to Kafka for {readings} readings");
    assert!(per_reading(influx_bytes) <= 5.0, "{influx_bytes} bytes to InfluxDB for {readings} readings");

    let expected = ids(&local);
    wait::until("the last record over MQTT", Duration::from_secs(20), || {
        (ids(&subscriber.records()).len() >= expected.len()).then_some(())
    });
    assert_same("MQTT", &ids(&subscriber.records()), &expected);
    let stored = kafka::read_all(broker.port(), &["sensor-readings", "alerts"]);
    let in_kafka: Vec<Record> = stored.into_iter().map(|stored| stored.record).collect();
    assert_same("Kafka", &ids(&in_kafka), &expected);
    for kind in influx::KINDS {
        let (found, expected) = (influx::points(influxd.port(), "edge", kind), influx::expected(&local, kind));
        assert_same(&format!("InfluxDB, {kind}"), &found, &expected);
    }
}

fn config(mqtt: &Proxy, influx: &Proxy, kafka: &Proxy) -> String {
    format!(
        r#"
[gateway]
id = "bench"
state = "{{folder}}/state"

[sink.mqtt]
kind = "mqtt"
url = "mqtt://127.0.0.1:{}"

[sink.influx]
kind = "influxdb"
url = "http://127.0.0.1:{}"
database = "edge"

[sink.kafka]
kind = "kafka"
brokers = ["127.0.0.1:{}"]
topics = {{ default = "sensor-readings", event = "alerts" }}

[sink.local]
kind = "file"
path = "{{folder}}/out"
"#,
        mqtt.port(),
        influx.port(),
        kafka.port()
    )
}

/// The names of all records but the status records, of which each sink gets its own.
fn ids(records: &[Record]) -> BTreeSet<Id> {
    records.iter().filter(|record| !record.is("status")).map(Record::id).collect()
}

fn assert_same<T: Ord + std::fmt::Debug>(sink: &str, found: &BTreeSet<T>, expected: &BTreeSet<T>) {
    let missing: Vec<_> = expected.difference(found).take(5).collect();
    let strange: Vec<_> = found.difference(expected).take(5).collect();
    assert!(missing.is_empty() && strange.is_empty(), "{sink}: missing {missing:?} …, strange {strange:?} …");
}
