//! What became of every reading of a channel. The ledger balances after every call:
//! `read = sent + represented + invalid + late + held`.

use serde::{Deserialize, Serialize};

/// Readings by fate. Only ever grows, except `held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Readings that came in.
    pub read: u64,
    /// Left as samples.
    pub sent: u64,
    /// Dropped because the samples around them rebuild them within the bound, or a window holds them.
    pub represented: u64,
    /// Not a number, or outside the valid range.
    pub invalid: u64,
    /// Older than a reading already seen, and too old for every open window.
    pub late: u64,
    /// Not decided yet: a stage still waits for what comes next.
    pub held: u64,
    /// Readings sent at full rate around an event. They also have one of the fates above.
    pub context: u64,
}

impl Counts {
    /// Whether every reading has exactly one fate.
    #[must_use]
    pub const fn balances(&self) -> bool {
        self.read == self.sent + self.represented + self.invalid + self.late + self.held
    }
}
