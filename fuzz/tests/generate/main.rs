//! Writes `fuzz/fixed` and `fuzz/corpus`: `fuzz/generate`, never in CI.
//!
//! The requests are those of the soap crate's security tests, run with a kit that writes each message down, and a few of `requests.rs`; the rest is
//! made of valid seeds by changes, of which those are kept that reach a code that no earlier one reached.

mod evidences;
mod kit;
mod packages;
mod proofs;
mod requests;
mod seeds;
mod tlog;

#[path = "../../../crates/soap/tests/security/acceptance.rs"]
mod acceptance;
#[path = "../../../crates/soap/tests/security/keys.rs"]
mod keys;
#[path = "../../../crates/soap/tests/security/references.rs"]
mod references;
#[path = "../../../crates/soap/tests/security/text.rs"]
mod text;
#[path = "../../../crates/soap/tests/security/time.rs"]
mod time;
#[path = "../../../crates/soap/tests/security/wrapping.rs"]
mod wrapping;
