//! The promises, as a user of [`Buffer`] sees them.

use super::Limits;
mod crash;
mod figures;
mod full;
mod model;
mod outage;

use super::*;
use crate::record::{BootId, Channel, Event, EventId, Phase, Quality, Sample, Value};
use std::collections::BTreeMap;

pub(super) const NOW: Limits = Limits { records: 100, bytes: 1 << 20, linger: Duration::ZERO };

pub(super) fn all(name: &str) -> Subscriber {
    Subscriber { name: name.into(), wants: Box::new(|_| true) }
}

pub(super) fn channel() -> Arc<Channel> {
    named("boiler")
}

pub(super) fn named(sensor: &str) -> Arc<Channel> {
    let labels = BTreeMap::from([("site".into(), "NYC".into())]);
    Arc::new(Channel { sensor: sensor.into(), name: "temperature".into(), unit: "Cel".into(), labels })
}

fn draft(channel: &Arc<Channel>, at: i64, body: Body) -> Draft {
    Draft { channel: channel.clone(), boot: BootId(7), at, body }
}

pub(super) fn sample(at: i64) -> Draft {
    let value = Value::Float(at as f64);
    draft(
        &channel(),
        at,
        Body::Sample(Sample { value, bound: None, quality: Quality::Good, event: None, gap: false, lasted: None }),
    )
}

/// A window of a minute.
pub(super) fn summary(start: i64, values: &[f64]) -> Draft {
    summary_of(&channel(), start, values)
}

pub(super) fn summary_of(channel: &Arc<Channel>, start: i64, values: &[f64]) -> Draft {
    let mut summary = crate::record::Summary::new(start, 60_000_000_000, values.len() as u32);
    values.iter().for_each(|value| summary.add(start, *value));
    draft(channel, start, Body::Summary(summary))
}

pub(super) fn event(at: i64) -> Draft {
    event_of(&channel(), at)
}

pub(super) fn event_of(channel: &Arc<Channel>, at: i64) -> Draft {
    let class = weir_filters::Class::Alarm;
    let body = Event { class, id: EventId(1), phase: Phase::Opened, value: None, score: None, reason: "hot".into() };
    draft(channel, at, Body::Event(body))
}

fn open(dir: &Path, sinks: &[&str]) -> (Buffer, Opened) {
    Buffer::open(dir, &Config::default(), sinks.iter().map(|name| all(name)).collect())
}

/// Drops everything that is not on the disk, and waits until the store can be opened again.
pub(super) fn crash(buffer: Buffer, dir: &Path) {
    drop(buffer);
    let lock = std::fs::File::options().write(true).open(dir.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
}

/// What has been announced so far.
pub(super) fn told(buffer: &Buffer) -> Vec<Status> {
    buffer.shared.lock().state.take_notices()
}

fn fill(buffer: &Buffer, times: std::ops::Range<i64>) {
    for at in times {
        buffer.append(sample(at));
    }
}

async fn read(reader: &mut Reader) -> Vec<Seq> {
    reader.next(&NOW).await.unwrap_or_default().iter().map(|record| record.seq).collect()
}

/// Everything from here to the end of the stream.
pub(super) async fn drain(reader: &mut Reader) -> Vec<Seq> {
    let mut all = Vec::new();
    while let Some(batch) = reader.next(&NOW).await {
        all.extend(batch.iter().map(|record| record.seq));
        reader.acknowledge(all.last().copied().unwrap_or_default());
    }
    all
}

#[tokio::test]
async fn what_is_appended_is_read_in_order_by_every_sink() {
    let dir = tempfile::tempdir().unwrap();
    let (buffer, _) = open(dir.path(), &["a", "b"]);
    for at in 0..10 {
        buffer.append(sample(at));
    }
    for name in ["a", "b"] {
        assert_eq!(read(&mut buffer.reader(name, Class::Data)).await, (1..=10).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_event_overtakes_data() {
    let dir = tempfile::tempdir().unwrap();
    let (buffer, _) = open(dir.path(), &["a"]);
    buffer.append(sample(1));
    let alarm = buffer.append(event(2));
    assert_eq!(read(&mut buffer.reader("a", Class::Events)).await, [alarm]);
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (buffer, first) = open(dir.path(), &["a"]);
    fill(&buffer, 0..300);
    let mut reader = buffer.reader("a", Class::Data);
    read(&mut reader).await;
    reader.acknowledge(40);
    buffer.ledger(vec![7; 20_000]);
    buffer.checkpoint(vec![8; 20_000]);
    buffer.put_timeline(vec![9]).await;
    buffer.close().await;

    let (buffer, opened) = open(dir.path(), &["a"]);
    assert_eq!((opened.epoch, opened.notices), (first.epoch, vec![]));
    assert_eq!((opened.ledger, opened.checkpoint), (Some(vec![7; 20_000]), Some(vec![8; 20_000])));
    assert_eq!(opened.timeline, Some(vec![9]));
    assert_eq!(buffer.append(sample(300)), 301);
    let mut reader = buffer.reader("a", Class::Data);
    buffer.end();
    assert_eq!(drain(&mut reader).await, (41..=301).collect::<Vec<_>>());
    let account = buffer.stats().sinks[0].accounts[Class::Data as usize];
    assert_eq!((account.recorded, account.acknowledged, account.pending()), (301, 301, 0));
}

#[tokio::test]
async fn rewinding_reads_again_and_rejecting_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (buffer, _) = open(dir.path(), &["a"]);
    fill(&buffer, 0..5);
    let mut reader = buffer.reader("a", Class::Data);
    read(&mut reader).await;
    reader.acknowledge(2);
    reader.reject(3);
    reader.rewind();
    assert_eq!(read(&mut reader).await, [4, 5]);
    let account = buffer.stats().sinks[0].accounts[Class::Data as usize];
    assert_eq!((account.acknowledged, account.rejected, account.pending()), (2, 1, 2));
}

#[tokio::test]
async fn what_every_sink_has_before_the_commit_never_touches_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { commit_every: Span(Duration::from_secs(3600)), ..Config::default() };
    let (buffer, _) = Buffer::open(dir.path(), &config, vec![all("a")]);
    let mut reader = buffer.reader("a", Class::Data);
    fill(&buffer, 0..50);
    let batch = read(&mut reader).await;
    reader.acknowledge(batch[49]);
    assert!(buffer.shared.lock().state.begin_commit(false).is_none());
    fill(&buffer, 50..51);
    assert!(buffer.shared.lock().state.begin_commit(false).is_some(), "but what is not acknowledged does");
}

#[tokio::test]
async fn a_sink_that_wants_nothing_holds_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let none = Subscriber { name: "none".into(), wants: Box::new(|_| false) };
    let (buffer, _) = Buffer::open(dir.path(), &Config::default(), vec![all("a"), none]);
    fill(&buffer, 0..5);
    let mut reader = buffer.reader("a", Class::Data);
    read(&mut reader).await;
    reader.acknowledge(5);
    let stats = buffer.stats();
    assert_eq!(stats.in_memory, [0, 0]);
    assert_eq!(stats.sinks[1].accounts[Class::Data as usize].not_for, 5);
}

#[tokio::test]
async fn without_a_usable_disk_it_works_in_memory_and_says_so() {
    let (buffer, opened) = open(Path::new("/proc/no/such/place"), &["a"]);
    assert!(!opened.epoch.is_empty());
    let seq = buffer.append(sample(1));
    assert_eq!(read(&mut buffer.reader("a", Class::Data)).await, [seq]);
    assert!(buffer.stats().trouble.is_some_and(|why| why.contains("/proc/no/such/place")));
}

#[tokio::test]
async fn data_waits_for_company_no_longer_than_it_takes_to_fill_a_batch_or_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let (buffer, _) = open(dir.path(), &["plant"]);
    let mut data = buffer.reader("plant", Class::Data);
    let limits = Limits { records: 3, linger: Duration::from_secs(3600), ..NOW };
    fill(&buffer, 0..1);
    let (batch, ()) = tokio::join!(data.next(&limits), async { fill(&buffer, 1..4) });
    assert_eq!(batch.unwrap().len(), 3);
    let (batch, ()) = tokio::join!(data.next(&limits), async { buffer.end() });
    assert_eq!(batch.unwrap().len(), 1);
    assert!(data.next(&limits).await.is_none());
}
