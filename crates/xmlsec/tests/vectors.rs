//! Published vectors that may not be committed: `tests/vectors/run` fetches them and runs these tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509NameBuilder};
use pki::certificate::Certificate;
use xmlsec::c14n::{Method, canonicalize, canonicalize_without};
use xmlsec::signature::{Enveloped, Profile, Signature, SignatureError, check_profile, verify};
use xmlsec::{Document, Element, Limits, base64, namespace};

fn folder() -> PathBuf {
    std::env::var_os("EPOST_VECTORS").expect("EPOST_VECTORS: run tests/vectors/run").into()
}

/// The W3C XML conformance suite. What is not well-formed is refused; what is, is accepted, unless the profile refuses it by name.
#[test]
#[ignore = "tests/vectors/run fetches the suite"]
fn w3c_xml_conformance() {
    let list = std::fs::read_to_string(folder().join("conformance.txt")).unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in list.lines() {
        let [kind, namespaces, name, file] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let source = std::fs::read(folder().join(file)).unwrap();
        let answer = Document::parse(source, &Limits::default()).map_err(|error| error.code());
        // What the profile refuses although XML has it; a name that Namespaces 1.0 does not have is refused there alone.
        let by_profile = |code: &str| {
            code == "xml.doctype"
                || code.starts_with("xml.encoding.")
                || code == "xml.namespace.relative"
                || (namespaces == "no" && code.starts_with("xml.name"))
                // Version 1.7: the fifth edition would read it as 1.0, we take no other version than 1.0.
                || (name == "x-rmt-008b" && code == "xml.declaration")
        };
        let verdict = match (kind, answer) {
            ("not-wf", Err(_)) => "not-wf: refused".to_owned(),
            ("valid" | "invalid", Ok(_)) => "well-formed: accepted".to_owned(),
            ("valid" | "invalid", Err(code)) if by_profile(code) => {
                format!("well-formed: refused by profile, {code}")
            }
            // Errors that a processor need not report.
            ("error", Ok(_)) => "error: accepted".to_owned(),
            ("error", Err(code)) => format!("error: refused, {code}"),
            (_, answer) => {
                wrong.push(format!("{kind} {name}: {answer:?}", answer = answer.map(|_| "accepted")));
                continue;
            }
        };
        *counts.entry(verdict).or_default() += 1;
    }
    println!("{counts:#?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!((counts["not-wf: refused"], counts["well-formed: accepted"]), (1017, 71));
}

/// The published signatures of merlin, phaos, aleksey and the W3C's interop of 2012, each with the verdict of
/// `tests/vectors/interop.txt`: under all that the library knows, and under the service's profile.
#[test]
#[ignore = "tests/vectors/run fetches the signatures"]
fn published_signatures() {
    let list = std::fs::read_to_string(LIST).unwrap();
    let mut lines = Vec::new();
    for file in xml_files(&folder().join(INTEROP)) {
        let source = std::fs::read(&file).unwrap();
        let name = file.strip_prefix(folder().join(INTEROP)).unwrap().display().to_string();
        let by = |profile: &Profile| verdict(&source, &file, profile);
        lines.push(format!("{name} {} {}", by(&everything()), by(&Profile::service())));
    }
    let expected: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let held = lines.iter().filter(|line| line.split(' ').nth(1) == Some("held")).count();
    println!("{} files with published signatures, {held} hold", lines.len());
    for (ours, listed) in lines.iter().zip(&expected).filter(|(ours, listed)| ours != listed) {
        println!("  {ours}, listed as {listed}");
    }
    assert!(lines == expected, "{}", lines.join("\n"));
}

const INTEROP: &str = "signxml/test/interop";
const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/interop.txt");

fn everything() -> Profile {
    Profile {
        inclusive_c14n: true,
        comments: true,
        implicit_c14n: true,
        whole_document: true,
        enveloped: Enveloped::Allowed,
        objects: true,
        ..Profile::service()
    }
}

fn xml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { xml_files(&path) } else { vec![path] }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "xml"))
        .collect();
    files.sort();
    files
}

fn verdict(source: &[u8], file: &Path, profile: &Profile) -> String {
    let document = match Document::parse(source, &Limits::default()) {
        Ok(document) => document,
        Err(error) => return error.code().to_owned(),
    };
    let mut elements = document.root().descendants_and_self();
    let Some(element) = elements.find(|element| element.is(namespace::DS, "Signature")) else {
        return "none".to_owned();
    };
    let judge = || -> Result<String, SignatureError> {
        let signature = Signature::parse(element)?;
        check_profile(&signature, profile)?;
        let mut last = None;
        for certificate in certificates(&signature, file) {
            match verify(&document, &signature, certificate.public_key(), profile) {
                Ok(_) => return Ok("held".to_owned()),
                // Why a value did not verify: the key of the first certificate says it.
                Err(SignatureError::Value(_)) if certificate.public_key().check_strength().is_err() => {
                    last = last.or(Some("weak-key".to_owned()));
                }
                Err(SignatureError::Value(code)) => last = last.or(Some(code.to_owned())),
                Err(error) => last = Some(error.code().to_owned()),
            }
        }
        Ok(last.unwrap_or("no-key".to_owned()))
    };
    judge().unwrap_or_else(|error| error.code().to_owned())
}

/// Whatever key KeyInfo carries, then the certificates that lie beside the file.
fn certificates(signature: &Signature<'_>, file: &Path) -> Vec<Certificate> {
    let mut found = Vec::new();
    for element in signature.key_info().into_iter().flat_map(|info| info.descendants_and_self()) {
        let bytes = |element: Element<'_>| base64::decode_text(&element.text().unwrap()).unwrap();
        let part = |name: &str| bytes(element.children().find(|child| child.local_name() == name).unwrap());
        match element.local_name() {
            "X509Certificate" => found.extend(Certificate::from_der(&bytes(element))),
            "DEREncodedKeyValue" => {
                found.extend(PKey::public_key_from_der(&bytes(element)).map(|key| certificate_of(&key)));
            }
            "RSAKeyValue" => {
                let number = |name| BigNum::from_slice(&part(name)).unwrap();
                let key = Rsa::from_public_components(number("Modulus"), number("Exponent")).unwrap();
                found.push(certificate_of(&PKey::from_rsa(key).unwrap()));
            }
            "ECKeyValue" => {
                let named = element.children().find(|child| child.local_name() == "NamedCurve");
                let curve = named.and_then(|named| named.attribute(None, "URI")).unwrap_or_default();
                let curve = match curve.rsplit(':').next() {
                    Some("1.2.840.10045.3.1.7") => Nid::X9_62_PRIME256V1,
                    Some("1.3.132.0.34") => Nid::SECP384R1,
                    _ => continue,
                };
                let group = EcGroup::from_curve_name(curve).unwrap();
                let mut context = BigNumContext::new().unwrap();
                let point = EcPoint::from_bytes(&group, &part("PublicKey"), &mut context).unwrap();
                let key = EcKey::from_public_key(&group, &point).unwrap();
                found.push(certificate_of(&PKey::from_ec_key(key).unwrap()));
            }
            _ => {}
        }
    }
    for beside in std::fs::read_dir(file.parent().unwrap()).unwrap() {
        let bytes = std::fs::read(beside.unwrap().path()).unwrap_or_default();
        found.extend(Certificate::from_pem(&bytes).unwrap_or_default());
        found.extend(Certificate::from_der(&bytes));
    }
    found
}

/// The key in a certificate, as every key comes here; who signed it matters to nobody.
fn certificate_of(key: &PKey<Public>) -> Certificate {
    let issuer = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut builder = X509::builder().unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "bare").unwrap();
    let name = name.build();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(4_000_000_000).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.sign(&issuer, MessageDigest::sha256()).unwrap();
    Certificate::from_der(&builder.build().to_der().unwrap()).unwrap()
}

/// Merlin's own canonical octets, of each Object and SignedInfo whose algorithms are long out of use.
#[test]
#[ignore = "tests/vectors/run fetches the signatures"]
fn canonical_octets_of_merlin() {
    let folder = folder().join(INTEROP).join("merlin-xmldsig-twenty-three");
    let inclusive = Method::inclusive();
    let mut count = 0;
    for name in [
        "enveloping-dsa",
        "enveloping-rsa",
        "enveloping-hmac-sha1",
        "enveloping-b64-dsa",
        "external-dsa",
        "enveloped-dsa",
    ] {
        let document = Document::parse(
            std::fs::read(folder.join(format!("signature-{name}.xml"))).unwrap(),
            &Limits::default(),
        )
        .unwrap();
        let element = |wanted: &str| {
            document.root().descendants_and_self().find(|element| element.local_name() == wanted).unwrap()
        };
        let mut octets: Vec<Vec<u8>> = Vec::new();
        let mut canonical = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            octets.push(out);
        };
        match name {
            "enveloped-dsa" => canonical(&|out| {
                canonicalize_without(document.root(), element("Signature"), &inclusive, out).unwrap();
            }),
            "enveloping-b64-dsa" | "external-dsa" => {}
            _ => canonical(&|out| canonicalize(element("Object"), &inclusive, out).unwrap()),
        }
        canonical(&|out| canonicalize(element("SignedInfo"), &inclusive, out).unwrap());
        for (number, ours) in octets.iter().enumerate() {
            let theirs = std::fs::read(folder.join(format!("signature-{name}-c14n-{number}.txt"))).unwrap();
            assert_eq!(String::from_utf8_lossy(ours), String::from_utf8_lossy(&theirs), "{name} {number}");
            count += 1;
        }
    }
    assert_eq!(count, 10);
}
