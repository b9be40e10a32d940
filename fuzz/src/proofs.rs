//! Time-stamp tokens and seals.

use std::sync::LazyLock;

use evidence::verify::{Inputs, verify};
use jiff::Timestamp;
use pki::crl::{Crl, CrlSet};
use pki::digest::Digest;
use pki::path::{Revocation, TrustAnchors};
use pki::tsp::{self, TimeStampToken, TokenChecks};

use crate::Codes;
use crate::files::{anchors, read};

struct Proof {
    xml: Vec<u8>,
    p7s: Vec<u8>,
    honest: TimeStampToken,
    imprint: Digest,
    crls: Vec<Crl>,
    lists: CrlSet,
    seal_anchors: TrustAnchors,
    tsa_anchors: TrustAnchors,
    tsa_path: TrustAnchors,
}

static PROOF: LazyLock<Proof> = LazyLock::new(|| {
    let honest = TimeStampToken::from_der(&read("token.der")).expect("the token");
    let crls: Vec<Crl> =
        (0..4).map(|n| Crl::from_der(&read(&format!("list-{n}.crl"))).expect("a list")).collect();
    Proof {
        xml: read("receipt.xml"),
        p7s: read("receipt.p7s"),
        imprint: honest.tst_info().imprint.clone(),
        honest,
        lists: CrlSet::new(crls.clone()),
        crls,
        seal_anchors: anchors("seal-root.der", &[]),
        tsa_anchors: anchors("tsa-root.der", &[]),
        tsa_path: anchors("tsa-root.der", &["tsa-ca.der"]),
    }
});

/// A letter, then: a response (`r`), a token (`t`), a seal of the receipt (`s`), a receipt under the seal (`x`). No token
/// passes but with what the authority stated, and no seal or receipt but the very one.
pub fn cms_tsp(data: &[u8]) -> Codes {
    let Some((letter, rest)) = data.split_first() else { return Codes::new() };
    if !crate::fixed("token.der").exists() {
        // Without the fixed proof only the readers are tried.
        let token = if *letter == b'r' { tsp::parse_response(rest) } else { TimeStampToken::from_der(rest) };
        return token.err().map(|error| error.code()).into_iter().collect();
    }
    let proof = &*PROOF;
    match letter {
        b'r' => {
            tsp::parse_response(rest).map_or_else(|error| vec![error.code()], |token| judge(proof, &token))
        }
        b't' => TimeStampToken::from_der(rest)
            .map_or_else(|error| vec![error.code()], |token| judge(proof, &token)),
        b's' => seal(proof, &proof.xml, rest),
        _ => seal(proof, rest, &proof.p7s),
    }
}

fn judge(proof: &Proof, token: &TimeStampToken) -> Codes {
    let at = Timestamp::from_second(1_795_000_060).expect("an instant");
    let mut codes = Codes::new();
    for revocation in [Revocation::HardFail(&proof.lists), Revocation::NotChecked] {
        let nonce = proof.honest.tst_info().nonce.as_deref();
        let checks = TokenChecks {
            imprint: &proof.imprint,
            nonce,
            policies: &[],
            anchors: &proof.tsa_path,
            revocation,
            gen_time_window: None,
            at,
        };
        match tsp::check(token, &checks) {
            Ok(checked) => {
                let (said, stated) = (checked.token().tst_info(), proof.honest.tst_info());
                let same = said.imprint == stated.imprint
                    && (&said.serial, said.gen_time, &said.nonce, &said.policy)
                        == (&stated.serial, stated.gen_time, &stated.nonce, &stated.policy);
                assert!(same, "a token that the authority never made");
            }
            Err(error) => codes.push(error.code()),
        }
    }
    codes
}

fn seal(proof: &Proof, xml: &[u8], p7s: &[u8]) -> Codes {
    let report = verify(&Inputs {
        xml,
        p7s,
        documents: &[],
        crls: &proof.crls,
        seal_anchors: &proof.seal_anchors,
        tsa_anchors: &proof.tsa_anchors,
        now: Timestamp::from_second(1_795_000_060).expect("an instant"),
    });
    assert!(!report.render().is_empty());
    let same = xml == proof.xml && p7s == proof.p7s;
    assert!(same || !report.passed(), "a proof that was never made:\n{}", report.render());
    report.checks.iter().filter_map(|check| check.sub_indication).map(|sub| sub.as_str()).collect()
}
