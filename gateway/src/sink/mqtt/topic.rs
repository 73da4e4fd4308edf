//! Topics from a template: `weir/{gateway}/{sensor}/{channel}/{kind}`.
//!
//! Names that come from devices may hold what has a meaning in a topic (`/ + #`): it is written as `%2F`, `%2B`, `%23`, so
//! that a topic always has the levels of its template.

use crate::record::{Channel, Kind};
use crate::section::did_you_mean;

/// MQTT allows 65,535 bytes; brokers and people want less.
const LONGEST: usize = 512;

const PLACEHOLDERS: &[&str] = &["gateway", "sensor", "channel", "kind"];

/// A checked template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Gateway,
    Sensor,
    Channel,
    Kind,
}

impl Template {
    /// Checks and takes apart a template; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(format!("a topic has 1 to {LONGEST} bytes"));
        }
        if text.starts_with('$') {
            return Err("topics that begin with `$` are the broker's own".into());
        }
        if let Some(bad) = text.chars().find(|c| matches!(c, '+' | '#') || c.is_control()) {
            return Err(format!("{bad:?} cannot stand in a topic that is published to"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a `{` has no `}`")?;
            parts.push(Part::Text(before.into()));
            parts.push(placeholder(name)?);
            rest = after;
        }
        parts.push(Part::Text(rest.into()));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self(parts))
    }

    /// The topic of a channel's records.
    pub(super) fn of(&self, gateway: &str, channel: &Channel, kind: Kind) -> String {
        let mut topic = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => topic.push_str(text),
                Part::Gateway => push_level(&mut topic, gateway),
                Part::Sensor => push_level(&mut topic, &channel.sensor),
                Part::Channel => push_level(&mut topic, &channel.name),
                Part::Kind => topic.push_str(kind.as_str()),
            }
        }
        topic
    }
}

fn placeholder(name: &str) -> Result<Part, String> {
    match name {
        "gateway" => Ok(Part::Gateway),
        "sensor" => Ok(Part::Sensor),
        "channel" => Ok(Part::Channel),
        "kind" => Ok(Part::Kind),
        _ => {
            let hint = did_you_mean(name, PLACEHOLDERS).unwrap_or_default();
            Err(format!("there is no {{{name}}}, only {{gateway}} {{sensor}} {{channel}} {{kind}}; {hint}"))
        }
    }
}

/// Brokers end the connection for control and non-characters (MQTT 5, section 1.5.4): these are written as their bytes too.
fn push_level(topic: &mut String, name: &str) {
    let is_noncharacter =
        |c: char| matches!(u32::from(c) & 0xFFFF, 0xFFFE | 0xFFFF) || ('\u{FDD0}'..='\u{FDEF}').contains(&c);
    for c in name.chars() {
        if matches!(c, '/' | '+' | '#' | '%' | '$') || c.is_control() || is_noncharacter(c) {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| topic.push_str(&format!("%{byte:02X}")));
        } else {
            topic.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture::{boiler, channel};

    #[test]
    fn placeholders_are_filled_in() {
        let template = Template::parse("weir/{gateway}/{sensor}/{channel}/{kind}").unwrap();
        assert_eq!(template.of("line-4", &boiler(), Kind::Event), "weir/line-4/boiler/temperature/event");
        assert_eq!(Template::parse("all").unwrap().of("line-4", &boiler(), Kind::Event), "all");
    }

    #[test]
    fn names_from_devices_add_no_levels_and_no_wildcards() {
        let template = Template::parse("{sensor}/{channel}").unwrap();
        let wild = channel("$SYS", "a/b+c#d%\0ü\u{85}\u{FFFE}", "");
        assert_eq!(template.of("g", &wild, Kind::Sample), "%24SYS/a%2Fb%2Bc%23d%25%00ü%C2%85%EF%BF%BE");
    }

    #[test]
    fn impossible_templates_are_refused_with_the_reason() {
        for (text, word) in [
            ("", "1 to 512"),
            ("weir/#", "'#'"),
            ("a/+/b", "'+'"),
            ("$SYS/x", "broker's own"),
            ("weir/{sensr}", "did you mean `sensor`?"),
            ("weir/{sensor", "no `}`"),
        ] {
            let why = Template::parse(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
    }
}
