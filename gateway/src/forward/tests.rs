//! What becomes of a batch by what the far end answers, on a real buffer and a sink that answers as it was told.

use super::*;
use crate::buffer::Config;
use crate::clock::Clock;
use crate::record::{Body, Channel, Draft, Sample, Seq, Value};
use crate::sink::{Outcome, Outgoing, Sending};
use std::collections::VecDeque;
use std::sync::Mutex;
use weir_filters::Quality;

/// Answers as scripted, then accepts everything; remembers what it was given.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Outcome>>,
    given: Mutex<Vec<Vec<Seq>>>,
}

impl Sink for Scripted {
    fn send<'a>(&'a self, batch: &'a [Outgoing]) -> Sending<'a> {
        self.given.lock().unwrap().push(batch.iter().map(|o| o.record.seq).collect());
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { answer.unwrap_or_else(|| Outcome::done(batch.len())) })
    }
}

/// Five records through a sink with these answers: what it was given, and its account of data in the end.
async fn forwarded(answers: Vec<Outcome>) -> (Vec<Vec<Seq>>, crate::buffer::Account) {
    let dir = tempfile::tempdir().unwrap();
    let sink = Arc::new(Scripted { answers: Mutex::new(answers.into()), ..Scripted::default() });
    let route = Route { name: "far".into(), kind: "scripted", sink: sink.clone(), wants: Wants::default() };
    let routes = vec![route];
    let (buffer, _) = Buffer::open(dir.path(), &Config::default(), subscribers(&routes));
    let clock = Clock::simulated(0);
    let stamps = Arc::new(Stamps::new(clock.clone(), None, Duration::ZERO));
    for n in 0..5 {
        buffer.append(sample(n));
    }
    let forward = Forward::start(routes, &buffer, &stamps, clock.boot());
    buffer.end();
    assert!(forward.finish(Duration::from_secs(20)).await, "everything was answered for");
    let account = buffer.stats().sinks[0].accounts[Class::Data as usize];
    buffer.close().await;
    let given = sink.given.lock().unwrap().clone();
    (given, account)
}

fn sample(n: i64) -> Draft {
    let channel = Arc::new(Channel { sensor: "a".into(), name: "b".into(), ..Channel::default() });
    let (value, quality) = (Value::Integer(n), Quality::Good);
    let sample = Sample { value, bound: None, quality, event: None, gap: false, lasted: None };
    Draft { channel, boot: BootId(0), at: n, body: Body::Sample(sample) }
}

#[tokio::test]
async fn only_what_was_not_accepted_is_sent_again() {
    let (given, account) = forwarded(vec![Outcome::retry(2, "away"), Outcome::retry(0, "away")]).await;
    assert_eq!(given, [vec![1, 2, 3, 4, 5], vec![3, 4, 5], vec![3, 4, 5]]);
    assert_eq!((account.acknowledged, account.rejected, account.pending()), (5, 0, 0));
}

#[tokio::test]
async fn a_record_that_is_refused_is_set_aside_and_those_behind_it_go_on() {
    let (given, account) = forwarded(vec![Outcome::reject(1, "never")]).await;
    assert_eq!(given, [vec![1, 2, 3, 4, 5], vec![3, 4, 5]]);
    assert_eq!((account.acknowledged, account.rejected, account.pending()), (4, 1, 0));
}

#[tokio::test]
async fn a_refused_last_record_ends_the_batch() {
    let (given, account) = forwarded(vec![Outcome::reject(4, "never")]).await;
    assert_eq!(given.len(), 1);
    assert_eq!((account.acknowledged, account.rejected, account.pending()), (4, 1, 0));
}

#[tokio::test]
async fn an_answer_for_fewer_records_than_were_given_is_no_acknowledgement() {
    let (given, account) = forwarded(vec![Outcome::done(3)]).await;
    assert_eq!(given, [vec![1, 2, 3, 4, 5], vec![4, 5]]);
    assert_eq!((account.acknowledged, account.pending()), (5, 0));
}
