//! The partners' door: WebDAV over mutual TLS, one request a connection. A partner sees `/OUT/`, which is his own folder, and takes and
//! removes files there; nothing else is to be had or done.
//!
//! What a request says never chooses the folder: the certificate does. A file was taken when the whole of it went out and the taker then
//! closed the connection as one does who has read it, or removed the file.

mod files;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dav_server::body::Body;
use dav_server::{DavHandler, DavMethod, DavMethodSet};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pki::certificate::Certificate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::breach::{Breach, Seen};
use crate::folder::partners::{Denied, Partners};
use crate::service::Service;
use files::{Shelves, Visit};

/// What the door needs; the same for all connections.
pub struct Folders {
    service: Arc<Service>,
    partners: Partners,
    shelves: Shelves,
    handler: DavHandler<Visit>,
    connections_max: usize,
}

impl Folders {
    /// The folders of these partners; at most so many connections at once.
    pub fn new(service: Arc<Service>, partners: Partners, connections_max: usize) -> Self {
        let shelves = Shelves::new(service.clone());
        let mut methods = DavMethodSet::WEBDAV_RO;
        methods.add(DavMethod::Delete);
        let handler = DavHandler::builder().filesystem(Box::new(shelves.clone())).methods(methods);
        Self { service, partners, shelves, handler: handler.autoindex(true).build_handler(), connections_max }
    }
}

/// Serves until `stop` turns true.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    folders: Arc<Folders>,
    stop: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let failed = |error: &std::io::Error| tracing::error!(event = "batch.accept-failed", %error);
    super::accept_few(listener, stop, folders.connections_max, failed, |stream| {
        let (acceptor, folders) = (acceptor.clone(), folders.clone());
        async move { connection(stream, &acceptor, &folders).await }
    })
    .await;
}

async fn connection(stream: TcpStream, acceptor: &TlsAcceptor, folders: &Arc<Folders>) {
    let Ok(address) = stream.peer_addr() else { return };
    let tls = match tokio::time::timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => {
            return tracing::info!(event = "batch.tls-refused", %address, error = %error.to_string().escape_debug());
        }
        Err(_) => return tracing::info!(event = "batch.tls-refused", %address, error = "a slow handshake"),
    };
    let leaf = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let Some(certificate) = leaf.and_then(|der| Certificate::from_der(der).ok()) else { return };
    let now = folders.service.now();
    let admitted = tokio::task::block_in_place(|| folders.partners.admit(&certificate, now));
    let status = match &admitted {
        Ok(_) => None,
        Err(denied) => Some(deny(denied, address, &certificate, &folders.service)),
    };
    let visit = admitted.ok().map(Visit::new);
    let (asked, serving) = (visit.clone(), folders.clone());
    let respond = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (visit, folders) = (asked.clone(), serving.clone());
        async move {
            Ok::<_, Infallible>(match (visit, status) {
                (Some(visit), _) => answer(request, visit, &folders).await,
                (None, status) => bare(status.unwrap_or(StatusCode::FORBIDDEN)),
            })
        }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(tls), respond);
    let moved = visit.as_ref().map(|visit| visit.moved.clone()).unwrap_or_default();
    let Some(ended) = while_moving(serving.without_shutdown(), &moved).await else {
        return tracing::info!(event = "batch.still", %address);
    };
    match (ended, visit) {
        (Ok(parts), Some(visit)) => {
            let closed = was_read(parts.io.into_inner()).await;
            if let Some(taken) = visit.whole().filter(|_| closed) {
                taken_whole(&taken, &visit, folders).await;
            }
        }
        (Ok(parts), None) => drop(was_read(parts.io.into_inner()).await),
        (Err(error), _) => {
            tracing::info!(event = "batch.http-ended", %address, error = %error.to_string().escape_debug());
        }
    }
}

/// Until the end; none where nothing moved for [`STILL_TIME_MAX`].
async fn while_moving<T>(serving: impl Future<Output = T>, moved: &AtomicBool) -> Option<T> {
    let mut serving = std::pin::pin!(serving);
    loop {
        tokio::select! {
            ended = &mut serving => return Some(ended),
            () = tokio::time::sleep(STILL_TIME_MAX) => {
                if !moved.swap(false, Ordering::SeqCst) {
                    return None;
                }
            }
        }
    }
}

/// Says that there is no more and waits for the other side to close: one that goes away with bytes unread resets the connection.
async fn was_read(mut tls: TlsStream<TcpStream>) -> bool {
    let closing = async {
        tls.shutdown().await?;
        let mut rest = [0; 1024];
        loop {
            match tls.read(&mut rest).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // Without TLS's own farewell: many clients close so.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    };
    matches!(tokio::time::timeout(CLOSE_TIME_MAX, closing).await, Ok(Ok(())))
}

async fn taken_whole(taken: &crate::folder::Filed, visit: &Visit, folders: &Folders) {
    match folders.service.hand_over(taken, visit.visitor.certificate).await {
        Ok(()) => folders.shelves.forget(taken.ticket),
        // Its partner can take it again.
        Err(failure) => tracing::error!(event = "batch.taking-unrecorded", %failure),
    }
}

async fn answer(request: Request<Incoming>, mut visit: Visit, folders: &Folders) -> Response<Body> {
    visit.removes = request.method() == Method::DELETE;
    let (method, partner) = (request.method().clone(), visit.visitor.cbe.digits().to_owned());
    let path: String = request.uri().path().chars().take(PATH_CHARACTERS_TOLD).collect();
    let answer = folders.handler.handle_guarded(request, partner.clone(), visit).await;
    let status = answer.status().as_u16();
    tracing::info!(event = "batch.answered", partner, %method, path = %path.escape_debug(), status);
    answer
}

fn deny(denied: &Denied, address: SocketAddr, certificate: &Certificate, service: &Service) -> StatusCode {
    let (check, shown) = (denied.code(), erds::record::Hex32(certificate.fingerprint()));
    let kind = match denied {
        Denied::Certificate(_) => Some(Breach::Certificate),
        Denied::Stranger => Some(Breach::Authorisation),
        Denied::Trust(_) | Denied::Crowded => None,
    };
    if let Some(kind) = kind {
        let certificate = Some(certificate);
        service.breach(kind, &Seen { id: "", check, address: address.ip(), sender: None, certificate });
    }
    let reason = denied.to_string();
    tracing::warn!(event = "batch.denied", code = check, certificate = %shown, reason = %reason.escape_debug());
    match denied {
        Denied::Crowded | Denied::Trust(_) => StatusCode::SERVICE_UNAVAILABLE,
        Denied::Certificate(_) | Denied::Stranger => StatusCode::FORBIDDEN,
    }
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
const HEADER_TIME_MAX: Duration = Duration::from_secs(5);
const HEADERS_MAX: usize = 64;
/// Without a byte of a file asked for by the connection; a request's own body has no longer either.
const STILL_TIME_MAX: Duration = Duration::from_secs(60);
const CLOSE_TIME_MAX: Duration = Duration::from_secs(10);
const PATH_CHARACTERS_TOLD: usize = 200;
