//! What one channel of readings goes through, in one fixed order:
//!
//! ```text
//! Reading ─► valid ─► detect ─► clean ─► report ─► Sample          summarise ─► Summary
//!              │         │                  └──────────────────────────┘
//!              └ fault   └ alarm, anomaly, context                 counts: what became of every reading
//! ```
//!
//! [`Gauge`] is that chain. [`Counter`] and [`State`] are the shorter ways of exact integers and of switches.
//!
//! No I/O, no clock, no allocation: time comes with the reading, bulk memory is lent by the caller, and nothing here panics,
//! whatever comes in. A channel is one plain struct that can be written to disk and read back; its [`Settings`] stay outside.

#![no_std]

#[cfg(test)]
extern crate std;

mod context;
pub mod counter;
mod counts;
mod event;
mod gauge;
mod output;
mod reading;
mod settings;
pub mod state;

pub mod clean;
pub mod detect;
pub mod report;
pub mod summarise;
pub mod valid;

pub use counter::Counter;
pub use counts::Counts;
pub use gauge::{Bulk, Gauge, Interrupt};
pub use output::{Change, Class, Count, Event, Output, Phase, Reason, Sample};
pub use reading::{Nanos, Quality, Reading};
pub use settings::{Settings, SettingsError};
pub use state::State;
pub use summarise::Summary;
