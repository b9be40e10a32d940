//! `epost history`: what became of an item, event by event.

use std::process::ExitCode;

use erds::Ticket;
use serde_json::json;
use soap::message::v2::{DeliveryEvent, DeliveryHistory};

use super::send::{Failure, report};
use crate::client::{Client, Connection};

/// Which item.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The ticket that the receipt names
    #[arg(value_name = "TICKET")]
    pub ticket: String,
    /// Begin with the event of this number
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=i64::MAX as u64))]
    pub first: u64,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

const EXAMPLES: &str = "Examples:
  epost history 0A1B2C3D4E5F6 --profile office.toml
  epost history 0A1B2C3D4E5F6 --first 101 --profile office.toml --json

Exit code: 0 told, 1 refused, 2 try again later, 3 could not run.";

/// Runs `epost history`.
pub async fn run(args: Args) -> ExitCode {
    let json = args.connection.json;
    match tell(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, json),
    }
}

async fn tell(args: &Args) -> Result<(), Failure> {
    let ticket = Ticket::parse(&args.ticket).map_err(|error| Failure::Option(format!("TICKET: {error}")))?;
    let history = whole(&args.connection.client()?, &ticket, args.first).await?;
    if args.connection.json {
        let events: Vec<_> = history.events.iter().map(as_json).collect();
        println!(
            "{}",
            json!({ "ticket": ticket.as_str(), "status": history.status.as_str(), "events": events })
        );
    } else {
        println!("ticket   {}\nstatus   {}", ticket.as_str(), history.status.as_str());
        for event in &history.events {
            println!("{}", line(event));
        }
    }
    Ok(())
}

/// Page after page.
async fn whole(client: &Client, ticket: &Ticket, first: u64) -> Result<DeliveryHistory, Failure> {
    let mut whole = client.history(ticket, first).await?;
    while whole.more
        && let Some(last) = whole.events.last()
    {
        let next = client.history(ticket, last.number + 1).await?;
        whole.more = next.more && !next.events.is_empty();
        whole.status = next.status;
        whole.events.extend(next.events);
    }
    Ok(whole)
}

fn as_json(event: &DeliveryEvent) -> serde_json::Value {
    json!({
        "number": event.number,
        "at": event.at.to_string(),
        "code": event.code.as_str(),
        "source": event.source.as_str(),
        "channel": event.channel.map(erds::ChannelName::as_str),
        "external_id": event.external_id,
        "attempt": event.attempt,
        "not_before": event.not_before.map(|at| at.to_string()),
        "reason": event.reason,
        "proof": event.proof.map(soap::message::ProofKind::as_str),
        "folder": event.folder,
    })
}

fn line(event: &DeliveryEvent) -> String {
    let attempt = event.attempt.map(|attempt| format!("attempt {attempt}"));
    let not_before = event.not_before.map(|at| format!("not before {at}"));
    let facts = [
        event.channel.map(|channel| channel.as_str().to_owned()),
        event.external_id.clone(),
        attempt,
        event.reason.clone(),
        not_before,
        event.proof.map(|proof| proof.as_str().to_owned()),
        event.folder.as_ref().map(|folder| format!("folder of {folder}")),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let told = format!(
        "{:>4}  {}  {:<16}  {:<7}  {}",
        event.number,
        event.at,
        event.code.as_str(),
        event.source.as_str(),
        facts.join(", ")
    );
    // Ids and reasons are the channel's words.
    evidence::verify::line(told.trim_end())
}

#[cfg(test)]
mod tests {
    use soap::message::v2::{EventCode, EventSource};

    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_the_channel_says() {
        let event = DeliveryEvent {
            number: 4,
            at: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
            code: EventCode::Consigned,
            source: EventSource::Channel,
            channel: Some(erds::ChannelName::EboxCitizen),
            external_id: Some("a\nb".to_owned()),
            attempt: Some(2),
            not_before: None,
            reason: None,
            proof: None,
            folder: None,
        };
        assert_eq!(
            line(&event),
            "   4  2027-01-15T08:00:00Z  CONSIGNED         CHANNEL  EBOX_CITIZEN, a\u{fffd}b, attempt 2"
        );
    }
}
