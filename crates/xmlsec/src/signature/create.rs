//! Creating signatures, written so that under exclusive C14N the text is its own canonical form; `insert.rs` serves the others.

use pki::digest::{Digest, DigestAlgorithm, Hasher};
use pki::signer::{SignError, Signer};

use super::SignatureError;
use super::parse::{ENVELOPED_URI, STR_TRANSFORM_URI};
use crate::c14n::{self, C14nError, DefaultAtApex, Method};
use crate::chars::is_ncname;
use crate::{Element, ReadError, base64, namespace};

/// One element to be signed: its Id, what is done to it, its digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningReference {
    id: String,
    transform: Transform,
    method: Method,
    digest: Digest,
}

/// What comes before the canonicalisation, or holds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Transform {
    None,
    Enveloped,
    Str,
}

impl SigningReference {
    /// Digests the element as it stands in its document; `id` is the Id that it carries there.
    ///
    /// # Errors
    /// `Id`: no NCName; `C14n`: a prefix that is none. Both the caller's mistakes.
    pub fn over(
        element: Element<'_>,
        id: &str,
        prefixes: &[&str],
        algorithm: DigestAlgorithm,
    ) -> Result<Self, SigningError> {
        Self::over_by(element, id, Method::exclusive_with(prefixes.iter().copied()), algorithm)
    }

    /// As [`Self::over`], by any canonicalisation. Comments are never covered (XML Signature §4.4.3.3).
    ///
    /// # Errors
    /// As [`Self::over`].
    pub fn over_by(
        element: Element<'_>,
        id: &str,
        method: Method,
        algorithm: DigestAlgorithm,
    ) -> Result<Self, SigningError> {
        let mut hasher = Hasher::new(algorithm);
        c14n::canonicalize(element, &without_comments(&method), &mut hasher)?;
        Self::new(id, Transform::None, method, hasher.finish())
    }

    /// As [`Self::over_by`], for an element in which the signature itself will stand: it is digested as it is before that.
    ///
    /// # Errors
    /// As [`Self::over`].
    pub fn enveloping(
        element: Element<'_>,
        id: &str,
        method: Method,
        algorithm: DigestAlgorithm,
    ) -> Result<Self, SigningError> {
        Ok(Self { transform: Transform::Enveloped, ..Self::over_by(element, id, method, algorithm)? })
    }

    /// The token that the `wsse:SecurityTokenReference` of that Id stands for, by STR-Transform.
    ///
    /// # Errors
    /// As [`Self::over`].
    pub fn over_token(
        token: Element<'_>,
        reference_id: &str,
        method: Method,
        algorithm: DigestAlgorithm,
    ) -> Result<Self, SigningError> {
        let mut hasher = Hasher::new(algorithm);
        c14n::canonicalize_token(token, &without_comments(&method), DefaultAtApex::WriteIfNone, &mut hasher)?;
        Self::new(reference_id, Transform::Str, method, hasher.finish())
    }

    /// Takes a digest that the caller made over the canonical form.
    ///
    /// # Errors
    /// As [`Self::over`].
    pub fn of_digest(id: &str, prefixes: &[&str], digest: Digest) -> Result<Self, SigningError> {
        Self::new(id, Transform::None, Method::exclusive_with(prefixes.iter().copied()), digest)
    }

    fn new(id: &str, transform: Transform, method: Method, digest: Digest) -> Result<Self, SigningError> {
        if !is_ncname(id) {
            return Err(SigningError::Id);
        }
        c14n::check(&method)?;
        Ok(Self { id: id.to_owned(), transform, method, digest })
    }
}

fn without_comments(method: &Method) -> Method {
    Method { comments: false, ..method.clone() }
}

/// A signature made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedXml {
    /// The `ds:Signature` element: it declares every prefix that it uses, so it may be put anywhere.
    pub xml: String,
    /// The canonical SignedInfo.
    pub signed_info: Vec<u8>,
    /// The signature value.
    pub value: Vec<u8>,
}

/// Signs the references: exclusive C14N without PrefixList over SignedInfo, the signer's algorithm.
///
/// `key_info` is markup for inside `ds:KeyInfo` that declares its own prefixes (but for `ds`); without it there is no KeyInfo.
///
/// # Errors
/// `Empty`: no reference; `Sign`: the key failed.
pub fn sign(
    references: &[SigningReference],
    key_info: Option<&str>,
    signer: &dyn Signer,
) -> Result<SignedXml, SigningError> {
    if references.is_empty() {
        return Err(SigningError::Empty);
    }
    let inside = signed_info_content(references, &Method::exclusive(), signer);
    // In the document the prefix comes from ds:Signature; in the canonical form SignedInfo has to declare it.
    let signed_info =
        format!("<ds:SignedInfo xmlns:ds=\"{}\">{inside}</ds:SignedInfo>", namespace::DS).into_bytes();
    let value = signer.sign(&signed_info)?;
    let key_info = key_info.map(|inside| format!("<ds:KeyInfo>{inside}</ds:KeyInfo>")).unwrap_or_default();
    let xml = format!(
        "<ds:Signature xmlns:ds=\"{}\"><ds:SignedInfo>{inside}</ds:SignedInfo>\
         <ds:SignatureValue>{}</ds:SignatureValue>{key_info}</ds:Signature>",
        namespace::DS,
        base64::encode(&value),
    );
    Ok(SignedXml { xml, signed_info, value })
}

pub(super) fn signed_info_content(
    references: &[SigningReference],
    method: &Method,
    signer: &dyn Signer,
) -> String {
    let mut out = String::with_capacity(512 + 512 * references.len());
    push_method(&mut out, "CanonicalizationMethod", method);
    push_empty(&mut out, "SignatureMethod", signer.algorithm().xmldsig_uri());
    for reference in references {
        push_reference(&mut out, reference);
    }
    out
}

fn push_empty(out: &mut String, name: &str, algorithm: &str) {
    for piece in ["<ds:", name, " Algorithm=\"", algorithm, "\"></ds:", name, ">"] {
        out.push_str(piece);
    }
}

fn push_method(out: &mut String, name: &str, method: &Method) {
    if method.algorithm != c14n::Algorithm::Exclusive || method.prefixes.is_empty() {
        return push_empty(out, name, method.uri());
    }
    let list = method.prefixes.join(" ");
    for piece in [
        "<ds:",
        name,
        " Algorithm=\"",
        method.uri(),
        "\"><ec:InclusiveNamespaces xmlns:ec=\"",
        namespace::EC,
        "\" PrefixList=\"",
        &list,
        "\"></ec:InclusiveNamespaces></ds:",
        name,
        ">",
    ] {
        out.push_str(piece);
    }
}

fn push_reference(out: &mut String, reference: &SigningReference) {
    for piece in ["<ds:Reference URI=\"#", &reference.id, "\"><ds:Transforms>"] {
        out.push_str(piece);
    }
    match reference.transform {
        Transform::Str => {
            for piece in [
                "<ds:Transform Algorithm=\"",
                STR_TRANSFORM_URI,
                "\"><wsse:TransformationParameters xmlns:wsse=\"",
            ] {
                out.push_str(piece);
            }
            out.push_str(namespace::WSSE);
            out.push_str("\">");
            push_method(out, "CanonicalizationMethod", &reference.method);
            out.push_str("</wsse:TransformationParameters></ds:Transform>");
        }
        Transform::Enveloped => {
            push_empty(out, "Transform", ENVELOPED_URI);
            push_method(out, "Transform", &reference.method);
        }
        Transform::None => push_method(out, "Transform", &reference.method),
    }
    out.push_str("</ds:Transforms>");
    push_empty(out, "DigestMethod", reference.digest.algorithm().xmldsig_uri());
    let value = base64::encode(reference.digest.as_bytes());
    for piece in ["<ds:DigestValue>", &value, "</ds:DigestValue></ds:Reference>"] {
        out.push_str(piece);
    }
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// An Id that is no NCName: the caller's mistake.
    #[error("an Id to sign is no NCName")]
    Id,
    /// No reference: the caller's mistake.
    #[error("nothing to sign")]
    Empty,
    /// A PrefixList entry that is none: the caller's mistake.
    #[error(transparent)]
    C14n(#[from] C14nError),
    /// The key failed.
    #[error("signing SignedInfo: {0}")]
    Sign(#[from] SignError),
    /// With the signature in it, the document is beyond the limits, or KeyInfo is not well-formed: the caller's mistake.
    #[error("the document with its signature: {0}")]
    Read(#[from] ReadError),
    /// With KeyInfo in it, the signature is not one: the caller's mistake.
    #[error("the signature with its KeyInfo: {0}")]
    Signature(#[from] SignatureError),
}

impl SigningError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Id => "xmlsec.sign.id",
            Self::Empty => "xmlsec.sign.empty",
            Self::C14n(error) => error.code(),
            Self::Sign(_) => "xmlsec.sign.key",
            Self::Read(error) => error.code(),
            Self::Signature(error) => error.code(),
        }
    }
}
