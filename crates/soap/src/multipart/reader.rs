//! The streaming reader.

use super::content_type::{ContentType, RootMedia};
use super::headers::{PartHeaders, content_id};
use super::{Limits, MultipartError, PartSink};
use memchr::memmem::Finder;

const BOUNDARY_BYTES_MAX: usize = 70;
/// Transport padding after a boundary (RFC 2046 §5.1.1): nobody sends any, so little is enough.
const PADDING_BYTES_MAX: usize = 16;

/// Reads one request body, chunk by chunk, at any chunk size.
///
/// A body of `text/xml` or `application/soap+xml` is one root part without headers. After an error the reader has
/// ended: every later call refuses too.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    state: State,
    scan: Scan,
    start: Option<String>,
    /// What the outer `type` says, for a root part without a Content-Type.
    outer: Option<ContentType>,
    block: Vec<u8>,
    content_ids: Vec<String>,
    root_media: Option<RootMedia>,
    has_root: bool,
    parts: usize,
    body_bytes: u64,
    /// Bytes of the part, preamble or epilogue at hand.
    span_bytes: u64,
    span_bytes_max: u64,
    in_root: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// A plain XML body, not begun.
    PlainStart,
    Plain,
    Preamble,
    /// Right after a boundary.
    BoundaryLine,
    Headers,
    Part,
    Epilogue,
    Ended,
}

impl Reader {
    /// Reads the Content-Type of an HTTP request.
    ///
    /// # Errors
    /// A type that the contract doesn't take, or a boundary outside RFC 2046: the caller's.
    pub fn new(content_type: &str, limits: &Limits) -> Result<Self, MultipartError> {
        let content_type = ContentType::parse(content_type)?;
        let mut reader = Self {
            limits: limits.clone(),
            state: State::PlainStart,
            scan: Scan::new(""),
            start: None,
            outer: None,
            block: Vec::new(),
            content_ids: Vec::new(),
            root_media: None,
            has_root: false,
            parts: 0,
            body_bytes: 0,
            span_bytes: 0,
            span_bytes_max: limits.root_part_bytes_max,
            in_root: true,
        };
        match content_type.essence() {
            "text/xml" | "application/soap+xml" => {
                content_type.require_utf8()?;
                reader.root_media = RootMedia::of(&content_type);
                reader.outer = Some(content_type);
            }
            "multipart/related" => {
                let boundary = content_type.parameter("boundary").unwrap_or_default();
                if !is_boundary(boundary) {
                    return Err(MultipartError::BoundaryInvalid);
                }
                if let Some(start) = content_type.parameter("start") {
                    let malformed = || MultipartError::ContentTypeMalformed { seen: start.to_owned() };
                    reader.start = Some(content_id(start).ok_or_else(malformed)?);
                }
                if let Some(kind) = content_type.parameter("type") {
                    let kind = ContentType::parse(kind)?;
                    let seen = kind.essence().to_owned();
                    RootMedia::of(&kind).ok_or(MultipartError::RootTypeUnsupported { seen })?;
                    reader.outer = Some(kind);
                }
                reader.scan = Scan::new(boundary);
                reader.state = State::Preamble;
                reader.span_bytes_max = limits.preamble_bytes_max;
            }
            other => return Err(MultipartError::ContentTypeUnsupported { seen: other.to_owned() }),
        }
        Ok(reader)
    }

    /// Takes the body's next bytes.
    ///
    /// # Errors
    /// The form of the body, or the sink; the reader has ended then.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut dyn PartSink) -> Result<(), MultipartError> {
        let outcome = self.take(chunk, sink);
        if outcome.is_err() {
            self.state = State::Ended;
        }
        outcome
    }

    /// The body is complete.
    ///
    /// # Errors
    /// A body without its closing boundary or without a root part; the sink.
    pub fn finish(&mut self, sink: &mut dyn PartSink) -> Result<(), MultipartError> {
        let last = std::mem::replace(&mut self.state, State::Ended);
        match last {
            State::PlainStart => Err(MultipartError::RootMissing),
            State::Plain => Ok(sink.end()?),
            State::Epilogue => self.require_root(),
            State::Ended => Err(MultipartError::Ended),
            State::Preamble | State::BoundaryLine | State::Headers | State::Part => {
                Err(MultipartError::Truncated)
            }
        }
    }

    /// What the root part's Content-Type says of its envelope, once the root part has begun.
    pub fn root_media(&self) -> Option<RootMedia> {
        self.root_media
    }

    /// The Content-IDs of the parts begun so far, in their order, the root part's included where it has one.
    pub fn content_ids(&self) -> &[String] {
        &self.content_ids
    }

    /// Bytes taken so far.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    fn require_root(&self) -> Result<(), MultipartError> {
        if self.has_root { Ok(()) } else { Err(MultipartError::RootMissing) }
    }

    fn take(&mut self, mut chunk: &[u8], sink: &mut dyn PartSink) -> Result<(), MultipartError> {
        if self.state == State::Ended {
            return Err(MultipartError::Ended);
        }
        self.body_bytes = self.body_bytes.saturating_add(chunk.len() as u64);
        if self.body_bytes > self.limits.body_bytes_max {
            return Err(MultipartError::BodyTooLarge { limit_bytes: self.limits.body_bytes_max });
        }
        while !chunk.is_empty() {
            chunk = match self.state {
                State::PlainStart => {
                    self.begin_plain(sink)?;
                    chunk
                }
                State::Plain => {
                    self.keep(chunk, sink)?;
                    &[]
                }
                State::Preamble | State::Part => self.take_span(chunk, sink)?,
                State::BoundaryLine => self.take_boundary_line(chunk)?,
                State::Headers => self.take_headers(chunk, sink)?,
                State::Epilogue => {
                    self.count(chunk.len())?;
                    &[]
                }
                State::Ended => return Err(MultipartError::Ended),
            };
        }
        Ok(())
    }

    fn begin_plain(&mut self, sink: &mut dyn PartSink) -> Result<(), MultipartError> {
        self.state = State::Plain;
        self.parts = 1;
        self.has_root = true;
        sink.begin(&PartHeaders {
            raw: Vec::new(),
            place: 1,
            content_id: None,
            content_type: self.outer.clone(),
            is_root: true,
        })?;
        Ok(())
    }

    /// Takes preamble or part up to the next boundary; what is left of the chunk comes back.
    fn take_span<'c>(
        &mut self,
        chunk: &'c [u8],
        sink: &mut dyn PartSink,
    ) -> Result<&'c [u8], MultipartError> {
        let mut scan = std::mem::take(&mut self.scan);
        let outcome = scan.advance(chunk, &mut |bytes| self.keep(bytes, sink));
        self.scan = scan;
        let Some(rest) = outcome? else { return Ok(&[]) };
        if self.state == State::Part {
            sink.end()?;
        }
        self.state = State::BoundaryLine;
        self.block.clear();
        Ok(rest)
    }

    /// Takes what follows a boundary: `--`, or padding and CRLF.
    fn take_boundary_line<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], MultipartError> {
        let Some((&byte, rest)) = chunk.split_first() else { return Ok(chunk) };
        match (self.block.as_slice(), byte) {
            (b"-", b'-') => {
                self.state = State::Epilogue;
                self.span_bytes = 0;
                self.span_bytes_max = self.limits.epilogue_bytes_max;
            }
            ([], b'-') => self.block.push(byte),
            ([.., b'\r'], b'\n') => {
                self.parts += 1;
                if self.parts > self.limits.parts_max {
                    return Err(MultipartError::PartsTooMany { limit: self.limits.parts_max });
                }
                self.state = State::Headers;
                self.block.clear();
            }
            ([] | [.., b' ' | b'\t'], b' ' | b'\t' | b'\r') if self.block.len() < PADDING_BYTES_MAX => {
                self.block.push(byte);
            }
            _ => return Err(MultipartError::BoundaryLineMalformed),
        }
        Ok(rest)
    }

    fn take_headers<'c>(
        &mut self,
        chunk: &'c [u8],
        sink: &mut dyn PartSink,
    ) -> Result<&'c [u8], MultipartError> {
        let seen = self.block.len();
        let room = self.limits.part_header_bytes_max.saturating_sub(seen).min(chunk.len());
        let (now, _) = chunk.split_at_checked(room).unwrap_or((chunk, &[]));
        self.block.extend_from_slice(now);
        let Some(end) = block_end(&self.block, seen) else {
            if now.len() < chunk.len() {
                let limit_bytes = self.limits.part_header_bytes_max;
                return Err(MultipartError::PartHeadersTooLarge { part: self.parts, limit_bytes });
            }
            return Ok(&[]);
        };
        self.block.truncate(end);
        let block = std::mem::take(&mut self.block);
        let headers = PartHeaders::parse(&block, self.parts, &self.limits)?;
        self.begin_part(headers, sink)?;
        Ok(chunk.get(end - seen..).unwrap_or_default())
    }

    fn begin_part(
        &mut self,
        mut headers: PartHeaders,
        sink: &mut dyn PartSink,
    ) -> Result<(), MultipartError> {
        let named = match &self.start {
            Some(start) => headers.content_id.as_ref() == Some(start),
            None => false,
        };
        let first_unnamed = self.parts == 1 && (self.start.is_none() || headers.content_id.is_none());
        headers.is_root = named || first_unnamed;
        match &headers.content_id {
            Some(id) => {
                if self.content_ids.iter().any(|known| known.eq_ignore_ascii_case(id)) {
                    return Err(MultipartError::ContentIdRepeated { content_id: id.clone() });
                }
                self.content_ids.push(id.clone());
            }
            None if headers.is_root => {}
            None => return Err(MultipartError::ContentIdMissing { part: self.parts }),
        }
        self.span_bytes_max = self.limits.part_bytes_max;
        self.in_root = headers.is_root;
        if headers.is_root {
            if self.has_root {
                return Err(MultipartError::RootAmbiguous);
            }
            self.has_root = true;
            self.span_bytes_max = self.limits.root_part_bytes_max;
            if let Some(kind) = headers.content_type.as_ref().or(self.outer.as_ref()) {
                kind.require_utf8()?;
                let seen = kind.essence().to_owned();
                self.root_media =
                    Some(RootMedia::of(kind).ok_or(MultipartError::RootTypeUnsupported { seen })?);
            }
        }
        self.state = State::Part;
        self.span_bytes = 0;
        self.scan.restart();
        sink.begin(&headers)?;
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8], sink: &mut dyn PartSink) -> Result<(), MultipartError> {
        self.count(bytes.len())?;
        if self.state != State::Preamble && !bytes.is_empty() {
            sink.data(bytes)?;
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), MultipartError> {
        self.span_bytes = self.span_bytes.saturating_add(bytes as u64);
        let limit_bytes = self.span_bytes_max;
        if self.span_bytes <= limit_bytes {
            return Ok(());
        }
        Err(match self.state {
            State::Preamble => MultipartError::PreambleTooLarge { limit_bytes },
            State::Epilogue => MultipartError::EpilogueTooLarge { limit_bytes },
            _ if self.in_root => MultipartError::RootTooLarge { limit_bytes },
            _ => MultipartError::PartTooLarge { part: self.parts, limit_bytes },
        })
    }
}

/// How much is searched, then handed on, at a time: while a hash is busy with a step, the processor fetches and searches the next.
const STEP_BYTES: usize = 512;
/// A hash is quickest with whole blocks of it.
const HASH_BLOCK_BYTES: usize = 64;

/// Looks for CRLF, two dashes and the boundary, over chunk ends.
#[derive(Debug)]
struct Scan {
    finder: Finder<'static>,
    /// The end of what came so far, where a boundary could still begin: shorter than the delimiter.
    carry: Vec<u8>,
    /// How many of the carry's first bytes were never in the body: a boundary may stand at the very start, as if a CRLF
    /// came before it.
    imagined: usize,
    /// Bytes of the part that were handed on.
    given_bytes: usize,
}

impl Default for Scan {
    fn default() -> Self {
        Self { finder: Finder::new(b"").into_owned(), carry: Vec::new(), imagined: 0, given_bytes: 0 }
    }
}

impl Scan {
    fn new(boundary: &str) -> Self {
        let delimiter = format!("\r\n--{boundary}");
        let finder = Finder::new(delimiter.as_bytes()).into_owned();
        let mut scan = Self { finder, ..Self::default() };
        scan.restart();
        scan
    }

    fn restart(&mut self) {
        self.carry.clear();
        self.carry.extend_from_slice(b"\r\n");
        self.imagined = 2;
        self.given_bytes = 0;
    }

    /// Hands on what lies before the delimiter; the bytes after it, or `None` while it has not come.
    fn advance<'c>(
        &mut self,
        chunk: &'c [u8],
        keep: &mut dyn FnMut(&[u8]) -> Result<(), MultipartError>,
    ) -> Result<Option<&'c [u8]>, MultipartError> {
        let delimiter_bytes = self.finder.needle().len();
        let mut rest = chunk;
        if !self.carry.is_empty() {
            let carried = self.carry.len();
            let mut joined = std::mem::take(&mut self.carry);
            let imagined = std::mem::take(&mut self.imagined);
            // Enough for any delimiter that begins in the carry.
            let (head, _) = chunk.split_at_checked(delimiter_bytes - 1).unwrap_or((chunk, &[]));
            joined.extend_from_slice(head);
            if let Some(at) = self.finder.find(&joined) {
                keep(joined.get(imagined..at).unwrap_or_default())?;
                return Ok(chunk.get(at + delimiter_bytes - carried..));
            }
            let open = self.open_from(&joined);
            if open < carried {
                // The chunk is short, and the delimiter may still begin where it might have before.
                self.given_bytes += open.saturating_sub(imagined);
                keep(joined.get(imagined..open).unwrap_or_default())?;
                self.imagined = imagined.saturating_sub(open);
                joined.drain(..open);
                self.carry = joined;
                return Ok(None);
            }
            self.given_bytes += carried - imagined;
            keep(joined.get(imagined..carried).unwrap_or_default())?;
            rest = chunk;
        }
        loop {
            let step_bytes = STEP_BYTES - self.given_bytes % HASH_BLOCK_BYTES;
            let window = rest.get(..step_bytes + delimiter_bytes - 1);
            if let Some(at) = self.finder.find(window.unwrap_or(rest)) {
                keep(rest.get(..at).unwrap_or_default())?;
                return Ok(rest.get(at + delimiter_bytes..));
            }
            let Some((step, after)) = window.and_then(|_| rest.split_at_checked(step_bytes)) else { break };
            self.given_bytes += step_bytes;
            keep(step)?;
            rest = after;
        }
        let (closed, open) = rest.split_at_checked(self.open_from(rest)).unwrap_or((rest, &[]));
        self.given_bytes += closed.len();
        keep(closed)?;
        self.carry.extend_from_slice(open);
        Ok(None)
    }

    /// Where, at the end of `bytes`, a delimiter could begin; their length if nowhere. CR stands only at a delimiter's
    /// start, so the last CR is the only candidate.
    fn open_from(&self, bytes: &[u8]) -> usize {
        match memchr::memrchr(b'\r', bytes) {
            Some(at) if bytes.get(at..).is_some_and(|tail| self.finder.needle().starts_with(tail)) => at,
            _ => bytes.len(),
        }
    }
}

fn is_boundary(boundary: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len())
        && boundary.bytes().all(allowed)
        && !boundary.ends_with(' ')
}

/// The end of a header block, blank line included, where only bytes from `seen` on are new.
fn block_end(block: &[u8], seen: usize) -> Option<usize> {
    if block.starts_with(b"\r\n") {
        return Some(2);
    }
    let from = seen.saturating_sub(3);
    let tail = block.get(from..)?;
    memchr::memmem::find(tail, b"\r\n\r\n").map(|at| from + at + 4)
}
