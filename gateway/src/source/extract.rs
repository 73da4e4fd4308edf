//! From a piece of text (a serial line, an MQTT payload, the output of a program) to values of channels.
//!
//! Four forms: the whole text is the value; a regular expression whose named groups are the channels; columns; JSON, by path
//! or every number in it. Who brings the text and when is not known here.

use super::{Measured, TEXT_LIMIT};
use crate::registry::{Declared, Quantity};
use crate::section::Section;
use regex::Regex;
use serde_json::Value;
use std::borrow::Cow;

/// How to read a sensor's texts.
pub(super) struct Extract {
    /// The channels that were configured or follow from the form.
    pub(super) channels: Vec<Declared>,
    form: Form,
}

enum Form {
    /// The first channel is the whole text.
    Plain,
    /// Each channel is the group of its name.
    Pattern(Regex),
    /// For each column its channel, if it has one.
    Columns { separator: char, channels: Vec<Option<usize>> },
    /// For each channel its place in the document.
    Json(Vec<Pointer>),
    /// Every number, truth value and short text of the document, named after its place.
    AnyJson,
}

/// A value that was found, and whose it is.
pub(super) struct Found<'t> {
    /// The channel's name.
    pub(super) name: Cow<'t, str>,
    /// What is known of the channel; `None` if it was not configured: then a gauge or what the value says.
    pub(super) declared: Option<&'t Declared>,
    /// The value, or what is wrong with it.
    pub(super) value: Result<Measured, String>,
}

impl Extract {
    /// Takes `match`, `columns` (with `separator`) or `format`, and the channels' own keys, out of a sensor. Without any of
    /// them the whole text is the value of the one channel.
    pub(super) fn read(section: &mut Section<'_, '_>, channels: Vec<Section<'_, '_>>) -> Option<Self> {
        let place = section.place();
        let pattern = section.take_spanned::<String>("match");
        let columns = section.take::<Vec<String>>("columns");
        let separator = section.take::<char>("separator").unwrap_or(',');
        let format = section.take_word("format", &[("plain", false), ("json", true)]);
        let mut keys = Keys::read_all(channels);
        let form = match (pattern, columns, format) {
            (Some(pattern), None, None) => read_pattern(section, &pattern, &mut keys)?,
            (None, Some(columns), None) => read_columns(columns, separator, &mut keys),
            (None, None, Some(true)) => read_json(&keys),
            (None, None, Some(false) | None) if keys.iter().any(|k| k.path.is_some()) => read_json(&keys),
            (None, None, Some(false) | None) => read_plain(&mut keys),
            _ => {
                let label = "`match`, `columns` and `format` exclude each other";
                section.report(place, format!("[{}] says more than one form", section.name()), label, None);
                return None;
            }
        };
        Some(Self { channels: keys.into_iter().map(|key| key.declared).collect(), form })
    }

    /// Whether a text is one value and nothing else.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.form, Form::Plain)
    }

    /// Finds the values in `text`; an error says why the text as a whole means nothing.
    pub(super) fn find<'t>(&'t self, text: &'t str) -> Result<Vec<Found<'t>>, String> {
        match &self.form {
            Form::Plain => Ok(self.channels.first().map(|c| found(c, text.trim())).into_iter().collect()),
            Form::Pattern(pattern) => {
                let groups = pattern.captures(text).ok_or_else(|| format!("does not match: {}", excerpt(text)))?;
                let group = |c: &'t Declared| Some(found(c, groups.name(&c.name)?.as_str()));
                Ok(self.channels.iter().filter_map(group).collect())
            }
            Form::Columns { separator, channels } => self.columns(text, *separator, channels),
            Form::Json(pointers) => {
                let document = document(text)?;
                let value = |(c, p): (&'t Declared, &Pointer)| Found {
                    name: Cow::Borrowed(&c.name),
                    declared: Some(c),
                    value: p.find(&document).and_then(|v| of_json(v, c.quantity)),
                };
                Ok(self.channels.iter().zip(pointers).map(value).collect())
            }
            Form::AnyJson => {
                let mut all = Vec::new();
                flatten(&document(text)?, String::new(), &mut all);
                Ok(all)
            }
        }
    }

    fn columns<'t>(&'t self, text: &'t str, separator: char, at: &[Option<usize>]) -> Result<Vec<Found<'t>>, String> {
        let cells: Vec<_> = text.split(separator).map(str::trim).collect();
        if cells.len() != at.len() {
            return Err(format!("{} columns instead of {}: {}", cells.len(), at.len(), excerpt(text)));
        }
        let cell = |(cell, at): (&'t str, &Option<usize>)| Some(found(self.channels.get((*at)?)?, cell));
        Ok(cells.into_iter().zip(at).filter_map(cell).collect())
    }
}

/// The keys of a channel that text is read into.
struct Keys {
    declared: Declared,
    path: Option<String>,
}

const QUANTITIES: &[(&str, Quantity)] =
    &[("gauge", Quantity::Gauge), ("counter", Quantity::Counter), ("state", Quantity::State), ("text", Quantity::Text)];

impl Keys {
    fn read_all(channels: Vec<Section<'_, '_>>) -> Vec<Self> {
        channels.into_iter().map(Self::read).collect()
    }

    fn read(mut section: Section<'_, '_>) -> Self {
        let declared = declared(&mut section);
        let path = section.take("path");
        section.finish();
        Self { declared, path }
    }

    fn plain(name: &str) -> Self {
        Self { declared: Declared::gauge(name, ""), path: None }
    }
}

/// Takes `kind` and `unit` of a channel that the configuration alone knows.
pub(super) fn declared(section: &mut Section<'_, '_>) -> Declared {
    let quantity = section.take_word("kind", QUANTITIES).unwrap_or(Quantity::Gauge);
    let unit = section.take::<Box<str>>("unit").unwrap_or_default();
    Declared { quantity, ..Declared::gauge(section.key(), unit) }
}

fn read_pattern(section: &Section<'_, '_>, pattern: &toml::Spanned<String>, keys: &mut Vec<Keys>) -> Option<Form> {
    let refuse = |label: String| {
        section.report(pattern.span(), format!("`match` in [{}] cannot be used", section.name()), label, None);
    };
    let regex = Regex::new(pattern.get_ref()).map_err(|error| refuse(error.to_string())).ok()?;
    let groups: Vec<_> = regex.capture_names().flatten().map(str::to_owned).collect();
    if groups.is_empty() {
        refuse("name each channel as a group: (?<weight>[0-9.]+)".into());
        return None;
    }
    add_missing(keys, &groups);
    Some(Form::Pattern(regex))
}

fn read_columns(columns: Vec<String>, separator: char, keys: &mut Vec<Keys>) -> Form {
    let named: Vec<_> = columns.iter().filter(|name| !name.is_empty()).cloned().collect();
    add_missing(keys, &named);
    let channels = columns.iter().map(|name| keys.iter().position(|k| *k.declared.name == **name)).collect();
    Form::Columns { separator, channels }
}

fn read_json(keys: &[Keys]) -> Form {
    if keys.is_empty() {
        return Form::AnyJson;
    }
    Form::Json(keys.iter().map(|k| Pointer::new(k.path.as_deref().unwrap_or(&k.declared.name))).collect())
}

fn read_plain(keys: &mut Vec<Keys>) -> Form {
    if keys.is_empty() {
        keys.push(Keys::plain("value"));
    }
    Form::Plain
}

fn add_missing(keys: &mut Vec<Keys>, names: &[String]) {
    for name in names {
        if !keys.iter().any(|k| *k.declared.name == **name) {
            keys.push(Keys::plain(name));
        }
    }
}

/// A place in a JSON document: `env.temp`, `rooms.0.temp`, or a JSON pointer (RFC 6901).
struct Pointer(String);

impl Pointer {
    fn new(path: &str) -> Self {
        Self(if path.starts_with('/') { path.into() } else { format!("/{}", path.replace('.', "/")) })
    }

    fn find<'d>(&self, document: &'d Value) -> Result<&'d Value, String> {
        document.pointer(&self.0).ok_or_else(|| format!("there is nothing at {} in it", self.0))
    }
}

fn document(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("is not JSON ({error}): {}", excerpt(text)))
}

/// More values than one message has a use for.
const MOST_VALUES: usize = 256;

fn flatten(value: &Value, name: String, all: &mut Vec<Found<'_>>) {
    let below = |key: &str| if name.is_empty() { word_of(key) } else { format!("{name}_{}", word_of(key)) };
    match value {
        Value::Object(entries) => entries.iter().for_each(|(key, v)| flatten(v, below(key), all)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, v)| flatten(v, below(&n.to_string()), all)),
        Value::Null => {}
        _ if all.len() >= MOST_VALUES => {}
        Value::Number(_) => all.push(Found { name: own(name), declared: None, value: of_json(value, Quantity::Gauge) }),
        Value::Bool(_) => all.push(Found { name: own(name), declared: None, value: of_json(value, Quantity::State) }),
        Value::String(_) => all.push(Found { name: own(name), declared: None, value: of_json(value, Quantity::Text) }),
    }
}

fn own<'t>(name: String) -> Cow<'t, str> {
    Cow::Owned(if name.is_empty() { "value".into() } else { name })
}

/// A key as a channel name.
pub(super) fn word_of(key: &str) -> String {
    key.chars().take(64).map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

fn of_json(value: &Value, quantity: Quantity) -> Result<Measured, String> {
    match value {
        Value::String(text) => of_text(text, quantity),
        Value::Bool(on) if quantity != Quantity::Text => of_text(if *on { "1" } else { "0" }, quantity),
        other => of_text(&other.to_string(), quantity),
    }
}

fn found<'t>(declared: &'t Declared, text: &str) -> Found<'t> {
    Found { name: Cow::Borrowed(&declared.name), declared: Some(declared), value: of_text(text, declared.quantity) }
}

/// Words that stand for 0 and 1 in states.
const OFF_ON: [&[&str]; 2] = [&["false", "off", "closed", "no", "low"], &["true", "on", "open", "yes", "high"]];

/// A text as a value of a channel.
pub(super) fn of_text(text: &str, quantity: Quantity) -> Result<Measured, String> {
    let text = text.trim();
    let value = match quantity {
        Quantity::Gauge => text.parse().ok().filter(|v: &f64| v.is_finite()).map(Measured::Gauge),
        Quantity::Counter => text.parse().ok().or_else(|| whole(text)).map(Measured::Counter),
        Quantity::State => text.parse().ok().or_else(|| switch(text)).map(Measured::State),
        Quantity::Text => Some(Measured::Text(cut(text, TEXT_LIMIT).into())),
    };
    value.ok_or_else(|| format!("is no {}: {}", word_for(quantity), excerpt(text)))
}

fn word_for(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Gauge => "number",
        Quantity::Counter => "count",
        Quantity::State => "state",
        Quantity::Text => "text",
    }
}

/// `1234.0` is a count as well.
fn whole(text: &str) -> Option<u64> {
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
}

fn switch(text: &str) -> Option<i64> {
    let word = text.to_ascii_lowercase();
    OFF_ON.iter().position(|words| words.contains(&word.as_str())).and_then(|n| i64::try_from(n).ok())
}

/// At most `bytes` of a text, whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Enough of a text to recognise it in a message.
pub(super) fn excerpt(text: &str) -> String {
    format!("{:?}", cut(text, 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::Problems;
    use proptest::prelude::*;
    use rstest::rstest;
    use toml::de::DeTable;

    fn try_read(keys: &str) -> Result<Extract, String> {
        let problems = Problems::default();
        let mut section = Section::new("sensor.s", 0..0, DeTable::parse(keys).unwrap().into_inner(), &problems);
        let channels = section.take_named("channel");
        let extract = Extract::read(&mut section, channels);
        section.finish();
        let said: Vec<_> = problems.into_sorted().into_iter().map(|p| p.label).collect();
        extract.filter(|_| said.is_empty()).ok_or(said.join("; "))
    }

    type Named = (String, Result<Measured, String>);

    fn find(keys: &str, text: &str) -> Result<Vec<Named>, String> {
        let extract = try_read(keys).unwrap();
        let all = extract.find(text)?;
        Ok(all.into_iter().map(|f| (f.name.into_owned(), f.value)).collect())
    }

    fn gauge(name: &str, value: f64) -> Named {
        (name.into(), Ok(Measured::Gauge(value)))
    }

    #[rstest]
    #[case("", " 21.5\r", &[("value", 21.5)])]
    #[case("channel.level.unit = \"m\"", "3", &[("level", 3.0)])]
    #[case("match = 'T=(?<t>[0-9.]+) H=(?<h>\\d+)'", "xx T=21.5 H=40", &[("t", 21.5), ("h", 40.0)])]
    #[case("columns = [\"a\", \"\", \"b\"]\nseparator = \";\"", "1; x ;2", &[("a", 1.0), ("b", 2.0)])]
    #[case("channel.t.path = \"env.rooms.1\"", r#"{"env":{"rooms":[1,2]}}"#, &[("t", 2.0)])]
    #[case("channel.t.path = \"/a~1b\"", r#"{"a/b":"7.5"}"#, &[("t", 7.5)])]
    #[case("format = \"json\"", r#"{"a":1,"b":{"c d":[2,null]}}"#, &[("a", 1.0), ("b_c_d_0", 2.0)])]
    fn each_form_finds_its_values(#[case] keys: &str, #[case] text: &str, #[case] expected: &[(&str, f64)]) {
        let expected: Vec<_> = expected.iter().map(|(name, value)| gauge(name, *value)).collect();
        assert_eq!(find(keys, text).unwrap(), expected);
    }

    #[rstest]
    #[case("match = '(?<t>\\d+)'", "none", "does not match: \"none\"")]
    #[case("columns = [\"a\", \"b\"]", "1,2,3", "3 columns instead of 2: \"1,2,3\"")]
    #[case("format = \"json\"", "{", "is not JSON")]
    fn a_text_that_means_nothing_is_said(#[case] keys: &str, #[case] text: &str, #[case] message: &str) {
        assert!(find(keys, text).unwrap_err().starts_with(message));
    }

    #[rstest]
    #[case("1.5", Quantity::Gauge, Some(Measured::Gauge(1.5)))]
    #[case("NaN", Quantity::Gauge, None)]
    #[case("inf", Quantity::Gauge, None)]
    #[case("18446744073709551615", Quantity::Counter, Some(Measured::Counter(u64::MAX)))]
    #[case("12.0", Quantity::Counter, Some(Measured::Counter(12)))]
    #[case("-1", Quantity::Counter, None)]
    #[case("ON", Quantity::State, Some(Measured::State(1)))]
    #[case("closed", Quantity::State, Some(Measured::State(0)))]
    #[case("-3", Quantity::State, Some(Measured::State(-3)))]
    #[case("ajar", Quantity::State, None)]
    fn values_are_what_their_channel_is(
        #[case] text: &str,
        #[case] quantity: Quantity,
        #[case] value: Option<Measured>,
    ) {
        assert_eq!(of_text(text, quantity).ok(), value);
    }

    #[test]
    fn one_bad_value_leaves_the_others() {
        let all = find("columns = [\"a\", \"b\"]", "x,2").unwrap();
        assert_eq!(all[0].1, Err("is no number: \"x\"".into()));
        assert_eq!(all[1], gauge("b", 2.0));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let long = "ä".repeat(TEXT_LIMIT);
        let Ok(Measured::Text(kept)) = of_text(&long, Quantity::Text) else { panic!("no text") };
        assert_eq!(kept.len(), TEXT_LIMIT);
        assert_eq!(cut("aä", 2), "a");
    }

    #[rstest]
    #[case("match = '('", "unclosed group")]
    #[case("match = 'a'", "name each channel as a group")]
    #[case("match = '(?<a>.)'\nformat = \"json\"", "exclude each other")]
    #[case("channel.a.kind = \"guage\"", "expected one of gauge")]
    fn keys_that_cannot_work_are_problems(#[case] keys: &str, #[case] label: &str) {
        let said = try_read(keys).err().unwrap();
        assert!(said.contains(label), "{said}");
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in ".{0,200}") {
            for keys in ["", "columns = [\"a\", \"b\"]", "format = \"json\"", "match = '(?<a>.+)'", "channel.a.path = \"x.y\""] {
                if let Ok(all) = find(keys, &text) {
                    for (_, value) in all {
                        if let Ok(Measured::Gauge(value)) = value {
                            prop_assert!(value.is_finite());
                        }
                    }
                }
            }
        }
    }
}
