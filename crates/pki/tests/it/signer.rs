//! Keys as operators have them: every usual file, and nothing shown.

use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::symm::Cipher;
use openssl::x509::X509;
use pki::algorithm::SignatureAlgorithm;
use pki::signer::{FileSigner, Signer};

use crate::kit::*;

struct World {
    root: Party,
    ca: Party,
}

impl World {
    fn new() -> Self {
        let root = Wanted::authority("Root", 1).itself();
        let ca = Wanted::authority("CA", 2).by(&root);
        Self { root, ca }
    }

    fn leaf(&self, key: PKey<Private>) -> Party {
        Wanted::leaf("Leaf", 3).issue(key, Some(&self.ca))
    }

    fn chain_pem(&self, leaf: &Party) -> Vec<u8> {
        [leaf, &self.ca, &self.root].iter().flat_map(|party| party.certificate().to_pem()).collect()
    }

    fn pkcs12(&self, leaf: &Party, password: &str) -> Vec<u8> {
        let x509 = |party: &Party| X509::from_der(&party.der).unwrap();
        let mut chain = Stack::new().unwrap();
        chain.push(x509(&self.ca)).unwrap();
        chain.push(x509(&self.root)).unwrap();
        let certificate = x509(leaf);
        let mut builder = Pkcs12::builder();
        builder.name("leaf").pkey(&leaf.key).cert(&certificate).ca(chain);
        builder.build2(password).unwrap().to_der().unwrap()
    }
}

fn works(signer: &FileSigner, leaf: &Party, ca: &Party) {
    assert_eq!(signer.certificate(), &leaf.certificate());
    assert_eq!(signer.chain(), [ca.certificate()], "the intermediate, never the root");
    let value = signer.sign(b"message").unwrap();
    assert_eq!(signer.certificate().public_key().verify(signer.algorithm(), b"message", &value), Ok(()));
}

fn code<T>(result: Result<T, pki::signer::SignError>) -> Option<&'static str> {
    result.err().map(|error| error.code())
}

#[test]
fn every_usual_file_is_read() {
    let world = World::new();
    for (key, algorithm) in [
        (p256(), SignatureAlgorithm::EcdsaSha256),
        (p384(), SignatureAlgorithm::EcdsaSha384),
        (rsa(2048), SignatureAlgorithm::RsaSha256),
        (rsa(4096), SignatureAlgorithm::RsaSha256),
    ] {
        let leaf = world.leaf(key);
        let chain = world.chain_pem(&leaf);
        let old = match leaf.key.rsa() {
            Ok(rsa) => rsa.private_key_to_pem().unwrap(),
            Err(_) => leaf.key.ec_key().unwrap().private_key_to_pem().unwrap(),
        };
        for pem in [leaf.key.private_key_to_pem_pkcs8().unwrap(), old] {
            let signer = FileSigner::from_pem(&pem, &chain).unwrap();
            assert_eq!(signer.algorithm(), algorithm);
            works(&signer, &leaf, &world.ca);
        }
        let signer = FileSigner::from_pkcs12(&world.pkcs12(&leaf, "secret"), "secret").unwrap();
        works(&signer, &leaf, &world.ca);
        let pkcs8 = signer.private_key_pkcs8_der().unwrap();
        assert!(PKey::private_key_from_der(&pkcs8).unwrap().public_eq(&leaf.key));
    }
}

#[test]
fn an_rsa_key_signs_by_pss_too_and_no_other_does() {
    let world = World::new();
    let signer = |key| {
        let leaf = world.leaf(key);
        let pem = leaf.key.private_key_to_pem_pkcs8().unwrap();
        (FileSigner::from_pem(&pem, &world.chain_pem(&leaf)).unwrap(), leaf)
    };
    let (rsa, leaf) = signer(rsa(2048));
    let by_pss = rsa.by_pss().unwrap();
    assert_eq!(by_pss.algorithm(), SignatureAlgorithm::RsaPssSha256);
    works(&by_pss, &leaf, &world.ca);
    let (one, other) = (by_pss.sign(b"message").unwrap(), by_pss.sign(b"message").unwrap());
    assert_ne!(one, other, "each with a salt of its own");
    let key = leaf.certificate();
    assert!(key.public_key().verify(SignatureAlgorithm::RsaSha256, b"message", &one).is_err());
    assert!(by_pss.by_pss().is_none(), "it does already");
    assert!(signer(p256()).0.by_pss().is_none());
}

#[test]
fn what_does_not_fit_is_refused_by_its_code() {
    let world = World::new();
    let leaf = world.leaf(p256());
    let (key, chain) = (leaf.key.private_key_to_pem_pkcs8().unwrap(), world.chain_pem(&leaf));
    let other = p256().private_key_to_pem_pkcs8().unwrap();
    assert_eq!(code(FileSigner::from_pem(&other, &chain)), Some("signer.mismatch"));
    assert_eq!(code(FileSigner::from_pem(&key, &world.ca.certificate().to_pem())), Some("signer.mismatch"));
    assert_eq!(code(FileSigner::from_pem(b"", &chain)), Some("signer.key"));
    assert_eq!(code(FileSigner::from_pem(&chain, &chain)), Some("signer.key"));
    assert_eq!(code(FileSigner::from_pem(&key, b"")), Some("signer.certificate"));
    let locked = leaf.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret").unwrap();
    assert_eq!(code(FileSigner::from_pem(&locked, &chain)), Some("signer.key"), "no prompt");

    let file = world.pkcs12(&leaf, "secret");
    for password in ["", "Secret", "secret "] {
        assert_eq!(code(FileSigner::from_pkcs12(&file, password)), Some("signer.key"), "{password:?}");
    }
    assert_eq!(code(FileSigner::from_pkcs12(b"garbage", "secret")), Some("signer.key"));
    assert_eq!(code(FileSigner::from_pkcs12(&file[..file.len() / 2], "secret")), Some("signer.key"));
}

#[test]
fn keys_too_short_or_too_long_are_refused() {
    let world = World::new();
    let signer = |key| {
        let leaf = world.leaf(key);
        FileSigner::from_pem(&leaf.key.private_key_to_pem_pkcs8().unwrap(), &world.chain_pem(&leaf))
    };
    assert_eq!(code(signer(rsa(1024))), Some("signer.weak"));
    assert_eq!(code(signer(rsa(4104))), Some("signer.too-long"));
}

#[test]
fn debug_shows_no_key() {
    let world = World::new();
    let leaf = world.leaf(p256());
    let signer =
        FileSigner::from_pem(&leaf.key.private_key_to_pem_pkcs8().unwrap(), &world.chain_pem(&leaf)).unwrap();
    assert_eq!(format!("{signer:?}"), "FileSigner(O=Test, CN=Leaf, key not shown)");
}
