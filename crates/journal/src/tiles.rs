//! The log as static files that any web server can publish: hash tiles, entry bundles, the newest signed checkpoint.
//!
//! ```text
//! checkpoint                 the signed note
//! tile/L/N, tile/L/N.p/W     256 hashes, or the W that there are so far, each over 256^L records
//! tile/entries/N[.p/W]       the entries themselves: SHA-256(salt ‖ record), so that they tell nothing about anyone
//! ```
//! Everything here follows from the journal but the signature: files that are gone are made again.
//!
//! Source: C2SP tlog-tiles v1.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, OpenMode, read_exactly};

use crate::checkpoint::{Checkpoint, CheckpointError, LogKey, Verifier};
use crate::merkle::{self, Hash, Tree, leaf_hash};
use crate::tile_cache::{BLOCK_LEVELS, BLOCK_WIDTH, Block, TileCache};
use crate::witness::{self, Cosignature};
use crate::{Journal, Position, ReadError};

/// Hashes of a whole tile.
pub(crate) const TILE_WIDTH: usize = 256;
/// Levels of the tree within a tile: 256 is 2^8.
const TILE_LEVELS: u32 = 8;
const HASH_BYTES: usize = 32;
const CHECKPOINT_BYTES_MAX: u64 = 64 * 1024;
/// What a [`Published`] keeps of the tree in memory at most, if nothing else is said: all that does not change with each proof, up to eleven
/// million records.
pub const HELD_BYTES_MAX: usize = 96 * 1024 * 1024;

/// Why the published files cannot be read, or are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum TilesError {
    /// The checkpoint.
    #[error(
        "{path}: {cause}; `epost journal repair --from BACKUP` tells which checkpoint can be put back, and puts it there; nothing is guessed"
    )]
    Checkpoint {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        cause: CheckpointError,
    },
    /// The checkpoint is gone, and what it signed is still there.
    #[error(
        "journal.checkpoint.missing: {0}; tiles are published beside it, so there was one: `epost journal repair --from BACKUP` tells which can be put back, and puts it there; nothing is guessed"
    )]
    Missing(PathBuf),
    /// A file that its checkpoint needs.
    #[error("journal.tile: {path}: {what}")]
    Tile {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// No checkpoint covers it yet.
    #[error("journal.not-published: record {position}; the newest checkpoint covers {size} records")]
    NotYet {
        /// Which record.
        position: Position,
        /// How many are covered.
        size: u64,
    },
    /// The disk.
    #[error("journal.disk: {path}: {cause}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl TilesError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Checkpoint { cause, .. } => cause.code(),
            Self::Missing(_) => "journal.checkpoint.missing",
            Self::Tile { .. } => "journal.tile",
            Self::NotYet { .. } => "journal.not-published",
            Self::Disk { .. } => "journal.disk",
        }
    }
}

/// What is published, as its newest checkpoint says.
pub struct Published {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    checkpoint: Checkpoint,
    tiles: TileCache,
}

impl Published {
    /// Reads the newest checkpoint in `dir`; none where nothing was published yet.
    ///
    /// # Errors
    /// A checkpoint that is not this log's, or that is gone from beside its tiles; the disk.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, verifier: &Verifier) -> Result<Option<Self>, TilesError> {
        let path = dir.join("checkpoint");
        let read = disk.open(&path, OpenMode::Read).and_then(|file| {
            let length = file.length()?.min(CHECKPOINT_BYTES_MAX + 1);
            read_exactly(file.as_ref(), 0, length as usize)
        });
        let bytes = match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The first checkpoint, of no records, stands before the first tile.
                let tiles = dir.join("tile");
                return match disk.list(&tiles) {
                    Ok(found) if found.is_empty() => Ok(None),
                    Ok(_) => Err(TilesError::Missing(path)),
                    Err(cause) => Err(TilesError::Disk { path: tiles, cause }),
                };
            }
            Err(cause) => return Err(TilesError::Disk { path, cause }),
            Ok(bytes) => bytes,
        };
        let note = String::from_utf8(bytes).map_err(|_| CheckpointError::Malformed("not UTF-8"));
        let checkpoint = note
            .and_then(|note| verifier.open(&note))
            .map_err(|cause| TilesError::Checkpoint { path, cause })?;
        Ok(Some(Self::under(disk, dir, checkpoint)))
    }

    /// As if this checkpoint of the log were the newest one in `dir`.
    pub fn under(disk: Arc<dyn Disk>, dir: &Path, checkpoint: Checkpoint) -> Self {
        Self { disk, dir: dir.to_owned(), checkpoint, tiles: TileCache::new(HELD_BYTES_MAX) }
    }

    /// The same, with another bound on what it keeps in memory for the proofs to come; it takes that only as they are asked for.
    pub fn holding(self, bytes_max: usize) -> Self {
        Self { tiles: TileCache::new(bytes_max), ..self }
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The hashes beside the way from a record's leaf to the checkpoint's root, lowest first.
    ///
    /// # Errors
    /// `NotYet`; a file that is missing or damaged.
    pub fn inclusion(&self, position: Position) -> Result<Vec<Hash>, TilesError> {
        self.inclusion_under(position, self.checkpoint.size)
    }

    /// The same to the root of an older checkpoint of this log, of `size` records.
    ///
    /// # Errors
    /// `NotYet`: it does not cover the record, or the newest does not cover it; a file that is missing or damaged.
    pub fn inclusion_under(&self, position: Position, size: u64) -> Result<Vec<Hash>, TilesError> {
        if position >= size || size > self.checkpoint.size {
            return Err(TilesError::NotYet { position, size: size.min(self.checkpoint.size) });
        }
        merkle::inclusion(position, size, &mut self.subtrees())
    }

    /// What shows that the log of the checkpoint begins with that of an older one: see [`merkle::verify_consistency`].
    ///
    /// # Errors
    /// `NotYet`: the older one covers more; a file that is missing or damaged.
    pub fn consistency(&self, old_size: u64) -> Result<Vec<Hash>, TilesError> {
        let size = self.checkpoint.size;
        if old_size > size {
            return Err(TilesError::NotYet { position: old_size.saturating_sub(1), size });
        }
        merkle::consistency(old_size, size, &mut self.subtrees())
    }

    /// The hashes of complete subtrees; those of one block after the other ask for it once.
    fn subtrees(&self) -> impl FnMut(u32, u64) -> Result<Hash, TilesError> {
        let mut last: Option<((u32, u64), Arc<Block>)> = None;
        move |level, index| {
            let (row, within) = (level / BLOCK_LEVELS, level % BLOCK_LEVELS);
            let (number, index_within) =
                (index >> (BLOCK_LEVELS - within), index % (BLOCK_WIDTH as u64 >> within));
            let block = match &last {
                Some((name, block)) if *name == (row, number) => block,
                _ => {
                    let block = self.tiles.get((row, number), || self.block(row, number))?;
                    &last.insert(((row, number), block)).1
                }
            };
            block.subtree(within, index_within).ok_or_else(|| {
                self.wrong(level / TILE_LEVELS, index, "fewer hashes than its checkpoint needs")
            })
        }
    }

    /// The hashes of a block: read from its tile, or those over a whole tile's blocks.
    fn block(&self, row: u32, number: u64) -> Result<Vec<Hash>, TilesError> {
        const ROWS: u32 = TILE_LEVELS / BLOCK_LEVELS;
        let level = row / ROWS;
        if !row.is_multiple_of(ROWS) {
            let tile = self.tile(level, number)?;
            return Ok((0..BLOCK_LEVELS).fold(tile, |below, _| merkle::level_above(&below)));
        }
        let blocks = (TILE_WIDTH / BLOCK_WIDTH) as u64;
        let from = (number % blocks) as usize * BLOCK_WIDTH;
        self.tile_part(level, number / blocks, from..from + BLOCK_WIDTH)
    }

    /// The tile of this level and index, as wide as the checkpoint's tree has it.
    pub(crate) fn tile(&self, level: u32, index: u64) -> Result<Vec<Hash>, TilesError> {
        self.tile_part(level, index, 0..TILE_WIDTH)
    }

    /// Those of these hashes of a tile that the checkpoint's tree has.
    fn tile_part(&self, level: u32, index: u64, hashes: Range<usize>) -> Result<Vec<Hash>, TilesError> {
        let width = width_at(self.checkpoint.size, level, index);
        let part = hashes.start.min(width) * HASH_BYTES..hashes.end.min(width) * HASH_BYTES;
        let read = |width| self.file(&tile_path(level, index, width), width * HASH_BYTES, part.clone());
        let bytes = read(width).or_else(|error| match width {
            // A partial tile may be gone once it is whole.
            1..TILE_WIDTH => read(TILE_WIDTH).map_err(|_| error),
            _ => Err(error),
        })?;
        Ok(bytes.as_chunks::<HASH_BYTES>().0.to_vec())
    }

    /// The entries in the last, partial bundle.
    fn last_entries(&self) -> Result<Vec<Hash>, TilesError> {
        const LENGTH_BYTES: usize = 2;
        let size = self.checkpoint.size;
        let (index, width) = (size / TILE_WIDTH as u64, (size % TILE_WIDTH as u64) as usize);
        if width == 0 {
            return Ok(Vec::new());
        }
        let length = width * (LENGTH_BYTES + HASH_BYTES);
        let bytes = self.file(&entries_path(index, width), length, 0..length)?;
        let chunks = bytes.as_chunks::<{ LENGTH_BYTES + HASH_BYTES }>().0;
        Ok(chunks.iter().filter_map(|chunk| chunk.last_chunk().copied()).collect())
    }

    /// Part of a file, which must have that length.
    fn file(&self, path: &str, length: usize, part: Range<usize>) -> Result<Vec<u8>, TilesError> {
        let path = self.dir.join(path);
        let read =
            self.disk.open(&path, OpenMode::Read).and_then(|file| match file.length()? == length as u64 {
                true => read_exactly(file.as_ref(), part.start as u64, part.len()).map(Some),
                false => Ok(None),
            });
        match read {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(TilesError::Tile { path, what: "of another length" }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(TilesError::Tile { path, what: "missing" })
            }
            Err(cause) => Err(TilesError::Disk { path, cause }),
        }
    }

    fn wrong(&self, level: u32, index: u64, what: &'static str) -> TilesError {
        TilesError::Tile { path: self.dir.join(format!("tile/{level} at {index}")), what }
    }

    /// What the writer of tiles needs to go on, if the files bear the checkpoint out.
    fn edge(&self) -> Option<Edge> {
        let size = self.checkpoint.size;
        let mut levels = Vec::new();
        let mut level = 0;
        while size >> (TILE_LEVELS * level) > 0 {
            let hashes = size >> (TILE_LEVELS * level);
            if let Some(last_whole) = (hashes / TILE_WIDTH as u64).checked_sub(1) {
                self.tile(level, last_whole).ok()?;
            }
            let partial = match hashes % TILE_WIDTH as u64 {
                0 => Vec::new(),
                _ => self.tile(level, hashes / TILE_WIDTH as u64).ok()?,
            };
            levels.push(partial);
            level += 1;
        }
        let entries = self.last_entries().ok()?;
        let edge = Edge { size, levels, entries };
        let leaves: Vec<Hash> = edge.entries.iter().map(leaf_hash).collect();
        let agrees = edge.levels.first().is_none_or(|level| *level == leaves);
        (agrees && edge.root() == self.checkpoint.root).then_some(edge)
    }
}

/// Writes what is new in the journal to the static files, and signs it.
pub struct Publisher {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    key: LogKey,
    published: Option<Checkpoint>,
    edge: Edge,
}

/// Why nothing was published; what was published before still stands.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal is not the one that was signed: signing it would fork the log.
    #[error(
        "journal.forked: the journal of {size} records does not begin with the {signed} that were signed"
    )]
    Forked {
        /// Records in the journal.
        size: u64,
        /// Records under the newest checkpoint.
        signed: u64,
    },
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] pki::signer::SignError),
    /// The disk.
    #[error("journal.disk: {path}: {cause}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl Publisher {
    /// Goes on where the newest checkpoint in `dir` ended; where its files are damaged or gone, they are made again from the journal.
    ///
    /// # Errors
    /// A checkpoint that is not this log's, or that this key did not sign; the disk.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, key: LogKey) -> Result<Self, TilesError> {
        let published = Published::open(disk.clone(), dir, key.verifier())?;
        let edge = published.as_ref().and_then(Published::edge).unwrap_or_default();
        let published = published.map(|published| published.checkpoint);
        Ok(Self { disk, dir: dir.to_owned(), key, published, edge })
    }

    /// The newest checkpoint: the journal must be opened with it ([`Journal::open_signed`]).
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.published.as_ref()
    }

    /// The public half of the key that signs.
    pub fn verifier(&self) -> &Verifier {
        self.key.verifier()
    }

    /// What is published now, to be asked for proofs.
    ///
    /// # Errors
    /// As [`Published::open`].
    pub fn published(&self) -> Result<Option<Published>, TilesError> {
        Published::open(self.disk.clone(), &self.dir, self.key.verifier())
    }

    /// Publishes the newest checkpoint with these cosignatures, in the place of those that it has.
    ///
    /// # Errors
    /// The disk's; what was published before still stands.
    pub fn cosign(&mut self, cosignatures: &[Cosignature]) -> Result<(), PublishError> {
        let Some(signed) = &self.published else { return Ok(()) };
        let checkpoint = witness::cosigned(signed, cosignatures);
        if checkpoint != *signed {
            self.replace_checkpoint(&checkpoint)?;
            self.published = Some(checkpoint);
        }
        Ok(())
    }

    /// Publishes and signs all that is durable now; nothing where nothing is new. Reads each new record once.
    ///
    /// # Errors
    /// [`PublishError`]: the next call tries again from where this one began.
    pub fn publish(&mut self, journal: &Journal) -> Result<Option<&Checkpoint>, PublishError> {
        let (size, root) = journal.root();
        let signed = self.published.as_ref().map_or(0, |checkpoint| checkpoint.size);
        if self
            .published
            .as_ref()
            .is_some_and(|checkpoint| (checkpoint.size, checkpoint.root) == (size, root))
            && self.edge.size == size
        {
            return Ok(None);
        }
        let forked = PublishError::Forked { size, signed };
        if size < signed {
            return Err(forked);
        }
        if self.published.is_none() && size > 0 {
            // Tiles without a checkpoint are then a checkpoint that was lost, and no first publication that a crash cut short.
            let first = self.key.sign(0, Tree::default().root())?;
            self.replace_checkpoint(&first)?;
            self.published = Some(first);
        }
        let mut edge = self.edge.clone();
        let mut folders = BTreeSet::new();
        let mut whole = Vec::new();
        for position in edge.size..size {
            edge.push(journal.entry(position)?, &mut |path, bytes| {
                write(self.disk.as_ref(), &self.dir.join(&path), &bytes, &mut folders)?;
                whole.push(path);
                Ok::<_, PublishError>(())
            })?;
            let agrees =
                edge.size != signed || self.published.as_ref().is_none_or(|old| old.root == edge.root());
            if !agrees {
                return Err(forked);
            }
        }
        if edge.root() != root {
            return Err(forked);
        }
        for (path, bytes) in edge.partials() {
            write(self.disk.as_ref(), &self.dir.join(path), &bytes, &mut folders)?;
        }
        for folder in &folders {
            self.disk.sync_dir(folder).map_err(on(folder))?;
        }
        // The files stand before the checkpoint that needs them; a crash in between leaves the old one and files for nobody.
        let checkpoint = self.key.sign(size, root)?;
        self.replace_checkpoint(&checkpoint)?;
        self.edge = edge;
        for path in whole {
            self.remove_partials(&path);
        }
        Ok(Some(self.published.insert(checkpoint)))
    }

    fn replace_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), PublishError> {
        replace_checkpoint(self.disk.as_ref(), &self.dir, checkpoint)
            .map_err(on(&self.dir.join("checkpoint")))
    }

    /// The partial forms of a tile that is whole now; what cannot be removed does no harm.
    fn remove_partials(&self, whole: &str) {
        let folder = self.dir.join(format!("{whole}.p"));
        for path in self.disk.list(&folder).unwrap_or_default() {
            let _ = self.disk.remove(&path);
        }
        let _ = self.disk.remove_dir(&folder);
    }
}

fn on(path: &Path) -> impl FnOnce(io::Error) -> PublishError {
    let path = path.to_owned();
    move |cause| PublishError::Disk { path, cause }
}

/// Gives the checkpoint's file this note, durably. *A crash leaves the former one or this one, whole.*
pub(crate) fn replace_checkpoint(disk: &dyn Disk, dir: &Path, checkpoint: &Checkpoint) -> io::Result<()> {
    let (new, path) = (dir.join("checkpoint.new"), dir.join("checkpoint"));
    write_file(disk, &new, checkpoint.note.as_bytes(), &mut BTreeSet::new())?;
    disk.rename(&new, &path)?;
    disk.sync_dir(dir)
}

fn write(
    disk: &dyn Disk,
    path: &Path,
    bytes: &[u8],
    folders: &mut BTreeSet<PathBuf>,
) -> Result<(), PublishError> {
    write_file(disk, path, bytes, folders).map_err(on(path))
}

fn write_file(disk: &dyn Disk, path: &Path, bytes: &[u8], folders: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    if folders.insert(folder.to_owned()) {
        disk.create_dir_all(folder)?;
    }
    let mut file = disk.open(path, OpenMode::Publish)?;
    if file.length()? > bytes.len() as u64 {
        file.truncate(bytes.len() as u64)?;
    }
    file.write_at(0, bytes)?;
    file.sync_data()
}

/// The tiles of leaves that lie in `dir`: of each its number, its width and its file.
pub(crate) fn leaf_tiles(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<(u64, usize, PathBuf)>> {
    let mut found = Vec::new();
    let mut folders = vec![(0, dir.join("tile/0"))];
    while let Some((above, folder)) = folders.pop() {
        for path in disk.list(&folder)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let (digits, partial) = name.strip_suffix(".p").map_or((name, false), |digits| (digits, true));
            let number = |digits: &str| Some(above * 1000 + digits.parse::<u64>().ok()?);
            match (digits.strip_prefix('x').and_then(number), number(digits), partial) {
                (Some(number), _, _) => folders.push((number, path)),
                (None, Some(number), false) => found.push((number, TILE_WIDTH, path)),
                (None, Some(number), true) => {
                    let widths = disk.list(&path)?.into_iter().filter_map(|path| {
                        let width = path.file_name()?.to_str()?.parse().ok()?;
                        Some((number, width, path))
                    });
                    found.extend(widths);
                }
                (None, None, _) => {}
            }
        }
    }
    Ok(found)
}

/// The right edge of the tree: the last tile of each level, if it is partial, and the last entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
    entries: Vec<Hash>,
}

impl Edge {
    /// Adds an entry; whole tiles and bundles that it completes go to `whole`, by their path.
    pub(crate) fn push<E>(
        &mut self,
        entry: Hash,
        whole: &mut dyn FnMut(String, Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.size += 1;
        self.entries.push(entry);
        if self.entries.len() == TILE_WIDTH {
            whole(entries_path(self.size / TILE_WIDTH as u64 - 1, TILE_WIDTH), bundle(&self.entries))?;
            self.entries.clear();
        }
        let (mut hash, mut level) = (leaf_hash(&entry), 0);
        loop {
            if self.levels.len() <= level as usize {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(level as usize) else { return Ok(()) };
            hashes.push(hash);
            if hashes.len() < TILE_WIDTH {
                return Ok(());
            }
            let index = (self.size >> (TILE_LEVELS * (level + 1))) - 1;
            whole(tile_path(level, index, TILE_WIDTH), hashes.concat())?;
            hash = root_of(hashes);
            hashes.clear();
            level += 1;
        }
    }

    /// The tiles and the bundle that are not whole, by their path.
    pub(crate) fn partials(&self) -> Vec<(String, Vec<u8>)> {
        let mut partials = Vec::new();
        for (level, hashes) in (0..).zip(&self.levels).filter(|(_, hashes)| !hashes.is_empty()) {
            let index = self.size >> (TILE_LEVELS * (level + 1));
            partials.push((tile_path(level, index, hashes.len()), hashes.concat()));
        }
        if !self.entries.is_empty() {
            let index = self.size / TILE_WIDTH as u64;
            partials.push((entries_path(index, self.entries.len()), bundle(&self.entries)));
        }
        partials
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn root(&self) -> Hash {
        let mut tree = Tree::default();
        for (level, hashes) in (0..).zip(&self.levels).collect::<Vec<(u32, _)>>().into_iter().rev() {
            hashes.iter().for_each(|hash| tree.push_subtree(TILE_LEVELS * level, *hash));
        }
        tree.root()
    }
}

/// The root over at most a tile's hashes, as many as a power of two.
fn root_of(hashes: &[Hash]) -> Hash {
    let mut tree = Tree::default();
    hashes.iter().for_each(|hash| tree.push(*hash));
    tree.root()
}

fn bundle(entries: &[Hash]) -> Vec<u8> {
    let length = (HASH_BYTES as u16).to_be_bytes();
    entries.iter().flat_map(|entry| length.iter().chain(entry)).copied().collect()
}

/// How many hashes of the tile a tree of `size` leaves has.
fn width_at(size: u64, level: u32, index: u64) -> usize {
    let hashes = size >> (TILE_LEVELS * level);
    hashes.saturating_sub(index * TILE_WIDTH as u64).min(TILE_WIDTH as u64) as usize
}

fn tile_path(level: u32, index: u64, width: usize) -> String {
    format!("tile/{level}/{}", numbered(index, width))
}

fn entries_path(index: u64, width: usize) -> String {
    format!("tile/entries/{}", numbered(index, width))
}

/// Three digits a folder, all but the last with an `x` before; a partial one with its width behind.
fn numbered(index: u64, width: usize) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH {
        path.push_str(&format!(".p/{width}"));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use pki::digest::sha256;

    #[test]
    fn paths_are_those_of_the_standard() {
        assert_eq!(tile_path(3, 1_234_067, 256), "tile/3/x001/x234/067");
        assert_eq!(tile_path(0, 273, 112), "tile/0/273.p/112");
        assert_eq!(entries_path(0, 1), "tile/entries/000.p/1");
        assert_eq!(entries_path(1000, 256), "tile/entries/x001/000");
    }

    /// The example of the standard: 70,000 records.
    #[test]
    fn seventy_thousand_records_make_the_tiles_of_the_standards_example() {
        let (mut edge, mut tree) = (Edge::default(), Tree::default());
        let mut whole = Vec::new();
        for number in 0..70_000u32 {
            let entry = sha256(&number.to_be_bytes());
            tree.push(leaf_hash(&entry));
            let keep = &mut |path: String, bytes: Vec<u8>| {
                whole.push((path, bytes.len()));
                Ok::<_, ()>(())
            };
            edge.push(entry, keep).unwrap();
            if number % 997 == 0 || number == 255 || number == 65_535 {
                assert_eq!((edge.size(), edge.root()), (tree.size(), tree.root()));
            }
        }
        let of = |folder: &str| whole.iter().filter(|(path, _)| path.starts_with(folder)).count();
        assert_eq!((of("tile/0/"), of("tile/1/"), of("tile/2/"), of("tile/entries/")), (273, 1, 0, 273));
        assert!(
            whole.iter().all(|(path, bytes)| *bytes == if path.contains("entries") { 8704 } else { 8192 })
        );
        let partials: Vec<_> = edge.partials().into_iter().map(|(path, bytes)| (path, bytes.len())).collect();
        let expected = [("tile/0/273.p/112", 112), ("tile/1/001.p/17", 17), ("tile/2/000.p/1", 1)];
        let mut expected: Vec<_> =
            expected.iter().map(|(path, width)| (path.to_string(), width * 32)).collect();
        expected.push(("tile/entries/273.p/112".to_owned(), 112 * 34));
        assert_eq!(partials, expected);
    }
}
