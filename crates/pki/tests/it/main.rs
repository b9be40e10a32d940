//! What pki refuses, each with its own code, and the honest things that it must take.

mod certificate;
mod crl;
mod delta;
mod detached;
mod held;
mod kit;
mod ocsp;
mod path;
mod pkits;
mod policy;
mod signature;
mod signer;
mod token;
mod wycheproof;
