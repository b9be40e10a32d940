//! Content that whole records name, and that is gone or damaged: a backup's file takes its place if it opens under the item's key and is
//! what the record's digest says.

use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, OpenMode, RealDisk};
use erds::Ticket;
use erds::record::PartFacts;
use jiff::Timestamp;
use journal::Journal;
use store::StoreError;
use store::keys::{Doubt, ItemKey, KeyReader, mend_slots};

use super::{DamagedKey, RepairError, record};
use crate::backup::BackupDisk;
use crate::config::Config;
use crate::key_slots::{Judging, Mended};
use crate::run::StartError;
use crate::service::{self, PartsInFiles, judge_file};

/// A part that is not there, or not what it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Absent {
    /// Its item.
    pub ticket: Ticket,
    /// What its record says of it.
    pub part: PartFacts,
    /// What is wrong with it.
    pub what: String,
    /// What can be done.
    pub cure: Cure,
}

impl Absent {
    /// As a backup's manifest names it.
    pub fn name(&self) -> String {
        format!("{CONTENT}/{}/{}", self.ticket.as_str(), self.part.name)
    }
}

/// What can be done about a part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cure {
    /// The backup's file is the very one.
    FromBackup,
    /// Nothing: why not.
    No(String),
}

const CONTENT: &str = "data/content";

/// The parts in files of their own, of items that are neither withdrawn nor erased.
pub(super) struct Parts<'a> {
    folder: PathBuf,
    backup: Option<&'a BackupDisk<'a>>,
    /// With what the backup mends.
    keys: KeyReader,
    damaged: Vec<Doubt>,
    parts: PartsInFiles,
}

impl<'a> Parts<'a> {
    /// Reads the journal, which must be whole.
    pub(super) fn read(config: &Config, backup: Option<&'a BackupDisk<'a>>) -> Result<Self, RepairError> {
        let data = &config.data.directory;
        let master_key = crate::keys::master_key(config)?;
        let of_backup = backup.map(|disk| disk as &dyn Disk);
        let mut judging = Judging::begin(data, of_backup, &master_key).map_err(of_store)?;
        let mut parts = PartsInFiles::default();
        let read = journal::verify(&RealDisk, &data.join("journal"), &config.data.origin, &mut |stored| {
            parts.follow(stored);
            judging.follow(stored);
            Ok(())
        });
        read.map_err(crate::backup::BackupError::from)?;
        let damaged = judging.damaged();
        let keys = KeyReader::open(&Mended::new(data, &damaged), &data.join("keys"), master_key);
        let keys = keys.map_err(of_store)?;
        Ok(Self { folder: data.join("content"), backup, keys, damaged, parts })
    }

    /// Each slot of the key file that is not what was written.
    pub(super) fn damaged_keys(&self) -> Vec<DamagedKey> {
        let cure = |doubt: &Doubt| match (&doubt.good, self.backup) {
            (Some(_), _) => Cure::FromBackup,
            (None, None) => Cure::No("give a backup's folder (--from)".to_owned()),
            (None, Some(_)) => Cure::No(
                "not in the backup, or damaged there too; give another one of this master key".to_owned(),
            ),
        };
        let of = |doubt: &Doubt| DamagedKey { offset: doubt.offset, ticket: doubt.ticket, cure: cure(doubt) };
        self.damaged.iter().map(of).collect()
    }

    /// Puts the backup's slots in the place of those that are damaged: recorded, then written. What was there opened nothing, and is not kept.
    pub(super) async fn mend_keys(
        &self,
        config: &Config,
        journal: &Journal,
        now: Timestamp,
    ) -> Result<(), RepairError> {
        let good: Vec<&Doubt> = self.damaged.iter().filter(|doubt| doubt.good.is_some()).collect();
        let Some(first) = good.first() else { return Ok(()) };
        let detail = serde_json::json!({"slots": good.len(), "first_offset": first.offset}).to_string();
        record(journal, "keys.repaired", None, detail, None, now).await?;
        let keys = config.data.directory.join("keys");
        Ok(mend_slots(&RealDisk, &keys, &self.damaged).map_err(of_store)?)
    }

    /// Each part that is not what its record says; every file is read to its end.
    pub(super) fn absent(&self) -> Result<Vec<Absent>, RepairError> {
        let mut absent = Vec::new();
        for (ticket, part) in self.parts.iter() {
            let key = match self.keys.open_key(ticket) {
                Err(StoreError::Damaged { .. }) => Err("its key is damaged"),
                opened => opened.map_err(of_store)?.ok_or("its key is gone from data/keys/items.keys"),
            };
            let key = match key {
                Ok(key) => key,
                Err(what) => {
                    let cure = Cure::No("give a backup that has its key; nothing else opens it".to_owned());
                    absent.push(Absent { ticket, part: part.clone(), what: what.to_owned(), cure });
                    continue;
                }
            };
            if let Err(what) = judge_file(&RealDisk, &self.path(ticket, part), ticket, part, &key) {
                let cure = self.cure(ticket, part, &key);
                absent.push(Absent { ticket, part: part.clone(), what, cure });
            }
        }
        absent.sort_by_key(Absent::name);
        Ok(absent)
    }

    fn cure(&self, ticket: Ticket, part: &PartFacts, key: &ItemKey) -> Cure {
        let Some(backup) = self.backup else { return Cure::No("give a backup's folder (--from)".to_owned()) };
        match judge_file(backup, &in_backup(ticket, part), ticket, part, key) {
            Ok(()) => Cure::FromBackup,
            Err(what) => Cure::No(format!("in the backup, {what}; give another one")),
        }
    }

    fn path(&self, ticket: Ticket, part: &PartFacts) -> PathBuf {
        self.folder.join(ticket.as_str()).join(&part.name)
    }

    /// Puts the backup's file in the place of one that is absent: written beside and judged, recorded, then renamed; what was there is
    /// kept beside it. *Crash: the file is the former one, the new one or none; the same call goes on.*
    pub(super) async fn mend(
        &self,
        absent: &Absent,
        journal: &Journal,
        now: Timestamp,
    ) -> Result<(), RepairError> {
        let (ticket, part) = (absent.ticket, &absent.part);
        let path = self.path(ticket, part);
        let on_disk = |cause| RepairError::Disk { path: path.clone(), cause };
        let Some(backup) = self.backup else { return Ok(()) };
        let folder = path.parent().unwrap_or(&self.folder);
        RealDisk.create_dir_all(folder).map_err(on_disk)?;
        let beside = path.with_added_extension("new");
        let kept = backup.open(&in_backup(ticket, part), OpenMode::Read).map_err(on_disk)?;
        disk::copy(kept.as_ref(), &RealDisk, &beside).map_err(on_disk)?;
        let opened = self.keys.open_key(ticket).map_err(of_store)?;
        let key = opened.ok_or_else(|| on_disk(io::ErrorKind::NotFound.into()))?;
        judge_file(&RealDisk, &beside, ticket, part, &key)
            .map_err(|what| on_disk(io::Error::new(io::ErrorKind::InvalidData, what)))?;
        let detail = serde_json::json!({"part": part.name, "was": absent.what}).to_string();
        record(journal, "content.repaired", Some(ticket), detail, None, now).await?;
        if path.exists() {
            let aside = path.with_added_extension(format!("damaged-{}", now.as_second()));
            RealDisk.rename(&path, &aside).map_err(on_disk)?;
        }
        RealDisk.rename(&beside, &path).and_then(|()| RealDisk.sync_dir(folder)).map_err(on_disk)
    }
}

fn of_store(error: StoreError) -> StartError {
    service::OpenError::from(error).into()
}

fn in_backup(ticket: Ticket, part: &PartFacts) -> PathBuf {
    Path::new(CONTENT).join(ticket.as_str()).join(&part.name)
}
