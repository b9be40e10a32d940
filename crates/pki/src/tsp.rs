//! Time-stamp tokens: asked for, read, and checked in every field before anybody relies on one.
//!
//! Source: RFC 3161 §2.4 (request, response, what the requester checks), RFC 5816 (ESSCertIDv2); `security.md` row 79: a
//! checker that leaves a field out can be lied to in it.

use jiff::Timestamp;

use crate::certificate::Certificate;
use crate::cms::{self, SignedData};
use crate::der::{self, DerError, tag};
use crate::digest::Digest;
use crate::path::{PathError, Purpose, Revocation, TrustAnchors, ValidPath};

/// A question to a time-stamping authority; the certificate is asked for.
#[derive(Clone, Debug)]
pub struct TimeStampRequest {
    imprint: Digest,
    nonce: [u8; 8],
    policy: Option<Vec<u8>>,
}

impl TimeStampRequest {
    /// Asks for a token over `imprint`. The nonce comes back in the token as it is: its first bit is 0 and its first byte is not, so
    /// that it is an INTEGER of eight bytes. A policy that is no dotted identifier is left out.
    pub fn new(imprint: &Digest, nonce: [u8; 8], policy: Option<&str>) -> Self {
        Self {
            imprint: imprint.clone(),
            nonce,
            policy: policy.and_then(|dotted| der::encode_oid(dotted).ok()),
        }
    }

    /// TimeStampReq, DER.
    pub fn to_der(&self) -> Vec<u8> {
        let algorithm = der::encode_oid(cms::digest_oid(self.imprint.algorithm())).unwrap_or_default();
        let algorithm = der::encode(tag::SEQUENCE, &[&algorithm]);
        let imprint = der::encode(
            tag::SEQUENCE,
            &[&algorithm, &der::encode(tag::OCTET_STRING, &[self.imprint.as_bytes()])],
        );
        der::encode(
            tag::SEQUENCE,
            &[
                &[tag::INTEGER, 1, 1],
                &imprint,
                self.policy.as_deref().unwrap_or_default(),
                &der::encode(tag::INTEGER, &[&self.nonce]),
                &[tag::BOOLEAN, 1, 0xff],
            ],
        )
    }
}

/// What a token attests (RFC 3161 §2.4.2).
#[derive(Clone, Debug)]
pub struct TstInfo {
    /// The authority's policy, dotted.
    pub policy: String,
    /// What was stamped.
    pub imprint: Digest,
    /// The token's number, contents of the INTEGER.
    pub serial: Vec<u8>,
    /// When.
    pub gen_time: Timestamp,
    /// The nonce, contents of the INTEGER.
    pub nonce: Option<Vec<u8>>,
}

/// A token that could be read; nothing of it is checked.
#[derive(Clone, Debug)]
pub struct TimeStampToken {
    der: Vec<u8>,
    signed: SignedData,
    info: TstInfo,
}

/// A token of which every check held. Only [`check`] makes one.
#[derive(Clone, Debug)]
pub struct CheckedToken {
    token: TimeStampToken,
    path: ValidPath,
}

impl CheckedToken {
    /// The token.
    pub fn token(&self) -> &TimeStampToken {
        &self.token
    }

    /// The path of the authority's certificate.
    pub fn path(&self) -> &ValidPath {
        &self.path
    }
}

/// What a token is checked against.
#[derive(Clone, Copy, Debug)]
pub struct TokenChecks<'a> {
    /// What must have been stamped.
    pub imprint: &'a Digest,
    /// The nonce sent; none when an old token is verified.
    pub nonce: Option<&'a [u8]>,
    /// The policies that are accepted; empty: any.
    pub policies: &'a [String],
    /// The authority's roots.
    pub anchors: &'a TrustAnchors,
    /// How the authority's revocation is judged.
    pub revocation: Revocation<'a>,
    /// Between which times genTime must lie; none when an old token is verified.
    pub gen_time_window: Option<(Timestamp, Timestamp)>,
    /// At what time the path is judged.
    pub at: Timestamp,
}

/// Why there is no token to rely on. All of it is the authority's fault, or of who is in between.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TspError {
    /// Not a TimeStampResp or token in strict DER, or something after it.
    #[error("not a time-stamp token in DER")]
    Malformed,
    /// The authority did not grant.
    #[error("status {status} instead of granted")]
    NotGranted {
        /// PKIStatus.
        status: u32,
    },
    /// Not a TSTInfo inside.
    #[error("content type {0}, expected TSTInfo")]
    ContentType(String),
    /// The content-type attribute is absent or another.
    #[error("the content-type attribute is not TSTInfo")]
    ContentTypeAttribute,
    /// Not exactly one signer.
    #[error("{0} signers, expected one")]
    Signers(usize),
    /// SHA-1 or another digest off the list.
    #[error("digest algorithm {0}, expected SHA-2, for the imprint the one asked for")]
    DigestAlgorithm(String),
    /// Other bytes were stamped.
    #[error("the imprint is of something else")]
    Imprint,
    /// No nonce, though one was sent.
    #[error("no nonce, though one was sent")]
    NonceMissing,
    /// Another nonce: the answer to another question.
    #[error("the nonce is not the one sent")]
    NonceWrong,
    /// Another policy.
    #[error("policy {0}, which is not accepted")]
    Policy(String),
    /// A time before it was asked for.
    #[error("genTime {gen_time} before {from}")]
    GenTimePast {
        /// What it says.
        gen_time: Timestamp,
        /// The earliest accepted.
        from: Timestamp,
    },
    /// Second 60, which no two clocks read alike.
    #[error("genTime in second 60")]
    LeapSecond,
    /// A time that is still to come.
    #[error("genTime {gen_time} after {to}")]
    GenTimeFuture {
        /// What it says.
        gen_time: Timestamp,
        /// The latest accepted.
        to: Timestamp,
    },
    /// A critical extension that is not known.
    #[error("a critical extension that is not known")]
    Extension,
    /// The message-digest attribute is not of the TSTInfo.
    #[error("the message-digest attribute is not the content's")]
    MessageDigest,
    /// The certificate of the signer is not in the token, though asked for.
    #[error("the signer's certificate is not in the token")]
    NoCertificate,
    /// No ESSCertIDv2.
    #[error("no signing-certificate-v2 attribute")]
    NoEssCertId,
    /// ESSCertIDv2 names another certificate.
    #[error("signing-certificate-v2 names another certificate")]
    EssCertId,
    /// The signature is not the certificate's.
    #[error("the signature is not the named certificate's")]
    Signature,
    /// Unsigned attributes: bytes that nobody vouches for.
    #[error("unsigned attributes in the token")]
    UnsignedAttributes,
    /// The authority's certificate.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl TspError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "tsp.malformed",
            Self::NotGranted { .. } => "tsp.not-granted",
            Self::ContentType(_) => "tsp.content-type",
            Self::ContentTypeAttribute => "tsp.content-type-attribute",
            Self::Signers(_) => "tsp.signers",
            Self::DigestAlgorithm(_) => "tsp.digest-algorithm",
            Self::Imprint => "tsp.imprint",
            Self::NonceMissing => "tsp.nonce.missing",
            Self::NonceWrong => "tsp.nonce.wrong",
            Self::Policy(_) => "tsp.policy",
            Self::GenTimePast { .. } => "tsp.gen-time.past",
            Self::GenTimeFuture { .. } => "tsp.gen-time.future",
            Self::LeapSecond => "tsp.gen-time.leap-second",
            Self::Extension => "tsp.extension",
            Self::MessageDigest => "tsp.message-digest",
            Self::NoCertificate => "tsp.no-certificate",
            Self::NoEssCertId => "tsp.no-ess-cert-id",
            Self::EssCertId => "tsp.ess-cert-id",
            Self::Signature => "tsp.signature",
            Self::UnsignedAttributes => "tsp.unsigned-attributes",
            Self::Path(error) => error.code(),
        }
    }
}

impl From<DerError> for TspError {
    fn from(_: DerError) -> Self {
        Self::Malformed
    }
}

/// Reads a TimeStampResp; granted or grantedWithMods alone.
///
/// # Errors
/// `Malformed`, `NotGranted`, and as [`TimeStampToken::from_der`].
pub fn parse_response(bytes: &[u8]) -> Result<TimeStampToken, TspError> {
    der::check_deep(bytes)?;
    let mut response = der::whole(bytes, tag::SEQUENCE)?.inside();
    let status = response.take(tag::SEQUENCE)?.inside().take(tag::INTEGER)?;
    let status = match status.contents {
        [status] => u32::from(*status),
        _ => return Err(TspError::Malformed),
    };
    if status > 1 {
        return Err(TspError::NotGranted { status });
    }
    let token = response.take(tag::SEQUENCE)?;
    response.end()?;
    TimeStampToken::from_der(token.whole)
}

impl TimeStampToken {
    /// Reads a token: strict DER to its last byte.
    ///
    /// # Errors
    /// `Malformed`, `ContentType`, `DigestAlgorithm` (an imprint by SHA-1), `Extension`.
    pub fn from_der(bytes: &[u8]) -> Result<Self, TspError> {
        let signed = SignedData::read(bytes)?;
        if signed.content_type != TST_INFO {
            return Err(TspError::ContentType(signed.content_type));
        }
        let info = TstInfo::read(&signed.content)?;
        Ok(Self { der: bytes.to_vec(), signed, info })
    }

    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What it attests.
    pub fn tst_info(&self) -> &TstInfo {
        &self.info
    }

    /// The certificates that it carries.
    pub fn certificates(&self) -> &[Certificate] {
        &self.signed.certificates
    }
}

impl TstInfo {
    fn read(bytes: &[u8]) -> Result<Self, TspError> {
        der::check_deep(bytes)?;
        let mut fields = der::whole(bytes, tag::SEQUENCE)?.inside();
        if fields.take(tag::INTEGER)?.contents != [1] {
            return Err(TspError::Malformed);
        }
        let policy = der::decode_oid(fields.take(tag::OID)?.contents)?;
        let mut imprint = fields.take(tag::SEQUENCE)?.inside();
        let oid = cms::algorithm(imprint.take(tag::SEQUENCE)?)?;
        let hash = imprint.take(tag::OCTET_STRING)?.contents;
        imprint.end()?;
        let algorithm = cms::digest_algorithm(&oid).ok_or(TspError::DigestAlgorithm(oid))?;
        let imprint = Digest::new(algorithm, hash).map_err(|_| TspError::Malformed)?;
        let serial = fields.take(tag::INTEGER)?.contents.to_vec();
        let gen_time = generalized_time(fields.take(tag::GENERALIZED_TIME)?.contents)?;
        if let Some(accuracy) = fields.optional(tag::SEQUENCE)? {
            let mut accuracy = accuracy.inside();
            accuracy.optional(tag::INTEGER)?; // seconds
            accuracy.optional(0x80)?; // millis
            accuracy.optional(0x81)?; // micros
            accuracy.end()?;
        }
        fields.optional(tag::BOOLEAN)?; // ordering: one octet, TRUE, as check_deep saw
        let nonce = fields.optional(tag::INTEGER)?.map(|nonce| nonce.contents.to_vec());
        fields.optional(tag::CONTEXT_0)?; // tsa
        if let Some(extensions) = fields.optional(tag::CONTEXT_1)? {
            for extension in extensions.all(tag::SEQUENCE)? {
                let mut extension = extension.inside();
                extension.take(tag::OID)?;
                // DEFAULT FALSE: one that is there is TRUE, as check_deep saw.
                if extension.optional(tag::BOOLEAN)?.is_some() {
                    return Err(TspError::Extension);
                }
                extension.take(tag::OCTET_STRING)?;
                extension.end()?;
            }
        }
        fields.end()?;
        Ok(Self { policy, imprint, serial, gen_time, nonce })
    }
}

/// `YYYYMMDDhhmmss[.f…]Z`, the fraction without trailing zeros (X.690 §11.7).
pub(crate) fn generalized_time(contents: &[u8]) -> Result<Timestamp, TspError> {
    let text = std::str::from_utf8(contents).map_err(|_| TspError::Malformed)?;
    let text = text.strip_suffix('Z').ok_or(TspError::Malformed)?;
    let (whole, fraction) =
        text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !all_digits(whole) {
        return Err(TspError::Malformed);
    }
    if whole.ends_with("60") {
        return Err(TspError::LeapSecond);
    }
    let civil = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", whole).map_err(|_| TspError::Malformed)?;
    let second = jiff::tz::Offset::UTC.to_timestamp(civil).map_err(|_| TspError::Malformed)?;
    let Some(fraction) = fraction else { return Ok(second) };
    if !all_digits(fraction) || fraction.ends_with('0') {
        return Err(TspError::Malformed);
    }
    let nanoseconds: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: i64 = nanoseconds.parse().map_err(|_| TspError::Malformed)?;
    second.checked_add(jiff::SignedDuration::from_nanos(nanoseconds)).map_err(|_| TspError::Malformed)
}

/// Checks every field of a token (RFC 3161 §2.4.2); what comes back can be relied on.
///
/// # Errors
/// [`TspError`]: the first thing that is not as it must be.
pub fn check(token: &TimeStampToken, checks: &TokenChecks<'_>) -> Result<CheckedToken, TspError> {
    let (signed, info) = (&token.signed, &token.info);
    if signed.signers != 1 {
        return Err(TspError::Signers(signed.signers));
    }
    for oid in signed.digest_algorithms.iter().chain([&signed.signer.digest_oid]) {
        if cms::digest_algorithm(oid).is_none() {
            return Err(TspError::DigestAlgorithm(oid.clone()));
        }
    }
    // RFC 5652 §5.1: what the signer used is among those announced.
    if !signed.digest_algorithms.contains(&signed.signer.digest_oid) {
        return Err(TspError::DigestAlgorithm(signed.signer.digest_oid.clone()));
    }
    check_signature(signed)?;
    if info.imprint.algorithm() != checks.imprint.algorithm() {
        return Err(TspError::DigestAlgorithm(cms::digest_oid(info.imprint.algorithm()).to_owned()));
    }
    if !info.imprint.matches(checks.imprint) {
        return Err(TspError::Imprint);
    }
    if let Some(sent) = checks.nonce {
        let nonce = info.nonce.as_deref().ok_or(TspError::NonceMissing)?;
        if nonce != sent {
            return Err(TspError::NonceWrong);
        }
    }
    if !checks.policies.is_empty() && !checks.policies.contains(&info.policy) {
        return Err(TspError::Policy(info.policy.clone()));
    }
    if let Some((from, to)) = checks.gen_time_window {
        if info.gen_time < from {
            return Err(TspError::GenTimePast { gen_time: info.gen_time, from });
        }
        if info.gen_time > to {
            return Err(TspError::GenTimeFuture { gen_time: info.gen_time, to });
        }
    }
    let leaf = signed.signing_certificate().ok_or(TspError::NoCertificate)?;
    let path = checks.anchors.validate(
        leaf,
        &signed.certificates,
        checks.revocation,
        Purpose::TimeStamping,
        checks.at,
    )?;
    Ok(CheckedToken { token: token.clone(), path })
}

fn check_signature(signed: &SignedData) -> Result<(), TspError> {
    let signer = &signed.signer;
    if signer.has_unsigned_attributes {
        return Err(TspError::UnsignedAttributes);
    }
    let tst_info = der::encode_oid(TST_INFO)?;
    if signer.attribute(CONTENT_TYPE) != Some(tst_info.as_slice()) {
        return Err(TspError::ContentTypeAttribute);
    }
    let algorithm = cms::digest_algorithm(&signer.digest_oid)
        .ok_or_else(|| TspError::DigestAlgorithm(signer.digest_oid.clone()))?;
    let digest = Digest::of(algorithm, &signed.content);
    let expected = der::encode(tag::OCTET_STRING, &[digest.as_bytes()]);
    if signer.attribute(MESSAGE_DIGEST) != Some(expected.as_slice()) {
        return Err(TspError::MessageDigest);
    }
    let certificate = signed.signing_certificate().ok_or(TspError::NoCertificate)?;
    match signer.names_certificate(certificate) {
        None => return Err(TspError::NoEssCertId),
        Some(false) => return Err(TspError::EssCertId),
        Some(true) => {}
    }
    if !signer.is_signed_by(certificate) {
        return Err(TspError::Signature);
    }
    Ok(())
}

const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
