//! One gateway per state directory: two on one store would each believe that its records are all there are.

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

/// Holds the state directory until it is dropped, or the process is gone in whatever way.
#[derive(Debug)]
pub(crate) struct Hold(#[expect(dead_code, reason = "the lock is on this open file")] File);

impl Hold {
    /// Makes the state directory if need be, and takes it.
    pub(crate) fn take(state: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(state).with_context(|| {
            format!(
                "the state directory {} cannot be made; change `state` in [gateway], or let the user that runs weir write there",
                state.display()
            )
        })?;
        let path = state.join("weir.pid");
        let open = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = open.with_context(|| format!("{} cannot be written", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            // Without its number the message is still worth having.
            let _ = file.read_to_string(&mut pid);
            bail!(
                "another weir (process {}) is running with the state directory {}: stop it, or give this one a `state` of its own",
                pid.trim(),
                state.display()
            );
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_gateway_is_refused_with_the_first_ones_number_and_let_in_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Hold::take(dir.path()).unwrap();
        let refused = Hold::take(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        Hold::take(dir.path()).unwrap();
    }
}
