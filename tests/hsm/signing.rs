//! Signatures by keys in a token.

use pki::certificate::Certificate;
use pki::signer::{FileSigner, SignError, Signer};
use pki::token::TokenSigner;

use crate::{faulty, made, set, token};

fn signer(label: &str) -> TokenSigner {
    TokenSigner::new(token(), label, &made(&format!("{label}.crt"))).unwrap()
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn each_kind_of_key_signs_as_its_certificate_says() {
    for (label, length_bytes) in [("p256", 64), ("p384", 96), ("rsa2048", 256), ("rsa4096", 512)] {
        let signer = signer(label);
        let certificate = Certificate::from_pem(&made(&format!("{label}.crt"))).unwrap().remove(0);
        assert_eq!(signer.certificate().fingerprint(), certificate.fingerprint());
        let file =
            FileSigner::from_pem(&made(&format!("{label}.key")), &made(&format!("{label}.crt"))).unwrap();
        assert_eq!(signer.algorithm(), file.algorithm());
        for message in [b"".as_slice(), b"a proof", &[7; 100_000]] {
            let value = signer.sign(message).unwrap();
            assert_eq!(value.len(), length_bytes, "{label}: r and s of full length, or the modulus");
            let key = certificate.public_key();
            key.verify(signer.algorithm(), message, &value).unwrap();
            assert!(key.verify(signer.algorithm(), b"another", &value).is_err());
            if label.starts_with("rsa") {
                assert_eq!(value, file.sign(message).unwrap(), "PKCS#1 v1.5 has one value");
            }
        }
    }
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn another_key_than_the_certificates_is_found_at_the_start() {
    let other = TokenSigner::new(token(), "other", &made("p256.crt")).unwrap_err();
    assert!(matches!(other, SignError::Mismatch), "{other}");
    let smaller = TokenSigner::new(token(), "rsa2048", &made("rsa4096.crt")).unwrap_err();
    assert!(matches!(smaller, SignError::Mismatch), "{smaller}");
    let of_another_kind = TokenSigner::new(token(), "rsa2048", &made("p256.crt")).unwrap_err();
    assert_eq!(of_another_kind.code(), "token.key-unfit", "{of_another_kind}");
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn a_weak_or_too_long_key_is_refused_before_the_token_is_asked() {
    for (name, code) in [("weak", "signer.weak"), ("long", "signer.too-long")] {
        let refused = TokenSigner::new(token(), "p256", &made(&format!("{name}.crt"))).unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn never_more_sessions_than_signed_at_once() {
    const AT_ONCE: usize = 4;
    let before = sessions();
    let signer = TokenSigner::new(faulty(), "p256", &made("p256.crt")).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..AT_ONCE {
            let signer = &signer;
            scope.spawn(move || {
                for turn in 0..50 {
                    signer.sign(format!("{worker} {turn}").as_bytes()).unwrap();
                }
            });
        }
    });
    let (open, most) = sessions();
    assert!(open >= 1 && most <= before.0 + AT_ONCE, "{open} open, {most} at most, {before:?} before");
    drop(signer);
    assert_eq!(sessions().0, before.0, "and none is left behind");
}

/// Open ones through the faulty module, and how many there were at most.
fn sessions() -> (usize, usize) {
    let text = std::fs::read_to_string(set("EPOST_HSM_FAULTS").join("sessions")).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
