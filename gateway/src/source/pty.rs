//! A serial port that is not there: the far end of a pseudo-terminal, for simulated devices and tests.

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// The device's end. Dropping it unplugs the port.
pub(super) struct Pty {
    far: File,
    path: PathBuf,
}

impl Pty {
    /// A new port in raw mode.
    pub(super) fn open() -> io::Result<Self> {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&far)?;
        unlockpt(&far)?;
        let path = ptsname(&far, Vec::new())?.into_string().map_err(io::Error::other)?;
        let mut modes = tcgetattr(&far)?;
        modes.make_raw();
        tcsetattr(&far, OptionalActions::Now, &modes)?;
        fcntl_setfl(&far, fcntl_getfl(&far)? | OFlags::NONBLOCK)?;
        Ok(Self { far: File::from(far), path: PathBuf::from(path) })
    }

    /// Where a program opens it.
    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Sends bytes; those that nobody reads are lost, as on a wire.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let _ = self.far.write(bytes);
    }

    /// Takes what has come from the program (simulated devices do not listen yet); nothing if there is none.
    #[cfg(test)]
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> usize {
        std::io::Read::read(&mut self.far, buffer).unwrap_or(0)
    }
}
