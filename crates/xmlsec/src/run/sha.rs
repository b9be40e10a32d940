//! The step with the processor's own rounds: between them sixteen characters at a time are looked up in two tables and, where they are
//! base64, put together.

use std::arch::x86_64::{
    __m128i, _mm_add_epi8, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_extract_epi32,
    _mm_madd_epi16, _mm_maddubs_epi16, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    _mm_set1_epi32, _mm_setzero_si128, _mm_shuffle_epi8, _mm_srli_epi32,
};

use pki::sha256::rounds::{GROUPS, Rounds};
use pki::sha256::{BLOCK_BYTES, Sha256};

use super::{STEP_BYTES, Steps};
use crate::base64::Decoder;

/// Four blocks of text are three of what it stands for in base64.
const BLOCKS: usize = 4;
const CONTENT_BYTES: usize = STEP_BYTES / 4 * 3;
/// So many times sixteen characters go to a unit.
const SIXTEENS: usize = BLOCKS * BLOCK_BYTES / 16;
/// What sixteen characters stand for.
const DECODED_BYTES: usize = 12;

/// As [`Steps::hash_plain`]. One function, so that the processor's registers hold all that goes on at once.
#[target_feature(enable = "sha,sse4.1")]
pub(super) fn hash<const HASHES: usize, const BASE64: bool>(
    steps: &mut Steps<'_, HASHES>,
    hashes: &mut [&mut Sha256; HASHES],
    decoder: &mut Decoder,
) {
    let Some(first) = hashes.first() else { return };
    let mut rounds = [Rounds::of(first); HASHES];
    for (rounds, hash) in rounds.iter_mut().zip(hashes.iter()) {
        *rounds = Rounds::of(hash);
    }
    let mut of_content = Rounds::of(&decoder.sha256);
    let begun = steps.passed;
    let mut nothing = [0; CONTENT_BYTES];
    'steps: while let Some(next) = steps.next() {
        let before = (rounds, of_content);
        let mut unlike = _mm_setzero_si128();
        let mut texts = [next; HASHES];
        for (text, begin) in texts.iter_mut().zip(steps.begins) {
            let Some(step) = steps.step_at(begin + steps.passed) else { break 'steps };
            *text = step;
        }
        let (earlier, decoded) = if BASE64 {
            let Some(grown) = decoder.grow() else { break };
            grown
        } else {
            (&[0; CONTENT_BYTES], &mut nothing)
        };
        let earlier = earlier.as_chunks().0.as_chunks::<3>().0;
        let decoded = decoded.as_chunks_mut().0.as_chunks_mut::<SIXTEENS>().0;
        let next = next.as_chunks().0.as_chunks::<SIXTEENS>().0;
        for (unit, ((next, decoded), earlier)) in next.iter().zip(decoded).zip(earlier).enumerate() {
            macro_rules! quarters {
                ($($quarter:literal)*) => { $(
                    for (rounds, text) in rounds.iter_mut().zip(texts) {
                        rounds.load(&text.as_chunks().0[unit * BLOCKS + $quarter]);
                    }
                    groups!($quarter: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                    for rounds in &mut rounds {
                        rounds.add();
                    }
                )* };
            }
            macro_rules! groups {
                ($quarter:literal: $($group:literal)*) => { $(
                    for rounds in &mut rounds {
                        rounds.four($group);
                    }
                    if $group % 4 == 3 {
                        let index = $quarter * 4 + $group / 4;
                        unlike = _mm_or_si128(unlike, sixteen::<BASE64>(&next[index], &mut decoded[index]));
                    } else if BASE64 {
                        let group = ($quarter * 4 + $group / 4) * 3 + $group % 4;
                        if group % GROUPS == 0 {
                            of_content.load(&earlier[group / GROUPS]);
                        }
                        of_content.four(group % GROUPS);
                        if group % GROUPS == GROUPS - 1 {
                            of_content.add();
                        }
                    }
                )* };
            }
            quarters!(0 1 2 3);
        }
        if _mm_movemask_epi8(_mm_cmpeq_epi8(unlike, _mm_setzero_si128())) != 0xffff {
            (rounds, of_content) = before;
            if BASE64 {
                decoder.shrink();
            }
            break;
        }
        steps.passed += STEP_BYTES;
    }
    let blocks = (steps.passed - begun) / BLOCK_BYTES;
    for (rounds, hash) in rounds.iter().zip(hashes) {
        rounds.end(hash, blocks);
    }
    if BASE64 {
        of_content.end(&mut decoder.sha256, blocks / 4 * 3);
    }
}

/// Tells where there is another character than wanted, and decodes those of base64.
#[target_feature(enable = "sha,sse4.1")]
#[inline]
fn sixteen<const BASE64: bool>(characters: &[u8; 16], decoded: &mut [u8; DECODED_BYTES]) -> __m128i {
    let characters = vector(*characters);
    let low = if BASE64 { BASE64_LOW } else { QUIET_LOW };
    let high_halves = _mm_and_si128(_mm_srli_epi32::<4>(characters), _mm_set1_epi8(0x0f));
    let low = _mm_shuffle_epi8(vector(low), characters);
    let high = _mm_shuffle_epi8(vector(HIGH), high_halves);
    // What is not ASCII has its highest bit set, and finds nothing in the tables.
    let foreign = _mm_and_si128(characters, _mm_set1_epi8(-0x80));
    if BASE64 {
        let is_slash = _mm_cmpeq_epi8(characters, _mm_set1_epi8(b'/' as i8));
        let offsets = _mm_shuffle_epi8(vector(OFFSETS), _mm_add_epi8(high_halves, is_slash));
        let values = _mm_add_epi8(characters, offsets);
        // Four times six bits to twice twelve, to once 24.
        let twelves = _mm_maddubs_epi16(values, _mm_set1_epi32(0x0140_0140));
        let groups = _mm_madd_epi16(twelves, _mm_set1_epi32(0x0001_1000));
        let bytes = _mm_shuffle_epi8(groups, vector(ORDER));
        let (eight, four) = decoded.split_at_mut(8);
        eight.copy_from_slice(&_mm_cvtsi128_si64(bytes).to_le_bytes());
        four.copy_from_slice(&_mm_extract_epi32::<2>(bytes).to_le_bytes());
    }
    _mm_or_si128(_mm_and_si128(low, high), foreign)
}

#[target_feature(enable = "sse2")]
#[inline]
fn vector(bytes: [u8; 16]) -> __m128i {
    let both = u128::from_le_bytes(bytes);
    _mm_set_epi64x((both >> 64) as i64, both as i64)
}

/// By the lower half of an ASCII character: the bits of those higher halves with which it is another one than wanted.
const fn low_halves(is_base64: bool) -> [u8; 16] {
    let mut low = [0; 16];
    let mut character = 0u8;
    while character < 0x80 {
        let is_wanted = if is_base64 {
            matches!(character, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/')
        } else {
            matches!(character, b'\t' | b'\n' | b' '..=0x7f) && !matches!(character, b'&' | b'<' | b'>')
        };
        if !is_wanted {
            low[(character % 16) as usize] |= 1 << (character / 16);
        }
        character += 1;
    }
    low
}

const QUIET_LOW: [u8; 16] = low_halves(false);
const BASE64_LOW: [u8; 16] = low_halves(true);
/// By the higher half: its bit.
const HIGH: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];

/// By the higher half, and one less for `/`: how far a character is from what it stands for. RFC 4648 §4.
const OFFSETS: [u8; 16] = {
    let mut offsets = [0; 16];
    let firsts = [
        (1, b'/', 63u8),
        (2, b'+', 62),
        (3, b'0', 52),
        (4, b'A', 0),
        (5, b'A', 0),
        (6, b'a', 26),
        (7, b'a', 26),
    ];
    let mut index = 0;
    while index < firsts.len() {
        let (half, character, value) = firsts[index];
        offsets[half] = value.wrapping_sub(character);
        index += 1;
    }
    offsets
};

/// Of each four bytes the lower three, the highest first; then nothing.
const ORDER: [u8; 16] = [2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 0x80, 0x80, 0x80, 0x80];
