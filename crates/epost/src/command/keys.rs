//! `epost keys`: the master key's name, and its successor.

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use store::keys::master_key_id;

use super::could_not_run;
use crate::config::Config;
use crate::rotation::{self, Rotated};

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Put another master key in force: every item key is wrapped anew; the service must be stopped. Cut short, the same call goes on.
    Rotate {
        /// The service's configuration.
        #[arg(long)]
        config: PathBuf,
        /// The new master key: 32 random bytes, under escrow already, and away from data.directory.
        #[arg(long)]
        new: PathBuf,
    },
    /// Print a master key's id, as backups and the journal name it.
    Id {
        /// The key's file.
        file: PathBuf,
    },
}

/// Runs it: 0 done, 3 could not run.
pub async fn run(command: &Command) -> ExitCode {
    match command {
        Command::Id { file } => match rotation::key_of(file) {
            Ok(key) => {
                println!("{}", master_key_id(&key));
                ExitCode::SUCCESS
            }
            Err(error) => could_not_run(&error),
        },
        Command::Rotate { config, new } => {
            let config = match Config::read(config) {
                Ok(config) => config,
                Err(error) => return could_not_run(&error),
            };
            match rotation::rotate(&config, new, Timestamp::now()).await {
                Ok(Rotated { keys, from, to, retired }) => {
                    println!("{keys} item keys are under master key {to}");
                    if let Some(retired) = retired {
                        let (retired, new) = (retired.display(), new.display());
                        println!("{from} is kept in {retired}: destroy it when no backup of before is left");
                        println!("next: `epost backup`, then remove {new}");
                    }
                    ExitCode::SUCCESS
                }
                Err(error) => could_not_run(&error),
            }
        }
    }
}
