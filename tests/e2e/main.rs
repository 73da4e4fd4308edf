//! End-to-end tests of the real binary against real servers. How they are run: `tests/README.md`.
#![expect(clippy::unwrap_used, reason = "a fixture that fails is a failed test")]

mod alarms;
mod chaos;
mod configs;
mod recovery;
mod replay;
mod servers;
mod service;
