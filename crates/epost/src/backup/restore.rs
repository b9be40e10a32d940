//! From a backup to a data folder that a service can start on.

use std::io::Write;
use std::path::Path;

use disk::{Disk, RealDisk};
use erds::Record;
use erds::record::Control;
use jiff::Timestamp;
use journal::Entry;

use super::{BackupError, Folder, Manifest, differs, pour};
use crate::command::index::{Rebuilt, rebuild_in};
use crate::run::{self, StartError};
use crate::service;

/// Where a state is made before it is shown: a restore that was cut short leaves nothing that a service could start on.
const UNFINISHED: &str = "unfinished";

/// What was restored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restored {
    /// The backup's state.
    pub manifest: Manifest,
    /// The index, made anew; one record more than the backup had: that it was restored.
    pub rebuilt: Rebuilt,
}

/// Restores the backup in `folder` into `into`, which is made, or empty: `data`, `config` and `binary`, as the manifest names them. Each file is
/// judged by its digest, the journal from its bytes; the restore is recorded in it; the index is made anew.
///
/// # Errors
/// [`BackupError`]: what is in `into` then is no state to start on; remove it.
pub async fn restore(
    folder: impl Into<Folder<'_>>,
    into: &Path,
    now: Timestamp,
) -> Result<Restored, BackupError> {
    let folder = folder.into();
    let manifest = Manifest::read(folder)?;
    RealDisk.create_dir_all(into).map_err(BackupError::disk("make", into))?;
    if !RealDisk.list(into).map_err(BackupError::disk("list", into))?.is_empty() {
        return Err(BackupError::NotEmpty(into.to_owned()));
    }
    let unfinished = into.join(UNFINISHED);
    for (name, kept) in &manifest.files {
        let (from, to) = (folder.kept(kept), unfinished.join(name));
        let beside = to.parent().unwrap_or(&unfinished);
        RealDisk.create_dir_all(beside).map_err(BackupError::disk("make", beside))?;
        let mut file = create(&to, if name == super::BINARY { 0o700 } else { 0o600 })
            .map_err(BackupError::disk("make", &to))?;
        let found = pour(folder.disk, &from, u64::MAX, &mut |piece| file.write_all(piece))
            .map_err(BackupError::disk("copy", &from))?;
        if found != *kept {
            return Err(BackupError::Damaged { name: name.clone(), what: differs(&found, kept) });
        }
        file.sync_data().map_err(BackupError::disk("sync", &to))?;
        RealDisk.sync_dir(beside).map_err(BackupError::disk("sync", beside))?;
    }
    let data = unfinished.join("data");
    let report = journal::verify(&RealDisk, &data.join("journal"), &manifest.origin, &mut |_| Ok(()))?;
    if (report.records, report.root) != (manifest.records, manifest.root.0) {
        let what = format!("{} records; the manifest says {}", report.records, manifest.records);
        return Err(BackupError::Damaged { name: super::JOURNAL.to_owned(), what });
    }
    record(&manifest, &data, now).await?;
    let rebuilt = rebuild_in(&data, &manifest.origin, manifest.segment_bytes_max, None)?;
    for path in RealDisk.list(&unfinished).map_err(BackupError::disk("list", &unfinished))? {
        let shown = into.join(path.file_name().unwrap_or_default());
        RealDisk.rename(&path, &shown).map_err(BackupError::disk("rename", &shown))?;
    }
    RealDisk.remove_dir(&unfinished).map_err(BackupError::disk("remove", &unfinished))?;
    RealDisk.sync_dir(into).map_err(BackupError::disk("sync", into))?;
    Ok(Restored { manifest, rebuilt })
}

fn create(path: &Path, mode: u32) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// A control act in the restored journal: the records of after the backup are missing from here on, and that is to be seen.
async fn record(manifest: &Manifest, data: &Path, now: Timestamp) -> Result<(), StartError> {
    let journal = run::journal_at_rest(data, &manifest.origin, manifest.segment_bytes_max, None)?;
    let record = Record::Control(Control {
        at: now,
        action: "service.restored".to_owned(),
        ticket: None,
        detail: format!("from the backup of {} with {} records", manifest.made_at, manifest.records),
    });
    let entry = Entry { record, frames: Vec::new(), unique_keys: Vec::new() };
    journal.append(entry).await.map_err(|error| service::OpenError::Failure(error.into()))?;
    Ok(())
}
