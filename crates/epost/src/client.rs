//! The sender's side of the contract: signs, sends, reads what comes back.
//!
//! Files are streamed; a broken connection is repaired by sending again with the same Token, which the service answers with
//! the same receipt.

mod answer;
mod connection;
mod content;
mod local;
mod settings;

use std::time::Duration;

use crate::transport::chain;
use erds::{ChannelName, Submission, Ticket};
use jiff::Timestamp;
use pki::signer::FileSigner;
use soap::message::v2;
use soap::message::{write_get_proof_request, write_get_status_request, write_send_document_request};
use soap::multipart::{OutgoingPart, Writer};
use soap::wss::client::{SignOptions, SignRequestError, sign_request};

pub use answer::{AnswerError, EvidenceFiles, Fault, PackageFile, ProofFiles, StatusAnswer};
pub use connection::Connection;
pub use content::{ContentFile, Progress};
pub use local::{SentLog, save, save_evidence, save_package};
pub use settings::{Settings, SettingsError};
pub use soap::message::v2::{ItemSearch, SearchBy};
pub use soap::message::{ItemName, ProofForm, ProofKind};

/// Why nothing came of a request.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The sender's own files and options.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file to send cannot be read, or changed while it was sent.
    #[error("client.file: {path}: {cause}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The message could not be signed.
    #[error("client.sign: {0}")]
    Sign(#[from] SignRequestError),
    /// The request could not be written.
    #[error("client.multipart: {0}")]
    Multipart(#[from] soap::multipart::WriteError),
    /// The service cannot be reached, or the connection broke.
    #[error("client.connection: {0}")]
    Connection(String),
    /// The service ended the TLS handshake.
    #[error(
        "client.tls.refused: {0}; is the certificate one that the service's authorities issued, and is --tls-ca the service's own?"
    )]
    TlsRefused(String),
    /// Something answered that is not the service, or not with SOAP.
    #[error(
        "client.http: HTTP status {status} without a SOAP message; is {endpoint} the service's address, and this sender known to it?"
    )]
    Http {
        /// The status.
        status: u16,
        /// The address.
        endpoint: String,
    },
    /// The answer is not what the contract says.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The item has no such proof, or none yet.
    #[error("client.proof.absent: {ticket} is {status} and has no such proof{}", if status == "PENDING" { " yet" } else { "" })]
    ProofAbsent {
        /// The item.
        ticket: String,
        /// Its status.
        status: String,
    },
    /// The service refused.
    #[error("{}: {}", .0.code, .0.message)]
    Refused(Fault),
}

impl ClientError {
    /// The stable code: the service's own for a refusal.
    pub fn code(&self) -> &str {
        match self {
            Self::Settings(error) => error.code(),
            Self::File { .. } => "client.file",
            Self::Sign(error) => error.code(),
            Self::Multipart(error) => error.code(),
            Self::Connection(_) => "client.connection",
            Self::TlsRefused(_) => "client.tls.refused",
            Self::Http { .. } => "client.http",
            Self::Answer(error) => error.code(),
            Self::ProofAbsent { .. } => "client.proof.absent",
            Self::Refused(fault) => &fault.code,
        }
    }

    /// Whether the same request may succeed later: exit code 2.
    pub fn may_succeed_later(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Answer(_) => true,
            Self::Http { status, .. } => *status >= 500 || *status == 429,
            Self::Refused(fault) => fault.retry.unwrap_or(fault.provider),
            Self::ProofAbsent { status, .. } => status == "PENDING",
            Self::TlsRefused(_)
            | Self::Settings(_)
            | Self::File { .. }
            | Self::Sign(_)
            | Self::Multipart(_) => false,
        }
    }
}

/// HTTPS with the settings' certificate, to who leads to `tls_ca` alone.
fn https(settings: &Settings, signer: &FileSigner) -> Result<reqwest::Client, SettingsError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(settings.tls(signer)?)
        .https_only(true)
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(120))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|cause| SettingsError::Tls {
            path: settings.tls_ca.clone().unwrap_or_default(),
            cause: chain(&cause),
        })
}

/// A sender's connection to the service.
pub struct Client {
    http: reqwest::Client,
    endpoint: String,
    signer: FileSigner,
    language: String,
    progress: Progress,
    clock: fn() -> Timestamp,
}

impl Client {
    /// Reads the sender's files; opens no connection yet. Faults are told in `language` where the service speaks it.
    ///
    /// # Errors
    /// [`SettingsError`]: the user's to mend.
    pub fn new(
        settings: &Settings,
        language: &str,
        progress: Progress,
        clock: fn() -> Timestamp,
    ) -> Result<Self, SettingsError> {
        let endpoint = settings.endpoint()?.trim_end_matches('/').to_owned();
        let signer = settings.signer()?;
        let http = https(settings, &signer)?;
        Ok(Self { http, endpoint, signer, language: language.to_owned(), progress, clock })
    }

    /// The service's address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Sends an item and gives its receipt; `files` are the document and the annexes in order.
    ///
    /// A broken connection is tried again, three times in all, with the same Token: the item is sent once whatever happens.
    ///
    /// # Errors
    /// [`ClientError`]; after `Connection` the item may have been accepted: the same Token tells.
    pub async fn send(
        &self,
        submission: &Submission,
        files: &[ContentFile],
    ) -> Result<ProofFiles, ClientError> {
        self.send_by(submission, &[], files).await
    }

    /// The same by these channels; what contract A does not know, channels or what stands beside them, goes by contract B's submit.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_by(
        &self,
        submission: &Submission,
        channels: &[ChannelName],
        files: &[ContentFile],
    ) -> Result<ProofFiles, ClientError> {
        let submits = !channels.is_empty() || !submission.beside.is_nothing();
        let (endpoint, payload) = if submits {
            (self.endpoint_of_contract_b(), v2::write_submit_request(submission, &[], channels))
        } else {
            (self.endpoint.clone(), write_send_document_request(submission))
        };
        let parts: Vec<OutgoingPart> = submission
            .parts()
            .zip(files)
            .map(|(part, file)| OutgoingPart {
                content_id: part.content_id.clone(),
                content_type: part.mime.clone().unwrap_or_else(|| "application/octet-stream".to_owned()),
                bytes: file.bytes,
            })
            .collect();
        let mut attempt = 1;
        loop {
            let outcome = self.post(&endpoint, &payload, &parts, files).await;
            match outcome {
                Err(ClientError::Connection(why)) if attempt < ATTEMPTS_MAX => {
                    eprintln!("the connection broke ({why}); sending again with the same token");
                    tokio::time::sleep(Duration::from_secs(1 << attempt)).await;
                    attempt += 1;
                }
                outcome => {
                    let answer = outcome?;
                    return Ok(if submits { answer.submitted() } else { answer.receipt() }?);
                }
            }
        }
    }

    /// Asks for an item's status.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self, ticket: &Ticket) -> Result<StatusAnswer, ClientError> {
        let answer = self.post(&self.endpoint, &write_get_status_request(ticket), &[], &[]).await?;
        Ok(answer.status()?)
    }

    /// Fetches a proof with its CRLs (contract B, at the same address).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn proof(&self, of: &ItemName, kind: ProofKind) -> Result<ProofFiles, ClientError> {
        self.ask(&write_get_proof_request(of, kind, ProofForm::Seal)).await?.proof()
    }

    /// Fetches a proof as ERDS evidence, with its CRLs (contract B, at the same address).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn evidence(&self, of: &ItemName, kind: ProofKind) -> Result<EvidenceFiles, ClientError> {
        self.ask(&write_get_proof_request(of, kind, ProofForm::Evidence)).await?.evidence()
    }

    /// Fetches the package of a proof, which holds all that a third party needs (contract B, at the same address).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn package(&self, of: &ItemName, kind: ProofKind) -> Result<PackageFile, ClientError> {
        self.ask(&write_get_proof_request(of, kind, ProofForm::Package)).await?.package()
    }

    /// Asks what became of an item: one page, from event number `first` on (contract B).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn history(&self, ticket: &Ticket, first: u64) -> Result<v2::DeliveryHistory, ClientError> {
        Ok(self.ask(&v2::write_get_delivery_history_request(ticket, first)).await?.history()?)
    }

    /// Asks for the sender's own items: one page, and whether there are others behind it (contract B).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn find(&self, search: &v2::ItemSearch) -> Result<(Vec<v2::FoundItem>, bool), ClientError> {
        Ok(self.ask(&v2::write_find_items_request(search)).await?.found()?)
    }

    /// Asks who this sender is to the service; nothing is sent (contract B).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn check_connection(&self) -> Result<v2::ConnectionAnswer, ClientError> {
        Ok(self.ask(&v2::write_check_connection_request()).await?.connection()?)
    }

    /// Contract B, at the same address.
    async fn ask(&self, payload: &str) -> Result<answer::Answer, ClientError> {
        self.post(&self.endpoint_of_contract_b(), payload, &[], &[]).await
    }

    fn endpoint_of_contract_b(&self) -> String {
        let base = self.endpoint.strip_suffix("/v1").or_else(|| self.endpoint.strip_suffix("/v2"));
        format!("{}/v2", base.unwrap_or(&self.endpoint))
    }

    async fn post(
        &self,
        endpoint: &str,
        payload: &str,
        parts: &[OutgoingPart],
        files: &[ContentFile],
    ) -> Result<answer::Answer, ClientError> {
        // Signed anew each time: freshness is judged by the Timestamp, sameness by the Token and the content.
        let options =
            SignOptions { id_suffix: uuid::Uuid::new_v4().simple().to_string(), ..SignOptions::default() };
        let root = sign_request(payload, &self.signer, (self.clock)(), &options)?;
        let request = self.http.post(endpoint).header("soapaction", "\"\"");
        let request = if parts.is_empty() {
            request.header("content-type", "text/xml; charset=utf-8").body(root)
        } else {
            let layout = Writer::new(uuid::Uuid::new_v4().into_bytes()).layout(root, parts)?;
            request
                .header("content-type", &layout.content_type)
                .header("content-length", layout.total_bytes)
                .body(reqwest::Body::wrap_stream(content::stream(layout, files.to_vec(), self.progress)))
        };
        let mut response = request.send().await.map_err(|error| broke(&error, files))?;
        let status = response.status().as_u16();
        let kind =
            response.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| broke(&error, files))? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > answer::ANSWER_BYTES_MAX {
                return Err(AnswerError::Form("an answer of at most 64 MiB").into());
            }
        }
        let http = || ClientError::Http { status, endpoint: endpoint.to_owned() };
        let kind = kind.ok_or_else(http)?;
        let answer = match answer::Answer::parse(&kind, &body) {
            Ok(answer) => answer,
            Err(_) if !matches!(status, 200 | 500) => return Err(http()),
            Err(error) => return Err(error.into()),
        };
        match answer.fault(&self.language)? {
            Some(fault) => Err(ClientError::Refused(fault)),
            None => Ok(answer),
        }
    }
}

/// Why the exchange ended early: the file, the TLS handshake, or the connection, which alone is worth another try.
fn broke(error: &reqwest::Error, files: &[ContentFile]) -> ClientError {
    if let Some(changed) = changed_file(error, files) {
        return changed;
    }
    let text = chain(error);
    // rustls's own words; its error lies too deep under hyper's to be taken out by type.
    let tls = ["received fatal alert", "invalid peer certificate"].iter().any(|words| text.contains(words));
    if tls { ClientError::TlsRefused(text) } else { ClientError::Connection(text) }
}

/// A body stream that ended on a file is the file's fault, not the connection's: sending again would not help.
fn changed_file(error: &reqwest::Error, files: &[ContentFile]) -> Option<ClientError> {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::Other
            && let Some(file) =
                files.iter().find(|file| io.to_string().starts_with(&file.path.display().to_string()))
        {
            return Some(ClientError::File {
                path: file.path.clone(),
                cause: std::io::Error::other("it changed while it was sent"),
            });
        }
        cause = inner.source();
    }
    None
}

const ATTEMPTS_MAX: u32 = 3;

#[cfg(test)]
mod tests;
