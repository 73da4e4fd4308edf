//! The figures in the documentation, measured. One command:
//! `cargo test --release -p weir --lib buffer::tests::figures -- --ignored --nocapture` (`WEIR_RECORDS` for other sizes).

use super::{NOW, all, named};
use crate::buffer::*;
use crate::record::{BootId, Quality, Sample, Summary, Value};
use std::fs;

fn from_proc(file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Of 100 channels, nine samples of a noisy wave for every window of ten seconds.
fn records(count: i64) -> impl Iterator<Item = Draft> {
    let channels: Vec<_> = (0..100).map(|n| named(&format!("sensor-{n}"))).collect();
    (0..count).map(move |n| {
        let (channel, at) = (channels[n as usize % 100].clone(), n / 100 * 1_000_000_000 + n % 100 * 7_919);
        let value = 20.0 + 5.0 * (n as f64 / 9_000.0).sin() + (n * 7_919 % 101) as f64 / 100.0;
        let body = if n / 100 % 10 == 9 {
            let mut window = Summary::new(at, 10_000_000_000, 10);
            (0..10).for_each(|step| window.add(at + step * 1_000_000_000, value + step as f64 / 10.0));
            Body::Summary(window)
        } else {
            let bound = Some(0.1);
            Body::Sample(Sample {
                value: Value::Float(value),
                bound,
                quality: Quality::Good,
                event: None,
                gap: false,
                lasted: None,
            })
        };
        Draft { channel, boot: BootId(1), at, body }
    })
}

#[tokio::test]
#[ignore = "takes a while, and measures the whole process: run it alone"]
async fn measured() {
    let count: i64 = std::env::var("WEIR_RECORDS").ok().and_then(|n| n.parse().ok()).unwrap_or(500_000);
    let payload: usize =
        records(count.min(100_000)).map(|d| postcard::to_allocvec(&(d.at, 0u32, &d.body)).unwrap().len()).sum();
    let payload = payload as f64 / count.min(100_000) as f64;
    println!("RssAnon {} KiB before the store is opened", from_proc("status", "RssAnon:"));
    let dir = tempfile::tempdir_in(".").unwrap();
    let config = Config { max_size: Size(8 << 30), commit_every: Span(Duration::from_secs(1)) };
    let (buffer, _) = Buffer::open(dir.path(), &config, vec![all("down")]);

    println!("RssAnon {} KiB before anything is stored", from_proc("status", "RssAnon:"));
    let (begin, written) = (Instant::now(), from_proc("io", "wchar:"));
    for (n, draft) in records(count).enumerate() {
        buffer.append(draft);
        if n % 500 == 499 {
            buffer.flush().await;
        }
    }
    buffer.flush().await;
    let seconds = begin.elapsed().as_secs_f64();
    let written = (from_proc("io", "wchar:") - written) as f64 / count as f64;
    let on_disk = buffer.stats().disk_bytes;
    println!("outage, a commit every 500 records: {:.0} records/s", count as f64 / seconds);
    println!("  payload {payload:.1} B/record, written {written:.1} B/record ({:.2} x payload)", written / payload);
    println!("  on disk {:.1} B/record, {} MB in all", on_disk as f64 / count as f64, on_disk / 1_000_000);
    println!("  RssAnon {} KiB", from_proc("status", "RssAnon:"));
    super::crash(buffer, dir.path());

    let begin = Instant::now();
    let (buffer, _) = Buffer::open(dir.path(), &config, vec![all("down")]);
    let opened = begin.elapsed();
    let mut reader = buffer.reader("down", Class::Data);
    reader.next(&NOW).await.unwrap();
    println!("restart with that backlog: open {opened:?}, first record after {:?}", begin.elapsed());

    let begin = Instant::now();
    reader.rewind();
    buffer.end();
    let drained = super::drain(&mut reader).await.len();
    println!("drained {:.0} records/s", drained as f64 / begin.elapsed().as_secs_f64());
    println!("  RssAnon {} KiB", from_proc("status", "RssAnon:"));
    buffer.close().await;

    online(&config).await;
}

/// A link that is up: what every sink has before the commit is never written.
async fn online(config: &Config) {
    let dir = tempfile::tempdir_in(".").unwrap();
    let (buffer, _) = Buffer::open(dir.path(), config, vec![all("up")]);
    let mut reader = buffer.reader("up", Class::Data);
    let written = from_proc("io", "wchar:");
    for draft in records(50_000) {
        let seq = buffer.append(draft);
        reader.next(&NOW).await.unwrap();
        reader.acknowledge(seq);
    }
    println!("online: {} bytes written for 50,000 records", from_proc("io", "wchar:") - written);
    buffer.close().await;
}
