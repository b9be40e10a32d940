//! The bodies of the fuzz targets, so that `cargo test` on stable runs the corpora through the same code.
//!
//! A body panics at what must not be, and gives the codes of the checks that refused: the test of the corpora collects
//! them.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used)]

mod files;
mod journal_log;
mod proofs;
mod requests;
mod xml;

pub use files::fixed;
pub use journal_log::{journal_dir, journal_segment, options as journal_options};
pub use proofs::{NONCE, POLICY, STAMPED_AT, cms_tsp, statement};
pub use requests::{message, multipart, now, signed_lines, wss};
pub use xml::{c14n, signature, signature_lines, xml_reader};

/// The codes of the checks that refused an input.
pub type Codes = Vec<&'static str>;

/// A target's name and body.
pub type Target = (&'static str, fn(&[u8]) -> Codes);

/// Every target.
pub const TARGETS: [Target; 8] = [
    ("xml_reader", xml_reader),
    ("c14n", c14n),
    ("signature", signature),
    ("multipart", multipart),
    ("wss", wss),
    ("cms_tsp", cms_tsp),
    ("message", message),
    ("journal_segment", journal_segment),
];
