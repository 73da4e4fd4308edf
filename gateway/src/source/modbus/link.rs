//! The conversation with Modbus units: connect, ask, and begin anew after anything that is not a proper answer.

use super::registers::{Block, Table};
use crate::source::serial::Port;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_modbus::client::{Context, Reader, rtu, tcp};
use tokio_modbus::slave::{Slave, SlaveContext};
use tokio_modbus::{Error, ExceptionCode};
use tokio_serial::SerialStream;

/// How units are reached.
pub(super) enum Link {
    /// A serial line.
    Rtu(Port),
    /// A host and its port.
    Tcp(String),
}

/// Why there are no words.
pub(super) enum Failure {
    /// The unit has answered that it will not.
    Refused(String),
    /// No proper answer: nothing can be said about what comes next on this connection.
    Broken(String),
}

/// A connection while there is one.
pub(super) struct Session {
    link: Link,
    open: Option<Context>,
}

/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// A line on which nothing has come for this time holds no late answer any more …
const QUIET: Duration = Duration::from_millis(100);

/// … and one that is never quiet is used all the same after this time.
const BABBLE: Duration = Duration::from_secs(1);

impl Session {
    pub(super) fn new(link: Link) -> Self {
        Self { link, open: None }
    }

    /// The words of a block; bits come as words of 0 or 1.
    pub(super) async fn ask(&mut self, unit: u8, block: Block, patience: Duration) -> Result<Vec<u16>, Failure> {
        let context = match self.open.take() {
            Some(context) => self.open.insert(context),
            None => self.open.insert(self.link.connect().await.map_err(Failure::Broken)?),
        };
        context.set_slave(Slave(unit));
        sleep(self.link.silence()).await;
        let answer = timeout(patience, read(context, block)).await;
        let broken = match answer {
            Ok(Ok(Ok(words))) if words.len() == usize::from(block.count) => return Ok(words),
            Ok(Ok(Ok(words))) => format!("unit {unit} has sent {} of {} values", words.len(), block.count),
            Ok(Ok(Err(code))) => return Err(Failure::Refused(refused(unit, code))),
            Ok(Err(error)) => damaged(unit, &error),
            Err(_) => format!("unit {unit} does not answer within {patience:?}: {}", self.link.remedy()),
        };
        self.open = None;
        Err(Failure::Broken(broken))
    }
}

impl Link {
    async fn connect(&self) -> Result<Context, String> {
        match self {
            Self::Rtu(port) => {
                let mut stream = port.open()?;
                drain(&mut stream).await;
                Ok(rtu::attach(stream))
            }
            Self::Tcp(address) => {
                let connecting = timeout(CONNECT, TcpStream::connect(address)).await;
                let stream = connecting
                    .map_err(|_| format!("{address} does not answer: is it switched on and in this network?"))?;
                Ok(tcp::attach(
                    stream.map_err(|e| format!("{address} cannot be reached: {e}; check `address` and the port"))?,
                ))
            }
        }
    }

    /// Units tell telegrams apart by 3.5 characters of silence (Modbus over Serial Line V1.02, 2.5.1.1).
    fn silence(&self) -> Duration {
        match self {
            Self::Rtu(port) => {
                Duration::from_micros(38_500_000 / u64::from(port.baud())).max(Duration::from_micros(1_750))
            }
            Self::Tcp(_) => Duration::ZERO,
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Rtu(_) => "check `unit`, `baud` and `parity`, the wiring (A and B swapped?) and the unit's power",
            Self::Tcp(_) => "check `unit`; is the unit behind the gateway switched on?",
        }
    }
}

/// Throws away what is still on its way.
async fn drain(stream: &mut SerialStream) {
    let quiet = async {
        let mut buffer = [0; 256];
        while let Ok(Ok(1..)) = timeout(QUIET, stream.read(&mut buffer)).await {}
    };
    let _ = timeout(BABBLE, quiet).await;
}

type Answer = Result<Result<Vec<u16>, ExceptionCode>, Error>;

async fn read(context: &mut Context, block: Block) -> Answer {
    let Block { table, start, count } = block;
    match table {
        Table::Holding => context.read_holding_registers(start, count).await,
        Table::Input => context.read_input_registers(start, count).await,
        Table::Coil => context.read_coils(start, count).await.map(words),
        Table::Discrete => context.read_discrete_inputs(start, count).await.map(words),
    }
}

fn words(bits: Result<Vec<bool>, ExceptionCode>) -> Result<Vec<u16>, ExceptionCode> {
    bits.map(|bits| bits.into_iter().map(u16::from).collect())
}

fn refused(unit: u8, code: ExceptionCode) -> String {
    let remedy = match code {
        ExceptionCode::IllegalFunction => "it does not have this table: check holding, input, coil or discrete",
        ExceptionCode::IllegalDataAddress => {
            "it has no such register: addresses count from 0, the data sheet's may count from 1 or from 40001"
        }
        ExceptionCode::ServerDeviceBusy => "it is busy: read it less often",
        ExceptionCode::GatewayPathUnavailable | ExceptionCode::GatewayTargetDevice => {
            "the gateway does not reach it: check `unit` and the line behind the gateway"
        }
        _ => "see the unit's manual",
    };
    format!("unit {unit} refuses (exception {}, {code}): {remedy}", u8::from(code))
}

fn damaged(unit: u8, error: &Error) -> String {
    match error {
        Error::Transport(error) => {
            format!("the conversation with unit {unit} broke off: {error}; check cable and termination")
        }
        Error::Protocol(_) => {
            format!("unit {unit} has answered another question: is there a second master on the line?")
        }
    }
}
