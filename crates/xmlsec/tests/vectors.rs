//! Published vectors that may not be committed: `tests/vectors/run` fetches them and runs these tests.

use std::collections::BTreeMap;
use std::path::PathBuf;

use xmlsec::{Document, Limits};

fn folder() -> PathBuf {
    std::env::var_os("EPOST_VECTORS").expect("EPOST_VECTORS: run tests/vectors/run").into()
}

/// The W3C XML conformance suite. What is not well-formed is refused; what is, is accepted, unless the profile refuses it by name.
#[test]
#[ignore = "tests/vectors/run fetches the suite"]
fn w3c_xml_conformance() {
    let list = std::fs::read_to_string(folder().join("conformance.txt")).unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in list.lines() {
        let [kind, namespaces, name, file] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let source = std::fs::read(folder().join(file)).unwrap();
        let answer = Document::parse(source, &Limits::default()).map_err(|error| error.code());
        // What the profile refuses although XML has it; a name that Namespaces 1.0 does not have is refused there alone.
        let by_profile = |code: &str| {
            code == "xml.doctype"
                || code.starts_with("xml.encoding.")
                || code == "xml.namespace.relative"
                || (namespaces == "no" && code.starts_with("xml.name"))
                // Version 1.7: the fifth edition would read it as 1.0, we take no other version than 1.0.
                || (name == "x-rmt-008b" && code == "xml.declaration")
        };
        let verdict = match (kind, answer) {
            ("not-wf", Err(_)) => "not-wf: refused".to_owned(),
            ("valid" | "invalid", Ok(_)) => "well-formed: accepted".to_owned(),
            ("valid" | "invalid", Err(code)) if by_profile(code) => {
                format!("well-formed: refused by profile, {code}")
            }
            // Errors that a processor need not report.
            ("error", Ok(_)) => "error: accepted".to_owned(),
            ("error", Err(code)) => format!("error: refused, {code}"),
            (_, answer) => {
                wrong.push(format!("{kind} {name}: {answer:?}", answer = answer.map(|_| "accepted")));
                continue;
            }
        };
        *counts.entry(verdict).or_default() += 1;
    }
    println!("{counts:#?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!((counts["not-wf: refused"], counts["well-formed: accepted"]), (1017, 71));
}
