//! The form of the seal: one CMS structure, written one way, and read only if it was written so.
//!
//! Reading ends with writing again: bytes that our writer would not have made are refused, so nothing that the
//! signature leaves open (other encodings, extra attributes, extra signers, CRLs) can ride along.
//!
//! Sources: RFC 5652 §5 (SignedData), RFC 5035 (signing-certificate-v2), RFC 5754 (algorithm identifiers), ETSI EN
//! 319 122-1 §5 and §6.3 (CAdES-BASELINE-T).

use jiff::Timestamp;
use pki::der::{self, DerError, Reader, tag};

/// The fields of a seal that differ from one to the next; everything else is fixed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SealForm {
    /// The claimed time, to the second.
    pub(crate) signing_time: Timestamp,
    /// SHA-256 of the sealed file.
    pub(crate) message_digest: [u8; 32],
    /// SHA-256 of the signing certificate.
    pub(crate) certificate_sha256: [u8; 32],
    /// IssuerAndSerialNumber of the signing certificate, DER.
    pub(crate) signer_id: Vec<u8>,
    /// Signer and intermediates, DER, in the ascending order of a DER set.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// How the signature was made.
    pub(crate) algorithm: FormAlgorithm,
    /// The signature value as CMS has it: an ECDSA one is DER.
    pub(crate) signature: Vec<u8>,
    /// The signature time-stamp, DER; `None` only before it is there.
    pub(crate) token: Option<Vec<u8>>,
}

/// The signature algorithms of a seal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FormAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256; the identifier has NULL parameters (RFC 5754 §3.2).
    RsaSha256,
    /// ECDSA with SHA-256; the identifier has no parameters (RFC 5754 §3.3).
    EcdsaSha256,
}

impl FormAlgorithm {
    fn identifier(self) -> &'static [u8] {
        match self {
            Self::RsaSha256 => &RSA_SHA256,
            Self::EcdsaSha256 => &ECDSA_SHA256,
        }
    }
}

impl SealForm {
    /// The signed attributes as they are signed: an explicit SET OF, DER (RFC 5652 §5.4).
    pub(crate) fn signed_attributes(&self) -> Vec<u8> {
        der::encode_set_of(
            tag::SET,
            vec![
                attribute(&OID_CONTENT_TYPE, &[&OID_DATA]),
                attribute(&OID_SIGNING_TIME, &[&encode_time(self.signing_time)]),
                attribute(&OID_MESSAGE_DIGEST, &[&der::encode(tag::OCTET_STRING, &[&self.message_digest])]),
                attribute(&OID_SIGNING_CERTIFICATE_V2, &[&self.signing_certificate()]),
            ],
        )
    }

    /// SigningCertificateV2 with one ESSCertIDv2: SHA-256 is its default and must be left out in DER.
    fn signing_certificate(&self) -> Vec<u8> {
        let hash = der::encode(tag::OCTET_STRING, &[&self.certificate_sha256]);
        let id = der::encode(tag::SEQUENCE, &[&hash]);
        let ids = der::encode(tag::SEQUENCE, &[&id]);
        der::encode(tag::SEQUENCE, &[&ids])
    }

    /// The file: ContentInfo with a detached SignedData of one signer.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let digests = der::encode(tag::SET, &[&SHA256]);
        let content = der::encode(tag::SEQUENCE, &[&OID_DATA]);
        let certificates = der::encode_set_of(tag::CONTEXT_0, self.certificates.clone());
        let signers = der::encode(tag::SET, &[&self.signer_info()]);
        let signed_data =
            der::encode(tag::SEQUENCE, &[&VERSION_1, &digests, &content, &certificates, &signers]);
        der::encode(tag::SEQUENCE, &[&OID_SIGNED_DATA, &der::encode(tag::CONTEXT_0, &[&signed_data])])
    }

    fn signer_info(&self) -> Vec<u8> {
        let mut signed_attributes = self.signed_attributes();
        if let Some(tag) = signed_attributes.first_mut() {
            *tag = tag::CONTEXT_0; // IMPLICIT: same length, same contents
        }
        let signature = der::encode(tag::OCTET_STRING, &[&self.signature]);
        let unsigned_attributes = self.token.as_ref().map_or_else(Vec::new, |token| {
            der::encode(tag::CONTEXT_1, &[&attribute(&OID_SIGNATURE_TIME_STAMP, &[token])])
        });
        der::encode(
            tag::SEQUENCE,
            &[
                &VERSION_1,
                &self.signer_id,
                &SHA256,
                &signed_attributes,
                self.algorithm.identifier(),
                &signature,
                &unsigned_attributes,
            ],
        )
    }

    /// Reads a stamped seal. What it returns encodes to exactly `p7s`.
    pub(crate) fn decode(p7s: &[u8]) -> Result<Self, DerError> {
        let mut content_info = der::whole(p7s, tag::SEQUENCE)?.inside();
        content_info.take_exactly(&OID_SIGNED_DATA)?;
        let mut explicit = content_info.take(tag::CONTEXT_0)?.inside();
        content_info.end()?;
        let mut signed_data = explicit.take(tag::SEQUENCE)?.inside();
        explicit.end()?;
        signed_data.take_exactly(&VERSION_1)?;
        signed_data.take(tag::SET)?;
        signed_data.take(tag::SEQUENCE)?;
        let certificates = signed_data.take(tag::CONTEXT_0)?.all(tag::SEQUENCE)?;
        let certificates = certificates.iter().map(|certificate| certificate.whole.to_vec()).collect();
        let mut signers = signed_data.take(tag::SET)?.inside();
        signed_data.end()?;
        let mut signer = signers.take(tag::SEQUENCE)?.inside();
        signers.end()?;
        signer.take_exactly(&VERSION_1)?;
        let signer_id = signer.take(tag::SEQUENCE)?.whole.to_vec();
        signer.take_exactly(&SHA256)?;
        let attributes = signer.take(tag::CONTEXT_0)?;
        let algorithm = decode_algorithm(signer.take(tag::SEQUENCE)?.whole)?;
        let signature = signer.take(tag::OCTET_STRING)?.contents.to_vec();
        let token = decode_token(signer.take(tag::CONTEXT_1)?.inside())?;
        signer.end()?;
        let form = Self {
            signing_time: decode_time(find_attribute(attributes.inside(), &OID_SIGNING_TIME)?.inside())?,
            message_digest: thirty_two(
                find_attribute(attributes.inside(), &OID_MESSAGE_DIGEST)?
                    .inside()
                    .take(tag::OCTET_STRING)?
                    .contents,
            )?,
            certificate_sha256: decode_certificate_hash(attributes.inside())?,
            signer_id,
            certificates,
            algorithm,
            signature,
            token: Some(token),
        };
        // The last word: only what the one writer makes is the form.
        if form.encode() == p7s { Ok(form) } else { Err(DerError) }
    }
}

/// Attribute ::= SEQUENCE { type, SET OF value }.
fn attribute(oid: &[u8], values: &[&[u8]]) -> Vec<u8> {
    der::encode(tag::SEQUENCE, &[oid, &der::encode(tag::SET, values)])
}

/// The SET of values of the attribute of that type.
fn find_attribute<'a>(mut attributes: Reader<'a>, oid: &[u8]) -> Result<der::Value<'a>, DerError> {
    loop {
        let mut attribute = attributes.take(tag::SEQUENCE)?.inside();
        if attribute.take(tag::OID)?.whole == oid {
            return attribute.take(tag::SET);
        }
    }
}

fn decode_certificate_hash(attributes: Reader<'_>) -> Result<[u8; 32], DerError> {
    let values = find_attribute(attributes, &OID_SIGNING_CERTIFICATE_V2)?;
    let ids = values.inside().take(tag::SEQUENCE)?.inside().take(tag::SEQUENCE)?;
    let id = ids.inside().take(tag::SEQUENCE)?;
    thirty_two(id.inside().take(tag::OCTET_STRING)?.contents)
}

fn decode_token(mut attributes: Reader<'_>) -> Result<Vec<u8>, DerError> {
    let mut attribute = attributes.take(tag::SEQUENCE)?.inside();
    attributes.end()?;
    attribute.take_exactly(&OID_SIGNATURE_TIME_STAMP)?;
    let mut values = attribute.take(tag::SET)?.inside();
    attribute.end()?;
    let token = values.take(tag::SEQUENCE)?.whole.to_vec();
    values.end().map(|()| token)
}

fn decode_algorithm(identifier: &[u8]) -> Result<FormAlgorithm, DerError> {
    [FormAlgorithm::RsaSha256, FormAlgorithm::EcdsaSha256]
        .into_iter()
        .find(|algorithm| algorithm.identifier() == identifier)
        .ok_or(DerError)
}

fn thirty_two(bytes: &[u8]) -> Result<[u8; 32], DerError> {
    bytes.try_into().map_err(|_| DerError)
}

/// UTCTime through 2049, GeneralizedTime after (RFC 5652 §11.3).
fn encode_time(at: Timestamp) -> Vec<u8> {
    let four_digits = at.strftime("%Y%m%d%H%M%SZ").to_string();
    match four_digits.get(2..) {
        Some(two_digits) if ("1950".."2050").contains(&four_digits.get(..4).unwrap_or_default()) => {
            der::encode(tag::UTC_TIME, &[two_digits.as_bytes()])
        }
        _ => der::encode(tag::GENERALIZED_TIME, &[four_digits.as_bytes()]),
    }
}

fn decode_time(mut values: Reader<'_>) -> Result<Timestamp, DerError> {
    let value = values.any()?;
    let digits = std::str::from_utf8(value.contents).map_err(|_| DerError)?;
    let century = match (value.tag, digits.get(..2)) {
        (tag::UTC_TIME, Some(year)) if year >= "50" => "19",
        (tag::UTC_TIME, Some(_)) => "20",
        (tag::GENERALIZED_TIME, Some(_)) => "",
        _ => return Err(DerError),
    };
    let text = format!("{century}{}", digits.strip_suffix('Z').ok_or(DerError)?);
    let civil = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &text).map_err(|_| DerError)?;
    jiff::tz::Offset::UTC.to_timestamp(civil).map_err(|_| DerError)
}

/// IssuerAndSerialNumber of a certificate: the two fields as they stand in it.
pub(crate) fn signer_id(certificate: &[u8]) -> Result<Vec<u8>, DerError> {
    const VERSION: u8 = tag::CONTEXT_0;
    let mut outer = der::whole(certificate, tag::SEQUENCE)?.inside();
    let mut to_be_signed = outer.take(tag::SEQUENCE)?.inside();
    if to_be_signed.peek() == Some(VERSION) {
        to_be_signed.take(VERSION)?;
    }
    let serial = to_be_signed.take(tag::INTEGER)?.whole;
    to_be_signed.take(tag::SEQUENCE)?;
    let issuer = to_be_signed.take(tag::SEQUENCE)?.whole;
    Ok(der::encode(tag::SEQUENCE, &[issuer, serial]))
}

// version INTEGER 1: no other version has this form (eContentType id-data, no attribute certificates).
const VERSION_1: [u8; 3] = [0x02, 0x01, 0x01];
// 1.2.840.113549.1.7.1
const OID_DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
// 1.2.840.113549.1.7.2
const OID_SIGNED_DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
// 1.2.840.113549.1.9.3, .4, .5
const OID_CONTENT_TYPE: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const OID_MESSAGE_DIGEST: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const OID_SIGNING_TIME: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];
// 1.2.840.113549.1.9.16.2.14 and .47
const OID_SIGNATURE_TIME_STAMP: [u8; 13] =
    [0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0e];
const OID_SIGNING_CERTIFICATE_V2: [u8; 13] =
    [0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];
// AlgorithmIdentifier { 2.16.840.1.101.3.4.2.1 }, parameters absent (RFC 5754 §2)
const SHA256: [u8; 13] = [0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
// AlgorithmIdentifier { 1.2.840.113549.1.1.11, NULL }
const RSA_SHA256: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00];
// AlgorithmIdentifier { 1.2.840.10045.4.3.2 }, parameters absent
const ECDSA_SHA256: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SealForm {
        SealForm {
            signing_time: "2026-11-21T05:00:00Z".parse().unwrap(),
            message_digest: [1; 32],
            certificate_sha256: [2; 32],
            signer_id: vec![0x30, 0x00],
            certificates: vec![vec![0x30, 0x01, 0x05], vec![0x30, 0x02, 0x05, 0x00]],
            algorithm: FormAlgorithm::EcdsaSha256,
            signature: vec![9; 70],
            token: Some(vec![0x30, 0x00]),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for algorithm in [FormAlgorithm::EcdsaSha256, FormAlgorithm::RsaSha256] {
            for time in ["2026-11-21T05:00:00Z", "1999-12-31T23:59:59Z", "2050-01-01T00:00:00Z"] {
                let form = SealForm { algorithm, signing_time: time.parse().unwrap(), ..sample() };
                assert_eq!(SealForm::decode(&form.encode()), Ok(form));
            }
        }
    }

    #[test]
    fn without_stamp_it_is_not_a_seal() {
        let form = SealForm { token: None, ..sample() };
        assert_eq!(SealForm::decode(&form.encode()), Err(DerError));
    }

    #[test]
    fn certificates_in_another_order_are_refused() {
        let mut form = sample();
        form.certificates.reverse();
        let mut p7s = form.encode();
        let at = p7s.windows(7).position(|w| w == [0x30, 0x01, 0x05, 0x30, 0x02, 0x05, 0x00]).unwrap();
        p7s[at..at + 7].copy_from_slice(&[0x30, 0x02, 0x05, 0x00, 0x30, 0x01, 0x05]);
        assert_eq!(SealForm::decode(&p7s), Err(DerError));
    }
}
