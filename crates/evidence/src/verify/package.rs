//! A package, judged: the container's one form, its signature over every file, each proof in it, and whether they belong together.
//!
//! The container must be as ePost writes one, byte for byte; the signature's canonical forms are then made by the general
//! canonicaliser, which shares no code with that writer.
//!
//! Sources: ETSI EN 319 162-1 §4.4, EN 319 102-1 §5.2 and §5.5, EN 319 132-1 §6.3 (LT).

use pki::crl::Crl;
use xmlsec::c14n::{self, Method};
use xmlsec::namespace::DS;
use xmlsec::{Document, Element};

use super::content::{judge_environment, judge_files};
use super::enveloped::identify;
use super::report::Inside;
use super::{
    Checks, Facts, Indication, Inputs, Outcome, Proven, ReadSeal, SubIndication, belonging, in_order,
    initialise, judge_key, judge_times_and_paths, second, verify,
};
use crate::dispatch::parse_second;
use crate::package::{Known, Package, first_changed, read_signatures};
use crate::xades::{Form, PROPERTIES_ID, XADES_NAMESPACE};

/// Judges the package; gives what it says if it can be read, and the reports of what is in it.
pub(super) fn judge(inputs: &Inputs<'_>, checks: &mut Checks) -> (Option<Facts>, Vec<Inside>) {
    const FORM: &str = "an ASiC-E container as ePost writes one: its files, each once, in order, stored";
    let name = "format of the package";
    let clause = "EN 319 162-1 4.4; EN 319 102-1 5.2.2";
    let failed = |checks: &mut Checks, found: String| {
        checks.failed(name, clause, FORM, found, SubIndication::FormatFailure);
        (None, Vec::new())
    };
    let package = match Package::parse(inputs.xml) {
        Ok(package) => package,
        Err(error) => return failed(checks, error.to_string()),
    };
    let known = match package.contents.known() {
        Ok(known) => known,
        Err(error) => return failed(checks, error.to_string()),
    };
    let found = format!("{} files under the signature, every byte accounted for", known.files().len());
    checks.passed(name, clause, FORM, found);
    let crls: Vec<Crl> = known.crls.iter().chain(inputs.crls).cloned().collect();
    let inputs = &Inputs { crls: &crls, ..*inputs };
    let (seal, proven) = judge_signature(inputs, &package, &known, checks);
    let Some(acceptance) = known.acceptance() else { return (None, Vec::new()) };
    judge_environment(acceptance.environment, seal.as_ref(), checks);
    let inside = judge_inside(inputs, &package, &known, checks);
    judge_times(&inside, proven.as_ref(), checks);
    belonging::judge(&package.contents, &known, inputs.log_key, checks);
    let clause = "EN 319 102-1 5.2.7; EN 319 522-3: PartInfo";
    judge_files(inputs.documents, acceptance.request.parts.iter(), clause, checks);
    let mut facts = super::enveloped::facts(inputs, acceptance, seal.as_ref(), proven.as_ref());
    facts.kind = "PACKAGE";
    facts.event_time = None;
    facts.statement = statement(&package, &known);
    (Some(facts), inside)
}

fn statement(package: &Package, known: &Known<'_>) -> String {
    let ticket = known.acceptance().map_or("", |acceptance| &acceptance.request.message_identifier);
    let mut held: Vec<String> = known
        .evidence
        .iter()
        .map(|(evidence, _)| format!("{} {}", evidence.event.number(), evidence.event.name()))
        .collect();
    held.push("its receipt".to_owned());
    if package.contents.dispatch.is_some() {
        held.push("its proof of dispatch".to_owned());
    }
    format!("this package holds, of item {ticket}: {}; what each proves stands below.", held.join(", "))
}

/// The signature of the container: its form, whose it is, what it covers, its value, its time and its path.
fn judge_signature(
    inputs: &Inputs<'_>,
    package: &Package,
    known: &Known<'_>,
    checks: &mut Checks,
) -> (Option<ReadSeal>, Option<Proven>) {
    const FORM: &str =
        "one XAdES-BASELINE-LT signature in an asic:XAdESSignatures, written as ePost writes it";
    let name = "format of the signature";
    let clause = "EN 319 162-1 4.4; EN 319 132-1 6.3";
    let (document, form) = match read_signatures(&package.signatures_xml) {
        Ok(read) => read,
        Err(error) => {
            checks.failed(name, clause, FORM, error.to_string(), SubIndication::FormatFailure);
            return (None, None);
        }
    };
    checks.passed(name, clause, FORM, "XAdES-BASELINE-LT, every byte accounted for");
    let expected = "the certificate that SigningCertificateV2 names, in KeyInfo";
    let Some(seal) = identify(&form, expected, |_| true, checks) else { return (None, None) };
    initialise(inputs, checks);
    judge_key(&seal, checks);
    let name = "what the signature covers";
    let clause = "EN 319 162-1 4.4; EN 319 102-1 5.2.7";
    let expected =
        "every file but mimetype and itself, with the digests stated; in it the revocation lists of crls/";
    match first_changed(&form, known, &package.contents) {
        None => checks.passed(name, clause, expected, "exactly these"),
        Some(file) => {
            checks.failed(name, clause, expected, format!("another {file}"), SubIndication::HashFailure)
        }
    }
    let name = "signature value";
    let clause = "EN 319 102-1 5.2.7; XML Signature 1.1 3.2";
    let expected = "made over SignedInfo and the signed properties with the certificate's key";
    if signature_verifies(&document, &form, &seal).is_some_and(|verifies| verifies) {
        checks.passed(name, clause, expected, "verifies with the certificate's key");
    } else {
        checks.failed(name, clause, expected, "does not verify", SubIndication::SigCryptoFailure);
    }
    let proven = judge_times_and_paths(inputs, &seal, checks);
    (Some(seal), proven)
}

/// By the general canonicaliser: SignedInfo under the key, and the properties under the last reference of SignedInfo. `None`: an element
/// is not there.
fn signature_verifies(document: &Document, form: &Form, seal: &ReadSeal) -> Option<bool> {
    let signature = document.root().child(DS, "Signature")?;
    let signed_info = signature.child(DS, "SignedInfo")?;
    let last = signed_info.children().last()?;
    let properties = ["QualifyingProperties", "SignedProperties"]
        .into_iter()
        .try_fold(signature.child(DS, "Object")?, |element, name| element.child(XADES_NAMESPACE, name))?;
    let is_it = last.attribute(None, "URI")?.strip_prefix('#') == Some(PROPERTIES_ID)
        && properties.attribute(None, "Id")? == PROPERTIES_ID;
    let stated = last.child(DS, "DigestValue")?.text().ok()?;
    let actual = xmlsec::base64::encode(&pki::digest::sha256(&canonical(properties)?));
    let key = seal.signer.public_key();
    Some(
        is_it
            && stated == actual
            && key.verify(form.algorithm, &canonical(signed_info)?, &form.value).is_ok(),
    )
}

fn canonical(element: Element<'_>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    c14n::canonicalize(element, &Method::exclusive(), &mut bytes).ok().map(|()| bytes)
}

/// Each proof in the package by itself, as if it had been given alone.
fn judge_inside(
    inputs: &Inputs<'_>,
    package: &Package,
    known: &Known<'_>,
    checks: &mut Checks,
) -> Vec<Inside> {
    let mut proofs: Vec<(String, &[u8], &[u8])> = Vec::new();
    for (evidence, xml) in &known.evidence {
        proofs.push((Known::evidence_name(evidence), xml, &[]));
    }
    let contents = &package.contents;
    proofs.push(("receipt/Receipt.xml".to_owned(), &contents.receipt.xml, &contents.receipt.p7s));
    if let Some(dispatch) = &contents.dispatch {
        proofs.push(("dispatch/ProofOfDispatch.xml".to_owned(), &dispatch.xml, &dispatch.p7s));
    }
    let mut inside = Vec::new();
    for (file, xml, p7s) in proofs {
        let report = verify(&Inputs { xml, p7s, ..*inputs });
        let outcome = match report.indication {
            Indication::TotalPassed => Outcome::Passed,
            Indication::TotalFailed => Outcome::Failed,
            Indication::Indeterminate => Outcome::Indeterminate,
        };
        let kind = report.facts.as_ref().map_or("nothing", |facts| facts.kind);
        let found = format!("{file}: {}, {kind}", report.indication.as_str());
        let expected = "a proof that holds by itself";
        checks.push(
            "proof in the package",
            "EN 319 102-1 5",
            expected,
            found,
            outcome,
            report.sub_indication,
        );
        inside.push(Inside { file, report });
    }
    inside
}

/// The proofs were there before the package was sealed.
fn judge_times(inside: &[Inside], proven: Option<&Proven>, checks: &mut Checks) {
    let name = "order of the times";
    let clause = "EN 319 102-1 5.5.4";
    let Some(proven) = proven else { return };
    let stamps: Vec<_> = inside
        .iter()
        .filter_map(|inside| parse_second(inside.report.facts.as_ref()?.time.as_deref()?))
        .collect();
    let expected = format!("every proof time-stamped before the package, {}", second(proven.at));
    let found = stamps.iter().map(|at| second(*at)).collect::<Vec<_>>().join(", ");
    if stamps.iter().all(|at| in_order(&[*at, proven.at])) {
        checks.passed(name, clause, &expected, found);
    } else {
        checks.failed(name, clause, &expected, found, SubIndication::TimestampOrderFailure);
    }
}
