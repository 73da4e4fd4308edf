//! `weir read`: one sensor, read once or again and again, without filters, buffer or sinks.

use super::{Done, FAILED, OK, print, runtime, say};
use crate::clock::Clock;
use crate::config::Config;
use crate::registry::Registry;
use crate::source::{Arrival, Measured};
use anyhow::{Context, bail};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Reads one sensor and prints what it measures, without filters, buffer or sinks
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Stop a running gateway before, or both may disturb each other on the bus.

Examples:
  weir read boiler                                             a sensor of the configuration
  weir read --driver bme280 --bus /dev/i2c-1 --address 0x76    without any configuration
  weir read boiler --watch

Exit codes: 0 it was read, 1 it was not, 78 the configuration cannot be used.")]
pub(super) struct Args {
    /// The sensor's name in the configuration
    #[arg(required_unless_present = "driver", conflicts_with = "driver")]
    sensor: Option<String>,

    /// The configuration
    #[arg(short, long, default_value = super::run::DEFAULT_CONFIG)]
    config: PathBuf,

    /// Reads a device that is in no configuration: its driver …
    #[arg(long, requires = "bus")]
    driver: Option<String>,

    /// … the I2C adapter it is connected to …
    #[arg(long)]
    bus: Option<PathBuf>,

    /// … and its address; by default the driver's usual one
    #[arg(long)]
    address: Option<String>,

    /// Goes on until Ctrl-C
    #[arg(short, long)]
    watch: bool,

    /// How long to wait for a first answer
    #[arg(long, default_value = "30s")]
    patience: crate::section::Span,
}

pub(super) fn main(args: &Args) -> Done {
    let (config, name) = match &args.driver {
        Some(driver) => (Config::parse(&single(args, driver), "the command line")?, "device"),
        None => (Config::load(&args.config)?, args.sensor.as_deref().unwrap_or_default()),
    };
    if !config.sensors.iter().any(|sensor| *sensor.name == *name) {
        let known: Vec<_> = config.sensors.iter().map(|s| &*s.name).collect();
        bail!("{} has no [sensor.{name}]; it has: {}", args.config.display(), known.join(", "));
    }
    let runtime = runtime()?;
    let done = runtime.block_on(watch(config, name, args))?;
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(done)
}

/// A configuration of one device.
fn single(args: &Args, driver: &str) -> String {
    let bus = args.bus.as_deref().unwrap_or_else(|| "".as_ref());
    let address = args.address.as_ref().map(|a| format!("address = {a}\n")).unwrap_or_default();
    format!(
        "[gateway]\nid = \"read\"\n[bus.b]\nkind = \"i2c\"\ndevice = {bus:?}\n\
         [sensor.device]\ndriver = {driver:?}\nbus = \"b\"\nevery = \"10s\"\n{address}"
    )
}

/// Prints what arrives of the sensor, until every known channel has had its turn or for ever.
async fn watch(config: Config, name: &str, args: &Args) -> Done {
    let registry = Arc::new(Registry::new(config.sensors));
    let (to, mut arrivals) = mpsc::channel(256);
    let stop = CancellationToken::new();
    let _ends_with_the_last_reading = stop.clone().drop_guard();
    let sources = config.sources.only(name, registry.sensors());
    let _sources = sources.start(&registry, &Clock::system(), &to, &stop);
    drop(to);
    let (mut read, mut failed) = (0, 0);
    loop {
        let next = tokio::time::timeout(args.patience.0, arrivals.recv());
        let Some(arrival) = next.await.with_context(|| format!("{name} has said nothing for {}", args.patience))?
        else {
            break;
        };
        match show(&registry, name, &arrival) {
            Some(Ok(line)) => {
                print(&line);
                read += 1;
            }
            Some(Err(line)) => {
                say(&line);
                let is_whole = matches!(arrival, Arrival::Failed { channel: None, .. });
                failed += if is_whole { expected(&registry, name) } else { 1 };
            }
            None => continue,
        }
        if !args.watch && arrivals.is_empty() && read + failed >= expected(&registry, name) {
            break;
        }
    }
    Ok(if read > 0 { OK } else { FAILED })
}

/// How many lines make one reading of the sensor.
fn expected(registry: &Registry, name: &str) -> usize {
    let index = (0..).map(crate::registry::SensorIndex).zip(registry.sensors()).find(|(_, s)| *s.name == *name);
    index.map_or(1, |(index, _)| registry.channels_of(index).len()).max(1)
}

/// A line about the sensor: what was measured, or what is wrong.
fn show(registry: &Registry, name: &str, arrival: &Arrival) -> Option<Result<String, String>> {
    match arrival {
        Arrival::Reading { channel, value, .. } => {
            let channel = registry.channel(*channel)?.channel;
            let value = match value {
                Measured::Gauge(value) => value.to_string(),
                Measured::Counter(value) => value.to_string(),
                Measured::State(value) => value.to_string(),
                Measured::Text(value) => value.to_string(),
            };
            (*channel.sensor == *name).then(|| Ok(format!("{channel} {value} {}\n", channel.unit)))
        }
        Arrival::Failed { sensor, why, .. } => {
            (*registry.sensor(*sensor)?.name == *name).then(|| Err(format!("weir: {name}: {why}\n")))
        }
        Arrival::Missed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn read(words: &[&str]) -> Done {
        main(&Line::parse_from([&["read"], words].concat()).args)
    }

    #[test]
    fn a_sensor_of_the_configuration_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.toml");
        let text = "[gateway]\nid = \"g\"\n[bus.s]\nkind = \"sim\"\n[sensor.boiler]\ndriver = \"bme280\"\nbus = \"s\"\nevery = \"1s\"\n";
        std::fs::write(&path, text).unwrap();
        let config = path.to_str().unwrap();
        assert_eq!(read(&["boiler", "--config", config]).unwrap(), OK);
        let error = read(&["oven", "--config", config]).unwrap_err().to_string();
        assert!(error.ends_with("has no [sensor.oven]; it has: boiler"), "{error}");
    }

    #[test]
    fn a_device_on_an_adapter_that_is_not_there_fails() {
        let words = ["--driver", "bme280", "--bus", "/dev/i2c-none", "--address", "0x76"];
        assert_eq!(read(&words).unwrap(), FAILED);
    }

    #[test]
    fn a_driver_that_does_not_exist_is_a_problem_of_the_configuration() {
        let error = read(&["--driver", "bme28", "--bus", "/dev/i2c-1"]).unwrap_err();
        assert!(error.downcast_ref::<crate::config::Report>().is_some());
    }
}
