//! Records and configurations for the tests of the sinks.

use super::{Entry, Lane, Outgoing, Sink};
use crate::clock::Trust;
use crate::identity::Gateway;
use crate::record::{
    Body, BootId, Channel, Draft, Event, EventId, Nanos, Quality, Record, Sample, Seq, Summary, Value,
};
use crate::section::{Problem, Problems, Section};
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeTable;
use weir_filters::{Class, Phase};

/// 2026-11-22T05:00:00Z
pub(super) const MORNING: Nanos = 1_795_323_600_000_000_000;

pub(super) fn gateway() -> Gateway {
    Gateway {
        id: "press-line-4".into(),
        labels: [("site".into(), "NYC".into())].into(),
        state: "/var/lib/weir".into(),
        clock_hold: Duration::from_secs(120),
    }
}

/// A sink opened from the text of its section; the problems found otherwise.
pub(super) fn open(entry: &Entry, text: &str) -> Result<Box<dyn Sink>, Vec<Problem>> {
    let problems = Problems::default();
    let table = DeTable::parse(text).unwrap();
    let mut section = Section::new("sink.test", table.span(), table.into_inner(), &problems);
    let sink = (entry.open)(&mut section, &gateway());
    section.finish();
    let problems = problems.into_sorted();
    sink.filter(|_| problems.is_empty()).ok_or(problems)
}

pub(super) fn boiler() -> Arc<Channel> {
    channel("boiler", "temperature", "Cel")
}

pub(super) fn channel(sensor: &str, name: &str, unit: &str) -> Arc<Channel> {
    Arc::new(Channel { sensor: sensor.into(), name: name.into(), unit: unit.into(), labels: gateway().labels })
}

pub(super) fn record(seq: Seq, channel: Arc<Channel>, wall: Nanos, body: Body) -> Outgoing {
    let draft = Draft { channel, boot: BootId(1), at: 0, body };
    Outgoing {
        record: Arc::new(Record { seq, draft }),
        epoch: "k3f9".into(),
        lane: Lane::Live,
        wall,
        trust: Trust::Synced,
    }
}

/// One sample of the boiler's temperature a second after the one of the number before.
pub(super) fn sample(seq: Seq) -> Outgoing {
    let wall = MORNING + i64::try_from(seq).unwrap() * 1_000_000_000;
    record(seq, boiler(), wall, Body::Sample(gauge(71.4)))
}

pub(super) fn samples(numbers: std::ops::Range<Seq>) -> Vec<Outgoing> {
    numbers.map(sample).collect()
}

pub(super) fn gauge(value: f64) -> Sample {
    let value = Value::Float(value);
    Sample { value, bound: Some(0.1), quality: Quality::Good, event: None, gap: false, lasted: None }
}

/// A minute of readings, all within a degree of 71.5.
pub(super) fn minute() -> Summary {
    let mut summary = Summary::new(0, 60_000_000_000, 60);
    for second in 0..60 {
        summary.add(second * 1_000_000_000, 71.0 + f64::from(u8::try_from(second % 11).unwrap()) / 10.0);
    }
    summary
}

pub(super) fn anomaly() -> Event {
    Event {
        class: Class::Anomaly,
        id: EventId(0xbeef),
        phase: Phase::Opened,
        value: Some(93.1),
        score: Some(1.8),
        reason: "range over 32 readings is 1.8 times the largest seen".into(),
    }
}

/// What [`an_hour`] stands for.
pub(super) const AN_HOUR_OF_READINGS: f64 = 8.0 * 3600.0;

/// An hour of eight channels at 1 Hz: a summary each minute, and every 25th reading a sample.
pub(super) fn an_hour() -> Vec<Outgoing> {
    let names = [
        "Accelerometer1RMS",
        "Accelerometer2RMS",
        "Current",
        "Pressure",
        "Temperature",
        "Thermocouple",
        "Voltage",
        "Flow",
    ];
    let pumps = names.map(|name| channel("pump-7", name, "Cel"));
    let mut noise = 12_345_u64;
    let mut random = move |below: u64| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 33) % below
    };
    let mut value = move || 60.0 + random(1_000_000) as f64 / 1e6;
    let mut records = Vec::new();
    for second in 0..3600_i64 {
        for (pump, n) in pumps.iter().zip(0_i64..) {
            let seq = records.len() as u64;
            let wall = MORNING + second * 1_000_000_000 + (value() * 1e9) as i64 % 5_000_000;
            if (second + 3 * n) % 25 == 0 {
                records.push(record(seq, Arc::clone(pump), wall, Body::Sample(gauge(value()))));
            } else if second % 60 == 59 {
                let mut summary = Summary::new(0, 60_000_000_000, 60);
                (0..60).for_each(|s| summary.add(s * 1_000_000_000, value()));
                records.push(record(seq, Arc::clone(pump), wall - wall % 60_000_000_000, Body::Summary(summary)));
            }
        }
    }
    records
}

/// The address of a real server, or a loud skip of the test `name` (see tests/README.md).
pub(crate) fn server(variable: &str, name: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        let line = format!("{name}: {variable} is not set");
        if let Some(list) = std::env::var_os("WEIR_TEST_SKIPPED") {
            let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
            std::io::Write::write_all(&mut list, format!("{line}\n").as_bytes()).unwrap();
        }
        // Not through the test harness's capture: a skip must be seen.
        std::io::Write::write_all(&mut std::io::stderr(), format!("skipped {line}\n").as_bytes()).unwrap();
    }
    address
}

/// A name that no other test uses on the shared servers.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}-{:x}", std::process::id(), crate::sys::random() as u32)
}
