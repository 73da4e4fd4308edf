//! Weir, the daemon on a sensor gateway: it reads sensors, keeps what matters, drops what does not, stores it through an
//! outage and forwards it.
//!
//! ```text
//!  thread per ioctl bus,        one pipeline thread          sled thread                one task per sink and lane
//!  task per serial/net source
//!  sensors ──► drivers ──► Reading ──► filters ──► Record ──► buffer (log) ──► batch ──► sink ──► MQTT · Kafka · InfluxDB
//!                                                               cursors ◄── acknowledged
//! ```
//!
//! Data flows one way. The modules stand here in that order.

pub mod config;
pub mod record;

pub mod clock;
pub mod registry;
pub mod source;

pub mod filter;
pub mod pipeline;

pub mod buffer;
pub mod forward;
pub mod sink;

pub mod cli;

mod sys;
