//! A token that goes away while it is in use, and comes back.

use pki::aead::Key256;
use pki::signer::{SignError, Signer};
use pki::token::TokenSigner;

use crate::{Fault, faulty, logins, made};

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn a_signer_goes_on_when_its_token_is_back() {
    let signer = TokenSigner::new(faulty(), "p256", &made("p256.crt")).unwrap();
    signer.sign(b"before").unwrap();
    let before = logins();
    for round in 1..=3 {
        let fault = Fault::new("away");
        for _ in 0..2 {
            let away = signer.sign(b"meanwhile").unwrap_err();
            assert!(matches!(away, SignError::Token(_)), "{away}");
            assert_eq!(away.code(), "token.not-found", "{away}");
        }
        drop(fault);
        signer.sign(b"after").unwrap();
        signer.sign(b"and on").unwrap();
        assert_eq!(logins() - before, round, "one login each time it came back, none while it was away");
    }
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn a_master_key_is_not_to_be_had_without_its_token() {
    let token = faulty();
    let wrapped = token.wrap("master", &Key256::new([5; 32])).unwrap();
    let fault = Fault::new("away");
    assert_eq!(token.unwrap("master", &wrapped).unwrap_err().code(), "token.not-found");
    drop(fault);
    assert_eq!(token.unwrap("master", &wrapped).unwrap().as_bytes(), &[5; 32]);
}
