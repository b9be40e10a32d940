//! The Merkle tree over the journal's entries.
//!
//! Source: RFC 6962 §2.1 (tree and proofs), RFC 9162 §2.1.3.2 and §2.1.4.2 (their verification). An entry is SHA-256(salt ‖ record): public tree hashes tell nothing about anyone.

use pki::digest::{sha256, sha256_each};

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf whose entry is `entry` (RFC 6962: 0x00 ‖ entry).
pub fn leaf_hash(entry: &Hash) -> Hash {
    let mut bytes = [0; 33];
    bytes[1..].copy_from_slice(entry);
    sha256(&bytes)
}

/// The hashes of leaves with these entries.
pub(crate) fn leaf_hashes(entries: &[Hash]) -> Vec<Hash> {
    let leaf = |entry: &Hash| {
        let mut bytes = [0; 33];
        bytes[1..].copy_from_slice(entry);
        bytes
    };
    let leaves: Vec<_> = entries.iter().map(leaf).collect();
    sha256_each(leaves.iter().map(<[u8; 33]>::as_slice))
}

pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&node(left, right))
}

/// The hashes of the level above these: of each pair; one that is left over has none.
pub(crate) fn level_above(below: &[Hash]) -> Vec<Hash> {
    let nodes: Vec<_> = below.as_chunks::<2>().0.iter().map(|[left, right]| node(left, right)).collect();
    sha256_each(nodes.iter().map(<[u8; 65]>::as_slice))
}

/// RFC 6962: 0x01 ‖ left ‖ right.
fn node(left: &Hash, right: &Hash) -> [u8; 65] {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    bytes
}

/// The tree as its complete subtrees, largest first: enough to grow it and to say its root.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    subtrees: Vec<(u32, Hash)>,
}

impl Tree {
    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf's hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_subtree(0, leaf);
    }

    /// Adds a complete subtree of 2^`level` leaves; none smaller may have come before.
    pub(crate) fn push_subtree(&mut self, level: u32, subtree: Hash) {
        self.size += 1 << level;
        let (mut level, mut hash) = (level, subtree);
        while let Some((below, left)) = self.subtrees.last().copied().filter(|(below, _)| *below == level) {
            hash = node_hash(&left, &hash);
            level = below + 1;
            self.subtrees.pop();
        }
        self.subtrees.push((level, hash));
    }

    /// Its complete subtrees, largest first.
    pub(crate) fn subtrees(&self) -> impl Iterator<Item = &Hash> {
        self.subtrees.iter().map(|(_, hash)| hash)
    }

    /// The tree of `size` leaves with these complete subtrees, largest first; what follows them is not looked at. None if they are too few.
    pub(crate) fn from_subtrees(size: u64, hashes: &[Hash]) -> Option<Self> {
        let levels = (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1);
        let hashes = hashes.get(..size.count_ones() as usize)?;
        Some(Self { size, subtrees: levels.zip(hashes.iter().copied()).collect() })
    }

    /// The root; SHA-256 of nothing for an empty tree.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev().map(|(_, hash)| *hash);
        match subtrees.next() {
            None => sha256(b""),
            Some(last) => subtrees.fold(last, |right, left| node_hash(&left, &right)),
        }
    }
}

/// Where the hash of a complete subtree is had from: its level (0: leaves), and its place among those of its level.
pub(crate) type Subtrees<'a, E> = &'a mut dyn FnMut(u32, u64) -> Result<Hash, E>;

/// The hashes beside the way from leaf `index` up to the root of the first `size` leaves, lowest first (RFC 6962 §2.1.1). `index` must
/// be less than `size`.
pub(crate) fn inclusion<E>(index: u64, size: u64, subtrees: Subtrees<'_, E>) -> Result<Vec<Hash>, E> {
    let (mut begin, mut end) = (0, size);
    let mut beside = Vec::new();
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            beside.push((middle, end));
            end = middle;
        } else {
            beside.push((begin, middle));
            begin = middle;
        }
    }
    beside.into_iter().rev().map(|(begin, end)| range(begin, end, subtrees)).collect()
}

/// What shows that the tree of `new` leaves begins with that of `old` (RFC 6962 §2.1.2); nothing for an empty or an equal one. `old`
/// may not exceed `new`.
pub(crate) fn consistency<E>(old: u64, new: u64, subtrees: Subtrees<'_, E>) -> Result<Vec<Hash>, E> {
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut begin, mut end) = (0, new);
    let mut beside = Vec::new();
    while old != end {
        let middle = begin + split(end - begin);
        if old <= middle {
            beside.push((middle, end));
            end = middle;
        } else {
            beside.push((begin, middle));
            begin = middle;
        }
    }
    // The verifier has the old root: where it is this very subtree, it is not sent.
    if begin > 0 {
        beside.push((begin, end));
    }
    beside.into_iter().rev().map(|(begin, end)| range(begin, end, subtrees)).collect()
}

/// Whether `leaf` is the one at `index` of the tree of `size` leaves with that root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for beside in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(beside, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, beside);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether the tree of `new.0` leaves with root `new.1` begins with the one of `old`.
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> bool {
    if old.0 > new.0 {
        return false;
    }
    if old.0 == 0 || old.0 == new.0 {
        let empty = old.0 == 0 && *old.1 == sha256(b"");
        return proof.is_empty() && (empty || (old.0 == new.0 && old.1 == new.1));
    }
    let (mut node, mut last) = (old.0 - 1, new.0 - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let mut hashes = proof.iter();
    let first = match old.0.is_power_of_two() {
        true => Some(old.1),
        false => hashes.next(),
    };
    let Some(first) = first else { return false };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for beside in hashes {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(beside, &old_hash);
            new_hash = node_hash(beside, &new_hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_hash = node_hash(&new_hash, beside);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old_hash == *old.1 && new_hash == *new.1
}

/// The root over the leaves of a range: one complete subtree, or a ragged end of the tree.
fn range<E>(begin: u64, end: u64, subtrees: Subtrees<'_, E>) -> Result<Hash, E> {
    let count = end - begin;
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return subtrees(level, begin >> level);
    }
    let middle = begin + split(count);
    Ok(node_hash(&range(begin, middle, subtrees)?, &range(middle, end, subtrees)?))
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 §2.1 as it is written, by recursion.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(b""),
            [one] => *one,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&by_definition(&leaves[..split]), &by_definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn grown_is_as_defined() {
        let mut tree = Tree::default();
        let mut leaves = Vec::new();
        for number in 0..130u8 {
            assert_eq!(tree.root(), by_definition(&leaves));
            leaves.push(leaf_hash(&sha256(&[number])));
            tree.push(leaves[leaves.len() - 1]);
            assert_eq!(tree.size(), leaves.len() as u64);
        }
    }

    #[test]
    fn a_level_is_that_of_its_pairs() {
        let hashes: Vec<Hash> = (0..70u8).map(|number| sha256(&[number])).collect();
        for count in 0..=hashes.len() {
            let pairs = hashes[..count].as_chunks::<2>().0.iter();
            let expected: Vec<Hash> = pairs.map(|[left, right]| node_hash(left, right)).collect();
            assert_eq!(level_above(&hashes[..count]), expected, "{count}");
        }
    }

    #[test]
    fn every_proof_of_small_trees_verifies_and_no_changed_one_does() {
        let leaves: Vec<_> = (0..40u8).map(|number| leaf_hash(&sha256(&[number]))).collect();
        let mut subtrees = |level: u32, index: u64| {
            let (begin, count) = ((index as usize) << level, 1 << level);
            Ok::<_, ()>(by_definition(&leaves[begin..begin + count]))
        };
        for new in 0..=leaves.len() {
            let root = by_definition(&leaves[..new]);
            for (index, leaf) in leaves[..new].iter().enumerate() {
                let proof = inclusion(index as u64, new as u64, &mut subtrees).unwrap();
                let holds = |index, size, proof: &[Hash]| verify_inclusion(leaf, index, size, proof, &root);
                assert!(holds(index as u64, new as u64, &proof), "{index} in {new}");
                assert!(
                    (0..=41)
                        .filter(|other| *other != index as u64)
                        .all(|other| !holds(other, new as u64, &proof))
                );
                assert!(!holds(index as u64, new as u64, &[&proof[..], &[root]].concat()));
                for at in 0..proof.len() {
                    let mut other = proof.clone();
                    other[at][7] ^= 1;
                    assert!(!holds(index as u64, new as u64, &other));
                    other.remove(at);
                    assert!(!holds(index as u64, new as u64, &other));
                }
            }
            for old in 0..=new {
                let old_root = by_definition(&leaves[..old]);
                let proof = consistency(old as u64, new as u64, &mut subtrees).unwrap();
                let (before, now) = ((old as u64, &old_root), (new as u64, &root));
                assert!(verify_consistency(before, now, &proof), "{old} in {new}");
                let mut forked = old_root;
                forked[0] ^= 1;
                assert!(!verify_consistency((old as u64, &forked), now, &proof), "{old} in {new}");
                assert!(old == new || !verify_consistency(now, before, &proof));
                for at in 0..proof.len() {
                    let mut other = proof.clone();
                    other[at][7] ^= 1;
                    assert!(!verify_consistency(before, now, &other));
                    other.remove(at);
                    assert!(!verify_consistency(before, now, &other));
                }
            }
        }
    }
}
