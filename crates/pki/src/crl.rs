//! Certificate revocation lists: read strictly, indexed once, judged by us.
//!
//! Complete direct lists alone: delta and indirect ones, lists by reason, and unknown critical extensions are refused.
//! Source: RFC 5280 §5 and §6.3.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::sign::Verifier;
use x509_parser::oid_registry::asn1_rs::FromDer as _;
use x509_parser::pem::Pem;
use x509_parser::prelude::CertificateRevocationList;

use crate::certificate::{Certificate, KeyKind};
use crate::der::{self, DerError, tag};
use crate::window::Window;

/// One CRL; whose signature is good is judged when a path asks.
#[derive(Clone)]
pub struct Crl(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    issuer_der: Vec<u8>,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    revoked: HashMap<Vec<u8>, Timestamp>,
    scope: Scope,
    to_be_signed: Vec<u8>,
    signature: Vec<u8>,
    algorithm: (KeyFamily, MessageDigest),
    /// The SPKI hash of the issuer that its signature was verified with.
    verified_with: Mutex<Option<[u8; 32]>>,
}

/// issuingDistributionPoint (RFC 5280 §5.2.5).
#[derive(Clone, Debug, Default)]
struct Scope {
    only_user: bool,
    only_ca: bool,
    names: Vec<Vec<u8>>,
}

/// Why bytes are not a CRL that can be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CrlError {
    /// Not one CRL in strict DER (or PEM), exactly to the end.
    #[error("not one CRL in DER or PEM")]
    Malformed,
    /// Signed with an algorithm off the list (SHA-1, MD5).
    #[error("signed with {0}, expected SHA-2 with RSA or ECDSA")]
    Algorithm(String),
    /// Delta, indirect, by reason, or with a critical extension that is not known.
    #[error("of a kind that is not judged: {0}")]
    Kind(&'static str),
}

impl CrlError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "crl.malformed",
            Self::Algorithm(_) => "crl.algorithm",
            Self::Kind(_) => "crl.kind",
        }
    }
}

impl Crl {
    /// Reads one CRL.
    ///
    /// # Errors
    /// [`CrlError`].
    pub fn from_der(bytes: &[u8]) -> Result<Self, CrlError> {
        let malformed = || CrlError::Malformed;
        der::check_deep(bytes).map_err(|_| malformed())?;
        let to_be_signed = der::signed_part(bytes, &[tag::INTEGER]).map_err(|_| malformed())?.to_vec();
        let (rest, parsed) = CertificateRevocationList::from_der(bytes).map_err(|_| malformed())?;
        if !rest.is_empty() {
            return Err(malformed());
        }
        let time = |at: &x509_parser::time::ASN1Time| {
            Timestamp::from_second(at.timestamp()).map_err(|_| malformed())
        };
        let next_update = parsed.tbs_cert_list.next_update.as_ref().map(time).transpose()?;
        let mut revoked: HashMap<_, Timestamp> = HashMap::new();
        for entry in parsed.iter_revoked_certificates() {
            if entry.extensions().iter().any(|extension| extension.critical) {
                return Err(CrlError::Kind("an entry with a critical extension"));
            }
            let since = time(&entry.revocation_date)?;
            revoked
                .entry(entry.raw_serial().to_vec())
                .and_modify(|first| *first = since.min(*first))
                .or_insert(since);
        }
        Ok(Self(Arc::new(Inner {
            issuer_der: parsed.issuer().as_raw().to_vec(),
            this_update: time(&parsed.tbs_cert_list.this_update)?,
            next_update,
            revoked,
            scope: scope(&parsed)?,
            algorithm: algorithm(&parsed.signature_algorithm.algorithm.to_id_string())?,
            signature: parsed.signature_value.data.to_vec(),
            to_be_signed,
            der: bytes.to_vec(),
            verified_with: Mutex::new(None),
        })))
    }

    /// Reads one CRL in PEM.
    ///
    /// # Errors
    /// [`CrlError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, CrlError> {
        let blocks: Vec<Pem> =
            Pem::iter_from_buffer(pem).collect::<Result<_, _>>().map_err(|_| CrlError::Malformed)?;
        match blocks.as_slice() {
            [block] if block.label == "X509 CRL" => Self::from_der(&block.contents),
            _ => Err(CrlError::Malformed),
        }
    }

    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// When it was made.
    pub fn this_update(&self) -> Timestamp {
        self.0.this_update
    }

    /// Until when the next one is there; a list without it is never current.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.0.next_update
    }

    /// Whether it is the list of this authority: its name and its key, which may sign lists.
    fn is_of(&self, issuer: &Certificate) -> bool {
        if self.0.issuer_der != issuer.subject().der()
            || issuer.key_usage().is_some_and(|usage| !usage.crl_sign)
        {
            return false;
        }
        let mut verified_with = self.0.verified_with.lock().unwrap_or_else(PoisonError::into_inner);
        if *verified_with == Some(issuer.spki_sha256()) {
            return true;
        }
        let good = self.verify(issuer).unwrap_or(false);
        if good {
            *verified_with = Some(issuer.spki_sha256());
        }
        good
    }

    fn verify(&self, issuer: &Certificate) -> Result<bool, openssl::error::ErrorStack> {
        let (family, digest) = self.0.algorithm;
        let is_rsa = issuer.public_key().kind() == KeyKind::Rsa;
        if issuer.public_key().check_strength().is_err() || is_rsa != (family == KeyFamily::Rsa) {
            return Ok(false);
        }
        let key = issuer.openssl().public_key()?;
        Verifier::new(digest, &key)?.verify_oneshot(&self.0.signature, &self.0.to_be_signed)
    }

    /// Whether it speaks of this certificate at all.
    fn covers(&self, certificate: &Certificate) -> bool {
        let scope = &self.0.scope;
        if (scope.only_user && certificate.is_ca()) || (scope.only_ca && !certificate.is_ca()) {
            return false;
        }
        if scope.names.is_empty() {
            return true;
        }
        let points = certificate.crl_distribution_points().map(point_names);
        let Some(Ok(points)) = points else { return false };
        scope.names.iter().any(|name| points.contains(&name.as_slice()))
    }
}

impl std::fmt::Debug for Crl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crl({} revoked, of {})", self.0.revoked.len(), self.0.this_update)
    }
}

/// Every fullName of every distribution point that holds for all reasons and whose list its issuer signs itself.
fn point_names(value: &[u8]) -> Result<Vec<&[u8]>, DerError> {
    let mut found = Vec::new();
    for point in der::whole(value, tag::SEQUENCE)?.all(tag::SEQUENCE)? {
        let mut fields = point.inside();
        let name = fields.optional(tag::CONTEXT_0)?;
        if let (Some(name), Ok(())) = (name, fields.end())
            && let Some(names) = name.inside().optional(tag::CONTEXT_0)?
        {
            found.extend(general_names(names)?);
        }
    }
    Ok(found)
}

fn general_names(names: der::Value<'_>) -> Result<Vec<&[u8]>, DerError> {
    let mut reader = names.inside();
    let mut found = Vec::new();
    while reader.peek().is_some() {
        found.push(reader.any()?.whole);
    }
    Ok(found)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum KeyFamily {
    Rsa,
    Ecdsa,
}

fn algorithm(oid: &str) -> Result<(KeyFamily, MessageDigest), CrlError> {
    use KeyFamily::{Ecdsa, Rsa};
    match oid {
        "1.2.840.113549.1.1.11" => Ok((Rsa, MessageDigest::sha256())),
        "1.2.840.113549.1.1.12" => Ok((Rsa, MessageDigest::sha384())),
        "1.2.840.113549.1.1.13" => Ok((Rsa, MessageDigest::sha512())),
        "1.2.840.10045.4.3.2" => Ok((Ecdsa, MessageDigest::sha256())),
        "1.2.840.10045.4.3.3" => Ok((Ecdsa, MessageDigest::sha384())),
        "1.2.840.10045.4.3.4" => Ok((Ecdsa, MessageDigest::sha512())),
        other => Err(CrlError::Algorithm(other.to_owned())),
    }
}

fn scope(parsed: &CertificateRevocationList<'_>) -> Result<Scope, CrlError> {
    let mut scope = Scope::default();
    let mut seen = Vec::new();
    for extension in parsed.extensions() {
        if seen.contains(&&extension.oid) {
            return Err(CrlError::Malformed);
        }
        seen.push(&extension.oid);
        match extension.oid.to_id_string().as_str() {
            "2.5.29.28" => scope = issuing_distribution_point(extension.value)?,
            "2.5.29.27" => return Err(CrlError::Kind("delta")),
            "2.5.29.20" | "2.5.29.35" => {}
            _ if extension.critical => return Err(CrlError::Kind("an unknown critical extension")),
            _ => {}
        }
    }
    Ok(scope)
}

fn issuing_distribution_point(value: &[u8]) -> Result<Scope, CrlError> {
    let mut scope = Scope::default();
    let malformed = |_: DerError| CrlError::Malformed;
    let mut fields = der::whole(value, tag::SEQUENCE).map_err(malformed)?.inside();
    let mut last = None;
    while fields.peek().is_some() {
        let field = fields.any().map_err(malformed)?;
        // The numbers of the tags go up in DER; a field that stands twice would leave one of two unread.
        let number = field.tag & 0x1f;
        if last.is_some_and(|last| last >= number) {
            return Err(CrlError::Malformed);
        }
        last = Some(number);
        if matches!(field.tag, 0x81 | 0x82 | 0x84 | 0x85) {
            der::present_is_true(field).map_err(malformed)?;
        }
        match field.tag {
            0xa0 => scope.names = full_names(field)?,
            0x81 => scope.only_user = true,
            0x82 => scope.only_ca = true,
            0x83 => return Err(CrlError::Kind("by reason")),
            0x84 => return Err(CrlError::Kind("indirect")),
            0x85 => return Err(CrlError::Kind("of attribute certificates")),
            _ => return Err(CrlError::Malformed),
        }
    }
    if scope.only_user && scope.only_ca {
        return Err(CrlError::Malformed);
    }
    Ok(scope)
}

fn full_names(point: der::Value<'_>) -> Result<Vec<Vec<u8>>, CrlError> {
    let mut inside = point.inside();
    let names =
        inside.take(tag::CONTEXT_0).map_err(|_| CrlError::Kind("a distribution point without full name"))?;
    inside.end().map_err(|_| CrlError::Malformed)?;
    let names = general_names(names).map_err(|_| CrlError::Malformed)?;
    if names.is_empty() {
        return Err(CrlError::Malformed);
    }
    Ok(names.into_iter().map(<[u8]>::to_vec).collect())
}

/// What the lists say of one certificate at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CrlAnswer {
    /// A current list of its issuer does not name it.
    Good,
    /// A list names it, since then.
    Revoked(Timestamp),
    /// The issuer's lists are not current.
    Stale,
    /// No list of its issuer speaks of it.
    Missing,
}

/// The CRLs at hand. Nothing in a set ever changes: fresh lists are a new set.
#[derive(Clone, Debug)]
pub struct CrlSet {
    crls: Vec<Crl>,
    /// Tells one set from every other: a path judged by one is not judged by another.
    identity: u64,
}

impl Default for CrlSet {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl CrlSet {
    /// Holds them.
    pub fn new(crls: Vec<Crl>) -> Self {
        static SETS: AtomicU64 = AtomicU64::new(0);
        Self { crls, identity: SETS.fetch_add(1, Ordering::Relaxed) }
    }

    /// Equal for clones of one set only.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    /// The times around `at` at which the same lists are current as at `at`.
    pub(crate) fn window(&self, at: Timestamp) -> Window {
        let mut window = Window::ALWAYS;
        for crl in &self.crls {
            window.keep_side_of_begin(crl.this_update(), at);
            if let Some(next) = crl.next_update() {
                window.keep_side_of_last(next, at);
            }
        }
        window
    }

    /// Their bytes.
    pub fn ders(&self) -> impl Iterator<Item = &[u8]> {
        self.crls.iter().map(Crl::der)
    }

    /// The lists.
    pub fn crls(&self) -> &[Crl] {
        &self.crls
    }

    /// Judges one certificate at `at`: a list that was made later, or whose next one should be there, does not count.
    pub(crate) fn judge(&self, certificate: &Certificate, issuer: &Certificate, at: Timestamp) -> CrlAnswer {
        let mut answer = CrlAnswer::Missing;
        for crl in self.crls.iter().filter(|crl| crl.covers(certificate) && crl.is_of(issuer)) {
            let current = crl.this_update() <= at && crl.next_update().is_some_and(|next| at <= next);
            if !current {
                if answer == CrlAnswer::Missing {
                    answer = CrlAnswer::Stale;
                }
                continue;
            }
            if let Some(since) = crl.0.revoked.get(certificate.serial()) {
                return CrlAnswer::Revoked(*since);
            }
            answer = CrlAnswer::Good;
        }
        answer
    }
}
