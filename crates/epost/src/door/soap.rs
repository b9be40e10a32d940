//! SOAP over HTTP: reads a request's bytes into the spool and writes the answer's.
//!
//! Here ends everything that is HTTP, and nothing is decided: that is [`crate::admission`].

use std::io::{Cursor, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING,
};
use hyper::{Request, StatusCode};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Answer, Peer, bare, reply};
use crate::admission::spool::{Spool, SpoolError};
use crate::admission::{Arrived, Head, Reply};
use crate::config::Listen;
use crate::metrics::Stage;
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
    listen: &Listen,
    service: &Arc<Service>,
) -> Answer {
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
    let gateway_header = service.settings().gateway_address_header.as_deref();
    let asserted_address = gateway_header.and_then(|name| last(headers, name));
    let head = Head { contract, content_type, soap_action, asserted_address };
    if request.body().size_hint().lower() > service.limits().body_bytes_max {
        return bare(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("a body of at most {} bytes (limits.body_bytes_max)", service.limits().body_bytes_max),
        );
    }
    let patience = Patience {
        idle: Duration::from_secs(listen.body_idle_seconds_max),
        bytes_per_second_min: listen.body_bytes_per_second_min,
    };
    match read(head, request.into_body(), peer, patience, service).await {
        Ok(arrived) => {
            // In a task of its own: a sender who hangs up does not stop an acceptance half-way.
            let service = service.clone();
            match tokio::spawn(async move { service.answer(arrived).await }).await {
                Ok(answered) => answer(answered),
                Err(_) => bare(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "this request could not be answered; it may be sent again",
                ),
            }
        }
        Err(answer) => answer,
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

/// POST, when enough others are under way: nothing is read of it, nothing was accepted.
pub(super) async fn overloaded(
    request: Request<Incoming>,
    listen: &Listen,
    service: &Arc<Service>,
) -> Answer {
    tracing::warn!(event = "door.requests-full", limit = "listen.requests_max");
    let idle = Duration::from_secs(listen.body_idle_seconds_max);
    drain(&mut request.into_body(), service.limits().drain_bytes_max, idle).await;
    let text = "listen.requests_max requests are under way, nothing was accepted: send the same request again, later";
    let mut answer = bare(StatusCode::SERVICE_UNAVAILABLE, text);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    answer
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

async fn read(
    head: Head,
    mut body: Incoming,
    peer: Peer,
    patience: Patience,
    service: &Arc<Service>,
) -> Result<Arrived, Answer> {
    let idle = patience.idle;
    let (began, mut read_bytes) = (tokio::time::Instant::now(), 0);
    let _timed = service.metrics().time(Stage::Read);
    let mut spool = match Spool::begin(service, &head) {
        Ok(spool) => spool,
        Err(error) => return Err(refuse_early(service, head, peer, None, error, &mut body, idle).await),
    };
    loop {
        let frame = match tokio::time::timeout(idle, body.frame()).await {
            Err(_) => {
                let limit = "listen.body_idle_seconds_max";
                tracing::info!(event = "door.body-idle", address = %peer.address, limit);
                return Err(bare(StatusCode::REQUEST_TIMEOUT, &format!("no byte for {limit} seconds")));
            }
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                let error = error.to_string();
                tracing::info!(event = "door.body-broken", address = %peer.address, error = %error.escape_debug());
                return Err(bare(StatusCode::BAD_REQUEST, "the body broke off"));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        read_bytes += data.len() as u64;
        if patience.ends(read_bytes, began.elapsed()) {
            let limit = "listen.body_bytes_per_second_min";
            tracing::info!(event = "door.body-slow", address = %peer.address, limit);
            return Err(bare(StatusCode::REQUEST_TIMEOUT, &format!("fewer bytes a second than {limit}")));
        }
        if let Err(error) = spool.feed(&data) {
            return Err(refuse_early(service, head, peer, Some(spool), error, &mut body, idle).await);
        }
    }
    let received_at = service.now();
    match spool.finish().await {
        Ok(spooled) => Ok(Arrived { head, peer: peer.into(), received_at, spooled }),
        Err((spool, error)) => {
            Err(refuse_early(service, head, peer, Some(spool), error, &mut body, idle).await)
        }
    }
}

/// Answers a body that cannot be read as a message; drains a bounded rest first, or TLS would eat the fault.
async fn refuse_early(
    service: &Arc<Service>,
    head: Head,
    peer: Peer,
    spool: Option<Spool>,
    error: SpoolError,
    body: &mut Incoming,
    idle: Duration,
) -> Answer {
    drain(body, service.limits().drain_bytes_max, idle).await;
    // In a task of its own, as above: the record and its index entry are written together or by the next start.
    let service = service.clone();
    match tokio::spawn(async move { service.refuse_unread(head, peer.into(), spool, error).await }).await {
        Ok(refused) => answer(refused),
        Err(_) => bare(
            StatusCode::INTERNAL_SERVER_ERROR,
            "this request could not be answered; it may be sent again",
        ),
    }
}

fn answer(answered: Reply) -> Answer {
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply(status, &answered.content_type, Bytes::from(answered.body))
}

/// A proxy adds its own line, or its word at the end of the last one.
fn last(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(name)
        .iter()
        .next_back()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn single(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.to_owned();
    values.next().is_none().then_some(value)
}
