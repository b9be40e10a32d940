//! Bodies to send: the SOAP part first, as CXF reads the first part whatever `start` says.

use std::fmt::Write as _;

/// Why a part cannot be written: the caller's of this crate.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// A Content-ID or Content-Type that would break out of its header line.
    #[error("a header value holds a character that would end its line")]
    HeaderValue,
}

impl WriteError {
    /// The stable name of what failed.
    pub fn code(&self) -> &'static str {
        match self {
            Self::HeaderValue => "multipart.write.header-value",
        }
    }
}

/// An attachment to send; its bytes are streamed by whoever sends the body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutgoingPart {
    /// Without angle brackets.
    pub content_id: String,
    /// With parameters, if any.
    pub content_type: String,
    /// How many bytes will follow.
    pub bytes: u64,
}

/// One piece of a body, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The bytes of the attachment with this index.
    Part(usize),
}

/// A whole body: what to send, in which order, and how long it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    /// The HTTP Content-Type.
    pub content_type: String,
    /// The body's pieces.
    pub pieces: Vec<Piece>,
    /// The Content-Length, so that a large file needs no buffer and no chunked coding.
    pub total_bytes: u64,
}

/// Writes `multipart/related` bodies with one boundary.
#[derive(Clone, Debug)]
pub struct Writer {
    boundary: String,
}

/// The Content-ID of the SOAP part of everything written here.
const ROOT_ID: &str = "root@epost";

impl Writer {
    /// A writer with a boundary made of 16 random bytes: no content holds it but by chance of 2^-128.
    pub fn new(random: [u8; 16]) -> Self {
        let mut boundary = String::from("epost-");
        for byte in random {
            let _ = write!(boundary, "{byte:02x}");
        }
        Self { boundary }
    }

    /// The HTTP Content-Type of a body written with this boundary.
    pub fn content_type(&self) -> String {
        format!("multipart/related; type=\"text/xml\"; start=\"<{ROOT_ID}>\"; boundary=\"{}\"", self.boundary)
    }

    /// Plans a body: `root` is the envelope, the parts' bytes are sent where the pieces name them.
    ///
    /// # Errors
    /// `HeaderValue`, for a Content-ID or Content-Type with control characters or brackets.
    pub fn layout(&self, root: Vec<u8>, parts: &[OutgoingPart]) -> Result<Layout, WriteError> {
        let mut open = self.header("", "text/xml; charset=utf-8", "8bit", ROOT_ID)?;
        open.extend_from_slice(&root);
        let mut total_bytes = 0_u64;
        let mut pieces = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            open.extend(self.header("\r\n", &part.content_type, "binary", &part.content_id)?);
            total_bytes += open.len() as u64 + part.bytes;
            pieces.push(Piece::Bytes(std::mem::take(&mut open)));
            pieces.push(Piece::Part(index));
        }
        open.extend_from_slice(format!("\r\n--{}--\r\n", self.boundary).as_bytes());
        total_bytes += open.len() as u64;
        pieces.push(Piece::Bytes(open));
        Ok(Layout { content_type: self.content_type(), pieces, total_bytes })
    }

    /// A whole small body in memory: each part as (Content-ID, Content-Type, bytes).
    ///
    /// # Errors
    /// As [`Writer::layout`].
    pub fn body(&self, root: Vec<u8>, parts: &[(&str, &str, &[u8])]) -> Result<Vec<u8>, WriteError> {
        let outgoing: Vec<OutgoingPart> = parts
            .iter()
            .map(|(id, kind, bytes)| OutgoingPart {
                content_id: (*id).to_owned(),
                content_type: (*kind).to_owned(),
                bytes: bytes.len() as u64,
            })
            .collect();
        let mut body = Vec::new();
        for piece in self.layout(root, &outgoing)?.pieces {
            match piece {
                Piece::Bytes(bytes) => body.extend_from_slice(&bytes),
                Piece::Part(index) => {
                    body.extend_from_slice(parts.get(index).map(|(_, _, bytes)| *bytes).unwrap_or_default());
                }
            }
        }
        Ok(body)
    }

    fn header(&self, before: &str, kind: &str, encoding: &str, id: &str) -> Result<Vec<u8>, WriteError> {
        let plain = |value: &str| !value.is_empty() && value.bytes().all(|b| (b' '..0x7f).contains(&b));
        if !plain(kind) || !plain(id) || id.contains(['<', '>', ' ', '"']) {
            return Err(WriteError::HeaderValue);
        }
        Ok(format!(
            "{before}--{}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\
             Content-ID: <{id}>\r\n\r\n",
            self.boundary
        )
        .into_bytes())
    }
}
