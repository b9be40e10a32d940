//! What proofs in number need of the tree, in memory: blocks of sixteen hashes with those above them, four levels each.
//!
//! A tile of 256 hashes is two rows of blocks: sixteen, each of which is read from the file by itself, and over them one whose hashes
//! follow from all of the tile. That one costs as much to make as sixteen times the others, and there are so few of them that those of
//! millions of records fit: a proof of any record then reads half a kilobyte and hashes eleven times.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::merkle::{Hash, level_above};

/// Levels of the tree within a block, and its hashes: 16 is 2^4.
pub(crate) const BLOCK_LEVELS: u32 = 4;
pub(crate) const BLOCK_WIDTH: usize = 16;
/// What a block takes, about: thirty hashes, and its place.
const BLOCK_BYTES: usize = 1088;

/// Some hashes of one level that follow one another, and the complete subtrees over them.
pub(crate) struct Block {
    hashes: usize,
    /// Each level behind the one below it; the topmost hash is the block above's.
    nodes: Box<[Hash]>,
}

impl Block {
    /// Over at most [`BLOCK_WIDTH`] hashes.
    pub(crate) fn new(hashes: Vec<Hash>) -> Self {
        let count = hashes.len();
        let (mut nodes, mut below) = (Vec::with_capacity(2 * count), hashes);
        for _ in 1..BLOCK_LEVELS {
            let above = level_above(&below);
            nodes.append(&mut below);
            below = above;
        }
        nodes.append(&mut below);
        Self { hashes: count, nodes: nodes.into() }
    }

    /// The subtree of 2^`level` of the block's hashes, of this number among those; none that the block does not have yet.
    pub(crate) fn subtree(&self, level: u32, number: u64) -> Option<Hash> {
        let number = usize::try_from(number).ok()?;
        let before: usize = (0..level).map(|below| self.hashes >> below).sum();
        (number < self.hashes >> level).then(|| self.nodes.get(before + number).copied())?
    }
}

/// A block's place: its row (0: over the leaves), and its number in it.
type Name = (u32, u64);

/// The blocks asked for last, of each of two kinds: those over leaves, which are as many as records, and those above.
pub(crate) struct TileCache {
    lowest: Mutex<Ring>,
    above: Mutex<Ring>,
}

impl TileCache {
    /// One that takes about so many bytes at most, half of them for each kind.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let ring =
            || Mutex::new(Ring { blocks_max: (bytes_max / 2 / BLOCK_BYTES).max(1), ..Ring::default() });
        Self { lowest: ring(), above: ring() }
    }

    pub(crate) fn get<E>(
        &self,
        name: Name,
        make: impl FnOnce() -> Result<Vec<Hash>, E>,
    ) -> Result<Arc<Block>, E> {
        let ring = if name.0 == 0 { &self.lowest } else { &self.above };
        let with = || ring.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = with().get(&name) {
            return Ok(block);
        }
        // Made without holding anybody up; two who make the same one have the same.
        let block = Arc::new(Block::new(make()?));
        with().put(name, block.clone());
        Ok(block)
    }
}

/// Blocks in a ring: when there is no more room, the first one goes that was not asked for since this was last looked at.
#[derive(Default)]
struct Ring {
    blocks_max: usize,
    places: HashMap<Name, usize>,
    held: Vec<Held>,
    next: usize,
}

struct Held {
    name: Name,
    block: Arc<Block>,
    asked: bool,
}

impl Ring {
    fn get(&mut self, name: &Name) -> Option<Arc<Block>> {
        let held = self.held.get_mut(*self.places.get(name)?)?;
        held.asked = true;
        Some(held.block.clone())
    }

    fn put(&mut self, name: Name, block: Arc<Block>) {
        let new = Held { name, block, asked: false };
        if self.held.len() < self.blocks_max {
            self.places.insert(name, self.held.len());
            return self.held.push(new);
        }
        // Ends within two turns: the first leaves none that was asked for.
        while let Some(held) = self.held.get_mut(self.next) {
            let place = self.next;
            self.next = (place + 1) % self.blocks_max;
            if !std::mem::take(&mut held.asked) {
                self.places.remove(&held.name);
                *held = new;
                self.places.insert(name, place);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::node_hash;

    #[test]
    fn no_more_blocks_are_held_than_may_be_and_those_asked_for_again_stay() {
        for (kind, blocks_max) in [(0, 1), (0, 100), (1, 100)] {
            let (cache, mut made) = (TileCache::new(2 * blocks_max * BLOCK_BYTES), 0);
            let mut ask = |name: Name| {
                let block = cache.get(name, || {
                    made += 1;
                    Ok::<_, ()>(vec![[name.1 as u8; 32]])
                });
                assert_eq!(block.unwrap().subtree(0, 0), Some([name.1 as u8; 32]));
            };
            ask((kind, 0));
            for number in 1..1000 {
                ask((kind, number));
                ask((kind, 0));
            }
            let again = if blocks_max == 1 { 999 } else { 0 };
            assert_eq!(made, 1000 + again);
            let ring = if kind == 0 { &cache.lowest } else { &cache.above };
            let ring = ring.lock().unwrap();
            assert_eq!((ring.held.len(), ring.places.len()), (blocks_max, blocks_max));
        }
    }

    #[test]
    fn as_many_as_may_be_held_stay_in_whatever_order_they_are_asked_for() {
        let (cache, mut made) = (TileCache::new(2 * 64 * BLOCK_BYTES), 0);
        for step in [1, 3, 7, 31] {
            for number in 0..64 {
                let name = (1, number * step % 64);
                cache
                    .get(name, || {
                        made += 1;
                        Ok::<_, ()>(Vec::new())
                    })
                    .unwrap();
            }
        }
        assert_eq!(made, 64);
    }

    #[test]
    fn a_block_has_the_subtrees_that_are_complete() {
        let block = Block::new((0..5u8).map(|number| [number; 32]).collect());
        let present = |level, numbers: u64| {
            (0..20).filter(|number| block.subtree(level, *number).is_some()).count() as u64 == numbers
        };
        assert!(present(0, 5) && present(1, 2) && present(2, 1) && present(3, 0));
        let [left, right] = [[0, 1], [2, 3]].map(|[a, b]| node_hash(&[a; 32], &[b; 32]));
        assert_eq!((block.subtree(1, 1), block.subtree(2, 0)), (Some(right), Some(node_hash(&left, &right))));
        let whole = Block::new((0..16u8).map(|number| [number; 32]).collect());
        assert_eq!(whole.nodes.len(), 30);
        let [left, right] = [[12, 13], [14, 15]].map(|[a, b]| node_hash(&[a; 32], &[b; 32]));
        assert_eq!(whole.subtree(2, 3), Some(node_hash(&left, &right)));
        assert!(whole.subtree(3, 1).is_some() && whole.subtree(3, 2).is_none());
    }
}
