//! The configuration file: one TOML file, readable by a plant technician.
//!
//! Only the root table is read here: which parts there are and in which order they are asked. Every part takes its own
//! keys out of its own [`Section`], next to its code.

mod report;

pub use report::Report;

use crate::identity::{Gateway, Labels};
use crate::record::{Channel, GATEWAY};
use crate::registry::{Known, Sensor};
use crate::section::{NAME_RULE, Problems, Section, Span, is_name};
use crate::{buffer, filter, forward, source};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeTable;

/// More than any gateway needs; a larger file is a mistake.
const LARGEST_FILE: u64 = 4 << 20;

/// Everything that was configured, checked, nothing opened yet.
pub struct Config {
    /// Who this gateway is.
    pub gateway: Gateway,
    /// The sensors, in file order; their index is that of the registry.
    pub sensors: Vec<Sensor>,
    /// Buses and sources, one for each sensor.
    pub sources: source::Plan,
    /// What each channel's readings go through.
    pub filters: filter::Rules,
    /// The durable log.
    pub buffer: buffer::Config,
    /// The destinations.
    pub sinks: Vec<forward::Route>,
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, Report> {
        let size = std::fs::metadata(path).map_err(|e| Report::unreadable(path, &e))?.len();
        if size > LARGEST_FILE {
            return Err(Report::too_large(path, size));
        }
        let text = std::fs::read_to_string(path).map_err(|e| Report::unreadable(path, &e))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Checks a configuration; `name` is how messages call it. Finds as many problems as it can in one go.
    pub fn parse(text: &str, name: &str) -> Result<Self, Report> {
        let problems = Problems::default();
        let (table, syntax) = DeTable::parse_recoverable(text);
        for error in &syntax {
            problems.report(error.span().unwrap_or(0..0), "this is not TOML", error.message(), None);
        }
        let config =
            if syntax.is_empty() { read_root(Section::new("", 0..0, table.into_inner(), &problems)) } else { None };
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Report::new(name, text, problems)),
        }
    }
}

fn read_root(mut root: Section<'_, '_>) -> Option<Config> {
    let gateway = Gateway::read(&mut root);
    let labels = gateway.as_ref().map(|g| g.labels.clone()).unwrap_or_default();
    let mut filters = filter::Rules::read(root.take_section("filter"));
    let buffer = buffer::Config::read(root.take_section("buffer"));
    let buses = root.take_named("bus");
    let sections = root.take_named("sensor");
    let mut sensors = Vec::with_capacity(sections.len());
    let mut drafts = Vec::with_capacity(sections.len());
    for section in sections {
        let (sensor, draft) = read_sensor(section, &labels, &mut filters);
        sensors.push(sensor);
        drafts.push(draft);
    }
    let sources = source::Plan::read(buses, drafts);
    check_filters(&root, &filters, &sensors, &sources);
    let sinks =
        root.take_named("sink").into_iter().filter_map(|s| forward::Route::read(s, gateway.as_ref()?)).collect();
    root.finish();
    Some(Config { gateway: gateway?, sensors, sources, filters, buffer, sinks })
}

/// Contradictions between what the file says of a channel and what its driver knows of it.
fn check_filters(root: &Section<'_, '_>, filters: &filter::Rules, sensors: &[Sensor], sources: &source::Plan) {
    for (index, declared) in sources.channels() {
        let Some(sensor) = sensors.get(index.0 as usize) else { continue };
        let channel = Channel { sensor: sensor.name.clone(), name: declared.name.clone(), ..Channel::default() };
        let known = Known { channel: Arc::new(channel), sensor: index, declared };
        if let Err((place, why)) = filters.check(&known, sensor) {
            root.report(place, format!("the filters of {} cannot work", known.channel), why, None);
        }
    }
}

/// The keys that every sensor has; the rest is its driver's.
fn read_sensor<'p, 'i>(
    mut section: Section<'p, 'i>,
    labels: &Labels,
    filters: &mut filter::Rules,
) -> (Sensor, source::Draft<'p, 'i>) {
    check_name(&section);
    let name: Box<str> = section.key().into();
    let driver = section.require("driver", "\"bme280\"");
    let every =
        section.take_checked("every", "must be at least 1ms", |s: &Span| s.0 >= Duration::from_millis(1)).map(|s| s.0);
    let mut all = labels.clone();
    all.extend(section.take::<Labels>("labels").unwrap_or_default());
    let bus = section.take_spanned("bus");
    filters.read_sensor(&name, &mut section);
    let mut channels = section.take_named("channel");
    for channel in &mut channels {
        filters.read_channel(&name, channel);
    }
    let sensor = Sensor { name, every, labels: all };
    (sensor, source::Draft { section, driver, bus, every, channels })
}

/// Names become topics, keys and file names.
fn check_name(section: &Section<'_, '_>) {
    let name = section.key();
    if name == GATEWAY {
        section.report(
            section.place(),
            format!("[{}]: the name `{GATEWAY}` is the gateway's own", section.name()),
            "reserved",
            Some("choose another name".into()),
        );
    }
    if !is_name(name) {
        section.report(
            section.place(),
            format!("[{}]: `{name}` cannot be used as a name", section.name()),
            NAME_RULE,
            None,
        );
    }
}

#[cfg(test)]
mod tests;
