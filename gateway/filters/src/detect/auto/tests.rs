//! Short, deterministic stories. The figures over weeks of signals: `cargo run --release --example detector`.

use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const SECOND: Nanos = 1_000_000_000;
const MINUTE: Nanos = 60 * SECOND;
const HOURS: Nanos = 60 * MINUTE;
const DAYS: Nanos = 24 * HOURS;

/// Noise that repeats: uniform in -1..1.
fn noise(n: i64) -> f64 {
    let mut z = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// A room: warmer by day, with a sensor's noise.
fn room(at: Nanos) -> f64 {
    let day = at as f64 / DAYS as f64;
    21.0 + 2.0 * libm::sin(day * core::f64::consts::TAU) + 0.2 * noise(at / SECOND)
}

/// Everything found in `signal`, one reading per `every`, with the time it was found.
fn found(every: Nanos, until: Nanos, signal: impl Fn(Nanos) -> f64) -> Vec<(Nanos, Reason)> {
    let mut auto = Auto::new(every);
    (0..until / every)
        .filter_map(|n| {
            let at = n * every;
            let verdict = auto.push(at, signal(at))?;
            assert!(verdict.score >= 1.0);
            let EventReason::Unusual(reason) = verdict.reason else { panic!("foreign reason") };
            Some((at, reason))
        })
        .collect()
}

/// What is found within `within` of `start`, where the signal goes wrong; nothing may be found on the two days before.
fn first_found(every: Nanos, start: Nanos, within: Nanos, signal: impl Fn(Nanos) -> f64) -> (Nanos, Reason) {
    let all = found(every, start + within, signal);
    assert!(all.iter().all(|(at, _)| *at < start - 2 * DAYS || *at >= start), "found too early: {all:?}");
    let (at, reason) = *all.iter().find(|(at, _)| *at >= start).expect("nothing found");
    (at - start, reason)
}

#[test]
fn a_room_is_nothing_to_talk_about() {
    for every in [10 * SECOND, 5 * MINUTE] {
        let late = found(every, 14 * DAYS, room).into_iter().filter(|(at, _)| *at > DAYS).count();
        assert!(late <= 2, "{late} false alerts in two weeks, one reading per {} s", every / SECOND);
    }
}

#[test]
fn a_far_reading_is_found_at_once() {
    let start = 6 * DAYS + 7 * MINUTE;
    let spike = |at| if at == start { 60.0 } else { room(at) };
    assert_eq!(first_found(10 * SECOND, start, HOURS, spike), (0, Reason::FarOut));
}

#[test]
fn a_step_is_found_within_two_blocks() {
    let start = 6 * DAYS;
    let (delay, _) = first_found(10 * SECOND, start, 12 * HOURS, |at| room(at) + if at < start { 0.0 } else { 4.0 });
    assert!(delay <= 10 * MINUTE, "{delay}");
}

#[test]
fn a_frozen_sensor_is_found_within_hours() {
    let start = 6 * DAYS;
    let (delay, reason) = first_found(10 * SECOND, start, 12 * HOURS, |at| room(at.min(start)));
    assert!(delay <= 8 * HOURS, "{delay}");
    assert!(matches!(reason, Reason::Unlike(Feature::Still, _)), "{reason:?}");
}

#[test]
fn a_slow_vibration_is_found() {
    let start = 6 * DAYS;
    let hum = |at: Nanos| libm::sin(at as f64 / (3 * MINUTE) as f64 * core::f64::consts::TAU);
    let (delay, reason) =
        first_found(10 * SECOND, start, 12 * HOURS, |at| room(at) + if at < start { 0.0 } else { hum(at) });
    assert!(delay <= HOURS, "{delay}");
    assert!(matches!(reason, Reason::Unlike(Feature::Spread | Feature::Fast, _)), "{reason:?}");
}

#[test]
fn a_faster_cycle_is_found() {
    let start = 6 * DAYS;
    let cycle = |at: Nanos| {
        let period = if at < start { 25 * MINUTE } else { 10 * MINUTE };
        if at % period < period / 2 { 1.0 } else { 0.0 }
    };
    let (delay, _) = first_found(10 * SECOND, start, 12 * HOURS, |at| cycle(at) + 0.05 * noise(at));
    assert!(delay <= 6 * HOURS, "{delay}");
}

#[test]
fn a_new_level_is_told_once_and_then_normal() {
    let moved = 6 * DAYS;
    let level = |at| room(at) + if at < moved { 0.0 } else { 15.0 };
    let all = found(5 * MINUTE, 20 * DAYS, level);
    assert!(all.iter().any(|(at, _)| (moved..moved + HOURS).contains(at)), "{all:?}");
    assert!(all.iter().filter(|(at, _)| *at > moved + 2 * DAYS).count() <= 2, "{all:?}");
    let again = 20 * DAYS;
    let (delay, _) = first_found(5 * MINUTE, again, 12 * HOURS, |at| level(at) + if at < again { 0.0 } else { 15.0 });
    assert!(delay <= HOURS, "{delay}");
}

#[test]
fn the_unit_does_not_matter() {
    let plain = found(5 * MINUTE, 10 * DAYS, room);
    let scaled = found(5 * MINUTE, 10 * DAYS, |at| room(at) * 1_048_576.0);
    let times = |all: &[(Nanos, Reason)]| all.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!(times(&plain), times(&scaled));
}

#[test]
fn state_can_be_put_away_and_taken_up_again() {
    let signal = |at| room(at) + if at % (3 * DAYS) > 2 * DAYS { 3.0 } else { 0.0 };
    let mut straight = Auto::new(5 * MINUTE);
    let mut broken = straight.clone();
    for at in (0..12 * DAYS / (5 * MINUTE)).map(|n| n * 5 * MINUTE) {
        let mut buffer = [0; 4096];
        let bytes = postcard::to_slice(&broken, &mut buffer).unwrap();
        broken = postcard::from_bytes(bytes).unwrap();
        assert_eq!(straight.push(at, signal(at)), broken.push(at, signal(at)));
    }
    assert_eq!(straight, broken);
}

#[test]
fn state_is_small() {
    assert!(size_of::<Auto>() <= 1232, "{} bytes", size_of::<Auto>());
}

#[test]
fn reasons_are_plain_words() {
    assert_eq!(
        Reason::Unlike(Feature::High, 1.84).to_string(),
        "the value is further above its usual than ever before (1.8 times)"
    );
    assert_eq!(Reason::FarOut.to_string(), "one reading far outside everything seen so far");
}

proptest! {
    /// Any bits as values, any times in any order: no panic, scores are numbers at or above the threshold.
    #[test]
    fn takes_anything(readings in prop::collection::vec((any::<i64>(), any::<u64>().prop_map(f64::from_bits)), 0..600), period: i64) {
        let mut auto = Auto::new(period);
        for (at, value) in readings {
            if let Some(verdict) = auto.push(at, value) {
                prop_assert!(verdict.score >= 1.0 && verdict.score.is_finite());
            }
        }
    }

    /// Hostile but plausible: long enough for alerts, with jumps of clock and of size.
    #[test]
    fn scores_are_numbers(seed: i64, scale in -12_i32..14, jumps in prop::collection::vec((0_usize..1500, any::<i64>()), 0..4)) {
        let mut auto = Auto::new(0);
        let mut at = 0_i64;
        for n in 0..1500_usize {
            let jump = jumps.iter().find(|(when, _)| *when == n).map_or(5 * MINUTE, |(_, by)| *by);
            at = at.wrapping_add(jump);
            let value = noise(seed.wrapping_add(n as i64)) * libm::pow(10.0, f64::from(scale)) * if n > 1200 { 7.0 } else { 1.0 };
            if let Some(verdict) = auto.push(at, value) {
                prop_assert!(verdict.score >= 1.0 && verdict.score.is_finite());
            }
        }
    }
}
