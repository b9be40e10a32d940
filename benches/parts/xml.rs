//! Markup-heavy XML: the reader alone, and with canonicalisation and digest.

use benches::{beside, beside_with, line_of_bytes, section};
use pki::digest::{DigestAlgorithm, Hasher};
use xmlsec::{Document, Limits, c14n};

use crate::floor;
use crate::peers::Peers;

pub(crate) fn run(peers: &Peers) {
    section("XML, 1 MB of markup", "SHA-256 of the canonical form");
    for (name, unit) in [("short names", SHORT), ("as in SOAP", SOAP)] {
        markup(name, unit, peers);
    }
}

fn markup(name: &str, unit: &str, peers: &Peers) {
    let text =
        format!("<a xmlns='urn:a' xmlns:b='urn:b'>{}</a>", unit.repeat(1_000_000 / unit.len())).into_bytes();
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
    line_of_bytes(&format!("{name}: parse"), figure, text.len());
    let figure = beside(|| digest(&document), hash);
    line_of_bytes(&format!("{name}: exclusive C14N + SHA-256"), figure, text.len());
    let figure = beside_with(|| text.clone(), |text| digest(&parse(text)), hash);
    line_of_bytes(&format!("{name}: all three"), figure, text.len());
    peers.canonicalize(&text, figure.floor);
}

/// As much markup and as little in it as can be; each of the elements renders a namespace, and has quotes to change and a tag to split.
const SHORT: &str = "<b:c x='1' b:y=\"two &amp; three\"><d>text</d><e/></b:c>\n";
const SOAP: &str = "<b:Reference URI=\"#id-17\"><b:Transforms><b:Transform Algorithm=\"urn:x:exc-c14n\"></b:Transform>\
    </b:Transforms><b:DigestValue>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</b:DigestValue></b:Reference>\n";
