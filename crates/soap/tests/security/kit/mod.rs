//! Keys, certificates, signatures and the one `check`.

mod crl;
mod forge;
mod people;

pub(crate) use crl::List;
pub(crate) use forge::{Forge, Pss, Ref, der};
pub(crate) use people::{Identity, KeyKind, Person, Pki, Use, Wish, extension, pki, self_signed};

use erds::refusal::Refusal;
use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::path::Revocation;
use soap::envelope::{Envelope, Rules};
use soap::wss::{Policy, SecurityRefusal, authenticate_with};
use std::sync::LazyLock;

pub(crate) const SOAP11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub(crate) const SOAP12: &str = "http://www.w3.org/2003/05/soap-envelope";
pub(crate) const WSSE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
pub(crate) const WSU: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const EXC: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const X509V3: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
pub(crate) const STR_TRANSFORM: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#STR-Transform";
pub(crate) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
pub(crate) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub(crate) const ECDSA_SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";
pub(crate) const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

/// The instant of every test.
pub(crate) fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("an instant")
}

pub(crate) const ACCEPTED: &str = "accepted 0244640631 urn:be:test:alice GetStatusRequest 0123456789ABC";

pub(crate) static ALICE: LazyLock<Identity> = LazyLock::new(|| pki().issue(&Person::alice(), KeyKind::Rsa));
pub(crate) static BOB: LazyLock<Identity> = LazyLock::new(|| pki().issue(&Person::bob(), KeyKind::P256));

/// How a test changes the way a message is judged.
#[derive(Default)]
pub(crate) struct Setting<'a> {
    pub(crate) parts: Vec<(&'a str, Vec<u8>)>,
    pub(crate) candidates: Vec<Certificate>,
    /// Revocation judged by these lists; none: not judged.
    pub(crate) crls: Option<Vec<List<'a>>>,
    /// Further intermediates that the service knows.
    pub(crate) intermediates: Vec<Certificate>,
    pub(crate) policy: Option<&'a dyn Fn(&mut Policy<'_>)>,
    pub(crate) rules: Rules,
}

/// The line that a message comes to; `tests/attacks/run` prints it.
pub(crate) fn outcome(message: impl AsRef<[u8]>, setting: &Setting<'_>) -> String {
    let told = judged(message.as_ref(), setting);
    println!("verdict: {}", told.escape_debug());
    told
}

fn judged(message: &[u8], setting: &Setting<'_>) -> String {
    let part =
        |id: &str| setting.parts.iter().find(|(known, _)| *known == id).map(|(_, bytes)| bytes.clone());
    let refused = |refusal: &Refusal| {
        let Refusal { check, seen, expected, remedy, .. } = refusal;
        let empty = [check, seen.as_str(), expected, remedy].iter().any(|text| text.is_empty());
        assert!(!empty, "a refusal names check, seen, expected and remedy: {refusal:?}");
        format!("{} {check}", refusal.code.as_str())
    };
    let envelope = match Envelope::parse(message.to_vec(), &part, &setting.rules) {
        Ok(envelope) => envelope,
        Err(refusal) => return refused(&refusal),
    };
    let anchors = pki().anchors(&setting.intermediates);
    let crls = setting.crls.as_ref().map(|lists| List::set(lists));
    let revocation = crls.as_ref().map_or(Revocation::NotChecked, Revocation::HardFail);
    let mut policy = Policy::new(&anchors, revocation, now());
    policy.candidates = &setting.candidates;
    if let Some(change) = setting.policy {
        change(&mut policy);
    }
    let outcome = authenticate_with(&envelope, &policy, |operation| {
        let told = operation.children().next().and_then(|child| child.text().ok().map(|t| t.into_owned()));
        Ok(format!("{} {}", operation.local_name(), told.unwrap_or_default()))
    });
    match outcome {
        Ok(accepted) => {
            let sender = accepted.sender();
            let person = accepted.proof().person.as_ref().map(|person| format!(" for {}", person.name));
            let (request, person) = (accepted.request(), person.unwrap_or_default());
            format!("accepted {} {} {request}{person}", sender.cbe, sender.application)
        }
        Err(SecurityRefusal { refusal, .. }) => refused(&refusal),
    }
}

#[track_caller]
pub(crate) fn check(message: impl AsRef<[u8]>, expected: &str) {
    check_in(message, &Setting::default(), expected);
}

#[track_caller]
pub(crate) fn check_in(message: impl AsRef<[u8]>, setting: &Setting<'_>, expected: &str) {
    assert_eq!(outcome(message, setting), expected);
}
