//! SHA-256 whose state can be kept, and of two messages at once.
//!
//! One message's rounds wait for each other, so that half of the processor's unit for them stands idle; with the rounds of two messages in
//! turns it does not: measured, two take three quarters of the time that one after the other takes.
//!
//! Source: FIPS 180-4 §4.2.2, §5.1.1, §5.3.3 and §6.2.

#[cfg(target_arch = "x86_64")]
pub mod rounds;

use sha2::block_api::compress256;

pub(crate) mod lanes;

/// A SHA-256 in the making.
#[derive(Clone, Debug)]
pub struct Sha256 {
    state: [u32; 8],
    /// The message's last bytes, as far as they fill no block.
    tail: [u8; BLOCK_BYTES],
    bytes: u64,
}

impl Default for Sha256 {
    fn default() -> Self {
        Self { state: INITIAL, tail: [0; BLOCK_BYTES], bytes: 0 }
    }
}

impl Sha256 {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let bytes = self.fill_tail(bytes);
        let (blocks, rest) = bytes.as_chunks();
        compress256(&mut self.state, blocks);
        self.keep(blocks.len(), rest);
    }

    /// Takes the next bytes of this message and of another one, both at once as far as both go.
    pub fn update_both(&mut self, bytes: &[u8], other: &mut Self, other_bytes: &[u8]) {
        let (bytes, other_bytes) = (self.fill_tail(bytes), other.fill_tail(other_bytes));
        let ((blocks, rest), (other_blocks, other_rest)) = (bytes.as_chunks(), other_bytes.as_chunks());
        let common = blocks.len().min(other_blocks.len());
        let (both, alone) = blocks.split_at_checked(common).unwrap_or_default();
        let (other_both, other_alone) = other_blocks.split_at_checked(common).unwrap_or_default();
        compress_two(&mut self.state, both, &mut other.state, other_both);
        compress256(&mut self.state, alone);
        compress256(&mut other.state, other_alone);
        self.keep(blocks.len(), rest);
        other.keep(other_blocks.len(), other_rest);
    }

    /// Ends.
    pub fn finish(mut self) -> [u8; 32] {
        let (last, blocks) = self.last();
        compress256(&mut self.state, last.get(..blocks).unwrap_or_default());
        self.digest()
    }

    /// Ends this message and another one, both at once as far as both go.
    pub fn finish_both(mut self, mut other: Self) -> [[u8; 32]; 2] {
        let ((last, blocks), (other_last, other_blocks)) = (self.last(), other.last());
        let common = blocks.min(other_blocks);
        let (both, other_both) = (last.get(..common), other_last.get(..common));
        compress_two(
            &mut self.state,
            both.unwrap_or_default(),
            &mut other.state,
            other_both.unwrap_or_default(),
        );
        compress256(&mut self.state, last.get(common..blocks).unwrap_or_default());
        compress256(&mut other.state, other_last.get(common..other_blocks).unwrap_or_default());
        [self.digest(), other.digest()]
    }

    /// What is left, padded, and how many blocks that is.
    fn last(&self) -> ([Block; 2], usize) {
        let bits = self.bytes.wrapping_mul(8).to_be_bytes();
        let filled = self.filled();
        let mut last = [[0; BLOCK_BYTES]; 2];
        let padded = last.as_flattened_mut();
        let ends = if filled < BLOCK_BYTES - bits.len() { BLOCK_BYTES } else { 2 * BLOCK_BYTES };
        let tail = self.tail.iter().take(filled).chain(&[0x80]);
        padded.iter_mut().zip(tail).for_each(|(to, &from)| *to = from);
        padded.iter_mut().skip(ends - bits.len()).zip(bits).for_each(|(to, from)| *to = from);
        (last, ends / BLOCK_BYTES)
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = [0; 32];
        for (to, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *to = word.to_be_bytes();
        }
        digest
    }

    /// So many bytes are missing until a block begins.
    pub fn until_block_bytes(&self) -> usize {
        self.bytes.wrapping_neg() as usize % BLOCK_BYTES
    }

    fn filled(&self) -> usize {
        (self.bytes % BLOCK_BYTES as u64) as usize
    }

    /// Puts bytes to a block that has begun; what is left begins a block, or is nothing.
    fn fill_tail<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let filled = self.filled();
        if filled == 0 {
            return bytes;
        }
        let room = self.tail.get_mut(filled..).unwrap_or_default();
        let (now, later) = bytes.split_at_checked(room.len()).unwrap_or((bytes, &[]));
        room.iter_mut().zip(now).for_each(|(to, &from)| *to = from);
        self.bytes += now.len() as u64;
        if now.len() == room.len() {
            compress256(&mut self.state, &[self.tail]);
        }
        later
    }

    /// Counts blocks that were taken, and keeps what is left after them.
    fn keep(&mut self, blocks: usize, rest: &[u8]) {
        self.bytes += (blocks * BLOCK_BYTES) as u64;
        if !rest.is_empty() {
            self.tail.iter_mut().zip(rest).for_each(|(to, &from)| *to = from);
            self.bytes += rest.len() as u64;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "a function compiled for a processor is called only where the processor is one"
)]
fn compress_two(one: &mut [u32; 8], blocks: &[Block], other: &mut [u32; 8], other_blocks: &[Block]) {
    if rounds::are_there() {
        // SAFETY: the processor has the features, as was just asked.
        unsafe { rounds::compress_two(one, blocks, other, other_blocks) }
    } else {
        compress_in_turn(one, blocks, other, other_blocks);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn compress_two(one: &mut [u32; 8], blocks: &[Block], other: &mut [u32; 8], other_blocks: &[Block]) {
    compress_in_turn(one, blocks, other, other_blocks);
}

/// The portable twin.
fn compress_in_turn(one: &mut [u32; 8], blocks: &[Block], other: &mut [u32; 8], other_blocks: &[Block]) {
    compress256(one, blocks);
    compress256(other, other_blocks);
}

type Block = [u8; BLOCK_BYTES];

/// How many bytes are hashed at a time.
pub const BLOCK_BYTES: usize = 64;

/// FIPS 180-4 §5.3.3.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// FIPS 180-4 §4.2.2.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ROUND_CONSTANTS: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes without a pattern, always the same.
    fn bytes(seed: u32, length: usize) -> Vec<u8> {
        let mut state = seed | 1;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .take(length)
        .collect()
    }

    fn hex(digest: [u8; 32]) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// By OpenSSL, which shares nothing with what is tested.
    fn expected(message: &[u8]) -> [u8; 32] {
        openssl::sha::sha256(message)
    }

    #[test]
    fn published_values() {
        let of = |message: &[u8]| {
            let mut sha256 = Sha256::default();
            sha256.update(message);
            hex(sha256.finish())
        };
        assert_eq!(of(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(of(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(
            of(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        );
        let million = vec![b'a'; 1_000_000];
        assert_eq!(of(&million), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
        let (mut one, mut other) = (Sha256::default(), Sha256::default());
        one.update_both(&million, &mut other, b"abc");
        assert_eq!(hex(one.finish()), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
        assert_eq!(hex(other.finish()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn every_length_alone_and_beside_every_other_kind() {
        for length in 0..=300 {
            let message = bytes(7, length);
            let mut alone = Sha256::default();
            alone.update(&message);
            assert_eq!(alone.finish(), expected(&message), "{length}");
            for other_length in [0, 1, 55, 56, 63, 64, 65, 127, 128, 200, 300 - length] {
                let other_message = bytes(11, other_length);
                let (mut one, mut other) = (Sha256::default(), Sha256::default());
                one.update_both(&message, &mut other, &other_message);
                let both = [expected(&message), expected(&other_message)];
                assert_eq!(one.clone().finish_both(other.clone()), both, "{length}, {other_length}");
                assert_eq!(one.finish(), expected(&message), "{length} beside {other_length}");
                assert_eq!(other.finish(), expected(&other_message), "{other_length} beside {length}");
            }
        }
    }

    #[test]
    fn however_two_long_messages_are_split() {
        let (message, other_message) = (bytes(3, 100_000), bytes(5, 75_001));
        let splits = bytes(9, 4000);
        let mut cuts = splits.as_chunks::<2>().0.iter().map(|&cut| usize::from(u16::from_le_bytes(cut)));
        let mut cut = |left: usize, scale: usize| (cuts.next().unwrap() >> scale).min(left);
        for scale in [4, 6, 8, 10] {
            let (mut one, mut other) = (Sha256::default(), Sha256::default());
            let (mut rest, mut other_rest) = (message.as_slice(), other_message.as_slice());
            for turn in 0..200 {
                let (now, later) = rest.split_at(cut(rest.len(), scale));
                let (other_now, other_later) = other_rest.split_at(cut(other_rest.len(), scale));
                (rest, other_rest) = (later, other_later);
                if turn % 3 == 0 {
                    one.update(now);
                    other.update(other_now);
                } else {
                    one.update_both(now, &mut other, other_now);
                }
            }
            // One state kept, and gone on with twice.
            let mut kept = one.clone();
            kept.update(rest);
            one.update_both(rest, &mut other, other_rest);
            assert_eq!(one.finish(), expected(&message), "{scale}");
            assert_eq!(kept.finish(), expected(&message), "{scale}");
            assert_eq!(other.finish(), expected(&other_message), "{scale}");
        }
    }

    #[test]
    fn the_portable_twin_agrees() {
        for count in 0..20 {
            let (message, other_message) = (bytes(13, 64 * count), bytes(17, 64 * count));
            let (blocks, other_blocks) = (message.as_chunks().0, other_message.as_chunks().0);
            let (mut one, mut other) = (INITIAL, INITIAL.map(|word| !word));
            let (mut one_in_turn, mut other_in_turn) = (one, other);
            compress_two(&mut one, blocks, &mut other, other_blocks);
            compress_in_turn(&mut one_in_turn, blocks, &mut other_in_turn, other_blocks);
            assert_eq!((one, other), (one_in_turn, other_in_turn), "{count}");
        }
    }
}
