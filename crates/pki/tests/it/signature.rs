//! `security.md` rows 34 to 37: one form of a signature value, and no weak key.

use openssl::bn::{BigNum, BigNumContext};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};
use pki::algorithm::{SignatureAlgorithm, ecdsa_from_der};
use pki::certificate::{Certificate, KeyKind, VerifyError};
use pki::digest::{Digest, DigestAlgorithm};

use crate::kit::*;

const MESSAGE: &[u8] = b"message";

fn holder(key: &PKey<Private>) -> Certificate {
    Wanted::leaf("Leaf", 3).issue(key.clone(), None).certificate()
}

fn padded(number: &BigNum, length: i32) -> Vec<u8> {
    number.to_vec_padded(length).unwrap()
}

#[test]
fn an_ecdsa_value_has_one_form() {
    let cases = [
        (p256(), SignatureAlgorithm::EcdsaSha256, MessageDigest::sha256(), 32),
        (p384(), SignatureAlgorithm::EcdsaSha384, MessageDigest::sha384(), 48),
    ];
    for (key, algorithm, digest, half) in cases {
        let holder = holder(&key);
        let public = holder.public_key();
        let der = sign(&key, digest, MESSAGE);
        let fixed = ecdsa_from_der(&der, half).unwrap();
        let verify = |value: &[u8]| public.verify(algorithm, MESSAGE, value);
        assert_eq!(verify(&fixed), Ok(()));
        assert_eq!(public.verify(algorithm, b"other", &fixed), Err(VerifyError::Invalid));

        let mut order = BigNum::new().unwrap();
        let mut context = BigNumContext::new().unwrap();
        key.ec_key().unwrap().group().order(&mut order, &mut context).unwrap();
        let length = half as i32;
        let (zero, n) = (vec![0; half], padded(&order, length));
        let beyond = vec![0xff; half];
        let (r, s) = (fixed[..half].to_vec(), fixed[half..].to_vec());
        let sum = &BigNum::from_slice(&s).unwrap() + &order;
        let refused = [
            ("0, 0", [zero.clone(), zero.clone()].concat()),
            ("0, s", [zero.clone(), s.clone()].concat()),
            ("r, 0", [r.clone(), zero].concat()),
            ("n, s", [n.clone(), s.clone()].concat()),
            ("r, n", [r.clone(), n].concat()),
            (
                "r, s+n",
                [padded(&BigNum::from_slice(&r).unwrap(), length + 1), padded(&sum, length + 1)].concat(),
            ),
            ("r, beyond n", [r.clone(), beyond].concat()),
            ("s, r", [s, r].concat()),
            ("DER", der),
            ("short", fixed[..2 * half - 1].to_vec()),
            ("long", [fixed.as_slice(), &[0]].concat()),
            ("led by zeros", [&[0, 0], fixed.as_slice()].concat()),
            ("empty", Vec::new()),
        ];
        for (case, value) in refused {
            assert_eq!(verify(&value), Err(VerifyError::Invalid), "{case}");
        }
    }
}

#[test]
fn a_small_half_is_padded() {
    let key = p256();
    // r is shorter than 32 bytes once in 256 signatures: the fixed form pads it.
    let small =
        (0..20_000).map(|_| sign(&key, MessageDigest::sha256(), MESSAGE)).find(|der| der[3] < 32).unwrap();
    let fixed = ecdsa_from_der(&small, 32).unwrap();
    assert_eq!((fixed.len(), fixed[0]), (64, 0));
    assert_eq!(holder(&key).public_key().verify(SignatureAlgorithm::EcdsaSha256, MESSAGE, &fixed), Ok(()));
}

#[test]
fn an_rsa_value_has_one_form() {
    let key = rsa(2048);
    let holder = holder(&key);
    let public = holder.public_key();
    let value = sign(&key, MessageDigest::sha256(), MESSAGE);
    let verify = |value: &[u8]| public.verify(SignatureAlgorithm::RsaSha256, MESSAGE, value);
    assert_eq!(verify(&value), Ok(()));
    let sum = &BigNum::from_slice(&value).unwrap() + key.rsa().unwrap().n();
    let refused = [
        ("short", value[..255].to_vec()),
        ("long", [value.as_slice(), &[0]].concat()),
        ("led by zero", [&[0], value.as_slice()].concat()),
        ("s+n", sum.to_vec()),
        ("zero", vec![0; 256]),
        ("one", padded(&BigNum::from_u32(1).unwrap(), 256)),
        ("empty", Vec::new()),
        ("SHA-512 within", sign(&key, MessageDigest::sha512(), MESSAGE)),
        ("SHA-1 within", sign(&key, MessageDigest::sha1(), MESSAGE)),
    ];
    for (case, value) in refused {
        assert_eq!(verify(&value), Err(VerifyError::Invalid), "{case}");
    }
}

#[test]
fn nothing_stands_after_the_hash() {
    let key = rsa(2048);
    let prefix = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let info = [&prefix[..], &sha256(MESSAGE)].concat();
    let holder = holder(&key);
    let verify = |block: &[u8]| {
        let mut value = vec![0; 256];
        key.rsa().unwrap().private_encrypt(block, &mut value, Padding::NONE).unwrap();
        holder.public_key().verify(SignatureAlgorithm::RsaSha256, MESSAGE, &value)
    };
    let block = |kind: u8, padding: usize, info: &[u8]| {
        let mut block = [&[0, kind], vec![0xff; padding].as_slice(), &[0], info].concat();
        block.resize(256, 0x42);
        block
    };
    let right = block(1, 256 - 3 - info.len(), &info);
    assert_eq!(verify(&right), Ok(()), "the right block");
    let changed = |at: usize, byte: u8| {
        let mut block = right.clone();
        block[at] = byte;
        block
    };
    // The parameters of the digest's identifier, a NULL, left out.
    let bare = [&[0x30, 0x2f, 0x30, 0x0b], &prefix[4..15], &prefix[17..], &sha256(MESSAGE)].concat();
    for (case, block) in [
        ("garbage after the hash", block(1, 8, &info)),
        ("no DigestInfo", block(1, 256 - 3 - 32, &sha256(MESSAGE))),
        ("no NULL", block(1, 256 - 3 - bare.len(), &bare)),
        ("another type of block", block(2, 256 - 3 - info.len(), &info)),
        ("another first byte of the padding", changed(2, 0xfe)),
        ("another last byte of the padding", changed(256 - info.len() - 2, 0)),
        ("nothing between padding and DigestInfo", changed(256 - info.len() - 1, 0xff)),
    ] {
        assert_eq!(verify(&block), Err(VerifyError::Invalid), "{case}");
    }
}

#[test]
fn a_digest_is_the_algorithms_own() {
    let key = rsa(2048);
    let holder = holder(&key);
    let value = sign(&key, MessageDigest::sha256(), MESSAGE);
    let verify = |digest: DigestAlgorithm| {
        let digest = Digest::of(digest, MESSAGE);
        holder.public_key().verify_digest(SignatureAlgorithm::RsaSha256, &digest, &value)
    };
    assert_eq!(verify(DigestAlgorithm::Sha256), Ok(()));
    assert_eq!(verify(DigestAlgorithm::Sha384), Err(VerifyError::Invalid));
    assert_eq!(verify(DigestAlgorithm::Sha512), Err(VerifyError::Invalid));

    // Nor under another name than its own.
    let value = sign(&key, MessageDigest::sha512(), MESSAGE);
    let digest = Digest::of(DigestAlgorithm::Sha512, MESSAGE);
    let verify = |algorithm| holder.public_key().verify_digest(algorithm, &digest, &value);
    assert_eq!(verify(SignatureAlgorithm::RsaSha512), Ok(()));
    assert_eq!(verify(SignatureAlgorithm::RsaSha256), Err(VerifyError::Invalid));
}

#[test]
fn pss_is_pss_and_pkcs1_is_pkcs1() {
    let key = rsa(2048);
    let holder = holder(&key);
    let public = holder.public_key();
    let pss = |salt: i32| {
        let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
        signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt)).unwrap();
        signer.sign_oneshot_to_vec(MESSAGE).unwrap()
    };
    let pkcs1 = sign(&key, MessageDigest::sha256(), MESSAGE);
    assert_eq!(public.verify(SignatureAlgorithm::RsaPssSha256, MESSAGE, &pss(32)), Ok(()));
    assert_eq!(public.verify(SignatureAlgorithm::RsaPssSha256, MESSAGE, &pss(20)), Err(VerifyError::Invalid));
    assert_eq!(public.verify(SignatureAlgorithm::RsaSha256, MESSAGE, &pss(32)), Err(VerifyError::Invalid));
    assert_eq!(public.verify(SignatureAlgorithm::RsaPssSha256, MESSAGE, &pkcs1), Err(VerifyError::Invalid));
}

#[test]
fn an_algorithm_is_of_its_kind_of_key() {
    use SignatureAlgorithm as A;
    let other = Err(VerifyError::OtherKind);
    for (key, own) in [
        (p256(), &[A::EcdsaSha256][..]),
        (p384(), &[A::EcdsaSha384]),
        (rsa(2048), &[A::RsaSha256, A::RsaSha384, A::RsaSha512, A::RsaPssSha256]),
    ] {
        let holder = holder(&key);
        let public = holder.public_key();
        for algorithm in A::ALL.into_iter().filter(|algorithm| !own.contains(algorithm)) {
            assert_eq!(public.verify(algorithm, MESSAGE, &[1; 64]), other, "{algorithm:?}");
        }
    }
}

#[test]
fn a_weak_key_verifies_nothing() {
    let short = rsa(1024);
    let holder = holder(&short);
    let weak = holder.public_key();
    assert!(weak.check_strength().is_err());
    let value = sign(&short, MessageDigest::sha256(), MESSAGE);
    assert_eq!(weak.verify(SignatureAlgorithm::RsaSha256, MESSAGE, &value), Err(VerifyError::Invalid));

    // e = 1: the padded hash is its own signature.
    let modulus = rsa(2048).rsa().unwrap().n().to_vec();
    let key = seq(&[&tlv(2, &[&[0], &modulus]), &int(1)]);
    let key_info = seq(&[&seq(&[&oid("1.2.840.113549.1.1.1"), &[5, 0]]), &bits(&key)]);
    let certificate = Wanted { key_info: Some(key_info), ..Wanted::leaf("Leaf", 3) }.itself().certificate();
    let prefix = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let value = [&[0, 1], vec![0xff; 202].as_slice(), &[0], &prefix, &sha256(MESSAGE)].concat();
    assert_eq!(value.len(), 256);
    let verdict = certificate.public_key().verify(SignatureAlgorithm::RsaSha256, MESSAGE, &value);
    assert_eq!(verdict, Err(VerifyError::Invalid));

    let key_info = PKey::generate_ed25519().unwrap().public_key_to_der().unwrap();
    let holder = Wanted { key_info: Some(key_info), ..Wanted::leaf("Leaf", 3) }.itself().certificate();
    let edwards = holder.public_key();
    assert_eq!(edwards.kind(), KeyKind::Other);
    assert!(edwards.check_strength().is_err());
}
