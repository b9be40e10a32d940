//! Whether the parts of a package belong together: one item, one log, the texts that are named.
//!
//! Asked before a package is sealed and again by the verifier. Whether each proof in it holds by itself is another question.
//!
//! Sources: `evidence.md` (Three forms of one fact; the journal's part of a proof), C2SP tlog-proof, RFC 6962 §2.1.1.

use erds::Record;
use journal::checkpoint::Verifier;
use journal::proof::{Proof, Proved};

use super::{Checks, SubIndication, hex};
use crate::description::FileDescription;
use crate::dispatch::ProofOfDispatchContent;
use crate::event::{Event, Evidence, LogEntry, attests};
use crate::package::{Contents, Known};
use crate::receipt::ReceiptContent;

const MISFIT: SubIndication = SubIndication::SigConstraintsFailure;

/// Judges what the parts say of each other; `log_key` is the one that the user trusts, if he gave one.
pub(crate) fn judge(contents: &Contents, known: &Known<'_>, log_key: Option<&Verifier>, checks: &mut Checks) {
    let Some(acceptance) = known.acceptance() else { return };
    judge_item(contents, known, acceptance, checks);
    judge_request(contents, acceptance, checks);
    judge_log(known, acceptance, log_key, checks);
    let name = "policy text";
    let clause = "EN 319 522-3: EvidenceIssuerPolicyID";
    for policy in &known.policies {
        // A named one without its text is no package at all.
        checks.passed(name, clause, "", format!("{}: {} bytes", policy.uri, policy.text.len()));
    }
}

/// Ticket, Token and digests, everywhere the same as in A.1.
fn judge_item(contents: &Contents, known: &Known<'_>, acceptance: &Evidence, checks: &mut Checks) {
    let name = "one item";
    let clause = "evidence.md: the package; EN 319 522-3: MessageIdentifier";
    let request = &acceptance.request;
    let expected = format!("ticket {}, its token and its digests in every proof", request.message_identifier);
    let mut other = Vec::new();
    for (evidence, _) in &known.evidence {
        let said = &evidence.request;
        let same = said.message_identifier == request.message_identifier
            && said.token == request.token
            && said.sender == request.sender
            && said.recipient == request.recipient
            && digests(&said.parts).eq(digests(&request.parts))
            && evidence.environment == acceptance.environment;
        if !same {
            other.push(Known::evidence_name(evidence));
        }
    }
    let receipt = ReceiptContent::parse(&contents.receipt.xml).ok().map(|receipt| receipt.item);
    let dispatch = contents
        .dispatch
        .as_ref()
        .map(|dispatch| ProofOfDispatchContent::parse(&dispatch.xml).ok().map(|dispatch| dispatch.item));
    for (name, item) in [("the receipt", Some(receipt)), ("the proof of dispatch", dispatch)] {
        let Some(item) = item else { continue };
        let same = item.is_some_and(|item| {
            let parts = std::iter::once(&item.document).chain(&item.annexes);
            item.ticket == request.message_identifier
                && Some(item.token.as_str()) == request.token.as_deref()
                && item.sender == request.sender
                && Some(&item.recipient) == request.recipient.as_ref()
                && parts.map(digest).eq(digests(&request.parts))
        });
        if !same {
            other.push(name.to_owned());
        }
    }
    if other.is_empty() {
        let found = format!("{} evidence, the receipt and what else there is", known.evidence.len());
        checks.passed(name, clause, &expected, found);
    } else {
        checks.failed(name, clause, &expected, format!("other in {}", other.join(", ")), MISFIT);
    }
}

fn digest(part: &FileDescription) -> (&'static str, &[u8]) {
    (part.digest_method.as_str(), &part.digest_value)
}

fn digests(parts: &[FileDescription]) -> impl Iterator<Item = (&'static str, &[u8])> {
    parts.iter().map(digest)
}

fn judge_request(contents: &Contents, acceptance: &Evidence, checks: &mut Checks) {
    let name = "the sender's request";
    let clause = "EN 319 102-1 5.2.7; EN 319 522-1: A.1";
    let Event::SubmissionAcceptance(said) = &acceptance.event else { return };
    let expected = format!("SHA-256 {}, as A.1 says", hex(&said.soap_sha256));
    match &contents.request {
        None => {
            let found =
                format!("content absent: only its digest is here, SHA-256 {}", hex(&said.soap_sha256));
            checks.noted(name, clause, found);
        }
        Some(request) if pki::digest::sha256(request) == said.soap_sha256 => {
            checks.passed(name, clause, &expected, format!("{} bytes, exactly as received", request.len()));
        }
        Some(request) => {
            let found = hex(&pki::digest::sha256(request));
            checks.failed(name, clause, &expected, found, SubIndication::HashFailure);
        }
    }
}

/// Every entry that the evidence names is in the one tree that the log's key signed, and is of the record that the evidence attests.
fn judge_log(known: &Known<'_>, acceptance: &Evidence, log_key: Option<&Verifier>, checks: &mut Checks) {
    let name = "key of the log";
    let clause = "C2SP signed-note, tlog-checkpoint";
    let (own, origin) = (&known.log_key, acceptance.log_origin.as_str());
    match log_key {
        Some(given) if given.to_string() == own.to_string() => {
            checks.passed(name, clause, &format!("the one given: {given}"), own.to_string());
        }
        Some(given) => {
            let expected = format!("the one given: {given}");
            checks.failed(name, clause, &expected, own.to_string(), MISFIT);
        }
        None => checks.noted(name, clause, format!("{own}: by the seal's word alone, none was given")),
    }
    let mut wanted: Vec<LogEntry> =
        known.evidence.iter().flat_map(|(one, _)| [one.request_entry, one.event_entry]).collect();
    wanted.sort_by_key(|entry| entry.index);
    wanted.dedup();
    let name = "entries of the log";
    let clause = "C2SP tlog-proof; EN 319 522-3: TransactionLogInformation";
    let expected =
        "a proof of each entry that the evidence names, no other, all in one log under one checkpoint";
    let mut notes: Vec<_> = known.log_proofs.iter().map(|(proof, _)| proof.note()).collect();
    notes.dedup();
    let places = known.log_proofs.iter().map(|(proof, _)| proof.position());
    let of_one = known
        .evidence
        .iter()
        .all(|(one, _)| one.log_origin == origin && one.request_entry == acceptance.request_entry);
    let found = format!("{} proofs, {} checkpoint(s), {origin}", known.log_proofs.len(), notes.len());
    if of_one && notes.len() == 1 && own.origin() == origin && places.eq(wanted.iter().map(|one| one.index)) {
        checks.passed(name, clause, expected, found);
    } else {
        checks.failed(name, clause, expected, found, MISFIT);
    }
    for (proof, _) in &known.log_proofs {
        judge_entry(proof, known, &wanted, checks);
    }
}

fn judge_entry(proof: &Proof, known: &Known<'_>, wanted: &[LogEntry], checks: &mut Checks) {
    let name = "entry of the log";
    let clause = "RFC 6962 2.1.1; C2SP tlog-proof";
    let place = proof.position();
    let expected = format!("record {place}, as the evidence has it, in the tree that the log's key signed");
    let proved = match proof.verify(&known.log_key) {
        Ok(proved) => proved,
        Err(error) => {
            return checks.failed(name, clause, &expected, error.to_string(), SubIndication::HashFailure);
        }
    };
    let entry = LogEntry { index: proved.position, leaf_hash: proved.leaf_hash };
    let size = proved.checkpoint.size();
    if wanted.contains(&entry) && is_said(&proved, entry, known) {
        let found = format!("record {place} of {size}: {}", proved.record.kind());
        checks.passed(name, clause, &expected, found);
    } else {
        let found = format!("record {place} of {size} is another: {}", proved.record.kind());
        checks.failed(name, clause, &expected, found, MISFIT);
    }
}

/// The record says what the evidence of it says; a request's is the item's Received.
fn is_said(proved: &Proved, entry: LogEntry, known: &Known<'_>) -> bool {
    known.evidence.iter().all(|(evidence, _)| {
        let is_request = match &proved.record {
            Record::Received(received) => received.ticket.as_str() == evidence.request.message_identifier,
            _ => false,
        };
        (evidence.event_entry != entry || attests(&proved.record, evidence))
            && (evidence.request_entry != entry || is_request)
    })
}
