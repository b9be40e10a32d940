//! `epost status`: how far is an item, and its proof of dispatch.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use erds::Ticket;
use serde_json::json;

use super::send::{Failure, POLL_PAUSE, report};
use crate::client::{Client, Connection, ProofKind, StatusAnswer, save};

/// Which item.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The ticket that the receipt names
    #[arg(value_name = "TICKET")]
    pub ticket: String,
    /// Save ProofOfDispatch.xml and .p7s into DIR/TICKET/ once there is one
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Whether to wait for the end.
#[derive(Debug, clap::Args)]
pub struct Wait {
    /// Wait until the item is SENT or ERROR
    #[arg(long)]
    pub wait: bool,
    /// Give up waiting after this many seconds: exit code 2
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "wait")]
    pub wait_seconds_max: u64,
}

const EXAMPLES: &str = "Examples:
  epost status 0A1B2C3D4E5F6 --profile office.toml
  epost status 0A1B2C3D4E5F6 --profile office.toml --wait --out proofs

Exit code: 0 PENDING or SENT, 1 ERROR or refused, 2 try again later, 3 could not run.";

/// Runs `epost status`.
pub async fn run(args: Args) -> ExitCode {
    let json = args.connection.json;
    match ask(&args).await {
        Ok(code) => code,
        Err(failure) => report(&failure, json),
    }
}

async fn ask(args: &Args) -> Result<ExitCode, Failure> {
    let ticket = Ticket::parse(&args.ticket).map_err(|error| Failure::Option(format!("TICKET: {error}")))?;
    let client = args.connection.client()?;
    let end = if args.wait.wait {
        wait_until(&client, &ticket, &args.wait, args.out.as_deref()).await?
    } else {
        End::of(client.status(&ticket).await?, args.out.as_deref())?
    };
    if args.connection.json {
        println!(
            "{}",
            json!({ "ticket": end.ticket, "token": end.token, "status": end.status, "files": end.files })
        );
    } else {
        println!("ticket   {}\ntoken    {}\nstatus   {}", end.ticket, end.token, end.status);
        for file in &end.files {
            println!("saved    {}", file.display());
        }
    }
    Ok(end.exit_code())
}

/// A status with what was saved of its proof.
pub(crate) struct End {
    ticket: String,
    token: String,
    pub(crate) status: String,
    pub(crate) files: Vec<PathBuf>,
    gave_up: bool,
}

impl End {
    fn of(answer: StatusAnswer, out: Option<&Path>) -> Result<Self, Failure> {
        let files = match (answer.proof, out) {
            (Some(proof), Some(out)) => save(&proof, ProofKind::Dispatch, out).map_err(Failure::Save)?,
            _ => Vec::new(),
        };
        Ok(Self { ticket: answer.ticket, token: answer.token, status: answer.status, files, gave_up: false })
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.status.as_str() {
            "ERROR" => 1,
            _ if self.gave_up => 2,
            _ => 0,
        })
    }
}

/// Polls until SENT or ERROR, and saves the proof of dispatch into `out`.
pub(crate) async fn wait_for_end(
    client: &Client,
    ticket: &Ticket,
    wait: &Wait,
    out: &Path,
) -> Result<End, Failure> {
    wait_until(client, ticket, wait, Some(out)).await
}

async fn wait_until(
    client: &Client,
    ticket: &Ticket,
    wait: &Wait,
    out: Option<&Path>,
) -> Result<End, Failure> {
    let deadline = Instant::now() + Duration::from_secs(wait.wait_seconds_max);
    let mut pause = POLL_PAUSE;
    loop {
        let answer = client.status(ticket).await;
        let late = Instant::now() + pause > deadline;
        match answer {
            Ok(answer) if answer.status != "PENDING" => return End::of(answer, out),
            Ok(answer) if late => return Ok(End { gave_up: true, ..End::of(answer, out)? }),
            Err(error) if late || !error.may_succeed_later() => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(15));
    }
}
