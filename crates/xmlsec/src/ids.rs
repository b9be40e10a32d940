//! Identifiers within one document: unique in every spelling, resolved in two.
//!
//! Source: `security.md` rule 3, rows 5 and 6; WS-Security §4.2 (`wsu:Id`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::{Document, Element, namespace};

/// The identifiers of a document, all distinct.
///
/// Every attribute whose local name is `Id`, `ID`, `id` or `AssertionID`, in whatever namespace, counts for
/// uniqueness; only `wsu:Id` and the bare `Id` are resolved.
///
/// Nothing is resolved in a document whose identifiers were not all seen to differ (`security.md` rule 3):
/// ```
/// use xmlsec::ids::Ids;
/// fn made(of: Ids<'_>) -> Ids<'_> {
///     of
/// }
/// ```
/// ```compile_fail,E0451
/// use xmlsec::ids::Ids;
/// fn made(of: Ids<'_>) -> Ids<'_> {
///     Ids { ..of }
/// }
/// ```
pub struct Ids<'d> {
    document: &'d Document,
    by_value: HashMap<Cow<'d, str>, (Element<'d>, Option<IdAttribute>)>,
}

/// The spelling by which an element was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IdAttribute {
    /// `wsu:Id`.
    Wsu,
    /// `Id` in no namespace, as XML Signature and node-soap have it.
    Bare,
}

impl<'d> Ids<'d> {
    /// Collects them in one pass.
    ///
    /// # Errors
    /// [`DuplicateId`]: one value twice, on one element or two, in whatever spelling.
    pub fn collect(document: &'d Document) -> Result<Self, DuplicateId> {
        let mut by_value = HashMap::new();
        for element in document.root().descendants_and_self() {
            for attribute in element.attributes() {
                let local_name = attribute.local_name();
                if !matches!(local_name, "Id" | "ID" | "id" | "AssertionID") {
                    continue;
                }
                let spelling = match (attribute.namespace(), local_name) {
                    (namespace::WSU, "Id") => Some(IdAttribute::Wsu),
                    ("", "Id") => Some(IdAttribute::Bare),
                    _ => None,
                };
                match by_value.entry(attribute.value()) {
                    Entry::Vacant(new) => new.insert((element, spelling)),
                    Entry::Occupied(known) => return Err(DuplicateId { id: known.key().to_string() }),
                };
            }
        }
        Ok(Self { document, by_value })
    }

    /// The document.
    pub(crate) fn document(&self) -> &'d Document {
        self.document
    }

    /// The element of that identifier, compared byte for byte.
    pub fn resolve(&self, id: &str) -> Option<(Element<'d>, IdAttribute)> {
        let &(element, spelling) = self.by_value.get(id)?;
        Some((element, spelling?))
    }
}

/// One identifier stands twice in the document: the sender's fault, or an attack by wrapping.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the identifier {id:?} stands more than once")]
pub struct DuplicateId {
    /// The value.
    pub id: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn two_spellings_are_resolved_and_no_other() {
        let source = format!(
            "<r xmlns:u='{}' xmlns:x='urn:x'><a x:Id='a'/><a u:ID='b'/><a u:id='c'/><a u:AssertionID='d'/><a ID='e'/>\
             <a id='f'/><a AssertionID='g'/><a xml:id='h'/><a u:Id='wsu'/><a Id='bare'/></r>",
            namespace::WSU
        );
        let document = Document::parse(source, &Limits::default()).unwrap();
        let ids = Ids::collect(&document).unwrap();
        let spelling = |id: &str| ids.resolve(id).map(|(_, spelling)| spelling);
        for id in ["a", "b", "c", "d", "e", "f", "g", "h", "BARE", "bare ", ""] {
            assert_eq!(spelling(id), None, "{id}");
        }
        assert_eq!(spelling("wsu"), Some(IdAttribute::Wsu));
        assert_eq!(spelling("bare"), Some(IdAttribute::Bare));
    }

    #[test]
    fn one_value_in_any_two_spellings_is_a_duplicate() {
        let spellings = ["u:Id", "Id", "ID", "id", "AssertionID", "xml:id", "x:Id"];
        for one in spellings {
            for other in spellings {
                let source = format!(
                    "<r xmlns:u='{}' xmlns:x='urn:x'><a {one}='v'/><b {other}='v'/></r>",
                    namespace::WSU
                );
                let document = Document::parse(source, &Limits::default()).unwrap();
                let refused = Ids::collect(&document).err();
                assert_eq!(refused, Some(DuplicateId { id: "v".to_owned() }), "{one}, {other}");
            }
        }
    }
}
