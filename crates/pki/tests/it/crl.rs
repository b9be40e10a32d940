//! RFC 5280 §5, `security.md` row 46: which lists are not even held.

use openssl::hash::MessageDigest;
use pki::crl::{Crl, CrlError};

use crate::kit::*;

fn authority() -> Party {
    Wanted::authority("CA", 2).itself()
}

fn code(issuer: &Party, list: &List) -> Result<(), &'static str> {
    Crl::from_der(&list.der(issuer)).map(drop).map_err(|error| error.code())
}

#[test]
fn a_list_is_read() {
    let ca = authority();
    let der = List::default().der(&ca);
    let crl = Crl::from_der(&der).unwrap();
    assert_eq!((crl.this_update(), crl.next_update()), (at(NOW - DAY), Some(at(NOW + DAY))));
    assert_eq!(crl.der(), der);
    let pem = openssl::x509::X509Crl::from_der(crl.der()).unwrap().to_pem().unwrap();
    assert_eq!(Crl::from_pem(&pem).unwrap().der(), crl.der());
    assert_eq!(Crl::from_pem(&[pem.as_slice(), &pem].concat()).unwrap_err(), CrlError::Malformed, "two");
    assert_eq!(Crl::from_pem(b"").unwrap_err(), CrlError::Malformed);
}

#[test]
fn other_kinds_of_lists_are_refused() {
    let ca = authority();
    let critical = extension("1.3.6.1.4.1.99999.7", true, &[5, 0]);
    let kind = Err("crl.kind");
    let malformed = Err("crl.malformed");
    let relative = tlv(0xa0, &[&tlv(0xa1, &[&seq(&[&oid("2.5.4.3"), &tlv(0x0c, &[b"x"])])])]);
    let two_names = tlv(0xa0, &[&tlv(0xa0, &[&uri("http://a")]), &tlv(0xa0, &[&uri("http://b")])]);
    let cases = [
        ("delta without number", List::with(extension("2.5.29.27", true, &int(6))), kind),
        ("delta", List::delta(6, 7), Ok(())),
        ("number below zero", List::with(extension("2.5.29.20", false, &[2, 1, 0xff])), malformed),
        (
            "number of 20 octets",
            List::with(extension("2.5.29.20", false, &tlv(2, &[&[0], &[0xff; 20]]))),
            Ok(()),
        ),
        ("number of 21", List::with(extension("2.5.29.20", false, &tlv(2, &[&[1; 22]]))), malformed),
        ("delta, not critical", List::with(extension("2.5.29.27", false, &int(6))), kind),
        ("unknown critical extension", List::with(critical.clone()), kind),
        ("unknown extension", List::with(extension("1.3.6.1.4.1.99999.7", false, &[5, 0])), Ok(())),
        ("indirect", List::scoped(&[&[0x84, 1, 0xff]]), kind),
        ("by reason", List::scoped(&[&tlv(0x83, &[&[6, 0x40]])]), Ok(())),
        ("for no reason", List::scoped(&[&tlv(0x83, &[&[7, 0x80]])]), malformed),
        ("for no reason at all", List::scoped(&[&tlv(0x83, &[&[0]])]), malformed),
        ("of attribute certificates", List::scoped(&[&[0x85, 1, 0xff]]), kind),
        ("relative name", List::scoped(&[&relative]), kind),
        ("two names", List::scoped(&[&two_names]), malformed),
        ("no name", List::scoped(&[&tlv(0xa0, &[&tlv(0xa0, &[])])]), malformed),
        ("indirect as 1", List::scoped(&[&[0x84, 1, 1]]), malformed),
        ("indirect as 0", List::scoped(&[&[0x84, 1, 0]]), malformed),
        ("indirect of two octets", List::scoped(&[&[0x84, 2, 0xff, 0xff]]), malformed),
        ("unknown field", List::scoped(&[&[0x86, 1, 0xff]]), malformed),
        ("field twice", List::scoped(&[&[0x81, 1, 0xff], &[0x81, 1, 0xff]]), malformed),
        ("users and CAs only", List::scoped(&[&[0x81, 1, 0xff], &[0x82, 1, 0xff]]), malformed),
        (
            "IDP twice",
            List {
                extensions: vec![
                    extension("2.5.29.28", true, &seq(&[&[0x82, 1, 0xff]])),
                    extension("2.5.29.28", true, &seq(&[])),
                ],
                ..List::default()
            },
            malformed,
        ),
        ("critical as 0", List::with(seq(&[&oid("2.5.29.20"), &[1, 1, 0], &octets(&int(7))])), malformed),
        (
            "critical as 1",
            List::with(seq(&[&oid("1.3.6.1.4.1.99999.7"), &[1, 1, 1], &octets(&[5, 0])])),
            malformed,
        ),
        (
            "entry with a critical extension",
            List { revoked: vec![(int(5), NOW, vec![critical])], ..List::default() },
            kind,
        ),
        (
            "entry with reason",
            List {
                revoked: vec![(int(5), NOW, vec![extension("2.5.29.21", false, &[10, 1, 1])])],
                ..List::default()
            },
            Ok(()),
        ),
        (
            "removeFromCRL, but not of a delta",
            List {
                revoked: vec![(int(5), NOW, vec![extension("2.5.29.21", false, &[10, 1, 8])])],
                ..List::default()
            },
            kind,
        ),
        (
            "serial not the shortest",
            List { revoked: vec![(vec![2, 2, 0, 5], NOW, vec![])], ..List::default() },
            malformed,
        ),
        ("SHA-1", List { digest: MessageDigest::sha1(), ..List::default() }, Err("crl.algorithm")),
        (
            "two algorithms",
            List { inner_algorithm: Some(seq(&[&oid("1.2.840.10045.4.3.3")])), ..List::default() },
            malformed,
        ),
    ];
    for (case, list, expected) in cases {
        assert_eq!(code(&ca, &list), expected, "{case}");
    }
}

#[test]
fn a_list_is_der_to_its_last_byte() {
    let ca = authority();
    let der = List::default().der(&ca);
    for length in 0..der.len() {
        assert_eq!(Crl::from_der(&der[..length]).unwrap_err(), CrlError::Malformed, "{length} bytes");
    }
    assert_eq!(Crl::from_der(&[der.as_slice(), &[0]].concat()).unwrap_err(), CrlError::Malformed);
    assert_eq!(Crl::from_der(&[der.as_slice(), &der].concat()).unwrap_err(), CrlError::Malformed);
    assert_eq!(Crl::from_der(&ca.der).unwrap_err(), CrlError::Malformed, "a certificate");
}
