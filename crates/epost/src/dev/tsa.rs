//! A time-stamping authority (RFC 3161 over HTTP) that tells the truth until it is told to lie.
//!
//! `POST /` takes `application/timestamp-query`; `PUT /fault` {kind, count, delay_ms} sets what goes wrong next; `GET /issued`
//! tells how many tokens were given. Loopback only: nothing here is protected.

mod fault;
mod request;
mod token;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request as HttpRequest, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use openssl::x509::X509;
use tokio::net::TcpListener;

use super::authority::{self, DAY_SECONDS, Identity, Use, Validity};
use super::pki::{Pki, PkiError};
use request::{FailInfo, Request};

pub use fault::{Fault, Kind, Lie};

/// The policies that the stand-in serves; the first is its default.
pub const POLICIES: [&str; 2] = ["1.2.3.4.1", "1.2.3.4.2"];

/// Keys, certificates and settings of the stand-in.
pub struct TsaSetup {
    units: Units,
    intermediate: X509,
    policies: Vec<String>,
    fractional_seconds: bool,
    clock: fn() -> Timestamp,
}

/// The honest unit, and one for each lie that a certificate can tell.
struct Units {
    honest: Identity,
    other: Identity,
    no_eku: Identity,
    eku_not_critical: Identity,
    expired: Identity,
    unknown_ca: Identity,
}

impl TsaSetup {
    /// The stand-in of `pki`: its unit is honest; the lying ones are made here and kept in memory.
    ///
    /// # Errors
    /// OpenSSL's: ours.
    pub fn from_pki(pki: &Pki, clock: fn() -> Timestamp) -> Result<Self, PkiError> {
        let now = clock().as_second();
        let days = |from: i64, until: i64| -> Result<Validity, PkiError> {
            let at =
                |days: i64| Timestamp::from_second(now + days * DAY_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH);
            Ok(Validity { from: at(from), until: at(until) })
        };
        let subject = pki.tsa.certificate.subject_name().to_owned()?;
        let made_for = |issuer: &Identity, made_for: Use, validity: Validity| -> Result<Identity, PkiError> {
            Ok(issuer.issue(&subject, authority::p256_key()?, made_for, validity)?)
        };
        let lives = days(-1, 30)?;
        // An authority with the real one's name and another key.
        let rogue_root = authority::root("ePost test tsa root", lives)?;
        let name = pki.tsa_ca.certificate.subject_name().to_owned()?;
        let rogue = rogue_root.issue(&name, authority::p256_key()?, Use::Authority { path_len: 0 }, lives)?;
        let units = Units {
            honest: pki.tsa.clone(),
            other: made_for(&pki.tsa_ca, Use::TimeStamping, lives)?,
            no_eku: made_for(&pki.tsa_ca, Use::TimeStampingWithoutUsage, lives)?,
            eku_not_critical: made_for(&pki.tsa_ca, Use::TimeStampingNotCritical, lives)?,
            expired: made_for(&pki.tsa_ca, Use::TimeStamping, days(-40, -10)?)?,
            unknown_ca: made_for(&rogue, Use::TimeStamping, lives)?,
        };
        Ok(Self {
            units,
            intermediate: pki.tsa_ca.certificate.clone(),
            policies: POLICIES.map(str::to_owned).to_vec(),
            fractional_seconds: true,
            clock,
        })
    }

    /// genTime to the second alone, as many authorities in the field give it.
    #[must_use]
    pub fn whole_seconds(mut self) -> Self {
        self.fractional_seconds = false;
        self
    }
}

/// Serves until dropped.
pub async fn serve(listener: TcpListener, setup: TsaSetup) {
    let tsa = Arc::new(Tsa { setup, state: Mutex::new(State::default()) });
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(event = "dev.tsa.accept", %error);
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let tsa = tsa.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let tsa = tsa.clone();
                async move { Ok::<_, Infallible>(tsa.answer(request).await) }
            });
            // A client that goes away is no news of a stand-in.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

struct Tsa {
    setup: TsaSetup,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    issued: u64,
    fault: Option<Fault>,
    first_token: Option<Vec<u8>>,
}

type Answer = Response<Full<Bytes>>;

impl Tsa {
    async fn answer(&self, request: HttpRequest<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, REQUEST_BYTES_MAX).collect().await else {
            return text(StatusCode::PAYLOAD_TOO_LARGE, "at most 64 KiB\n");
        };
        let body = body.to_bytes();
        match (head.method, head.uri.path()) {
            (Method::PUT, "/fault") => self.set_fault(&body),
            (Method::GET, "/issued") => {
                let issued = self.state().issued;
                respond(StatusCode::OK, "application/json", format!("{{\"issued\":{issued}}}\n"))
            }
            (Method::POST, _) => {
                let kind = head.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
                if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/timestamp-query")) {
                    self.stamp(&body).await
                } else {
                    text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/timestamp-query, please\n")
                }
            }
            _ => text(StatusCode::NOT_FOUND, "POST / , PUT /fault or GET /issued\n"),
        }
    }

    fn set_fault(&self, body: &[u8]) -> Answer {
        match serde_json::from_slice::<Fault>(body) {
            Ok(fault) => {
                self.state().fault = (fault.kind != Kind::None && fault.count > 0).then_some(fault);
                text(StatusCode::OK, "set\n")
            }
            Err(error) => text(StatusCode::BAD_REQUEST, &format!("{error}\n")),
        }
    }

    async fn stamp(&self, body: &[u8]) -> Answer {
        let fault = self.take_fault();
        if let Some(fault) = fault {
            tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
        }
        let reply = |bytes: Vec<u8>| respond(StatusCode::OK, "application/timestamp-reply", bytes);
        let lie = match fault.map(|fault| fault.kind) {
            None | Some(Kind::None | Kind::Slow | Kind::Truncated) => None,
            Some(Kind::Lie(lie)) => Some(lie),
            Some(Kind::Down) => return text(StatusCode::SERVICE_UNAVAILABLE, "down\n"),
            Some(Kind::Hang) => return std::future::pending().await,
            Some(Kind::Reject) => return reply(token::not_granted(2, Some(FailInfo::SystemFailure))),
            Some(Kind::Waiting) => return reply(token::not_granted(3, None)),
            Some(Kind::Garbage) => return reply(b"this is no DER".to_vec()),
            Some(Kind::Oversized) => return reply(vec![0x30; 1024 * 1024]),
            Some(Kind::Html) => return respond(StatusCode::OK, "text/html", "<html>Welcome</html>"),
        };
        let mut answer = match self.issue(body, lie) {
            Ok(token) => token::granted(&token),
            Err(why) => token::not_granted(2, Some(why)),
        };
        if fault.is_some_and(|fault| fault.kind == Kind::Truncated) {
            answer.truncate(answer.len() / 2);
        }
        reply(answer)
    }

    fn issue(&self, body: &[u8], lie: Option<Lie>) -> Result<Vec<u8>, FailInfo> {
        let request = Request::parse(body)?;
        if request.policy.is_some_and(|policy| !token::serves(&self.setup, policy)) {
            return Err(FailInfo::UnacceptedPolicy);
        }
        let serial = {
            let mut state = self.state();
            state.issued += 1;
            state.issued
        };
        let now = (self.setup.clock)();
        if lie == Some(Lie::Replayed)
            && let Some(earlier) = self.state().first_token.clone()
        {
            return Ok(earlier);
        }
        let made = token::token(&self.setup, &request, serial, now, lie).map_err(|error| {
            tracing::error!(event = "dev.tsa.openssl", %error);
            FailInfo::SystemFailure
        })?;
        if lie.is_none() {
            self.state().first_token.get_or_insert_with(|| made.clone());
        }
        Ok(made)
    }

    /// The fault in force, which is used up by one.
    fn take_fault(&self) -> Option<Fault> {
        let mut state = self.state();
        let fault = state.fault?;
        state.fault = (fault.count > 1).then_some(Fault { count: fault.count - 1, ..fault });
        Some(fault)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(status: StatusCode, body: &str) -> Answer {
    respond(status, "text/plain", body.to_owned())
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    answer
}

const REQUEST_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;
