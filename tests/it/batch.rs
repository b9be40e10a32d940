//! The batch channel: what contract B's sender asks beside the eBox lies in a partner's folder, whole, once, and for him alone.
//!
//! bob's certificate opens the folder of the enterprise that alice writes to, `not_authorised`'s that of a mandatary, alice's her own.

use std::net::SocketAddr;
use std::sync::Arc;

use epost::config::{Batch, BatchPartner};
use epost::dev::sandbox::{ENTERPRISE, ENTERPRISE_QUALITY, MANDATARY, MANDATARY_QUALITY};
use epost::door::webdav::Folders;
use epost::folder::partners::Partners;
use erds::ChannelName::{Batch as ByBatch, EboxCitizen, EboxEnterprise};
use erds::{ChannelName, Delegate, EnterpriseNumber, QualityCode, Recipient, Record, Strictness, Submission};
use evidence::event::{Event, Evidence};
use soap::message::v2::{EventCode, EventSource, write_submit_request};
use soap::message::{ItemName, ProofKind};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use crate::house::draft::{V2, submission};
use crate::house::inside::Plan;
use crate::house::reply::{Answered, Proof, committed_crls, evidence_must_pass};
use crate::house::scripted::Gate;
use crate::house::wire::{client_config, read};
use crate::house::{Draft, House, certificate, certs_test, file, until};

/// A house, and its partners' door.
struct Room {
    house: House,
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

const ALICE: &str = "1000000021";

fn partners() -> Batch {
    let partner = |cbe: &str, names: &[&str]| BatchPartner {
        cbe: cbe.to_owned(),
        certificates: names
            .iter()
            .map(|name| erds::record::Hex32(certificate(name).fingerprint()).to_hex())
            .collect(),
    };
    Batch {
        address: "127.0.0.1:0".parse().unwrap(),
        anchors: vec![certs_test("senders-root.crt")],
        intermediates: vec![certs_test("senders-ca.crt")],
        crls: vec![certs_test("crls")],
        connections_max: 64,
        connections_per_partner_max: 8,
        partner: vec![
            partner(ALICE, &["alice"]),
            partner(ENTERPRISE, &["bob", "expired", "revoked"]),
            partner(MANDATARY, &["not_authorised"]),
        ],
    }
}

impl Room {
    async fn open() -> Self {
        Self::with(Plan { delivers: true, ..Plan::default() }, partners()).await
    }

    async fn with(plan: Plan, setup: Batch) -> Self {
        let partners = Partners::read(&setup).unwrap();
        let folders = partners.numbers().map(str::to_owned).collect();
        let house = House::open(Plan { folders, ..plan }).await.unwrap();
        let pem = |name| std::fs::read(certs_test(name)).unwrap();
        let (anchors, named) = (partners.authorities().anchors().clone(), partners.authorities().named());
        let tls =
            epost::door::tls::server_config(&pem("server.crt"), &pem("server.key"), anchors, named).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let folders = Folders::new(house.service.clone(), partners, setup.connections_max);
        tokio::spawn(epost::door::webdav::serve(listener, tls, Arc::new(folders), stopped));
        Self { house, address, _stop: stop }
    }

    async fn ask(&self, who: &str, method: &str, path: &str) -> Answered {
        self.ask_with(who, method, path, &[], "").await
    }

    async fn ask_with(
        &self,
        who: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answered {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(client_config(Some(who)))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(60))
            .build()
            .unwrap();
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = client.request(method, format!("https://{}{path}", self.address)).body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        read(request.send().await.unwrap()).await.unwrap()
    }

    /// The names in a folder, in order.
    async fn list(&self, who: &str) -> Vec<String> {
        let answer = self.ask_with(who, "PROPFIND", "/OUT/", &[("depth", "1")], "").await;
        assert_eq!(answer.status, 207, "{answer}");
        let text = String::from_utf8(answer.body).unwrap();
        let hrefs = text.split("<D:href>").skip(1).map(|rest| rest.split('<').next().unwrap());
        hrefs
            .filter_map(|href| href.strip_prefix("/OUT/"))
            .filter(|n| !n.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The names in it, once there are so many.
    async fn filled(&self, who: &str, count: usize) -> Vec<String> {
        until(|| async { Some(self.list(who).await).filter(|names| names.len() == count) }).await
    }

    async fn get(&self, who: &str, name: &str) -> Vec<u8> {
        let answer = self.ask(who, "GET", &format!("/OUT/{name}")).await;
        assert_eq!(answer.status, 200, "{answer}");
        answer.body
    }

    async fn delete(&self, who: &str, name: &str) -> u16 {
        self.ask(who, "DELETE", &format!("/OUT/{name}")).await.status
    }

    async fn codes(&self, receipt: &Proof) -> Vec<(EventCode, Option<ChannelName>)> {
        let history = self.house.ask(&Draft::history(&receipt.ticket, 1)).await.history();
        history.events.iter().map(|event| (event.code, event.channel)).collect()
    }

    /// The one evidence of that kind, judged by the offline verifier.
    async fn proved(&self, receipt: &Proof, kind: ProofKind) -> Evidence {
        let reply =
            self.house.ask(&Draft::evidence(&ItemName::Ticket(receipt.ticket), kind)).await.proof_reply();
        let [evidence] = reply.evidence.as_slice() else { panic!("{:?}", reply.evidence) };
        evidence_must_pass(&evidence.content, &files(), &reply.crls);
        Evidence::parse(&evidence.content).unwrap()
    }

    fn handed_over(&self) -> usize {
        let records = self.house.records();
        records.iter().filter(|stored| matches!(stored.record, Record::HandedOver(_))).count()
    }
}

fn files() -> [Vec<u8>; 2] {
    [file(1, 90_000), file(2, 700)]
}

fn enterprise(number: &str) -> Recipient {
    Recipient::Enterprise {
        company: EnterpriseNumber::parse(number, Strictness::Lax).unwrap(),
        quality: QualityCode::parse(ENTERPRISE_QUALITY).unwrap(),
    }
}

fn mandatary() -> Delegate {
    Delegate {
        company: EnterpriseNumber::parse(MANDATARY, Strictness::Lax).unwrap(),
        quality: QualityCode::parse(MANDATARY_QUALITY).unwrap(),
    }
}

/// alice writes to an enterprise, by these channels, as changed.
fn draft(token: &str, channels: &[ChannelName], change: impl FnOnce(&mut Submission)) -> Draft {
    let files = files();
    let mut item = Submission { recipient: enterprise(ENTERPRISE), ..submission(token, &files) };
    change(&mut item);
    let contents: Vec<_> = files.iter().map(|bytes| Some(bytes.as_slice())).collect();
    Draft { path: V2, ..Draft::asking(write_submit_request(&item, &contents, channels)) }
}

fn by_both(token: &str) -> Draft {
    draft(token, &[EboxEnterprise, ByBatch], |_| {})
}

/// What an archive holds, by name.
fn unpacked(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let entries = (0..archive.len()).map(|place| {
        let mut entry = archive.by_index(place).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        (entry.name().unwrap().into_owned(), bytes)
    });
    entries.collect()
}

/// The three files of one item, as they are to be.
#[track_caller]
fn must_be_the_item(data: &[u8], seal: &[u8], go: &[u8], receipt: &Proof) {
    let entries = unpacked(data);
    let names: Vec<_> = entries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Receipt.xml", "Receipt.p7s", "document.pdf", "annex-1.pdf"]);
    assert_eq!((&entries[0].1, &entries[1].1), (&receipt.xml, &receipt.p7s));
    assert_eq!([&entries[2].1, &entries[3].1], [&files()[0], &files()[1]], "bit for bit");
    receipt.must_pass(&[entries[2].1.clone(), entries[3].1.clone()], &committed_crls());
    let base64: String = String::from_utf8(seal.to_vec()).unwrap().split_whitespace().collect();
    let p7s = base64_simd::STANDARD.decode_to_vec(base64).unwrap();
    let signed = pki::detached::verify(&p7s, data).unwrap();
    assert_eq!(signed.certificate().fingerprint(), certificate("seal").fingerprint());
    assert!(go.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_lies_in_the_box_and_in_the_folder_and_is_taken_once() {
    let room = Room::open().await;
    let receipt = room.house.ask(&by_both("T")).await.submitted();
    let names = room.filled("bob", 3).await;
    let rest =
        format!(".REGMAIL.{ALICE}.{}.{}.TST.zip", jiff::Timestamp::now().strftime("%Y%m%d"), receipt.ticket);
    let expected = ["FO", "FS", "GO"].map(|prefix| format!("{prefix}{rest}"));
    assert_eq!(names, expected, "GO last");
    until(|| async { (room.house.service.index().counts().unwrap().sent == 1).then_some(()) }).await;
    assert_eq!((room.house.boxes.items(), room.house.boxes.posts()), (vec![receipt.ticket], 1));
    assert_eq!(room.house.boxes.files(), files());

    for name in &names {
        assert_eq!(room.delete("bob", name).await, 403, "nothing is lost that was not taken: {name}");
    }
    let (seal, go) = (room.get("bob", &names[1]).await, room.get("bob", &names[2]).await);
    assert_eq!(room.handed_over(), 0, "signature and trigger are not the item");
    let data = room.get("bob", &names[0]).await;
    must_be_the_item(&data, &seal, &go, &receipt);
    until(|| async { (room.handed_over() == 1).then_some(()) }).await;
    assert_eq!(room.get("bob", &names[0]).await, data, "again, and it is no second taking");

    let history = room.house.ask(&Draft::history(&receipt.ticket, 1)).await.history();
    let of_batch: Vec<_> = history.events.iter().filter(|event| event.channel == Some(ByBatch)).collect();
    assert_eq!(of_batch.len(), 2);
    assert_eq!((of_batch[0].code, of_batch[1].code), (EventCode::Consigned, EventCode::HandedOver));
    assert_eq!((of_batch[0].source, of_batch[0].external_id.as_ref()), (EventSource::Own, Some(&names[0])));
    assert!(of_batch.iter().all(|event| event.folder.as_deref() == Some(ENTERPRISE)));
    let of_ebox =
        |code| history.events.iter().any(|event| event.code == code && event.channel == Some(EboxEnterprise));
    assert!(of_ebox(EventCode::Consigned) && of_ebox(EventCode::Dispatched));
    assert_eq!(history.status, erds::Status::Sent);

    let taken = room.proved(&receipt, ProofKind::Consultation).await;
    let Event::ContentHandover(handover) = &taken.event else { panic!("{taken:?}") };
    assert_eq!(handover.certificate_sha256, certificate("bob").fingerprint());
    assert_eq!(handover.content_sha256, pki::digest::sha256(&data));
    assert_eq!(taken.request.delegate, None);
    let Event::ContentConsignment(placed) = room.proved(&receipt, ProofKind::Dispatch).await.event else {
        panic!("no consignment")
    };
    assert_eq!(placed.channel, EboxEnterprise, "the eBox's, whatever lies in a folder");

    for name in &names {
        assert_eq!(room.delete("bob", name).await, 204);
        assert_eq!(room.delete("bob", name).await, 404, "gone");
    }
    assert_eq!(room.list("bob").await, [""; 0]);
    assert_eq!(room.handed_over(), 1);
    room.house.stop().await;
}

/// What goes out piece by piece, as after a broken connection, is taken when its last piece has gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_taken_in_pieces_or_by_removing_what_went_out_whole() {
    let room = Room::open().await;
    let receipt = room.house.ask(&by_both("T")).await.submitted();
    let names = room.filled("bob", 3).await;
    let path = format!("/OUT/{}", names[0]);
    let piece = async |range: &str| {
        let answer = room.ask_with("bob", "GET", &path, &[("range", range)], "").await;
        assert_eq!(answer.status, 206, "{range}");
        answer.body
    };
    let end = piece("bytes=50000-").await;
    assert_eq!(room.delete("bob", &names[0]).await, 403, "its beginning was not taken");
    let begin = piece("bytes=0-59999").await;
    assert_eq!(room.delete("bob", &names[0]).await, 403, "not one after the other");
    assert_eq!(piece("bytes=50000-").await, end);
    let data = [&begin[..50_000], &end].concat();
    must_be_the_item(&data, &room.get("bob", &names[1]).await, b"", &receipt);
    assert_eq!(room.delete("bob", &names[0]).await, 204, "whether the connection's end was seen or not");
    assert_eq!(room.handed_over(), 1);
    assert_eq!(room.list("bob").await, names[1..]);
    let head = room.ask("bob", "HEAD", &format!("/OUT/{}", names[1])).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    room.house.stop().await;
}

/// One who asks and goes away with the answer unread took nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_before_reading_has_taken_nothing() {
    let setup = Batch { connections_per_partner_max: 1, ..partners() };
    let room = Room::with(Plan { delivers: true, ..Plan::default() }, setup).await;
    room.house.ask(&by_both("T")).await.submitted();
    let waits = |status: u16| (status != 503).then_some(status);
    let names = until(|| async {
        let answer = room.ask_with("bob", "PROPFIND", "/OUT/", &[("depth", "1")], "").await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let name = text.split("/OUT/").find(|rest| rest.starts_with("FO."))?;
        Some(vec![name.split('<').next().unwrap().to_owned()])
    })
    .await;
    let mut tls = until(|| async {
        let stream = tokio::net::TcpStream::connect(room.address).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(Some("bob"))));
        connector.connect(name, stream).await.ok()
    })
    .await;
    tls.write_all(format!("GET /OUT/{} HTTP/1.1\r\nHost: x\r\n\r\n", names[0]).as_bytes()).await.unwrap();
    tls.flush().await.unwrap();
    // The answer has begun to come; with bytes unread the close is a reset.
    tls.get_ref().0.readable().await.unwrap();
    drop(tls);
    // One place a partner: the next one is let in when that connection has come to its end.
    until(|| async { waits(room.ask("bob", "PROPFIND", "/").await.status) }).await;
    assert_eq!(room.handed_over(), 0);
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_84_a_partner_sees_his_own_folder_and_nothing_else() {
    let told = |what: &str, status: u16| println!("verdict: {what}: HTTP {status}");
    let room = Room::open().await;
    room.house.ask(&by_both("T")).await.submitted();
    let names = room.filled("bob", 3).await;
    for who in ["alice", "not_authorised"] {
        assert_eq!(room.list(who).await, [""; 0]);
        for name in names.iter().map(String::as_str).chain(["FO.REGMAIL.x", "absent"]) {
            for method in ["GET", "HEAD", "PROPFIND", "DELETE"] {
                let answer = room.ask(who, method, &format!("/OUT/{name}")).await;
                told("another's file", answer.status);
                assert_eq!((answer.status, answer.body.len()), (404, 0), "{who} {method} {name}: {answer}");
            }
        }
    }
    for who in ["wrong_environment", "expired", "revoked"] {
        for path in ["/", "/OUT/", &format!("/OUT/{}", names[0]), "/absent"] {
            let answer = room.ask(who, "GET", path).await;
            told("another certificate", answer.status);
            assert_eq!((answer.status, answer.body.len()), (403, 0), "{who} {path}");
        }
    }
    let stream = tokio::net::TcpStream::connect(room.address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client_config(Some("unknown_ca"))));
    let mut refused = connector.connect(name, stream).await;
    if let Ok(tls) = &mut refused {
        let _ = tls.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut answer = Vec::new();
        assert!(tokio::io::AsyncReadExt::read_to_end(tls, &mut answer).await.is_err(), "no answer");
    }

    let before = room.house.records().len();
    for path in [
        "/OUT/../IN/",
        "/OUT/%2e%2e/%2e%2e/etc/passwd",
        "/OUT/%252e%252e/x",
        "/OUT/..%2f..%2fdata",
        "/OUT/..%5c..%5cdata",
        "/OUT/%00",
        "/out/",
        "/OUT/x/y",
        "/1234567894/OUT/",
        "/IN/",
        "/data/journal",
    ] {
        for method in ["GET", "PROPFIND", "DELETE"] {
            let answer = room.ask("alice", method, path).await;
            told("another path", answer.status);
            assert!((400..=404).contains(&answer.status), "{method} {path}: {}", answer.status);
        }
    }
    let elsewhere = [("destination", "/OUT/x"), ("depth", "infinity")];
    for method in
        ["PUT", "PATCH", "MOVE", "COPY", "MKCOL", "LOCK", "UNLOCK", "PROPPATCH", "POST", "REPORT", "TRACE"]
    {
        let path = format!("/OUT/{}", names[0]);
        let answer = room.ask_with("bob", method, &path, &elsewhere, "").await;
        told("another method", answer.status);
        assert!([405, 501].contains(&answer.status), "{method}: {}", answer.status);
    }
    for path in ["/", "/OUT", "/OUT/", "/OUT/x/..", "/OUT/."] {
        let answer = room.ask("bob", "DELETE", path).await;
        assert!(answer.status >= 400, "DELETE {path}: {}", answer.status);
    }
    let bomb = format!(
        "<!DOCTYPE p [<!ENTITY a \"{}\">{}]><propfind xmlns=\"DAV:\"><prop>&h;</prop></propfind>",
        "a".repeat(1000),
        ["ba", "cb", "dc", "ed", "fe", "gf", "hg"]
            .map(|pair| format!("<!ENTITY {} \"{}\">", &pair[..1], format!("&{};", &pair[1..]).repeat(10)))
            .concat()
    );
    for body in [bomb, "<".repeat(100_000), " ".repeat(70_000)] {
        let answer = room.ask_with("bob", "PROPFIND", "/OUT/", &[("depth", "1")], &body).await;
        told("a bomb", answer.status);
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    assert_eq!(room.house.records().len(), before, "nothing was taken or removed");
    assert_eq!(room.list("bob").await, names);
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_finds_his_proofs_in_his_own_folder() {
    let room = Room::open().await;
    let with_mailbox = |item: &mut Submission| item.beside.proof_to_mailbox = true;
    let receipt = room.house.ask(&draft("T", &[], with_mailbox)).await.submitted();
    let names = room.filled("alice", 4).await;
    let ending = ["Receipt.xml", "Receipt.p7s", "ProofOfDispatch.xml", "ProofOfDispatch.p7s"];
    assert_eq!(names, ending.map(|name| format!("{}.{name}", receipt.ticket)));
    assert_eq!(room.get("alice", &names[0]).await, receipt.xml);
    assert_eq!(room.get("alice", &names[1]).await, receipt.p7s);
    let (xml, p7s) = (room.get("alice", &names[2]).await, room.get("alice", &names[3]).await);
    let dispatch = Proof { ticket: receipt.ticket, xml, p7s };
    dispatch.must_pass(&files(), &committed_crls());
    assert_eq!(room.list("bob").await, [""; 0], "asked for no folder of the recipient's");

    // Taken out by hand, and nothing comes back with a restart.
    assert_eq!(room.delete("alice", &names[0]).await, 204);
    let disk = room.house.disk.clone();
    room.house.stop().await;
    let room = Room::with(Plan { disk, delivers: true, ..Plan::default() }, partners()).await;
    assert_eq!(room.list("alice").await, names[1..]);
    assert_eq!(room.get("alice", &names[3]).await, dispatch.p7s);
    let codes = room.codes(&receipt).await;
    assert!(
        !codes.iter().any(|(code, _)| *code == EventCode::HandedOver),
        "a proof is not the item: {codes:?}"
    );
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_gets_it_instead_of_the_recipients_folder() {
    let room = Room::open().await;
    let to_delegate = |item: &mut Submission| item.beside.delegate = Some(mandatary());
    let receipt = room.house.ask(&draft("T", &[EboxEnterprise, ByBatch], to_delegate)).await.submitted();
    let names = room.filled("not_authorised", 3).await;
    assert_eq!(room.list("bob").await, [""; 0]);
    until(|| async { (room.house.service.index().counts().unwrap().sent == 1).then_some(()) }).await;
    assert_eq!(room.house.boxes.items(), [receipt.ticket], "and it lies in the recipient's eBox");
    let data = room.get("not_authorised", &names[0]).await;
    must_be_the_item(&data, &room.get("not_authorised", &names[1]).await, b"", &receipt);
    let history = room.house.ask(&Draft::history(&receipt.ticket, 1)).await.history();
    let laid = history.events.iter().find(|event| event.channel == Some(ByBatch)).unwrap();
    assert_eq!(laid.folder.as_deref(), Some(MANDATARY));
    for kind in [ProofKind::Receipt, ProofKind::Dispatch] {
        let evidence = room.proved(&receipt, kind).await;
        let delegate = evidence.request.delegate.unwrap();
        assert_eq!(
            (delegate.company_id.as_str(), delegate.quality_code.as_str()),
            (MANDATARY, MANDATARY_QUALITY)
        );
        let recipient = format!("{:?}", evidence.request.recipient.unwrap());
        assert!(recipient.contains(ENTERPRISE), "beside the recipient, not instead: {recipient}");
    }
    let again = room.house.ask(&draft("T", &[EboxEnterprise, ByBatch], to_delegate)).await.submitted();
    assert_eq!(again, receipt);
    let answer = room.house.ask(&by_both("T")).await;
    assert_eq!(
        room.house.verdict(&answer),
        "EPOST_B04 submission.token-reused",
        "another way is another item"
    );
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_folder_can_stand_for_is_refused_before_there_is_a_ticket() {
    let mut setup = partners();
    setup.partner.retain(|partner| partner.cbe == ENTERPRISE);
    let room = Room::with(Plan::default(), setup).await;
    type Change = fn(&mut Submission);
    let citizen: Change = |item| item.recipient = submission("T", &files()).recipient;
    let cases: [(&[ChannelName], Change, &str); 8] = [
        (&[ByBatch], |_| {}, "channel.ebox-left-out"),
        (&[ByBatch, EboxCitizen, EboxEnterprise], |_| {}, "channel.not-served"),
        (&[EboxCitizen, ByBatch], citizen, "channel.batch-to-citizen"),
        (&[EboxEnterprise, ByBatch], |item| item.recipient = enterprise(MANDATARY), "channel.no-folder"),
        (&[EboxEnterprise, ByBatch], |item| item.beside.delegate = Some(mandatary()), "channel.no-folder"),
        (
            &[EboxEnterprise],
            |item| item.beside.delegate = Some(mandatary()),
            "channel.delegate-without-batch",
        ),
        (&[], |item| item.beside.delegate = Some(mandatary()), "channel.delegate-without-batch"),
        (&[], |item| item.beside.proof_to_mailbox = true, "channel.no-mailbox"),
    ];
    for (channels, change, check) in cases {
        let answer = room.house.ask(&draft("T", channels, change)).await;
        assert_eq!(room.house.verdict(&answer), format!("EPOST_B09 {check}"), "{channels:?}");
    }
    let none = room.house.records().iter().all(|stored| matches!(stored.record, Record::Refused(_)));
    assert!(none, "refused before there is a ticket");
    room.house.stop().await;
}

/// A time-stamp that is away holds up the folder, and not the box; a restart forgets neither.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_laid_is_laid_after_a_restart_and_what_was_laid_lies_there_unchanged() {
    let room = Room::with(Plan::default(), partners()).await;
    let receipt = room.house.ask(&by_both("T")).await.submitted();
    let (disk, boxes) = (room.house.disk.clone(), room.house.boxes.clone());
    room.house.stop().await;

    let inner = crate::house::inside::stamper();
    let plan = |stamper| Plan {
        disk: disk.clone(),
        boxes: boxes.clone(),
        delivers: true,
        stamper,
        ..Plan::default()
    };
    let closed = Gate::closed(inner.clone());
    closed.passes.close();
    let room = Room::with(plan(closed), partners()).await;
    let failed = |room: &Room| {
        let records = room.house.records();
        records
            .iter()
            .filter(|stored| matches!(&stored.record, Record::Attempted(tried) if tried.channel == ByBatch))
            .count()
    };
    until(|| async { (failed(&room) > 0 && boxes.posts() == 1).then_some(()) }).await;
    assert_eq!(room.list("bob").await, [""; 0], "nothing without its signature");
    room.house.stop().await;

    let room = Room::with(plan(Gate::open(inner)), partners()).await;
    let names = room.filled("bob", 3).await;
    let laid = [room.get("bob", &names[0]).await, room.get("bob", &names[1]).await];
    must_be_the_item(&laid[0], &laid[1], b"", &receipt);
    until(|| async { (room.handed_over() == 1).then_some(()) }).await;
    room.house.stop().await;

    let room = Room::with(plan(Gate::open(crate::house::inside::stamper())), partners()).await;
    assert_eq!(room.list("bob").await, names);
    assert_eq!([room.get("bob", &names[0]).await, room.get("bob", &names[1]).await], laid);
    assert_eq!((room.handed_over(), boxes.posts()), (1, 1));
    assert_eq!(room.delete("bob", &names[0]).await, 204, "that it was taken is not forgotten");
    room.house.stop().await;
}

/// The power goes out at each operation of the disk while an item is delivered: it lies in the box and in the folder once all the same.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_an_item_lies_in_the_folder_once() {
    let house = Room::with(Plan::default(), partners()).await.house;
    let receipt = house.ask(&by_both("T")).await.submitted();
    let accepted = house.disk.clone();
    house.stop().await;
    let mut cut_at = 0;
    for after in 1..40 {
        let disk = accepted.after_power_cut(0);
        let boxes = house_boxes();
        let plan = |disk, boxes| Plan { disk, boxes, delivers: true, ..Plan::default() };
        let folders = vec![ENTERPRISE.to_owned(), ALICE.to_owned()];
        let begun = disk.operations();
        disk.fail_at(begun + after, disk::Fault::PowerCut);
        if let Ok(house) = House::open(Plan { folders, ..plan(disk.clone(), boxes.clone()) }).await {
            let done = || house.service.index().folder(ENTERPRISE, 9).unwrap().len() == 3;
            until(|| async {
                let sent = house.service.index().counts().unwrap().sent == 1;
                let dead = disk.operations() >= begun + after;
                ((sent && done()) || dead).then_some(())
            })
            .await;
            house.stop().await;
        }
        cut_at = disk.operations();
        let room = Room::with(plan(disk.after_power_cut(after), boxes.copy()), partners()).await;
        let names = room.filled("bob", 3).await;
        let (data, seal) = (room.get("bob", &names[0]).await, room.get("bob", &names[1]).await);
        must_be_the_item(&data, &seal, b"", &receipt);
        until(|| async { (room.house.service.index().counts().unwrap().sent == 1).then_some(()) }).await;
        assert_eq!(room.house.boxes.items(), [receipt.ticket], "cut at {after}");
        room.house.stop().await;
        if cut_at < begun + after {
            println!("cut at each of {after} operations");
            return;
        }
    }
    panic!("more operations than were cut at: {cut_at}");
}

fn house_boxes() -> crate::house::scripted::Boxes {
    crate::house::scripted::Boxes::default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_item_is_in_no_folder_any_more() {
    let room = Room::open().await;
    let with_mailbox = |item: &mut Submission| item.beside.proof_to_mailbox = true;
    let receipt = room.house.ask(&draft("T", &[EboxEnterprise, ByBatch], with_mailbox)).await.submitted();
    let names = [room.filled("bob", 3).await, room.filled("alice", 4).await].concat();
    let erased = Record::Erased(erds::record::Erased {
        at: jiff::Timestamp::now(),
        act: 1,
        by: None,
        of: "item".to_owned(),
        class: "content".to_owned(),
        term_days: 1,
        ended_by: jiff::Timestamp::now(),
        tickets: vec![receipt.ticket],
    });
    let entry = journal::Entry { record: erased, frames: Vec::new(), unique_keys: Vec::new() };
    room.house.service.append(entry).await.unwrap();
    for (who, name) in names.iter().flat_map(|name| [("bob", name), ("alice", name)]) {
        let path = format!("/OUT/{name}");
        assert_eq!(room.ask(who, "GET", &path).await.status, 404, "{who} {name}");
    }
    assert_eq!((room.list("bob").await, room.list("alice").await), (vec![], vec![]));
    room.house.stop().await;
}

/// The whole of it by its configuration, as an office sees it in a browser.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_opens_the_door_that_its_configuration_names() {
    let sandbox = crate::house::Sandbox::start_tuned(|config| config.batch = Some(partners())).await;
    let receipt = sandbox.ask(&by_both("T")).await.submitted();
    let address = sandbox.batch_address().unwrap();
    let client = sandbox.client("bob");
    let page = until(|| async {
        let answer = client.get(format!("https://{address}/OUT/")).send().await.unwrap();
        let page = answer.text().await.unwrap();
        page.contains(&format!("href=\"/OUT/FO.REGMAIL.{ALICE}.")).then_some(page)
    })
    .await;
    assert!(page.contains(receipt.ticket.as_str()), "{page}");
    sandbox.status(&receipt.ticket, erds::Status::Sent).await.unwrap();
    sandbox.stop().await;
}

#[test]
fn two_partners_share_neither_number_nor_certificate() {
    type Change = fn(&mut Batch);
    let changes: [(Change, &str); 4] = [
        (|batch| batch.partner[1].cbe = ALICE.to_owned(), "batch.partner.cbe"),
        (|batch| batch.partner[1].cbe = "12".to_owned(), "batch.partner.cbe"),
        (
            |batch| batch.partner[1].certificates = batch.partner[0].certificates.clone(),
            "batch.partner.certificates",
        ),
        (|batch| batch.partner[1].certificates = vec!["ab".to_owned()], "batch.partner.certificates"),
    ];
    for (change, option) in changes {
        let mut setup = partners();
        change(&mut setup);
        let error = Partners::read(&setup).err().unwrap().to_string();
        assert!(error.starts_with(&format!("batch.entry: {option}: ")), "{error}");
    }
}
