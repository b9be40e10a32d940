//! Character classes of XML 1.0 §2.2 and §2.3, and names of Namespaces in XML 1.0 §3.

/// XML 1.0 production 2.
pub(crate) fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// XML 1.0 production 3.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// XML 1.0 production 4 without the colon.
pub(crate) fn is_ncname_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// XML 1.0 production 4a without the colon.
pub(crate) fn is_ncname_char(c: char) -> bool {
    is_ncname_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Namespaces in XML 1.0 production 4.
pub(crate) fn is_ncname(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_ncname_start) && chars.all(is_ncname_char)
}

/// The length in bytes of the longest run of name characters (colon included) that `text` begins with.
///
/// Whether the run begins with a name start character is the caller's question.
pub(crate) fn name_run_bytes(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ascii = bytes.iter().position(|&byte| !NAME_BYTE[byte as usize]).unwrap_or(bytes.len());
    match bytes.get(ascii) {
        Some(byte) if !byte.is_ascii() => {
            let rest = text.get(ascii..).unwrap_or_default();
            let beyond = rest.char_indices().find(|&(_, c)| c != ':' && !is_ncname_char(c));
            ascii + beyond.map_or(rest.len(), |(index, _)| index)
        }
        _ => ascii,
    }
}

/// ASCII name characters, colon included.
const NAME_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-' | b'.');
        byte += 1;
    }
    table
};

/// A table of bytes, and these too.
pub(crate) const fn with(mut table: [bool; 256], bytes: &[u8]) -> [bool; 256] {
    let mut index = 0;
    while index < bytes.len() {
        table[bytes[index] as usize] = true;
        index += 1;
    }
    table
}
