//! XAdES signatures, written one way, and read only if they were written so: enveloped in an evidence (BASELINE-T), or beside the
//! files of a package (BASELINE-LT).
//!
//! The references, then the signed properties; all that is canonicalised is so exclusively, which what is written here already is.
//! The time-stamp is over the canonical `ds:SignatureValue`.
//!
//! Sources: ETSI EN 319 132-1 §5.2 (qualifying properties), §5.3 (signature time-stamp), §5.4 (certificate and revocation values), §6.3
//! (baseline levels); XML Signature 1.1; EN 319 162-1 §4.4 (references of ASiC-E).

use std::fmt::Write as _;

use jiff::Timestamp;
use pki::algorithm::SignatureAlgorithm;
use pki::digest::{Digest, DigestAlgorithm};
use pki::signer::Signer;
use xmlsec::namespace::DS;
use xmlsec::{Element, base64};

use crate::dispatch::{parse_second, to_the_second};
use crate::schema::{ProofReadError, structure};
use crate::seal::SealError;

/// The namespace of the qualifying properties.
pub(crate) const XADES_NAMESPACE: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// The identifier of the signed properties.
pub(crate) const PROPERTIES_ID: &str = "signed-properties";
/// The identifier of a root that has its signature inside.
pub(crate) const ROOT_ID: &str = "evidence";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// The fields of a signature that differ from one to the next; everything else is fixed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Form {
    /// The claimed time, to the second.
    pub(crate) signing_time: Timestamp,
    /// What it is over, beside its own signed properties.
    pub(crate) covered: Covered,
    /// SHA-256 of the signing certificate.
    pub(crate) certificate_sha256: [u8; 32],
    /// RSA or P-256, with SHA-256.
    pub(crate) algorithm: SignatureAlgorithm,
    /// The signature value; an ECDSA one is r‖s.
    pub(crate) value: Vec<u8>,
    /// Signer, then its intermediates, DER.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// The signature time-stamp, DER; `None` only before it is there.
    pub(crate) token: Option<Vec<u8>>,
}

/// What a signature is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Covered {
    /// The root in which it stands: SHA-256 of its canonical form without the signature. Level T, the certificates all in `ds:KeyInfo`.
    Root([u8; 32]),
    /// Files beside it. Level LT: the intermediates are among the certificate values, and the revocation lists (DER) are in it.
    Files { files: Vec<CoveredFile>, crls: Vec<Vec<u8>> },
}

/// One file under a signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CoveredFile {
    /// Its path: ASCII that neither a URI nor XML would write otherwise.
    pub(crate) name: String,
    pub(crate) media_type: String,
    pub(crate) sha256: [u8; 32],
}

impl Form {
    /// As `signer` will sign it: no value and an empty token as yet.
    ///
    /// # Errors
    /// The signer's algorithm; a time out of range.
    pub(crate) fn new(signer: &dyn Signer, at: Timestamp, covered: Covered) -> Result<Self, SealError> {
        let algorithm = signer.algorithm();
        if !ALGORITHMS.contains(&algorithm) {
            return Err(SealError::Algorithm);
        }
        let certificate = signer.certificate();
        let mut certificates = vec![certificate.der().to_vec()];
        for intermediate in signer.chain() {
            if !certificates.iter().any(|known| known == intermediate.der()) {
                certificates.push(intermediate.der().to_vec());
            }
        }
        Ok(Self {
            signing_time: Timestamp::from_second(at.as_second()).map_err(|_| SealError::Time)?,
            covered,
            certificate_sha256: certificate.fingerprint(),
            algorithm,
            value: Vec::new(),
            certificates,
            token: Some(Vec::new()),
        })
    }

    /// `xades:SignedProperties` in canonical form.
    fn properties(&self) -> String {
        let digest = digest_markup(&self.certificate_sha256, true);
        let mut formats = String::new();
        let mut format = |id: &str, media_type: &str| {
            let _ = write!(
                formats,
                "<xades:DataObjectFormat ObjectReference=\"#reference-{id}\"><xades:MimeType>{media_type}</xades:MimeType>\
                 </xades:DataObjectFormat>"
            );
        };
        match &self.covered {
            Covered::Root(_) => format(ROOT_ID, "text/xml"),
            Covered::Files { files, .. } => {
                for (number, file) in (1..).zip(files) {
                    format(&number.to_string(), &file.media_type);
                }
            }
        }
        format!(
            "<xades:SignedProperties xmlns:xades=\"{XADES_NAMESPACE}\" Id=\"{PROPERTIES_ID}\"><xades:SignedSignatureProperties>\
             <xades:SigningTime>{}</xades:SigningTime><xades:SigningCertificateV2><xades:Cert><xades:CertDigest>{digest}\
             </xades:CertDigest></xades:Cert></xades:SigningCertificateV2></xades:SignedSignatureProperties>\
             <xades:SignedDataObjectProperties>{formats}</xades:SignedDataObjectProperties>\
             </xades:SignedProperties>",
            to_the_second(self.signing_time)
        )
    }

    fn references(&self) -> String {
        let mut out = String::new();
        match &self.covered {
            Covered::Root(sha256) => {
                let _ = write!(
                    out,
                    "<ds:Reference Id=\"reference-{ROOT_ID}\" URI=\"#{ROOT_ID}\"><ds:Transforms><ds:Transform Algorithm=\"{ENVELOPED}\">\
                     </ds:Transform><ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>{}</ds:Reference>",
                    digest_markup(sha256, false)
                );
            }
            Covered::Files { files, .. } => {
                for (number, file) in (1..).zip(files) {
                    let (name, digest) = (&file.name, digest_markup(&file.sha256, false));
                    let _ = write!(
                        out,
                        "<ds:Reference Id=\"reference-{number}\" URI=\"{name}\">{digest}</ds:Reference>"
                    );
                }
            }
        }
        out
    }

    /// What stands in `ds:SignedInfo`.
    fn inside_signed_info(&self) -> String {
        let properties = digest_markup(&pki::digest::sha256(self.properties().as_bytes()), false);
        format!(
            "<ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>{}\
             <ds:Reference Type=\"http://uri.etsi.org/01903#SignedProperties\" URI=\"#{PROPERTIES_ID}\"><ds:Transforms>\
             <ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>{properties}</ds:Reference>",
            self.algorithm.xmldsig_uri(),
            self.references()
        )
    }

    /// The bytes that are signed: SignedInfo in canonical form.
    pub(crate) fn signed_info(&self) -> Vec<u8> {
        format!("<ds:SignedInfo xmlns:ds=\"{DS}\">{}</ds:SignedInfo>", self.inside_signed_info()).into_bytes()
    }

    /// The imprint that the time-stamp must have: over the signature value's element in canonical form (EN 319 132-1 §5.3).
    pub(crate) fn imprint(&self) -> Digest {
        let value = base64::encode(&self.value);
        let element = format!(
            "<ds:SignatureValue xmlns:ds=\"{DS}\" Id=\"signature-value\">{value}</ds:SignatureValue>"
        );
        Digest::of(DigestAlgorithm::Sha256, element.as_bytes())
    }

    /// The whole `ds:Signature`.
    pub(crate) fn markup(&self) -> String {
        let beside = match &self.covered {
            Covered::Root(_) => self.certificates.len(),
            Covered::Files { .. } => 1,
        };
        let (key_info, values) = self.certificates.split_at(beside.min(self.certificates.len()));
        let mut out = format!(
            "<ds:Signature xmlns:ds=\"{DS}\" Id=\"signature\"><ds:SignedInfo>{}</ds:SignedInfo>\
             <ds:SignatureValue Id=\"signature-value\">{}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>",
            self.inside_signed_info(),
            base64::encode(&self.value)
        );
        each(&mut out, "ds:X509Certificate", key_info);
        out.push_str("</ds:X509Data></ds:KeyInfo><ds:Object><xades:QualifyingProperties xmlns:xades=\"");
        out.push_str(XADES_NAMESPACE);
        out.push_str("\" Target=\"#signature\">");
        out.push_str(&self.properties());
        if let Some(token) = &self.token {
            out.push_str(
                "<xades:UnsignedProperties><xades:UnsignedSignatureProperties><xades:SignatureTimeStamp>\
                 <ds:CanonicalizationMethod Algorithm=\"",
            );
            out.push_str(EXCLUSIVE);
            out.push_str("\"></ds:CanonicalizationMethod><xades:EncapsulatedTimeStamp>");
            out.push_str(&base64::encode(token));
            out.push_str("</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>");
            if let Covered::Files { crls, .. } = &self.covered {
                if !values.is_empty() {
                    out.push_str("<xades:CertificateValues>");
                    each(&mut out, "xades:EncapsulatedX509Certificate", values);
                    out.push_str("</xades:CertificateValues>");
                }
                out.push_str("<xades:RevocationValues><xades:CRLValues>");
                each(&mut out, "xades:EncapsulatedCRLValue", crls);
                out.push_str("</xades:CRLValues></xades:RevocationValues>");
            }
            out.push_str("</xades:UnsignedSignatureProperties></xades:UnsignedProperties>");
        }
        out.push_str("</xades:QualifyingProperties></ds:Object></ds:Signature>");
        out
    }

    /// Reads a stamped signature of either kind. Only the fields are taken: that nothing else stands there, whoever calls sees by
    /// writing it again.
    ///
    /// # Errors
    /// [`ProofReadError`]: a field is not there, or not of its kind.
    pub(crate) fn read(signature: Element<'_>) -> Result<Self, ProofReadError> {
        let signed_info = child(signature, DS, "SignedInfo")?;
        let method =
            child(signed_info, DS, "SignatureMethod")?.attribute(None, "Algorithm").unwrap_or_default();
        let algorithm = SignatureAlgorithm::from_xmldsig_uri(&method)
            .filter(|method| ALGORITHMS.contains(method))
            .ok_or(ProofReadError::Value {
                element: "SignatureMethod",
                expected: "RSA-SHA256 or ECDSA-SHA256",
            })?;
        let value = decoded(child(signature, DS, "SignatureValue")?, "SignatureValue")?;
        let data = child(child(signature, DS, "KeyInfo")?, DS, "X509Data")?;
        let mut certificates = all(data, "X509Certificate")?;
        let properties = child(child(signature, DS, "Object")?, XADES_NAMESPACE, "QualifyingProperties")?;
        let signed = child(properties, XADES_NAMESPACE, "SignedProperties")?;
        let of_signature = child(signed, XADES_NAMESPACE, "SignedSignatureProperties")?;
        let time = text(child(of_signature, XADES_NAMESPACE, "SigningTime")?)?;
        let signing_time = parse_second(&time).ok_or(ProofReadError::Value {
            element: "SigningTime",
            expected: "a time in UTC to the second",
        })?;
        let named = within(of_signature, &["SigningCertificateV2", "Cert", "CertDigest"])?;
        let unsigned = within(properties, &["UnsignedProperties", "UnsignedSignatureProperties"])?;
        let token = within(unsigned, &["SignatureTimeStamp", "EncapsulatedTimeStamp"])?;
        let covered = if signature.parent().is_some_and(|parent| parent.is(ASIC_NAMESPACE, ASIC_ROOT)) {
            if let Some(values) = unsigned.child(XADES_NAMESPACE, "CertificateValues") {
                certificates.extend(all(values, "EncapsulatedX509Certificate")?);
            }
            let crls = all(within(unsigned, &["RevocationValues", "CRLValues"])?, "EncapsulatedCRLValue")?;
            let formats = child(signed, XADES_NAMESPACE, "SignedDataObjectProperties")?;
            Covered::Files { files: read_files(signed_info, formats)?, crls }
        } else {
            Covered::Root(sha256(child(child(signed_info, DS, "Reference")?, DS, "DigestValue")?)?)
        };
        Ok(Self {
            signing_time,
            covered,
            certificate_sha256: sha256(child(named, DS, "DigestValue")?)?,
            algorithm,
            value,
            certificates,
            token: Some(decoded(token, "EncapsulatedTimeStamp")?),
        })
    }
}

/// The namespace of the element around the signatures of a container (EN 319 162-1, Annex A).
pub(crate) const ASIC_NAMESPACE: &str = "http://uri.etsi.org/02918/v1.2.1#";
/// That element.
pub(crate) const ASIC_ROOT: &str = "XAdESSignatures";

/// Every reference but the last, which is to the signed properties, with the media type that the format at the same place says.
fn read_files(signed_info: Element<'_>, formats: Element<'_>) -> Result<Vec<CoveredFile>, ProofReadError> {
    let mut formats = formats.children();
    let mut files = Vec::new();
    let mut references = signed_info.children().filter(|child| child.is(DS, "Reference")).peekable();
    while let Some(reference) = references.next() {
        if references.peek().is_none() {
            break;
        }
        let format =
            formats.next().ok_or_else(|| structure("a DataObjectFormat of each reference", "fewer"))?;
        files.push(CoveredFile {
            name: reference.attribute(None, "URI").unwrap_or_default().into_owned(),
            media_type: text(child(format, XADES_NAMESPACE, "MimeType")?)?,
            sha256: sha256(child(reference, DS, "DigestValue")?)?,
        });
    }
    Ok(files)
}

/// What is signed with.
pub(crate) const ALGORITHMS: [SignatureAlgorithm; 2] =
    [SignatureAlgorithm::RsaSha256, SignatureAlgorithm::EcdsaSha256];

/// An element of base64 for each.
fn each(out: &mut String, name: &str, values: &[Vec<u8>]) {
    for value in values {
        let _ = write!(out, "<{name}>{}</{name}>", base64::encode(value));
    }
}

/// Method and value; `alone` where they are digested without what is around them.
fn digest_markup(value: &[u8; 32], alone: bool) -> String {
    let declared = if alone { format!(" xmlns:ds=\"{DS}\"") } else { String::new() };
    format!(
        "<ds:DigestMethod{declared} Algorithm=\"{}\"></ds:DigestMethod><ds:DigestValue{declared}>{}</ds:DigestValue>",
        DigestAlgorithm::Sha256.xmldsig_uri(),
        base64::encode(value)
    )
}

fn child<'d>(parent: Element<'d>, namespace: &str, name: &str) -> Result<Element<'d>, ProofReadError> {
    let missing = || structure(&format!("{name} in {}", parent.local_name()), "none");
    parent.child(namespace, name).ok_or_else(missing)
}

/// Down a path of qualifying properties.
fn within<'d>(parent: Element<'d>, path: &[&str]) -> Result<Element<'d>, ProofReadError> {
    path.iter().try_fold(parent, |element, name| child(element, XADES_NAMESPACE, name))
}

fn all(parent: Element<'_>, name: &'static str) -> Result<Vec<Vec<u8>>, ProofReadError> {
    parent.children().map(|child| decoded(child, name)).collect()
}

fn text(element: Element<'_>) -> Result<String, ProofReadError> {
    element.text().map(|text| text.into_owned()).map_err(|_| structure("text alone", "elements"))
}

fn decoded(element: Element<'_>, name: &'static str) -> Result<Vec<u8>, ProofReadError> {
    base64_simd::STANDARD
        .decode_to_vec(text(element)?.as_bytes())
        .map_err(|_| ProofReadError::Value { element: name, expected: "base64" })
}

fn sha256(value: Element<'_>) -> Result<[u8; 32], ProofReadError> {
    let expected = "base64 of 32 bytes";
    let wrong = |_| ProofReadError::Value { element: "DigestValue", expected };
    decoded(value, "DigestValue")?.try_into().map_err(wrong)
}
