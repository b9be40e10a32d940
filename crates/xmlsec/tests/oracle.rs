//! Canonical forms beside libxml2's, committed in `oracle/c14n.txt` by `oracle/make.py`.
//!
//! `XMLSEC_ORACLE=path` compares another, larger file of the same form.

use xmlsec::c14n::{Algorithm, Method, canonicalize, canonicalize_document};
use xmlsec::{Document, Limits};

#[test]
fn canonical_forms_are_those_of_libxml2() {
    let path = std::env::var("XMLSEC_ORACLE")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/c14n.txt").to_owned());
    let file = std::fs::read_to_string(path).unwrap();
    let mut lines = file.lines();
    let (mut count, mut differ) = (0, 0);
    while let Some(head) = lines.next() {
        let source = string(lines.next().unwrap());
        let expected = string(lines.next().unwrap());
        let [_, algorithm, comments, subtree, prefixes] = head.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{head}");
        };
        let method = Method {
            algorithm: match algorithm {
                "exclusive" => Algorithm::Exclusive,
                "inclusive11" => Algorithm::Inclusive11,
                _ => Algorithm::Inclusive10,
            },
            comments: comments == "1",
            prefixes: prefixes.split(',').filter(|prefix| *prefix != "-").map(str::to_owned).collect(),
        };
        let document = Document::parse(source.as_str(), &Limits::default())
            .unwrap_or_else(|error| panic!("{error}: {source}"));
        let mut canonical = Vec::new();
        if subtree == "-" {
            canonicalize_document(&document, &method, &mut canonical).unwrap();
        } else {
            let apex = document
                .root()
                .descendants_and_self()
                .find(|element| element.attribute(None, "t").as_deref() == Some(subtree));
            canonicalize(apex.unwrap(), &method, &mut canonical).unwrap();
        }
        count += 1;
        let canonical = String::from_utf8(canonical).unwrap();
        if canonical != expected {
            differ += 1;
            if differ < 10 {
                println!("{head}\n  source   {source:?}\n  ours     {canonical:?}\n  libxml2  {expected:?}");
            }
        }
    }
    assert!(count > 300, "only {count} cases");
    assert_eq!(differ, 0, "of {count}");
}

/// A JSON string, as Python's `json.dumps` writes it.
fn string(json: &str) -> String {
    let inside = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap();
    let (mut units, mut chars) = (Vec::new(), inside.chars());
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&digits, 16).unwrap());
                    continue;
                }
                other => other,
            },
            other => other,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).unwrap()
}
