//! OCSP responses: asked for, read strictly, and judged by us.
//!
//! Source: RFC 6960 §4.1, §4.2 and §3.2 (what a client checks); RFC 9654 (nonce); `security.md` row 47.

use std::sync::Arc;

use jiff::Timestamp;
use openssl::hash::{MessageDigest, hash};

use crate::algorithm::{SignatureAlgorithm, ecdsa_from_der};
use crate::certificate::{Certificate, KeyKind};
use crate::cms;
use crate::der::{self, DerError, Value, tag};
use crate::tsp::generalized_time;
use crate::window::Window;

/// A question about one certificate, DER. The nonce comes back in the answer of a responder that makes answers afresh.
///
/// The certificate is named by SHA-1, the one algorithm that every responder knows (RFC 5019 §2.1.1): nothing rests on it, for
/// the answer is bound by its signature.
///
/// # Errors
/// The crypto library's: ours.
pub fn request_der(
    certificate: &Certificate,
    issuer: &Certificate,
    nonce: &[u8; 32],
) -> Result<Vec<u8>, OcspError> {
    let failed = |_| OcspError::Library;
    let (name, key) = issuer_hashes(issuer, MessageDigest::sha1()).map_err(failed)?;
    let oid = |dotted: &str| der::encode_oid(dotted).map_err(|_| OcspError::Library);
    let algorithm = der::encode(tag::SEQUENCE, &[&oid(SHA1)?, &[tag::NULL, 0]]);
    let octets = |bytes: &[u8]| der::encode(tag::OCTET_STRING, &[bytes]);
    let serial = der::encode(tag::INTEGER, &[certificate.serial()]);
    let id = der::encode(tag::SEQUENCE, &[&algorithm, &octets(&name), &octets(&key), &serial]);
    let list = der::encode(tag::SEQUENCE, &[&der::encode(tag::SEQUENCE, &[&id])]);
    let nonce = der::encode(tag::SEQUENCE, &[&oid(NONCE)?, &octets(&octets(nonce))]);
    let extensions = der::encode(REQUEST_EXTENSIONS, &[&der::encode(tag::SEQUENCE, &[&nonce])]);
    Ok(der::encode(tag::SEQUENCE, &[&der::encode(tag::SEQUENCE, &[&list, &extensions])]))
}

/// One answer; whether its signature is good is judged when a path asks.
#[derive(Clone, Debug)]
pub struct OcspResponse(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    der: Vec<u8>,
    to_be_signed: Vec<u8>,
    algorithm: String,
    signature: Vec<u8>,
    certificates: Vec<Certificate>,
    responder: Responder,
    produced_at: Timestamp,
    nonce: Option<Vec<u8>>,
    singles: Vec<Single>,
}

#[derive(Debug)]
enum Responder {
    Name(Vec<u8>),
    KeySha1(Vec<u8>),
}

/// What is said of one certificate.
#[derive(Debug)]
struct Single {
    digest: &'static str,
    issuer_name_hash: Vec<u8>,
    issuer_key_hash: Vec<u8>,
    serial: Vec<u8>,
    status: Status,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
}

/// The worse, the greater.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Status {
    Good,
    Unknown,
    Revoked(Timestamp),
}

/// Why bytes are no answer; the responder's fault, or of who is in between.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OcspError {
    /// Not one basic response in strict DER, exactly to the end; or one certificate twice in it.
    #[error("not one basic OCSP response in DER")]
    Malformed,
    /// The responder says that it does not answer.
    #[error("OCSP status {status} instead of successful")]
    NotSuccessful {
        /// OCSPResponseStatus.
        status: u8,
    },
    /// A critical extension that is not known.
    #[error("a critical extension that is not known")]
    Extension,
    /// Larger than any answer about one certificate.
    #[error("more than {RESPONSE_BYTES_MAX} bytes")]
    Size,
    /// The answer to another question.
    #[error("the nonce is not the one sent")]
    Nonce,
    /// Of another certificate, or signed by nobody who may answer for its authority.
    #[error("not an answer of the certificate's authority about it")]
    NotOfAuthority,
    /// Made in the future, past its end, or without one.
    #[error("an answer that is not current")]
    NotCurrent,
    /// The crypto library failed.
    #[error("the crypto library failed")]
    Library,
}

impl OcspError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "ocsp.malformed",
            Self::NotSuccessful { .. } => "ocsp.not-successful",
            Self::Extension => "ocsp.extension",
            Self::Size => "ocsp.size",
            Self::Nonce => "ocsp.nonce",
            Self::NotOfAuthority => "ocsp.not-of-authority",
            Self::NotCurrent => "ocsp.not-current",
            Self::Library => "ocsp.library",
        }
    }
}

impl From<DerError> for OcspError {
    fn from(_: DerError) -> Self {
        Self::Malformed
    }
}

/// Largest response that is read.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024;

impl OcspResponse {
    /// Reads one OCSPResponse.
    ///
    /// # Errors
    /// [`OcspError`].
    pub fn from_der(bytes: &[u8]) -> Result<Self, OcspError> {
        if bytes.len() > RESPONSE_BYTES_MAX {
            return Err(OcspError::Size);
        }
        der::check_deep(bytes)?;
        let mut response = der::whole(bytes, tag::SEQUENCE)?.inside();
        match response.take(ENUMERATED)?.contents {
            [0] => {}
            [status] => return Err(OcspError::NotSuccessful { status: *status }),
            _ => return Err(OcspError::Malformed),
        }
        let mut explicit = response.take(tag::CONTEXT_0)?.inside();
        response.end()?;
        let mut typed = explicit.take(tag::SEQUENCE)?.inside();
        explicit.end()?;
        let kind = der::decode_oid(typed.take(tag::OID)?.contents)?;
        let basic = typed.take(tag::OCTET_STRING)?.contents;
        typed.end()?;
        if kind != BASIC {
            return Err(OcspError::Malformed);
        }
        der::check_deep(basic)?;
        let mut fields = der::whole(basic, tag::SEQUENCE)?.inside();
        let to_be_signed = fields.take(tag::SEQUENCE)?;
        let algorithm = cms::algorithm(fields.take(tag::SEQUENCE)?)?;
        let Some((0, signature)) = fields.take(tag::BIT_STRING)?.contents.split_first() else {
            return Err(OcspError::Malformed);
        };
        let certificates = match fields.optional(tag::CONTEXT_0)? {
            Some(explicit) => der::whole(explicit.contents, tag::SEQUENCE)?.all(tag::SEQUENCE)?,
            None => Vec::new(),
        };
        fields.end()?;
        let certificates = certificates.iter().map(|one| Certificate::from_der(one.whole));
        let certificates = certificates.collect::<Result<_, _>>().map_err(|_| OcspError::Malformed)?;
        let data = Data::read(to_be_signed)?;
        Ok(Self(Arc::new(Inner {
            der: bytes.to_vec(),
            to_be_signed: to_be_signed.whole.to_vec(),
            algorithm,
            signature: signature.to_vec(),
            certificates,
            responder: data.responder,
            produced_at: data.produced_at,
            nonce: data.nonce,
            singles: data.singles,
        })))
    }

    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Checks that it answers the question with this nonce. A response without one was made ahead, for everybody: it is as good
    /// as it is fresh (RFC 5019 §4), and that is judged in any case.
    fn check_nonce(&self, sent: &[u8; 32]) -> Result<(), OcspError> {
        match &self.0.nonce {
            Some(nonce) if nonce != sent => Err(OcspError::Nonce),
            _ => Ok(()),
        }
    }

    /// Checks that it is the answer to this question, of that authority, and current at `at`; what it says is not looked at.
    ///
    /// # Errors
    /// `Nonce`, `NotOfAuthority`, `NotCurrent`: the responder's fault, or of who is in between.
    pub fn check(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        nonce: &[u8; 32],
        at: Timestamp,
    ) -> Result<(), OcspError> {
        self.check_nonce(nonce)?;
        match judge(std::slice::from_ref(self), certificate, issuer, at) {
            OcspAnswer::Missing => Err(OcspError::NotOfAuthority),
            OcspAnswer::Stale => Err(OcspError::NotCurrent),
            OcspAnswer::Good | OcspAnswer::Revoked(_) | OcspAnswer::Unknown => Ok(()),
        }
    }

    /// Cuts a window to the times at which this response is as current as at `at`.
    pub(crate) fn cut(&self, window: &mut Window, at: Timestamp) {
        window.keep_side_of_begin(self.0.produced_at, at);
        for single in &self.0.singles {
            window.keep_side_of_begin(single.this_update, at);
            if let Some(next) = single.next_update {
                window.keep_side_of_last(next, at);
            }
        }
        for delegate in &self.0.certificates {
            window.keep_side_of_begin(delegate.not_before(), at);
            window.keep_side_of_begin(delegate.not_after(), at);
        }
    }

    /// What it says of a certificate.
    fn single(&self, certificate: &Certificate, issuer: &Certificate) -> Option<&Single> {
        self.0.singles.iter().find(|single| {
            let digest = if single.digest == SHA1 { MessageDigest::sha1() } else { MessageDigest::sha256() };
            single.serial == certificate.serial()
                && issuer_hashes(issuer, digest)
                    .is_ok_and(|(name, key)| single.issuer_name_hash == name && single.issuer_key_hash == key)
        })
    }

    /// Whether it is signed by that authority, or by whom it named for that at `at` (RFC 6960 §4.2.2.2).
    fn is_of(&self, issuer: &Certificate, at: Timestamp) -> bool {
        let may_answer = |signer: &Certificate| signer == issuer || is_delegate(signer, issuer, at);
        let mut signers = std::iter::once(issuer).chain(&self.0.certificates);
        signers.any(|signer| self.names(signer) && may_answer(signer) && self.is_signed_by(signer))
    }

    fn names(&self, signer: &Certificate) -> bool {
        match &self.0.responder {
            Responder::Name(name) => signer.subject().der() == name,
            Responder::KeySha1(stated) => {
                issuer_hashes(signer, MessageDigest::sha1()).is_ok_and(|(_, key)| &key == stated)
            }
        }
    }

    fn is_signed_by(&self, signer: &Certificate) -> bool {
        let key = signer.public_key();
        let algorithm = match (self.0.algorithm.as_str(), key.kind()) {
            ("1.2.840.113549.1.1.11", KeyKind::Rsa) => SignatureAlgorithm::RsaSha256,
            ("1.2.840.113549.1.1.12", KeyKind::Rsa) => SignatureAlgorithm::RsaSha384,
            ("1.2.840.113549.1.1.13", KeyKind::Rsa) => SignatureAlgorithm::RsaSha512,
            ("1.2.840.10045.4.3.2", KeyKind::P256) => SignatureAlgorithm::EcdsaSha256,
            ("1.2.840.10045.4.3.3", KeyKind::P384) => SignatureAlgorithm::EcdsaSha384,
            _ => return false,
        };
        let value = match key.kind() {
            KeyKind::P256 => ecdsa_from_der(&self.0.signature, 32),
            KeyKind::P384 => ecdsa_from_der(&self.0.signature, 48),
            _ => Ok(self.0.signature.clone()),
        };
        value.is_ok_and(|value| key.verify(algorithm, &self.0.to_be_signed, &value).is_ok())
    }
}

/// A certificate that the authority itself issued, with its present key, for answering, and of which it says that its
/// revocation need not be asked for: else every answer would raise another question.
fn is_delegate(signer: &Certificate, issuer: &Certificate, at: Timestamp) -> bool {
    let for_answering =
        signer.extended_key_usage().is_some_and(|usage| usage.purposes.iter().any(|one| one == OCSP_SIGNING));
    let may_sign = signer.key_usage().is_none_or(|usage| usage.digital_signature);
    let in_force = signer.not_before() <= at && at < signer.not_after();
    for_answering
        && may_sign
        && in_force
        && !signer.is_ca()
        && signer.is_ocsp_no_check()
        && signer.is_issued_by(issuer)
}

struct Data {
    responder: Responder,
    produced_at: Timestamp,
    nonce: Option<Vec<u8>>,
    singles: Vec<Single>,
}

impl Data {
    fn read(value: Value<'_>) -> Result<Self, OcspError> {
        let mut fields = value.inside();
        // The version is v1, which is DEFAULT and so not there.
        let responder = match fields.optional(tag::CONTEXT_1)? {
            Some(name) => Responder::Name(der::whole(name.contents, tag::SEQUENCE)?.whole.to_vec()),
            None => {
                let key = fields.take(0xa2)?;
                Responder::KeySha1(der::whole(key.contents, tag::OCTET_STRING)?.contents.to_vec())
            }
        };
        let produced_at = time(fields.take(tag::GENERALIZED_TIME)?)?;
        let singles: Vec<Single> = fields
            .take(tag::SEQUENCE)?
            .all(tag::SEQUENCE)?
            .into_iter()
            .map(Single::read)
            .collect::<Result<_, _>>()?;
        let twice = |(place, one): (usize, &Single)| {
            singles.iter().take(place).any(|other| one.serial == other.serial)
        };
        if singles.iter().enumerate().any(twice) {
            return Err(OcspError::Malformed);
        }
        let mut nonce = None;
        if let Some(list) = fields.optional(tag::CONTEXT_1)? {
            for (oid, value) in extensions(list, &[NONCE])? {
                if oid == NONCE {
                    nonce = Some(der::whole(value, tag::OCTET_STRING)?.contents.to_vec());
                }
            }
        }
        fields.end()?;
        Ok(Self { responder, produced_at, nonce, singles })
    }
}

impl Single {
    fn read(value: Value<'_>) -> Result<Self, OcspError> {
        let mut fields = value.inside();
        let mut id = fields.take(tag::SEQUENCE)?.inside();
        let digest = match cms::algorithm(id.take(tag::SEQUENCE)?)?.as_str() {
            SHA1 => SHA1,
            SHA256 => SHA256,
            _ => return Err(OcspError::Malformed),
        };
        let issuer_name_hash = id.take(tag::OCTET_STRING)?.contents.to_vec();
        let issuer_key_hash = id.take(tag::OCTET_STRING)?.contents.to_vec();
        let serial = id.take(tag::INTEGER)?.contents.to_vec();
        id.end()?;
        let status = fields.any()?;
        let status = match (status.tag, status.contents) {
            (0x80, []) => Status::Good,
            (0x82, []) => Status::Unknown,
            (0xa1, _) => {
                let mut revoked = status.inside();
                let since = time(revoked.take(tag::GENERALIZED_TIME)?)?;
                revoked.optional(tag::CONTEXT_0)?; // the reason
                revoked.end()?;
                Status::Revoked(since)
            }
            _ => return Err(OcspError::Malformed),
        };
        let this_update = time(fields.take(tag::GENERALIZED_TIME)?)?;
        let next_update = match fields.optional(tag::CONTEXT_0)? {
            Some(explicit) => Some(time(der::whole(explicit.contents, tag::GENERALIZED_TIME)?)?),
            None => None,
        };
        if let Some(list) = fields.optional(tag::CONTEXT_1)? {
            extensions(list, &[])?;
        }
        fields.end()?;
        Ok(Self { digest, issuer_name_hash, issuer_key_hash, serial, status, this_update, next_update })
    }
}

fn time(value: Value<'_>) -> Result<Timestamp, OcspError> {
    generalized_time(value.contents).map_err(|_| OcspError::Malformed)
}

/// Identifier and value of each extension; none stands twice, and a critical one is among `known`.
fn extensions<'a>(explicit: Value<'a>, known: &[&str]) -> Result<Vec<(String, &'a [u8])>, OcspError> {
    let mut found: Vec<(String, &[u8])> = Vec::new();
    for extension in der::whole(explicit.contents, tag::SEQUENCE)?.all(tag::SEQUENCE)? {
        let mut fields = extension.inside();
        let oid = der::decode_oid(fields.take(tag::OID)?.contents)?;
        let critical = fields.optional(tag::BOOLEAN)?.is_some();
        let value = fields.take(tag::OCTET_STRING)?.contents;
        fields.end()?;
        if found.iter().any(|(other, _)| *other == oid) {
            return Err(OcspError::Malformed);
        }
        if critical && !known.contains(&oid.as_str()) {
            return Err(OcspError::Extension);
        }
        found.push((oid, value));
    }
    Ok(found)
}

/// The hashes of the authority's name and of its key's bits (RFC 6960 §4.1.1).
fn issuer_hashes(
    issuer: &Certificate,
    digest: MessageDigest,
) -> Result<(Vec<u8>, Vec<u8>), openssl::error::ErrorStack> {
    Ok((hash(digest, issuer.subject().der())?.to_vec(), hash(digest, issuer.public_key_bits())?.to_vec()))
}

/// What the responses say of one certificate at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OcspAnswer {
    /// The freshest one says good.
    Good,
    /// It says revoked, since then.
    Revoked(Timestamp),
    /// It says that it does not know the certificate: not good.
    Unknown,
    /// None is current.
    Stale,
    /// None speaks of it.
    Missing,
}

/// Judges one certificate at `at`: the freshest current response of its authority counts, of two as fresh the worse. One without
/// nextUpdate is never current.
pub(crate) fn judge(
    responses: &[OcspResponse],
    certificate: &Certificate,
    issuer: &Certificate,
    at: Timestamp,
) -> OcspAnswer {
    let said = |response: &OcspResponse| {
        let single = response.single(certificate, issuer)?;
        let current = single.this_update <= at
            && response.0.produced_at <= at
            && single.next_update.is_some_and(|next| at <= next);
        response.is_of(issuer, at).then_some((current, single.this_update, single.status))
    };
    let all: Vec<_> = responses.iter().filter_map(said).collect();
    let freshest =
        all.iter().filter(|(current, ..)| *current).max_by_key(|(_, made, status)| (*made, *status));
    match freshest {
        Some((_, _, Status::Good)) => OcspAnswer::Good,
        Some((_, _, Status::Unknown)) => OcspAnswer::Unknown,
        Some((_, _, Status::Revoked(since))) => OcspAnswer::Revoked(*since),
        None if all.is_empty() => OcspAnswer::Missing,
        None => OcspAnswer::Stale,
    }
}

const ENUMERATED: u8 = 0x0a;
const REQUEST_EXTENSIONS: u8 = 0xa2;
const BASIC: &str = "1.3.6.1.5.5.7.48.1.1";
const NONCE: &str = "1.3.6.1.5.5.7.48.1.2";
const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";
const SHA1: &str = "1.3.14.3.2.26";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
