//! OCSP responders, asked in the background: once when a sender is first seen, then again and again. Judgement never waits for
//! them: it takes what is at hand, and what is not at hand is not good.
//!
//! Source: RFC 6960 Appendix A.1 (HTTP POST). Only configured responders are asked, never one that a certificate names.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use pki::certificate::Certificate;
use pki::ocsp::{self, OcspError, OcspResponse, RESPONSE_BYTES_MAX};

use crate::config::Ocsp;
use crate::transport::{body_within, chain};
use crate::trust::{TrustError, read_certificates};

/// The configured responders, the certificates that were seen, and what was said of each last.
pub struct OcspClient {
    http: reqwest::Client,
    responders: Vec<Responder>,
    clock: fn() -> Timestamp,
    seen: Mutex<HashMap<[u8; 32], Seen>>,
}

struct Responder {
    issuer: Certificate,
    setup: Ocsp,
}

#[derive(Clone)]
struct Seen {
    certificate: Certificate,
    response: Option<OcspResponse>,
    ask_at: Timestamp,
}

/// Why there is no answer to keep; the responder's fault, or of who is in between.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("{0}")]
    Http(String),
    #[error(transparent)]
    Answer(#[from] OcspError),
    #[error("no nonce: {0}")]
    Random(#[from] pki::random::RandomError),
}

impl OcspClient {
    /// Reads the authorities' files; asks nothing yet.
    ///
    /// # Errors
    /// As [`read_certificates`].
    pub fn read(
        setups: &[Ocsp],
        http: reqwest::Client,
        clock: fn() -> Timestamp,
    ) -> Result<Self, TrustError> {
        let mut responders = Vec::new();
        for setup in setups {
            let issuers = read_certificates(std::slice::from_ref(&setup.issuer))?;
            responders.extend(issuers.into_iter().map(|issuer| Responder { issuer, setup: setup.clone() }));
        }
        Ok(Self { http, responders, clock, seen: Mutex::default() })
    }

    /// The last good answer about each certificate.
    pub fn responses(&self) -> Vec<OcspResponse> {
        let seen = self.seen();
        let mut kept: Vec<_> = seen.iter().collect();
        kept.sort_by_key(|(fingerprint, _)| **fingerprint);
        kept.into_iter().filter_map(|(_, seen)| seen.response.clone()).collect()
    }

    /// Asks about a certificate that was not seen yet, if a responder answers for its authority, and goes on asking from then on.
    /// Says whether there is a new answer. Waits for the responder's `timeout_seconds` at most.
    ///
    /// At most `CERTIFICATES_MAX` are kept in mind; one beyond is refused for want of an answer.
    pub async fn meet(&self, certificate: &Certificate) -> bool {
        let now = (self.clock)();
        let known = || self.seen().contains_key(&certificate.fingerprint());
        if self.responder(certificate).is_none() || certificate.not_after() < now || known() {
            return false;
        }
        {
            let mut seen = self.seen();
            if seen.len() >= CERTIFICATES_MAX {
                tracing::error!(event = "ocsp.full", limit = CERTIFICATES_MAX);
                return false;
            }
            let first = Seen { certificate: certificate.clone(), response: None, ask_at: now };
            seen.insert(certificate.fingerprint(), first);
        }
        self.ask_about(certificate).await
    }

    /// Asks again about every certificate whose answer has its age, and about those without one; forgets those that ended. Says
    /// whether there is a new answer.
    pub async fn refresh(&self) -> bool {
        let now = (self.clock)();
        let due: Vec<Certificate> = {
            let mut seen = self.seen();
            seen.retain(|_, seen| now <= seen.certificate.not_after());
            seen.values().filter(|seen| seen.ask_at <= now).map(|seen| seen.certificate.clone()).collect()
        };
        let asked = due.into_iter().map(|certificate| async move { self.ask_about(&certificate).await });
        let answered = futures_util::stream::iter(asked).buffer_unordered(QUESTIONS_MAX);
        answered.fold(false, async |any, new| any | new).await
    }

    async fn ask_about(&self, certificate: &Certificate) -> bool {
        let Some(responder) = self.responder(certificate) else { return false };
        let wait = Duration::from_secs(responder.setup.timeout_seconds);
        let answer = match tokio::time::timeout(wait, self.ask(responder, certificate)).await {
            Ok(answer) => answer,
            Err(_) => Err(AskError::Http(format!("no answer in {} s", responder.setup.timeout_seconds))),
        };
        match answer {
            Ok(response) => {
                let every = i64::try_from(responder.setup.refresh_seconds).unwrap_or(i64::MAX);
                let ask_at = (self.clock)().saturating_add(SignedDuration::from_secs(every));
                if let Some(seen) = self.seen().get_mut(&certificate.fingerprint()) {
                    seen.ask_at = ask_at.unwrap_or(Timestamp::MAX);
                    seen.response = Some(response);
                }
                true
            }
            Err(error) => {
                let error = error.to_string();
                tracing::warn!(event = "ocsp.failed", url = responder.setup.url, error = %error.escape_debug());
                false
            }
        }
    }

    async fn ask(&self, responder: &Responder, certificate: &Certificate) -> Result<OcspResponse, AskError> {
        let mut nonce = [0; 32];
        pki::random::fill(&mut nonce)?;
        let question = ocsp::request_der(certificate, &responder.issuer, &nonce)?;
        let http = |error: reqwest::Error| AskError::Http(chain(&error.without_url()));
        let asked = self.http.post(&responder.setup.url).header("content-type", "application/ocsp-request");
        let mut answer = asked.body(question).send().await.map_err(http)?;
        if !answer.status().is_success() {
            return Err(AskError::Http(format!("HTTP status {}", answer.status().as_u16())));
        }
        let body = body_within(&mut answer, RESPONSE_BYTES_MAX).await.map_err(http)?;
        let body = body.ok_or(OcspError::Size)?;
        let response = OcspResponse::from_der(&body)?;
        response.check(certificate, &responder.issuer, &nonce, (self.clock)())?;
        Ok(response)
    }

    fn responder(&self, certificate: &Certificate) -> Option<&Responder> {
        self.responders
            .iter()
            .find(|responder| responder.issuer.subject().der() == certificate.issuer().der())
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<[u8; 32], Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Certificates kept in mind: more than all senders have.
const CERTIFICATES_MAX: usize = 4096;
/// Questions at once, of a refresh.
const QUESTIONS_MAX: usize = 8;

#[cfg(test)]
mod tests;
