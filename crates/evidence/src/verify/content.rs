//! What the proof says: its schema, its environment, the files that it names.
//!
//! Sources: `contract.md` (Receipt.xml, ProofOfDispatch.xml, Time and limits), `evidence.md` (Facts, never blurred).

use std::io::Read;

use erds::Environment;
use pki::certificate::NameAttribute;
use pki::digest::{Digest, DigestAlgorithm, Hasher};

use super::{Checks, FILE_BYTES_MAX, Inputs, Proven, ReadSeal, SubIndication, hex, in_order, second};
use super::{Facts, FileFact};
use crate::description::{FileDescription, FileDigestMethod, ItemDescription};
use crate::dispatch::{DispatchDescription, ProofOfDispatchContent};
use crate::receipt::ReceiptContent;
use crate::schema::ProofReadError;

/// One file that the user says was sent: its name for the report, and its digests.
#[derive(Clone, Debug)]
pub struct GivenFile {
    name: String,
    sha256: Digest,
    sha512: Digest,
}

impl GivenFile {
    /// Reads a file to its end; memory does not grow with it.
    ///
    /// # Errors
    /// What reading gives.
    pub fn read(name: impl Into<String>, mut source: impl Read) -> std::io::Result<Self> {
        let mut sha256 = Hasher::new(DigestAlgorithm::Sha256);
        let mut sha512 = Hasher::new(DigestAlgorithm::Sha512);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read_bytes = source.read(&mut buffer)?;
            let Some(read) = buffer.get(..read_bytes).filter(|read| !read.is_empty()) else { break };
            sha256.update(read);
            sha512.update(read);
        }
        Ok(Self { name: name.into(), sha256: sha256.finish(), sha512: sha512.finish() })
    }

    fn is(&self, file: &FileDescription) -> bool {
        let own = match file.digest_method {
            FileDigestMethod::Sha256 => &self.sha256,
            FileDigestMethod::Sha512 => &self.sha512,
        };
        own.as_bytes() == file.digest_value
    }
}

/// Judges the XML; gives what it says if it can be read.
pub(super) fn judge(
    inputs: &Inputs<'_>,
    seal: Option<&ReadSeal>,
    proven: Option<&Proven>,
    checks: &mut Checks,
) -> Option<Facts> {
    let name = "content of the proof";
    let clause = "contract: Receipt.xml, ProofOfDispatch.xml";
    let expected = "valid by the schema of its kind";
    let proof = match read(inputs.xml) {
        Ok(proof) => proof,
        Err(error) => {
            checks.failed(name, clause, expected, error.to_string(), SubIndication::SigConstraintsFailure);
            return None;
        }
    };
    checks.passed(name, clause, expected, proof.kind());
    judge_environment(proof.environment, seal, checks);
    if let (Some(dispatch), Some(proven)) = (&proof.dispatch, proven) {
        judge_times(dispatch, proven, checks);
    }
    let clause = "EN 319 102-1 5.2.7; contract: Receipt.xml";
    judge_files(inputs.documents, files_of(&proof.item), clause, checks);
    Some(proof.facts(inputs.documents, seal, proven))
}

struct Proof {
    environment: Environment,
    item: ItemDescription,
    dispatch: Option<DispatchDescription>,
}

fn read(xml: &[u8]) -> Result<Proof, ProofReadError> {
    let too_large = xml.len() > FILE_BYTES_MAX;
    if too_large {
        return Err(crate::schema::structure("a proof of at most 1 MiB", "a larger file"));
    }
    // Which of the two it is, the root element says; the receipt's reader names it in its error otherwise.
    match ProofOfDispatchContent::parse(xml) {
        Ok(proof) => {
            Ok(Proof { environment: proof.environment, item: proof.item, dispatch: Some(proof.dispatch) })
        }
        Err(ProofReadError::Structure { expected, .. }) if expected == crate::dispatch::ROOT => {
            let proof = ReceiptContent::parse(xml)?;
            Ok(Proof { environment: proof.environment, item: proof.item, dispatch: None })
        }
        Err(error) => Err(error),
    }
}

/// The mark in the file and the environment in the seal's certificate must say the same.
pub(super) fn judge_environment(environment: Environment, seal: Option<&ReadSeal>, checks: &mut Checks) {
    let name = "environment";
    let clause = "contract: Time and limits";
    let Some(seal) = seal else { return };
    let certified =
        seal.signer.subject().values(NameAttribute::OrganizationalUnit).find_map(Environment::from_name);
    let stated = environment.as_str();
    match certified {
        Some(certified) if certified == environment => {
            let suffix = if certified == Environment::Prd { "" } else { " (NOT PRODUCTION)" };
            let expected = "the same in the proof and in the seal's certificate";
            checks.passed(name, clause, expected, format!("{stated}{suffix}"));
        }
        Some(certified) => {
            let expected = format!("{}, as in the seal's certificate", certified.as_str());
            checks.failed(name, clause, &expected, stated, SubIndication::SigConstraintsFailure);
        }
        None => checks.noted(name, clause, format!("{stated}; the seal's certificate names none")),
    }
}

fn judge_times(dispatch: &DispatchDescription, proven: &Proven, checks: &mut Checks) {
    let (received, consigned) = (dispatch.received_at, dispatch.consigned_at);
    let name = "order of the times";
    let clause = "contract: getStatus";
    let expected = "received, then placed, then time-stamped";
    let found = format!("{}, {}, {}", second(received), second(consigned), second(proven.at));
    if in_order(&[received, consigned, proven.at]) {
        checks.passed(name, clause, expected, found);
    } else {
        checks.failed(name, clause, expected, found, SubIndication::TimestampOrderFailure);
    }
}

/// Every file given must be one that the proof names; one that is not given is said to be absent, never passed.
pub(super) fn judge_files<'p>(
    given: &[GivenFile],
    files: impl Iterator<Item = &'p FileDescription> + Clone,
    clause: &'static str,
    checks: &mut Checks,
) {
    for file in given {
        let named = files.clone().find(|described| file.is(described));
        let expected = "a file with a digest that the proof names";
        match named {
            Some(described) => {
                let found = format!("{:?} is {:?} of the item", file.name, described.title);
                checks.passed("document", clause, expected, found);
            }
            None => {
                let found = format!("{:?} with SHA-256 {}", file.name, file.sha256.to_hex());
                checks.failed("document", clause, expected, found, SubIndication::HashFailure);
            }
        }
    }
    for described in files.filter(|described| !given.iter().any(|file| file.is(described))) {
        let found = format!("content absent: {:?} was not given, so nothing is said of it", described.title);
        checks.noted("document", clause, found);
    }
}

fn files_of(item: &ItemDescription) -> impl Iterator<Item = &FileDescription> + Clone {
    std::iter::once(&item.document).chain(&item.annexes)
}

impl Proof {
    fn kind(&self) -> &'static str {
        if self.dispatch.is_some() { "PROOF_OF_DISPATCH" } else { "RECEIPT" }
    }

    /// Which fact, by whom, for whom: the two facts are never blurred.
    fn statement(&self) -> String {
        let ItemDescription { ticket, sender, recipient, .. } = &self.item;
        match &self.dispatch {
            None => format!(
                "item {ticket} was HANDED TO ePost by enterprise {} ({}), addressed to {recipient}. It says nothing \
                 of delivery.",
                sender.company_id, sender.application_id
            ),
            Some(dispatch) => format!(
                "ePost PLACED item {ticket} of enterprise {} IN THE BOX of {recipient}, through {}, at {}. It says \
                 nothing of reading.",
                sender.company_id,
                dispatch.channel.as_str(),
                second(dispatch.consigned_at)
            ),
        }
    }

    fn facts(&self, given: &[GivenFile], seal: Option<&ReadSeal>, proven: Option<&Proven>) -> Facts {
        let sealed_by = seal.map_or_else(|| "nobody".to_owned(), |seal| seal.signer.subject().to_string());
        Facts {
            kind: self.kind(),
            statement: self.statement(),
            sealed_by,
            event_time: None,
            time: proven.map(|proven| second(proven.at)),
            time_stamped_by: proven.map(|proven| proven.authority.clone()),
            environment: self.environment.as_str().to_owned(),
            ticket: self.item.ticket.clone(),
            token: self.item.token.clone(),
            sender: format!(
                "enterprise {} ({})",
                self.item.sender.company_id, self.item.sender.application_id
            ),
            recipient: self.item.recipient.to_string(),
            files: files_of(&self.item).map(|described| file_fact(described, given)).collect(),
        }
    }
}

pub(super) fn file_fact(described: &FileDescription, given: &[GivenFile]) -> FileFact {
    FileFact {
        title: described.title.clone(),
        name: described.download_file_name.clone(),
        digest_method: described.digest_method.as_str(),
        digest: hex(&described.digest_value),
        given: (!given.is_empty()).then(|| given.iter().any(|file| file.is(described))),
    }
}
