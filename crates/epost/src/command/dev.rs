//! `epost dev`: stand-ins and test keys, for development only.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use tokio::net::TcpListener;

use super::could_not_run;
use super::serve::wait_for_signal;
use crate::dev::pki::{Extent, Pki};
use crate::dev::tsa::{self, TsaSetup};

/// What to make or start.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a test PKI with long validity: roots, authorities, senders, strangers, server, TSA, seal.
    Pki {
        /// Where.
        dir: PathBuf,
    },
    /// Start the TSA stand-in alone (RFC 3161 over HTTP; PUT /fault, GET /issued).
    Tsa {
        /// The folder of a test PKI.
        pki: PathBuf,
        /// Where to listen; loopback.
        #[arg(long, default_value = "127.0.0.1:3161")]
        listen: SocketAddr,
    },
}

/// Runs it.
pub async fn run(command: Command) -> ExitCode {
    match command {
        Command::Pki { dir } => match Pki::make_committed(&dir, Timestamp::now()) {
            Ok(_) => {
                println!("made a test PKI in {}: never use its keys for anything else", dir.display());
                ExitCode::SUCCESS
            }
            Err(error) => could_not_run(&error),
        },
        Command::Tsa { pki, listen } => match tsa_alone(&pki, listen).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => could_not_run(&error),
        },
    }
}

async fn tsa_alone(dir: &std::path::Path, listen: SocketAddr) -> Result<(), String> {
    let pki = Pki::open_or_create(dir, Extent::Senders, Timestamp::now(), 825, 30)
        .map_err(|error| error.to_string())?;
    let setup = TsaSetup::from_pki(&pki, Timestamp::now).map_err(|error| error.to_string())?;
    let listener =
        TcpListener::bind(listen).await.map_err(|error| format!("dev.tsa.listen: {listen}: {error}"))?;
    println!("TSA stand-in on http://{listen}/");
    tokio::select! {
        () = tsa::serve(listener, setup) => {}
        () = wait_for_signal() => {}
    }
    Ok(())
}
