//! A remote decision point, asked over mutual TLS: AuthZEN 1.0's access evaluation. Whatever it does, nobody is let in without its yes.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use uam::Question;
use uam::authzen::{self, HttpAnswer, Verdict};

use crate::config::RemoteDecisions;
use crate::service::Failure;
use crate::transport::{self, ClientIdentity, SetupError};
use crate::trust::{self, TrustError};

/// Where decisions are had, if not by the policy file's grants.
pub struct RemoteAuthorizer {
    http: reqwest::Client,
    url: String,
    timeout: Duration,
    problem: ArcSwapOption<String>,
}

/// Why a decision point cannot be used as configured; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Files of certificates and keys.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// They make no TLS client.
    #[error("uam.remote: {0}")]
    Tls(#[from] SetupError),
    /// Not over TLS.
    #[error("uam.remote.url: {0}; expected https: who decides is to be known, and who asks")]
    Plain(String),
}

impl RemoteAuthorizer {
    /// Reads certificates and key.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn read(config: &RemoteDecisions) -> Result<Self, RemoteError> {
        if !config.url.starts_with("https://") {
            return Err(RemoteError::Plain(config.url.clone()));
        }
        let anchors = config.anchors.iter().map(|path| trust::read(path)).collect::<Result<Vec<_>, _>>()?;
        let certificate = trust::read(&config.certificate)?;
        let key = zeroize::Zeroizing::new(trust::read(&config.key)?);
        let identity = ClientIdentity { certificate_pem: &certificate, key_pem: &key };
        let timeout = Duration::from_secs(config.timeout_seconds.max(1));
        let http = transport::client(&anchors, Some(identity), timeout)?;
        Ok(Self { http, url: config.url.clone(), timeout, problem: ArcSwapOption::empty() })
    }

    /// Asks, once, and waits no longer than `uam.remote.timeout_seconds` for the whole answer.
    ///
    /// # Errors
    /// Away (SOA-02002, to be tried again): no answer, or none that can be believed. The sender is neither granted nor denied, and
    /// nothing of his was accepted.
    pub async fn ask(&self, question: &Question<'_>, policy_digest: [u8; 32]) -> Result<Verdict, Failure> {
        let asked = tokio::time::timeout(self.timeout, self.exchange(question, policy_digest)).await;
        let asked = asked.unwrap_or_else(|_| Err(format!("no answer within {} s", self.timeout.as_secs())));
        self.problem.store(asked.as_ref().err().map(|problem| Arc::new(problem.clone())));
        asked.map_err(|problem| {
            tracing::error!(event = "uam.remote-failed", problem = %problem.escape_debug());
            Failure::away("uam.remote.away", &problem)
        })
    }

    /// What was wrong with the last answer, for health checks.
    pub fn problem(&self) -> Option<Arc<String>> {
        self.problem.load_full()
    }

    async fn exchange(&self, question: &Question<'_>, policy_digest: [u8; 32]) -> Result<Verdict, String> {
        let request_id = uuid::Uuid::new_v4().to_string();
        let sent = self.http.post(&self.url).header("content-type", "application/json");
        let sent = sent.header("accept", "application/json").header(REQUEST_ID, &request_id);
        let broken = |error: reqwest::Error| transport::chain(&error.without_url());
        let mut answer = sent.body(authzen::request(question)).send().await.map_err(broken)?;
        let body = transport::body_within(&mut answer, ANSWER_BYTES_MAX).await.map_err(broken)?;
        let body = body.ok_or_else(|| format!("an answer of more than {ANSWER_BYTES_MAX} bytes"))?;
        // One that cannot be read is another one.
        let named = answer.headers().get(REQUEST_ID).map(|value| value.to_str().unwrap_or("\u{0}"));
        let answer = HttpAnswer { status: answer.status().as_u16(), request_id: named, body: &body };
        Verdict::read(&request_id, answer, policy_digest)
            .map_err(|error| format!("{}: {error}", error.code()))
    }
}

const REQUEST_ID: &str = "x-request-id";
/// The longest answer: a yes or no, and what a decision point says of it.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
