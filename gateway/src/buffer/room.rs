//! Keeping the store within its bounds: detail goes before history, data before events, the oldest first.
//!
//! From [`BEGIN`] of the limit on, the oldest generations that no sink is reading are rewritten coarser (see
//! [`super::decay`]). When that is not enough, generations lose their data, and last of all their events. The limit is
//! `max_size`, or less when others have filled the disk.

use super::Class;
use super::decay::{EVENTS_ONLY, GENTLE, TAKEN};
use super::fault::Fault;
use super::folder::Sealed;
use super::generation::Contents;
use super::state::Removal;
use super::store::Store;
use super::thread::Shared;

/// Percent of the limit from which detail is given up.
const BEGIN: u64 = 70;

/// Percent of the limit from which history is given up.
const EVICT: u64 = 92;

/// Bytes that are left to others on a disk that is nearly full; also room to rewrite in.
const LEFT_FREE: u64 = 6 << 20;

/// With less than this nothing can be rewritten any more, only deleted.
const TOO_LITTLE: u64 = 3 << 20;

/// One step towards having room again. True when there was one to take.
pub(super) fn make(store: &mut Store, shared: &Shared, max_size: u64) -> Result<bool, Fault> {
    let (used, free) = (store.bytes(), store.available());
    let limit = max_size.min((used + free).saturating_sub(LEFT_FREE));
    if used * 100 <= limit * BEGIN {
        return Ok(false);
    }
    if free > TOO_LITTLE && coarsen(store, shared)? {
        return Ok(true);
    }
    if used * 100 <= limit * EVICT {
        return Ok(false);
    }
    if free > TOO_LITTLE && drop_data(store, shared)? {
        return Ok(true);
    }
    drop_generation(store, shared)
}

/// Rewrites the oldest generations at the gentlest level that changes anything.
fn coarsen(store: &mut Store, shared: &Shared) -> Result<bool, Fault> {
    for level in GENTLE {
        let group = store.group(level, |contents| shared.lock().state.is_at_rest(TAKEN, &contents[TAKEN as usize]));
        if !group.is_empty() {
            return rewrite(store, shared, &group, level, Removal::Merged);
        }
    }
    Ok(false)
}

/// Takes the data out of the oldest generations.
fn drop_data(store: &mut Store, shared: &Shared) -> Result<bool, Fault> {
    let mut group = store.group(EVENTS_ONLY, |contents| is_spilled(shared, contents, TAKEN));
    group.truncate(2);
    match group.is_empty() {
        true => Ok(false),
        false => rewrite(store, shared, &group, EVENTS_ONLY, Removal::Evicted),
    }
}

fn is_spilled(shared: &Shared, contents: &Contents, class: Class) -> bool {
    shared.lock().state.is_spilled(class, &contents[class as usize])
}

/// Gives up a generation with whatever is in it.
fn drop_generation(store: &mut Store, shared: &Shared) -> Result<bool, Fault> {
    let can = |contents: &Contents| Class::ALL.into_iter().all(|class| is_spilled(shared, contents, class));
    let Some(victim) = store.victim(can) else { return Ok(false) };
    for class in Class::ALL {
        let gone = store.records_of(victim.name, class)?;
        shared.lock().state.remove(class, &gone, Removal::Evicted);
    }
    store.remove(victim.name)?;
    Ok(true)
}

/// Writes the coarser generation, makes sure that nobody has begun to read the old ones meanwhile, and exchanges them.
/// Readers cannot get at the disk in between: they ask this thread.
fn rewrite(store: &mut Store, shared: &Shared, group: &[Sealed], level: u8, how: Removal) -> Result<bool, Fault> {
    let mut rewritten = store.rewrite(group, level)?;
    let mut inner = shared.lock();
    let rests = |sealed: &Sealed| inner.state.is_at_rest(TAKEN, &sealed.contents[TAKEN as usize]);
    if how == Removal::Merged && !group.iter().all(rests) {
        return Ok(false);
    }
    let removed = std::mem::take(&mut rewritten.removed);
    inner.state.remove(TAKEN, &removed, how);
    drop(inner);
    store.replace(group, rewritten)?;
    Ok(true)
}
