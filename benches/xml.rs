//! The XML core by itself: time stays linear in the input, whatever a document's shape.
//!
//! `cargo bench -p benches --bench xml`

use benches::{GROUPS, beside_in, faulted_bytes, section, text_of_bytes};
use pki::digest::{DigestAlgorithm, Hasher};
use xmlsec::{Document, Limits, c14n};

fn main() {
    section(
        "Shapes, growing: parse, exclusive C14N and SHA-256; MB/s is to stay. Once in the memory of the document before, once in memory \
         that is new: then with what the system makes of it by a byte of the document",
        "SHA-256 of the canonical form",
    );
    let shapes: [(&str, Shape); 4] =
        [("deep", deep), ("wide", wide), ("attributes", attributes), ("namespaces", namespaces)];
    // cargo itself passes `--bench`.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, shape) in
        shapes.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name))
    {
        for (size, bytes, groups) in SIZES {
            all(&format!("{name}, {size}"), shape(bytes).as_bytes(), groups);
        }
    }
}

/// Sixty-four MB are as much as a document may have; of the largest a group takes seconds.
const SIZES: [(&str, usize, usize); 4] =
    [("16 KB", 16 << 10, GROUPS), ("1 MB", 1 << 20, GROUPS), ("8 MB", 8 << 20, 9), ("64 MB", 64 << 20, 5)];

fn hash(bytes: &[u8]) {
    std::hint::black_box(openssl::sha::sha256(std::hint::black_box(bytes)));
}

/// A document of about so many bytes.
type Shape = fn(usize) -> String;

fn all(name: &str, text: &[u8], groups: usize) {
    let canonical = canonical(&parse(text.to_vec(), usize::MAX));
    let figure_in = |kept_bytes_max, groups| {
        let ours = |text| digest(&parse(text, kept_bytes_max));
        beside_in(groups, || text.to_vec(), ours, || hash(&canonical))
    };
    let line = text_of_bytes(name, figure_in(usize::MAX, groups), text.len());
    let new = text.len() as f64 / figure_in(0, groups.min(5)).ours.as_secs_f64() / 1e6;
    println!("{line}   new {new:>4.0} MB/s, {:.1}", faulted(text));
}

/// What one call takes of the system anew, by a byte of the document.
fn faulted(text: &[u8]) -> f64 {
    let text = text.to_vec();
    let (before, bytes) = (faulted_bytes(), text.len());
    digest(&parse(text, 0));
    (faulted_bytes() - before) as f64 / bytes as f64
}

/// With the caps that such documents need.
fn parse(text: Vec<u8>, kept_bytes_max: usize) -> Document {
    let caps = Limits {
        document_bytes_max: 128 << 20,
        nodes_max: 1 << 26,
        attributes_total_max: 1 << 26,
        kept_bytes_max,
        ..Limits::default()
    };
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
