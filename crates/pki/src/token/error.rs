//! Why a key in a token cannot be used.

use std::path::PathBuf;

/// What a key in a token is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyUse {
    /// Signing: a private key.
    Sign,
    /// Wrapping another key: a secret key.
    Wrap,
}

impl std::fmt::Display for KeyUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sign => "private key that may sign (CKA_SIGN)",
            Self::Wrap => "AES key of 256 bits that may encrypt and decrypt (CKA_ENCRYPT, CKA_DECRYPT)",
        })
    }
}

/// A key in a token could not be used. Each says what was seen, what was expected, and what to do; none holds a PIN.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// The module cannot be loaded, or does not start.
    #[error(
        "token.module: {path}: {cause}; expected a PKCS#11 module: name the library of the token's vendor in pkcs11.module"
    )]
    Module {
        /// Which file.
        path: PathBuf,
        /// What the loader or the module said.
        cause: String,
    },
    /// No token has the label.
    #[error(
        "token.not-found: no token labelled {label:?}; seen: {seen:?}; connect it, or correct pkcs11.token (`pkcs11-tool --module M -L` lists them)"
    )]
    NotFound {
        /// The label.
        label: String,
        /// Those that are there.
        seen: Vec<String>,
    },
    /// Several tokens have the label.
    #[error("token.ambiguous: several tokens labelled {label:?}; expected one: disconnect the others")]
    Ambiguous {
        /// The label.
        label: String,
    },
    /// The token did not take the PIN. It is not offered again: a token locks after so many wrong ones.
    #[error(
        "token.pin: the PIN is not that of token {label:?}; tries that remain: {tries}; not tried again: correct pkcs11.pin_file before another start"
    )]
    Pin {
        /// The token.
        label: String,
        /// What the token says of them.
        tries: &'static str,
    },
    /// One more wrong PIN locks the token: it was not offered.
    #[error(
        "token.pin-last-try: token {label:?} takes one more PIN before it locks, and it was not tried; log in by hand with the right one (`pkcs11-tool --login --test`), then start again"
    )]
    PinLastTry {
        /// The token.
        label: String,
    },
    /// The PIN is locked, expired, or was never set.
    #[error(
        "token.pin-unusable: token {label:?}: {cause}; expected a PIN in force: its security officer sets one"
    )]
    PinUnusable {
        /// The token.
        label: String,
        /// Which of them.
        cause: String,
    },
    /// Not one key of the label.
    #[error(
        "token.key: {seen} in token {label:?} labelled {key:?}; expected one {used}: correct pkcs11.label (`pkcs11-tool --module M --login -O` lists them)"
    )]
    Key {
        /// The token.
        label: String,
        /// The key's label.
        key: String,
        /// What it is for.
        used: KeyUse,
        /// How many there are.
        seen: usize,
    },
    /// Everybody with the PIN could read the key out.
    #[error(
        "token.key-exposed: key {key:?} in token {label:?} can be read out (CKA_SENSITIVE is false); expected one that never leaves it in the clear: make another with it set"
    )]
    Exposed {
        /// The token.
        label: String,
        /// The key's label.
        key: String,
    },
    /// The key is of another kind, or may not be used so.
    #[error("token.key-unfit: key {key:?} in token {label:?}: {seen}; expected one {used}")]
    Unfit {
        /// The token.
        label: String,
        /// The key's label.
        key: String,
        /// What it is for.
        used: KeyUse,
        /// What is wrong with it.
        seen: String,
    },
    /// The token cannot do it.
    #[error(
        "token.mechanism: token {label:?} has no {mechanism}; expected it: allow the mechanism in the token's policy, or take a key of another kind"
    )]
    Mechanism {
        /// The token.
        label: String,
        /// The mechanism, as PKCS#11 names it.
        mechanism: &'static str,
    },
    /// The bytes are not a key that this token's key wrapped.
    #[error(
        "token.wrapped-key: {seen}; expected what key {key:?} of token {label:?} wrapped: put that file back (`epost keys make` makes a new one for a new store)"
    )]
    Wrapped {
        /// The token.
        label: String,
        /// The wrapping key's label.
        key: String,
        /// What is wrong.
        seen: String,
    },
    /// The token did not do it: it is away, or it failed.
    #[error("token.away: token {label:?} did not {doing}: {cause}; look at the token and its connection")]
    Away {
        /// The token.
        label: String,
        /// What was being done.
        doing: &'static str,
        /// What the module said.
        cause: String,
    },
}

impl TokenError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Module { .. } => "token.module",
            Self::NotFound { .. } => "token.not-found",
            Self::Ambiguous { .. } => "token.ambiguous",
            Self::Pin { .. } => "token.pin",
            Self::PinLastTry { .. } => "token.pin-last-try",
            Self::PinUnusable { .. } => "token.pin-unusable",
            Self::Key { .. } => "token.key",
            Self::Exposed { .. } => "token.key-exposed",
            Self::Unfit { .. } => "token.key-unfit",
            Self::Mechanism { .. } => "token.mechanism",
            Self::Wrapped { .. } => "token.wrapped-key",
            Self::Away { .. } => "token.away",
        }
    }
}
