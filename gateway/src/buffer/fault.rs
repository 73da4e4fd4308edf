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
    },
    /// There is too little room to begin.
    Full {
        /// Where.
        path: PathBuf,
        /// Bytes that are left.
        left: u64,
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
        Self::Io { path: path.to_owned(), what: format!("cannot {doing}: {error}") }
    }

    /// The system refused a small file of our own; nothing else is harmed when that is for want of room.
    pub(super) fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path: path.to_owned(), left: 0 },
            _ => Self::io(doing, path, error),
        }
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
            Self::Io { path, what } => write!(f, "{}: {what}", path.display()),
            Self::Full { path, left } => {
                write!(
                    f,
                    "{}: the disk is full ({left} bytes left), new records wait in memory: free some space",
                    path.display()
                )
            }
            Self::Damaged { path, what } => write!(f, "{}: damaged: {what}", path.display()),
        }
    }
}
