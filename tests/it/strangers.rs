//! Who may not speak, and what is no speech: over the wire, to the real door.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::wire::client_config;
use crate::house::{Answered, Draft, Sandbox, until};

#[tokio::test(flavor = "multi_thread")]
async fn row_49_every_stranger_gets_his_code() {
    let sandbox = Sandbox::start().await;
    for (stranger, expected) in
        [("revoked", "SOA-01001"), ("wrong_environment", "SOA-01002"), ("not_authorised", "SOA-01002")]
    {
        let answer = sandbox.ask(&Draft::submission("T").by(stranger)).await;
        let verdict = sandbox.verdict(&answer);
        assert!(verdict.starts_with(expected), "{stranger}: {verdict}");
    }
    let unknown = sandbox.try_send(&Draft::submission("T").by("unknown_ca").sign()).await.unwrap_err();
    assert!(!unknown.is_status(), "an unknown authority ends in TLS: {unknown:?}");
    // His message over a known connection is a refusal like any other.
    let mut draft = Draft::submission("T").by("unknown_ca");
    draft.tls = "alice".to_owned();
    let verdict = sandbox.verdict(&sandbox.ask(&draft).await);
    assert!(verdict.starts_with("SOA-01001"), "{verdict}");
    assert_eq!(sandbox.verdict(&sandbox.ask(&Draft::submission("T")).await), "accepted");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_the_required_policy_is_refused() {
    let sandbox = Sandbox::start_tuned(|config| {
        config.senders.certificate_policies = vec!["2.16.56.12.1.1".to_owned()];
    })
    .await;
    let answer = sandbox.ask(&Draft::submission("T")).await;
    assert_eq!(sandbox.verdict(&answer), "SOA-01001 path.policy", "told, and in the journal");
    let told = answer.fault().unwrap();
    assert!(told.message("en").unwrap().contains("2.16.56.12.1.1"), "{told:?}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_told_by_a_fault() {
    let sandbox = Sandbox::start().await;
    let verdict = sandbox.verdict(&sandbox.ask(&Draft::submission("T").by("expired")).await);
    assert!(verdict.starts_with("SOA-01001"), "{verdict}");
    let mut draft = Draft::submission("T");
    "expired".clone_into(&mut draft.tls);
    let verdict = sandbox.verdict(&sandbox.ask(&draft).await);
    assert!(verdict.starts_with("SOA-01001"), "{verdict}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_49_the_connection_is_the_senders_own() {
    let sandbox = Sandbox::start().await;
    for (signer, tls) in [("alice", "bob"), ("bob", "alice"), ("alice", "not_authorised")] {
        let mut draft = Draft::submission("T").by(signer);
        tls.clone_into(&mut draft.tls);
        let verdict = sandbox.verdict(&sandbox.ask(&draft).await);
        assert_eq!(verdict, "SOA-01001 tls.peer.other-sender", "{signer} over {tls}");
    }
    let mut draft = Draft::submission("T");
    "revoked".clone_into(&mut draft.tls);
    let verdict = sandbox.verdict(&sandbox.ask(&draft).await);
    assert!(verdict.starts_with("SOA-01001"), "{verdict}");
    "wrong_environment".clone_into(&mut draft.tls);
    let verdict = sandbox.verdict(&sandbox.ask(&draft).await);
    assert_eq!(verdict, "SOA-01002 wss.sender.environment", "both certificates are of this environment");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_and_no_http_ends_at_the_door() {
    let sandbox = Sandbox::start().await;
    let before = sandbox.records().len();
    for garbage in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0; 1000], &[0x16, 3, 1, 0xff, 0xff], b""] {
        let mut stream = TcpStream::connect(sandbox.address()).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await; // closed, or reset
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1 200"));
    }
    for garbage in [
        "\r\n\r\n\r\n\r\nhello\r\n\r\n",
        "POST /RegisteredMail/v1 HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let (status, _) = raw(&sandbox, garbage.as_bytes()).await;
        assert_ne!(status, "200", "{garbage}");
    }
    let nobody = sandbox.url("/RegisteredMail/v1?wsdl");
    let nobody = anonymous().get(nobody).send().await;
    assert!(nobody.is_err(), "no client certificate, no connection: {nobody:?}");
    assert_eq!(sandbox.records().len(), before, "these are technical log lines");
    assert_eq!(
        sandbox.verdict(&sandbox.ask(&Draft::submission("T")).await),
        "accepted",
        "and the door still serves"
    );
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_that_is_no_request_of_ours_gets_its_status() {
    let sandbox = Sandbox::start().await;
    let alice = sandbox.client("alice");
    let v1 = sandbox.url("/RegisteredMail/v1");
    let answered = async |request: reqwest::RequestBuilder| {
        crate::house::wire::read(request.send().await.unwrap()).await.unwrap().status
    };
    assert_eq!(answered(alice.get(sandbox.url("/"))).await, 404);
    assert_eq!(answered(alice.post(sandbox.url("/RegisteredMail/v3")).body("x")).await, 404);
    assert_eq!(answered(alice.get(&v1)).await, 404);
    assert_eq!(answered(alice.get(format!("{v1}?xsd=../../Cargo.toml"))).await, 404);
    assert_eq!(answered(alice.put(&v1).body("x")).await, 405);
    assert_eq!(answered(alice.delete(&v1)).await, 405);
    assert_eq!(answered(alice.post(&v1).body("x")).await, 415, "no Content-Type");
    let gzip =
        alice.post(&v1).header("content-type", "text/xml").header("content-encoding", "gzip").body("x");
    assert_eq!(answered(gzip).await, 415);
    let two =
        alice.post(&v1).header("content-type", "text/xml").header("content-type", "text/plain").body("x");
    assert_eq!(answered(two).await, 415);
    let limit = sandbox.service().limits().body_bytes_max;
    let head = |length: u64| {
        format!(
            "POST /RegisteredMail/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    assert_eq!(raw(&sandbox, head(limit + 1).as_bytes()).await.0, "413");
    assert_ne!(raw(&sandbox, head(limit).as_bytes()).await.0, "413");
    let many = "X: y\r\n".repeat(65);
    let many = format!("GET /RegisteredMail/v1?wsdl HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    assert_eq!(raw(&sandbox, many.as_bytes()).await.0, "431");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_the_end_of_a_long_body_is_heard() {
    let sandbox = Sandbox::start().await;
    let before = sandbox.records().len();
    let request = sandbox
        .client("alice")
        .post(sandbox.url("/RegisteredMail/v1"))
        .header("content-type", "multipart/related; type=\"text/xml\"; boundary=b")
        .body([b"no boundary ".repeat(1000), vec![b'x'; 3 << 20]].concat());
    let answer: Answered = crate::house::wire::read(request.send().await.unwrap()).await.unwrap();
    assert!(sandbox.verdict(&answer).starts_with("SOA-03004"), "{answer}");
    until(|| async { (sandbox.records().len() > before).then_some(()) }).await;
    sandbox.stop().await;
}

fn anonymous() -> reqwest::Client {
    reqwest::Client::builder().tls_backend_preconfigured(client_config(None)).no_proxy().build().unwrap()
}

/// Bytes over alice's TLS connection, then no more of them: the status and all that came back.
async fn raw(sandbox: &Sandbox, bytes: &[u8]) -> (String, String) {
    let stream = TcpStream::connect(sandbox.address()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client_config(Some("alice"))));
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let mut tls = connector.connect(name, stream).await.unwrap();
    tls.write_all(bytes).await.unwrap();
    let _ = tls.shutdown().await;
    let mut answer = Vec::new();
    let _ = tls.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    (text.split(' ').nth(1).unwrap_or_default().to_owned(), text)
}
