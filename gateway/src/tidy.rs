//! The way of the data, kept: which module may use which. A wrong-way import fails here with its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module and what it may use; data flows down this list. `status` and `cli` stand outside and may look at everything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sys", &["clock", "record"]),
    ("hold", &[]),
    ("section", &[]),
    ("secret", &["section"]),
    ("tls", &["secret", "section"]),
    ("broker", &["secret", "section", "tls"]),
    ("identity", &["section"]),
    ("record", &[]),
    ("clock", &["record", "sys"]),
    ("registry", &["record"]),
    ("source", &["broker", "clock", "record", "registry", "section", "sys"]),
    ("filter", &["registry", "section"]),
    ("pipeline", &["buffer", "clock", "filter", "record", "registry", "source", "sys"]),
    ("buffer", &["record", "section", "sys"]),
    ("sink", &["broker", "buffer", "clock", "identity", "record", "secret", "section", "sys", "tls"]),
    ("forward", &["buffer", "clock", "identity", "record", "section", "sink", "sys"]),
    ("config", &["buffer", "filter", "forward", "identity", "record", "registry", "section", "source"]),
    ("notices", &["buffer", "clock", "identity", "record", "sys"]),
];

/// Modules that look at all others.
const OUTSIDE: &[&str] = &["cli", "lib", "main", "status", "tidy"];

#[test]
fn data_flows_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in rust_files(&src) {
        let module = top_module(&src, &file);
        if OUTSIDE.contains(&module.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{}: module `{module}` has no row in the table of allowed edges", file.display()));
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        let used = uses(code(&text));
        wrong.extend(
            used.iter()
                .filter(|u| **u != module && !allowed.contains(&u.as_str()))
                .map(|u| format!("{}: `{module}` uses `{u}`, which is not upstream of it", file.display())),
        );
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Without unit tests, which may use whatever they like.
fn code(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let inside = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_test = |p: &Path| p.file_name().is_some_and(|n| n == "tests.rs" || n == "tests" || n == "testing.rs");
    inside
        .filter(|p| !is_test(p))
        .flat_map(|p| if p.is_dir() { rust_files(&p) } else { vec![p] })
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .collect()
}

fn top_module(src: &Path, file: &Path) -> String {
    let first = file.strip_prefix(src).unwrap().iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The top-level modules named after `crate::` and in `use crate::{…}`.
fn uses(text: &str) -> BTreeSet<String> {
    let word = |s: &str| s.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            None => _ = found.insert(word(after)),
            Some(list) => {
                found.extend(list.split('}').next().unwrap_or_default().split(',').map(|item| word(item.trim())))
            }
        }
    }
    found.retain(|name| name.chars().next().is_some_and(char::is_lowercase));
    found
}
