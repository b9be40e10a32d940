//! What a start says when token, PIN or key are not as configured: each by its code, with what was seen and what to do.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use pki::aead::Key256;
use pki::token::{Token, TokenError, TokenSigner};

use crate::{faulty, logins, made, open, pin, set, token};

#[track_caller]
fn says(error: &TokenError, code: &str, parts: &[&str]) {
    assert_eq!(error.code(), code, "{error}");
    let text = error.to_string();
    for part in parts.iter().chain([&code]) {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("Kolibri77") && !text.contains("Marabu88"), "a PIN in {text}");
}

fn wrap(token: &Token, label: &str) -> TokenError {
    token.wrap(label, &Key256::new([1; 32])).unwrap_err()
}

/// The module by itself, for what only a test asks of it.
fn module() -> Pkcs11 {
    drop(token());
    let module = Pkcs11::new(set("EPOST_HSM_MODULE")).unwrap();
    let _already = module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    module
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn a_library_that_is_no_module() {
    let libc = Token::open("libc.so.6".as_ref(), "epost", pin("Kolibri77")).unwrap_err();
    says(&libc, "token.module", &["libc.so.6", "expected a PKCS#11 module", "pkcs11.module"]);
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn a_token_that_is_not_there_or_there_twice() {
    let absent = open("EPOST_HSM_MODULE", "elsewhere", "Kolibri77").unwrap_err();
    says(&absent, "token.not-found", &["\"elsewhere\"", "seen: [", "\"epost\"", "pkcs11.token"]);
    let twice = open("EPOST_HSM_MODULE", "twins", "Kolibri77").unwrap_err();
    says(&twice, "token.ambiguous", &["\"twins\"", "disconnect the others"]);
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn a_wrong_pin_is_offered_once() {
    let wrong = open("EPOST_HSM_SHIM", "epost", "Marabu88").unwrap();
    let before = logins();
    let first = wrap(&wrong, "master");
    says(&first, "token.pin", &["\"epost\"", "fewer than all", "not tried again", "pkcs11.pin_file"]);
    assert_eq!((wrap(&wrong, "master"), wrap(&wrong, "master-2")), (first.clone(), first));
    assert_eq!(logins() - before, 1);
    token().wrap("master", &Key256::new([1; 32])).unwrap();
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn the_last_try_before_the_lock_is_left_to_a_person() {
    let token = faulty();
    let before = logins();
    let fault = crate::Fault::new("last-try");
    says(&wrap(&token, "master"), "token.pin-last-try", &["was not tried", "log in by hand"]);
    assert_eq!(logins(), before);
    drop(fault);
    token.wrap("master", &Key256::new([1; 32])).unwrap();
    assert_eq!(logins() - before, 1, "the count of logins counts");
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn a_token_whose_pin_was_never_set() {
    let module = module();
    let free = module
        .get_all_slots()
        .unwrap()
        .into_iter()
        .find(|slot| module.get_token_info(*slot).is_ok_and(|info| !info.token_initialized()));
    module.init_token(free.unwrap(), &AuthPin::from("5678"), "unset").unwrap();
    let unset = open("EPOST_HSM_MODULE", "unset", "Kolibri77").unwrap();
    says(&wrap(&unset, "master"), "token.pin-unusable", &["UserPinNotInitialized", "security officer"]);
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn a_key_that_is_not_there_or_there_twice() {
    let token = token();
    says(
        &wrap(&token, "elsewhere"),
        "token.key",
        &["0 in token", "\"elsewhere\"", "AES key of 256 bits", "pkcs11.label"],
    );
    says(&wrap(&token, "p256"), "token.key", &["0 in token"]);
    says(&wrap(&token, "twice"), "token.key", &["2 in token", "expected one"]);
    let signer = TokenSigner::new(token, "master", &made("p256.crt")).unwrap_err();
    assert_eq!(signer.code(), "token.key");
    assert!(signer.to_string().contains("private key that may sign"), "{signer}");
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn a_key_that_is_too_short_may_not_wrap_or_can_be_read_out() {
    let module = module();
    let slots = module.get_slots_with_initialized_token().unwrap();
    let slot = slots.into_iter().find(|slot| module.get_token_info(*slot).unwrap().label() == "epost");
    let session = module.open_rw_session(slot.unwrap()).unwrap();
    session.login(UserType::User, Some(&AuthPin::from("Kolibri77"))).unwrap();
    let make = |label: &str, bytes: usize, sensitive: bool, encrypts: bool| {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(true),
            Attribute::Label(label.as_bytes().to_vec()),
            Attribute::Sensitive(sensitive),
            Attribute::Encrypt(encrypts),
            Attribute::Decrypt(encrypts),
            Attribute::Value(vec![3; bytes]),
        ];
        session.create_object(&template).unwrap()
    };
    let made = [make("short", 16, true, true), make("idle", 32, true, false), make("open", 32, false, true)];
    let token = token();
    says(&wrap(&token, "short"), "token.key-unfit", &["\"short\"", "val: 16", "256 bits"]);
    says(&wrap(&token, "idle"), "token.key-unfit", &["KeyFunctionNotPermitted", "CKA_ENCRYPT"]);
    says(&wrap(&token, "open"), "token.key-exposed", &["CKA_SENSITIVE is false", "make another"]);
    for object in made {
        session.destroy_object(object).unwrap();
    }
}

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn a_token_that_cannot_do_it() {
    let _fault = crate::Fault::new("no-mechanisms");
    says(&wrap(&faulty(), "master"), "token.mechanism", &["CKM_AES_GCM", "the token's policy"]);
    for (label, mechanism) in [("p256", "CKM_ECDSA"), ("rsa2048", "CKM_RSA_PKCS")] {
        let signer = TokenSigner::new(faulty(), label, &made(&format!("{label}.crt"))).unwrap_err();
        assert_eq!(signer.code(), "token.mechanism");
        assert!(signer.to_string().contains(mechanism), "{signer}");
    }
}
