//! The segments' bytes.
//!
//! ```text
//! segment  = "EPOSTJ01" version:u32 first_position:u64 origin_length:u16 origin crc32c:u32  group* zero*
//! group    = leaf erasable*                               written together, read together or not at all
//! leaf     = 'L' length:u32 crc32c:u32 batch:u64 salt:32 record
//! erasable = 'E' length:u32 crc32c:u32 ciphertext
//! record   = position:u64 body
//! body     = {"record":…, "frames":[{"name","bytes","sha256"}…], "keys":[hex…]}
//! ```
//! Numbers are little-endian. The entry is SHA-256(salt ‖ record): it covers the record's own position, so that a copy of it is
//! no record anywhere else, and the digests of the erasable frames, not their bytes, so that these can be erased while the chain
//! still verifies. `batch` is the position of the first record written by the same write: it tells a torn tail (nothing of a
//! later batch follows) from damage. The zeros are room for records to come: a sync that changes no length is cheaper.

use std::borrow::Cow;
use std::io;

use disk::{DiskFile, read_exactly};
use erds::Record;
use erds::record::{Hex32, RecordError};
use pki::digest::sha256;
use serde::{Deserialize, Serialize};

use crate::merkle::Hash;
use crate::{Entry, Frame, Position};

const MAGIC: &[u8; 8] = b"EPOSTJ01";
const VERSION: u32 = 2;
const HEADER_FIXED_BYTES: usize = 8 + 4 + 8 + 2 + 4;
const FRAME_HEADER_BYTES: u64 = 9;
pub(crate) const SALT_BYTES: usize = 32;
const BATCH_BYTES: usize = 8;
const POSITION_BYTES: usize = 8;
/// Where in a leaf its salt begins, and its body.
const SALTED_BEGIN: usize = FRAME_HEADER_BYTES as usize + BATCH_BYTES;
const LEAF_HEAD_BYTES: usize = SALTED_BEGIN + SALT_BYTES + POSITION_BYTES;
const LEAF: u8 = b'L';
const ERASABLE: u8 = b'E';

/// What one frame may hold.
pub(crate) const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A leaf's body.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    pub(crate) record: Record,
    pub(crate) frames: Vec<FrameDigest<'static>>,
    pub(crate) keys: Vec<Hex32>,
}

/// What the leaf says of an erasable frame.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct FrameDigest<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) bytes: u64,
    pub(crate) sha256: Hex32,
}

/// A group as it was read.
pub(crate) struct Group {
    pub(crate) body: Body,
    pub(crate) entry: Hash,
    pub(crate) batch: Position,
    pub(crate) frames: Vec<Frame>,
    /// Where the next group begins.
    pub(crate) end: u64,
}

/// Why a group could not be read.
#[derive(Debug)]
pub(crate) enum GroupError {
    /// The segment ends here.
    End,
    /// The bytes are not a whole group: torn or damaged.
    Broken(String),
    /// Every checksum is right, and what stands there is not: no torn write leaves that.
    Wrong(String),
    /// The disk.
    Io(io::Error),
}

impl From<io::Error> for GroupError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Broken("the file ends inside a frame".into()),
            _ => Self::Io(error),
        }
    }
}

pub(crate) fn encode_header(first: Position, origin: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(first.to_le_bytes());
    bytes.extend((origin.len() as u16).to_le_bytes());
    bytes.extend(origin.as_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// The header's length, if it is exactly the one expected.
pub(crate) fn check_header(file: &dyn DiskFile, first: Position, origin: &str) -> Result<u64, GroupError> {
    let expected = encode_header(first, origin);
    let length = file.length()?;
    if length >= expected.len() as u64 && read_exactly(file, 0, expected.len())? == expected {
        return Ok(expected.len() as u64);
    }
    // One of another origin may be shorter or longer.
    let length = length.min((HEADER_FIXED_BYTES + usize::from(u16::MAX)) as u64);
    let found = read_exactly(file, 0, length as usize)?;
    let what = match decode_header(&found) {
        None => "a segment header that is damaged, or none".to_owned(),
        Some(header) if header.version != VERSION => {
            format!("a segment of format version {}; this program reads {VERSION}", header.version)
        }
        Some(header) if header.origin != origin.as_bytes() => {
            let seen = String::from_utf8_lossy(header.origin);
            format!("a segment of the log {seen:?}; this log is {origin:?}")
        }
        Some(header) => format!("here begins record {}, where record {first} belongs", header.first),
    };
    Err(GroupError::Broken(what))
}

struct Header<'a> {
    version: u32,
    first: Position,
    origin: &'a [u8],
}

/// What a whole header says; of another version, that alone.
fn decode_header(bytes: &[u8]) -> Option<Header<'_>> {
    let (version, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Some(Header { version, first: 0, origin: &[] });
    }
    let (first, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (origin, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let head = bytes.get(..HEADER_FIXED_BYTES - 4 + origin.len())?;
    let whole = rest.starts_with(&crc32c::crc32c(head).to_le_bytes());
    whole.then_some(Header { version, first: u64::from_le_bytes(*first), origin })
}

/// Appends an entry as it is written, with its frames' digests, but for what depends on its place: whoever appends encodes it, so that
/// the one writer need not. Gives where its leaf ends; its frames follow.
///
/// # Errors
/// A record larger than any may be.
pub(crate) fn push_group(
    bytes: &mut Vec<u8>,
    entry: &Entry,
    frame_digests: &mut impl Iterator<Item = Hash>,
) -> Result<usize, RecordError> {
    bytes.resize(bytes.len() + LEAF_HEAD_BYTES, 0);
    // A `Body`, whose parts are encoded where they are.
    bytes.extend_from_slice(b"{\"record\":");
    entry.record.push_json(bytes)?;
    bytes.extend_from_slice(b",\"frames\":[");
    for (number, (frame, digest)) in entry.frames.iter().zip(frame_digests).enumerate() {
        let digest = FrameDigest {
            name: Cow::Borrowed(&frame.name),
            bytes: frame.ciphertext.len() as u64,
            sha256: Hex32(digest),
        };
        push_element(bytes, number, &digest)?;
    }
    bytes.extend_from_slice(b"],\"keys\":[");
    for (number, key) in entry.unique_keys.iter().enumerate() {
        push_element(bytes, number, &Hex32(key.0))?;
    }
    bytes.extend_from_slice(b"]}");
    let leaf_end = bytes.len();
    for frame in &entry.frames {
        let head = head(ERASABLE, frame.ciphertext.len());
        bytes.extend_from_slice(&head);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head), &frame.ciphertext);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&frame.ciphertext);
    }
    Ok(leaf_end)
}

fn push_element(bytes: &mut Vec<u8>, number: usize, element: &impl Serialize) -> Result<(), RecordError> {
    if number > 0 {
        bytes.push(b',');
    }
    serde_json::to_writer(bytes, element).map_err(RecordError::Unknown)
}

/// Gives a leaf, encoded by [`push_group`], its place.
pub(crate) fn place(leaf: &mut [u8], position: Position, salt: &[u8; SALT_BYTES]) {
    if let Some((to, rest)) = leaf.get_mut(SALTED_BEGIN..).and_then(<[u8]>::split_first_chunk_mut) {
        *to = *salt;
        put(rest, position.to_le_bytes());
    }
}

/// What the entry of a leaf that has its place covers.
pub(crate) fn salted(leaf: &[u8]) -> &[u8] {
    leaf.get(SALTED_BEGIN..).unwrap_or_default()
}

/// Makes a leaf that has its place one of the write that begins with record `batch`.
pub(crate) fn finish(leaf: &mut [u8], batch: Position) {
    let Some((frame_head, payload)) = leaf.split_first_chunk_mut::<{ FRAME_HEADER_BYTES as usize }>() else {
        return;
    };
    put(payload, batch.to_le_bytes());
    let head = head(LEAF, payload.len());
    put(frame_head, head);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head), payload);
    put(frame_head.get_mut(head.len()..).unwrap_or_default(), crc.to_le_bytes());
}

/// A frame's kind and length.
fn head(kind: u8, length: usize) -> [u8; 5] {
    let [a, b, c, d] = (length as u32).to_le_bytes();
    [kind, a, b, c, d]
}

fn put<const BYTES: usize>(to: &mut [u8], bytes: [u8; BYTES]) {
    if let Some(to) = to.first_chunk_mut() {
        *to = bytes;
    }
}

fn read_frame(file: &dyn DiskFile, offset: u64, kind: u8) -> Result<(Vec<u8>, u64), GroupError> {
    let header = read_exactly(file, offset, FRAME_HEADER_BYTES as usize)?;
    let (head, crc) = header.split_at(5);
    let length =
        head.get(1..).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes).unwrap_or(u32::MAX);
    if head.first() != Some(&kind) {
        let seen = head.first().copied().unwrap_or_default();
        return Err(GroupError::Broken(format!("a frame of kind {seen}, where one of kind {kind} belongs")));
    }
    if length as usize > FRAME_BYTES_MAX {
        return Err(GroupError::Broken(format!("a frame of {length} bytes; at most {FRAME_BYTES_MAX}")));
    }
    let begin = offset + FRAME_HEADER_BYTES;
    let payload = read_exactly(file, begin, length as usize)?;
    if crc32c::crc32c_append(crc32c::crc32c(head), &payload).to_le_bytes() != *crc {
        return Err(GroupError::Broken("a frame whose checksum is wrong".into()));
    }
    Ok((payload, begin + u64::from(length)))
}

/// A leaf as it was read.
pub(crate) struct Leaf {
    payload: Vec<u8>,
    pub(crate) batch: Position,
    /// Where its first erasable frame, or the next group, begins.
    end: u64,
}

impl Leaf {
    /// What its entry covers: the salt and the record.
    pub(crate) fn salted(&self) -> &[u8] {
        self.payload.get(BATCH_BYTES..).unwrap_or_default()
    }

    pub(crate) fn entry(&self) -> Hash {
        sha256(self.salted())
    }
}

/// Reads the leaf at `offset`, which must be that of record `position`.
pub(crate) fn read_leaf(file: &dyn DiskFile, offset: u64, position: Position) -> Result<Leaf, GroupError> {
    let (payload, end) = read_frame(file, offset, LEAF)?;
    let too_short = || GroupError::Wrong("a leaf that is too short".into());
    let (batch, salted) = payload.split_first_chunk::<BATCH_BYTES>().ok_or_else(too_short)?;
    let (stated, _) = split_salted(salted).ok_or_else(too_short)?;
    if stated != position {
        return Err(GroupError::Wrong(format!(
            "here stands record {stated}, where record {position} belongs"
        )));
    }
    Ok(Leaf { batch: u64::from_le_bytes(*batch), payload, end })
}

/// A record's position and its body, from what its entry covers.
pub(crate) fn split_salted(salted: &[u8]) -> Option<(Position, &[u8])> {
    let (position, body) = salted.get(SALT_BYTES..)?.split_first_chunk::<POSITION_BYTES>()?;
    Some((u64::from_le_bytes(*position), body))
}

/// A record's facts, from what its entry covers.
pub(crate) fn read_body(salted: &[u8]) -> Result<Body, String> {
    let (_, body) = split_salted(salted).ok_or("a leaf that is too short")?;
    serde_json::from_slice(body).map_err(|error| format!("a record that this version cannot read: {error}"))
}

/// Reads the group at `offset`, which must be that of record `position`.
pub(crate) fn read_group(file: &dyn DiskFile, offset: u64, position: Position) -> Result<Group, GroupError> {
    let leaf = match read_leaf(file, offset, position) {
        Err(GroupError::Broken(_)) if written_end(file, offset)? == offset => return Err(GroupError::End),
        leaf => leaf?,
    };
    let body = read_body(leaf.salted()).map_err(GroupError::Wrong)?;
    let mut end = leaf.end;
    let mut frames = Vec::with_capacity(body.frames.len());
    for stated in &body.frames {
        let (ciphertext, next) = read_frame(file, end, ERASABLE)?;
        if ciphertext.len() as u64 != stated.bytes || sha256(&ciphertext) != stated.sha256.0 {
            return Err(GroupError::Wrong(format!(
                "the erasable frame {:?} is not the one of {} bytes that its record names",
                stated.name, stated.bytes
            )));
        }
        frames.push(Frame { name: stated.name.clone().into_owned(), ciphertext });
        end = next;
    }
    Ok(Group { entry: leaf.entry(), batch: leaf.batch, body, frames, end })
}

/// The keys that the record at `offset` claims, and where the next group begins: its erasable frames are not looked at.
pub(crate) fn read_keys(
    file: &dyn DiskFile,
    offset: u64,
    position: Position,
) -> Result<(Vec<Hex32>, u64), GroupError> {
    let leaf = match read_leaf(file, offset, position) {
        Err(GroupError::Broken(_)) if written_end(file, offset)? == offset => return Err(GroupError::End),
        leaf => leaf?,
    };
    let body = read_body(leaf.salted()).map_err(GroupError::Wrong)?;
    let frames = body.frames.iter().map(|frame| frame.bytes.saturating_add(FRAME_HEADER_BYTES));
    Ok((body.keys, frames.fold(leaf.end, u64::saturating_add)))
}

/// Where the group of record `position` begins, in the segment that begins with `first`: every group before it is read.
pub(crate) fn walk_to(
    file: &dyn DiskFile,
    first: Position,
    origin: &str,
    position: Position,
) -> Result<u64, GroupError> {
    let begin = check_header(file, first, origin)?;
    (first..position).try_fold(begin, |offset, at| read_group(file, offset, at).map(|group| group.end))
}

/// Whether the broken header may be one whose write never ended: nothing follows a header before it is synced, and a whole header
/// of another log or version is no torn one.
pub(crate) fn header_is_torn(file: &dyn DiskFile, origin: &str) -> io::Result<bool> {
    let length = file.length()?;
    if length > encode_header(0, origin).len() as u64 {
        return Ok(false);
    }
    let bytes = read_exactly(file, 0, length as usize)?;
    let whole =
        bytes.split_last_chunk::<4>().is_some_and(|(head, crc)| crc32c::crc32c(head).to_le_bytes() == *crc);
    Ok(!(whole && bytes.starts_with(MAGIC)))
}

/// Whether a record of that batch may stand at `position`: it begins a batch, or goes on with the one before it.
pub(crate) fn batch_fits(
    batch: Position,
    position: Position,
    current: &mut Option<Position>,
) -> Result<(), String> {
    let before = current.replace(batch);
    match batch == position || before == Some(batch) {
        true => Ok(()),
        false => {
            Err(format!("record {position} says that the write of record {batch} made it, which did not"))
        }
    }
}

/// Where the last byte before the zeros at the file's end stands; `from` where there are only zeros from there on.
pub(crate) fn written_end(file: &dyn DiskFile, from: u64) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let (mut offset, mut end) = (from, from);
    loop {
        let count = file.read_at(offset, &mut buffer)?;
        if count == 0 {
            return Ok(end);
        }
        let last = buffer.get(..count).and_then(|bytes| bytes.iter().rposition(|byte| *byte != 0));
        if let Some(last) = last {
            end = offset + last as u64 + 1;
        }
        offset += count as u64;
    }
}

/// What is wrong with a record that claims the key of an earlier one.
pub(crate) fn key_is_held(position: Position, holder: Position) -> String {
    format!("record {position} claims a key that record {holder} holds")
}

/// Whether a record of a batch later than the one that `position` was to be in stands whole anywhere after `offset`: then what is
/// broken at `offset` was durable once, and is damage, not a torn tail. Work is bounded; where the bound is met the answer is yes,
/// which refuses to cut.
pub(crate) fn later_batch_follows(file: &dyn DiskFile, offset: u64, position: Position) -> io::Result<bool> {
    let rest = file.length()?.saturating_sub(offset);
    let bytes = read_exactly(file, offset, usize::try_from(rest).unwrap_or(usize::MAX))?;
    let mut budget_bytes = bytes.len().saturating_mul(4);
    for start in 1..bytes.len() {
        let Some((head, after)) = bytes.get(start..).and_then(|rest| rest.split_first_chunk::<5>()) else {
            break;
        };
        let [LEAF, length @ ..] = *head else { continue };
        let length = u32::from_le_bytes(length) as usize;
        let Some((crc, after)) = after.split_first_chunk::<4>() else { break };
        let Some(payload) = after.get(..length) else { continue };
        let Some(batch) = payload.first_chunk::<BATCH_BYTES>() else { continue };
        if length > FRAME_BYTES_MAX || u64::from_le_bytes(*batch) <= position {
            continue;
        }
        let Some(left) = budget_bytes.checked_sub(length) else { return Ok(true) };
        budget_bytes = left;
        if crc32c::crc32c_append(crc32c::crc32c(head), payload).to_le_bytes() == *crc {
            return Ok(true);
        }
    }
    Ok(false)
}
