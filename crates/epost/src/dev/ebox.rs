//! The e-Box of the sandbox: MessageRegistry v3, status, preferences, consents and the OAuth2 server in front of them.
//!
//! A test double of the outside world, driven by the same public facts as the driver in `delivery` and sharing no code with it. Its
//! memory is its own: what it counted is gone when it stops. Control: `PUT /fault {kind, count, delay_ms}`, `PUT /read {messageId}`,
//! `GET /received`.

mod answer;
mod bearer;
mod form;
mod message;
mod registry;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use answer::{Answer, empty, error, json_answer};
use registry::Registry;

/// What the stand-in knows from the start.
#[derive(Clone, Debug)]
pub struct EboxSetup {
    /// Client id to its RSA key: a certificate or a SubjectPublicKeyInfo, DER.
    pub clients: Vec<(String, Vec<u8>)>,
    /// The audience that assertions must name.
    pub audience: String,
    /// The scopes that may be asked for, separated by blanks.
    pub scope: String,
    /// How long a bearer lasts.
    pub token_seconds: u64,
    /// Known recipients. A publication to anybody else is taken with NO_DIGITAL_USER, as the real registry does.
    pub recipients: Vec<EboxRecipient>,
    /// A 409 names the first publication. The public API does not say that it does: off is the harder case.
    pub conflict_names_message: bool,
}

/// One recipient's profile.
#[derive(Clone, Debug)]
pub struct EboxRecipient {
    /// SSIN (11 digits) or enterprise number (10 digits).
    pub identifier: String,
    /// The box exists (enterprise) or was consented to (citizen).
    pub activated: bool,
    /// The box is the only way.
    pub exclusively: bool,
    /// Somebody opened the box before.
    pub opened: bool,
}

/// Serves until the listener fails; each connection runs on its own.
///
/// # Errors
/// A client key that is not RSA (`InvalidInput`), or the listener's error.
pub async fn serve(listener: TcpListener, setup: EboxSetup) -> io::Result<()> {
    let mut clients = HashMap::new();
    for (client_id, der) in &setup.clients {
        let key = bearer::client_key(der).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        clients.insert(client_id.clone(), key);
    }
    let authority =
        bearer::Authority::new(clients, setup.audience.clone(), &setup.scope, setup.token_seconds);
    let house =
        Arc::new(Mutex::new(House { authority, registry: Registry::new(&setup), faults: Vec::new() }));
    loop {
        let (stream, _) = listener.accept().await?;
        let house = house.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| answer_one(house.clone(), request));
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(event = "dev.ebox.connection", %error);
            }
        });
    }
}

struct House {
    authority: bearer::Authority,
    registry: Registry,
    faults: Vec<Fault>,
}

/// A fault to be had by the next `count` requests that it concerns.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    kind: String,
    #[serde(default = "once")]
    count: u64,
    #[serde(default)]
    delay_ms: u64,
}

fn once() -> u64 {
    1
}

/// The connection is cut instead of answered.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the answer is lost on purpose")
    }
}

impl std::error::Error for Cut {}

/// The faults of publication; `status-NNN` besides.
const PUBLISH_FAULTS: [&str; 6] =
    ["latency", "unauthorized", "conflict", "lost-answer", "no-digital-user", "read-later"];
const OTHER_FAULTS: [&str; 4] = ["token-away", "token-refused", "profile-away", "status-away"];

impl House {
    fn take_fault(&mut self, concerns: impl Fn(&str) -> bool) -> Option<Fault> {
        let fault = self.faults.iter_mut().find(|fault| fault.count > 0 && concerns(&fault.kind))?;
        fault.count -= 1;
        let taken = fault.clone();
        self.faults.retain(|fault| fault.count > 0);
        Some(taken)
    }
}

async fn answer_one(house: Arc<Mutex<House>>, request: Request<Incoming>) -> Result<Response<Answer>, Cut> {
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::PUT, "/fault") => Ok(control(&house, request, set_fault).await),
        (&Method::PUT, "/read") => {
            Ok(control(&house, request, |house, body| house.registry.mark_read(body)).await)
        }
        (&Method::GET, "/received") => Ok(json_answer(200, &lock(&house).registry.received())),
        (&Method::POST, path) if path.ends_with("/token") => token(&house, request).await,
        (&Method::POST, path) if path.ends_with("/messageRegistry/v3/ebox/messages") => {
            publish(&house, request).await
        }
        (&Method::POST, path) if path.ends_with("/searchMessageStatus") => {
            search(&house, request, "status-away", 201, |registry, body| registry.status(body)).await
        }
        (&Method::POST, path) if path.ends_with("/eboxPreferences/search") => {
            search(&house, request, "profile-away", 200, |registry, body| registry.preferences(body)).await
        }
        (&Method::POST, path) if path.ends_with("/citizenEboxConsents/search") => {
            search(&house, request, "profile-away", 200, |registry, body| registry.consents(body)).await
        }
        _ => Ok(error(404, "NOT_FOUND", "no such operation")),
    }
}

async fn control(
    house: &Mutex<House>,
    request: Request<Incoming>,
    change: impl FnOnce(&mut House, &[u8]) -> Result<(), String>,
) -> Response<Answer> {
    let Some(body) = collect(request.into_body()).await else { return error(400, "CONTROL", "no body") };
    match change(&mut lock(house), &body) {
        Ok(()) => empty(204),
        Err(why) => error(400, "CONTROL", &why),
    }
}

fn set_fault(house: &mut House, body: &[u8]) -> Result<(), String> {
    let fault: Fault = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let known = PUBLISH_FAULTS.contains(&fault.kind.as_str())
        || OTHER_FAULTS.contains(&fault.kind.as_str())
        || status_of(&fault.kind).is_some();
    if !known {
        return Err(format!(
            "kind: {}, {}, status-400 to status-599",
            PUBLISH_FAULTS.join(", "),
            OTHER_FAULTS.join(", ")
        ));
    }
    // A count of 0 takes the fault back.
    house.faults.retain(|other| other.kind != fault.kind);
    house.faults.push(fault);
    Ok(())
}

fn status_of(kind: &str) -> Option<u16> {
    let status = kind.strip_prefix("status-")?.parse().ok()?;
    (400..600).contains(&status).then_some(status)
}

async fn token(house: &Mutex<House>, request: Request<Incoming>) -> Result<Response<Answer>, Cut> {
    let Some(body) = collect(request.into_body()).await else { return Err(Cut) };
    let fault = lock(house).take_fault(|kind| kind.starts_with("token-"));
    if let Some(fault) = fault {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
        return Ok(match fault.kind.as_str() {
            "token-refused" => {
                json_answer(401, &json!({"error": "invalid_client", "error_description": "on purpose"}))
            }
            _ => error(503, "UNAVAILABLE", "on purpose"),
        });
    }
    let mut house = lock(house);
    let granted = house.authority.grant(&body, Timestamp::now());
    Ok(match granted {
        Ok(bearer) => json_answer(
            200,
            &json!({"access_token": bearer, "token_type": "bearer", "expires_in": house.authority.token_seconds}),
        ),
        Err(denied) => {
            let status = if denied.error == "invalid_client" { 401 } else { 400 };
            json_answer(status, &json!({"error": denied.error, "error_description": denied.description}))
        }
    })
}

async fn search(
    house: &Mutex<House>,
    request: Request<Incoming>,
    fault_kind: &str,
    status: u16,
    find: impl FnOnce(&mut Registry, &[u8]) -> Result<Value, String>,
) -> Result<Response<Answer>, Cut> {
    let authorization = header(&request, "authorization");
    let Some(body) = collect(request.into_body()).await else { return Err(Cut) };
    let fault = lock(house).take_fault(|kind| kind == fault_kind);
    if let Some(fault) = fault {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
        return Ok(error(503, "UNAVAILABLE", "on purpose"));
    }
    let mut house = lock(house);
    if !house.authority.admits(authorization.as_deref(), Timestamp::now()) {
        return Ok(error(401, "UNAUTHORIZED", "no bearer in force"));
    }
    Ok(match find(&mut house.registry, &body) {
        Ok(found) => json_answer(status, &found),
        Err(why) => error(400, "INVALID_INPUT", &why),
    })
}

async fn publish(house: &Mutex<House>, request: Request<Incoming>) -> Result<Response<Answer>, Cut> {
    let authorization = header(&request, "authorization");
    let key = header(&request, "idempotency-key");
    let content_type = header(&request, "content-type").unwrap_or_default();
    lock(house).registry.count_post(key.as_deref());
    // Always to the end: a client that still writes would hear a broken connection instead of the answer.
    let Some(form) = read_form(request.into_body(), &content_type).await else { return Err(Cut) };
    let (answered, delay, lost) = {
        let mut house = lock(house);
        if !house.authority.admits(authorization.as_deref(), Timestamp::now()) {
            return Ok(error(401, "UNAUTHORIZED", "no bearer in force"));
        }
        let fault = house.take_fault(|kind| PUBLISH_FAULTS.contains(&kind) || status_of(kind).is_some());
        let kind = fault.as_ref().map_or("", |fault| fault.kind.as_str());
        let delay = Duration::from_millis(fault.as_ref().map_or(0, |fault| fault.delay_ms));
        let answered = match (kind, status_of(kind)) {
            (_, Some(status)) => error(status, "ON_PURPOSE", "on purpose"),
            ("unauthorized", _) => {
                house.authority.revoke_all();
                error(401, "UNAUTHORIZED", "no bearer in force")
            }
            _ => house.registry.publish(key.as_deref(), form, kind, delay),
        };
        // A delayed reading is no delayed answer.
        (answered, if kind == "read-later" { Duration::ZERO } else { delay }, kind == "lost-answer")
    };
    tokio::time::sleep(delay).await;
    if lost { Err(Cut) } else { Ok(answered) }
}

async fn read_form(mut body: Incoming, content_type: &str) -> Option<Result<form::Form, String>> {
    let mut reader = form::Reader::new(content_type);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        let fed = match &mut reader {
            Ok(reader) => reader.feed(&data),
            Err(_) => Ok(()),
        };
        if let Err(why) = fed {
            reader = Err(why);
        }
    }
    Some(reader.and_then(form::Reader::finish))
}

async fn collect(mut body: Incoming) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            if bytes.len() + data.len() > BODY_BYTES_MAX {
                return None;
            }
            bytes.extend_from_slice(&data);
        }
    }
    Some(bytes)
}

fn header(request: &Request<Incoming>, name: &str) -> Option<String> {
    request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn lock(house: &Mutex<House>) -> std::sync::MutexGuard<'_, House> {
    house.lock().unwrap_or_else(PoisonError::into_inner)
}

const BODY_BYTES_MAX: usize = 1024 * 1024;
