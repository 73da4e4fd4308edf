//! `[sink.NAME]`: which destination, and which records it wants. The destination's own keys are its own business.

use crate::buffer::Subscriber;
use crate::identity::Gateway;
use crate::record::{Body, Kind, Record, Status};
use crate::section::{Section, did_you_mean, one_of};
use crate::sink::{self, Sink};
use serde::Deserialize;
use serde::de::Error;
use std::sync::Arc;

/// A configured destination, not connected yet.
pub struct Route {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// The word after `kind =`.
    pub kind: &'static str,
    /// The destination.
    pub sink: Arc<dyn Sink>,
    /// What it gets.
    pub wants: Wants,
}

/// Which records a sink gets: all that pass every given list. `only = { kind = ["event"], sensor = ["boiler"] }`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wants {
    /// Kinds of records; empty: all.
    #[serde(deserialize_with = "kinds")]
    pub kind: Vec<Kind>,
    /// Names of sensors; empty: all.
    pub sensor: Vec<Box<str>>,
    /// Names of channels, as `temperature` or `boiler/temperature`; empty: all.
    pub channel: Vec<Box<str>>,
}

impl Route {
    /// Reads one `[sink.NAME]`.
    pub fn read(mut section: Section<'_, '_>, gateway: &Gateway) -> Option<Self> {
        let name: Box<str> = section.key().into();
        let entry = read_kind(&mut section);
        let wants = section.take::<Wants>("only").unwrap_or_default();
        let sink = entry.and_then(|entry| (entry.open)(&mut section, gateway));
        if entry.is_some() {
            section.finish();
        }
        Some(Self { name, kind: entry?.name, sink: Arc::from(sink?), wants })
    }

    pub(super) fn subscriber(&self) -> Subscriber {
        let (name, wants) = (self.name.clone(), self.wants.clone());
        Subscriber { name: name.clone(), wants: Box::new(move |record| wants.has(&name, record)) }
    }
}

fn read_kind(section: &mut Section<'_, '_>) -> Option<&'static sink::Entry> {
    let names: Vec<_> = sink::TABLE.iter().map(|entry| entry.name).collect();
    if !section.has("kind") {
        let example = names.first().copied().unwrap_or_default();
        section.require::<String>("kind", &format!("\"{example}\""));
        return None;
    }
    let kind = section.take_spanned::<String>("kind")?;
    let found = sink::TABLE.iter().find(|entry| entry.name == kind.get_ref());
    if found.is_none() {
        let message = format!("[{}]: there is no sink of kind \"{}\"", section.name(), kind.get_ref());
        section.report(kind.span(), message, one_of(&names), did_you_mean(kind.get_ref(), &names));
    }
    found
}

impl Wants {
    /// Whether the sink called `sink` gets this record. What the gateway says about its records goes to every sink, but
    /// a coverage only to the one it speaks of.
    pub fn has(&self, sink: &str, record: &Record) -> bool {
        if let Body::Status(status) = &record.draft.body {
            return !matches!(status, Status::Coverage { sink: other, .. } if other.as_ref() != sink);
        }
        let channel = &record.draft.channel;
        let is_channel = |name: &str| match name.split_once('/') {
            Some((sensor, quantity)) => *channel.sensor == *sensor && *channel.name == *quantity,
            None => *channel.name == *name,
        };
        (self.kind.is_empty() || self.kind.contains(&record.kind()))
            && (self.sensor.is_empty() || self.sensor.contains(&channel.sensor))
            && (self.channel.is_empty() || self.channel.iter().any(|name| is_channel(name)))
    }
}

fn kinds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Kind>, D::Error> {
    let words: Vec<&'static str> = Kind::WORDS.iter().map(|(word, _)| *word).collect();
    let kind = |word: String| {
        let found = Kind::WORDS.iter().find(|(name, _)| *name == word);
        found.map(|(_, kind)| *kind).ok_or_else(|| D::Error::custom(format!("\"{word}\": {}", one_of(&words))))
    };
    Vec::<String>::deserialize(from)?.into_iter().map(kind).collect()
}
