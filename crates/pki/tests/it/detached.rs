//! Detached signatures as `FileSigner` and OpenSSL's command line make them, and what is none.

use std::process::Command;

use pki::detached::{DetachedError, verify};
use pki::signer::{FileSigner, Signer};

fn certs_test(name: &str) -> std::path::PathBuf {
    std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../certs-test").join(name)
}

fn signer(name: &str) -> FileSigner {
    let read = |suffix: &str| std::fs::read(certs_test(&format!("{name}.{suffix}"))).unwrap();
    FileSigner::from_pem(&read("key"), &read("crt")).unwrap()
}

#[test]
fn what_is_signed_is_verified_and_nothing_else() {
    for name in ["alice", "tsa"] {
        let signer = signer(name); // RSA, P-256
        let p7s = signer.sign_detached(b"content").unwrap();
        let found = verify(&p7s, b"content").unwrap();
        assert_eq!(found.certificate().fingerprint(), signer.certificate().fingerprint());
        assert_eq!(verify(&p7s, b"Content").unwrap_err(), DetachedError::Content);
        assert_eq!(verify(&p7s, b"").unwrap_err(), DetachedError::Content);
        for at in 0..p7s.len() {
            let mut changed = p7s.clone();
            changed[at] ^= 1;
            let judged = verify(&changed, b"content");
            // A certificate that is changed under its own signature is for the path to refuse.
            let same = judged.is_ok_and(|found| found.certificate().der() == signer.certificate().der());
            assert!(!same, "{name}: byte {at}");
        }
        assert_eq!(verify(&p7s[..p7s.len() - 1], b"content").unwrap_err(), DetachedError::Form);
        assert_eq!(verify(&[&p7s[..], b"x"].concat(), b"content").unwrap_err(), DetachedError::Form);
    }
    assert_eq!(verify(b"", b"content").unwrap_err(), DetachedError::Form);
}

#[test]
fn another_certificate_in_its_place_is_none() {
    let p7s = signer("alice").sign_detached(b"content").unwrap();
    let (alice, bob) = (signer("alice"), signer("bob"));
    let swapped = replaced(&p7s, alice.certificate().der(), bob.certificate().der());
    assert!(matches!(verify(&swapped, b"content"), Err(DetachedError::Form | DetachedError::Certificate)));
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// Signed by OpenSSL's own command line, where there is one: the recipe of `deploy/policy.toml`.
#[test]
fn openssl_makes_them_too() {
    let folder = tempfile::tempdir().unwrap();
    let content = folder.path().join("content");
    std::fs::write(&content, b"content").unwrap();
    for extra in [&[][..], &["-cades"], &["-nosmimecap", "-md", "sha512"]] {
        let p7s = folder.path().join("content.p7s");
        let mut command = Command::new("openssl");
        command.args(["cms", "-sign", "-binary", "-outform", "DER"]).args(extra);
        command.arg("-in").arg(&content).arg("-out").arg(&p7s);
        command.arg("-signer").arg(certs_test("alice.crt")).arg("-inkey").arg(certs_test("alice.key"));
        assert!(command.status().unwrap().success(), "{extra:?}");
        let found = verify(&std::fs::read(&p7s).unwrap(), b"content").unwrap();
        assert_eq!(
            found.certificate().fingerprint(),
            signer("alice").certificate().fingerprint(),
            "{extra:?}"
        );
    }
    let attached = folder.path().join("attached.p7s");
    let mut command = Command::new("openssl");
    command.args(["cms", "-sign", "-binary", "-nodetach", "-outform", "DER"]);
    command.arg("-in").arg(&content).arg("-out").arg(&attached);
    command.arg("-signer").arg(certs_test("alice.crt")).arg("-inkey").arg(certs_test("alice.key"));
    assert!(command.status().unwrap().success());
    assert_eq!(verify(&std::fs::read(&attached).unwrap(), b"content").unwrap_err(), DetachedError::Form);
}
