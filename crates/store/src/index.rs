//! The index and the queue: what the journal's records say, in a form that can be asked. Derived: deleted, it is rebuilt.
//!
//! Records of different items may be applied in any order, as the journal's callers wake in any order; those of one item come
//! in the journal's. A record that is applied twice changes nothing.
//!
//! Some records are applied in one transaction, which stays open meanwhile: what a crash takes with it is applied again at the next start,
//! as it is in the journal.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use erds::{ChannelName, Record, State, Status, Ticket};
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, params};

use self::checkpoints::Checkpoints;
use self::entry::Entry;
use self::row::{COLUMNS, find, nanoseconds, number, position, read_entry, save, timestamp};
use crate::StoreError;

mod anew;
mod check;
mod checkpoints;
mod entry;
mod folders;
mod history;
mod row;

pub use anew::made_anew;
pub use check::disagreement;
pub use entry::REQUEUED;
pub use folders::{Lay, Shelved};

/// Records whose changes become one commit: its pages are written once for all of them.
const COMMITTED_TOGETHER: u32 = 64;

/// Commits after which the log is taken into the database: some 10,000 pages of a large one.
const CHECKPOINT_COMMITS: u32 = 32;

/// Raised with every change of [`SCHEMA`]: a database of an older version is cleared and grows anew.
const SCHEMA_VERSION: i64 = 8;

const SCHEMA: &str = "
CREATE TABLE progress (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    next_position INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    error INTEGER NOT NULL
);
INSERT INTO progress VALUES (1, 0, 0, 0, 0);
CREATE TABLE items (
    ticket TEXT PRIMARY KEY,
    institution TEXT NOT NULL,
    token_key BLOB,
    channel TEXT NOT NULL,
    received INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    accepted INTEGER,
    withdrawn INTEGER NOT NULL DEFAULT 0,
    consigned INTEGER,
    dispatched INTEGER,
    erased INTEGER,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER,
    due_at INTEGER,
    last_position INTEGER NOT NULL,
    folder TEXT,
    proof_to_mailbox INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE events (
    ticket TEXT NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (ticket, position)
) WITHOUT ROWID;
CREATE INDEX items_queue ON items (channel, state = 'consigned', due_at, ticket) WHERE due_at IS NOT NULL;
CREATE INDEX items_token ON items (token_key) WHERE token_key IS NOT NULL AND accepted IS NOT NULL;
CREATE INDEX items_owner ON items (institution, received_at, ticket) WHERE accepted IS NOT NULL;
CREATE INDEX items_unread ON items (channel, ticket) WHERE state = 'dispatched';
CREATE INDEX items_unfinished ON items (received) WHERE accepted IS NULL AND withdrawn = 0;
";

/// One item, as the records say it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Its name.
    pub ticket: Ticket,
    /// The owner's enterprise number: 10 digits.
    pub institution: String,
    /// SHA-256 of institution and token; none for an empty token.
    pub token_key: Option<[u8; 32]>,
    /// The position of its Received.
    pub received: u64,
    /// When the request's last byte was read.
    pub received_at: Timestamp,
    /// The position of its Accepted.
    pub accepted: Option<u64>,
    /// It was withdrawn: never accepted.
    pub withdrawn: bool,
    /// The position of its Consigned.
    pub consigned: Option<u64>,
    /// The position of its Dispatched.
    pub dispatched: Option<u64>,
    /// The position of the Erased that names it: its key is destroyed, or about to be.
    pub erased: Option<u64>,
    /// What getStatus answers.
    pub status: Status,
    /// The channel it goes by.
    pub channel: ChannelName,
    /// The partner into whose folder it goes too: 10 digits.
    pub folder: Option<String>,
    /// Its proofs lie in its sender's folder too.
    pub proof_to_mailbox: bool,
}

/// Which accepted items of an institution are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The owner's enterprise number: 10 digits.
    pub institution: &'a str,
    /// Received at this instant or later,
    pub from: Timestamp,
    /// and before this one.
    pub to: Timestamp,
    /// Only those that stand so.
    pub status: Option<Status>,
    /// Only those behind this one.
    pub after: Option<&'a Item>,
}

/// What the courier is to do next for an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Take it to its channel.
    Consign,
    /// It is in the box: seal the proof of dispatch.
    Seal,
}

/// An item whose time has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Due {
    /// The item.
    pub ticket: Ticket,
    /// The channel it goes by.
    pub channel: ChannelName,
    /// How many tries there were.
    pub attempts: u32,
    /// Since when it is in the queue: its acceptance, or an operator's putting it back. Deadlines count from here.
    pub accepted_at: Timestamp,
    /// What is to be done.
    pub stage: Stage,
}

/// How many items stand how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Accepted and on their way: PENDING.
    pub pending: u64,
    /// Of these, how many wait in the courier's queue, their time come or not.
    pub due: u64,
    /// In the box, the proof sealed: SENT.
    pub sent: u64,
    /// Given up: ERROR.
    pub error: u64,
}

/// The index; every call locks it for itself.
pub struct Index {
    inner: Arc<Mutex<Inner>>,
    checkpoints: Option<Checkpoints>,
}

struct Inner {
    connection: Connection,
    /// Applied by the transaction that is open.
    uncommitted: u32,
    /// Commits since the last checkpoint was asked for.
    commits: u32,
    /// Asks for one; none: in memory, or about to be closed.
    checkpoint: Option<SyncSender<()>>,
    /// The lowest position not applied.
    next: u64,
    /// Applied positions above it; in memory only: after a crash they are applied again, which changes nothing.
    ahead: BTreeSet<u64>,
}

impl Index {
    /// Opens the database, made if absent; none: in memory. One that is damaged or of an older schema version is begun anew: it is
    /// derived, and grows again from the journal.
    ///
    /// # Errors
    /// `Newer`: a newer program made it, so that the journal may hold what this one does not know; it is as it was. `Database`,
    /// `Disk`: the folder cannot be written.
    pub fn open(path: Option<&Path>) -> Result<Self, StoreError> {
        match (Self::try_open(path), path) {
            (Err(StoreError::Database(error)), Some(path)) if is_damage(&error) => {
                tracing::error!(event = "alarm.index.damaged", %error, "made anew from the journal");
                Self::begin_anew(path)
            }
            (opened, _) => opened,
        }
    }

    /// As [`Index::open`], with nothing in it, whatever was there.
    ///
    /// # Errors
    /// `Database`, `Disk`: the folder cannot be written.
    pub fn begin_anew(path: &Path) -> Result<Self, StoreError> {
        remove_database(path)?;
        Self::try_open(Some(path))
    }

    fn try_open(path: Option<&Path>) -> Result<Self, StoreError> {
        let connection = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version > SCHEMA_VERSION {
            let path = path.map(Path::to_owned).unwrap_or_default();
            return Err(StoreError::Newer { path, seen: version, known: SCHEMA_VERSION });
        }
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        // No sync per commit: what a power cut takes is read again from the journal, and WAL keeps the file whole.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        // A checkpoint writes much and syncs, and whose commit made it would wait for it: a thread of its own does it.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.set_prepared_statement_cache_capacity(32);
        // A plan holds for whatever values it is asked with. SQLite would else make another one for each, at more than the answer's cost.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        let ahead = BTreeSet::new();
        let mut inner = Inner { connection, uncommitted: 0, commits: 0, checkpoint: None, next: 0, ahead };
        if version < SCHEMA_VERSION {
            inner.clear()?;
        }
        inner.next = next_position(&inner.connection)?;
        let inner = Arc::new(Mutex::new(inner));
        let mut index = Self { inner, checkpoints: None };
        if let Some(path) = path {
            let (checkpoints, asked) = Checkpoints::begin(path, Arc::downgrade(&index.inner))?;
            index.checkpoints = Some(checkpoints);
            index.inner().checkpoint = Some(asked);
        }
        Ok(index)
    }

    /// The lowest position that was not applied: where catching up begins.
    ///
    /// # Errors
    /// None today: the signature leaves room for a database that is asked.
    pub fn next_position(&self) -> Result<u64, StoreError> {
        Ok(self.inner().next)
    }

    /// Applies the record at `position`, whole. A record that contradicts what came before is told in the log and changes nothing: the
    /// index says what the journal's legal records say.
    ///
    /// # Errors
    /// `Database`: nothing was applied, and what was applied a moment before is taken back with it: from [`Index::next_position`] on it is
    /// to be applied again.
    pub fn apply(&self, position: u64, record: &Record) -> Result<(), StoreError> {
        let mut inner = self.inner();
        if position < inner.next || inner.ahead.contains(&position) {
            return Ok(());
        }
        let mut next = inner.next;
        if position == next {
            next = (next + 1..).find(|next| !inner.ahead.contains(next)).unwrap_or(next + 1);
        }
        if let Err(error) = inner.apply(position, record, next) {
            inner.take_back()?;
            return Err(error);
        }
        if position == inner.next {
            inner.next = next;
            inner.ahead = inner.ahead.split_off(&next);
        } else {
            inner.ahead.insert(position);
        }
        Ok(())
    }

    /// Forgets everything; the next position is 0.
    ///
    /// # Errors
    /// `Database`.
    pub fn clear(&self) -> Result<(), StoreError> {
        self.inner().clear()
    }

    /// The item of this ticket.
    ///
    /// # Errors
    /// `Database`.
    pub fn item(&self, ticket: Ticket) -> Result<Option<Item>, StoreError> {
        Ok(find(&self.inner().connection, ticket)?.map(|entry| entry.item))
    }

    /// The accepted item of this institution and token; there is one at most.
    ///
    /// # Errors
    /// `Database`.
    pub fn item_by_token_key(&self, token_key: &[u8; 32]) -> Result<Option<Item>, StoreError> {
        let inner = self.inner();
        let sql = format!(
            "SELECT {COLUMNS} FROM items WHERE token_key = ?1 AND accepted IS NOT NULL ORDER BY accepted"
        );
        let mut statement = inner.connection.prepare_cached(&sql)?;
        Ok(statement.query_row([token_key.as_slice()], read_entry).optional()?.map(|entry| entry.item))
    }

    /// Whether the item was withdrawn.
    ///
    /// # Errors
    /// `Database`.
    pub fn is_withdrawn(&self, ticket: Ticket) -> Result<bool, StoreError> {
        Ok(self.item(ticket)?.is_some_and(|item| item.withdrawn))
    }

    /// Items that were received and are neither accepted nor withdrawn, oldest first: what a crash left open.
    ///
    /// # Errors
    /// `Database`.
    pub fn unfinished(&self) -> Result<Vec<Item>, StoreError> {
        let inner = self.inner();
        let sql =
            format!("SELECT {COLUMNS} FROM items WHERE accepted IS NULL AND withdrawn = 0 ORDER BY received");
        let mut statement = inner.connection.prepare_cached(&sql)?;
        let found = statement.query_map([], |row| read_entry(row).map(|entry| entry.item))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Items in the queue that are not in their box yet, or not in a partner's folder that they are for, each with the position of
    /// its Received; by ticket.
    ///
    /// # Errors
    /// `Database`.
    pub fn undelivered(&self) -> Result<Vec<(Ticket, u64)>, StoreError> {
        let inner = self.inner();
        let sql = format!(
            "SELECT {COLUMNS} FROM items WHERE due_at IS NOT NULL AND state <> 'consigned' \
             UNION SELECT {COLUMNS} FROM items WHERE erased IS NULL AND ticket IN (SELECT ticket FROM lays WHERE due_at IS NOT NULL) ORDER BY ticket"
        );
        let mut statement = inner.connection.prepare_cached(&sql)?;
        let found = statement.query_map([], |row| {
            let item = read_entry(row)?.item;
            Ok((item.ticket, item.received))
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` items of a channel whose time has come for this stage, longest due first.
    ///
    /// # Errors
    /// `Database`.
    pub fn due(
        &self,
        channel: ChannelName,
        stage: Stage,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        let inner = self.inner();
        if channel == ChannelName::Batch {
            return match stage {
                Stage::Consign => folders::due(&inner.connection, now, limit),
                Stage::Seal => Ok(Vec::new()),
            };
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM items WHERE channel = ?1 AND (state = 'consigned') = ?2 AND due_at <= ?3 \
             AND due_at IS NOT NULL ORDER BY due_at, ticket LIMIT ?4"
        );
        let mut statement = inner.connection.prepare_cached(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let wanted = params![channel.as_str(), stage == Stage::Seal, nanoseconds(now), limit];
        let found = statement.query_map(wanted, |row| {
            let Entry { item, attempts, queued_at, .. } = read_entry(row)?;
            let accepted_at = queued_at.unwrap_or(item.received_at);
            Ok(Due { ticket: item.ticket, channel, attempts, accepted_at, stage })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` items of a channel that are in the box, proved, and neither opened nor expired; by ticket, those behind `after`,
    /// received at `oldest` or later.
    ///
    /// # Errors
    /// `Database`.
    pub fn unread(
        &self,
        channel: ChannelName,
        oldest: Timestamp,
        after: Option<Ticket>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let inner = self.inner();
        let sql = format!(
            "SELECT {COLUMNS} FROM items WHERE state = 'dispatched' AND channel = ?1 AND ticket > ?2 \
             AND received_at >= ?3 ORDER BY ticket LIMIT ?4"
        );
        let mut statement = inner.connection.prepare_cached(&sql)?;
        let after = after.as_ref().map_or("", Ticket::as_str);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = statement
            .query_map(params![channel.as_str(), after, nanoseconds(oldest), limit], |row| {
                read_entry(row).map(|entry| entry.item)
            })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` accepted items of an institution, oldest first; of one instant, by ticket.
    ///
    /// # Errors
    /// `Database`.
    pub fn search(&self, search: &Search<'_>, limit: usize) -> Result<Vec<Item>, StoreError> {
        let states: Vec<_> = State::ALL
            .into_iter()
            .filter(|state| search.status.is_none_or(|status| state.status() == status))
            .map(|state| format!("'{}'", row::state_name(state)))
            .collect();
        let sql = format!(
            "SELECT {COLUMNS} FROM items WHERE institution = ?1 AND accepted IS NOT NULL AND received_at >= ?2 \
             AND received_at < ?3 AND (received_at, ticket) > (?4, ?5) AND state IN ({}) \
             ORDER BY received_at, ticket LIMIT ?6",
            states.join(", ")
        );
        let after_at = search.after.map_or(i64::MIN, |item| nanoseconds(item.received_at));
        let after_ticket = search.after.map_or("", |item| item.ticket.as_str());
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached(&sql)?;
        let values = params![
            search.institution,
            nanoseconds(search.from),
            nanoseconds(search.to),
            after_at,
            after_ticket,
            i64::try_from(limit).unwrap_or(i64::MAX),
        ];
        let found = statement.query_map(values, |row| read_entry(row).map(|entry| entry.item))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// When the next item is due, past or to come; none where the queue is empty.
    ///
    /// # Errors
    /// `Database`.
    pub fn next_due_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let inner = self.inner();
        let sql = "SELECT due_at FROM items WHERE channel = ?1 AND (state = 'consigned') = ?2 \
                   AND due_at IS NOT NULL ORDER BY due_at LIMIT 1";
        let mut first = inner.connection.prepare_cached(sql)?;
        let mut next = folders::next_due_at(&inner.connection)?;
        for channel in ChannelName::ALL {
            for stage in [Stage::Consign, Stage::Seal] {
                let wanted = params![channel.as_str(), stage == Stage::Seal];
                let due = first.query_row(wanted, |row| timestamp(row, 0)).optional()?;
                next = [next, due].into_iter().flatten().min();
            }
        }
        Ok(next)
    }

    /// How many items stand how.
    ///
    /// # Errors
    /// `Database`.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        let inner = self.inner();
        let sql = "SELECT pending, (SELECT COUNT(*) FROM items WHERE due_at IS NOT NULL), sent, error FROM progress";
        let mut statement = inner.connection.prepare_cached(sql)?;
        Ok(statement.query_row([], |row| {
            let count = |column| position(row, column);
            Ok(Counts { pending: count(0)?, due: count(1)?, sent: count(2)?, error: count(3)? })
        })?)
    }

    /// Everything it holds as text, ordered: two indexes of the same records have equal dumps.
    ///
    /// # Errors
    /// `Database`.
    pub fn dump(&self) -> Result<String, StoreError> {
        let counts = self.counts()?;
        let inner = self.inner();
        let mut out = format!("next {} {counts:?}\n", inner.next);
        let mut statement =
            inner.connection.prepare(&format!("SELECT {COLUMNS} FROM items ORDER BY ticket"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let Entry { item, state, attempts, queued_at, due_at, last_position } = read_entry(row)?;
            let events = history::positions(&inner.connection, item.ticket, u64::MAX, 0, usize::MAX)?;
            out.push_str(&format!(
                "{item:?} {state:?} {attempts} {queued_at:?} {due_at:?} {last_position} {events:?}{}\n",
                folders::dump(&inner.connection, item.ticket)?
            ));
        }
        Ok(out)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Applies; behind it, `next` is the lowest position that was not applied.
    fn apply(&mut self, position: u64, record: &Record, next: u64) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            self.connection.prepare_cached("BEGIN")?.execute([])?;
        }
        let change = apply(&self.connection, position, record)?;
        if next != position || change != Change::default() {
            let sql = "UPDATE progress SET next_position = ?1, pending = pending + ?2, sent = sent + ?3, error = error + ?4";
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.execute(params![number(next), change.pending, change.sent, change.error])?;
        }
        self.uncommitted += 1;
        if self.uncommitted >= COMMITTED_TOGETHER { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if !self.connection.is_autocommit() {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            self.commits += 1;
        }
        self.uncommitted = 0;
        if self.commits >= CHECKPOINT_COMMITS {
            self.commits = 0;
            // Full: one that was asked for has not begun.
            let _ = self.checkpoint.as_ref().map(|asked| asked.try_send(()));
        }
        Ok(())
    }

    /// Back to what was committed.
    fn take_back(&mut self) -> Result<(), StoreError> {
        // Some errors have ended the transaction already.
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.uncommitted = 0;
        self.ahead.clear();
        self.next = next_position(&self.connection)?;
        Ok(())
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        self.commit()?;
        let transaction = self.connection.transaction()?;
        // By what is there, not by what this version would have made.
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let tables: Vec<String> =
            transaction.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for table in tables {
            transaction.execute_batch(&format!("DROP TABLE \"{}\"", table.replace('"', "\"\"")))?;
        }
        transaction.execute_batch(SCHEMA)?;
        transaction.execute_batch(folders::SCHEMA)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
        self.next = 0;
        self.ahead.clear();
        Ok(())
    }
}

impl Drop for Index {
    /// The thread first: who closes the database last takes its log into the file.
    fn drop(&mut self) {
        self.inner().checkpoint = None;
        self.checkpoints = None;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What could not be committed is applied again at the next start.
        let _ = self.commit();
    }
}

fn next_position(connection: &Connection) -> Result<u64, StoreError> {
    Ok(connection.query_row("SELECT next_position FROM progress", [], |row| position(row, 0))?)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Removes the database and what SQLite keeps beside it.
fn remove_database(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::disk("remove", Path::new(&name))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// By how much the tallies change.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
struct Change {
    pending: i64,
    sent: i64,
    error: i64,
}

impl Change {
    fn count(&mut self, entry: &Entry, by: i64) {
        let tally = match entry.item.status {
            _ if entry.item.accepted.is_none() => return,
            Status::Pending => &mut self.pending,
            Status::Sent => &mut self.sent,
            Status::Error => &mut self.error,
        };
        *tally += by;
    }
}

fn apply(connection: &Connection, position: u64, record: &Record) -> Result<Change, StoreError> {
    let mut change = Change::default();
    if let Record::Erased(erased) = record {
        for ticket in &erased.tickets {
            // Keys of single requests are no items.
            let Some(mut entry) = find(connection, *ticket)? else { continue };
            entry.item.erased = entry.item.erased.or(Some(position));
            save(connection, &entry)?;
        }
        return Ok(change);
    }
    let Some(ticket) = record.ticket() else { return Ok(change) };
    if let Record::Evidenced(_) | Record::Packaged(_) = record {
        // Derived from what stands there already, and found by its unique key.
        return Ok(change);
    }
    if let Record::Consulted(read) = record {
        // A read follows on nothing: it comes beside the courier's records, and in any order with them.
        if read.proof.is_some() {
            history::save(connection, ticket, position, record.kind())?;
        }
        return Ok(change);
    }
    if folders::concerns(record) {
        if folders::follow(connection, position, record)? {
            history::save(connection, ticket, position, record.kind())?;
        }
        return Ok(change);
    }
    let known = find(connection, ticket)?;
    if let Record::Received(received) = record {
        if known.is_none() {
            save(connection, &Entry::first(position, received))?;
            history::save(connection, ticket, position, record.kind())?;
        }
        return Ok(change);
    }
    let Some(mut entry) = known else {
        if !matches!(record, Record::Control(_)) {
            tracing::error!(event = "alarm.index.unknown-item", position, kind = record.kind());
        }
        return Ok(change);
    };
    if position <= entry.last_position {
        return Ok(change);
    }
    let mut before = Change::default();
    before.count(&entry, 1);
    if let Err(error) = entry.follow(position, record) {
        tracing::error!(event = "alarm.index.transition", position, kind = record.kind(), %error);
        return Ok(change);
    }
    entry.last_position = position;
    entry.item.status = entry.state.status();
    save(connection, &entry)?;
    folders::begin(connection, position, &entry, record)?;
    if history::is_event(record) {
        history::save(connection, ticket, position, record.kind())?;
    }
    change.count(&entry, 1);
    change.pending -= before.pending;
    change.sent -= before.sent;
    change.error -= before.error;
    Ok(change)
}

#[cfg(test)]
mod tests;
