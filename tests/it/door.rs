//! The door's own limits over the wire, at the limit and one past it: whoever is turned away hears why, and the door still serves.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::house::wire::client_config;
use crate::house::{Draft, Sandbox, Signed};

type Wire = TlsStream<TcpStream>;

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once() {
    let sandbox = Sandbox::start_tuned(|config| config.listen.requests_max = 1).await;
    let (first, second) = (Draft::submission("T-1").sign(), Draft::submission("T-2").sign());
    let (head, body) = request(&first);
    let mut under_way = connect(&sandbox).await.unwrap();
    under_way.write_all(&head).await.unwrap();
    under_way.write_all(&body[..body.len() / 2]).await.unwrap();
    until_under_way(&sandbox, 1).await;
    let turned_away = sandbox.send(&second).await;
    let fault = turned_away.fault().unwrap();
    assert_eq!((fault.code.as_str(), fault.retry), ("SOA-02002", Some(true)), "{turned_away}");

    under_way.write_all(&body[body.len() / 2..]).await.unwrap();
    assert_eq!(answer(&mut under_way).await.0, 200);
    assert_eq!(sandbox.verdict(&sandbox.send(&second).await), "accepted", "the same request, later");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_at_once() {
    let sandbox = Sandbox::start_tuned(|config| config.listen.connections_max = 2).await;
    let first = connect(&sandbox).await.unwrap();
    // The client's end of the first handshake is through before the server's.
    let _second = crate::house::until(|| async { connect(&sandbox).await }).await;
    assert!(connect(&sandbox).await.is_none(), "one past the limit is closed");
    drop(first);
    let again = crate::house::until(|| async { connect(&sandbox).await }).await;
    drop(again);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_whose_length_nobody_stated() {
    let signed = Draft::submission("T").sign();
    let length = signed.http().1.len() as u64;
    for (limit, expected) in [(length, "accepted"), (length - 1, "SOA-03004 multipart.body.too-large")] {
        let sandbox = Sandbox::start_tuned(|config| config.limits.body_bytes_max = limit).await;
        let mut wire = connect(&sandbox).await.unwrap();
        let (content_type, body) = signed.http();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n",
            signed.path
        );
        let mut bytes = head.into_bytes();
        for chunk in body.chunks(4096) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        wire.write_all(&bytes).await.unwrap();
        let (status, content_type, body) = answer(&mut wire).await;
        let answered = crate::house::Answered { status, content_type, body };
        assert_eq!(sandbox.verdict(&answered), expected, "{answered}");
        sandbox.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_a_request() {
    let sandbox = Sandbox::start_tuned(|config| config.listen.headers_max = 8).await;
    for (more, expected) in [(7, 200), (8, 431)] {
        let mut wire = connect(&sandbox).await.unwrap();
        let headers = "X: y\r\n".repeat(more);
        let head = format!("GET /RegisteredMail/v1?wsdl HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        wire.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(answer(&mut wire).await.0, expected, "{more} and Host");
    }
    sandbox.stop().await;
    let sandbox = Sandbox::start_tuned(|config| config.listen.head_bytes_max = 8192).await;
    for (more, expected) in [(4000, 200), (9000, 431)] {
        let mut wire = connect(&sandbox).await.unwrap();
        let head =
            format!("GET /RegisteredMail/v1?wsdl HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(more));
        wire.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(answer(&mut wire).await.0, expected, "{more} bytes");
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slow_are_let_go() {
    let sandbox = Sandbox::start_tuned(|config| {
        (config.listen.handshake_seconds_max, config.listen.header_seconds_max) = (1, 1);
        config.listen.body_idle_seconds_max = 1;
    })
    .await;
    let mut silent = TcpStream::connect(sandbox.address()).await.unwrap();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or_default(), 0, "no handshake");
    let mut headless = connect(&sandbox).await.unwrap();
    headless.write_all(b"POST /RegisteredMail/v1 HTTP/1.1\r\nHost").await.unwrap();
    let mut rest = Vec::new();
    let _ = headless.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "), "half a head");
    let (head, body) = request(&Draft::submission("T").sign());
    let mut idle = connect(&sandbox).await.unwrap();
    idle.write_all(&head).await.unwrap();
    idle.write_all(&body[..body.len() - 1]).await.unwrap();
    let (status, _, text) = answer(&mut idle).await;
    assert_eq!(status, 408);
    assert!(String::from_utf8_lossy(&text).contains("listen.body_idle_seconds_max"));
    assert_eq!(
        sandbox.verdict(&sandbox.ask(&Draft::submission("T")).await),
        "accepted",
        "never received before"
    );
    sandbox.stop().await;
}

/// A connection as alice; none where the door closes it.
async fn connect(sandbox: &Sandbox) -> Option<Wire> {
    let stream = TcpStream::connect(sandbox.address()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(Some("alice"))));
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    connector.connect(name, stream).await.ok()
}

/// Head and body of a request as HTTP.
fn request(signed: &Signed) -> (Vec<u8>, Vec<u8>) {
    let (content_type, body) = signed.http();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        signed.path,
        body.len()
    );
    (head.into_bytes(), body)
}

/// Status, Content-Type and body of one answer with a Content-Length.
async fn answer(wire: &mut Wire) -> (u16, String, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let field = |name: &str| {
                head.lines()
                    .filter_map(|line| line.split_once(": "))
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
            };
            let length: usize = field("content-length").map_or(0, |(_, value)| value.parse().unwrap());
            let begin = head.len() + 4;
            if bytes.len() >= begin + length {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                let kind = field("content-type").map_or(String::new(), |(_, value)| value.to_owned());
                return (status, kind, bytes[begin..begin + length].to_vec());
            }
        }
        let count = wire.read(&mut buffer).await.unwrap();
        assert!(count > 0, "closed before an answer: {text}");
        bytes.extend_from_slice(&buffer[..count]);
    }
}

async fn until_under_way(sandbox: &Sandbox, count: u32) {
    crate::house::until(|| async {
        let (_, _, text) = sandbox.watch("/metrics").await;
        text.contains(&format!("\nepost_requests_under_way {count}\n")).then_some(())
    })
    .await;
}
