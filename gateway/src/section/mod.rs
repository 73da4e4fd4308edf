//! One table of the configuration, taken apart key by key, with every problem at its exact place.
//!
//! Whoever owns a table takes its keys out of a [`Section`]; what is left in the end is unknown, and is reported with
//! the nearest word the owner asked for. Problems are collected, not returned, so that one check finds many.
//! (Internally tagged enums and `#[serde(flatten)]` would be shorter, but lose the place of an error.)
//! This file knows no key of any table.

mod units;

pub use units::{Size, Span};

use serde::Deserialize;
use std::cell::RefCell;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Something wrong at one place of the file, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, naming the key or the table.
    pub message: String,
    /// What is written under the marked place.
    pub label: String,
    /// Byte range in the file.
    pub place: Range<usize>,
    /// What to do.
    pub help: Option<String>,
}

/// Where problems gather while a file is read.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Reports a problem.
    pub fn report(
        &self,
        place: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        self.0.borrow_mut().push(Problem { message: message.into(), label: label.into(), place, help });
    }

    /// Whether nothing has been reported so far.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// All that was reported, in file order.
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut all = self.0.into_inner();
        all.sort_by_key(|p| p.place.start);
        all
    }
}

/// One table on its way from text to a typed configuration.
#[derive(Debug)]
pub struct Section<'p, 'i> {
    name: String,
    key: String,
    place: Range<usize>,
    entries: DeTable<'i>,
    known: Vec<&'static str>,
    problems: &'p Problems,
}

impl<'p, 'i> Section<'p, 'i> {
    /// A section called `name` in messages (`sensor.boiler`), found at `place`.
    pub fn new(name: impl Into<String>, place: Range<usize>, entries: DeTable<'i>, problems: &'p Problems) -> Self {
        let name = name.into();
        // Right for a table that the caller names; one inside another keeps its own key, dots and all.
        let key = name.rsplit('.').next().unwrap_or_default().to_owned();
        Self { name, key, place, entries, known: Vec::new(), problems }
    }

    /// The section's name as a path: `sensor.boiler`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last part of the name: `boiler`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where the section stands in the file.
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// Whether the key is there and has not been taken yet.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Whether the key is there as a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// Takes `key` as a `T`; absent is `None`, and so is a value of the wrong form, which is reported.
    pub fn take<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str) -> Option<T> {
        self.take_spanned(key).map(Spanned::into_inner)
    }

    /// Like [`take`](Self::take), with the place of the value.
    pub fn take_spanned<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str) -> Option<Spanned<T>> {
        let value = self.take_raw(key)?;
        let place = value.span();
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => Some(Spanned::new(place, value)),
            Err(error) => {
                let at = error.span().unwrap_or(place);
                self.problems.report(at, format!("`{key}` in [{}] cannot be used", self.name), error.message(), None);
                None
            }
        }
    }

    /// Takes a key that must be there; reports its absence with `example` as the remedy.
    pub fn require<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str, example: &str) -> Option<T> {
        if !self.has(key) {
            self.known.push(key);
            self.problems.report(
                self.place(),
                format!("[{}] has no `{key}`", self.name),
                "missing here",
                Some(format!("add a line such as: {key} = {example}")),
            );
            return None;
        }
        self.take(key)
    }

    /// Takes a key whose value must satisfy `rule`; otherwise reports `requirement`.
    pub fn take_checked<T: for<'de> Deserialize<'de>>(
        &mut self,
        key: &'static str,
        requirement: &str,
        rule: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let value = self.take_spanned::<T>(key)?;
        if rule(value.get_ref()) {
            return Some(value.into_inner());
        }
        self.problems.report(value.span(), format!("`{key}` in [{}] is impossible", self.name), requirement, None);
        None
    }

    /// Takes one of a fixed set of words.
    pub fn take_word<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let word = self.take_spanned::<String>(key)?;
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == word.get_ref()) {
            return Some(*value);
        }
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        let message = format!("`{key}` in [{}] cannot be \"{}\"", self.name, word.get_ref());
        self.problems.report(word.span(), message, one_of(&names), did_you_mean(word.get_ref(), &names));
        None
    }

    /// Takes a table as a section of its own; a value that is no table is reported.
    pub fn take_section(&mut self, key: &'static str) -> Option<Section<'p, 'i>> {
        let value = self.take_raw(key)?;
        self.subsection(key, value)
    }

    /// Takes a table of tables (`[sensor.NAME]`), in file order.
    pub fn take_named(&mut self, key: &'static str) -> Vec<Section<'p, 'i>> {
        let Some(mut table) = self.take_section(key) else { return Vec::new() };
        let mut sections = table.take_all();
        sections.sort_by_key(Section::place_start);
        sections
    }

    /// Takes all that is left as sections: for tables whose keys are the user's own names.
    pub fn take_all(&mut self) -> Vec<Section<'p, 'i>> {
        let entries = std::mem::take(&mut self.entries);
        entries.into_iter().filter_map(|(name, value)| self.subsection(name.get_ref(), value)).collect()
    }

    /// Takes one value as it stands, for forms that depend on its type.
    pub fn take_raw(&mut self, key: &'static str) -> Option<Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.entries.remove(key)
    }

    /// Reports a problem of this section at `place`.
    pub fn report(
        &self,
        place: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        self.problems.report(place, message, label, help);
    }

    /// Whatever nobody took is unknown: reports each such key with the nearest known word.
    pub fn finish(self) {
        for (key, _) in &self.entries {
            let message = match self.name.as_str() {
                "" => format!("[{}] is no part of a configuration", key.get_ref()),
                name => format!("[{name}] has no key `{}`", key.get_ref()),
            };
            self.problems.report(
                key.span(),
                message,
                if self.name.is_empty() { "unknown table" } else { "unknown key" },
                did_you_mean(key.get_ref(), &self.known)
                    .or_else(|| (!self.known.is_empty()).then(|| format!("known here: {}", self.known.join(", ")))),
            );
        }
    }

    fn place_start(&self) -> usize {
        self.place.start
    }

    fn subsection(&self, key: &str, value: Spanned<DeValue<'i>>) -> Option<Section<'p, 'i>> {
        let place = value.span();
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        match value.into_inner() {
            DeValue::Table(entries) => {
                Some(Section { key: key.to_owned(), ..Section::new(name, place, entries, self.problems) })
            }
            other => {
                self.problems.report(
                    place,
                    format!("`{name}` must be a table"),
                    format!("this is a {}", other.type_str()),
                    Some(format!("write [{name}] with keys below it, or {name} = {{ … }}")),
                );
                None
            }
        }
    }
}

/// What names must look like.
pub const NAME_RULE: &str = "names have 1 to 64 of the characters a-z A-Z 0-9 - _ .";

/// Whether `name` can stand in a topic, a key and a file name.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// "expected one of a, b, c".
pub fn one_of(words: &[&str]) -> String {
    format!("expected one of {}", words.join(", "))
}

/// The nearest of `words`, if any is near enough to be what was meant.
pub fn did_you_mean(word: &str, words: &[&str]) -> Option<String> {
    let near = words.iter().map(|w| (strsim::damerau_levenshtein(word, w), *w)).min()?;
    (near.0 <= 1 + word.len() / 4).then(|| format!("did you mean `{}`?", near.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::Span;

    fn check(text: &str, read: impl Fn(&mut Section<'_, '_>)) -> Vec<Problem> {
        let problems = Problems::default();
        let table = DeTable::parse(text).unwrap();
        let mut section = Section::new("sensor.boiler", table.span(), table.into_inner(), &problems);
        read(&mut section);
        section.finish();
        problems.into_sorted()
    }

    #[test]
    fn an_unknown_key_is_reported_at_its_place_with_the_nearest_word() {
        let text = "adress = 0x76";
        let found = check(text, |s| {
            s.take::<u8>("address");
        });
        assert_eq!(found.len(), 1);
        assert_eq!(&text[found[0].place.clone()], "adress");
        assert_eq!(found[0].help.as_deref(), Some("did you mean `address`?"));
    }

    #[test]
    fn a_wrong_value_is_reported_where_it_stands_and_reading_goes_on() {
        let text = "address = 300\nevery = \"1 fortnight\"\nfine = true";
        let found = check(text, |s| {
            assert_eq!(s.take::<u8>("address"), None);
            assert_eq!(s.take::<Span>("every"), None);
            assert_eq!(s.take::<bool>("fine"), Some(true));
        });
        let places: Vec<_> = found.iter().map(|p| &text[p.place.clone()]).collect();
        assert_eq!(places, ["300", "\"1 fortnight\""]);
    }

    #[test]
    fn a_name_with_a_dot_is_kept_whole() {
        check("\"press.4\" = { x = 1 }", |s| {
            let mut inside = s.take_all();
            assert_eq!((inside[0].key(), inside[0].name()), ("press.4", "sensor.boiler.press.4"));
            inside[0].take::<u8>("x");
        });
    }

    #[test]
    fn a_missing_key_comes_with_an_example() {
        let found = check("", |s| {
            s.require::<String>("driver", "\"bme280\"");
        });
        assert_eq!(found[0].help.as_deref(), Some("add a line such as: driver = \"bme280\""));
    }

    #[test]
    fn an_impossible_value_names_the_requirement() {
        let found = check("window = 4", |s| {
            s.take_checked("window", "must be odd", |w: &u8| w % 2 == 1);
        });
        assert_eq!(found[0].label, "must be odd");
    }
}
