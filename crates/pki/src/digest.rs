//! Digests as XML Signature states them.
//!
//! Source: XML Signature 1.1 §4.4.3.5–6; XML Encryption 1.1 §5.8 (the URIs).

use sha2::Digest as _;

use crate::sha256::{Sha256, lanes};

/// A digest algorithm that is still allowed: SHA-2 alone.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DigestAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl DigestAlgorithm {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The `Algorithm` of a `ds:DigestMethod`.
    pub fn xmldsig_uri(self) -> &'static str {
        match self {
            Self::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            Self::Sha384 => "http://www.w3.org/2001/04/xmldsig-more#sha384",
            Self::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }

    /// The algorithm of a URI; none for what is off the list (SHA-1, MD5).
    pub fn from_xmldsig_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.xmldsig_uri() == uri)
    }

    /// How long its values are.
    pub fn length_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A digest: an algorithm still allowed, and exactly its number of bytes.
///
/// A forbidden algorithm or a wrong length cannot be held, so nobody behind this door checks again.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    bytes: Vec<u8>,
}

/// A stated digest that is not as long as its algorithm's: the fault of who stated it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a digest of {seen_bytes} bytes where {expected_bytes} are expected")]
pub struct DigestError {
    /// What was given.
    pub seen_bytes: usize,
    /// What the algorithm has.
    pub expected_bytes: usize,
}

impl DigestError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        "digest.length"
    }
}

impl Digest {
    /// A digest that somebody stated.
    ///
    /// # Errors
    /// A wrong number of bytes.
    pub fn new(algorithm: DigestAlgorithm, bytes: &[u8]) -> Result<Self, DigestError> {
        let expected_bytes = algorithm.length_bytes();
        if bytes.len() != expected_bytes {
            return Err(DigestError { seen_bytes: bytes.len(), expected_bytes });
        }
        Ok(Self { algorithm, bytes: bytes.to_vec() })
    }

    /// The digest of `message`.
    pub fn of(algorithm: DigestAlgorithm, message: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(message);
        hasher.finish()
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Its bytes, exactly as many as the algorithm has.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Lower-case hex.
    pub fn to_hex(&self) -> String {
        self.bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Same algorithm and bytes, compared in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm
            && self.bytes.len() == other.bytes.len()
            && openssl::memcmp::eq(&self.bytes, &other.bytes)
    }
}

/// A digest in the making: bytes go in as they come.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Begins.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self(match algorithm {
            DigestAlgorithm::Sha256 => State::Sha256(Sha256::default()),
            DigestAlgorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            DigestAlgorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha384(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Ends.
    pub fn finish(self) -> Digest {
        let (algorithm, bytes) = match self.0 {
            State::Sha256(state) => (DigestAlgorithm::Sha256, state.finish().to_vec()),
            State::Sha384(state) => (DigestAlgorithm::Sha384, state.finalize().to_vec()),
            State::Sha512(state) => (DigestAlgorithm::Sha512, state.finalize().to_vec()),
        };
        Digest { algorithm, bytes }
    }
}

impl From<Sha256> for Hasher {
    /// Goes on with one that has begun.
    fn from(begun: Sha256) -> Self {
        Self(State::Sha256(begun))
    }
}

/// SHA-256 of `message`.
pub fn sha256(message: &[u8]) -> [u8; 32] {
    let mut sha256 = Sha256::default();
    sha256.update(message);
    sha256.finish()
}

/// SHA-256 of each message, in their order: sixteen at once where the processor can, else two, which takes two thirds of the time. Those
/// beside each other are best of about one length.
pub fn sha256_each<'m>(messages: impl IntoIterator<Item = &'m [u8]>) -> Vec<[u8; 32]> {
    let messages: Vec<&[u8]> = messages.into_iter().collect();
    let many = (messages.len() >= lanes::MESSAGES_MIN).then(|| lanes::sha256_each(&messages));
    many.flatten().unwrap_or_else(|| sha256_by_twos(&messages))
}

fn sha256_by_twos(messages: &[&[u8]]) -> Vec<[u8; 32]> {
    let (twos, left) = messages.as_chunks();
    let both = |[one, other]: &[&[u8]; 2]| {
        let (mut first, mut second) = (Sha256::default(), Sha256::default());
        first.update_both(one, &mut second, other);
        first.finish_both(second)
    };
    twos.iter().flat_map(both).chain(left.iter().map(|message| sha256(message))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values() {
        let hex = |algorithm| Digest::of(algorithm, b"abc").to_hex();
        assert_eq!(
            hex(DigestAlgorithm::Sha256),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(hex(DigestAlgorithm::Sha384).starts_with("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"));
        assert!(hex(DigestAlgorithm::Sha512).starts_with("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea2"));
    }

    #[test]
    fn each_of_many_has_its_own() {
        let messages: Vec<Vec<u8>> = (0..40).map(|number| vec![number; 40 * usize::from(number)]).collect();
        for count in 0..messages.len() {
            let messages = &messages[..count];
            let expected: Vec<_> = messages.iter().map(|message| sha256(message)).collect();
            assert_eq!(sha256_each(messages.iter().map(Vec::as_slice)), expected);
        }
    }

    #[test]
    fn a_wrong_length_cannot_be_held() {
        assert!(Digest::new(DigestAlgorithm::Sha256, &[0; 31]).is_err());
        assert!(Digest::new(DigestAlgorithm::Sha256, &[0; 33]).is_err());
        assert!(Digest::new(DigestAlgorithm::Sha256, &[0; 32]).is_ok());
    }

    #[test]
    fn algorithm_counts_in_a_comparison() {
        let digest = Digest::of(DigestAlgorithm::Sha256, b"a");
        assert!(digest.matches(&digest.clone()));
        assert!(!digest.matches(&Digest::of(DigestAlgorithm::Sha256, b"b")));
        assert!(!digest.matches(&Digest::of(DigestAlgorithm::Sha512, b"a")));
    }
}
