//! The offline verifier: is this proof good, and what does it prove.
//!
//! Every check is one line of the [`Report`], named by its clause. A proof passes only if every byte of both files is
//! accounted for: the XML by the digest, the seal by its one form, the time-stamp token by its own signature and by
//! the path that its certificates must make up exactly. An ERDS evidence is one file, read only in the one way in which it is
//! written, under a signature inside it (`enveloped.rs`); a package is all of them in one container (`package.rs`).
//!
//! Source: ETSI EN 319 102-1 §5.2 (building blocks), §5.4 (time-stamps), §5.5 (signatures with time).

pub(crate) mod belonging;
pub mod command;
mod content;
mod enveloped;
mod indication;
mod package;
mod paths;
mod report;
mod stamp;

use jiff::Timestamp;
use journal::checkpoint::Verifier;
use pki::algorithm::SignatureAlgorithm;
use pki::certificate::Certificate;
use pki::crl::Crl;
use pki::digest::{Digest, DigestAlgorithm};
use pki::path::{Purpose, TrustAnchors};

pub use content::GivenFile;
pub use indication::{Indication, SubIndication};
pub use report::{Check, Facts, FileFact, Inside, Outcome, Report, line};

use crate::seal::form::{self, FormAlgorithm, SealForm};
use crate::seal::token;
use paths::Judge;
use pki::der::DerError;

/// What one proof is judged by. Trust anchors are the user's, and nothing is fetched.
pub struct Inputs<'a> {
    /// The proof: `Receipt.xml`, `ProofOfDispatch.xml`, an ERDS evidence or a package, exactly as received.
    pub xml: &'a [u8],
    /// Its detached signature, DER; empty for an ERDS evidence or a package, which has its own inside.
    pub p7s: &'a [u8],
    /// The files that were sent, as far as the user has them.
    pub documents: &'a [GivenFile],
    /// Revocation lists of the seal's and the time-stamping authority's paths; those of a package count beside them.
    pub crls: &'a [Crl],
    /// Whom the user trusts to certify seals.
    pub seal_anchors: &'a TrustAnchors,
    /// Whom the user trusts to certify time-stamping authorities.
    pub tsa_anchors: &'a TrustAnchors,
    /// The log's key that the user trusts; without one, a package's own is taken by the seal's word.
    pub log_key: Option<&'a Verifier>,
    /// The time of the judgement.
    pub now: Timestamp,
}

/// How far clocks may differ before two times contradict each other.
pub(crate) const CLOCK_SKEW_SECONDS_MAX: i64 = 60;
/// Larger files are not read as proofs: a receipt has a few kilobytes.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;

/// Judges one proof. Pure: no socket, no file, no clock; the same inputs give the same report.
pub fn verify(inputs: &Inputs<'_>) -> Report {
    let mut checks = Checks::default();
    if inputs.p7s.is_empty() && crate::package::looks_like_package(inputs.xml) {
        let (facts, inside) = package::judge(inputs, &mut checks);
        return Report { inside, ..Report::of(checks.0, facts) };
    }
    if inputs.p7s.is_empty() && crate::event::looks_like_evidence(inputs.xml) {
        let facts = enveloped::judge(inputs, &mut checks);
        return Report::of(checks.0, facts);
    }
    let form = read_seal(inputs, &mut checks);
    let proven = form.as_ref().and_then(|(form, seal)| judge_seal(inputs, form, seal, &mut checks));
    let seal = form.as_ref().map(|(_, seal)| seal);
    let facts = content::judge(inputs, seal, proven.as_ref(), &mut checks);
    Report::of(checks.0, facts)
}

/// What a detached seal and an evidence's signature have in common.
pub(crate) struct ReadSeal {
    signer: Certificate,
    certificates: Vec<Certificate>,
    signing_time: Timestamp,
    /// What the time-stamp must be over.
    imprint: Digest,
    token: Vec<u8>,
}

/// When the seal existed, and who says so.
pub(crate) struct Proven {
    at: Timestamp,
    authority: String,
}

/// The lines so far.
#[derive(Default)]
pub(crate) struct Checks(Vec<Check>);

impl Checks {
    /// The name of the first that failed.
    pub(crate) fn first_failed(&self) -> Option<&'static str> {
        self.0.iter().find(|check| check.outcome == Outcome::Failed).map(|check| check.name)
    }

    pub(crate) fn passed(
        &mut self,
        name: &'static str,
        clause: &'static str,
        expected: &str,
        found: impl Into<String>,
    ) {
        self.push(name, clause, expected, found.into(), Outcome::Passed, None);
    }

    pub(crate) fn failed(
        &mut self,
        name: &'static str,
        clause: &'static str,
        expected: &str,
        found: impl Into<String>,
        why: SubIndication,
    ) {
        self.push(name, clause, expected, found.into(), Outcome::Failed, Some(why));
    }

    pub(crate) fn noted(&mut self, name: &'static str, clause: &'static str, found: impl Into<String>) {
        self.push(name, clause, "", found.into(), Outcome::Noted, None);
    }

    pub(crate) fn push(
        &mut self,
        name: &'static str,
        clause: &'static str,
        expected: &str,
        found: String,
        outcome: Outcome,
        sub_indication: Option<SubIndication>,
    ) {
        self.0.push(Check { name, clause, expected: expected.to_owned(), found, outcome, sub_indication });
    }
}

/// Format checking and identification of the signing certificate: without these two nothing else can be asked.
fn read_seal(inputs: &Inputs<'_>, checks: &mut Checks) -> Option<(SealForm, ReadSeal)> {
    const FORM: &str = "one detached CMS SignedData in DER, in ePost's one form of CAdES-BASELINE-T";
    let name = "format of the seal";
    let clause = "EN 319 102-1 5.2.2; EN 319 122-1 6.3";
    let in_size = inputs.p7s.len() <= FILE_BYTES_MAX;
    let form = if in_size { SealForm::decode(inputs.p7s) } else { Err(DerError) };
    let Ok(form) = form else {
        let found = format!("{} bytes that are not of this form", inputs.p7s.len());
        checks.failed(name, clause, FORM, found, SubIndication::FormatFailure);
        return None;
    };
    checks.passed(name, clause, FORM, "CAdES-BASELINE-T, DER, every byte accounted for");

    let name = "signing certificate";
    let clause = "EN 319 102-1 5.2.3";
    let expected = "the certificate that signing-certificate-v2 and the signer identifier name";
    let certificates: Result<Vec<_>, _> =
        form.certificates.iter().map(|der| Certificate::from_der(der)).collect();
    let Ok(certificates) = certificates else {
        checks.failed(name, clause, "DER certificates", "bytes that are none", SubIndication::FormatFailure);
        return None;
    };
    let signer = certificates.iter().find(|certificate| {
        certificate.fingerprint() == form.certificate_sha256
            && form::signer_id(certificate.der()).is_ok_and(|id| id == form.signer_id)
    });
    let Some(signer) = signer.cloned() else {
        let sub = SubIndication::NoSigningCertificateFound;
        checks.failed(name, clause, expected, "no such certificate in the seal", sub);
        return None;
    };
    checks.passed(name, clause, expected, signer.subject().to_string());
    let seal = ReadSeal {
        signer,
        certificates,
        signing_time: form.signing_time,
        imprint: Digest::of(DigestAlgorithm::Sha256, &form.signature),
        token: form.token.clone().unwrap_or_default(),
    };
    Some((form, seal))
}

/// Cryptographic verification, the time-stamp by itself, then the seal's path at the time that the stamp proves.
fn judge_seal(inputs: &Inputs<'_>, form: &SealForm, seal: &ReadSeal, checks: &mut Checks) -> Option<Proven> {
    initialise(inputs, checks);
    verify_cryptographically(inputs, form, seal, checks);
    judge_times_and_paths(inputs, seal, checks)
}

/// The time-stamp by itself, then the signer's path at the time that it proves; `None` if it proves no time.
fn judge_times_and_paths(inputs: &Inputs<'_>, seal: &ReadSeal, checks: &mut Checks) -> Option<Proven> {
    let proven = stamp::judge(inputs, seal, checks)?;
    let judge =
        Judge { inputs, anchors: inputs.seal_anchors, purpose: Purpose::Sealing, proven_at: proven.at };
    let judged = judge.with_proof_of_existence(&seal.signer, &seal.certificates);
    judged.report("path of the seal's certificate", "EN 319 102-1 5.2.6, 5.5.4", checks);
    if let Some(path) = judged.path {
        // Bytes that no check reads must not lie in the seal: exactly the path, and never the root.
        let is_root = |certificate: &Certificate| certificate.subject().der() == certificate.issuer().der();
        let exact =
            token::carries_path_alone(&path, &seal.certificates) && !seal.certificates.iter().any(is_root);
        let name = "certificates in the seal";
        let expected = "the signer's and its intermediates, no other, no root";
        if exact {
            checks.passed(name, "contract: the seal", expected, format!("{}", seal.certificates.len()));
        } else {
            checks.failed(name, "contract: the seal", expected, "others", SubIndication::FormatFailure);
        }
    }
    accept_signature(seal, &proven, checks);
    Some(proven)
}

/// Validation context initialisation: what the judgement rests on, said before it is made.
fn initialise(inputs: &Inputs<'_>, checks: &mut Checks) {
    let found =
        format!("judged at {}, {} revocation list(s), no network", second(inputs.now), inputs.crls.len());
    checks.passed("validation context", "EN 319 102-1 5.2.4", "", found);
}

fn verify_cryptographically(inputs: &Inputs<'_>, form: &SealForm, seal: &ReadSeal, checks: &mut Checks) {
    let name = "digest of the proof";
    let clause = "EN 319 102-1 5.2.7";
    let actual = pki::digest::sha256(inputs.xml);
    if actual == form.message_digest {
        checks.passed(name, clause, "", format!("SHA-256 {}", hex(&actual)));
    } else {
        let expected = format!("SHA-256 {}", hex(&form.message_digest));
        checks.failed(name, clause, &expected, hex(&actual), SubIndication::HashFailure);
    }

    judge_key(seal, checks);
    let name = "signature value";
    let clause = "EN 319 102-1 5.2.7; RFC 5652 5.6";
    let expected = "made over the signed attributes with the certificate's key";
    if signature_verifies(form, seal) {
        checks.passed(name, clause, expected, "verifies with the certificate's key");
    } else {
        checks.failed(name, clause, expected, "does not verify", SubIndication::SigCryptoFailure);
    }
}

/// Whether the signer's key is one that TS 119 312 still lets count.
fn judge_key(seal: &ReadSeal, checks: &mut Checks) {
    let name = "strength of the key";
    let clause = "EN 319 102-1 5.2.8; TS 119 312";
    let key = seal.signer.public_key();
    match key.check_strength() {
        Ok(()) => checks.passed(name, clause, "", format!("{:?}, {} bits, SHA-256", key.kind(), key.bits())),
        Err(error) => {
            let expected = "RSA of 2048 bits or more, or P-256";
            checks.failed(name, clause, expected, error.to_string(), SubIndication::CryptoConstraintsFailure);
        }
    }
}

fn signature_verifies(form: &SealForm, seal: &ReadSeal) -> bool {
    let (algorithm, signature) = match form.algorithm {
        FormAlgorithm::RsaSha256 => (SignatureAlgorithm::RsaSha256, Some(form.signature.clone())),
        FormAlgorithm::EcdsaSha256 => {
            (SignatureAlgorithm::EcdsaSha256, pki::algorithm::ecdsa_from_der(&form.signature, 32).ok())
        }
    };
    signature.is_some_and(|signature| {
        seal.signer.public_key().verify(algorithm, &form.signed_attributes(), &signature).is_ok()
    })
}

/// Signature acceptance: do the attributes fit each other.
fn accept_signature(seal: &ReadSeal, proven: &Proven, checks: &mut Checks) {
    let claimed = seal.signing_time;
    let name = "signing time";
    let clause = "EN 319 102-1 5.2.8, 5.5.4";
    let expected = format!("not after the time-stamp, {}", second(proven.at));
    if claimed.as_second() <= proven.at.as_second() + CLOCK_SKEW_SECONDS_MAX {
        checks.passed(name, clause, &expected, second(claimed));
    } else {
        checks.failed(name, clause, &expected, second(claimed), SubIndication::TimestampOrderFailure);
    }
}

/// Whether each came after those before it, as far as clocks can tell: one that was set right by a moment between two acts contradicts nothing.
pub(crate) fn in_order(times: &[Timestamp]) -> bool {
    let mut latest = i64::MIN;
    times.iter().map(|at| at.as_second()).all(|at| {
        let follows = at >= latest.saturating_sub(CLOCK_SKEW_SECONDS_MAX);
        latest = latest.max(at);
        follows
    })
}

/// The instant to the second, UTC.
pub(crate) fn second(at: Timestamp) -> String {
    crate::dispatch::to_the_second(at)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
pub(crate) mod tests;
