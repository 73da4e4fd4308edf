//! One task that keeps the connection to the broker: a new MQTT client for every connection, nothing carried over.
//!
//! rumqttc forgets queued and unacknowledged messages when it reconnects by itself, so it never gets the chance: after
//! any error the client is dropped and every waiting batch is told how far the broker had acknowledged it. The buffer is
//! the only place from which anything is sent again.

use super::session::{Goodbye, Job, Session};
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
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

/// A connection's end in words that a technician can act on.
fn explain(error: &ConnectionError, client_id: &str) -> String {
    match error {
        ConnectionError::Io(error) => format!("the broker cannot be reached: {error}; is it running, is `url` right?"),
        ConnectionError::Timeout(_) => {
            "the broker does not answer; is `url` right, does a firewall stand between?".into()
        }
        ConnectionError::Tls(error) => {
            format!("no TLS connection to the broker: {error}; look at ca_file, cert_file and key_file")
        }
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let said = reason_string.as_deref().unwrap_or_default();
            disconnected(*reason_code, said, client_id)
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker has stopped answering".into(),
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            "the broker closed the connection; its log says why (a certificate it does not trust, a limit)".into()
        }
        other => broken(&other.to_string()),
    }
}

/// TLS 1.3 refuses a client's certificate only after the handshake: the alert arrives as a broken connection.
fn broken(error: &str) -> String {
    let remedy = if error.contains("fatal alert") { "; does the broker trust our cert_file?" } else { "" };
    format!("the connection to the broker broke: {error}{remedy}")
}

fn refused(code: ConnectReturnCode) -> String {
    let remedy = match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            "check `username` and `password_file`"
        }
        ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadClientId => "set another `client_id`",
        ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion => {
            "the broker must speak MQTT 5"
        }
        ConnectReturnCode::Banned => "the broker has banned this client",
        _ => "look into the broker's log",
    };
    format!("the broker refuses the connection ({code:?}): {remedy}")
}

fn disconnected(code: DisconnectReasonCode, said: &str, client_id: &str) -> String {
    let remedy = match code {
        DisconnectReasonCode::SessionTakenOver => {
            format!("another client uses the client id {client_id}: give each gateway its own `id`")
        }
        DisconnectReasonCode::PacketTooLarge => "a record is larger than the broker allows".into(),
        _ => "look into the broker's log".into(),
    };
    format!("the broker ended the connection ({code:?}) {said}: {remedy}")
}
