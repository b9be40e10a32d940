//! `epost find`: the sender's own items, after a lost answer or to reconcile.

use std::process::ExitCode;

use erds::{Status, Token};
use jiff::Timestamp;
use serde_json::json;
use soap::message::v2::FoundItem;

use super::send::{Failure, report};
use crate::client::{Connection, ItemSearch, SearchBy};

/// Which items.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(clap::ArgGroup::new("by").required(true).args(["token", "from"])))]
pub struct Args {
    /// The token that you sent it with
    #[arg(long)]
    pub token: Option<String>,
    /// Or all received at this time or later, e.g. 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// and before this one; else until now
    #[arg(long, value_name = "TIME", requires = "from")]
    pub to: Option<Timestamp>,
    /// Only those that stand so: PENDING, SENT or ERROR
    #[arg(long, value_parser = status)]
    pub status: Option<Status>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

const EXAMPLES: &str = "Examples:
  epost find --token case-2026-17 --profile office.toml
  epost find --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z --status ERROR --profile office.toml --json

Exit code: 0 told, also if there is none; 1 refused, 2 try again later, 3 could not run.";

fn status(name: &str) -> Result<Status, String> {
    Status::from_name(name).ok_or_else(|| "PENDING, SENT or ERROR".to_owned())
}

/// Runs `epost find`.
pub async fn run(args: Args) -> ExitCode {
    let json = args.connection.json;
    match tell(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, json),
    }
}

/// Each item on a line of its own, as its page comes.
async fn tell(args: &Args) -> Result<(), Failure> {
    let by = match (&args.token, args.from) {
        (Some(token), _) => SearchBy::Token(
            Token::parse(token).map_err(|error| Failure::Option(format!("--token: {error}")))?,
        ),
        (None, from) => SearchBy::Received {
            from: from.unwrap_or(Timestamp::UNIX_EPOCH),
            to: args.to.unwrap_or_else(Timestamp::now),
        },
    };
    let client = args.connection.client()?;
    let mut search = ItemSearch { by, status: args.status, after: None };
    loop {
        let (items, more) = client.find(&search).await?;
        for item in &items {
            println!("{}", if args.connection.json { as_json(item).to_string() } else { line(item) });
        }
        match items.last() {
            Some(last) if more => search.after = Some(last.ticket),
            _ => return Ok(()),
        }
    }
}

fn as_json(item: &FoundItem) -> serde_json::Value {
    json!({
        "ticket": item.ticket.as_str(),
        "token": item.token.as_ref().map(Token::as_str),
        "status": item.status.as_str(),
        "received_at": item.received_at.to_string(),
    })
}

fn line(item: &FoundItem) -> String {
    let token = item.token.as_ref().map_or("(erased)", Token::as_str);
    let status = item.status.as_str();
    evidence::verify::line(&format!("{}  {}  {status:<7}  {token}", item.ticket.as_str(), item.received_at))
}
