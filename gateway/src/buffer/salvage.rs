//! Making sense of what a bad card or a flipped bit has left: databases that do not open any more.
//!
//! Every value carries its own checksum, so what is intact is found by looking through the raw file. The broken folder is
//! kept aside, within bounds, for whoever wants to look at it.

use super::block::{self, Run};
use super::fault::Fault;
use super::folder::{self, Name};
use super::frame::{self, Kind};
use super::generation::Generation;
use crate::record::Seq;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// More than a generation ever takes; a larger file is not one.
const LARGEST: u64 = 64 << 20;

/// How many broken generations are kept for people to look at.
const KEPT: usize = 4;

/// Where they are kept.
pub(super) const QUARANTINE: &str = "quarantine";

/// What was lost, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Damage {
    /// Where.
    pub(super) name: Name,
    /// First number that may be affected.
    pub(super) from: Seq,
    /// Last number that may be affected.
    pub(super) to: Seq,
    /// What happened, in plain words.
    pub(super) what: String,
}

/// Opens a generation; a damaged one is first rebuilt from its intact blocks. Sled's own snapshot goes first: it can be
/// made again from the log, and is the smaller half of all damage.
pub(super) fn open(dir: &Path, name: Name, damage: &mut Vec<Damage>) -> Result<Generation, Fault> {
    let path = name.path(dir);
    if let Ok(generation) = Generation::open(&path) {
        return Ok(generation);
    }
    drop_snapshots(&path);
    match Generation::open(&path) {
        Err(Fault::Damaged { what, .. }) => rebuild(dir, name, &what, damage),
        other => other,
    }
}

fn drop_snapshots(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Rebuilds the generation in `path` if it is one: its owner has found it damaged while using it.
pub(super) fn repair(dir: &Path, path: &Path, damage: &mut Vec<Damage>) -> bool {
    let name = path.file_name().and_then(|folder| Name::parse(&folder.to_string_lossy()));
    let first_time = |name: &Name| damage.iter().all(|known| known.name != *name);
    name.filter(first_time).is_some_and(|name| rebuild(dir, name, "it cannot be used", damage).is_ok())
}

/// A new generation in the place of a damaged one, with everything in it that can still be read.
pub(super) fn rebuild(dir: &Path, name: Name, what: &str, damage: &mut Vec<Damage>) -> Result<Generation, Fault> {
    let path = name.path(dir);
    let frames = intact_frames(&path.join("db"));
    let runs: Vec<Run> = frames.keys().filter_map(|key| Run::from_key(key)).collect();
    let saved: u64 = runs.iter().map(|r| u64::from(r.count)).sum();
    let noted = folder::noted(dir, name).map(|sealed| sealed.contents).unwrap_or_default();
    let known = noted.iter().filter(|e| e.count > 0).map(|e| (e.first, e.last));
    let (from, to) = runs
        .iter()
        .map(|run| (run.first, run.last))
        .chain(known)
        .fold((Seq::MAX, 0), |(from, to), (first, last)| (from.min(first), to.max(last)));
    let mut draft = folder::draft(dir, name)?;
    draft.restore(frames.into_iter().collect())?;
    let broken = folder::exchange(dir, name, draft)?;
    quarantine(dir, name, &broken)?;
    let what = format!("{name} was damaged ({what}): {saved} records were saved from it, the rest is in {QUARANTINE}");
    damage.push(Damage { name, from: from.min(to), to, what });
    Generation::open(&path)
}

/// Intact frames by key: blocks by their run, pages by their first channel, the newest standing.
fn intact_frames(file: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let small = fs::metadata(file).is_ok_and(|m| m.len() <= LARGEST);
    let bytes = if small { fs::read(file).unwrap_or_default() } else { Vec::new() };
    let mut frames = BTreeMap::new();
    let mut newest = 0;
    for (kind, raw) in frame::search(&bytes) {
        let Some(key) = key_of(kind, &raw, &mut newest) else { continue };
        frames.insert(key, frame::pack(kind, &raw));
    }
    frames
}

/// Under which key a value was kept; an older standing has none.
fn key_of(kind: Kind, raw: &[u8], newest: &mut Seq) -> Option<Vec<u8>> {
    match kind {
        Kind::Block => block::run_of(raw).map(|run| run.key().to_vec()),
        Kind::Channels => {
            let (first, _) = postcard::take_from_bytes::<u32>(raw).ok()?;
            Some([b"c".as_slice(), &first.to_be_bytes()].concat())
        }
        Kind::Standing => {
            let (next, _) = postcard::take_from_bytes::<Seq>(raw).ok()?;
            let newer = next >= *newest;
            *newest = next.max(*newest);
            newer.then(|| b"z".to_vec())
        }
        Kind::Piece | Kind::Contents | Kind::Identity => None,
    }
}

/// Moves a broken folder aside; the oldest ones make room.
fn quarantine(dir: &Path, name: Name, broken: &Path) -> Result<(), Fault> {
    let shelf = dir.join(QUARANTINE);
    fs::create_dir_all(&shelf).map_err(|e| Fault::io("create", &shelf, &e))?;
    let entries = fs::read_dir(&shelf).into_iter().flatten().filter_map(Result::ok);
    let mut kept: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    kept.sort_unstable();
    for old in kept.iter().take((kept.len() + 1).saturating_sub(KEPT)) {
        drop(fs::remove_dir_all(old));
    }
    let aside = shelf.join(format!("{name}-{:08x}", crate::sys::random() as u32));
    fs::rename(broken, aside).map_err(|e| Fault::io("set aside", broken, &e))
}
