//! Signatures exchanged with libxmlsec1: every canonicalisation, references by Id and to the whole document, enveloped or not.
//!
//! `oracle/signatures.txt` holds a committed sample; `tests/differential/run` pipes any number in and has ours judged there.

mod records;

use std::collections::HashMap;
use std::io::Write;

use pki::certificate::Certificate;
use pki::digest::DigestAlgorithm;
use pki::signer::{FileSigner, Signer};
use records::Records;
use xmlsec::c14n::{Algorithm, Method};
use xmlsec::ids::Ids;
use xmlsec::signature::{
    Coverage, Enveloped, Profile, Signature, SignatureError, SigningReference, StrTarget, sign_within,
    verify, verify_with,
};
use xmlsec::{Document, Element, Limits, namespace};

/// All that the library knows; the service's profile is a small part of it.
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

fn parse(source: impl Into<Vec<u8>>) -> Document {
    Document::parse(source, &Limits::default()).unwrap()
}

fn signature_in(document: &Document) -> Signature<'_> {
    let is_signature = |element: &Element<'_>| element.is(namespace::DS, "Signature");
    Signature::parse(document.root().descendants_and_self().find(is_signature).unwrap()).unwrap()
}

#[test]
fn signatures_of_libxmlsec1_hold() {
    let mut certificates = HashMap::new();
    let mut count = 0;
    for (head, bytes) in Records::of("XMLSEC_SIGNED", "signatures.txt") {
        let (kind, name) = head.split_once(' ').unwrap();
        if kind == "cert" {
            certificates.insert(name.to_owned(), Certificate::from_pem(&bytes).unwrap().remove(0));
            continue;
        }
        let source = String::from_utf8(bytes).unwrap();
        let document = parse(source.as_str());
        let signature = signature_in(&document);
        let key = certificates[name].public_key();
        let held = verify(&document, &signature, key, &everything());
        assert!(held.is_ok(), "{:?}\n{source}", held.unwrap_err());

        // One character of what is covered: another name for an element that a reference leads to.
        let target = signature.references()[0].uri.clone().unwrap();
        let changed = if target.is_empty() {
            source.replacen("Id=\"i0\"", "Id=\"i0\" changed=\"\"", 1)
        } else {
            let id = target.trim_start_matches('#');
            source.replacen(&format!(" Id=\"{id}\""), &format!(" Id=\"{id}\" changed=\"\""), 1)
        };
        let document = parse(changed);
        let refused = verify(&document, &signature_in(&document), key, &everything()).unwrap_err();
        assert!(matches!(refused, SignatureError::DigestMismatch { .. }), "{refused:?}");
        count += 1;
    }
    println!("{count} signatures of libxmlsec1 hold here, and none over a changed document");
    assert!(count > 20, "only {count}");
}

/// How a document is signed, drawn from its number.
struct Choice(usize);

impl Choice {
    fn of(&mut self, count: usize) -> usize {
        let chosen = self.0 % count;
        self.0 /= count;
        chosen
    }

    fn method(&mut self) -> Method {
        let algorithm = [Algorithm::Exclusive, Algorithm::Inclusive10, Algorithm::Inclusive11][self.of(3)];
        let comments = self.of(2) == 1;
        let listed = algorithm == Algorithm::Exclusive && self.of(2) == 1;
        let prefixes = if listed {
            ["#default", "a", "soap", "unknown"].map(str::to_owned).to_vec()
        } else {
            Vec::new()
        };
        Method { algorithm, comments, prefixes }
    }
}

fn signed(document: &Document, choice: &mut Choice, signer: &dyn Signer) -> Vec<u8> {
    let digest = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512][choice.of(3)];
    let (of_signed_info, of_reference) = (choice.method(), choice.method());
    let elements: Vec<_> = document.root().descendants_and_self().collect();
    let parent = elements[choice.of(elements.len())];
    let target = elements[choice.of(elements.len())];
    let id = target.attribute(None, "Id").unwrap();
    let reference = if target.contains(parent) {
        SigningReference::enveloping(target, &id, of_reference, digest)
    } else {
        SigningReference::over_by(target, &id, of_reference, digest)
    };
    sign_within(parent, &of_signed_info, &[reference.unwrap()], None, signer, &Limits::default()).unwrap()
}

/// Documents of `XMLSEC_PLAIN`, signed with the keys of `XMLSEC_KEYS`, into `XMLSEC_OUT`; and each verified by ourselves.
#[test]
#[ignore = "tests/differential/run has libxmlsec1 judge what comes of it"]
fn signatures_for_libxmlsec1() {
    let keys = std::env::var("XMLSEC_KEYS").unwrap();
    let signer = |name: &str| {
        let read = |kind| std::fs::read(format!("{keys}/{name}.{kind}")).unwrap();
        FileSigner::from_pem(&read("key"), &read("crt")).unwrap()
    };
    let [p256, p384] = ["p256", "p384"].map(|name| (name, signer(name)));
    let signers = [("rsa", signer("rsa")), p256, p384, ("rsa", signer("rsa").by_pss().unwrap())];
    let mut out = std::fs::File::create(std::env::var("XMLSEC_OUT").unwrap()).unwrap();
    for (number, (_, source)) in Records::of("XMLSEC_PLAIN", "none").enumerate() {
        // Spread out, so that neighbours differ in everything.
        let mut choice = Choice(number.wrapping_mul(2_654_435_761));
        let (name, signer) = &signers[choice.of(signers.len())];
        let made = signed(&parse(source), &mut choice, signer);
        let document = parse(made.as_slice());
        verify(&document, &signature_in(&document), signer.certificate().public_key(), &everything())
            .unwrap();
        writeln!(out, "signed {name} {}", made.len()).unwrap();
        out.write_all(&made).unwrap();
        out.write_all(b"\n").unwrap();
    }
}

fn alice() -> FileSigner {
    let certs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test");
    let read = |name| std::fs::read(format!("{certs}/{name}")).unwrap();
    FileSigner::from_pem(&read("alice.key"), &read("alice.crt")).unwrap()
}

#[test]
fn an_rsa_key_signs_by_pss_and_the_service_takes_it() {
    let (signer, source) = (alice().by_pss().unwrap(), parse("<a><b Id='b'>t</b></a>"));
    let b = source.root().children().next().unwrap();
    let made = sign_within(
        source.root(),
        &Method::exclusive(),
        &[SigningReference::over_by(b, "b", Method::exclusive(), DigestAlgorithm::Sha256).unwrap()],
        None,
        &signer,
        &Limits::default(),
    )
    .unwrap();
    let document = parse(made.as_slice());
    let signature = signature_in(&document);
    assert_eq!(signature.method().uri, "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1");
    let key = signer.certificate().public_key();
    verify(&document, &signature, key, &Profile::service()).unwrap();
    // The same value under the name of PKCS#1 v1.5.
    let renamed = String::from_utf8(made).unwrap().replace(
        "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    );
    let document = parse(renamed);
    let refused = verify(&document, &signature_in(&document), key, &Profile::service()).unwrap_err();
    assert_eq!(refused.code(), "xmlsec.signature.value");
}

/// What the library can make beyond the service's profile, that profile refuses.
#[test]
fn the_service_takes_none_of_it() {
    let signer = alice();
    let document = parse("<?p?><a Id='a' xmlns:p='urn:p'><!--c--><b Id='b'/><c Id='c'>t</c></a><!--d-->");
    let [b, c] = document.root().children().collect::<Vec<_>>()[..] else { panic!() };
    let verdict = |made: &[u8], profile: &Profile| {
        let document = parse(made);
        let key = signer.certificate().public_key();
        verify(&document, &signature_in(&document), key, profile)
            .map_or_else(|error| error.code(), |_| "held")
    };
    for algorithm in [Algorithm::Exclusive, Algorithm::Inclusive10, Algorithm::Inclusive11] {
        for comments in [false, true] {
            let method = || Method { algorithm, comments, ..Method::exclusive() };
            let sign = |parent, reference: Result<SigningReference, _>, of_signed_info: &Method| {
                sign_within(parent, of_signed_info, &[reference.unwrap()], None, &signer, &Limits::default())
                    .unwrap()
            };
            let sha256 = DigestAlgorithm::Sha256;
            let by_id = sign(b, SigningReference::over_by(c, "c", method(), sha256), &Method::exclusive());
            let of_info = sign(b, SigningReference::over(c, "c", &[], sha256), &method());
            let enveloped = sign(
                b,
                SigningReference::enveloping(document.root(), "a", Method::exclusive(), sha256),
                &method(),
            );
            for made in [&by_id, &of_info, &enveloped] {
                assert_eq!(verdict(made, &everything()), "held");
            }
            let plain = algorithm == Algorithm::Exclusive && !comments;
            let expected = |code| if plain { "held" } else { code };
            assert_eq!(verdict(&by_id, &Profile::service()), expected("xmlsec.algorithm.transform"));
            assert_eq!(verdict(&of_info, &Profile::service()), expected("xmlsec.algorithm.canonicalization"));
            let code = if plain { "xmlsec.reference.enveloped" } else { "xmlsec.algorithm.canonicalization" };
            assert_eq!(verdict(&enveloped, &Profile::service()), code);
        }
    }
}

#[test]
fn a_token_is_signed_by_str_transform() {
    let signer = alice();
    let wsse = namespace::WSSE;
    let source = format!(
        "<s xmlns:w='{wsse}' xmlns:u='{}'><w:BinarySecurityToken>QUJD</w:BinarySecurityToken><k>\
         <w:SecurityTokenReference u:Id='str'/></k></s>",
        namespace::WSU
    );
    let document = parse(source);
    let token = document.root().child(wsse, "BinarySecurityToken").unwrap();
    let reference =
        SigningReference::over_token(token, "str", Method::exclusive(), DigestAlgorithm::Sha256).unwrap();
    let made =
        sign_within(document.root(), &Method::exclusive(), &[reference], None, &signer, &Limits::default())
            .unwrap();
    let document = parse(made);
    let token = document.root().child(wsse, "BinarySecurityToken").unwrap();
    let key = signer.certificate().public_key();
    let held = verify_with(
        &Ids::collect(&document).unwrap(),
        &signature_in(&document),
        key,
        &Profile::service(),
        &|_| Some(StrTarget::Element(token)),
    )
    .unwrap();
    assert_eq!(held.references()[0].coverage, Coverage::Token(StrTarget::Element(token)));
    assert!(held.covers(token));
}
