//! Content, item keys, and the index that can be rebuilt from the journal.
//!
//! Content and item keys are ground state, each with its own life: destroying a key erases its item everywhere, also in
//! backups of the content. The index is derived: deleted, it grows again from the journal's records. This is the one room
//! that uses the database.

pub mod content;
mod error;
pub mod index;
pub mod keys;
mod sealed;

pub use error::StoreError;
