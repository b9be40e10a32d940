//! Canonical forms beside libxml2's, byte for byte.
//!
//! `oracle/c14n.txt` holds a committed sample; `tests/differential/run` pipes any number in by `XMLSEC_ORACLE=FILE`. The form
//! of both is that of `tests/differential/c14n.py`.

mod records;

use records::Records;
use xmlsec::c14n::{Algorithm, Method, canonicalize, canonicalize_document, canonicalize_without};
use xmlsec::ids::Ids;
use xmlsec::{Document, Limits};

#[test]
fn canonical_forms_are_those_of_libxml2() {
    let mut document = None;
    let (mut documents, mut forms, mut differ) = (0, 0, 0);
    for (head, bytes) in Records::of("XMLSEC_ORACLE", "c14n.txt") {
        let words: Vec<_> = head.split(' ').collect();
        let [_, algorithm, comments, apex, without, prefixes] = words[..] else {
            assert_eq!(words, ["doc"]);
            documents += 1;
            let read = Document::parse(bytes, &Limits::default());
            document = Some(read.unwrap_or_else(|error| panic!("document {documents}: {error}")));
            continue;
        };
        let method = Method {
            algorithm: match algorithm {
                "exclusive" => Algorithm::Exclusive,
                "inclusive11" => Algorithm::Inclusive11,
                "inclusive10" => Algorithm::Inclusive10,
                other => panic!("{other}"),
            },
            comments: comments == "1",
            prefixes: named(prefixes)
                .map(|list| list.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
        };
        forms += 1;
        let ours = canonical(document.as_ref().unwrap(), &method, named(apex), named(without));
        if ours != bytes {
            differ += 1;
            if differ < 10 {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let source = text(document.as_ref().unwrap().source());
                let (ours, theirs) = (text(&ours), text(&bytes));
                println!("{head}\n  source   {source:?}\n  ours     {ours:?}\n  libxml2  {theirs:?}");
            }
        }
    }
    println!("{documents} documents, {forms} canonical forms, {differ} differ from libxml2's");
    assert!(forms > 1000, "only {forms} forms");
    assert_eq!(differ, 0, "of {forms}");
}

fn canonical(document: &Document, method: &Method, apex: Option<&str>, without: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    let ids = Ids::collect(document).unwrap();
    let element = |id| ids.resolve(id).unwrap().0;
    match (apex.map(element), without.map(element)) {
        (None, _) => canonicalize_document(document, method, &mut out),
        (Some(apex), None) => canonicalize(apex, method, &mut out),
        (Some(apex), Some(without)) => canonicalize_without(apex, without, method, &mut out),
    }
    .unwrap();
    out
}

fn named(word: &str) -> Option<&str> {
    (word != "-").then_some(word)
}
