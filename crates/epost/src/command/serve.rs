//! `epost serve`: the service by itself.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{could_not_run, start_log_with};
use crate::config::Config;
use crate::{alarm, run};

/// What to serve by.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration (`epost init DIR` writes one).
    #[arg(long)]
    config: PathBuf,
}

/// Runs until SIGINT or SIGTERM, then lets requests under way end.
pub async fn run(args: Args) -> ExitCode {
    let config = match Config::read(&args.config) {
        Ok(config) => config,
        Err(error) => return could_not_run(&error),
    };
    let (listener, raised) = alarm::layer();
    start_log_with("info", Some(listener));
    tokio::spawn(alarm::forward(raised, config.alarm.clone()));
    let running = match run::start(&config, None).await {
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
