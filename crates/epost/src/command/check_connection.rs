//! `epost check-connection`: who the sender is to the service, before anything is sent.

use std::process::ExitCode;

use serde_json::json;

use super::send::{Failure, report};
use crate::client::Connection;

/// As whom.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub(crate) connection: Connection,
}

const EXAMPLES: &str = "Example:
  epost check-connection --profile office.toml

Exit code: 0 connection, signature and grant are in order; 1 refused, 2 try again later, 3 could not run.";

/// Runs `epost check-connection`.
pub async fn run(args: Args) -> ExitCode {
    let json = args.connection.json;
    match tell(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, json),
    }
}

async fn tell(args: &Args) -> Result<(), Failure> {
    let answer = args.connection.client()?.check_connection().await?;
    let (signing, tls) = (answer.message_certificate_not_after, answer.tls_certificate_not_after);
    if args.connection.json {
        let told = json!({
            "company_id": answer.company_id,
            "application_id": answer.application_id,
            "message_certificate_not_after": signing.to_string(),
            "tls_certificate_not_after": tls.to_string(),
            "gateway": answer.through_gateway,
            "address": answer.address,
            "environment": answer.environment,
            "received_at": answer.received_at.to_string(),
        });
        println!("{told}");
        return Ok(());
    }
    println!("institution   {}", answer.company_id);
    println!("application   {}", answer.application_id);
    println!("environment   {}", answer.environment);
    println!("from          {}{}", answer.address, if answer.through_gateway { ", a gateway" } else { "" });
    println!("signs until   {signing}");
    println!("connects until {tls}");
    println!("its clock     {}", answer.received_at);
    Ok(())
}
