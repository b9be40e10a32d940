//! The processor's own rounds, four at a time.
//!
//! One message's rounds wait for each other: between them go those of another message, or whatever else is to be done, for next to
//! nothing. Whoever calls these is compiled for the same processor, so that they become part of it.

use super::{BLOCK_BYTES, Block, ROUND_CONSTANTS, Sha256};
use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
    _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
    _mm_shuffle_epi32,
};

/// How many groups of four rounds a block takes.
pub const GROUPS: usize = 16;

/// Whether the processor has what all of this is compiled for.
pub fn are_there() -> bool {
    is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1")
}

/// A message between two groups of rounds: [`load`](Self::load), the groups from 0 to [`GROUPS`], [`add`](Self::add), and again.
///
/// A block that is loaded before the last one was added, or a group that is left out, makes another digest and nothing worse.
#[derive(Clone, Copy)]
pub struct Rounds {
    abef: __m128i,
    cdgh: __m128i,
    before: [__m128i; 2],
    words: [__m128i; 4],
}

impl Rounds {
    /// Of a message whose next byte begins a block, and of which [`Sha256::until_block_bytes`] is therefore 0; of another one, the bytes
    /// of the block that has begun are left out.
    ///
    /// # Safety
    /// Where [`are_there`] says so.
    #[target_feature(enable = "sha,sse4.1")]
    #[inline]
    pub fn of(sha256: &Sha256) -> Self {
        Self::at(&sha256.state)
    }

    /// Goes back to the message, of which so many blocks were taken.
    ///
    /// # Safety
    /// Where [`are_there`] says so.
    #[target_feature(enable = "sha,sse4.1")]
    #[inline]
    pub fn end(self, sha256: &mut Sha256, blocks: usize) {
        sha256.state = self.state();
        sha256.keep(blocks, &[]);
    }

    #[target_feature(enable = "sha,sse4.1")]
    #[inline]
    pub(super) fn at(state: &[u32; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = state.map(u32::cast_signed);
        let zero = _mm_setzero_si128();
        Self {
            abef: _mm_set_epi32(a, b, e, f),
            cdgh: _mm_set_epi32(c, d, g, h),
            before: [zero; 2],
            words: [zero; 4],
        }
    }

    #[target_feature(enable = "sha,sse4.1")]
    #[inline]
    pub(super) fn state(self) -> [u32; 8] {
        let Self { abef, cdgh, .. } = self;
        let (a, b) = (_mm_extract_epi32(abef, 3), _mm_extract_epi32(abef, 2));
        let (e, f) = (_mm_extract_epi32(abef, 1), _mm_extract_epi32(abef, 0));
        let (c, d) = (_mm_extract_epi32(cdgh, 3), _mm_extract_epi32(cdgh, 2));
        let (g, h) = (_mm_extract_epi32(cdgh, 1), _mm_extract_epi32(cdgh, 0));
        [a, b, c, d, e, f, g, h].map(i32::cast_unsigned)
    }

    /// Begins a block.
    ///
    /// # Safety
    /// Where [`are_there`] says so.
    #[target_feature(enable = "sha,sse4.1")]
    #[inline]
    pub fn load(&mut self, block: &[u8; BLOCK_BYTES]) {
        self.before = [self.abef, self.cdgh];
        // Big-endian words.
        let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        for (word, bytes) in self.words.iter_mut().zip(block.as_chunks::<16>().0) {
            let both = u128::from_le_bytes(*bytes);
            *word = _mm_shuffle_epi8(_mm_set_epi64x((both >> 64) as i64, both as i64), order);
        }
    }

    /// The rounds of one group, and the words of the group four later.
    ///
    /// # Safety
    /// Where [`are_there`] says so.
    #[target_feature(enable = "sha,sse4.1")]
    #[inline]
    pub fn four(&mut self, group: usize) {
        let Some([k0, k1, k2, k3]) = ROUND_CONSTANTS.as_chunks::<4>().0.get(group) else { return };
        let [k0, k1, k2, k3] = [k0, k1, k2, k3].map(|k| k.cast_signed());
        let at = |ahead: usize| (group + ahead) % 4;
        let (own, next) = (self.words[at(0)], self.words[at(1)]);
        let sums = _mm_add_epi32(own, _mm_set_epi32(k3, k2, k1, k0));
        self.cdgh = _mm_sha256rnds2_epu32(self.cdgh, self.abef, sums);
        self.abef = _mm_sha256rnds2_epu32(self.abef, self.cdgh, _mm_shuffle_epi32(sums, 0x0e));
        if group < GROUPS - 4 {
            let last = self.words[at(3)];
            let nine_back = _mm_alignr_epi8(last, self.words[at(2)], 4);
            let half = _mm_add_epi32(_mm_sha256msg1_epu32(own, next), nine_back);
            self.words[at(0)] = _mm_sha256msg2_epu32(half, last);
        }
    }

    /// Ends a block.
    ///
    /// # Safety
    /// Where [`are_there`] says so.
    #[target_feature(enable = "sha,sse4.1")]
    #[inline]
    pub fn add(&mut self) {
        self.abef = _mm_add_epi32(self.abef, self.before[0]);
        self.cdgh = _mm_add_epi32(self.cdgh, self.before[1]);
    }
}

/// Two messages in turns. Both have as many blocks; of more than the other has, nothing is taken.
#[target_feature(enable = "sha,sse4.1")]
pub(super) fn compress_two(
    one: &mut [u32; 8],
    blocks: &[Block],
    other: &mut [u32; 8],
    other_blocks: &[Block],
) {
    let (mut first, mut second) = (Rounds::at(one), Rounds::at(other));
    for (block, other_block) in blocks.iter().zip(other_blocks) {
        first.load(block);
        second.load(other_block);
        for group in 0..GROUPS {
            first.four(group);
            second.four(group);
        }
        first.add();
        second.add();
    }
    (*one, *other) = (first.state(), second.state());
}
