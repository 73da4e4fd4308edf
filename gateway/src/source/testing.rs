//! A bench for sources: a configuration is read, its sources run, their arrivals are looked at.

use super::{Arrival, Measured, Sources};
use crate::clock::Clock;
use crate::config::Config;
use crate::record::Nanos;
use crate::registry::Registry;
use crate::section::Problem;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sources at work.
pub(super) struct Bench {
    pub(super) clock: Clock,
    pub(super) arrivals: Vec<Arrival>,
    registry: Arc<Registry>,
    from: mpsc::Receiver<Arrival>,
    stop: CancellationToken,
    sources: Option<Sources>,
    runtime: Runtime,
}

impl Bench {
    /// On this machine's clock.
    pub(super) fn start(config: &str) -> Self {
        Self::on(config, Clock::system())
    }

    /// On a clock that starts at 0 and goes on by itself as far as somebody waits.
    pub(super) fn simulated(config: &str) -> Self {
        Self::on(config, Clock::simulated(0))
    }

    /// What is wrong with a configuration.
    pub(super) fn problems(config: &str) -> Vec<Problem> {
        Config::parse(&whole(config), "weir.toml").err().map_or_else(Vec::new, |report| report.problems().to_vec())
    }

    fn on(config: &str, clock: Clock) -> Self {
        let config = Config::parse(&whole(config), "weir.toml").unwrap_or_else(|report| panic!("{report}"));
        let registry = Arc::new(Registry::new(config.sensors));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (to, from) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let sources = {
            let _inside = runtime.enter();
            config.sources.start(&registry, &clock, &to, &stop)
        };
        Self { clock, arrivals: Vec::new(), registry, from, stop, sources: Some(sources), runtime }
    }

    /// Takes arrivals until `enough` is true of all so far.
    pub(super) fn until(&mut self, enough: impl Fn(&Self) -> bool) {
        let begin = std::time::Instant::now();
        while !enough(self) {
            assert!(begin.elapsed() < PATIENCE, "not enough, the last: {:?}", self.arrivals.last());
            let next = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.from.recv()).await });
            match next {
                Ok(Some(arrival)) => self.arrivals.push(arrival),
                other => {
                    panic!("{other:?} after {} arrivals, the last: {:?}", self.arrivals.len(), self.arrivals.last())
                }
            }
        }
    }

    /// Does `nudge` every 20 ms and takes arrivals until `enough` is true of all so far.
    pub(super) fn until_nudged(&mut self, mut nudge: impl FnMut(), enough: impl Fn(&Self) -> bool) {
        let begin = std::time::Instant::now();
        while !enough(self) {
            assert!(begin.elapsed() < PATIENCE, "not enough, the last: {:?}", self.arrivals.last());
            nudge();
            let pause = Duration::from_millis(20);
            while let Ok(Some(arrival)) =
                self.runtime.block_on(async { tokio::time::timeout(pause, self.from.recv()).await })
            {
                self.arrivals.push(arrival);
                if enough(self) {
                    return;
                }
            }
        }
    }

    /// Takes arrivals until the sources have nothing more.
    pub(super) fn until_ended(&mut self) {
        let begin = std::time::Instant::now();
        while let Some(arrival) = self.runtime.block_on(async {
            assert!(begin.elapsed() < PATIENCE, "the sources do not end");
            tokio::time::timeout(PATIENCE, self.from.recv()).await.unwrap_or_else(|_| panic!("the sources do not end"))
        }) {
            self.arrivals.push(arrival);
        }
        let mut sources = self.sources.take().unwrap();
        self.runtime.block_on(sources.ended());
    }

    /// Ends the sources and takes what they still had.
    pub(super) fn stop(&mut self) {
        self.stop.cancel();
        self.until_ended();
    }

    /// Times and values of the gauge `sensor/channel`.
    pub(super) fn gauges(&self, name: &str) -> Vec<(Nanos, f64)> {
        let of = |arrival: &Arrival| match arrival {
            Arrival::Reading { channel, at, value: Measured::Gauge(value) } if self.is(*channel, name) => {
                Some((*at, *value))
            }
            _ => None,
        };
        self.arrivals.iter().filter_map(of).collect()
    }

    /// Values of the gauge `sensor/channel`.
    pub(super) fn values(&self, name: &str) -> Vec<f64> {
        self.gauges(name).into_iter().map(|(_, value)| value).collect()
    }

    /// Everything measured of `sensor/channel`, whatever its type.
    pub(super) fn measured(&self, name: &str) -> Vec<Measured> {
        let of = |arrival: &Arrival| match arrival {
            Arrival::Reading { channel, value, .. } if self.is(*channel, name) => Some(value.clone()),
            _ => None,
        };
        self.arrivals.iter().filter_map(of).collect()
    }

    /// Why polls of `sensor` failed.
    pub(super) fn failures(&self, name: &str) -> Vec<String> {
        let of = |arrival: &Arrival| match arrival {
            Arrival::Failed { sensor, why, .. } if self.registry.sensor(*sensor).is_some_and(|s| *s.name == *name) => {
                Some(why.to_string())
            }
            _ => None,
        };
        self.arrivals.iter().filter_map(of).collect()
    }

    /// How many polls of `sensor` were missed.
    pub(super) fn missed(&self, name: &str) -> u64 {
        let of = |arrival: &Arrival| match arrival {
            Arrival::Missed { sensor, polls } if self.registry.sensor(*sensor).is_some_and(|s| *s.name == *name) => {
                *polls
            }
            _ => 0,
        };
        self.arrivals.iter().map(of).sum()
    }

    /// Does something beside the sources.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    fn is(&self, channel: crate::registry::ChannelIndex, name: &str) -> bool {
        self.registry.channel(channel).is_some_and(|known| known.channel.to_string() == name)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn whole(config: &str) -> String {
    format!("[gateway]\nid = \"bench\"\n{config}\n")
}
