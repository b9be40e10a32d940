//! Row 74: TLS.

use rustls::HandshakeKind;
use rustls::client::Resumption;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::house::Draft;
use crate::house::door::{Door, until_closed};
use crate::house::wire::client_config;

#[tokio::test(flavor = "multi_thread")]
async fn row_74_no_certificate_and_old_versions() {
    let door = Door::open().await;
    let nobody = match door.connect_with(client_config(None)).await {
        Err(error) => error.to_string(),
        // TLS 1.3: the client is through before the server has judged it.
        Ok(mut tls) => {
            let _ = tls.write_all(b"GET /RegisteredMail/v1?wsdl HTTP/1.1\r\nHost: x\r\n\r\n").await;
            until_closed(&mut tls).await
        }
    };
    println!("verdict: no client certificate: {}", if nobody.is_empty() { "closed" } else { &nobody });
    assert!(!nobody.contains("HTTP/1.1"), "{nobody}");
    // SSL 3.0, TLS 1.0, TLS 1.1, in a ClientHello of their own form: answered by an alert, not by a ServerHello.
    for version in [0, 1, 2] {
        let mut hello = vec![3, version];
        hello.extend([7; 32]);
        hello.extend([0, 0, 8, 0, 0x2f, 0, 0x35, 0xc0, 0x13, 0xc0, 0x14, 1, 0]);
        let hello = [&[1, 0, 0, hello.len() as u8][..], &hello].concat();
        let record = [&[0x16, 3, 1, 0, hello.len() as u8][..], &hello].concat();
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(&record).await.unwrap();
        let answer = until_closed(&mut stream).await;
        let told = answer
            .as_bytes()
            .first()
            .map_or("closed", |kind| if *kind == 0x15 { "alert" } else { "answered" });
        println!("verdict: version 3.{version}: {told}");
        assert!(answer.is_empty() || answer.as_bytes()[0] == 0x15, "{version}: {answer:?}");
    }
    assert!(door.house.records().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_74_a_resumed_connection_keeps_its_identity() {
    let door = Door::open().await;
    let mut config = client_config(Some("alice"));
    config.resumption = Resumption::in_memory_sessions(8);
    config.enable_early_data = true;
    let config = std::sync::Arc::new(config);
    for attempt in 0..2 {
        let stream = TcpStream::connect(door.address).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let connector = tokio_rustls::TlsConnector::from(config.clone());
        let mut tls = connector.connect(name, stream).await.unwrap();
        assert!(!tls.get_ref().1.is_early_data_accepted(), "nothing can be replayed before the handshake");
        if attempt == 1 {
            assert_eq!(tls.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
        }
        // bob's message, over what is alice's connection however it came about.
        let signed = Draft::submission(&format!("T-{attempt}")).by("bob").sign();
        let (content_type, body) = signed.http();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            signed.path,
            body.len()
        );
        tls.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        let answer = until_closed(&mut tls).await;
        assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
        let records = door.house.records();
        let Some(erds::Record::Refused(refused)) = records.last().map(|stored| &stored.record) else {
            panic!("{answer}")
        };
        println!("verdict: attempt {attempt}: {} {}", refused.code.as_str(), refused.check);
        assert_eq!(refused.check, "tls.peer.other-sender");
    }
}
