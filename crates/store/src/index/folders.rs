//! Partners' folders: what is to be laid in one, what lies there, and what was taken.
//!
//! A lay is the item's consignment by `BATCH`, beside the one to its eBox: neither says anything of the other.

use erds::record::{Consigned, Removed};
use erds::{ChannelName, Event, FolderFile, Record, State, Ticket};
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::entry::Entry;
use super::row::{nanoseconds, number, position, state_named, timestamp, unreadable};
use super::{Due, Index, Stage, row};
use crate::StoreError;

pub(super) const SCHEMA: &str = "
CREATE TABLE lays (
    ticket TEXT PRIMARY KEY,
    folder TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    queued_at INTEGER NOT NULL,
    due_at INTEGER,
    last_position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX lays_queue ON lays (due_at, ticket) WHERE due_at IS NOT NULL;
CREATE TABLE files (
    ticket TEXT NOT NULL,
    file TEXT NOT NULL,
    place INTEGER NOT NULL,
    folder TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (ticket, file)
) WITHOUT ROWID;
CREATE INDEX files_folder ON files (folder, position, place);
";

/// An item's consignment into a partner's folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lay {
    /// The partner's enterprise number: 10 digits.
    pub folder: String,
    /// Where it stands.
    pub state: State,
}

/// A file that lies in a folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shelved {
    /// The item.
    pub ticket: Ticket,
    /// Which file of it.
    pub file: FolderFile,
    /// The record that holds it: Accepted, Dispatched, or the Consigned by `BATCH`.
    pub position: u64,
}

impl Index {
    /// The item's consignment by `BATCH`, if there is one.
    ///
    /// # Errors
    /// `Database`.
    pub fn lay(&self, ticket: Ticket) -> Result<Option<Lay>, StoreError> {
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached(&select("WHERE ticket = ?1"))?;
        let found = statement.query_row([ticket.as_str()], read_lay).optional()?;
        Ok(found.map(|lay| Lay { folder: lay.folder, state: lay.state }))
    }

    /// Up to `limit` files of a folder, longest there first, an item's in the order in which they may be taken. What was erased is
    /// not there any more.
    ///
    /// # Errors
    /// `Database`.
    pub fn folder(&self, folder: &str, limit: usize) -> Result<Vec<Shelved>, StoreError> {
        let inner = self.inner();
        let sql = "SELECT files.ticket, file, position FROM files JOIN items ON items.ticket = files.ticket \
                   WHERE files.folder = ?1 AND items.erased IS NULL ORDER BY position, place LIMIT ?2";
        let mut statement = inner.connection.prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(statement.query_map(params![folder, limit], read_file)?.collect::<Result<_, _>>()?)
    }

    /// The file, if it lies in this folder.
    ///
    /// # Errors
    /// `Database`.
    pub fn shelved(
        &self,
        folder: &str,
        ticket: Ticket,
        file: FolderFile,
    ) -> Result<Option<Shelved>, StoreError> {
        let inner = self.inner();
        let sql = "SELECT files.ticket, file, position FROM files JOIN items ON items.ticket = files.ticket \
                   WHERE files.folder = ?1 AND files.ticket = ?2 AND file = ?3 AND items.erased IS NULL";
        let mut statement = inner.connection.prepare_cached(sql)?;
        Ok(statement.query_row(params![folder, ticket.as_str(), file.as_str()], read_file).optional()?)
    }
}

/// Items to be laid whose time has come, longest due first.
pub(super) fn due(connection: &Connection, now: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError> {
    let sql = select(
        "WHERE due_at <= ?1 AND due_at IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM items WHERE items.ticket = lays.ticket AND erased IS NOT NULL) ORDER BY due_at, ticket LIMIT ?2",
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![nanoseconds(now), limit], |row| {
        let lay = read_lay(row)?;
        Ok(Due {
            ticket: lay.ticket,
            channel: ChannelName::Batch,
            attempts: lay.attempts,
            accepted_at: lay.queued_at,
            stage: Stage::Consign,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// When the next item is to be laid.
pub(super) fn next_due_at(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT due_at FROM lays WHERE due_at IS NOT NULL AND NOT EXISTS \
               (SELECT 1 FROM items WHERE items.ticket = lays.ticket AND erased IS NOT NULL) ORDER BY due_at LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| timestamp(row, 0)).optional()?)
}

/// Whether the record is of an item's way into a folder, and nothing of its way into the eBox.
pub(super) fn concerns(record: &Record) -> bool {
    match record {
        Record::Attempted(record) => record.channel == ChannelName::Batch,
        Record::Consigned(record) => record.channel == ChannelName::Batch,
        Record::HandedOver(record) => record.channel == ChannelName::Batch,
        Record::Removed(_) => true,
        _ => false,
    }
}

/// An accepted item's lay begins, and its receipt lies in its sender's folder; or its proof of dispatch does.
pub(super) fn begin(
    connection: &Connection,
    position: u64,
    entry: &Entry,
    record: &Record,
) -> Result<(), StoreError> {
    let item = &entry.item;
    let of_sender = |files: &[FolderFile]| match item.proof_to_mailbox {
        true => shelve(connection, item.ticket, &item.institution, position, files),
        false => Ok(()),
    };
    match record {
        Record::Accepted(accepted) => {
            if let Some(folder) = &item.folder {
                let lay = LayRow {
                    ticket: item.ticket,
                    folder: folder.clone(),
                    state: State::Due,
                    attempts: 0,
                    queued_at: accepted.at,
                    due_at: Some(accepted.at),
                    last_position: position,
                };
                save(connection, &lay)?;
            }
            of_sender(&[FolderFile::Receipt, FolderFile::ReceiptSeal])
        }
        Record::Dispatched(_) => of_sender(&[FolderFile::Dispatch, FolderFile::DispatchSeal]),
        _ => Ok(()),
    }
}

/// What the record makes of the lay; says whether it is an event of the item.
pub(super) fn follow(connection: &Connection, position: u64, record: &Record) -> Result<bool, StoreError> {
    let ticket = match record {
        Record::Removed(removed) => return remove(connection, removed).map(|()| false),
        record => record.ticket(),
    };
    let known = match ticket {
        Some(ticket) => {
            let mut statement = connection.prepare_cached(&select("WHERE ticket = ?1"))?;
            statement.query_row([ticket.as_str()], read_lay).optional()?
        }
        None => None,
    };
    let Some(mut lay) = known else {
        tracing::error!(event = "alarm.index.unknown-item", position, kind = record.kind());
        return Ok(false);
    };
    if position <= lay.last_position {
        return Ok(false);
    }
    if let Err(error) = lay.follow(record) {
        tracing::error!(event = "alarm.index.transition", position, kind = record.kind(), %error);
        return Ok(false);
    }
    lay.last_position = position;
    save(connection, &lay)?;
    if let Record::Consigned(Consigned { ticket, .. }) = record {
        shelve(connection, *ticket, &lay.folder, position, &FolderFile::ITEM)?;
    }
    Ok(true)
}

/// What it holds of an item, as text for a dump; empty: nothing.
pub(super) fn dump(connection: &Connection, ticket: Ticket) -> Result<String, StoreError> {
    let mut statement = connection.prepare_cached(&select("WHERE ticket = ?1"))?;
    let lay = statement.query_row([ticket.as_str()], read_lay).optional()?;
    let sql = "SELECT ticket, file, position FROM files WHERE ticket = ?1 ORDER BY place";
    let mut statement = connection.prepare_cached(sql)?;
    let files: Vec<_> = statement.query_map([ticket.as_str()], read_file)?.collect::<Result<_, _>>()?;
    Ok(match (lay, files.is_empty()) {
        (None, true) => String::new(),
        (lay, _) => format!(" {lay:?} {files:?}"),
    })
}

#[derive(Debug)]
struct LayRow {
    ticket: Ticket,
    folder: String,
    state: State,
    attempts: u32,
    queued_at: Timestamp,
    due_at: Option<Timestamp>,
    last_position: u64,
}

impl LayRow {
    fn follow(&mut self, record: &Record) -> Result<(), erds::IllegalTransition> {
        match record {
            Record::Attempted(attempted) => {
                self.state = self.state.apply(Event::AttemptFailed)?;
                self.attempts = attempted.attempt;
                self.due_at = Some(attempted.next_at);
            }
            Record::Consigned(consigned) => {
                // The signature over the file is in the same record: it is proved as soon as it lies there.
                self.state = self.state.apply(Event::Consigned)?.apply(Event::ProofSealed)?;
                self.attempts = consigned.attempt;
                self.due_at = None;
            }
            Record::HandedOver(_) => self.state = self.state.apply(Event::HandedOver)?,
            _ => {}
        }
        Ok(())
    }
}

fn shelve(
    connection: &Connection,
    ticket: Ticket,
    folder: &str,
    position: u64,
    files: &[FolderFile],
) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare_cached("INSERT OR IGNORE INTO files VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (place, file) in (0_i64..).zip(files) {
        statement.execute(params![ticket.as_str(), file.as_str(), place, folder, number(position)])?;
    }
    Ok(())
}

fn remove(connection: &Connection, removed: &Removed) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached("DELETE FROM files WHERE ticket = ?1 AND file = ?2")?;
    statement.execute(params![removed.ticket.as_str(), removed.file.as_str()])?;
    Ok(())
}

fn save(connection: &Connection, lay: &LayRow) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO lays VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(sql)?.execute(params![
        lay.ticket.as_str(),
        lay.folder,
        row::state_name(lay.state),
        lay.attempts,
        nanoseconds(lay.queued_at),
        lay.due_at.map(nanoseconds),
        number(lay.last_position),
    ])?;
    Ok(())
}

fn select(which: &str) -> String {
    format!("SELECT ticket, folder, state, attempts, queued_at, due_at, last_position FROM lays {which}")
}

fn read_lay(row: &Row<'_>) -> rusqlite::Result<LayRow> {
    Ok(LayRow {
        ticket: read_ticket(row)?,
        folder: row.get(1)?,
        state: state_named(row.get_ref(2)?.as_str().unwrap_or_default())
            .ok_or_else(|| unreadable(2, Type::Text))?,
        attempts: row.get(3)?,
        queued_at: timestamp(row, 4)?,
        due_at: row.get::<_, Option<i64>>(5)?.map(row::from_nanoseconds),
        last_position: position(row, 6)?,
    })
}

fn read_file(row: &Row<'_>) -> rusqlite::Result<Shelved> {
    let file = row.get_ref(1)?.as_str().ok().and_then(FolderFile::from_name);
    Ok(Shelved {
        ticket: read_ticket(row)?,
        file: file.ok_or_else(|| unreadable(1, Type::Text))?,
        position: position(row, 2)?,
    })
}

fn read_ticket(row: &Row<'_>) -> rusqlite::Result<Ticket> {
    let ticket = row.get_ref(0)?.as_str().ok().and_then(|text| Ticket::parse(text).ok());
    ticket.ok_or_else(|| unreadable(0, Type::Text))
}
