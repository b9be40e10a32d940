//! DER for the stand-ins: a writer, and a reader of one level.
//!
//! The checkers have other code for the same encoding: a mistake made here is found there. Source: X.690.

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const UTC_TIME: u8 = 0x17;

/// One value of `tag` around the given contents.
pub(super) fn value(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length: usize = contents.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    let bytes = length.to_be_bytes();
    let significant: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    match significant.as_slice() {
        [] => out.push(0),
        [one] if *one < 0x80 => out.push(*one),
        several => {
            out.push(0x80 | several.len().to_le_bytes()[0]);
            out.extend_from_slice(several);
        }
    }
    for part in contents {
        out.extend_from_slice(part);
    }
    out
}

pub(super) fn sequence(contents: &[&[u8]]) -> Vec<u8> {
    value(SEQUENCE, contents)
}

/// SET OF, in DER's order, under `tag` (the universal one, or an implicit context tag).
pub(super) fn set_of(tag: u8, mut contents: Vec<Vec<u8>>) -> Vec<u8> {
    contents.sort();
    let parts: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    value(tag, &parts)
}

/// A non-negative INTEGER of big-endian bytes.
pub(super) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let stripped: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    match stripped.first() {
        Some(first) if *first < 0x80 => value(INTEGER, &[&stripped]),
        _ => value(INTEGER, &[&[0], &stripped]),
    }
}

/// An OBJECT IDENTIFIER in dotted form; arcs that are not numbers are left out (the stand-ins' own constants never are).
pub(super) fn object(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted.split('.').filter_map(|arc| arc.parse().ok()).collect();
    let mut out = Vec::new();
    if let [first, second, rest @ ..] = arcs.as_slice() {
        base128(first * 40 + second, &mut out);
        for arc in rest {
            base128(*arc, &mut out);
        }
    }
    value(OBJECT, &[&out])
}

fn base128(number: u64, out: &mut Vec<u8>) {
    let groups = (u64::BITS - number.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let seven = ((number >> (group * 7)) & 0x7f).to_le_bytes()[0];
        out.push(if group == 0 { seven } else { seven | 0x80 });
    }
}

/// One encoded value that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// Tag, length and content.
    pub(super) whole: &'a [u8],
}

/// Takes the next value off `rest`; `None` at the end or where it is not DER.
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Option<Value<'a>> {
    let all = *rest;
    let (&tag, after) = all.split_first()?;
    let (&first, mut after) = after.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let count = usize::from(first & 0x7f);
        let (bytes, later) = after.split_at_checked(count)?;
        if count == 0 || count > 4 || bytes.first() == Some(&0) {
            return None;
        }
        after = later;
        bytes.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte))
    };
    let (content, later) = after.split_at_checked(length)?;
    *rest = later;
    Some(Value { tag, content, whole: all.get(..all.len() - later.len())? })
}

/// The next value, which must have `tag`.
pub(super) fn expect<'a>(rest: &mut &'a [u8], tag: u8) -> Option<Value<'a>> {
    next(rest).filter(|value| value.tag == tag)
}

/// The next value if it has `tag`; else nothing is taken.
pub(super) fn optional<'a>(rest: &mut &'a [u8], tag: u8) -> Option<Value<'a>> {
    if rest.first() == Some(&tag) { next(rest) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_encodings() {
        assert_eq!(object("1.2.840.113549.1.7.2"), [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2]);
        assert_eq!(unsigned(&[0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned(&[0]), [2, 1, 0]);
        assert_eq!(value(OCTETS, &[&[7; 200]])[..3], [4, 0x81, 200]);
        assert_eq!(value(OCTETS, &[&[7; 300]])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn reads_what_it_wrote_and_stops_at_a_cut() {
        let written = sequence(&[&unsigned(&[5]), &value(OCTETS, &[&[9; 130]])]);
        let mut rest = written.as_slice();
        let outer = expect(&mut rest, SEQUENCE).unwrap();
        assert!(rest.is_empty());
        let mut inner = outer.content;
        assert_eq!(expect(&mut inner, INTEGER).unwrap().content, [5]);
        assert!(optional(&mut inner, BOOLEAN).is_none());
        assert_eq!(next(&mut inner).unwrap().content.len(), 130);
        for cut in 0..written.len() {
            assert!(next(&mut &written[..cut]).is_none(), "{cut}");
        }
    }
}
