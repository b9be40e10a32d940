//! Rows 71 to 73, 75, 84: HTTP, written by hand.

use tokio::io::AsyncWriteExt;

use crate::house::door::{Door, until_closed};
use crate::house::inside::Plan;
use crate::house::{Draft, House};

const WSDL: &str = "GET /RegisteredMail/v1?wsdl HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn answers(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /RegisteredMail/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n{headers}\r\n{body}")
}

fn told(what: &str, answer: &str) {
    println!("verdict: {what:?}: {}", answer.lines().next().unwrap_or("closed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_71_nothing_smuggled_runs() {
    let door = Door::open().await;
    // Honest pipelining shows that a second request would be seen.
    let both = door.exchange(format!("GET / HTTP/1.1\r\nHost: x\r\n\r\n{WSDL}").as_bytes()).await;
    assert_eq!((answers(&both), both.contains("wsdl:definitions")), (2, true), "{both}");
    for (headers, body) in [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
        ("Content-Length: 0\r\nContent-Length: 5\r\n", ""),
        ("Content-Length: 0, 5\r\n", ""),
        ("Content-Length: +0\r\n", ""),
        ("Content-Length: -1\r\n", ""),
        ("Content-Length: 0x0\r\n", ""),
        ("Content-Length: \r\n", ""),
        ("Content-Length: 18446744073709551616\r\n", ""),
        ("Content-Length : 0\r\n", ""),
        ("Content-Length\t: 0\r\n", ""),
        (" Content-Length: 0\r\n", ""),
        ("X: y\r\n Content-Length: 0\r\n", ""),
        ("X: y\rContent-Length: 0\r\n", ""),
        ("X: y\0\r\n", ""),
        ("Transfer-Encoding: identity\r\n", ""),
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "x\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "-1\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "0x0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFFF\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "1\r\nab\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "0;a\nb\r\n\r\n"),
    ] {
        let answer = door.exchange(format!("{}{WSDL}", post(headers, body)).as_bytes()).await;
        told(headers, &answer);
        assert!(answers(&answer) <= 1 && !answer.contains("wsdl:definitions"), "{headers:?}\n{answer}");
        assert!(!answer.starts_with("HTTP/1.1 200"), "{headers:?}\n{answer}");
    }
    let answer = door.send(&Draft::submission("T").sign(), &[]).await;
    assert_eq!(door.house.verdict(&answer), "accepted", "and the door still serves");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_71_one_host_and_no_other_place() {
    let door = Door::open().await;
    let ask = async |line: &str, headers: &str| {
        let answer = door.exchange(format!("{line}\r\n{headers}\r\n{WSDL}").as_bytes()).await;
        told(&format!("{line} {headers}"), &answer);
        answer
    };
    let here = "GET /RegisteredMail/v1?xsd=none HTTP/1.1";
    for hosts in ["", "Host: x\r\nHost: x\r\n", "Host: x\r\nhost: y\r\n"] {
        let answer = ask(here, hosts).await;
        assert!(
            answer.starts_with("HTTP/1.1 400") && answers(&answer) == 1,
            "and the line is closed: {answer}"
        );
    }
    let old = door.exchange(b"GET /RegisteredMail/v1?xsd=none HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 404"), "HTTP/1.0 knows none: {old}");
    // A target elsewhere is read as its path: nothing is fetched, forwarded or tunnelled.
    let elsewhere = ask("GET http://10.0.0.1:1/RegisteredMail/v1?xsd=none HTTP/1.1", "Host: x\r\n").await;
    assert!(elsewhere.starts_with("HTTP/1.1 404") && elsewhere.contains("GET serves ?wsdl"), "{elsewhere}");
    for line in ["CONNECT 10.0.0.1:22 HTTP/1.1", "OPTIONS * HTTP/1.1", "GET http://10.0.0.1:1/ HTTP/1.1"] {
        let answer = ask(line, "Host: x\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
    for upgrade in ["h2c", "websocket", "TLS/1.0"] {
        let answer = ask(here, &format!("Host: x\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
    assert!(door.house.records().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_72_a_body_is_asked_of_senders_alone() {
    let gateway = crate::house::certificate("ebox-client");
    let door = Door::with(Plan { gateways: vec![gateway], ..Plan::default() }, |_| {}).await;
    let waits = post("Connection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n", "");
    for (who, expected) in [
        ("alice", None),
        ("ebox-client", None),
        ("not_authorised", Some("SOA-01002 uam.sender")),
        ("revoked", Some("SOA-01001 path.revoked")),
        ("expired", Some("SOA-01001 path.expired")),
        ("wrong_environment", Some("SOA-01002 wss.sender.environment")),
    ] {
        let (mut reading, mut writing) = tokio::io::split(door.connect(who).await);
        writing.write_all(waits.as_bytes()).await.unwrap();
        writing.flush().await.unwrap();
        let mut first = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut reading, &mut first).await.unwrap();
        let first = String::from_utf8_lossy(&first).into_owned();
        match expected {
            None => {
                println!("verdict: {who}: {first}");
                assert_eq!(first, "HTTP/1.1 100");
            }
            Some(verdict) => {
                let rest = until_closed(&mut reading).await;
                let body = rest.split("\r\n\r\n").nth(1).unwrap().as_bytes().to_vec();
                let content_type = "text/xml; charset=utf-8".to_owned();
                let answered = crate::house::Answered { status: 500, content_type, body };
                assert_eq!(
                    (first.as_str(), door.house.verdict(&answered).as_str()),
                    ("HTTP/1.1 500", verdict)
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_72_a_body_of_single_bytes_is_one_like_others() {
    let door = Door::open().await;
    let signed = Draft::submission("T").sign();
    let (content_type, body) = signed.http();
    let mut bytes = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n",
        signed.path
    )
    .into_bytes();
    for byte in body {
        bytes.extend([b'1', b'\r', b'\n', byte, b'\r', b'\n']);
    }
    bytes.extend(b"0\r\n\r\n");
    let answer = door.exchange(&bytes).await;
    told("single bytes", &answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(door.house.accepted_and_withdrawn().0.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_72_the_slow_and_the_idle_are_sent_away() {
    let door = Door::with(Plan::default(), |listen| {
        listen.handshake_seconds_max = 1;
        listen.header_seconds_max = 1;
        listen.body_idle_seconds_max = 1;
        listen.body_bytes_per_second_min = 1 << 20;
    })
    .await;
    // Not a byte of TLS; TLS and not a byte of HTTP; half a head; half a body.
    let mut silent = tokio::net::TcpStream::connect(door.address).await.unwrap();
    assert_eq!(until_closed(&mut silent).await, "");
    assert_eq!(door.exchange(b"").await, "");
    let head = door.exchange(b"POST /RegisteredMail/v1 HTTP/1.1\r\nX: ").await;
    told("half a head", &head);
    assert!(!head.starts_with("HTTP/1.1 200"), "{head}");
    let body = door.exchange(post("Content-Length: 100\r\n", "<a>").as_bytes()).await;
    told("half a body", &body);
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    // Never idle, and never done: a byte now and then.
    let (mut reading, mut writing) = tokio::io::split(door.connect("alice").await);
    writing.write_all(post("Content-Length: 100000\r\n", "<a>").as_bytes()).await.unwrap();
    let drip = tokio::spawn(async move {
        while writing.write_all(b" ").await.is_ok() && writing.flush().await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
    let slow = until_closed(&mut reading).await;
    drip.abort();
    told("a byte now and then", &slow);
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    let answer = door.send(&Draft::submission("T").sign(), &[]).await;
    assert_eq!(door.house.verdict(&answer), "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_72_floods_meet_a_cap() {
    let door = Door::with(Plan::default(), |listen| listen.connections_max = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(super::flood::served(&door, "alice", 1).await.expect("a place"));
    }
    let over = door.connect_with(crate::house::wire::client_config(Some("bob"))).await;
    println!("verdict: the fourth of three connections: {}", if over.is_err() { "closed" } else { "open" });
    assert!(over.is_err(), "the fourth is closed");
    drop(held);
    crate::house::until(async || {
        door.connect_with(crate::house::wire::client_config(Some("bob"))).await.ok()
    })
    .await;
    // HTTP/2, with its rapid reset and its CONTINUATION floods, is not spoken.
    let mut config = crate::house::wire::client_config(Some("alice"));
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(door.connect_with(config).await.is_err());
    let preface = door.exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    told("an HTTP/2 preface", &preface);
    assert!(!preface.starts_with("HTTP/1.1 200") && answers(&preface) <= 1, "{preface}");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_73_codings_methods_and_header_floods() {
    let door = Door::open().await;
    let close = "Connection: close\r\n";
    for coding in ["gzip", "deflate", "br", "zstd", "identity", "x"] {
        let answer = door
            .exchange(
                post(&format!("{close}Content-Encoding: {coding}\r\nContent-Length: 1\r\n"), "x").as_bytes(),
            )
            .await;
        told(coding, &answer);
        assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    }
    for coding in ["gzip, chunked", "deflate, chunked"] {
        let headers = format!("{close}Transfer-Encoding: {coding}\r\n");
        let answer = door.exchange(post(&headers, "1\r\nx\r\n0\r\n\r\n").as_bytes()).await;
        told(coding, &answer);
        assert!(answer.starts_with("HTTP/1.1 501"), "{answer}");
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "CONNECT", "FOO"] {
        let answer = door
            .exchange(format!("{method} /RegisteredMail/v1 HTTP/1.1\r\nHost: x\r\n{close}\r\n").as_bytes())
            .await;
        told(method, &answer);
        assert!(
            ["HTTP/1.1 405", "HTTP/1.1 400", "HTTP/1.1 404"].iter().any(|code| answer.starts_with(code)),
            "{method}: {answer}"
        );
    }
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        let request =
            format!("GET /RegisteredMail/v1?wsdl HTTP/1.1\r\nHost: x\r\n{close}{name}: POST\r\n\r\n");
        let answer = door.exchange(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("wsdl:definitions"), "inert: {answer}");
    }
    let many = "X: y\r\n".repeat(65);
    let answer = door.exchange(post(&many, "").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let long = door.exchange(post(&format!("X: {}\r\n", "y".repeat(1 << 20)), "").as_bytes()).await;
    told("a header of a megabyte", &long);
    assert!(!long.starts_with("HTTP/1.1 200"), "{long}");
    assert!(door.house.records().is_empty(), "none of it reached the journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_75_forged_front_end_headers() {
    let door = Door::open().await;
    let alice = std::fs::read_to_string(crate::house::certs_test("alice.crt")).unwrap().replace('\n', " ");
    let forged = [
        ("x-ssl-client-cert", alice.as_str()),
        ("x-ssl-client-verify", "SUCCESS"),
        ("x-ssl-client-s-dn", "CN=urn:be:fgov:epost:test:alice:letters"),
        ("x-forwarded-for", "10.0.0.7"),
        ("x-real-ip", "10.0.0.7"),
        ("forwarded", "for=10.0.0.7"),
        ("x-forwarded-host", "evil.example"),
    ];
    let mut signed = Draft::submission("T").sign();
    "bob".clone_into(&mut signed.tls);
    let answer = door.send(&signed, &forged).await;
    let verdict = door.house.verdict(&answer);
    assert_eq!(verdict, "SOA-01001 tls.peer.other-sender");
    let answer = door.send(&Draft::submission("T").sign(), &forged).await;
    assert_eq!(door.house.verdict(&answer), "accepted");
    for stored in door.house.records() {
        let text = format!("{:?}", stored.record);
        assert!(!text.contains("10.0.0.7") && !text.contains("evil.example"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_84_no_file_is_reached_by_a_path() {
    let door = Door::open().await;
    let before = files(&door.house);
    let mut met = std::collections::BTreeMap::<_, usize>::new();
    for path in [
        "/batch/../../etc/passwd",
        "/RegisteredMail/v1/../../data/journal",
        "/RegisteredMail/%2e%2e/%2e%2e/data",
        "/RegisteredMail/v1%2f..%2f..",
        "/RegisteredMail/%252e%252e/v1",
        "/RegisteredMail\\v1",
        "/RegisteredMail/v1%00",
        "//RegisteredMail/v1",
        "/registeredmail/V1",
        "/RegisteredMail/v1/",
    ] {
        for method in ["GET", "POST", "PUT", "PROPFIND", "MKCOL", "COPY", "MOVE", "LOCK", "DELETE"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nDepth: infinity\r\nDestination: https://elsewhere.example/x\r\n\
                 Content-Type: text/xml\r\nContent-Length: 4\r\n\r\n<a/>"
            );
            let answer = door.exchange(request.as_bytes()).await;
            let refused =
                ["400", "404", "405"].iter().any(|code| answer.starts_with(&format!("HTTP/1.1 {code}")));
            assert!(refused, "{method} {path}: {answer}");
            *met.entry(answer.lines().next().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    for (status, times) in met {
        println!("verdict: {times} times {status}");
    }
    assert_eq!((files(&door.house), door.house.records().len()), (before, 0));
}

fn files(house: &House) -> Vec<std::path::PathBuf> {
    disk::Disk::list(&house.disk, std::path::Path::new("data")).unwrap()
}
