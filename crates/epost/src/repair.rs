//! Mending the ground state out of a backup, where the bytes prove themselves; nothing else. The service is stopped meanwhile.
//!
//! The journal first ([`journal::repair`]), then, if it is asked for, the item keys and the content that whole records name. Each act stands
//! in the journal: of segments afterwards, by the names of what was kept aside, so that a call that was cut short leaves none out; of keys and
//! content before.

mod checkpoint;
mod content;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, RealDisk};
use erds::record::Control;
use erds::{Record, Ticket};
use jiff::Timestamp;
use journal::checkpoint::Checkpoint;
use journal::repair::{Damage, Incurable, Replaced, Subject, kept_aside, put_back};
use journal::tiles::Published;
use journal::{Entry, Journal, UniqueKey};
use pki::digest::sha256;

use checkpoint::Newest;
pub use checkpoint::{AtHand, Lost};
pub use content::{Absent, Cure};

use crate::backup::{BackupDisk, BackupError, JOURNAL, Manifest};
use crate::config::{Config, Data};
use crate::run::{self, StartError};
use crate::service;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// A backup's folder.
    pub from: Option<&'a Path>,
    /// Whether what can be done is done; without it nothing is changed.
    pub apply: bool,
    /// Whether every file of the content is read to its end.
    pub content: bool,
    /// Checkpoints that others kept, in the place of one that is damaged or gone.
    pub checkpoints: &'a [PathBuf],
}

/// What was found, and done if that was asked for.
#[derive(Debug)]
pub struct Found {
    /// The newest checkpoint, where it is damaged or gone.
    pub lost: Option<Lost>,
    /// Damaged and missing segments.
    pub damages: Vec<Damage>,
    /// Derived files of the journal that say otherwise than it.
    pub derived: Vec<PathBuf>,
    /// The journal's records, once what is damaged is mended; or why it cannot be.
    pub records: Result<u64, Incurable>,
    /// Segments that have other bytes now.
    pub replaced: Vec<Replaced>,
    /// Slots of the key file that are not what was written; none: it was not looked at.
    pub keys: Option<Vec<DamagedKey>>,
    /// Content that is not there or not what it was; none: it was not looked at.
    pub content: Option<Vec<Absent>>,
}

impl Found {
    /// Nothing is wrong.
    pub fn is_whole(&self) -> bool {
        let content = self.content.as_deref().unwrap_or_default();
        let keys = self.keys.as_deref().unwrap_or_default();
        let segments = self.damages.is_empty() && self.derived.is_empty();
        self.records.is_ok() && self.lost.is_none() && segments && keys.is_empty() && content.is_empty()
    }

    /// All that is wrong can be mended.
    pub fn is_curable(&self) -> bool {
        let content = self.content.as_deref().unwrap_or_default();
        let keys = self.keys.as_deref().unwrap_or_default().iter().map(|key| &key.cure);
        let cures = keys.chain(content.iter().map(|absent| &absent.cure));
        self.records.is_ok() && cures.into_iter().all(|cure| *cure == Cure::FromBackup)
    }
}

/// A slot of the key file that does not open, or is zeros though no erasure is on record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DamagedKey {
    /// Where it lies; 0: the file's header.
    pub offset: u64,
    /// Whose it is; none: nobody can say, or it is the header.
    pub ticket: Option<Ticket>,
    /// What can be done.
    pub cure: Cure,
}

/// Why nothing was found out, or what was begun could not be ended: the same call may be made again.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::repair::RepairError),
    /// The backup's manifest.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The configuration's keys; the journal, mended, cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A checkpoint that was given is none.
    #[error("journal.repair.given: {path}: {what}; give one that the log's own key signed")]
    Given {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The disk, at content or checkpoints.
    #[error("store.disk: {path}: {cause}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

impl RepairError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Journal(error) => error.code(),
            Self::Backup(error) => error.code(),
            Self::Start(_) => "journal.repair.configuration",
            Self::Given { .. } => "journal.repair.given",
            Self::Disk { .. } => "store.disk",
        }
    }
}

/// Looks at the whole journal, and mends what can be proven if that is asked for. Content is looked at once the journal is whole.
///
/// # Errors
/// [`RepairError`]: a service runs; the backup has no manifest; the keys; the disk.
pub async fn repair(config: &Config, asked: Asked<'_>, now: Timestamp) -> Result<Found, RepairError> {
    let Data { directory, origin, segment_bytes_max, .. } = &config.data;
    let dir = directory.join("journal");
    let backup = match asked.from {
        Some(from) => Some(BackupDisk::new(from.into(), &Manifest::read(from)?)),
        None => None,
    };
    let of_backup = backup.as_ref().map(|disk| (disk as &dyn Disk, Path::new(JOURNAL)));
    let (published, lost) = newest(config, backup.as_ref(), asked.checkpoints)?;
    let signed = published.as_ref().map(|published| published.checkpoint().clone());
    let subject = Subject { disk: &RealDisk, dir: &dir, origin, published, backup: of_backup };
    let mut survey = journal::repair::survey(subject)?;
    if let (Some((_, at_hand)), Ok(_)) = (&lost, &survey.records)
        && let Err(incurable) = survey.leads_to(at_hand, &run::tlog_directory(config))?
    {
        survey.records = Err(incurable);
    }
    let mut lost = lost.map(|(lost, _)| lost);
    let (damages, derived) = (survey.damages.clone(), survey.derived.clone());
    let parts = || content::Parts::read(config, backup.as_ref());
    let records = match &survey.records {
        Ok(records) if asked.apply => *records,
        judged => {
            let look = asked.content && judged.is_ok() && damages.is_empty();
            let parts = look.then(parts).transpose()?;
            let keys = parts.as_ref().map(content::Parts::damaged_keys);
            let content = parts.map(|parts| parts.absent()).transpose()?;
            let (records, replaced) = (survey.records, Vec::new());
            return Ok(Found { lost, damages, derived, records, replaced, keys, content });
        }
    };
    let replaced = survey.apply()?;
    if let Some(lost) = &mut lost {
        lost.kept_as = restore_checkpoint(config, lost)?;
    }
    let journal = run::journal_at_rest(directory, origin, *segment_bytes_max, signed.as_ref())?;
    if let Some(Lost { what, newest: Some(AtHand { source, checkpoint }), kept_as }) = &lost {
        let detail = serde_json::json!({
            "records": checkpoint.size(), "source": source, "was": what, "kept_as": kept_as,
        });
        record(&journal, "checkpoint.repaired", None, detail.to_string(), None, now).await?;
    }
    let kept = kept_aside(&RealDisk, &dir).map_err(|cause| RepairError::Disk { path: dir.clone(), cause })?;
    for Replaced { segment, kept_as } in kept {
        let detail = serde_json::json!({"segment": segment, "kept_as": kept_as}).to_string();
        // Once, however often the call is made again.
        let key = UniqueKey(sha256(format!("journal.repaired\0{kept_as}").as_bytes()));
        record(&journal, "journal.repaired", None, detail, Some(key), now).await?;
    }
    let (mut keys, mut content) = (None, None);
    if asked.content {
        let parts = parts()?;
        parts.mend_keys(config, &journal, now).await?;
        keys = Some(parts.damaged_keys());
        let absent = parts.absent()?;
        for absent in absent.iter().filter(|absent| absent.cure == Cure::FromBackup) {
            parts.mend(absent, &journal, now).await?;
        }
        content = Some(absent);
    }
    Ok(Found { lost, damages, derived, records: Ok(records), replaced, keys, content })
}

/// What is published, under the newest checkpoint that can be believed; and where that is not the file's own, all that are at hand.
type Known = (Option<Published>, Option<(Lost, Vec<Checkpoint>)>);

fn newest(config: &Config, backup: Option<&BackupDisk<'_>>, given: &[PathBuf]) -> Result<Known, RepairError> {
    let (what, at_hand) = match Newest::read(config, backup, given)? {
        Newest::None => return Ok((None, None)),
        Newest::Whole(published) => return Ok((Some(published), None)),
        Newest::Lost(what, at_hand) => (what, at_hand),
    };
    let newest = at_hand.iter().max_by_key(|at_hand| at_hand.checkpoint.size()).cloned();
    let published = newest.as_ref().map(|newest| {
        Published::under(Arc::new(RealDisk), &run::tlog_directory(config), newest.checkpoint.clone())
    });
    let checkpoints = at_hand.into_iter().map(|at_hand| at_hand.checkpoint).collect();
    Ok((published, Some((Lost { what, newest, kept_as: None }, checkpoints))))
}

/// Puts the newest one at hand in the place of the one that was lost; the name under which that is kept.
fn restore_checkpoint(config: &Config, lost: &Lost) -> Result<Option<String>, RepairError> {
    let tlog = run::tlog_directory(config);
    let Some(AtHand { checkpoint, .. }) = &lost.newest else { return Ok(None) };
    put_back(&RealDisk, &tlog, checkpoint).map_err(|cause| RepairError::Disk { path: tlog, cause })
}

async fn record(
    journal: &Journal,
    action: &str,
    ticket: Option<Ticket>,
    detail: String,
    once: Option<UniqueKey>,
    now: Timestamp,
) -> Result<(), StartError> {
    let record = Record::Control(Control { at: now, action: action.to_owned(), ticket, detail });
    let unique_keys = once.into_iter().collect();
    let appended = journal.append(Entry { record, frames: Vec::new(), unique_keys }).await;
    appended.map_err(|error| service::OpenError::Failure(error.into()))?;
    Ok(())
}
