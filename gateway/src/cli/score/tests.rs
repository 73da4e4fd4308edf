//! Small recordings in, tables out.

use super::*;
use rstest::rstest;

/// Scores one file with this text; the scores, what was forwarded, and what the recording's reader counted.
fn scored(text: &str) -> anyhow::Result<(String, String, String)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("pump.csv");
    std::fs::write(&path, text)?;
    let (scores, forwarded) = (folder.path().join("scores.csv"), folder.path().join("forwarded.csv"));
    let mut tables = Tables::create(&scores, &forwarded)?;
    let tally = score(&path, "pump.csv", &Spans::default(), None, &mut tables)?;
    tables.finish()?;
    Ok((std::fs::read_to_string(scores)?, std::fs::read_to_string(forwarded)?, tally.to_string()))
}

#[test]
fn a_group_is_scored_from_the_end_of_its_baseline() {
    let mut text = "timestamp,flow rate,current,anomaly\n".to_owned();
    for n in 0..600_u32 {
        let ripple = f64::from(n * 7 % 11) / 10.0;
        let flow = if n < 500 { 50.0 } else { 20.0 } + ripple;
        text += &format!("2026-01-01 00:{:02}:{:02},{flow},{},0\n", n / 60, n % 60, 4.0 + ripple / 10.0);
    }
    let (scores, forwarded, tally) = scored(&text).unwrap();
    let rows: Vec<Vec<&str>> = scores.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.first().unwrap()[3], "400");
    let odd = |row: &Vec<&str>| row[2].parse::<f64>().unwrap() >= 1.0;
    assert!(rows.iter().filter(|r| r[3].parse::<u32>().unwrap() < 500).all(|r| !odd(r)), "{scores}");
    assert!(odd(rows.last().unwrap()));
    assert!(forwarded.contains("pump.csv#flow rate,") && !forwarded.contains("anomaly"), "{forwarded}");
    assert!(tally.starts_with("600 lines, 1200 readings"), "{tally}");
}

#[rstest]
#[case::ragged("timestamp,value\n2026-01-01 00:00:00,1\n2026-01-01 00:00:01\n", "not as many cells")]
#[case::not_a_number("timestamp,value\n2026-01-01 00:00:00,NaN\n", "not a number (first in line 2)")]
#[case::no_time("timestamp,value\nyesterday,1\n", "no time that can be read")]
#[case::backwards(
    "timestamp,value\n2026-01-01 00:00:01,1\n2026-01-01 00:00:00,2\n",
    "time runs backwards (first in line 3)"
)]
fn flaws_are_counted_with_their_line(#[case] text: &str, #[case] said: &str) {
    let (_, _, tally) = scored(text).unwrap();
    assert!(tally.contains(said), "{tally}");
}

#[rstest]
#[case::empty("")]
#[case::no_header("1,2\n3,4\n")]
#[case::no_series("timestamp,anomaly\n2026-01-01 00:00:00,1\n")]
fn a_file_that_is_no_recording_is_refused(#[case] text: &str) {
    let error = scored(text).unwrap_err().to_string();
    assert!(error.contains("first line"), "{error}");
}

#[test]
fn rows_are_numbered_without_empty_lines() {
    let (_, forwarded, _) = scored("timestamp,value\n2026-01-01 00:00:00,1\n\n2026-01-01 00:00:01,9\n").unwrap();
    let rows: Vec<&str> =
        forwarded.lines().skip(1).filter(|l| l.contains(",raw,")).map(|l| l.split(',').nth(5).unwrap()).collect();
    assert_eq!(rows, ["0", "1"], "{forwarded}");
}

#[test]
fn several_sensors_in_one_file_are_several_series() {
    let text = "sensor,timestamp,value\na,2026-01-01 00:00:00,1\nb,2026-01-01 00:00:00,5\na,2026-01-01 00:00:01,2\n";
    let (_, forwarded, _) = scored(text).unwrap();
    assert!(forwarded.contains("\npump.csv,") && forwarded.contains("\npump.csv#b,"), "{forwarded}");
}

#[test]
fn a_clock_that_does_not_advance_is_replaced_by_an_even_pace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logger.csv");
    std::fs::write(&path, "timestamp,value\n2026-01-01 00:00:00,1\n2026-01-01 00:05:00,2\n2026-01-01 00:05:00,3\n")
        .unwrap();
    let mut recording = Recording::open_evenly(&path).unwrap();
    let times: Vec<_> = std::iter::from_fn(|| recording.next().unwrap()).map(|row| row.at).collect();
    assert_eq!(times, [0, 300_000_000_000, 600_000_000_000]);
}
