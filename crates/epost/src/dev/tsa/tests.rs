use ::pki::certificate::Certificate;
use ::pki::crl::{Crl, CrlSet};
use ::pki::digest::{Digest, DigestAlgorithm};
use ::pki::path::{Revocation, TrustAnchors};
use ::pki::tsp::{self, TimeStampRequest, TokenChecks};

use super::super::pki::Extent;
use super::*;

fn now() -> Timestamp {
    Timestamp::now()
}

struct Stand {
    _folder: tempfile::TempDir,
    pki: Pki,
    url: String,
    http: reqwest::Client,
}

async fn stand() -> Stand {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::open_or_create(folder.path(), Extent::Senders, now(), 30, 7).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, TsaSetup::from_pki(&pki, now).unwrap()));
    let _ = rustls_openssl::default_provider().install_default();
    Stand { _folder: folder, pki, url, http: reqwest::Client::new() }
}

impl Stand {
    async fn ask(&self, query: Vec<u8>) -> (u16, Vec<u8>) {
        let request =
            self.http.post(format!("{}/", self.url)).header("content-type", "application/timestamp-query");
        let answer = request.body(query).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    async fn fault(&self, json: &str) {
        let answer = self.http.put(format!("{}/fault", self.url)).body(json.to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{json}");
    }
}

fn query(nonce: &[u8]) -> Vec<u8> {
    use super::super::der::{BOOLEAN, OCTETS, object, sequence, unsigned, value};
    let imprint = sequence(&[&sequence(&[&object("2.16.840.1.101.3.4.2.1")]), &value(OCTETS, &[&[7; 32]])]);
    sequence(&[&unsigned(&[1]), &imprint, &unsigned(nonce), &value(BOOLEAN, &[&[0xff]])])
}

#[tokio::test]
async fn honest_by_default_and_each_fault_ends_by_its_count() {
    let stand = stand().await;
    let (status, honest) = stand.ask(query(&[1, 2, 3])).await;
    assert_eq!((status, &honest[..1]), (200, &[0x30][..]));
    stand.fault(r#"{"kind":"down","count":2}"#).await;
    assert_eq!(stand.ask(query(&[1])).await.0, 503);
    assert_eq!(stand.ask(query(&[1])).await.0, 503);
    assert_eq!(stand.ask(query(&[1])).await.0, 200);
    stand.fault(r#"{"kind":"reject"}"#).await;
    let (_, rejected) = stand.ask(query(&[1])).await;
    assert!(rejected.len() < 40, "no token in a rejection");
    let issued = stand.http.get(format!("{}/issued", stand.url)).send().await.unwrap().text().await.unwrap();
    assert_eq!(issued, "{\"issued\":2}\n");
}

#[tokio::test]
async fn each_lie_differs_from_the_truth() {
    let stand = stand().await;
    let (_, honest) = stand.ask(query(&[9, 9])).await;
    for lie in Lie::ALL {
        let setup = TsaSetup::from_pki(&stand.pki, now).unwrap();
        let bytes = query(&[9, 9]);
        let request = Request::parse(&bytes).unwrap();
        let token = token::token(&setup, &request, 7, now(), Some(lie)).unwrap();
        assert_ne!(token::granted(&token), honest, "{lie:?}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_rejected() {
    let stand = stand().await;
    for bytes in [&b""[..], b"0", &[0x30, 0], &query(&[1])[..20]] {
        let (status, answer) = stand.ask(bytes.to_vec()).await;
        assert_eq!(status, 200);
        assert!(answer.len() < 40, "{bytes:?}");
    }
}

/// What the service's own checker says of an answer.
async fn judge(stand: &Stand, imprint: &Digest, nonce: [u8; 8]) -> Result<(), String> {
    let policy = POLICIES.first().copied();
    let (_, answer) = stand.ask(TimeStampRequest::new(imprint, nonce, policy).to_der()).await;
    let token = tsp::parse_response(&answer).map_err(|error| error.code().to_owned())?;
    let certificates =
        |name| Certificate::from_pem(&std::fs::read(stand.pki.certificate(name)).unwrap()).unwrap();
    let anchors = TrustAnchors::new(certificates("tsa-root"), Vec::new());
    let crl = |name| Crl::from_der(&std::fs::read(stand.pki.crls().join(name)).unwrap()).unwrap();
    let crls = CrlSet::new(vec![crl("tsa-root.crl"), crl("tsa-ca.crl")]);
    let minute = jiff::SignedDuration::from_secs(60);
    let checks = TokenChecks {
        imprint,
        nonce: Some(&nonce),
        policies: &POLICIES.map(str::to_owned),
        anchors: &anchors,
        revocation: Revocation::HardFail(&crls),
        gen_time_window: Some((now() - minute, now() + minute)),
        at: now(),
    };
    tsp::check(&token, &checks).map(drop).map_err(|error| error.code().to_owned())
}

#[tokio::test]
async fn the_checker_takes_the_truth_and_refuses_each_lie() {
    let stand = stand().await;
    let imprint = Digest::of(DigestAlgorithm::Sha256, b"a signature value");
    assert_eq!(judge(&stand, &imprint, [1; 8]).await, Ok(()), "also: something to replay");
    for lie in Lie::ALL {
        let kind = serde_json::to_string(&lie).unwrap();
        stand.fault(&format!("{{\"kind\":{kind}}}")).await;
        let verdict = judge(&stand, &imprint, [2; 8]).await;
        assert!(verdict.is_err(), "{kind} was believed");
        println!("{kind}: {verdict:?}");
    }
    for kind in ["reject", "waiting", "garbage", "truncated", "oversized", "html"] {
        stand.fault(&format!("{{\"kind\":\"{kind}\"}}")).await;
        assert!(judge(&stand, &imprint, [3; 8]).await.is_err(), "{kind} was believed");
    }
    assert_eq!(judge(&stand, &imprint, [4; 8]).await, Ok(()), "the faults are over");
}
