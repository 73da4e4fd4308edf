//! How a [`Snapshot`] is shown to people: the same words for `status`, `demo` and `replay`.

use crate::section::Size;
use crate::status::{SensorLine, Snapshot};
use std::fmt::Write;

/// The whole state, for a terminal.
pub(super) fn snapshot(s: &Snapshot) -> String {
    let mut out = String::new();
    let clock = match s.data_waits_for_clock_s {
        _ if s.clock_synced => "clock synced".to_owned(),
        None => "clock NOT synchronised: times are guesses".to_owned(),
        Some(left) => format!("clock NOT synchronised: data waits up to {} for it, events do not", duration(left)),
    };
    line(&mut out, &format!("{} · up {} · {clock}", s.gateway, duration(s.uptime_s)));
    if let Some(hanging) = &s.hanging {
        line(&mut out, &format!("HANGING: {hanging}"));
    }
    line(&mut out, "");
    sensors(&mut out, &s.sensors);
    ledger(&mut out, s);
    out
}

/// What became of every reading and of every record.
pub(super) fn ledger(out: &mut String, s: &Snapshot) {
    let r = &s.readings;
    line(out, "Readings by fate");
    for (fate, count, meaning) in [
        ("due", r.due, "polls that were due, values that were pushed"),
        ("  missed", r.missed, "not polled in time"),
        ("  failed", r.failed, "polled, and no answer that could be used"),
        ("  read", r.read, ""),
        ("    sent", r.sent, "left as samples"),
        ("    represented", r.represented, "rebuilt from samples within the bound, or in a window"),
        ("    invalid", r.invalid, "outside of what can be"),
        ("    late", r.late, "too old when they came"),
        ("    held", r.held, "not decided yet"),
        ("    lost", r.lost, "undecided when the gateway crashed"),
    ] {
        line(out, &format!("  {fate:<18}{:>12}   {meaning}", grouped(count)));
    }
    let what = format!("{} samples and {} records in all", grouped(r.samples), grouped(r.records));
    line(out, &format!("  {:.1} % of the readings were not forwarded as samples; {what}", r.dropped() * 100.0));
    line(out, "");
    records(out, s);
    line(out, if s.balances { "The ledger balances." } else { "THE LEDGER DOES NOT BALANCE: please report this." });
}

fn records(out: &mut String, s: &Snapshot) {
    line(out, "Records by sink");
    let head = ["recorded", "acknowledged", "pending", "merged", "evicted", "rejected", "not for it", "void"];
    line(out, &format!("  {:<14}{}", "", head.map(|h| format!("{h:>13}")).concat()));
    for sink in &s.sinks {
        for (class, a) in [("events", &sink.events), ("data", &sink.data)] {
            let row = [a.recorded, a.acknowledged, a.pending(), a.merged, a.evicted, a.rejected, a.not_for, a.void];
            let name = format!("{} {class}", sink.name);
            line(out, &format!("  {name:<14}{}", row.map(|n| format!("{:>13}", grouped(n))).concat()));
        }
    }
    for sink in &s.sinks {
        if let Some(why) = &sink.health.failing {
            line(out, &format!("  {}: NOT TAKING ANYTHING ({} attempts): {why}", sink.name, sink.health.failures));
        }
        if let Some(why) = &sink.health.last_reject {
            line(out, &format!("  {}: {} set aside, the last one because: {why}", sink.name, sink.health.rejected));
        }
    }
    let condition = s.store.trouble.as_ref().map_or("in order".to_owned(), |why| format!("IN MEMORY ONLY: {why}"));
    line(
        out,
        &format!("  store: {} on disk, {} commits, {condition}", Size(s.store.disk_bytes), grouped(s.store.commits)),
    );
    line(out, "");
}

fn sensors(out: &mut String, sensors: &[SensorLine]) {
    line(out, "Sensors");
    for s in sensors {
        let ago = s.last_reading_s.map_or("no reading yet".into(), |t| format!("last reading {} ago", duration(t)));
        let missed = if s.missed > 0 { format!(", {} polls missed", grouped(s.missed)) } else { String::new() };
        match &s.error {
            None => line(out, &format!("  {:<16} {ago}{missed}", s.name)),
            Some(why) => line(out, &format!("  {:<16} {} failed polls, {ago}{missed}: {why}", s.name, s.failures)),
        }
    }
    line(out, "");
}

fn line(out: &mut String, text: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{}", text.trim_end());
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let lead = digits.len() % 3;
    let groups = digits.as_bytes()[lead..].chunks(3).map(|c| String::from_utf8_lossy(c).into_owned());
    let first = (lead > 0).then(|| digits[..lead].to_owned());
    first.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

/// Seconds in the two largest fitting units.
pub(super) fn duration(seconds: f64) -> String {
    let s = seconds.max(0.0);
    match s {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
        s if s < 86_400.0 => format!("{:.0} h {:.0} min", (s / 3600.0).floor(), (s % 3600.0) / 60.0),
        s => format!("{:.0} d {:.0} h", (s / 86_400.0).floor(), (s % 86_400.0) / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_shown_as_people_read_them() {
        assert_eq!([0, 12, 123, 1234, 1_234_567].map(grouped), ["0", "12", "123", "1,234", "1,234,567"]);
        assert_eq!([0.25, 75.0, 7260.0, 90_000.0].map(duration), ["0.2 s", "1 min 15 s", "2 h 1 min", "1 d 1 h"]);
    }
}
