//! The tree: nodes in document order in one arena, each a few numbers into the one source buffer.
//!
//! Nothing is copied out of the source but namespace names and prefixes, once each. Text and attribute values stay as
//! written and are decoded where they are asked for; the reader has already proved that they decode.

use crate::arena::Arena;
use crate::chars::is_space;
use crate::element::{Element, Node, NodeId, ProcessingInstruction, Siblings};
use crate::signature::Ahead;
use crate::text::{self, Place};
use crate::{Limits, ReadError};

/// A well-formed, namespace-well-formed document without a DTD, within the [`Limits`] that it was read under.
///
/// Sources: XML 1.0 §2; Namespaces in XML 1.0 §7.
pub struct Document {
    pub(crate) source: String,
    pub(crate) arena: Arena,
    /// Distinct prefixes; 0 is the empty one, 1 is `xml`.
    pub(crate) prefixes: Interned,
    /// Distinct namespace names; 0 is none, 1 is that of `xml`.
    pub(crate) uris: Interned,
    pub(crate) root: u32,
    /// What was hashed of it before it was read.
    pub(crate) ahead: Option<Ahead>,
}

/// One node of the arena: its parent, the node after its last descendant, and its place in the source.
#[derive(Clone, Copy)]
pub(crate) struct NodeData {
    /// Two bits of kind, and what that kind has to say.
    kind: u32,
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

impl NodeData {
    /// Nodes are numbered below this.
    pub(crate) const CEILING: u32 = 1 << 30;
    const TEXT: u32 = 1 << 30;
    const COMMENT: u32 = 2 << 30;
    const INSTRUCTION: u32 = 3 << 30;

    /// The number of an element is below [`Self::CEILING`].
    #[inline(always)]
    pub(crate) const fn new(kind: Kind, parent: u32, after: u32, start: u32, end: u32) -> Self {
        let kind = match kind {
            Kind::Element(number) => number,
            Kind::Text { verbatim } => Self::TEXT | verbatim as u32,
            Kind::Comment => Self::COMMENT,
            Kind::ProcessingInstruction => Self::INSTRUCTION,
        };
        Self { kind, parent, after, start, end }
    }

    #[inline(always)]
    pub(crate) fn kind(self) -> Kind {
        match self.kind & Self::INSTRUCTION {
            0 => Kind::Element(self.kind),
            Self::TEXT => Kind::Text { verbatim: self.kind != Self::TEXT },
            Self::COMMENT => Kind::Comment,
            _ => Kind::ProcessingInstruction,
        }
    }
}

/// A qualified name as it is written somewhere: how far from its start its local part is, and how long it is.
#[derive(Clone, Copy)]
pub(crate) struct NameData {
    pub(crate) local_offset: u16,
    pub(crate) bytes: u16,
}

impl NameData {
    /// No name is longer.
    pub(crate) const BYTES_CEILING: usize = u16::MAX as usize;
}

/// Of a node that is an element; its name stands behind the node's `<`.
#[derive(Clone, Copy)]
pub(crate) struct ElementData {
    pub(crate) name: NameData,
    pub(crate) content_start: u32,
    pub(crate) content_end: u32,
    /// Its place in the table of what elements have: [`OwnData::NONE`] if it has neither attributes nor declarations.
    pub(crate) own: u32,
    pub(crate) prefix: u16,
    pub(crate) uri: u16,
    pub(crate) plain: Plain,
}

impl ElementData {
    /// Where the name stands, in an element whose node is `data`.
    #[inline(always)]
    pub(crate) fn name_in(&self, data: NodeData) -> (u32, u32) {
        let start = data.start + 1;
        (start, start + u32::from(self.name.bytes))
    }
}

/// The attributes and the declarations of an element.
#[derive(Clone, Copy)]
pub(crate) struct OwnData {
    pub(crate) attributes_start: u32,
    pub(crate) declarations_start: u32,
    pub(crate) attributes_count: u16,
    pub(crate) declarations_count: u16,
}

impl OwnData {
    pub(crate) const NONE: u32 = u32::MAX;
}

/// Of an element: what of it is canonical as written, whichever the canonical form, but for the document's [`Edit`]s and for the
/// namespaces that come to be rendered. Seen once, while reading. One number, so that what is noted last is soon read.
#[derive(Clone, Copy)]
pub(crate) struct Plain(u32);

impl Plain {
    pub(crate) const NOTHING: Self = Self(0);
    const TAG: u32 = 1 << 31;
    const CONTENT: u32 = 1 << 30;

    /// A start tag, nothing in the element yet; `prefixes` are those of the names in it, if each has a bit.
    #[inline(always)]
    pub(crate) fn begun(tag: bool, prefixes: Option<u32>) -> Self {
        match prefixes {
            Some(prefixes) if tag => Self(Self::TAG | Self::CONTENT | prefixes),
            Some(prefixes) => Self(Self::CONTENT | prefixes),
            None => Self::NOTHING,
        }
    }

    /// The same with a child element.
    #[inline(always)]
    pub(crate) fn around(self, child: Self) -> Self {
        if child.tag() && child.content() { Self(self.0 | child.prefixes()) } else { self.around_other() }
    }

    /// The same with something in it that is not plain.
    #[inline(always)]
    pub(crate) fn around_other(self) -> Self {
        Self(self.0 & !Self::CONTENT)
    }

    /// The start tag: it declares nothing, its attributes stand in order.
    #[inline(always)]
    pub(crate) fn tag(self) -> bool {
        self.0 & Self::TAG != 0
    }

    /// What stands between the tags: elements that are plain, tag and content, and text.
    #[inline(always)]
    pub(crate) fn content(self) -> bool {
        self.0 & Self::CONTENT != 0
    }

    /// If `content`: the prefixes that the names in it have, its own too, each a bit.
    #[inline(always)]
    pub(crate) fn prefixes(self) -> u32 {
        self.0 & !(Self::TAG | Self::CONTENT)
    }

    /// The bit of a prefix; none for one beyond those that there are bits for.
    #[inline(always)]
    pub(crate) fn bit(prefix: u16) -> Option<u32> {
        (prefix < 30).then(|| 1 << prefix)
    }
}

/// A place where the canonical form of what is plain differs from what is written.
#[derive(Clone, Copy)]
pub(crate) struct Edit {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) canonical: Canonical,
}

/// What the canonical form has in a place.
#[derive(Clone, Copy)]
pub(crate) enum Canonical {
    Nothing,
    Space,
    /// Quotation marks instead of the first and the last byte.
    Quotes,
    /// Instead of `/>`: `>` and the end tag of the name that stands there, so long.
    EndTag(u32, u16),
    /// The text that is written, decoded, with the escapes that are canonical.
    Content,
    /// The same of an attribute's value, in quotation marks; what is written stands in quotes, too.
    Value,
}

#[derive(Clone, Copy)]
pub(crate) struct AttributeData {
    pub(crate) name_start: u32,
    pub(crate) name: NameData,
    pub(crate) value_start: u32,
    /// Thirty-one bits of where the value ends, and whether it is canonical as it stands in the source.
    value_end: u32,
    pub(crate) prefix: u16,
    pub(crate) uri: u16,
}

impl AttributeData {
    const VERBATIM: u32 = 1 << 31;

    /// Of no namespace yet.
    #[inline(always)]
    pub(crate) fn new(name_start: u32, name: NameData, value: (u32, u32), verbatim: bool) -> Self {
        let verbatim = if verbatim { Self::VERBATIM } else { 0 };
        let (value_start, value_end) = value;
        Self { name_start, name, value_start, value_end: value_end | verbatim, prefix: 0, uri: 0 }
    }

    #[inline(always)]
    pub(crate) fn local_start(&self) -> u32 {
        self.name_start + u32::from(self.name.local_offset)
    }

    #[inline(always)]
    pub(crate) fn name_end(&self) -> u32 {
        self.name_start + u32::from(self.name.bytes)
    }

    #[inline(always)]
    pub(crate) fn value_end(&self) -> u32 {
        self.value_end & !Self::VERBATIM
    }

    /// Canonical as it stands in the source.
    #[inline(always)]
    pub(crate) fn verbatim(&self) -> bool {
        self.value_end & Self::VERBATIM != 0
    }
}

#[derive(Clone, Copy)]
pub(crate) struct DeclarationData {
    pub(crate) prefix: u16,
    pub(crate) uri: u16,
}

/// The parent of what lies outside the root element.
pub(crate) const NO_NODE: u32 = u32::MAX;

/// A few strings, each held once, known by number.
pub(crate) struct Interned {
    text: String,
    ends: Vec<u32>,
    /// Length and first bytes of each: what differs in them need not be looked at.
    keys: Vec<u64>,
}

impl Interned {
    /// Empty, with room for what a SOAP message has.
    pub(crate) fn with_room() -> Self {
        Self {
            text: String::with_capacity(1 << 10),
            ends: Vec::with_capacity(16),
            keys: Vec::with_capacity(16),
        }
    }

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
        self.find_first(wanted.as_bytes(), wanted.len())
    }

    /// The one that is the first `length` bytes of `from`.
    pub(crate) fn find_first(&self, from: &[u8], length: usize) -> Option<u16> {
        if let Some(key) = Self::short_key(from, length) {
            return self.keys.iter().position(|&known| known == key).map(|id| id as u16);
        }
        let wanted = from.get(..length)?;
        let key = key(wanted);
        let mut alike = self.keys.iter().zip(0u16..).filter(|(known, _)| **known == key).map(|(_, id)| id);
        alike.find(|&id| self.at(id).as_bytes() == wanted)
    }

    /// The key of the first `length` bytes of `from`, if it is all of them: no other string has it, and none has 0 but the empty one.
    #[inline(always)]
    pub(crate) fn short_key(from: &[u8], length: usize) -> Option<u64> {
        let &first = from.first_chunk()?;
        let shift = KEY_BYTES.checked_sub(length)? * 8;
        // Up to the seventh, shifted so that no other is left.
        Some((((u64::from_le_bytes(first) << 8) << shift) >> shift) | length as u64)
    }

    /// The caller has seen that `len()` is below its cap, which is below `u16::MAX`.
    pub(crate) fn push(&mut self, new: &str) -> u16 {
        let id = self.ends.len() as u16;
        self.text.push_str(new);
        self.ends.push(self.text.len() as u32);
        self.keys.push(key(new.as_bytes()));
        id
    }
}

/// The length of a string and its first seven bytes.
fn key(text: &[u8]) -> u64 {
    let mut key = [0; 1 + KEY_BYTES];
    key[0] = text.len().min(usize::from(u8::MAX)) as u8;
    for (to, from) in key.iter_mut().skip(1).zip(text) {
        *to = *from;
    }
    u64::from_le_bytes(key)
}

const KEY_BYTES: usize = 7;

impl Document {
    /// Reads one whole document.
    ///
    /// A document that exists is UTF-8, well-formed, namespace-well-formed (no relative namespace names either), has
    /// no DTD, and keeps every limit. Time is linear in the input, whatever its shape; nothing recurses.
    ///
    /// # Errors
    /// [`ReadError`]: what is wrong, with its byte offset: the sender's fault.
    ///
    /// There is no reading without limits (`security.md` rule 5):
    /// ```
    /// use xmlsec::{Document, Limits};
    /// let document = Document::parse("<a/>", &Limits::default());
    /// ```
    /// ```compile_fail,E0061
    /// use xmlsec::{Document, Limits};
    /// let document = Document::parse("<a/>");
    /// ```
    pub fn parse(source: impl Into<Vec<u8>>, limits: &Limits) -> Result<Self, ReadError> {
        crate::read::read(source.into(), limits, None)
    }

    /// The document element.
    pub fn root(&self) -> Element<'_> {
        Element { document: self, node: self.root }
    }

    /// The bytes as they were read.
    pub fn source(&self) -> &[u8] {
        self.source.as_bytes()
    }

    /// SHA-256 of the bytes as they were read; mostly known where [`parse_ahead`](crate::signature::parse_ahead) was told that it would
    /// be asked for.
    pub fn source_sha256(&self) -> [u8; 32] {
        let source = self.source();
        let known = self.ahead.as_ref().and_then(|ahead| ahead.source_sha256(source));
        known.unwrap_or_else(|| pki::digest::sha256(source))
    }

    /// Gives the bytes back.
    pub fn into_source(self) -> Vec<u8> {
        self.source.into_bytes()
    }

    /// Whether a comment stands anywhere, outside the root element too.
    pub fn has_comments(&self) -> bool {
        self.arena.nodes.iter().any(|node| node.kind() == Kind::Comment)
    }

    /// Whether a processing instruction stands anywhere, outside the root element too (the XML declaration is none).
    pub fn has_processing_instructions(&self) -> bool {
        self.arena.nodes.iter().any(|node| node.kind() == Kind::ProcessingInstruction)
    }

    /// The children of the document itself: the root element, and the comments and instructions around it.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        Siblings { document: self, next: 0, end: self.arena.nodes.len() as u32 }.map(|node| self.view(node))
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
        const OUTSIDE: NodeData = NodeData::new(Kind::Comment, NO_NODE, NO_NODE, 0, 0);
        self.arena.nodes.get(node as usize).copied().unwrap_or(OUTSIDE)
    }

    pub(crate) fn element_data(&self, node: u32) -> Option<&ElementData> {
        match self.node(node).kind() {
            Kind::Element(element) => self.arena.elements.get(element as usize),
            _ => None,
        }
    }

    fn own_of(&self, element: &ElementData) -> Option<&OwnData> {
        self.arena.own.get(element.own as usize)
    }

    pub(crate) fn attributes_of(&self, element: &ElementData) -> &[AttributeData] {
        let Some(own) = self.own_of(element) else { return &[] };
        let start = own.attributes_start as usize;
        self.arena.attributes.get(start..start + usize::from(own.attributes_count)).unwrap_or_default()
    }

    pub(crate) fn declarations_of(&self, element: &ElementData) -> &[DeclarationData] {
        let Some(own) = self.own_of(element) else { return &[] };
        let start = own.declarations_start as usize;
        self.arena.declarations.get(start..start + usize::from(own.declarations_count)).unwrap_or_default()
    }

    pub(crate) fn view(&self, node: u32) -> Node<'_> {
        let data @ NodeData { start, end, .. } = self.node(node);
        match data.kind() {
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
            .field("nodes", &self.arena.nodes.len())
            .finish()
    }
}
