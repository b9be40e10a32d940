//! Who claims which unique key, of a segment that is in memory.
//!
//! In many small tables instead of one: the system's allocator gives back what is large, but learns from that to keep ever larger pieces
//! for itself; small pieces it uses again, so that what the process holds does not grow with the segments that it has written.

use std::collections::HashMap;

use crate::keys::{Claim, order};
use crate::{Position, UniqueKey};

/// Tables, by the first bits of a key's order: those of a segment of 64 MiB, full of small records, take some 80 KB each.
const TABLES_BITS: u32 = 8;

/// Keys, each with the record that claims it.
#[derive(Default)]
pub(crate) struct Claims {
    /// None before the first key.
    tables: Vec<HashMap<UniqueKey, Position>>,
}

impl Claims {
    pub(crate) fn get(&self, key: &UniqueKey) -> Option<Position> {
        self.tables.get(table_of(key))?.get(key).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.tables.iter().map(HashMap::len).sum()
    }

    /// All of them in the order of a run, a table at a time.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = Claim> {
        self.tables.iter().flat_map(|table| {
            let claims = table.iter().map(|(key, position)| Claim { key: key.0, number: *position });
            let mut claims: Vec<Claim> = claims.collect();
            claims.sort_unstable_by_key(|claim| (runs::order(&claim.key), claim.key));
            claims
        })
    }
}

impl Extend<(UniqueKey, Position)> for Claims {
    fn extend<T: IntoIterator<Item = (UniqueKey, Position)>>(&mut self, claims: T) {
        for (key, position) in claims {
            if self.tables.is_empty() {
                self.tables.resize_with(1 << TABLES_BITS, HashMap::new);
            }
            if let Some(table) = self.tables.get_mut(table_of(&key)) {
                table.insert(key, position);
            }
        }
    }
}

fn table_of(key: &UniqueKey) -> usize {
    (order(key) >> (u64::BITS - TABLES_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_all_come_in_the_order_of_a_run() {
        let key = |number: u64| UniqueKey(pki::digest::sha256(&number.to_be_bytes()));
        let mut claims = Claims::default();
        assert_eq!((claims.get(&key(0)), claims.len(), claims.in_order().count()), (None, 0, 0));
        claims.extend((0..3000).map(|position| (key(position), position)));
        assert!((0..3000).all(|position| claims.get(&key(position)) == Some(position)));
        assert_eq!((claims.get(&key(3000)), claims.len()), (None, 3000));
        let ordered: Vec<Claim> = claims.in_order().collect();
        let mut expected = ordered.clone();
        expected.sort_by_key(|claim| (runs::order(&claim.key), claim.key));
        assert_eq!((ordered.len(), ordered), (3000, expected));
    }
}
