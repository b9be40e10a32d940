//! Certificate revocation lists: read strictly, indexed once, judged by us.
//!
//! Complete lists and deltas, of any scope; indirect lists, those of attribute certificates, and unknown critical extensions are
//! refused by name. Source: RFC 5280 §5 and §6.3.

mod scope;
mod set;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::sign::Verifier;
use x509_parser::oid_registry::asn1_rs::FromDer as _;
use x509_parser::pem::Pem;
use x509_parser::prelude::CertificateRevocationList;

use crate::certificate::{Certificate, KeyKind};
use crate::der::{self, tag};
use scope::{Reasons, Scope};

pub(crate) use set::CrlAnswer;
pub use set::CrlSet;

/// One CRL; whose signature is good is judged when a path asks.
#[derive(Clone)]
pub struct Crl(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    issuer_der: Vec<u8>,
    issuer_text: String,
    /// cRLNumber, big-endian without leading zeros (RFC 5280 §5.2.3).
    number: Option<Vec<u8>>,
    /// BaseCRLNumber of a delta, in the same form (§5.2.4).
    base_number: Option<Vec<u8>>,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    entries: HashMap<Vec<u8>, Named>,
    scope: Scope,
    to_be_signed: Vec<u8>,
    signature: Vec<u8>,
    algorithm: (KeyFamily, MessageDigest),
    /// The SPKI hash of the issuer that its signature was verified with.
    verified_with: Mutex<Option<[u8; 32]>>,
}

/// What an entry says of a serial number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Named {
    /// Revoked or on hold, since then.
    Revoked(Timestamp),
    /// No longer on the list: removeFromCRL, which only a delta says.
    Removed,
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
    /// Indirect, of attribute certificates, or with a critical extension that is not known.
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
        let extensions = Extensions::read(&parsed)?;
        let entries = entries(&parsed, extensions.base_number.is_some())?;
        Ok(Self(Arc::new(Inner {
            issuer_der: parsed.issuer().as_raw().to_vec(),
            issuer_text: crate::certificate::Name::read(parsed.issuer()).to_string(),
            number: extensions.number,
            base_number: extensions.base_number,
            this_update: time(&parsed.tbs_cert_list.this_update)?,
            next_update,
            entries,
            scope: extensions.scope,
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

    /// Who issued it, as it says itself, escaped for display.
    pub fn issuer(&self) -> &str {
        &self.0.issuer_text
    }

    /// Whether it says only what changed since another list.
    pub fn is_delta(&self) -> bool {
        self.0.base_number.is_some()
    }

    /// Whether this delta may be applied onto that complete list (RFC 5280 §5.2.4): the same issuer and scope, made for a list
    /// that is not younger, and younger itself.
    fn applies_to(&self, base: &Self) -> bool {
        let (Some(from), Some(own), Some(of_base)) = (&self.0.base_number, &self.0.number, &base.0.number)
        else {
            return false;
        };
        self.0.issuer_der == base.0.issuer_der
            && self.0.scope == base.0.scope
            && by_number(from, of_base).is_le()
            && by_number(of_base, own).is_lt()
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

    /// The reasons for which it speaks of this certificate; none: not at all.
    fn covers(&self, certificate: &Certificate) -> Reasons {
        self.0.scope.covers(certificate)
    }

    fn names(&self, certificate: &Certificate) -> Option<Named> {
        self.0.entries.get(certificate.serial()).copied()
    }
}

impl std::fmt::Debug for Crl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crl({} entries, of {})", self.0.entries.len(), self.0.this_update)
    }
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

struct Extensions {
    number: Option<Vec<u8>>,
    base_number: Option<Vec<u8>>,
    scope: Scope,
}

impl Extensions {
    fn read(parsed: &CertificateRevocationList<'_>) -> Result<Self, CrlError> {
        let mut read = Self { number: None, base_number: None, scope: Scope::default() };
        let mut seen = Vec::new();
        for extension in parsed.extensions() {
            if seen.contains(&&extension.oid) {
                return Err(CrlError::Malformed);
            }
            seen.push(&extension.oid);
            match extension.oid.to_id_string().as_str() {
                ISSUING_DISTRIBUTION_POINT => read.scope = Scope::read(extension.value)?,
                // Whoever does not know deltas must not take one for the whole list (§5.2.4).
                DELTA_INDICATOR if !extension.critical => {
                    return Err(CrlError::Kind("a delta that does not say so critically"));
                }
                DELTA_INDICATOR => read.base_number = Some(number(extension.value)?),
                CRL_NUMBER => read.number = Some(number(extension.value)?),
                AUTHORITY_KEY_IDENTIFIER => {}
                _ if extension.critical => return Err(CrlError::Kind("an unknown critical extension")),
                _ => {}
            }
        }
        if read.base_number.is_some() && read.number.is_none() {
            return Err(CrlError::Kind("a delta without number"));
        }
        Ok(read)
    }
}

fn entries(
    parsed: &CertificateRevocationList<'_>,
    is_delta: bool,
) -> Result<HashMap<Vec<u8>, Named>, CrlError> {
    let mut entries: HashMap<Vec<u8>, Named> = HashMap::new();
    for entry in parsed.iter_revoked_certificates() {
        let since = entry.revocation_date.timestamp();
        let since = Timestamp::from_second(since).map_err(|_| CrlError::Malformed)?;
        let mut said = Named::Revoked(since);
        for extension in entry.extensions() {
            if extension.critical {
                return Err(CrlError::Kind("an entry with a critical extension"));
            }
            if extension.oid.to_id_string() == REASON_CODE && extension.value == REMOVE_FROM_CRL {
                said = Named::Removed;
            }
        }
        if said == Named::Removed && !is_delta {
            return Err(CrlError::Kind("removeFromCRL in a complete list"));
        }
        let serial = entry.raw_serial().to_vec();
        // One that stands twice is revoked, since the earlier time.
        let said = match (entries.get(&serial), said) {
            (Some(Named::Revoked(first)), Named::Revoked(since)) => Named::Revoked(since.min(*first)),
            (Some(revoked @ Named::Revoked(_)), Named::Removed) => *revoked,
            (_, said) => said,
        };
        entries.insert(serial, said);
    }
    Ok(entries)
}

/// A non-negative INTEGER of at most 20 octets (RFC 5280 §5.2.3), without leading zeros.
fn number(value: &[u8]) -> Result<Vec<u8>, CrlError> {
    let contents = der::whole(value, tag::INTEGER).map_err(|_| CrlError::Malformed)?.contents;
    if contents.len() > 21 || contents.first().is_none_or(|first| first & 0x80 != 0) {
        return Err(CrlError::Malformed);
    }
    Ok(contents.iter().copied().skip_while(|byte| *byte == 0).collect())
}

/// The order of two numbers without leading zeros.
fn by_number(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

const CRL_NUMBER: &str = "2.5.29.20";
const REASON_CODE: &str = "2.5.29.21";
const DELTA_INDICATOR: &str = "2.5.29.27";
const ISSUING_DISTRIBUTION_POINT: &str = "2.5.29.28";
const AUTHORITY_KEY_IDENTIFIER: &str = "2.5.29.35";
/// ENUMERATED 8.
const REMOVE_FROM_CRL: &[u8] = &[0x0a, 1, 8];
