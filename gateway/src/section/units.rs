//! Durations and sizes as people write them in the configuration: `"1s"`, `"15m"`, `"256MiB"`.
//! A number without a unit is refused: nobody should have to guess.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time written with a unit: `250ms`, `1s`, `15m`, `1h30m`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes written with a unit: `512KiB`, `16MiB`, `2GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const DURATIONS: &[(&str, f64)] = &[
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("min", 60e9),
    ("h", 3_600e9),
    ("d", 86_400e9),
];

const SIZES: &[(&str, f64)] = &[
    ("B", 1.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
];

/// 100 years: far beyond any use, and far from overflow.
const LONGEST_NS: f64 = 3.2e18;

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let nanos = sum(text, DURATIONS).filter(|n| *n <= LONGEST_NS);
        let nanos = nanos.ok_or_else(|| format!("`{text}` is not a duration: write a number with a unit, such as \"250ms\", \"1s\", \"15m\", \"1h30m\" or \"2d\""))?;
        Ok(Self(Duration::from_nanos(nanos as u64)))
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = sum(text, SIZES).filter(|n| *n <= 1e18);
        bytes.map(|b| Self(b as u64)).ok_or_else(|| {
            format!("`{text}` is not a size: write a number with a unit, such as \"512KiB\", \"256MiB\" or \"2GB\"")
        })
    }
}

/// Adds up `number unit` pairs; `None` when anything else is in the text, or nothing.
fn sum(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let mut rest = text.trim();
    let mut total = None;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(tail.len());
        let (name, tail) = tail.split_at(end);
        let (_, scale) = units.iter().find(|(unit, _)| *unit == name)?;
        total = Some(total.unwrap_or(0.0) + number.parse::<f64>().ok()? * scale);
        rest = tail.trim_start();
    }
    total
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (unit, scale) = [
            ("d", 86_400_000_000_000),
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("us", 1_000),
        ]
        .into_iter()
        .find(|(_, scale)| nanos >= *scale && nanos.is_multiple_of(*scale))
        .unwrap_or(("ns", 1));
        write!(f, "{}{unit}", nanos / scale)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
            .into_iter()
            .find(|(_, scale)| self.0 >= *scale)
            .unwrap_or(("B", 1u64));
        let number = self.0 as f64 / scale as f64;
        if number.fract() == 0.0 { write!(f, "{number}{unit}") } else { write!(f, "{number:.1}{unit}") }
    }
}

struct Text<T>(&'static str, std::marker::PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text("a duration with its unit, such as \"1s\"", std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text("a size with its unit, such as \"256MiB\"", std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("250ms", 250)]
    #[case("1s", 1_000)]
    #[case("0.5s", 500)]
    #[case("15m", 900_000)]
    #[case("1h30m", 5_400_000)]
    #[case(" 1h 30m ", 5_400_000)]
    #[case("2d", 172_800_000)]
    fn durations_are_read_with_their_unit(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))));
    }

    #[rstest]
    #[case("5")]
    #[case("")]
    #[case("s")]
    #[case("1 fortnight")]
    #[case("-1s")]
    #[case("1..2s")]
    #[case("99999999d")]
    fn anything_else_is_refused_with_examples(#[case] text: &str) {
        let message = text.parse::<Span>().unwrap_err();
        assert!(message.contains("\"1h30m\""), "{message}");
    }

    #[rstest]
    #[case("16MiB", 16 << 20)]
    #[case("1.5KiB", 1536)]
    #[case("2GB", 2_000_000_000)]
    #[case("100B", 100)]
    fn sizes_are_read_with_their_unit(#[case] text: &str, #[case] bytes: u64) {
        assert_eq!(text.parse(), Ok(Size(bytes)));
    }

    #[test]
    fn both_are_shown_as_they_are_written() {
        assert_eq!(Span(Duration::from_secs(900)).to_string(), "15m");
        assert_eq!(Span(Duration::from_millis(1500)).to_string(), "1500ms");
        assert_eq!(Size(256 << 20).to_string(), "256MiB");
        assert_eq!(Size(1536).to_string(), "1.5KiB");
    }
}
