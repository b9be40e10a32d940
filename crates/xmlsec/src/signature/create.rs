//! Creating signatures: exclusive C14N, written so that the text is its own canonical form.

use pki::digest::{Digest, DigestAlgorithm, Hasher};
use pki::signer::{SignError, Signer};

use crate::c14n::{self, C14nError, Method};
use crate::chars::is_ncname;
use crate::{Element, base64, namespace};

/// One element to be signed: its Id, the PrefixList of its canonicalisation, its digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningReference {
    id: String,
    prefixes: Vec<String>,
    digest: Digest,
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
        let method = Method::exclusive_with(prefixes.iter().copied());
        let mut hasher = Hasher::new(algorithm);
        c14n::canonicalize(element, &method, &mut hasher)?;
        Self::of_digest(id, prefixes, hasher.finish())
    }

    /// Takes a digest that the caller made over the canonical form.
    ///
    /// # Errors
    /// As [`Self::over`].
    pub fn of_digest(id: &str, prefixes: &[&str], digest: Digest) -> Result<Self, SigningError> {
        if !is_ncname(id) {
            return Err(SigningError::Id);
        }
        if let Some(wrong) = prefixes.iter().find(|prefix| **prefix != "#default" && !is_ncname(prefix)) {
            return Err(C14nError::PrefixList { prefix: (*wrong).to_owned() }.into());
        }
        let prefixes = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
        Ok(Self { id: id.to_owned(), prefixes, digest })
    }
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
    let mut inside = String::with_capacity(512 + 512 * references.len());
    let method = Method::exclusive();
    push_empty(&mut inside, "CanonicalizationMethod", method.uri());
    push_empty(&mut inside, "SignatureMethod", signer.algorithm().xmldsig_uri());
    for reference in references {
        push_reference(&mut inside, reference, &method);
    }
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

fn push_empty(out: &mut String, name: &str, algorithm: &str) {
    for piece in ["<ds:", name, " Algorithm=\"", algorithm, "\"></ds:", name, ">"] {
        out.push_str(piece);
    }
}

fn push_reference(out: &mut String, reference: &SigningReference, method: &Method) {
    for piece in ["<ds:Reference URI=\"#", &reference.id, "\"><ds:Transforms>"] {
        out.push_str(piece);
    }
    if reference.prefixes.is_empty() {
        push_empty(out, "Transform", method.uri());
    } else {
        let list = reference.prefixes.join(" ");
        for piece in [
            "<ds:Transform Algorithm=\"",
            method.uri(),
            "\"><ec:InclusiveNamespaces xmlns:ec=\"",
            namespace::EC,
            "\" PrefixList=\"",
            &list,
            "\"></ec:InclusiveNamespaces></ds:Transform>",
        ] {
            out.push_str(piece);
        }
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
}

impl SigningError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Id => "xmlsec.sign.id",
            Self::Empty => "xmlsec.sign.empty",
            Self::C14n(error) => error.code(),
            Self::Sign(_) => "xmlsec.sign.key",
        }
    }
}
