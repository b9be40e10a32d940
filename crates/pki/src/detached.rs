//! Detached CMS signatures over a file: what people sign a policy with, here or by `openssl cms -sign -binary -outform DER`.
//!
//! Source: RFC 5652 §5.

use crate::certificate::Certificate;
use crate::cms::{SignedData, digest_algorithm};
use crate::der;
use crate::digest::Digest;

/// A signature that is over the very content, by the key of the certificate that it names; whether that certificate is trusted is not
/// judged. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct DetachedSignature {
    certificate: Certificate,
    carried: Vec<Certificate>,
}

/// Why a signature is none: its maker's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DetachedError {
    /// Not one CMS SignedData in DER without content, with one signer and signed attributes.
    #[error("not a detached CMS signature of one signer, in DER")]
    Form,
    /// The certificate of the signer is not in it.
    #[error("it does not carry its signer's certificate")]
    Certificate,
    /// It is over other bytes.
    #[error("it is over other bytes")]
    Content,
    /// It is not the key's, or its algorithm is off the list.
    #[error("it was not made by the key of its certificate, with SHA-2")]
    Value,
}

impl DetachedError {
    /// The stable dotted code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Form => "cms.detached.form",
            Self::Certificate => "cms.detached.certificate",
            Self::Content => "cms.detached.content",
            Self::Value => "cms.detached.value",
        }
    }
}

impl DetachedSignature {
    /// Whose key signed.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What else it carries: intermediates, perhaps.
    pub fn carried(&self) -> &[Certificate] {
        &self.carried
    }
}

/// Verifies a signature over `content`.
///
/// # Errors
/// [`DetachedError`]: its maker's fault.
pub fn verify(p7s: &[u8], content: &[u8]) -> Result<DetachedSignature, DetachedError> {
    let data = SignedData::read_detached(p7s).map_err(|_| DetachedError::Form)?;
    if data.signers != 1
        || data.content_type != DATA
        || data.digest_algorithms != [data.signer.digest_oid.clone()]
    {
        return Err(DetachedError::Form);
    }
    let certificate = data.signing_certificate().ok_or(DetachedError::Certificate)?.clone();
    let typed = data.signer.attribute(CONTENT_TYPE).and_then(|value| oid(value).ok());
    if typed.as_deref() != Some(DATA) {
        return Err(DetachedError::Form);
    }
    let stated = data.signer.attribute(MESSAGE_DIGEST).ok_or(DetachedError::Form)?;
    let stated = der::whole(stated, der::tag::OCTET_STRING).map_err(|_| DetachedError::Form)?.contents;
    let algorithm = digest_algorithm(&data.signer.digest_oid).ok_or(DetachedError::Value)?;
    let stated = Digest::new(algorithm, stated).map_err(|_| DetachedError::Form)?;
    if !stated.matches(&Digest::of(algorithm, content)) {
        return Err(DetachedError::Content);
    }
    if !data.signer.is_signed_by(&certificate) || data.signer.names_certificate(&certificate) == Some(false) {
        return Err(DetachedError::Value);
    }
    Ok(DetachedSignature { certificate, carried: data.certificates })
}

fn oid(value: &[u8]) -> Result<String, der::DerError> {
    der::decode_oid(der::whole(value, der::tag::OID)?.contents)
}

const DATA: &str = "1.2.840.113549.1.7.1";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
