//! A proposal that is given up: who withdraws it says so over its signature, beside the policy, and the service journals that.
//!
//! What is signed is not the proposal's text, so that a withdrawal is never an approval.

use std::path::{Path, PathBuf};

use erds::Record;
use erds::record::{Control, Hex32};
use jiff::Timestamp;
use journal::{Appended, Entry, UniqueKey};
use pki::detached;
use pki::digest::sha256;
use serde::{Deserialize, Serialize};
use uam::PolicyFile;

use super::{Access, PolicyUnread, Undersigned};
use crate::service::{Failure, Service};
use crate::trust;

/// What lies beside the policy until the service has it in its journal.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// The proposal's file.
    proposal: String,
    /// Base64 of the signature, DER, over [`Withdrawal::statement`].
    signature: String,
}

/// What the journal says of it: nothing personal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Withdrawn {
    version: u64,
    sha256: Hex32,
    /// Whose certificates signed the proposal, as it says: a signature that holds by no listed person's counts as little as none.
    proposed_by: Vec<Hex32>,
    /// Whose certificate signed the withdrawal.
    withdrawn_by: Hex32,
}

/// Why a withdrawal is none; its maker's fault, and nothing is journalled.
#[derive(Debug, thiserror::Error)]
pub enum NotWithdrawn {
    /// It cannot be read.
    #[error("not a withdrawal as `epost uam withdraw` writes it: {0}")]
    Form(String),
    /// What it withdraws is no policy.
    #[error("the proposal: {}: {_0}", _0.code())]
    Proposal(#[from] uam::PolicyError),
    /// Its signature does not hold.
    #[error(transparent)]
    Signature(#[from] detached::DetachedError),
    /// Nobody listed signed it.
    #[error(transparent)]
    Stranger(#[from] Undersigned),
    /// The file cannot be had.
    #[error(transparent)]
    File(#[from] trust::TrustError),
}

impl NotWithdrawn {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(_) => "policy.withdrawal.form",
            Self::Proposal(error) => error.code(),
            Self::Signature(_) => "policy.withdrawal.signature",
            Self::Stranger(error) => error.code(),
            Self::File(_) => "policy.withdrawal.file",
        }
    }
}

impl Withdrawal {
    /// Of a proposal, by who signed its statement.
    pub fn new(proposal: &str, signature_der: &[u8]) -> Self {
        let signature = base64_simd::STANDARD.encode_to_string(signature_der);
        Self { proposal: proposal.to_owned(), signature }
    }

    /// What is signed to withdraw a proposal.
    pub fn statement(proposal: &PolicyFile) -> String {
        format!("epost uam withdraw: sha256 {}\n", Hex32(proposal.digest()).to_hex())
    }

    /// Where it lies for a policy of this path.
    pub fn path(policy: &Path) -> PathBuf {
        policy.with_added_extension("withdrawn")
    }

    /// The file's text.
    ///
    /// # Errors
    /// None in practice: it is text alone.
    pub fn to_file(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    fn judge(&self, access: &Access, now: Timestamp) -> Result<Withdrawn, NotWithdrawn> {
        let proposal = PolicyFile::parse(&self.proposal)?;
        let statement = Self::statement(&proposal);
        let der = base64_simd::STANDARD.decode_to_vec(&self.signature);
        let der = der.map_err(|error| NotWithdrawn::Form(error.to_string()))?;
        let withdrawn_by = match &access.signers {
            Some(signers) => signers.signature(1, &der, statement.as_bytes(), Some(now))?.certificate,
            None => Hex32(detached::verify(&der, statement.as_bytes())?.certificate().fingerprint()),
        };
        let proposer = |der: &Vec<u8>| {
            Some(Hex32(detached::verify(der, proposal.text().as_bytes()).ok()?.certificate().fingerprint()))
        };
        Ok(Withdrawn {
            version: proposal.version(),
            sha256: Hex32(proposal.digest()),
            proposed_by: proposal.signatures().iter().filter_map(proposer).collect(),
            withdrawn_by,
        })
    }
}

impl Access {
    /// Journals a withdrawal that lies beside the policy, and takes the file away; whether there was one that is not recorded yet. *Crash
    /// between: it is found again, and recorded once.* What is no withdrawal is taken away and told of in the log.
    ///
    /// # Errors
    /// Ours: it is taken up later.
    pub async fn take_up(&self, service: &Service) -> Result<bool, PolicyUnread> {
        let path = Withdrawal::path(&self.setup.policy);
        if !path.exists() {
            return Ok(false);
        }
        let judged = tokio::task::block_in_place(|| self.read_withdrawal(&path, service.now()));
        let recorded = match judged {
            Ok((withdrawn, proposal)) => record(service, &withdrawn, &proposal).await?,
            Err(error) => {
                tracing::error!(event = "policy.withdrawal-refused", code = error.code(), %error);
                false
            }
        };
        // Where the folder is not ours to change it stays, and is known.
        let _ = std::fs::remove_file(&path);
        Ok(recorded)
    }

    fn read_withdrawal(&self, path: &Path, now: Timestamp) -> Result<(Withdrawn, String), NotWithdrawn> {
        let withdrawal = serde_json::from_slice::<Withdrawal>(&trust::read(path)?);
        let withdrawal = withdrawal.map_err(|error| NotWithdrawn::Form(error.to_string()))?;
        Ok((withdrawal.judge(self, now)?, withdrawal.proposal))
    }
}

async fn record(service: &Service, withdrawn: &Withdrawn, proposal: &str) -> Result<bool, Failure> {
    let detail = serde_json::to_string(withdrawn).map_err(|error| Failure::store(&error.to_string()))?;
    let (at, action) = (service.now(), WITHDRAWN.to_owned());
    let record = Record::Control(Control { at, action, ticket: None, detail });
    // The proposal with its signatures: the same text proposed again is another one.
    let unique_keys = vec![UniqueKey(sha256(format!("{WITHDRAWN}\0{proposal}").as_bytes()))];
    let appended = service.append(Entry { record, frames: Vec::new(), unique_keys }).await?;
    let new = matches!(appended, Appended::Recorded(_));
    if new {
        tracing::info!(event = "policy.withdrawn", version = withdrawn.version, sha256 = %withdrawn.sha256);
    }
    Ok(new)
}

/// The act of a proposal that is given up.
pub(crate) const WITHDRAWN: &str = "uam.withdrawn";
