//! HTTP to the outside world: [`delivery::transport::Transport`] over reqwest and rustls.
//!
//! No redirects, no proxy from the environment, no retries, trust in the configured roots alone. Plain http is for loopback only.
//! Bodies are streamed from a thread that may block, a few chunks ahead of the network at most.

use std::error::Error as _;
use std::io::{self, Read};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use delivery::multipart::Multipart;
use delivery::transport::{
    ANSWER_BYTES_MAX, Body, HttpRequest, HttpResponse, Method, Transport, TransportError, TransportFault,
};
use hyper::body::{Frame, SizeHint};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Why outgoing connections cannot be set up; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Not PEM, or nothing in it.
    #[error(
        "transport.pem: {0}; expected PEM certificates, and a PEM key where a client certificate is configured"
    )]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// Roots, certificate or key that TLS does not take.
    #[error("transport.tls: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be made.
    #[error("transport.client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Our own certificate towards servers that ask for one.
#[derive(Clone, Copy)]
pub struct ClientIdentity<'a> {
    /// PEM: certificate, then intermediates.
    pub certificate_pem: &'a [u8],
    /// PEM: its key.
    pub key_pem: &'a [u8],
}

/// An HTTP client that trusts these PEM roots and no other. Without roots every https address fails; plain http works.
///
/// # Errors
/// `SetupError`: the operator's to mend.
pub fn client(
    anchors_pem: &[Vec<u8>],
    identity: Option<ClientIdentity<'_>>,
    connect_timeout: Duration,
) -> Result<reqwest::Client, SetupError> {
    let mut roots = RootCertStore::empty();
    for pem in anchors_pem {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate?)?;
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls_openssl::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots);
    let mut tls = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain =
                CertificateDer::pem_slice_iter(identity.certificate_pem).collect::<Result<Vec<_>, _>>()?;
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(identity.key_pem)?)?
        }
    };
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(connect_timeout)
        // Shorter than what servers usually allow, so that a pooled connection is seldom a dead one.
        .pool_idle_timeout(Duration::from_secs(15))
        .build()?;
    Ok(client)
}

/// Carries the channels' requests.
#[derive(Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
    timeout: Duration,
}

impl HttpTransport {
    /// `timeout` is the longest standstill: between two steps of an upload, and from its end to the end of the answer. An upload
    /// that moves may take longer.
    pub fn new(client: reqwest::Client, timeout: Duration) -> Self {
        Self { client, timeout }
    }

    async fn exchange(
        &self,
        request: HttpRequest,
        progress: &Arc<Progress>,
    ) -> Result<HttpResponse, TransportError> {
        let request = self.build(request, progress)?;
        let mut sending = std::pin::pin!(request.send());
        let response = loop {
            let deadline = progress.moved_at() + self.timeout;
            tokio::select! {
                sent = &mut sending => break sent.map_err(judged)?,
                () = tokio::time::sleep_until(deadline) => {
                    if progress.moved_at() + self.timeout <= Instant::now() {
                        return Err(timed_out());
                    }
                }
            }
        };
        tokio::time::timeout(self.timeout, read_answer(response)).await.unwrap_or_else(|_| Err(timed_out()))
    }

    fn build(
        &self,
        request: HttpRequest,
        progress: &Arc<Progress>,
    ) -> Result<reqwest::RequestBuilder, TransportError> {
        let url = reqwest::Url::parse(&request.url)
            .map_err(|error| fault(TransportFault::Connect, error.to_string()))?;
        if url.scheme() != "https" && !is_loopback(&url) {
            return Err(fault(TransportFault::Connect, "plain http to another machine".into()));
        }
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let mut builder = self.client.request(method, url);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        Ok(match request.body {
            Body::Empty => builder,
            Body::Bytes { content_type, bytes } => builder.header("content-type", content_type).body(bytes),
            Body::Multipart(form) => builder
                .header("content-type", form.content_type())
                .body(reqwest::Body::wrap(StreamedBody::start(form, progress.clone()))),
        })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let progress = Arc::new(Progress::new());
        let answered = self.exchange(request, &progress).await;
        // The client says only that a body failed; whose fault it was is known here.
        match (answered, progress.unreadable()) {
            (Err(_), Some(detail)) => Err(fault(TransportFault::ContentUnreadable, detail)),
            (answered, _) => answered,
        }
    }
}

async fn read_answer(mut response: reqwest::Response) -> Result<HttpResponse, TransportError> {
    let headers = response
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let status = response.status().as_u16();
    let body = body_within(&mut response, ANSWER_BYTES_MAX).await.map_err(judged)?;
    let too_long = || fault(TransportFault::AnswerTooLong, format!("more than {ANSWER_BYTES_MAX} bytes"));
    Ok(HttpResponse { status, headers, body: body.ok_or_else(too_long)?.into() })
}

/// The body of an answer, read no further than `bytes_max`; none: it is longer.
pub(crate) async fn body_within(
    answer: &mut reqwest::Response,
    bytes_max: usize,
) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn judged(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let tls = std::iter::successors(error.source(), |&cause| cause.source()).any(is_tls);
    let kind = match () {
        () if tls && error.is_connect() => TransportFault::Tls,
        () if error.is_connect() => TransportFault::Connect,
        () if error.is_timeout() => TransportFault::Timeout,
        () => TransportFault::Interrupted,
    };
    fault(kind, chain(&error))
}

/// An io::Error hides its own content from `source()`, and io::Errors lie in each other.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    match error.downcast_ref::<io::Error>() {
        Some(outer) => outer.get_ref().is_some_and(|hidden| is_tls(hidden)),
        None => error.is::<rustls::Error>(),
    }
}

fn fault(fault: TransportFault, detail: String) -> TransportError {
    TransportError { fault, detail }
}

fn timed_out() -> TransportError {
    fault(TransportFault::Timeout, "standstill".into())
}

/// When the upload last moved, and why its content could not be read.
struct Progress {
    moved_at: Mutex<Instant>,
    unreadable: Mutex<Option<String>>,
}

impl Progress {
    fn new() -> Self {
        Self { moved_at: Mutex::new(Instant::now()), unreadable: Mutex::new(None) }
    }

    fn moved_at(&self) -> Instant {
        *self.moved_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self) {
        *self.moved_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn unreadable(&self) -> Option<String> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_unreadable(&self, error: &io::Error) {
        *self.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }
}

/// A form on its way, with its exact length as Content-Length.
struct StreamedBody {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
    progress: Arc<Progress>,
}

impl StreamedBody {
    fn start(form: Multipart, progress: Arc<Progress>) -> Self {
        let left = form.content_length();
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let failed = progress.clone();
        if left <= CHUNK_BYTES as u64 {
            // Files of this size are in memory, or few: another thread's waking would cost more.
            let chunk =
                read_chunk(&mut form.into_reader(), left).inspect_err(|error| failed.set_unreadable(error));
            let _ = sender.try_send(chunk);
            return Self { chunks, left, progress };
        }
        tokio::task::spawn_blocking(move || {
            let mut reader = form.into_reader();
            loop {
                let chunk = read_chunk(&mut reader, CHUNK_BYTES as u64)
                    .inspect_err(|error| failed.set_unreadable(error));
                let last = !matches!(&chunk, Ok(bytes) if !bytes.is_empty());
                // An error here means that nobody listens any more: the request has ended.
                if matches!(&chunk, Ok(bytes) if bytes.is_empty())
                    || sender.blocking_send(chunk).is_err()
                    || last
                {
                    return;
                }
            }
        });
        Self { chunks, left, progress }
    }
}

fn read_chunk(reader: &mut impl Read, bytes_max: u64) -> io::Result<Bytes> {
    let mut buffer = Vec::with_capacity(usize::try_from(bytes_max).unwrap_or_default());
    reader.by_ref().take(bytes_max).read_to_end(&mut buffer)?;
    Ok(Bytes::from(buffer))
}

impl hyper::body::Body for StreamedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let chunk = ready!(self.chunks.poll_recv(context));
        self.progress.moved();
        Poll::Ready(chunk.map(|chunk| {
            let chunk = chunk?;
            self.left = self.left.saturating_sub(chunk.len() as u64);
            Ok(Frame::data(chunk))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

const CHUNK_BYTES: usize = 64 * 1024;
const CHUNKS_AHEAD: usize = 4;

#[cfg(test)]
mod tests {
    use openssl::pkey::PKey;
    use openssl::x509::extension::SubjectAlternativeName;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A certificate for `localhost` that is its own root, and its key, both PEM.
    fn certificate() -> (Vec<u8>, Vec<u8>) {
        use openssl::asn1::Asn1Time;
        let key = PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap();
        let mut name = openssl::x509::X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "localhost").unwrap();
        let name = name.build();
        let mut builder = openssl::x509::X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(4_000_000_000).unwrap()).unwrap();
        let names = SubjectAlternativeName::new()
            .dns("localhost")
            .build(&builder.x509v3_context(None, None))
            .unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&key, openssl::hash::MessageDigest::sha256()).unwrap();
        (builder.build().to_pem().unwrap(), key.private_key_to_pem_pkcs8().unwrap())
    }

    /// Serves one answer a connection over TLS, whatever is asked.
    async fn server(certificate_pem: &[u8], key_pem: &[u8], answer: &'static str) -> String {
        let chain = CertificateDer::pem_slice_iter(certificate_pem).collect::<Result<Vec<_>, _>>().unwrap();
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls_openssl::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key_pem).unwrap())
                .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        url
    }

    async fn get(anchor_pem: &[u8], url: &str) -> Result<HttpResponse, TransportError> {
        let client = client(&[anchor_pem.to_vec()], None, Duration::from_secs(5)).unwrap();
        let transport = HttpTransport::new(client, Duration::from_secs(5));
        let url = url.to_owned();
        transport.send(HttpRequest { method: Method::Get, url, headers: Vec::new(), body: Body::Empty }).await
    }

    #[tokio::test]
    async fn only_the_configured_root_is_trusted() {
        let (certificate_pem, key_pem) = certificate();
        let url =
            server(&certificate_pem, &key_pem, "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok")
                .await;
        let answer = get(&certificate_pem, &url).await.unwrap();
        assert_eq!((answer.status, &answer.body[..], answer.header("x-a")), (200, &b"ok"[..], Some("b")));
        let (other_pem, _) = certificate();
        let error = get(&other_pem, &url).await.unwrap_err();
        assert_eq!(error.fault, TransportFault::Tls, "{error}");
    }

    #[tokio::test]
    async fn redirects_are_answers_and_long_answers_are_refused() {
        let (certificate_pem, key_pem) = certificate();
        let moved = "HTTP/1.1 302 Found\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n";
        let url = server(&certificate_pem, &key_pem, moved).await;
        assert_eq!(get(&certificate_pem, &url).await.unwrap().status, 302);
        let long =
            format!("HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n{}", "x".repeat(ANSWER_BYTES_MAX + 1));
        let url = server(&certificate_pem, &key_pem, String::leak(long)).await;
        assert_eq!(get(&certificate_pem, &url).await.unwrap_err().fault, TransportFault::AnswerTooLong);
    }

    #[tokio::test]
    async fn nobody_there_is_no_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        assert_eq!(get(&certificate().0, &url).await.unwrap_err().fault, TransportFault::Connect);
    }
}
