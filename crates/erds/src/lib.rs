//! The words of registered delivery: identifiers, parties, dispatch, consignment, refusals, records. No I/O.
//!
//! What is parsed here is valid for everybody behind: nobody checks an identifier twice. Words are those of
//! ETSI EN 319 522-1 §3 and of the sector's contract.

pub mod consignment;
pub mod dispatch;
pub mod environment;
pub mod folder;
mod hex;
pub mod identifier;
pub mod party;
pub mod record;
pub mod refusal;

pub use consignment::{Event, IllegalTransition, State, Status};
pub use dispatch::{
    Beside, Delegate, DigestMethod, EboxCheck, Language, Meta, Part, StatedDigest, Submission,
};
pub use environment::{ChannelName, Environment};
pub use folder::FolderFile;
pub use identifier::{
    ApplicationId, EnterpriseNumber, IdentifierError, QualityCode, Ssin, Strictness, Ticket, Token,
};
pub use party::{IdentityError, Recipient, Sender};
pub use record::{Record, RecordError};
pub use refusal::{FaultCode, FaultKind, FaultLanguage, FaultOrigin, Refusal};
