//! A time-stamp (RFC 3161) on a checkpoint, once a day: from then on nobody, we neither, can say that the log was another before.
//!
//! `tlog/stamps/SIZE` is the signed note, `SIZE.tsr` the answer of the authority over its SHA-256, as `openssl ts -verify` reads it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, OpenMode, read_exactly};
use erds::record::Hex32;
use jiff::{SignedDuration, Timestamp};
use journal::checkpoint::Checkpoint;
use pki::der::encode;
use pki::digest::{Digest, DigestAlgorithm, sha256};
use pki::tsp;
use serde_json::json;

use crate::service::{Failure, Service};

/// Keeps the newest checkpoints stamped.
pub struct Stamps {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    every: SignedDuration,
    due_at: Timestamp,
}

/// Why a checkpoint is not stamped: ours, or every authority is away; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum StampingError {
    /// The stamp cannot be written.
    #[error("journal.stamp-disk: {0}")]
    Disk(#[from] io::Error),
    /// No authority gave a good token with which our clock agrees; or it cannot be recorded, and the files stand.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Stamps {
    /// Goes on from the newest stamp in the folder of the published log; without a readable one the next checkpoint is stamped.
    pub fn open(disk: Arc<dyn Disk>, tlog: &Path, every: SignedDuration) -> Self {
        let folder = tlog.join("stamps");
        let newest = sizes(disk.as_ref(), &folder).ok().and_then(|sizes| sizes.last().copied());
        let stamped_at = newest
            .and_then(|size| read(disk.as_ref(), &response_path(&folder, size)).ok())
            .and_then(|response| tsp::parse_response(&response).ok())
            .map(|token| token.tst_info().gen_time);
        let due_at = stamped_at.map_or(Timestamp::MIN, |at| after(at, every));
        Self { disk, folder, every, due_at }
    }

    /// Stamps the checkpoint, if the last stamp is old enough; true if it did.
    ///
    /// # Errors
    /// [`StampingError`]; it is due again after a pause.
    pub async fn stamp(&mut self, service: &Service, checkpoint: &Checkpoint) -> Result<bool, StampingError> {
        let now = service.now();
        if now < self.due_at {
            return Ok(false);
        }
        self.due_at = after(now, RETRY_PAUSE.min(self.every));
        let note = checkpoint.note().as_bytes();
        let stamp = service.stamp(&Digest::of(DigestAlgorithm::Sha256, note)).await?;
        let token = stamp.token.token();
        let granted = encode(SEQUENCE, &[&encode(INTEGER, &[&[0]])]);
        let response = encode(SEQUENCE, &[&granted, token.der()]);
        let gen_time = token.tst_info().gen_time;
        tokio::task::block_in_place(|| self.write(checkpoint.size(), note, &response))?;
        self.due_at = after(gen_time, self.every);
        let detail = json!({
            "records": checkpoint.size(), "tsa": stamp.authority, "gen_time": gen_time,
            "tsr_sha256": Hex32(sha256(&response)),
        });
        service.record_act("checkpoint.stamped", &detail.to_string()).await?;
        Ok(true)
    }

    /// The note before its stamp: a crash in between leaves a note that nobody looks for.
    fn write(&self, size: u64, note: &[u8], response: &[u8]) -> io::Result<()> {
        self.disk.create_dir_all(&self.folder)?;
        let mut file = self.disk.open(&note_path(&self.folder, size), OpenMode::Write)?;
        file.truncate(0)?;
        file.write_at(0, note)?;
        file.sync_data()?;
        disk::replace(self.disk.as_ref(), &response_path(&self.folder, size), response)
    }
}

/// The sizes that are stamped, lowest first; none where there is no folder.
///
/// # Errors
/// The folder cannot be read.
pub fn sizes(disk: &dyn Disk, folder: &Path) -> io::Result<Vec<u64>> {
    let files = match disk.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let stamps = files.iter().filter(|path| path.extension().is_some_and(|found| found == "tsr"));
    let mut sizes: Vec<u64> = stamps.filter_map(|path| path.file_stem()?.to_str()?.parse().ok()).collect();
    sizes.sort_unstable();
    Ok(sizes)
}

/// The signed note of that size.
pub fn note_path(folder: &Path, size: u64) -> PathBuf {
    folder.join(size.to_string())
}

/// Its stamp.
pub fn response_path(folder: &Path, size: u64) -> PathBuf {
    folder.join(format!("{size}.tsr"))
}

/// A note or stamp, whole.
///
/// # Errors
/// It cannot be read, or is larger than any.
pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read)?;
    let length = usize::try_from(file.length()?).ok().filter(|length| *length <= FILE_BYTES_MAX);
    read_exactly(file.as_ref(), 0, length.ok_or_else(|| io::Error::other("too large for a note or a stamp"))?)
}

fn after(at: Timestamp, pause: SignedDuration) -> Timestamp {
    at.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// Between two tries.
const RETRY_PAUSE: SignedDuration = SignedDuration::from_mins(10);
const FILE_BYTES_MAX: usize = 1 << 20;
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
