//! The seal: a detached CAdES-BASELINE-T over a proof's exact bytes.
//!
//! Two steps, two types: [`seal`] signs and gives an [`Unstamped`], which is no proof and cannot be handed out;
//! [`Stampable::stamp`] takes a checked time-stamp token over the signature and gives the [`Sealed`] proof.
//!
//! Sources: `contract.md` (The seal), ETSI EN 319 122-1 §6.3 (baseline levels), RFC 3161 Appendix A.

pub(crate) mod form;
pub(crate) mod token;

use erds::Record;
use jiff::Timestamp;
use pki::algorithm::SignatureAlgorithm;
use pki::digest::{Digest, DigestAlgorithm};
use pki::signer::{SignError, Signer};
use pki::tsp::CheckedToken;

use crate::package::PackageError;
use crate::schema::ProofReadError;
use form::{FormAlgorithm, SealForm};

/// A proof that is signed but has no trusted time yet: not a proof. It can only be stamped or dropped.
#[derive(Debug)]
#[must_use = "an unstamped seal proves nothing: stamp it"]
pub struct Unstamped {
    xml: Vec<u8>,
    form: SealForm,
}

/// A sealed proof: the file, and its signature with a time-stamp that was checked in full.
///
/// Only [`Stampable::stamp`] makes one, and only for something that the journal holds durably.
#[derive(Clone, Debug)]
pub struct Sealed {
    xml: Vec<u8>,
    p7s: Vec<u8>,
    gen_time: Timestamp,
}

/// Signs `xml` as a proof of the fact that `recorded` holds; `at` is the claimed signing-time, cut to the second.
///
/// One signature, no I/O of its own (a signer may do some). The certificates beside the signature are the signer's and
/// its intermediates, never the root.
///
/// # Errors
/// [`SealError`]: ours, never the sender's.
///
/// Nothing is proved that is not durable in the journal (`security.md` rule 8):
/// ```
/// use evidence::seal::seal;
/// fn prove(fact: &journal::Recorded, signer: &dyn pki::signer::Signer, now: jiff::Timestamp) {
///     let _ = seal(fact, b"<ReceiptContent/>", signer, now);
/// }
/// ```
/// ```compile_fail,E0308
/// use evidence::seal::seal;
/// fn prove(fact: &erds::Record, signer: &dyn pki::signer::Signer, now: jiff::Timestamp) {
///     let _ = seal(fact, b"<ReceiptContent/>", signer, now);
/// }
/// ```
pub fn seal(
    recorded: &journal::Recorded,
    xml: &[u8],
    signer: &dyn Signer,
    at: Timestamp,
) -> Result<Unstamped, SealError> {
    if proves(recorded.record(), xml) { sign(xml, signer, at) } else { Err(SealError::OtherItem) }
}

/// Signs a file that stays where it is, by its SHA-256: what `recorded`, an acceptance, is delivered as. As [`seal`] for the rest.
///
/// # Errors
/// [`SealError`]: ours, never the sender's.
pub fn seal_file(
    recorded: &journal::Recorded,
    file_sha256: [u8; 32],
    signer: &dyn Signer,
    at: Timestamp,
) -> Result<Unstamped, SealError> {
    match recorded.record() {
        Record::Accepted(_) => sign_digest(Vec::new(), file_sha256, signer, at),
        _ => Err(SealError::OtherItem),
    }
}

/// A receipt is sealed for a Received, a proof of dispatch for a Consigned, each of the same ticket: no mix-up of
/// variables brings a proof of another fact into the world.
fn proves(record: &Record, xml: &[u8]) -> bool {
    let (root, ticket) = match record {
        Record::Received(received) => ("<ReceiptContent ", &received.ticket),
        Record::Consigned(consigned) => ("<ProofOfDispatchContent ", &consigned.ticket),
        _ => return false,
    };
    let ticket = format!("<Ticket>{}</Ticket>", ticket.as_str());
    let holds = |wanted: &str| xml.windows(wanted.len()).any(|window| window == wanted.as_bytes());
    holds(root) && holds(&ticket)
}

/// The part of [`seal`] that does not ask for a witness: for the tests of this crate.
pub(crate) fn sign(xml: &[u8], signer: &dyn Signer, at: Timestamp) -> Result<Unstamped, SealError> {
    sign_digest(xml.to_vec(), pki::digest::sha256(xml), signer, at)
}

fn sign_digest(
    xml: Vec<u8>,
    message_digest: [u8; 32],
    signer: &dyn Signer,
    at: Timestamp,
) -> Result<Unstamped, SealError> {
    let algorithm = match signer.algorithm() {
        SignatureAlgorithm::RsaSha256 => FormAlgorithm::RsaSha256,
        SignatureAlgorithm::EcdsaSha256 => FormAlgorithm::EcdsaSha256,
        _ => return Err(SealError::Algorithm),
    };
    let certificate = signer.certificate();
    let mut certificates = vec![certificate.der().to_vec()];
    certificates.extend(signer.chain().iter().map(|intermediate| intermediate.der().to_vec()));
    certificates.sort();
    certificates.dedup();
    let mut form = SealForm {
        signing_time: Timestamp::from_second(at.as_second()).map_err(|_| SealError::Time)?,
        message_digest,
        certificate_sha256: certificate.fingerprint(),
        signer_id: form::signer_id(certificate.der()).map_err(|_| SealError::Certificate)?,
        certificates,
        algorithm,
        signature: Vec::new(),
        token: None,
    };
    let signature = signer.sign(&form.signed_attributes())?;
    form.signature = match algorithm {
        FormAlgorithm::RsaSha256 => signature,
        FormAlgorithm::EcdsaSha256 => {
            pki::algorithm::ecdsa_to_der(&signature).map_err(|_| SealError::SignatureValue)?
        }
    };
    Ok(Unstamped { xml, form })
}

#[cfg(test)]
impl Unstamped {
    pub(crate) fn into_form(self) -> SealForm {
        self.form
    }
}

/// The token's bytes and its time, if it is one that our own verifier takes over that imprint.
pub(crate) fn checked_token(
    checked: &CheckedToken,
    imprint: &Digest,
) -> Result<(Vec<u8>, Timestamp), SealError> {
    let token = checked.token();
    if !token::is_tight(token.der()) || !token::carries_path_alone(checked.path(), token.certificates()) {
        return Err(SealError::Token);
    }
    if !token.tst_info().imprint.matches(imprint) {
        return Err(SealError::Imprint);
    }
    Ok((token.der().to_vec(), token.tst_info().gen_time))
}

/// What is signed and wants a time-stamp: a detached seal, an evidence ([`crate::event`]) or a package ([`crate::package`]).
pub trait Stampable: Sized {
    /// What it is once it is stamped.
    type Sealed;
    /// The imprint that the time-stamp must have.
    fn signature_digest(&self) -> Digest;
    /// Adds the time-stamp and ends the work.
    ///
    /// # Errors
    /// [`SealError::Imprint`]: the token is over something else: the caller's mistake. [`SealError::Token`]: the
    /// authority makes tokens that our own verifier would refuse: take another authority.
    fn stamp(self, checked: CheckedToken) -> Result<Self::Sealed, SealError>;
}

impl Stampable for Unstamped {
    type Sealed = Sealed;

    /// SHA-256 of the signature value (EN 319 122-1 §5.3).
    fn signature_digest(&self) -> Digest {
        Digest::of(DigestAlgorithm::Sha256, &self.form.signature)
    }

    fn stamp(mut self, checked: CheckedToken) -> Result<Sealed, SealError> {
        let (token, gen_time) = checked_token(&checked, &self.signature_digest())?;
        self.form.token = Some(token);
        Ok(Sealed { xml: self.xml, p7s: self.form.encode(), gen_time })
    }
}

impl Sealed {
    /// The proof's bytes, as they were signed; none of a file that stayed where it is.
    pub fn xml(&self) -> &[u8] {
        &self.xml
    }

    /// The detached signature, DER.
    pub fn p7s(&self) -> &[u8] {
        &self.p7s
    }

    /// The trusted time.
    pub fn gen_time(&self) -> Timestamp {
        self.gen_time
    }

    /// The proof's bytes and its signature.
    pub fn into_parts(self) -> (Vec<u8>, Vec<u8>) {
        (self.xml, self.p7s)
    }
}

/// Why nothing was sealed. None of it is the sender's fault.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The proof is not of the fact and the ticket that the record holds: a receipt needs a Received, a proof of
    /// dispatch a Consigned, a file that is delivered an Accepted.
    #[error("the proof is not of the recorded item")]
    OtherItem,
    /// The seal's key signs with something other than RSA or P-256 with SHA-256.
    #[error("a seal is made with RSA-SHA-256 or ECDSA-SHA-256")]
    Algorithm,
    /// The seal's certificate could not be read.
    #[error("the seal's certificate has no issuer and serial number")]
    Certificate,
    /// The signer gave bytes that are no signature value.
    #[error("the signer gave no signature value")]
    SignatureValue,
    /// The claimed time is out of range.
    #[error("the signing time is out of range")]
    Time,
    /// The signer did not sign.
    #[error("the signer did not sign: {0}")]
    Sign(#[from] SignError),
    /// The evidence says something that its reader would refuse: a text or a list beyond its length.
    #[error("the evidence could not be read back: {0}")]
    Evidence(#[from] ProofReadError),
    /// The contents are none of a package, or do not belong together.
    #[error("no package: {0}")]
    Package(#[from] PackageError),
    /// The time-stamp token has bytes that nothing accounts for: certificates beside its path, wrong versions.
    #[error("the time-stamp token carries more than its path, or versions that RFC 5652 does not allow")]
    Token,
    /// The time-stamp is not over this signature.
    #[error("the time-stamp token is over something else")]
    Imprint,
}

impl SealError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherItem => "seal.other_item",
            Self::Algorithm => "seal.algorithm",
            Self::Certificate => "seal.certificate",
            Self::SignatureValue => "seal.signature_value",
            Self::Time => "seal.time",
            Self::Sign(_) => "seal.sign",
            Self::Evidence(_) => "seal.evidence",
            Self::Package(_) => "seal.package",
            Self::Token => "seal.token",
            Self::Imprint => "seal.imprint",
        }
    }
}
