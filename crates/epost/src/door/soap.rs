//! SOAP over HTTP: reads a request's bytes into the spool and writes the answer's.
//!
//! Here ends everything that is HTTP, and nothing is decided: that is [`crate::admission`].

use std::io::{Cursor, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use erds::{FaultCode, Refusal};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue, RETRY_AFTER,
    TRANSFER_ENCODING,
};
use hyper::{Request, StatusCode};
use jiff::Timestamp;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::pieces::Pieces;
use super::shares::{Party, Share};
use super::{Answer, Crowded, House, Peer, bare, reply};
use crate::admission::spool::{Spool, SpoolError, Spooled};
use crate::admission::{Arrived, Head, PeerFacts, Reply};
use crate::config::Listen;
use crate::metrics::{Held, Stage};
use crate::service::Service;

/// Which contract an address speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Contract {
    /// RegisteredMail v1, as it exists in the field.
    A,
    /// RegisteredMail v2, ours.
    B,
}

impl Contract {
    /// By the path of the request; none: not an address of ours.
    pub fn of_path(path: &str) -> Option<Self> {
        match path {
            "/RegisteredMail/v1" => Some(Self::A),
            "/RegisteredMail/v2" => Some(Self::B),
            _ => None,
        }
    }

    /// The path of its address.
    pub fn path(self) -> &'static str {
        match self {
            Self::A => "/RegisteredMail/v1",
            Self::B => "/RegisteredMail/v2",
        }
    }
}

/// GET: the WSDL, a schema that it names, or all of them as one zip file.
pub(super) fn describe(contract: Contract, query: &str, listen: &Listen) -> Answer {
    if query.eq_ignore_ascii_case("wsdl.zip") {
        return match zipped(contract, &listen.public_url) {
            Ok(bytes) => reply(StatusCode::OK, "application/zip", Bytes::from(bytes)),
            Err(error) => {
                tracing::error!(%error, "the contract's files could not be zipped");
                bare(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the zip could not be made; ?wsdl serves the same files",
                )
            }
        };
    }
    match soap::contract::document(contract.path(), query, &listen.public_url) {
        Some((content_type, bytes)) => reply(StatusCode::OK, content_type, Bytes::from(bytes)),
        None => bare(
            StatusCode::NOT_FOUND,
            "GET serves ?wsdl (of v2 also ?wsdl=asymmetric, mtom, nopolicy), the ?xsd=NAME that it names, and all of it as ?wsdl.zip; requests are POSTed",
        ),
    }
}

fn zipped(contract: Contract, public_url: &str) -> zip::result::ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, text) in soap::contract::folder(contract.path(), public_url).unwrap_or_default() {
        archive.start_file(name, stored)?;
        archive.write_all(text.as_bytes())?;
    }
    Ok(archive.finish()?.into_inner())
}

/// POST: one request, from its first byte to its answer.
pub(super) async fn receive(
    contract: Contract,
    request: Request<Incoming>,
    peer: Peer,
    party: Party,
    house: &House,
) -> Answer {
    let (service, listen) = (&house.service, &house.listen);
    let headers = request.headers();
    // HTTP/1.1 knows codings beside chunked: one that nobody undoes would be read as the message.
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !headers.get_all(TRANSFER_ENCODING).iter().all(plain) {
        let mut answer = bare(StatusCode::NOT_IMPLEMENTED, "Transfer-Encoding: chunked, or none");
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return answer;
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return bare(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Encoding is not taken: send the body as it is",
        );
    }
    let Some(content_type) = single(headers, CONTENT_TYPE.as_str()) else {
        return bare(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "exactly one Content-Type: multipart/related or text/xml",
        );
    };
    let soap_action = match headers.get_all("soapaction").iter().count() {
        0 => None,
        _ => single(headers, "soapaction").or(Some("\u{0}".into())),
    };
    let asserted_address = said_address(service, headers);
    let head = Head { contract, content_type, soap_action, asserted_address };
    let stated_bytes = request.body().size_hint().lower();
    if stated_bytes > service.limits().body_bytes_max {
        return bare(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("a body of at most {} bytes (limits.body_bytes_max)", service.limits().body_bytes_max),
        );
    }
    let coming = Coming { head, peer: peer.into() };
    let idle = Duration::from_secs(listen.body_idle_seconds_max);
    let mut entered = match Entered::enter(house, &party, stated_bytes) {
        Ok(entered) => entered,
        Err(crowded) => {
            // Who waits to be told to go on has sent nothing that would have to be read, and is to send nothing.
            if !headers.contains_key(EXPECT) {
                drain(&mut request.into_body(), service.limits().drain_bytes_max, idle).await;
            }
            return turn_away(service, &coming, crowded);
        }
    };
    if headers.contains_key(EXPECT)
        && let Err(refusal) = tokio::task::block_in_place(|| service.may_go_on(&coming.peer))
    {
        let service = service.clone();
        let refused = async move { service.refuse_unasked(coming.head, coming.peer, refusal).await };
        return finish(entered, refused).await;
    }
    let patience = Patience { idle, bytes_per_second_min: listen.body_bytes_per_second_min };
    let mut body = request.into_body();
    match read(&coming, &mut body, &mut entered, patience, service).await {
        Ok((spooled, received_at)) => {
            let arrived = Arrived { head: coming.head, peer: coming.peer, received_at, spooled };
            finish(entered, service.clone().answer(arrived)).await
        }
        Err(Unread::Refused(spool, error)) => {
            drain(&mut body, service.limits().drain_bytes_max, idle).await;
            let service = service.clone();
            let refused = async move {
                service.refuse_unread(coming.head, coming.peer, spool.map(|s| *s), error).await
            };
            finish(entered, refused).await
        }
        Err(Unread::Crowded(crowded)) => {
            drain(&mut body, service.limits().drain_bytes_max, idle).await;
            turn_away(service, &coming, crowded)
        }
        Err(Unread::Ended(answer)) => answer,
    }
}

/// What HTTP and TLS say of a request that is on its way in.
struct Coming {
    head: Head,
    peer: PeerFacts,
}

/// A request that was let in: its place among all, the room of its body, and that it is counted.
struct Entered {
    _place: Share<Arc<str>>,
    room: Share<Arc<str>>,
    _under_way: Held,
}

impl Entered {
    fn enter(house: &House, party: &Party, stated_bytes: u64) -> Result<Self, Crowded> {
        let _place = house.keeper.request(party).map_err(Crowded::Requests)?;
        let room = house.keeper.spool(party, stated_bytes).map_err(Crowded::Spool)?;
        Ok(Self { _place, room, _under_way: house.service.metrics().request() })
    }
}

/// Answers in a task of its own, which keeps the request's place: a sender who hangs up neither stops an acceptance half-way nor makes
/// room for more of them.
async fn finish(entered: Entered, answering: impl Future<Output = Reply> + Send + 'static) -> Answer {
    let answered = tokio::spawn(async move {
        let _entered = entered;
        answering.await
    });
    match answered.await {
        Ok(answered) => answer(answered),
        Err(_) => bare(
            StatusCode::INTERNAL_SERVER_ERROR,
            "this request could not be answered; it may be sent again",
        ),
    }
}

/// How slow a body may be.
#[derive(Clone, Copy)]
struct Patience {
    idle: Duration,
    bytes_per_second_min: u64,
}

impl Patience {
    /// Whether so many bytes in that time are too few: a byte now and then would keep a request open for ever.
    fn ends(self, read_bytes: u64, took: Duration) -> bool {
        took > self.idle && read_bytes < took.as_secs().saturating_mul(self.bytes_per_second_min)
    }
}

/// Too much is under way: nothing was accepted, and the same request may come again. The technical log has it, by the fault's Id.
fn turn_away(service: &Service, coming: &Coming, crowded: Crowded) -> Answer {
    let id = service.draw_request_id();
    let (reason, limit) = (crowded.code(), crowded.limit());
    let (address, subject) = (coming.peer.address, coming.peer.certificate.subject());
    tracing::warn!(event = "door.turned-away", id, reason, limit, %address, %subject);
    service.metrics().turned_away(reason);
    if !is_soap(&coming.head) {
        return bare_overload(crowded);
    }
    service.metrics().answered(None, FaultCode::Soa02002.as_str());
    let refusal = Refusal::new(
        FaultCode::Soa02002,
        reason,
        &format!("as much under way as {limit} lets in"),
        "fewer requests at once, or smaller ones",
        "Nothing was accepted: send the same request again, later, with the same Token.",
    );
    let head = &coming.head;
    let fault = service.fault_reply(&refusal, &id, &coming.peer, head.contract, head.version());
    retry_after(answer(fault))
}

/// The same, to what is no SOAP.
pub(super) fn bare_overload(crowded: Crowded) -> Answer {
    let text =
        format!("as much under way as {} lets in; nothing was accepted: come again, later", crowded.limit());
    retry_after(bare(StatusCode::SERVICE_UNAVAILABLE, &text))
}

fn retry_after(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

/// Whether its sender reads SOAP, by the Content-Type.
fn is_soap(head: &Head) -> bool {
    let media = head.content_type.split(';').next().unwrap_or_default().trim();
    ["text/xml", "application/soap+xml", "multipart/related"]
        .iter()
        .any(|known| media.eq_ignore_ascii_case(known))
}

/// Reads a bounded rest of a body that nobody needs, for a bounded time, or TLS would eat the answer.
async fn drain(body: &mut Incoming, bytes_max: u64, time_max: Duration) {
    let mut left = bytes_max;
    let drained = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    let _ = tokio::time::timeout(time_max, drained).await;
}

/// Why a body did not become a message.
enum Unread {
    /// It cannot be read as one; what was spooled of it.
    Refused(Option<Box<Spool>>, SpoolError),
    /// There is no room for more of it.
    Crowded(Crowded),
    /// It broke off or stood still.
    Ended(Answer),
}

async fn read(
    coming: &Coming,
    body: &mut Incoming,
    entered: &mut Entered,
    patience: Patience,
    service: &Arc<Service>,
) -> Result<(Spooled, Timestamp), Unread> {
    let address = coming.peer.address;
    let (began, mut read_bytes) = (tokio::time::Instant::now(), 0);
    let _timed = service.metrics().time(Stage::Read);
    let mut spool = Spool::begin(service, &coming.head).map_err(|error| Unread::Refused(None, error))?;
    let mut pieces = Pieces::default();
    loop {
        let frame = match tokio::time::timeout(patience.idle, body.frame()).await {
            Err(_) => {
                let limit = "listen.body_idle_seconds_max";
                tracing::info!(event = "door.body-idle", %address, limit);
                let text = format!("no byte for {limit} seconds");
                return Err(Unread::Ended(bare(StatusCode::REQUEST_TIMEOUT, &text)));
            }
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                let error = error.to_string();
                tracing::info!(event = "door.body-broken", %address, error = %error.escape_debug());
                return Err(Unread::Ended(bare(StatusCode::BAD_REQUEST, "the body broke off")));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        read_bytes += data.len() as u64;
        if patience.ends(read_bytes, began.elapsed()) {
            let limit = "listen.body_bytes_per_second_min";
            tracing::info!(event = "door.body-slow", %address, limit);
            let text = format!("fewer bytes a second than {limit}");
            return Err(Unread::Ended(bare(StatusCode::REQUEST_TIMEOUT, &text)));
        }
        // Whose length nobody stated.
        if let Some(more) = read_bytes.checked_sub(entered.room.amount()) {
            entered.room.grow(more).map_err(|beyond| Unread::Crowded(Crowded::Spool(beyond)))?;
        }
        if let Err(error) = pieces.take(&data, |piece| spool.feed(piece)) {
            return Err(Unread::Refused(Some(Box::new(spool)), error));
        }
    }
    let received_at = service.now();
    if let Err(error) = pieces.end(|piece| spool.feed(piece)) {
        return Err(Unread::Refused(Some(Box::new(spool)), error));
    }
    match spool.finish().await {
        Ok(spooled) => Ok((spooled, received_at)),
        Err((spool, error)) => Err(Unread::Refused(Some(Box::new(spool)), error)),
    }
}

fn answer(answered: Reply) -> Answer {
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply(status, &answered.content_type, Bytes::from(answered.body))
}

/// What the header in which gateways say a sender's address says, whoever sends it: a proxy adds its own line, or its word at the end of
/// the last one.
pub(super) fn said_address(service: &Service, headers: &HeaderMap) -> Option<String> {
    let name = service.settings().gateway_address_header.as_deref()?;
    let last = headers.get_all(name).iter().next_back()?;
    Some(String::from_utf8_lossy(last.as_bytes()).into_owned())
}

fn single(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.to_owned();
    values.next().is_none().then_some(value)
}
