//! `epost keys`: the master key's making, its name, and its successor.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use store::keys::master_key_id;

use super::could_not_run;
use crate::config::{Config, ConfigError};
use crate::keys;
use crate::rotation::{self, Rotated};
use crate::run::StartError;

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make the master key that a configuration names, where there is none: 32 random bytes, in a file or wrapped by the token's key.
    Make {
        /// The configuration that names it.
        #[arg(long)]
        config: PathBuf,
    },
    /// Put another master key in force: every item key is wrapped anew; the service must be stopped. Cut short, the same call goes on.
    Rotate {
        /// The service's configuration.
        #[arg(long)]
        config: PathBuf,
        /// The new master key, from file to file: 32 random bytes, under escrow already, and away from data.directory.
        #[arg(long, required_unless_present = "to", conflicts_with = "to")]
        new: Option<PathBuf>,
        /// From or to a token: the configuration of from now on, which differs by data.master_key.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Print a master key's id, as backups and the journal name it.
    Id {
        /// The key's file, 32 bytes.
        #[arg(required_unless_present = "config", conflicts_with = "config")]
        file: Option<PathBuf>,
        /// The key that this configuration names; its token is asked.
        #[arg(long)]
        config: Option<PathBuf>,
    },
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("give --new or --to")]
    Neither,
}

/// Runs it: 0 done, 3 could not run.
pub async fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::Make { config } => make(config),
        Command::Id { file, config } => id(file.as_deref(), config.as_deref()),
        Command::Rotate { config, new, to } => rotate(config, new.as_deref(), to.as_deref()).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => could_not_run(&error),
    }
}

fn make(config: &Path) -> Result<(), Problem> {
    let config = Config::read(config)?;
    let id = master_key_id(&keys::make_master_key(&config)?);
    println!("master key {id} is in {}", config.data.master_key.file().display());
    println!(
        "next: put it under escrow, with its id{}",
        match config.data.master_key {
            crate::config::KeyPlace::File(_) => "",
            crate::config::KeyPlace::Token(_) =>
                ", and the token's backup apart: each is worth nothing without the other",
        }
    );
    Ok(())
}

fn id(file: Option<&Path>, config: Option<&Path>) -> Result<(), Problem> {
    let key = match (file, config) {
        (Some(file), _) => rotation::key_of(file)?,
        (None, Some(config)) => keys::master_key(&Config::read(config)?)?,
        (None, None) => return Err(Problem::Neither),
    };
    println!("{}", master_key_id(&key));
    Ok(())
}

async fn rotate(config: &Path, new: Option<&Path>, to: Option<&Path>) -> Result<(), Problem> {
    let config = Config::read(config)?;
    let (rotated, next) = match (new, to) {
        (Some(new), _) => {
            let rotated = rotation::rotate(&config, new, Timestamp::now()).await?;
            (rotated, format!("`epost backup`, then remove {}", new.display()))
        }
        (None, Some(to)) => {
            let rotated = rotation::exchange(&config, &Config::read(to)?, Timestamp::now()).await?;
            let old = config.data.master_key.file().display().to_string();
            println!("{} stays in {old}: destroy it when no backup of before is left", rotated.from);
            (rotated, format!("serve by {}, then `epost backup`", to.display()))
        }
        (None, None) => return Err(Problem::Neither),
    };
    let Rotated { keys, from, to, retired } = rotated;
    println!("{keys} item keys are under master key {to}");
    if let Some(retired) = retired {
        println!("{from} is kept in {}: destroy it when no backup of before is left", retired.display());
    }
    println!("next: {next}");
    Ok(())
}
