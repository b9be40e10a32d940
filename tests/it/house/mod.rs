//! Everything that the tests share: messages as senders make them, the service without a socket, the whole sandbox over the wire.

pub mod door;
pub mod draft;
pub mod ebox;
pub mod inside;
pub mod mortal;
pub mod reply;
pub mod scripted;
pub mod wire;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use pki::certificate::Certificate;
use pki::signer::FileSigner;

pub use draft::{Draft, Signed};
pub use inside::House;
pub use reply::Answered;
pub use wire::Sandbox;

/// A file of the committed test PKI.
pub fn certs_test(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../certs-test").join(name)
}

/// The key and certificate of a sender or stranger.
pub fn signer(name: &str) -> FileSigner {
    signer_with(name, &format!("{name}.crt"))
}

/// The key of `name` with the certificates of another file.
pub fn signer_with(name: &str, certificates: &str) -> FileSigner {
    let read = |file: String| std::fs::read(certs_test(&file)).unwrap();
    FileSigner::from_pem(&read(format!("{name}.key")), &read(certificates.to_owned())).unwrap()
}

/// The certificate of a name of the test PKI.
pub fn certificate(name: &str) -> Certificate {
    let pem = std::fs::read(certs_test(&format!("{name}.crt"))).unwrap();
    Certificate::from_pem(&pem).unwrap().remove(0)
}

/// A document that needs no PDF reader to tell it from another.
pub fn file(seed: u8, length_bytes: usize) -> Vec<u8> {
    (0..length_bytes).map(|n| (n as u8).wrapping_mul(31) ^ seed).collect()
}

/// Asks again until there is an answer; a minute without one fails the test by its caller's line.
#[track_caller]
pub fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while tokio::time::Instant::now() < deadline {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing came within a minute: {caller}");
    }
}

/// A client for responders that no configuration here names.
pub(crate) fn no_responder() -> reqwest::Client {
    epost::transport::client(&[], None, std::time::Duration::from_secs(1)).unwrap()
}
