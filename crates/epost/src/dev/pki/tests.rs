use ::pki::certificate::Certificate;
use ::pki::crl::{Crl, CrlSet};
use ::pki::path::{PathError, Purpose, Revocation, TrustAnchors};

use super::*;

#[test]
fn made_once_and_reused_with_new_crls() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let first = Pki::open_or_create(folder.path(), Extent::WithStrangers, now, 30, 7).unwrap();
    let certificate = std::fs::read(first.certificate("alice")).unwrap();
    let crl = std::fs::read(first.crls().join("senders-ca.crl")).unwrap();

    let later = Timestamp::from_second(1_800_100_000).unwrap();
    let second = Pki::open_or_create(folder.path(), Extent::Senders, later, 30, 7).unwrap();
    assert_eq!(certificate, std::fs::read(second.certificate("alice")).unwrap());
    assert_ne!(crl, std::fs::read(second.crls().join("senders-ca.crl")).unwrap());
}

#[test]
fn every_party_has_its_files_and_keys_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let pki = Pki::open_or_create(folder.path(), Extent::WithStrangers, now, 30, 7).unwrap();
    for party in SENDERS.iter().chain(&STRANGERS) {
        let leaf = read_certificate(&pki.certificate(party.name)).unwrap();
        let p12 =
            Pkcs12::from_der(&std::fs::read(pki.p12(party.name)).unwrap()).unwrap().parse2(PASSWORD).unwrap();
        assert_eq!(p12.cert.unwrap().to_der().unwrap(), leaf.to_der().unwrap(), "{}", party.name);
        let mode = std::fs::metadata(pki.key(party.name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", party.name);
    }
    let names = authority_names(&pki, "unknown_ca");
    assert_eq!(names, authority_names(&pki, "alice"), "the rogue authority bears the real one's name");
    assert_eq!(pki.senders_issuer_spki_sha256().unwrap().len(), 64);
}

fn authority_names(pki: &Pki, name: &str) -> Vec<u8> {
    read_certificate(&pki.certificate(name)).unwrap().issuer_name().to_der().unwrap()
}

#[test]
fn half_made_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let pki = Pki::open_or_create(folder.path(), Extent::Senders, now, 30, 7).unwrap();
    std::fs::remove_file(folder.path().join("complete")).unwrap();
    let before = std::fs::read(pki.certificate("alice")).unwrap();
    let again = Pki::open_or_create(folder.path(), Extent::Senders, now, 30, 7).unwrap();
    assert_ne!(before, std::fs::read(again.certificate("alice")).unwrap());
}

/// What the service's own path engine says of a certificate of this PKI.
fn judged(
    pki: &Pki,
    name: &str,
    authorities: &str,
    purpose: Purpose,
    now: Timestamp,
) -> Result<(), PathError> {
    let read = |name: &str| Certificate::from_pem(&std::fs::read(pki.certificate(name)).unwrap()).unwrap();
    let crl = |name: String| Crl::from_der(&std::fs::read(pki.crls().join(name)).unwrap()).unwrap();
    let (root, ca) = (format!("{authorities}-root"), format!("{authorities}-ca"));
    let anchors = TrustAnchors::new(read(&root), read(&ca));
    let crls = CrlSet::new(vec![crl(format!("{root}.crl")), crl(format!("{ca}.crl"))]);
    let leaf = read(name).remove(0);
    anchors.validate(&leaf, &[], Revocation::HardFail(&crls), purpose, now).map(drop)
}

#[test]
fn each_is_what_its_name_says() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let pki = Pki::open_or_create(folder.path(), Extent::WithStrangers, now, 30, 7).unwrap();
    let code = |name, authorities, purpose| {
        judged(&pki, name, authorities, purpose, now).map_err(|error| error.code())
    };
    for name in ["alice", "bob", "wrong_environment", "not_authorised"] {
        assert_eq!(code(name, "senders", Purpose::MessageSigning), Ok(()), "{name}");
        assert_eq!(code(name, "senders", Purpose::TlsClient), Ok(()), "{name}");
    }
    assert_eq!(code("seal", "seal", Purpose::Sealing), Ok(()));
    assert_eq!(code("tsa", "tsa", Purpose::TimeStamping), Ok(()));
    assert_eq!(code("expired", "senders", Purpose::MessageSigning), Err("path.expired"));
    assert_eq!(code("revoked", "senders", Purpose::MessageSigning), Err("path.revoked"));
    assert_eq!(code("unknown_ca", "senders", Purpose::MessageSigning), Err("path.unknown-issuer"));
}
