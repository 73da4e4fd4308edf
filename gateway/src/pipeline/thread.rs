//! The pipeline at work: its thread, its beat, and what it leaves behind for the next run.

use super::{Ledger, Pipeline, Shared, TICK};
use crate::buffer::Buffer;
use crate::record::Draft;
use crate::source::Arrival;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Arrivals under way between the sources and the pipeline; a full queue makes the sources wait.
const QUEUE: usize = 4096;

/// Arrivals taken between two looks at the clock.
const GULP: usize = 256;

/// How often the ledger is given to the log, which commits it together with the records.
const LEDGER_EVERY: Duration = Duration::from_secs(1);

/// How often what the filters have learnt is stored: seldom, because flash wears out. About 150 KB at 50 channels, which
/// makes 14 MB a day.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(15 * 60);

/// The most that checkpoints of many channels may write, in bytes a second: 1 GB a day.
const CHECKPOINT_WEAR: u64 = 11_500;

/// The pipeline's thread.
pub struct Worker {
    thread: JoinHandle<Ledger>,
    arrivals: mpsc::Sender<Arrival>,
    view: Shared,
    beat: Arc<AtomicI64>,
}

impl Worker {
    /// Starts the thread; what comes out goes to `buffer`.
    pub fn start(pipeline: Pipeline, buffer: Buffer) -> std::io::Result<Self> {
        let (to, arrivals) = mpsc::channel(QUEUE);
        let (view, beat) = (Shared::default(), Arc::new(AtomicI64::new(crate::sys::boot_time())));
        let (shown, alive, runtime) = (Arc::clone(&view), Arc::clone(&beat), Handle::current());
        let work = move || run(pipeline, &runtime, arrivals, &buffer, &shown, &alive);
        let thread = std::thread::Builder::new().name("pipeline".into()).spawn(work)?;
        Ok(Self { thread, arrivals: to, view, beat })
    }

    /// Where arrivals go.
    pub fn arrivals(&self) -> &mpsc::Sender<Arrival> {
        &self.arrivals
    }

    /// What others may see of it.
    pub fn view(&self) -> Shared {
        Arc::clone(&self.view)
    }

    /// Boot time of its last sign of life.
    pub fn beat(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.beat)
    }

    /// End of the stream: drains what is under way, closes the windows and returns the ledger. All sources must have ended.
    pub async fn finish(self) -> Ledger {
        let Self { thread, arrivals, .. } = self;
        drop(arrivals);
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        joined.ok().and_then(Result::ok).unwrap_or_default()
    }
}

fn run(
    mut pipeline: Pipeline,
    runtime: &Handle,
    mut arrivals: mpsc::Receiver<Arrival>,
    buffer: &Buffer,
    view: &Shared,
    beat: &AtomicI64,
) -> Ledger {
    let append = &mut |draft: Draft| {
        buffer.append(draft);
    };
    let mut gulp = Vec::with_capacity(GULP);
    let mut beats = Beats::new();
    loop {
        let arrived = runtime.block_on(async { tokio::time::timeout(TICK, arrivals.recv_many(&mut gulp, GULP)).await });
        let ended = matches!(arrived, Ok(0));
        for arrival in gulp.drain(..) {
            guarded(|| pipeline.take(arrival, append));
        }
        beat.store(crate::sys::boot_time(), Ordering::Relaxed);
        if ended {
            break;
        }
        if beats.tick.is_due() {
            guarded(|| pipeline.tick(append));
            pipeline.show(view);
        }
        if beats.ledger.is_due() {
            buffer.ledger(pipeline.ledger().encode());
        }
        if beats.checkpoint.is_due() {
            let bytes = pipeline.checkpoint();
            beats.checkpoint.period = checkpoint_pause(bytes.len());
            buffer.checkpoint(bytes);
        }
    }
    guarded(|| pipeline.finish(append));
    pipeline.show(view);
    buffer.checkpoint(pipeline.checkpoint());
    let ledger = pipeline.ledger();
    buffer.ledger(ledger.encode());
    ledger
}

/// The time until the next checkpoint, after one of so many bytes.
fn checkpoint_pause(bytes: usize) -> Duration {
    CHECKPOINT_EVERY.max(Duration::from_secs(bytes as u64 / CHECKPOINT_WEAR))
}

/// A defect in one channel's filters must not stop the others.
fn guarded(work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("a filter has panicked; its reading is lost, everything else goes on. Please report this");
    }
}

struct Beats {
    tick: Every,
    ledger: Every,
    checkpoint: Every,
}

impl Beats {
    fn new() -> Self {
        Self { tick: Every::new(TICK), ledger: Every::new(LEDGER_EVERY), checkpoint: Every::new(CHECKPOINT_EVERY) }
    }
}

struct Every {
    period: Duration,
    last: Instant,
}

impl Every {
    fn new(period: Duration) -> Self {
        Self { period, last: Instant::now() }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.elapsed() >= self.period;
        if due {
            self.last = Instant::now();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_of_many_channels_come_less_often_so_that_flash_lasts() {
        let daily = |bytes: usize| bytes as f64 * 86_400.0 / checkpoint_pause(bytes).as_secs_f64();
        assert!(daily(50 * 2_900) <= 20e6, "50 channels");
        assert!(daily(5_000 * 2_900) <= 1e9, "5,000 channels");
    }
}
