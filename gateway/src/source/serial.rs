//! `kind = "serial"`: a serial port, opened through tokio-serial and opened again whenever it comes back.
//!
//! What is spoken on it is decided by its sensors: one device that talks by itself ([`super::stream`]), or Modbus units that
//! are asked one after the other ([`super::modbus`]).

use super::{BusKind, Carries, Draft, Source, modbus, stream};
use crate::section::Section;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_serial::{DataBits, Parity, SerialPortBuilderExt, SerialStream, StopBits};

pub(super) const KIND: BusKind = BusKind {
    name: "serial",
    summary: "a serial port, `device = \"/dev/serial/by-id/…\"`, `baud`, `parity`",
    carries: Carries::Serial,
    open,
};

fn open(mut section: Section<'_, '_>, drafts: Vec<Draft<'_, '_>>) -> Option<Box<dyn Source>> {
    let device = section
        .require::<PathBuf>("device", "\"/dev/serial/by-id/usb-…\", which stays the same when ports are swapped");
    let port = Port::read(&mut section, drafts.first(), Arc::new(Mutex::new(device)));
    let source = connect(&section, port, drafts);
    section.finish();
    source
}

/// Gives the port to whatever its sensors speak.
pub(super) fn connect(bus: &Section<'_, '_>, port: Port, drafts: Vec<Draft<'_, '_>>) -> Option<Box<dyn Source>> {
    if drafts.iter().all(|draft| draft.driver_name() == modbus::ENTRY.name) {
        return modbus::open_rtu(port, drafts);
    }
    let mut drafts = drafts.into_iter();
    let first = drafts.next()?;
    if let Some(second) = drafts.next() {
        let message = format!("[{}] has more than one device, and not all of them speak Modbus", bus.name());
        let section = &second.section;
        section.report(section.place(), message, "this one is too many", Some("give it a port of its own".into()));
        return None;
    }
    stream::open(port, first)
}

/// A serial port and its settings.
pub(super) struct Port {
    /// Where it is; a simulated one moves, and is sometimes nowhere.
    device: Arc<Mutex<Option<PathBuf>>>,
    baud: u32,
    parity: Parity,
    data_bits: DataBits,
    stop_bits: StopBits,
}

const PARITIES: &[(&str, Parity)] = &[("none", Parity::None), ("even", Parity::Even), ("odd", Parity::Odd)];

/// What most devices with a serial line are set to when they leave the factory.
const USUAL_BAUD: u32 = 9600;

impl Port {
    /// Takes the line settings; a device of the driver table knows its own speed.
    pub(super) fn read(
        section: &mut Section<'_, '_>,
        first: Option<&Draft<'_, '_>>,
        device: Arc<Mutex<Option<PathBuf>>>,
    ) -> Self {
        let known = first.and_then(|draft| match weir_drivers::find(draft.driver_name())?.connection {
            weir_drivers::Connection::Serial { baud, .. } => Some(baud),
            weir_drivers::Connection::I2c { .. } => None,
        });
        let baud = section.take_checked("baud", "must be 50 to 4000000", |b| (50..=4_000_000).contains(b));
        Self {
            device,
            baud: baud.or(known).unwrap_or(USUAL_BAUD),
            parity: section.take_word("parity", PARITIES).unwrap_or(Parity::None),
            data_bits: match section.take_checked("data_bits", "must be 7 or 8", |n| [7, 8].contains(n)) {
                Some(7) => DataBits::Seven,
                _ => DataBits::Eight,
            },
            stop_bits: match section.take_checked("stop_bits", "must be 1 or 2", |n| [1, 2].contains(n)) {
                Some(2) => StopBits::Two,
                _ => StopBits::One,
            },
        }
    }

    /// Bits per second.
    pub(super) fn baud(&self) -> u32 {
        self.baud
    }

    /// Opens the port for this process alone; an error says what to do about it.
    pub(super) fn open(&self) -> Result<SerialStream, String> {
        let device = self.device.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(device) = device else { return Err(PORT_GONE.into()) };
        tokio_serial::new(device.to_string_lossy(), self.baud)
            .parity(self.parity)
            .data_bits(self.data_bits)
            .stop_bits(self.stop_bits)
            .open_native_async()
            .map_err(|error| why(&device, &error))
    }
}

/// What is said of a port that was open and is no more.
pub(super) const PORT_GONE: &str = "the serial port has disappeared: plug the adapter back in";

fn why(device: &Path, error: &tokio_serial::Error) -> String {
    let name = device.display();
    match error.kind {
        _ if !device.exists() => {
            format!("{name} is not there: plug the adapter in; `ls -l /dev/serial/by-id` shows which ones there are")
        }
        tokio_serial::ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
            format!(
                "no permission to open {name}: add the user to group dialout (`usermod -aG dialout weir`) and restart"
            )
        }
        tokio_serial::ErrorKind::NoDevice => {
            format!("{name} cannot be opened ({error}): another program may be using it; `fuser -v {name}` shows which")
        }
        _ => format!("{name} cannot be opened as a serial port: {error}"),
    }
}
