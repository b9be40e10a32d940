//! X.509 paths, CRLs, keys and [`signer::Signer`], digests, RFC 3161 tokens, CMS reading. Opens no socket, reads no file but the PKCS#11
//! module that it is told to load ([`token`]), has no clock.
//!
//! The one place of the crypto library on the serving path.

pub mod aead;
pub mod algorithm;
mod cache;
pub mod certificate;
mod cms;
pub mod crl;
pub mod der;
pub mod detached;
pub mod digest;
pub mod ed25519;
pub mod key;
pub mod ocsp;
pub mod path;
mod policy;
pub mod random;
pub mod sha256;
pub mod signer;
pub mod token;
pub mod tsp;
mod window;
