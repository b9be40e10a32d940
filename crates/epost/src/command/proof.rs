//! `epost proof`: fetch a proof again, with its CRLs.

use std::path::PathBuf;
use std::process::ExitCode;

use erds::{Ticket, Token};
use serde_json::json;

use super::send::{Failure, report};
use crate::client::{Connection, ItemName, ProofKind, save};

/// Which proof of which item.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(clap::ArgGroup::new("item").required(true).args(["ticket", "token"])))]
pub struct Args {
    /// The ticket that the receipt names
    #[arg(value_name = "TICKET")]
    pub ticket: Option<String>,
    /// Or the token that you sent it with
    #[arg(long)]
    pub token: Option<String>,
    /// Which proof
    #[arg(long, value_enum, default_value_t = Kind::Receipt)]
    pub kind: Kind,
    /// Where to save it and its CRLs: in a folder named by the ticket
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which proof.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Kind {
    /// The proof of sending.
    Receipt,
    /// The proof of dispatch: placed in the recipient's box.
    Dispatch,
}

const EXAMPLES: &str = "Examples:
  epost proof 0A1B2C3D4E5F6 --profile office.toml
  epost proof --token case-2026-17 --kind dispatch --out proofs --profile office.toml

Exit code: 0 saved, 1 refused or no such proof, 2 try again later, 3 could not run.";

/// Runs `epost proof`.
pub async fn run(args: Args) -> ExitCode {
    let json = args.connection.json;
    match fetch(&args).await {
        Ok(code) => code,
        Err(failure) => report(&failure, json),
    }
}

async fn fetch(args: &Args) -> Result<ExitCode, Failure> {
    let of = match (&args.ticket, &args.token) {
        (Some(ticket), _) => ItemName::Ticket(
            Ticket::parse(ticket).map_err(|error| Failure::Option(format!("TICKET: {error}")))?,
        ),
        (None, token) => {
            let token = token.as_deref().unwrap_or_default();
            ItemName::Token(
                Token::parse(token).map_err(|error| Failure::Option(format!("--token: {error}")))?,
            )
        }
    };
    let client = args.connection.client()?;
    let kind = match args.kind {
        Kind::Receipt => ProofKind::Receipt,
        Kind::Dispatch => ProofKind::Dispatch,
    };
    let proof = client.proof(&of, kind).await.map_err(Failure::Client)?;
    let files = save(&proof, kind, &args.out).map_err(Failure::Save)?;
    if args.connection.json {
        println!("{}", json!({ "ticket": proof.ticket, "files": files }));
    } else {
        println!("ticket   {}", proof.ticket);
        for file in &files {
            println!("saved    {}", file.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
