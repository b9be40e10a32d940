//! What a closed segment says, beside it, so that opening the journal need not read it.
//!
//! ```text
//! summary = head offset:u64*                              FIRST.sum beside FIRST.seg
//! head    = "EPOSTSU1" first:u64 end:u64 segment_bytes:u64 hash:32 × 64 crc32c:u32
//! ```
//! Numbers are little-endian. The hashes are the complete subtrees of the tree over all records before `end`, largest first, zeros
//! behind them: as many as `end` has ones. An offset is where a record's group begins.
//!
//! Derived, and trusted by nobody who judges: absent or not whole, it is made again from its segment; the tree in the newest one must
//! lead to the root that was signed; an offset leads to a record that says its own position, or the reader is told of damage.

use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, DiskFile, OpenMode, read_exactly};

use crate::Position;
use crate::merkle::{Hash, Tree};

const MAGIC: &[u8; 8] = b"EPOSTSU1";
const SUBTREES_MAX: usize = 64;
const HASH_BYTES: usize = 32;
const HEAD_BYTES: usize = 8 + 8 + 8 + 8 + SUBTREES_MAX * HASH_BYTES + 4;
const OFFSET_BYTES: u64 = 8;

/// A closed segment, without its offsets.
pub(crate) struct Summary {
    pub(crate) first: Position,
    /// The position behind its last record.
    pub(crate) end: Position,
    /// Its file's length.
    pub(crate) segment_bytes: u64,
    /// The tree over every record before `end`.
    pub(crate) tree: Tree,
}

/// Where the summary of the segment that begins with `first` lies.
pub(crate) fn path(dir: &Path, first: Position) -> PathBuf {
    dir.join(format!("{first:020}.sum"))
}

impl Summary {
    /// Writes it and each record's offset; durable when this returns.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path, offsets: &[u64]) -> io::Result<()> {
        let mut bytes = self.head();
        offsets.iter().for_each(|offset| bytes.extend(offset.to_le_bytes()));
        disk::replace(disk, &path(dir, self.first), &bytes)
    }

    /// Reads the one of the segment that begins with `first`; none where it is absent or not whole.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path, first: Position) -> io::Result<Option<Self>> {
        let file = match disk.open(&path(dir, first), OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let length = file.length()?;
        if length < HEAD_BYTES as u64 {
            return Ok(None);
        }
        let summary = Self::decode(&read_exactly(file.as_ref(), 0, HEAD_BYTES)?);
        let whole = |summary: &Self| {
            let offsets =
                summary.end.checked_sub(summary.first).and_then(|count| count.checked_mul(OFFSET_BYTES));
            summary.first == first
                && offsets.and_then(|bytes| bytes.checked_add(HEAD_BYTES as u64)) == Some(length)
        };
        Ok(summary.filter(whole))
    }

    fn head(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [self.first, self.end, self.segment_bytes] {
            bytes.extend(number.to_le_bytes());
        }
        self.tree.subtrees().for_each(|hash| bytes.extend_from_slice(hash));
        bytes.resize(HEAD_BYTES - 4, 0);
        let crc = crc32c::crc32c(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes
    }

    fn decode(head: &[u8]) -> Option<Self> {
        let (checked, crc) = head.split_last_chunk::<4>()?;
        if crc32c::crc32c(checked).to_le_bytes() != *crc {
            return None;
        }
        let rest = checked.strip_prefix(MAGIC)?;
        let (first, rest) = rest.split_first_chunk()?;
        let (end, rest) = rest.split_first_chunk()?;
        let (segment_bytes, hashes) = rest.split_first_chunk()?;
        let end = u64::from_le_bytes(*end);
        let hashes: &[Hash] = hashes.as_chunks().0;
        Some(Self {
            first: u64::from_le_bytes(*first),
            end,
            segment_bytes: u64::from_le_bytes(*segment_bytes),
            tree: Tree::from_subtrees(end, hashes)?,
        })
    }
}

/// Where the group of the segment's record of this number (from 0) begins.
pub(crate) fn offset(summary: &dyn DiskFile, number: u64) -> io::Result<u64> {
    let mut bytes = [0; OFFSET_BYTES as usize];
    match summary.read_at(HEAD_BYTES as u64 + number * OFFSET_BYTES, &mut bytes)? {
        count if count == bytes.len() => Ok(u64::from_le_bytes(bytes)),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use disk::ForgetfulDisk;

    use super::*;

    fn written(records: u8) -> (ForgetfulDisk, Summary) {
        let disk = ForgetfulDisk::new();
        let mut tree = Tree::default();
        (0..records).for_each(|number| tree.push([number; 32]));
        let summary = Summary { first: 3, end: u64::from(records), segment_bytes: 77, tree };
        let offsets: Vec<u64> = (3..u64::from(records)).map(|position| position * 100).collect();
        summary.write(&disk, Path::new("j"), &offsets).unwrap();
        (disk, summary)
    }

    #[test]
    fn what_was_written_is_read_back() {
        for records in [3, 4, 11, 200] {
            let (disk, summary) = written(records);
            let read = Summary::read(&disk, Path::new("j"), 3).unwrap().unwrap();
            assert_eq!((read.first, read.end, read.segment_bytes), (3, summary.end, 77));
            assert_eq!((read.tree.size(), read.tree.root()), (summary.end, summary.tree.root()));
            let file = disk.open(&path(Path::new("j"), 3), OpenMode::Read).unwrap();
            for position in 3..summary.end {
                assert_eq!(offset(file.as_ref(), position - 3).unwrap(), position * 100);
            }
            assert!(offset(file.as_ref(), summary.end - 3).is_err());
        }
    }

    #[test]
    fn a_head_that_is_not_whole_is_as_none() {
        let absent =
            |disk: &ForgetfulDisk, first| Summary::read(disk, Path::new("j"), first).unwrap().is_none();
        assert!(absent(&ForgetfulDisk::new(), 3));
        for byte in 0..HEAD_BYTES {
            let (disk, _) = written(11);
            disk.flip(&path(Path::new("j"), 3), byte);
            assert!(absent(&disk, 3), "{byte}");
        }
        let (disk, summary) = written(11);
        let length = HEAD_BYTES as u64 + 8 * OFFSET_BYTES;
        let mut file = disk.open(&path(Path::new("j"), 3), OpenMode::Write).unwrap();
        assert_eq!(file.length().unwrap(), length);
        for other in [length - 1, length + 1, 10] {
            file.truncate(other).unwrap();
            assert!(absent(&disk, 3), "{other} bytes");
        }
        disk.rename(&path(Path::new("j"), 3), &path(Path::new("j"), 4)).unwrap();
        assert!(absent(&disk, 4), "of another segment than {}", summary.first);
    }
}
