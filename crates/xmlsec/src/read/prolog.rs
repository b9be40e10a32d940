//! Before the first markup: encoding, forbidden characters, the XML declaration.
//!
//! Sources: XML 1.0 §2.2, §2.8, §4.3.3 and appendix F (telling encodings by the first bytes).

use super::tap::{self, Tap};
use super::{ReadError, Wrong};
use crate::chars::is_space;
use crate::scan::{self, BLOCK_BYTES, SUSPECT};

const BYTE_ORDER_MARK: &str = "\u{FEFF}";

/// Bytes to text, UTF-8 without characters that XML forbids; and what each of its blocks holds.
pub(super) fn decode(source: Vec<u8>, tap: Option<&mut dyn Tap>) -> Result<(String, Vec<u8>), ReadError> {
    match source.as_slice() {
        [0xFF, 0xFE, 0, 0, ..]
        | [0, 0, 0xFE, 0xFF, ..]
        | [0, 0, 0, b'<', ..]
        | [b'<', 0, 0, 0, ..]
        | [0x4C, 0x6F, 0xA7, 0x94, ..] => {
            return Err(ReadError { kind: Wrong::EncodingForeign, offset: 0 });
        }
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, b'<', ..] | [b'<', 0, ..] => {
            return Err(ReadError { kind: Wrong::Utf16, offset: 0 });
        }
        _ => {}
    }
    let blocks = match tap {
        Some(tap) => tap::blocks(&source, tap),
        None => scan::blocks(&source),
    };
    let suspect = |from| scan::next(&blocks, from, SUSPECT);
    let first = suspect(0);
    let source = if first.is_none() {
        ascii(source)
    } else {
        let wrong = |error: std::string::FromUtf8Error| error.utf8_error().valid_up_to();
        String::from_utf8(source).map_err(|error| ReadError { kind: Wrong::Utf8, offset: wrong(error) })?
    };
    let mut suspects = std::iter::successors(first, |block| suspect(block + 1));
    match suspects.find_map(|block| forbidden(source.as_bytes(), block * BLOCK_BYTES)) {
        Some(offset) => Err(ReadError { kind: Wrong::Character, offset }),
        None => Ok((source, blocks)),
    }
}

/// Checking again what every block has just shown would cost as much as the whole scan.
#[allow(unsafe_code, reason = "one pass instead of two over every byte of a message")]
fn ascii(source: Vec<u8>) -> String {
    debug_assert!(source.is_ascii());
    // SAFETY: no block is SUSPECT, so every byte is ASCII, and ASCII is UTF-8.
    unsafe { String::from_utf8_unchecked(source) }
}

/// The first character outside production 2 that begins in the block at `start`; in valid UTF-8 these are controls, U+FFFE and U+FFFF.
fn forbidden(bytes: &[u8], start: usize) -> Option<usize> {
    let block = bytes.get(start..(start + BLOCK_BYTES).min(bytes.len())).unwrap_or_default();
    let index = block.iter().enumerate().position(|(index, &byte)| {
        let after = || bytes.get(start + index + 1..start + index + 3);
        (byte < 0x20 && !is_space(byte)) || (byte == 0xEF && matches!(after(), Some([0xBF, 0xBE | 0xBF])))
    });
    index.map(|index| start + index)
}

/// Where the markup begins: after a byte order mark and a well-formed XML declaration.
pub(super) fn skip(source: &str) -> Result<usize, ReadError> {
    let start = if source.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let rest = source.get(start..).unwrap_or_default();
    let Some(inside) = rest.strip_prefix("<?xml") else { return Ok(start) };
    if !inside.bytes().next().is_some_and(|byte| is_space(byte) || byte == b'?') {
        // A target that only begins with xml.
        return Ok(start);
    }
    let wrong = |kind| ReadError { kind, offset: start };
    let end = inside.find("?>").ok_or(wrong(Wrong::Declaration))?;
    let inside_bytes = end;
    let mut inside = inside.get(..end).unwrap_or_default();
    let version = pseudo_attribute(&mut inside, "version").ok_or(wrong(Wrong::Declaration))?;
    if version != "1.0" {
        return Err(wrong(Wrong::Declaration));
    }
    if let Some(encoding) = pseudo_attribute(&mut inside, "encoding")
        && !encoding.eq_ignore_ascii_case("UTF-8")
    {
        return Err(wrong(Wrong::EncodingDeclared));
    }
    if let Some(standalone) = pseudo_attribute(&mut inside, "standalone")
        && !matches!(standalone, "yes" | "no")
    {
        return Err(wrong(Wrong::Declaration));
    }
    if !inside.bytes().all(is_space) {
        return Err(wrong(Wrong::Declaration));
    }
    Ok(start + "<?xml".len() + inside_bytes + "?>".len())
}

/// Takes `S name S? = S? "value"` off the front of `inside`; leaves it alone if something else stands there.
fn pseudo_attribute<'s>(inside: &mut &'s str, name: &str) -> Option<&'s str> {
    let space: &[char] = &[' ', '\t', '\r', '\n'];
    let rest = inside.strip_prefix(space)?.trim_start_matches(space).strip_prefix(name)?;
    let rest = rest.trim_start_matches(space).strip_prefix('=')?.trim_start_matches(space);
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (value, rest) = rest.get(1..)?.split_once(quote)?;
    *inside = rest;
    Some(value)
}
