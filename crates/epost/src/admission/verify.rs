//! verifyProof: what the offline verifier says of a proof that the caller sends, by the same code.
//!
//! Nothing of the store is looked up: the answer follows from what was sent, this instance's own anchors and the time alone.

use std::sync::Arc;

use erds::{FaultCode, Refusal};
use evidence::verify::{Inputs, Outcome, Report, line, verify};
use jiff::Timestamp;
use pki::crl::{Crl, CrlError};
use soap::message::v2::{
    AnchorUse, ProofAnchor, ProofCheck, ProofToVerify, ProofVerdict, write_verify_proof_response,
};

use super::facts::SignedMessage;
use super::{Arrived, Reply};
use crate::service::Service;
use crate::trust::ProofAnchors;

impl Service {
    pub(super) async fn verify_proof(
        self: &Arc<Self>,
        arrived: &Arc<Arrived>,
        message: SignedMessage,
        proof: ProofToVerify,
    ) -> Result<Reply, Refusal> {
        let anchors = self.proof_anchors();
        let now = self.now();
        let report = tokio::task::block_in_place(|| {
            let crls = crls(&proof.crls)?;
            Ok::<_, Refusal>(verify(&Inputs {
                xml: &proof.content,
                p7s: &proof.signature,
                documents: &[],
                crls: &crls,
                seal_anchors: &anchors.seal,
                tsa_anchors: &anchors.tsa,
                log_key: None,
                now,
            }))
        })?;
        self.record_read(arrived, &message, None).await?;
        let payload = write_verify_proof_response(&verdict(&report, anchors, now));
        Ok(self.signed(message.version, 200, &payload)?)
    }
}

fn crls(given: &[Vec<u8>]) -> Result<Vec<Crl>, Refusal> {
    let read =
        |(place, der): (usize, &Vec<u8>)| Crl::from_der(der).map_err(|error| no_crl(place + 1, &error));
    given.iter().enumerate().map(read).collect()
}

fn no_crl(place: usize, error: &CrlError) -> Refusal {
    Refusal::new(
        FaultCode::Soa03006,
        error.code(),
        &format!("VerifyProofRequest/Crl {place}: {error}"),
        "a revocation list in DER, signed with SHA-2",
        "Send the lists as getProof gives them, or none.",
    )
}

fn verdict<'a>(report: &'a Report, anchors: &ProofAnchors, judged_at: Timestamp) -> ProofVerdict<'a> {
    let check = |check: &'a evidence::verify::Check| ProofCheck {
        name: check.name,
        clause: check.clause,
        outcome: outcome(check.outcome),
        // What a proof says may hold what turns or hides text.
        expected: line(&check.expected),
        found: line(&check.found),
        sub_indication: check.sub_indication.map(|sub| sub.as_str()),
    };
    let of = |purpose, anchors: &pki::path::TrustAnchors| {
        let anchor = |anchor: &pki::certificate::Certificate| ProofAnchor {
            purpose,
            subject: line(&anchor.subject().to_string()),
            sha256: anchor.fingerprint(),
        };
        anchors.anchors().iter().map(anchor).collect::<Vec<_>>()
    };
    ProofVerdict {
        indication: report.indication.as_str(),
        sub_indication: report.sub_indication.map(|sub| sub.as_str()),
        checks: report.checks.iter().map(check).collect(),
        statement: report.facts.as_ref().map(|facts| line(&facts.statement)),
        environment: report.facts.as_ref().map(|facts| facts.environment.as_str()),
        anchors: [of(AnchorUse::Seal, &anchors.seal), of(AnchorUse::Tsa, &anchors.tsa)].concat(),
        judged_at,
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "PASSED",
        Outcome::Failed => "FAILED",
        Outcome::Indeterminate => "INDETERMINATE",
        Outcome::Noted => "NOTED",
    }
}
