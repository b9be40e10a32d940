//! An ERDS evidence, judged: its form, its signature, what it says.
//!
//! The file must be written as ePost writes one, byte for byte; then the signature is verified by the general verifier of XML
//! signatures, which shares no code with that writer, and must cover the root and its own signed properties, nothing else.
//!
//! Sources: ETSI EN 319 102-1 §5.2, EN 319 132-1 §6.3, EN 319 522-3 V1.2.1; `evidence.md`, ERDS evidence.

use pki::certificate::Certificate;
use pki::digest::DigestAlgorithm;
use xmlsec::namespace::DS;
use xmlsec::signature::{self, Covered, Enveloped, Profile, Signature, SignatureError};
use xmlsec::{Document, Limits};

use super::content::{file_fact, judge_environment, judge_files};
use super::{
    Checks, FILE_BYTES_MAX, Facts, Inputs, Proven, ReadSeal, SubIndication, in_order, initialise, judge_key,
    judge_times_and_paths, second,
};
use crate::event::signed::Signed;
use crate::event::{Event, Evidence};
use crate::schema::{ProofReadError, structure};
use crate::xades::{ALGORITHMS, Form, PROPERTIES_ID};

/// Judges the evidence; gives what it says if it can be read.
pub(super) fn judge(inputs: &Inputs<'_>, checks: &mut Checks) -> Option<Facts> {
    const FORM: &str =
        "an Evidence of EN 319 522-3 under one enveloped XAdES-BASELINE-T, written as ePost writes it";
    let name = "format of the evidence";
    let clause = "EN 319 102-1 5.2.2; EN 319 522-3; EN 319 132-1 6.3";
    let (document, signed) = match read(inputs.xml) {
        Ok(read) => read,
        Err(error) => {
            checks.failed(name, clause, FORM, error.to_string(), SubIndication::FormatFailure);
            return None;
        }
    };
    let evidence = &signed.evidence;
    let found = format!("{} {}, every byte accounted for", evidence.event.number(), evidence.event.name());
    checks.passed(name, clause, FORM, found);
    let expected =
        "the certificate that SigningCertificateV2 names: first in KeyInfo, and the evidence's issuer's";
    let is_issuers = |certificate: &Certificate| certificate.der() == signed.issuer.der();
    let seal = identify(&signed.form, expected, is_issuers, checks);
    let proven = seal.as_ref().and_then(|seal| {
        initialise(inputs, checks);
        judge_key(seal, checks);
        judge_signature(&document, seal, checks);
        judge_times_and_paths(inputs, seal, checks)
    });
    judge_core(evidence, checks);
    judge_environment(evidence.environment, seal.as_ref(), checks);
    judge_times(evidence, proven.as_ref(), checks);
    let clause = "EN 319 102-1 5.2.7; EN 319 522-3: PartInfo";
    judge_files(inputs.documents, evidence.request.parts.iter(), clause, checks);
    checks.noted(
        "entries of the log",
        "RFC 6962; EN 319 522-3: TransactionLogInformation",
        entries(evidence),
    );
    Some(facts(inputs, evidence, seal.as_ref(), proven.as_ref()))
}

fn read(xml: &[u8]) -> Result<(Document, Signed), ProofReadError> {
    if xml.len() > FILE_BYTES_MAX {
        return Err(structure("an evidence of at most 1 MiB", "a larger file"));
    }
    let document = Document::parse(xml, &Limits::default()).map_err(ProofReadError::Xml)?;
    let signed = Signed::read(&document)?;
    Ok((document, signed))
}

/// The certificate that the signed properties name, which must be the first beside the signature and the one that `is_expected`.
pub(super) fn identify(
    form: &Form,
    expected: &str,
    is_expected: impl Fn(&Certificate) -> bool,
    checks: &mut Checks,
) -> Option<ReadSeal> {
    let name = "signing certificate";
    let clause = "EN 319 102-1 5.2.3; EN 319 132-1 5.2.2";
    let certificates: Result<Vec<_>, _> =
        form.certificates.iter().map(|der| Certificate::from_der(der)).collect();
    let Ok(certificates) = certificates else {
        checks.failed(name, clause, "DER certificates", "bytes that are none", SubIndication::FormatFailure);
        return None;
    };
    let named = |certificate: &&Certificate| {
        certificate.fingerprint() == form.certificate_sha256 && is_expected(certificate)
    };
    let Some(signer) = certificates.first().filter(named).cloned() else {
        let sub = SubIndication::NoSigningCertificateFound;
        checks.failed(name, clause, expected, "another certificate, or none", sub);
        return None;
    };
    checks.passed(name, clause, expected, signer.subject().to_string());
    Some(ReadSeal {
        signer,
        certificates,
        signing_time: form.signing_time,
        imprint: form.imprint(),
        token: form.token.clone().unwrap_or_default(),
    })
}

/// What a signature of an evidence may be: RSA or P-256 with SHA-256, exclusive canonicalisation, enveloped, with an Object.
fn profile() -> Profile {
    Profile {
        inclusive_c14n: false,
        comments: false,
        implicit_c14n: false,
        whole_document: false,
        digests: vec![DigestAlgorithm::Sha256],
        signatures: ALGORITHMS.to_vec(),
        str_transform: false,
        enveloped: Enveloped::Allowed,
        objects: true,
    }
}

fn judge_signature(document: &Document, seal: &ReadSeal, checks: &mut Checks) {
    let clause = "EN 319 102-1 5.2.7; XML Signature 1.1 3.2";
    let root = document.root();
    let profile = profile();
    let signature = match root.child(DS, "Signature").map(Signature::parse) {
        Some(Ok(signature)) => signature,
        Some(Err(error)) => {
            return checks.failed(
                "signature",
                clause,
                "one",
                error.to_string(),
                SubIndication::FormatFailure,
            );
        }
        None => return checks.failed("signature", clause, "one", "none", SubIndication::FormatFailure),
    };

    let name = "what the signature covers";
    let expected = "the root as it stands, and its own signed properties; nothing else";
    match signature::digest_references(document, &signature, &profile, &|_| None) {
        Ok(covered) if covers_both(document, &signature, &covered) => {
            checks.passed(name, clause, expected, "these two, with the digests stated");
        }
        Ok(_) => checks.failed(name, clause, expected, "other elements", SubIndication::FormatFailure),
        Err(error) => {
            let why = match &error {
                SignatureError::DigestMismatch { .. } => SubIndication::HashFailure,
                _ => SubIndication::FormatFailure,
            };
            checks.failed(name, clause, expected, error.to_string(), why);
        }
    }

    let name = "signature value";
    let expected = "made over SignedInfo with the certificate's key";
    match signature::verify(document, &signature, seal.signer.public_key(), &profile) {
        Ok(_) => checks.passed(name, clause, expected, "verifies with the certificate's key"),
        // Said on the line above.
        Err(SignatureError::DigestMismatch { .. }) => {
            checks.noted(name, clause, "made with the certificate's key, over other digests");
        }
        Err(error) => {
            checks.failed(name, clause, expected, error.to_string(), SubIndication::SigCryptoFailure);
        }
    }
}

/// Exactly two references: the root, in which the signature stands as its last child, and the properties in this signature's Object.
fn covers_both(document: &Document, signature: &Signature<'_>, covered: &[Covered<'_>]) -> bool {
    let [content, properties] = covered else { return false };
    let root = document.root();
    let last = root.children().last();
    content.element == root
        && content.coverage == signature::Coverage::Element
        && last == Some(signature.element())
        && properties.coverage == signature::Coverage::Element
        && properties.element.attribute(None, "Id").as_deref() == Some(PROPERTIES_ID)
        && signature.objects().iter().any(|object| object.contains(properties.element))
}

/// What every evidence must say beyond what its schema demands (`evidence.md`, Core).
fn judge_core(evidence: &Evidence, checks: &mut Checks) {
    let name = "core of the evidence";
    let clause = "EN 319 522-3: Evidence; EN 319 102-1 5.2.8";
    let expected = "recipient, sender's token and a digest of each part; of a refused request, as far as it could be read";
    let missing = evidence.missing();
    if missing.is_empty() {
        checks.passed(name, clause, expected, "all there");
    } else {
        let found = format!("without {}", missing.join(", "));
        checks.failed(name, clause, expected, found, SubIndication::SigConstraintsFailure);
    }
}

/// The times that the evidence states, in the order in which they must have been.
fn judge_times(evidence: &Evidence, proven: Option<&Proven>, checks: &mut Checks) {
    let name = "order of the times";
    let clause = "EN 319 102-1 5.5.4; EN 319 522-3: EventTime";
    let Some(proven) = proven else { return };
    let mut times = vec![evidence.request.submitted_at];
    match &evidence.event {
        Event::ContentConsignmentFailure(failure) => {
            times.extend(failure.attempts.iter().map(|attempt| attempt.at))
        }
        Event::ContentAccessTracking(access) => times.extend(access.not_before),
        _ => {}
    }
    times.push(evidence.event_time);
    times.push(proven.at);
    let expected = "submitted, then what came between, then the event, then time-stamped";
    let found = times.iter().map(|at| second(*at)).collect::<Vec<_>>().join(", ");
    if in_order(&times) {
        checks.passed(name, clause, expected, found);
    } else {
        checks.failed(name, clause, expected, found, SubIndication::TimestampOrderFailure);
    }
}

fn entries(evidence: &Evidence) -> String {
    let origin = &evidence.log_origin;
    let (request, event) = (evidence.request_entry.index, evidence.event_entry.index);
    let which = if evidence.request_entry == evidence.event_entry {
        format!("entry {request} of {origin}")
    } else {
        format!("entries {request} (request) and {event} (event) of {origin}")
    };
    format!("{which}: stated; that the log has them, its proof of inclusion shows")
}

pub(super) fn facts(
    inputs: &Inputs<'_>,
    evidence: &Evidence,
    seal: Option<&ReadSeal>,
    proven: Option<&Proven>,
) -> Facts {
    let request = &evidence.request;
    let sender = &request.sender;
    let recipient = request.recipient.as_ref().map_or_else(|| "not stated".to_owned(), ToString::to_string);
    let delegate = request.delegate.as_ref().map_or_else(String::new, |delegate| {
        format!("; delegate: enterprise {} ({})", delegate.company_id, delegate.quality_code)
    });
    Facts {
        kind: evidence.event.name(),
        statement: evidence.statement(),
        sealed_by: seal.map_or_else(|| "nobody".to_owned(), |seal| seal.signer.subject().to_string()),
        event_time: Some(second(evidence.event_time)),
        time: proven.map(|proven| second(proven.at)),
        time_stamped_by: proven.map(|proven| proven.authority.clone()),
        environment: evidence.environment.as_str().to_owned(),
        ticket: request.message_identifier.clone(),
        token: request.token.clone().unwrap_or_else(|| "not stated".to_owned()),
        sender: format!("enterprise {} ({})", sender.company_id, sender.application_id),
        recipient: format!("{recipient}{delegate}"),
        files: request.parts.iter().map(|part| file_fact(part, inputs.documents)).collect(),
    }
}
