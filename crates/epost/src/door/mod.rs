//! The door: one accept loop, mutual TLS, HTTP/1.1; hands bytes and the peer's certificate to [`soap`].
//!
//! What is not TLS, not HTTP, or comes without a certificate of a known authority ends here with one technical log line.

pub mod consult;
pub mod operator;
mod pieces;
mod shares;
pub mod soap;
pub mod tls;
pub mod webdav;

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use pki::certificate::Certificate;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::admission::stated_address;
use crate::breach::{Breach, Seen};
use crate::config::Listen;
use crate::service::Service;
use shares::{Beyond, Doorkeeper, FewPlaces, Party, Share};

/// An answer, whole: receipts and faults are small.
pub type Answer = Response<Full<Bytes>>;

/// Who is at the other end of a connection: known to TLS, not yet judged by admission.
#[derive(Clone)]
pub struct Peer {
    /// Source address and port.
    pub address: SocketAddr,
    /// The TLS client certificate, issued by a known authority; its expiry and revocation are judged per request.
    pub certificate: Certificate,
}

/// The smaller doors: accepts until `stop` turns true; beyond `connections_max` at once, or an address's part of them, they are dropped.
async fn accept_few<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
    connections_max: usize,
    failed: impl Fn(&std::io::Error),
    serve: impl Fn(TcpStream) -> F,
) {
    let places = FewPlaces::new(connections_max);
    loop {
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    failed(&error);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            _ = stop.changed() => return,
        };
        let Ok(place) = places.take(address.ip()) else { continue };
        let served = serve(stream);
        tokio::spawn(async move {
            let _place = place;
            served.await;
        });
    }
}

/// Serves until `stop` turns true, then lets requests under way end within ten seconds.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    listen: Listen,
    service: Arc<Service>,
    mut stop: watch::Receiver<bool>,
) {
    let connections = Arc::new(Semaphore::new(listen.connections_max));
    let house = Arc::new(House {
        acceptor: TlsAcceptor::from(tls),
        keeper: Doorkeeper::new(&listen),
        listen,
        service,
    });
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: wait for some to come back instead of spinning.
                    tracing::error!(event = "door.accept-failed", %error);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            _ = stop.changed() => break,
        };
        let metrics = house.service.metrics();
        let Ok(permit) = connections.clone().try_acquire_owned() else {
            metrics.refused_connection("door.connections-full");
            tracing::warn!(event = "door.connections-full", %address, limit = "listen.connections_max");
            continue;
        };
        let Ok(place) = house.keeper.address(address.ip()) else {
            metrics.refused_connection("door.address-connections-full");
            let limit = "listen.connections_per_address_max";
            tracing::warn!(event = "door.address-connections-full", %address, limit);
            continue;
        };
        let Ok(handshake) = house.keeper.handshake(address.ip()) else {
            metrics.refused_connection("door.handshakes-full");
            tracing::warn!(event = "door.handshakes-full", %address, limit = "listen.connections_max");
            continue;
        };
        let (house, watcher) = (house.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _held = (permit, place);
            connection(stream, address, handshake, house, watcher).await;
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(Duration::from_secs(10), graceful.shutdown()).await;
}

/// What every connection needs.
struct House {
    acceptor: TlsAcceptor,
    keeper: Doorkeeper,
    listen: Listen,
    service: Arc<Service>,
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    handshake: Share<IpAddr>,
    house: Arc<House>,
    watcher: Watcher,
) {
    let _ = stream.set_nodelay(true);
    let (listen, metrics) = (&house.listen, house.service.metrics());
    let _open = metrics.connection();
    let deadline = Duration::from_secs(listen.handshake_seconds_max);
    let tls = match tokio::time::timeout(deadline, house.acceptor.accept(stream).into_fallible()).await {
        Ok(Ok(tls)) => tls,
        Ok(Err((error, stream))) => {
            if is_about_certificate(&error) {
                let check = "door.tls-refused";
                let seen = Seen { id: "", check, address: address.ip(), sender: None, certificate: None };
                house.service.breach(Breach::Certificate, &seen);
            }
            let error = error.to_string();
            metrics.refused_connection("door.tls-refused");
            tracing::info!(event = "door.tls-refused", %address, error = %error.escape_debug());
            return close_gently(stream).await;
        }
        Err(_) => {
            metrics.refused_connection("door.tls-slow");
            tracing::info!(event = "door.tls-slow", %address, limit = "listen.handshake_seconds_max");
            return;
        }
    };
    drop(handshake);
    let leaf = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let Some(certificate) = leaf.and_then(|der| Certificate::from_der(der).ok()) else {
        return tracing::info!(event = "door.no-certificate", %address);
    };
    let party = Party::of(&certificate, house.service.is_gateway(&certificate));
    let Ok(_place) = house.keeper.connection(&party) else {
        metrics.refused_connection("door.sender-connections-full");
        let (limit, subject) = ("listen.connections_per_sender_max", certificate.subject());
        return tracing::warn!(event = "door.sender-connections-full", %address, limit, %subject);
    };
    house.service.senders().meet(&certificate).await;
    let peer = Peer { address, certificate };
    let header_deadline = Duration::from_secs(listen.header_seconds_max);
    let limits = (listen.headers_max, listen.head_bytes_max);
    let serving = house.clone();
    let respond = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (house, peer, party) = (serving.clone(), peer.clone(), party.clone());
        async move { Ok::<_, Infallible>(route(request, peer, party, &house).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_deadline)
        .max_headers(limits.0)
        .max_buf_size(limits.1.max(HEAD_BYTES_MIN))
        .serve_connection(TokioIo::new(tls), respond);
    if let Err(error) = watcher.watch(serving).await {
        tracing::info!(event = "door.http-ended", %address, error = %error.to_string().escape_debug());
    }
}

/// Whether a handshake failed for the certificate that was shown.
fn is_about_certificate(error: &std::io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}

/// Closes so that the peer hears the alert: a close with bytes unread resets the connection, and takes the alert along.
async fn close_gently(mut stream: TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let _ = stream.shutdown().await;
    let drained = async {
        let mut left = [0; 16 * 1024];
        for _ in 0..8 {
            if !matches!(stream.read(&mut left).await, Ok(1..)) {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), drained).await;
}

async fn route(request: Request<Incoming>, peer: Peer, party: Party, house: &House) -> Answer {
    // RFC 9112 §3.2: what stands before this service might read another of several.
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts > 1 || hosts == 0 && request.version() == Version::HTTP_11 {
        let mut answer = bare(StatusCode::BAD_REQUEST, "exactly one Host");
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return answer;
    }
    let Some(contract) = soap::Contract::of_path(request.uri().path()) else {
        return bare(StatusCode::NOT_FOUND, "here are /RegisteredMail/v1 and /RegisteredMail/v2");
    };
    let said = soap::said_address(&house.service, request.headers());
    let party = party.for_address(said.as_deref().and_then(stated_address));
    match *request.method() {
        Method::GET => match house.keeper.request(&party) {
            Ok(_place) => soap::describe(contract, request.uri().query().unwrap_or_default(), &house.listen),
            Err(beyond) => soap::bare_overload(Crowded::Requests(beyond)),
        },
        Method::POST => soap::receive(contract, request, peer, party, house).await,
        _ => {
            let mut answer = bare(StatusCode::METHOD_NOT_ALLOWED, "POST a SOAP request, or GET ?wsdl");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
            answer
        }
    }
}

/// What there is no more of for now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Crowded {
    /// Places for requests.
    Requests(Beyond),
    /// Room for their bodies.
    Spool(Beyond),
}

impl Crowded {
    /// The event, which is the fault's check too.
    fn code(self) -> &'static str {
        match self {
            Self::Requests(Beyond::All) => "door.requests-full",
            Self::Requests(Beyond::One) => "door.sender-requests-full",
            Self::Spool(Beyond::All) => "door.spool-full",
            Self::Spool(Beyond::One) => "door.sender-spool-full",
        }
    }

    /// The option.
    fn limit(self) -> &'static str {
        match self {
            Self::Requests(Beyond::All) => "listen.requests_max",
            Self::Requests(Beyond::One) => "listen.requests_per_sender_max",
            Self::Spool(Beyond::All) => "listen.spool_bytes_max",
            Self::Spool(Beyond::One) => "listen.spool_bytes_per_sender_max",
        }
    }
}

/// At the operators' doors: people and probes, no senders.
const FEW_CONNECTIONS_MAX: usize = 16;
/// What hyper needs.
const HEAD_BYTES_MIN: usize = 8192;

/// An answer before an envelope could be read: a status and one line of text.
pub(crate) fn bare(status: StatusCode, text: &str) -> Answer {
    reply(status, "text/plain; charset=utf-8", Bytes::from(format!("{text}\n")))
}

/// An answer with a body of the given type.
pub(crate) fn reply(status: StatusCode, content_type: &str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let content_type =
        HeaderValue::from_str(content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}
