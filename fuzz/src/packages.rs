//! Packages: one container with an item's proofs.

use std::sync::LazyLock;

use evidence::package::{Package, assemble};
use evidence::verify::{Inputs, verify};
use jiff::Timestamp;
use pki::path::TrustAnchors;

use crate::Codes;
use crate::files::{anchors, read};
use crate::proofs::STAMPED_AT;

struct Known {
    bytes: Vec<u8>,
    seal_anchors: TrustAnchors,
    tsa_anchors: TrustAnchors,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| Known {
    bytes: read("package/package.asice"),
    seal_anchors: anchors("package/seal-root.der", &[]),
    tsa_anchors: anchors("package/tsa-root.der", &[]),
});

/// A file that is judged as a package, by the revocation lists in it: none passes but the very one that was made. What is read is
/// put together again to the same bytes, or is not what was signed.
pub fn package(data: &[u8]) -> Codes {
    let known = &*KNOWN;
    let report = verify(&Inputs {
        xml: data,
        p7s: &[],
        documents: &[],
        crls: &[],
        seal_anchors: &known.seal_anchors,
        tsa_anchors: &known.tsa_anchors,
        log_key: None,
        now: Timestamp::from_second(STAMPED_AT + 60).expect("an instant"),
    });
    assert!(!report.render().is_empty());
    assert!(data == known.bytes || !report.passed(), "a package that was never made:\n{}", report.render());
    let mut codes: Codes =
        report.checks.iter().filter_map(|check| check.sub_indication).map(|sub| sub.as_str()).collect();
    match Package::parse(data) {
        Ok(package) => match assemble(&package.contents, &package.signatures_xml) {
            Ok(again) => assert!(again == data, "other bytes of what was read"),
            Err(error) => codes.push(error.code()),
        },
        Err(error) => codes.push(error.code()),
    }
    codes
}
