//! What `systemd/` ships: a unit that systemd understands and that gives the daemon no more than it needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use weir_tests::gateway::{binary, weir};
use weir_tests::skip;

#[test]
fn the_unit_is_understood() {
    let Some((_folder, unit)) = installed_unit("service::the_unit_is_understood") else { return };
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// The threshold is ten times the exposure.
#[test]
fn the_unit_is_hardened() {
    let Some((_folder, unit)) = installed_unit("service::the_unit_is_hardened") else { return };
    let analyze = ["security", "--offline=true", "--no-pager", "--threshold=17"];
    let output = Command::new("systemd-analyze").args(analyze).arg(&unit).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_shipped_configuration_is_right() {
    let shipped = shipped("weir.toml");
    let output = weir(&["check", "--config", &shipped.to_string_lossy()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The unit with the binary's path on this machine: systemd wants to find it.
fn installed_unit(test: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        skip(test, "systemd-analyze is not installed");
        return None;
    }
    let unit = std::fs::read_to_string(shipped("weir.service")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.service");
    std::fs::write(&path, unit.replace("/usr/bin/weir", &binary().to_string_lossy())).unwrap();
    Some((folder, path))
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd").join(name)
}
