//! The reader: an own tokenizer, since what a general one lets pass is exactly what must be refused here.
//!
//! One pass for encoding, one for forbidden characters, one for markup. Nothing recurses; every cap is counted before the
//! thing that it caps is kept.

mod error;
mod prolog;
mod tag;
mod tap;
mod uri;

pub use error::{ReadError, ReadErrorKind};
pub(crate) use tap::Tap;

use crate::arena::Arena;
use crate::chars::{is_ncname, is_space, name_run_bytes};
use crate::near::{self, TEXT_END};
use crate::scan::{self, BLOCK_BYTES, MARKUP, SPECIAL};
use crate::text::{self, CDATA_START, Place};
use crate::tree::{Canonical, Edit, Interned, Kind, NO_NODE, NameData, NodeData, Plain};
use crate::{Document, Limits, NodeId, namespace};
use ReadErrorKind as Wrong;

/// Reads a document; `tap` sees its first long run of text on the way.
pub(crate) fn read(
    source: Vec<u8>,
    limits: &Limits,
    tap: Option<&mut dyn Tap>,
) -> Result<Document, ReadError> {
    read_up_to(source, limits, tap, None)
}

/// Reads what a document begins with, up to and with a tag. The elements that are open there, outermost first, end there.
pub(crate) fn read_beginning(source: &[u8], limits: &Limits) -> Result<(Document, Vec<NodeId>), ReadError> {
    let mut open = Vec::new();
    let document = read_up_to(source.to_vec(), limits, None, Some(&mut open))?;
    Ok((document, open))
}

fn read_up_to(
    source: Vec<u8>,
    limits: &Limits,
    tap: Option<&mut dyn Tap>,
    still_open: Option<&mut Vec<NodeId>>,
) -> Result<Document, ReadError> {
    let bytes_max = limits.document_bytes_max.min(Limits::DOCUMENT_BYTES_CEILING);
    if source.len() > bytes_max {
        return Err(ReadError { kind: Wrong::DocumentBytes, offset: bytes_max });
    }
    let (source, blocks) = prolog::decode(source, tap)?;
    let mut reader = Reader::new(&source, &blocks, limits);
    reader.at = prolog::skip(&source)?;
    let root = reader.document(still_open)?;
    let Reader { tree, .. } = reader;
    Ok(Document { source, root, ..tree })
}

/// How many `<` there are.
fn tags(bytes: &[u8], blocks: &[u8]) -> usize {
    let (mut tags, mut block) = (0, 0);
    while let Some(first) = scan::next(blocks, block, MARKUP) {
        // All blocks with markup up to the next one without: together they are counted quickest.
        block = blocks
            .iter()
            .skip(first)
            .position(|flags| flags & MARKUP == 0)
            .map_or(blocks.len(), |n| first + n);
        let end = bytes.len().min(block * BLOCK_BYTES);
        tags += memchr::memchr_iter(b'<', bytes.get(first * BLOCK_BYTES..end).unwrap_or_default()).count();
    }
    tags
}

/// Longer text is stepped over by the blocks.
const NEAR_SIXTEENS: usize = 4;

/// The state between two tokens.
struct Reader<'s> {
    source: &'s str,
    bytes: &'s [u8],
    /// By block of the source: what it holds.
    blocks: &'s [u8],
    limits: &'s Limits,
    nodes_max: usize,
    name_bytes_max: usize,
    at: usize,
    /// Everything of the document but its source.
    tree: Document,
    /// By prefix: the namespace that it is bound to here, 0 for none.
    bound: Vec<u16>,
    bound_undo: Vec<(u16, u16)>,
    /// The prefix that was resolved last, by its key if it is short.
    prefix_before: (u64, u16),
    open: Vec<Open>,
    /// Reused by each start tag to find attributes that stand twice.
    sorted: Vec<u32>,
    /// Of each start tag while it is read: [`Plain::tag`](crate::tree::Plain).
    plain: bool,
}

/// An element whose end tag is still to come.
struct Open {
    node: u32,
    name_start: u32,
    name_end: u32,
    bound_undo: u32,
    /// As far as it is read.
    plain: Plain,
}

impl<'s> Reader<'s> {
    fn new(source: &'s str, blocks: &'s [u8], limits: &'s Limits) -> Self {
        let mut prefixes = Interned::with_room();
        prefixes.push("");
        prefixes.push("xml");
        let mut uris = Interned::with_room();
        uris.push("");
        let xml = uris.push(namespace::XML);
        let arena = Arena::with_room(tags(source.as_bytes(), blocks), limits);
        let tree = Document { source: String::new(), arena, prefixes, uris, root: NO_NODE, ahead: None };
        Self {
            source,
            bytes: source.as_bytes(),
            blocks,
            limits,
            nodes_max: limits.nodes_max.min(NodeData::CEILING as usize),
            name_bytes_max: limits.name_bytes_max.min(NameData::BYTES_CEILING),
            at: 0,
            tree,
            bound: vec![0, xml],
            bound_undo: Vec::new(),
            prefix_before: (0, 0),
            open: Vec::with_capacity(16),
            sorted: Vec::new(),
            plain: false,
        }
    }

    /// Reads to the end of the input and gives the root's number. What is still open ends there, if somebody wants to know of it.
    fn document(&mut self, still_open: Option<&mut Vec<NodeId>>) -> Result<u32, ReadError> {
        let mut root = None;
        while self.at < self.bytes.len() {
            if self.peek(0) != Some(b'<') {
                if !self.near_text()? {
                    self.text()?;
                }
                continue;
            }
            match self.peek(1) {
                Some(b'/') => self.end_tag()?,
                Some(b'!') => self.declaration_like()?,
                Some(b'?') => self.instruction()?,
                _ => {
                    if self.open.is_empty() {
                        if root.is_some() {
                            return Err(self.wrong(Wrong::RootSecond));
                        }
                        root = Some(self.tree.arena.nodes.len() as u32);
                    }
                    self.start_tag()?;
                }
            }
        }
        match still_open {
            Some(still_open) => still_open.extend(self.open.iter().map(|open| NodeId(open.node))),
            None if self.open.is_empty() => {}
            None => return Err(self.wrong(Wrong::ElementUnterminated)),
        }
        while let Some(open) = self.open.pop() {
            // There is no end tag to copy.
            self.end_element(open.node, self.at, Plain::NOTHING);
        }
        root.ok_or_else(|| self.wrong(Wrong::Empty))
    }

    fn text(&mut self) -> Result<(), ReadError> {
        let start = self.at;
        if self.open.is_empty() {
            let end = memchr::memchr(b'<', self.rest()).map_or(self.bytes.len(), |length| start + length);
            let outside = self.bytes.get(start..end).unwrap_or_default();
            if let Some(index) = outside.iter().position(|&byte| !is_space(byte)) {
                return Err(ReadError { kind: Wrong::TextOutside, offset: start + index });
            }
            self.at = end;
            return Ok(());
        }
        let mut verbatim = self.segment()?;
        while self.peek(0) == Some(b'<') && self.rest().starts_with(CDATA_START.as_bytes()) {
            verbatim = false;
            let length = memchr::memmem::find(self.rest(), b"]]>")
                .ok_or_else(|| self.wrong(Wrong::CdataUnterminated))?;
            self.at += length + 3;
            self.segment()?;
        }
        if self.at - start > self.limits.text_bytes_max {
            return Err(ReadError { kind: Wrong::TextBytes, offset: start + self.limits.text_bytes_max });
        }
        if !verbatim {
            let run = self.source.get(start..self.at).unwrap_or_default();
            text::decode(run, Place::Content, &mut |_| {})
                .map_err(|(kind, index)| ReadError { kind, offset: start + index })?;
            verbatim = text::is_canonical(run, Place::Content);
        }
        if !verbatim {
            self.edit(start, self.at, Canonical::Content);
        }
        self.push_node(Kind::Text { verbatim }, start)?;
        Ok(())
    }

    /// Reads character data up to a tag, if it is short and canonical as it stands.
    #[inline(always)]
    fn near_text(&mut self) -> Result<bool, ReadError> {
        let start = self.at;
        let end = near::end::<TEXT_END>(self.bytes, start, NEAR_SIXTEENS);
        match end {
            Some((end, b'<'))
                if self.bytes.get(end + 1) != Some(&b'!')
                    && end - start <= self.limits.text_bytes_max
                    && !self.open.is_empty() =>
            {
                self.at = end;
                self.push_node(Kind::Text { verbatim: true }, start)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Steps over character data up to `<` or the end; tells whether it is surely canonical as it stands.
    fn segment(&mut self) -> Result<bool, ReadError> {
        let start = self.at;
        let mut special = false;
        loop {
            let here = self.at / BLOCK_BYTES;
            let wanted = if special { MARKUP } else { MARKUP | SPECIAL };
            let Some(block) = scan::next(self.blocks, here, wanted) else {
                self.at = self.bytes.len();
                break;
            };
            self.at = self.at.max(block * BLOCK_BYTES);
            let flags = self.blocks.get(block).copied().unwrap_or(MARKUP);
            let end = ((block + 1) * BLOCK_BYTES).min(self.bytes.len());
            let within = self.bytes.get(self.at..end).unwrap_or_default();
            let found = if flags & MARKUP == 0 { None } else { memchr::memchr(b'<', within) };
            if flags & SPECIAL != 0 && !special {
                let here = within.get(..found.unwrap_or(within.len())).unwrap_or_default();
                special = here.iter().any(|byte| matches!(byte, b'&' | b'>' | b'\r'));
            }
            match found {
                Some(length) => {
                    self.at += length;
                    break;
                }
                None => self.at = end,
            }
            if self.at >= self.bytes.len() {
                break;
            }
        }
        if !special {
            return Ok(true);
        }
        let segment = self.bytes.get(start..self.at).unwrap_or_default();
        match memchr::memmem::find(segment, b"]]>") {
            Some(index) => Err(ReadError { kind: Wrong::CdataEnd, offset: start + index }),
            None => Ok(false),
        }
    }

    /// `<!`: a comment or a CDATA section, or what is refused.
    fn declaration_like(&mut self) -> Result<(), ReadError> {
        let rest = self.rest();
        if rest.starts_with(b"<!--") {
            return self.comment();
        }
        if rest.starts_with(CDATA_START.as_bytes()) {
            return if self.open.is_empty() { Err(self.wrong(Wrong::TextOutside)) } else { self.text() };
        }
        Err(self.wrong(if rest.starts_with(b"<!DOCTYPE") { Wrong::Doctype } else { Wrong::Markup }))
    }

    fn comment(&mut self) -> Result<(), ReadError> {
        let start = self.at;
        let inside = self.bytes.get(start + 4..).unwrap_or_default();
        let length =
            memchr::memmem::find(inside, b"--").ok_or_else(|| self.wrong(Wrong::CommentUnterminated))?;
        self.at = start + 4 + length;
        match self.peek(2) {
            Some(b'>') => self.at += 3,
            Some(_) => return Err(self.wrong(Wrong::CommentHyphens)),
            None => return Err(self.wrong(Wrong::CommentUnterminated)),
        }
        self.push_node(Kind::Comment, start)?;
        Ok(())
    }

    fn instruction(&mut self) -> Result<(), ReadError> {
        let start = self.at;
        self.at += 2;
        let target = self.name()?;
        if target.eq_ignore_ascii_case("xml") {
            return Err(ReadError { kind: Wrong::ReservedTarget, offset: start });
        }
        if !is_ncname(target) {
            return Err(ReadError { kind: Wrong::PiTarget, offset: start });
        }
        let length =
            memchr::memmem::find(self.rest(), b"?>").ok_or_else(|| self.wrong(Wrong::PiUnterminated))?;
        if length > 0 && !self.peek(0).is_some_and(is_space) {
            return Err(self.wrong(Wrong::PiTarget));
        }
        self.at += length + 2;
        self.push_node(Kind::ProcessingInstruction, start)?;
        Ok(())
    }

    /// Steps over a run of name characters; empty if there is none.
    fn name(&mut self) -> Result<&'s str, ReadError> {
        let rest = self.source.get(self.at..).unwrap_or_default();
        let length = name_run_bytes(rest);
        if length > self.name_bytes_max {
            return Err(self.wrong(Wrong::NameBytes));
        }
        self.at += length;
        Ok(rest.get(..length).unwrap_or_default())
    }

    /// Adds a node that reaches from `start` to here, as the last child of the innermost open element.
    #[inline]
    fn push_node(&mut self, kind: Kind, start: usize) -> Result<u32, ReadError> {
        let number = self.tree.arena.nodes.len();
        if number >= self.nodes_max {
            return Err(ReadError { kind: Wrong::Nodes, offset: start });
        }
        let parent = match self.open.last_mut() {
            Some(open) => {
                if matches!(kind, Kind::Comment | Kind::ProcessingInstruction) {
                    open.plain = open.plain.around_other();
                }
                open.node
            }
            None => NO_NODE,
        };
        let after = number as u32 + 1;
        let (start, end) = (start as u32, self.at as u32);
        self.tree.arena.nodes.push(NodeData::new(kind, parent, after, start, end));
        Ok(number as u32)
    }

    /// Notes where the canonical form differs.
    #[inline]
    fn edit(&mut self, start: usize, end: usize, canonical: Canonical) {
        self.tree.arena.edits.push(Edit { start: start as u32, end: end as u32, canonical });
    }

    #[inline]
    fn skip_space(&mut self) -> bool {
        let start = self.at;
        while self.peek(0).is_some_and(is_space) {
            self.at += 1;
        }
        self.at > start
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'s [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn wrong(&self, kind: Wrong) -> ReadError {
        ReadError { kind, offset: self.at }
    }
}

#[cfg(test)]
mod tests;
