//! Apache Kafka through librdkafka: idempotent, `acks=all`, lz4, one delivery report per record.
//!
//! Guaranteed: an accepted record was written by all in-sync replicas; within one connection to the cluster it stands there
//! once, and a channel's records (they share a key, so a partition) stand in order. Not guaranteed yet: exactly once across a
//! restart of the gateway: what was not acknowledged by then is sent again, recognisable by (gw, epoch, seq).
//!
//! Key: `gateway/sensor/channel`. Partitioner: murmur2 as in Java, so that other producers agree on the partition. Timestamp:
//! the record's wall clock in milliseconds. Value: the JSON record.
//!
//! ```toml
//! [sink.cloud]
//! kind = "kafka"
//! brokers = ["kafka-1:9092", "kafka-2:9092"]
//! topics = { default = "sensor-readings", event = "alerts" }   # or any of sample, summary, event, status
//! tls = true                             # with ca_file, cert_file, key_file
//! username = "weir"                      # SASL, with password_file (or password_env)
//! mechanism = "SCRAM-SHA-256"            # or SCRAM-SHA-512, PLAIN
//! linger = "250ms"                       # data waits so long for company; events never
//! timeout = "30s"                        # a record that is not acknowledged by then is tried again
//! ```
//!
//! What a reading costs on the wire, both ways, connecting included: eight channels at 1 Hz, a summary each minute and every
//! 25th reading a sample (`cargo test -p weir --lib sink::kafka -- --include-ignored --nocapture`, Apache Kafka 3.9.1, three
//! partitions). Compression needs similar records side by side, and each batch costs about a third of a kilobyte whatever is in it:
//!
//! | batches | bytes per reading |
//! |---|---|
//! | full (replay, after an outage) | 3.1 |
//! | `linger = "60s"` | 5.1 |
//! | `linger = "30s"` | 7.4 |
//! | `linger = "10s"` | 13.2 |
//! | `linger = "1s"` or shorter | 23.1 |
//!
//! So on a metered link a long `linger` is worth more than anything else. But what lingers for longer than the buffer's
//! `commit_every` is written to the flash first, which the short default avoids: raise both together.

mod config;
#[cfg(test)]
mod tests;

use super::{Entry, Limits, Outcome, Outgoing, Sending, Sink, Then, wire};
use crate::identity::Gateway;
use crate::record::Nanos;
use crate::section::Section;
use config::Config;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::{DeliveryFuture, FutureProducer, FutureRecord};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The row of [`super::TABLE`].
pub(super) const ENTRY: Entry = Entry { name: "kafka", summary: "Apache Kafka, idempotent, acks=all, lz4", open };

/// How long to wait for room in librdkafka's queue.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(10);

fn open(section: &mut Section<'_, '_>, gateway: &Gateway) -> Option<Box<dyn Sink>> {
    let config = Config::read(section, gateway)?;
    Some(Box::new(Kafka { gateway: gateway.id.clone(), config, producer: Mutex::new(None), cause: Cause::default() }))
}

/// The sink. The producer is made with the first batch, and anew after an error from which it cannot recover.
struct Kafka {
    gateway: Box<str>,
    config: Config,
    producer: Mutex<Option<Producer>>,
    cause: Cause,
}

type Producer = FutureProducer<Cause>;

/// What librdkafka last complained about: a record that timed out does not say why. Its log goes to ours.
#[derive(Debug, Clone, Default)]
struct Cause(Arc<Mutex<String>>);

impl ClientContext for Cause {
    fn log(&self, level: RDKafkaLogLevel, place: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Debug => tracing::trace!("librdkafka {place}: {message}"),
            _ => tracing::debug!("librdkafka {place}: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("librdkafka: {error}: {reason}");
        // That all are down says less than why the last one is.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason.to_owned();
        }
    }
}

/// What became of one record.
#[derive(Debug, Clone, PartialEq)]
enum Verdict {
    Accepted,
    /// Nothing is wrong with the record.
    Retry(String),
    /// The broker will not take it, or something that was in one packet with it.
    Refused(String),
    /// The producer is beyond repair; nothing is wrong with the record.
    Rebuild(String),
}

impl Kafka {
    async fn write(&self, batch: &[Outgoing]) -> Outcome {
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(why) => return Outcome::retry(0, why),
        };
        let verdicts = self.deliver(&producer, batch).await;
        for (index, verdict) in verdicts.into_iter().enumerate() {
            // The broker's refusal is that of a whole packet: only alone a record shows whether it was meant.
            let verdict = match verdict {
                Verdict::Refused(_) => {
                    self.deliver(&producer, &batch[index..=index]).await.pop().unwrap_or(Verdict::Accepted)
                }
                other => other,
            };
            let then = match verdict {
                Verdict::Accepted => continue,
                Verdict::Refused(why) => Then::Reject { why },
                Verdict::Retry(why) => Then::Retry { after: None, why },
                Verdict::Rebuild(why) => {
                    self.discard();
                    Then::Retry { after: None, why }
                }
            };
            return Outcome { accepted: index, then };
        }
        Outcome::done(batch.len())
    }

    /// Hands all records to librdkafka, then awaits what becomes of each. Each channel's records go side by side, still in
    /// their order: they compress better.
    async fn deliver(&self, producer: &Producer, batch: &[Outgoing]) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::Retry("one before it was not taken".into()); batch.len()];
        let mut under_way = Vec::with_capacity(batch.len());
        let mut value = Vec::with_capacity(512);
        for (index, outgoing) in by_channel(batch) {
            value.clear();
            wire::write(&self.gateway, outgoing, &mut value);
            let key = format!("{}/{}", self.gateway, outgoing.record.draft.channel);
            match enqueue(producer, self.config.topics.of(outgoing.kind()), &key, &value, outgoing.wall).await {
                Ok(delivery) => under_way.push((index, delivery)),
                Err(error) => {
                    verdicts[index] = self.judge(&error);
                    break; // Nothing may overtake it.
                }
            }
        }
        for (index, delivery) in under_way {
            verdicts[index] = match delivery.await {
                Ok(Ok(_)) => Verdict::Accepted,
                Ok(Err((error, _))) => self.judge(&error),
                Err(_) => Verdict::Retry("the producer was closed".into()),
            };
        }
        verdicts
    }

    /// The meaning of an error. What librdkafka retries by itself never gets here.
    fn judge(&self, error: &KafkaError) -> Verdict {
        use RDKafkaErrorCode as Code;
        let Some(code) = error.rdkafka_error_code() else { return Verdict::Refused(error.to_string()) };
        match code {
            Code::MessageSizeTooLarge
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::PolicyViolation
            | Code::MessageBatchTooLarge => Verdict::Refused(format!("Kafka does not take it: {code}")),
            Code::OutOfOrderSequenceNumber
            | Code::InvalidProducerEpoch
            | Code::UnknownProducerId
            | Code::Fenced
            | Code::Fatal => Verdict::Rebuild(format!("the Kafka producer must start again: {code}")),
            // librdkafka would remember the refusal for minutes after it has been put right.
            Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
                Verdict::Rebuild(format!("Kafka does not allow it: {code}; grant this user Write and IdempotentWrite"))
            }
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
                Verdict::Retry(format!("Kafka has no such topic: {code}; create it, or check `topics`"))
            }
            // A new producer also reads the password and the certificates again.
            Code::MessageTimedOut => Verdict::Rebuild(self.unanswered()),
            _ => Verdict::Retry(format!("Kafka answers: {code}; look into its log")),
        }
    }

    fn unanswered(&self) -> String {
        let cause = self.cause.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = self.config.timeout.as_secs();
        let said = if cause.is_empty() { "no broker has said why" } else { &**cause };
        format!(
            "Kafka has not acknowledged within {seconds} s ({said}); is it running, are `brokers` and the login right?"
        )
    }

    fn producer(&self) -> Result<Producer, String> {
        let mut kept = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = &*kept {
            return Ok(producer.clone());
        }
        let client = self.config.client()?;
        let made = client.create_with_context(self.cause.clone());
        let producer: Producer =
            made.map_err(|e| format!("no Kafka producer: {e}; look at ca_file, cert_file, key_file"))?;
        Ok(kept.insert(producer).clone())
    }

    /// Closing a producer waits for its threads.
    fn discard(&self) {
        let broken = self.producer.lock().unwrap_or_else(PoisonError::into_inner).take();
        tokio::task::spawn_blocking(move || drop(broken));
    }
}

/// The records of a batch with their places in it, one channel after the other.
fn by_channel(batch: &[Outgoing]) -> Vec<(usize, &Outgoing)> {
    let mut sorted: Vec<_> = batch.iter().enumerate().collect();
    sorted.sort_by_key(|(_, outgoing)| {
        let channel = &outgoing.record.draft.channel;
        (&channel.sensor, &channel.name)
    });
    sorted
}

async fn enqueue(
    producer: &Producer,
    topic: &str,
    key: &str,
    value: &[u8],
    wall: Nanos,
) -> Result<DeliveryFuture, KafkaError> {
    let mut record = FutureRecord::to(topic).key(key).payload(value);
    if wall > 0 {
        record = record.timestamp(wall / 1_000_000);
    }
    loop {
        match producer.send_result(record) {
            Ok(delivery) => return Ok(delivery),
            Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                tokio::time::sleep(QUEUE_FULL_PAUSE).await;
                record = back;
            }
            Err((error, _)) => return Err(error),
        }
    }
}

impl Sink for Kafka {
    fn send<'a>(&'a self, batch: &'a [Outgoing]) -> Sending<'a> {
        Box::pin(self.write(batch))
    }

    fn limits(&self) -> Limits {
        Limits { records: 1000, bytes: 512 << 10, linger: self.config.linger }
    }
}
