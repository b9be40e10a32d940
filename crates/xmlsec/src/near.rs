//! Where names, values and the text between tags end: near, mostly.
//!
//! The first few bytes are looked at one by one: where that ends the processor foresees, and is tokens ahead when it turns out to be
//! right. Behind these, sixteen at once, by a plain loop that the compiler turns into a few instructions.

/// Ends a name without a colon: anything in ASCII but letters, digits, `_`, `-` and `.`.
pub(crate) const NAME_END: u8 = 1;
/// Ends plain text, or makes it other than plain: `<`, `&`, `>`, CR.
pub(crate) const TEXT_END: u8 = 2;
/// Ends a plain value, or may make it other than plain: a quote, `&`, `<`, TAB, LF, CR.
pub(crate) const VALUE_END: u8 = 4;
/// Begins a name: a letter in ASCII or `_`.
const NAME_START: u8 = 8;

/// Where the first byte from `at` on is that is of the class, and which it is; nothing if that is more than so many times sixteen bytes
/// away, or there are not sixteen: slower ways will do.
#[inline(always)]
pub(crate) fn end<const CLASS: u8>(bytes: &[u8], at: usize, sixteens_max: usize) -> Option<(usize, u8)> {
    end_of::<CLASS, 0>(bytes, near(bytes, at)?, at, sixteens_max)
}

/// The same, where the first so many of those at `at` are known to be of another class.
#[inline(always)]
fn end_of<const CLASS: u8, const KNOWN: usize>(
    bytes: &[u8],
    near: &[u8; NEAR_BYTES],
    at: usize,
    sixteens_max: usize,
) -> Option<(usize, u8)> {
    for index in KNOWN..FORESEEN_BYTES {
        if CLASSES[usize::from(near[index])] & CLASS != 0 {
            return Some((at + index, near[index]));
        }
    }
    let end = end_beyond::<CLASS>(bytes, at + FORESEEN_BYTES, sixteens_max)?;
    Some((end, *bytes.get(end)?))
}

fn end_beyond<const CLASS: u8>(bytes: &[u8], mut at: usize, sixteens_max: usize) -> Option<usize> {
    for _ in 0..sixteens_max {
        let mut classes = [0; NEAR_BYTES];
        for (class, &byte) in classes.iter_mut().zip(near(bytes, at)?) {
            *class = class_of(byte) & CLASS;
        }
        let passed = u128::from_le_bytes(classes).trailing_zeros() as usize / 8;
        at += passed;
        if passed < NEAR_BYTES {
            return Some(at);
        }
    }
    None
}

/// Where the qualified name at `at` has its local part, and where it ends; nothing if it is not that simple: in ASCII, and some bytes
/// before the end.
#[inline(always)]
pub(crate) fn name(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    match part_end(bytes, at)? {
        (colon, b':') => match part_end(bytes, colon + 1)? {
            (_, b':') => None,
            (end, after) => after.is_ascii().then_some((colon + 1, end)),
        },
        (end, after) => after.is_ascii().then_some((at, end)),
    }
}

#[inline(always)]
fn part_end(bytes: &[u8], at: usize) -> Option<(usize, u8)> {
    let near = near(bytes, at)?;
    let starts = CLASSES[usize::from(near[0])] & NAME_START != 0;
    if starts { end_of::<NAME_END, 1>(bytes, near, at, usize::MAX) } else { None }
}

/// Whether `one` and `other` begin with the same so many bytes.
#[inline(always)]
pub(crate) fn begin_alike(one: &[u8], other: &[u8], bytes: usize) -> bool {
    match (one.first_chunk(), other.first_chunk()) {
        (Some(&one), Some(&other)) if (1..=8).contains(&bytes) => {
            (u64::from_le_bytes(one) ^ u64::from_le_bytes(other)) << (64 - 8 * bytes) == 0
        }
        _ => matches!((one.get(..bytes), other.get(..bytes)), (Some(one), Some(other)) if one == other),
    }
}

#[inline(always)]
fn near(bytes: &[u8], at: usize) -> Option<&[u8; NEAR_BYTES]> {
    bytes.get(at..)?.first_chunk()
}

const NEAR_BYTES: usize = 16;
const FORESEEN_BYTES: usize = 8;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = class_of(byte as u8);
        byte += 1;
    }
    classes
};

#[inline(always)]
const fn bit(is: bool, class: u8) -> u8 {
    is as u8 * class
}

#[inline(always)]
const fn class_of(byte: u8) -> u8 {
    let starts = ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte == b'_');
    let named = starts | (byte.wrapping_sub(b'0') < 10) | (byte == b'-') | (byte == b'.');
    let escaped = (byte == b'&') | (byte == b'<');
    let text_end = escaped | (byte == b'>') | (byte == b'\r');
    let value_end = escaped | (byte == b'"') | (byte == b'\'') | (byte < b' ');
    bit(!named, NAME_END) | bit(text_end, TEXT_END) | bit(value_end, VALUE_END) | bit(starts, NAME_START)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_ends_what_it_ends_wherever_it_stands() {
        for place in 0..50 {
            for byte in 0..=255u8 {
                let mut bytes = [b'a'; 80];
                bytes[place] = byte;
                let named = byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
                let ends = |is_end: bool| is_end.then_some((place, byte));
                assert_eq!(end::<NAME_END>(&bytes, 0, 4), ends(!named), "{byte} at {place}");
                assert_eq!(
                    end::<TEXT_END>(&bytes, 0, 4),
                    ends(b"<>&\r".contains(&byte)),
                    "{byte} at {place}"
                );
                let of_value = b"<&\"'".contains(&byte) || byte < b' ';
                assert_eq!(end::<VALUE_END>(&bytes, 0, 4), ends(of_value), "{byte} at {place}");
            }
        }
    }

    #[test]
    fn what_is_far_or_at_the_end_is_left_to_slower_ways() {
        let mut bytes = [b'a'; 80];
        bytes[40] = b'<';
        assert_eq!(end::<TEXT_END>(&bytes, 0, 3), Some((40, b'<')));
        assert_eq!(end::<TEXT_END>(&bytes, 0, 2), None);
        assert_eq!(end::<TEXT_END>(&bytes[..55], 0, 3), None, "fewer than sixteen from the forty-first on");
    }

    #[test]
    fn names() {
        let of = |text: &str| name(format!("{text}{}", " ".repeat(16)).as_bytes(), 0);
        for part in ["a", "_", "b-1.c", "eightest", "a-name-of-more-than-sixteen-characters"] {
            assert_eq!(of(part), Some((0, part.len())));
            assert_eq!(of(&format!("{part}:{part}")), Some((part.len() + 1, 2 * part.len() + 1)));
        }
        for other in ["", ":", "a:", ":a", "a:b:c", "a::b", "1a", "-a", "a:1", "é", "aé", "a:é", "a:bé"] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(name(b"a>", 0), None);
    }

    #[test]
    fn two_begin_alike_as_far_as_they_do() {
        let one = [b'a'; 20];
        for differing in 0..20 {
            let mut other = one;
            other[differing] = b'b';
            for bytes in 0..=20 {
                assert_eq!(begin_alike(&one, &other, bytes), bytes <= differing, "{bytes}, {differing}");
            }
        }
        assert!(!begin_alike(b"ab", b"abc", 3) && begin_alike(b"ab", b"abc", 2));
    }
}
