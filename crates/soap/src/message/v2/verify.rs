//! verifyProof: the offline verifier's verdict on a proof that the caller has.

use erds::Refusal;
use jiff::Timestamp;
use xmlsec::Element;
use xmlsec::write::Writer;

use super::super::Request;
use super::super::answer::{text, to_second, upper_hex};
use super::super::namespace::V2;
use super::super::read::{Allowed, Cursor};

/// The files of a proof and what its judgement may need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProofToVerify {
    /// `Receipt.xml`, `ProofOfDispatch.xml` or ERDS evidence, exactly as kept; one byte to 1 MiB.
    pub content: Vec<u8>,
    /// Its detached seal, DER, to 1 MiB; empty: of evidence, which holds its own signature.
    pub signature: Vec<u8>,
    /// Revocation lists, DER, not yet judged as such; 16 at most.
    pub crls: Vec<Vec<u8>>,
}

pub(in super::super) fn verify_proof(operation: Element<'_>) -> Result<Request, Refusal> {
    let mut request = Cursor::open(operation, "VerifyProofRequest".to_owned(), Allowed::Nothing)?;
    let content = request.text(V2, "Content")?.base64(1, FILE_BYTES_MAX)?;
    let signature = request.optional_text(V2, "Signature")?;
    let signature = signature.map(|text| text.base64(1, FILE_BYTES_MAX)).transpose()?.unwrap_or_default();
    let mut crls = Vec::new();
    while crls.len() < CRLS_MAX
        && let Some(text) = request.optional_text(V2, "Crl")?
    {
        crls.push(text.base64(1, usize::MAX)?);
    }
    request.end()?;
    Ok(Request::VerifyProof(ProofToVerify { content, signature, crls }))
}

/// A proof has a few kilobytes; the verifier reads no more than this either.
const FILE_BYTES_MAX: usize = 1 << 20;
/// The chains of a seal and a stamp have four lists, their deltas four more. What they may weigh is the message's limit.
const CRLS_MAX: usize = 16;

/// Does this proof hold?
pub fn write_verify_proof_request(proof: &ProofToVerify) -> String {
    let mut out = Writer::new();
    out.start("v2:VerifyProofRequest").namespace("v2", V2);
    out.start("v2:Content").base64(&proof.content).end();
    if !proof.signature.is_empty() {
        out.start("v2:Signature").base64(&proof.signature).end();
    }
    for crl in &proof.crls {
        out.start("v2:Crl").base64(crl).end();
    }
    text(out)
}

/// The verifier's verdict, in its own words, which are those of EN 319 102-1.
#[derive(Clone, Debug)]
pub struct ProofVerdict<'a> {
    /// `TOTAL-PASSED`, `TOTAL-FAILED` or `INDETERMINATE`.
    pub indication: &'a str,
    /// Why, unless passed.
    pub sub_indication: Option<&'a str>,
    /// Every check that ran, in order.
    pub checks: Vec<ProofCheck<'a>>,
    /// What the proof says, as a sentence; none if it cannot be read.
    pub statement: Option<String>,
    /// The environment that the proof names.
    pub environment: Option<&'a str>,
    /// Whom the judgement trusted: this instance's own anchors.
    pub anchors: Vec<ProofAnchor>,
    /// The time of the judgement.
    pub judged_at: Timestamp,
}

/// One check of a verdict.
#[derive(Clone, Debug)]
pub struct ProofCheck<'a> {
    /// What was checked.
    pub name: &'a str,
    /// The clause that demands it.
    pub clause: &'a str,
    /// `PASSED`, `FAILED`, `INDETERMINATE` or `NOTED`.
    pub outcome: &'a str,
    /// What had to be found; empty where nothing in particular.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Why it did not pass.
    pub sub_indication: Option<&'a str>,
}

/// What an anchor is trusted to certify.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnchorUse {
    /// Seals.
    Seal,
    /// Time-stamping authorities.
    Tsa,
}

/// A certificate that a judgement trusted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProofAnchor {
    /// For what.
    pub purpose: AnchorUse,
    /// Its subject.
    pub subject: String,
    /// SHA-256 of its DER.
    pub sha256: [u8; 32],
}

/// The answer to verifyProof.
pub fn write_verify_proof_response(verdict: &ProofVerdict<'_>) -> String {
    let mut out = Writer::new();
    out.start("v2:VerifyProofResponse").namespace("v2", V2).element("v2:Indication", verdict.indication);
    if let Some(why) = verdict.sub_indication {
        out.element("v2:SubIndication", why);
    }
    for check in &verdict.checks {
        out.start("v2:Check").element("v2:Name", check.name).element("v2:Clause", check.clause);
        out.element("v2:Outcome", check.outcome);
        if !check.expected.is_empty() {
            out.element("v2:Expected", &check.expected);
        }
        out.element("v2:Found", &check.found);
        if let Some(why) = check.sub_indication {
            out.element("v2:SubIndication", why);
        }
        out.end();
    }
    let said = [("v2:Statement", verdict.statement.as_deref()), ("v2:Environment", verdict.environment)];
    for (name, value) in said {
        if let Some(value) = value {
            out.element(name, value);
        }
    }
    for anchor in &verdict.anchors {
        let purpose = match anchor.purpose {
            AnchorUse::Seal => "SEAL",
            AnchorUse::Tsa => "TSA",
        };
        out.start("v2:TrustAnchor").element("v2:For", purpose).element("v2:Subject", &anchor.subject);
        out.element("v2:Sha256", &upper_hex(&anchor.sha256)).end();
    }
    out.element("v2:JudgedAt", &to_second(verdict.judged_at));
    text(out)
}
