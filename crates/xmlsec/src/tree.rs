//! The tree: nodes in document order in one arena, each a few numbers into the one source buffer.
//!
//! Nothing is copied out of the source but namespace names and prefixes, once each. Text and attribute values stay as
//! written and are decoded where they are asked for; the reader has already proved that they decode.

use std::borrow::Cow;
use std::ops::Range;

use crate::chars::is_space;
use crate::text::{self, Place};
use crate::{Limits, ReadError, namespace};

/// A well-formed, namespace-well-formed document without a DTD, within the [`Limits`] that it was read under.
///
/// Sources: XML 1.0 §2; Namespaces in XML 1.0 §7.
pub struct Document {
    pub(crate) source: String,
    pub(crate) nodes: Vec<NodeData>,
    pub(crate) elements: Vec<ElementData>,
    pub(crate) attributes: Vec<AttributeData>,
    pub(crate) declarations: Vec<DeclarationData>,
    /// Distinct prefixes; 0 is the empty one, 1 is `xml`.
    pub(crate) prefixes: Interned,
    /// Distinct namespace names; 0 is none, 1 is that of `xml`.
    pub(crate) uris: Interned,
    pub(crate) root: u32,
}

/// One node of the arena: its parent, the node after its last descendant, and its place in the source.
#[derive(Clone, Copy)]
pub(crate) struct NodeData {
    pub(crate) kind: Kind,
    pub(crate) parent: u32,
    pub(crate) after: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// What a node is; `verbatim` text is canonical as it stands in the source.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Element(u32),
    Text { verbatim: bool },
    Comment,
    ProcessingInstruction,
}

#[derive(Clone, Copy)]
pub(crate) struct ElementData {
    pub(crate) name_start: u32,
    pub(crate) local_start: u32,
    pub(crate) name_end: u32,
    pub(crate) content_start: u32,
    pub(crate) content_end: u32,
    pub(crate) attributes_start: u32,
    pub(crate) declarations_start: u32,
    pub(crate) attributes_count: u16,
    pub(crate) declarations_count: u16,
    pub(crate) prefix: u16,
    pub(crate) uri: u16,
}

#[derive(Clone, Copy)]
pub(crate) struct AttributeData {
    pub(crate) name_start: u32,
    pub(crate) local_start: u32,
    pub(crate) name_end: u32,
    pub(crate) value_start: u32,
    pub(crate) value_end: u32,
    pub(crate) prefix: u16,
    pub(crate) uri: u16,
    /// Canonical as it stands in the source.
    pub(crate) verbatim: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct DeclarationData {
    pub(crate) prefix: u16,
    pub(crate) uri: u16,
}

/// The parent of what lies outside the root element.
pub(crate) const NO_NODE: u32 = u32::MAX;

/// A few strings, each held once, known by number.
#[derive(Default)]
pub(crate) struct Interned {
    text: String,
    ends: Vec<u32>,
}

impl Interned {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn at(&self, id: u16) -> &str {
        let id = usize::from(id);
        let start = if id == 0 { 0 } else { self.ends.get(id - 1).copied().unwrap_or(0) };
        let end = self.ends.get(id).copied().unwrap_or(start);
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    pub(crate) fn find(&self, wanted: &str) -> Option<u16> {
        (0..self.len() as u16).find(|&id| self.at(id) == wanted)
    }

    /// The caller has seen that `len()` is below its cap, which is below `u16::MAX`.
    pub(crate) fn push(&mut self, new: &str) -> u16 {
        let id = self.ends.len() as u16;
        self.text.push_str(new);
        self.ends.push(self.text.len() as u32);
        id
    }
}

impl Document {
    /// Reads one whole document.
    ///
    /// A document that exists is UTF-8, well-formed, namespace-well-formed (no relative namespace names either), has
    /// no DTD, and keeps every limit. Time is linear in the input, whatever its shape; nothing recurses.
    ///
    /// # Errors
    /// [`ReadError`]: what is wrong, with its byte offset: the sender's fault.
    pub fn parse(source: impl Into<Vec<u8>>, limits: &Limits) -> Result<Self, ReadError> {
        crate::read::read(source.into(), limits)
    }

    /// The document element.
    pub fn root(&self) -> Element<'_> {
        Element { document: self, node: self.root }
    }

    /// The bytes as they were read.
    pub fn source(&self) -> &[u8] {
        self.source.as_bytes()
    }

    /// Gives the bytes back.
    pub fn into_source(self) -> Vec<u8> {
        self.source.into_bytes()
    }

    /// Whether a comment stands anywhere, outside the root element too.
    pub fn has_comments(&self) -> bool {
        self.nodes.iter().any(|node| node.kind == Kind::Comment)
    }

    /// Whether a processing instruction stands anywhere, outside the root element too (the XML declaration is none).
    pub fn has_processing_instructions(&self) -> bool {
        self.nodes.iter().any(|node| node.kind == Kind::ProcessingInstruction)
    }

    /// The children of the document itself: the root element, and the comments and instructions around it.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        Siblings { document: self, next: 0, end: self.nodes.len() as u32 }.map(|node| self.view(node))
    }

    /// The element of that number, if the number came from this document.
    pub fn element(&self, id: NodeId) -> Option<Element<'_>> {
        let element = Element { document: self, node: id.0 };
        self.element_data(id.0).map(|_| element)
    }

    pub(crate) fn slice(&self, start: u32, end: u32) -> &str {
        self.source.get(start as usize..end as usize).unwrap_or_default()
    }

    pub(crate) fn node(&self, node: u32) -> NodeData {
        const OUTSIDE: NodeData =
            NodeData { kind: Kind::Comment, parent: NO_NODE, after: NO_NODE, start: 0, end: 0 };
        self.nodes.get(node as usize).copied().unwrap_or(OUTSIDE)
    }

    pub(crate) fn element_data(&self, node: u32) -> Option<&ElementData> {
        match self.node(node).kind {
            Kind::Element(element) => self.elements.get(element as usize),
            _ => None,
        }
    }

    pub(crate) fn attributes_of(&self, element: &ElementData) -> &[AttributeData] {
        let start = element.attributes_start as usize;
        self.attributes.get(start..start + usize::from(element.attributes_count)).unwrap_or_default()
    }

    pub(crate) fn declarations_of(&self, element: &ElementData) -> &[DeclarationData] {
        let start = element.declarations_start as usize;
        self.declarations.get(start..start + usize::from(element.declarations_count)).unwrap_or_default()
    }

    fn view(&self, node: u32) -> Node<'_> {
        let NodeData { kind, start, end, .. } = self.node(node);
        match kind {
            Kind::Element(_) => Node::Element(Element { document: self, node }),
            Kind::Text { .. } => Node::Text(text::decoded(self.slice(start, end), Place::Content)),
            Kind::Comment => {
                Node::Comment(text::decoded(self.slice(start + 4, end.saturating_sub(3)), Place::Raw))
            }
            Kind::ProcessingInstruction => {
                let (target, data) = instruction(self.slice(start + 2, end.saturating_sub(2)));
                Node::ProcessingInstruction(ProcessingInstruction {
                    target,
                    data: text::decoded(data, Place::Raw),
                })
            }
        }
    }
}

/// The target and the data of what stands between `<?` and `?>`.
pub(crate) fn instruction(inside: &str) -> (&str, &str) {
    let target_bytes = inside.bytes().position(is_space).unwrap_or(inside.len());
    let (target, rest) = inside.split_at_checked(target_bytes).unwrap_or((inside, ""));
    (target, rest.trim_start_matches([' ', '\t', '\n', '\r']))
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document")
            .field("bytes", &self.source.len())
            .field("nodes", &self.nodes.len())
            .finish()
    }
}

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
            name_start: 0,
            local_start: 0,
            name_end: 0,
            content_start: 0,
            content_end: 0,
            attributes_start: 0,
            declarations_start: 0,
            attributes_count: 0,
            declarations_count: 0,
            prefix: 0,
            uri: 0,
        };
        self.document.element_data(self.node).copied().unwrap_or(NONE)
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
        let data = self.data();
        self.document.slice(data.local_start, data.name_end)
    }

    /// The name as written, with its prefix.
    pub fn qualified_name(self) -> &'d str {
        let data = self.data();
        self.document.slice(data.name_start, data.name_end)
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
            .filter(move |&node| matches!(document.node(node).kind, Kind::Element(_)))
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
            let NodeData { kind, start, end, .. } = document.node(node);
            match kind {
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

    /// Whether it has character data of its own that is more than white space.
    pub fn has_text_content(self) -> bool {
        let document = self.document;
        self.child_numbers().any(|node| {
            let NodeData { kind, start, end, .. } = document.node(node);
            matches!(kind, Kind::Text { .. })
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
        (self.node..self.document.node(self.node).after).any(|node| self.document.node(node).kind == kind)
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
            .find(|&node| matches!(document.node(node).kind, Kind::Element(_)))
            .map(|node| Element { document, node })
    }
}

/// Steps from one sibling to the next.
#[derive(Clone)]
struct Siblings<'d> {
    document: &'d Document,
    next: u32,
    end: u32,
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
        self.document.slice(self.data.local_start, self.data.name_end)
    }

    /// The value, normalised (XML 1.0 §3.3.3, as for CDATA).
    pub fn value(&self) -> Cow<'d, str> {
        text::decoded(self.document.slice(self.data.value_start, self.data.value_end), Place::Attribute)
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
