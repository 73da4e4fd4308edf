//! The chain as a user sees it: stories of one channel from readings to what leaves.

use weir_filters::detect::{Alarm, Detector, Side};
use weir_filters::report::Method;
use weir_filters::summarise::{Pane, Summary, Window};
use weir_filters::{
    Bulk, Class, Event, Gauge, Interrupt, Nanos, Output, Phase, Quality, Reading, Reason, Sample, Settings, clean,
};

const SECOND: Nanos = 1_000_000_000;

/// A channel read every second that sends every reading, and what left it.
struct Channel {
    settings: Settings,
    gauge: Gauge,
    context: Vec<Reading>,
    panes: Vec<Pane>,
    left: Vec<Output>,
}

impl Channel {
    fn new(settle: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { period: SECOND, ..Settings::default() };
        settings.report.method = Method::Every;
        settle(&mut settings);
        assert_eq!(settings.check(), Ok(()));
        let context = vec![Reading::default(); settings.context_len()];
        let panes = vec![Pane::default(); settings.panes_len()];
        Self { settings, gauge: Gauge::default(), context, panes, left: Vec::new() }
    }

    fn act(&mut self, act: impl FnOnce(&mut Gauge, &Settings, Bulk<'_>, &mut dyn FnMut(Output))) -> &mut Self {
        let bulk = Bulk { context: &mut self.context, panes: &mut self.panes };
        act(&mut self.gauge, &self.settings, bulk, &mut |output| self.left.push(output));
        assert!(self.gauge.counts().balances(), "{:?}", self.gauge.counts());
        self
    }

    /// A reading at this second.
    fn read(&mut self, second: Nanos, value: f64) -> &mut Self {
        self.act(|gauge, settings, bulk, out| gauge.push(settings, bulk, Reading::good(second * SECOND, value), out))
    }

    /// A reading in each of these seconds.
    fn series(&mut self, seconds: std::ops::Range<Nanos>, value: impl Fn(Nanos) -> f64) -> &mut Self {
        seconds.fold(self, |channel, second| channel.read(second, value(second)))
    }

    fn tick(&mut self, second: Nanos) -> &mut Self {
        self.act(|gauge, settings, bulk, out| gauge.tick(settings, bulk, second * SECOND, out))
    }

    fn interrupt(&mut self, why: Interrupt) -> &mut Self {
        self.act(|gauge, settings, bulk, out| gauge.interrupt(settings, bulk, why, out))
    }

    fn finish(&mut self) -> &mut Self {
        self.act(Gauge::finish)
    }

    fn samples(&self) -> Vec<Sample> {
        self.left.iter().filter_map(|o| if let Output::Sample(sample) = o { Some(*sample) } else { None }).collect()
    }

    fn summaries(&self) -> Vec<Summary> {
        self.left.iter().filter_map(|o| if let Output::Summary(summary) = o { Some(*summary) } else { None }).collect()
    }

    fn events(&self) -> Vec<Event> {
        self.left.iter().filter_map(|o| if let Output::Event(event) = o { Some(*event) } else { None }).collect()
    }

    /// Number, phase and second of each event.
    fn phases(&self) -> Vec<(u32, Phase, Nanos)> {
        self.events().iter().map(|event| (event.number, event.phase, event.at / SECOND)).collect()
    }
}

fn minute(settings: &mut Settings) {
    settings.summarise.windows.extend([Window::Tumbling { width: 60 * SECOND }]);
    settings.summarise.grace = 2 * SECOND;
}

#[test]
fn what_cannot_be_is_rejected_and_a_fault_until_it_can() {
    let mut channel = Channel::new(|s| s.valid.range = Some((-40.0, 85.0)));
    channel.read(0, 20.0).read(1, 900.0).read(2, f64::NAN).read(3, 21.0);
    let told: Vec<_> = channel.events().iter().map(|e| (e.number, e.phase, e.reason)).collect();
    assert!(channel.events().iter().all(|event| event.class == Class::Fault && event.value.is_finite()));
    assert_eq!(told[0], (1, Phase::Opened, Reason::OutOfRange(-40.0, 85.0)));
    assert_eq!((told[1].0, told[1].1), (1, Phase::Closed));
    assert_eq!(told[2], (2, Phase::Opened, Reason::NotFinite));
    assert_eq!((told[3].0, told[3].1), (2, Phase::Closed));
    assert_eq!((channel.gauge.counts().invalid, channel.gauge.counts().sent), (2, 2));
}

#[test]
fn a_value_that_stands_still_too_long_is_marked_stuck() {
    let mut channel = Channel::new(|s| s.valid.stuck = Some(80 * SECOND));
    channel.series(0..100, |_| 20.0);
    channel.read(100, 20.1);
    assert_eq!(channel.phases(), [(1, Phase::Opened, 80), (1, Phase::Closed, 100)]);
    let stuck = channel.samples().iter().filter(|sample| sample.quality == Quality::Stuck).count();
    assert_eq!(stuck, 20);
}

#[test]
fn a_leap_faster_than_the_channel_can_is_suspect() {
    let mut channel = Channel::new(|s| s.valid.rate = Some(1.0));
    channel.read(0, 20.0).read(1, 35.0).read(2, 35.5);
    let qualities: Vec<_> = channel.samples().iter().map(|sample| sample.quality).collect();
    assert_eq!(qualities, [Quality::Good, Quality::Suspect, Quality::Good]);
    assert!(channel.samples()[1].gap && channel.samples()[2].gap, "no line leads across a change of quality");
}

#[test]
fn a_silent_sensor_is_a_fault_until_it_speaks() {
    let mut channel = Channel::new(|s| s.valid.stale = Some(10 * SECOND));
    channel.read(0, 20.0).tick(5).tick(11).tick(12).read(13, 20.0);
    assert_eq!(channel.phases(), [(1, Phase::Opened, 11), (1, Phase::Closed, 13)]);
    assert_eq!(channel.events()[0].reason.to_string(), "no reading for 11.0 s");
}

#[test]
fn an_alarm_waits_for_its_delay_and_ends_beyond_its_hysteresis() {
    let alarm = Alarm { side: Side::High, limit: 90.0, hysteresis: 2.0, delay: 3 * SECOND };
    let mut channel = Channel::new(|s| s.detect.alarms.extend([alarm]));
    let values = [80.0, 91.0, 89.0, 91.0, 92.0, 93.0, 94.0, 89.0, 88.5, 88.0, 91.0];
    channel.series(0..11, |n| values[n as usize]);
    assert_eq!(channel.phases(), [(1, Phase::Opened, 6), (1, Phase::Closed, 9)]);
    assert!(channel.events().iter().all(|event| event.class == Class::Alarm));
    assert_eq!(channel.events()[0].reason.to_string(), "above the limit of 90");
}

#[test]
fn an_event_brings_the_readings_from_before_and_after_it_once() {
    let alarm = |limit| Alarm { side: Side::High, limit, hysteresis: 1.0, delay: 0 };
    let mut channel = Channel::new(|s| {
        s.detect.alarms.extend([alarm(50.0), alarm(60.0)]);
        s.report.method = Method::Funnel(Default::default());
        s.context = 3;
    });
    channel.series(0..10, |n| n as f64);
    channel.read(10, 55.0).read(11, 65.0);
    channel.series(12..20, |_| 5.0);
    let context: Vec<_> =
        channel.samples().iter().filter_map(|s| s.event.map(|event| (event, s.at / SECOND))).collect();
    assert_eq!(context, [(1, 8), (1, 9), (1, 10), (1, 11), (2, 12), (2, 13), (2, 14)]);
    assert_eq!(channel.gauge.counts().context, 7);
}

#[test]
fn a_spike_is_an_anomaly_by_its_z_score() {
    let mut channel = Channel::new(|s| s.detect.detectors.extend([Detector::ZScore { sigma: 6.0 }]));
    let wave = |n: i64| f64::from((n * 37 % 11) as i32 - 5) / 5.0;
    channel.series(0..200, |n| wave(n) + if n == 100 { 30.0 } else { 0.0 });
    assert_eq!(channel.phases(), [(1, Phase::Opened, 100), (1, Phase::Closed, 160)]);
    assert!(channel.events()[0].score > 2.0);
}

#[test]
fn a_slow_drift_is_an_anomaly_by_its_cusum() {
    let mut channel = Channel::new(|s| s.detect.detectors.extend([Detector::Cusum { slack: 0.5, limit: 12.0 }]));
    let wave = |n: i64| f64::from((n * 37 % 11) as i32 - 5) / 5.0;
    channel.series(0..1000, |n| wave(n) + (n - 500).max(0) as f64 / 100.0);
    let opened = channel.events()[0];
    assert!((500 * SECOND..700 * SECOND).contains(&opened.at), "{opened:?}");
    assert!(matches!(opened.reason, Reason::Drifted(_)));
}

#[test]
fn hampel_takes_out_a_spike_and_lets_a_step_through_unchanged() {
    let mut channel = Channel::new(|s| s.clean = clean::Settings::Hampel { window: 7, sigma: 5.0 });
    let value = |n: i64| match n {
        10 => 500.0,
        20.. => 50.0 + (n % 2) as f64,
        _ => 20.0 + (n % 2) as f64,
    };
    channel.series(0..40, value);
    assert_eq!(channel.gauge.counts().held, 3);
    channel.finish();
    let spoilt: Vec<_> = (0..40).filter(|&n| channel.samples()[n as usize].value != value(n)).collect();
    assert_eq!(spoilt, [10]);
    assert_eq!(channel.samples()[10].at, 10 * SECOND);
}

#[test]
fn windows_close_on_time_and_wait_for_those_out_of_order() {
    let mut channel = Channel::new(minute);
    channel.series(0..60, |n| n as f64);
    channel.read(61, 61.0).read(59, 1000.0);
    assert!(channel.summaries().is_empty(), "the grace is not over");
    channel.tick(62);
    channel.read(58, 2000.0);
    let window = channel.summaries()[0];
    assert_eq!((window.start, window.width, window.count, window.expected), (0, 60 * SECOND, 61, 60));
    assert_eq!((window.min, window.max, window.first.value), (0.0, 1000.0, 0.0));
    assert_eq!((channel.gauge.counts().late, channel.gauge.counts().represented), (1, 1));
}

#[test]
fn the_mean_over_time_does_not_care_how_often_it_was_read() {
    let mut channel = Channel::new(|s| {
        minute(s);
        s.period = 0;
    });
    channel.series(0..30, |n| n as f64);
    channel.read(40, 40.0).read(50, 50.0).read(70, 70.0).tick(130);
    let window = channel.summaries()[0];
    assert!((window.time_mean() - 30.0).abs() < 1e-12 && window.mean < 20.0, "{window:?}");
    assert_eq!(window.covered, 60 * SECOND);
    assert_eq!((window.delta(), window.rate()), (50.0, 1.0));
}

#[test]
fn a_hopping_window_sees_every_reading_of_its_width() {
    let hops = Window::Hopping { hop: 10 * SECOND, width: 30 * SECOND };
    let mut channel = Channel::new(|s| s.summarise.windows.extend([hops]));
    channel.series(0..100, |n| n as f64);
    let whole: Vec<_> =
        channel.summaries().iter().filter(|w| w.start >= 0).map(|w| (w.start / SECOND, w.count, w.sum)).collect();
    let sum = |from: i64| (from..from + 30).sum::<i64>() as f64;
    assert_eq!(whole, (0..=6).map(|n| (n * 10, 30, sum(n * 10))).collect::<Vec<_>>());
}

#[test]
fn sessions_end_with_silence_and_counts_with_their_number() {
    let windows = [Window::Session { gap: 5 * SECOND }, Window::Count { readings: 4 }];
    let mut channel = Channel::new(|s| s.summarise.windows.extend(windows));
    channel.series(0..8, |_| 1.0);
    channel.tick(12).tick(13).read(20, 1.0);
    let closed: Vec<_> = channel.summaries().iter().map(|w| (w.start / SECOND, w.width / SECOND, w.count)).collect();
    assert_eq!(closed, [(0, 3, 4), (4, 3, 4), (0, 7, 8)]);
}

#[test]
fn a_break_cuts_windows_and_no_line_leads_across_it() {
    let mut channel = Channel::new(minute);
    channel.read(0, 1.0).read(1, 2.0).interrupt(Interrupt::ClockStep).read(-3600, 5.0).finish();
    let windows: Vec<_> = channel.summaries().iter().map(|w| (w.start / SECOND, w.count, w.partial)).collect();
    assert_eq!(windows, [(0, 2, true), (-3600, 1, true)]);
    assert_eq!(channel.samples().iter().map(|s| s.gap).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(channel.gauge.counts().late, 0, "after a clock step time may go on anywhere");
}

#[test]
fn the_flicker_of_a_coarse_sensor_is_not_worth_sending() {
    let mut channel = Channel::new(|s| s.report.method = Method::default());
    channel.series(0..40, |n| (20 + n % 20) as f64);
    let before = channel.gauge.counts().sent;
    channel.series(40..1040, |n| if n * 7919 % 10 < 3 { 31.0 } else { 30.0 }).finish();
    assert!(channel.gauge.counts().sent - before < 10, "{:?}", channel.gauge.counts());
}

#[test]
fn a_switching_gauge_keeps_every_edge() {
    let mut channel = Channel::new(|s| s.report.method = Method::default());
    channel.series(0..1000, |n| if n / 50 % 2 == 0 { 20.0 } else { 80.0 }).finish();
    let bound = channel.samples().iter().map(|sample| sample.bound).fold(0.0, f64::max);
    assert!(bound < 2.0, "{bound}");
}
