//! Project Wycheproof's vectors of what we verify: RSA PKCS#1 and PSS, ECDSA as r‖s and in DER.
//!
//! Each key comes in a certificate, as every key does here. A verdict of ours differs from the file's in two ways alone, and both
//! are counted: a value called "acceptable" is refused (row 36: one encoding), and a key that is too weak verifies nothing (row 37).

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::x509::{X509, X509NameBuilder};
use pki::algorithm::{SignatureAlgorithm, ecdsa_from_der};
use pki::certificate::Certificate;
use wycheproof::{HashFunction, Mgf, TestResult, ecdsa, rsa_pkcs1_verify as pkcs1, rsa_pss_verify as pss};

use crate::kit::p256;

#[derive(Debug, Default, Eq, PartialEq)]
struct Count {
    valid_accepted: usize,
    invalid_refused: usize,
    /// "acceptable" in the file, refused by us.
    acceptable_refused: usize,
    /// Valid, but of a key or a hash that we do not take.
    outside_refused: usize,
}

impl Count {
    /// `inside`: whether the group's key and parameters are ours; then `accepted` must be the file's verdict.
    #[track_caller]
    fn judge(&mut self, result: TestResult, inside: bool, accepted: bool, what: &str) {
        let wanted = inside && result == TestResult::Valid;
        assert_eq!(accepted, wanted, "{what}: {result:?}");
        match result {
            TestResult::Valid if inside => self.valid_accepted += 1,
            TestResult::Valid => self.outside_refused += 1,
            TestResult::Acceptable => self.acceptable_refused += 1,
            TestResult::Invalid => self.invalid_refused += 1,
        }
    }
}

#[test]
fn ecdsa_as_two_numbers() {
    use ecdsa::TestName as N;
    let mut count = Count::default();
    for (name, algorithm) in [
        (N::EcdsaSecp256r1Sha256P1363, SignatureAlgorithm::EcdsaSha256),
        (N::EcdsaSecp384r1Sha384P1363, SignatureAlgorithm::EcdsaSha384),
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let holder = certificate(&group.der);
            for test in group.tests {
                let answer = holder.public_key().verify(algorithm, &test.msg, &test.sig);
                count.judge(test.result, true, answer.is_ok(), &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    assert_counts(&count, [366, 176, 0, 0]);
}

/// As CMS carries it; what is not DER, or not its only spelling, does not become r‖s.
#[test]
fn ecdsa_in_der() {
    use ecdsa::TestName as N;
    let mut count = Count::default();
    for (name, algorithm, half_bytes) in [
        (N::EcdsaSecp256r1Sha256, SignatureAlgorithm::EcdsaSha256, 32),
        (N::EcdsaSecp384r1Sha384, SignatureAlgorithm::EcdsaSha384, 48),
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let holder = certificate(&group.der);
            for test in group.tests {
                let accepted = ecdsa_from_der(&test.sig, half_bytes)
                    .is_ok_and(|value| holder.public_key().verify(algorithm, &test.msg, &value).is_ok());
                count.judge(test.result, true, accepted, &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    assert_counts(&count, [368, 620, 0, 0]);
}

#[test]
fn rsa_pkcs1() {
    use SignatureAlgorithm as A;
    use pkcs1::TestName as N;
    let mut count = Count::default();
    for (name, algorithm) in [
        (N::Rsa2048Sha256, A::RsaSha256),
        (N::Rsa2048Sha384, A::RsaSha384),
        (N::Rsa2048Sha512, A::RsaSha512),
        (N::Rsa3072Sha256, A::RsaSha256),
        (N::Rsa3072Sha384, A::RsaSha384),
        (N::Rsa3072Sha512, A::RsaSha512),
        (N::Rsa4096Sha256, A::RsaSha256),
        (N::Rsa4096Sha384, A::RsaSha384),
        (N::Rsa4096Sha512, A::RsaSha512),
        (N::Rsa8192Sha256, A::RsaSha256),
        (N::Rsa8192Sha384, A::RsaSha384),
        (N::Rsa8192Sha512, A::RsaSha512),
        // Other hashes than ours: no valid value of theirs may pass under the nearest URI of ours.
        (N::Rsa2048Sha224, A::RsaSha256),
        (N::Rsa2048Sha512_256, A::RsaSha256),
        (N::Rsa2048Sha3_256, A::RsaSha256),
    ] {
        for group in pkcs1::TestSet::load(name).unwrap().test_groups {
            let ours = matches!(
                group.hash,
                HashFunction::Sha2_256 | HashFunction::Sha2_384 | HashFunction::Sha2_512
            );
            let holder = certificate(&group.der);
            let inside = ours && holder.public_key().check_strength().is_ok();
            // What is wrong under another hash or salt may be right under ours.
            for test in group.tests.into_iter().filter(|test| ours || test.result == TestResult::Valid) {
                let answer = holder.public_key().verify(algorithm, &test.msg, &test.sig);
                count.judge(test.result, inside, answer.is_ok(), &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    assert_counts(&count, [84, 3005, 12, 26]);
}

#[test]
fn rsa_pss() {
    use pss::TestName as N;
    let mut count = Count::default();
    for name in [
        N::RsaPss2048Sha256Mgf1SaltLen32,
        N::RsaPss3072Sha256Mgf1SaltLen32,
        N::RsaPss4096Sha256Mgf1SaltLen32,
        // Other salts and hashes than the one that is taken.
        N::RsaPss2048Sha256Mgf1SaltLen0,
        N::RsaPss2048Sha256Mgf1Sha1_20,
        N::RsaPss2048Sha384Mgf1SaltLen48,
        N::RsaPss4096Sha512Mgf1SaltLen32,
        N::RsaPssmisc,
    ] {
        for group in pss::TestSet::load(name).unwrap().test_groups {
            let holder = certificate(&group.der);
            let ours = (group.hash, group.mgf, group.mgf_hash, group.salt_size)
                == (HashFunction::Sha2_256, Mgf::Mgf1, Some(HashFunction::Sha2_256), 32);
            let inside = ours && holder.public_key().check_strength().is_ok();
            // What is wrong under another hash or salt may be right under ours.
            for test in group.tests.into_iter().filter(|test| ours || test.result == TestResult::Valid) {
                let answer =
                    holder.public_key().verify(SignatureAlgorithm::RsaPssSha256, &test.msg, &test.sig);
                count.judge(test.result, inside, answer.is_ok(), &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    assert_counts(&count, [190, 135, 0, 500]);
}

/// Valid accepted, invalid refused, acceptable refused, outside refused.
#[track_caller]
fn assert_counts(count: &Count, wanted: [usize; 4]) {
    let Count { valid_accepted, invalid_refused, acceptable_refused, outside_refused } = *count;
    assert_eq!([valid_accepted, invalid_refused, acceptable_refused, outside_refused], wanted);
}

/// The key in a certificate that somebody else signed.
fn certificate(spki_der: &[u8]) -> Certificate {
    let key: PKey<Public> = PKey::public_key_from_der(spki_der).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "Wycheproof").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(4_000_000_000).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&p256(), MessageDigest::sha256()).unwrap();
    Certificate::from_der(&builder.build().to_der().unwrap()).unwrap()
}
