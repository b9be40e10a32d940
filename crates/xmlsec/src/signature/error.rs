//! Why a signature was refused.

use crate::c14n::C14nError;
use crate::ids::DuplicateId;

/// What an algorithm identifier was meant for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AlgorithmRole {
    /// `ds:CanonicalizationMethod`, of SignedInfo.
    Canonicalization,
    /// `ds:SignatureMethod`.
    Signature,
    /// `ds:DigestMethod`.
    Digest,
    /// `ds:Transform`.
    Transform,
}

/// Why a signature does not count. Always the sender's fault, unless the caller passed the wrong key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not what the schema of `ds:Signature` has at this place.
    #[error("in ds:Signature, expected {expected}, found {found} at byte {offset}")]
    Schema {
        /// What the schema has.
        expected: &'static str,
        /// What stands there.
        found: String,
        /// Where in the source.
        offset: usize,
    },
    /// A comment or processing instruction within the signature.
    #[error("a comment or processing instruction within ds:Signature")]
    Comment,
    /// Base64 that is none.
    #[error("the text of {element} is not base64")]
    Base64 {
        /// Local name of the element.
        element: &'static str,
    },
    /// More than [`super::REFERENCES_MAX`] references, or transforms or prefixes beyond their caps.
    #[error("more {what} than {max}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The cap.
        max: usize,
    },
    /// An algorithm off the allow-list; the identifier is as seen, so that the caller can name the remedy.
    #[error("{role:?} algorithm {uri:?} is not accepted")]
    Algorithm {
        /// What it was meant for.
        role: AlgorithmRole,
        /// The identifier as seen.
        uri: String,
    },
    /// A `ds:Reference` whose transforms name no canonicalisation (so that implicit, inclusive C14N would hold).
    #[error("the reference {uri:?} names no canonicalisation")]
    CanonicalizationMissing {
        /// The reference's URI.
        uri: String,
    },
    /// A reference without URI, or not of the form `#NCName`.
    #[error("the reference URI {uri:?} is not of the form #id")]
    ReferenceUri {
        /// The URI; empty if there is none.
        uri: String,
    },
    /// A reference to an Id that no element has.
    #[error("the reference {uri:?} leads to no element")]
    ReferenceDangling {
        /// The URI.
        uri: String,
    },
    /// Two references to one element.
    #[error("the element of {uri:?} is referenced twice")]
    ReferenceTwice {
        /// The URI of the second.
        uri: String,
    },
    /// An identifier that stands twice in the document.
    #[error(transparent)]
    DuplicateId(#[from] DuplicateId),
    /// A DigestValue of another length than its algorithm's.
    #[error("the digest of {uri:?} has the wrong length")]
    DigestLength {
        /// The reference's URI.
        uri: String,
    },
    /// The element is not what was signed.
    #[error("the digest of {uri:?} does not match")]
    DigestMismatch {
        /// The reference's URI.
        uri: String,
    },
    /// The signature lies within what it signs, where the profile takes enveloped-signature only as a no-op.
    #[error("the signature lies within the element of {uri:?}")]
    Enveloped {
        /// The reference's URI.
        uri: String,
    },
    /// A STR-Transform on something that is no SecurityTokenReference.
    #[error("STR-Transform on {uri:?}, which is no SecurityTokenReference")]
    StrTransform {
        /// The reference's URI.
        uri: String,
    },
    /// The token of a SecurityTokenReference is not to be had.
    #[error("the token that {uri:?} refers to is not known")]
    StrUnresolved {
        /// The reference's URI.
        uri: String,
    },
    /// `ds:Object` (and with it Manifest) where the profile does not take it.
    #[error("ds:Object in the signature")]
    Object,
    /// The signature value is not that of the key over SignedInfo, or method and key are of different kinds.
    #[error("the signature value does not verify: {0}")]
    Value(&'static str),
    /// There is no canonical form.
    #[error(transparent)]
    C14n(#[from] C14nError),
}

impl SignatureError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Schema { .. } => "xmlsec.signature.schema",
            Self::Comment => "xmlsec.signature.comment",
            Self::Base64 { .. } => "xmlsec.signature.base64",
            Self::TooMany { .. } => "xmlsec.signature.too-many",
            Self::Algorithm { role: AlgorithmRole::Canonicalization, .. } => {
                "xmlsec.algorithm.canonicalization"
            }
            Self::Algorithm { role: AlgorithmRole::Signature, .. } => "xmlsec.algorithm.signature",
            Self::Algorithm { role: AlgorithmRole::Digest, .. } => "xmlsec.algorithm.digest",
            Self::Algorithm { role: AlgorithmRole::Transform, .. } => "xmlsec.algorithm.transform",
            Self::CanonicalizationMissing { .. } => "xmlsec.reference.canonicalization-missing",
            Self::ReferenceUri { .. } => "xmlsec.reference.uri",
            Self::ReferenceDangling { .. } => "xmlsec.reference.dangling",
            Self::ReferenceTwice { .. } => "xmlsec.reference.twice",
            Self::DuplicateId(_) => "xmlsec.id.duplicate",
            Self::DigestLength { .. } => "xmlsec.reference.digest-length",
            Self::DigestMismatch { .. } => "xmlsec.reference.digest-mismatch",
            Self::Enveloped { .. } => "xmlsec.reference.enveloped",
            Self::StrTransform { .. } => "xmlsec.reference.str-transform",
            Self::StrUnresolved { .. } => "xmlsec.reference.str-unresolved",
            Self::Object => "xmlsec.signature.object",
            Self::Value(_) => "xmlsec.signature.value",
            Self::C14n(error) => error.code(),
        }
    }
}
