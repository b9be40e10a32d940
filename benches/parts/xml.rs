//! Markup-heavy XML: the reader alone, and with canonicalisation and digest.

use benches::{beside, beside_with, line_of_bytes, section};
use pki::digest::{DigestAlgorithm, Hasher};
use xmlsec::{Document, Limits, c14n};

use crate::floor;
use crate::peers::Peers;

pub(crate) fn run(peers: &Peers) {
    section("XML, 1 MB of markup", "SHA-256 of the canonical form");
    let text = markup();
    let limits = Limits { nodes_max: 10_000_000, ..Limits::default() };
    let document = Document::parse(text.clone(), &limits).unwrap();
    let method = c14n::Method::exclusive();
    let mut canonical = Vec::new();
    c14n::canonicalize(document.root(), &method, &mut canonical).unwrap();

    let digest = |document: &Document| {
        let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
        c14n::canonicalize(document.root(), &method, &mut hasher).unwrap();
        std::hint::black_box(hasher.finish());
    };
    let parse = |text: Vec<u8>| Document::parse(text, &limits).unwrap();
    let hash = || floor::hash(&canonical);
    let figure = beside_with(|| text.clone(), |text| drop(std::hint::black_box(parse(text))), hash);
    line_of_bytes("parse", figure, text.len());
    line_of_bytes("exclusive C14N + SHA-256", beside(|| digest(&document), hash), text.len());
    let figure = beside_with(|| text.clone(), |text| digest(&parse(text)), hash);
    line_of_bytes("parse + exclusive C14N + SHA-256", figure, text.len());
    peers.canonicalize(&text, figure.floor);
}

fn markup() -> Vec<u8> {
    let mut text = String::from("<a xmlns='urn:a' xmlns:b='urn:b'>");
    while text.len() < 1_000_000 {
        text.push_str("<b:c x='1' b:y=\"two &amp; three\"><d>text</d><e/></b:c>\n");
    }
    text.push_str("</a>");
    text.into_bytes()
}
