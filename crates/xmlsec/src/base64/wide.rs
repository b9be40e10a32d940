//! Sixty-four characters in six steps, where the processor can look a byte up among 128 (AVX-512 VBMI): a quarter of the time that the
//! library takes, which goes no further than AVX2. It is for what is decoded between two blocks of a hash, and counts there.

/// Decodes, as far as the processor can and as 64 characters at once are of the alphabet; tells how many were taken.
#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "a function compiled for a processor is called only where the processor is one"
)]
pub(super) fn decode(text: &[u8], decoded: &mut Vec<u8>) -> usize {
    if is_x86_feature_detected!("avx512vbmi") && is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor has the features, as was just asked.
        unsafe { vbmi::decode(text, decoded) }
    } else {
        0
    }
}

/// The portable twin leaves all of it to the library.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn decode(_: &[u8], _: &mut Vec<u8>) -> usize {
    0
}

#[cfg(target_arch = "x86_64")]
mod vbmi {
    use std::arch::x86_64::{
        __m512i, _mm512_madd_epi16, _mm512_maddubs_epi16, _mm512_movepi8_mask, _mm512_or_si512,
        _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi32,
    };

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn decode(text: &[u8], decoded: &mut Vec<u8>) -> usize {
        let [low, high] = [vector(VALUES[0]), vector(VALUES[1])];
        let order = vector(ORDER);
        let (wholes, _) = text.as_chunks::<64>();
        for (taken, characters) in wholes.iter().enumerate() {
            let characters = vector(*characters);
            // A character beyond ASCII is looked up by its lower bits: its own highest one tells.
            let values = _mm512_permutex2var_epi8(low, characters, high);
            if _mm512_movepi8_mask(_mm512_or_si512(characters, values)) != 0 {
                return taken * 64;
            }
            // Four times six bits to twice twelve, to once 24.
            let twelves = _mm512_maddubs_epi16(values, _mm512_set1_epi32(0x0140_0140));
            let groups = _mm512_madd_epi16(twelves, _mm512_set1_epi32(0x0001_1000));
            let [bytes @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
                bytes(_mm512_permutexvar_epi8(order, groups));
            decoded.extend_from_slice(&bytes);
        }
        wholes.len() * 64
    }

    #[allow(unsafe_code, reason = "the same 64 bytes under another name")]
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn vector(bytes: [u8; 64]) -> __m512i {
        // SAFETY: both are 64 bytes of which any will do.
        unsafe { std::mem::transmute(bytes) }
    }

    #[allow(unsafe_code, reason = "the same 64 bytes under another name")]
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn bytes(vector: __m512i) -> [u8; 64] {
        // SAFETY: both are 64 bytes of which any will do.
        unsafe { std::mem::transmute(vector) }
    }

    /// What a character stands for, by its number; the highest bit where it stands for nothing. RFC 4648 §4.
    const VALUES: [[u8; 64]; 2] = {
        let mut values = [[0x80; 64]; 2];
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut value = 0;
        while value < 64 {
            let character = alphabet[value] as usize;
            values[character / 64][character % 64] = value as u8;
            value += 1;
        }
        values
    };

    /// Of each four bytes the lower three, the highest first.
    const ORDER: [u8; 64] = {
        let mut order = [0; 64];
        let mut to = 0;
        while to < 48 {
            order[to] = (to / 3 * 4 + 2 - to % 3) as u8;
            to += 1;
        }
        order
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64_simd::STANDARD;

    #[test]
    fn as_the_library_does_up_to_what_is_not_of_the_alphabet() {
        let bytes: Vec<u8> = (0..48 * 5 + 7_u32).map(|i| (i * 31 + (i >> 3) * 7) as u8).collect();
        let text = STANDARD.encode_to_string(&bytes).into_bytes();
        let mut decoded = b"before".to_vec();
        let taken = decode(&text, &mut decoded);
        assert!(taken == 0 || taken == 5 * 64, "{taken}");
        assert_eq!(decoded, [b"before", &bytes[..taken / 4 * 3]].concat());
        for place in (0..taken).step_by(3).chain([taken.saturating_sub(1)]) {
            for byte in 0..=255 {
                let mut changed = text[..taken].to_vec();
                let Some(at) = changed.get_mut(place) else { continue };
                *at = byte;
                let expected = STANDARD.decode_to_vec(&changed);
                let mut decoded = Vec::new();
                let came = decode(&changed, &mut decoded);
                assert_eq!(came == taken, expected.is_ok(), "{byte} at {place}");
                assert_eq!(
                    Some(decoded.as_slice()),
                    expected.as_deref().unwrap_or(&bytes).get(..came / 4 * 3)
                );
            }
        }
    }
}
