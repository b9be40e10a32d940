//! Canonical forms beside libxml2's, byte for byte.
//!
//! `oracle/c14n.txt` holds a committed sample; `tests/differential/run` pipes any number in by `XMLSEC_ORACLE=FILE`. The form
//! of both is that of `tests/differential/c14n.py`.

use std::fs::File;
use std::io::{BufRead, BufReader};

use xmlsec::c14n::{Algorithm, Method, canonicalize, canonicalize_document, canonicalize_without};
use xmlsec::ids::Ids;
use xmlsec::{Document, Limits};

#[test]
fn canonical_forms_are_those_of_libxml2() {
    let path = std::env::var("XMLSEC_ORACLE")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/c14n.txt").to_owned());
    let mut input = BufReader::new(File::open(path).unwrap());
    let mut document = None;
    let (mut documents, mut forms, mut differ) = (0, 0, 0);
    while let Some((head, bytes)) = record(&mut input) {
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

/// A line that ends in a length, that many bytes, a line end; `None` at the end of the input.
fn record(input: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    input.read_line(&mut line).unwrap();
    if line.is_empty() {
        return None;
    }
    let (head, length_bytes) = line.trim_end().rsplit_once(' ').unwrap();
    let mut bytes = vec![0; length_bytes.parse::<usize>().unwrap() + 1];
    input.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes.pop(), Some(b'\n'));
    Some((head.to_owned(), bytes))
}
