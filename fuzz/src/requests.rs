//! What comes in at the front door: the body's parts, the envelope, who signed it, the message.

use std::collections::HashSet;
use std::sync::LazyLock;

use erds::{Environment, Strictness};
use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::crl::CrlSet;
use pki::path::{Revocation, TrustAnchors};
use soap::envelope::{Envelope, Rules};
use soap::message::{self as words, ReadRules, Request};
use soap::multipart::{Limits, MultipartError, PartHeaders, PartSink, Reader, RootMedia, SinkError};
use soap::wss::{Policy, authenticate_with};
use xmlsec::Document;

use crate::Codes;
use crate::files::{anchors, certificate, known, twin};
use crate::xml::{canonical_sha256, split_line};

#[derive(Debug, Default, Eq, PartialEq)]
struct Parts(Vec<Part>);

#[derive(Debug, Eq, PartialEq)]
struct Part {
    headers: Vec<u8>,
    content_id: Option<String>,
    root: bool,
    bytes: Vec<u8>,
    ended: bool,
}

impl PartSink for Parts {
    fn begin(&mut self, headers: &PartHeaders) -> Result<(), SinkError> {
        assert!(self.0.last().is_none_or(|part| part.ended), "begun before the last one ended");
        self.0.push(Part {
            headers: headers.raw().to_vec(),
            content_id: headers.content_id().map(str::to_owned),
            root: headers.is_root(),
            bytes: Vec::new(),
            ended: false,
        });
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        assert!(!bytes.is_empty(), "data without bytes");
        let part = self.0.last_mut().filter(|part| !part.ended).expect("data outside a part");
        part.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<(), SinkError> {
        let part = self.0.last_mut().filter(|part| !part.ended).expect("an end outside a part");
        part.ended = true;
        Ok(())
    }
}

type Read = Result<(Parts, Option<RootMedia>), MultipartError>;

fn read<'b>(kind: &str, limits: &Limits, chunks: impl IntoIterator<Item = &'b [u8]>) -> Read {
    let mut parts = Parts::default();
    let mut reader = Reader::new(kind, limits)?;
    for chunk in chunks {
        reader.feed(chunk, &mut parts)?;
    }
    reader.finish(&mut parts)?;
    assert!(parts.0.iter().all(|part| part.ended), "a part without end");
    assert_eq!(parts.0.iter().filter(|part| part.root).count(), 1, "roots");
    Ok((parts, reader.root_media()))
}

fn told(read: Read) -> Result<Parts, &'static str> {
    read.map(|(parts, _)| parts).map_err(|error| error.code())
}

/// A letter for the cap that is lowered, the Content-Type, a line's end, the body: the same parts, or the same refusal,
/// however the body is cut into chunks; of a body over its cap, some refusal (how far it is read depends on the chunks).
pub fn multipart(data: &[u8]) -> Codes {
    let (line, body) = split_line(data);
    let Some((cap, kind)) = line.split_first() else { return Codes::new() };
    let kind = String::from_utf8_lossy(kind);
    let mut limits = Limits { body_bytes_max: 1 << 20, ..Limits::default() };
    match cap {
        b'p' => limits.parts_max = 1,
        b'h' => limits.part_headers_max = 1,
        b'H' => limits.part_header_bytes_max = 32,
        b'r' => limits.root_part_bytes_max = 3,
        b'a' => limits.part_bytes_max = 3,
        b'b' => limits.body_bytes_max = 32,
        b'f' => limits.preamble_bytes_max = 0,
        b'l' => limits.epilogue_bytes_max = 0,
        _ => {}
    }
    let whole = told(read(&kind, &limits, [body]));
    let over = body.len() as u64 > limits.body_bytes_max;
    let same = |cut: Result<Parts, &'static str>, how: &str| {
        assert!(cut == whole || (over && cut.is_err() && whole.is_err()), "{how}: {cut:?}, whole: {whole:?}");
    };
    for size in [1, 2, 3, 7, 64] {
        same(told(read(&kind, &limits, body.chunks(size))), &format!("chunks of {size}"));
    }
    let every = (body.len() / 128).max(1);
    for at in (0..body.len()).step_by(every) {
        let (before, after) = body.split_at(at);
        same(told(read(&kind, &limits, [before, after])), &format!("split at {at}"));
    }
    whole.err().into_iter().collect()
}

/// The instant of every signed seed.
pub fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("an instant")
}

struct House {
    anchors: TrustAnchors,
    alice: Certificate,
    bob: Certificate,
    /// Alice's but for its signature: of one name with hers.
    twin: Certificate,
    no_lists: CrlSet,
    addresses: [String; 1],
    signed: HashSet<String>,
}

static HOUSE: LazyLock<House> = LazyLock::new(|| House {
    anchors: anchors("root.der", &["issuing.der"]),
    alice: certificate("alice.der"),
    bob: certificate("bob.der"),
    twin: twin("alice.der"),
    no_lists: CrlSet::new(Vec::new()),
    addresses: ["https://other/".to_owned()],
    signed: known("accepted.txt"),
});

/// Letters for the setting, a space, the Content-Type, a line's end, the body: what is accepted was signed, every byte that
/// is read of it.
pub fn wss(data: &[u8]) -> Codes {
    let (codes, accepted) = signed_lines(data);
    if let Some(line) = accepted {
        assert!(HOUSE.signed.contains(&line), "accepted, and never signed: {line}");
    }
    codes
}

/// From the bytes to the verdict; what was accepted as one line, of which the list of what was signed is made.
pub fn signed_lines(data: &[u8]) -> (Codes, Option<String>) {
    let (line, body) = split_line(data);
    let line = String::from_utf8_lossy(line);
    let (letters, kind) = line.split_once(' ').unwrap_or(("", &line));
    let has = |letter| letters.contains(letter);
    let limits = Limits { body_bytes_max: 1 << 20, ..Limits::default() };
    let (parts, media) = match read(kind, &limits, [body]) {
        Ok(parts) => parts,
        Err(error) => return (vec![error.refusal().code.as_str(), error.code()], None),
    };
    let Some(root) = parts.0.iter().find(|part| part.root) else { return (Codes::new(), None) };
    let find = |id: &str| {
        let part = parts.0.iter().find(|part| !part.root && part.content_id.as_deref() == Some(id));
        part.map(|part| part.bytes.clone())
    };
    let mut rules = Rules { media: media.filter(|_| !has('m')), ..Rules::default() };
    if has('i') {
        (rules.includes_max, rules.include_bytes_max) = (1, 4);
    }
    if has('h') {
        rules.header_blocks_max = 1;
    }
    let envelope = match Envelope::parse(root.bytes.clone(), &find, &rules) {
        Ok(envelope) => envelope,
        Err(refusal) => return (vec![refusal.code.as_str(), refusal.check], None),
    };
    if let Err(refusal) = envelope.check_action(has('!').then_some("urn:sendDocument")) {
        return (vec![refusal.code.as_str(), refusal.check], None);
    }
    let house = &*HOUSE;
    let candidates: Vec<Certificate> = [('a', &house.alice), ('b', &house.bob), ('d', &house.twin)]
        .into_iter()
        .filter(|(letter, _)| has(*letter))
        .map(|(_, certificate)| certificate.clone())
        .collect();
    let revocation = if has('c') { Revocation::HardFail(&house.no_lists) } else { Revocation::NotChecked };
    let mut policy = Policy::new(&house.anchors, revocation, now());
    policy.candidates = &candidates;
    policy.token_signed = has('t');
    policy.environment = if has('P') { Some(Environment::Prd) } else { has('T').then_some(Environment::Tst) };
    if has('A') {
        policy.addresses = &house.addresses;
    }
    let rules = ReadRules { strictness: policy.strictness, today: policy.today };
    // What is proven and then refused by its schema was accepted here all the same.
    let read = |operation: xmlsec::Element<'_>| match Request::parse(operation, &rules) {
        Ok(request) => Ok(format!("{request:?}")),
        Err(refusal) => Ok(refusal.check.to_owned()),
    };
    match authenticate_with(&envelope, &policy, read) {
        Ok(accepted) => {
            let body = canonical_sha256(envelope.body());
            let stamp = format!("{} {:?} {}", accepted.created(), accepted.expires(), accepted.sender().cbe);
            (Codes::new(), Some(format!("{body} {stamp} {}", accepted.request())))
        }
        Err(refused) => (vec![refused.refusal.code.as_str(), refused.code()], None),
    }
}

/// An operation or an answer: what is read as a submission is written and read again as the same.
pub fn message(data: &[u8]) -> Codes {
    let mut codes = Codes::new();
    let limits =
        xmlsec::Limits { document_bytes_max: 1 << 20, nodes_max: 20_000, ..xmlsec::Limits::default() };
    let Ok(document) = Document::parse(data, &limits) else { return codes };
    let root = document.root();
    for strictness in [Strictness::Strict, Strictness::Lax] {
        let rules = ReadRules { strictness, today: jiff::civil::date(2026, 6, 1) };
        match Request::parse(root, &rules) {
            Ok(request) => read_again(&request, &rules),
            Err(refusal) => codes.extend([refusal.code.as_str(), refusal.check]),
        }
    }
    let answers = [
        words::parse_send_document_response(root).err(),
        words::parse_get_status_response(root).err(),
        words::parse_get_proof_response(root).err(),
        words::parse_health_check_response(root).err(),
        words::v2::parse_submit_response(root).err(),
        words::v2::parse_get_delivery_history_response(root).err(),
        words::v2::parse_find_items_response(root).err(),
        words::v2::parse_check_connection_response(root).err(),
    ];
    codes.extend(answers.iter().flatten().map(|error| error.code()));
    codes
}

fn read_again(request: &Request, rules: &ReadRules) {
    let xml = match request {
        Request::SendDocument(submission) => words::write_send_document_request(submission),
        Request::GetStatus { ticket } => words::write_get_status_request(ticket),
        Request::HealthCheck { kind } => words::write_health_check_request(*kind),
        Request::GetProof { item, proof, form } => words::write_get_proof_request(item, *proof, *form),
        Request::Submit { submission, inline, channels } => {
            let content =
                |part: &erds::Part| inline.iter().find(|content| content.content_id == part.content_id);
            let contents: Vec<_> = submission
                .parts()
                .map(|part| content(part).map(|content| content.content.bytes.as_slice()))
                .collect();
            words::v2::write_submit_request(submission, &contents, channels)
        }
        Request::FindItems(search) => words::v2::write_find_items_request(search),
        Request::GetDeliveryHistory { ticket, first } => {
            words::v2::write_get_delivery_history_request(ticket, *first)
        }
        Request::VerifyProof(proof) => words::v2::write_verify_proof_request(proof),
        Request::CheckRecipient { recipient } => words::v2::write_check_recipient_request(recipient),
        Request::CheckConnection => words::v2::write_check_connection_request(),
        Request::CheckAccess { operation, document_type } => {
            words::v2::write_check_access_request(*operation, document_type.as_deref())
        }
    };
    let document = Document::parse(xml.clone(), &xmlsec::Limits::default()).expect("what is written is XML");
    assert_eq!(Request::parse(document.root(), rules).as_ref(), Ok(request), "{xml}");
}
