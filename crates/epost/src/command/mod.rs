//! The command line: noun or verb, long flags, `--json` where a machine reads, help with examples.
//!
//! Exit codes: 0 done, 1 refused or not in order, 2 try again later, 3 could not run.

pub mod backup;
pub mod check;
pub mod check_connection;
pub mod consult;
pub mod demo;
pub mod dev;
pub mod drill;
pub mod find;
pub mod history;
pub mod index;
pub mod init;
pub mod journal;
pub mod keys;
pub mod proof;
pub mod retention;
pub mod sandbox;
pub mod send;
pub mod serve;
pub mod status;
pub mod uam;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Electronic registered mail: the service, and the sender's command line.
#[derive(Parser)]
#[command(name = "epost", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// See the whole product at work on this machine, in seconds.
    Demo(demo::Args),
    /// Start a service to test a client against, with its own test PKI and stand-ins, kept in a folder.
    Sandbox(sandbox::Args),
    /// Run the service.
    Serve(serve::Args),
    /// Write a commented configuration to start from.
    Init(init::Args),
    /// Judge a configuration without starting: files, keys, certificates, policy.
    Check(check::Args),
    /// Ask the policy why a sender is granted a transaction, or is not; change it, by two people.
    #[command(subcommand)]
    Uam(uam::Command),
    /// Look into the journal, or verify it.
    #[command(subcommand)]
    Journal(journal::Command),
    /// Consult the log: asked for, approved by another person, run once.
    Consult(consult::Args),
    /// Legal holds, and what is erased when its term has ended: planned, shown, then run.
    Retention(retention::Args),
    /// Make the index again from the journal.
    #[command(subcommand)]
    Index(index::Command),
    /// The master key: its id, and another one in its place.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Back up the data and the configuration, while the service runs or not; never a private key.
    Backup(backup::Args),
    /// Restore a backup into an empty folder, and verify it.
    Restore(backup::RestoreArgs),
    /// Restore a backup into a scratch folder, open and verify all of it, and leave the outcome for the journal.
    Drill(drill::Args),
    /// Send a document as registered mail.
    Send(send::Args),
    /// Ask for the status of a sent item.
    Status(status::Args),
    /// Fetch the proof of sending or of dispatch of a sent item.
    Proof(proof::Args),
    /// Tell what became of a sent item, event by event.
    History(history::Args),
    /// List your institution's own items, by token or by when they were received.
    Find(find::Args),
    /// Ask who you are to the service: connection, signature and grant are judged, nothing is sent.
    CheckConnection(check_connection::Args),
    /// Stand-ins and test keys for development; never in production.
    #[command(subcommand)]
    Dev(dev::Command),
}

const EXAMPLES: &str = "Examples:
  epost demo                                   see it work
  epost sandbox ./sandbox                      a service to test your client against
  epost send letter.pdf --profile alice.toml --to-citizen 00000000196 --title \"Your file\" --type LETTER
  epost init /etc/epost && epost check --config /etc/epost/epost.toml --production
  epost serve --config /etc/epost/epost.toml";

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked = !error.use_stderr(); // --help, --version
            let _ = error.print();
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(3) };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return could_not_run(&error),
    };
    let code = runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Sandbox(args) => sandbox::run(args).await,
            Command::Serve(args) => serve::run(args).await,
            Command::Init(args) => init::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Uam(command) => uam::run(&command).await,
            Command::Journal(command) => journal::run(&command).await,
            Command::Consult(args) => consult::run(args).await,
            Command::Retention(args) => retention::run(args).await,
            Command::Index(command) => index::run(&command),
            Command::Keys(command) => keys::run(&command).await,
            Command::Backup(args) => backup::run(&args),
            Command::Restore(args) => backup::restore(&args).await,
            Command::Drill(args) => drill::run(&args).await,
            Command::Send(args) => send::run(args).await,
            Command::Status(args) => status::run(args).await,
            Command::Proof(args) => proof::run(args).await,
            Command::History(args) => history::run(args).await,
            Command::Find(args) => find::run(args).await,
            Command::CheckConnection(args) => check_connection::run(args).await,
            Command::Dev(command) => dev::run(command).await,
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    code
}

/// Prints what went wrong, for a person, and answers with exit code 3.
pub(crate) fn could_not_run(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("epost: {error}");
    ExitCode::from(3)
}

/// Logs for people on a terminal, as JSON lines elsewhere; `EPOST_LOG` sets the level.
pub(crate) fn start_log(default_level: &str) {
    start_log_with(default_level, None);
}

/// The same, and another listener that hears every event, whatever the level.
pub(crate) fn start_log_with(default_level: &str, listener: Option<crate::alarm::AlarmLayer>) {
    use std::io::IsTerminal;
    use tracing_subscriber::layer::{Layer, SubscriberExt};
    use tracing_subscriber::util::SubscriberInitExt;
    let filter = tracing_subscriber::EnvFilter::try_from_env("EPOST_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default_level));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if std::io::stderr().is_terminal() { lines.boxed() } else { lines.json().boxed() };
    // A second start in one process (tests) keeps the first log.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(listener).try_init();
}
