//! Threads for what blocks: one name, one end, and a panic that is reported instead of spreading.

use super::{Arrival, Closed, Feed, Life, Running};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Runs `work` on a thread of its own until it returns. Linux shows the first 15 bytes of the name.
pub(super) fn run(life: Life, work: impl FnOnce(&Life, &Handle) + Send + 'static) -> Running {
    let name = life.pulse().name().to_owned();
    let runtime = Handle::current();
    let (ended, end) = oneshot::channel::<()>();
    let spawned = std::thread::Builder::new().name(name.clone()).spawn(move || {
        let _dropped_with_the_thread = ended;
        work(&life, &runtime);
    });
    Box::pin(async move {
        let thread = match spawned {
            Ok(thread) => thread,
            Err(error) => return tracing::error!("no thread for {name}, its sensors stay silent: {error}"),
        };
        let _ = end.await;
        if tokio::task::spawn_blocking(|| thread.join()).await.is_ok_and(|end| end.is_err()) {
            tracing::error!("the thread of {name} ended in a panic, the others go on; please report this");
        }
    })
}

/// Accounts for polls that nobody began.
pub(super) fn miss(feed: &Feed, polls: u64) -> Result<(), Closed> {
    if polls == 0 {
        return Ok(());
    }
    feed.send_blocking(Arrival::Missed { sensor: feed.sensor(), polls })
}
