//! How often a verification asks for memory does not depend on how large the document is.

use allocation_counter::measure;
use pki::digest::DigestAlgorithm;
use pki::signer::{FileSigner, Signer};
use xmlsec::signature::{Profile, Signature, SigningReference, parse_ahead, sign, verify};
use xmlsec::{Document, Limits, namespace};

fn alice() -> FileSigner {
    FileSigner::from_pem(
        include_bytes!("../../../certs-test/alice.key"),
        include_bytes!("../../../certs-test/alice.crt"),
    )
    .unwrap()
}

/// A header with the signature beside the signed body.
fn signed(body: &str, signer: &dyn Signer) -> Vec<u8> {
    let wsu = namespace::WSU;
    let body = format!("<body xmlns:wsu=\"{wsu}\" wsu:Id=\"b\">{body}</body>");
    let document = Document::parse(body.as_str(), &Limits::default()).unwrap();
    let reference = SigningReference::over(document.root(), "b", &[], DigestAlgorithm::Sha256).unwrap();
    let signature = sign(&[reference], None, signer).unwrap();
    format!("<message>{}{body}</message>", signature.xml).into_bytes()
}

fn allocations_of_verifying(message: Vec<u8>, signer: &dyn Signer, parse: fn(Vec<u8>) -> Document) -> u64 {
    let verified = || {
        let document = parse(message);
        let signature = Signature::parse(document.root().children().next().unwrap()).unwrap();
        let key = signer.certificate().public_key();
        let verified = verify(&document, &signature, key, &Profile::service()).unwrap();
        assert_eq!(verified.references().len(), 1);
    };
    measure(verified).count_total
}

fn plain(message: Vec<u8>) -> Document {
    Document::parse(message, &Limits::default()).unwrap()
}

fn ahead(message: Vec<u8>) -> Document {
    parse_ahead(message, &Limits::default(), &|element| element.local_name() == "body", true).unwrap()
}

#[test]
fn a_verification_allocates_as_often_for_a_large_document_as_for_a_small_one() {
    let signer = alice();
    let base64 = |bytes: usize| signed(&"QUJD".repeat(bytes / 4), &signer);
    let markup = |bytes: usize| signed(&"<e a='1'>text</e>".repeat(bytes / 17), &signer);
    // What is kept from document to document is there after the first of a size.
    for (name, small, large) in [
        ("base64", base64(4 << 10), base64(1 << 20)),
        ("markup", markup(4 << 10), markup(1 << 20)),
        ("more markup", markup(1 << 20), markup(4 << 20)),
    ] {
        let [of_small, of_large] = [small, large].map(|message| {
            allocations_of_verifying(message.clone(), &signer, plain);
            allocations_of_verifying(message, &signer, plain)
        });
        assert_eq!(of_large, of_small, "{name}");
        assert!((1..ALLOCATIONS_MAX).contains(&of_large), "{name}: {of_large}");
    }
}

#[test]
fn and_where_it_is_digested_ahead_as_often_for_a_larger_one() {
    let signer = alice();
    let of =
        |bytes: usize| allocations_of_verifying(signed(&"QUJD".repeat(bytes / 4), &signer), &signer, ahead);
    of(1 << 20);
    let of_large = of(1 << 20);
    assert_eq!(of(8 << 20), of_large);
    assert!(of_large < 3 * ALLOCATIONS_MAX, "{of_large}");
}

/// About what the parts of a signature need that are kept by themselves; the document adds a handful.
const ALLOCATIONS_MAX: u64 = 60;
