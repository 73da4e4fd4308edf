//! Every broker goes away for a while, the gateway is killed again and again: what was committed is everywhere.
//!
//! Committed cannot be seen from outside, but its bounds can. Each number is either received or announced as void; a
//! record that some destination lacks must be void (a crash took it before it was committed) and must have been read
//! within the last `commit_every` before a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use weir_tests::gateway::{Gateway, pending};
use weir_tests::mqtt::Subscriber;
use weir_tests::record::{Id, Record, assert_ordered, distinct};
use weir_tests::server::{Kind, Server};
use weir_tests::{influx, kafka};

const NAME: &str = "chaos::nothing_committed_is_lost_through_kills_and_outages";
const SINKS: [&str; 4] = ["mqtt", "influx", "kafka", "local"];
const KILLS: usize = 24;

/// `commit_every` is 1 s; the commit itself and the kill's way to the process take a little on a busy machine.
const UNCOMMITTED: Duration = Duration::from_millis(2500);

#[test]
fn nothing_committed_is_lost_through_kills_and_outages() {
    let _machine = crate::beside_others();
    let Some(mosquitto) = Server::start(Kind::Mosquitto, NAME) else { return };
    let Some(influxd) = Server::start(Kind::Influxd, NAME) else { return };
    let Some(broker) = Server::start(Kind::Kafka, NAME) else { return };
    influx::create(influxd.port(), "edge");
    let subscriber = Subscriber::new(mosquitto.port(), "weir/#");
    let mut brokers = Brokers { mosquitto, influxd, broker };
    let mut gateway = Gateway::new(&config(&brokers, SENSORS));

    let kills = kill_again_and_again(&mut gateway, &mut brokers);
    drain(&mut gateway, &brokers);

    let alerts_and_data = kafka::read_all(brokers.broker.port(), &["sensor-readings", "alerts"]);
    let received = BTreeMap::from([
        ("file", gateway.file_records()),
        ("MQTT", subscriber.records()),
        ("Kafka", alerts_and_data.into_iter().map(|stored| stored.record).collect()),
    ]);
    let everything = check_receivers(&received, &kills);
    check_influx(&brokers, &everything, &kills);
}

struct Brokers {
    mosquitto: Server,
    influxd: Server,
    broker: Server,
}

impl Brokers {
    /// What happens to the brokers before the kill of this number.
    fn act(&mut self, kill: usize) {
        match kill {
            2 => self.mosquitto.down(),
            6 => self.mosquitto.up(),
            7 => self.influxd.pause(),
            10 => self.influxd.resume(),
            11 => self.influxd.kill(),
            13 => self.influxd.up(),
            14 => self.broker.kill(),
            18 => self.broker.up(),
            19 => self.mosquitto.pause(),
            21 => self.mosquitto.resume(),
            _ => {}
        }
    }
}

/// Stops the readings, and lets the sinks have all that is left.
fn drain(gateway: &mut Gateway, brokers: &Brokers) {
    gateway.await_status("the gateway to answer", Duration::from_secs(20), |status| Some(status.clone()));
    assert!(gateway.terminate().success(), "SIGTERM is a clean end");
    gateway.configure(&config(brokers, ""));
    gateway.run();
    gateway.await_status("all sinks to have everything", Duration::from_secs(60), |status| {
        SINKS.iter().all(|sink| pending(status, sink) == 0).then_some(())
    });
    assert!(gateway.terminate().success(), "SIGTERM is a clean end");
}

/// The moments of the kills. The gateway runs in the end, and so do all brokers.
fn kill_again_and_again(gateway: &mut Gateway, brokers: &mut Brokers) -> Vec<Timestamp> {
    gateway.run();
    let moments = (0..KILLS).map(|kill| {
        brokers.act(kill);
        thread::sleep(Duration::from_millis(random(100, 1700)));
        gateway.assert_running();
        let moment = Timestamp::now();
        gateway.kill();
        gateway.run();
        moment
    });
    moments.collect()
}

/// The moments of the kills are to be random, from run to run too: nothing is expected to depend on them.
fn random(from: u64, to: u64) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    from + std::hash::RandomState::new().build_hasher().finish() % (to - from)
}

/// Checks the receivers that tell records by their names; returns the distinct records of all of them.
fn check_receivers(received: &BTreeMap<&str, Vec<Record>>, kills: &[Timestamp]) -> Vec<Record> {
    let (everything, _) = distinct(&received.values().flatten().cloned().collect::<Vec<_>>());
    let void = void(&everything);
    let numbers: BTreeSet<u64> = everything.iter().map(seq).collect();
    assert!(numbers.len() > 1000, "only {} records in the whole test", numbers.len());
    let last = *numbers.last().unwrap();
    let unaccounted: Vec<u64> = (1..=last).filter(|seq| !numbers.contains(seq) && !void.contains(seq)).collect();
    assert!(unaccounted.is_empty(), "neither received nor void: {unaccounted:?}");

    for (sink, records) in received {
        let (firsts, again) = distinct(records);
        assert_ordered(&firsts);
        let here: BTreeSet<Id> = firsts.iter().map(Record::id).collect();
        let lacking = everything.iter().filter(|record| !record.is("status") && !here.contains(&record.id()));
        let mut lost_in_crashes = 0;
        for record in lacking {
            assert!(void.contains(&seq(record)), "{sink} lacks a committed record: {}", record.0);
            assert!(
                just_before(kills, record.end()),
                "{sink} lacks a record that was old enough to be committed: {}",
                record.0
            );
            lost_in_crashes += 1;
        }
        println!(
            "{sink}: {} distinct, {again} came again, {lost_in_crashes} lost in crashes before their commit",
            firsts.len()
        );
    }
    everything
}

fn seq(record: &Record) -> u64 {
    record.id().2
}

/// The numbers announced as never used, or used for what a crash took.
fn void(records: &[Record]) -> BTreeSet<u64> {
    let announcements = records.iter().filter(|record| record.0["status"] == "void");
    announcements.flat_map(|record| record.0["from"].as_u64().unwrap()..=record.0["to"].as_u64().unwrap()).collect()
}

fn just_before(kills: &[Timestamp], time: Timestamp) -> bool {
    kills.iter().any(|kill| kill.duration_since(time).unsigned_abs() <= UNCOMMITTED)
}

/// A record that was written twice is one point. With two stamps it would be two: then one of them is a point that no other
/// receiver knows of, as is one that only InfluxDB had before a crash took it. That one is younger than all that was
/// committed before that crash.
fn check_influx(brokers: &Brokers, everything: &[Record], kills: &[Timestamp]) {
    let void = void(everything);
    let committed: Vec<Record> = everything.iter().filter(|record| !void.contains(&seq(record))).cloned().collect();
    for kind in influx::KINDS {
        let points = influx::points(brokers.influxd.port(), "edge", kind);
        let safe = influx::expected(&committed, kind);
        let missing: Vec<_> = safe.difference(&points).collect();
        assert!(missing.is_empty(), "InfluxDB lacks {} {kind} points: {:?} …", missing.len(), missing.first());
        for point in points.difference(&influx::expected(everything, kind)) {
            let kill = kills.iter().map(|kill| kill.as_millisecond()).find(|kill| *kill >= point.2);
            let was_last = kill.is_some_and(|kill| !safe.iter().any(|other| (point.2 + 1..kill).contains(&other.2)));
            assert!(was_last, "InfluxDB holds a {kind} point that nobody sent: {point:?}");
        }
    }
}

const SENSORS: &str = r#"
[bus.bench]
kind = "sim"
[bus.bench.value.air]
temperature = [20, { sine = 5, period = "3s" }, { noise = 0.1 }]
[bus.bench.value.wall]
temperature = [12, { noise = 0.1 }]

[sensor.air]
driver = "bme280"
bus = "bench"
address = 0x76
every = "50ms"
[sensor.air.channel.temperature]
alarm = { high = 23, hysteresis = 1 }

[sensor.wall]
driver = "sht3x"
bus = "bench"
address = 0x44
every = "50ms"
"#;

fn config(brokers: &Brokers, sensors: &str) -> String {
    format!(
        r#"
[gateway]
id = "chaos"
state = "{{folder}}/state"

[clock]
hold = "0s"

[filter]
report = "every"
window = ["1s"]

{sensors}
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
        brokers.mosquitto.port(),
        brokers.influxd.port(),
        brokers.broker.port()
    )
}
