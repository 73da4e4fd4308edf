//! A server of a test's own, to stop, pause, kill and start again; its data stay in its folder meanwhile.
//!
//! Tests that only need a server to be there use the shared ones (`tests/README.md`). What the servers are configured
//! like stands in `tests/servers/one`, for both.

use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{port, skip, wait};

/// What can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Mosquitto 2: MQTT without passwords.
    Mosquitto,
    /// InfluxDB 1.6 over plain HTTP.
    Influxd,
    /// Apache Kafka, one node, plaintext.
    Kafka,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Mosquitto => "mosquitto",
            Kind::Influxd => "influxd",
            Kind::Kafka => "kafka",
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Kind::Kafka => std::env::var_os("WEIR_TEST_KAFKA_LIB").is_some_and(|lib| Path::new(&lib).is_dir()),
            _ => {
                ["/usr/sbin", "/usr/bin", "/usr/local/bin"].iter().any(|dir| Path::new(dir).join(self.name()).exists())
            }
        }
    }

    fn ports_used(self) -> usize {
        if self == Kind::Kafka { 2 } else { 1 }
    }
}

/// One server process, ended when dropped.
pub struct Server {
    kind: Kind,
    folder: TempDir,
    ports: Vec<u16>,
    advertised: Option<u16>,
    child: Option<Child>,
}

impl Server {
    /// A server that answers already, or `None` after saying that `test` is skipped because it is not installed.
    #[must_use]
    pub fn start(kind: Kind, test: &str) -> Option<Self> {
        let mut server = Self::absent(kind, test)?;
        server.up();
        Some(server)
    }

    /// A server with its ports reserved that has yet to come [`up`](Self::up).
    #[must_use]
    pub fn absent(kind: Kind, test: &str) -> Option<Self> {
        if !kind.is_installed() {
            skip(test, &format!("{} is not installed; tests/run installs it", kind.name()));
            return None;
        }
        let folder = tempfile::Builder::new().prefix("weir-server").tempdir().expect("a temporary folder");
        let ports = (0..kind.ports_used()).map(|_| port::free()).collect();
        Some(Self { kind, folder, ports, advertised: None, child: None })
    }

    /// Where it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// Makes Kafka tell its clients to come to `port`, where a proxy stands; before [`up`](Self::up).
    pub fn advertise(&mut self, port: u16) {
        self.advertised = Some(port);
    }

    /// Starts it and waits until it takes connections.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "{:?} is up already", self.kind);
        let log = self.folder.path().join("log");
        let log = File::options().create(true).append(true).open(log).expect("the server's log");
        let mut command = Command::new(script());
        command.arg(self.kind.name()).arg(self.folder.path()).args(self.ports.iter().map(u16::to_string));
        command.envs(self.advertised.map(|port| ("WEIR_TEST_KAFKA_ADVERTISED", port.to_string())));
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.child = Some(command.spawn().expect("tests/servers/one can be run"));
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&mut self) {
        let (kind, port, log) = (self.kind, self.port(), self.folder.path().join("log"));
        let child = self.child.as_mut().expect("started");
        wait::until(&format!("{kind:?} on port {port}"), Duration::from_secs(60), || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("{kind:?} ended with {status}:\n{}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
    }

    /// Stops it as an operator would: it saves what it holds.
    pub fn down(&mut self) {
        self.end(Signal::TERM);
    }

    /// Ends it at once: what it held in memory only is gone.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Lets connections stand but answers nothing, like a host that hangs.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn end(&mut self, signal: Signal) {
        self.signal(signal);
        if let Some(mut child) = self.child.take() {
            child.wait().expect("the server ends");
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).expect("the server is ours");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/one")
}
