//! XML Signature: parse, verify, create.
//!
//! [`Signature::parse`] is strict to the schema; [`verify`] judges under a [`Profile`], which is an allow-list;
//! [`sign`] makes what our own profile accepts. HMAC, XPath, XSLT and external references do not exist here.
//!
//! Source: XML Signature 1.1; `security.md` rules 2, 3, 5 and rows 9 to 37.

mod ahead;
mod archive;
mod create;
mod error;
mod insert;
mod parse;
mod profile;
mod verify;

pub(crate) use ahead::Ahead;
pub use ahead::parse_ahead;
pub use archive::{ArchiveError, ArchivedReference, ArchivedSignedInfo, verify_archived};
pub use create::{SignedXml, SigningError, SigningReference, sign};
pub use error::{AlgorithmRole, SignatureError};
pub use insert::sign_within;
pub use parse::{Algorithm, Reference, Signature, Transform};
pub use profile::{Enveloped, Profile};
pub use verify::{
    Coverage, Covered, StrResolver, StrTarget, Verified, check_profile, digest_references, verify,
    verify_enveloped, verify_with,
};

/// References in one SignedInfo (`security.md` rule 5).
pub const REFERENCES_MAX: usize = 16;
/// Transforms of one Reference.
pub const TRANSFORMS_MAX: usize = 4;
/// Prefixes in one PrefixList (`security.md` rule 5).
pub const PREFIXES_MAX: usize = 16;

#[cfg(test)]
mod tests;
