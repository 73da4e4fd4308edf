//! A disk that is full or away, and well again: no restart, no loss that is not counted.
//!
//! Needs a disk of its own to fill: a tmpfs, which only root may mount.

use super::{all, drain, sample};
use crate::buffer::*;
use std::fs;
use std::process::Command;

/// A small disk that is gone when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "weir-test"]).arg(disk.0.path());
        mount.status().is_ok_and(|status| status.success()).then_some(disk)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

const NEVER: Config = Config { max_size: Size(256 << 20), commit_every: Span(Duration::from_secs(3600)) };

async fn until_healthy(buffer: &Buffer) {
    while buffer.stats().trouble.is_some() {
        buffer.flush().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_full_disk_costs_only_what_memory_cannot_hold_and_that_is_counted() {
    let Some(disk) = Disk::new() else { return println!("SKIPPED: only root may mount the small disk this needs") };
    let dir = disk.0.path().join("buffer");
    let (buffer, _) = Buffer::open(&dir, &NEVER, vec![all("down")]);
    (0..1000).for_each(|at| _ = buffer.append(sample(at)));
    buffer.flush().await;
    let ballast = disk.0.path().join("somebody-elses");
    let _ = fs::write(&ballast, vec![1; 16 << 20]);

    (1000..80_000).for_each(|at| _ = buffer.append(sample(at)));
    buffer.flush().await;
    let trouble = buffer.stats().trouble.unwrap_or_default();
    assert!(trouble.contains("the disk is full") && trouble.contains("free some space"), "{trouble:?}");

    fs::remove_file(&ballast).unwrap();
    until_healthy(&buffer).await;
    let evicted = buffer.stats().sinks[0].accounts[Class::Data as usize].evicted;
    assert!(evicted > 0, "79,000 records do not fit into memory");
    let mut reader = buffer.reader("down", Class::Data);
    buffer.end();
    assert_eq!(drain(&mut reader).await.len() as u64 + evicted, 80_000);
    assert_eq!(buffer.stats().sinks[0].accounts[Class::Data as usize].pending(), 0);
    buffer.close().await;
}

#[tokio::test]
async fn a_store_that_comes_back_late_is_taken_up_before_what_memory_has() {
    let state = tempfile::tempdir().unwrap();
    let dir = state.path().join("buffer");
    let (buffer, first) = Buffer::open(&dir, &NEVER, vec![all("down")]);
    (0..10).for_each(|at| _ = buffer.append(sample(at)));
    buffer.close().await;

    let away = state.path().join("away");
    fs::rename(&dir, &away).unwrap();
    fs::write(&dir, "not a folder").unwrap();
    let (buffer, second) = Buffer::open(&dir, &NEVER, vec![all("down")]);
    assert!(buffer.stats().trouble.is_some());
    let late = buffer.append(sample(10));
    assert!(late > 1 << 39 && first.epoch != second.epoch, "its numbers cannot be mistaken for others");

    fs::remove_file(&dir).unwrap();
    fs::rename(&away, &dir).unwrap();
    until_healthy(&buffer).await;
    assert_eq!((buffer.epoch_of(3), buffer.epoch_of(late)), (first.epoch, second.epoch));
    let mut reader = buffer.reader("down", Class::Data);
    buffer.end();
    assert_eq!(drain(&mut reader).await, (1..=10).chain([late]).collect::<Vec<_>>());
    let account = buffer.stats().sinks[0].accounts[Class::Data as usize];
    assert_eq!((account.recorded, account.pending()), (11, 0));
    buffer.close().await;
}
