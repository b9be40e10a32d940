//! `epost dev`: stand-ins and test keys, for development only.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use tokio::net::TcpListener;

use super::could_not_run;
use super::serve::wait_for_signal;
use crate::dev::pdp::{Behaviour, DecisionPoint};
use crate::dev::pki::{Extent, Pki};
use crate::dev::sts::{Asked, TokenServiceStandIn};
use crate::dev::tsa::{self, TsaSetup};
use crate::dev::witness::WitnessStandIn;

/// What to make or start.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a test PKI with long validity: roots, authorities, senders, strangers, server, TSA, seal.
    Pki {
        /// Where.
        dir: PathBuf,
    },
    /// Print a SAML assertion of the stand-in token service, about the person behind a test sender (the sandbox takes it).
    Assertion {
        /// The folder of a test PKI.
        pki: PathBuf,
        /// Whose key is confirmed: a name of the test PKI.
        #[arg(long, default_value = "alice")]
        holder: String,
        /// The person's name.
        #[arg(long, default_value = "person-1")]
        name: String,
        /// SAML 1.1 instead of 2.0.
        #[arg(long)]
        v1: bool,
        /// For one use.
        #[arg(long)]
        once: bool,
    },
    /// Start a witness of the log (C2SP tlog-witness; PUT /fault: down, lie, none), with a fresh key; prints its [[witness]] section.
    Witness {
        /// The log's public key, as `epost journal key` prints it.
        log: String,
        /// Where to listen; loopback.
        #[arg(long, default_value = "127.0.0.1:3162")]
        listen: SocketAddr,
    },
    /// Start a decision point (AuthZEN 1.0 access evaluation, over mutual TLS by this test PKI); prints its [uam.remote] section.
    Decisions {
        /// The folder of a test PKI.
        pki: PathBuf,
        /// What is permitted, as APPLICATION=TRANSACTION; as often as there are. Everything else is not.
        #[arg(long, value_parser = permission)]
        permit: Vec<(String, String)>,
        /// As it should, or as a bad one does.
        #[arg(long, value_enum, default_value_t = Behaviour::Honest)]
        behave: Behaviour,
        /// Where to listen; loopback.
        #[arg(long, default_value = "127.0.0.1:3163")]
        listen: SocketAddr,
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
        Command::Assertion { pki, holder, name, v1, once } => {
            match assertion(&pki, &holder, &name, !v1, once) {
                Ok(assertion) => {
                    println!("{assertion}");
                    ExitCode::SUCCESS
                }
                Err(error) => could_not_run(&error),
            }
        }
        Command::Witness { log, listen } => match witness_alone(&log, listen).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => could_not_run(&error),
        },
        Command::Decisions { pki, permit, behave, listen } => {
            match decisions_alone(&pki, permit, behave, listen).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => could_not_run(&error),
            }
        }
        Command::Tsa { pki, listen } => match tsa_alone(&pki, listen).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => could_not_run(&error),
        },
    }
}

fn assertion(
    dir: &std::path::Path,
    holder: &str,
    name: &str,
    v2: bool,
    once: bool,
) -> Result<String, String> {
    let now = Timestamp::now();
    let text = |error: &dyn std::fmt::Display| error.to_string();
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-.@ ".contains(c)) {
        return Err("dev.assertion.name: letters, digits and -.@ alone".to_owned());
    }
    let sts = TokenServiceStandIn::open_or_create(dir, now).map_err(|error| text(&error))?;
    let certificates = crate::trust::read_certificates(&[dir.join(format!("{holder}.crt"))]);
    let certificates = certificates.map_err(|error| text(&error))?;
    let holder = certificates.first().ok_or("dev.assertion.holder: no certificate")?;
    let mut random = [0; 16];
    pki::random::fill(&mut random).map_err(|error| text(&error))?;
    let id = random.iter().fold(String::from("A-"), |id, byte| format!("{id}{byte:02x}"));
    let until = now.checked_add(jiff::SignedDuration::from_hours(1)).map_err(|error| text(&error))?;
    let asked = Asked { v2, id: &id, name, holder: holder.der(), from: now, until, once };
    sts.assertion(&asked).map_err(|error| text(&error))
}

async fn witness_alone(log: &str, listen: SocketAddr) -> Result<(), String> {
    let witness = WitnessStandIn::new("witness.stand-in", log).map_err(|error| error.to_string())?;
    let witness = witness.ok_or("dev.witness.log: NAME+ID+KEY as `epost journal key` prints it")?;
    let listener =
        TcpListener::bind(listen).await.map_err(|error| format!("dev.witness.listen: {listen}: {error}"))?;
    let key = witness.key().map_err(|error| error.to_string())?;
    println!("[[witness]]\nkey = \"{key}\"\nurl = \"http://{listen}/\"");
    tokio::select! {
        () = witness.serve(listener) => {}
        () = wait_for_signal() => {}
    }
    Ok(())
}

fn permission(text: &str) -> Result<(String, String), String> {
    let (application, transaction) = text.split_once('=').ok_or("APPLICATION=TRANSACTION")?;
    Ok((application.to_owned(), transaction.to_owned()))
}

async fn decisions_alone(
    dir: &std::path::Path,
    permit: Vec<(String, String)>,
    behave: Behaviour,
    listen: SocketAddr,
) -> Result<(), String> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("dev.decisions.listen: {listen}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let dir = dir.canonicalize().map_err(|error| format!("{}: {error}", dir.display()))?;
    let file = |name: &str| dir.join(name);
    let point = DecisionPoint::new(permit);
    point.behave(behave);
    println!("[uam.remote]\nurl = \"https://localhost:{}/access/v1/evaluation\"", address.port());
    println!("anchors = [{:?}]", file("server-root.crt"));
    println!("certificate = {:?}\nkey = {:?}", file("ebox-client.crt"), file("ebox-client.key"));
    let (certificate, key, clients) = (file("server.crt"), file("server.key"), file("senders-ca.crt"));
    tokio::select! {
        served = point.serve(listener, &certificate, &key, &clients) => served.map_err(|error| error.to_string()),
        () = wait_for_signal() => Ok(()),
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
