//! What the targets judge by: `fuzz/fixed`, written by the generator together with the corpora.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use pki::certificate::Certificate;
use pki::path::TrustAnchors;

/// The path of a fixed file.
pub fn fixed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixed").join(name)
}

pub(crate) fn read(name: &str) -> Vec<u8> {
    std::fs::read(fixed(name)).unwrap_or_default()
}

pub(crate) fn certificate(name: &str) -> Certificate {
    Certificate::from_der(&read(name)).expect(name)
}

/// The same certificate with another signature.
pub(crate) fn twin(name: &str) -> Certificate {
    let mut der = read(name);
    if let Some(last) = der.last_mut() {
        *last ^= 1;
    }
    Certificate::from_der(&der).expect(name)
}

pub(crate) fn anchors(root: &str, intermediates: &[&str]) -> TrustAnchors {
    let intermediates = intermediates.iter().map(|name| certificate(name)).collect();
    TrustAnchors::new(vec![certificate(root)], intermediates)
}

/// The lines of a list of what is known to have been signed.
pub(crate) fn known(name: &str) -> HashSet<String> {
    String::from_utf8_lossy(&read(name)).lines().map(str::to_owned).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&pki::digest::sha256(bytes))
}
