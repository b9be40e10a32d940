//! Doing it. Each step leaves a journal that is damaged as it was, or mended in some segments; the same call goes on from there.
//! 1. Each segment is written beside its place (`.seg.new`), durably; the whole is judged again with these.
//! 2. The damaged file is kept as `.seg.damaged-ID`, ID being of its digest: nothing is ever deleted.
//! 3. The new one takes its name. *Crash before: as if nothing had been done, but for files that no start looks at.*

use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, OpenMode};
use erds::record::Hex32;
use pki::digest::{DigestAlgorithm, Hasher};

use super::view::{Source, View, splice};
use super::{RepairError, Survey, judge, name};
use crate::checkpoint::Checkpoint;
use crate::tiles;

/// A segment that has other bytes now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replaced {
    /// The segment's file.
    pub segment: String,
    /// Where its former bytes are kept, beside it; of no bytes, if there was no file.
    pub kept_as: String,
}

const BESIDE: &str = "new";
const ASIDE: &str = ".damaged-";
const ID_DIGITS: usize = 16;

/// What repairs have replaced in a journal's folder, as the names of the kept files tell.
///
/// # Errors
/// The disk's.
pub fn kept_aside(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Replaced>> {
    let of = |path: &PathBuf| {
        let kept_as = name(path);
        let (segment, id) = kept_as.split_once(ASIDE)?;
        let whole = segment.ends_with(".seg") && id.len() == ID_DIGITS;
        whole.then(|| Replaced { segment: segment.to_owned(), kept_as: kept_as.clone() })
    };
    Ok(disk.list(dir)?.iter().filter_map(of).collect())
}

impl Survey<'_> {
    /// Whether there is anything to do that can be done.
    pub fn is_curable(&self) -> bool {
        self.records.is_ok() && !(self.damages.is_empty() && self.derived.is_empty())
    }

    /// Does it, all of it or nothing; what was replaced. Nothing where it cannot be.
    ///
    /// # Errors
    /// [`RepairError`]: what was done until then stays, and is right; the same call goes on.
    pub fn apply(self) -> Result<Vec<Replaced>, RepairError> {
        if !self.is_curable() {
            return Ok(Vec::new());
        }
        let (disk, dir) = (self.subject.disk, self.subject.dir);
        if let Err(error) = self.write_and_judge() {
            // A full disk is to have its room back.
            for damage in &self.damages {
                let _ = disk.remove(&damage.path.with_added_extension(BESIDE));
            }
            return Err(error);
        }
        let mut replaced = Vec::new();
        for damage in &self.damages {
            let path = &damage.path;
            let aside = keep_aside(disk, path).map_err(RepairError::disk(path))?;
            let named = disk.rename(&path.with_added_extension(BESIDE), path);
            named.and_then(|()| disk.sync_dir(dir)).map_err(RepairError::disk(path))?;
            replaced.push(Replaced { segment: name(path), kept_as: name(&aside) });
        }
        for path in &self.derived {
            disk.remove(path).map_err(RepairError::disk(path))?;
        }
        Ok(replaced)
    }

    /// Each segment beside its place, and the whole judged again with these.
    fn write_and_judge(&self) -> Result<(), RepairError> {
        let (disk, dir) = (self.subject.disk, self.subject.dir);
        let mut view = View { live: disk, others: self.sources.clone() };
        for damage in &self.damages {
            let beside = damage.path.with_added_extension(BESIDE);
            let sources = self.sources.get(&damage.path).map(Vec::as_slice).unwrap_or_default();
            let written = splice(sources).and_then(|source| disk::copy(source.as_ref(), disk, &beside));
            let end = written.map_err(RepairError::disk(&beside))?;
            view.others.insert(damage.path.clone(), vec![Source { disk, path: beside, end }]);
        }
        let judged = judge(&self.subject, &view, &self.damages).map_err(RepairError::disk(dir))?;
        judged.map(drop).map_err(RepairError::Changed)
    }
}

/// Makes this checkpoint the published one in `dir`; what was in its place is kept, under the name that is returned.
///
/// # Errors
/// The disk's: the former one is there, or this one.
pub fn put_back(disk: &dyn Disk, dir: &Path, checkpoint: &Checkpoint) -> io::Result<Option<String>> {
    let path = dir.join("checkpoint");
    let kept_as = match disk.open(&path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        _ => Some(name(&keep_aside(disk, &path)?)),
    };
    tiles::replace_checkpoint(disk, dir, checkpoint)?;
    Ok(kept_as)
}

/// Keeps what lies at `path` under a name of its own, durably.
fn keep_aside(disk: &dyn Disk, path: &Path) -> io::Result<PathBuf> {
    let copy = path.with_added_extension("aside");
    copy_aside(disk, path, &copy).inspect_err(|_| drop(disk.remove(&copy)))
}

fn copy_aside(disk: &dyn Disk, path: &Path, copy: &Path) -> io::Result<PathBuf> {
    let file = match disk.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        file => Some(file?),
    };
    let mut kept = disk.open(copy, OpenMode::Write)?;
    kept.truncate(0)?;
    let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
    if let Some(file) = file {
        disk::pour(file.as_ref(), u64::MAX, &mut |at, piece| {
            hasher.update(piece);
            kept.write_at(at, piece)
        })?;
    }
    kept.sync_data()?;
    let digest = hasher.finish();
    let digest = digest.as_bytes().try_into().map(Hex32).map_err(|_| io::ErrorKind::InvalidData)?;
    let id: String = digest.to_hex().chars().take(ID_DIGITS).collect();
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!("{ASIDE}{id}"));
    let aside = PathBuf::from(aside);
    disk.rename(copy, &aside)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new("")))?;
    Ok(aside)
}
