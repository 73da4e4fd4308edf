//! Making sense of what a crash or a bad card has left: half-made folders, databases that do not open.
//!
//! Every block carries its own checksum, so what is intact is found by looking through the raw file. The broken folder is
//! kept aside, within bounds, for whoever wants to look at it.

use super::block::{self, Run};
use super::fault::Fault;
use super::frame::{self, Kind};
use super::generation::Generation;
use super::store::number_of;
use crate::record::Seq;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// More than a generation ever takes; a larger file is not one.
const LARGEST: u64 = 64 << 20;

/// How many broken generations are kept for people to look at.
const KEPT: usize = 4;

/// Where they are kept.
const QUARANTINE: &str = "quarantine";

/// Clears away what was half done, and lists the generations, oldest first.
pub(super) fn tidy(dir: &Path, damage: &mut Vec<(Seq, Seq, String)>) -> Result<Vec<PathBuf>, Fault> {
    let entries = fs::read_dir(dir).map_err(|e| Fault::io("list", dir, &e))?;
    let mut folders = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("trash-") || name.starts_with("new-") {
            drop(fs::remove_dir_all(&path));
        } else if number_of(&path).is_some() && path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort_unstable();
    let _ = damage;
    Ok(folders)
}

/// Opens a generation; a damaged one is rebuilt from its intact blocks first.
pub(super) fn open(path: &Path, damage: &mut Vec<(Seq, Seq, String)>) -> Result<Generation, Fault> {
    match Generation::open(path) {
        Err(Fault::Damaged { what, .. }) => rebuild(path, &what, damage),
        other => other,
    }
}

/// A new generation in the place of a damaged one, with everything in it that can still be read.
fn rebuild(path: &Path, what: &str, damage: &mut Vec<(Seq, Seq, String)>) -> Result<Generation, Fault> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let frames = intact_frames(&path.join("db"));
    let runs: Vec<Run> = frames.keys().filter_map(|key| Run::from_key(key)).collect();
    let (first, last) = (runs.iter().map(|r| r.first).min(), runs.iter().map(|r| r.last).max());
    let saved: u64 = runs.iter().map(|r| u64::from(r.count)).sum();
    let aside = dir.join(format!("new-{}", path.file_name().unwrap_or_default().to_string_lossy()));
    drop(fs::remove_dir_all(&aside));
    let mut generation = Generation::open(&aside)?;
    generation.restore(frames.into_iter().collect())?;
    drop(generation);
    quarantine(dir, path)?;
    fs::rename(&aside, path).map_err(|e| Fault::io("rename", &aside, &e))?;
    sync_folder(dir)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let words = format!("{name} was damaged ({what}); {saved} records were saved from it, a copy is in {QUARANTINE}");
    damage.push((first.unwrap_or(0), last.unwrap_or(0), words));
    Generation::open(path)
}

/// Intact frames by key: blocks by their run, pages by their first channel, the newest standing.
fn intact_frames(file: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let small = fs::metadata(file).is_ok_and(|m| m.len() <= LARGEST);
    let bytes = if small { fs::read(file).unwrap_or_default() } else { Vec::new() };
    let mut frames = BTreeMap::new();
    let mut newest = 0;
    for (kind, raw) in frame::search(&bytes) {
        match kind {
            Kind::Block => {
                if let Some(run) = block::run_of(&raw) {
                    frames.insert(run.key().to_vec(), frame::pack(kind, &raw));
                }
            }
            Kind::Channels => {
                if let Ok((first, _)) = postcard::take_from_bytes::<u32>(&raw) {
                    let mut key = b"c".to_vec();
                    key.extend(first.to_be_bytes());
                    frames.insert(key, frame::pack(kind, &raw));
                }
            }
            Kind::Standing => {
                let next = postcard::take_from_bytes::<Seq>(&raw).map_or(0, |(next, _)| next);
                if next >= newest {
                    newest = next;
                    frames.insert(b"z".to_vec(), frame::pack(kind, &raw));
                }
            }
            Kind::Piece | Kind::Contents | Kind::Identity => {}
        }
    }
    frames
}

/// Moves a broken folder aside; the oldest ones make room.
fn quarantine(dir: &Path, path: &Path) -> Result<(), Fault> {
    let shelf = dir.join(QUARANTINE);
    fs::create_dir_all(&shelf).map_err(|e| Fault::io("create", &shelf, &e))?;
    let mut kept: Vec<PathBuf> =
        fs::read_dir(&shelf).into_iter().flatten().filter_map(Result::ok).map(|e| e.path()).collect();
    kept.sort_unstable();
    for old in kept.iter().take((kept.len() + 1).saturating_sub(KEPT)) {
        drop(fs::remove_dir_all(old));
    }
    let name =
        format!("{}-{:06x}", path.file_name().unwrap_or_default().to_string_lossy(), crate::sys::random() as u32 >> 8);
    fs::rename(path, shelf.join(name)).map_err(|e| Fault::io("set aside", path, &e))
}

/// Deletes a generation so that a crash in between leaves nothing half there.
pub(super) fn remove_folder(dir: &Path, path: &Path) -> Result<(), Fault> {
    let trash = dir.join(format!("trash-{}", path.file_name().unwrap_or_default().to_string_lossy()));
    fs::rename(path, &trash).map_err(|e| Fault::io("remove", path, &e))?;
    sync_folder(dir)?;
    fs::remove_dir_all(&trash).map_err(|e| Fault::io("remove", &trash, &e))
}

/// Makes the names in a folder last.
pub(super) fn sync_folder(dir: &Path) -> Result<(), Fault> {
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(|e| Fault::io("sync", dir, &e))
}
