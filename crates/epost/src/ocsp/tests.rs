//! Against the stand-in responder, on loopback.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openssl::x509::X509;
use pki::crl::{Crl, CrlSet};
use pki::path::{Purpose, Revocation, TrustAnchors};
use tokio::net::TcpListener;

use super::*;
use crate::dev::ocsp::{OcspSetup, serve};
use crate::dev::pki::{Extent, Pki};

struct House {
    folder: tempfile::TempDir,
    pki: Pki,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki =
            Pki::open_or_create(folder.path(), Extent::WithStrangers, Timestamp::now(), 30, 30).unwrap();
        Self { folder, pki }
    }

    fn certificate(&self, name: &str) -> Certificate {
        read_certificates(&[self.pki.certificate(name)]).unwrap().remove(0)
    }

    /// A client of a responder that answers with the key of `authority`, for so long; and how often it did.
    async fn client(&self, authority: &str, setup: Ocsp, seconds: i64) -> (OcspClient, Arc<AtomicU64>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let answered = Arc::new(AtomicU64::new(0));
        let revoked = X509::from_pem(&std::fs::read(self.pki.certificate("revoked")).unwrap()).unwrap();
        let stand_in = OcspSetup {
            authority: self.pki.authority(authority).unwrap(),
            revoked: vec![revoked],
            seconds,
            clock: Timestamp::now,
            answered: answered.clone(),
        };
        tokio::spawn(serve(listener, stand_in));
        (client(Ocsp { url, ..setup }), answered)
    }

    fn setup(&self, refresh_seconds: u64) -> Ocsp {
        let issuer = self.pki.certificate("senders-ca");
        Ocsp { issuer, url: String::new(), refresh_seconds, timeout_seconds: 60 }
    }

    fn judge(&self, name: &str, responses: Vec<OcspResponse>) -> Result<(), &'static str> {
        let list = |path: &Path| Crl::from_der(&std::fs::read(path).unwrap()).unwrap();
        let of_root = list(&self.folder.path().join("crls/senders-root.crl"));
        let data = CrlSet::with_responses(vec![of_root], responses);
        let anchors =
            TrustAnchors::new(vec![self.certificate("senders-root")], vec![self.certificate("senders-ca")]);
        let (leaf, revocation) = (self.certificate(name), Revocation::HardFail(&data));
        let path = anchors.validate(&leaf, &[], revocation, Purpose::MessageSigning, Timestamp::now());
        path.map(drop).map_err(|error| error.code())
    }
}

fn client(setup: Ocsp) -> OcspClient {
    let http = crate::transport::client(&[], None, Duration::from_secs(5)).unwrap();
    OcspClient::read(&[setup], http, Timestamp::now).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_seen_is_asked_about_once_and_then_by_age() {
    let house = House::new();
    let (client, answered) = house.client("senders-ca", house.setup(3600), 7200).await;
    let (alice, revoked) = (house.certificate("alice"), house.certificate("revoked"));
    assert_eq!(
        house.judge("alice", client.responses()),
        Err("path.crl-missing"),
        "nothing at hand is not good"
    );
    assert!(client.meet(&alice).await && client.meet(&revoked).await);
    assert!(!client.meet(&alice).await, "known");
    assert!(!client.refresh().await, "not old enough");
    assert_eq!(answered.load(Ordering::SeqCst), 2);
    assert_eq!(house.judge("alice", client.responses()), Ok(()));
    assert_eq!(house.judge("revoked", client.responses()), Err("path.revoked"));
    assert_eq!(house.judge("bob", client.responses()), Err("path.crl-missing"), "nobody asked about him");
    assert!(
        !client.meet(&house.certificate("server")).await,
        "of an authority that no responder answers for"
    );
    assert!(!client.meet(&house.certificate("expired")).await, "what ended is not asked about");
    assert_eq!(answered.load(Ordering::SeqCst), 2);

    let (client, answered) = house.client("senders-ca", house.setup(0), 7200).await;
    assert!(client.meet(&alice).await && client.refresh().await, "old at once");
    assert_eq!(
        (answered.load(Ordering::SeqCst), client.responses().len()),
        (2, 1),
        "the last answer is kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_answer_is_not_kept() {
    let house = House::new();
    let alice = house.certificate("alice");
    for (authority, seconds) in [("senders-root", 7200), ("tsa-ca", 7200), ("senders-ca", -60)] {
        let (client, answered) = house.client(authority, house.setup(3600), seconds).await;
        assert!(!client.meet(&alice).await, "{authority} {seconds}");
        assert!(client.responses().is_empty());
        assert!(!client.refresh().await);
        assert_eq!(answered.load(Ordering::SeqCst), 2, "asked again, for want of an answer");
    }
    // A responder that takes the question and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let client = client(Ocsp { url, timeout_seconds: 0, ..house.setup(3600) });
    assert!(!client.meet(&alice).await);
    assert!(client.responses().is_empty());
}
