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
    block: Vec<u8>,
    filled: usize,
}

pub(super) const BLOCK_BYTES: usize = 4096;
/// Up to here a run is copied whole, in one step.
pub(super) const SHORT_BYTES: usize = 32;
/// For a short one and the few bytes around it.
const ROOM_BYTES: usize = SHORT_BYTES + 8;

impl<'d, 's, S: Sink> Blocks<'d, 's, S> {
    /// `block` has [`BLOCK_BYTES`].
    pub(super) fn new(sink: &'s mut S, source: &'d [u8], block: Vec<u8>) -> Self {
        Self { sink, source, run: (u32::MAX, u32::MAX), block, filled: 0 }
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

    /// Puts the first so many of `padded`: in one step if they are few, and it has [`SHORT_BYTES`] all the same.
    #[inline]
    pub(super) fn put_first(&mut self, padded: &[u8], bytes: usize) {
        self.end_run();
        let room = self.block.get_mut(self.filled..).and_then(|room| room.first_chunk_mut::<SHORT_BYTES>());
        match (padded.first_chunk(), room) {
            (Some(padded), Some(room)) if bytes <= SHORT_BYTES => {
                *room = *padded;
                self.filled += bytes;
            }
            _ => self.gather(padded.get(..bytes).unwrap_or_default()),
        }
    }

    /// Puts a piece of the source between a few other bytes.
    #[inline]
    pub(super) fn put_around<const B: usize, const A: usize>(
        &mut self,
        before: &[u8; B],
        (start, end): (u32, u32),
        after: &[u8; A],
    ) {
        self.end_run();
        let piece_bytes = (end - start) as usize;
        if let Some(room) = self.with_short(B, start, end)
            && let Some((to, rest)) = room.split_first_chunk_mut()
            && let Some((to_after, _)) =
                rest.get_mut(piece_bytes..).and_then(|rest| rest.split_first_chunk_mut())
        {
            (*to, *to_after) = (*before, *after);
            self.filled += B + piece_bytes + A;
            return;
        }
        self.gather(before);
        self.copy(start, end);
        self.put(after);
    }

    #[inline]
    fn end_run(&mut self) {
        let (start, end) = std::mem::replace(&mut self.run, (u32::MAX, u32::MAX));
        if start >= end {
            return;
        }
        if self.with_short(0, start, end).is_some() {
            self.filled += (end - start) as usize;
        } else {
            self.end_long_run(start as usize, end as usize);
        }
    }

    /// The room behind what is gathered, with a piece of the source in it from `offset` on, if it is short: a few bytes too many, which
    /// what comes next overwrites, are copied quicker than exactly so many.
    #[inline(always)]
    fn with_short(&mut self, offset: usize, start: u32, end: u32) -> Option<&mut [u8; ROOM_BYTES]> {
        if (end - start) as usize > SHORT_BYTES {
            return None;
        }
        let from: &[u8; SHORT_BYTES] = self.source.get(start as usize..)?.first_chunk()?;
        let room: &mut [u8; ROOM_BYTES] = self.block.get_mut(self.filled..)?.first_chunk_mut()?;
        *room.get_mut(offset..)?.first_chunk_mut()? = *from;
        Some(room)
    }

    fn end_long_run(&mut self, start: usize, end: usize) {
        let run = self.source.get(start..end).unwrap_or_default();
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

    /// Passes on what is left, and gives the block back.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.end_run();
        self.pass_on();
        self.block
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
