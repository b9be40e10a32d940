//! `epost drill`: is the backup one that brings the service back?

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;

use super::could_not_run;
use crate::config::Config;
use crate::drill;

/// Which backup.
#[derive(clap::Args)]
pub struct Args {
    /// The service's configuration: its keys open what was restored, its anchors judge the proofs. The service may run.
    #[arg(long)]
    config: PathBuf,
    /// The backup's folder.
    dir: PathBuf,
    /// Restore here instead of beside the backup: made, or empty; removed at the end.
    #[arg(long)]
    scratch: Option<PathBuf>,
}

/// Drills: 0 passed, 1 it did not, 3 could not run or not leave its act for the service.
pub async fn run(args: &Args) -> ExitCode {
    let config = match Config::read(&args.config) {
        Ok(config) => config,
        Err(error) => return could_not_run(&error),
    };
    let now = Timestamp::now();
    let scratch = args.scratch.clone().unwrap_or_else(|| drill::scratch_beside(&args.dir, now));
    let (outcome, error) = drill::drill(&config, &args.dir, &scratch, now).await;
    if let Err(error) = drill::leave(&config.data.directory, &outcome) {
        return could_not_run(&format!("drill.act: {}: {error}", config.data.directory.display()));
    }
    match error {
        None => {
            println!(
                "passed: {} records, {} parts opened, {} erased, {} proofs verified; restored in {} ms, judged in {} ms",
                outcome.records,
                outcome.opened,
                outcome.erased,
                outcome.proofs,
                outcome.restored_ms,
                outcome.took_ms
            );
            ExitCode::SUCCESS
        }
        Some(error) => {
            println!("NOT PASSED: {error}");
            ExitCode::FAILURE
        }
    }
}
