//! `epost serve`: the service by itself.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{could_not_run, start_log};
use crate::config::Config;
use crate::run;

/// What to serve by.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration (`epost init DIR` writes one).
    #[arg(long)]
    config: PathBuf,
}

/// Runs until SIGINT or SIGTERM, then lets requests under way end.
pub async fn run(args: Args) -> ExitCode {
    start_log("info");
    let started = match Config::read(&args.config) {
        Ok(config) => run::start(&config, None).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let running = match started {
        Ok(running) => running,
        Err(error) => return could_not_run(&error),
    };
    tracing::info!(event = "service.start", address = %running.address, journal = running.report.journal, withdrawn = running.report.withdrawn);
    println!("ePost serves on {}; journal: {}", running.address, running.report.journal);
    wait_for_signal().await;
    println!("ending: requests under way are let through");
    running.stop().await;
    ExitCode::SUCCESS
}

/// SIGINT or SIGTERM.
pub(crate) async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
