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
