//! The reader, the canonical forms, the signature.

use std::sync::LazyLock;

use pki::certificate::Certificate;
use xmlsec::c14n::{Algorithm, Method, canonicalize, canonicalize_document};
use xmlsec::signature::{Profile, Signature, verify};
use xmlsec::{Document, Element, Limits};

use crate::Codes;
use crate::files::{certificate, known, sha256_hex};

fn methods() -> impl Iterator<Item = Method> {
    [Algorithm::Inclusive10, Algorithm::Inclusive11, Algorithm::Exclusive].into_iter().flat_map(|algorithm| {
        [false, true].map(|comments| Method { algorithm, comments, prefixes: Vec::new() })
    })
}

/// For what a canonical form may outgrow: escapes are longer than what they stand for.
fn wide() -> Limits {
    Limits {
        attribute_bytes_max: 64 << 20,
        namespaces_max: 1 << 16,
        attributes_max: 1 << 16,
        distinct_namespaces_max: 1 << 16,
        ..Limits::default()
    }
}

/// One cap lowered each, so that small inputs reach every cap.
fn tight() -> [Limits; 10] {
    let base = Limits::default;
    [
        Limits { document_bytes_max: 48, ..base() },
        Limits { depth_max: 2, ..base() },
        Limits { attributes_max: 1, ..base() },
        Limits { namespaces_max: 1, ..base() },
        Limits { distinct_namespaces_max: 2, ..base() },
        Limits { nodes_max: 3, ..base() },
        Limits { attributes_total_max: 2, ..base() },
        Limits { text_bytes_max: 4, ..base() },
        Limits { attribute_bytes_max: 4, ..base() },
        Limits { name_bytes_max: 4, ..base() },
    ]
}

/// A document that is read has a canonical form that is read, and is its own canonical form; lower caps only refuse.
pub fn xml_reader(data: &[u8]) -> Codes {
    let mut codes = Codes::new();
    let parsed = Document::parse(data, &Limits::default());
    for limits in tight() {
        if let Err(error) = Document::parse(data, &limits) {
            assert!(error.offset <= data.len(), "{} beyond the end", error.code());
            codes.push(error.code());
        }
    }
    let document = match parsed {
        Ok(document) => document,
        Err(error) => {
            assert!(error.offset <= data.len(), "{} beyond the end", error.code());
            codes.push(error.code());
            return codes;
        }
    };
    for method in methods() {
        let mut first = Vec::new();
        canonicalize_document(&document, &method, &mut first).expect("no PrefixList");
        let again = Document::parse(first.clone(), &wide());
        let again = again.unwrap_or_else(|error| panic!("{method:?} is not read: {error}"));
        let mut second = Vec::new();
        canonicalize_document(&again, &method, &mut second).expect("no PrefixList");
        assert!(first == second, "{method:?} is no fixed point");
    }
    codes
}

/// A line of prefixes, then a document: the canonical form of each of its elements is read, and is its own canonical form.
pub fn c14n(data: &[u8]) -> Codes {
    let mut codes = Codes::new();
    let (line, source) = split_line(data);
    let document =
        match Document::parse(source, &Limits { nodes_max: 4096, depth_max: 24, ..Limits::default() }) {
            Ok(document) => document,
            Err(error) => return vec![error.code()],
        };
    let line = String::from_utf8_lossy(line);
    let listed = Method::exclusive_with(line.split(' ').filter(|prefix| !prefix.is_empty()));
    for element in document.root().descendants_and_self().take(12) {
        for method in methods().chain([listed.clone()]) {
            let mut first = Vec::new();
            if let Err(error) = canonicalize(element, &method, &mut first) {
                assert!(first.is_empty(), "written, and refused");
                codes.push(error.code());
                continue;
            }
            let again = Document::parse(first.clone(), &wide());
            let again = again.unwrap_or_else(|error| panic!("{method:?} is not read: {error}"));
            let mut second = Vec::new();
            canonicalize(again.root(), &method, &mut second).expect("as before");
            assert!(first == second, "{method:?} is no fixed point");
        }
    }
    codes
}

static KEYS: LazyLock<[Certificate; 2]> = LazyLock::new(|| ["alice.der", "bob.der"].map(certificate));
static KNOWN: LazyLock<std::collections::HashSet<String>> = LazyLock::new(|| known("signatures.txt"));

/// A document with signatures: one that verifies signs nothing but what the keys' owners signed.
pub fn signature(data: &[u8]) -> Codes {
    let (codes, lines) = signature_lines(data);
    for line in lines {
        assert!(KNOWN.contains(&line), "verified, and never signed: {line}");
    }
    codes
}

/// What verified signatures cover, one line each: the list of what is known is made of these.
pub fn signature_lines(data: &[u8]) -> (Codes, Vec<String>) {
    let (mut codes, mut lines) = (Codes::new(), Vec::new());
    let limits = Limits { document_bytes_max: 1 << 20, nodes_max: 4096, ..Limits::default() };
    let Ok(document) = Document::parse(data, &limits) else { return (codes, lines) };
    let signatures = document.root().descendants_and_self();
    for element in signatures.filter(|e| e.is(xmlsec::namespace::DS, "Signature")).take(3) {
        let signature = match Signature::parse(element) {
            Ok(signature) => signature,
            Err(error) => {
                codes.push(error.code());
                continue;
            }
        };
        for signer in KEYS.iter() {
            match verify(&document, &signature, signer.public_key(), &Profile::service()) {
                Ok(verified) => {
                    lines.push(format!("info {}", sha256_hex(verified.signed_info())));
                    lines.extend(
                        verified.elements().iter().map(|&e| format!("element {}", canonical_sha256(e))),
                    );
                }
                Err(error) => codes.push(error.code()),
            }
        }
    }
    (codes, lines)
}

pub(crate) fn canonical_sha256(element: Element<'_>) -> String {
    let mut octets = Vec::new();
    canonicalize(element, &Method::exclusive(), &mut octets).expect("no PrefixList");
    sha256_hex(&octets)
}

/// The first line without its end, and the rest.
pub(crate) fn split_line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}
