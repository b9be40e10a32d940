//! What a verifier takes: an allow-list.

use pki::algorithm::SignatureAlgorithm;
use pki::digest::DigestAlgorithm;

use crate::c14n;

/// The algorithms and shapes that a verification accepts; everything else is refused before any cryptography runs.
///
/// No profile takes what does not exist here (`security.md` rule 2):
/// ```
/// use pki::digest::DigestAlgorithm;
/// use xmlsec::signature::Profile;
/// let profile = Profile { digests: vec![DigestAlgorithm::Sha256], ..Profile::service() };
/// ```
/// ```compile_fail,E0599
/// use pki::digest::DigestAlgorithm;
/// use xmlsec::signature::Profile;
/// let profile = Profile { digests: vec![DigestAlgorithm::Sha1], ..Profile::service() };
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Profile {
    /// Canonical XML 1.0 and 1.1 besides the exclusive one.
    pub inclusive_c14n: bool,
    /// Canonical forms with comments; what a Reference covers is without them all the same (XML Signature §4.4.3.3).
    pub comments: bool,
    /// References that name no canonicalisation: Canonical XML 1.0 is then meant (XML Signature §4.4.3.2).
    pub implicit_c14n: bool,
    /// References whose URI is empty: the whole document.
    pub whole_document: bool,
    /// Digests.
    pub digests: Vec<DigestAlgorithm>,
    /// Signature methods.
    pub signatures: Vec<SignatureAlgorithm>,
    /// STR-Transform on a SecurityTokenReference.
    pub str_transform: bool,
    /// The enveloped-signature transform.
    pub enveloped: Enveloped,
    /// `ds:Object` within the signature (what is in it is never coverage by a Manifest).
    pub objects: bool,
}

/// What the enveloped-signature transform may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Enveloped {
    /// Refused.
    Refused,
    /// Taken where the signature is not inside the referenced element, so that it does nothing.
    NoOp,
    /// Taken as XML Signature §6.6.4 has it.
    Allowed,
}

impl Profile {
    /// The service's: `security.md` rule 2, `clients.md` 2.
    pub fn service() -> Self {
        use DigestAlgorithm as D;
        use SignatureAlgorithm as S;
        Self {
            inclusive_c14n: false,
            comments: false,
            implicit_c14n: false,
            whole_document: false,
            digests: vec![D::Sha256, D::Sha384, D::Sha512],
            signatures: vec![
                S::RsaSha256,
                S::RsaSha384,
                S::RsaSha512,
                S::RsaPssSha256,
                S::EcdsaSha256,
                S::EcdsaSha384,
            ],
            str_transform: true,
            enveloped: Enveloped::NoOp,
            objects: false,
        }
    }

    pub(super) fn takes(&self, method: &c14n::Method) -> bool {
        (self.comments || !method.comments)
            && (self.inclusive_c14n || method.algorithm == c14n::Algorithm::Exclusive)
    }
}
