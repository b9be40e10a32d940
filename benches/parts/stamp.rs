//! A time-stamp token, read and checked in every field, its path and revocation included.

#[path = "../../crates/evidence/tests/support/mod.rs"]
mod support;

use benches::{beside, line_beyond, section};
use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::crl::{Crl, CrlSet};
use pki::digest::{Digest, DigestAlgorithm};
use pki::path::{Revocation, TrustAnchors};
use pki::tsp::{CheckedToken, TimeStampToken, TokenChecks};

use crate::floor::BareVerify;

pub(crate) fn run() {
    section(
        "Check a time-stamp token: every field, path, CRLs",
        "the bare verifications of token, unit's certificate and authority's certificate",
    );
    for (name, authority) in [("P-256", Authority::p256()), ("RSA-2048", Authority::rsa())] {
        let imprint = Digest::of(DigestAlgorithm::Sha256, b"a signature value");
        let der = authority.token(imprint.as_bytes());
        let mut of_token = BareVerify::new(&authority.house.tsa.key_pem());
        let mut of_certificate = BareVerify::new(&authority.house.tsa_ca.key_pem());
        let mut floor = || {
            of_token.call();
            of_certificate.call();
            of_certificate.call();
        };
        let token = TimeStampToken::from_der(&der).unwrap();
        let check = || drop(std::hint::black_box(authority.check(&token, &imprint)));
        line_beyond(&format!("tsp::check, {name} unit"), beside(check, &mut floor));
        let read_and_check = || {
            let token = TimeStampToken::from_der(&der).unwrap();
            std::hint::black_box(authority.check(&token, &imprint));
        };
        line_beyond(&format!("read and tsp::check, {name} unit"), beside(read_and_check, &mut floor));
    }
}

/// A time-stamping authority: root, intermediate (both P-256) and unit.
pub(crate) struct Authority {
    house: support::House,
    anchors: TrustAnchors,
    crls: CrlSet,
}

impl Authority {
    pub(crate) fn p256() -> Self {
        Self::new(support::p256())
    }

    fn rsa() -> Self {
        Self::new(support::rsa_2048())
    }

    fn new(unit: openssl::pkey::PKey<openssl::pkey::Private>) -> Self {
        let house = support::House::build_with(Timestamp::now().as_second(), support::p256(), unit);
        let anchors = TrustAnchors::new(Certificate::from_pem(&house.tsa_root.pem()).unwrap(), Vec::new());
        let crls = house.crls(&[]).iter().map(|crl| Crl::from_der(crl).unwrap()).collect();
        Self { house, anchors, crls: CrlSet::new(crls) }
    }

    pub(crate) fn token(&self, imprint: &[u8]) -> Vec<u8> {
        self.house.token(imprint)
    }

    pub(crate) fn check(&self, token: &TimeStampToken, imprint: &Digest) -> CheckedToken {
        let checks = TokenChecks {
            imprint,
            nonce: None,
            policies: &[],
            anchors: &self.anchors,
            revocation: Revocation::HardFail(&self.crls),
            gen_time_window: None,
            at: Timestamp::from_second(self.house.now).unwrap(),
        };
        pki::tsp::check(token, &checks).unwrap()
    }
}
