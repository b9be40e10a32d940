//! Stands in for the kit of the soap crate's security tests: what they check is written into the corpora.

#[allow(dead_code)]
#[path = "../../../crates/soap/tests/security/kit/forge.rs"]
mod forge;
#[allow(dead_code)]
#[path = "../../../crates/soap/tests/security/kit/people.rs"]
mod people;

pub(crate) use forge::{Forge, Pss, Ref, der};
pub(crate) use people::{Identity, KeyKind, Person, Use, Wish, pki};

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, Once};

use ::pki::certificate::Certificate;
use ::pki::path::{Purpose, Revocation};
use jiff::Timestamp;
use soap::envelope::Rules;
use soap::multipart::{RootMedia, Writer};
use soap::wss::Policy;

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
pub(crate) const ACCEPTED: &str = "accepted 0244640631 urn:be:test:alice GetStatusRequest 0123456789ABC";

pub(crate) static ALICE: LazyLock<Identity> = LazyLock::new(|| pki().issue(&Person::alice(), KeyKind::Rsa));
pub(crate) static BOB: LazyLock<Identity> = LazyLock::new(|| pki().issue(&Person::bob(), KeyKind::P256));

/// Files of one outcome: the first ones tried are kept.
const ACCEPTED_MAX: usize = 16;
const REFUSED_MAX: usize = 2;
const FILE_BYTES_MAX: usize = 80 << 10;
const FLOOD_BYTES: usize = 1 << 20;

pub(crate) fn now() -> Timestamp {
    epost_fuzz::now()
}

#[derive(Default)]
pub(crate) struct Setting<'a> {
    pub(crate) parts: Vec<(&'a str, Vec<u8>)>,
    pub(crate) candidates: Vec<Certificate>,
    pub(crate) policy: Option<&'a dyn Fn(&mut Policy<'_>)>,
    pub(crate) rules: Rules,
}

pub(crate) fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub(crate) fn write(name: &str, bytes: &[u8]) {
    let path = place(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, bytes).expect(name);
}

pub(crate) fn append(name: &str, line: &str) {
    let known = std::fs::read_to_string(place(name)).unwrap_or_default();
    if !known.lines().any(|other| other == line) {
        write(name, format!("{known}{line}\n").as_bytes());
    }
}

/// The certificates that the targets judge by; their keys are written nowhere.
fn write_pki() {
    static WRITTEN: Once = Once::new();
    WRITTEN.call_once(|| {
        let anchors = pki().anchors(&[]);
        let path =
            anchors.validate(&ALICE.read(), &[], Revocation::NotChecked, Purpose::MessageSigning, now());
        write("fixed/root.der", anchors.anchors()[0].der());
        write("fixed/issuing.der", path.expect("a path").issuing_ca().der());
        write("fixed/alice.der", &ALICE.der());
        write("fixed/bob.der", &BOB.der());
    });
}

/// Writes the message down, by its outcome.
pub(crate) fn outcome(message: impl AsRef<[u8]>, setting: &Setting<'_>) -> String {
    static KEPT: Mutex<Option<HashMap<String, usize>>> = Mutex::new(None);
    if message.as_ref().is_empty() {
        return "SOA-03001 ".to_owned(); // without a body there is no part to read
    }
    if message.as_ref().len() > FLOOD_BYTES {
        return "SOA-03001 ".to_owned(); // no file for a corpus, and over the target's own limit
    }
    let mut kept = KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    write_pki();
    let input = input(message.as_ref(), setting);
    let (codes, accepted) = epost_fuzz::signed_lines(&input);
    let name = codes.get(1).copied().unwrap_or("accepted").to_owned();
    let count = kept.get_or_insert_default().entry(name.clone()).or_default();
    let most = if accepted.is_some() { ACCEPTED_MAX } else { REFUSED_MAX };
    if *count < most && input.len() <= FILE_BYTES_MAX {
        *count += 1;
        write(&format!("corpus/wss/{name}-{count}"), &input);
        let root = message.as_ref();
        let (refusals, lines) = epost_fuzz::signature_lines(root);
        if !refusals.is_empty() || !lines.is_empty() {
            if *count == 1 || accepted.is_some() {
                write(&format!("corpus/signature/{name}-{count}.xml"), root);
            }
            lines.iter().for_each(|line| append("fixed/signatures.txt", line));
        }
        accepted.iter().for_each(|line| append("fixed/accepted.txt", line));
    }
    codes.join(" ")
}

/// Writes an input down as it is, if no message had its outcome before.
pub(crate) fn keep(input: &[u8]) {
    let (codes, _) = epost_fuzz::signed_lines(input);
    let name = format!("corpus/wss/{}-1", codes.get(1).copied().unwrap_or("accepted"));
    if !place(&name).exists() {
        write(&name, input);
    }
}

/// The setting's letters, the Content-Type, the body.
fn input(message: &[u8], setting: &Setting<'_>) -> Vec<u8> {
    let anchors = pki().anchors(&[]);
    let mut policy = Policy::new(&anchors, Revocation::NotChecked, now());
    if let Some(change) = setting.policy {
        change(&mut policy);
    }
    let mut letters = String::new();
    for (letter, identity) in [('a', &ALICE), ('b', &BOB)] {
        if setting.candidates.iter().any(|candidate| candidate.der() == identity.der()) {
            letters.push(letter);
        }
    }
    let marks = [
        ('t', policy.token_signed),
        ('P', policy.environment == Some(erds::Environment::Prd)),
        ('T', policy.environment == Some(erds::Environment::Tst)),
        ('A', !policy.addresses.is_empty()),
        ('m', setting.rules.media.is_none()),
    ];
    letters.extend(marks.iter().filter(|(_, set)| *set).map(|(letter, _)| letter));
    let kind = match setting.rules.media {
        Some(RootMedia::Soap12) => "application/soap+xml",
        _ => "text/xml",
    };
    if setting.parts.is_empty() {
        return [format!("{letters} {kind}\n").as_bytes(), message].concat();
    }
    let writer = Writer::new([7; 16]);
    let parts: Vec<(&str, &str, &[u8])> =
        setting.parts.iter().map(|(id, bytes)| (*id, "application/octet-stream", &bytes[..])).collect();
    let body = writer.body(message.to_vec(), &parts).expect("a body");
    [format!("{letters} {}\n", writer.content_type()).as_bytes(), &body].concat()
}

pub(crate) fn check(message: impl AsRef<[u8]>, expected: &str) {
    check_in(message, &Setting::default(), expected);
}

pub(crate) fn check_in(message: impl AsRef<[u8]>, setting: &Setting<'_>, _expected: &str) {
    outcome(message, setting);
}
