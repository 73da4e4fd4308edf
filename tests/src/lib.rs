//! Fixtures of the end-to-end tests: servers of their own, the gateway as a process, readers for every sink.
//!
//! They know Weir only from outside: its command line, its configuration file and what arrives at the far ends.
//! A fixture that cannot do its work panics with the reason, which fails the test that asked for it.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a fixture that fails is a failed test")]

pub mod gateway;
pub mod influx;
pub mod kafka;
pub mod mqtt;
pub mod port;
pub mod proxy;
pub mod record;
pub mod recording;
pub mod serial;
pub mod server;
pub mod wait;

use std::io::Write;

/// The address of a shared server from `variable`, or `None` after saying that `test` is skipped.
#[must_use]
pub fn shared(variable: &str, test: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        skip(test, &format!("{variable} is not set; eval \"$(tests/run servers)\" sets it"));
    }
    value
}

/// Says that `test` does not run and why, where `tests/run` finds it.
pub fn skip(test: &str, reason: &str) {
    let line = format!("{test}: {reason}\n");
    // The macro would be captured by the test harness and never seen.
    let _ = std::io::stderr().write_all(format!("SKIPPED {line}").as_bytes());
    if let Some(file) = std::env::var_os("WEIR_TEST_SKIPPED") {
        let mut file =
            std::fs::File::options().append(true).create(true).open(file).expect("WEIR_TEST_SKIPPED is writable");
        file.write_all(line.as_bytes()).expect("WEIR_TEST_SKIPPED is writable");
    }
}
