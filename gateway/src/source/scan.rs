//! What is connected to this machine, as a configuration that can be pasted.
//!
//! I2C buses are searched with the drivers' own identification, which only reads; a device that has nothing to tell by is
//! listed with the drivers that could be meant. Serial ports are listed, but not spoken to: nobody knows what is behind.

use super::i2c::open_adapter;
use super::w1;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use weir_drivers::{BusFault, Connection, Error, I2c, TABLE};

/// What was found, in the order of the names.
#[derive(Debug, Default)]
pub struct Scan {
    /// I2C adapters and what answers on them, or why they cannot be searched.
    pub adapters: Vec<(PathBuf, Result<Vec<Answer>, String>)>,
    /// Serial ports, by their lasting names where they have one.
    pub ports: Vec<PathBuf>,
    /// 1-Wire thermometers.
    pub thermometers: Vec<String>,
}

/// Something answers at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The 7-bit address.
    pub address: u8,
    /// Whether the device itself says that it is the first of `drivers`.
    pub is_certain: bool,
    /// The drivers that it could be for; none if Weir knows no device with this address.
    pub drivers: Vec<&'static str>,
}

/// Looks at everything below `root` (`/`).
pub fn scan(root: &Path) -> Scan {
    let adapters = entries(&root.join("dev"), "i2c-").into_iter().map(|path| {
        let found = open_adapter(&path).map(|mut bus| search(&mut bus)).map_err(|error| {
            let error = Error::Bus { register: "the adapter", source: error };
            format!("{error}: {}", error.fault().map_or("", |fault| fault.remedy()))
        });
        (path, found)
    });
    let thermometers = entries(&root.join(w1::DEVICES.trim_start_matches('/')), "28-").into_iter();
    Scan {
        adapters: adapters.collect(),
        ports: ports(root),
        thermometers: thermometers.filter_map(|p| Some(p.file_name()?.to_str()?.to_owned())).collect(),
    }
}

/// Every address of a bus that a device may have.
fn search(bus: &mut I2c<'_>) -> Vec<Answer> {
    (0x08..=0x77).filter_map(|address| ask(bus, address)).collect()
}

fn ask(bus: &mut I2c<'_>, address: u8) -> Option<Answer> {
    let mut possible = Vec::new();
    for entry in TABLE {
        let Connection::I2c { addresses, identify, .. } = entry.connection else { continue };
        if !addresses.contains(&address) {
            continue;
        }
        match identify.map(|identify| identify(bus, address)) {
            Some(Ok(true)) => return Some(Answer { address, is_certain: true, drivers: vec![entry.name] }),
            // It has an identification, and this is not it, or it does not know the question.
            Some(_) => {}
            None => possible.push(entry.name),
        }
    }
    answers(bus, address).then_some(Answer { address, is_certain: false, drivers: possible })
}

/// A device that is busy with something else acknowledges its address all the same.
fn answers(bus: &mut I2c<'_>, address: u8) -> bool {
    let answer = bus.read(address, &mut [0]);
    !matches!(answer, Err(error) if error.kind != BusFault::ArbitrationLost)
}

fn ports(root: &Path) -> Vec<PathBuf> {
    let lasting = entries(&root.join("dev/serial/by-id"), "");
    if !lasting.is_empty() {
        return lasting;
    }
    let dev = root.join("dev");
    ["ttyUSB", "ttyACM", "ttyAMA", "serial"]
        .iter()
        .flat_map(|start| entries(&dev, start))
        .filter(|p| !p.is_dir())
        .collect()
}

fn entries(folder: &Path, start: &str) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    let fits = |path: &PathBuf| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(start));
    let mut paths: Vec<_> = found.filter_map(|entry| Some(entry.ok()?.path())).filter(fits).collect();
    paths.sort();
    paths
}

impl Scan {
    /// A configuration of everything that was found. What is uncertain stands in comments.
    pub fn config(&self) -> String {
        let mut text = String::new();
        for (path, found) in &self.adapters {
            adapter(&mut text, path, found);
        }
        for (n, port) in self.ports.iter().enumerate() {
            let _ = write!(
                text,
                "# a serial port; say what is behind it\n# [bus.port-{n}]\n# kind = \"serial\"\n# device = {port:?}\n# baud = 9600\n\n"
            );
        }
        for address in &self.thermometers {
            let _ =
                write!(text, "[sensor.{address}]\ndriver = \"ds18b20\"\naddress = \"{address}\"\nevery = \"10s\"\n\n");
        }
        text.push_str("[sensor.machine]                         # this machine's own temperatures, load and memory\ndriver = \"host\"\nevery = \"10s\"\n");
        text
    }
}

fn adapter(text: &mut String, path: &Path, found: &Result<Vec<Answer>, String>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let answers = match found {
        Ok(answers) if !answers.is_empty() => answers,
        Ok(_) => {
            let _ = write!(text, "# {}: nothing answers\n\n", path.display());
            return;
        }
        Err(why) => {
            let _ = write!(text, "# {}: {why}\n\n", path.display());
            return;
        }
    };
    let _ = write!(text, "[bus.{name}]\nkind = \"i2c\"\ndevice = {path:?}\n\n");
    for answer in answers {
        sensor(text, &name, answer);
    }
}

fn sensor(text: &mut String, bus: &str, answer: &Answer) {
    let Answer { address, is_certain, drivers } = answer;
    let Some(driver) = drivers.first() else {
        let _ = write!(text, "# {address:#04x}: something answers that Weir has no driver for\n\n");
        return;
    };
    let mark = if *is_certain { "" } else { "# " };
    if !is_certain {
        let _ = writeln!(
            text,
            "# {address:#04x}: something answers that does not say what it is; it could be: {}",
            drivers.join(", ")
        );
    }
    let lines = [
        format!("[sensor.{driver}-{address:02x}]"),
        format!("driver = \"{driver}\""),
        format!("bus = \"{bus}\""),
        format!("address = {address:#04x}"),
        "every = \"10s\"".to_owned(),
    ];
    lines.iter().for_each(|line| _ = writeln!(text, "{mark}{line}"));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use weir_drivers::sim::Bus;

    fn bus(devices: &[(&str, u8)]) -> Bus {
        let mut bus = Bus::new(100_000);
        for (name, address) in devices {
            let Connection::I2c { simulate, .. } = weir_drivers::find(name).unwrap().connection else {
                panic!("{name}")
            };
            bus.attach(simulate(*address));
        }
        bus
    }

    #[test]
    fn chips_that_say_who_they_are_are_known_for_certain() {
        let found = search(&mut bus(&[("bme280", 0x76), ("bmp280", 0x77), ("sht3x", 0x44)]));
        let certain: Vec<_> = found.iter().filter(|a| a.is_certain).map(|a| (a.address, a.drivers[0])).collect();
        assert_eq!(certain, [(0x44, "sht3x"), (0x76, "bme280"), (0x77, "bmp280")]);
    }

    #[test]
    fn a_chip_without_a_name_could_be_several() {
        let found = search(&mut bus(&[("ads1115", 0x48)]));
        assert_eq!(found.len(), 1);
        assert!(!found[0].is_certain && found[0].drivers.contains(&"ads1115"), "{found:?}");
    }

    #[test]
    fn an_empty_bus_has_nothing() {
        assert_eq!(search(&mut bus(&[])), []);
    }

    #[test]
    fn what_is_printed_is_a_configuration() {
        let found = search(&mut bus(&[("bme280", 0x76), ("ads1115", 0x48)]));
        let scan = Scan {
            adapters: vec![("/dev/i2c-1".into(), Ok(found)), ("/dev/i2c-2".into(), Err("no permission".into()))],
            ports: vec!["/dev/ttyUSB0".into()],
            thermometers: vec!["28-0316a2791eff".into()],
        };
        let text = format!("[gateway]\nid = \"g\"\n{}", scan.config());
        let config = Config::parse(&text, "scan").unwrap_or_else(|report| panic!("{report}"));
        let names: Vec<_> = config.sensors.iter().map(|s| &*s.name).collect();
        assert_eq!(names, ["bme280-76", "28-0316a2791eff", "machine"]);
        assert!(
            text.contains("# 0x48: something answers that does not say what it is; it could be: ads1015, ads1115"),
            "{text}"
        );
    }

    #[test]
    fn ports_and_thermometers_are_found_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in
            ["dev/serial/by-id/usb-FTDI_1-if00", "sys/bus/w1/devices/28-01/w1_slave", "sys/bus/w1/devices/w1_bus/x"]
        {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
        }
        let scan = scan(root);
        assert_eq!(scan.thermometers, ["28-01"]);
        assert_eq!(scan.ports, [root.join("dev/serial/by-id/usb-FTDI_1-if00")]);
        assert!(scan.adapters.is_empty());
    }
}
