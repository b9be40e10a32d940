//! The signature of an evidence: one enveloped XAdES-BASELINE-T, written one way, and read only if it was written so.
//!
//! Two references: the root without the signature, and the signed properties; both and SignedInfo by exclusive canonicalisation, which
//! what is written here already is. The time-stamp is over the canonical `ds:SignatureValue`.
//!
//! Sources: ETSI EN 319 132-1 §5.2 (qualifying properties), §5.3 (signature time-stamp), §6.3 (baseline levels); XML Signature 1.1.

use jiff::Timestamp;
use pki::algorithm::SignatureAlgorithm;
use pki::certificate::Certificate;
use pki::digest::{Digest, DigestAlgorithm};
use xmlsec::namespace::DS;
use xmlsec::{Document, Element, Limits, base64};

use super::Evidence;
use super::write::{self, ROOT_ID, Unsigned};
use crate::dispatch::{parse_second, to_the_second};
use crate::schema::{ProofReadError, structure};

/// The namespace of the qualifying properties.
pub(crate) const XADES_NAMESPACE: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// The identifier of the signed properties.
pub(crate) const PROPERTIES_ID: &str = "signed-properties";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// The fields of a signature that differ from one evidence to the next; everything else is fixed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Form {
    /// The claimed time, to the second.
    pub(crate) signing_time: Timestamp,
    /// SHA-256 of the canonical root without the signature.
    pub(crate) content_sha256: [u8; 32],
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

/// What an evidence's file holds: both halves, read and found to be written as we write them.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) evidence: Evidence,
    pub(crate) issuer: Certificate,
    pub(crate) form: Form,
}

impl Form {
    /// `xades:SignedProperties` in canonical form.
    fn properties(&self) -> String {
        let digest = digest_markup(&self.certificate_sha256, true);
        format!(
            "<xades:SignedProperties xmlns:xades=\"{XADES_NAMESPACE}\" Id=\"{PROPERTIES_ID}\"><xades:SignedSignatureProperties>\
             <xades:SigningTime>{}</xades:SigningTime><xades:SigningCertificateV2><xades:Cert><xades:CertDigest>{digest}\
             </xades:CertDigest></xades:Cert></xades:SigningCertificateV2></xades:SignedSignatureProperties>\
             <xades:SignedDataObjectProperties><xades:DataObjectFormat ObjectReference=\"#reference-{ROOT_ID}\">\
             <xades:MimeType>text/xml</xades:MimeType></xades:DataObjectFormat></xades:SignedDataObjectProperties>\
             </xades:SignedProperties>",
            to_the_second(self.signing_time)
        )
    }

    /// What stands in `ds:SignedInfo`.
    fn inside_signed_info(&self) -> String {
        let content = digest_markup(&self.content_sha256, false);
        let properties = digest_markup(&pki::digest::sha256(self.properties().as_bytes()), false);
        format!(
            "<ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>\
             <ds:Reference Id=\"reference-{ROOT_ID}\" URI=\"#{ROOT_ID}\"><ds:Transforms><ds:Transform Algorithm=\"{ENVELOPED}\">\
             </ds:Transform><ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>{content}</ds:Reference>\
             <ds:Reference Type=\"http://uri.etsi.org/01903#SignedProperties\" URI=\"#{PROPERTIES_ID}\"><ds:Transforms>\
             <ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>{properties}</ds:Reference>",
            self.algorithm.xmldsig_uri()
        )
    }

    /// The bytes that are signed: SignedInfo in canonical form.
    pub(super) fn signed_info(&self) -> Vec<u8> {
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

    fn markup(&self) -> String {
        let mut out = format!(
            "<ds:Signature xmlns:ds=\"{DS}\" Id=\"signature\"><ds:SignedInfo>{}</ds:SignedInfo>\
             <ds:SignatureValue Id=\"signature-value\">{}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>",
            self.inside_signed_info(),
            base64::encode(&self.value)
        );
        for certificate in &self.certificates {
            out.push_str("<ds:X509Certificate>");
            out.push_str(&base64::encode(certificate));
            out.push_str("</ds:X509Certificate>");
        }
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
            out.push_str(
                "</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp></xades:UnsignedSignatureProperties>\
                 </xades:UnsignedProperties>",
            );
        }
        out.push_str("</xades:QualifyingProperties></ds:Object></ds:Signature>");
        out
    }

    /// The file: the evidence with this signature in it.
    pub(super) fn place(&self, unsigned: &Unsigned) -> Vec<u8> {
        [&unsigned.before, self.markup().as_bytes(), unsigned.after].concat()
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

impl Signed {
    /// Reads a stamped evidence. What it returns is written as exactly `xml`.
    ///
    /// # Errors
    /// [`ProofReadError`]; `Form`: it says something, but not in our one way.
    pub(crate) fn parse(xml: &[u8]) -> Result<Self, ProofReadError> {
        let document = Document::parse(xml, &Limits::default()).map_err(ProofReadError::Xml)?;
        Self::read(&document)
    }

    /// As [`Self::parse`], from the tree that is verified.
    pub(crate) fn read(document: &Document) -> Result<Self, ProofReadError> {
        let root = document.root();
        let (evidence, issuer) = super::read::read(root)?;
        let issuer = Certificate::from_der(&issuer)
            .map_err(|_| ProofReadError::Value { element: "X509Certificate", expected: "a certificate" })?;
        let signature = root.child(DS, "Signature").ok_or_else(|| structure("ds:Signature", "none"))?;
        let form = read_form(signature)?;
        let signed = Self { evidence, issuer, form };
        // The last word: only what the one writer makes is the form.
        if signed.form.place(&write::write(&signed.evidence, &signed.issuer)) == document.source() {
            Ok(signed)
        } else {
            Err(ProofReadError::Form)
        }
    }
}

fn read_form(signature: Element<'_>) -> Result<Form, ProofReadError> {
    let signed_info = child(signature, DS, "SignedInfo")?;
    let method = child(signed_info, DS, "SignatureMethod")?.attribute(None, "Algorithm").unwrap_or_default();
    let algorithm =
        SignatureAlgorithm::from_xmldsig_uri(&method).filter(|method| ALGORITHMS.contains(method)).ok_or(
            ProofReadError::Value { element: "SignatureMethod", expected: "RSA-SHA256 or ECDSA-SHA256" },
        )?;
    let content_sha256 = sha256(child(child(signed_info, DS, "Reference")?, DS, "DigestValue")?)?;
    let value = decoded(child(signature, DS, "SignatureValue")?, "SignatureValue")?;
    let data = child(child(signature, DS, "KeyInfo")?, DS, "X509Data")?;
    let certificates: Result<Vec<_>, _> =
        data.children().map(|certificate| decoded(certificate, "X509Certificate")).collect();
    let properties = child(child(signature, DS, "Object")?, XADES_NAMESPACE, "QualifyingProperties")?;
    let signed = child(properties, XADES_NAMESPACE, "SignedProperties")?;
    let of_signature = child(signed, XADES_NAMESPACE, "SignedSignatureProperties")?;
    let time = child(of_signature, XADES_NAMESPACE, "SigningTime")?;
    let time = time.text().map_err(|_| structure("text alone", "elements"))?;
    let signing_time = parse_second(&time)
        .ok_or(ProofReadError::Value { element: "SigningTime", expected: "a time in UTC to the second" })?;
    let named = ["SigningCertificateV2", "Cert", "CertDigest"]
        .into_iter()
        .try_fold(of_signature, |element, name| child(element, XADES_NAMESPACE, name))?;
    let token =
        ["UnsignedProperties", "UnsignedSignatureProperties", "SignatureTimeStamp", "EncapsulatedTimeStamp"]
            .into_iter()
            .try_fold(properties, |element, name| child(element, XADES_NAMESPACE, name))?;
    Ok(Form {
        signing_time,
        content_sha256,
        certificate_sha256: sha256(child(named, DS, "DigestValue")?)?,
        algorithm,
        value,
        certificates: certificates?,
        token: Some(decoded(token, "EncapsulatedTimeStamp")?),
    })
}

/// What an evidence is signed with.
pub(crate) const ALGORITHMS: [SignatureAlgorithm; 2] =
    [SignatureAlgorithm::RsaSha256, SignatureAlgorithm::EcdsaSha256];

fn child<'d>(parent: Element<'d>, namespace: &str, name: &str) -> Result<Element<'d>, ProofReadError> {
    let missing = || structure(&format!("{name} in {}", parent.local_name()), "none");
    parent.child(namespace, name).ok_or_else(missing)
}

fn decoded(element: Element<'_>, name: &'static str) -> Result<Vec<u8>, ProofReadError> {
    let text = element.text().map_err(|_| structure("text alone", "elements"))?;
    base64_simd::STANDARD
        .decode_to_vec(text.as_bytes())
        .map_err(|_| ProofReadError::Value { element: name, expected: "base64" })
}

fn sha256(value: Element<'_>) -> Result<[u8; 32], ProofReadError> {
    let expected = "base64 of 32 bytes";
    let wrong = |_| ProofReadError::Value { element: "DigestValue", expected };
    decoded(value, "DigestValue")?.try_into().map_err(wrong)
}
