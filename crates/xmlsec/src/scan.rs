//! The pass over a document's bytes before its first token: what each block holds, so that long runs of text are stepped over
//! a block at a time and no byte is looked at twice.
//!
//! One plain loop, compiled three times: as it is, and for AVX2 and AVX-512 where the processor has them. The aim is to stay within
//! 7 % of what SHA-256 of the same bytes takes; compiled for every processor the loop alone would cost more than twice that.

/// A block holds a byte that is no ASCII character of XML: not ASCII, or a control.
pub(crate) const SUSPECT: u8 = 1;
/// A block holds `<`.
pub(crate) const MARKUP: u8 = 2;
/// A block holds `&`, `>` or CR: as text it may not be canonical as it stands.
pub(crate) const SPECIAL: u8 = 4;

/// How many bytes a block has.
pub(crate) const BLOCK_BYTES: usize = 128;

/// What each block of `bytes` holds.
pub(crate) fn blocks(bytes: &[u8]) -> Vec<u8> {
    let mut flags = vec![0; bytes.len().div_ceil(BLOCK_BYTES)];
    fill(bytes, &mut flags);
    flags
}

/// Whether no byte of `bytes` is of any class.
pub(crate) fn is_quiet(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, &byte| all | class(byte)) == 0
}

/// The first block from `from` on that holds something of `wanted`.
#[inline]
pub(crate) fn next(blocks: &[u8], from: usize, wanted: u8) -> Option<usize> {
    let rest = blocks.get(from..)?;
    if rest.first()? & wanted != 0 {
        return Some(from);
    }
    // Eight at a time: most of a long message is nothing.
    let (eights, _) = rest.as_chunks::<8>();
    let wanted_of_eight = u64::from_ne_bytes([wanted; 8]);
    let of_eight = |eight: &[u8; 8]| u64::from_ne_bytes(*eight) & wanted_of_eight != 0;
    let passed = 8 * eights.iter().position(of_eight).unwrap_or(eights.len());
    rest.get(passed..)?.iter().position(|flags| flags & wanted != 0).map(|index| from + passed + index)
}

/// Notes of each block of `bytes` what it holds; `flags` has one for each, and all are 0.
#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "a function compiled for a processor is called only where the processor is one"
)]
pub(crate) fn fill(bytes: &[u8], flags: &mut [u8]) {
    if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
        // SAFETY: the processor has the features, as was just asked.
        unsafe { fill_avx512(bytes, flags) }
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        unsafe { fill_avx2(bytes, flags) }
    } else {
        fill_plain(bytes, flags);
    }
}

/// Notes of each block of `bytes` what it holds; `flags` has one for each, and all are 0.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn fill(bytes: &[u8], flags: &mut [u8]) {
    fill_plain(bytes, flags);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512bw,avx512vl")]
fn fill_avx512(bytes: &[u8], flags: &mut [u8]) {
    fill_plain(bytes, flags);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn fill_avx2(bytes: &[u8], flags: &mut [u8]) {
    fill_plain(bytes, flags);
}

/// Without a branch on a byte, so that the compiler takes many at once.
#[inline(always)]
fn fill_plain(bytes: &[u8], flags: &mut [u8]) {
    let (whole, rest) = bytes.as_chunks::<BLOCK_BYTES>();
    for (block, flags) in whole.iter().zip(flags.iter_mut()) {
        // Most of a long message is base64: two comparisons a byte tell that a block holds nothing to note.
        let unlike = block.iter().fold(false, |unlike, &byte| unlike | is_unlike_base64(byte));
        *flags = if unlike { block.iter().fold(0, |all, &byte| all | class(byte)) } else { 0 };
    }
    if let Some(flags) = flags.get_mut(whole.len()) {
        *flags = rest.iter().fold(0, |all, &byte| all | class(byte));
    }
}

/// Whether it is `<`, `>`, below `'` or beyond `~`; no byte that is none of these has a class.
#[inline(always)]
fn is_unlike_base64(byte: u8) -> bool {
    (byte.wrapping_sub(b'\'') > b'~' - b'\'') | ((byte | 2) == b'>')
}

#[inline(always)]
fn class(byte: u8) -> u8 {
    // As a signed number, all that is not ASCII is negative.
    let suspect = ((byte as i8) < 0x20) & (byte != b'\t') & (byte != b'\n') & (byte != b'\r');
    let special = (byte == b'&') | (byte == b'>') | (byte == b'\r');
    (u8::from(suspect) * SUSPECT) | (u8::from(byte == b'<') * MARKUP) | (u8::from(special) * SPECIAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_like_base64_has_no_class() {
        for byte in 0..=255u8 {
            assert!(is_unlike_base64(byte) || class(byte) == 0, "{byte}");
        }
        assert!(!(b'A'..=b'z').chain(b'0'..=b'9').chain(*b"+/=").any(is_unlike_base64));
    }

    #[test]
    fn the_next_block_is_found_wherever_it_is() {
        for length in 0..30 {
            for place in 0..length {
                let mut blocks = vec![SPECIAL; length];
                blocks[place] |= MARKUP;
                for from in 0..=length {
                    let expected = (from <= place).then_some(place);
                    assert_eq!(next(&blocks, from, MARKUP), expected, "{place} of {length} from {from}");
                }
                assert_eq!(next(&blocks, 0, SUSPECT), None);
                assert_eq!(next(&blocks, place, MARKUP | SPECIAL), Some(place));
            }
        }
    }

    #[test]
    fn every_byte_in_every_place_is_seen_by_every_build() {
        for length in [0usize, 1, 127, 128, 129, 300] {
            for place in (0..length).step_by(7).chain(length.checked_sub(1)) {
                for byte in 0..=255u8 {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = byte;
                    let mut expected = vec![0; length.div_ceil(BLOCK_BYTES)];
                    let suspect = !byte.is_ascii() || (byte < 0x20 && !b"\t\n\r".contains(&byte));
                    expected[place / BLOCK_BYTES] = (u8::from(suspect) * SUSPECT)
                        | (u8::from(byte == b'<') * MARKUP)
                        | (u8::from(b"&>\r".contains(&byte)) * SPECIAL);
                    assert_eq!(blocks(&bytes), expected, "{byte} at {place} of {length}");
                    let mut plain = vec![0; expected.len()];
                    fill_plain(&bytes, &mut plain);
                    assert_eq!(plain, expected, "{byte} at {place} of {length}");
                }
            }
        }
    }
}
