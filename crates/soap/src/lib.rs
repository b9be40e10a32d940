//! SOAP 1.1 and 1.2 for registered mail: bytes to types and back, and who signed what.
//!
//! No I/O: bytes come in as chunks or buffers, time comes in as an argument. The way of a request through this crate is
//! [`multipart::Reader`], then the envelope, then WS-Security's `authenticate`, which alone makes an authenticated
//! request out of a tree whose signed Body *is* the Body read.
//!
//! Sources: SOAP 1.1, SOAP 1.2 part 1, RFC 2387 (multipart/related), SOAP Messages with Attachments, XOP 1.0,
//! Web Services Security: SOAP Message Security 1.0 and X.509 Token Profile 1.0.

pub mod contract;
pub mod envelope;
pub mod fault;
pub mod message;
pub mod multipart;
mod refuse;
pub mod wss;
