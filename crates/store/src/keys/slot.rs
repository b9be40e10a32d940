//! The bytes of the key file: its header and its slots.

use std::path::Path;

use disk::{DiskFile, read_exactly};
use erds::Ticket;
use pki::aead::{self, Key256, NONCE_BYTES};
use pki::digest::sha256;
use zeroize::Zeroizing;

use super::ItemKey;
use crate::StoreError;

pub(super) const SLOT_BYTES: usize = 128;
pub(super) const TICKET_BYTES: usize = 13;
pub(super) const NONCE_AT: usize = 16;
pub(super) const SUM_AT: usize = WRAPPED_AT + WRAPPED_BYTES;
const MAGIC: &[u8; 16] = b"ePost item keys1";
const HEADER_AAD: &[u8] = b"epost item keys 1 header";
const SLOT_AAD: &[u8] = b"epost item keys 1 slot";
const WRAPPED_BYTES: usize = 32 + aead::TAG_BYTES;
const WRAPPED_AT: usize = NONCE_AT + NONCE_BYTES;
const SUM_BYTES: usize = 32;
/// Zeros at the end of what a slot wraps, by which a write that was cut short is known: in one of four billion whole ones.
const TORN_BYTES: usize = 4;

pub(super) fn place(number: u64) -> u64 {
    // The header takes the first place.
    (number + 1) * SLOT_BYTES as u64
}

fn wrap(plain: &[u8; 32], aad: &[u8], master_key: &Key256) -> Result<Vec<u8>, StoreError> {
    // Random nonces: one master key wraps far fewer than 2^32 keys (NIST SP 800-38D 8.3).
    let mut nonce = [0; NONCE_BYTES];
    pki::random::fill(&mut nonce)?;
    let wrapped = aead::seal(master_key, &nonce, aad, plain)?;
    Ok([nonce.as_slice(), &wrapped].concat())
}

fn unwrap(bytes: &[u8], aad: &[u8], master_key: &Key256) -> Option<Zeroizing<Vec<u8>>> {
    let nonce = bytes.get(NONCE_AT..WRAPPED_AT)?.try_into().ok()?;
    aead::open(master_key, &nonce, aad, bytes.get(WRAPPED_AT..SUM_AT)?).ok().map(Zeroizing::new)
}

fn slot_aad(ticket: Ticket) -> Vec<u8> {
    [SLOT_AAD, ticket.as_str().as_bytes()].concat()
}

pub(super) fn seal_slot(ticket: Ticket, key: &ItemKey, master_key: &Key256) -> Result<Vec<u8>, StoreError> {
    let mut slot = Vec::with_capacity(SLOT_BYTES);
    slot.extend_from_slice(ticket.as_str().as_bytes());
    slot.resize(NONCE_AT, 0);
    slot.extend(wrap(key.as_bytes(), &slot_aad(ticket), master_key)?);
    slot.resize(SLOT_BYTES, 0);
    Ok(slot)
}

/// Whether its key is destroyed, or was being destroyed when the power went: a ticket has no zeros.
pub(super) fn is_destroyed(slot: &[u8]) -> bool {
    slot.iter().take(TICKET_BYTES).any(|byte| *byte == 0)
}

/// Whether its writing was cut short: it does not reach the slot's end, and what does was whole once.
pub(super) fn is_torn(slot: &[u8]) -> bool {
    slot.get(SUM_AT - TORN_BYTES..SUM_AT) == Some(&[0; TORN_BYTES])
}

/// The ticket that a slot names; none: a destroyed key, or damage.
pub(super) fn slot_ticket(slot: &[u8]) -> Option<Ticket> {
    Ticket::parse(std::str::from_utf8(slot.get(..TICKET_BYTES)?).ok()?).ok()
}

pub(super) fn open_slot(slot: &[u8], master_key: &Key256) -> Option<(Ticket, ItemKey)> {
    let ticket = slot_ticket(slot)?;
    let plain = unwrap(slot, &slot_aad(ticket), master_key)?;
    let key = <&[u8; 32]>::try_from(plain.as_slice()).ok()?;
    Some((ticket, ItemKey(Key256::new(*key))))
}

pub(super) fn header(master_key: &Key256) -> std::io::Result<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(wrap(&[0; 32], HEADER_AAD, master_key).map_err(std::io::Error::other)?);
    bytes.extend(sha256(&bytes));
    bytes.resize(SLOT_BYTES, 0);
    Ok(bytes)
}

/// The sum of a whole header, which is no other key file's: it has a nonce. None: there is none yet, and no slots behind it.
pub(super) fn check_header(
    file: &dyn DiskFile,
    length: u64,
    master_key: &Key256,
    path: &Path,
) -> Result<Option<[u8; SUM_BYTES]>, StoreError> {
    let held = length.min(SLOT_BYTES as u64) as usize;
    let bytes = read_exactly(file, 0, held).map_err(StoreError::disk("read", path))?;
    let sum = bytes.split_at_checked(SUM_AT).and_then(|(said, sum)| {
        let sum = sum.first_chunk::<SUM_BYTES>()?;
        (*sum == sha256(said)).then_some(*sum)
    });
    match (sum, length > SLOT_BYTES as u64) {
        (Some(_), _) if !bytes.starts_with(MAGIC) => Err(StoreError::damaged(path.display().to_string())),
        (Some(_), _) if unwrap(&bytes, HEADER_AAD, master_key).is_none() => {
            Err(StoreError::WrongMasterKey { path: path.to_owned() })
        }
        (sum, false) => Ok(sum),
        (Some(sum), true) => Ok(Some(sum)),
        (None, true) => Err(StoreError::damaged(format!("the header of {}", path.display()))),
    }
}
