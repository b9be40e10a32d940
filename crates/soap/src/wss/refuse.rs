//! The refusals of WS-Security: SOA-01001 but for who may not send here at all.

use super::Proof;
use crate::refuse::refusal;
use erds::Sender;
use erds::refusal::{FaultCode, Refusal};
use xmlsec::signature::{AlgorithmRole, SignatureError};

/// A request that is not authenticated, or is and says what the contract has no place for.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", refusal.check, refusal.seen)]
pub struct SecurityRefusal {
    /// What goes to the caller and into the journal.
    pub refusal: Box<Refusal>,
    /// Who signed it, where the signature proved that before the request was refused.
    pub signatory: Option<Box<Signatory>>,
}

/// Who signed a message that was refused for what it says, and by what it is known again. That the connection is his too is not
/// judged here.
#[derive(Clone, Debug)]
pub struct Signatory {
    /// Who, by the certificate.
    pub sender: Sender,
    /// The canonical SignedInfo: the bytes that were signed.
    pub signed_info: Vec<u8>,
}

impl From<Refusal> for SecurityRefusal {
    fn from(refusal: Refusal) -> Self {
        Self { refusal: Box::new(refusal), signatory: None }
    }
}

impl SecurityRefusal {
    /// The stable name of the check that failed.
    pub fn code(&self) -> &'static str {
        self.refusal.check
    }

    pub(super) fn by(refusal: Refusal, sender: Sender, proof: Proof) -> Self {
        let signatory = Signatory { sender, signed_info: proof.signed_info };
        Self { refusal: Box::new(refusal), signatory: Some(Box::new(signatory)) }
    }
}

const SHA1_REMEDY: &str = "Sign with RSA-SHA256 and SHA-256 digests. CXF and Metro by policy: set \
    ws-security.asymmetric.signature.algorithm to http://www.w3.org/2001/04/xmldsig-more#rsa-sha256 (and the suite to \
    Basic256Sha256). WSS4J by hand: signatureAlgorithm = that URI, signatureDigestAlgorithm = \
    http://www.w3.org/2001/04/xmlenc#sha256. Spring-WS: securementSignatureAlgorithm and \
    securementSignatureDigestAlgorithm likewise. zeep: signature_method=RSA_SHA256, digest_method=SHA256.";

/// SOA-01001.
pub(super) fn security(check: &'static str, seen: &str, expected: &str, remedy: &str) -> Refusal {
    refusal(FaultCode::Soa01001, check, seen, expected, remedy)
}

/// A wrong value and a wrong key look alike: which of them it was would be an oracle, and is for the journal alone.
pub(super) fn value_invalid(seen: &str) -> Refusal {
    security(
        "wss.signature.value",
        seen,
        "a signature by the key of the named certificate",
        "Sign the message last, with the key that belongs to the certificate in it; change nothing afterwards.",
    )
}

/// The check of a signature by SHA-1 over digests that are not: a stack with such a policy believes no signature but its like.
pub const SIGNATURE_SHA1: &str = "wss.algorithm.signature-sha1";

/// The check of a signature over `xop:Include` as it stands.
pub(super) const NOT_EXPANDED: &str = "wss.signature.xop-not-expanded";

pub(super) fn not_expanded() -> Refusal {
    security(
        NOT_EXPANDED,
        "a signature over xop:Include elements instead of what they stand for",
        "digests covered by the signature",
        "CXF: set ws-security.expand.xop.include=true; others: send DigestValue inline (no MTOM).",
    )
}

/// How an error of the signature is told.
pub(super) fn signature(error: &SignatureError) -> Refusal {
    let seen = error.to_string();
    match error {
        SignatureError::Value(reason) => value_invalid(reason),
        SignatureError::Algorithm { role: AlgorithmRole::Signature, uri } if is_sha1(uri) => {
            security(SIGNATURE_SHA1, uri, "RSA or ECDSA with SHA-2", SHA1_REMEDY)
        }
        SignatureError::Algorithm { role: AlgorithmRole::Digest, uri } if is_sha1(uri) => {
            security("wss.algorithm.digest-sha1", uri, "SHA-256, SHA-384 or SHA-512", SHA1_REMEDY)
        }
        SignatureError::Algorithm { role, uri } => {
            let (check, expected) = match role {
                AlgorithmRole::Signature => (
                    "wss.algorithm.signature",
                    "RSA PKCS#1 v1.5 with SHA-256/384/512, RSA-PSS with SHA-256, ECDSA P-256/SHA-256, P-384/SHA-384",
                ),
                AlgorithmRole::Digest => ("wss.algorithm.digest", "SHA-256, SHA-384 or SHA-512"),
                AlgorithmRole::Canonicalization => {
                    ("wss.algorithm.canonicalization", "http://www.w3.org/2001/10/xml-exc-c14n#")
                }
                AlgorithmRole::Transform => (
                    "wss.algorithm.transform",
                    "http://www.w3.org/2001/10/xml-exc-c14n#, or STR-Transform on the SecurityTokenReference",
                ),
            };
            security(check, uri, expected, "Use one of the expected algorithms; nothing else is ever taken.")
        }
        SignatureError::DigestMismatch { .. } => security(
            "wss.signature.digest",
            &seen,
            "the referenced element as it was when its digest was taken",
            "Sign last and change nothing afterwards: no re-formatting, no gateway that rewrites namespaces.",
        ),
        SignatureError::DuplicateId(_) => security(
            "wss.id.duplicate",
            &seen,
            "every wsu:Id, Id, ID, id, xml:id and AssertionID once in the message",
            "Make the Ids of the message unique.",
        ),
        SignatureError::CanonicalizationMissing { .. } => security(
            "wss.reference.canonicalization-missing",
            &seen,
            "the transform http://www.w3.org/2001/10/xml-exc-c14n# in every Reference",
            "Add the exclusive canonicalisation as the Reference's transform.",
        ),
        other => security(
            other.code(),
            &seen,
            "a ds:Signature of the profile in the manual: references #id, exclusive C14N, SHA-2",
            "Sign Timestamp and Body by their wsu:Id, as the policy in the WSDL has it.",
        ),
    }
}

pub(super) fn is_sha1(uri: &str) -> bool {
    let uri = uri.to_ascii_lowercase();
    uri.contains("sha1") && !uri.contains("hmac")
}
