//! Reads topics from their beginning to the end they have now.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::record::Record;

const PATIENCE: Duration = Duration::from_secs(30);

/// A record with where it lay.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The topic's name.
    pub topic: String,
    /// The partition, chosen by the key.
    pub partition: i32,
    /// The key: `gateway/sensor/channel`.
    pub key: String,
    /// What it says.
    pub record: Record,
}

/// All committed messages of `topics` at the broker on `port`, in order within each partition.
#[must_use]
pub fn read_all(port: u16, topics: &[&str]) -> Vec<Stored> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", format!("127.0.0.1:{port}"))
        .set("group.id", "weir-tests")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    topics.iter().flat_map(|topic| read_topic(&consumer, topic)).collect()
}

fn read_topic(consumer: &BaseConsumer, topic: &str) -> Vec<Stored> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("the topic's metadata");
    let partitions: Vec<i32> =
        metadata.topics().iter().flat_map(|topic| topic.partitions().iter().map(|p| p.id())).collect();
    let mut assignment = TopicPartitionList::new();
    for partition in &partitions {
        assignment.add_partition_offset(topic, *partition, Offset::Beginning).expect("a valid offset");
    }
    consumer.assign(&assignment).expect("an assignment");
    let (mut stored, mut ends) = (Vec::new(), 0);
    while ends < partitions.len() {
        match consumer.poll(PATIENCE).expect("Kafka answers") {
            Ok(message) => stored.push(Stored {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
                record: Record::parse(message.payload().unwrap_or_default()),
            }),
            Err(rdkafka::error::KafkaError::PartitionEOF(_)) => ends += 1,
            Err(error) => panic!("reading {topic}: {error}"),
        }
    }
    stored
}
