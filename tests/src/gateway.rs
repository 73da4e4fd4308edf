//! The gateway as its users have it: the real binary, a configuration file, signals, its log and its status.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::record::Record;
use crate::wait;

/// A folder with a configuration and the state, and the process while it runs; ended when dropped.
pub struct Gateway {
    folder: TempDir,
    child: Option<Child>,
}

impl Gateway {
    /// Writes the configuration, with `{folder}` replaced by a folder that lives as long as the gateway.
    #[must_use]
    pub fn new(config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("weir").tempdir().expect("a temporary folder");
        let gateway = Self { folder, child: None };
        gateway.configure(config);
        gateway
    }

    /// Writes the configuration anew; a running gateway does not notice.
    pub fn configure(&self, config: &str) {
        let config = config.replace("{folder}", &self.folder().to_string_lossy());
        std::fs::write(self.config(), config).expect("the configuration");
    }

    /// Where everything of this gateway lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder().join("weir.toml")
    }

    /// `weir run`, or again after it has ended.
    pub fn run(&mut self) {
        self.spawn(&["run", "--config"]);
    }

    fn spawn(&mut self, args: &[&str]) {
        assert!(self.child.is_none(), "the gateway runs already");
        let log = File::options().create(true).append(true).open(self.folder().join("log")).expect("the log");
        let mut command = Command::new(binary());
        command.args(args).arg(self.config()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.child = Some(command.spawn().expect("weir can be run"));
    }

    /// SIGKILL: as sudden as a process can end.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// SIGTERM: it drains and ends.
    pub fn terminate(&mut self) -> ExitStatus {
        self.end(Signal::TERM)
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        let mut child = self.child.take().expect("the gateway runs");
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).expect("the process is ours");
        child.wait().expect("the gateway ends")
    }

    /// Panics with the log if the gateway has ended by itself.
    pub fn assert_running(&mut self) {
        let status = self.child.as_mut().expect("the gateway was started").try_wait().expect("the process is ours");
        assert!(status.is_none(), "the gateway ended with {status:?}:\n{}", self.log());
    }

    /// What it wrote to stdout and stderr, over all its runs.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// `weir status --json`, or `None` while nobody answers.
    #[must_use]
    pub fn status(&self) -> Option<Value> {
        let output = self.command(&["status", "--json"]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("status --json is JSON"))
    }

    /// Waits for a status of which `wanted` makes something.
    pub fn await_status<T>(&mut self, what: &str, limit: Duration, wanted: impl Fn(&Value) -> Option<T>) -> T {
        wait::until(what, limit, || {
            self.assert_running();
            self.status().and_then(|status| wanted(&status))
        })
    }

    /// `weir ARGS --config weir.toml` in its folder, to its end.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.current_dir(self.folder()).args(args).args(["--config", "weir.toml"]);
        command.output().expect("weir can be run")
    }

    /// The records that the file sink wrote to `out` in this gateway's folder, oldest first.
    #[must_use]
    pub fn file_records(&self) -> Vec<Record> {
        let mut files: Vec<PathBuf> = match std::fs::read_dir(self.folder().join("out")) {
            Ok(entries) => entries.map(|entry| entry.expect("a readable folder").path()).collect(),
            Err(_) => Vec::new(),
        };
        files.sort();
        files.iter().flat_map(|file| lines(file)).collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("--- the gateway's log\n{}", self.log()).as_bytes(),
            );
        }
    }
}

/// The line of one sink in a status.
#[must_use]
pub fn sink<'a>(status: &'a Value, name: &str) -> &'a Value {
    let lines = status["sinks"].as_array().into_iter().flatten();
    lines.into_iter().find(|line| line["name"] == name).unwrap_or_else(|| panic!("no sink {name} in {status}"))
}

/// How many records wait for a sink: recorded, without a fate yet.
#[must_use]
pub fn pending(status: &Value, name: &str) -> u64 {
    let accounts = ["events", "data"].map(|class| &sink(status, name)[class]);
    let count = |account: &Value, key: &str| account[key].as_u64().unwrap_or_else(|| panic!("no {key} in {account}"));
    let fates = ["acknowledged", "merged", "evicted", "rejected", "not_for", "void"];
    let settled = |account: &Value| fates.iter().map(|fate| count(account, fate)).sum::<u64>();
    accounts.iter().map(|account| count(account, "recorded").saturating_sub(settled(account))).sum()
}

/// A last line without its end may still be being written: it is left out.
fn lines(file: &Path) -> Vec<Record> {
    let text = std::fs::read(file).expect("a readable file");
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(Record::parse).collect()
}

/// Runs `weir ARGS` to its end.
#[must_use]
pub fn weir(args: &[&str]) -> Output {
    Command::new(binary()).args(args).output().expect("weir can be run")
}

/// The binary that cargo built beside the tests, or `$WEIR_BIN`.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("WEIR_BIN") {
        return path.into();
    }
    let deps = std::env::current_exe().expect("the test's own path");
    let path = deps.parent().and_then(Path::parent).expect("target/debug/deps/e2e").join("weir");
    assert!(path.exists(), "{} is missing: cargo build --bin weir", path.display());
    path
}
