//! `epost index`: the derived state, made again from the ground state.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use disk::RealDisk;
use journal::checkpoint::Checkpoint;
use journal::tiles::Publisher;
use store::index::{Counts, made_anew};

use super::could_not_run;
use crate::config::Config;
use crate::run::{self, StartError};
use crate::service;

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Forget index, queue and statuses, and make them again from the journal; the service must be stopped.
    Rebuild {
        /// The service's configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

/// Runs it: 0 done, 3 could not run.
pub fn run(command: &Command) -> ExitCode {
    let Command::Rebuild { config } = command;
    let config = match Config::read(config) {
        Ok(config) => config,
        Err(error) => return could_not_run(&error),
    };
    match rebuild(&config) {
        Ok(Rebuilt { records, counts }) => {
            let Counts { pending, sent, error, .. } = counts;
            println!(
                "the index says again what {records} records say: {pending} PENDING, {sent} SENT, {error} ERROR"
            );
            ExitCode::SUCCESS
        }
        Err(error) => could_not_run(&error),
    }
}

/// What was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rebuilt {
    /// Records read.
    pub records: u64,
    /// How many items stand how.
    pub counts: Counts,
}

/// Makes the index anew from the journal that the configuration names. Cut short at any point it is caught up by the next start.
///
/// # Errors
/// The journal is in use by a service that runs, damaged, or not the one that was signed; the disk's: the index is as it was.
pub fn rebuild(config: &Config) -> Result<Rebuilt, StartError> {
    let publisher = run::publisher(config, Arc::new(RealDisk))?;
    let signed = publisher.as_ref().and_then(Publisher::checkpoint);
    rebuild_in(&config.data.directory, &config.data.origin, config.data.segment_bytes_max, signed)
}

/// As [`rebuild`], in this data folder.
pub(crate) fn rebuild_in(
    data: &Path,
    origin: &str,
    segment_bytes_max: u64,
    signed: Option<&Checkpoint>,
) -> Result<Rebuilt, StartError> {
    // Held until the index is whole: no service starts meanwhile.
    let journal = run::journal_at_rest(data, origin, segment_bytes_max, signed)?;
    let counts = made_anew(&data.join(service::INDEX), |index| {
        for stored in journal.iter(0) {
            let stored = stored.map_err(|error| service::OpenError::Failure(error.into()))?;
            index.apply(stored.position, &stored.record)?;
        }
        Ok::<_, service::OpenError>(index.counts()?)
    })?;
    Ok(Rebuilt { records: journal.size(), counts })
}
