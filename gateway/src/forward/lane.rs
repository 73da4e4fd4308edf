//! One lane of one sink: reads batches from the log, sends them, and moves the cursor by what the far end answered.

use super::backoff::{Backoff, chance};
use super::{Health, Stamps};
use crate::buffer::{Buffer, Reader};
use crate::record::{Body, BootId, Channel, Draft, GATEWAY, Kind, Seq, Status};
use crate::sink::{Lane, Outcome, Outgoing, Sink, Then};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A sink that says nothing for so long has lost the batch; it is sent again.
const ANSWER: Duration = Duration::from_secs(120);

/// How often a sink is told what it should have.
const COVERAGE: Duration = Duration::from_secs(60);

/// One lane of one sink.
pub(super) struct Way {
    pub(super) sink_name: Box<str>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) reader: Reader,
    pub(super) buffer: Buffer,
    pub(super) stamps: Arc<Stamps>,
    pub(super) health: Health,
    pub(super) boot: BootId,
    pub(super) lane: Lane,
}

impl Way {
    /// Forwards until the log ends.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut told = Told::new();
        while let Some(records) = self.reader.next(&self.sink.limits()).await {
            self.stamps.ready(self.lane).await;
            let batch = self.stamps.stamp(&records, self.lane, &self.buffer).await;
            self.deliver(&batch, &mut backoff, &mut told).await;
            if let Some(coverage) = told.due(&self.sink_name, self.lane) {
                self.buffer.append(self.status(coverage));
            }
        }
    }

    /// Sends until the far end has answered for every record of the batch.
    async fn deliver(&mut self, batch: &[Outgoing], backoff: &mut Backoff, told: &mut Told) {
        let mut rest = batch;
        while !rest.is_empty() {
            let Outcome { accepted, then } = self.send(rest).await;
            let (taken, left) = rest.split_at(accepted.min(rest.len()));
            rest = left;
            if let Some(last) = taken.last() {
                self.acknowledge(last.record.seq, taken.len());
                told.sent(taken);
                backoff.reset();
            }
            match (then, rest.first()) {
                (_, None) => {}
                (Then::Reject { why }, Some(refused)) => {
                    self.set_aside(refused, &why);
                    told.rejected(refused.record.seq);
                    rest = &rest[1..];
                }
                (Then::Retry { after, why }, _) => {
                    let may_hurry = after.is_none() && !backoff.hurried;
                    backoff.hurried |= self.pause(backoff.next(after, chance()), may_hurry, &why).await;
                }
                (Then::Done, _) => {
                    let why = "the sink answered for fewer records than it was given";
                    self.pause(backoff.next(None, chance()), false, why).await;
                }
            }
        }
    }

    async fn send(&self, batch: &[Outgoing]) -> Outcome {
        let sending = tokio::time::timeout(ANSWER, self.sink.send(batch));
        sending.await.unwrap_or_else(|_| Outcome::retry(0, format!("no answer within {} s", ANSWER.as_secs())))
    }

    fn acknowledge(&mut self, upto: Seq, records: usize) {
        self.reader.acknowledge(upto);
        if self.health.accepted(records) {
            tracing::info!("sink {}: works again, {} lane", self.sink_name, self.lane.as_str());
        }
    }

    /// A record that the far end will never take must not hold up those behind it.
    fn set_aside(&mut self, refused: &Outgoing, why: &str) {
        let (seq, channel) = (refused.record.seq, &refused.record.draft.channel);
        tracing::warn!("sink {}: record {seq} of {channel} set aside, the far end refuses it: {why}", self.sink_name);
        self.reader.reject(seq);
        self.health.rejected(why);
    }

    /// Waits, or until another lane finds the far end well (then true): an alarm must not sit out a wait that data ended.
    async fn pause(&self, wait: Duration, may_hurry: bool, why: &str) -> bool {
        if self.health.failed(why) {
            tracing::warn!("sink {}: {why}; nothing is lost, trying again in {wait:.1?}", self.sink_name);
        }
        if may_hurry {
            return tokio::time::timeout(wait, self.health.works_again()).await.is_ok();
        }
        tokio::time::sleep(wait).await;
        false
    }

    fn status(&self, status: Status) -> Draft {
        let channel = Channel { sensor: GATEWAY.into(), name: "status".into(), ..Channel::default() };
        Draft { channel: Arc::new(channel), boot: self.boot, at: self.stamps.now(), body: Body::Status(status) }
    }
}

/// What a sink has been sent since it was last told so.
struct Told {
    since: Instant,
    range: Option<(Seq, Seq)>,
    sent: u64,
    rejected: u64,
    /// Records about something; a coverage about nothing but coverages would never end.
    matter: bool,
}

impl Told {
    fn new() -> Self {
        Self { since: Instant::now(), range: None, sent: 0, rejected: 0, matter: false }
    }

    fn sent(&mut self, taken: &[Outgoing]) {
        self.sent += taken.len() as u64;
        self.matter |= taken.iter().any(|o| o.kind() != Kind::Status);
        taken.iter().for_each(|o| self.reach(o.record.seq));
    }

    fn rejected(&mut self, seq: Seq) {
        self.rejected += 1;
        self.reach(seq);
    }

    fn reach(&mut self, seq: Seq) {
        let (from, to) = self.range.unwrap_or((seq, seq));
        self.range = Some((from.min(seq), to.max(seq)));
    }

    /// The coverage to send, if it is time for one.
    fn due(&mut self, sink: &str, lane: Lane) -> Option<Status> {
        let (from, to) = self.range.filter(|_| self.matter && self.since.elapsed() >= COVERAGE)?;
        let Self { sent, rejected, .. } = std::mem::replace(self, Self::new());
        // Numbers in between belong to the other lanes, to other sinks, or were never used.
        let not_for_you = (to - from + 1).saturating_sub(sent + rejected);
        Some(Status::Coverage { sink: sink.into(), lane: lane.as_str().into(), from, to, sent, not_for_you, rejected })
    }
}
