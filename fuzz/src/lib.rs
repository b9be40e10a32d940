//! The bodies of the fuzz targets, so that `cargo test` on stable runs the corpora through the same code.
//!
//! A body panics at what must not be, and gives the codes of the checks that refused: the test of the corpora collects
//! them.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used)]

mod admission;
mod enveloped;
mod files;
#[allow(dead_code, unused_imports, unreachable_pub, reason = "the tests' own kit; not all of it is for here")]
#[path = "../../tests/it/house/mod.rs"]
mod house;
mod journal_log;
mod packages;
mod proofs;
mod requests;
mod tlog;
mod xml;

pub use admission::admission;
pub use enveloped::evidence;
pub use files::fixed;
pub use journal_log::{journal_dir, journal_segment, options as journal_options};
pub use packages::package;
pub use proofs::{NONCE, OCSP_NONCE, POLICY, STAMPED_AT, cms_tsp, statement};
pub use requests::{message, multipart, now, signed_lines, wss};
pub use tlog::{tlog, tlog_seeds};
pub use xml::{c14n, signature, signature_lines, xml_reader};

/// The codes of the checks that refused an input.
pub type Codes = Vec<&'static str>;

/// A target's name and body.
pub type Target = (&'static str, fn(&[u8]) -> Codes);

/// Every target.
pub const TARGETS: [Target; 12] = [
    ("admission", admission),
    ("xml_reader", xml_reader),
    ("c14n", c14n),
    ("signature", signature),
    ("multipart", multipart),
    ("wss", wss),
    ("cms_tsp", cms_tsp),
    ("evidence", evidence),
    ("package", package),
    ("message", message),
    ("journal_segment", journal_segment),
    ("tlog", tlog),
];

/// A code that the journal gave as text; there are only as many as the sources hold.
pub(crate) fn interned(code: &str) -> &'static str {
    static KNOWN: std::sync::Mutex<std::collections::BTreeSet<&'static str>> =
        std::sync::Mutex::new(std::collections::BTreeSet::new());
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match known.get(code) {
        Some(known) => known,
        None => {
            let code: &'static str = String::leak(code.to_owned());
            known.insert(code);
            code
        }
    }
}
