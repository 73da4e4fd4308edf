//! A batch on its way to the broker, and what the broker's answers mean for its records. Knows nothing of packet ids.

use crate::sink::{Lane, Outcome, Then};
use rumqttc::v5::mqttbytes::v5::{PubAck, PubAckReason};
use std::collections::VecDeque;
use tokio::sync::oneshot;

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
    /// What has not been handed over yet.
    messages: VecDeque<Message>,
    handed_over: usize,
    unanswered: usize,
    /// Of each record; `None`: not answered.
    verdicts: Vec<Option<Then>>,
    stopped: bool,
    answer: oneshot::Sender<Outcome>,
}

impl Job {
    pub(super) fn new(lane: Lane, messages: Vec<Message>, answer: oneshot::Sender<Outcome>) -> Self {
        let verdicts = messages.iter().map(|_| None).collect();
        Self { lane, messages: messages.into(), handed_over: 0, unanswered: 0, verdicts, stopped: false, answer }
    }

    /// Whether there is something left to hand over.
    pub(super) fn is_open(&self) -> bool {
        !self.stopped && !self.messages.is_empty()
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    /// Whether everything that was handed over has been answered, and nothing more will be.
    pub(super) fn is_answered(&self) -> bool {
        self.unanswered == 0 && !self.is_open()
    }

    /// The next message, with its record's place in the batch; from now on an answer is waited for.
    pub(super) fn next(&mut self) -> Option<(usize, Message)> {
        let message = self.messages.pop_front()?;
        let index = self.handed_over;
        self.handed_over += 1;
        self.unanswered += 1;
        Some((index, message))
    }

    /// A record has its verdict. After a refusal nothing more is handed over, but what is under way is waited for.
    pub(super) fn decide(&mut self, index: usize, verdict: Then) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.stopped |= verdict != Then::Done;
        if let Some(slot) = self.verdicts.get_mut(index) {
            *slot = Some(verdict);
        }
    }

    /// Tells how far it got; `why` is the reason where the broker has given none.
    pub(super) fn finish(self, why: &str) {
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
pub(super) fn unfit(message: &Message, largest_packet: usize) -> Option<String> {
    if message.topic.len() > LONGEST_TOPIC {
        return Some(format!("a topic of {} bytes is longer than MQTT allows", message.topic.len()));
    }
    let size = message.topic.len() + message.payload.len() + OVERHEAD;
    (size > largest_packet).then(|| format!("{size} bytes are more than the broker's limit of {largest_packet}"))
}

/// What the broker's reason code means for the record (MQTT 5, section 3.4.2.1).
pub(super) fn verdict(answer: &PubAck) -> Then {
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
