//! `security.md` row 42: what is held as a certificate.

use pki::certificate::{Certificate, CertificateError, NameAttribute};

use crate::kit::*;

fn malformed(der: &[u8]) -> bool {
    Certificate::from_der(der).is_err_and(|error| error == CertificateError::Malformed)
}

#[test]
fn a_certificate_is_read() {
    let root = Wanted::authority("Root", 1).itself();
    let key_id = extension("2.5.29.14", false, &octets(&[7; 20]));
    let leaf = Wanted::leaf("Leaf", 300).with(eku(true, &[CLIENT_AUTH])).with(key_id).by(&root);
    let certificate = leaf.certificate();
    assert_eq!(certificate.der(), leaf.der);
    assert_eq!(certificate.serial(), [1, 44]);
    assert_eq!(
        (certificate.subject().der(), certificate.issuer().der()),
        (leaf.name.as_slice(), root.name.as_slice())
    );
    assert_eq!(certificate.subject().one(NameAttribute::CommonName), Some("Leaf"));
    assert_eq!((certificate.not_before(), certificate.not_after()), (at(NOW - 10 * DAY), at(NOW + 10 * DAY)));
    assert_eq!(certificate.fingerprint().to_vec(), sha256(&leaf.der));
    assert_eq!(certificate.spki_sha256().to_vec(), sha256(&leaf.key.public_key_to_der().unwrap()));
    assert_eq!(certificate.subject_key_id(), Some(&[7; 20][..]));
    let usage = certificate.key_usage().unwrap();
    assert!(usage.digital_signature && usage.non_repudiation && !usage.key_cert_sign && !usage.crl_sign);
    let extended = certificate.extended_key_usage().unwrap();
    assert!(extended.critical && extended.purposes == [CLIENT_AUTH]);
    assert!(!certificate.is_ca() && root.certificate().is_ca());
}

#[test]
fn it_is_one_and_whole() {
    let der = Wanted::leaf("Leaf", 3).itself().der;
    for length in 0..der.len() {
        assert!(malformed(&der[..length]), "{length} bytes");
    }
    assert!(malformed(&[der.as_slice(), &[0]].concat()), "trailing byte");
    assert!(malformed(&[der.as_slice(), &der].concat()), "two certificates");
    assert!(malformed(b"garbage") && malformed(&[0x30, 0]) && malformed(&[0; 100]), "garbage");
    assert!(malformed(&vec![0x30; 8 << 20]), "8 MiB");
    assert!(malformed(&openssl::x509::X509::from_der(&der).unwrap().to_pem().unwrap()), "PEM");
    let hex: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(malformed(hex.as_bytes()), "hex");
    let mut longer = vec![0x30, 0x83, 0];
    longer.extend(&der[2..]);
    assert!(malformed(&longer), "a length that is not the shortest");
}

#[test]
fn it_says_each_thing_once_and_in_der() {
    let refused = |wanted: Wanted| malformed(&wanted.itself().der);
    let other = Some(seq(&[&oid("1.2.840.10045.4.3.3")]));
    assert!(refused(Wanted { inner_algorithm: other, ..Wanted::leaf("Leaf", 3) }), "two algorithms");
    assert!(
        refused(Wanted { serial: vec![2, 2, 0, 3], ..Wanted::leaf("Leaf", 3) }),
        "serial not the shortest"
    );
    assert!(refused(Wanted::leaf("Leaf", 3).with(usage(SIGN))), "keyUsage twice");
    let basic_as = |value: &[u8]| extension("2.5.29.19", true, &seq(&[value]));
    assert!(refused(Wanted::leaf("Leaf", 3).with(basic_as(&[1, 1, 1]))), "cA as 1");
    assert!(refused(Wanted::leaf("Leaf", 3).with(basic_as(&[1, 2, 0xff, 0xff]))), "cA of two octets");
    assert!(
        !Wanted::leaf("Leaf", 3).with(basic_as(&[1, 1, 0])).itself().certificate().is_ca(),
        "explicit FALSE"
    );
    for critical in [[1, 1, 0], [1, 1, 1]] {
        let extension = seq(&[&oid("2.5.29.14"), &critical, &octets(&octets(&[7; 20]))]);
        assert!(refused(Wanted::leaf("Leaf", 3).with(extension)), "critical as {critical:?}");
    }
    assert!(
        refused(Wanted::new("Leaf", 3, vec![extension("2.5.29.37", true, &[0x30, 1])])),
        "a broken extension"
    );
}

#[test]
fn pem_holds_certificates_and_nothing_else() {
    let parties = [Wanted::leaf("Leaf", 3).itself(), Wanted::authority("CA", 4).itself()];
    let pem = |party: &Party| party.certificate().to_pem();
    let both = parties.iter().flat_map(pem).collect::<Vec<u8>>();
    let read = Certificate::from_pem(&both).unwrap();
    assert_eq!(read, [parties[0].certificate(), parties[1].certificate()]);
    let crlf = String::from_utf8(both.clone()).unwrap().replace('\n', "\r\n");
    assert_eq!(Certificate::from_pem(crlf.as_bytes()).unwrap(), read);
    let refused = |pem: &[u8]| Certificate::from_pem(pem).unwrap_err();
    assert_eq!(refused(b""), CertificateError::Pem);
    assert_eq!(refused(&parties[0].der), CertificateError::Pem, "DER");
    let key = parties[0].key.private_key_to_pem_pkcs8().unwrap();
    assert_eq!(refused(&key), CertificateError::Pem, "a key");
    assert_eq!(refused(&[both.as_slice(), &key].concat()), CertificateError::Pem, "a key among certificates");
    assert_eq!(refused(&both[..both.len() - 40]), CertificateError::Pem, "cut off");
    let mut trailing = parties[0].der.clone();
    trailing.push(0);
    let body = openssl::base64::encode_block(&trailing);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let text = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    assert_eq!(refused(text.as_bytes()), CertificateError::Malformed, "trailing byte within");
}

#[test]
fn names_are_escaped_for_display() {
    let certificate = Wanted::leaf("a, CN=b\r\n\u{0}\u{202e}é", 3).itself().certificate();
    let shown = certificate.subject().to_string();
    assert_eq!(shown, "O=Test, CN=a\\, CN\\=b\\u{d}\\u{a}\\u{0}\\u{202e}é");
    assert_eq!(certificate.subject().one(NameAttribute::CommonName), Some("a, CN=b\r\n\u{0}\u{202e}é"));
}
