//! A serial device on a pseudo-terminal, behind a path that stays the same when it is unplugged and plugged in again, as
//! `/dev/serial/by-id` has them.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// The device's end; gone from the machine when dropped.
pub struct Device {
    far: File,
    path: PathBuf,
}

impl Device {
    /// Plugs the device in: whoever opens `path` talks to it.
    #[must_use]
    pub fn plug_in(path: PathBuf) -> Self {
        // A gateway that inherited this end would keep the device plugged in.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let far = openpt(flags).expect("a pseudo-terminal");
        grantpt(&far).expect("a pseudo-terminal of our own");
        unlockpt(&far).expect("a pseudo-terminal of our own");
        let near = ptsname(&far, Vec::new()).expect("its name");
        symlink(near.to_str().expect("its name is ASCII"), &path).expect("a free path");
        Self { far: File::from(far), path }
    }

    /// Says one line.
    pub fn say(&mut self, line: &str) {
        writeln!(self.far, "{line}").expect("a line fits into the terminal's buffer");
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
