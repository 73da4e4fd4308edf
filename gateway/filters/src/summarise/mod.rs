//! Last stage: windows over the cleaned readings. Sees every valid reading, whatever was reported.

mod summary;

use serde::{Deserialize, Serialize};

use crate::Nanos;

pub use summary::{Point, Summary};

/// Kinds of windows that one channel can have at once.
pub const WINDOWS: usize = 2;

/// Which windows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// None: no summaries.
    pub windows: heapless::Vec<Window, WINDOWS>,
    /// How long a window waits for readings that come out of order.
    pub grace: Nanos,
}

/// How time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// Back to back.
    Tumbling {
        /// Width of each.
        width: Nanos,
    },
    /// A new one every `hop`.
    Hopping {
        /// From start to start.
        hop: Nanos,
        /// Width of each: a multiple of `hop`.
        width: Nanos,
    },
    /// As long as readings come.
    Session {
        /// Silence that ends it.
        gap: Nanos,
    },
    /// So many readings.
    Count {
        /// Readings.
        readings: u32,
    },
}

/// An open window or a part of one. Lent by the caller, so that channels pay only for what they use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pane {
    /// `count` = 0: free.
    pub(crate) summary: Summary,
}
