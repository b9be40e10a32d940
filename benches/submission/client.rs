//! A sender whose requests are ready before the clock starts: what is timed is bytes through TLS and back.

use std::sync::Arc;

use erds::{
    DigestMethod, EboxCheck, Part, QualityCode, Recipient, Ssin, StatedDigest, Strictness, Submission, Token,
};
use jiff::Timestamp;
use pki::signer::FileSigner;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use soap::message::write_send_document_request;
use soap::multipart::Writer;
use soap::wss::client::{SignOptions, sign_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::house::House;

/// alice of the sandbox.
pub(crate) struct Sender {
    signer: FileSigner,
    tls: Arc<rustls::ClientConfig>,
    address: String,
    citizen: String,
}

impl Sender {
    pub(crate) fn new(house: &House) -> Self {
        let file =
            |field: &str| house.folder().join(house.sandbox["senders"]["alice"][field].as_str().unwrap());
        let (certificate, key) = (file("cert"), file("key"));
        let read = |path| std::fs::read(path).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        let root = house.folder().join(house.sandbox["tls_ca"].as_str().unwrap());
        roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
        let chain = CertificateDer::pem_file_iter(&certificate).unwrap().map(Result::unwrap).collect();
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls_openssl::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&key).unwrap())
            .unwrap();
        Self {
            signer: FileSigner::from_pem(&read(key), &read(certificate)).unwrap(),
            tls: Arc::new(tls),
            address: house.address.clone(),
            citizen: house.sandbox["recipients"]["citizen"].as_str().unwrap().to_owned(),
        }
    }

    /// A whole HTTP request: headers, signed envelope, one document.
    pub(crate) fn request(&self, token: &str, document_bytes: usize) -> Vec<u8> {
        let document: Vec<u8> = (0..document_bytes).map(|i| (i * 31 + (i >> 9)) as u8).collect();
        let payload = write_send_document_request(&self.submission(token, &document));
        let options = SignOptions { id_suffix: token.to_owned(), ..SignOptions::default() };
        let root = sign_request(&payload, &self.signer, Timestamp::now(), &options).unwrap();
        let writer = Writer::new([7; 16]);
        let body = writer.body(root, &[(CONTENT_ID, "application/pdf", &document)]).unwrap();
        let head = format!(
            "POST /RegisteredMail/v1 HTTP/1.1\r\nhost: {}\r\nsoapaction: \"\"\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
            self.address,
            writer.content_type(),
            body.len(),
        );
        [head.into_bytes(), body].concat()
    }

    fn submission(&self, token: &str, document: &[u8]) -> Submission {
        let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        Submission {
            token: Token::parse(token).unwrap(),
            recipient: Recipient::Citizen {
                inss: Ssin::parse(&self.citizen, Strictness::Strict, today).unwrap(),
                quality: QualityCode::parse("CITIZEN").unwrap(),
            },
            document: Part {
                title: "A letter".into(),
                digest: StatedDigest {
                    method: DigestMethod::Sha256,
                    value: pki::digest::sha256(document).to_vec(),
                },
                download_file_name: "letter.pdf".into(),
                mime: Some("application/pdf".into()),
                document_type: Some("LETTER".into()),
                language: None,
                content_id: CONTENT_ID.into(),
            },
            annexes: Vec::new(),
            meta: Vec::new(),
            check: EboxCheck::Activated,
            beside: Default::default(),
        }
    }

    /// A connection with its handshake behind it.
    pub(crate) async fn connect(&self) -> Connection {
        let tcp = TcpStream::connect(&self.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let host = self.address.rsplit_once(':').unwrap().0;
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let connector = tokio_rustls::TlsConnector::from(self.tls.clone());
        Connection { stream: connector.connect(name, tcp).await.unwrap(), answer: Vec::new() }
    }
}

/// One connection, kept open.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    answer: Vec<u8>,
}

impl Connection {
    /// Sends a request and reads its answer, which must be a receipt.
    pub(crate) async fn exchange(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
        self.stream.flush().await.unwrap();
        self.answer.clear();
        let mut whole_bytes = None;
        while whole_bytes.is_none_or(|whole| self.answer.len() < whole) {
            let read = self.stream.read_buf(&mut self.answer).await.unwrap();
            assert!(read > 0, "the connection broke after {}", String::from_utf8_lossy(&self.answer));
            if whole_bytes.is_none() {
                whole_bytes = whole(&self.answer);
            }
        }
        let text = String::from_utf8_lossy(&self.answer);
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("SendDocumentResponse"), "{text}");
    }
}

/// How long the answer is, head included, as soon as its head is there.
pub(crate) fn whole(answer: &[u8]) -> Option<usize> {
    let head_bytes = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&answer[..head_bytes]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    Some(head_bytes + length.parse::<usize>().unwrap())
}

const CONTENT_ID: &str = "letter@sender.example";
