//! `epost backup` and `epost restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;

use super::could_not_run;
use crate::backup::{self, BackupError, HeldBy, Manifest, Taken};
use crate::config::Config;

/// What to do.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The service's configuration; the service may run.
    #[arg(long, required = true)]
    config: Option<PathBuf>,
    /// The backup's folder, made if absent; what it holds already is not written again.
    #[arg(required = true)]
    dir: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Judge a whole backup: each file's digest, then the journal from its bytes.
    Check {
        /// The backup's folder.
        dir: PathBuf,
    },
}

/// From where, and to where.
#[derive(clap::Args)]
pub struct RestoreArgs {
    /// The backup's folder.
    dir: PathBuf,
    /// The folder that gets `data`, `config` and `binary`: made, or empty.
    #[arg(long)]
    into: PathBuf,
}

/// Makes or judges a backup: 0 done or whole, 1 damaged (of one that was made: some content is not what its record says), 3 could not run.
pub fn run(args: &Args) -> ExitCode {
    match (&args.command, &args.config, &args.dir) {
        (Some(Command::Check { dir }), ..) => match backup::check(dir) {
            Ok(manifest) => told("whole", &manifest),
            Err(error) => tell(&error),
        },
        (None, Some(config_path), Some(dir)) => {
            let config = match Config::read(config_path) {
                Ok(config) => config,
                Err(error) => return could_not_run(&error),
            };
            let binary = match std::env::current_exe() {
                Ok(binary) => binary,
                Err(error) => return could_not_run(&format!("this program's own file: {error}")),
            };
            match backup::take(config_path, &config, Some(&binary), dir, Timestamp::now()) {
                Ok(taken) => {
                    let code = told("backed up", &taken.manifest);
                    let Taken { written_bytes, absent, damaged, held, keys_damaged, keys_held, .. } = taken;
                    println!(
                        "{written_bytes} bytes were new; {absent} parts are absent, {damaged} damaged; {keys_damaged} item keys are damaged"
                    );
                    if damaged == 0 && held == 0 && keys_damaged == 0 {
                        return code;
                    }
                    println!(
                        "NOT WHOLE: of these the backup keeps {held} parts and {keys_held} keys as they were; `epost journal repair --content \
                         --from {}` mends them",
                        dir.display()
                    );
                    ExitCode::FAILURE
                }
                Err(error) => tell(&error),
            }
        }
        _ => could_not_run(&"give --config and the backup's folder"),
    }
}

/// Restores: 0 done, 1 the backup is damaged, 3 could not run.
pub async fn restore(args: &RestoreArgs) -> ExitCode {
    match backup::restore(&args.dir, &args.into, Timestamp::now()).await {
        Ok(restored) => {
            let code = told("restored and verified", &restored.manifest);
            println!(
                "next: put the escrowed keys back, and `epost check` the configuration in {}",
                args.into.display()
            );
            code
        }
        Err(error) => tell(&error),
    }
}

fn told(what: &str, manifest: &Manifest) -> ExitCode {
    let (records, files) = (manifest.records, manifest.files.len());
    println!("{what}: {records} records, {files} files, as of {}; root {}", manifest.made_at, manifest.root);
    if let Some(id) = &manifest.master_key {
        println!("master key {id} opens it (`epost keys id FILE` tells a key's id)");
    }
    if let Some(HeldBy { token, label }) = &manifest.master_key_token {
        println!("key {label:?} of token {token:?} unwraps that (`epost keys id --config FILE`)");
    }
    ExitCode::SUCCESS
}

fn tell(error: &BackupError) -> ExitCode {
    match error {
        BackupError::Damaged { .. } | BackupError::Journal(journal::VerifyError::Damaged { .. }) => {
            println!("NOT WHOLE: {error}");
            ExitCode::FAILURE
        }
        error => could_not_run(error),
    }
}
