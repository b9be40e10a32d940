//! What can go wrong with stored things: all of it ours, or the operator's.

use std::io;
use std::path::{Path, PathBuf};

/// Content, keys or index failed. Never the sender's fault.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk refused. After a failed sync nothing of that file may be trusted.
    #[error("store.disk: {doing} {path}: {source}")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// The key file was made with another master key.
    #[error(
        "store.keys.wrong-master-key: the master key does not open {path}: it was made with another one; put that master key back (restore it from its own \
         backup), or restore the key file that belongs to this one; nothing was changed"
    )]
    WrongMasterKey {
        /// The key file.
        path: PathBuf,
    },
    /// Stored bytes are not those that were written: changed, cut, or mixed up.
    #[error("store.damaged: {what}; restore it from the backup")]
    Damaged {
        /// What is damaged.
        what: String,
    },
    /// The item already has a key: a ticket names one item.
    #[error("store.keys.ticket-taken: the ticket has a key already")]
    TicketTaken,
    /// Not a name that a part can have: lower-case letters, digits, `-` and `.`, 1 to 64 of them.
    #[error("store.content.part-name: not a part's name: {0}")]
    PartName(String),
    /// The writer has stopped after an earlier error: restart, after mending the cause.
    #[error("store.stopped: {0}")]
    Stopped(String),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] pki::random::RandomError),
    /// The crypto library refused.
    #[error(transparent)]
    Aead(#[from] pki::aead::AeadError),
    /// The index's database was made by a newer program.
    #[error(
        "store.index.newer: {path} is of version {seen}, and this program knows versions up to {known}: a newer program has written this data; start \
         that one. Nothing was changed"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        seen: i64,
        /// This program's.
        known: i64,
    },
    /// The index's database failed. It is derived: it may be deleted while the service is stopped.
    #[error("store.index: {0}")]
    Database(#[from] rusqlite::Error),
}

impl StoreError {
    pub(crate) fn disk<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Disk { doing, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    /// Whether there was no room: the same request may come again once there is.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Disk { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Database(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            _ => false,
        }
    }

    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disk { .. } if self.is_full() => "store.full",
            Self::Disk { .. } => "store.disk",
            Self::WrongMasterKey { .. } => "store.keys.wrong-master-key",
            Self::Damaged { .. } => "store.damaged",
            Self::TicketTaken => "store.keys.ticket-taken",
            Self::PartName(_) => "store.content.part-name",
            Self::Stopped(_) => "store.stopped",
            Self::Random(_) => "store.random",
            Self::Aead(_) => "store.aead",
            Self::Newer { .. } => "store.index.newer",
            Self::Database(_) if self.is_full() => "store.full",
            Self::Database(_) => "store.index",
        }
    }
}
