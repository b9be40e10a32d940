//! HTTP as the channels need it: a request out, an answer or a reason back. The service implements it; tests script it.

use async_trait::async_trait;
use bytes::Bytes;

use crate::multipart::Multipart;

/// One request. Headers that belong to the body (Content-Type, Content-Length) are the body's, not in `headers`.
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: Method,
    /// Absolute address.
    pub url: String,
    /// Name and value; names are lower case, values visible ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent.
    pub body: Body,
}

impl std::fmt::Debug for HttpRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No header values and no body: bearers, assertions and personal data are in them.
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        formatter
            .debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// The methods that the channels' protocols use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// Reads.
    Get,
    /// Sends.
    Post,
}

/// A request's body, with its media type.
pub enum Body {
    /// None.
    Empty,
    /// Small, at hand.
    Bytes {
        /// Its media type.
        content_type: &'static str,
        /// All of it.
        bytes: Bytes,
    },
    /// multipart/form-data with streamed parts: read it in constant memory, on a thread that may block.
    Multipart(Multipart),
}

/// An answer, read whole up to [`ANSWER_BYTES_MAX`].
#[derive(Clone, Eq, PartialEq)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// Name (lower case) and value, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl std::fmt::Debug for HttpResponse {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the body: tokens and personal data come in it.
        formatter.debug_struct("HttpResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl HttpResponse {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The most of an answer that is read; a longer one is [`TransportFault::AnswerTooLong`].
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Why no answer came. The request may have been carried out all the same, unless the fault says otherwise.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}: {detail}", fault.code())]
pub struct TransportError {
    /// What kind of failure.
    pub fault: TransportFault,
    /// What the network stack said; for logs, never for senders.
    pub detail: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TransportFault {
    /// No progress or no answer within the allowed time.
    Timeout,
    /// No connection: nothing was sent.
    Connect,
    /// The TLS handshake failed: nothing was sent.
    Tls,
    /// The connection broke on the way.
    Interrupted,
    /// The answer is longer than [`ANSWER_BYTES_MAX`].
    AnswerTooLong,
    /// Our own content could not be read to its end: our fault, not the channel's.
    ContentUnreadable,
}

impl TransportFault {
    /// Stable code for journal and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Timeout => "transport.timeout",
            Self::Connect => "transport.connect",
            Self::Tls => "transport.tls",
            Self::Interrupted => "transport.interrupted",
            Self::AnswerTooLong => "transport.answer-too-long",
            Self::ContentUnreadable => "transport.content-unreadable",
        }
    }
}

/// Carries requests. Never follows redirects and takes no proxy from the environment: the address is the configured one.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends once and waits for the whole answer; retries nothing.
    ///
    /// # Errors
    /// [`TransportError`]: no answer. Any status that came is an `Ok`.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}
