//! Several channels of one machine, judged together: a Mahalanobis distance of their moving averages from a baseline that is
//! learnt from the first readings.
//!
//! A baseline of minutes cannot know how far a warming bearing will drift within the hour. So each channel's tolerance grows
//! with time as fast as the channel wandered during the baseline; while all is calm, the baseline follows slowly.
//!
//! It takes rows: one reading of every channel, made at about the same time and at a steady pace. Time is counted in rows.
//! What it reaches on public recordings: DETECTOR.md in this crate.

use serde::{Deserialize, Serialize};

/// Channels that one group can have.
pub const CHANNELS: usize = 16;
/// Rows of the baseline.
pub const BASELINE: u32 = 400;

/// Moving averages take in this share of each row.
const RATE: f32 = 0.05;
/// Rows until the moving averages count for the baseline.
const SETTLED: u32 = 100;
/// Stretches of the baseline whose means are compared, to see how a channel wanders.
const STRETCH: u32 = 50;
/// This share of the wandering from stretch to stretch adds to the tolerance with every further stretch ...
const WANDER: f32 = 0.3;
/// ... for as many rows; from there on the baseline's own following makes up for it.
const LONGEST: u32 = 2_000;
/// The baseline follows by this share of each row while the score is below [`CALM`].
const FOLLOW: f32 = 1.0 / 2_000.0;
const CALM: f32 = 0.5;
/// How far the learnt correlations are believed.
const CORRELATION: f32 = 0.4;
/// A channel that never moved in the baseline is still allowed this share of its value.
const RESOLUTION: f64 = 1e-3;
/// One channel cannot be odder than this many tolerances.
const MOST: f32 = 30.0;
/// Distance of an alarm: fourth root of the sum of fourth powers of the channels' deviations.
const LIMIT: f32 = 5.9;
/// An alarm is over below this share of the limit ...
const OVER: f32 = 0.8;
/// ... or when it has become the usual state, after so many rows.
const GIVEN_UP: u32 = 20_000;

/// What a group has to say of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// 1.0 and above: something is odd. Stays there until it is over.
    pub score: f64,
    /// The channel that is furthest off, by its place in the row.
    pub channel: usize,
}

/// What is known of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    channels: u8,
    rows: u32,
    /// Rows since the present alarm began; 0: no alarm.
    alarm: u32,
    /// The first row. All else is relative to it, so that small changes of large values are not rounded away.
    first: [f64; CHANNELS],
    members: [Member; CHANNELS],
    /// First the sums of products of the averages, then the Cholesky factor of their correlation. Lower triangle.
    matrix: [[f32; CHANNELS]; CHANNELS],
}

/// One channel's part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Member {
    /// Moving average.
    now: f32,
    /// Baseline: mean and sum of squared deviations of the readings ...
    mean: f32,
    squares: f32,
    /// ... mean of the moving average, later the level that deviations are from ...
    level: f32,
    /// ... its variance, later that plus what the sensor's resolution makes ...
    variance: f32,
    /// ... sum of readings in this stretch, mean of the last one, sum of squared differences, later how the channel wanders.
    stretch: f32,
    before: f32,
    wander: f32,
}

impl Group {
    /// Knows nothing yet. Of more than [`CHANNELS`] channels the first ones are watched; the configuration refuses more.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self {
            channels: channels.min(CHANNELS) as u8,
            rows: 0,
            alarm: 0,
            first: [0.0; CHANNELS],
            members: [Member::default(); CHANNELS],
            matrix: [[0.0; CHANNELS]; CHANNELS],
        }
    }

    /// Takes a row of finite values, one of each channel; others are not taken. `None` until the baseline is complete.
    pub fn push(&mut self, row: &[f64]) -> Option<Finding> {
        let row = row.get(..usize::from(self.channels))?;
        if row.is_empty() || !row.iter().all(|value| value.is_finite()) {
            return None;
        }
        self.take(row);
        self.rows = self.rows.saturating_add(1);
        if self.rows < BASELINE {
            self.learn();
            return None;
        }
        if self.rows == BASELINE {
            self.learn();
            self.conclude();
            return None;
        }
        Some(self.judge())
    }

    /// The state in which the machine is now becomes the baseline's level.
    pub fn accept(&mut self) {
        for member in self.members() {
            member.level = member.now;
        }
        self.alarm = 0;
    }

    fn members(&mut self) -> &mut [Member] {
        &mut self.members[..usize::from(self.channels)]
    }

    fn take(&mut self, row: &[f64]) {
        if self.rows == 0 {
            self.first[..row.len()].copy_from_slice(row);
        }
        let rows = self.rows;
        for ((member, value), first) in self.members.iter_mut().zip(row).zip(self.first) {
            let value = (value - first).clamp(-1e15, 1e15) as f32;
            member.now += (value - member.now) * (1.0 / (rows as f32 + 1.0)).max(RATE);
            if rows < BASELINE {
                member.learn(value, rows);
            }
        }
    }

    /// The moving averages' means and products, once they have settled.
    fn learn(&mut self) {
        let Some(seen) = self.rows.checked_sub(SETTLED + 1) else { return };
        let share = 1.0 / (seen as f32 + 1.0);
        let off: [f32; CHANNELS] = core::array::from_fn(|k| self.members[k].now - self.members[k].level);
        for member in self.members() {
            member.level += (member.now - member.level) * share;
        }
        for (i, row) in self.matrix.iter_mut().enumerate() {
            for (j, product) in row.iter_mut().enumerate().take(i + 1) {
                *product += off[i] * (self.members[j].now - self.members[j].level);
            }
        }
    }

    /// The baseline is complete: tolerances and correlations.
    fn conclude(&mut self) {
        let seen = (BASELINE - SETTLED) as f32;
        let sigma: [f32; CHANNELS] = core::array::from_fn(|k| libm::sqrtf(self.matrix[k][k].max(0.0)));
        for (i, row) in self.matrix.iter_mut().enumerate() {
            for (j, product) in row.iter_mut().enumerate().take(i) {
                let scale = sigma[i] * sigma[j];
                *product = if scale > 0.0 { CORRELATION * (*product / scale).clamp(-1.0, 1.0) } else { 0.0 };
            }
            row[i] = 1.0;
        }
        cholesky(&mut self.matrix);
        for ((member, first), sigma) in self.members.iter_mut().zip(self.first).zip(sigma) {
            member.conclude(first, sigma * sigma / seen);
        }
    }

    fn judge(&mut self) -> Finding {
        let stretches = (self.rows - BASELINE / 2).min(LONGEST) as f32 / STRETCH as f32;
        let mut deviations: [f32; CHANNELS] = core::array::from_fn(|k| self.members[k].deviation(stretches));
        let channel = furthest(&deviations);
        solve(&self.matrix, &mut deviations);
        let fourth = |d: f32| (d * d).min(MOST * MOST) * (d * d).min(MOST * MOST);
        let score = libm::sqrtf(libm::sqrtf(deviations.into_iter().map(fourth).sum())) / LIMIT;
        if score < CALM {
            for member in self.members() {
                member.level += (member.now - member.level) * FOLLOW;
            }
        }
        Finding { score: f64::from(self.hold(score)), channel }
    }

    /// An alarm holds until it is over, or given up as the new normal.
    fn hold(&mut self, score: f32) -> f32 {
        let holds = score >= 1.0 || (self.alarm > 0 && score >= OVER);
        self.alarm = if holds { self.alarm + 1 } else { 0 };
        if self.alarm > GIVEN_UP {
            self.accept();
        }
        // Above 1.0 as far as it is from being over.
        if holds { score / OVER } else { score }
    }
}

impl Member {
    fn learn(&mut self, value: f32, rows: u32) {
        let before = value - self.mean;
        self.mean += before / (rows as f32 + 1.0);
        self.squares += before * (value - self.mean);
        self.stretch += value;
        if (rows + 1).is_multiple_of(STRETCH) {
            let mean = self.stretch / STRETCH as f32;
            if rows >= STRETCH {
                self.wander += (mean - self.before) * (mean - self.before);
            }
            self.before = mean;
            self.stretch = 0.0;
        }
    }

    fn conclude(&mut self, first: f64, variance: f32) {
        let noise = 2.0 * self.squares / BASELINE as f32 / STRETCH as f32;
        let steps = (BASELINE / STRETCH - 1) as f32;
        let resolution = (RESOLUTION * (first + f64::from(self.mean))) as f32;
        self.level = self.mean;
        self.variance = variance + resolution * resolution;
        self.wander = (self.wander / steps - noise).max(0.0);
    }

    /// In tolerances.
    fn deviation(&self, stretches: f32) -> f32 {
        let tolerance = self.variance + WANDER * self.wander * stretches;
        let deviation = (self.now - self.level) / (libm::sqrtf(tolerance) + f32::MIN_POSITIVE);
        deviation.clamp(-MOST, MOST)
    }
}

fn furthest(deviations: &[f32]) -> usize {
    let larger = |best: (usize, f32), (k, d): (usize, &f32)| if d.abs() > best.1 { (k, d.abs()) } else { best };
    deviations.iter().enumerate().fold((0, 0.0), larger).0
}

/// The lower factor of a symmetric matrix with ones on its diagonal and small other entries, which makes it positive definite
/// enough; what rounding leaves negative is taken as tiny. In place.
fn cholesky(a: &mut [[f32; CHANNELS]; CHANNELS]) {
    for i in 0..CHANNELS {
        for j in 0..=i {
            let dot: f32 = (0..j).map(|k| a[i][k] * a[j][k]).sum();
            let rest = a[i][j] - dot;
            a[i][j] = if i == j { libm::sqrtf(rest.max(1e-6)) } else { rest / a[j][j] };
        }
    }
}

/// Solves `factor * x = b` in place.
fn solve(factor: &[[f32; CHANNELS]; CHANNELS], b: &mut [f32; CHANNELS]) {
    for i in 0..CHANNELS {
        let dot: f32 = (0..i).map(|k| factor[i][k] * b[k]).sum();
        b[i] = (b[i] - dot) / factor[i][i];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Noise that repeats: uniform in -1..1.
    fn noise(n: u64) -> f64 {
        let z = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// A pump: flow and current follow the load, the bearing warms up slowly.
    fn pump(row: u64) -> [f64; 4] {
        let load = 4.0 * noise(row * 7 + 1);
        let warm = 32.0 - 2.0 * libm::exp(row as f64 / -600.0) + 0.05 * noise(row * 7 + 2);
        [100.0 + load + 0.2 * noise(row * 7 + 3), 5.0 + load / 10.0 + 0.02 * noise(row * 7 + 4), warm, 1.0]
    }

    fn scores(rows: u64, wrong: impl Fn(u64, &mut [f64; 4])) -> std::vec::Vec<Option<Finding>> {
        let mut group = Group::new(4);
        (0..rows)
            .map(|n| {
                let mut row = pump(n);
                wrong(n, &mut row);
                group.push(&row)
            })
            .collect()
    }

    #[test]
    fn says_nothing_before_the_baseline_is_complete() {
        let all = scores(500, |_, _| {});
        assert!(all[..BASELINE as usize].iter().all(Option::is_none));
        assert!(all[BASELINE as usize..].iter().all(Option::is_some));
    }

    #[test]
    fn a_running_machine_is_normal() {
        assert!(scores(6_000, |_, _| {}).into_iter().flatten().all(|f| f.score < 1.0));
    }

    #[test]
    fn a_change_is_found_and_over_when_it_is_over() {
        let all = scores(1_500, |n, row| row[0] -= if (800..1_100).contains(&n) { 5.0 } else { 0.0 });
        let odd: std::vec::Vec<_> = (0..1_500).filter(|n| all[*n].is_some_and(|f| f.score >= 1.0)).collect();
        let (first, last) = (odd[0], odd[odd.len() - 1]);
        assert!((800..840).contains(&first) && (1_100..1_200).contains(&last), "{first} to {last}");
        assert_eq!(all[1_000].unwrap().channel, 0);
    }

    #[test]
    fn channels_that_always_agree_are_odd_when_they_part() {
        let apart = scores(1_000, |n, row| row[1] += if n < 800 { 0.0 } else { 0.35 });
        let together = scores(1_000, |n, row| {
            row[0] += if n < 800 { 0.0 } else { 3.5 };
            row[1] += if n < 800 { 0.0 } else { 0.35 };
        });
        let most = |all: &[Option<Finding>]| all.iter().flatten().map(|f| f.score).fold(0.0, f64::max);
        assert!(most(&apart) > 0.9 * most(&together), "{} {}", most(&apart), most(&together));
    }

    #[test]
    fn a_channel_that_never_moved_is_odd_when_it_does() {
        let all = scores(1_000, |n, row| row[3] = if n < 800 { 1.0 } else { 1.1 });
        assert!(all[..800].iter().flatten().all(|f| f.score < 1.0));
        assert!(all[850].unwrap().score >= 1.0);
    }

    #[test]
    fn a_new_normal_can_be_accepted() {
        let mut group = Group::new(4);
        for n in 0..2_000 {
            let mut row = pump(n);
            row[0] += if n < 800 { 0.0 } else { 20.0 };
            let finding = group.push(&row);
            if n == 1_000 {
                assert!(finding.unwrap().score >= 1.0);
                group.accept();
            }
            if n > 1_000 {
                assert!(finding.unwrap().score < 1.0);
            }
        }
    }

    #[test]
    fn state_is_small() {
        assert!(size_of::<Group>() <= 1_700, "{} bytes", size_of::<Group>());
    }

    proptest! {
        /// Any bits: no panic, scores are numbers.
        #[test]
        fn takes_anything(rows in prop::collection::vec(prop::array::uniform3(any::<u64>()), 0..900), channels in 0_usize..20) {
            let mut group = Group::new(channels);
            for row in rows {
                if let Some(finding) = group.push(&row.map(f64::from_bits)) {
                    prop_assert!(finding.score.is_finite());
                }
            }
        }

        /// Plausible rows of any size.
        #[test]
        fn scores_are_numbers(scale in -18_i32..16, jump in -18_i32..16) {
            let mut group = Group::new(4);
            for n in 0..600 {
                let by = libm::pow(10.0, f64::from(if n < 500 { scale } else { jump }));
                if let Some(finding) = group.push(&pump(n).map(|value| value * by)) {
                    prop_assert!(finding.score.is_finite());
                }
            }
        }
    }
}
