//! Backup and restore: one folder that holds one state of the ground state, and of what the configuration names.
//!
//! ```text
//! manifest.json   each file's name, length and digest; records and root of the journal; renamed into place last
//! files/SHA256    the files, named by their digest: what is there already is not written again
//! ```
//! A run that is cut short leaves the former state whole, and files that the next run removes. Content, receipts and messages stay
//! encrypted; the master key, the log's key and every private key are never in it: they have an escrow of their own.

mod disk;
mod restore;
mod take;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ::disk::{Disk, OpenMode, RealDisk};
use erds::record::Hex32;
use jiff::Timestamp;
use journal::VerifyError;
use pki::digest::{DigestAlgorithm, Hasher};
use serde::{Deserialize, Serialize};

pub(crate) use disk::BackupDisk;
pub use restore::{Restored, restore};
pub use take::{Taken, take};

/// The manifest's format.
const VERSION: u32 = 1;
const MANIFEST: &str = "manifest.json";
const FILES: &str = "files";
pub(crate) const JOURNAL: &str = "data/journal";
const BINARY: &str = "binary/epost";

/// Where a backup lies.
#[derive(Clone, Copy)]
pub struct Folder<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
}

impl<'a> Folder<'a> {
    /// In this folder of this disk.
    pub fn on(disk: &'a dyn Disk, dir: &'a Path) -> Self {
        Self { disk, dir }
    }

    fn kept(&self, kept: &Kept) -> PathBuf {
        self.dir.join(FILES).join(kept.sha256.to_hex())
    }
}

impl<'a, P: AsRef<Path> + ?Sized> From<&'a P> for Folder<'a> {
    fn from(dir: &'a P) -> Self {
        Self { disk: &RealDisk, dir: dir.as_ref() }
    }
}

/// What a backup holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    version: u32,
    /// When it was begun.
    pub made_at: Timestamp,
    /// The log's name.
    pub origin: String,
    segment_bytes_max: u64,
    /// Records of the journal.
    pub records: u64,
    /// The root over them.
    pub root: Hex32,
    /// The id of the master key that opens its item keys (`epost keys id`); none: made by an earlier version.
    #[serde(default)]
    pub master_key: Option<String>,
    /// What wraps that master key; none: it is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master_key_token: Option<HeldBy>,
    /// By name: `data/…` of the data folder, `config/…` of what the configuration names, `binary/epost` the program.
    pub files: BTreeMap<String, Kept>,
}

/// A key in a token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HeldBy {
    /// The token's label.
    pub token: String,
    /// The key's label.
    pub label: String,
}

/// One file.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Its length.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Hex32,
}

/// Why there is no backup, or no restored state. What was there before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The disk.
    #[error("backup.disk: {doing} {path}: {cause}")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Something else lies there.
    #[error("backup.not-empty: {0} holds something else; give an empty folder")]
    NotEmpty(PathBuf),
    /// Another backup is being made there.
    #[error("backup.locked: another process works on the backup {0}; wait for it")]
    Locked(PathBuf),
    /// Not a backup, or of another version.
    #[error("backup.manifest: {path}: {what}")]
    Manifest {
        /// Its manifest.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file of the backup is not the one that was written.
    #[error("backup.damaged: {name}: {what}; run the backup again, or take another one")]
    Damaged {
        /// Its name in the manifest.
        name: String,
        /// What was seen, and what belongs there.
        what: String,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] VerifyError),
    /// The newest checkpoint of the log.
    #[error(transparent)]
    Published(#[from] journal::tiles::TilesError),
    /// A private key would have come into the backup.
    #[error("backup.secret: {path}: {what}")]
    Secret {
        /// Which file.
        path: PathBuf,
        /// Why it is one.
        what: &'static str,
    },
    /// The published files changed again and again while they were copied.
    #[error("backup.busy: {0} changes faster than it can be copied; run the backup again")]
    Busy(PathBuf),
    /// What was restored cannot be opened.
    #[error(transparent)]
    Open(#[from] crate::run::StartError),
}

impl BackupError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disk { .. } => "backup.disk",
            Self::NotEmpty(_) => "backup.not-empty",
            Self::Locked(_) => "backup.locked",
            Self::Manifest { .. } => "backup.manifest",
            Self::Damaged { .. } => "backup.damaged",
            Self::Journal(error) => error.code(),
            Self::Published(error) => error.code(),
            Self::Secret { .. } => "backup.secret",
            Self::Busy(_) => "backup.busy",
            Self::Open(_) => "backup.restored-unusable",
        }
    }

    fn disk<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |cause| Self::Disk { doing, path: path.to_owned(), cause }
    }
}

impl Manifest {
    /// Reads a backup's manifest.
    ///
    /// # Errors
    /// `Manifest`: there is none, or not one of this version's.
    pub fn read<'a>(folder: impl Into<Folder<'a>>) -> Result<Self, BackupError> {
        let Folder { disk, dir } = folder.into();
        let path = dir.join(MANIFEST);
        let wrong = |what: String| BackupError::Manifest { path: path.clone(), what };
        let read = || -> io::Result<Vec<u8>> {
            let file = disk.open(&path, OpenMode::Read)?;
            ::disk::read_exactly(file.as_ref(), 0, file.length()? as usize)
        };
        let bytes = read().map_err(|error| wrong(error.to_string()))?;
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if manifest.version != VERSION {
            return Err(wrong(format!("of version {}; this program reads {VERSION}", manifest.version)));
        }
        if let Some(name) = manifest.files.keys().find(|name| !is_inside(name)) {
            return Err(wrong(format!("{name:?} is no file of a backup")));
        }
        Ok(manifest)
    }
}

/// No name leads out of the folder that it is restored to.
fn is_inside(name: &str) -> bool {
    let mut parts = name.split('/');
    let top = parts.next();
    matches!(top, Some("data" | "config" | "binary"))
        && parts.clone().next().is_some()
        && parts.all(|part| !matches!(part, "" | "." | ".."))
}

/// Judges a whole backup: each file against its digest, then the journal from its bytes.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check<'a>(folder: impl Into<Folder<'a>>) -> Result<Manifest, BackupError> {
    let folder = folder.into();
    let manifest = Manifest::read(folder)?;
    for (name, kept) in &manifest.files {
        let path = folder.kept(kept);
        let found = pour(folder.disk, &path, u64::MAX, &mut |_| Ok(())).map_err(|error| {
            BackupError::Damaged { name: name.clone(), what: format!("{}: {error}", path.display()) }
        })?;
        if found != *kept {
            return Err(BackupError::Damaged { name: name.clone(), what: differs(&found, kept) });
        }
    }
    let report = journal::verify(
        &BackupDisk::new(folder, &manifest),
        Path::new(JOURNAL),
        &manifest.origin,
        &mut |_| Ok(()),
    )?;
    if (report.records, report.root) != (manifest.records, manifest.root.0) {
        let what =
            format!("{} records; the manifest says {}, under another root", report.records, manifest.records);
        return Err(BackupError::Damaged { name: JOURNAL.to_owned(), what });
    }
    Ok(manifest)
}

fn differs(found: &Kept, kept: &Kept) -> String {
    format!("{} bytes of digest {}; it was {} of {}", found.bytes, found.sha256, kept.bytes, kept.sha256)
}

/// Length and digest of a file of the machine's.
pub(crate) fn digest_of(path: &Path) -> io::Result<Kept> {
    pour(&RealDisk, path, u64::MAX, &mut |_| Ok(()))
}

/// Gives a file's first bytes to `each`, piece by piece; says what they were.
fn pour(
    disk: &dyn Disk,
    path: &Path,
    bytes_max: u64,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Kept> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
    let bytes = ::disk::pour(file.as_ref(), bytes_max, &mut |_, piece| {
        hasher.update(piece);
        each(piece)
    })?;
    let sha256 = hasher.finish().as_bytes().try_into().map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Kept { bytes, sha256: Hex32(sha256) })
}
