//! The e-Box, for citizens and enterprises: MessageRegistry REST v3, preferences and consents, OAuth2.
//!
//! One API serves both kinds of box; the two channels share its address, its token and this code, and differ in the recipient's
//! identifier and in who is asked about him.

mod oauth;
mod profile;
mod publish;
pub use publish::idempotency_key;
mod status;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use erds::{ChannelName, EboxCheck, Recipient, Refusal, Submission};
use jiff::Timestamp;
use pki::signer::Signer;

pub use oauth::{TokenSetup, WrongKey};

use crate::transport::{Body, HttpRequest, HttpResponse, Method, Transport, TransportError, TransportFault};
use crate::{
    Away, Channel, ContentSource, Facts, InquireError, Item, Outcome, PollError, Published, ReadStatus,
};

/// Where the e-Box is and how its fields are filled.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Base address of the registry, up to and without `/messageRegistry/…`.
    pub registry_url: String,
    /// Base address of preferences and consents.
    pub profile_url: String,
    /// Access tokens.
    pub token: TokenSetup,
    /// Document type to message type.
    pub message_types: BTreeMap<String, String>,
    /// The message type of every other document type.
    pub default_message_type: String,
    /// The subject's language where the sender names none, or one that the e-Box lacks.
    pub default_language: SubjectLanguage,
    /// Quality codes under which an enterprise's own box is meant. Every other one is a mandatary's, for which REST has no field.
    pub enterprise_qualities: Vec<String>,
    /// Largest file that the registry takes.
    pub attachment_bytes_max: u64,
}

/// The languages of a subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SubjectLanguage {
    /// Dutch.
    Nl,
    /// French.
    Fr,
    /// German.
    De,
}

impl SubjectLanguage {
    /// `nl`, `fr` or `de`; nothing else is one.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "nl" => Some(Self::Nl),
            "fr" => Some(Self::Fr),
            "de" => Some(Self::De),
            _ => None,
        }
    }
}

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// Fills with unpredictable bytes; `false` when it cannot.
pub type Random = Arc<dyn Fn(&mut [u8]) -> bool + Send + Sync>;

/// Time and randomness, given by the caller.
#[derive(Clone)]
pub struct Ambient {
    /// The clock.
    pub clock: Clock,
    /// Fills with unpredictable bytes, or says that it cannot.
    pub random: Random,
}

impl Ambient {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn random16(&self) -> Result<[u8; 16], Away> {
        let mut bytes = [0; 16];
        match (self.random)(&mut bytes) {
            true => Ok(bytes),
            false => Err(judged_away("delivery.random", "the system gives no random bytes".into())),
        }
    }
}

/// The two e-Box channels over one API.
pub struct Ebox {
    setup: Setup,
    transport: Arc<dyn Transport>,
    tokens: oauth::Tokens,
    ambient: Ambient,
}

impl Ebox {
    /// Takes the API's address, our credentials and the way there; asks nothing yet.
    ///
    /// # Errors
    /// `WrongKey`: the credentials are not RSA.
    pub fn new(
        setup: Setup,
        signer: Arc<dyn Signer>,
        transport: Arc<dyn Transport>,
        ambient: Ambient,
    ) -> Result<Arc<Self>, WrongKey> {
        let tokens = oauth::Tokens::new(setup.token.clone(), signer, transport.clone(), ambient.clone())?;
        Ok(Arc::new(Self { setup, transport, tokens, ambient }))
    }

    /// The citizens' channel.
    pub fn citizen(self: &Arc<Self>) -> EboxChannel {
        EboxChannel { name: ChannelName::EboxCitizen, ebox: self.clone() }
    }

    /// The enterprises' channel.
    pub fn enterprise(self: &Arc<Self>) -> EboxChannel {
        EboxChannel { name: ChannelName::EboxEnterprise, ebox: self.clone() }
    }

    /// Whether the token endpoint gives us a token now: for DEEP health checks.
    ///
    /// # Errors
    /// [`Away`]: why not.
    pub async fn probe(&self) -> Result<(), Away> {
        match self.tokens.current().await {
            Ok(_) => Ok(()),
            Err(CallError::Unauthorised(away) | CallError::Away(away) | CallError::Ours(away)) => Err(away),
        }
    }

    /// Sends with a token, and once more with a new one where that was refused (401, 403).
    async fn call(
        &self,
        make: impl Fn(String) -> Result<HttpRequest, Away> + Send + Sync,
    ) -> Result<HttpResponse, CallError> {
        let token = self.tokens.current().await?;
        let answer = self.send(make(bearer(&token)).map_err(CallError::Ours)?).await?;
        if !refused(&answer) {
            return Ok(answer);
        }
        let token = self.tokens.instead_of(&token).await?;
        let answer = self.send(make(bearer(&token)).map_err(CallError::Ours)?).await?;
        match refused(&answer) {
            false => Ok(answer),
            true => Err(CallError::Unauthorised(answer_away("delivery.ebox.unauthorised", &answer))),
        }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        self.transport.send(request).await.map_err(|error| transport_away(&error))
    }

    async fn ask(&self, base: &str, path: &str, question: Bytes) -> Result<HttpResponse, CallError> {
        let url = address(base, path);
        self.call(|authorization| {
            Ok(HttpRequest {
                method: Method::Post,
                url: url.clone(),
                headers: vec![("accept", "application/json".into()), ("authorization", authorization)],
                body: Body::Bytes { content_type: "application/json", bytes: question.clone() },
            })
        })
        .await
    }
}

/// One of the two channels.
#[derive(Clone)]
pub struct EboxChannel {
    name: ChannelName,
    ebox: Arc<Ebox>,
}

#[async_trait]
impl Channel for EboxChannel {
    fn name(&self) -> ChannelName {
        self.name
    }

    async fn inquire(&self, recipient: &Recipient, check: EboxCheck) -> Result<Facts, InquireError> {
        profile::inquire(&self.ebox, recipient, check).await
    }

    fn can_carry(&self, submission: &Submission, part_bytes: &[u64]) -> Result<(), Refusal> {
        publish::can_carry(&self.ebox.setup, self.name, submission, part_bytes)
    }

    async fn consign(&self, item: &Item, content: &dyn ContentSource) -> Outcome {
        publish::publish(&self.ebox, self.name, item, content).await
    }

    async fn poll_read(&self, asked: &[Published]) -> Result<Vec<ReadStatus>, PollError> {
        status::poll_read(&self.ebox, asked).await
    }
}

/// Why a call gave no answer to judge.
pub(crate) enum CallError {
    Unauthorised(Away),
    Away(Away),
    Ours(Away),
}

impl CallError {
    fn into_away(self) -> Away {
        match self {
            Self::Unauthorised(away) | Self::Away(away) | Self::Ours(away) => away,
        }
    }
}

/// The identifier by which the e-Box knows a recipient.
fn box_of(recipient: &Recipient) -> &str {
    match recipient {
        Recipient::Citizen { inss, .. } => inss.digits(),
        Recipient::Enterprise { company, .. } => company.digits(),
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn refused(answer: &HttpResponse) -> bool {
    matches!(answer.status, 401 | 403)
}

fn address(base: &str, path: &str) -> String {
    format!("{}{path}", base.trim_end_matches('/'))
}

fn transport_away(error: &TransportError) -> CallError {
    let away = Away {
        code: error.fault.code(),
        detail: one_line(&error.detail),
        retry_after_seconds: None,
        maybe_published: matches!(
            error.fault,
            TransportFault::Timeout | TransportFault::Interrupted | TransportFault::AnswerTooLong
        ),
    };
    match error.fault {
        TransportFault::ContentUnreadable => CallError::Ours(away),
        _ => CallError::Away(away),
    }
}

fn judged_away(code: &'static str, detail: String) -> Away {
    Away { code, detail, retry_after_seconds: None, maybe_published: false }
}

/// An answer that is no verdict: its status and code, the time it asks us to wait, never its free text.
fn answer_away(code: &'static str, answer: &HttpResponse) -> Away {
    let stated = serde_json::from_slice::<wire::ErrorAnswer>(&answer.body).ok().and_then(|error| error.code);
    let detail = match stated {
        Some(stated) => format!("HTTP status {}, code {}", answer.status, one_line(&stated)),
        None => format!("HTTP status {}", answer.status),
    };
    Away {
        code,
        detail,
        retry_after_seconds: answer.header("retry-after").and_then(|seconds| seconds.trim().parse().ok()),
        maybe_published: answer.status >= 500,
    }
}

/// Bounded and without control characters, so that no answer can forge a log line.
fn one_line(text: &str) -> String {
    text.chars().flat_map(char::escape_debug).take(DETAIL_CHARACTERS_MAX).collect()
}

fn expiry(stated: Option<&str>) -> Option<Timestamp> {
    stated.and_then(|text| text.parse().ok())
}

const DETAIL_CHARACTERS_MAX: usize = 300;
