//! The outcome table, row by row, over a scripted transport. Method: `check` publishes one fixed item; a row gives the answers in
//! order and what must come of them.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Mutex;

use erds::{ApplicationId, EnterpriseNumber, FaultCode, Language, QualityCode, Ssin, Strictness, Ticket};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use pki::signer::FileSigner;
use serde_json::{Value, json};

use super::*;
use crate::ItemPart;
use crate::transport::TransportFault::{self, ContentUnreadable, Timeout, Tls};

/// Answers in order; keeps what was sent.
struct Script {
    answers: Mutex<VecDeque<Result<HttpResponse, TransportError>>>,
    sent: Mutex<Vec<Sent>>,
}

struct Sent {
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let body = match request.body {
            Body::Empty => Vec::new(),
            Body::Bytes { bytes, .. } => bytes.to_vec(),
            Body::Multipart(form) => {
                let mut body = Vec::new();
                form.into_reader().read_to_end(&mut body).unwrap();
                body
            }
        };
        self.sent.lock().unwrap().push(Sent { url: request.url, headers: request.headers, body });
        self.answers.lock().unwrap().pop_front().expect("an unscripted request")
    }
}

fn answer(status: u16, body: Value) -> Result<HttpResponse, TransportError> {
    Ok(HttpResponse { status, headers: Vec::new(), body: Bytes::from(body.to_string()) })
}

fn token(name: &str) -> Result<HttpResponse, TransportError> {
    answer(200, json!({"access_token": name, "token_type": "Bearer", "expires_in": 300}))
}

fn broken(fault: TransportFault) -> Result<HttpResponse, TransportError> {
    Err(TransportError { fault, detail: "scripted".into() })
}

fn signer() -> Arc<dyn Signer> {
    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    use openssl::x509::{X509Builder, X509NameBuilder};
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "test").unwrap();
    let name = name.build();
    let mut certificate = X509Builder::new().unwrap();
    certificate.set_version(2).unwrap();
    certificate
        .set_serial_number(&openssl::bn::BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap())
        .unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::from_unix(4_000_000_000).unwrap()).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    let pem = certificate.build().to_pem().unwrap();
    Arc::new(FileSigner::from_pem(&key.private_key_to_pem_pkcs8().unwrap(), &pem).unwrap())
}

fn setup() -> Setup {
    Setup {
        registry_url: "https://box/REST/ebox/enterprise/".into(),
        profile_url: "https://box/profile".into(),
        token: TokenSetup {
            url: "https://box/oauth/v5/token".into(),
            audience: "https://box/oauth/v5/token".into(),
            scope: "scope:one scope:two".into(),
            client_id: "client".into(),
        },
        message_types: BTreeMap::from([("LETTER".into(), "MT_LETTER".into())]),
        default_message_type: "MT_OTHER".into(),
        default_language: SubjectLanguage::Nl,
        enterprise_qualities: vec!["QUAL_EMP_NOSS".into()],
        attachment_bytes_max: 1000,
    }
}

fn house(answers: Vec<Result<HttpResponse, TransportError>>) -> (Arc<Ebox>, Arc<Script>) {
    let script = Arc::new(Script { answers: Mutex::new(answers.into()), sent: Mutex::default() });
    let ambient = Ambient {
        clock: Arc::new(|| Timestamp::from_second(1_800_000_000).unwrap()),
        random: Arc::new(|bytes| {
            bytes.fill(7);
            true
        }),
    };
    (Ebox::new(setup(), signer(), script.clone(), ambient).unwrap(), script)
}

struct Memory;

impl ContentSource for Memory {
    fn open(&self, part: &str) -> std::io::Result<Box<dyn Read + Send>> {
        match part {
            "document" => Ok(Box::new(&b"%PDF"[..])),
            "annex-1" => Ok(Box::new(&b"annex"[..])),
            other => Err(std::io::Error::other(format!("no part {other}"))),
        }
    }
}

fn citizen() -> Recipient {
    let inss = Ssin::parse("71022722580", Strictness::Lax, jiff::civil::date(2026, 1, 1)).unwrap();
    Recipient::Citizen { inss, quality: QualityCode::parse("CITIZEN").unwrap() }
}

fn enterprise(quality: &str) -> Recipient {
    let company = EnterpriseNumber::parse("206731645", Strictness::Lax).unwrap();
    Recipient::Enterprise { company, quality: QualityCode::parse(quality).unwrap() }
}

fn item() -> Item {
    let part = |name: &str, file_name: &str, bytes| ItemPart {
        name: name.into(),
        file_name: file_name.into(),
        mime: Some("application/pdf".into()),
        bytes,
        sha256: None,
    };
    Item {
        ticket: Ticket::parse("0123456789ABC").unwrap(),
        sender_cbe: EnterpriseNumber::parse("0206731645", Strictness::Lax).unwrap(),
        sender_application: ApplicationId::parse("urn:be:fgov:example").unwrap(),
        recipient: citizen(),
        title: "Titre \"é\"".into(),
        document_type: "LETTER".into(),
        language: Some(Language::Fr),
        parts: vec![part("document", "lettre.pdf", 4), part("annex-1", "été (1).pdf", 5)],
    }
}

#[track_caller]
fn check(
    answers: Vec<Result<HttpResponse, TransportError>>,
    expected: impl FnOnce(&Outcome) -> bool,
) -> Arc<Script> {
    let caller = std::panic::Location::caller();
    let (ebox, script) = house(answers);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let outcome = runtime.block_on(ebox.citizen().consign(&item(), &Memory));
    assert!(expected(&outcome), "{caller}: {outcome:?}");
    assert!(script.answers.lock().unwrap().is_empty(), "{caller}: not every answer was asked for");
    script
}

fn published(code: Option<&str>) -> Value {
    let mut body = json!({"messageId": "m-1", "expirationDate": "2028-01-01T00:00:00+01:00"});
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    body
}

#[test]
fn created_is_consigned() {
    let script = check(vec![token("t"), answer(201, published(None))], |outcome| {
        let Outcome::Consigned(consignment) = outcome else { return false };
        consignment.message_id == "m-1"
            && !consignment.no_digital_user
            && consignment.consigned_at.as_second() == 1_800_000_000
            && consignment.expires_at.is_some()
    });
    let sent = script.sent.lock().unwrap();
    let publication = &sent[1];
    assert_eq!(publication.url, "https://box/REST/ebox/enterprise/messageRegistry/v3/ebox/messages");
    let key = publish::idempotency_key(&item().ticket, ChannelName::EboxCitizen);
    assert!(publication.headers.contains(&("idempotency-key", format!("\"{key}\""))));
    assert!(publication.headers.contains(&("authorization", "Bearer t".into())));
    let body = String::from_utf8(publication.body.clone()).unwrap();
    assert!(body.contains("name=\"upfile1\"; filename=\"lettre.pdf\""));
    assert!(body.contains("name=\"upfile2\"; filename=\"%C3%A9t%C3%A9%20(1).pdf\""));
    let start = body.find("\r\n\r\n").unwrap() + 4;
    let end = start + body[start..].find("\r\n--").unwrap();
    let message: Value = serde_json::from_str(&body[start..end]).unwrap();
    let digest = |bytes: &[u8]| {
        let value = base64_simd::URL_SAFE.encode_to_string(pki::digest::sha256(bytes));
        json!({"digestMethod": "sha_256", "digestValue": value})
    };
    let file = |number: u8, main: bool, bytes: &[u8]| {
        let name = format!("upfile{number}");
        json!({"httpPartName": name, "isMainContent": main, "isAttachmentSigned": false, "digest": digest(bytes)})
    };
    let expected = json!({
        "recipient": {"eboxType": "citizen", "ssin": "71022722580"},
        "sender": {"eboxType": "enterprise", "enterpriseNumber": "0206731645"},
        "subject": {"fr": "Titre \"é\""},
        "senderApplicationId": "urn:be:fgov:example",
        "messageTypeId": "MT_LETTER",
        "isRegisteredMail": true,
        "attachments": [file(1, true, b"%PDF"), file(2, false, b"annex")],
        "isReplyAuthorized": false,
    });
    assert_eq!(message, expected);
}

#[test]
fn the_assertion_is_a_signed_jwt() {
    let script = check(vec![token("t"), answer(201, published(None))], |outcome| {
        matches!(outcome, Outcome::Consigned(_))
    });
    let sent = script.sent.lock().unwrap();
    let form = String::from_utf8(sent[0].body.clone()).unwrap();
    assert!(
        form.starts_with("grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth")
    );
    assert!(form.ends_with("&scope=scope%3Aone%20scope%3Atwo"));
    let jwt = form.split("client_assertion=").nth(1).unwrap().split('&').next().unwrap();
    let claims = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(jwt.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("client"), &json!("https://box/oauth/v5/token")));
    assert_eq!((&claims["sub"], &claims["exp"]), (&json!("client"), &json!(1_800_000_120)));
}

#[test]
fn created_for_nobody_digital_is_consigned_and_flagged() {
    check(
        vec![token("t"), answer(201, published(Some("NO_DIGITAL_USER")))],
        |outcome| matches!(outcome, Outcome::Consigned(consignment) if consignment.no_digital_user),
    );
}

#[test]
fn created_without_a_usable_id_is_never_published_again() {
    for body in [json!({}), json!({"messageId": ""}), json!({"messageId": "a b\n"}), json!("text")] {
        check(vec![token("t"), answer(201, body)], |outcome| {
            matches!(outcome, Outcome::AlreadyPublished { message_id: None, .. })
        });
    }
}

#[test]
fn our_own_key_again_is_the_first_publication() {
    check(vec![token("t"), answer(409, json!({"id": "x", "code": "C", "message": "m"}))], |outcome| {
        matches!(outcome, Outcome::AlreadyPublished { message_id: None, .. })
    });
    check(
        vec![token("t"), answer(409, json!({"code": "C", "message": "m", "messageId": "m-1"}))],
        |outcome| matches!(outcome, Outcome::AlreadyPublished { message_id: Some(id), .. } if id == "m-1"),
    );
}

#[test]
fn a_coded_400_fails_for_good_and_a_bare_one_does_not() {
    let body = json!({"id": "x", "code": "INVALID_INPUT", "message": "a\nb"});
    check(
        vec![token("t"), answer(400, body)],
        |outcome| matches!(outcome, Outcome::Failed { code, message, .. } if code == "INVALID_INPUT" && message == "a\\nb"),
    );
    check(
        vec![token("t"), answer(400, json!("<html>"))],
        |outcome| matches!(outcome, Outcome::Retry(away) if away.code == "delivery.ebox.bare-400"),
    );
}

#[test]
fn refused_credentials_are_refreshed_once_then_alarm() {
    for status in [401, 403] {
        let script = check(
            vec![token("old"), answer(status, json!({})), token("new"), answer(201, published(None))],
            |outcome| matches!(outcome, Outcome::Consigned(_)),
        );
        let sent = script.sent.lock().unwrap();
        assert!(sent[3].headers.contains(&("authorization", "Bearer new".into())));
        assert_eq!(sent[1].headers[2], sent[3].headers[2], "the same key");
        assert_eq!(sent[1].body, sent[3].body, "the same body, read again");
        check(
            vec![token("old"), answer(status, json!({})), token("new"), answer(status, json!({}))],
            |outcome| matches!(outcome, Outcome::Unauthorised(_)),
        );
    }
    check(vec![answer(401, json!({"error": "invalid_client"}))], |outcome| {
        matches!(outcome, Outcome::Unauthorised(_))
    });
}

#[test]
fn a_channel_that_is_away_is_retried() {
    for (status, maybe_published) in [(429, false), (500, true), (503, true), (404, false), (302, false)] {
        check(
            vec![token("t"), answer(status, json!({}))],
            |outcome| matches!(outcome, Outcome::Retry(away) if away.maybe_published == maybe_published),
        );
    }
    for (fault, maybe_published) in [(Timeout, true), (Tls, false)] {
        check(
            vec![token("t"), broken(fault)],
            |outcome| matches!(outcome, Outcome::Retry(away) if away.maybe_published == maybe_published && away.code == fault.code()),
        );
    }
    check(vec![answer(503, json!({}))], |outcome| matches!(outcome, Outcome::Retry(_)));
    check(vec![token("t"), broken(ContentUnreadable)], |outcome| matches!(outcome, Outcome::Ours(_)));
}

#[test]
fn the_wish_to_wait_is_passed_on() {
    let mut busy = answer(429, json!({})).unwrap();
    busy.headers.push(("retry-after".into(), "17".into()));
    check(
        vec![token("t"), Ok(busy)],
        |outcome| matches!(outcome, Outcome::Retry(away) if away.retry_after_seconds == Some(17)),
    );
}

#[tokio::test]
async fn one_token_serves_many() {
    let (ebox, script) = house(vec![token("t"), answer(201, published(None)), answer(201, published(None))]);
    for _ in 0..2 {
        ebox.citizen().consign(&item(), &Memory).await;
    }
    assert_eq!(script.sent.lock().unwrap().len(), 3);
}

#[test]
fn keys_differ_by_ticket_and_channel_and_never_change() {
    let key = |ticket: &str, channel| {
        publish::idempotency_key(&Ticket::parse(ticket).unwrap(), channel).to_string()
    };
    assert_eq!(key("0123456789ABC", ChannelName::EboxCitizen), "0fc96ed5-d762-5752-952d-8ac077c67370");
    assert_ne!(
        key("0123456789ABC", ChannelName::EboxCitizen),
        key("0123456789ABC", ChannelName::EboxEnterprise)
    );
    assert_ne!(
        key("0123456789ABC", ChannelName::EboxCitizen),
        key("0123456789ABD", ChannelName::EboxCitizen)
    );
}

#[track_caller]
fn profile(recipient: &Recipient, check: EboxCheck, answers: Vec<Value>) -> Result<Facts, String> {
    let mut scripted: Vec<_> = answers.into_iter().map(|body| answer(200, body)).collect();
    scripted.insert(0, token("t"));
    let (ebox, _) = house(scripted);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(ebox.citizen().inquire(recipient, check)).map_err(|error| match error {
        InquireError::Refused(refusal) => refusal.code.as_str().to_owned(),
        InquireError::Away(away) => away.code.to_owned(),
    })
}

#[test]
fn profiles_are_judged_by_the_senders_demand() {
    let consent = |given: bool| json!([{"eboxId": {"eboxType": "CITIZEN", "eboxIdValue": "71022722580"}, "consented": given}]);
    let preference = |kind: &str, id: &str, exclusively: bool| json!([{"eboxId": {"eboxType": kind, "eboxIdValue": id}, "exclusivelyEbox": exclusively}]);
    let company = enterprise("QUAL_EMP_NOSS");
    let of_company = |exclusively| preference("ENTERPRISE", "0206731645", exclusively);
    let of_citizen = |exclusively| preference("CITIZEN", "71022722580", exclusively);
    use EboxCheck::{Activated, Bypass, Preferred};

    assert!(profile(&citizen(), Bypass, vec![]).unwrap().asked_at.is_none());
    assert!(profile(&citizen(), Activated, vec![consent(true)]).is_ok());
    assert_eq!(profile(&citizen(), Activated, vec![consent(false)]), Err("EPOST_B02".into()));
    assert_eq!(profile(&citizen(), Activated, vec![json!([])]), Err("EPOST_B02".into()));
    assert_eq!(profile(&citizen(), Preferred, vec![consent(false)]), Err("EPOST_B02".into()));
    assert_eq!(profile(&citizen(), Preferred, vec![consent(true), json!([])]), Err("EPOST_B03".into()));
    assert_eq!(
        profile(&citizen(), Preferred, vec![consent(true), of_citizen(false)]),
        Err("EPOST_B03".into())
    );
    assert_eq!(
        profile(&citizen(), Preferred, vec![consent(true), of_citizen(true)]).unwrap().exclusively,
        Some(true)
    );
    assert_eq!(profile(&company, Activated, vec![json!([])]), Err("EPOST_B02".into()));
    assert!(profile(&company, Activated, vec![of_company(false)]).is_ok());
    assert_eq!(profile(&company, Preferred, vec![of_company(false)]), Err("EPOST_B03".into()));
    assert!(profile(&company, Preferred, vec![of_company(true)]).is_ok());
    assert_eq!(
        profile(&company, Activated, vec![json!({"no": "list"})]),
        Err("delivery.profile.answer".into())
    );
}

#[tokio::test]
async fn a_profile_service_away_is_told_apart() {
    for body in [answer(503, json!({})), answer(404, json!("<html>")), broken(Timeout)] {
        let (ebox, _) = house(vec![token("t"), body]);
        let asked = ebox.enterprise().inquire(&enterprise("QUAL_EMP_NOSS"), EboxCheck::Activated).await;
        assert!(matches!(asked, Err(InquireError::Away(_))), "{asked:?}");
    }
    let (ebox, _) = house(vec![token("t"), answer(404, json!({"code": "NOT_FOUND"}))]);
    let asked = ebox.enterprise().inquire(&enterprise("QUAL_EMP_NOSS"), EboxCheck::Activated).await;
    assert!(matches!(asked, Err(InquireError::Refused(_))), "{asked:?}");
}

#[tokio::test]
async fn read_status_is_asked_by_message_and_box() {
    let found = json!([{"messageId": "m-1", "eboxId": {}, "readStatus": true}, {"messageId": "foreign", "readStatus": true}]);
    let (ebox, script) = house(vec![token("t"), answer(201, found)]);
    let asked = [Published { message_id: "m-1".into(), recipient: enterprise("QUAL_EMP_NOSS") }];
    let known = ebox.enterprise().poll_read(&asked).await.unwrap();
    assert_eq!(known.len(), 1);
    assert!(known[0].read && known[0].message_id == "m-1");
    let sent: Value = serde_json::from_slice(&script.sent.lock().unwrap()[1].body).unwrap();
    let expected =
        json!([{"messageId": "m-1", "eboxId": {"eboxType": "enterprise", "eboxIdValue": "0206731645"}}]);
    assert_eq!(sent, expected);
}

fn submission(recipient: Recipient) -> Submission {
    let part = |name: &str| erds::Part {
        title: "Title".into(),
        digest: erds::StatedDigest { method: erds::DigestMethod::Sha256, value: vec![0; 32] },
        download_file_name: name.into(),
        mime: None,
        document_type: Some("LETTER".into()),
        language: None,
        content_id: name.into(),
    };
    Submission {
        token: erds::Token::parse("token").unwrap(),
        recipient,
        document: part("a.pdf"),
        annexes: vec![part("b.pdf")],
        meta: Vec::new(),
        check: EboxCheck::Bypass,
        beside: Default::default(),
    }
}

#[track_caller]
fn carries(channel: ChannelName, submission: &Submission, bytes: &[u64], expected: Result<(), &str>) {
    let carried = publish::can_carry(&setup(), channel, submission, bytes);
    assert!(carried.as_ref().err().is_none_or(|refusal| refusal.code == FaultCode::EpostB09));
    assert_eq!(carried.map_err(|refusal| refusal.check), expected);
}

#[test]
fn what_the_channel_has_no_field_for_is_refused_before_the_ticket() {
    use ChannelName::{EboxCitizen, EboxEnterprise};
    carries(EboxCitizen, &submission(citizen()), &[1000, 1], Ok(()));
    carries(EboxCitizen, &submission(citizen()), &[1, 1001], Err("delivery.ebox.size"));
    carries(EboxEnterprise, &submission(enterprise("QUAL_EMP_NOSS")), &[1, 1], Ok(()));
    carries(EboxEnterprise, &submission(enterprise("QUAL_SSC")), &[1, 1], Err("delivery.ebox.quality"));
    carries(EboxCitizen, &submission(enterprise("QUAL_EMP_NOSS")), &[1, 1], Err("delivery.ebox.quality"));
    let mut many = submission(citizen());
    many.annexes = vec![many.document.clone(); 6];
    carries(EboxCitizen, &many, &[], Err("delivery.ebox.annexes"));
    let mut long = submission(citizen());
    long.document.title = "x".repeat(401);
    carries(EboxCitizen, &long, &[], Err("delivery.ebox.subject"));
    long.document.title = "x".repeat(400);
    carries(EboxCitizen, &long, &[], Ok(()));
    long.document.download_file_name = "я".repeat(43);
    carries(EboxCitizen, &long, &[], Err("delivery.ebox.file-name"));
}

#[test]
fn file_names_are_encoded_only_where_needed() {
    assert_eq!(publish::file_name("plain name (1).pdf"), "plain name (1).pdf");
    assert_eq!(publish::file_name("100%.pdf"), "100%25.pdf");
    assert_eq!(publish::file_name("a\"b\r\n.pdf"), "a%22b%0D%0A.pdf");
    assert_eq!(
        publish::file_name("upfilétéstmichaël123 (1) (1).pdf"),
        "upfil%C3%A9t%C3%A9stmicha%C3%ABl123%20(1)%20(1).pdf"
    );
}
