//! Items as rows of the database.

use erds::{ChannelName, State, Ticket};
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Item;
use super::entry::Entry;
use crate::StoreError;

pub(super) const COLUMNS: &str = "ticket, institution, token_key, received, received_at, accepted, withdrawn, consigned, dispatched, state, \
                       channel, attempts, queued_at, due_at, last_position, erased, folder, proof_to_mailbox";

pub(super) fn find(connection: &Connection, ticket: Ticket) -> Result<Option<Entry>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM items WHERE ticket = ?1"))?;
    Ok(statement.query_row([ticket.as_str()], read_entry).optional()?)
}

pub(super) fn save(connection: &Connection, entry: &Entry) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO items ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT (ticket) DO UPDATE SET accepted = ?6, withdrawn = ?7, consigned = ?8, dispatched = ?9, state = ?10,
             channel = ?11, attempts = ?12, queued_at = ?13, due_at = ?14, last_position = ?15, erased = ?16"
    );
    let item = &entry.item;
    connection.prepare_cached(&sql)?.execute(params![
        item.ticket.as_str(),
        item.institution,
        item.token_key.as_ref().map(<[u8; 32]>::as_slice),
        number(item.received),
        nanoseconds(item.received_at),
        item.accepted.map(number),
        item.withdrawn,
        item.consigned.map(number),
        item.dispatched.map(number),
        state_name(entry.state),
        item.channel.as_str(),
        entry.attempts,
        entry.queued_at.map(nanoseconds),
        entry.due_at.map(nanoseconds),
        number(entry.last_position),
        item.erased.map(number),
        item.folder,
        item.proof_to_mailbox,
    ])?;
    Ok(())
}

/// A row of [`COLUMNS`].
pub(super) fn read_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(|_| unreadable(column, Type::Text));
    let optional = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(unsigned));
    let state = state_named(text(9)?).ok_or_else(|| unreadable(9, Type::Text))?;
    let token_key: Option<Vec<u8>> = row.get(2)?;
    let item = Item {
        ticket: Ticket::parse(text(0)?).map_err(|_| unreadable(0, Type::Text))?,
        institution: text(1)?.to_owned(),
        token_key: match token_key {
            Some(bytes) => Some(bytes.try_into().map_err(|_| unreadable(2, Type::Blob))?),
            None => None,
        },
        received: position(row, 3)?,
        received_at: timestamp(row, 4)?,
        accepted: optional(5)?,
        withdrawn: row.get(6)?,
        consigned: optional(7)?,
        dispatched: optional(8)?,
        erased: optional(15)?,
        status: state.status(),
        channel: ChannelName::from_name(text(10)?).ok_or_else(|| unreadable(10, Type::Text))?,
        folder: row.get(16)?,
        proof_to_mailbox: row.get(17)?,
    };
    Ok(Entry {
        item,
        state,
        attempts: row.get(11)?,
        queued_at: row.get::<_, Option<i64>>(12)?.map(from_nanoseconds),
        due_at: row.get::<_, Option<i64>>(13)?.map(from_nanoseconds),
        last_position: position(row, 14)?,
    })
}

pub(super) fn unreadable(column: usize, kind: Type) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "not written by this program".to_owned(), kind)
}

pub(super) fn state_named(name: &str) -> Option<State> {
    State::ALL.into_iter().find(|state| state_name(*state) == name)
}

pub(super) fn state_name(state: State) -> &'static str {
    match state {
        State::Due => "due",
        State::Consigned => "consigned",
        State::Dispatched => "dispatched",
        State::Accessed => "accessed",
        State::HandedOver => "handed_over",
        State::ExpiredUnread => "expired_unread",
        State::Failed => "failed",
    }
}

/// SQLite's integers are signed; no journal gets this long.
pub(super) fn number(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

pub(super) fn position(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(unsigned)
}

pub(super) fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(from_nanoseconds)
}

/// Exact from 1677 to 2262; what lies outside is taken as the nearest of these.
pub(super) fn nanoseconds(at: Timestamp) -> i64 {
    let limit = if at < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    i64::try_from(at.as_nanosecond()).unwrap_or(limit)
}

pub(super) fn from_nanoseconds(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH)
}
