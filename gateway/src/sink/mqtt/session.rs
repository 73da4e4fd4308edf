//! The bookkeeping of one connection: which message of which batch waits for which acknowledgement.
//!
//! Messages are handed to rumqttc in order; it gives each its packet id when it writes it (`Outgoing::Publish`), and the
//! broker acknowledges by packet id (`PubAck`). Events overtake data here: they are handed over first, and a part of the
//! window is theirs alone. No socket and no clock but that of the last sign of life.

use super::connection::Request;
use crate::sink::{Lane, Outcome, Then};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Packet, PubAck, PubAckReason};
use rumqttc::v5::{AsyncClient, Event};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A broker that acknowledges nothing for so long, though something waits, is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a PUBLISH packet beside topic and payload, at most.
const OVERHEAD: usize = 16;

/// The longest topic that MQTT can carry.
const LONGEST_TOPIC: usize = 65_535;

/// A message on its way.
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// A batch on its way.
pub(super) struct Job {
    pub(super) lane: Lane,
    pub(super) messages: Vec<Message>,
    pub(super) answer: oneshot::Sender<Outcome>,
}

/// Answered when the broker knows that the gateway is offline.
pub(super) type Goodbye = oneshot::Sender<()>;

/// A batch and what is known of it. Ordered by lane, so that events go first, then by age.
type JobId = (Lane, u64);

struct Progress {
    messages: VecDeque<Message>,
    handed_over: usize,
    unanswered: usize,
    verdicts: Vec<Option<Then>>,
    stopped: bool,
    answer: oneshot::Sender<Outcome>,
}

/// Whose message it is: a record of a batch, or the gateway's own status.
#[derive(Clone, Copy)]
enum Ticket {
    Record(JobId, usize),
    Status,
}

pub(super) struct Session {
    statuses: super::Statuses,
    client: Option<AsyncClient>,
    jobs: BTreeMap<JobId, Progress>,
    next_job: u64,
    queued: VecDeque<Ticket>,
    flying: HashMap<u16, Ticket>,
    inflight: u16,
    window: usize,
    largest_packet: usize,
    last_sign: Instant,
    farewell: Farewell,
    goodbye: Option<Goodbye>,
    told_of_status: bool,
}

/// How far the gateway is in going offline on purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Farewell {
    Staying,
    Asked,
    Said,
    Gone,
}

impl Session {
    pub(super) fn new(statuses: super::Statuses) -> Self {
        Self {
            statuses,
            client: None,
            jobs: BTreeMap::new(),
            next_job: 0,
            queued: VecDeque::new(),
            flying: HashMap::new(),
            inflight: 0,
            window: 0,
            largest_packet: usize::MAX,
            last_sign: Instant::now(),
            farewell: Farewell::Staying,
            goodbye: None,
            told_of_status: false,
        }
    }

    /// A new connection: nothing may be handed over until the broker has said its limits.
    pub(super) fn begin(&mut self, client: AsyncClient, inflight: u16) {
        self.client = Some(client);
        self.inflight = inflight;
        self.window = 0;
    }

    pub(super) fn take(&mut self, request: Request) {
        match request {
            Request::Close(goodbye) => (self.farewell, self.goodbye) = (Farewell::Asked, Some(goodbye)),
            Request::Send(job) => {
                let id = (job.lane, self.next_job);
                self.next_job += 1;
                let progress = Progress {
                    verdicts: job.messages.iter().map(|_| None).collect(),
                    messages: job.messages.into(),
                    handed_over: 0,
                    unanswered: 0,
                    stopped: false,
                    answer: job.answer,
                };
                self.jobs.insert(id, progress);
            }
        }
    }

    /// Hands over as much as the window allows.
    pub(super) fn feed(&mut self) {
        let Some(client) = self.client.clone() else { return };
        while self.is_connected() {
            let Some(id) = self.next_job_to_feed() else { break };
            self.hand_over(&client, id);
        }
        self.say_goodbye(&client);
    }

    /// The first batch with something to send and room for it; batches nobody waits for any more are dropped.
    fn next_job_to_feed(&mut self) -> Option<JobId> {
        self.jobs.retain(|_, job| !job.answer.is_closed());
        let outstanding = self.outstanding();
        let room = |lane| if lane == Lane::Event { self.window } else { self.window - self.window / 4 };
        let mut open = self.jobs.iter().filter(|(_, job)| !job.stopped && !job.messages.is_empty());
        open.find(|((lane, _), _)| outstanding < room(*lane)).map(|(id, _)| *id)
    }

    fn hand_over(&mut self, client: &AsyncClient, id: JobId) {
        let was_idle = self.outstanding() == 0;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(message) = job.messages.pop_front() else { return };
        let index = job.handed_over;
        job.handed_over += 1;
        let why = match unfit(&message, self.largest_packet) {
            Some(why) => why,
            None => match client.try_publish(message.topic, QoS::AtLeastOnce, false, message.payload) {
                Ok(()) => {
                    job.unanswered += 1;
                    self.queued.push_back(Ticket::Record(id, index));
                    if was_idle {
                        self.last_sign = Instant::now();
                    }
                    return;
                }
                Err(_) => "this cannot be a topic".into(),
            },
        };
        job.stop(index, Then::Reject { why });
        self.finish_if_answered(id);
    }

    /// Something happened on the connection.
    pub(super) fn note(&mut self, event: Event) {
        match event {
            Event::Incoming(Packet::ConnAck(answer)) => self.connected(&answer),
            Event::Incoming(Packet::PubAck(answer)) => self.acknowledged(&answer),
            Event::Outgoing(rumqttc::Outgoing::Publish(packet)) => {
                if let Some(ticket) = self.queued.pop_front() {
                    self.flying.insert(packet, ticket);
                }
            }
            Event::Outgoing(rumqttc::Outgoing::Disconnect) => {
                self.farewell = Farewell::Gone;
                self.goodbye = None;
            }
            _ => {}
        }
    }

    fn connected(&mut self, answer: &ConnAck) {
        let limits = answer.properties.as_ref();
        let receive_max = limits.and_then(|p| p.receive_max).unwrap_or(u16::MAX);
        self.window = usize::from(self.inflight.min(receive_max)).max(1);
        let largest = limits.and_then(|p| p.max_packet_size).unwrap_or(u32::MAX);
        self.largest_packet = usize::try_from(largest).unwrap_or(usize::MAX);
        if limits.and_then(|p| p.retain_available) != Some(0) {
            let online = self.statuses.online();
            self.publish_status(online);
        }
    }

    fn acknowledged(&mut self, answer: &PubAck) {
        self.last_sign = Instant::now();
        match self.flying.remove(&answer.pkid) {
            Some(Ticket::Record(id, index)) => {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.unanswered -= 1;
                    match verdict(answer) {
                        Then::Done => job.verdicts[index] = Some(Then::Done),
                        refusal => job.stop(index, refusal),
                    }
                    self.finish_if_answered(id);
                }
            }
            Some(Ticket::Status) if verdict(answer) != Then::Done && !self.told_of_status => {
                self.told_of_status = true;
                let topic = &self.statuses.topic;
                tracing::warn!("the broker does not take the gateway's status ({:?}): allow {topic}", answer.reason);
            }
            _ => {}
        }
    }

    fn finish_if_answered(&mut self, id: JobId) {
        let is_answered = |job: &Progress| job.unanswered == 0 && (job.stopped || job.messages.is_empty());
        if self.jobs.get(&id).is_some_and(is_answered)
            && let Some(job) = self.jobs.remove(&id)
        {
            job.answer("");
        }
    }

    /// The connection is gone: every batch learns how far it got.
    pub(super) fn fail(&mut self, why: &str) {
        for (_, job) in std::mem::take(&mut self.jobs) {
            job.answer(why);
        }
        self.queued.clear();
        self.flying.clear();
        self.client = None;
        self.window = 0;
    }

    fn say_goodbye(&mut self, client: &AsyncClient) {
        if self.farewell == Farewell::Asked && self.is_connected() {
            let offline = self.statuses.offline();
            self.publish_status(offline);
            if client.try_disconnect().is_ok() {
                self.farewell = Farewell::Said;
            }
        }
    }

    fn publish_status(&mut self, payload: Vec<u8>) {
        let Some(client) = &self.client else { return };
        if client.try_publish(&self.statuses.topic, QoS::AtLeastOnce, true, payload).is_ok() {
            self.queued.push_back(Ticket::Status);
        }
    }

    fn outstanding(&self) -> usize {
        self.queued.len() + self.flying.len()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.window > 0
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.outstanding() > 0
    }

    pub(super) fn deadline(&self) -> Instant {
        self.last_sign + PATIENCE
    }

    pub(super) fn is_closing(&self) -> bool {
        self.farewell != Farewell::Staying
    }

    pub(super) fn is_gone(&self) -> bool {
        self.farewell == Farewell::Gone
    }
}

impl Progress {
    /// Nothing more of this batch is sent; what is under way is still waited for.
    fn stop(&mut self, index: usize, verdict: Then) {
        self.verdicts[index] = Some(verdict);
        self.stopped = true;
    }

    /// Tells how far it got; `why` is the reason where the broker has given none.
    fn answer(self, why: &str) {
        let total = self.verdicts.len();
        let accepted = self.verdicts.iter().take_while(|v| **v == Some(Then::Done)).count();
        let outcome = match self.verdicts.into_iter().nth(accepted) {
            None => Outcome::done(total),
            Some(Some(then)) => Outcome { accepted, then },
            Some(None) => Outcome::retry(accepted, why),
        };
        // Nobody waits any more when the batch was given up.
        let _ = self.answer.send(outcome);
    }
}

/// Why a message can never be sent on this connection.
fn unfit(message: &Message, largest_packet: usize) -> Option<String> {
    if message.topic.len() > LONGEST_TOPIC {
        return Some(format!("a topic of {} bytes is longer than MQTT allows", message.topic.len()));
    }
    let size = message.topic.len() + message.payload.len() + OVERHEAD;
    (size > largest_packet).then(|| format!("{size} bytes are more than the broker's limit of {largest_packet}"))
}

/// What the broker's reason code means for the record (MQTT 5, section 3.4.2.1).
fn verdict(answer: &PubAck) -> Then {
    let said = answer.properties.as_ref().and_then(|p| p.reason_string.as_deref()).unwrap_or_default();
    let retry = |why: &str| Then::Retry { after: None, why: format!("{why} {said}").trim_end().into() };
    let reject = |why: &str| Then::Reject { why: format!("{why} {said}").trim_end().into() };
    match answer.reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Then::Done,
        PubAckReason::NotAuthorized => {
            retry("the broker does not allow publishing to this topic: add it to the broker's ACL")
        }
        PubAckReason::QuotaExceeded => retry("the broker's quota is used up"),
        PubAckReason::TopicNameInvalid => reject("the broker does not accept the topic"),
        PubAckReason::PayloadFormatInvalid => reject("the broker does not accept the payload"),
        PubAckReason::UnspecifiedError
        | PubAckReason::ImplementationSpecificError
        | PubAckReason::PacketIdentifierInUse => {
            retry(&format!("the broker could not take the message ({:?}): look into its log", answer.reason))
        }
    }
}
