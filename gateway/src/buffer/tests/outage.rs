//! A long outage in a small store: detail goes, history and events stay, and everything is accounted for.

use super::{NOW, all, drain, event_of, named, summary_of, told};
use crate::buffer::*;
use std::collections::HashSet;

const MINUTE: i64 = 60_000_000_000;
const HOUR: i64 = 60 * MINUTE;

/// So many channels with a summary every minute, and an event every ten minutes.
async fn outage(buffer: &Buffer, channels: usize, hours: i64) -> u64 {
    let channels: Vec<_> = (0..channels).map(|n| named(&format!("pump-{n}"))).collect();
    let mut events = 0;
    for minute in 0..hours * 60 {
        for (n, channel) in channels.iter().enumerate() {
            buffer.append(summary_of(channel, minute * MINUTE, &[n as f64, minute as f64]));
        }
        if minute % 10 == 0 {
            buffer.append(event_of(&channels[0], minute * MINUTE));
            events += 1;
        }
        if minute % 20 == 0 {
            buffer.flush().await;
        }
    }
    events
}

#[tokio::test]
async fn a_long_outage_costs_detail_and_keeps_every_hour_and_every_event() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { max_size: Size(8 << 20), commit_every: Span(Duration::from_secs(3600)) };
    let (buffer, _) = Buffer::open(dir.path(), &config, vec![all("down")]);
    let events = outage(&buffer, 20, 120).await;
    let stats = buffer.stats();
    assert!(stats.disk_bytes <= config.max_size.0, "{stats:?}");
    let told = told(&buffer);
    assert!(told.iter().all(|notice| matches!(notice, Status::Merged { .. })), "{told:?}");

    let (mut alarms, mut data) = (buffer.reader("down", Class::Events), buffer.reader("down", Class::Data));
    buffer.end();
    assert_eq!(drain(&mut alarms).await.len() as u64, events);
    let (mut hours, mut readings) = (HashSet::new(), 0);
    while let Some(batch) = data.next(&NOW).await {
        for record in &batch {
            let Body::Summary(summary) = &record.draft.body else { panic!("{record:?}") };
            hours.insert((record.draft.channel.sensor.clone(), summary.start / HOUR));
            readings += u64::from(summary.count);
        }
        data.acknowledge(batch.last().unwrap().seq);
    }
    assert_eq!(hours.len(), 20 * 120, "a summary for every channel and hour");
    assert_eq!(readings, 20 * 120 * 60 * 2, "that stand for every reading");
    let account = buffer.stats().sinks[0].accounts[Class::Data as usize];
    assert!(account.merged > 0 && account.evicted == 0, "{account:?}");
    assert_eq!((account.pending(), account.recorded), (0, 20 * 120 * 60));
    buffer.close().await;
}

/// Everything is on the disk, nothing more will come: what is left of both classes, and what was announced.
async fn left_over(buffer: &Buffer) -> (Vec<Seq>, Vec<Seq>, Vec<Status>) {
    let (mut alarms, mut data) = (buffer.reader("down", Class::Events), buffer.reader("down", Class::Data));
    buffer.end();
    (drain(&mut alarms).await, drain(&mut data).await, told(buffer))
}

fn assert_settled(buffer: &Buffer) {
    for account in buffer.stats().sinks[0].accounts {
        assert!(account.balances() && account.pending() == 0, "{account:?}");
    }
}

#[tokio::test]
async fn when_detail_is_gone_the_oldest_data_goes_and_every_event_stays() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { max_size: Size(8 << 20), commit_every: Span(Duration::from_secs(3600)) };
    let (buffer, _) = Buffer::open(dir.path(), &config, vec![all("down")]);
    let (channel, mut events) = (named("meter"), 0);
    for hour in 0..150_000i64 {
        let noise = hour.wrapping_mul(0x5851_f42d_4c95_7f2d) as f64;
        buffer.append(summary_of(&channel, hour * HOUR, &[noise, noise.sin(), noise.cos()]));
        if hour % 500 == 0 {
            buffer.append(event_of(&channel, hour * HOUR));
            events += 1;
        }
        if hour % 2_000 == 0 {
            buffer.flush().await;
        }
    }
    buffer.flush().await;
    assert!(buffer.stats().disk_bytes <= config.max_size.0, "{:?}", buffer.stats());
    let (alarms, data, told) = left_over(&buffer).await;
    let evicted = buffer.stats().sinks[0].accounts[Class::Data as usize].evicted;
    assert_eq!((alarms.len(), data.len() as u64 + evicted), (events, 150_000));
    let lost = told
        .iter()
        .filter_map(|t| if let Status::Evicted { to, records, .. } = t { Some((to, records)) } else { None });
    let (upto, announced) = lost.fold((0, 0), |(upto, sum), (to, records)| (upto.max(*to), sum + records));
    assert_eq!(announced, evicted, "every one is announced");
    assert!(evicted > 0 && data[0] > upto, "the oldest go first");
    assert_settled(&buffer);
    buffer.close().await;
}

#[tokio::test]
async fn a_flood_of_events_ends_with_the_oldest_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { max_size: Size(8 << 20), commit_every: Span(Duration::from_secs(3600)) };
    let (buffer, _) = Buffer::open(dir.path(), &config, vec![all("down")]);
    let channel = named("gate");
    for n in 0..40_000i64 {
        let mut alarm = event_of(&channel, n);
        if let Body::Event(event) = &mut alarm.body {
            event.reason = (0..24)
                .map(|k| format!("{:x}", (n * 31 + k).wrapping_mul(0x5851_f42d_4c95_7f2d)))
                .collect::<String>()
                .into();
        }
        buffer.append(alarm);
        if n % 1_000 == 0 {
            buffer.flush().await;
        }
    }
    buffer.flush().await;
    assert!(buffer.stats().disk_bytes <= config.max_size.0, "{:?}", buffer.stats());
    let (alarms, _, _) = left_over(&buffer).await;
    let evicted = buffer.stats().sinks[0].accounts[Class::Events as usize].evicted;
    assert!(evicted > 0 && alarms.len() as u64 + evicted == 40_000, "{evicted} {}", alarms.len());
    assert_eq!(alarms.last(), Some(&40_000));
    assert_settled(&buffer);
    buffer.close().await;
}
