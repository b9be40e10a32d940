//! The time-stamp, judged by itself: a good signature with a broken stamp is a broken proof.
//!
//! Sources: ETSI EN 319 102-1 §5.4 (time-stamp validation), RFC 3161 §2.4.2, security.md row 79.

use pki::path::{Purpose, Revocation};
use pki::tsp::{self, TimeStampToken, TokenChecks};

use super::paths::Judge;
use super::{CLOCK_SKEW_SECONDS_MAX, Checks, Inputs, Proven, ReadSeal, SubIndication, second};
use crate::seal::token;

/// Judges the token; `None` if it proves no time at all.
pub(super) fn judge(inputs: &Inputs<'_>, seal: &ReadSeal, checks: &mut Checks) -> Option<Proven> {
    let name = "time-stamp token";
    let clause = "EN 319 102-1 5.4; RFC 3161 2.4.2";
    let expected =
        "a token over this signature, signed by a time-stamping certificate, in every field as RFC 3161 says";
    if !token::is_tight(&seal.token) {
        let found = "versions or digest algorithms that RFC 5652 does not allow here";
        checks.failed(name, clause, expected, found, SubIndication::FormatFailure);
        return None;
    }
    let token = match TimeStampToken::from_der(&seal.token) {
        Ok(token) => token,
        Err(error) => {
            checks.failed(name, clause, expected, error.to_string(), SubIndication::FormatFailure);
            return None;
        }
    };
    let gen_time = token.tst_info().gen_time;
    // Revocation is judged below: here with it left out, so that each line says one thing.
    let token_checks = TokenChecks {
        imprint: &seal.imprint,
        nonce: None,
        policies: &[],
        anchors: inputs.tsa_anchors,
        revocation: Revocation::NotChecked,
        gen_time_window: None,
        at: gen_time,
    };
    let checked = match tsp::check(&token, &token_checks) {
        Ok(checked) => checked,
        Err(tsp::TspError::Path(pki::path::PathError::UnknownIssuer { .. })) => {
            let sub = SubIndication::NoCertificateChainFound;
            let found = "its certificate leads to no given anchor".to_owned();
            checks.push(name, clause, expected, found, super::Outcome::Indeterminate, Some(sub));
            return None;
        }
        Err(error) => {
            checks.failed(name, clause, expected, error.to_string(), SubIndication::SigConstraintsFailure);
            return None;
        }
    };
    let path = checked.path();
    let authority = path.leaf().subject().to_string();
    checks.passed(name, clause, expected, format!("{} by {authority}", second(gen_time)));

    let expected = "certificates of the authority's path, no other";
    if token::carries_path_alone(path, token.certificates()) {
        let found = format!("{}", token.certificates().len());
        checks.passed("certificates in the time-stamp", "RFC 3161 2.4.2", expected, found);
    } else {
        let sub = SubIndication::FormatFailure;
        checks.failed("certificates in the time-stamp", "RFC 3161 2.4.2", expected, "others", sub);
    }

    let judge =
        Judge { inputs, anchors: inputs.tsa_anchors, purpose: Purpose::TimeStamping, proven_at: gen_time };
    let judged = judge.by_itself(path.leaf(), token.certificates());
    judged.report("path of the time-stamp's certificate", "EN 319 102-1 5.2.6, 5.4", checks);

    let expected = format!("not after the time of judgement, {}", second(inputs.now));
    if gen_time.as_second() <= inputs.now.as_second() + CLOCK_SKEW_SECONDS_MAX {
        checks.passed("proof of existence", "EN 319 102-1 5.5.4", &expected, second(gen_time));
    } else {
        let sub = SubIndication::TimestampOrderFailure;
        checks.failed("proof of existence", "EN 319 102-1 5.5.4", &expected, second(gen_time), sub);
    }
    Some(Proven { at: gen_time, authority })
}
