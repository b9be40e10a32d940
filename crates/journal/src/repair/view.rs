//! The journal as it would be with other bytes in the place of damaged ones: read only, nothing of it is on the disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, DiskFile, OpenMode, ReadOnly, read_only};

/// Bytes of a file up to `end`, from where those of the source before it end; each stands where it stands in its own file.
#[derive(Clone)]
pub(super) struct Source<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) path: PathBuf,
    pub(super) end: u64,
}

/// A folder in which some files have other bytes; one without sources is not there.
pub(super) struct View<'a> {
    pub(super) live: &'a dyn Disk,
    pub(super) others: BTreeMap<PathBuf, Vec<Source<'a>>>,
}

/// Sources, open.
struct Spliced(Vec<(u64, Arc<dyn DiskFile>)>);

/// The file that these sources make.
pub(super) fn splice(sources: &[Source<'_>]) -> io::Result<Box<dyn DiskFile>> {
    let open =
        |source: &Source<'_>| Ok((source.end, Arc::from(source.disk.open(&source.path, OpenMode::Read)?)));
    Ok(Box::new(Spliced(sources.iter().map(open).collect::<io::Result<_>>()?)))
}

impl ReadOnly for View<'_> {
    fn read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        match self.others.get(path) {
            None => self.live.open(path, OpenMode::Read),
            Some(sources) if sources.is_empty() => Err(io::ErrorKind::NotFound.into()),
            Some(sources) => splice(sources),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = self.live.list(dir)?;
        paths.retain(|path| !self.others.contains_key(path));
        let others =
            self.others.iter().filter(|(path, sources)| path.parent() == Some(dir) && !sources.is_empty());
        paths.extend(others.map(|(path, _)| path.clone()));
        paths.sort();
        Ok(paths)
    }
}

impl DiskFile for Spliced {
    fn write_at(&mut self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        read_only()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((end, file)) = self.0.iter().find(|(end, _)| *end > offset) else { return Ok(0) };
        let count = usize::try_from(end - offset).unwrap_or(usize::MAX).min(buffer.len());
        file.read_at(offset, buffer.get_mut(..count).unwrap_or_default())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.last().map_or(0, |(end, _)| *end))
    }

    fn truncate(&mut self, _length: u64) -> io::Result<()> {
        read_only()
    }

    fn allocate(&mut self, _length: u64) -> io::Result<()> {
        read_only()
    }

    fn sync_data(&mut self) -> io::Result<()> {
        read_only()
    }
}
