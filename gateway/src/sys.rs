//! The few facts that only the kernel knows: boot id, clocks. The one file in which unsafe code may stand, because
//! `adjtimex` (is the clock synchronised?), `mallopt` and `malloc_trim` have no safe wrapper in the crates we use.
#![expect(unsafe_code, reason = "three libc calls without a safe wrapper, each explained where it stands")]

use crate::clock::Wall;
use crate::record::{BootId, Nanos};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The kernel's name for this boot; random where there is none.
pub(crate) fn boot_id() -> BootId {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&hex, 16).map_or_else(|_| BootId(random()), BootId)
}

/// 128 random bits.
pub(crate) fn random() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let half = |salt: u8| u128::from(RandomState::new().hash_one((salt, std::process::id(), boot_time())));
    half(1) << 64 | half(2)
}

/// Nanoseconds since boot, sleep included.
pub(crate) fn boot_time() -> Nanos {
    nanos(clock_gettime(ClockId::Boottime))
}

/// The wall clock against boot time, and whether the kernel believes it.
pub(crate) fn wall_clock() -> Wall {
    let before = boot_time();
    let wall = nanos(clock_gettime(ClockId::Realtime));
    let after = boot_time();
    Wall { offset: wall - (before + (after - before) / 2), synced: is_synced() }
}

fn nanos(t: Timespec) -> Nanos {
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

fn is_synced() -> bool {
    // SAFETY: all-zero bytes are a valid `timex`, and modes = 0 only reads the kernel's state into it.
    let state = unsafe {
        let mut query: libc::timex = std::mem::zeroed();
        libc::adjtimex(&mut query)
    };
    state >= 0 && state != libc::TIME_ERROR
}

/// Keeps the allocator from growing with every database that is opened and closed: large pieces always come fresh from the
/// kernel (glibc would otherwise learn to reuse them, and touch all of sled's sparse tables), and threads share two arenas.
pub(crate) fn tame_allocator() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer, may be called at any time from any thread, and glibc ignores values it does not like.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Gives memory that was freed back to the kernel; after a sled database has been closed it is worth megabytes.
pub(crate) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
