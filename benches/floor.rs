//! The least that things can cost: OpenSSL's bare operations, keys decoded and contexts made before the clock starts.

use openssl::md::Md;
use openssl::pkey::{Id, PKey, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sha::sha256;

/// A key of the test PKI whose context stands ready: one call is one bare private-key operation.
pub(crate) struct BareSign {
    context: PkeyCtx<openssl::pkey::Private>,
    value: Vec<u8>,
}

impl BareSign {
    pub(crate) fn new(key_pem: &[u8]) -> Self {
        let key = PKey::private_key_from_pem(key_pem).unwrap();
        let mut context = PkeyCtx::new(&key).unwrap();
        context.sign_init().unwrap();
        if key.id() == Id::RSA {
            context.set_rsa_padding(Padding::PKCS1).unwrap();
        }
        context.set_signature_md(Md::sha256()).unwrap();
        Self { context, value: vec![0; key.size()] }
    }

    pub(crate) fn call(&mut self) {
        std::hint::black_box(self.context.sign(&DIGEST, Some(&mut self.value)).unwrap());
    }
}

/// A signature of that key over [`DIGEST`], ready to be verified: one call is one bare public-key operation.
pub(crate) struct BareVerify {
    context: PkeyCtx<Public>,
    value: Vec<u8>,
}

impl BareVerify {
    pub(crate) fn new(key_pem: &[u8]) -> Self {
        let key = PKey::private_key_from_pem(key_pem).unwrap();
        let mut signer = BareSign::new(key_pem);
        let length = signer.context.sign(&DIGEST, Some(&mut signer.value)).unwrap();
        signer.value.truncate(length);
        let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
        let mut context = PkeyCtx::new(&public).unwrap();
        context.verify_init().unwrap();
        if public.id() == Id::RSA {
            context.set_rsa_padding(Padding::PKCS1).unwrap();
        }
        context.set_signature_md(Md::sha256()).unwrap();
        Self { context, value: signer.value }
    }

    pub(crate) fn call(&mut self) {
        assert!(self.context.verify(&DIGEST, &self.value).unwrap());
    }
}

/// SHA-256 of these bytes.
pub(crate) fn hash(bytes: &[u8]) {
    std::hint::black_box(sha256(std::hint::black_box(bytes)));
}

/// A file of the committed test PKI.
pub(crate) fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../certs-test/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

const DIGEST: [u8; 32] = [0x5a; 32];
