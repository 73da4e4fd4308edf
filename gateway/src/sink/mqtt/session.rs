//! The bookkeeping of one connection: which message of which batch waits for which acknowledgement.
//!
//! Messages are handed to rumqttc in order; it gives each its packet id when it writes it (`Outgoing::Publish`), and the
//! broker acknowledges by packet id (`PubAck`). Events overtake data here: they are handed over first, and a part of the
//! window is theirs alone. No socket and no clock but that of the last sign of life.

use super::connection::Request;
use super::job::{self, Job};
use crate::sink::{Lane, Then};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Packet, PubAck};
use rumqttc::v5::{AsyncClient, Event};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A broker that acknowledges nothing for so long, though something waits, is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answered when the broker knows that the gateway is offline.
pub(super) type Goodbye = oneshot::Sender<()>;

/// A batch and what is known of it. Ordered by lane, so that events go first, then by age.
type JobId = (Lane, u64);

/// Whose message it is: a record of a batch, or the gateway's own status.
#[derive(Clone, Copy)]
enum Ticket {
    Record(JobId, usize),
    Status,
}

pub(super) struct Session {
    statuses: super::Statuses,
    client: Option<AsyncClient>,
    jobs: BTreeMap<JobId, Job>,
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
                self.jobs.insert((job.lane, self.next_job), job);
                self.next_job += 1;
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
        self.jobs.retain(|_, job| !job.is_abandoned());
        let outstanding = self.outstanding();
        let room = |lane| if lane == Lane::Event { self.window } else { self.window - self.window / 4 };
        let mut open = self.jobs.iter().filter(|(_, job)| job.is_open());
        open.find(|((lane, _), _)| outstanding < room(*lane)).map(|(id, _)| *id)
    }

    fn hand_over(&mut self, client: &AsyncClient, id: JobId) {
        let was_idle = self.outstanding() == 0;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some((index, message)) = job.next() else { return };
        let refusal = match job::unfit(&message, self.largest_packet) {
            Some(why) => Some(why),
            None => {
                let published = client.try_publish(message.topic, QoS::AtLeastOnce, false, message.payload);
                published.err().map(|_| "this cannot be a topic".to_owned())
            }
        };
        if let Some(why) = refusal {
            return self.decide(id, index, Then::Reject { why });
        }
        self.queued.push_back(Ticket::Record(id, index));
        if was_idle {
            self.last_sign = Instant::now();
        }
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
        let verdict = job::verdict(answer);
        match self.flying.remove(&answer.pkid) {
            Some(Ticket::Record(id, index)) => self.decide(id, index, verdict),
            Some(Ticket::Status) if verdict != Then::Done && !self.told_of_status => {
                self.told_of_status = true;
                let topic = &self.statuses.topic;
                tracing::warn!("the broker does not take the gateway's status ({:?}): allow {topic}", answer.reason);
            }
            _ => {}
        }
    }

    fn decide(&mut self, id: JobId, index: usize, verdict: Then) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.decide(index, verdict);
        if job.is_answered()
            && let Some(job) = self.jobs.remove(&id)
        {
            job.finish("");
        }
    }

    /// The connection is gone: every batch learns how far it got.
    pub(super) fn fail(&mut self, why: &str) {
        for (_, job) in std::mem::take(&mut self.jobs) {
            job.finish(why);
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
