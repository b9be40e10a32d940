//! X.509 certificates: read strictly, parsed once, key and fingerprint at hand.
//!
//! Source: RFC 5280 §4.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use openssl::x509::X509;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::asn1_rs::FromDer as _;
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

use crate::cache::Cache;
use crate::der;
use crate::digest::sha256;
pub use crate::key::{KeyKind, PublicKey, VerifyError, WeakKey};
use crate::policy::PolicyExtensions;

/// A certificate: well-formed DER to its last byte. Cloning is cheap. Nothing about trust is said by holding one.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    fingerprint: [u8; 32],
    openssl: X509,
    subject: Name,
    issuer: Name,
    serial: Vec<u8>,
    public_key: PublicKey,
    spki_sha256: [u8; 32],
    public_key_bits: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
    signature_oid: String,
    extensions: Extensions,
}

#[derive(Default)]
struct Extensions {
    is_ca: bool,
    subject_key_id: Option<Vec<u8>>,
    key_usage: Option<KeyUsage>,
    extended_key_usage: Option<ExtendedKeyUsage>,
    crl_distribution_points: Option<Vec<u8>>,
    policies: PolicyExtensions,
    ocsp_no_check: bool,
}

/// keyUsage (RFC 5280 §4.2.1.3), as far as anything here asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyUsage {
    /// digitalSignature.
    pub digital_signature: bool,
    /// nonRepudiation (contentCommitment).
    pub non_repudiation: bool,
    /// keyCertSign.
    pub key_cert_sign: bool,
    /// cRLSign.
    pub crl_sign: bool,
}

/// extKeyUsage (RFC 5280 §4.2.1.12).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExtendedKeyUsage {
    /// Whether it is critical.
    pub critical: bool,
    /// The purposes, dotted.
    pub purposes: Vec<String>,
}

/// Why bytes are not a certificate that can be held; the fault of who sent them.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// Not one certificate in strict DER, exactly to the end.
    #[error("not one X.509 certificate in DER")]
    Malformed,
    /// PEM without a certificate, or with something else in it.
    #[error("not PEM with certificates")]
    Pem,
}

impl CertificateError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "certificate.malformed",
            Self::Pem => "certificate.pem",
        }
    }
}

impl Certificate {
    /// Reads one certificate; the input must end with it.
    ///
    /// One that stood in a valid path lately is not parsed again, nor its key: see [`Certificate::remember`].
    ///
    /// # Errors
    /// `Malformed`.
    pub fn from_der(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::Malformed);
        }
        let fingerprint = sha256(bytes);
        match REMEMBERED.get(&fingerprint) {
            Some(known) => Ok(known),
            None => Self::parse(bytes, fingerprint),
        }
    }

    /// Keeps the parsed form for [`Certificate::from_der`], at most `REMEMBERED_MAX` of them. Only what stands in a valid path
    /// is kept: nobody can fill the memory with certificates of his own making.
    pub(crate) fn remember(&self) {
        if REMEMBERED.get(&self.0.fingerprint).is_none() {
            REMEMBERED.insert(self.0.fingerprint, self.clone());
        }
    }

    fn parse(bytes: &[u8], fingerprint: [u8; 32]) -> Result<Self, CertificateError> {
        let malformed = || CertificateError::Malformed;
        der::check_deep(bytes).map_err(|_| malformed())?;
        der::signed_part(bytes, &[der::tag::CONTEXT_0, der::tag::INTEGER]).map_err(|_| malformed())?;
        let openssl = X509::from_der(bytes).map_err(|_| malformed())?;
        let (rest, parsed) = X509Certificate::from_der(bytes).map_err(|_| malformed())?;
        if !rest.is_empty() {
            return Err(malformed());
        }
        let time = |at: &x509_parser::time::ASN1Time| {
            Timestamp::from_second(at.timestamp()).map_err(|_| malformed())
        };
        let key = openssl.public_key().map_err(|_| malformed())?;
        let inner = Inner {
            fingerprint,
            subject: Name::read(parsed.subject()),
            issuer: Name::read(parsed.issuer()),
            serial: parsed.raw_serial().to_vec(),
            public_key: PublicKey::new(key),
            spki_sha256: sha256(parsed.public_key().raw),
            public_key_bits: parsed.public_key().subject_public_key.data.to_vec(),
            not_before: time(&parsed.validity().not_before)?,
            not_after: time(&parsed.validity().not_after)?,
            signature_oid: parsed.signature_algorithm.algorithm.to_id_string(),
            extensions: Extensions::read(&parsed)?,
            der: bytes.to_vec(),
            openssl,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Reads every certificate of a PEM text; at least one.
    ///
    /// # Errors
    /// `Pem`, `Malformed`.
    pub fn from_pem(pem: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let blocks: Vec<Pem> =
            Pem::iter_from_buffer(pem).collect::<Result<_, _>>().map_err(|_| CertificateError::Pem)?;
        if blocks.is_empty() || blocks.iter().any(|block| block.label != "CERTIFICATE") {
            return Err(CertificateError::Pem);
        }
        blocks.iter().map(|block| Self::from_der(&block.contents)).collect()
    }

    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Its bytes as PEM.
    pub fn to_pem(&self) -> Vec<u8> {
        self.0.openssl.to_pem().unwrap_or_default()
    }

    /// SHA-256 of its bytes.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.0.fingerprint
    }

    /// Whom it names.
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// Who issued it, as it says itself.
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// The serial number's contents, big-endian, as encoded.
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// The key, decoded.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// SHA-256 of its SubjectPublicKeyInfo: an authority by its key, never by its name.
    pub fn spki_sha256(&self) -> [u8; 32] {
        self.0.spki_sha256
    }

    /// Begin of its validity.
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// End of its validity.
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// subjectKeyIdentifier.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_id.as_deref()
    }

    /// basicConstraints says CA.
    pub fn is_ca(&self) -> bool {
        self.0.extensions.is_ca
    }

    /// keyUsage, if it has one.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.key_usage
    }

    /// extKeyUsage, if it has one.
    pub fn extended_key_usage(&self) -> Option<&ExtendedKeyUsage> {
        self.0.extensions.extended_key_usage.as_ref()
    }

    /// The contents of subjectPublicKey, as OCSP hashes a key.
    pub(crate) fn public_key_bits(&self) -> &[u8] {
        &self.0.public_key_bits
    }

    /// id-pkix-ocsp-nocheck: its authority vouches for it until it ends (RFC 6960 §4.2.2.2.1).
    pub(crate) fn is_ocsp_no_check(&self) -> bool {
        self.0.extensions.ocsp_no_check
    }

    /// Whether that authority's key signed it, with SHA-2, in that authority's name.
    pub(crate) fn is_issued_by(&self, issuer: &Self) -> bool {
        let by_its_key = || issuer.openssl().public_key().and_then(|key| self.0.openssl.verify(&key));
        self.issuer().der() == issuer.subject().der()
            && issuer.public_key().check_strength().is_ok()
            && SHA2_SIGNATURES.contains(&self.signature_oid())
            && by_its_key().unwrap_or(false)
    }

    /// What it says of certificate policies.
    pub(crate) fn policies(&self) -> &PolicyExtensions {
        &self.0.extensions.policies
    }

    /// The raw cRLDistributionPoints, if it has some.
    pub(crate) fn crl_distribution_points(&self) -> Option<&[u8]> {
        self.0.extensions.crl_distribution_points.as_deref()
    }

    /// The algorithm that its issuer signed it with, dotted.
    pub(crate) fn signature_oid(&self) -> &str {
        &self.0.signature_oid
    }

    pub(crate) fn openssl(&self) -> &X509 {
        &self.0.openssl
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({})", self.subject())
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl Extensions {
    fn read(parsed: &X509Certificate<'_>) -> Result<Self, CertificateError> {
        let mut read = Self::default();
        // None stands twice (RFC 5280 §4.2): two readers would take different ones.
        parsed.extensions_map().map_err(|_| CertificateError::Malformed)?;
        for extension in parsed.extensions() {
            read.ocsp_no_check |= extension.oid.to_id_string() == OCSP_NO_CHECK;
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(_) => {
                    read.is_ca = is_ca(extension.value).map_err(|_| CertificateError::Malformed)?;
                }
                ParsedExtension::SubjectKeyIdentifier(id) => read.subject_key_id = Some(id.0.to_vec()),
                ParsedExtension::KeyUsage(usage) => {
                    read.key_usage = Some(KeyUsage {
                        digital_signature: usage.digital_signature(),
                        non_repudiation: usage.non_repudiation(),
                        key_cert_sign: usage.key_cert_sign(),
                        crl_sign: usage.crl_sign(),
                    });
                }
                ParsedExtension::ExtendedKeyUsage(_) => {
                    let critical = extension.critical;
                    let purposes = purposes(extension.value).map_err(|_| CertificateError::Malformed)?;
                    read.extended_key_usage = Some(ExtendedKeyUsage { critical, purposes });
                }
                ParsedExtension::CRLDistributionPoints(_) => {
                    read.crl_distribution_points = Some(extension.value.to_vec());
                }
                ParsedExtension::CertificatePolicies(policies) => {
                    read.policies.named =
                        Some(policies.iter().map(|one| one.policy_id.to_id_string()).collect());
                }
                ParsedExtension::PolicyMappings(mappings) => {
                    let issuers = mappings.mappings.iter().map(|one| one.issuer_domain_policy.to_id_string());
                    read.policies.mapped = issuers.collect();
                }
                ParsedExtension::PolicyConstraints(constraints) => {
                    read.policies.require_explicit = constraints.require_explicit_policy;
                }
                ParsedExtension::InhibitAnyPolicy(inhibit) => {
                    read.policies.inhibit_any = Some(inhibit.skip_certs);
                }
                ParsedExtension::ParseError { .. } => return Err(CertificateError::Malformed),
                _ => {}
            }
        }
        Ok(read)
    }
}

/// cA of basicConstraints. An explicit FALSE is no DER, yet certificates of end entities do carry it, and it grants nothing.
fn is_ca(value: &[u8]) -> Result<bool, der::DerError> {
    let mut fields = der::whole(value, der::tag::SEQUENCE)?.inside();
    let ca = match fields.optional(der::tag::BOOLEAN)?.map(|ca| ca.contents) {
        None | Some([0x00]) => false,
        Some([0xff]) => true,
        Some(_) => return Err(der::DerError),
    };
    fields.optional(der::tag::INTEGER)?;
    fields.end()?;
    Ok(ca)
}

fn purposes(value: &[u8]) -> Result<Vec<String>, der::DerError> {
    let purposes = der::whole(value, der::tag::SEQUENCE)?.all(der::tag::OID)?;
    purposes.iter().map(|purpose| der::decode_oid(purpose.contents)).collect()
}

/// Attributes of a distinguished name that something here asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameAttribute {
    /// C.
    Country,
    /// O.
    Organization,
    /// OU; may repeat.
    OrganizationalUnit,
    /// CN.
    CommonName,
    /// serialNumber.
    SerialNumber,
}

impl NameAttribute {
    fn oid(self) -> &'static str {
        match self {
            Self::Country => "2.5.4.6",
            Self::Organization => "2.5.4.10",
            Self::OrganizationalUnit => "2.5.4.11",
            Self::CommonName => "2.5.4.3",
            Self::SerialNumber => "2.5.4.5",
        }
    }
}

/// A distinguished name, in its own order, every attribute kept. For decisions: [`Name::values`]; for display: escaped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Name {
    der: Vec<u8>,
    attributes: Vec<(String, String)>,
}

impl Name {
    pub(crate) fn read(name: &x509_parser::x509::X509Name<'_>) -> Self {
        let attributes = name.iter_attributes().map(|attribute| {
            let text = attribute.as_str().map(str::to_owned).unwrap_or_else(|_| {
                attribute
                    .attr_value()
                    .data
                    .iter()
                    .fold("#".to_owned(), |out, byte| out + &format!("{byte:02x}"))
            });
            (attribute.attr_type().to_id_string(), text)
        });
        Self { attributes: attributes.collect(), der: name.as_raw().to_vec() }
    }

    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Every value of an attribute, in order.
    pub fn values(&self, attribute: NameAttribute) -> impl Iterator<Item = &str> {
        self.attributes.iter().filter(move |(oid, _)| oid == attribute.oid()).map(|(_, text)| text.as_str())
    }

    /// The value of an attribute that stands exactly once.
    pub fn one(&self, attribute: NameAttribute) -> Option<&str> {
        let mut values = self.values(attribute);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }
}

impl std::fmt::Display for Name {
    /// RFC 4514's look for people and logs, everything unusual escaped; never to be compared.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, (oid, text)) in self.attributes.iter().enumerate() {
            let label = match oid.as_str() {
                "2.5.4.6" => "C",
                "2.5.4.10" => "O",
                "2.5.4.11" => "OU",
                "2.5.4.3" => "CN",
                other => other,
            };
            write!(f, "{}{label}=", if place == 0 { "" } else { ", " })?;
            for c in text.chars() {
                match c {
                    ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => write!(f, "\\{c}")?,
                    ' '..='~' => write!(f, "{c}")?,
                    c if c.is_alphanumeric() => write!(f, "{c}")?,
                    c => write!(f, "{}", c.escape_unicode())?,
                }
            }
        }
        Ok(())
    }
}

const OCSP_NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";

/// RSA PKCS#1 and ECDSA with SHA-256, -384, -512.
pub(crate) const SHA2_SIGNATURES: [&str; 6] = [
    "1.2.840.113549.1.1.11",
    "1.2.840.113549.1.1.12",
    "1.2.840.113549.1.1.13",
    "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3",
    "1.2.840.10045.4.3.4",
];

const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

/// Parsed certificates that are remembered, of the whole process: parsing depends on nothing but the bytes.
const REMEMBERED_MAX: usize = 4096;

static REMEMBERED: LazyLock<Cache<[u8; 32], Certificate>> = LazyLock::new(|| Cache::new(REMEMBERED_MAX));
