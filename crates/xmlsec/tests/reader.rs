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
                if ours != bytes {
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
