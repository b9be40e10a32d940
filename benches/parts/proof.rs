//! An enveloped XML signature over a proof of 1.5 KB: parse, C14N, digest, sign.

use benches::{beside, line_beyond, section};
use pki::digest::DigestAlgorithm;
use pki::signer::FileSigner;
use xmlsec::signature::{SigningReference, sign};
use xmlsec::{Document, Limits};

use crate::floor::{self, BareSign};

pub(crate) fn run() {
    section("XML-sign a proof of 1.5 KB: parse, C14N, digest, sign", "one bare signature by the same key");
    let proof = format!("<p:proof xmlns:p='urn:p' Id='p'><p:text>{}</p:text></p:proof>", "QUJD".repeat(360));
    for (name, key, certificate) in
        [("P-256", "seal.key", "seal.crt"), ("RSA-2048", "alice.key", "alice.crt")]
    {
        let signer = FileSigner::from_pem(&floor::file(key), &floor::file(certificate)).unwrap();
        let mut bare = BareSign::new(&floor::file(key));
        let ours = || {
            let document = Document::parse(proof.clone(), &Limits::default()).unwrap();
            let reference =
                SigningReference::over(document.root(), "p", &[], DigestAlgorithm::Sha256).unwrap();
            std::hint::black_box(sign(&[reference], None, &signer).unwrap());
        };
        line_beyond(name, beside(ours, || bare.call()));
    }
}
