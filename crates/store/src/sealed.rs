//! The sealed form: one shape for files, for small parts and for the journal's frames.
//!
//! ```text
//! header   "EPC1" ‖ salt (32 random bytes)
//! chunk*   AES-256-GCM of 65 536 plain bytes, its tag after it; the last chunk is marked and holds 0 to 65 536
//! ```
//! The chunks' key is HMAC-SHA-256(item key, label ‖ salt ‖ ticket ‖ part): each sealing has a key of its own, so that the
//! nonce (the chunk's number, and whether it is the last) never repeats under a key, and a chunk moved, left out, or taken
//! from another ticket, part or sealing does not open. A cut file ends in a chunk that is not marked as the last.

use erds::Ticket;
use pki::aead::{self, Key256, NONCE_BYTES, TAG_BYTES};
use pki::digest::{DigestAlgorithm, Hasher, sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::StoreError;
use crate::keys::ItemKey;

/// Plain bytes of a chunk.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;
/// A full chunk as it lies on the disk.
pub(crate) const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
/// Magic and salt.
pub(crate) const HEADER_BYTES: usize = MAGIC.len() + SALT_BYTES;

const MAGIC: &[u8; 4] = b"EPC1";
const SALT_BYTES: usize = 32;
const LABEL: &[u8] = b"epost content 1";

/// The key of one sealing, and how far it has come.
struct Chunks {
    key: Key256,
    next: u64,
}

impl Chunks {
    fn new(item_key: &ItemKey, salt: &[u8], ticket: Ticket, part: &str) -> Self {
        // Ticket and salt have fixed lengths, so the part's name needs no separator behind them.
        let message = [LABEL, salt, ticket.as_str().as_bytes(), part.as_bytes()];
        Self { key: Key256::new(*hmac_sha256(item_key.as_bytes(), &message)), next: 0 }
    }

    fn nonce(&mut self, last: bool) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        let [number @ .., _, _, _, mark] = &mut nonce;
        number.copy_from_slice(&self.next.to_be_bytes());
        *mark = u8::from(last);
        self.next += 1;
        nonce
    }
}

/// Seals bytes as they come.
pub(crate) struct Sealer {
    chunks: Chunks,
    plain: Vec<u8>,
    digest: Hasher,
}

impl Sealer {
    /// Begins; the header is the first of what is to be written.
    pub(crate) fn begin(key: &ItemKey, ticket: Ticket, part: &str) -> Result<(Self, Vec<u8>), StoreError> {
        let mut salt = [0; SALT_BYTES];
        pki::random::fill(&mut salt)?;
        let header = [MAGIC.as_slice(), &salt].concat();
        let mut digest = Hasher::new(DigestAlgorithm::Sha256);
        digest.update(&header);
        Ok((Self { chunks: Chunks::new(key, &salt, ticket, part), plain: Vec::new(), digest }, header))
    }

    /// Takes the next plain bytes; hands each chunk that became full to `out`.
    pub(crate) fn write(
        &mut self,
        mut bytes: &[u8],
        mut out: impl FnMut(Vec<u8>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            // Only now is a full chunk known not to be the last.
            if self.plain.len() == CHUNK_BYTES {
                out(self.seal(false)?)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.plain.len()));
            self.plain.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// The last chunk, and SHA-256 over the header and every chunk's tag.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, [u8; 32]), StoreError> {
        let last = self.seal(true)?;
        Ok((last, to_array(self.digest.clone())?))
    }

    /// What it has reserved for plain bytes.
    #[cfg(test)]
    pub(crate) fn held_bytes_max(&self) -> usize {
        self.plain.capacity()
    }

    fn seal(&mut self, last: bool) -> Result<Vec<u8>, StoreError> {
        let nonce = self.chunks.nonce(last);
        let sealed = aead::seal(&self.chunks.key, &nonce, &[], &self.plain)?;
        self.digest.update(tag(&sealed));
        self.plain.clear();
        Ok(sealed)
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.plain.zeroize();
    }
}

/// Opens chunk after chunk; what it gives was authentic in its place.
pub(crate) struct Opener {
    chunks: Chunks,
    digest: Hasher,
    what: String,
}

impl Opener {
    pub(crate) fn begin(
        key: &ItemKey,
        ticket: Ticket,
        part: &str,
        header: &[u8],
    ) -> Result<Self, StoreError> {
        let what = format!("part {part} of {ticket}");
        let salt = header.strip_prefix(MAGIC.as_slice()).filter(|salt| salt.len() == SALT_BYTES);
        let Some(salt) = salt else { return Err(StoreError::damaged(what)) };
        let mut digest = Hasher::new(DigestAlgorithm::Sha256);
        digest.update(header);
        Ok(Self { chunks: Chunks::new(key, salt, ticket, part), digest, what })
    }

    pub(crate) fn open(&mut self, sealed: &[u8], last: bool) -> Result<Vec<u8>, StoreError> {
        let nonce = self.chunks.nonce(last);
        self.digest.update(tag(sealed));
        aead::open(&self.chunks.key, &nonce, &[], sealed).map_err(|_| self.damaged())
    }

    /// After the last chunk: whether this is the sealing that was meant, not an earlier one of the same part.
    pub(crate) fn finish(&self, expected: Option<&[u8; 32]>) -> Result<(), StoreError> {
        match expected {
            Some(expected) if to_array(self.digest.clone())? != *expected => Err(self.damaged()),
            _ => Ok(()),
        }
    }

    pub(crate) fn damaged(&self) -> StoreError {
        StoreError::damaged(self.what.clone())
    }
}

fn tag(sealed: &[u8]) -> &[u8] {
    sealed.get(sealed.len().saturating_sub(TAG_BYTES)..).unwrap_or_default()
}

fn to_array(digest: Hasher) -> Result<[u8; 32], StoreError> {
    digest.finish().as_bytes().try_into().map_err(|_| StoreError::Aead(aead::AeadError::Failed))
}

/// HMAC-SHA-256 (RFC 2104) with a key of 32 bytes.
fn hmac_sha256(key: &[u8; 32], message: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let padded = |pad: u8| {
        let mut block = Zeroizing::new([pad; 64]);
        for (place, byte) in block.iter_mut().zip(key) {
            *place ^= byte;
        }
        block
    };
    let mut inner = Zeroizing::new(padded(0x36).to_vec());
    inner.extend(message.iter().copied().flatten());
    let mut outer = Zeroizing::new(padded(0x5c).to_vec());
    outer.extend(sha256(&inner));
    Zeroizing::new(sha256(&outer))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231's keys are not of 32 bytes: this value is the one that `openssl mac` and Python's hmac give.
    #[test]
    fn hmac_is_the_standard_one() {
        let key: Vec<u8> = (0..32).collect();
        let mac = hmac_sha256(&key.try_into().unwrap(), &[b"what do ya want ", b"for nothing?"]);
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "099805f4ac310786968565c098db515cc50862b420ae31e20238312344bed36a");
    }
}
