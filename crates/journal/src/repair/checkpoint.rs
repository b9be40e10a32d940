//! Which checkpoint may take the place of one that is damaged or gone: the newest at hand, if the journal leads to it and to all others.
//!
//! An older one says nothing of what was published after it. The tiles do, though nobody signed them: a journal that lacks what they
//! have, or has something else there, was cut or changed, and signing it would fork the log.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, OpenMode, read_exactly};

use super::view::View;
use super::{Incurable, RepairError, Survey};
use crate::checkpoint::Checkpoint;
use crate::merkle::{Hash, Tree};
use crate::tiles::{TILE_WIDTH, leaf_tiles};
use crate::{Position, VerifyError, verify};

impl Survey<'_> {
    /// Whether the journal, once mended, leads to the root of each of these checkpoints, and to whatever was published in `dir` of the
    /// records behind them. Reads every record.
    ///
    /// # Errors
    /// [`RepairError`]: the disk's.
    pub fn leads_to(
        &self,
        checkpoints: &[Checkpoint],
        dir: &Path,
    ) -> Result<Result<(), Incurable>, RepairError> {
        let Some(newest) = checkpoints.iter().map(Checkpoint::size).max() else {
            return Ok(Err(Incurable::NoCheckpoint));
        };
        let subject = &self.subject;
        let mut behind = Behind::read(subject.disk, dir, newest).map_err(RepairError::disk(dir))?;
        let wanted: BTreeSet<u64> = checkpoints.iter().map(Checkpoint::size).collect();
        let mut tree = Tree::default();
        let mut roots = BTreeMap::from([(0, tree.root())]);
        let view = View { live: subject.disk, others: self.sources.clone() };
        let verified = verify(&view, subject.dir, subject.origin, &mut |stored| {
            tree.push(stored.leaf_hash);
            if wanted.contains(&tree.size()) {
                roots.insert(tree.size(), tree.root());
            }
            behind.leaf(stored.position, stored.leaf_hash);
            Ok(())
        });
        let records = match verified {
            Ok(report) => report.records,
            Err(VerifyError::Disk(error)) => return Err(RepairError::disk(subject.dir)(error)),
            Err(damaged) => return Ok(Err(Incurable::StillDamaged(damaged))),
        };
        let forked = |checkpoint: &&Checkpoint| roots.get(&checkpoint.size()) != Some(&checkpoint.root());
        if let Some(forked) = checkpoints.iter().find(forked) {
            return Ok(Err(Incurable::Forked { records, signed: forked.size() }));
        }
        Ok(behind.differs().map_or(Ok(()), Err))
    }
}

/// The tiles that reach behind the newest checkpoint, and which of them the journal's leaves are not.
struct Behind {
    tiles: BTreeMap<(u64, usize), (PathBuf, Vec<u8>)>,
    leaves: Vec<Hash>,
}

impl Behind {
    fn read(disk: &dyn Disk, dir: &Path, size: u64) -> io::Result<Self> {
        let mut tiles = BTreeMap::new();
        for (number, width, path) in leaf_tiles(disk, dir)? {
            if end_of(number, width) > size {
                let file = disk.open(&path, OpenMode::Read)?;
                // One of another length is none that follows from any records.
                let whole = file.length()? == (width * size_of::<Hash>()) as u64;
                let bytes = match whole {
                    true => read_exactly(file.as_ref(), 0, width * size_of::<Hash>())?,
                    false => Vec::new(),
                };
                tiles.insert((number, width), (path, bytes));
            }
        }
        Ok(Self { tiles, leaves: Vec::new() })
    }

    fn leaf(&mut self, position: Position, hash: Hash) {
        let (number, within) = (position / TILE_WIDTH as u64, position % TILE_WIDTH as u64);
        if within == 0 {
            self.leaves.clear();
        }
        self.leaves.push(hash);
        let name = (number, self.leaves.len());
        if self.tiles.get(&name).is_some_and(|(_, bytes)| *bytes == self.leaves.concat()) {
            self.tiles.remove(&name);
        }
    }

    /// The first that is left over.
    fn differs(self) -> Option<Incurable> {
        let ((number, width), (path, _)) = self.tiles.into_iter().next()?;
        Some(Incurable::Published { path, position: end_of(number, width) })
    }
}

fn end_of(number: u64, width: usize) -> Position {
    number.saturating_mul(TILE_WIDTH as u64).saturating_add(width as u64)
}
