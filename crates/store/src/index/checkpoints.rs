//! What was committed goes from SQLite's log into the database on a thread of its own: that writes much and syncs twice, and nobody who is to
//! answer waits for it.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::Inner;
use crate::StoreError;

/// The thread; dropped, it ends after what it is at.
pub(super) struct Checkpoints {
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Starts it over the database at `path`; who sends asks for a checkpoint, and it ends when nobody can any more.
    pub(super) fn begin(
        path: &Path,
        inner: Weak<Mutex<Inner>>,
    ) -> Result<(Self, SyncSender<()>), StoreError> {
        let connection = Connection::open(path)?;
        let (asked, asking) = mpsc::sync_channel(1);
        let run = move || run(&connection, &inner, &asking);
        let thread = std::thread::Builder::new().name("index-checkpoints".into()).spawn(run);
        let thread = thread.map_err(StoreError::disk("start the checkpoints of", path))?;
        Ok((Self { thread: Some(thread) }, asked))
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, inner: &Weak<Mutex<Inner>>, asking: &Receiver<()>) {
    while asking.recv().is_ok() {
        if let Err(error) = checkpoint(connection, inner) {
            tracing::warn!(event = "index.checkpoint-failed", %error); // the log grows, and the next one makes up for it
        }
    }
}

/// Beside those who write first; then the little that they wrote meanwhile while they wait, since the log begins anew only where it is empty.
fn checkpoint(connection: &Connection, inner: &Weak<Mutex<Inner>>) -> Result<(), StoreError> {
    passive(connection)?;
    let Some(inner) = inner.upgrade() else { return Ok(()) };
    let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
    inner.commit()?;
    passive(&inner.connection)
}

fn passive(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}
