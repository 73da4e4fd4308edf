//! One polled sensor on its time grid: start a conversion, collect it when it is due, account for every poll.
//!
//! Polls are due at multiples of the period after the first one, whatever happened before: nothing drifts. Every poll
//! ends as readings, as failed or as missed. There is no thread, no clock and no bus in here: whoever owns them calls
//! [`Poll::step`] at [`Poll::next`].

use super::grid::Grid;
use super::i2c::Sensor;
use super::trouble::Trouble;
use super::{Arrival, Closed, Feed, Measured, thread};
use crate::record::Nanos;
use crate::registry::{ChannelIndex, Declared, Quantity};
use std::sync::Arc;
use std::time::Duration;
use weir_drivers::{BusError, Channel, Driver, Error, I2c, Kind, Measurement, Measurements};

/// A sensor being polled.
pub(super) struct Poll {
    feed: Feed,
    driver: Box<dyn Driver + Send>,
    channels: Vec<(ChannelIndex, Kind)>,
    grid: Grid,
    next: Nanos,
    phase: Phase,
    /// Set up since the last failure.
    ready: bool,
    trouble: Trouble,
    lateness: Lateness,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Nothing is going on until `next`.
    Idle,
    /// The chip is being set up.
    Init { since: Nanos },
    /// Setting up is done.
    Start { since: Nanos },
    /// A conversion has been running since `began`.
    Read { since: Nanos, began: Nanos },
}

/// A chip that says "not ready" for this long beyond its period never will be.
const PATIENCE: Nanos = 5_000_000_000;

impl Poll {
    /// Polls `sensor`, first at boot time `first`.
    pub(super) fn new(feed: Feed, first: Nanos, sensor: Sensor) -> Self {
        let Sensor { name, every, driver, .. } = sensor;
        let index = |c: &Channel| Some((feed.channel(declared(c))?, c.kind));
        let channels = driver.channels().iter().filter_map(index).collect();
        Self {
            channels,
            feed,
            driver,
            grid: Grid::new(first, every),
            next: first,
            phase: Phase::Idle,
            ready: false,
            trouble: Trouble::new(name, every),
            lateness: Lateness::default(),
        }
    }

    /// When to call [`step`](Self::step) next.
    pub(super) fn next(&self) -> Nanos {
        self.next
    }

    /// Whether the chip has been set up; if not, its bus is better opened anew.
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    /// How late polls were begun.
    pub(super) fn lateness(&self) -> &Lateness {
        &self.lateness
    }

    /// Does what is to be done at boot time `now`.
    pub(super) fn step(&mut self, bus: Result<&mut I2c<'_>, BusError>, now: Nanos) -> Result<(), Closed> {
        if let Phase::Idle = self.phase {
            self.begin(now)?;
        }
        let mut out = Measurements::new();
        let opened = bus.map_err(|source| Error::Bus { register: "the adapter", source });
        match opened.and_then(|bus| self.talk(bus, &mut out, now)) {
            Ok(false) => Ok(()),
            Ok(true) => self.deliver(&out),
            Err(Error::NotReady { after }) if now - self.since() <= self.grid.every() + PATIENCE => {
                self.next = now + nanos(after).max(1);
                Ok(())
            }
            Err(error) => self.fail(&out, &error, now),
        }
    }

    /// Accounts for the polls that have become due by `now` and will never be begun.
    pub(super) fn finish(&mut self, now: Nanos) -> Result<(), Closed> {
        thread::miss(&self.feed, self.grid.finish(now))
    }

    fn begin(&mut self, now: Nanos) -> Result<(), Closed> {
        self.lateness.record(now - self.next);
        self.phase = if self.ready { Phase::Start { since: now } } else { Phase::Init { since: now } };
        thread::miss(&self.feed, self.grid.begin(now))
    }

    /// True when the conversation is complete.
    fn talk(&mut self, bus: &mut I2c<'_>, out: &mut Measurements, now: Nanos) -> Result<bool, Error> {
        if let Phase::Init { since } = self.phase {
            self.driver.init(bus)?;
            self.ready = true;
            self.phase = Phase::Start { since };
        }
        if let Phase::Start { since } = self.phase {
            let conversion = self.driver.start(bus)?;
            self.phase = Phase::Read { since, began: now };
            self.next = now + nanos(conversion);
            if !conversion.is_zero() {
                return Ok(false);
            }
        }
        self.driver.read(bus, out).map(|()| true)
    }

    fn deliver(&mut self, out: &Measurements) -> Result<(), Closed> {
        self.send_readings(out)?;
        self.send_failures(out, "the device measured other channels, but not this one")?;
        self.trouble.over();
        self.done(Nanos::MIN);
        Ok(())
    }

    fn fail(&mut self, out: &Measurements, error: &Error, now: Nanos) -> Result<(), Closed> {
        let remedy = error.fault().map_or("power the device off and on", |fault| fault.remedy());
        let why = format!("{error}: {remedy}");
        self.send_readings(out)?;
        self.send_failures(out, &why)?;
        self.ready = false;
        let again = now + nanos(self.trouble.failed(&why, now));
        self.done(again);
        Ok(())
    }

    /// The next poll is begun when it is due, but not before `earliest`; polls between are then missed.
    fn done(&mut self, earliest: Nanos) {
        self.grid.end();
        self.next = earliest.max(self.grid.due());
        self.phase = Phase::Idle;
    }

    fn send_readings(&self, out: &Measurements) -> Result<(), Closed> {
        let at = self.began();
        out.iter().try_for_each(|m| {
            let Some((channel, kind)) = self.channels.get(usize::from(m.channel)) else { return Ok(()) };
            self.feed.send_blocking(Arrival::Reading { channel: *channel, at, value: measured(*kind, m) })
        })
    }

    /// Every channel without a reading has a failed one.
    fn send_failures(&self, out: &Measurements, why: &str) -> Result<(), Closed> {
        let (sensor, at, why) = (self.feed.sensor(), self.began(), Arc::<str>::from(why));
        if out.is_empty() {
            return self.feed.send_blocking(Arrival::Failed { sensor, channel: None, at, why });
        }
        let was_read = |n: usize| out.iter().any(|m| usize::from(m.channel) == n);
        let mut unread = self.channels.iter().enumerate().filter(|(n, _)| !was_read(*n));
        unread.try_for_each(|(_, (channel, _))| {
            self.feed.send_blocking(Arrival::Failed { sensor, channel: Some(*channel), at, why: Arc::clone(&why) })
        })
    }

    fn since(&self) -> Nanos {
        match self.phase {
            Phase::Idle => self.next,
            Phase::Init { since } | Phase::Start { since } | Phase::Read { since, .. } => since,
        }
    }

    fn began(&self) -> Nanos {
        if let Phase::Read { began, .. } = self.phase { began } else { self.since() }
    }
}

/// How late polls were begun: a count for each power of two of microseconds.
#[derive(Debug, Default, Clone)]
pub(super) struct Lateness([u64; 32]);

impl Lateness {
    fn record(&mut self, late: Nanos) {
        let micros = late.max(0) / 1000;
        let bucket = 64 - micros.leading_zeros().min(64) as usize;
        self.0[bucket.min(31)] += 1;
    }

    /// At most this late in `share` (0 to 1) of all polls, rounded up to a power of two of microseconds.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.0.iter().sum::<u64>() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let bucket = self.0.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        Duration::from_micros(1u64.checked_shl(bucket.unwrap_or(31) as u32).unwrap_or(u64::MAX))
    }
}

/// A driver's channel as the registry wants it.
pub(super) fn declared(channel: &Channel) -> Declared {
    Declared {
        name: channel.name.into(),
        unit: channel.unit.into(),
        quantity: match channel.kind {
            Kind::Gauge => Quantity::Gauge,
            Kind::Counter => Quantity::Counter,
            Kind::State => Quantity::State,
        },
        valid: Some(channel.valid),
        span: Some(channel.span),
        noise: channel.noise,
    }
}

/// A driver's value as the pipeline wants it.
pub(super) fn measured(kind: Kind, measurement: &Measurement) -> Measured {
    match kind {
        Kind::Gauge => Measured::Gauge(measurement.value),
        Kind::Counter => Measured::Counter(measurement.value as u64),
        Kind::State => Measured::State(measurement.value as i64),
    }
}

/// A length of time as nanoseconds.
pub(super) fn nanos(span: Duration) -> Nanos {
    Nanos::try_from(span.as_nanos()).unwrap_or(Nanos::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::registry::{Registry, SensorIndex};
    use std::collections::VecDeque;
    use tokio::sync::mpsc;
    use weir_drivers::{Connection, sim};

    const SECOND: Nanos = 1_000_000_000;
    const CHANNELS: &[Channel] = &[Channel::gauge("a", "V", 0.0, 10.0), Channel::gauge("b", "A", 0.0, 10.0)];

    /// One reading: the values of its channels, and how it ended.
    type Line = (Vec<(usize, f64)>, Result<(), Error>);

    struct Scripted(VecDeque<Line>);

    impl Driver for Scripted {
        fn channels(&self) -> &[Channel] {
            CHANNELS
        }
        fn init(&mut self, _: &mut I2c<'_>) -> Result<(), Error> {
            Ok(())
        }
        fn start(&mut self, _: &mut I2c<'_>) -> Result<Duration, Error> {
            Ok(Duration::ZERO)
        }
        fn read(&mut self, _: &mut I2c<'_>, out: &mut Measurements) -> Result<(), Error> {
            let (values, end) = self.0.pop_front().unwrap();
            values.into_iter().for_each(|(channel, value)| out.push(channel, value));
            end
        }
    }

    /// What arrives of a sensor with this script when it is polled at these times.
    fn poll(script: Vec<Line>, times: &[Nanos]) -> (Vec<String>, Poll) {
        let registry = Arc::new(Registry::new(vec![crate::registry::Sensor::default()]));
        let (to, mut from) = mpsc::channel(100);
        let feed = Feed::new(SensorIndex(0), registry, to, Clock::simulated(0));
        let device = weir_drivers::TABLE.iter().find(|d| matches!(d.connection, Connection::I2c { .. })).unwrap();
        let driver = Box::new(Scripted(script.into()));
        let sensor = Sensor { name: "s".into(), address: 8, every: Duration::from_secs(1), device, driver };
        let mut poll = Poll::new(feed, 0, sensor);
        let mut bus = sim::Bus::new(100_000);
        for now in times {
            poll.step(Ok(&mut bus), *now).unwrap();
        }
        let arrivals = std::iter::from_fn(|| from.try_recv().ok());
        let word = |arrival| match arrival {
            Arrival::Reading { channel, value, .. } => format!("{} {value:?}", channel.0),
            Arrival::Failed { channel, .. } => format!("failed {:?}", channel.map(|c| c.0)),
            Arrival::Missed { polls, .. } => format!("missed {polls}"),
        };
        (arrivals.map(word).collect(), poll)
    }

    const STALE: Error = Error::Stale { register: "R" };
    const SOON: Error = Error::NotReady { after: Duration::from_millis(3) };

    #[test]
    fn what_was_measured_before_an_error_counts_and_the_rest_has_failed() {
        let (arrived, poll) = poll(vec![(vec![(0, 1.5)], Err(STALE))], &[0]);
        assert_eq!(arrived, ["0 Gauge(1.5)", "failed Some(1)"]);
        assert!(!poll.is_ready(), "it is set up anew");
    }

    #[test]
    fn a_channel_that_a_good_reading_leaves_out_has_failed() {
        let (arrived, poll) = poll(vec![(vec![(1, 2.0)], Ok(()))], &[0]);
        assert_eq!(arrived, ["1 Gauge(2.0)", "failed Some(0)"]);
        assert!(poll.is_ready());
    }

    #[test]
    fn a_chip_that_is_not_ready_is_asked_again_soon_but_not_for_ever() {
        let (arrived, poll_then) = poll(vec![(vec![], Err(SOON))], &[0]);
        assert_eq!((arrived.len(), poll_then.next()), (0, 3_000_000));
        let late = SECOND + PATIENCE + 1;
        let (arrived, _) = poll(vec![(vec![], Err(SOON)), (vec![], Err(SOON))], &[0, late]);
        assert_eq!(arrived, ["failed None"]);
    }

    #[test]
    fn polls_that_nobody_began_are_missed_and_the_grid_stays() {
        let good = || (vec![(0, 1.0), (1, 1.0)], Ok(()));
        let (arrived, poll) = poll(vec![good(), good()], &[0, 3 * SECOND + 5]);
        assert_eq!(arrived[2..3], ["missed 2"]);
        assert_eq!(poll.next(), 4 * SECOND);
    }
}
