//! Records as whoever appends them encodes them: all of them that does not depend on their places.

use pki::digest::sha256_each;

use crate::segment::{self, FRAME_BYTES_MAX};
use crate::{AppendError, Entry, UniqueKey};

/// What waits for the disk, in shares of so many bytes; beyond it, who appends waits to hand his over.
pub(crate) const SHARES_MAX: usize = 1024;
const SHARE_BYTES: usize = 16 * 1024;
/// Records of one call.
pub(crate) const GROUP_RECORDS_MAX: usize = SHARES_MAX;
/// Frames of one record, and the length of a frame's name.
const FRAMES_MAX: usize = 64;
const FRAME_NAME_BYTES_MAX: usize = 256;
/// Keys that one record may claim.
const UNIQUE_KEYS_MAX: usize = 16;
/// What a record takes, about: a first guess that saves growing.
const RECORD_BYTES: usize = 512;

/// Records of one call, encoded but for their places.
pub(crate) struct Encoded {
    /// One behind the other.
    pub(crate) bytes: Vec<u8>,
    pub(crate) entries: Vec<EncodedEntry>,
}

pub(crate) struct EncodedEntry {
    /// Its leaf, then its frames.
    pub(crate) begin: usize,
    pub(crate) leaf_end: usize,
    pub(crate) end: usize,
    pub(crate) unique_keys: Vec<UniqueKey>,
}

impl Encoded {
    /// # Errors
    /// `TooLarge`: nothing of it may be written.
    pub(crate) fn new(entries: &[Entry]) -> Result<Self, AppendError> {
        if entries.len() > GROUP_RECORDS_MAX {
            return Err(AppendError::TooLarge(format!("{} records at once", entries.len())));
        }
        entries.iter().try_for_each(check)?;
        let frames =
            || entries.iter().flat_map(|entry| &entry.frames).map(|frame| frame.ciphertext.as_slice());
        let mut digests = sha256_each(frames()).into_iter();
        let frames_bytes: usize = frames().map(<[u8]>::len).sum();
        let mut bytes = Vec::with_capacity(frames_bytes + RECORD_BYTES * entries.len());
        let mut encoded = Vec::with_capacity(entries.len());
        for entry in entries {
            let begin = bytes.len();
            let leaf_end = segment::push_group(&mut bytes, entry, &mut digests)
                .map_err(|error| AppendError::TooLarge(error.to_string()))?;
            let unique_keys = entry.unique_keys.clone();
            encoded.push(EncodedEntry { begin, leaf_end, end: bytes.len(), unique_keys });
        }
        Ok(Self { bytes, entries: encoded })
    }

    /// What they take of what may wait.
    pub(crate) fn shares(&self) -> u32 {
        (self.bytes.len() / SHARE_BYTES).max(self.entries.len()).min(SHARES_MAX) as u32
    }

    /// The keys that they are to claim, one record's after the other's.
    pub(crate) fn unique_keys(&self) -> impl Iterator<Item = &UniqueKey> {
        self.entries.iter().flat_map(|entry| &entry.unique_keys)
    }
}

fn check(entry: &Entry) -> Result<(), AppendError> {
    let too_large = |what: String| Err(AppendError::TooLarge(what));
    if let Some(frame) = entry.frames.iter().find(|frame| frame.ciphertext.len() > FRAME_BYTES_MAX) {
        return too_large(format!("frame {} of {} bytes", frame.name, frame.ciphertext.len()));
    }
    if entry.frames.len() > FRAMES_MAX
        || entry.frames.iter().any(|frame| frame.name.len() > FRAME_NAME_BYTES_MAX)
    {
        return too_large(format!("{} frames, or a frame with too long a name", entry.frames.len()));
    }
    if entry.unique_keys.len() > UNIQUE_KEYS_MAX {
        return too_large(format!("{} unique keys", entry.unique_keys.len()));
    }
    Ok(())
}
