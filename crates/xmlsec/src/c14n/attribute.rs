//! Attributes: their canonical order, and each as it is written.

use super::sink::{Blocks, Sink, attribute_escape};
use crate::text::{self, Place};
use crate::tree::AttributeData;
use crate::{Document, namespace};

/// Canonical XML 1.0 §2.2: by namespace name, then by local name; no namespace comes first.
pub(super) fn order(document: &Document, a: &AttributeData, b: &AttributeData) -> std::cmp::Ordering {
    let by_namespace = if a.uri == b.uri {
        std::cmp::Ordering::Equal
    } else {
        document.uris.at(a.uri).cmp(document.uris.at(b.uri))
    };
    by_namespace.then_with(|| local_name(document, a).cmp(local_name(document, b)))
}

pub(super) fn in_order(document: &Document, attributes: &[AttributeData]) -> bool {
    attributes.is_sorted_by(|a, b| order(document, a, b).is_lt())
}

pub(super) fn write<S: Sink>(out: &mut Blocks<'_, '_, S>, document: &Document, attribute: &AttributeData) {
    let AttributeData { name_start, value_start, .. } = *attribute;
    let (name_end, value_end) = (attribute.name_end(), attribute.value_end());
    // ` name="value"`, as written if it is written so.
    if attribute.verbatim() && value_start == name_end + 2 {
        out.copy_or_put(name_start - 1, b" ");
        out.copy(name_start, name_end);
        out.copy_or_put(name_end, b"=");
        out.copy_or_put(name_end + 1, b"\"");
        out.copy(value_start, value_end);
        return out.copy_or_put(value_end, b"\"");
    }
    out.put(b" ");
    out.copy(name_start, name_end);
    out.put(b"=\"");
    if attribute.verbatim() {
        out.copy(value_start, value_end);
    } else {
        // The reader has decoded this very slice before.
        let _proved = text::decode(document.slice(value_start, value_end), Place::Attribute, &mut |piece| {
            out.put_escaped(piece, attribute_escape);
        });
    }
    out.put(b"\"");
}

pub(super) fn local_name<'d>(document: &'d Document, attribute: &AttributeData) -> &'d str {
    document.slice(attribute.local_start(), attribute.name_end())
}

pub(super) fn sorts_after_base(document: &Document, attribute: &AttributeData) -> bool {
    (document.uris.at(attribute.uri), local_name(document, attribute)) > (namespace::XML, "base")
}

pub(super) fn write_base<S: Sink>(out: &mut Blocks<'_, '_, S>, value: Option<&str>) {
    // Canonical XML 1.1 §2.4: an empty result is not rendered.
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        out.put(b" xml:base=\"");
        out.put_escaped(value, attribute_escape);
        out.put(b"\"");
    }
}
