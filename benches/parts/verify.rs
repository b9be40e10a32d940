//! A signed request, its document as base64 in the Body, from its bytes to the authenticated sender.

use benches::{beside_with, line_of_bytes, section};
use erds::{Environment, Strictness};
use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::crl::{Crl, CrlSet};
use pki::path::{Revocation, TrustAnchors};
use pki::signer::{FileSigner, Signer};
use soap::envelope::{Envelope, Rules};
use soap::message::namespace::V2;
use soap::wss::Authenticated;
use soap::wss::client::{SignOptions, sign_request};
use soap::wss::{Policy, authenticate_with};
use xmlsec::signature::{self, Profile, Signature, parse_ahead};
use xmlsec::{Document, Element, Limits, c14n};

use crate::floor::{self, BareVerify};
use crate::peers::Peers;

pub(crate) fn run(peers: &Peers) {
    section(
        "Verify a signed request: path and CRLs, signature, digests",
        "SHA-256 of exactly the covered bytes + one bare RSA-2048 verification",
    );
    let house = House::new();
    let mut bare = BareVerify::new(&floor::file("alice.key"));
    for (name, bytes) in [("4 KB", 4 << 10), ("100 KB", 100 << 10), ("1 MB", 1 << 20), ("10 MB", 10 << 20)] {
        let request = house.request(bytes);
        let covered = covered(&request);
        let mut floor = || {
            covered.iter().for_each(|bytes| floor::hash(bytes));
            bare.call();
        };
        let whole = |request| drop(house.verify(request, |_| ()));
        let figure = beside_with(|| request.clone(), whole, &mut floor);
        line_of_bytes(&format!("document of {name}"), figure, request.len());
        let core = |request| house.verify_core(request);
        let figure = beside_with(|| request.clone(), core, &mut floor);
        line_of_bytes("  the XML core alone, key given", figure, request.len());
        peers.verify(&request, figure.floor);
    }
}

/// What a request is made and judged with.
pub(crate) struct House {
    alice: FileSigner,
    anchors: TrustAnchors,
    crls: CrlSet,
    now: Timestamp,
}

impl House {
    pub(crate) fn new() -> Self {
        let certificates = |name: &str| Certificate::from_pem(&floor::file(name)).unwrap();
        let crls = ["senders-root", "senders-ca"]
            .map(|name| Crl::from_der(&floor::file(&format!("crls/{name}.crl"))).unwrap());
        Self {
            alice: FileSigner::from_pem(&floor::file("alice.key"), &floor::file("alice.crt")).unwrap(),
            anchors: TrustAnchors::new(certificates("senders-root.crt"), certificates("senders-ca.crt")),
            crls: CrlSet::new(crls.into()),
            now: Timestamp::now(),
        }
    }

    /// A request signed by alice around a document of so many bytes, in an element that means nothing.
    pub(crate) fn request(&self, document_bytes: usize) -> Vec<u8> {
        self.request_around("p:text", "urn:p", document_bytes)
    }

    /// The same, the document being contract B's content.
    pub(crate) fn submission(&self, document_bytes: usize) -> Vec<u8> {
        self.request_around("p:Content", V2, document_bytes)
    }

    fn request_around(&self, name: &str, namespace: &str, document_bytes: usize) -> Vec<u8> {
        let document: Vec<u8> = (0..document_bytes).map(|i| (i * 31 + (i >> 9)) as u8).collect();
        let text = xmlsec::base64::encode(&document);
        let payload = format!("<{name} xmlns:p='{namespace}'>{text}</{name}>");
        sign_request(&payload, &self.alice, self.now, &SignOptions::default()).unwrap()
    }

    /// From the bytes to the authenticated sender; `read` sees the operation that was signed.
    pub(crate) fn verify<T>(
        &self,
        request: Vec<u8>,
        read: impl FnOnce(Element<'_>) -> T,
    ) -> Authenticated<T> {
        let rules = Rules {
            xml: Limits { document_bytes_max: 64 << 20, ..Rules::default().xml },
            ..Rules::default()
        };
        let policy = Policy {
            environment: Some(Environment::Tst),
            strictness: Strictness::Lax,
            ..Policy::new(&self.anchors, Revocation::HardFail(&self.crls), self.now)
        };
        let envelope = Envelope::parse(request, &|_| None, &rules).unwrap();
        authenticate_with(&envelope, &policy, |operation| Ok(read(operation))).unwrap()
    }

    /// What the peers do: parse, and verify the signature with the key given.
    fn verify_core(&self, request: Vec<u8>) {
        let document = parse_ahead(request, &Limits::default(), &|_| false, false).unwrap();
        let mut elements = document.root().descendants_and_self();
        let signature = elements.find(|element| element.local_name() == "Signature").unwrap();
        let signature = Signature::parse(signature).unwrap();
        let key = self.alice.certificate().public_key();
        let verified = signature::verify(&document, &signature, key, &Profile::service()).unwrap();
        assert_eq!(std::hint::black_box(verified).references().len(), 3);
    }
}

/// Exactly the bytes that a verification has to digest: each reference's canonical form, and SignedInfo's.
pub(crate) fn covered(request: &[u8]) -> Vec<Vec<u8>> {
    let document = Document::parse(request.to_vec(), &Limits::default()).unwrap();
    let element = |matches: &dyn Fn(&Element<'_>) -> bool| {
        document.root().descendants_and_self().find(|element| matches(element)).unwrap()
    };
    let signature = Signature::parse(element(&|one| one.local_name() == "Signature")).unwrap();
    let mut covered = vec![signature.canonical_signed_info().unwrap()];
    for reference in ["Timestamp", "Body", "BinarySecurityToken"] {
        let mut canonical = Vec::new();
        let element = element(&|one| one.local_name() == reference);
        c14n::canonicalize(element, &c14n::Method::exclusive(), &mut canonical).unwrap();
        covered.push(canonical);
    }
    assert_eq!(covered.len(), 1 + signature.references().len(), "every reference is counted");
    covered
}
