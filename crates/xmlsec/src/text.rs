//! Character data and attribute values from the form written to the form meant.
//!
//! One function both proves that a piece decodes (while reading) and decodes it (later): they cannot differ.
//! Sources: XML 1.0 §2.11 (line ends), §3.3.3 (attribute values), §4.1 and §4.6 (references).

use std::borrow::Cow;

use crate::ReadErrorKind;
use crate::chars::is_char;

/// Where a piece of source stands, which decides what is normalised in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Character data, CDATA sections included.
    Content,
    /// Between the quotes of an attribute.
    Attribute,
    /// The inside of a comment, an instruction or a CDATA section: line ends only.
    Raw,
}

/// The piece as meant; borrows where it is as written.
pub(crate) fn decoded(source: &str, place: Place) -> Cow<'_, str> {
    if next_special(source.as_bytes(), place).is_none() {
        return Cow::Borrowed(source);
    }
    let mut whole = String::with_capacity(source.len());
    // Only what the reader has decoded before is stored, so nothing is lost here.
    let _proved = decode(source, place, &mut |piece| whole.push_str(piece));
    Cow::Owned(whole)
}

/// Gives the piece as meant, part by part.
///
/// # Errors
/// What is wrong and at which byte of `source`.
pub(crate) fn decode(
    source: &str,
    place: Place,
    emit: &mut impl FnMut(&str),
) -> Result<(), (ReadErrorKind, usize)> {
    let mut at = 0;
    while let Some(rest) = source.get(at..) {
        let Some(special) = next_special(rest.as_bytes(), place) else {
            emit(rest);
            break;
        };
        let (before, from) = rest.split_at_checked(special).unwrap_or((rest, ""));
        if !before.is_empty() {
            emit(before);
        }
        at += special;
        at += match from.as_bytes().first() {
            Some(b'\r') => {
                emit(if place == Place::Attribute { " " } else { "\n" });
                if from.as_bytes().get(1) == Some(&b'\n') { 2 } else { 1 }
            }
            Some(b'\t' | b'\n') => {
                emit(" ");
                1
            }
            Some(b'&') => {
                let (character, length) = reference(from).map_err(|kind| (kind, at))?;
                emit(character.encode_utf8(&mut [0; 4]));
                length
            }
            Some(b'<') if place == Place::Content => {
                let inside = from.strip_prefix(CDATA_START).ok_or((ReadErrorKind::Markup, at))?;
                let length = memchr::memmem::find(inside.as_bytes(), b"]]>")
                    .ok_or((ReadErrorKind::CdataUnterminated, at))?;
                decode_lines(inside.get(..length).unwrap_or_default(), emit);
                CDATA_START.len() + length + 3
            }
            _ => return Err((ReadErrorKind::AttributeValueLess, at)),
        };
    }
    Ok(())
}

/// Whether a piece that decodes is its own canonical form (Canonical XML 1.0 §2.3): every escape in it is the one that would be
/// written, and nothing in it would be escaped.
pub(crate) fn is_canonical(source: &str, place: Place) -> bool {
    let special = match place {
        Place::Content => &IN_CONTENT,
        Place::Attribute => &IN_ATTRIBUTE,
        Place::Raw => return !source.contains('\r'),
    };
    let mut rest = source.as_bytes();
    while let Some(index) = rest.iter().position(|&byte| special[usize::from(byte)]) {
        let found = rest.get(index..).unwrap_or_default();
        match canonical_escape_bytes(found, place) {
            Some(length) => rest = found.get(length..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

/// The length of the escape that `from` begins with, if it is one that the canonical form has in such a place.
pub(crate) fn canonical_escape_bytes(from: &[u8], place: Place) -> Option<usize> {
    let escapes: &[&[u8]] = match place {
        Place::Content => &[b"&amp;", b"&lt;", b"&gt;", b"&#xD;"],
        Place::Attribute => &[b"&amp;", b"&lt;", b"&quot;", b"&#x9;", b"&#xA;", b"&#xD;"],
        Place::Raw => &[],
    };
    escapes.iter().find(|escape| from.starts_with(escape)).map(|escape| escape.len())
}

const IN_CONTENT: [bool; 256] = table(b"&<>\r");
const IN_ATTRIBUTE: [bool; 256] = table(b"&<\"\t\n\r");

const fn table(bytes: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut index = 0;
    while index < bytes.len() {
        table[bytes[index] as usize] = true;
        index += 1;
    }
    table
}

pub(crate) const CDATA_START: &str = "<![CDATA[";

fn decode_lines(source: &str, emit: &mut impl FnMut(&str)) {
    let mut rest = source;
    while let Some(at) = memchr::memchr(b'\r', rest.as_bytes()) {
        emit(rest.get(..at).unwrap_or_default());
        emit("\n");
        rest = rest.get(at + 1..).unwrap_or_default();
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    emit(rest);
}

fn next_special(bytes: &[u8], place: Place) -> Option<usize> {
    match place {
        Place::Content => memchr::memchr3(b'&', b'<', b'\r', bytes),
        Place::Raw => memchr::memchr(b'\r', bytes),
        Place::Attribute => bytes.iter().position(|byte| matches!(byte, b'&' | b'<' | b'\r' | b'\n' | b'\t')),
    }
}

/// The character that a reference at the start of `from` stands for, and the reference's length in bytes.
fn reference(from: &str) -> Result<(char, usize), ReadErrorKind> {
    // The longest that stands for a character and has no superfluous zeros is `&#1114111;`; zeros are legal, so leave room.
    const REFERENCE_BYTES_MAX: usize = 64;
    let window = from.as_bytes().get(..REFERENCE_BYTES_MAX).unwrap_or(from.as_bytes());
    let end = memchr::memchr(b';', window).ok_or(ReadErrorKind::Reference)?;
    let name = from.get(1..end).ok_or(ReadErrorKind::Reference)?;
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let digits = name.strip_prefix('#').ok_or(ReadErrorKind::EntityUnknown)?;
            let (digits, radix) = digits.strip_prefix('x').map_or((digits, 10), |digits| (digits, 16));
            // `from_str_radix` would take a sign.
            if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
                return Err(ReadErrorKind::Reference);
            }
            let number = u32::from_str_radix(digits, radix).map_err(|_| ReadErrorKind::CharacterReference)?;
            let character = char::from_u32(number).ok_or(ReadErrorKind::CharacterReference)?;
            if !is_char(character) {
                return Err(ReadErrorKind::CharacterReference);
            }
            character
        }
    };
    Ok((character, end + 1))
}
