//! Which records tell what became of an item: their places, in the journal's order.

use erds::{Record, Ticket};
use rusqlite::{Connection, params};

use super::row::{number, position};
use super::{Index, REQUEUED};
use crate::StoreError;

impl Index {
    /// The places of up to `limit` events of an item, without the first `skipped`: its reception, each step on its way, and each
    /// time that a proof of it was handed out.
    ///
    /// Only those before the lowest position that was not applied: none comes before one that was told, so that a page goes on
    /// where the last one ended.
    ///
    /// # Errors
    /// `Database`.
    pub fn history(&self, ticket: Ticket, skipped: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        let inner = self.inner();
        positions(&inner.connection, ticket, inner.next, skipped, limit)
    }

    /// The places of an item's events that are of this kind of record, in the journal's order: at most `limit`, the last ones.
    ///
    /// # Errors
    /// `Database`.
    pub fn acts(&self, ticket: Ticket, kind: &str, limit: usize) -> Result<Vec<u64>, StoreError> {
        let inner = self.inner();
        let sql =
            "SELECT position FROM events WHERE ticket = ?1 AND kind = ?2 ORDER BY position DESC LIMIT ?3";
        let mut statement = inner.connection.prepare_cached(sql)?;
        let wanted = params![ticket.as_str(), kind, i64::try_from(limit).unwrap_or(i64::MAX)];
        let found = statement.query_map(wanted, |row| position(row, 0))?;
        let mut places: Vec<u64> = found.collect::<Result<_, _>>()?;
        places.reverse();
        Ok(places)
    }
}

pub(super) fn positions(
    connection: &Connection,
    ticket: Ticket,
    before: u64,
    skipped: u64,
    limit: usize,
) -> Result<Vec<u64>, StoreError> {
    let sql = "SELECT position FROM events WHERE ticket = ?1 AND position < ?2 ORDER BY position LIMIT ?3 OFFSET ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let wanted = params![ticket.as_str(), number(before), limit, number(skipped)];
    let found = statement.query_map(wanted, |row| position(row, 0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn save(
    connection: &Connection,
    ticket: Ticket,
    position: u64,
    kind: &str,
) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO events VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![ticket.as_str(), number(position), kind])?;
    Ok(())
}

/// Whether a record that follows on an item's is an event of it: every one but the service's own acts, of which putting it back
/// in the queue alone is.
pub(super) fn is_event(record: &Record) -> bool {
    !matches!(record, Record::Control(act) if act.action != REQUEUED)
}
