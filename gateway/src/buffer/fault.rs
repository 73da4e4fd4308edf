//! What can go wrong with the store on disk.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why the disk cannot be used. Never a reason to stop: the buffer goes on in memory and tries again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The system refused.
    Io {
        /// Where.
        path: PathBuf,
        /// What was tried and what the system said.
        what: String,
        /// There is no room.
        full: bool,
    },
    /// What lies there is not what was written.
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl Fault {
    pub(super) fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        Self::Io { path: path.to_owned(), what: format!("cannot {doing}: {error}"), full }
    }

    /// Somebody holds the database.
    pub(super) fn is_lock(&self) -> bool {
        matches!(self, Self::Io { what, .. } if what.contains("could not acquire lock"))
    }

    pub(super) fn damaged(path: &Path, what: &str) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_owned() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, what, full: false } => write!(f, "{}: {what}", path.display()),
            Self::Io { path, what, full: true } => {
                write!(f, "{}: {what}; free some space, or lower max_size in [buffer]", path.display())
            }
            Self::Damaged { path, what } => write!(f, "{}: damaged: {what}", path.display()),
        }
    }
}
