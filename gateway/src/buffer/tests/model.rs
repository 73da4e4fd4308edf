//! The buffer against a model that is a list: random appends, reads, answers, crashes and restarts.

use super::Limits;
use super::{all, crash, event, sample};
use crate::buffer::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Append {
        records: u8,
        events: bool,
    },
    Read {
        sink: usize,
        class: Class,
        records: usize,
    },
    /// Of what was read and not answered, so much of it in percent.
    Acknowledge {
        sink: usize,
        class: Class,
        percent: usize,
    },
    Reject {
        sink: usize,
        class: Class,
    },
    Rewind {
        sink: usize,
        class: Class,
    },
    Flush,
    Crash,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let class = || prop::sample::select(Class::ALL.to_vec());
    let sink = || 0..SINKS.len();
    prop_oneof![
        6 => (1..60u8, any::<bool>()).prop_map(|(records, events)| Step::Append { records, events }),
        6 => (sink(), class(), 1..80usize).prop_map(|(sink, class, records)| Step::Read { sink, class, records }),
        5 => (sink(), class(), 0..=100usize)
            .prop_map(|(sink, class, percent)| Step::Acknowledge { sink, class, percent }),
        1 => (sink(), class()).prop_map(|(sink, class)| Step::Reject { sink, class }),
        1 => (sink(), class()).prop_map(|(sink, class)| Step::Rewind { sink, class }),
        2 => Just(Step::Flush),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

/// The second one does not want every third record.
const SINKS: [&str; 2] = ["every", "some"];

fn wants(sink: usize, at: i64) -> bool {
    sink == 0 || at % 3 != 0
}

/// What must be known of a record to check what is read.
#[derive(Debug, Clone, Copy)]
struct Known {
    at: i64,
    class: Class,
    /// It was on the disk, or must be.
    safe: bool,
    /// It was appended by the process that is running.
    fresh: bool,
}

#[derive(Default)]
struct Way {
    reader: Option<Reader>,
    /// Read, not answered.
    open: Vec<Seq>,
    /// Answered for good, or refused.
    settled: Vec<Seq>,
    last_read: Seq,
}

struct World {
    dir: tempfile::TempDir,
    buffer: Option<Buffer>,
    records: BTreeMap<Seq, Known>,
    ways: [[Way; CLASSES]; SINKS.len()],
    clock: i64,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = Self { dir, buffer: None, records: BTreeMap::new(), ways: Default::default(), clock: 0 };
        world.open();
        world
    }

    fn open(&mut self) {
        let some = Subscriber { name: SINKS[1].into(), wants: Box::new(|r| wants(1, r.draft.at)) };
        let config = Config { commit_every: Span(Duration::from_secs(3600)), ..Config::default() };
        let (buffer, opened) = Buffer::open(self.dir.path(), &config, vec![all(SINKS[0]), some]);
        assert!(opened.notices.iter().all(|notice| matches!(notice, Status::Void { .. })), "{:?}", opened.notices);
        for (sink, ways) in self.ways.iter_mut().enumerate() {
            for (way, class) in ways.iter_mut().zip(Class::ALL) {
                *way = Way {
                    reader: Some(buffer.reader(SINKS[sink], class)),
                    settled: std::mem::take(&mut way.settled),
                    ..Way::default()
                };
            }
        }
        self.buffer = Some(buffer);
    }

    async fn take(&mut self, step: &Step) {
        let buffer = self.buffer.clone().unwrap();
        match *step {
            Step::Append { records, events } => self.append(&buffer, records, events),
            Step::Read { sink, class, records } => drop(self.read(sink, class, records).await),
            Step::Acknowledge { sink, class, percent } => {
                let way = &mut self.ways[sink][class as usize];
                let answered = way.open.len() * percent / 100;
                let done: Vec<Seq> = way.open.drain(..answered).collect();
                if let Some(upto) = done.last() {
                    way.reader.as_mut().unwrap().acknowledge(*upto);
                }
                way.settled.extend(done);
            }
            Step::Reject { sink, class } => {
                let way = &mut self.ways[sink][class as usize];
                if !way.open.is_empty() {
                    let refused = way.open.remove(0);
                    way.reader.as_mut().unwrap().reject(refused);
                    way.settled.push(refused);
                }
            }
            Step::Rewind { sink, class } => {
                let way = &mut self.ways[sink][class as usize];
                way.reader.as_mut().unwrap().rewind();
                way.open.clear();
                way.last_read = 0;
            }
            Step::Flush => {
                buffer.flush().await;
                self.make_safe();
            }
            Step::Crash => {
                self.buffer = None;
                self.records.values_mut().for_each(|known| known.fresh = false);
                crash(buffer, self.dir.path());
                self.open();
            }
            Step::Restart => {
                self.buffer = None;
                buffer.close().await;
                self.make_safe();
                self.open();
            }
        }
        self.check();
    }

    /// What this process has appended is on the disk; what an earlier one left uncommitted may be lost.
    fn make_safe(&mut self) {
        self.records.values_mut().filter(|known| known.fresh).for_each(|known| known.safe = true);
    }

    fn append(&mut self, buffer: &Buffer, records: u8, events: bool) {
        for _ in 0..records {
            self.clock += 1;
            let draft = if events { event(self.clock) } else { sample(self.clock) };
            let seq = buffer.append(draft);
            let class = if events { Class::Events } else { Class::Data };
            let newest = self.records.keys().next_back().copied().unwrap_or_default();
            assert!(seq > newest, "numbers grow and are never used twice: {seq} after {newest}");
            self.records.insert(seq, Known { at: self.clock, class, safe: false, fresh: true });
        }
    }

    /// Whether something safe has not been read yet.
    fn must_come(&self, sink: usize, class: Class) -> bool {
        let way = &self.ways[sink][class as usize];
        let done = way.last_read.max(way.settled.iter().max().copied().unwrap_or_default());
        let mut later = self.records.range(done + 1..);
        later.any(|(_, known)| known.class == class && known.safe && wants(sink, known.at))
    }

    /// Reads what there is, and waits if there must be something.
    async fn read(&mut self, sink: usize, class: Class, records: usize) -> usize {
        let limits = Limits { records, bytes: usize::MAX, linger: Duration::ZERO };
        let patience = if self.must_come(sink, class) { Duration::from_secs(10) } else { Duration::from_millis(5) };
        let way = &mut self.ways[sink][class as usize];
        let next = way.reader.as_mut().unwrap().next(&limits);
        let Ok(Some(batch)) = tokio::time::timeout(patience, next).await else { return 0 };
        assert!(!batch.is_empty() && batch.len() <= records);
        for record in &batch {
            let known = self.records.get(&record.seq).expect("only what was appended is read");
            assert_eq!((record.draft.at, Class::of(record)), (known.at, class));
            assert!(wants(sink, known.at));
            assert!(record.seq > way.last_read, "order holds");
            way.last_read = record.seq;
            way.open.push(record.seq);
        }
        batch.len()
    }

    /// The accounts balance at every moment.
    fn check(&self) {
        let Some(buffer) = &self.buffer else { return };
        for sink in buffer.stats().sinks {
            for account in sink.accounts {
                assert_eq!(account.merged + account.evicted, 0);
                assert!(account.balances(), "{account:?}");
            }
        }
    }

    fn pending(&self, sink: usize, class: Class) -> u64 {
        self.buffer.as_ref().unwrap().stats().sinks[sink].accounts[class as usize].pending()
    }

    /// In the end every sink has everything that was safe, and nobody waits for anything.
    async fn finish(mut self) {
        for (sink, name) in SINKS.into_iter().enumerate() {
            for class in Class::ALL {
                self.take(&Step::Rewind { sink, class }).await;
                for _ in 0..400 {
                    self.read(sink, class, 50).await;
                    self.take(&Step::Acknowledge { sink, class, percent: 100 }).await;
                    if self.pending(sink, class) == 0 {
                        break;
                    }
                }
                let settled = &self.ways[sink][class as usize].settled;
                let wanted = self.records.iter().filter(|(_, known)| known.class == class && wants(sink, known.at));
                let missing: Vec<_> = wanted.filter(|(seq, known)| known.safe && !settled.contains(seq)).collect();
                assert!(missing.is_empty(), "{} has not got {} from {:?}", name, missing.len(), missing[0]);
            }
        }
        let buffer = self.buffer.take().unwrap();
        for sink in buffer.stats().sinks {
            let pending = sink.accounts.map(|account| account.pending());
            assert_eq!(pending, [0, 0], "{sink:?}");
        }
        crash(buffer, self.dir.path());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn nothing_safe_is_lost_and_the_accounts_balance(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in &steps {
                world.take(step).await;
            }
            world.finish().await;
        });
    }
}
