//! Runs a series through the filter and compares what a receiver rebuilds with what was read.

use crate::lower_bound::lower_bound;
use crate::series::Series;
use std::fmt;
use weir_filters::summarise::Pane;
use weir_filters::{Bulk, Gauge, Output, Reading, Sample, Settings};

/// What was measured, of one series or of many.
#[derive(Default)]
pub(crate) struct Measured {
    series: usize,
    readings: usize,
    samples: usize,
    context: usize,
    summaries: usize,
    events: usize,
    lowest: usize,
    /// Shares of the range, summed over the series.
    p99: f64,
    largest: f64,
    noise: f64,
    /// Series whose 99th percentile of the error is at most the larger of 2 % of the range and 3 sigma of the noise.
    faithful: usize,
}

impl Measured {
    pub(crate) fn add(&mut self, one: &Self) {
        self.series += one.series;
        self.readings += one.readings;
        self.samples += one.samples;
        self.context += one.context;
        self.summaries += one.summaries;
        self.events += one.events;
        self.lowest += one.lowest;
        self.p99 += one.p99;
        self.largest = self.largest.max(one.largest);
        self.noise += one.noise;
        self.faithful += one.faithful;
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |part: usize| 100.0 * part as f64 / self.readings as f64;
        let mean = |sum: f64| 100.0 * sum / self.series as f64;
        write!(
            f,
            "{} readings: {:.2} % sent, {:.2} % context, {:.2} % summaries, {} events; error p99 {:.2} % (largest {:.2} %) \
             of range, noise {:.2} %, {}/{} faithful",
            self.readings,
            of(self.samples),
            of(self.context),
            of(self.summaries),
            self.events,
            mean(self.p99),
            100.0 * self.largest,
            mean(self.noise),
            self.faithful,
            self.series,
        )?;
        if self.lowest > 0 {
            write!(f, "; {:.3} x the lower bound of {}", self.samples as f64 / self.lowest as f64, self.lowest)?;
        }
        Ok(())
    }
}

/// Runs one series; `bound` is the share of the range to compare with the lower bound.
pub(crate) fn measure(series: &Series, settings: &Settings, bound: Option<f64>) -> Measured {
    let mut gauge = Gauge::default();
    let mut context = vec![Reading::default(); settings.context_len()];
    let mut panes = vec![Pane::default(); settings.panes_len()];
    let mut samples: Vec<Sample> = Vec::new();
    let mut measured = Measured { series: 1, readings: series.readings.len(), ..Measured::default() };
    let mut out = |output| match output {
        Output::Sample(sample) if sample.event.is_some() => measured.context += 1,
        Output::Sample(sample) => samples.push(sample),
        Output::Summary(_) => measured.summaries += 1,
        Output::Event(_) => measured.events += 1,
        _ => {}
    };
    for &reading in &series.readings {
        gauge.push(settings, Bulk { context: &mut context, panes: &mut panes }, reading, &mut out);
    }
    gauge.finish(settings, Bulk { context: &mut context, panes: &mut panes }, &mut out);
    measured.samples = samples.len();
    let range = series.range().max(f64::MIN_POSITIVE);
    let mut errors: Vec<f64> = errors(&series.readings, &samples).collect();
    errors.sort_unstable_by(f64::total_cmp);
    measured.p99 = errors[errors.len() * 99 / 100] / range;
    measured.largest = errors[errors.len() - 1] / range;
    measured.noise = noise(&series.readings) / range;
    measured.faithful = usize::from(measured.p99 <= f64::max(0.02, 3.0 * measured.noise) * (1.0 + 1e-9));
    measured.lowest = bound.map_or(0, |share| lower_bound(&series.readings, share * range));
    measured
}

/// How far each reading is from the line between the samples around it.
fn errors<'a>(readings: &'a [Reading], samples: &'a [Sample]) -> impl Iterator<Item = f64> + 'a {
    let mut next = 0;
    readings.iter().map(move |reading| {
        while next < samples.len() && samples[next].at < reading.at {
            next += 1;
        }
        let (a, b) = (&samples[next.max(1) - 1], &samples[next.min(samples.len() - 1)]);
        let slope = if b.at > a.at { (b.value - a.value) / (b.at - a.at) as f64 } else { 0.0 };
        let rebuilt = if reading.at == b.at { b.value } else { a.value + slope * (reading.at - a.at) as f64 };
        (rebuilt - reading.value).abs()
    })
}

/// Standard deviation of the noise: median absolute second difference, scaled as for normal noise.
fn noise(readings: &[Reading]) -> f64 {
    let mut differences: Vec<f64> =
        readings.windows(3).map(|w| (w[2].value - 2.0 * w[1].value + w[0].value).abs()).collect();
    differences.sort_unstable_by(f64::total_cmp);
    differences.get(differences.len() / 2).map_or(0.0, |median| median * 1.4826 / 6f64.sqrt())
}
