//! A signature into a document, by any canonicalisation.
//!
//! The inclusive forms of SignedInfo hold what its surroundings declare: it has to stand in its place before it can be signed.

use pki::signer::Signer;

use super::create::signed_info_content;
use super::{Signature, SigningError, SigningReference};
use crate::c14n::Method;
use crate::{Document, Element, Limits, base64, namespace};

/// Writes the document of `parent` anew with a `ds:Signature` as the last child of `parent`; `method` is that of SignedInfo.
///
/// `key_info` as [`super::sign`] has it. Whether `parent` lies in what the references cover, so that they have to be
/// [`SigningReference::enveloping`], is the caller's to know.
///
/// # Errors
/// `Empty`: no reference; `Sign`: the key failed; `Read`, `Signature`: what results is refused under `limits`.
pub fn sign_within(
    parent: Element<'_>,
    method: &Method,
    references: &[SigningReference],
    key_info: Option<&str>,
    signer: &dyn Signer,
    limits: &Limits,
) -> Result<Vec<u8>, SigningError> {
    if references.is_empty() {
        return Err(SigningError::Empty);
    }
    let inside = signed_info_content(references, method, signer);
    let key_info = key_info.map(|inside| format!("<ds:KeyInfo>{inside}</ds:KeyInfo>")).unwrap_or_default();
    let signature = |value: &str| {
        format!(
            "<ds:Signature xmlns:ds=\"{}\"><ds:SignedInfo>{inside}</ds:SignedInfo>\
             <ds:SignatureValue>{value}</ds:SignatureValue>{key_info}</ds:Signature>",
            namespace::DS
        )
    };
    let (unsigned, start) = with_last_child(parent, &signature(""));
    let document = Document::parse(unsigned, limits)?;
    let placed = document.root().descendants_and_self().find(|element| element.source_range().start == start);
    let signed_info = Signature::parse(placed.unwrap_or(document.root()))?.canonical_signed_info()?;
    let value = base64::encode(&signer.sign(&signed_info)?);
    Ok(with_last_child(parent, &signature(&value)).0)
}

/// The document's bytes with `markup` before the end tag of `parent`, and where it stands in them.
fn with_last_child(parent: Element<'_>, markup: &str) -> (Vec<u8>, usize) {
    let source = parent.document().source();
    let (whole, content) = (parent.source_range(), parent.content_range());
    let part = |range: std::ops::Range<usize>| source.get(range).unwrap_or_default();
    let mut out = Vec::with_capacity(source.len() + markup.len() + parent.qualified_name().len() + 2);
    // `<a/>` has its content at its end.
    let empty = content.end == whole.end;
    out.extend_from_slice(part(0..if empty { whole.end.saturating_sub(2) } else { content.end }));
    if empty {
        out.push(b'>');
    }
    let start = out.len();
    out.extend_from_slice(markup.as_bytes());
    if empty {
        out.extend_from_slice(b"</");
        out.extend_from_slice(parent.qualified_name().as_bytes());
        out.push(b'>');
        out.extend_from_slice(part(whole.end..source.len()));
    } else {
        out.extend_from_slice(part(content.end..source.len()));
    }
    (out, start)
}
