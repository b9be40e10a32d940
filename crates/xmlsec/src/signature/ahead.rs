//! Hashing while reading: what a signature covers, and base64 content within it, are digested as the message is scanned.
//!
//! A large signed message is mostly one run of text, its document in base64. Before the message is read, the scan comes through that run
//! block by block; here each block is also hashed for the Reference that covers it and, where the text is content, decoded, its bytes
//! hashed too, both hashes at once. What comes of it is kept with the [`Document`] as a claim that proves itself: *the canonical
//! bytes so far, then this range of the source, have this state*. Verification canonicalises as ever, from the tree, and takes the state
//! only where what it is about to hash is those very bytes and that very range; else it hashes. So nothing is trusted that was guessed
//! here, of the signature or of the tree.

use std::ops::Range;
use std::sync::Mutex;

use pki::digest::{Digest, DigestAlgorithm, Hasher};
use pki::sha256::Sha256;

use super::{Reference, Signature, Transform};
use crate::base64::Decoder;
use crate::c14n::{self, Sink};
use crate::read::{self, Tap};
use crate::run::Run;
use crate::{Document, Element, Limits, ReadError, namespace};

/// Reads a document, as [`Document::parse`], and digests ahead what is long in it.
///
/// `is_content` says of the element around the long text whether that is base64 of which the digest will be asked, by
/// [`Element::base64_content`]; `source_too`, whether that of the source will be, by [`Document::source_sha256`]. The cost is that of reading the first few thousand bytes twice, in large messages alone; in one
/// whose signature stands behind what it covers, nothing is digested ahead.
///
/// # Errors
/// As [`Document::parse`].
pub fn parse_ahead(
    source: Vec<u8>,
    limits: &Limits,
    is_content: &dyn Fn(Element<'_>) -> bool,
    source_too: bool,
) -> Result<Document, ReadError> {
    if source.len() < AHEAD_BYTES_MIN {
        return Document::parse(source, limits);
    }
    parse_any_ahead(source, limits, is_content, source_too)
}

/// As [`parse_ahead`], however short the document is.
fn parse_any_ahead(
    source: Vec<u8>,
    limits: &Limits,
    is_content: &dyn Fn(Element<'_>) -> bool,
    source_too: bool,
) -> Result<Document, ReadError> {
    let mut hashing = Hashing { limits, is_content, source_too, begun: None };
    let document = read::read(source, limits, Some(&mut hashing))?;
    Ok(Document { ahead: hashing.begun.map(Begun::end), ..document })
}

/// Below that the bytes are near enough when they are hashed.
const AHEAD_BYTES_MIN: usize = 256 << 10;

/// SHA-256 of `canonical`, then of `text` of the source, is in the state `sha256`.
pub(crate) struct Ahead {
    canonical: Vec<u8>,
    text: Range<usize>,
    sha256: Sha256,
    /// SHA-256 of the source up to the end of `text`, if that was wanted.
    source: Option<Sha256>,
    /// What the text is the beginning of, decoded; taken once.
    content: Mutex<Option<Decoder>>,
}

impl Ahead {
    /// SHA-256 of the source, if it was begun.
    pub(crate) fn source_sha256(&self, source: &[u8]) -> Option<[u8; 32]> {
        let mut sha256 = self.source.clone()?;
        sha256.update(source.get(self.text.end..)?);
        Some(sha256.finish())
    }

    /// The decoder that has taken the beginning of that text, and where the rest of it stands.
    pub(crate) fn take_content(&self, text: Range<usize>) -> Option<(Decoder, Range<usize>)> {
        if self.text.start != text.start || self.text.end > text.end {
            return None;
        }
        // A lock that is poisoned holds nothing half done.
        let mut content = self.content.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let decoder = content.take()?;
        let rest = text.start + decoder.taken_bytes()..text.end;
        Some((decoder, rest))
    }
}

/// Waits for the long text.
struct Hashing<'l> {
    limits: &'l Limits,
    is_content: &'l dyn Fn(Element<'_>) -> bool,
    source_too: bool,
    begun: Option<Begun>,
}

/// The long text that begins at `start`.
struct Begun {
    canonical: Vec<u8>,
    start: usize,
    run: Run,
}

impl Begun {
    fn end(self) -> Ahead {
        let Self { canonical, start, run: Run { sha256, source, content, taken_bytes } } = self;
        Ahead { canonical, text: start..start + taken_bytes, sha256, source, content: Mutex::new(content) }
    }
}

impl Tap for Hashing<'_> {
    fn begin(&mut self, before: &[u8], source_bytes: usize) -> Option<&mut Run> {
        let (document, open) = read::read_beginning(before, self.limits).ok()?;
        let open: Vec<Element<'_>> = open.iter().filter_map(|&node| document.element(node)).collect();
        let canonical = canonical_before_text(&document, &open)?;
        let sha256_of = |bytes: &[u8]| {
            let mut sha256 = Sha256::default();
            sha256.update(bytes);
            sha256
        };
        // The text is all that its element has, up to here.
        let content = open.last().filter(|element| element.content_range().start == before.len());
        let content = content.filter(|element| (self.is_content)(**element));
        let run = Run {
            sha256: sha256_of(&canonical),
            source: self.source_too.then(|| sha256_of(before)),
            content: content.map(|_| Decoder::with_room(source_bytes.saturating_sub(before.len()))),
            taken_bytes: 0,
        };
        Some(&mut self.begun.insert(Begun { canonical, start: before.len(), run }).run)
    }
}

/// What the canonical form of the element that is signed has before the text in the innermost `open` one.
fn canonical_before_text(document: &Document, open: &[Element<'_>]) -> Option<Vec<u8>> {
    let mut elements = document.root().descendants_and_self();
    let signature = elements.find(|element| element.is(namespace::DS, "Signature"))?;
    let signature = Signature::parse(signature).ok()?;
    let (place, method) = open.iter().enumerate().find_map(|(place, element)| {
        let own = [(Some(namespace::WSU), "Id"), (None, "Id")];
        let id = own.into_iter().find_map(|(namespace, name)| element.attribute(namespace, name))?;
        let is_over = |reference: &&Reference| {
            reference.uri.as_deref().and_then(|uri| uri.strip_prefix('#')) == Some(id.as_ref())
                && reference.method.known == Some(DigestAlgorithm::Sha256)
        };
        match signature.references().iter().find(is_over)?.transforms.as_slice() {
            [Transform::C14n(method)] => Some((place, c14n::Method { comments: false, ..method.clone() })),
            _ => None,
        }
    })?;
    let mut canonical = Vec::new();
    let within = open.get(place..)?;
    c14n::canonicalize(*within.first()?, &method, &mut canonical).ok()?;
    let end_tags: usize = within.iter().map(|element| "</>".len() + element.qualified_name().len()).sum();
    canonical.truncate(canonical.len().checked_sub(end_tags)?);
    Some(canonical)
}

/// Takes canonical bytes, and skips those that were hashed ahead.
pub(super) struct Resumed<'d> {
    /// As long as all that came is what it begins with.
    ahead: Option<&'d Ahead>,
    /// So much of its canonical bytes came.
    came_bytes: usize,
    hasher: Hasher,
}

impl<'d> Resumed<'d> {
    pub(super) fn new(document: &'d Document, algorithm: DigestAlgorithm) -> Self {
        let ahead = document.ahead.as_ref().filter(|_| algorithm == DigestAlgorithm::Sha256);
        Self { ahead, came_bytes: 0, hasher: Hasher::new(algorithm) }
    }

    pub(super) fn finish(mut self) -> Digest {
        self.give_up();
        self.hasher.finish()
    }

    /// Something else than what was hashed ahead: what came until now is hashed here.
    fn give_up(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            self.hasher.update(ahead.canonical.get(..self.came_bytes).unwrap_or_default());
        }
    }

    /// What is left of `bytes`, which stand at `place`, after the text that was hashed ahead, if that is what they are.
    fn resume<'b>(&self, ahead: &Ahead, bytes: &'b [u8], place: usize) -> Option<&'b [u8]> {
        let (before, from) = bytes.split_at_checked(ahead.text.start.checked_sub(place)?)?;
        let rest = from.get(ahead.text.len()..)?;
        (ahead.canonical.get(self.came_bytes..) == Some(before)).then_some(rest)
    }
}

impl Sink for Resumed<'_> {
    fn write(&mut self, bytes: &[u8]) {
        match self.ahead {
            Some(ahead) if ahead.canonical.get(self.came_bytes..).is_some_and(|c| c.starts_with(bytes)) => {
                self.came_bytes += bytes.len();
            }
            _ => {
                self.give_up();
                self.hasher.update(bytes);
            }
        }
    }

    fn write_source(&mut self, bytes: &[u8], place: usize) {
        match self.ahead.and_then(|ahead| Some((ahead, self.resume(ahead, bytes, place)?))) {
            Some((ahead, rest)) => {
                self.ahead = None;
                self.hasher = ahead.sha256.clone().into();
                self.hasher.update(rest);
            }
            None => self.write(bytes),
        }
    }
}

#[cfg(test)]
mod tests;
