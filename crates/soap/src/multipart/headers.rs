//! The header block of one part.

use super::content_type::{ContentType, is_token_byte};
use super::{Limits, MultipartError};

/// One part's headers, as far as the contract reads them, and the bytes they were read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartHeaders {
    pub(super) raw: Vec<u8>,
    pub(super) place: usize,
    pub(super) content_id: Option<String>,
    pub(super) content_type: Option<ContentType>,
    pub(super) is_root: bool,
}

impl PartHeaders {
    /// The block exactly as it arrived, its blank line included; empty for a plain XML body.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The part's place in the body, from 1.
    pub fn place(&self) -> usize {
        self.place
    }

    /// The Content-ID without its angle brackets; every part but the root has one.
    pub fn content_id(&self) -> Option<&str> {
        self.content_id.as_deref()
    }

    /// The Content-Type, where there is one.
    pub fn content_type(&self) -> Option<&ContentType> {
        self.content_type.as_ref()
    }

    /// Whether this part is the envelope.
    pub fn is_root(&self) -> bool {
        self.is_root
    }

    /// Reads a block that ends with its blank line; `is_root` is not decided here.
    pub(super) fn parse(raw: &[u8], place: usize, limits: &Limits) -> Result<Self, MultipartError> {
        let malformed = || MultipartError::PartHeaderMalformed { part: place };
        let text = std::str::from_utf8(raw).map_err(|_| malformed())?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.strip_suffix("\r\n").ok_or_else(malformed)?.split_terminator("\r\n") {
            if line.chars().any(|c| c.is_control() && c != '\t') {
                return Err(malformed());
            }
            if line.starts_with([' ', '\t']) {
                let (_, value) = fields.last_mut().ok_or_else(malformed)?;
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            if fields.len() == limits.part_headers_max {
                return Err(MultipartError::PartHeadersTooMany {
                    part: place,
                    limit: limits.part_headers_max,
                });
            }
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            if name.is_empty() || !name.bytes().all(is_token_byte) {
                return Err(malformed());
            }
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let only = |name: &str| {
            let mut found = fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
            match (found.next(), found.next()) {
                (value, None) => Ok(value),
                _ => Err(malformed()),
            }
        };
        if let Some(encoding) = only("content-transfer-encoding")? {
            let identity =
                ["binary", "8bit", "7bit"].iter().any(|known| encoding.eq_ignore_ascii_case(known));
            if !identity {
                let seen = encoding.chars().take(40).collect();
                return Err(MultipartError::TransferEncodingUnsupported { part: place, seen });
            }
        }
        let content_id =
            only("content-id")?.map(|value| content_id(value).ok_or_else(malformed)).transpose()?;
        let content_type = only("content-type")?.map(ContentType::parse).transpose()?;
        Ok(Self { raw: raw.to_vec(), place, content_id, content_type, is_root: false })
    }
}

/// A Content-ID or `start` value without its brackets; `None` for an empty one or one that holds brackets.
pub(super) fn content_id(value: &str) -> Option<String> {
    let value = value.trim();
    let bare = match value.strip_prefix('<') {
        Some(rest) => rest.strip_suffix('>')?,
        None => value,
    };
    let plain = !bare.is_empty() && !bare.contains(['<', '>', '"']) && !bare.chars().any(char::is_whitespace);
    plain.then(|| bare.to_owned())
}
