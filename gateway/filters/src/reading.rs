//! A reading: one value of one channel, with its time and quality.

use serde::{Deserialize, Serialize};

/// Nanoseconds of boot time (`CLOCK_BOOTTIME`), or a span of such time. Never the wall clock: that one jumps.
pub type Nanos = i64;

/// One value of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// When it was measured.
    pub at: Nanos,
    /// What was measured, in the channel's unit.
    pub value: f64,
    /// How far it can be trusted.
    pub quality: Quality,
}

impl Reading {
    /// A reading nobody has doubted yet.
    #[must_use]
    pub const fn good(at: Nanos, value: f64) -> Self {
        Self { at, value, quality: Quality::Good }
    }
}

/// How far a reading can be trusted, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Quality {
    /// Nothing speaks against it.
    #[default]
    Good,
    /// It changed faster than the channel can, or its source doubts it.
    Suspect,
    /// The value has not moved for longer than a live sensor can hold still.
    Stuck,
    /// It is old: nothing newer came in time.
    Stale,
    /// Not a number, or outside the range the sensor can measure. Rejected.
    Invalid,
}

impl Quality {
    /// The word used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Suspect => "suspect",
            Self::Stuck => "stuck",
            Self::Stale => "stale",
            Self::Invalid => "invalid",
        }
    }
}
