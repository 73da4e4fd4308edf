//! What a channel costs: bytes of state, and no allocation per reading.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use weir_filters::summarise::{Pane, Window};
use weir_filters::{Bulk, Gauge, Reading, Settings};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Counts what the thread under test allocates.
struct Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one only counts before it hands on")]
// SAFETY: every call goes unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `alloc`'s contract, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `alloc`, which is the system's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn settings() -> Settings {
    let mut settings = Settings { period: 1_000_000_000, context: 30, ..Settings::default() };
    settings.detect.auto = true;
    settings.summarise.windows.extend([Window::Tumbling { width: 60_000_000_000 }]);
    settings.summarise.grace = 1_000_000_000;
    settings
}

#[test]
fn a_channel_stays_below_three_kibibytes() {
    let panes = settings().panes_len() * size_of::<Pane>();
    let state = size_of::<Gauge>() + panes;
    assert!(state <= 2944, "{} bytes of state and {panes} of panes are {state}", size_of::<Gauge>());
}

#[test]
fn no_reading_allocates() {
    let settings = settings();
    let mut gauge = Gauge::default();
    let mut context = vec![Reading::default(); settings.context_len()];
    let mut panes = vec![Pane::default(); settings.panes_len()];
    let mut outputs = 0;
    let before = ALLOCATIONS.with(Cell::get);
    for n in 0..200_000_i64 {
        let noise = (n * 7919 % 101) as f64 / 100.0;
        let spike = if n % 9973 == 0 { 50.0 } else { 0.0 };
        let reading = Reading::good(n * 1_000_000_000, (n as f64 / 500.0).sin() * 10.0 + noise + spike);
        gauge.push(&settings, Bulk { context: &mut context, panes: &mut panes }, reading, &mut |_| outputs += 1);
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
    assert!(outputs > 3000, "the chain was at work: {outputs} outputs");
}
