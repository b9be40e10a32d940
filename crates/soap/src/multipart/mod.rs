//! `multipart/related` bodies, read as they arrive and written in pieces.
//!
//! The reader is a state machine without I/O: chunks of any size go in, each part's headers and slices of its bytes
//! come out to a [`PartSink`]. Nothing of a part is kept here but what a boundary could still begin in.
//!
//! Sources: RFC 2046 §5.1, RFC 2387, RFC 2392, SOAP Messages with Attachments; `clients.md` 8, `security.md` rows 68–70.

mod content_type;
mod error;
mod headers;
mod reader;
mod reference;
#[cfg(test)]
mod tests;
mod writer;

pub use content_type::{ContentType, RootMedia};
pub use error::{MultipartError, SinkError, refusal_of as refusal};
pub use headers::PartHeaders;
pub use reader::Reader;
pub use reference::find_content_id;
pub use writer::{Layout, OutgoingPart, Piece, WriteError, Writer};

/// The caps on one request body; the reader refuses at the first byte beyond one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Parts of one body, the root part counted.
    pub parts_max: usize,
    /// Header lines of one part.
    pub part_headers_max: usize,
    /// Bytes of one part's header block, the blank line included.
    pub part_header_bytes_max: usize,
    /// Bytes of the root part (the envelope).
    pub root_part_bytes_max: u64,
    /// Bytes of any other part.
    pub part_bytes_max: u64,
    /// Bytes of the whole body: preamble, boundaries and headers counted.
    pub body_bytes_max: u64,
    /// Bytes before the first boundary.
    pub preamble_bytes_max: u64,
    /// Bytes after the closing boundary.
    pub epilogue_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            parts_max: 16,
            part_headers_max: 16,
            part_header_bytes_max: 8 << 10,
            root_part_bytes_max: 4 << 20,
            part_bytes_max: 2 << 30,
            body_bytes_max: 4 << 30,
            preamble_bytes_max: 1 << 10,
            epilogue_bytes_max: 1 << 10,
        }
    }
}

/// Where the parts of a body go.
///
/// For each part, in the order of the body: one `begin`, any number of `data`, one `end`. A body that is refused stops
/// in the middle of this; the sink discards what it has.
pub trait PartSink {
    /// A part begins.
    ///
    /// # Errors
    /// Whatever keeps the sink from taking the part: ours, unless the sink applies limits of its own.
    fn begin(&mut self, headers: &PartHeaders) -> Result<(), SinkError>;

    /// The part's next bytes; never empty.
    ///
    /// # Errors
    /// As for `begin`.
    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkError>;

    /// The part is complete.
    ///
    /// # Errors
    /// As for `begin`.
    fn end(&mut self) -> Result<(), SinkError>;
}
