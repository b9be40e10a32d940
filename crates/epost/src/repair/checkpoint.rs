//! The log's newest checkpoint, where its file is damaged or gone: what is at hand of others that the log's key signed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, RealDisk};
use journal::checkpoint::{Checkpoint, Verifier};
use journal::tiles::{Published, TilesError};

use super::RepairError;
use crate::backup::BackupDisk;
use crate::config::Config;
use crate::run;
use crate::stamp;

/// A checkpoint that is damaged or gone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lost {
    /// What is wrong with its file.
    pub what: String,
    /// The newest one that is at hand, whatever is to be said against it.
    pub newest: Option<AtHand>,
    /// Under which name the damaged one is kept, where this one was put in its place.
    pub kept_as: Option<String>,
}

/// A checkpoint that the log's key signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AtHand {
    /// Where it was found.
    pub source: String,
    /// What it says.
    pub checkpoint: Checkpoint,
}

/// What stands in the place of the newest checkpoint.
pub(super) enum Newest {
    /// The log has no key, or nothing was published yet.
    None,
    /// It.
    Whole(Published),
    /// Nothing that can be believed: why, and all others that are.
    Lost(String, Vec<AtHand>),
}

impl Newest {
    /// Reads it; where it is lost, all checkpoints that are in the backup, beside it, under time-stamps, and those that are given.
    ///
    /// # Errors
    /// A given one that is none of this log's; the configuration; the disk.
    pub(super) fn read(
        config: &Config,
        backup: Option<&BackupDisk<'_>>,
        given: &[PathBuf],
    ) -> Result<Self, RepairError> {
        let Some(key) = run::log_key(config)? else { return Ok(Self::None) };
        let dir = run::tlog_directory(config);
        let what = match Published::open(Arc::new(RealDisk), &dir, key.verifier()) {
            Ok(published) => return Ok(published.map_or(Self::None, Self::Whole)),
            Err(error @ TilesError::Disk { .. }) => return Err(run::StartError::from(error).into()),
            Err(TilesError::Checkpoint { cause, .. }) => cause.to_string(),
            Err(TilesError::Missing(_)) => "journal.checkpoint.missing: the file is not there".to_owned(),
            Err(other) => other.to_string(),
        };
        let mut at_hand = Vec::new();
        for path in given {
            let opened = read(&RealDisk, path, key.verifier());
            let checkpoint = opened.map_err(|what| RepairError::Given { path: path.clone(), what })?;
            at_hand.push(AtHand { source: path.display().to_string(), checkpoint });
        }
        find(&RealDisk, &dir, "", key.verifier(), &mut at_hand)?;
        if let Some(backup) = backup {
            find(backup, Path::new(TLOG), "of the backup: ", key.verifier(), &mut at_hand)?;
        }
        Ok(Self::Lost(what, at_hand))
    }
}

/// What of the checkpoints in a folder of published files is whole: what is not is nobody's witness.
fn find(
    disk: &dyn Disk,
    tlog: &Path,
    whose: &str,
    verifier: &Verifier,
    found: &mut Vec<AtHand>,
) -> Result<(), RepairError> {
    let stamps = tlog.join("stamps");
    let listed = disk.list(&stamps).map_err(|cause| RepairError::Disk { path: stamps.clone(), cause })?;
    let beside = ["checkpoint", "checkpoint.new"].map(|name| tlog.join(name));
    for path in beside.into_iter().chain(listed) {
        if let Ok(checkpoint) = read(disk, &path, verifier) {
            found.push(AtHand { source: format!("{whose}{}", path.display()), checkpoint });
        }
    }
    Ok(())
}

fn read(disk: &dyn Disk, path: &Path, verifier: &Verifier) -> Result<Checkpoint, String> {
    let bytes = stamp::read(disk, path).map_err(|error: io::Error| error.to_string())?;
    let note = String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    verifier.open(&note).map_err(|error| error.to_string())
}

/// As a backup names it.
const TLOG: &str = "data/tlog";
