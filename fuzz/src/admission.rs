//! The whole of admission: from a request's bytes to its answer, by the service itself, on a disk in memory, with an e-Box, a
//! time-stamping authority and a policy that do as the input says.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use delivery::Channel;
use delivery::ebox::{Ambient, Ebox, Setup, SubjectLanguage, TokenSetup};
use delivery::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use epost::dev::sandbox::{CITIZEN, ENTERPRISE};
use epost::dev::sts::{AUDIENCE, Asked, ISSUER, TokenServiceStandIn};
use epost::trust::{Stamp, StampError, Stamper};
use erds::{ChannelName, Record, Strictness, Ticket, Token};
use jiff::{SignedDuration, Timestamp};
use pki::digest::Digest;
use soap::message::{HealthCheckKind, ItemName, ProofKind, ReadRules, Request};
use soap::wss::saml::TokenService;
use tokio::runtime::Runtime;

use crate::Codes;
use crate::house::draft::{Attachment, V1, V2, submission};
use crate::house::inside::{Plan, policy, stamper, take};
use crate::house::{Answered, Draft, House, Signed, certificate, file, signer};
use crate::xml::split_line;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
});

/// The names of the test PKI that a line may give.
const NAMES: [&str; 7] =
    ["alice", "bob", "unknown_ca", "expired", "revoked", "wrong_environment", "not_authorised"];

/// Letters for the world (`k` no time-stamps, `l` late ones, `e` an earlier item of the same Token, `+` an attachment more, `A` and `a` a SAML 2.0 or 1.1
/// assertion, `1` for one use, and those of `channels`), a space, the operation, a line's end; then lines: `by NAME` and `tls NAME` say
/// who signs and who connects, `path v1` or `v2` where to, and `WORD A => B` changes `policy`, the payload before it is signed (`sign`),
/// the signed `assertion`, the Content-Type (`type`) or the body as it is sent (`wire`).
///
/// Every request gets an answer that the journal has too; what is accepted is what was signed, to the last field; the same bytes
/// again get the same answer.
pub fn admission(data: &[u8]) -> Codes {
    let (line, lines) = split_line(data);
    let line = String::from_utf8_lossy(line);
    let (letters, operation) = line.split_once(' ').unwrap_or(("", &line));
    let lines = String::from_utf8_lossy(lines);
    let policy = match uam::PolicyFile::parse(&changed(&lines, "policy", policy())) {
        Ok(policy) => policy,
        Err(error) => return vec![error.code()],
    };
    let Some(mut draft) = draft(operation) else { return Codes::new() };
    let named = |word: &str| {
        let given = lines.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_default();
        NAMES.into_iter().find(|name| *name == given).map(str::to_owned)
    };
    draft.signer = named("by ").unwrap_or(draft.signer);
    draft.tls = named("tls ").unwrap_or(draft.tls);
    draft.path = match lines.lines().find_map(|line| line.strip_prefix("path ")) {
        Some("v1") => V1,
        Some("v2") => V2,
        _ => draft.path,
    };
    draft.payload = changed(&lines, "sign", draft.payload);
    if letters.contains('+') {
        let bytes = file(8, 30);
        let content_id = "more@sender.example".to_owned();
        draft.attachments.push(Attachment { content_id, content_type: "application/pdf".to_owned(), bytes });
    }
    if letters.contains('l') {
        draft.signed_at = Timestamp::now() - LATE;
    }
    if xmlsec::Document::parse(draft.payload.clone(), &xmlsec::Limits::default()).is_err() {
        return Codes::new(); // nobody can sign it
    }
    let mut signed = draft.sign();
    if let Some(assertion) = assertion(letters) {
        let assertion = changed(&lines, "assertion", assertion);
        if xmlsec::Document::parse(assertion.clone(), &xmlsec::Limits::default()).is_err() {
            return Codes::new(); // nor this
        }
        add(&assertion, &mut signed, &draft.signer);
    }
    let (content_type, body) = signed.http();
    let content_type = changed(&lines, "type", content_type);
    let body = changes(&lines, "wire")
        .fold(body, |body, (from, to)| replaced(&body, from.as_bytes(), to.as_bytes()));
    RUNTIME.block_on(answered(letters, policy, &draft, &signed, &content_type, &body))
}

async fn answered(
    letters: &str,
    policy: uam::PolicyFile,
    draft: &Draft,
    signed: &Signed,
    content_type: &str,
    body: &[u8],
) -> Codes {
    let has = |letter| letters.contains(letter);
    let waited = Arc::new(AtomicBool::new(!has('l')));
    let stamper: Arc<dyn Stamper> =
        if has('k') { Arc::new(NoStamps) } else { Arc::new(LateStamps(stamper(), waited.clone())) };
    let token_services = vec![STS.1.clone()];
    let clock: Arc<dyn Fn() -> Timestamp + Send + Sync> = {
        let waited = waited.clone();
        Arc::new(move || Timestamp::now() - if waited.load(SeqCst) { SignedDuration::ZERO } else { LATE })
    };
    let channels = Some(channels(letters));
    let plan = Plan { channels, stamper, clock, token_services, publishes: true, ..Plan::default() };
    let house = House::open(plan).await.expect("an empty disk opens");
    if has('e') {
        house.ask(&Draft::of(&submission("T", &[file(9, 9)]), &[file(9, 9)])).await;
    }
    if has('1') {
        // The assertion's first use is another message's.
        let token = Token::parse("T").expect("a token");
        let mut other = Draft::proof(&ItemName::Token(token), ProofKind::Receipt).sign();
        add(&assertion(letters).unwrap_or_default(), &mut other, "alice");
        house.send(&other).await;
    }
    house.service.set_policy(policy);
    waited.store(!has('l'), SeqCst);
    let first = take(&house.service, signed, content_type, body).await;
    let codes = judged(&house, draft, &first);
    waited.store(!has('l'), SeqCst);
    let again = take(&house.service, signed, content_type, body).await;
    let code = |answered: &Answered| answered.fault().map(|fault| fault.code);
    assert_eq!(code(&again), code(&first), "the same bytes again");
    if first.fault().is_none() && draft.payload.contains("SendDocumentRequest") {
        let (first, again) = (first.receipt(), again.receipt());
        assert!((first.xml, first.p7s) == (again.xml, again.p7s), "another receipt for the same bytes");
    }
    if first.fault().is_none() && draft.payload.contains(">PACKAGE<") {
        let (first, again) = (first.proof_reply(), again.proof_reply());
        assert!(first.package == again.package, "another package of the same proof");
    }
    house.stop().await;
    codes
}

/// How long a late time-stamp takes: longer than a seal may.
const LATE: SignedDuration = SignedDuration::from_secs(90);

static STS: LazyLock<(TokenServiceStandIn, TokenService)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let stand_in = TokenServiceStandIn::open_or_create(folder.path(), Timestamp::now()).expect("a key");
    let certificates = epost::trust::read_certificates(&[folder.path().join("sts.crt")]).expect("its own");
    (stand_in, TokenService { issuer: ISSUER.to_owned(), certificates, audience: AUDIENCE.to_owned() })
});

/// About a person who holds alice's key.
fn assertion(letters: &str) -> Option<String> {
    let v2 = letters.contains('A');
    if !v2 && !letters.contains('a') {
        return None;
    }
    let from = Timestamp::now();
    let (until, holder) = (from + SignedDuration::from_hours(1), certificate("alice"));
    let once = letters.contains('1');
    let asked = Asked { v2, id: "A-1", name: "Person One", holder: holder.der(), from, until, once };
    Some(STS.0.assertion(&asked).expect("a signature"))
}

/// Puts an assertion beside the message's token, and signs again.
fn add(assertion: &str, signed: &mut Signed, signer: &str) {
    let end = "</wsse:Security>";
    signed.sign_again(signer, None, |text| text.replacen(end, &format!("{assertion}{end}"), 1));
}

/// The journal has what the answer says, and an accepted item is the one that was signed.
fn judged(house: &House, draft: &Draft, answered: &Answered) -> Codes {
    let records = house.records();
    let last = &records.last().expect("a record for each request").record;
    let Some(fault) = answered.fault() else {
        assert_eq!(answered.status, 200, "{answered}");
        if let Record::Accepted(accepted) = last {
            let item = house.service.index().item(accepted.ticket).expect("an index").expect("the item");
            let stored = house.service.stored_submission(&item).expect("its submission");
            let signed = match signed_request(draft) {
                Request::SendDocument(submission) | Request::Submit { submission, .. } => submission,
                other => panic!("accepted: {}", other.operation()),
            };
            assert_eq!(stored, signed, "accepted, and never signed");
        }
        return Codes::new();
    };
    assert_eq!(answered.status, 500, "{answered}");
    let Record::Refused(refused) = last else {
        panic!("{answered}\nbut the journal ends in {}", last.kind())
    };
    assert_eq!(refused.code.as_str(), fault.code, "journal and fault speak of one thing");
    let check = crate::interned(&refused.check);
    vec![refused.code.as_str(), check]
}

fn signed_request(draft: &Draft) -> Request {
    let document =
        xmlsec::Document::parse(draft.payload.clone(), &xmlsec::Limits::default()).expect("was read");
    let rules = ReadRules { strictness: Strictness::Strict, today: epost::service::today(Timestamp::now()) };
    Request::parse(document.root(), &rules).expect("was accepted")
}

fn draft(operation: &str) -> Option<Draft> {
    let unknown = ItemName::Token(Token::parse("unknown").ok()?);
    Some(match operation {
        "send" => Draft::submission("T"),
        "company" => Draft::to_known_enterprise("T"),
        "submit" => {
            let bytes = file(1, 90);
            let (item, content) = (submission("T", std::slice::from_ref(&bytes)), Some(bytes.as_slice()));
            let payload =
                soap::message::v2::write_submit_request(&item, &[content], &[ChannelName::EboxCitizen]);
            Draft { path: V2, ..Draft::asking(payload) }
        }
        "status" => Draft::status(&Ticket::parse("0000000000000").ok()?),
        "proof" => Draft::proof(&unknown, ProofKind::Receipt),
        "package" => Draft::package(&ItemName::Token(Token::parse("T").ok()?), ProofKind::Receipt),
        "health" => Draft::health(HealthCheckKind::Default),
        _ => return None,
    })
}

/// The real driver, over answers by letter: `x` no box, `q` none that is exclusive, `w` an outage, `s` files of ten bytes at most.
fn channels(letters: &str) -> Vec<Arc<dyn Channel>> {
    let base = "https://ebox.example.be".to_owned();
    let setup = Setup {
        registry_url: base.clone(),
        profile_url: base.clone(),
        token: TokenSetup {
            url: format!("{base}/token"),
            audience: "audience".to_owned(),
            scope: "scope".to_owned(),
            client_id: "client".to_owned(),
        },
        message_types: Default::default(),
        default_message_type: "REGISTERED_MAIL".to_owned(),
        default_language: SubjectLanguage::Nl,
        enterprise_qualities: vec!["QUAL_EMP_NOSS".to_owned()],
        attachment_bytes_max: if letters.contains('s') { 10 } else { 1 << 30 },
    };
    let ambient = Ambient {
        clock: Arc::new(Timestamp::now),
        random: Arc::new(|bytes| pki::random::fill(bytes).is_ok()),
    };
    let transport = Arc::new(Script { letters: letters.to_owned() });
    let ebox = Ebox::new(setup, Arc::new(signer("ebox-client")), transport, ambient).expect("an RSA key");
    vec![Arc::new(ebox.citizen()), Arc::new(ebox.enterprise())]
}

struct Script {
    letters: String,
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let has = |letter| self.letters.contains(letter);
        let (status, body) = match request.url.as_str() {
            _ if has('w') => (503, "away".to_owned()),
            url if url.ends_with("/token") => {
                (200, r#"{"access_token":"opaque","token_type":"Bearer","expires_in":300}"#.to_owned())
            }
            _ if has('x') => (200, "[]".to_owned()),
            _ => (200, boxes(!has('q'))),
        };
        Ok(HttpResponse { status, headers: Vec::new(), body: Bytes::from(body) })
    }
}

/// What both searches of the profile service answer: each takes its own fields.
fn boxes(exclusively: bool) -> String {
    let found = |kind: &str, of: &str, value: &str| {
        serde_json::json!({
            "eboxId": { "eboxType": kind, "eboxIdType": of, "eboxIdValue": value },
            "consented": true,
            "exclusivelyEbox": exclusively,
        })
    };
    let both = [found("CITIZEN", "SSIN", CITIZEN), found("ENTERPRISE", "EnterpriseNumber", ENTERPRISE)];
    serde_json::Value::from(both.to_vec()).to_string()
}

/// Good time-stamps; when one was asked for, the time that it took has passed.
struct LateStamps(Arc<dyn Stamper>, Arc<AtomicBool>);

#[async_trait]
impl Stamper for LateStamps {
    async fn stamp(&self, imprint: &Digest) -> Result<Stamp, StampError> {
        self.1.store(true, SeqCst);
        self.0.stamp(imprint).await
    }
}

struct NoStamps;

#[async_trait]
impl Stamper for NoStamps {
    async fn stamp(&self, _: &Digest) -> Result<Stamp, StampError> {
        Err(StampError(vec!["away".to_owned()]))
    }
}

/// The changes of one kind, in their order; `\n` in the new text is a line's end.
fn changes<'l>(lines: &'l str, word: &str) -> impl Iterator<Item = (&'l str, String)> {
    lines.lines().filter_map(move |line| {
        let (from, to) = line.strip_prefix(word)?.strip_prefix(' ')?.split_once(" => ")?;
        (!from.is_empty()).then(|| (from, to.replace("\\n", "\n")))
    })
}

fn changed(lines: &str, word: &str, text: String) -> String {
    changes(lines, word).fold(text, |text, (from, to)| text.replacen(from, &to, 1))
}

fn replaced(body: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match body.windows(from.len()).position(|window| window == from) {
        Some(at) => [&body[..at], to, &body[at + from.len()..]].concat(),
        None => body.to_vec(),
    }
}
