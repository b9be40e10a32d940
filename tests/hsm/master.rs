//! The master key, wrapped by a key in a token.

use pki::aead::Key256;

use crate::token;

#[test]
#[ignore = "needs SoftHSM2: tests/hsm/run"]
fn what_the_token_wrapped_it_unwraps_and_nothing_else() {
    let (token, key) = (token(), Key256::random().unwrap());
    let wrapped = token.wrap("master", &key).unwrap();
    assert!(!wrapped.windows(32).any(|bytes| bytes == key.as_bytes()));
    assert_eq!(token.unwrap("master", &wrapped).unwrap().as_bytes(), key.as_bytes());
    assert_ne!(token.wrap("master", &key).unwrap(), wrapped, "a nonce serves once");

    let refused = |label: &str, bytes: &[u8]| {
        let error = token.unwrap(label, bytes).unwrap_err();
        assert_eq!(error.code(), "token.wrapped-key", "{error}");
        assert!(error.to_string().contains("put that file back"), "{error}");
    };
    refused("master-2", &wrapped);
    refused("master", &wrapped[..wrapped.len() - 1]);
    refused("master", key.as_bytes());
    for place in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[place] ^= 1;
        refused("master", &changed);
    }
}
