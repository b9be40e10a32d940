//! `xop:Include` replaced by what it names, where a base64Binary may stand.

use super::Rules;
use crate::message::namespace::V2;
use crate::refuse::refusal;
use crate::wss::namespace::{DS, TYPES_V1, WSSE, XOP};
use erds::refusal::{FaultCode, Refusal};
use percent_encoding::percent_decode_str;
use xmlsec::{Document, Element, Node};

/// The elements whose content is base64Binary and may come as a part. Contract A's documents are no such place: it binds
/// them by reference and digest.
const PLACES: [(&str, &str); 7] = [
    CONTENT,
    (TYPES_V1, "DigestValue"),
    (WSSE, "BinarySecurityToken"),
    (WSSE, "KeyIdentifier"),
    (DS, "X509Certificate"),
    (DS, "SignatureValue"),
    (DS, "DigestValue"),
];

/// Contract B's documents.
pub(super) const CONTENT: (&str, &str) = (V2, "Content");

pub(super) struct Expanded {
    pub(super) bytes: Vec<u8>,
    /// Nothing but documents was expanded.
    pub(super) contents_alone: bool,
    pub(super) content_ids: Vec<String>,
}

/// The expanded bytes; `None` if there is nothing to expand.
pub(super) fn expand(
    document: &Document,
    part: &dyn Fn(&str) -> Option<Vec<u8>>,
    rules: &Rules,
) -> Result<Option<Expanded>, Refusal> {
    let source = document.source();
    let mut expanded = Expanded { bytes: Vec::new(), contents_alone: true, content_ids: Vec::new() };
    let mut copied = 0;
    for element in document.root().descendants_and_self() {
        if element.namespace() != XOP {
            continue;
        }
        if expanded.content_ids.len() == rules.includes_max {
            return Err(refused("xop.include.too-many", "more", &format!("at most {}", rules.includes_max)));
        }
        let reference = reference(element)?;
        let (content_id, bytes) = resolve(&reference, part)?;
        if expanded.content_ids.iter().any(|known| known.eq_ignore_ascii_case(&content_id)) {
            return Err(refused("xop.include.repeated", &reference, "each part named once"));
        }
        if bytes.len() > rules.include_bytes_max {
            let most = format!("at most {} bytes", rules.include_bytes_max);
            return Err(refused("xop.include.too-large", &format!("{} bytes", bytes.len()), &most));
        }
        let document = |parent: Element<'_>| parent.is(CONTENT.0, CONTENT.1);
        expanded.contents_alone &= element.parent().is_some_and(document);
        let range = element.source_range();
        expanded.bytes.extend_from_slice(source.get(copied..range.start).unwrap_or_default());
        expanded.bytes.extend_from_slice(base64_simd::STANDARD.encode_to_string(&bytes).as_bytes());
        copied = range.end;
        let whole = expanded.bytes.len() + source.len().saturating_sub(copied);
        if whole > rules.xml.document_bytes_max {
            let most =
                format!("at most {} bytes of envelope with what it includes", rules.xml.document_bytes_max);
            return Err(refused("xop.include.too-large", &format!("{whole} bytes"), &most));
        }
        expanded.content_ids.push(content_id);
    }
    if expanded.content_ids.is_empty() {
        return Ok(None);
    }
    expanded.bytes.extend_from_slice(source.get(copied..).unwrap_or_default());
    Ok(Some(expanded))
}

/// What follows `cid:` in the only attribute of an empty Include that is alone in its parent.
fn reference(include: Element<'_>) -> Result<String, Refusal> {
    let parent = include.parent();
    let allowed = parent.is_some_and(|parent| {
        PLACES.iter().any(|&(namespace, name)| parent.is(namespace, name))
            && parent.children().count() == 1
            && !parent.has_text_content()
    });
    if !include.is(XOP, "Include") || !allowed {
        let place = parent.map_or("nothing", Element::local_name);
        return Err(refused(
            "xop.include.place",
            &format!("xop:{} in {place}", include.local_name()),
            "xop:Include alone in DigestValue, in contract B's Content, or in a base64 value of WS-Security",
        ));
    }
    let empty = include.nodes().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()));
    let href = include.attribute(None, "href").filter(|_| include.attributes().len() == 1 && empty);
    let href =
        href.ok_or_else(|| refused("xop.include.form", "another form", "an empty element with href only"))?;
    match href.split_at_checked(4) {
        Some((scheme, id)) if scheme.eq_ignore_ascii_case("cid:") && !id.is_empty() => Ok(id.to_owned()),
        _ => Err(refused("xop.include.href", &href, "cid: and the Content-ID of a part of this message")),
    }
}

fn resolve(reference: &str, part: &dyn Fn(&str) -> Option<Vec<u8>>) -> Result<(String, Vec<u8>), Refusal> {
    if let Some(bytes) = part(reference) {
        return Ok((reference.to_owned(), bytes));
    }
    let decoded = percent_decode_str(reference).decode_utf8().unwrap_or_default().into_owned();
    match part(&decoded) {
        Some(bytes) => Ok((decoded, bytes)),
        None => Err(refused("xop.include.missing", reference, "the Content-ID of a part of this message")),
    }
}

fn refused(check: &'static str, seen: &str, expected: &str) -> Refusal {
    refusal(
        FaultCode::Soa03004,
        check,
        seen,
        expected,
        "Send digests inline, or as xop:Include of a part of the same message; documents by swaRef (cid:).",
    )
}
