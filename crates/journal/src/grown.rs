//! What records that are written at once add to the tree, hashed before they are durable.

use pki::digest::sha256_each;

use crate::Position;
use crate::merkle::{Hash, node_hash};

/// The complete subtrees over records that follow one another, as they stand in the whole tree: whoever makes the records durable puts
/// these few to it.
#[derive(Default)]
pub(crate) struct Grown {
    end: Position,
    /// From left to right, each with its level.
    subtrees: Vec<(u32, Hash)>,
}

impl Grown {
    /// Of no record yet; the first one will be the one at `first`.
    pub(crate) fn new(first: Position) -> Self {
        Self { end: first, subtrees: Vec::new() }
    }

    /// Of the records from `first` on with these leaves' hashes: level by level, so that two nodes are hashed at once.
    pub(crate) fn of(first: Position, leaves: &[Hash]) -> Self {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let (mut level, mut index, mut hashes) = (0, first, leaves.to_vec());
        while !hashes.is_empty() {
            // The sibling of an odd one is before it: what stands at the ends is complete as it is.
            if !index.is_multiple_of(2) {
                left.push((level, hashes.remove(0)));
                index += 1;
            }
            if !hashes.len().is_multiple_of(2) {
                right.extend(hashes.pop().map(|hash| (level, hash)));
            }
            hashes = parents(&hashes);
            (level, index) = (level + 1, index / 2);
        }
        left.extend(right.into_iter().rev());
        Self { end: first + leaves.len() as Position, subtrees: left }
    }

    /// Adds what follows.
    pub(crate) fn append(&mut self, next: &Self) {
        for &(mut level, mut hash) in &next.subtrees {
            let mut index = self.end >> level;
            self.end += 1 << level;
            while !index.is_multiple_of(2)
                && let Some((_, left)) = self.subtrees.pop_if(|(last, _)| *last == level)
            {
                hash = node_hash(&left, &hash);
                (level, index) = (level + 1, index / 2);
            }
            self.subtrees.push((level, hash));
        }
    }

    /// The subtrees from left to right, each with its level.
    pub(crate) fn subtrees(&self) -> &[(u32, Hash)] {
        &self.subtrees
    }
}

/// The hashes of the nodes above these, which are two for each.
fn parents(hashes: &[Hash]) -> Vec<Hash> {
    let node = |[left, right]: &[Hash; 2]| {
        let mut bytes = [1; 65];
        bytes[1..33].copy_from_slice(left);
        bytes[33..].copy_from_slice(right);
        bytes
    };
    let nodes: Vec<_> = hashes.as_chunks().0.iter().map(node).collect();
    sha256_each(nodes.iter().map(<[u8; 65]>::as_slice))
}

#[cfg(test)]
mod tests {
    use pki::digest::sha256;

    use super::*;
    use crate::merkle::{Tree, leaf_hash};

    #[test]
    fn however_they_come_the_tree_is_the_same() {
        let leaves: Vec<Hash> = (0..90u8).map(|number| leaf_hash(&sha256(&[number]))).collect();
        for first in 0..40 {
            for parts in
                [&[1; 50][..], &[50], &[7; 7], &[1, 2, 3, 4, 5, 6, 7, 8, 9], &[16, 1, 33], &[3, 0, 40]]
            {
                let mut expected = Tree::default();
                leaves[..first].iter().for_each(|leaf| expected.push(*leaf));
                let mut tree = expected.clone();
                let mut grown = Grown::new(first as Position);
                let mut at = first;
                for part in parts {
                    let part = &leaves[at..at + part];
                    grown.append(&Grown::of(at as Position, part));
                    part.iter().for_each(|leaf| expected.push(*leaf));
                    at += part.len();
                }
                grown.subtrees().iter().for_each(|(level, hash)| tree.push_subtree(*level, *hash));
                assert_eq!(
                    (tree.size(), tree.root()),
                    (expected.size(), expected.root()),
                    "{first}, {parts:?}"
                );
                assert!(tree.subtrees().eq(expected.subtrees()));
            }
        }
    }
}
