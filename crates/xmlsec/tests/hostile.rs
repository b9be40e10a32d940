//! Documents that must be refused, one file a defect, named by it; `hostile/codes.txt` holds the code of each.

use std::path::Path;

use xmlsec::{Document, Limits, ReadErrorKind};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile");

#[test]
fn every_hostile_document_is_refused_by_its_code() {
    let codes = std::fs::read_to_string(Path::new(FOLDER).join("codes.txt")).unwrap();
    let mut wrong = Vec::new();
    for line in codes.lines() {
        let (name, code) = line.split_once(' ').unwrap();
        let source = std::fs::read(Path::new(FOLDER).join(format!("{name}.xml"))).unwrap();
        let length = source.len();
        let answer = match Document::parse(source, &Limits::default()) {
            Ok(_) => "accepted".to_owned(),
            Err(error) if error.offset > length => format!("{} beyond the end", error.code()),
            Err(error) => error.code().to_owned(),
        };
        if answer != code {
            wrong.push(format!("{name}: {answer}, not {code}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_has_a_code_and_every_kind_a_file() {
    let codes = std::fs::read_to_string(Path::new(FOLDER).join("codes.txt")).unwrap();
    let files = std::fs::read_dir(FOLDER).unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "xml")
    });
    assert_eq!(files.count(), codes.lines().count());
    // Caps whose documents are too large to commit; `read/tests.rs` tries them with small limits.
    let elsewhere = ["document", "attributes-total", "nodes", "text", "attribute"];
    for kind in ReadErrorKind::ALL {
        let code = kind.code();
        let named = codes.lines().any(|line| line.ends_with(&format!(" {code}")));
        let small = code.strip_prefix("xml.limit.").is_some_and(|cap| elsewhere.contains(&cap));
        assert!(named || small, "{code}");
    }
}
