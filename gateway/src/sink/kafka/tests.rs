//! Against librdkafka's mock cluster, which can be told to fail, and against Apache Kafka.

use super::config::Topics;
use super::*;
use crate::record::{Body, Kind};
use crate::sink::fixture::{
    self, AN_HOUR_OF_READINGS, MORNING, an_hour, anomaly, boiler, channel, gauge, record, samples, server, unique,
};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Message, Timestamp};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::collections::BTreeMap;
use std::time::Instant;

fn sink(brokers: &str, topic: &str, more: &str) -> Box<dyn Sink> {
    let text =
        format!("brokers = [\"{brokers}\"]\ntopics = {{ default = \"{topic}\", event = \"{topic}-alerts\" }}\n{more}");
    fixture::open(&ENTRY, &text).unwrap()
}

fn first_broker(cluster: &MockCluster<'_, impl ClientContext>) -> String {
    cluster.bootstrap_servers().split(',').next().unwrap().to_owned()
}

fn why(outcome: &Outcome) -> &str {
    match &outcome.then {
        Then::Retry { why, .. } | Then::Reject { why } => why,
        Then::Done => panic!("accepted"),
    }
}

struct Received {
    partition: i32,
    key: String,
    value: serde_json::Value,
    millis: i64,
}

/// Reads `count` records of a topic from its beginning.
async fn consume(brokers: &str, topic: &str, count: usize) -> Vec<Received> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", unique("group"))
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let reading = move || {
        let (mut all, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(60));
        while all.len() < count && Instant::now() < deadline {
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
            let Timestamp::CreateTime(millis) = message.timestamp() else { panic!("no timestamp") };
            all.push(Received {
                partition: message.partition(),
                key: String::from_utf8(message.key().unwrap().to_vec()).unwrap(),
                value: serde_json::from_slice(message.payload().unwrap()).unwrap(),
                millis,
            });
        }
        all
    };
    tokio::task::spawn_blocking(reading).await.unwrap()
}

/// `Utils.murmur2` of the Java client.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ u32::try_from(data.len()).unwrap();
    let chunks = data.chunks_exact(4);
    let tail = chunks.remainder();
    for chunk in chunks {
        let mut k = u32::from_le_bytes(chunk.try_into().unwrap()).wrapping_mul(M);
        k = (k ^ k >> 24).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !tail.is_empty() {
        for (n, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * n);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[tokio::test]
async fn a_broker_that_is_busy_for_a_moment_is_no_failure() {
    let cluster = MockCluster::new(1).unwrap();
    let errors =
        [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT];
    cluster.request_errors(RDKafkaApiKey::Produce, &errors);
    let sink = sink(&first_broker(&cluster), "busy", "");
    assert_eq!(sink.send(&samples(0..100)).await, Outcome::done(100));
}

#[tokio::test]
async fn a_refused_packet_is_sent_record_by_record_before_one_is_set_aside() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("refuses", 1, 1).unwrap();
    let sink = sink(&first_broker(&cluster), "refuses", "");
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD]);
    assert_eq!(sink.send(&samples(0..3)).await, Outcome::done(3), "one packet was refused, no record alone");

    let twice = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD; 2];
    cluster.request_errors(RDKafkaApiKey::Produce, &twice);
    let outcome = sink.send(&samples(3..6)).await;
    assert_eq!((outcome.accepted, matches!(outcome.then, Then::Reject { .. })), (0, true), "{outcome:?}");
    assert_eq!(sink.send(&samples(4..6)).await, Outcome::done(2));
}

#[tokio::test]
async fn what_only_an_operator_can_mend_is_said_and_nothing_is_lost() {
    let cluster = MockCluster::new(1).unwrap();
    let sink = sink(&first_broker(&cluster), "denied", "");
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    let outcome = sink.send(&samples(0..3)).await;
    assert!(matches!(outcome.then, Then::Retry { .. }) && why(&outcome).contains("grant"), "{outcome:?}");
    assert_eq!(sink.send(&samples(0..3)).await, Outcome::done(3));
}

#[tokio::test]
async fn a_producer_beyond_repair_is_made_anew() {
    let cluster = MockCluster::new(1).unwrap();
    let sink = sink(&first_broker(&cluster), "fenced", "");
    assert_eq!(sink.send(&samples(0..3)).await, Outcome::done(3));
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER]);
    let outcome = sink.send(&samples(3..6)).await;
    assert!(matches!(outcome.then, Then::Retry { .. }), "{outcome:?}");
    assert!(why(&outcome).contains("start again"), "{outcome:?}");
    assert_eq!(sink.send(&samples(3..6)).await, Outcome::done(3));
}

#[tokio::test]
async fn an_absent_cluster_is_said_with_its_cause() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = sink(&free.to_string(), "absent", "timeout = \"5s\"").send(&samples(0..3)).await;
    assert_eq!(outcome.accepted, 0);
    assert!(why(&outcome).contains("Connection refused") && why(&outcome).contains("within 5 s"), "{outcome:?}");
}

#[tokio::test]
async fn a_record_larger_than_any_message_is_rejected_and_those_before_it_are_delivered() {
    let cluster = MockCluster::new(1).unwrap();
    let sink = sink(&first_broker(&cluster), "large", "");
    let mut batch = samples(0..3);
    let text = crate::record::Value::Text("x".repeat(1_100_000).into());
    batch[2] = record(2, boiler(), MORNING, Body::Sample(crate::record::Sample { value: text, ..gauge(0.0) }));
    let outcome = sink.send(&batch).await;
    assert_eq!((outcome.accepted, matches!(outcome.then, Then::Reject { .. })), (2, true), "{outcome:?}");
}

#[tokio::test]
async fn a_batch_larger_than_the_queue_waits_for_room() {
    let cluster = MockCluster::new(1).unwrap();
    let sink = sink(&first_broker(&cluster), "queue", "");
    assert_eq!(sink.send(&samples(0..20_000)).await, Outcome::done(20_000));
}

#[test]
fn impossible_configurations_are_refused() {
    const TOPICS: &str = "topics = { default = \"t\" }\n";
    for (text, word) in [
        (TOPICS.to_owned(), "has no `brokers`"),
        ("brokers = [\"h:1\"]".into(), "topics = { default"),
        (format!("{TOPICS}brokers = [\"kafka://h:1\"]"), "HOST:PORT"),
        (format!("{TOPICS}brokers = []"), "HOST:PORT"),
        ("brokers = [\"h:1\"]\ntopics = { default = \"a b\" }".into(), "1 to 249"),
        ("brokers = [\"h:1\"]\ntopics = { event = \"a\" }".into(), "has no `default`"),
        ("brokers = [\"h:1\"]\ntopics = { default = \"a\", evnt = \"a\" }".into(), "did you mean `event`?"),
        (format!("{TOPICS}brokers = [\"h:1\"]\nmechanism = \"MD5\""), "SCRAM-SHA-256"),
        (format!("{TOPICS}brokers = [\"h:1\"]\npassword_file = \"p\""), "whose password?"),
        (format!("{TOPICS}brokers = [\"h:1\"]\ntls = false\nca_file = \"ca.pem\""), "of no use"),
    ] {
        let problems = fixture::open(&ENTRY, &text).err().unwrap();
        assert!(format!("{problems:?}").contains(word), "{text}: {problems:?}");
    }
}

#[tokio::test]
async fn kafka_holds_every_record_in_its_channels_order_on_javas_partition() {
    let name = "kafka_holds_every_record_in_its_channels_order_on_javas_partition";
    let Some(brokers) = server("WEIR_TEST_KAFKA", name) else { return };
    let topic = unique("order");
    let sink = sink(&brokers, &topic, "");
    let batch: Vec<_> = (0..900)
        .map(|seq| {
            let named = channel(&format!("pump-{}", seq % 9), "pressure", "Pa");
            record(seq, named, MORNING + 7_999_999, Body::Sample(gauge(1.0)))
        })
        .collect();
    assert_eq!(sink.send(&batch).await, Outcome::done(900));
    let mut alarm = batch[0].clone();
    alarm.record = record(900, boiler(), MORNING, Body::Event(anomaly())).record;
    assert_eq!(sink.send(&[alarm]).await, Outcome::done(1));

    let received = consume(&brokers, &topic, 900).await;
    assert_eq!(received.len(), 900);
    let mut last = BTreeMap::new();
    for one in &received {
        assert_eq!(one.millis, MORNING / 1_000_000 + 7);
        let expected = (murmur2(one.key.as_bytes()) & 0x7fff_ffff) % 3;
        assert_eq!(one.partition, i32::try_from(expected).unwrap(), "{}", one.key);
        let seq = one.value["seq"].as_u64().unwrap();
        assert!(last.insert(one.key.clone(), seq).is_none_or(|before| before < seq), "{} goes backwards", one.key);
    }
    assert!(last.contains_key("press-line-4/pump-8/pressure"));
    assert_eq!(consume(&brokers, &format!("{topic}-alerts"), 1).await.len(), 1);
}

#[tokio::test]
async fn kafka_wants_the_right_password_and_certificate() {
    let name = "kafka_wants_the_right_password_and_certificate";
    let (Some(sasl), Some(both)) = (server("WEIR_TEST_KAFKA_SASL", name), server("WEIR_TEST_KAFKA_SASL_TLS", name))
    else {
        return;
    };
    let (Some(user), Some(password)) = (server("WEIR_TEST_USER", name), server("WEIR_TEST_PASSWORD_FILE", name)) else {
        return;
    };
    let Some(certs) = server("WEIR_TEST_CERTS", name) else { return };
    let topic = unique("login");
    let login = format!("timeout = \"5s\"\nusername = \"{user}\"\n");
    let right = format!("{login}password_file = \"{password}\"\n");
    assert_eq!(sink(&sasl, &topic, &right).send(&samples(0..3)).await, Outcome::done(3));
    let secure = format!("{right}ca_file = \"{certs}/ca.pem\"");
    assert_eq!(sink(&both, &topic, &secure).send(&samples(0..3)).await, Outcome::done(3));

    let wrong = sink(&sasl, &topic, &format!("{login}password_env = \"PATH\"")).send(&samples(0..3)).await;
    assert!(why(&wrong).contains("uthentication failed"), "{wrong:?}");
    let stranger =
        sink(&both, &topic, &format!("{right}ca_file = \"{certs}/stranger.pem\"")).send(&samples(0..3)).await;
    assert!(why(&stranger).contains("certificate"), "{stranger:?}");
}

/// What librdkafka has sent and received so far.
#[derive(Clone)]
struct Traffic(Arc<tokio::sync::watch::Sender<i64>>);

impl ClientContext for Traffic {
    fn stats(&self, statistics: rdkafka::Statistics) {
        self.0.send_replace(statistics.tx_bytes + statistics.rx_bytes);
    }
}

/// Everything that went over the wire, both ways, connecting included, while `batches` were delivered.
async fn bytes_on_the_wire<'a>(brokers: &str, batches: impl Iterator<Item = &'a [Outgoing]>) -> i64 {
    let topic = unique("bytes");
    let config = Config {
        brokers: vec![brokers.into()],
        topics: Topics { default: topic.clone(), by_kind: BTreeMap::new() },
        client_id: "weir-press-line-4-cloud".into(),
        tls: None,
        login: None,
        mechanism: "PLAIN",
        linger: Duration::ZERO,
        timeout: Duration::from_secs(30),
    };
    let (counter, mut counted) = tokio::sync::watch::channel(0);
    let mut client = config.client().unwrap();
    client.set("statistics.interval.ms", "100");
    let producer: FutureProducer<Traffic> = client.create_with_context(Traffic(Arc::new(counter))).unwrap();
    for batch in batches {
        let mut under_way = Vec::new();
        for (_, outgoing) in by_channel(batch) {
            let mut value = Vec::new();
            wire::write("press-line-4", outgoing, &mut value);
            let key = format!("press-line-4/{}", outgoing.record.draft.channel);
            let record = FutureRecord::to(&topic).key(&key).payload(&value).timestamp(outgoing.wall / 1_000_000);
            under_way.push(producer.send_result(record).map_err(|(e, _)| e).unwrap());
        }
        for delivery in under_way {
            delivery.await.unwrap().unwrap();
        }
    }
    counted.mark_unchanged();
    for _ in 0..2 {
        counted.changed().await.unwrap();
    }
    *counted.borrow()
}

#[tokio::test]
async fn a_reading_costs_at_most_five_bytes_on_the_wire() {
    let Some(brokers) = server("WEIR_TEST_KAFKA", "a_reading_costs_at_most_five_bytes_on_the_wire") else { return };
    let records = an_hour();
    let bytes = bytes_on_the_wire(&brokers, records.chunks(1000)).await;
    let per_reading = bytes as f64 / AN_HOUR_OF_READINGS;
    println!("{} records, {bytes} bytes, {per_reading:.2} per reading", records.len());
    assert!(per_reading <= 5.0, "{per_reading}");
}

#[tokio::test]
#[ignore = "measures what the head of kafka.rs states: cargo test -p weir --lib linger -- --ignored --nocapture"]
async fn a_longer_linger_costs_fewer_bytes() {
    let Some(brokers) = server("WEIR_TEST_KAFKA", "a_longer_linger_costs_fewer_bytes") else { return };
    let mut records = an_hour();
    for window in records.iter_mut().filter(|r| r.kind() == Kind::Summary) {
        window.wall += 59_000_000_000; // It leaves when it ends.
    }
    for seconds in [1, 10, 30, 60] {
        let slot = |outgoing: &Outgoing| outgoing.wall / (seconds * 1_000_000_000);
        let bytes = bytes_on_the_wire(&brokers, records.chunk_by(|a, b| slot(a) == slot(b))).await;
        println!("linger {seconds} s: {:.1} bytes per reading", bytes as f64 / AN_HOUR_OF_READINGS);
    }
}
