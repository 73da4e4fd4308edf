//! The command line: one file per subcommand, and what they share: logs, exit codes.

mod buffer;
mod check;
mod demo;
mod logs;
mod read;
mod replay;
mod run;
mod scan;
mod score;
mod show;
mod status;

use crate::config::Report;
use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Done.
const OK: u8 = 0;
/// Something went wrong; the message says what.
const FAILED: u8 = 1;
/// Nobody answers at the other end (EX_UNAVAILABLE).
const UNAVAILABLE: u8 = 69;
/// The configuration cannot be used (EX_CONFIG): systemd does not try again.
const CONFIG: u8 = 78;

/// Weir reads sensors, keeps what matters, stores it through an outage and forwards it.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Says more: -v for what each part does, -vv for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

const AFTER_HELP: &str = "\
Examples:
  weir demo                        a minute of everything, without hardware and without root
  weir check -c weir.toml          finds what is wrong with a configuration
  weir run -c weir.toml            runs until Ctrl-C or SIGTERM
  weir status                      what the running daemon is doing

Exit codes: 0 done, 1 failed, 69 nobody answers, 78 the configuration cannot be used.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gateway until it is told to stop
    Run(run::Args),
    /// Finds what is wrong with a configuration, without starting anything
    Check(check::Args),
    /// A minute of everything: simulated sensors, a fault, a link outage, and a ledger that balances
    Demo(demo::Args),
    /// Sends recorded readings through the filters and the sinks, as fast as they take them
    Replay(replay::Args),
    /// Reads one sensor and prints what it measures, without filters, buffer or sinks
    Read(read::Args),
    /// Lists what is connected to this machine, as a configuration that can be pasted
    Scan(scan::Args),
    /// Shows what the running daemon is doing
    Status(status::Args),
    /// Looks into the outage buffer of a gateway: running, stopped or crashed
    Buffer(buffer::Args),
}

/// Runs the command line. Everything that can go wrong ends in a message and an exit code.
pub fn main() -> ExitCode {
    // Two crates bring a crypto provider each; rustls wants to be told once which to use. Only a second call could fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    logs::start(cli.verbose, matches!(cli.command, Command::Demo(_)));
    let result = match cli.command {
        Command::Run(args) => run::main(args),
        Command::Check(args) => check::main(&args),
        Command::Demo(args) => demo::main(args),
        Command::Replay(args) => replay::main(args),
        Command::Read(args) => read::main(&args),
        Command::Scan(args) => scan::main(&args),
        Command::Status(args) => status::main(&args),
        Command::Buffer(args) => buffer::main(&args),
    };
    ExitCode::from(result.unwrap_or_else(|error| explain(&error)))
}

/// What subcommands return: an exit code, or an error whose message is shown.
type Done = anyhow::Result<u8>;

/// Shows an error; a broken configuration has an exit code of its own.
fn explain(error: &anyhow::Error) -> u8 {
    if let Some(report) = error.downcast_ref::<Report>() {
        say(&report.render(std::io::stderr().is_terminal()));
        return CONFIG;
    }
    say(&format!("weir: {error:#}\n"));
    FAILED
}

/// Writes to stderr; a closed stderr is no reason to fail.
fn say(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Writes to stdout. An error (a closed pipe: `weir status | head`) ends the output, not the process.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The runtime of the daemon: two workers are enough for I/O, and cost little memory.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("io").enable_all().build()?)
}
