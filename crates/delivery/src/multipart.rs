//! multipart/form-data as a stream of known length: parts are read while they are sent, so memory stays constant.
//!
//! Source: RFC 7578; RFC 2046 §5.1.1.

use std::collections::VecDeque;
use std::io::{self, Read};

use bytes::Bytes;

/// A form whose length is known before the first byte is read.
#[derive(Debug)]
pub struct Multipart {
    boundary: String,
    parts: Vec<Part>,
}

/// One part of a form.
pub struct Part {
    /// The field's name: ASCII without quotes or line breaks.
    pub name: String,
    /// The file's name, already percent-encoded to ASCII without quotes.
    pub file_name: Option<String>,
    /// Its media type.
    pub content_type: String,
    /// Its bytes.
    pub content: PartContent,
}

/// Where a part's bytes come from.
pub enum PartContent {
    /// At hand.
    Bytes(Bytes),
    /// Read when its turn comes. The reader must give exactly `bytes` bytes; fewer or more is an error of the stream.
    Stream {
        /// Its length.
        bytes: u64,
        /// Its bytes.
        reader: Box<dyn Read + Send>,
    },
}

impl PartContent {
    fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stream { bytes, .. } => *bytes,
        }
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither content nor file name: both are personal.
        formatter
            .debug_struct("Part")
            .field("name", &self.name)
            .field("bytes", &self.content.bytes())
            .finish()
    }
}

impl Multipart {
    /// Puts parts together. `boundary_random` must be unguessable, so that no content can hold the boundary on purpose.
    pub fn new(boundary_random: [u8; 16], parts: Vec<Part>) -> Self {
        Self { boundary: format!("epost-{}", uuid::Uuid::from_bytes(boundary_random).simple()), parts }
    }

    /// The Content-Type header's value.
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// The Content-Length header's value.
    pub fn content_length(&self) -> u64 {
        let of_parts: u64 = self
            .parts
            .iter()
            .map(|part| self.head(part).len() as u64 + part.content.bytes() + LINE_END)
            .sum();
        of_parts + self.tail().len() as u64
    }

    /// The parts, for tests and logs.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The body's bytes, from the first on. Reading blocks where the parts' readers block.
    pub fn into_reader(self) -> MultipartReader {
        let mut segments = VecDeque::new();
        let heads: Vec<_> = self.parts.iter().map(|part| self.head(part)).collect();
        let tail = self.tail();
        for (head, part) in heads.into_iter().zip(self.parts) {
            segments.push_back(Segment::at_hand(head.into_bytes()));
            segments.push_back(match part.content {
                PartContent::Bytes(bytes) => Segment::at_hand(bytes.to_vec()),
                PartContent::Stream { bytes, reader } => Segment { left: bytes, reader },
            });
            segments.push_back(Segment::at_hand(b"\r\n".to_vec()));
        }
        segments.push_back(Segment::at_hand(tail.into_bytes()));
        MultipartReader { segments }
    }

    fn head(&self, part: &Part) -> String {
        let file_name =
            part.file_name.as_ref().map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
        format!(
            "--{}\r\nContent-Disposition: form-data; name=\"{}\"{file_name}\r\nContent-Type: {}\r\n\r\n",
            self.boundary, part.name, part.content_type
        )
    }

    fn tail(&self) -> String {
        format!("--{}--\r\n", self.boundary)
    }
}

/// Reads a form's bytes, one part after the other.
pub struct MultipartReader {
    segments: VecDeque<Segment>,
}

struct Segment {
    left: u64,
    reader: Box<dyn Read + Send>,
}

impl Segment {
    fn at_hand(bytes: Vec<u8>) -> Self {
        Self { left: bytes.len() as u64, reader: Box::new(io::Cursor::new(bytes)) }
    }

    /// A reader that goes on past its stated length would shift every later part: refuse it.
    fn expect_end(&mut self) -> io::Result<()> {
        match self.reader.read(&mut [0; 1])? {
            0 => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a part is longer than stated")),
        }
    }
}

impl Read for MultipartReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(segment) = self.segments.front_mut() {
            if segment.left == 0 {
                segment.expect_end()?;
                self.segments.pop_front();
                continue;
            }
            let wanted = usize::try_from(segment.left).unwrap_or(usize::MAX).min(buffer.len());
            let (window, _) = buffer.split_at_mut(wanted);
            let read = segment.reader.read(window)?;
            if read == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a part is shorter than stated"));
            }
            segment.left -= read as u64;
            return Ok(read);
        }
        Ok(0)
    }
}

const LINE_END: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn form(stated_bytes: u64, given: &'static [u8]) -> Multipart {
        let stream = PartContent::Stream { bytes: stated_bytes, reader: Box::new(given) };
        Multipart::new(
            [7; 16],
            vec![
                Part {
                    name: "messageToPublish".into(),
                    file_name: None,
                    content_type: "application/json".into(),
                    content: PartContent::Bytes(Bytes::from_static(b"{}")),
                },
                Part {
                    name: "upfile1".into(),
                    file_name: Some("a%20b.pdf".into()),
                    content_type: "application/pdf".into(),
                    content: stream,
                },
            ],
        )
    }

    #[test]
    fn the_stated_length_is_the_length() {
        let form = form(4, b"%PDF");
        let stated = form.content_length();
        let mut body = Vec::new();
        form.into_reader().read_to_end(&mut body).unwrap();
        assert_eq!(body.len() as u64, stated);
        let text = String::from_utf8(body).unwrap();
        assert!(text.contains(
            "name=\"upfile1\"; filename=\"a%20b.pdf\"\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n--"
        ));
        assert!(text.ends_with("--\r\n"));
    }

    #[test]
    fn a_part_shorter_or_longer_than_stated_breaks_the_stream() {
        for (stated, given) in [(5, &b"%PDF"[..]), (3, b"%PDF")] {
            let error = form(stated, given).into_reader().read_to_end(&mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains("than stated"), "{error}");
        }
    }

    #[test]
    fn an_empty_part_has_no_bytes() {
        let mut body = Vec::new();
        form(0, b"").into_reader().read_to_end(&mut body).unwrap();
        assert!(String::from_utf8(body).unwrap().contains("application/pdf\r\n\r\n\r\n--"));
    }
}
