//! The journal against what was published and signed of it: a record that was changed, with all its checksums, is found here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, OpenMode, read_exactly};

use crate::Stored;
use crate::checkpoint::Checkpoint;
use crate::merkle::Hash;
use crate::tiles::{Edge, Published, TILE_WIDTH, TilesError};

/// Goes along with [`crate::verify`]: each record against its published hash, then every tile and the signed root.
pub struct Audit {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    published: Published,
    tile: Vec<Hash>,
    edge: Edge,
}

/// What does not agree.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A published file: what is in it can be made again from the journal, if the journal is whole.
    #[error(transparent)]
    Tiles(#[from] TilesError),
    /// The journal is not the one that was signed.
    #[error("journal.forked: {what}; the newest checkpoint signs {signed} records")]
    Forked {
        /// What was seen.
        what: String,
        /// How many were signed.
        signed: u64,
    },
}

impl AuditError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tiles(error) => error.code(),
            Self::Forked { .. } => "journal.forked",
        }
    }
}

impl Audit {
    /// Against this state of the published files in `dir`.
    pub fn new(disk: Arc<dyn Disk>, dir: &Path, published: Published) -> Self {
        Self { disk, dir: dir.to_owned(), published, tile: Vec::new(), edge: Edge::default() }
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.published.checkpoint()
    }

    /// The next record, in order.
    ///
    /// # Errors
    /// What is wrong with it, for [`crate::verify`]'s `each`: its hash is not the published one; a tile is damaged or gone.
    pub fn record(&mut self, stored: &Stored) -> Result<(), String> {
        if stored.position >= self.checkpoint().size() {
            return Ok(());
        }
        let within = (stored.position % TILE_WIDTH as u64) as usize;
        if within == 0 {
            let tile = self.published.tile(0, stored.position / TILE_WIDTH as u64);
            self.tile = tile.map_err(|error| error.to_string())?;
        }
        if self.tile.get(within) != Some(&stored.leaf_hash) {
            return Err("its hash is not the one that was published".to_owned());
        }
        let (disk, dir) = (self.disk.as_ref(), &self.dir);
        self.edge.push(stored.entry, &mut |path, bytes| compare(disk, &dir.join(path), &bytes))?;
        if self.edge.size() == self.checkpoint().size() {
            let mut partials = self.edge.partials().into_iter();
            partials.try_for_each(|(path, bytes)| compare(disk, &dir.join(path), &bytes))?;
        }
        Ok(())
    }

    /// After the last record.
    ///
    /// # Errors
    /// [`AuditError::Forked`]: records that were signed are missing, or the root over them is another than the signed one.
    pub fn finish(self) -> Result<Checkpoint, AuditError> {
        let (signed, root) = (self.checkpoint().size(), self.checkpoint().root());
        let forked = |what| Err(AuditError::Forked { what, signed });
        if self.edge.size() < signed {
            return forked(format!("the journal ends before record {}", self.edge.size()));
        }
        if self.edge.root() != root {
            return forked("the root over those records is another than the signed one".to_owned());
        }
        Ok(self.published.checkpoint().clone())
    }
}

fn compare(disk: &dyn Disk, path: &Path, expected: &[u8]) -> Result<(), String> {
    let read = || -> io::Result<bool> {
        let file = disk.open(path, OpenMode::Read)?;
        Ok(file.length()? == expected.len() as u64
            && read_exactly(file.as_ref(), 0, expected.len())? == expected)
    };
    match read() {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(format!("the published file {} is not what follows from the records", path.display()))
        }
        Err(error) => Err(format!("the published file {}: {error}", path.display())),
    }
}
