//! One segment, read for itself.

use std::io;

use disk::DiskFile;

use crate::Position;
use crate::merkle::{Hash, leaf_hash};
use crate::segment::{self, Group, GroupError};
use crate::tiles::{Published, TILE_WIDTH};

/// How far a segment is whole.
pub(super) struct Scan {
    pub(super) end: u64,
    pub(super) next: Position,
    pub(super) broken: Option<Broken>,
}

pub(super) struct Broken {
    pub(super) what: String,
    /// By its checksums it is whole: no torn write leaves that.
    pub(super) wrong: bool,
}

/// What was published of each record, a tile at a time; where that cannot be read, nothing is said.
pub(super) struct Leaves<'a> {
    published: &'a Published,
    tile: Option<(u64, Vec<Hash>)>,
}

impl<'a> Leaves<'a> {
    pub(super) fn new(published: &'a Published) -> Self {
        Self { published, tile: None }
    }

    pub(super) fn check(&mut self, position: Position, group: &Group) -> Result<(), String> {
        if position >= self.published.checkpoint().size() {
            return Ok(());
        }
        let (number, within) = (position / TILE_WIDTH as u64, (position % TILE_WIDTH as u64) as usize);
        if self.tile.as_ref().is_none_or(|(held, _)| *held != number) {
            self.tile = Some((number, self.published.tile(0, number).unwrap_or_default()));
        }
        let stated = self.tile.as_ref().and_then(|(_, hashes)| hashes.get(within));
        match stated.is_none_or(|stated| *stated == leaf_hash(&group.entry)) {
            true => Ok(()),
            false => Err("its hash is not the one that was published".to_owned()),
        }
    }
}

/// Reads a segment to where it is not whole any more; `each` sees every record, and may object.
pub(super) fn scan(
    file: &dyn DiskFile,
    first: Position,
    origin: &str,
    each: &mut dyn FnMut(Position, &Group) -> Result<(), String>,
) -> io::Result<Scan> {
    let broken = |end, next, what, wrong| Ok(Scan { end, next, broken: Some(Broken { what, wrong }) });
    let mut offset = match segment::check_header(file, first, origin) {
        Ok(offset) => offset,
        Err(GroupError::Io(error)) => return Err(error),
        Err(GroupError::Broken(what) | GroupError::Wrong(what)) => return broken(0, first, what, false),
        Err(GroupError::End) => return broken(0, first, "an empty segment".to_owned(), false),
    };
    let (mut position, mut batch) = (first, None);
    loop {
        let group = match segment::read_group(file, offset, position) {
            Ok(group) => group,
            Err(GroupError::End) => return Ok(Scan { end: offset, next: position, broken: None }),
            Err(GroupError::Io(error)) => return Err(error),
            Err(GroupError::Broken(what)) => return broken(offset, position, what, false),
            Err(GroupError::Wrong(what)) => return broken(offset, position, what, true),
        };
        let fits = segment::batch_fits(group.batch, position, &mut batch);
        if let Err(what) = fits.and_then(|()| each(position, &group)) {
            return broken(offset, position, what, true);
        }
        (offset, position) = (group.end, position + 1);
    }
}
