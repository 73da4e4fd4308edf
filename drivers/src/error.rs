//! What can be wrong with a device, in a taxonomy that a technician understands. An error says which register was
//! being accessed; its [`Fault`] says which counter it belongs to and what to do.

use core::fmt;
use core::time::Duration;

use embedded_hal::i2c::{self, ErrorKind, NoAcknowledgeSource};

/// Why a device did not deliver.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The bus failed while `register` was being accessed.
    Bus {
        /// The register or command, as the datasheet calls it.
        register: &'static str,
        /// What the bus said.
        source: BusError,
    },
    /// Something answered, but it is not the chip that was configured.
    WrongChip {
        /// The chip that was expected.
        expected: &'static str,
        /// The identification that was read instead.
        found: u32,
    },
    /// The answer was damaged on its way.
    Checksum {
        /// The register or command whose answer was damaged.
        register: &'static str,
        /// The checksum over the received bytes.
        computed: u8,
        /// The checksum that came with them.
        received: u8,
    },
    /// The chip answered with a code that no measurement produces (0xFFFF, "skipped", overflow).
    OutOfRange {
        /// The register that held it.
        register: &'static str,
        /// The code, as read.
        raw: u32,
    },
    /// The chip reads back another configuration than was written: it lost power or refused it.
    Configuration {
        /// The register.
        register: &'static str,
        /// What was written.
        wrote: u32,
        /// What came back.
        read: u32,
    },
    /// No new measurement since the last one although one was due.
    Stale {
        /// The register that says so.
        register: &'static str,
    },
    /// Not an error yet: call the same method again after this time.
    NotReady {
        /// How long to wait.
        after: Duration,
    },
}

/// What is wrong, without its details: one counter and one remedy each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing answers at the address.
    Absent,
    /// Another chip answers at the address.
    WrongChip,
    /// Damaged on the way.
    Checksum,
    /// A value that the device cannot have measured.
    OutOfRange,
    /// The device does not keep its configuration.
    Configuration,
    /// The device answers, but does not measure.
    Stale,
    /// The bus is held by somebody and cannot be used.
    BusStuck,
    /// The bus or port itself has disappeared.
    PortGone,
    /// The bus may not be opened by this user.
    Permission,
    /// Any other failure of the bus.
    Bus,
}

impl Fault {
    /// Every fault, for tables of counters.
    pub const ALL: [Self; 10] = [
        Self::Absent,
        Self::WrongChip,
        Self::Checksum,
        Self::OutOfRange,
        Self::Configuration,
        Self::Stale,
        Self::BusStuck,
        Self::PortGone,
        Self::Permission,
        Self::Bus,
    ];

    /// A short name for counters and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::WrongChip => "wrong chip",
            Self::Checksum => "checksum",
            Self::OutOfRange => "out of range",
            Self::Configuration => "configuration",
            Self::Stale => "stale",
            Self::BusStuck => "bus stuck",
            Self::PortGone => "port gone",
            Self::Permission => "permission",
            Self::Bus => "bus",
        }
    }

    /// What to do about it, to somebody standing in front of the cabinet.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Absent => "check power, wiring and address; `weir scan` shows what answers on the bus",
            Self::WrongChip => "check `driver` and `address`; `weir scan` shows which chip answers there",
            Self::Checksum => "shorten or shield the cable, check the pull-up resistors, or lower the bus speed",
            Self::OutOfRange => "check that the sensor's inputs are connected; replace the sensor if it persists",
            Self::Configuration => {
                "check the supply: the chip restarts between readings, or another program configures it"
            }
            Self::Stale => "check the supply and the sensor's period; power the sensor off and on",
            Self::BusStuck => {
                "a device holds SDA or SCL low: unplug the devices one by one to find it, or power the bus off and on"
            }
            Self::PortGone => {
                "plug the adapter back in; for I2C check that the controller is enabled (`dtparam=i2c_arm=on` on a Raspberry Pi)"
            }
            Self::Permission => {
                "add the user to the device's group (`usermod -aG i2c weir`, for serial ports `dialout`) and restart"
            }
            Self::Bus => "check wiring and pull-up resistors; the kernel log (`dmesg`) may say more",
        }
    }
}

impl Error {
    /// Which fault this is; `None` while the device is merely not ready yet.
    pub const fn fault(&self) -> Option<Fault> {
        Some(match self {
            Self::Bus { source, .. } => source.kind.fault(),
            Self::WrongChip { .. } => Fault::WrongChip,
            Self::Checksum { .. } => Fault::Checksum,
            Self::OutOfRange { .. } => Fault::OutOfRange,
            Self::Configuration { .. } => Fault::Configuration,
            Self::Stale { .. } => Fault::Stale,
            Self::NotReady { .. } => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus { register, source } => write!(f, "{source} (accessing {register})"),
            Self::WrongChip { expected, found } => {
                write!(f, "this is not a {expected}: it identifies itself as {found:#04x}")
            }
            Self::Checksum { register, computed, received } => write!(
                f,
                "the answer to {register} is damaged: its checksum is {received:#04x}, its bytes give {computed:#04x}"
            ),
            Self::OutOfRange { register, raw } => {
                write!(f, "{register} holds {raw:#x}, which no measurement produces")
            }
            Self::Configuration { register, wrote, read } => {
                write!(f, "{register} does not keep its setting: wrote {wrote:#04x}, read {read:#04x}")
            }
            Self::Stale { register } => {
                write!(f, "no new measurement since the last one (says {register})")
            }
            Self::NotReady { after } => {
                write!(f, "not ready yet, ask again in {} ms", after.as_millis())
            }
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Bus { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What every bus's own errors are mapped into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusError {
    /// What it means.
    pub kind: BusFault,
    /// The operating system's error number, where there is one.
    pub errno: Option<i32>,
}

/// What a failed bus access means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusFault {
    /// Nobody acknowledged.
    Absent,
    /// Nobody acknowledged at the address of a multiplexer in front of the device.
    MultiplexerAbsent,
    /// Another controller was faster; try again.
    ArbitrationLost,
    /// A line is held low.
    Stuck,
    /// Not allowed.
    Permission,
    /// The adapter has disappeared.
    PortGone,
    /// Anything else.
    Other,
}

impl BusFault {
    const fn fault(self) -> Fault {
        match self {
            Self::Absent | Self::MultiplexerAbsent => Fault::Absent,
            Self::Stuck => Fault::BusStuck,
            Self::Permission => Fault::Permission,
            Self::PortGone => Fault::PortGone,
            Self::ArbitrationLost | Self::Other => Fault::Bus,
        }
    }
}

impl BusError {
    /// An error without a number of the operating system.
    pub const fn new(kind: BusFault) -> Self {
        Self { kind, errno: None }
    }

    /// What Linux means by an error number from an I2C adapter (kernel, `Documentation/i2c/fault-codes.rst`).
    ///
    /// A missing device is `EREMOTEIO` on most controllers and `ENXIO` on the rest; some let it run into
    /// `ETIMEDOUT`.
    pub const fn from_errno(errno: i32) -> Self {
        let kind = match errno {
            121 | 6 | 110 => BusFault::Absent,  // EREMOTEIO, ENXIO, ETIMEDOUT
            11 => BusFault::ArbitrationLost,    // EAGAIN
            16 => BusFault::Stuck,              // EBUSY
            1 | 13 => BusFault::Permission,     // EPERM, EACCES
            2 | 19 | 108 => BusFault::PortGone, // ENOENT, ENODEV, ESHUTDOWN
            _ => BusFault::Other,
        };
        Self { kind, errno: Some(errno) }
    }
}

impl From<ErrorKind> for BusError {
    fn from(kind: ErrorKind) -> Self {
        Self::new(match kind {
            ErrorKind::NoAcknowledge(_) => BusFault::Absent,
            ErrorKind::ArbitrationLoss => BusFault::ArbitrationLost,
            ErrorKind::Bus => BusFault::Stuck,
            _ => BusFault::Other,
        })
    }
}

impl i2c::Error for BusError {
    fn kind(&self) -> ErrorKind {
        match self.kind {
            BusFault::Absent | BusFault::MultiplexerAbsent => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            BusFault::ArbitrationLost => ErrorKind::ArbitrationLoss,
            BusFault::Stuck => ErrorKind::Bus,
            BusFault::Permission | BusFault::PortGone | BusFault::Other => ErrorKind::Other,
        }
    }
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            BusFault::Absent => "no answer from the device",
            BusFault::MultiplexerAbsent => "no answer from the multiplexer in front of the device",
            BusFault::ArbitrationLost => "another controller took the bus",
            BusFault::Stuck => "the bus is stuck",
            BusFault::Permission => "no permission to use the bus",
            BusFault::PortGone => "the bus has disappeared",
            BusFault::Other => "the bus failed",
        })?;
        match self.errno {
            Some(errno) => write!(f, " (error {errno})"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for BusError {}

/// Why bytes of a stream did not become measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame was damaged on its way.
    Checksum {
        /// The checksum over the received bytes.
        computed: u32,
        /// The checksum that came with them.
        received: u32,
    },
    /// More bytes than any frame of this device has: half a frame, a wrong baud rate, or another device.
    TooLong,
    /// A complete frame that does not mean anything.
    Malformed,
}

impl FrameError {
    /// Which fault this is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Checksum { .. } => Fault::Checksum,
            Self::TooLong | Self::Malformed => Fault::WrongChip,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum { computed, received } => {
                write!(f, "damaged frame: its checksum is {received:#x}, its bytes give {computed:#x}")
            }
            Self::TooLong => f.write_str("no end of frame: check the baud rate and the kind of device"),
            Self::Malformed => f.write_str("a frame that this device does not send: check the kind of device"),
        }
    }
}

impl core::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::string::ToString;

    /// Kernel, `Documentation/i2c/fault-codes.rst`, and what Raspberry Pi and Intel adapters answer.
    #[rstest]
    #[case(121, Fault::Absent)]
    #[case(6, Fault::Absent)]
    #[case(110, Fault::Absent)]
    #[case(16, Fault::BusStuck)]
    #[case(13, Fault::Permission)]
    #[case(2, Fault::PortGone)]
    #[case(19, Fault::PortGone)]
    #[case(11, Fault::Bus)]
    #[case(5, Fault::Bus)]
    fn every_errno_has_its_fault(#[case] errno: i32, #[case] fault: Fault) {
        let error = Error::Bus { register: "Id", source: BusError::from_errno(errno) };
        assert_eq!(error.fault(), Some(fault));
        assert!(error.to_string().ends_with(&std::format!("(error {errno}) (accessing Id)")), "{error}");
    }

    #[test]
    fn messages_are_for_a_technician() {
        let error = Error::Bus { register: "Id", source: BusError::from_errno(121) };
        assert_eq!(error.to_string(), "no answer from the device (error 121) (accessing Id)");
        let error = Error::WrongChip { expected: "BME280", found: 0x58 };
        assert_eq!(error.to_string(), "this is not a BME280: it identifies itself as 0x58");
        let error = Error::Checksum { register: "Measure", computed: 0xAC, received: 0xFF };
        assert_eq!(error.to_string(), "the answer to Measure is damaged: its checksum is 0xff, its bytes give 0xac");
        let error = Error::Configuration { register: "Config", wrote: 0x20, read: 0 };
        assert_eq!(error.to_string(), "Config does not keep its setting: wrote 0x20, read 0x00");
    }

    #[test]
    fn every_fault_has_its_own_name_and_a_remedy() {
        for (n, fault) in Fault::ALL.iter().enumerate() {
            assert!(Fault::ALL[..n].iter().all(|other| other.name() != fault.name()));
            assert!(fault.remedy().len() > 20, "{fault:?}");
        }
    }

    #[test]
    fn not_ready_is_no_fault() {
        assert_eq!(Error::NotReady { after: Duration::from_millis(1) }.fault(), None);
    }

    #[test]
    fn kinds_of_embedded_hal_go_there_and_back() {
        for kind in [ErrorKind::ArbitrationLoss, ErrorKind::Bus, ErrorKind::Other] {
            assert_eq!(i2c::Error::kind(&BusError::from(kind)), kind);
        }
        let absent = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
        assert_eq!(BusError::from(absent), BusError::new(BusFault::Absent));
    }
}
