//! Says in one line which package is missing before a C library's build fails in hundreds. Builds nothing itself.

use std::env;

/// What the C libraries of the `kafka` feature (librdkafka, OpenSSL) are built with, and Debian's package of each.
const TOOLS: &[(&str, &str)] = &[("cc", "gcc libc6-dev"), ("make", "make"), ("perl", "perl")];

fn main() {
    println!("cargo::rerun-if-env-changed=PATH");
    if env::var_os("CARGO_FEATURE_KAFKA").is_none() {
        return;
    }
    let missing: Vec<_> = TOOLS.iter().filter(|(tool, _)| !is_there(tool)).collect();
    if missing.is_empty() {
        return;
    }
    let tools: Vec<_> = missing.iter().map(|(tool, _)| *tool).collect();
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    println!(
        "cargo::error=building Weir's Kafka client needs {}: run `apt-get install {}`, or build without Kafka: --no-default-features",
        tools.join(", "),
        packages.join(" ")
    );
}

/// Whether a program can be found. A compiler named by `CC` counts as one.
fn is_there(tool: &str) -> bool {
    if tool == "cc" && env::vars_os().any(|(key, _)| key.to_string_lossy().starts_with("CC")) {
        return true;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(tool).is_file())
}
