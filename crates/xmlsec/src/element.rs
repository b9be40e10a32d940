//! What a reader of the tree sees: nodes, elements, attributes.

use std::borrow::Cow;
use std::ops::Range;

use crate::base64::Content;
use crate::chars::is_space;
use crate::text::{self, Place};
use crate::tree::{AttributeData, ElementData, Kind, NO_NODE, NameData, NodeData, OwnData, Plain};
use crate::{Document, namespace};

/// The number of a node in its document, in document order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub(crate) u32);

/// One node, decoded.
#[derive(Clone, Debug)]
pub enum Node<'d> {
    /// An element.
    Element(Element<'d>),
    /// A run of character data: adjacent text, references and CDATA sections are one.
    Text(Cow<'d, str>),
    /// The inside of a comment.
    Comment(Cow<'d, str>),
    /// A processing instruction.
    ProcessingInstruction(ProcessingInstruction<'d>),
}

/// A processing instruction: its target and its data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessingInstruction<'d> {
    /// The name after `<?`; never `xml` in any case.
    pub target: &'d str,
    /// What follows, without the space before it.
    pub data: Cow<'d, str>,
}

/// One element of a document; two are equal when they are the same node of the same document.
#[derive(Clone, Copy)]
pub struct Element<'d> {
    pub(crate) document: &'d Document,
    pub(crate) node: u32,
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node && std::ptr::eq(self.document, other.document)
    }
}

impl Eq for Element<'_> {}

impl std::fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{}}}{}@{}", self.namespace(), self.local_name(), self.source_range().start)
    }
}

impl<'d> Element<'d> {
    fn data(self) -> ElementData {
        const NONE: ElementData = ElementData {
            name: NameData { local_offset: 0, bytes: 0 },
            content_start: 0,
            content_end: 0,
            own: OwnData::NONE,
            prefix: 0,
            uri: 0,
            plain: Plain::NOTHING,
        };
        self.document.element_data(self.node).copied().unwrap_or(NONE)
    }

    /// And where its name stands.
    fn data_and_name(self) -> (ElementData, (u32, u32)) {
        let data = self.data();
        (data, data.name_in(self.document.node(self.node)))
    }

    /// The document that it is of.
    pub fn document(self) -> &'d Document {
        self.document
    }

    /// The namespace name, empty if it is in none.
    pub fn namespace(self) -> &'d str {
        self.document.uris.at(self.data().uri)
    }

    /// The prefix as written, empty if it has none.
    pub fn prefix(self) -> &'d str {
        self.document.prefixes.at(self.data().prefix)
    }

    /// The local name.
    pub fn local_name(self) -> &'d str {
        let (data, (start, end)) = self.data_and_name();
        self.document.slice(start + u32::from(data.name.local_offset), end)
    }

    /// The name as written, with its prefix.
    pub fn qualified_name(self) -> &'d str {
        let (_, (start, end)) = self.data_and_name();
        self.document.slice(start, end)
    }

    /// Whether it has this expanded name; `namespace` is empty for none.
    pub fn is(self, namespace: &str, local_name: &str) -> bool {
        self.local_name() == local_name && self.namespace() == namespace
    }

    /// The normalised value of the attribute of that expanded name; `None` as namespace is an attribute without prefix.
    pub fn attribute(self, namespace: Option<&str>, local_name: &str) -> Option<Cow<'d, str>> {
        let namespace = namespace.unwrap_or_default();
        self.attributes()
            .find(|attribute| attribute.local_name() == local_name && attribute.namespace() == namespace)
            .map(|attribute| attribute.value())
    }

    /// The attributes in the order written, namespace declarations not among them.
    pub fn attributes(self) -> impl ExactSizeIterator<Item = Attribute<'d>> {
        let document = self.document;
        document
            .element_data(self.node)
            .map_or(&[][..], |data| document.attributes_of(data))
            .iter()
            .map(move |&data| Attribute { document, data })
    }

    /// Its own namespace declarations in the order written: prefix (empty: the default) and name (empty: undeclared).
    pub fn namespace_declarations(self) -> impl ExactSizeIterator<Item = (&'d str, &'d str)> {
        let document = self.document;
        document
            .element_data(self.node)
            .map_or(&[][..], |data| document.declarations_of(data))
            .iter()
            .map(move |data| (document.prefixes.at(data.prefix), document.uris.at(data.uri)))
    }

    /// What the prefix (empty: the default namespace) is bound to here; `None` if to nothing.
    pub fn resolve_prefix(self, prefix: &str) -> Option<&'d str> {
        if prefix == "xml" {
            return Some(namespace::XML);
        }
        let mut at = Some(self);
        while let Some(element) = at {
            if let Some((_, uri)) = element.namespace_declarations().find(|&(declared, _)| declared == prefix)
            {
                return (!uri.is_empty()).then_some(uri);
            }
            at = element.parent();
        }
        None
    }

    /// The child elements.
    pub fn children(self) -> Children<'d> {
        Children(self.child_numbers())
    }

    /// The first child element of that expanded name.
    pub fn child(self, namespace: &str, local_name: &str) -> Option<Element<'d>> {
        self.children().find(|child| child.is(namespace, local_name))
    }

    /// All children: elements, texts, comments, processing instructions.
    pub fn nodes(self) -> impl Iterator<Item = Node<'d>> {
        let document = self.document;
        self.child_numbers().map(move |node| document.view(node))
    }

    /// It and every element below it, in document order.
    pub fn descendants_and_self(self) -> impl Iterator<Item = Element<'d>> {
        let document = self.document;
        (self.node..document.node(self.node).after)
            .filter(move |&node| matches!(document.node(node).kind(), Kind::Element(_)))
            .map(move |node| Element { document, node })
    }

    /// Its character data: all text nodes put together, comments and instructions left out.
    ///
    /// # Errors
    /// [`TextError`]: it has child elements.
    pub fn text(self) -> Result<Cow<'d, str>, TextError> {
        let document = self.document;
        let mut whole = Cow::Borrowed("");
        for node in self.child_numbers() {
            let data @ NodeData { start, end, .. } = document.node(node);
            match data.kind() {
                Kind::Element(_) => return Err(TextError { offset: start as usize }),
                Kind::Text { .. } => {
                    let piece = text::decoded(document.slice(start, end), Place::Content);
                    if whole.is_empty() {
                        whole = piece;
                    } else {
                        whole.to_mut().push_str(&piece);
                    }
                }
                Kind::Comment | Kind::ProcessingInstruction => {}
            }
        }
        Ok(whole)
    }

    /// What its text stands for in base64, if [`parse_ahead`](crate::signature::parse_ahead) has decoded that and it is base64 without
    /// white space. The bytes are handed over: it is asked once.
    pub fn base64_content(self) -> Option<Content> {
        let document = self.document;
        let mut children = self.child_numbers();
        let text = document.node(children.next().filter(|_| children.next().is_none())?);
        if text.kind() != (Kind::Text { verbatim: true }) {
            return None;
        }
        let (decoder, rest) =
            document.ahead.as_ref()?.take_content(text.start as usize..text.end as usize)?;
        decoder.finish(document.source.as_bytes().get(rest)?).ok()
    }

    /// Whether it has character data of its own that is more than white space.
    pub fn has_text_content(self) -> bool {
        let document = self.document;
        self.child_numbers().any(|node| {
            let data @ NodeData { start, end, .. } = document.node(node);
            matches!(data.kind(), Kind::Text { .. })
                && !text::decoded(document.slice(start, end), Place::Content).bytes().all(is_space)
        })
    }

    /// The element around it; `None` for the root.
    pub fn parent(self) -> Option<Element<'d>> {
        let parent = self.document.node(self.node).parent;
        (parent != NO_NODE).then_some(Element { document: self.document, node: parent })
    }

    /// Its number in the document.
    pub fn node_id(self) -> NodeId {
        NodeId(self.node)
    }

    /// Whether `other` is it or lies within it.
    pub fn contains(self, other: Element<'_>) -> bool {
        std::ptr::eq(self.document, other.document)
            && (self.node..self.document.node(self.node).after).contains(&other.node)
    }

    /// Where it stands in the source, tags included.
    pub fn source_range(self) -> Range<usize> {
        let NodeData { start, end, .. } = self.document.node(self.node);
        start as usize..end as usize
    }

    /// Where its content stands in the source; empty, at its end, for `<a/>`.
    pub fn content_range(self) -> Range<usize> {
        let data = self.data();
        data.content_start as usize..data.content_end as usize
    }

    /// Whether a comment stands within it.
    pub fn has_comments(self) -> bool {
        self.has(Kind::Comment)
    }

    /// Whether a processing instruction stands within it.
    pub fn has_processing_instructions(self) -> bool {
        self.has(Kind::ProcessingInstruction)
    }

    fn has(self, kind: Kind) -> bool {
        (self.node..self.document.node(self.node).after).any(|node| self.document.node(node).kind() == kind)
    }

    fn child_numbers(self) -> Siblings<'d> {
        Siblings { document: self.document, next: self.node + 1, end: self.document.node(self.node).after }
    }
}

/// The child elements of an element, in document order.
#[derive(Clone)]
pub struct Children<'d>(Siblings<'d>);

impl<'d> Iterator for Children<'d> {
    type Item = Element<'d>;

    fn next(&mut self) -> Option<Element<'d>> {
        let document = self.0.document;
        self.0
            .by_ref()
            .find(|&node| matches!(document.node(node).kind(), Kind::Element(_)))
            .map(|node| Element { document, node })
    }
}

/// Steps from one sibling to the next.
#[derive(Clone)]
pub(crate) struct Siblings<'d> {
    pub(crate) document: &'d Document,
    pub(crate) next: u32,
    pub(crate) end: u32,
}

impl Iterator for Siblings<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let node = (self.next < self.end).then_some(self.next)?;
        // `max` keeps the walk finite even if a node could lie about its end.
        self.next = self.document.node(node).after.max(node + 1);
        Some(node)
    }
}

/// One attribute of an element.
#[derive(Clone, Copy)]
pub struct Attribute<'d> {
    document: &'d Document,
    data: AttributeData,
}

impl<'d> Attribute<'d> {
    /// The namespace name, empty for an attribute without prefix.
    pub fn namespace(&self) -> &'d str {
        self.document.uris.at(self.data.uri)
    }

    /// The prefix as written, empty if it has none.
    pub fn prefix(&self) -> &'d str {
        self.document.prefixes.at(self.data.prefix)
    }

    /// The local name.
    pub fn local_name(&self) -> &'d str {
        self.document.slice(self.data.local_start(), self.data.name_end())
    }

    /// The value, normalised (XML 1.0 §3.3.3, as for CDATA).
    pub fn value(&self) -> Cow<'d, str> {
        let value = self.document.slice(self.data.value_start, self.data.value_end());
        // What is canonical as written has nothing to decode but references.
        if self.data.verbatim() && memchr::memchr(b'&', value.as_bytes()).is_none() {
            return Cow::Borrowed(value);
        }
        text::decoded(value, Place::Attribute)
    }

    /// Where its name begins in the source.
    pub fn offset(&self) -> usize {
        self.data.name_start as usize
    }
}

impl std::fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{}}}{}={:?}", self.namespace(), self.local_name(), self.value())
    }
}

/// An element was asked for its text and holds elements.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected text alone, found an element at byte {offset}")]
pub struct TextError {
    /// Where the first child element begins.
    pub offset: usize,
}
