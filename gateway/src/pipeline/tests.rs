use super::*;
use crate::record::{Body, Class, Phase};
use crate::registry::{Declared, Quantity, Sensor};
use crate::source::Measured;

struct Bench {
    pipeline: Pipeline,
    registry: Arc<Registry>,
    out: Vec<Draft>,
}

impl Bench {
    fn new(earlier: &Earlier) -> Self {
        let registry = Arc::new(Registry::new(vec![Sensor { name: "boiler".into(), ..Sensor::default() }]));
        let pipeline = Pipeline::new(registry.clone(), Rules::default(), Clock::simulated(0), earlier);
        Self { pipeline, registry, out: Vec::new() }
    }

    fn channel(&self, name: &str, quantity: Quantity) -> ChannelIndex {
        self.registry.declare(SensorIndex(0), Declared { quantity, ..Declared::gauge(name, "") }).unwrap()
    }

    fn take(&mut self, arrival: Arrival) {
        let out = &mut self.out;
        self.pipeline.take(arrival, &mut |draft| out.push(draft));
    }

    fn read(&mut self, channel: ChannelIndex, second: i64, value: Measured) {
        self.take(Arrival::Reading { channel, at: second * 1_000_000_000, value });
    }

    fn fail(&mut self, second: i64) {
        self.take(Arrival::Failed {
            sensor: SensorIndex(0),
            channel: None,
            at: second * 1_000_000_000,
            why: "no answer".into(),
        });
    }
}

#[test]
fn every_reading_of_every_quantity_has_one_fate() {
    let mut bench = Bench::new(&Earlier::default());
    let channels = [Quantity::Gauge, Quantity::Counter, Quantity::State, Quantity::Text]
        .map(|q| bench.channel(&format!("{q:?}"), q));
    for second in 0..300 {
        bench.read(channels[0], second, Measured::Gauge((second as f64 / 9.0).sin()));
        bench.read(channels[1], second, Measured::Counter(second as u64 * 3));
        bench.read(channels[2], second, Measured::State(second / 100));
        bench.read(channels[3], second, Measured::Text(format!("batch {}", second / 150).into()));
        assert!(bench.pipeline.ledger().balances(), "after second {second}: {:?}", bench.pipeline.ledger());
    }
    let Bench { mut pipeline, mut out, .. } = bench;
    pipeline.finish(&mut |draft| out.push(draft));
    let total = pipeline.ledger().total();
    assert!(pipeline.ledger().balances());
    assert_eq!((total.read, total.held), (1200, 0));
    assert_eq!(total.records, out.len() as u64);
}

#[test]
fn polls_without_a_reading_are_counted_on_every_channel_of_the_sensor() {
    let mut bench = Bench::new(&Earlier::default());
    let [a, _b] = ["a", "b"].map(|name| bench.channel(name, Quantity::Gauge));
    bench.read(a, 1, Measured::Gauge(1.0));
    bench.take(Arrival::Missed { sensor: SensorIndex(0), polls: 4 });
    bench.fail(3);
    let ledger = bench.pipeline.ledger();
    let total = ledger.total();
    assert!(ledger.balances());
    assert_eq!((total.due, total.read, total.missed, total.failed), (11, 1, 8, 2));
}

#[test]
fn a_sensor_that_does_not_answer_is_one_fault_and_its_return_closes_it() {
    let mut bench = Bench::new(&Earlier::default());
    let channel = bench.channel("a", Quantity::Gauge);
    (1..=10).for_each(|second| bench.fail(second));
    bench.read(channel, 11, Measured::Gauge(1.0));
    let events: Vec<_> = bench
        .out
        .iter()
        .filter_map(|draft| match &draft.body {
            Body::Event(e) => Some((draft.channel.to_string(), e.class, e.phase, e.id)),
            _ => None,
        })
        .collect();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!((events[0].1, events[0].2), (Class::Fault, Phase::Opened));
    assert_eq!(events[1].2, Phase::Closed);
    assert_eq!(events[0].3, events[1].3);
    assert_eq!(events[0].0, "boiler/sensor");
}

#[test]
fn a_restart_goes_on_counting_and_calls_what_was_held_lost() {
    let mut bench = Bench::new(&Earlier::default());
    let channel = bench.channel("a", Quantity::Gauge);
    (0..50).for_each(|second| bench.read(channel, second, Measured::Gauge(20.0)));
    let earlier =
        Earlier { ledger: Some(bench.pipeline.ledger().encode()), checkpoint: Some(bench.pipeline.checkpoint()) };
    let before = bench.pipeline.ledger().total();

    let mut bench = Bench::new(&earlier);
    let channel = bench.channel("a", Quantity::Gauge);
    (50..60).for_each(|second| bench.read(channel, second, Measured::Gauge(20.0)));
    let after = bench.pipeline.ledger();
    assert!(after.balances(), "{after:?}");
    assert_eq!(after.total().read, 60);
    assert_eq!(after.total().lost, before.held);
}

#[test]
fn an_event_keeps_its_name_over_a_restart() {
    let ids = |out: &[Draft]| -> Vec<_> {
        let event = |draft: &Draft| match &draft.body {
            Body::Event(event) => Some((event.phase, event.id)),
            _ => None,
        };
        out.iter().filter_map(event).collect()
    };
    let mut bench = Bench::new(&Earlier::default());
    let channel = bench.channel("a", Quantity::Gauge);
    bench.read(channel, 1, Measured::Gauge(f64::NAN));
    let opened = ids(&bench.out);
    let earlier = Earlier { ledger: None, checkpoint: Some(bench.pipeline.checkpoint()) };

    let mut bench = Bench::new(&earlier);
    let channel = bench.channel("a", Quantity::Gauge);
    bench.read(channel, 2, Measured::Gauge(20.0));
    assert_eq!(opened.len(), 1);
    assert_eq!(ids(&bench.out), [(Phase::Closed, opened[0].1)]);
}

#[test]
fn damaged_leftovers_of_an_earlier_run_are_nothing_to_fail_on() {
    let junk = Earlier { ledger: Some(vec![0xFF; 40]), checkpoint: Some(vec![0xFF; 40]) };
    let mut bench = Bench::new(&junk);
    let channel = bench.channel("a", Quantity::Gauge);
    bench.read(channel, 1, Measured::Gauge(1.0));
    assert_eq!(bench.pipeline.ledger().total().read, 1);
}
