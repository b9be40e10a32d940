//! A signature years later: the canonical SignedInfo from the journal, its value and its key.

use pki::algorithm::SignatureAlgorithm;
use pki::certificate::PublicKey;
use pki::digest::DigestAlgorithm;

use super::parse::{Algorithm, signed_info_parts};
use super::{AlgorithmRole, SignatureError};
use crate::c14n::{self, Method};
use crate::{Document, Limits, ReadError};

/// What an archived SignedInfo says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArchivedSignedInfo {
    /// How it was canonicalised.
    pub canonicalization: Algorithm<'static, Method>,
    /// The signature method.
    pub method: Algorithm<'static, SignatureAlgorithm>,
    /// The references in order.
    pub references: Vec<ArchivedReference>,
}

/// One reference of an archived SignedInfo.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArchivedReference {
    /// The URI; empty if there was none.
    pub uri: String,
    /// The digest method.
    pub method: Algorithm<'static, DigestAlgorithm>,
    /// The digest.
    pub value: Vec<u8>,
}

impl ArchivedSignedInfo {
    /// Reads a SignedInfo from its canonical bytes.
    ///
    /// # Errors
    /// `Read`: no XML; `Signature`: no SignedInfo, or not the canonical form of itself. The archive is damaged.
    pub fn parse(canonical: &[u8]) -> Result<Self, ArchiveError> {
        let document = Document::parse(canonical, &Limits::default())?;
        let (canonicalization, method, references) = signed_info_parts(document.root())?;
        if let Some(c14n) = &canonicalization.known {
            let mut again = Vec::with_capacity(canonical.len());
            c14n::canonicalize_document(&document, c14n, &mut again).map_err(SignatureError::from)?;
            if again != canonical {
                return Err(ArchiveError::NotCanonical);
            }
        }
        let references = references
            .into_iter()
            .map(|reference| ArchivedReference {
                uri: reference.uri.unwrap_or_default().into_owned(),
                method: reference.method.into_owned(),
                value: reference.value,
            })
            .collect();
        let (canonicalization, method) = (canonicalization.into_owned(), method.into_owned());
        Ok(Self { canonicalization, method, references })
    }
}

/// Verifies an archived signature from its parts; the method is the one that SignedInfo itself names.
///
/// # Errors
/// As [`ArchivedSignedInfo::parse`]; `Signature`: a method not known here, or a value that is not the key's.
pub fn verify_archived(
    canonical_signed_info: &[u8],
    value: &[u8],
    key: &PublicKey,
) -> Result<ArchivedSignedInfo, ArchiveError> {
    let signed_info = ArchivedSignedInfo::parse(canonical_signed_info)?;
    let method = signed_info.method.known.ok_or_else(|| SignatureError::Algorithm {
        role: AlgorithmRole::Signature,
        uri: signed_info.method.uri.to_string(),
    })?;
    key.verify(method, canonical_signed_info, value).map_err(|error| SignatureError::Value(error.code()))?;
    Ok(signed_info)
}

/// Why an archived signature does not hold: damage, or a forgery.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes are no XML.
    #[error("archived SignedInfo: {0}")]
    Read(#[from] ReadError),
    /// The bytes are not in the canonical form that they name.
    #[error("archived SignedInfo is not in its canonical form")]
    NotCanonical,
    /// The bytes are no SignedInfo, or the value is not over them.
    #[error("archived signature: {0}")]
    Signature(#[from] SignatureError),
}

impl ArchiveError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read(error) => error.code(),
            Self::NotCanonical => "xmlsec.archive.not-canonical",
            Self::Signature(error) => error.code(),
        }
    }
}
