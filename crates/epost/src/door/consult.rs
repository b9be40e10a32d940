//! The operators' door for consultations of the log: mutual TLS with personal certificates, JSON, one request a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use erds::record::Hex32;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pki::certificate::Certificate;
use pki::digest::sha256;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{Answer, reply};
use crate::breach::{Breach, Seen};
use crate::consult::{Asked, ConsultError, Decision, Desk, HistoryFilter, Person};
use crate::retention::{HoldAsked, HoldLifted, RunAsked};

/// Serves until `stop` turns true; at most a few connections at once, each for one request.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    desk: Arc<Desk>,
    stop: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let failed = |error: &std::io::Error| tracing::error!(event = "consult.accept-failed", %error);
    super::accept_few(listener, stop, super::FEW_CONNECTIONS_MAX, failed, |stream| {
        let (acceptor, desk) = (acceptor.clone(), desk.clone());
        async move { connection(stream, &acceptor, desk).await }
    })
    .await;
}

async fn connection(stream: TcpStream, acceptor: &TlsAcceptor, desk: Arc<Desk>) {
    let Ok(address) = stream.peer_addr() else { return };
    let tls = match tokio::time::timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => {
            return tracing::info!(event = "consult.tls-refused", error = %error.to_string().escape_debug());
        }
        Err(_) => return tracing::info!(event = "consult.tls-refused", error = "a slow handshake"),
    };
    let leaf = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let Some(certificate) = leaf.and_then(|der| Certificate::from_der(der).ok()) else { return };
    let respond = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (desk, certificate) = (desk.clone(), certificate.clone());
        // In a task of its own: who hangs up leaves no step that is recorded and not indexed.
        tokio::spawn(async move { answer(request, address, &certificate, &desk).await })
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(tls), respond);
    if let Err(error) = serving.await {
        tracing::info!(event = "consult.http-ended", error = %error.to_string().escape_debug());
    }
}

async fn answer(
    request: Request<Incoming>,
    address: SocketAddr,
    certificate: &Certificate,
    desk: &Desk,
) -> Answer {
    let person = match desk.admit(certificate) {
        Ok(person) => person,
        Err(denied) => return deny(&denied, address, certificate, desk),
    };
    let (status, body) = match act(request, &person, desk).await {
        Ok(lines) => (StatusCode::OK, lines),
        Err(denied) => {
            // A failure of ours cannot be told to a journal that may be what failed.
            if denied.status() != 503
                && let Err(failure) = desk.record_denial(&person, &denied).await
            {
                tracing::error!(event = "consult.denial-unrecorded", %failure);
            }
            return deny(&denied, address, certificate, desk);
        }
    };
    let text = body.iter().fold(String::new(), |text, line| format!("{text}{line}\n"));
    reply(status, "application/jsonl", Bytes::from(text))
}

fn deny(denied: &ConsultError, address: SocketAddr, certificate: &Certificate, desk: &Desk) -> Answer {
    if denied.status() == StatusCode::FORBIDDEN {
        let (check, certificate) = (denied.code(), Some(certificate));
        let seen = Seen { id: "", check, address: address.ip(), sender: None, certificate };
        desk.service().breach(Breach::Authorisation, &seen);
    }
    let by = erds::record::Hex32(certificate.fingerprint());
    let reason = denied.to_string();
    tracing::warn!(event = "consult.denied", code = denied.code(), certificate = %by, reason = %reason.escape_debug());
    let status = StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply(status, "application/json", Bytes::from(format!("{}\n", denied.to_json())))
}

/// How many results a run is to give.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RunOptions {
    results_max: Option<usize>,
}

/// Takes the step that the path names; its answer is JSON, a value a line.
async fn act(request: Request<Incoming>, person: &Person, desk: &Desk) -> Result<Vec<Value>, ConsultError> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let no_such = || ConsultError::Path { method: method.to_string(), path: path.clone() };
    if method != Method::POST {
        return Err(no_such());
    }
    match path.as_str() {
        "/consult" => return Ok(vec![desk.request(person, &read::<Asked>(request).await?).await?]),
        "/consult/history" => return desk.history(person, &read::<HistoryFilter>(request).await?).await,
        _ => {}
    }
    if let Some(step) = path.strip_prefix("/retention/") {
        return retain(request, step, person, desk).await?.ok_or_else(no_such);
    }
    let (number, step) =
        path.strip_prefix("/consult/").and_then(|rest| rest.split_once('/')).ok_or_else(no_such)?;
    let number: u64 = number.parse().map_err(|_| no_such())?;
    match step {
        "approve" | "refuse" => {
            let decision = read::<Decision>(request).await?;
            Ok(vec![desk.decide(person, number, step == "approve", &decision).await?])
        }
        "run" => {
            let options = read::<RunOptions>(request).await?;
            let found = desk.run(person, number, options.results_max).await?;
            let summary = json!({
                "consultation": number, "results": found.results.len(), "more": found.more,
                "examined": found.examined, "content_absent": found.content_absent,
            });
            let package = found.package.map(|package| {
                json!({ "package": {
                    "file_name": package.file_name, "sha256": Hex32(sha256(&package.content)),
                    "content": base64_simd::STANDARD.encode_to_string(&package.content),
                } })
            });
            Ok(std::iter::once(summary).chain(found.results).chain(package).collect())
        }
        _ => Err(no_such()),
    }
}

/// A step of retention; none: there is no such step, or not at this door.
async fn retain(
    request: Request<Incoming>,
    step: &str,
    person: &Person,
    desk: &Desk,
) -> Result<Option<Vec<Value>>, ConsultError> {
    let Some(retention) = desk.retention(person)? else { return Ok(None) };
    let lines = match step {
        "plan" => retention.plan().await?.lines(),
        "run" => vec![retention.run(Some(person), Some(&read::<RunAsked>(request).await?)).await?.line()],
        "hold" => vec![retention.hold(person, &read::<HoldAsked>(request).await?).await?],
        "holds" => retention.list_holds(person).await?,
        step => {
            let number = step.strip_prefix("hold/").and_then(|rest| rest.strip_suffix("/lift"));
            let Some(number) = number.and_then(|number| number.parse().ok()) else { return Ok(None) };
            vec![retention.lift(person, number, &read::<HoldLifted>(request).await?).await?]
        }
    };
    Ok(Some(lines))
}

/// The body, whole, as this step's JSON.
async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, ConsultError> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let body = tokio::time::timeout(BODY_TIME_MAX, body).await;
    let body = body.map_err(|_| ConsultError::Json("a body that does not end".to_owned()))?;
    let body =
        body.map_err(|_| ConsultError::Json(format!("a body broken off or over {BODY_BYTES_MAX} bytes")))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| ConsultError::Json(error.to_string()))
}

const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
const HEADER_TIME_MAX: Duration = Duration::from_secs(5);
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// The bytes of one request: the longest reason, escaped, and the question.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
