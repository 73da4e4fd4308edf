//! `weir scan`: what is connected to this machine, as a configuration that can be pasted.

use super::{Done, OK, print};
use crate::source::scan::scan;
use std::path::Path;

/// Lists what is connected to this machine, as a configuration that can be pasted
#[derive(Debug, clap::Args)]
#[command(after_help = "\
I2C devices are asked who they are, which only reads; stop a running gateway before, or both may disturb each other.
Serial ports are listed, but not spoken to.

Example:
  weir scan >> weir.toml && weir check -c weir.toml")]
pub(super) struct Args {}

pub(super) fn main(_args: &Args) -> Done {
    print(&scan(Path::new("/")).config());
    Ok(OK)
}
