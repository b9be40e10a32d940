//! A stand-in decision point: AuthZEN 1.0's access evaluation over mutual TLS, with code of its own on both sides of the wire.
//!
//! It permits what its table names and does, when told so, what a bad one does.
//!
//! Source: OpenID AuthZEN Authorization API 1.0 §6 and §10.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// How it behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Behaviour {
    /// As it should.
    Honest,
    /// It never answers.
    Silent,
    /// It answers under another request's id.
    OtherRequest,
    /// Its answer has no end that anybody would wait for.
    Oversized,
    /// It says yes in words that are no evaluation response.
    Babbling,
    /// It fails.
    Broken,
}

/// A decision point.
pub struct DecisionPoint {
    /// What is permitted: application and action.
    permitted: Vec<(String, String)>,
    state: Mutex<State>,
}

struct State {
    behaviour: Behaviour,
    asked: Vec<Value>,
}

impl DecisionPoint {
    /// One that permits these actions to these applications.
    pub fn new(permitted: Vec<(String, String)>) -> Arc<Self> {
        let state = Mutex::new(State { behaviour: Behaviour::Honest, asked: Vec::new() });
        Arc::new(Self { permitted, state })
    }

    /// From now on it does so.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).behaviour = behaviour;
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Value> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }

    /// Serves until the listener fails, to clients under `clients` (PEM, an authority) alone.
    ///
    /// # Errors
    /// The certificates, or the listener's.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        certificate: &Path,
        key: &Path,
        clients: &Path,
    ) -> io::Result<()> {
        let acceptor = TlsAcceptor::from(Arc::new(tls(certificate, key, clients).map_err(io::Error::other)?));
        loop {
            let (stream, _) = listener.accept().await?;
            let (acceptor, point) = (acceptor.clone(), self.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = hyper::service::service_fn(move |request| answer(point.clone(), request));
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                if let Err(error) = served {
                    tracing::debug!(event = "dev.pdp.connection", %error);
                }
            });
        }
    }

    fn evaluate(&self, asked: &Value) -> Option<bool> {
        let text = |pointer: &str| asked.pointer(pointer).and_then(Value::as_str);
        let (kind, id) = (text("/subject/type")?, text("/subject/id")?);
        let (action, _) = (text("/action/name")?, (text("/resource/type")?, text("/resource/id")?));
        let named = |(application, permitted): &(String, String)| application == id && permitted == action;
        Some(kind == "application" && self.permitted.iter().any(named))
    }
}

fn tls(
    certificate: &Path,
    key: &Path,
    clients: &Path,
) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let provider = Arc::new(rustls_openssl::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_file_iter(clients)? {
        roots.add(authority?)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?)
}

type Answer = Response<Full<Bytes>>;

async fn answer(point: Arc<DecisionPoint>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let plain = |status: StatusCode| {
        let mut response = Response::new(Full::new(Bytes::new()));
        *response.status_mut() = status;
        response
    };
    let json_asked = request.headers().get("content-type").is_some_and(|kind| kind == "application/json");
    if request.method() != Method::POST || request.uri().path() != "/access/v1/evaluation" || !json_asked {
        return Ok(plain(StatusCode::BAD_REQUEST));
    }
    let mut request_id = request.headers().get("x-request-id").cloned();
    let Ok(body) = request.into_body().collect().await else { return Ok(plain(StatusCode::BAD_REQUEST)) };
    let Ok(asked) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        return Ok(plain(StatusCode::BAD_REQUEST));
    };
    let behaviour = {
        let mut state = point.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked.push(asked.clone());
        state.behaviour
    };
    let Some(decision) = point.evaluate(&asked) else { return Ok(plain(StatusCode::BAD_REQUEST)) };
    let text = match behaviour {
        Behaviour::Honest | Behaviour::OtherRequest => {
            json!({"decision": decision, "context": {"id": "stand-in"}}).to_string()
        }
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Oversized => format!("{{\"decision\":true,\"padding\":\"{}\"}}", "x".repeat(1 << 20)),
        Behaviour::Babbling => "{\"decision\":\"yes\",\"permit\":true}".to_owned(),
        Behaviour::Broken => return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR)),
    };
    if behaviour == Behaviour::OtherRequest {
        request_id = Some(hyper::header::HeaderValue::from_static("another"));
    }
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response
        .headers_mut()
        .insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    if let Some(request_id) = request_id {
        response.headers_mut().insert("x-request-id", request_id);
    }
    Ok(response)
}
