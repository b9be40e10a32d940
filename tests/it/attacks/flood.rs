//! Row 72: floods. One sender holds requests open, or sends more than may be, and the others are served meanwhile.

use std::path::Path;

use disk::{Disk, OpenMode};
use epost::config::Listen;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::house::door::{Door, until_closed};
use crate::house::inside::{Plan, stamper};
use crate::house::reply::Answered;
use crate::house::scripted::Gate;
use crate::house::wire::client_config;
use crate::house::{Draft, Signed, certificate, until};

/// A request of which half the body is out.
struct Half {
    wire: TlsStream<TcpStream>,
    rest: Vec<u8>,
}

impl Half {
    async fn send(door: &Door, signed: &Signed) -> Self {
        Self::send_with(door, signed, "").await
    }

    async fn send_with(door: &Door, signed: &Signed, headers: &str) -> Self {
        let mut wire = door.connect(&signed.tls).await;
        let (content_type, mut body) = signed.http();
        let rest = body.split_off(body.len() / 2);
        wire.write_all(&head(
            signed,
            &content_type,
            &format!("{headers}Content-Length: {}\r\n", body.len() + rest.len()),
        ))
        .await
        .unwrap();
        wire.write_all(&body).await.unwrap();
        wire.flush().await.unwrap();
        Self { wire, rest }
    }

    async fn end(mut self) -> String {
        self.wire.write_all(&self.rest).await.unwrap();
        until_closed(&mut self.wire).await
    }
}

fn head(signed: &Signed, content_type: &str, headers: &str) -> Vec<u8> {
    let path = signed.path;
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\n{headers}\r\n").into()
}

async fn open(change: impl FnOnce(&mut Listen)) -> Door {
    Door::with(Plan::default(), change).await
}

/// Refused as SOAP, to come again; so often for that reason by now. The journal has nothing of it.
#[track_caller]
fn turned_away(door: &Door, answer: &Answered, reason: &str, count: u64) {
    let fault = answer.fault().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!((fault.code.as_str(), fault.retry), ("SOA-02002", Some(true)), "{answer}");
    let counted = format!("epost_requests_turned_away_total{{reason=\"{reason}\"}}");
    assert_eq!(figure(door, &counted), count, "{reason}");
    assert!(
        !door.house.records().iter().any(|stored| stored.record.kind() == "refused"),
        "unread, unrecorded"
    );
    println!("verdict: {} {reason}", fault.code);
}

pub(super) fn figure(door: &Door, name: &str) -> u64 {
    let text = door.house.service.metrics().scrape(&door.house.service, &[]).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_default()
}

async fn until_under_way(door: &Door, count: u64) {
    until(|| async { (figure(door, "epost_requests_under_way") == count).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_72_one_senders_flood_is_his_own() {
    let door = open(|listen| (listen.requests_max, listen.requests_per_sender_max) = (8, 3)).await;
    let mut held = Vec::new();
    for number in 0..3 {
        held.push(Half::send(&door, &Draft::submission(&format!("A-{number}")).sign()).await);
    }
    until_under_way(&door, 3).await;
    let over = Draft::submission("A-3").sign();
    for count in 1..=5 {
        turned_away(&door, &door.send(&over, &[]).await, "door.sender-requests-full", count);
    }
    // Longer than what a socket's buffers hold: the one turned away is heard out, so that he hears the answer.
    let long = Draft::of(&crate::house::draft::submission("L", &[vec![0; 3 << 20]]), &[vec![0; 3 << 20]]);
    turned_away(&door, &door.send(&long.sign(), &[]).await, "door.sender-requests-full", 6);
    // Every request of the other is answered while those are held open.
    for number in 0..10 {
        let answer = door.send(&Draft::submission(&format!("B-{number}")).by("bob").sign(), &[]).await;
        assert_eq!(door.house.verdict(&answer), "accepted");
    }
    assert_eq!(figure(&door, "epost_requests_under_way"), 3);
    for half in held {
        assert!(half.end().await.starts_with("HTTP/1.1 200"));
    }
    until_under_way(&door, 0).await;
    assert_eq!(door.house.verdict(&door.send(&over, &[]).await), "accepted", "the same request, later");
    assert_eq!(door.house.accepted_and_withdrawn().0.len(), 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_72_behind_a_gateway_too_one_senders_flood_is_his_own() {
    let gateway = "not_authorised";
    let plan = || Plan {
        gateways: vec![certificate(gateway)],
        gateway_address_header: Some("x-forwarded-for".to_owned()),
        ..Plan::default()
    };
    let shares = |listen: &mut Listen| (listen.requests_max, listen.requests_per_sender_max) = (8, 3);
    let door = Door::with(plan(), shares).await;
    // Who sends has an official address of his own.
    let own =
        crate::house::inside::policy().replace("[\"127.0.0.1/32\"]", "[\"127.0.0.1/32\", \"127.0.7.7/32\"]");
    door.house.service.set_policy(uam::PolicyFile::parse(&own).unwrap());
    let through = |token: &str, who: &str| Signed {
        tls: gateway.to_owned(),
        ..Draft::submission(token).by(who).sign()
    };
    let mut held = Vec::new();
    for number in 0..3 {
        let signed = through(&format!("A-{number}"), "alice");
        held.push(Half::send_with(&door, &signed, "X-Forwarded-For: 127.0.0.1\r\n").await);
    }
    until_under_way(&door, 3).await;
    let said = |address| [("x-forwarded-for", address)];
    for count in 1..=5 {
        let over = door.send(&through("A-3", "alice"), &said("127.0.0.1")).await;
        turned_away(&door, &over, "door.sender-requests-full", count);
    }
    // What a client claims of himself before the gateway's word makes him nobody else.
    let claimed = door.send(&through("A-3", "alice"), &said("127.0.9.9, 127.0.0.1")).await;
    turned_away(&door, &claimed, "door.sender-requests-full", 6);
    for number in 0..10 {
        let answer = door.send(&through(&format!("B-{number}"), "bob"), &said("127.0.7.7")).await;
        assert_eq!(door.house.verdict(&answer), "accepted");
    }
    for half in held {
        assert!(half.end().await.starts_with("HTTP/1.1 200"));
    }
    until_under_way(&door, 0).await;
    assert_eq!(door.house.accepted_and_withdrawn().0.len(), 13);
    // Of who is no gateway the header makes nobody else.
    let door = Door::with(plan(), |listen| listen.requests_per_sender_max = 1).await;
    let first =
        Half::send_with(&door, &Draft::submission("A-1").sign(), "X-Forwarded-For: 127.0.0.1\r\n").await;
    until_under_way(&door, 1).await;
    let other = door.send(&Draft::submission("A-2").sign(), &said("127.0.7.7")).await;
    turned_away(&door, &other, "door.sender-requests-full", 1);
    assert!(first.end().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overload_is_told_in_the_requests_own_version() {
    let door = open(|listen| listen.requests_per_sender_max = 1).await;
    let half = Half::send(&door, &Draft::submission("A-1").sign()).await;
    until_under_way(&door, 1).await;
    let item = soap::message::ItemName::Token(erds::Token::parse("none").unwrap());
    let mut draft = Draft::proof(&item, soap::message::ProofKind::Receipt);
    draft.version = soap::envelope::SoapVersion::V12;
    let answer = door.send(&draft.sign(), &[]).await;
    assert!(answer.content_type.starts_with("application/soap+xml"), "{answer}");
    answer.must_be_signed();
    turned_away(&door, &answer, "door.sender-requests-full", 1);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(
        text.contains(">soapenv:Receiver<")
            && text.contains(&format!("\"{}\"", soap::envelope::SoapVersion::V12.namespace())),
        "{text}"
    );
    assert!(half.end().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_together_have_so_many_places_and_a_newcomer_finds_one() {
    let door = open(|listen| (listen.requests_max, listen.requests_per_sender_max) = (2, 2)).await;
    let first = Half::send(&door, &Draft::submission("A-1").sign()).await;
    until_under_way(&door, 1).await;
    turned_away(&door, &door.send(&Draft::submission("A-2").sign(), &[]).await, "door.requests-full", 1);
    let newcomer = Half::send(&door, &Draft::submission("B-1").by("bob").sign()).await;
    until_under_way(&door, 2).await;
    turned_away(
        &door,
        &door.send(&Draft::submission("B-2").by("bob").sign(), &[]).await,
        "door.requests-full",
        2,
    );
    // What is no SOAP is told so in HTTP's own words.
    let plain = b"POST /RegisteredMail/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx";
    let read = b"GET /RegisteredMail/v1?wsdl HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for request in [&plain[..], &read[..]] {
        let answer = door.exchange(request).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 5"), "{answer}");
        assert!(answer.contains("listen.requests_max"), "{answer}");
    }
    // In the other contract the fault is signed, and in its SOAP version.
    let mut second = Draft::proof(
        &soap::message::ItemName::Token(erds::Token::parse("none").unwrap()),
        soap::message::ProofKind::Receipt,
    )
    .sign();
    let answer = door.send(&second, &[]).await;
    answer.must_be_signed();
    turned_away(&door, &answer, "door.requests-full", 4);
    assert!(answer.content_type.starts_with("text/xml"), "{answer}");
    second.tls = "bob".to_owned();
    turned_away(&door, &door.send(&second, &[]).await, "door.requests-full", 5);
    for half in [first, newcomer] {
        assert!(half.end().await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_keeps_his_place_until_the_answer() {
    let gate = Gate::closed(stamper());
    let plan = Plan { stamper: gate.clone(), ..Plan::default() };
    let door = Door::with(plan, |listen| listen.requests_per_sender_max = 2).await;
    for number in 0..2 {
        let mut half = Half::send(&door, &Draft::submission(&format!("A-{number}")).sign()).await;
        half.wire.write_all(&half.rest).await.unwrap();
        half.wire.flush().await.unwrap();
        gate.asked.acquire().await.unwrap().forget();
    }
    until(|| async { (figure(&door, "epost_connections") == 0).then_some(()) }).await;
    let third = Draft::submission("A-3").sign();
    turned_away(&door, &door.send(&third, &[]).await, "door.sender-requests-full", 1);
    gate.passes.add_permits(100);
    until_under_way(&door, 0).await;
    assert_eq!(door.house.verdict(&door.send(&third, &[]).await), "accepted");
    assert_eq!(door.house.accepted_and_withdrawn().0.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_under_way_of_one_sender_and_of_all() {
    let signed = Draft::submission("T").sign();
    let (content_type, body) = signed.http();
    let length = body.len() as u64;
    let check = async |set: fn(&mut Listen, u64), reason: &str| {
        let door = open(|listen| set(listen, length - 1)).await;
        // Told before a byte of the body was sent.
        let stated = format!("Content-Length: {length}\r\nExpect: 100-continue\r\n");
        let answer = door.exchange(&head(&signed, &content_type, &stated)).await;
        assert!(answer.starts_with("HTTP/1.1 500") && answer.contains("SOA-02002"), "{answer}");
        turned_away(&door, &door.send(&signed, &[]).await, reason, 2);
        // Whose length nobody stated: told when it has come to the limit.
        let mut bytes = head(&signed, &content_type, "Transfer-Encoding: chunked\r\n");
        bytes.extend(format!("{length:x}\r\n").bytes().chain(body.iter().copied()).chain(*b"\r\n0\r\n\r\n"));
        let answer = door.exchange(&bytes).await;
        assert!(answer.starts_with("HTTP/1.1 500") && answer.contains("SOA-02002"), "{answer}");
        assert!(door.house.records().is_empty() && spooled(&door).is_empty(), "{:?}", spooled(&door));
        let door = open(|listen| set(listen, length)).await;
        let answer = door.exchange(&bytes).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(door.house.accepted_and_withdrawn().0.len(), 1);
        let answer = door.send(&signed, &[]).await;
        assert_eq!(answer.status, 200, "the room is given back: {answer}");
    };
    check(|listen, bytes| listen.spool_bytes_per_sender_max = bytes, "door.sender-spool-full").await;
    check(|listen, bytes| listen.spool_bytes_max = bytes, "door.spool-full").await;
}

fn spooled(door: &Door) -> Vec<std::path::PathBuf> {
    let mut found = door.house.disk.list(Path::new("data/content")).unwrap();
    found.retain(|path| !path.ends_with("unnamed"));
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connections_of_one_sender_and_of_one_address() {
    let door = open(|listen| listen.connections_per_sender_max = 2).await;
    let held = [served(&door, "alice", 1).await, served(&door, "alice", 1).await];
    assert!(held.iter().all(Option::is_some));
    assert!(served(&door, "alice", 1).await.is_none(), "one past the limit is closed");
    assert!(served(&door, "bob", 1).await.is_some());
    drop(held);
    until(|| served(&door, "alice", 1)).await;
    let door = open(|listen| listen.connections_per_address_max = 2).await;
    let held = [served(&door, "alice", 1).await, served(&door, "bob", 1).await];
    assert!(held.iter().all(Option::is_some));
    assert!(served(&door, "bob", 1).await.is_none());
    assert!(served(&door, "bob", 2).await.is_some(), "another address");
    drop(held);
    until(|| served(&door, "alice", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_72_who_shows_no_certificate_holds_no_door_shut() {
    let door = open(|listen| listen.connections_max = 8).await;
    let silent = async |host: u8| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("127.0.0.{host}:0").parse().unwrap()).unwrap();
        socket.connect(door.address).await.unwrap()
    };
    let closed = |count: u64| {
        let counted = "epost_refused_connections_total{reason=\"door.handshakes-full\"}";
        let door = &door;
        until(move || async move { (figure(door, counted) == count).then_some(()) })
    };
    // One address never begins its handshakes: half of the places are its. A second gets half of what is left.
    let mut held = Vec::new();
    for (host, count, refused) in [(2, 6, 2), (3, 4, 4)] {
        for _ in 0..count {
            held.push(silent(host).await);
        }
        closed(refused).await;
    }
    // Those who have a certificate still come in, one after the other.
    let senders = [served(&door, "alice", 1).await, served(&door, "bob", 4).await];
    let served = senders.iter().flatten().count();
    println!("verdict: {} silent connections came, {served} of 2 senders are served", held.len());
    assert_eq!(served, 2);
}

/// A connection that was answered, from that loopback address; none where it was closed.
pub(super) async fn served(door: &Door, name: &str, host: u8) -> Option<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("127.0.0.{host}:0").parse().unwrap()).unwrap();
    let stream = socket.connect(door.address).await.unwrap();
    let server = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let config = std::sync::Arc::new(client_config(Some(name)));
    let mut tls = tokio_rustls::TlsConnector::from(config).connect(server, stream).await.ok()?;
    tls.write_all(b"GET /RegisteredMail/v1?xsd=none HTTP/1.1\r\nHost: x\r\n\r\n").await.ok()?;
    let mut answer = [0; 12];
    tls.read_exact(&mut answer).await.ok()?;
    assert_eq!(&answer, b"HTTP/1.1 404");
    Some(tls)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_too_many_leave_nothing_behind() {
    let door = open(|listen| listen.requests_per_sender_max = 1).await;
    let empty = ground(&door);
    let half = Half::send(&door, &Draft::submission("A-1").sign()).await;
    until(|| async { (ground(&door) != empty).then_some(()) }).await; // its key
    let before = ground(&door);
    let request = b"POST /RegisteredMail/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 4\r\n\r\n<a/>";
    let last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let (mut reading, mut writing) = tokio::io::split(door.connect("alice").await);
    let written = tokio::spawn(async move {
        for _ in 0..10_000 {
            writing.write_all(request).await.unwrap();
        }
        writing.write_all(last).await.unwrap();
        writing.flush().await.unwrap();
    });
    let answers = until_closed(&mut reading).await;
    written.await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 500").count(), 10_000);
    assert_eq!(ground(&door), before, "no key was drawn, nothing spooled, nothing recorded");
    assert_eq!(figure(&door, "epost_requests_under_way"), 1);
    assert!(half.end().await.starts_with("HTTP/1.1 200"));
}

/// Every file's length.
fn ground(door: &Door) -> Vec<(std::path::PathBuf, u64)> {
    let folders = ["data/journal", "data/keys", "data/content"];
    let files = folders.iter().flat_map(|folder| door.house.disk.list(Path::new(folder)).unwrap());
    let files = files.filter(|path| !path.ends_with("unnamed"));
    let length = |path: &Path| door.house.disk.open(path, OpenMode::Read).unwrap().length().unwrap();
    files.map(|path| (path.clone(), length(&path))).collect()
}
