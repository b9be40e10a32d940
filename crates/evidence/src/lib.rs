//! Proofs: what they say, how they are sealed, and the verifier that judges them offline.
//!
//! A proof is two files: an XML file that states a fact ([`receipt`]: handed to ePost; [`dispatch`]: placed in the
//! recipient's box) and a detached CAdES-BASELINE-T seal over its exact bytes ([`seal`]); or one file with its signature inside
//! ([`event`]). A [`package`] holds all of an item's. [`verify`] needs these files, trust anchors and revocation lists, and nothing else: this crate opens no socket.
//!
//! Sources: `contract.md` (Receipt.xml, the seal), ETSI EN 319 122-1 (CAdES), ETSI EN 319 102-1 (validation).

// The tests' own kit names this crate as everybody does.
#[cfg(test)]
extern crate self as evidence;

pub mod archive;
pub mod description;
pub mod dispatch;
pub mod event;
pub mod package;
pub mod receipt;
pub mod schema;
pub mod seal;
pub mod verify;
mod xades;

pub use dispatch::ProofOfDispatchContent;
pub use receipt::ReceiptContent;
pub use seal::{SealError, Sealed, Stampable, Unstamped, seal};
