//! The operators' door: `/metrics` (OpenMetrics) and `/health`, plain HTTP, for loopback or a management network only.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use erds::record::Hex32;
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pki::certificate::Certificate;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Answer, bare, reply};
use crate::service::Service;

/// What the door tells of.
pub struct Watched {
    /// The service.
    pub service: Arc<Service>,
    /// Its certificates, by option.
    pub certificates: Vec<(&'static str, Certificate)>,
}

/// Serves until `stop` turns true. A slow or idle scraper is cut off; at most a few are served at once.
pub async fn serve(listener: TcpListener, watched: Arc<Watched>, stop: watch::Receiver<bool>) {
    let failed = |error: &std::io::Error| tracing::error!(event = "operator.accept-failed", %error);
    super::accept_few(listener, stop, super::FEW_CONNECTIONS_MAX, failed, |stream| {
        let watched = watched.clone();
        async move {
            let _ = tokio::time::timeout(CONNECTION_TIME_MAX, connection(stream, watched)).await;
        }
    })
    .await;
}

async fn connection(stream: TcpStream, watched: Arc<Watched>) {
    let respond = hyper::service::service_fn(move |request: Request<Incoming>| {
        let watched = watched.clone();
        async move { Ok::<_, Infallible>(answer(&request, &watched)) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(5))
        .serve_connection(TokioIo::new(stream), respond);
    if let Err(error) = serving.await {
        tracing::info!(event = "operator.http-ended", error = %error.to_string().escape_debug());
    }
}

fn answer(request: &Request<Incoming>, watched: &Watched) -> Answer {
    if request.method() != Method::GET {
        return bare(StatusCode::METHOD_NOT_ALLOWED, "GET /metrics or /health");
    }
    match request.uri().path() {
        "/metrics" => metrics(watched),
        "/health" => health(watched),
        _ => bare(StatusCode::NOT_FOUND, "here are /metrics and /health"),
    }
}

fn metrics(watched: &Watched) -> Answer {
    let service = &watched.service;
    let scraped = tokio::task::block_in_place(|| service.metrics().scrape(service, &watched.certificates));
    match scraped {
        Ok(text) => reply(StatusCode::OK, OPENMETRICS, Bytes::from(text)),
        Err(failure) => bare(StatusCode::SERVICE_UNAVAILABLE, &failure.to_string()),
    }
}

/// 200 while every local part is in order and the seal is in force, else 503: what a load balancer asks.
fn health(watched: &Watched) -> Answer {
    let service = &watched.service;
    let probes = tokio::task::block_in_place(|| crate::watch::local(service));
    let mut parts: Vec<serde_json::Value> = probes
        .iter()
        .map(|probe| serde_json::json!({"part": probe.id, "ok": probe.problem.is_none(), "problem": probe.problem}))
        .collect();
    let sealed = service.seal_in_force();
    let problem = (!sealed).then_some("the seal's certificate is revoked, expired, or without a current CRL");
    parts.push(serde_json::json!({"part": "seal", "ok": sealed, "problem": problem}));
    let well = sealed && probes.iter().all(|probe| probe.problem.is_none());
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // No part: an older policy decides as well, and an alarm tells of it.
    let policy = service.policy();
    let policy = serde_json::json!({
        "sha256": Hex32(policy.digest()).to_hex(),
        "grants": policy.grants_count(),
        "problem": service.policy_problem().as_deref(),
    });
    let version = env!("CARGO_PKG_VERSION");
    let body = serde_json::json!({"ok": well, "version": version, "parts": parts, "policy": policy});
    reply(status, "application/json", Bytes::from(format!("{body}\n")))
}

const CONNECTION_TIME_MAX: Duration = Duration::from_secs(60);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
