//! The keys of one `filter` table, each absent or read; tables lie over each other key by key.

use crate::section::{Section, Span, did_you_mean, one_of};
use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;
use weir_filters::clean;
use weir_filters::detect::{ALARMS, Alarm, DETECTORS, Detector, Side};
use weir_filters::report::{Bound, Method};
use weir_filters::summarise::{Aggregate, Aggregates, WINDOWS, Window};
use weir_filters::{Nanos, clean::Settings as Clean};

/// What one table says; `None`: nothing about it.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Keys {
    /// Where the table stands; empty for none.
    pub(super) place: Range<usize>,
    pub(super) valid: Option<(f64, f64)>,
    pub(super) span: Option<(f64, f64)>,
    pub(super) noise: Option<f64>,
    /// `Some(None)`: switched off.
    pub(super) stuck: Option<Option<Nanos>>,
    pub(super) stale: Option<Nanos>,
    pub(super) rate: Option<f64>,
    pub(super) auto: Option<bool>,
    pub(super) detectors: Option<heapless::Vec<Detector, DETECTORS>>,
    pub(super) alarms: Option<heapless::Vec<Alarm, ALARMS>>,
    pub(super) clean: Option<Clean>,
    pub(super) method: Option<Method>,
    /// `Some(None)`: switched off.
    pub(super) heartbeat: Option<Option<Nanos>>,
    pub(super) windows: Option<heapless::Vec<Window, WINDOWS>>,
    pub(super) grace: Option<Nanos>,
    pub(super) aggregates: Option<Aggregates>,
    pub(super) context: Option<u16>,
    pub(super) bits: Option<u8>,
    pub(super) debounce: Option<Nanos>,
    pub(super) scale: Option<f64>,
    pub(super) offset: Option<f64>,
}

/// The largest context ring: what a minute of 50 Hz needs.
const LARGEST_CONTEXT: u16 = 3000;

impl Keys {
    /// This table with `over` on top.
    pub(super) fn overlaid(self, over: &Self) -> Self {
        let over = over.clone();
        Self {
            place: over.place,
            valid: over.valid.or(self.valid),
            span: over.span.or(self.span),
            noise: over.noise.or(self.noise),
            stuck: over.stuck.or(self.stuck),
            stale: over.stale.or(self.stale),
            rate: over.rate.or(self.rate),
            auto: over.auto.or(self.auto),
            detectors: over.detectors.or(self.detectors),
            alarms: over.alarms.or(self.alarms),
            clean: over.clean.or(self.clean),
            method: over.method.or(self.method),
            heartbeat: over.heartbeat.or(self.heartbeat),
            windows: over.windows.or(self.windows),
            grace: over.grace.or(self.grace),
            aggregates: over.aggregates.or(self.aggregates),
            context: over.context.or(self.context),
            bits: over.bits.or(self.bits),
            debounce: over.debounce.or(self.debounce),
            scale: over.scale.or(self.scale),
            offset: over.offset.or(self.offset),
        }
    }

    /// Reads a `filter` table.
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        self.valid = take_range(section, "valid");
        self.span = take_range(section, "span");
        self.noise = section.take_checked("noise", "must not be negative", |n: &f64| *n >= 0.0);
        self.stuck = take_switch(section, "stuck");
        self.stale = take_span(section, "stale");
        self.rate = section.take_checked("rate", "must be above 0, in units per second", |r: &f64| *r > 0.0);
        self.read_detect(section);
        self.clean = take_clean(section);
        self.read_report(section);
        self.windows = take_windows(section);
        self.grace = take_span(section, "grace");
        self.aggregates = take_aggregates(section);
        let context_rule = format!("at most {LARGEST_CONTEXT} readings");
        self.context = section.take_checked("context", &context_rule, |n: &u16| *n <= LARGEST_CONTEXT);
        self.bits = section.take_checked("bits", "must be between 8 and 64", |b: &u8| (8..=64).contains(b));
        self.debounce = take_span(section, "debounce");
    }

    /// Reads what a channel's own table may say beside its `filter`.
    pub(super) fn read_channel(&mut self, section: &mut Section<'_, '_>) {
        self.scale = section.take_checked("scale", "must not be 0", |s: &f64| *s != 0.0 && s.is_finite());
        self.offset = section.take_checked("offset", "must be a number", |o: &f64| o.is_finite());
        if let Some(mut alarm) = section.take_section("alarm") {
            self.alarms = read_alarm(&mut alarm);
            alarm.finish();
        }
    }

    pub(super) fn first_width(&self) -> Option<Nanos> {
        self.windows.iter().flatten().find_map(|window| match window {
            Window::Tumbling { width } | Window::Hopping { width, .. } => Some(*width),
            _ => None,
        })
    }

    fn read_detect(&mut self, section: &mut Section<'_, '_>) {
        let Some(list) = section.take_spanned::<Vec<Detect>>("detect") else { return };
        let auto = list.get_ref().iter().any(|d| matches!(d, Detect::Auto));
        let tuned = list.get_ref().iter().filter_map(|d| match *d {
            Detect::Auto => None,
            Detect::Zscore(sigma) => Some(Detector::ZScore { sigma }),
            Detect::Rate(limit) => Some(Detector::Rate { limit }),
            Detect::Cusum { slack, limit } => Some(Detector::Cusum { slack, limit }),
        });
        self.detectors = fitted(section, "detect", list.span(), tuned, "besides \"auto\"");
        self.auto = Some(auto);
    }

    fn read_report(&mut self, section: &mut Section<'_, '_>) {
        if !section.is_table("report") {
            self.method = section.take_word("report", &[("every", Method::Every), ("none", Method::None)]);
            return;
        }
        let Some(mut report) = section.take_section("report") else { return };
        self.heartbeat = take_switch(&mut report, "heartbeat");
        type Make = fn(Bound) -> Method;
        let methods: [(&'static str, Make); 3] =
            [("funnel", Method::Funnel), ("swinging_door", Method::SwingingDoor), ("deadband", Method::Deadband)];
        for (key, method) in methods {
            let Some(bound) = report.take_spanned::<BoundKey>(key) else { continue };
            if self.method.is_some() {
                report.report(bound.span(), "two ways to report", "choose one", None);
            }
            self.method = Some(method(bound.get_ref().0));
        }
        report.finish();
    }
}

/// Tumbling windows of these widths; more than fit are left out.
pub(super) fn windows_of<const N: usize>(widths: [Nanos; N]) -> heapless::Vec<Window, WINDOWS> {
    widths.into_iter().take(WINDOWS).map(|width| Window::Tumbling { width }).collect()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Detect {
    Auto,
    Zscore(f64),
    Rate(f64),
    Cusum { slack: f64, limit: f64 },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum CleanKey {
    None,
    Hampel { window: u8, sigma: f64 },
    Median(u8),
    Ema(f64),
}

/// A window: `"1m"`, or a table with one of the other forms.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a window: \"1m\", { hop = \"10s\", width = \"1m\" }, { session = \"30s\" } or { count = 100 }"
)]
enum WindowKey {
    Tumbling(Span),
    Hopping { hop: Span, width: Span },
    Session { session: Span },
    Count { count: u32 },
}

/// `0.1` in the channel's unit, `"1%"` of its span, or `"auto"`.
#[derive(Debug)]
struct BoundKey(Bound);

impl<'de> Deserialize<'de> for BoundKey {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const FORMS: &str = "a bound: a number in the channel's unit, a share of its span such as \"1%\", or \"auto\"";
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a bound: a number in the channel's unit, a share of its span such as \"1%\", or \"auto\""
        )]
        enum Form {
            Number(f64),
            Text(String),
        }
        let bound = match Form::deserialize(from)? {
            Form::Number(bound) => Bound::Absolute(bound),
            Form::Text(text) if text == "auto" => Bound::default(),
            Form::Text(text) => {
                let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
                Bound::Share(percent.ok_or_else(|| serde::de::Error::custom(format!("expected {FORMS}")))? / 100.0)
            }
        };
        Ok(Self(bound))
    }
}

impl Span {
    /// As the filters count time.
    pub(crate) fn nanos(self) -> Nanos {
        Nanos::try_from(self.0.as_nanos()).unwrap_or(Nanos::MAX)
    }
}

fn take_span(section: &mut Section<'_, '_>, key: &'static str) -> Option<Nanos> {
    section.take::<Span>(key).map(Span::nanos)
}

/// A duration, or `"off"`.
fn take_switch(section: &mut Section<'_, '_>, key: &'static str) -> Option<Option<Nanos>> {
    let text = section.take_spanned::<String>(key)?;
    if text.get_ref() == "off" {
        return Some(None);
    }
    match text.get_ref().parse::<Span>() {
        Ok(span) => Some(Some(span.nanos())),
        Err(why) => {
            let message = format!("`{key}` in [{}] cannot be used", section.name());
            section.report(text.span(), message, why, Some("\"off\" switches it off".into()));
            None
        }
    }
}

fn take_range(section: &mut Section<'_, '_>, key: &'static str) -> Option<(f64, f64)> {
    section.take_checked(key, "must be [lowest, highest], the smaller number first", |r: &(f64, f64)| {
        r.0 < r.1 && r.0.is_finite() && r.1.is_finite()
    })
}

fn take_clean(section: &mut Section<'_, '_>) -> Option<Clean> {
    Some(match section.take::<CleanKey>("clean")? {
        CleanKey::None => clean::Settings::None,
        CleanKey::Hampel { window, sigma } => clean::Settings::Hampel { window, sigma },
        CleanKey::Median(window) => clean::Settings::Median { window },
        CleanKey::Ema(share) => clean::Settings::Ema { share },
    })
}

fn take_windows(section: &mut Section<'_, '_>) -> Option<heapless::Vec<Window, WINDOWS>> {
    let list = section.take_spanned::<Vec<WindowKey>>("window")?;
    let windows = list.get_ref().iter().map(|key| match *key {
        WindowKey::Tumbling(width) => Window::Tumbling { width: width.nanos() },
        WindowKey::Hopping { hop, width } => Window::Hopping { hop: hop.nanos(), width: width.nanos() },
        WindowKey::Session { session } => Window::Session { gap: session.nanos() },
        WindowKey::Count { count } => Window::Count { readings: count },
    });
    fitted(section, "window", list.span(), windows, "")
}

/// The items, if they fit into the fixed room that a channel has for them; otherwise that is a problem of the file.
fn fitted<T, const N: usize>(
    section: &Section<'_, '_>,
    key: &str,
    place: Range<usize>,
    items: impl Iterator<Item = T>,
    which: &str,
) -> Option<heapless::Vec<T, N>> {
    let mut fitted = heapless::Vec::new();
    for item in items {
        if fitted.push(item).is_err() {
            let message = format!("too many entries in `{key}` of [{}]", section.name());
            section.report(place, message, format!("at most {N} {which}"), None);
            return None;
        }
    }
    Some(fitted)
}

fn take_aggregates(section: &mut Section<'_, '_>) -> Option<Aggregates> {
    let words = section.take::<Vec<Spanned<String>>>("aggregate")?;
    let names: Vec<_> = Aggregate::ALL.iter().map(|(name, _)| *name).collect();
    let find = |word: &Spanned<String>| {
        let found = Aggregate::ALL.iter().find(|(name, _)| *name == word.get_ref()).map(|(_, aggregate)| *aggregate);
        if found.is_none() {
            let message = format!("there is no aggregate `{}`", word.get_ref());
            section.report(word.span(), message, one_of(&names), did_you_mean(word.get_ref(), &names));
        }
        found
    };
    words.iter().map(find).collect()
}

fn read_alarm(section: &mut Section<'_, '_>) -> Option<heapless::Vec<Alarm, ALARMS>> {
    let hysteresis = section.take_checked("hysteresis", "must not be negative", |h: &f64| *h >= 0.0).unwrap_or(0.0);
    let delay = take_span(section, "delay").unwrap_or(0);
    let mut alarms = heapless::Vec::new();
    for (key, side) in [("high", Side::High), ("low", Side::Low)] {
        if let Some(limit) = section.take::<f64>(key) {
            // Two sides always fit.
            let _ = alarms.push(Alarm { side, limit, hysteresis, delay });
        }
    }
    if alarms.is_empty() {
        let help = Some("write for example alarm = { high = 90, hysteresis = 2, delay = \"5s\" }".to_owned());
        section.report(section.place(), format!("[{}] has neither `high` nor `low`", section.name()), "no limit", help);
    }
    Some(alarms)
}
