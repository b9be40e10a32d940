//! Making a backup, beside a service that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, OpenMode, RealDisk};
use jiff::Timestamp;
use journal::tiles::Published;

use super::disk::BackupDisk;
use super::{BackupError, FILES, Folder, HeldBy, JOURNAL, Kept, MANIFEST, Manifest, VERSION, pour};
use pki::aead::Key256;
use store::StoreError;
use store::keys::{KeyReader, master_key_id};

use crate::config::{Config, Held, KeyPlace, MasterToken};
use crate::key_slots::{Judging, KEY_FILE, Mended};
use crate::run::StartError;
use crate::service::{OpenError, PartsInFiles, judge_file};

/// Times that files which changed meanwhile are copied again.
const COPIES_MAX: usize = 8;

/// What was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    /// The state that the folder holds now.
    pub manifest: Manifest,
    /// Bytes written: what was there already is not.
    pub written_bytes: u64,
    /// Parts that a record names and whose file is gone: lawfully erased a moment ago, or lost.
    pub absent: u64,
    /// Parts whose file is other than at the backup before, and not what its record says: disks rot.
    pub damaged: u64,
    /// Of both, those that the backup has as they were, from before; they stay.
    pub held: u64,
    /// Slots of the key file that are not what was written: item keys, or its header.
    pub keys_damaged: u64,
    /// Of these, those that the backup has as they were, from before; they stay.
    pub keys_held: u64,
}

/// Brings the backup in `folder`, made if absent, to the state of now. Consistent while the service runs: the signed log first, then
/// the journal up to a record that is durable, then the content and the keys, which were durable before the records that name them.
/// `binary`: the program that reads it all, kept beside.
///
/// # Errors
/// [`BackupError`]: the backup there is the one of before.
pub fn take<'a>(
    config_path: &Path,
    config: &Config,
    binary: Option<&Path>,
    folder: impl Into<Folder<'a>>,
    now: Timestamp,
) -> Result<Taken, BackupError> {
    let data = &config.data.directory;
    let secrets = config.data.master_key.secrets().into_iter();
    let secrets = secrets.chain(config.seal.key.pin_file()).chain(&config.data.log_key);
    for secret in secrets {
        if absolute(secret)?.starts_with(absolute(data)?) {
            let what = "a key under data.directory; move it away from what it protects";
            return Err(BackupError::Secret { path: secret.clone(), what });
        }
    }
    let master_key = crate::keys::master_key(config)?;
    let mut taking = Taking::begin(folder.into())?;
    let former = Manifest::read(taking.to).ok();
    let former = former.as_ref().map(|manifest| BackupDisk::new(taking.to, manifest));
    let former = former.as_ref().map(|disk| disk as &dyn Disk);
    let mut judging = Judging::begin(data, former, &master_key).map_err(keys_error)?;
    let tlog = data.join("tlog");
    if let Some(key) = crate::run::log_key(config)? {
        // One that is damaged must not take the place of the backup's, which mends it.
        Published::open(Arc::new(RealDisk), &tlog, key.verifier())?;
    }
    taking.published(&tlog)?;
    for span in journal::snapshot(&RealDisk, &data.join("journal"), &config.data.origin)? {
        let name = format!("{JOURNAL}/{}", file_name(&span.path));
        taking.keep(name, &span.path, span.bytes)?;
    }
    let mut manifest = Manifest {
        version: VERSION,
        made_at: now,
        origin: config.data.origin.clone(),
        segment_bytes_max: config.data.segment_bytes_max,
        records: 0,
        root: [0; 32].into(),
        master_key: Some(master_key_id(&master_key)),
        master_key_token: match &config.data.master_key {
            KeyPlace::File(_) => None,
            KeyPlace::Token(MasterToken { pkcs11, .. }) => {
                Some(HeldBy { token: pkcs11.token.clone(), label: pkcs11.label.clone() })
            }
        },
        files: taking.files.clone(),
    };
    let mut parts = PartsInFiles::default();
    let copied = BackupDisk::new(taking.to, &manifest);
    let report = journal::verify(&copied, Path::new(JOURNAL), &manifest.origin, &mut |stored| {
        parts.follow(stored);
        judging.follow(stored);
        Ok(())
    })?;
    (manifest.records, manifest.root) = (report.records, report.root.into());
    let damaged = judging.damaged();
    taking.keys_damaged = damaged.len() as u64;
    taking.keys_held = damaged.iter().filter(|doubt| doubt.good.is_some()).count() as u64;
    let mended = Mended::new(data, &damaged);
    taking.content(data, &mended, &master_key, &parts)?;
    taking.keep_from(&mended, KEY_FILE.to_owned(), &data.join("keys/items.keys"), u64::MAX)?;
    // The master key of a rotation that is not finished yet opens nothing of it.
    store::keys::require_master(&mended, &data.join("keys"), &master_key).map_err(keys_error)?;
    taking.folder("data/crls", &data.join("crls"))?;
    if let Some(binary) = binary {
        taking.keep(super::BINARY.to_owned(), binary, u64::MAX)?;
    }
    taking.configuration(config_path, config)?;
    manifest.files = std::mem::take(&mut taking.files);
    taking.end(&manifest)?;
    let Taking { written_bytes, absent, damaged, held, keys_damaged, keys_held, .. } = taking;
    Ok(Taken { manifest, written_bytes, absent, damaged, held, keys_damaged, keys_held })
}

struct Taking<'a> {
    to: Folder<'a>,
    files: BTreeMap<String, Kept>,
    written_bytes: u64,
    absent: u64,
    damaged: u64,
    held: u64,
    keys_damaged: u64,
    keys_held: u64,
    _lock: Box<dyn Send + Sync>,
}

impl<'a> Taking<'a> {
    fn begin(to: Folder<'a>) -> Result<Self, BackupError> {
        let Folder { disk, dir } = to;
        let ours = [MANIFEST, "manifest.json.new", FILES, "lock"];
        for path in disk.list(dir).map_err(BackupError::disk("list", dir))? {
            if !ours.contains(&file_name(&path).as_str()) {
                return Err(BackupError::NotEmpty(dir.to_owned()));
            }
        }
        let files = dir.join(FILES);
        disk.create_dir_all(&files).map_err(BackupError::disk("make", &files))?;
        let lock = disk.lock(dir).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => BackupError::Locked(dir.to_owned()),
            _ => BackupError::disk("lock", dir)(error),
        })?;
        Ok(Self {
            to,
            files: BTreeMap::new(),
            written_bytes: 0,
            absent: 0,
            damaged: 0,
            held: 0,
            keys_damaged: 0,
            keys_held: 0,
            _lock: lock,
        })
    }

    /// The static files under one checkpoint: a newer one may come, and the partial tiles of the former go, while they are copied.
    fn published(&mut self, tlog: &Path) -> Result<(), BackupError> {
        let checkpoint = tlog.join("checkpoint");
        for _ in 0..COPIES_MAX {
            let before = match std::fs::read(&checkpoint) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                read => read.map_err(BackupError::disk("read", &checkpoint))?,
            };
            let former = self.files.clone();
            let copied = self.folder("data/tlog", tlog);
            if copied.is_ok() && std::fs::read(&checkpoint).is_ok_and(|now| now == before) {
                return Ok(());
            }
            match copied {
                Err(BackupError::Disk { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
                copied => copied?,
            }
            self.files = former;
        }
        Err(BackupError::Busy(tlog.to_owned()))
    }

    /// Content never changes: where a file is gone or other than at the backup before, the one of both that is what its record says is kept.
    fn content(
        &mut self,
        data: &Path,
        mended: &Mended,
        master_key: &Key256,
        parts: &PartsInFiles,
    ) -> Result<(), BackupError> {
        let former = Manifest::read(self.to).map(|manifest| manifest.files).unwrap_or_default();
        let mut keys = None;
        for (ticket, part) in parts.iter() {
            let path = data.join("content").join(ticket.as_str()).join(&part.name);
            let name = format!("data/content/{}/{}", ticket.as_str(), part.name);
            let seen = match digest_of(&RealDisk, &path, u64::MAX) {
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
                seen => Some(seen.map_err(BackupError::disk("read", &path))?),
            };
            let known = former.get(&name).copied();
            if let Some(seen) = seen.filter(|seen| known.is_none_or(|known| known == *seen)) {
                self.keep_seen(&RealDisk, name, &path, u64::MAX, seen)?;
                continue;
            }
            let keys = match &mut keys {
                Some(keys) => keys,
                none => none.insert(
                    KeyReader::open(mended, &data.join("keys"), master_key.clone()).map_err(keys_error)?,
                ),
            };
            let key = match keys.open_key(ticket) {
                Err(StoreError::Damaged { .. }) => None,
                key => key.map_err(keys_error)?,
            };
            let whole = |disk: &dyn Disk, path: &Path| {
                key.as_ref().is_some_and(|key| judge_file(disk, path, ticket, part, key).is_ok())
            };
            match seen {
                Some(seen) if whole(&RealDisk, &path) => {
                    self.keep_seen(&RealDisk, name, &path, u64::MAX, seen)?;
                    continue;
                }
                Some(_) => self.damaged += 1,
                None => self.absent += 1,
            }
            match (known, seen) {
                (Some(known), _) if whole(self.to.disk, &self.to.kept(&known)) => {
                    self.held += 1;
                    self.files.insert(name, known);
                }
                (_, Some(seen)) => self.keep_seen(&RealDisk, name, &path, u64::MAX, seen)?,
                (_, None) => {}
            }
        }
        Ok(())
    }

    /// Configuration, policy, certificates and CRLs: what stands in the configuration beside keys.
    fn configuration(&mut self, config_path: &Path, config: &Config) -> Result<(), BackupError> {
        let mut named = config.clone();
        let named = named.files().into_iter().filter(|(_, held, _)| *held == Held::Public);
        let paths = std::iter::once(config_path.to_owned()).chain(named.map(|(.., path)| path.clone()));
        let home =
            absolute(config_path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new(".")))?;
        for path in paths {
            let whole = absolute(&path)?;
            let name = whole.strip_prefix(&home).or_else(|_| whole.strip_prefix("/")).unwrap_or(&whole);
            let name = format!("config/{}", name.display());
            match path.is_dir() {
                true => self.folder(&name, &path)?,
                false => self.public(name, &path)?,
            }
        }
        Ok(())
    }

    fn public(&mut self, name: String, path: &Path) -> Result<(), BackupError> {
        let bytes = std::fs::read(path).map_err(BackupError::disk("read", path))?;
        if memchr::memmem::find(&bytes, b"PRIVATE KEY-----").is_some() {
            let what = "a private key in a file that should hold none; keep it in a file of its own";
            return Err(BackupError::Secret { path: path.to_owned(), what });
        }
        self.keep(name, path, u64::MAX)
    }

    /// A folder and those in it.
    fn folder(&mut self, name: &str, folder: &Path) -> Result<(), BackupError> {
        for path in RealDisk.list(folder).map_err(BackupError::disk("list", folder))? {
            let name = format!("{name}/{}", file_name(&path));
            match path.is_dir() {
                true => self.folder(&name, &path)?,
                false if name.starts_with("config/") => self.public(name, &path)?,
                false => self.keep(name, &path, u64::MAX)?,
            }
        }
        Ok(())
    }

    /// Keeps a file's first bytes, durably but for the folder's own name for it; one whose bytes are there already is not written.
    fn keep(&mut self, name: String, source: &Path, bytes_max: u64) -> Result<(), BackupError> {
        self.keep_from(&RealDisk, name, source, bytes_max)
    }

    fn keep_from(
        &mut self,
        disk: &dyn Disk,
        name: String,
        source: &Path,
        bytes_max: u64,
    ) -> Result<(), BackupError> {
        let seen = digest_of(disk, source, bytes_max).map_err(BackupError::disk("read", source))?;
        self.keep_seen(disk, name, source, bytes_max, seen)
    }

    fn keep_seen(
        &mut self,
        disk: &dyn Disk,
        name: String,
        source: &Path,
        bytes_max: u64,
        seen: Kept,
    ) -> Result<(), BackupError> {
        let there = digest_of(self.to.disk, &self.to.kept(&seen), u64::MAX).is_ok_and(|found| found == seen);
        let kept = if there { seen } else { self.copy(disk, source, bytes_max)? };
        self.files.insert(name, kept);
        Ok(())
    }

    fn copy(&mut self, from: &dyn Disk, source: &Path, bytes_max: u64) -> Result<Kept, BackupError> {
        let part = self.to.dir.join(FILES).join("part");
        // On a full disk the service may be waiting for the room that half a file takes.
        self.copy_by(&part, from, source, bytes_max).inspect_err(|_| drop(self.to.disk.remove(&part)))
    }

    fn copy_by(
        &mut self,
        part: &Path,
        from: &dyn Disk,
        source: &Path,
        bytes_max: u64,
    ) -> Result<Kept, BackupError> {
        let disk = self.to.disk;
        let opened = disk.open(part, OpenMode::Write).and_then(|mut file| file.truncate(0).map(|()| file));
        let mut file = opened.map_err(BackupError::disk("make", part))?;
        // A file that grew or changed since is kept as it is now, under the digest of what was written.
        let (mut failed, mut at) = (false, 0);
        let poured = pour(from, source, bytes_max, &mut |piece| {
            file.write_at(at, piece).inspect_err(|_| failed = true)?;
            at += piece.len() as u64;
            Ok(())
        });
        let kept = poured.map_err(|cause| match failed {
            true => BackupError::disk("write", part)(cause),
            false => BackupError::disk("read", source)(cause),
        })?;
        file.sync_data().map_err(BackupError::disk("sync", part))?;
        let path = self.to.kept(&kept);
        disk.rename(part, &path).map_err(BackupError::disk("rename", &path))?;
        self.written_bytes += kept.bytes;
        Ok(kept)
    }

    /// Makes the new state the backup's, and removes what only the former one had.
    fn end(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let Folder { disk, dir } = self.to;
        let (files, path) = (dir.join(FILES), dir.join(MANIFEST));
        disk.sync_dir(&files).map_err(BackupError::disk("sync", &files))?;
        let json = serde_json::to_vec_pretty(manifest).map_err(io::Error::other);
        let written = json.and_then(|json| disk::replace(disk, &path, &json));
        written.map_err(BackupError::disk("write", &path))?;
        let named: BTreeSet<String> = manifest.files.values().map(|kept| kept.sha256.to_hex()).collect();
        // The key file of before is among them: a key that was destroyed since is then in no backup here.
        for path in disk.list(&files).map_err(BackupError::disk("list", &files))? {
            if !named.contains(&file_name(&path)) {
                disk.remove(&path).map_err(BackupError::disk("remove", &path))?;
            }
        }
        disk.sync_dir(&files).map_err(BackupError::disk("sync", &files))
    }
}

fn keys_error(error: StoreError) -> BackupError {
    StartError::from(OpenError::from(error)).into()
}

fn digest_of(disk: &dyn Disk, path: &Path, bytes_max: u64) -> io::Result<Kept> {
    pour(disk, path, bytes_max, &mut |_| Ok(()))
}

fn absolute(path: &Path) -> Result<PathBuf, BackupError> {
    std::fs::canonicalize(path).map_err(BackupError::disk("find", path))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
