//! Tiles in memory with all the hashes above them, for proofs in number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::merkle::{Hash, node_hash};

/// Tiles held, of 16 KB each.
const TILES_MAX: usize = 4096;

/// A tile and the complete subtrees over its hashes, each level behind the one below it.
pub(crate) struct Tile(Vec<Vec<Hash>>);

impl Tile {
    pub(crate) fn new(hashes: Vec<Hash>) -> Self {
        let mut levels = vec![hashes];
        while let Some(below) = levels.last().filter(|below| below.len() > 1) {
            let pairs = below.as_chunks::<2>().0;
            levels.push(pairs.iter().map(|[left, right]| node_hash(left, right)).collect());
        }
        Self(levels)
    }

    /// The subtree of 2^`level` of the tile's hashes, of this number among those; none that the tile does not have yet.
    pub(crate) fn subtree(&self, level: u32, number: u64) -> Option<Hash> {
        self.0.get(level as usize)?.get(usize::try_from(number).ok()?).copied()
    }
}

/// The tiles asked for last, by level and number.
#[derive(Default)]
pub(crate) struct TileCache(Mutex<Generations>);

/// What was asked for since the newer one was begun, and what was before: it moves over when it is asked for again, or goes.
#[derive(Default)]
struct Generations {
    newer: HashMap<(u32, u64), Arc<Tile>>,
    older: HashMap<(u32, u64), Arc<Tile>>,
}

impl TileCache {
    pub(crate) fn get<E>(
        &self,
        name: (u32, u64),
        read: impl FnOnce() -> Result<Vec<Hash>, E>,
    ) -> Result<Arc<Tile>, E> {
        let known = self.with(|tiles| {
            let known = tiles.newer.get(&name).cloned();
            known.or_else(|| tiles.older.remove(&name).inspect(|tile| tiles.put(name, tile.clone())))
        });
        if let Some(tile) = known {
            return Ok(tile);
        }
        // Read without holding anybody up; two who read the same one have the same.
        let tile = Arc::new(Tile::new(read()?));
        self.with(|tiles| tiles.put(name, tile.clone()));
        Ok(tile)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Generations) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    fn put(&mut self, name: (u32, u64), tile: Arc<Tile>) {
        if self.newer.len() >= TILES_MAX / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(name, tile);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_tiles_are_held_than_may_be_and_those_asked_for_again_stay() {
        let (cache, mut read) = (TileCache::default(), 0);
        for number in 0..3 * TILES_MAX as u64 {
            for name in [(0, number), (1, 0)] {
                let tile = cache.get(name, || {
                    read += 1;
                    Ok::<_, ()>(vec![[name.1 as u8; 32]])
                });
                assert_eq!(tile.unwrap().subtree(0, 0), Some([name.1 as u8; 32]));
            }
            let held = cache.with(|tiles| tiles.newer.len() + tiles.older.len());
            assert!(held <= TILES_MAX, "{held}");
        }
        assert_eq!(read, 3 * TILES_MAX + 1);
    }

    #[test]
    fn a_partial_tile_has_the_subtrees_that_are_complete() {
        let tile = Tile::new((0..5u8).map(|number| [number; 32]).collect());
        let present = |level, numbers: u64| {
            (0..4).take_while(|n| tile.subtree(level, *n).is_some()).count() as u64 == numbers
        };
        assert!(present(1, 2) && present(2, 1) && present(3, 0));
        let left = node_hash(&[0; 32], &[1; 32]);
        assert_eq!(tile.subtree(2, 0), Some(node_hash(&left, &node_hash(&[2; 32], &[3; 32]))));
    }
}
