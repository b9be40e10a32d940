//! ERDS evidence: one file, with its signature and its time-stamp inside.

use std::sync::LazyLock;

use evidence::event::Evidence;
use evidence::verify::{Inputs, verify};
use jiff::Timestamp;
use pki::crl::Crl;
use pki::path::TrustAnchors;

use crate::Codes;
use crate::files::{anchors, read};
use crate::proofs::STAMPED_AT;

struct Known {
    xml: Vec<u8>,
    lists: Vec<Crl>,
    seal_anchors: TrustAnchors,
    tsa_anchors: TrustAnchors,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| Known {
    xml: read("evidence/evidence.xml"),
    lists: (0..4).map(|n| Crl::from_der(&read(&format!("evidence/{n}.crl"))).expect("a list")).collect(),
    seal_anchors: anchors("evidence/seal-root.der", &[]),
    tsa_anchors: anchors("evidence/tsa-root.der", &[]),
});

/// A file that is judged as an evidence: none passes but the very one that was made.
pub fn evidence(data: &[u8]) -> Codes {
    let known = &*KNOWN;
    let report = verify(&Inputs {
        xml: data,
        p7s: &[],
        documents: &[],
        crls: &known.lists,
        seal_anchors: &known.seal_anchors,
        tsa_anchors: &known.tsa_anchors,
        log_key: None,
        now: Timestamp::from_second(STAMPED_AT + 60).expect("an instant"),
    });
    assert!(!report.render().is_empty());
    assert!(data == known.xml || !report.passed(), "an evidence that was never made:\n{}", report.render());
    let mut codes: Codes =
        report.checks.iter().filter_map(|check| check.sub_indication).map(|sub| sub.as_str()).collect();
    codes.extend(Evidence::parse(data).err().map(|error| error.code()));
    codes
}
