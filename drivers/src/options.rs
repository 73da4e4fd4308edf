//! A device's own options (gain, shunt, rate): declared by its driver as data, so that checking, help texts and
//! suggestions need no code per driver. Parsing the configuration file is the gateway's.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One option of a device.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// As written in the configuration.
    pub key: &'static str,
    /// One line for help texts, in a technician's words.
    pub help: &'static str,
    /// What may be written there.
    pub accepts: Accepts,
}

/// What an option may be set to, and what it is otherwise.
#[derive(Clone, Copy, Debug)]
pub enum Accepts {
    /// A number within `min..=max`.
    Number {
        /// Used when the option is not given.
        default: f64,
        /// Lowest.
        min: f64,
        /// Highest.
        max: f64,
        /// UCUM code.
        unit: &'static str,
    },
    /// One of these words.
    Word {
        /// Used when the option is not given.
        default: &'static str,
        /// All that are known.
        of: &'static [&'static str],
    },
    /// A list of these words, at least one, none twice.
    Words {
        /// Used when the option is not given.
        default: &'static [&'static str],
        /// All that are known.
        of: &'static [&'static str],
    },
}

/// A value as it was written in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `0.1`
    Number(f64),
    /// `"4.096V"`
    Word(String),
    /// `["a0", "a1"]`
    Words(Vec<String>),
}

/// A device's options, each checked against its [`Setting`]; those not set have their default.
#[derive(Clone, Debug)]
pub struct Options {
    settings: &'static [Setting],
    given: Vec<(&'static str, Value)>,
}

/// An option that cannot be what it was set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// The key that was being set, so that the caller can point at its place in the file.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Options {
    /// Everything at its default.
    pub fn new(settings: &'static [Setting]) -> Self {
        Self { settings, given: Vec::new() }
    }

    /// Sets one option.
    pub fn set(&mut self, key: &str, value: Value) -> Result<(), OptionError> {
        let wrong = |message| OptionError { key: key.to_owned(), message };
        let Some(setting) = self.settings.iter().find(|setting| setting.key == key) else {
            return Err(wrong(unknown(self.settings)));
        };
        setting.accepts.check(&value).map_err(wrong)?;
        self.given.retain(|(given, _)| *given != setting.key);
        self.given.push((setting.key, value));
        Ok(())
    }

    /// The number that option `key` stands at.
    pub fn number(&self, key: &str) -> f64 {
        match (self.given(key), self.accepts(key)) {
            (Some(Value::Number(number)), _) => *number,
            (_, Some(Accepts::Number { default, .. })) => default,
            _ => f64::NAN,
        }
    }

    /// Which of its words option `key` stands at, counted from 0 in the order of its [`Accepts::Word`].
    pub fn choice(&self, key: &str) -> usize {
        let Some(Accepts::Word { default, of }) = self.accepts(key) else {
            return 0;
        };
        let word = match self.given(key) {
            Some(Value::Word(word)) => word.as_str(),
            _ => default,
        };
        of.iter().position(|known| *known == word).unwrap_or(0)
    }

    /// Which of its words option `key` lists, counted as in [`choice`](Self::choice), in the order given.
    pub fn choices(&self, key: &str) -> Vec<usize> {
        let Some(Accepts::Words { default, of }) = self.accepts(key) else {
            return Vec::new();
        };
        let index = |word: &str| of.iter().position(|known| *known == word);
        match self.given(key) {
            Some(Value::Words(words)) => words.iter().filter_map(|word| index(word)).collect(),
            _ => default.iter().filter_map(|word| index(word)).collect(),
        }
    }

    fn given(&self, key: &str) -> Option<&Value> {
        self.given.iter().find(|(given, _)| *given == key).map(|(_, value)| value)
    }

    fn accepts(&self, key: &str) -> Option<Accepts> {
        self.settings.iter().find(|setting| setting.key == key).map(|setting| setting.accepts)
    }
}

impl Accepts {
    fn check(&self, value: &Value) -> Result<(), String> {
        let right = match (self, value) {
            (Self::Number { min, max, .. }, Value::Number(number)) => (min..=max).contains(&number),
            (Self::Word { of, .. }, Value::Word(word)) => of.contains(&word.as_str()),
            (Self::Words { of, .. }, Value::Words(words)) => {
                let once = |(n, word): (usize, &String)| !words[..n].contains(word) && of.contains(&word.as_str());
                !words.is_empty() && words.iter().enumerate().all(once)
            }
            _ => false,
        };
        if right { Ok(()) } else { Err(format!("must be {self}")) }
    }
}

impl fmt::Display for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { min, max, unit, .. } => {
                write!(f, "a number from {min} to {max} ({unit})")
            }
            Self::Word { of, .. } => write!(f, "one of \"{}\"", of.join("\", \"")),
            Self::Words { of, .. } => {
                write!(f, "a list of some of \"{}\", none twice", of.join("\", \""))
            }
        }
    }
}

fn unknown(settings: &[Setting]) -> String {
    if settings.is_empty() {
        return "this driver has no options of its own".to_owned();
    }
    let known: Vec<_> = settings.iter().map(|setting| setting.key).collect();
    format!("this driver has no such option; it knows {}", known.join(", "))
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl core::error::Error for OptionError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    const SETTINGS: &[Setting] = &[
        Setting { key: "shunt", help: "", accepts: Accepts::Number { default: 0.1, min: 0.01, max: 1.0, unit: "Ohm" } },
        Setting { key: "rate", help: "", accepts: Accepts::Word { default: "slow", of: &["fast", "slow"] } },
        Setting {
            key: "inputs",
            help: "",
            accepts: Accepts::Words { default: &["a1", "a0"], of: &["a0", "a1", "a2"] },
        },
    ];

    fn refused(key: &str, value: Value) -> String {
        Options::new(SETTINGS).set(key, value).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let options = Options::new(SETTINGS);
        assert_eq!(options.number("shunt"), 0.1);
        assert_eq!(options.choice("rate"), 1);
        assert_eq!(options.choices("inputs"), [1, 0]);
    }

    #[test]
    fn what_is_given_counts_and_the_last_one_wins() {
        let mut options = Options::new(SETTINGS);
        options.set("shunt", Value::Number(0.5)).unwrap();
        options.set("shunt", Value::Number(1.0)).unwrap();
        options.set("rate", Value::Word("fast".into())).unwrap();
        options.set("inputs", Value::Words(vec!["a2".into()])).unwrap();
        assert_eq!(options.number("shunt"), 1.0);
        assert_eq!(options.choice("rate"), 0);
        assert_eq!(options.choices("inputs"), [2]);
    }

    #[test]
    fn a_wrong_value_is_refused_with_what_would_be_right() {
        let number = "shunt: must be a number from 0.01 to 1 (Ohm)";
        assert_eq!(refused("shunt", Value::Number(2.0)), number);
        assert_eq!(refused("shunt", Value::Number(f64::NAN)), number);
        assert_eq!(refused("shunt", Value::Word("0.1".into())), number);
        assert_eq!(refused("rate", Value::Word("medium".into())), r#"rate: must be one of "fast", "slow""#);
        let list = r#"inputs: must be a list of some of "a0", "a1", "a2", none twice"#;
        assert_eq!(refused("inputs", Value::Words(vec![])), list);
        assert_eq!(refused("inputs", Value::Words(vec!["a3".into()])), list);
        assert_eq!(refused("inputs", Value::Words(vec!["a0".into(), "a0".into()])), list);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_known_ones() {
        let error = refused("gain", Value::Number(1.0));
        assert_eq!(error, "gain: this driver has no such option; it knows shunt, rate, inputs");
        let error = Options::new(&[]).set("gain", Value::Number(1.0)).unwrap_err();
        assert_eq!(error.message, "this driver has no options of its own");
    }
}
