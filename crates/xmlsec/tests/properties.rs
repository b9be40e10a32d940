//! What holds for every document and for every input.

use proptest::prelude::*;
use xmlsec::c14n::{Algorithm, Method, canonicalize, canonicalize_document};
use xmlsec::write::Writer;
use xmlsec::{Document, Element, Limits};

/// An element to be written: name, attributes, namespaces, children.
#[derive(Clone, Debug)]
enum Piece {
    Element {
        name: usize,
        declared: Vec<(usize, usize)>,
        attributes: Vec<(usize, String)>,
        inside: Vec<Piece>,
    },
    Text(String),
    Raw(&'static str),
}

const NAMES: [&str; 4] = ["a", "p:b", "q:c", "Élan"];
const ATTRIBUTES: [&str; 4] = ["v", "p:v", "q:w", "xml:lang"];
const PREFIXES: [&str; 3] = ["", "p", "q"];
// `p` and `q` never share a name, so that no attribute stands twice.
const URIS: [[&str; 2]; 3] = [["urn:d", ""], ["urn:p", "urn:p2"], ["urn:q", "urn:q2"]];
const RAW: [&str; 5] = ["<!-- c -->", "<?p d?>", "<![CDATA[<&\r\n]]>", "&#13;\n", "\r\n"];

fn piece() -> impl Strategy<Value = Piece> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Piece::Text),
        (0..RAW.len()).prop_map(|index| Piece::Raw(RAW[index])),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        (
            0..NAMES.len(),
            prop::collection::vec((0..PREFIXES.len(), 0..2usize), 0..3),
            prop::collection::vec((0..ATTRIBUTES.len(), any::<String>()), 0..3),
            prop::collection::vec(inner, 0..5),
        )
            .prop_map(|(name, declared, attributes, inside)| Piece::Element {
                name,
                declared,
                attributes,
                inside,
            })
    })
}

fn write(pieces: &[Piece], out: &mut Writer) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                out.text(text);
            }
            Piece::Raw(markup) => {
                out.raw(markup);
            }
            Piece::Element { name, declared, attributes, inside } => {
                out.start(NAMES[*name]);
                let mut seen = Vec::new();
                for &(prefix, which) in declared.iter().filter(|(prefix, _)| {
                    let new = !seen.contains(prefix);
                    seen.push(*prefix);
                    new
                }) {
                    out.namespace(PREFIXES[prefix], URIS[prefix][which]);
                }
                let mut seen = Vec::new();
                for (attribute, value) in attributes {
                    if !seen.contains(attribute) {
                        seen.push(*attribute);
                        out.attribute(ATTRIBUTES[*attribute], value);
                    }
                }
                write(inside, out);
                out.end();
            }
        }
    }
}

fn source(pieces: &[Piece]) -> Vec<u8> {
    let mut out = Writer::with_declaration();
    out.start("root").namespace("p", "urn:p").namespace("q", "urn:q");
    write(pieces, &mut out);
    out.finish()
}

fn canonical(element: Element<'_>, method: &Method) -> Vec<u8> {
    let mut bytes = Vec::new();
    canonicalize(element, method, &mut bytes).unwrap();
    bytes
}

proptest! {
    #[test]
    fn a_canonical_form_is_its_own(pieces in prop::collection::vec(piece(), 0..6), comments: bool) {
        let limits = Limits::default();
        let document = Document::parse(source(&pieces), &limits).unwrap();
        for algorithm in [Algorithm::Inclusive10, Algorithm::Inclusive11, Algorithm::Exclusive] {
            let method = Method { algorithm, comments, ..Method::exclusive() };
            let mut once = Vec::new();
            canonicalize_document(&document, &method, &mut once).unwrap();
            let again = Document::parse(once.clone(), &limits).unwrap();
            let mut twice = Vec::new();
            canonicalize_document(&again, &method, &mut twice).unwrap();
            prop_assert_eq!(&once, &twice);
            // An element alone, and that element as a document of its own.
            for element in document.root().descendants_and_self().take(5) {
                let once = canonical(element, &method);
                let again = Document::parse(once.clone(), &limits).unwrap();
                prop_assert_eq!(&once, &canonical(again.root(), &method));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Document::parse(bytes, &Limits::default());
    }

    /// Documents cut, doubled and mixed up: refused within the input, or canonicalised.
    #[test]
    fn mangled_documents_are_read_or_refused(
        pieces in prop::collection::vec(piece(), 0..4),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = source(&pieces);
        for (from, to, byte) in cuts {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            match byte % 3 {
                0 => bytes[from] = byte,
                1 => drop(bytes.drain(from.min(to)..from.max(to))),
                _ => {
                    let copy = bytes[from.min(to)..from.max(to)].to_vec();
                    bytes.splice(to..to, copy);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        let length = bytes.len();
        match Document::parse(bytes, &Limits::default()) {
            Ok(document) => drop(canonical(document.root(), &Method::exclusive())),
            Err(error) => prop_assert!(error.offset <= length),
        }
    }
}
