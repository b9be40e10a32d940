//! The XML core by itself: time stays linear in the input, whatever a document's shape.
//!
//! `cargo bench -p benches --bench xml`

use benches::{beside_with, line_of_bytes, section};
use pki::digest::{DigestAlgorithm, Hasher};
use xmlsec::{Document, Limits, c14n};

fn main() {
    section(
        "Shapes, growing: parse, exclusive C14N and SHA-256; MB/s is to stay",
        "SHA-256 of the canonical form",
    );
    let shapes: [(&str, Shape); 4] =
        [("deep", deep), ("wide", wide), ("many attributes", attributes), ("many namespaces", namespaces)];
    for (name, shape) in shapes {
        for kilobytes in [16, 128, 1024, 8192] {
            let text = shape(kilobytes << 10);
            all(&format!("{name}, {kilobytes} KB"), text.as_bytes());
        }
    }
}

fn hash(bytes: &[u8]) {
    std::hint::black_box(openssl::sha::sha256(std::hint::black_box(bytes)));
}

/// A document of about so many bytes.
type Shape = fn(usize) -> String;

fn all(name: &str, text: &[u8]) {
    let canonical = canonical(&parse(text.to_vec()));
    let figure = beside_with(|| text.to_vec(), |text| digest(&parse(text)), || hash(&canonical));
    line_of_bytes(name, figure, text.len());
}

fn parse(text: Vec<u8>) -> Document {
    let caps = Limits { nodes_max: 1 << 24, attributes_total_max: 1 << 24, ..Limits::default() };
    Document::parse(text, &caps).unwrap()
}

fn canonical(document: &Document) -> Vec<u8> {
    let mut canonical = Vec::new();
    c14n::canonicalize(document.root(), &c14n::Method::exclusive(), &mut canonical).unwrap();
    canonical
}

fn digest(document: &Document) {
    let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
    c14n::canonicalize(document.root(), &c14n::Method::exclusive(), &mut hasher).unwrap();
    std::hint::black_box(hasher.finish());
}

/// The unit again and again inside one root.
fn repeated(unit: &str, bytes: usize) -> String {
    format!("<a xmlns='urn:a' xmlns:b='urn:b'>{}</a>", unit.repeat(bytes / unit.len() + 1))
}

/// Chains as deep as is allowed.
fn deep(bytes: usize) -> String {
    repeated(&format!("{}{}", "<b:c>".repeat(60), "</b:c>".repeat(60)), bytes)
}

/// Empty siblings.
fn wide(bytes: usize) -> String {
    repeated("<b:c></b:c>", bytes)
}

/// As many attributes an element as are allowed, in the wrong order.
fn attributes(bytes: usize) -> String {
    let own: String = (0..64).rev().map(|number| format!(" name{number:02}=\"v\"")).collect();
    repeated(&format!("<b:c{own}></b:c>"), bytes)
}

/// As many declarations an element as are allowed, of as many names as are allowed, all used.
fn namespaces(bytes: usize) -> String {
    let unit: String = (0..7)
        .map(|group| {
            let number = |own: usize| group * 32 + own;
            let declared: String =
                (0..32).map(|own| format!(" xmlns:p{0}=\"urn:n:{0}\"", number(own))).collect();
            let used: String = (0..32).map(|own| format!("<p{0}:e></p{0}:e>", number(own))).collect();
            format!("<p{}:e{declared}>{used}</p{}:e>", number(0), number(0))
        })
        .collect();
    repeated(&unit, bytes)
}
