//! Keeps README.md true: its tables come from the table of drivers, its walk quotes the files as they are.

#![expect(clippy::expect_used, clippy::panic, reason = "a README that cannot be read fails the test")]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use weir_drivers::{Accepts, Channel, Connection, Entry, Setting, TABLE};

/// The README with the text between `<!-- name: … -->` and `<!-- /name -->` replaced.
fn with_section(readme: &str, name: &str, text: &str) -> String {
    let begin = readme.find(&format!("<!-- {name}:")).expect(name);
    let begin = begin + readme[begin..].find('\n').expect(name) + 1;
    let end = begin + readme[begin..].find(&format!("<!-- /{name} -->")).expect(name);
    format!("{}{text}{}", &readme[..begin], &readme[end..])
}

fn devices() -> String {
    let mut text = String::from(
        "| driver | device | connected | channels: range and unit | accuracy | tested |\n|---|---|---|---|---|---|\n",
    );
    for entry in TABLE {
        writeln!(
            text,
            "| `{}` | [{}]({}) | {} | {} | {} | {} |",
            entry.name,
            entry.title,
            entry.datasheet,
            connection(entry),
            channels(entry.channels),
            entry.accuracy,
            entry.tested,
        )
        .expect("a string takes everything");
    }
    text
}

/// Channels in a row that share range and unit, on one line.
fn channels(channels: &[Channel]) -> String {
    let alike = |a: &Channel, b: &Channel| (a.valid, a.unit) == (b.valid, b.unit);
    let lines = channels.chunk_by(alike).map(|group| {
        let names: Vec<_> = group.iter().map(|channel| channel.name).collect();
        let round = |value: f64| (value * 1_000.0).round() / 1_000.0;
        let (low, high) = group[0].valid;
        let unit = group[0].unit.replace('[', "\\[");
        format!("{}: {} … {} {unit}", names.join(", "), round(low), round(high))
    });
    lines.collect::<Vec<_>>().join("<br>")
}

fn connection(entry: &Entry) -> String {
    match entry.connection {
        Connection::I2c { addresses: [only], .. } => format!("I2C {only:#04x}"),
        Connection::I2c { addresses: [first, second], .. } => format!("I2C {first:#04x}, {second:#04x}"),
        Connection::I2c { addresses: [first, .., last], .. } => format!("I2C {first:#04x} … {last:#04x}"),
        Connection::I2c { addresses: [], .. } => "I2C".into(),
        Connection::Serial { baud, .. } => format!("serial, {baud} baud"),
    }
}

fn options() -> String {
    let mut text = String::from("| driver | option | default | accepts | |\n|---|---|---|---|---|\n");
    for entry in TABLE {
        for Setting { key, help, accepts } in entry.settings {
            let default = match accepts {
                Accepts::Number { default, .. } => format!("{default}"),
                Accepts::Word { default, .. } => format!("\"{default}\""),
                Accepts::Words { default, .. } => format!("{default:?}"),
            };
            let row = format!("| `{}` | `{key}` | `{default}` | {accepts} | {help} |", entry.name);
            text.push_str(&row);
            text.push('\n');
        }
    }
    text
}

fn here(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_tables_are_those_of_the_drivers() {
    let readme = here("README.md");
    let right = with_section(&with_section(&readme, "devices", &devices()), "options", &options());
    if env::var_os("WEIR_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        // In one step: the other test reads the file at the same time.
        fs::write(path.with_extension("new"), right).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
        return;
    }
    assert!(readme == right, "README.md is out of date: run `WEIR_BLESS=1 cargo test -p weir-drivers --test readme`");
}

#[test]
fn what_the_walk_quotes_is_in_the_files() {
    let readme = here("README.md");
    let quotes: Vec<_> = readme.split("```rust ").skip(1).collect();
    assert!(quotes.len() >= 8, "the walk is gone");
    for quote in quotes {
        let (file, rest) = quote.split_once('\n').unwrap();
        let code = rest.split("```").next().unwrap();
        assert!(here(file).contains(code), "{file} does not contain:\n{code}");
    }
}
