//! Rows of the attack table that need the door, the journal or a clock: `tests/attacks/table.md` says which test holds which.
//! The rows that one message can carry are in the soap crate's security tests.

mod content;
mod flood;
mod http;
mod replay;
mod saml;
mod sender;
mod service;
mod tls;
mod turns;
