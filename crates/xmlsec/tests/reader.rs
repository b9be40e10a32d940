//! Damaged documents beside libxml2 (`security.md` row 29): nothing that it refuses is read here, and what it reads is refused here
//! by the profile alone; what both read is the same document.
//!
//! `oracle/reader.txt` holds a committed sample; `tests/differential/run` pipes any number in.

mod records;

use std::collections::BTreeMap;

use records::Records;
use xmlsec::c14n::{Method, canonicalize_document};
use xmlsec::{Document, Limits};

/// What libxml2 reads and we refuse: relative namespace names (Canonical XML 1.0 §1.3 makes them an error), versions other than 1.0,
/// encodings other than UTF-8, by that name.
const STRICTER: [&str; 3] = ["xml.namespace.relative", "xml.declaration", "xml.encoding.declared"];

/// Canonical XML §2.3 has a namespace's name escaped as an attribute's value; libxml2 writes it as it is, and what comes of an ampersand
/// is not even well-formed. One damaged document of a hundred thousand has one there.
fn namespaces_as_libxml2_writes(canonical: &[u8]) -> String {
    let text = std::str::from_utf8(canonical).unwrap();
    let mut pieces = text.split(" xmlns");
    let mut written = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        written.push_str(" xmlns");
        let mut quoted = piece.splitn(3, '"');
        let declared = [quoted.next(), quoted.next(), quoted.next()];
        match declared {
            [Some(prefix), Some(name), Some(rest)] => {
                let name = name.replace("&lt;", "<").replace("&amp;", "&");
                written.extend([prefix, "\"", &name, "\"", rest]);
            }
            _ => written.push_str(piece),
        }
    }
    written
}

#[test]
fn a_namespaces_name_is_escaped_where_libxml2_does_not() {
    let document =
        Document::parse(b"<a xmlns:b='urn:&amp;lt' c='&amp;'/>".to_vec(), &Limits::default()).unwrap();
    let mut ours = Vec::new();
    canonicalize_document(&document, &Method::inclusive(), &mut ours).unwrap();
    assert_eq!(ours, b"<a xmlns:b=\"urn:&amp;lt\" c=\"&amp;\"></a>");
    assert_eq!(namespaces_as_libxml2_writes(&ours), "<a xmlns:b=\"urn:&lt\" c=\"&amp;\"></a>");
}

#[test]
fn what_libxml2_refuses_is_refused() {
    let (mut count, mut read, mut same, mut wrong) = (0, 0, 0, Vec::new());
    let mut stricter: BTreeMap<&str, usize> = BTreeMap::new();
    let mut last = None;
    for (head, bytes) in Records::of("XMLSEC_READER", "reader.txt") {
        let show = || format!("{:?}", String::from_utf8_lossy(&bytes));
        if head == "canonical" {
            if let Some(document) = last.take() {
                let method = Method { comments: true, ..Method::inclusive() };
                let mut ours = Vec::new();
                canonicalize_document(&document, &method, &mut ours).unwrap();
                same += 1;
                if ours != bytes && namespaces_as_libxml2_writes(&ours).as_bytes() != bytes {
                    wrong.push(format!("{:?} for {}", String::from_utf8_lossy(&ours), show()));
                }
            }
            continue;
        }
        let theirs = head.strip_prefix("read ").unwrap() == "well-formed";
        count += 1;
        last = None;
        match Document::parse(bytes.clone(), &Limits::default()) {
            Ok(document) if theirs => {
                read += 1;
                last = Some(document);
            }
            Ok(_) => wrong.push(format!("read: {}", show())),
            Err(error) if theirs => {
                *stricter.entry(error.code()).or_default() += 1;
                if !STRICTER.contains(&error.code()) {
                    wrong.push(format!("{error}: {}", show()));
                }
            }
            Err(_) => {}
        }
    }
    println!(
        "{count} damaged documents, {read} read by both, {same} to one canonical form, {stricter:?} refused by us alone"
    );
    assert!(wrong.is_empty(), "{} differ: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    assert!(same > count / 10, "only {same} of {count}");
}
