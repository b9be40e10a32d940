//! Checkpoints: size and root of the log at one time, under the log's own key.
//!
//! Sources: C2SP signed-note v1 (text, signature lines, key identifiers), C2SP tlog-checkpoint v1 (the text).

use std::fmt;
use std::str::FromStr;

use pki::digest::sha256;
use pki::ed25519::{Ed25519Key, Ed25519PublicKey};
use pki::signer::SignError;

use crate::merkle::Hash;

/// The note's signature type: Ed25519 over the text.
const ED25519: u8 = 1;
/// A checkpoint with the signatures of many witnesses.
const NOTE_BYTES_MAX: usize = 64 * 1024;

/// Size and root of a log, and the text that its key signed: only [`LogKey::sign`] and [`Verifier::open`] make one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) note: String,
    /// The log's own signature line, as it stands in the note.
    pub(crate) signature: String,
}

impl Checkpoint {
    /// How many records it covers.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over them (RFC 6962).
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The signed note, with whatever cosignatures it has.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The note's text, its last line's end included: what is signed.
    pub(crate) fn text(&self) -> &str {
        self.note.split_inclusive("\n\n").next().and_then(|text| text.strip_suffix('\n')).unwrap_or_default()
    }

    /// The note with the log's own signature alone.
    pub(crate) fn signed_note(&self) -> String {
        format!("{}\n{}", self.text(), self.signature)
    }
}

/// Why a text is no checkpoint of this log; the fault of who gave it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// The text has another form.
    #[error("journal.checkpoint.malformed: {0}")]
    Malformed(&'static str),
    /// It is of another log.
    #[error("journal.checkpoint.origin: a checkpoint of the log {seen:?}; expected {expected:?}")]
    Origin {
        /// Whose it is.
        seen: String,
        /// Whose it should be.
        expected: String,
    },
    /// The log's key did not sign it.
    #[error("journal.checkpoint.unsigned: no signature by the key {0}")]
    Unsigned(String),
    /// What should be the log's signature is none.
    #[error("journal.checkpoint.signature: the signature by the key {0} does not verify")]
    Signature(String),
}

impl CheckpointError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "journal.checkpoint.malformed",
            Self::Origin { .. } => "journal.checkpoint.origin",
            Self::Unsigned(_) => "journal.checkpoint.unsigned",
            Self::Signature(_) => "journal.checkpoint.signature",
        }
    }
}

/// Not the text form of a log's public key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("journal.verifier: {0}; expected NAME+ID+KEY as `epost journal key` prints it")]
pub struct VerifierError(&'static str);

/// A log's name and public key: `NAME+ID+KEY`, the text form that the tools of this standard share.
#[derive(Clone, Debug)]
pub struct Verifier {
    origin: String,
    id: [u8; 4],
    key: Ed25519PublicKey,
}

impl Verifier {
    /// Of this log and key.
    ///
    /// # Errors
    /// A name that cannot stand in a signature line: empty, or with spaces, control characters or `+`.
    pub fn new(origin: &str, key: Ed25519PublicKey) -> Result<Self, VerifierError> {
        if origin.is_empty() || origin.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') {
            return Err(VerifierError("a log's name without spaces or `+` is expected"));
        }
        Ok(Self { origin: origin.to_owned(), id: key_id(origin, ED25519, &key), key })
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Reads a signed note and verifies the log's signature; those of others are let stand.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        if note.len() > NOTE_BYTES_MAX || note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(malformed("too long, or with control characters"));
        }
        let end = note.rfind("\n\n").ok_or(malformed("an empty line before the signatures is missing"))? + 1;
        let (text, signatures) = note.split_at(end);
        let signatures = signatures.strip_prefix('\n').unwrap_or_default();
        let (size, root) = self.read_text(text)?;
        let signature = self.check_signatures(text, signatures)?;
        Ok(Checkpoint { size, root, note: note.to_owned(), signature })
    }

    fn read_text(&self, text: &str) -> Result<(u64, Hash), CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let mut lines = text.trim_end_matches('\n').split('\n');
        let origin = lines.next().unwrap_or_default();
        if origin != self.origin {
            return Err(CheckpointError::Origin { seen: origin.to_owned(), expected: self.origin.clone() });
        }
        let stated = lines.next().unwrap_or_default();
        let size = u64::from_str(stated).ok().filter(|size| size.to_string() == stated);
        let size = size.ok_or(malformed("the second line is no size"))?;
        let root =
            decode_hash(lines.next().unwrap_or_default()).ok_or(malformed("the third line is no hash"))?;
        if lines.any(str::is_empty) {
            return Err(malformed("an empty line in the text"));
        }
        Ok((size, root))
    }

    /// The log's own line.
    fn check_signatures(&self, text: &str, signatures: &str) -> Result<String, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let lines = signatures.strip_suffix('\n').ok_or(malformed("the last line has no end"))?;
        let mut signed = None;
        for line in lines.split('\n') {
            let rest = line.strip_prefix("\u{2014} ").ok_or(malformed("a signature line of another form"))?;
            let (name, value) = rest.split_once(' ').ok_or(malformed("a signature line of another form"))?;
            let value = decode(value).ok_or(malformed("a signature that is no base64"))?;
            let (id, value) =
                value.split_first_chunk::<4>().ok_or(malformed("a signature that is too short"))?;
            if name != self.origin || *id != self.id {
                continue;
            }
            if !self.key.verifies(text.as_bytes(), value) {
                return Err(CheckpointError::Signature(self.to_string()));
            }
            signed = Some(format!("{line}\n"));
        }
        signed.ok_or_else(|| CheckpointError::Unsigned(self.to_string()))
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id);
        let key = [&[ED25519][..], self.key.bytes()].concat();
        write!(f, "{}+{id:08x}+{}", self.origin, encode(&key))
    }
}

impl FromStr for Verifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, VerifierError> {
        let (origin, key) = read_key(text, ED25519).map_err(VerifierError)?;
        Self::new(&origin, key)
    }
}

/// A key's identifier: of its name, kind and bytes.
pub(crate) fn key_id(name: &str, kind: u8, key: &Ed25519PublicKey) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&[name.as_bytes(), b"\n", &[kind], key.bytes()].concat());
    [a, b, c, d]
}

/// Reads `NAME+ID+KEY`, a key of this kind.
pub(crate) fn read_key(text: &str, kind: u8) -> Result<(String, Ed25519PublicKey), &'static str> {
    let mut parts = text.trim().splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("three parts are expected");
    };
    let key = decode(key).ok_or("the key is no base64")?;
    let key = key.strip_prefix(&[kind]).ok_or("the key is of another kind")?;
    let key = key.try_into().map_err(|_| "the key is not of 32 bytes")?;
    let key = Ed25519PublicKey::from_bytes(key).map_err(|_| "the key is none")?;
    match format!("{:08x}", u32::from_be_bytes(key_id(name, kind, &key))) == id {
        true => Ok((name.to_owned(), key)),
        false => Err("the identifier is not that of name and key"),
    }
}

/// The log's private key, with its name.
#[derive(Debug)]
pub struct LogKey {
    verifier: Verifier,
    key: Ed25519Key,
}

/// A log's key cannot be used; the fault of who configured it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogKeyError {
    /// The log's name.
    #[error(transparent)]
    Name(#[from] VerifierError),
    /// The key.
    #[error(transparent)]
    Key(#[from] SignError),
}

impl LogKey {
    /// From an Ed25519 key in PEM (PKCS#8).
    ///
    /// # Errors
    /// [`LogKeyError`].
    pub fn from_pem(origin: &str, pem: &[u8]) -> Result<Self, LogKeyError> {
        let key = Ed25519Key::from_pem(pem)?;
        Ok(Self { verifier: Verifier::new(origin, key.public()?)?, key })
    }

    /// What others verify by.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Signs that the log's first `size` records have this root. Whoever calls has made sure that it extends what was signed before.
    pub(crate) fn sign(&self, size: u64, root: Hash) -> Result<Checkpoint, SignError> {
        let text = format!("{}\n{size}\n{}\n", self.verifier.origin, encode(&root));
        let signature = [&self.verifier.id[..], &self.key.sign(text.as_bytes())?].concat();
        let signature = format!("\u{2014} {} {}\n", self.verifier.origin, encode(&signature));
        Ok(Checkpoint { size, root, note: format!("{text}\n{signature}"), signature })
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// Base64 in its one spelling.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = base64_simd::STANDARD.decode_to_vec(text).ok()?;
    (encode(&bytes) == text).then_some(bytes)
}

pub(crate) fn decode_hash(text: &str) -> Option<Hash> {
    decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LogKey {
        LogKey::from_pem("example.org/log", &Ed25519Key::random().unwrap().to_pem().unwrap()).unwrap()
    }

    /// The published example of the format, made by another implementation (golang.org/x/mod/sumdb/note, its documentation).
    #[test]
    fn a_key_made_elsewhere_is_read_and_written_the_same() {
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(Verifier::from_str(text).unwrap().to_string(), text);
        assert!(Verifier::from_str(&text.replace("c74f20a3", "c74f20a4")).is_err());
        assert!(Verifier::from_str(&text.replace("Peter", "Pater")).is_err());
    }

    #[test]
    fn what_was_signed_opens_and_nothing_else_does() {
        let key = key();
        let signed = key.sign(7, [9; 32]).unwrap();
        assert_eq!(key.verifier().open(signed.note()).unwrap(), signed);
        let opened = |note: &str| key.verifier().open(note).map_err(|error| error.code());
        let with_witness = format!("{}\u{2014} witness.example AAAAAAAA\n", signed.note());
        assert_eq!(opened(&with_witness).unwrap().size(), 7);
        for (from, to, code) in [
            ("log\n7\n", "log\n8\n", "journal.checkpoint.signature"),
            ("log\n7\n", "log\n07\n", "journal.checkpoint.malformed"),
            ("log\n7\n", "log\n-7\n", "journal.checkpoint.malformed"),
            ("example.org/log\n7", "example.org/other\n7", "journal.checkpoint.origin"),
            ("CQk=\n", "CQk=\nmore\n", "journal.checkpoint.signature"),
            ("CQk=\n", "CQl=\n", "journal.checkpoint.malformed"),
            ("\u{2014} example.org/log", "\u{2014} example.org/other", "journal.checkpoint.unsigned"),
            ("\u{2014}", "-", "journal.checkpoint.malformed"),
            ("\n\n", "\n", "journal.checkpoint.malformed"),
            ("CQk=", "CQk=\t", "journal.checkpoint.malformed"),
        ] {
            assert_eq!(opened(&signed.note().replacen(from, to, 1)), Err(code), "{from:?} to {to:?}");
        }
        assert_eq!(opened(self::key().sign(7, [9; 32]).unwrap().note()), Err("journal.checkpoint.unsigned"));
        let filled = format!("{}{}", signed.note(), "\u{2014} a AAAAAAAA\n".repeat(5000));
        assert_eq!(opened(&filled), Err("journal.checkpoint.malformed"));
    }
}
