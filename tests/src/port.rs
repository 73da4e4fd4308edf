//! Free loopback ports for servers that are started by the tests.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on, below the range from which the kernel takes outgoing ports: one of those could be
/// gone when its server restarts, and a client that retries could even be connected to itself.
#[must_use]
pub fn free() -> u16 {
    let start = std::process::id().wrapping_mul(37);
    loop {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let port = 20_000 + u16::try_from(offset).expect("below 12000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
