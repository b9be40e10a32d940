//! CMS SignedData of one signer, read strictly: what a time-stamp token and a detached signature are made of.
//!
//! Source: RFC 5652 §5; RFC 5035 (signing-certificate-v2).

use crate::algorithm::{SignatureAlgorithm, ecdsa_from_der};
use crate::certificate::{Certificate, KeyKind};
use crate::der::{self, DerError, Reader, Value, tag};
use crate::digest::{Digest, DigestAlgorithm};

/// One SignedData with its one SignerInfo.
#[derive(Clone, Debug)]
pub(crate) struct SignedData {
    pub(crate) content_type: String,
    pub(crate) content: Vec<u8>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) digest_algorithms: Vec<String>,
    pub(crate) signers: usize,
    pub(crate) signer: SignerInfo,
}

/// Who signed, what, and how.
#[derive(Clone, Debug)]
pub(crate) struct SignerInfo {
    sid: SignerId,
    pub(crate) digest_oid: String,
    /// The signed attributes as they are signed: an explicit SET OF.
    signed_attributes: Vec<u8>,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
    signature_oid: String,
    signature: Vec<u8>,
    pub(crate) has_unsigned_attributes: bool,
}

#[derive(Clone, Debug)]
enum SignerId {
    IssuerAndSerial { issuer: Vec<u8>, serial: Vec<u8> },
    SubjectKey(Vec<u8>),
}

impl SignedData {
    /// Reads a ContentInfo; every value in it is strict DER, the attributes in the order of a DER set.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DerError> {
        Self::read_either(bytes, false)
    }

    /// The same of one whose content lies elsewhere; `content` is empty.
    pub(crate) fn read_detached(bytes: &[u8]) -> Result<Self, DerError> {
        Self::read_either(bytes, true)
    }

    fn read_either(bytes: &[u8], detached: bool) -> Result<Self, DerError> {
        der::check_deep(bytes)?;
        let mut content_info = der::whole(bytes, tag::SEQUENCE)?.inside();
        if oid(&mut content_info)? != SIGNED_DATA {
            return Err(DerError);
        }
        let mut explicit = content_info.take(tag::CONTEXT_0)?.inside();
        content_info.end()?;
        let mut signed_data = explicit.take(tag::SEQUENCE)?.inside();
        explicit.end()?;
        // RFC 5652 §5.1: 3 where the content is not id-data, or the signer is named by its key.
        let stated = signed_data.take(tag::INTEGER)?.contents;
        if stated != [3] && !(detached && stated == [1]) {
            return Err(DerError);
        }
        let digest_algorithms = signed_data
            .take(tag::SET)?
            .all(tag::SEQUENCE)?
            .into_iter()
            .map(algorithm)
            .collect::<Result<_, _>>()?;
        let mut encapsulated = signed_data.take(tag::SEQUENCE)?.inside();
        let content_type = oid(&mut encapsulated)?;
        let mut octets = Vec::new();
        if !detached {
            let mut content = encapsulated.take(tag::CONTEXT_0)?.inside();
            octets = content.take(tag::OCTET_STRING)?.contents.to_vec();
            content.end()?;
        }
        encapsulated.end()?;
        let certificates = match signed_data.optional(tag::CONTEXT_0)? {
            Some(set) => set.all(tag::SEQUENCE)?,
            None => Vec::new(),
        };
        // CRLs in a token would be bytes that no check reads.
        let signers = signed_data.take(tag::SET)?.all(tag::SEQUENCE)?;
        signed_data.end()?;
        let parsed = certificates.iter().map(|certificate| Certificate::from_der(certificate.whole));
        Ok(Self {
            content_type,
            content: octets,
            certificates: parsed.collect::<Result<_, _>>().map_err(|_| DerError)?,
            digest_algorithms,
            signers: signers.len(),
            signer: SignerInfo::read(*signers.first().ok_or(DerError)?)?,
        })
    }

    /// The certificate that the SignerInfo names, among those carried.
    pub(crate) fn signing_certificate(&self) -> Option<&Certificate> {
        self.certificates.iter().find(|certificate| match &self.signer.sid {
            SignerId::IssuerAndSerial { issuer, serial } => {
                certificate.issuer().der() == issuer && certificate.serial() == serial
            }
            SignerId::SubjectKey(id) => certificate.subject_key_id() == Some(id.as_slice()),
        })
    }
}

impl SignerInfo {
    fn read(value: Value<'_>) -> Result<Self, DerError> {
        let mut signer = value.inside();
        let stated = signer.take(tag::INTEGER)?.contents;
        let by_key = signer.optional(0x80)?;
        // RFC 5652 §5.3: the version follows from how the signer is named.
        if stated != [if by_key.is_some() { 3 } else { 1 }] {
            return Err(DerError);
        }
        let sid = if let Some(id) = by_key {
            SignerId::SubjectKey(id.contents.to_vec())
        } else {
            let mut names = signer.take(tag::SEQUENCE)?.inside();
            let issuer = names.take(tag::SEQUENCE)?.whole.to_vec();
            let serial = names.take(tag::INTEGER)?.contents.to_vec();
            names.end()?;
            SignerId::IssuerAndSerial { issuer, serial }
        };
        let digest_oid = algorithm(signer.take(tag::SEQUENCE)?)?;
        let signed = signer.take(tag::CONTEXT_0)?;
        let mut signed_attributes = signed.whole.to_vec();
        if let Some(first) = signed_attributes.first_mut() {
            *first = tag::SET; // RFC 5652 §5.4: signed as an explicit SET OF
        }
        let encoded = signed.all(tag::SEQUENCE)?;
        if !encoded.windows(2).all(|pair| pair[0].whole < pair[1].whole) {
            return Err(DerError);
        }
        let signature_oid = algorithm(signer.take(tag::SEQUENCE)?)?;
        let signature = signer.take(tag::OCTET_STRING)?.contents.to_vec();
        let has_unsigned_attributes = signer.optional(tag::CONTEXT_1)?.is_some();
        signer.end()?;
        let attributes = encoded.into_iter().map(attribute).collect::<Result<_, _>>()?;
        Ok(Self {
            sid,
            digest_oid,
            signed_attributes,
            attributes,
            signature_oid,
            signature,
            has_unsigned_attributes,
        })
    }

    /// The one value of the one signed attribute of that type.
    pub(crate) fn attribute(&self, oid: &str) -> Option<&[u8]> {
        let mut found = self.attributes.iter().filter(|(name, _)| name == oid);
        let (_, values) = found.next()?;
        match (found.next(), values.as_slice()) {
            (None, [value]) => Some(value),
            _ => None,
        }
    }

    /// Whether the signature over the signed attributes is this certificate's.
    pub(crate) fn is_signed_by(&self, certificate: &Certificate) -> bool {
        let key = certificate.public_key();
        let digest = digest_algorithm(&self.digest_oid);
        let algorithm = match (self.signature_oid.as_str(), digest) {
            (RSA | SHA256_RSA, Some(DigestAlgorithm::Sha256)) => SignatureAlgorithm::RsaSha256,
            (RSA | SHA384_RSA, Some(DigestAlgorithm::Sha384)) => SignatureAlgorithm::RsaSha384,
            (RSA | SHA512_RSA, Some(DigestAlgorithm::Sha512)) => SignatureAlgorithm::RsaSha512,
            (ECDSA_SHA256, Some(DigestAlgorithm::Sha256)) => SignatureAlgorithm::EcdsaSha256,
            (ECDSA_SHA384, Some(DigestAlgorithm::Sha384)) => SignatureAlgorithm::EcdsaSha384,
            _ => return false,
        };
        let value = match key.kind() {
            KeyKind::P256 => ecdsa_from_der(&self.signature, 32),
            KeyKind::P384 => ecdsa_from_der(&self.signature, 48),
            _ => Ok(self.signature.clone()),
        };
        value.is_ok_and(|value| key.verify(algorithm, &self.signed_attributes, &value).is_ok())
    }

    /// What signing-certificate-v2 says of the signer: its first ESSCertIDv2 is this certificate.
    pub(crate) fn names_certificate(&self, certificate: &Certificate) -> Option<bool> {
        let value = self.attribute(SIGNING_CERTIFICATE_V2)?;
        Some(ess_matches(value, certificate).unwrap_or(false))
    }
}

fn ess_matches(value: &[u8], certificate: &Certificate) -> Result<bool, DerError> {
    let mut signing_certificate = der::whole(value, tag::SEQUENCE)?.inside();
    let ids = signing_certificate.take(tag::SEQUENCE)?;
    signing_certificate.optional(tag::SEQUENCE)?; // policies
    signing_certificate.end()?;
    let mut id = ids.inside().take(tag::SEQUENCE)?.inside();
    let algorithm = match id.optional(tag::SEQUENCE)? {
        Some(stated) => digest_algorithm(&algorithm(stated)?).ok_or(DerError)?,
        None => DigestAlgorithm::Sha256,
    };
    let hash = id.take(tag::OCTET_STRING)?.contents;
    let stated = Digest::new(algorithm, hash).map_err(|_| DerError)?;
    if let Some(issuer_serial) = id.optional(tag::SEQUENCE)? {
        let mut fields = issuer_serial.inside();
        let mut names = fields.take(tag::SEQUENCE)?.inside();
        let issuer = names.take(DIRECTORY_NAME)?.contents;
        names.end()?;
        let serial = fields.take(tag::INTEGER)?.contents;
        fields.end()?;
        if issuer != certificate.issuer().der() || serial != certificate.serial() {
            return Ok(false);
        }
    }
    id.end()?;
    Ok(stated.matches(&Digest::of(algorithm, certificate.der())))
}

fn attribute(value: Value<'_>) -> Result<(String, Vec<Vec<u8>>), DerError> {
    let mut fields = value.inside();
    let name = oid(&mut fields)?;
    let mut values = fields.take(tag::SET)?.inside();
    fields.end()?;
    let mut found = Vec::new();
    while values.peek().is_some() {
        found.push(values.any()?.whole.to_vec());
    }
    Ok((name, found))
}

fn oid(reader: &mut Reader<'_>) -> Result<String, DerError> {
    der::decode_oid(reader.take(tag::OID)?.contents)
}

/// The identifier of an AlgorithmIdentifier; its parameters are absent or NULL.
pub(crate) fn algorithm(value: Value<'_>) -> Result<String, DerError> {
    let mut fields = value.inside();
    let name = oid(&mut fields)?;
    if let Some(null) = fields.optional(tag::NULL)?
        && !null.contents.is_empty()
    {
        return Err(DerError);
    }
    fields.end()?;
    Ok(name)
}

/// The digest algorithm of an identifier; none off the list.
pub(crate) fn digest_algorithm(oid: &str) -> Option<DigestAlgorithm> {
    match oid {
        "2.16.840.1.101.3.4.2.1" => Some(DigestAlgorithm::Sha256),
        "2.16.840.1.101.3.4.2.2" => Some(DigestAlgorithm::Sha384),
        "2.16.840.1.101.3.4.2.3" => Some(DigestAlgorithm::Sha512),
        _ => None,
    }
}

/// Its identifier.
pub(crate) fn digest_oid(algorithm: DigestAlgorithm) -> &'static str {
    match algorithm {
        DigestAlgorithm::Sha256 => "2.16.840.1.101.3.4.2.1",
        DigestAlgorithm::Sha384 => "2.16.840.1.101.3.4.2.2",
        DigestAlgorithm::Sha512 => "2.16.840.1.101.3.4.2.3",
    }
}

/// directoryName of a GeneralName: explicit, for a Name is a CHOICE.
const DIRECTORY_NAME: u8 = 0xa4;
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const SIGNING_CERTIFICATE_V2: &str = "1.2.840.113549.1.9.16.2.47";
const RSA: &str = "1.2.840.113549.1.1.1";
const SHA256_RSA: &str = "1.2.840.113549.1.1.11";
const SHA384_RSA: &str = "1.2.840.113549.1.1.12";
const SHA512_RSA: &str = "1.2.840.113549.1.1.13";
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
