//! Canonical XML 1.0 and 1.1, and Exclusive XML Canonicalization 1.0, of a whole document or of one element.
//!
//! Sources: W3C `xml-c14n` (2001), `xml-c14n11` (2008), `xml-exc-c14n` (2002).

mod attribute;
mod base;
mod sink;
mod tables;
mod walk;

pub use sink::Sink;
pub(crate) use sink::{attribute_escape, text_escape};
pub(crate) use walk::DefaultAtApex;

use crate::chars::is_ncname;
use crate::{Document, Element};

/// Which canonical form.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Algorithm {
    /// Canonical XML 1.0.
    Inclusive10,
    /// Canonical XML 1.1.
    Inclusive11,
    /// Exclusive XML Canonicalization 1.0.
    Exclusive,
}

/// A canonical form with its parameters.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Method {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Whether comments are kept.
    pub comments: bool,
    /// The `InclusiveNamespaces` PrefixList, `#default` for the default namespace; meant for [`Algorithm::Exclusive`],
    /// without effect on the others.
    pub prefixes: Vec<String>,
}

impl Method {
    /// Exclusive, without comments, without PrefixList.
    pub fn exclusive() -> Self {
        Self { algorithm: Algorithm::Exclusive, comments: false, prefixes: Vec::new() }
    }

    /// Exclusive, without comments, with the PrefixList.
    pub fn exclusive_with<'a>(prefixes: impl IntoIterator<Item = &'a str>) -> Self {
        Self { prefixes: prefixes.into_iter().map(str::to_owned).collect(), ..Self::exclusive() }
    }

    /// Canonical XML 1.0, without comments.
    pub fn inclusive() -> Self {
        Self { algorithm: Algorithm::Inclusive10, ..Self::exclusive() }
    }

    /// The method of that identifier, without parameters; `None` if there is none.
    pub fn from_uri(uri: &str) -> Option<Self> {
        URIS.iter().find(|(known, ..)| *known == uri).map(|&(_, algorithm, comments)| Self {
            algorithm,
            comments,
            prefixes: Vec::new(),
        })
    }

    /// Its identifier in XML Signature.
    pub fn uri(&self) -> &'static str {
        URIS.iter()
            .find(|&&(_, algorithm, comments)| (algorithm, comments) == (self.algorithm, self.comments))
            .map_or("", |&(uri, ..)| uri)
    }
}

const URIS: [(&str, Algorithm, bool); 6] = [
    ("http://www.w3.org/2001/10/xml-exc-c14n#", Algorithm::Exclusive, false),
    ("http://www.w3.org/2001/10/xml-exc-c14n#WithComments", Algorithm::Exclusive, true),
    ("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", Algorithm::Inclusive10, false),
    ("http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments", Algorithm::Inclusive10, true),
    ("http://www.w3.org/2006/12/xml-c14n11", Algorithm::Inclusive11, false),
    ("http://www.w3.org/2006/12/xml-c14n11#WithComments", Algorithm::Inclusive11, true),
];

/// Writes the canonical form of the element and everything in it, as a document subset of its document.
///
/// # Errors
/// [`C14nError`]: the method's PrefixList is none; then nothing was written. Nothing else can fail: what would (relative
/// namespace names) is refused by the reader.
pub fn canonicalize(element: Element<'_>, method: &Method, sink: &mut impl Sink) -> Result<(), C14nError> {
    check(method)?;
    walk::subtree(element, None, method, DefaultAtApex::AsIs, sink);
    Ok(())
}

/// As [`canonicalize`], without `excluded` and everything in it: what the enveloped-signature transform makes.
///
/// # Errors
/// As [`canonicalize`].
pub fn canonicalize_without(
    element: Element<'_>,
    excluded: Element<'_>,
    method: &Method,
    sink: &mut impl Sink,
) -> Result<(), C14nError> {
    check(method)?;
    walk::subtree(element, Some(excluded), method, DefaultAtApex::AsIs, sink);
    Ok(())
}

/// Writes the canonical form of the whole document, what stands around the root element included.
///
/// # Errors
/// As [`canonicalize`].
pub fn canonicalize_document(
    document: &Document,
    method: &Method,
    sink: &mut impl Sink,
) -> Result<(), C14nError> {
    check(method)?;
    walk::document(document, None, method, sink);
    Ok(())
}

/// As [`canonicalize_document`], of the document of `excluded`, without it and everything in it.
///
/// # Errors
/// As [`canonicalize`].
pub fn canonicalize_document_without(
    excluded: Element<'_>,
    method: &Method,
    sink: &mut impl Sink,
) -> Result<(), C14nError> {
    check(method)?;
    walk::document(excluded.document(), Some(excluded), method, sink);
    Ok(())
}

/// As [`canonicalize`], saying what becomes of the default namespace at the apex (STR-Transform needs it).
pub(crate) fn canonicalize_token(
    element: Element<'_>,
    method: &Method,
    default_at_apex: DefaultAtApex,
    sink: &mut impl Sink,
) -> Result<(), C14nError> {
    check(method)?;
    walk::subtree(element, None, method, default_at_apex, sink);
    Ok(())
}

pub(crate) fn check(method: &Method) -> Result<(), C14nError> {
    match method.prefixes.iter().find(|prefix| *prefix != "#default" && !is_ncname(prefix)) {
        Some(prefix) => Err(C14nError::PrefixList { prefix: prefix.clone() }),
        None => Ok(()),
    }
}

/// Why there is no canonical form.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum C14nError {
    /// A PrefixList entry is neither `#default` nor a prefix: the sender's fault.
    #[error("{prefix:?} in a PrefixList is no prefix")]
    PrefixList {
        /// The entry.
        prefix: String,
    },
}

impl C14nError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PrefixList { .. } => "xmlsec.c14n.prefix-list",
        }
    }
}

#[cfg(test)]
mod tests;
