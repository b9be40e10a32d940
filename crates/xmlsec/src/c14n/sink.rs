//! Where canonical bytes go: in blocks, escaped on the way.

/// Takes canonical bytes: a buffer, or a hash that never keeps them.
pub trait Sink {
    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]);

    /// Takes the next bytes, which are those of the document's source from `place` on.
    fn write_source(&mut self, bytes: &[u8], place: usize) {
        let _ = place;
        self.write(bytes);
    }
}

impl Sink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for pki::digest::Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

impl<S: Sink> Sink for &mut S {
    fn write(&mut self, bytes: &[u8]) {
        (**self).write(bytes);
    }
    fn write_source(&mut self, bytes: &[u8], place: usize) {
        (**self).write_source(bytes, place);
    }
}

/// Gathers small pieces into blocks, so that a hash is not called for every bracket; and pieces of the source that follow each other
/// into runs, so that what is canonical as written goes to the hash from where it lies.
pub(super) struct Blocks<'d, 's, S> {
    sink: &'s mut S,
    source: &'d [u8],
    /// Of the source, put last and not yet passed on.
    run: (u32, u32),
    block: [u8; BLOCK_BYTES],
    filled: usize,
}

const BLOCK_BYTES: usize = 4096;
/// Up to here a run is copied whole, in one step.
const SHORT_BYTES: usize = 32;

impl<'d, 's, S: Sink> Blocks<'d, 's, S> {
    pub(super) fn new(sink: &'s mut S, source: &'d [u8]) -> Self {
        Self { sink, source, run: (u32::MAX, u32::MAX), block: [0; BLOCK_BYTES], filled: 0 }
    }

    /// Puts a piece of the source as it stands.
    #[inline]
    pub(super) fn copy(&mut self, start: u32, end: u32) {
        if start != self.run.1 {
            self.end_run();
            self.run.0 = start;
        }
        self.run.1 = end;
    }

    /// Puts one byte: from the source where it stands there, so that the run goes on.
    #[inline]
    pub(super) fn copy_or_put(&mut self, at: u32, byte: &[u8; 1]) {
        if self.source.get(at as usize) == Some(&byte[0]) {
            self.copy(at, at + 1);
        } else {
            self.put(byte);
        }
    }

    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.end_run();
        self.gather(bytes);
    }

    #[inline]
    fn end_run(&mut self) {
        let (start, end) = (self.run.0 as usize, self.run.1 as usize);
        self.run = (u32::MAX, u32::MAX);
        if start >= end {
            return;
        }
        let source = self.source;
        let from = source.get(start..).unwrap_or_default();
        // A few bytes too many, which the next piece overwrites, are copied quicker than exactly so many.
        if end - start <= SHORT_BYTES
            && let Some(from) = from.first_chunk::<SHORT_BYTES>()
            && let Some(room) = self.block.get_mut(self.filled..)
            && let Some(room) = room.first_chunk_mut::<SHORT_BYTES>()
        {
            *room = *from;
            self.filled += end - start;
            return;
        }
        let run = from.get(..end - start).unwrap_or_default();
        if run.len() < BLOCK_BYTES {
            self.gather(run);
        } else {
            self.pass_on();
            self.sink.write_source(run, start);
        }
    }

    #[inline]
    fn gather(&mut self, bytes: &[u8]) {
        match self.block.get_mut(self.filled..self.filled + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.filled += bytes.len();
            }
            None => self.gather_beyond(bytes),
        }
    }

    #[cold]
    fn gather_beyond(&mut self, bytes: &[u8]) {
        self.pass_on();
        match self.block.get_mut(..bytes.len()) {
            Some(room) if bytes.len() < BLOCK_BYTES / 2 => {
                room.copy_from_slice(bytes);
                self.filled = bytes.len();
            }
            _ => self.sink.write(bytes),
        }
    }

    fn pass_on(&mut self) {
        self.sink.write(self.block.get(..self.filled).unwrap_or_default());
        self.filled = 0;
    }

    /// Puts `text` with the bytes that `escape_of` names replaced.
    pub(super) fn put_escaped(&mut self, text: &str, escape_of: fn(u8) -> Option<&'static [u8]>) {
        let bytes = text.as_bytes();
        let mut done = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if let Some(escaped) = escape_of(byte) {
                self.put(bytes.get(done..at).unwrap_or_default());
                self.put(escaped);
                done = at + 1;
            }
        }
        self.put(bytes.get(done..).unwrap_or_default());
    }

    pub(super) fn flush(&mut self) {
        self.end_run();
        self.pass_on();
    }
}

/// Canonical XML 1.0 §2.3, text nodes.
pub(crate) fn text_escape(byte: u8) -> Option<&'static [u8]> {
    match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    }
}

/// Canonical XML 1.0 §2.3, attribute and namespace nodes.
pub(crate) fn attribute_escape(byte: u8) -> Option<&'static [u8]> {
    match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'"' => Some(b"&quot;"),
        b'\t' => Some(b"&#x9;"),
        b'\n' => Some(b"&#xA;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    }
}
