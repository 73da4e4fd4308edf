//! End-to-end tests of the real binary against real servers. How they are run: `tests/README.md`.
#![expect(clippy::unwrap_used, reason = "a fixture that fails is a failed test")]

mod alarms;
mod chaos;
mod configs;
mod demo;
mod recovery;
mod replay;
mod servers;
mod service;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Held shared by tests that keep the machine busy, and alone by one that measures how fast it is.
static MACHINE: RwLock<()> = RwLock::new(());

fn beside_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}
