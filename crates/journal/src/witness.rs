//! Witnesses: who else says that the log only grows. A cosignature is a witness's word that it saw this checkpoint at this time, and that
//! the log goes on from every one it saw before.
//!
//! Sources: C2SP tlog-cosignature v1 (Ed25519, timestamped), C2SP tlog-witness v1 (`add-checkpoint`).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use pki::ed25519::Ed25519PublicKey;

use crate::checkpoint::{Checkpoint, decode, encode, key_id, read_key};
use crate::merkle::Hash;

/// The note's signature type: Ed25519 over text and time.
const COSIGNATURE: u8 = 4;
const SIGNATURE_BYTES: usize = 64;
/// What a witness may answer.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// A witness's name and public key: `NAME+ID+KEY`, as it publishes them.
#[derive(Clone, Debug)]
pub struct Witness {
    name: String,
    id: [u8; 4],
    key: Ed25519PublicKey,
}

/// A cosignature that verifies: only [`Witness`] makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cosignature {
    witness: String,
    at: Timestamp,
    line: String,
}

/// Why a witness's answer is none; its fault.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CosignatureError {
    /// No line by its key.
    #[error("journal.cosignature.absent: no cosignature by the witness {0}")]
    Absent(String),
    /// A line by its key that does not verify.
    #[error("journal.cosignature.signature: the cosignature by the witness {0} does not verify")]
    Signature(String),
}

impl CosignatureError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Absent(_) => "journal.cosignature.absent",
            Self::Signature(_) => "journal.cosignature.signature",
        }
    }
}

/// Not the text form of a witness's public key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("journal.witness: {0}; expected NAME+ID+KEY as the witness publishes it")]
pub struct WitnessError(pub(crate) &'static str);

impl Cosignature {
    /// Whose it is.
    pub fn witness(&self) -> &str {
        &self.witness
    }

    /// When it was given, as the witness says: to the second.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

impl Witness {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its newest cosignature of the checkpoint, among the signature lines in `lines`: those of its note, or what it answered.
    ///
    /// # Errors
    /// [`CosignatureError`]: a line by its key that is not good is worse than none, and named.
    pub fn cosignature(&self, checkpoint: &Checkpoint, lines: &str) -> Result<Cosignature, CosignatureError> {
        let mut newest: Option<Cosignature> = None;
        for line in lines.lines() {
            let Some((name, value)) = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' '))
            else {
                continue;
            };
            let Some(value) = decode(value).filter(|value| name == self.name && value.starts_with(&self.id))
            else {
                continue;
            };
            let at = self
                .verify(checkpoint, &value)
                .ok_or_else(|| CosignatureError::Signature(self.name.clone()))?;
            if newest.as_ref().is_none_or(|newest| newest.at < at) {
                newest = Some(Cosignature { witness: self.name.clone(), at, line: format!("{line}\n") });
            }
        }
        newest.ok_or_else(|| CosignatureError::Absent(self.name.clone()))
    }

    /// When it was given, if it verifies.
    fn verify(&self, checkpoint: &Checkpoint, value: &[u8]) -> Option<Timestamp> {
        let (seconds, signature) = value.get(self.id.len()..)?.split_first_chunk::<8>()?;
        let seconds = u64::from_be_bytes(*seconds);
        let message = cosigned_message(checkpoint.text(), seconds);
        let good = signature.len() == SIGNATURE_BYTES && self.key.verifies(message.as_bytes(), signature);
        let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        at.filter(|_| good)
    }
}

/// What a cosignature signs.
fn cosigned_message(text: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

/// What a witness is sent (`POST …/add-checkpoint`): the checkpoint, and that it goes on from the one of `old_size` records that the
/// witness saw last; `proof` as [`crate::tiles::Published::consistency`] gives it.
pub fn request(checkpoint: &Checkpoint, old_size: u64, proof: &[Hash]) -> String {
    let lines: String = proof.iter().map(|hash| format!("{}\n", encode(hash))).collect();
    format!("old {old_size}\n{lines}\n{}", checkpoint.signed_note())
}

/// The checkpoint with these cosignatures behind the log's own signature, and no others.
pub fn cosigned(checkpoint: &Checkpoint, cosignatures: &[Cosignature]) -> Checkpoint {
    let lines: String = cosignatures.iter().map(|cosignature| cosignature.line.as_str()).collect();
    Checkpoint { note: format!("{}{lines}", checkpoint.signed_note()), ..checkpoint.clone() }
}

impl FromStr for Witness {
    type Err = WitnessError;

    fn from_str(text: &str) -> Result<Self, WitnessError> {
        let (name, key) = read_key(text, COSIGNATURE).map_err(WitnessError)?;
        Ok(Self { id: key_id(&name, COSIGNATURE, &key), name, key })
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[COSIGNATURE][..], self.key.bytes()].concat();
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), encode(&key))
    }
}

#[cfg(test)]
mod tests {
    use pki::ed25519::Ed25519Key;

    use super::*;
    use crate::checkpoint::LogKey;

    fn witness(name: &str) -> (Ed25519Key, Witness) {
        let key = Ed25519Key::random().unwrap();
        let public = key.public().unwrap();
        let witness = Witness { name: name.to_owned(), id: key_id(name, COSIGNATURE, &public), key: public };
        assert_eq!(Witness::from_str(&witness.to_string()).unwrap().to_string(), witness.to_string());
        (key, witness)
    }

    fn line(key: &Ed25519Key, witness: &Witness, text: &str, seconds: u64) -> String {
        let signature = key.sign(cosigned_message(text, seconds).as_bytes()).unwrap();
        let value = [&witness.id[..], &seconds.to_be_bytes(), &signature].concat();
        format!("\u{2014} {} {}\n", witness.name, encode(&value))
    }

    #[test]
    fn a_cosignature_is_of_this_checkpoint_this_time_and_this_witness() {
        let log = LogKey::from_pem("one", &Ed25519Key::random().unwrap().to_pem().unwrap()).unwrap();
        let (signed, other) = (log.sign(7, [9; 32]).unwrap(), log.sign(8, [9; 32]).unwrap());
        let (key, watching) = witness("w.example");
        let (other_key, other_witness) = witness("w.example");
        let answer = line(&key, &watching, signed.text(), 1_700_000_000);
        let given = watching.cosignature(&signed, &answer).unwrap();
        assert_eq!((given.witness(), given.at().as_second()), ("w.example", 1_700_000_000));

        let absent = Err(CosignatureError::Absent("w.example".into()));
        let wrong = Err(CosignatureError::Signature("w.example".into()));
        assert_eq!(other_witness.cosignature(&signed, &answer), absent, "another key");
        assert_eq!(watching.cosignature(&signed, ""), absent);
        assert_eq!(watching.cosignature(&signed, signed.note()), absent, "the log's own is none");
        assert_eq!(watching.cosignature(&other, &answer), wrong, "another checkpoint");
        let mut value = decode(answer.trim_end().rsplit(' ').next().unwrap()).unwrap();
        for byte in 4..value.len() {
            value[byte] ^= 1;
            let changed = format!("\u{2014} w.example {}\n", encode(&value));
            assert_eq!(watching.cosignature(&signed, &changed), wrong, "byte {byte}");
            value[byte] ^= 1;
        }
        value.push(0);
        assert_eq!(watching.cosignature(&signed, &format!("\u{2014} w.example {}\n", encode(&value))), wrong);
        assert_eq!(given.line, answer);

        // With the log's own and others' beside it; the newest counts; put together anew they stand once each.
        let both = answer.clone() + &line(&other_key, &other_witness, signed.text(), 5);
        let newer = both + &line(&key, &watching, signed.text(), 1_700_000_001);
        assert_eq!(watching.cosignature(&signed, &newer).unwrap().at().as_second(), 1_700_000_001);
        let given_once = std::slice::from_ref(&given);
        let published = cosigned(&cosigned(&signed, given_once), given_once);
        assert_eq!(published.note(), format!("{}{answer}", signed.note()));
        let opened = log.verifier().open(published.note()).unwrap();
        assert_eq!((opened.signed_note(), opened.text()), (signed.note().to_owned(), signed.text()));
        assert_eq!(watching.cosignature(&opened, opened.note()).unwrap(), given);
        assert_eq!(cosigned(&opened, &[]).note(), signed.note());
    }

    #[test]
    fn what_is_sent_is_as_the_standard_has_it() {
        let log = LogKey::from_pem("one", &Ed25519Key::random().unwrap().to_pem().unwrap()).unwrap();
        let signed = log.sign(7, [9; 32]).unwrap();
        let hashes = format!("{}\n{}\n", encode(&[1; 32]), encode(&[2; 32]));
        assert_eq!(request(&signed, 3, &[[1; 32], [2; 32]]), format!("old 3\n{hashes}\n{}", signed.note()));
        assert_eq!(request(&signed, 0, &[]), format!("old 0\n\n{}", signed.note()));
    }
}
