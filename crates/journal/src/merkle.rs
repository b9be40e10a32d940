//! The Merkle tree over the journal's entries.
//!
//! Source: RFC 6962 §2.1. An entry is SHA-256(salt ‖ leaf): public tree hashes tell nothing about anyone.

use pki::digest::sha256;

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf whose entry is `entry` (RFC 6962: 0x00 ‖ entry).
pub fn leaf_hash(entry: &Hash) -> Hash {
    let mut bytes = vec![0];
    bytes.extend_from_slice(entry);
    sha256(&bytes)
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = vec![1];
    bytes.extend_from_slice(left);
    bytes.extend_from_slice(right);
    sha256(&bytes)
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
        let (mut level, mut hash) = (0, leaf);
        while let Some((below, left)) = self.subtrees.last().copied().filter(|(below, _)| *below == level) {
            hash = node_hash(&left, &hash);
            level = below + 1;
            self.subtrees.pop();
        }
        self.subtrees.push((level, hash));
        self.size += 1;
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
}
