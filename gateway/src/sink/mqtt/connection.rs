//! One task that keeps the connection to the broker: a new MQTT client for every connection, nothing carried over.
//!
//! rumqttc forgets queued and unacknowledged messages when it reconnects by itself, so it never gets the chance: after
//! any error the client is dropped and every waiting batch is told how far the broker had acknowledged it. The buffer is
//! the only place from which anything is sent again.

use super::job::Job;
use super::session::{Goodbye, Session};
use crate::broker::explain;
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};

/// How long an idle connection that was lost waits before it is tried again; a waiting batch ends the wait.
const IDLE_DELAY: Duration = Duration::from_secs(10);

/// What the sink asks of its task.
pub(super) enum Request {
    /// Publish this.
    Send(Job),
    /// Say that the gateway goes offline on purpose, then end.
    Close(Goodbye),
}

/// What is needed for a connection, put together anew for each.
pub(super) type Options = Box<dyn Fn() -> Result<MqttOptions, String> + Send + Sync>;

/// Serves `requests` until they end or ask to close.
pub(super) async fn keep(options: Options, statuses: super::Statuses, mut requests: mpsc::Receiver<Request>) {
    let mut session = Session::new(statuses);
    loop {
        let end = match options() {
            Ok(options) => connect(options, &mut session, &mut requests).await,
            Err(why) => End::Lost(why),
        };
        match end {
            End::Lost(why) => {
                tracing::debug!("MQTT: {why}");
                session.fail(&why);
            }
            End::Closed => return,
        }
        tokio::select! {
            request = requests.recv() => if let Some(request) = request { session.take(request) } else { return },
            () = sleep(IDLE_DELAY) => {}
        }
        if session.is_closing() {
            return;
        }
    }
}

/// How a connection ended.
enum End {
    Lost(String),
    Closed,
}

async fn connect(options: MqttOptions, session: &mut Session, requests: &mut mpsc::Receiver<Request>) -> End {
    let inflight = options.get_outgoing_inflight_upper_limit().unwrap_or(1);
    let client_id = options.client_id();
    // Everything within the window fits, and the three messages about the gateway itself.
    let (client, mut eventloop) = AsyncClient::new(options, usize::from(inflight) + 3);
    session.begin(client, inflight);
    loop {
        let event = match next_event(&mut eventloop, session, requests).await {
            Ok(event) => event,
            Err(end) => return end,
        };
        match event {
            Ok(event) => session.note(event),
            Err(error) => {
                // What had arrived before the error still counts.
                while let Some(event) = eventloop.state.events.pop_front() {
                    session.note(event);
                }
                return End::Lost(explain(&error, &client_id));
            }
        }
        if session.is_gone() {
            return End::Closed;
        }
        session.feed();
    }
}

/// The next event of the connection; requests are taken in meanwhile. A poll that has begun is never dropped halfway:
/// rumqttc would lose what it was writing.
async fn next_event(
    eventloop: &mut EventLoop,
    session: &mut Session,
    requests: &mut mpsc::Receiver<Request>,
) -> Result<Result<Event, ConnectionError>, End> {
    let mut poll = pin!(eventloop.poll());
    loop {
        let deadline = session.deadline();
        tokio::select! {
            event = &mut poll => return Ok(event),
            request = requests.recv() => match request {
                Some(request) => {
                    session.take(request);
                    session.feed();
                }
                None => return Err(End::Closed),
            },
            () = sleep_until(deadline), if session.is_waiting() => {
                return Err(End::Lost("the broker has stopped acknowledging messages".into()));
            }
        }
        if session.is_closing() && !session.is_connected() {
            return Err(End::Closed);
        }
    }
}
