//! A message signed by libxmlsec1 (`oracle/sign.py`): another implementation's digests and signature hold here.

use pki::certificate::Certificate;
use xmlsec::signature::{Profile, Signature, digest_references, verify};
use xmlsec::{Document, Element, Limits, namespace};

const SIGNED: &str = include_str!("oracle/signed-by-xmlsec1.xml");

fn signature_in(document: &Document) -> Signature<'_> {
    let is_signature = |element: &Element<'_>| element.is(namespace::DS, "Signature");
    Signature::parse(document.root().descendants_and_self().find(is_signature).unwrap()).unwrap()
}

#[test]
fn digests_of_libxmlsec1_match() {
    let document = Document::parse(SIGNED, &Limits::default()).unwrap();
    let covered =
        digest_references(&document, &signature_in(&document), &Profile::service(), &|_| None).unwrap();
    let names: Vec<_> = covered.iter().map(|covered| covered.element.local_name()).collect();
    assert_eq!(names, ["Timestamp", "Body"]);
}

#[test]
fn a_signature_of_libxmlsec1_verifies() {
    let certificate =
        Certificate::from_pem(include_bytes!("oracle/signed-by-xmlsec1.crt")).unwrap().remove(0);
    let document = Document::parse(SIGNED, &Limits::default()).unwrap();
    let signature = signature_in(&document);
    let verified = verify(&document, &signature, certificate.public_key(), &Profile::service()).unwrap();
    assert_eq!(verified.elements().len(), 2);

    let changed = SIGNED.replace("z=\"1\"", "z=\"2\"");
    let document = Document::parse(changed, &Limits::default()).unwrap();
    let signature = signature_in(&document);
    let refused = verify(&document, &signature, certificate.public_key(), &Profile::service());
    assert_eq!(refused.unwrap_err().code(), "xmlsec.reference.digest-mismatch");
}
