//! The client against a door of this file's own: real mutual TLS, answers by script.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;

use super::*;
use erds::Token;
use soap::envelope::SoapVersion;
use soap::message::{SealedFile, envelope, write_send_document_response};

use crate::dev::pki::{Extent, PASSWORD, Pki};
use erds::{
    DigestMethod, EboxCheck, EnterpriseNumber, Part, QualityCode, Recipient, StatedDigest, Strictness,
    Submission,
};

/// What the door does with the next request.
enum Script {
    Break,
    Answer(u16, String, Vec<u8>),
}

struct Door {
    folder: tempfile::TempDir,
    pki: Pki,
    endpoint: String,
    requests: Kept,
}

async fn door(script: Vec<Script>) -> Door {
    let folder = tempfile::tempdir().unwrap();
    let pki =
        Pki::open_or_create(&folder.path().join("pki"), Extent::Senders, Timestamp::now(), 30, 7).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server_config(&pki)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}/RegisteredMail/v1", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (kept, script) = (requests.clone(), Arc::new(Mutex::new(script.into_iter())));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, kept, script) = (acceptor.clone(), kept.clone(), script.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let serve = service_fn(|request| answer(request, kept.clone(), script.clone()));
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), serve)
                    .await;
            });
        }
    });
    Door { folder, pki, endpoint, requests }
}

fn server_config(pki: &Pki) -> rustls::ServerConfig {
    let provider = Arc::new(rustls_openssl::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    // The issuing authority as the anchor: clients send the leaf alone.
    roots.add(CertificateDer::from_pem_file(pki.certificate("senders-ca")).unwrap()).unwrap();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .unwrap();
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(pki.certificate("server")).unwrap()],
            PrivateKeyDer::from_pem_file(pki.key("server")).unwrap(),
        )
        .unwrap()
}

type Kept = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

async fn answer(
    request: http::Request<Incoming>,
    kept: Kept,
    script: Arc<Mutex<std::vec::IntoIter<Script>>>,
) -> Result<http::Response<Full<Bytes>>, std::io::Error> {
    let kind = request.headers()["content-type"].to_str().unwrap().to_owned();
    let body = request.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes().to_vec();
    kept.lock().unwrap().push((kind, body));
    match script.lock().unwrap().next().unwrap() {
        Script::Break => Err(std::io::Error::other("cut")),
        Script::Answer(status, kind, body) => Ok(http::Response::builder()
            .status(status)
            .header("content-type", kind)
            .body(Full::new(Bytes::from(body)))
            .unwrap()),
    }
}

impl Door {
    fn settings(&self) -> Settings {
        Settings {
            endpoint: Some(self.endpoint.clone()),
            tls_ca: Some(self.pki.certificate("server-root")),
            cert: Some(self.pki.certificate("alice")),
            key: Some(self.pki.key("alice")),
            ..Settings::default()
        }
    }

    fn client(&self) -> Client {
        Client::new(&self.settings(), "en", Progress::new(true), Timestamp::now).unwrap()
    }

    fn submission(&self) -> (Submission, Vec<ContentFile>) {
        let path = self.folder.path().join("letter.pdf");
        std::fs::write(&path, crate::dev::sample::letter()).unwrap();
        let file = ContentFile::digest(&path, &Progress::new(true)).unwrap();
        let document = Part {
            title: "A <letter>".to_owned(),
            digest: StatedDigest { method: DigestMethod::Sha256, value: file.sha256.clone() },
            download_file_name: file.name(),
            mime: file.mime().map(str::to_owned),
            document_type: Some("LETTER".to_owned()),
            language: None,
            content_id: "document@epost".to_owned(),
        };
        let recipient = Recipient::Enterprise {
            company: EnterpriseNumber::parse("1234567894", Strictness::Strict).unwrap(),
            quality: QualityCode::parse("QUAL_EMP_NOSS").unwrap(),
        };
        let submission = Submission {
            token: Token::parse("case-1").unwrap(),
            recipient,
            document,
            annexes: Vec::new(),
            meta: Vec::new(),
            check: EboxCheck::Bypass,
            beside: Default::default(),
        };
        (submission, vec![file])
    }
}

fn receipt() -> Script {
    let file = SealedFile::receipt(::pki::digest::sha256(b"<r/>"), "r@x".to_owned(), vec![1, 2]);
    let ticket = Ticket::parse("0123456789ABC").unwrap();
    let payload = write_send_document_response(&ticket, &Token::parse("case-1").unwrap(), &file);
    let writer = Writer::new([7; 16]);
    let body = writer.body(envelope(SoapVersion::V11, &payload), &[("r@x", "text/xml", b"<r/>")]).unwrap();
    Script::Answer(200, writer.content_type(), body)
}

#[tokio::test]
async fn a_broken_connection_is_sent_again_with_the_same_token() {
    let door = door(vec![Script::Break, receipt()]).await;
    let (submission, files) = door.submission();
    let receipt = door.client().send(&submission, &files).await.unwrap();
    assert_eq!((receipt.ticket.as_str(), receipt.xml.as_slice()), ("0123456789ABC", &b"<r/>"[..]));
    let requests = door.requests.lock().unwrap();
    assert_eq!(requests.len(), 2);
    let pdf = crate::dev::sample::letter();
    for (kind, body) in requests.iter() {
        assert!(kind.starts_with("multipart/related"), "{kind}");
        let text = String::from_utf8_lossy(body);
        assert!(text.contains(">case-1</") && text.contains("A &lt;letter&gt;"));
        assert!(body.windows(pdf.len()).any(|window| window == pdf), "the document as it is");
    }
}

#[tokio::test]
async fn a_fault_is_told_and_not_tried_again() {
    let fault = "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><e:Fault><faultcode>e:Client</faultcode>\
         <faultstring>EPOST_B01</faultstring><detail><x:BusinessError xmlns:x=\"http://socialsecurity.be/errors/serviceprovider/v1\" Id=\"7\"><x:Origin>consumer</x:Origin>\
         <x:Code>EPOST_B01</x:Code><x:Message xml:lang=\"en\">check digits</x:Message></x:BusinessError></detail></e:Fault></e:Body></e:Envelope>";
    let door =
        door(vec![Script::Answer(500, "text/xml; charset=utf-8".to_owned(), fault.as_bytes().to_vec())])
            .await;
    let (submission, files) = door.submission();
    let error = door.client().send(&submission, &files).await.unwrap_err();
    assert_eq!((error.code(), error.may_succeed_later()), ("EPOST_B01", false));
    assert_eq!(error.to_string(), "EPOST_B01: check digits");
}

#[tokio::test]
async fn another_service_or_an_unknown_sender_is_no_connection_to_try_again() {
    let door = door(Vec::new()).await;
    let ticket = Ticket::parse("0123456789ABC").unwrap();
    let wrong_ca = Settings { tls_ca: Some(door.pki.certificate("tsa-root")), ..door.settings() };
    let unknown = Settings {
        cert: Some(door.pki.certificate("seal")),
        key: Some(door.pki.key("seal")),
        ..door.settings()
    };
    for settings in [wrong_ca, unknown] {
        let client = Client::new(&settings, "en", Progress::new(true), Timestamp::now).unwrap();
        let error = client.status(&ticket).await.unwrap_err();
        assert_eq!(error.code(), "client.tls.refused", "{error}");
    }
}

#[tokio::test]
async fn a_pkcs12_file_serves_as_well() {
    let door = door(vec![receipt()]).await;
    let password_file = door.folder.path().join("password");
    std::fs::write(&password_file, format!("{PASSWORD}\n")).unwrap();
    let settings = Settings {
        p12: Some(door.pki.p12("bob")),
        password_file: Some(password_file),
        cert: None,
        key: None,
        ..door.settings()
    };
    let client = Client::new(&settings, "en", Progress::new(true), Timestamp::now).unwrap();
    let (submission, files) = door.submission();
    client.send(&submission, &files).await.unwrap();
}

#[tokio::test]
async fn a_page_that_is_no_soap_names_the_address() {
    let door = door(vec![Script::Answer(404, "text/html".to_owned(), b"<html>".to_vec())]).await;
    let error = door.client().status(&Ticket::parse("0123456789ABC").unwrap()).await.unwrap_err();
    assert_eq!((error.code(), error.may_succeed_later()), ("client.http", false));
}

#[derive(Default)]
struct Root(Vec<u8>, bool);

impl soap::multipart::PartSink for Root {
    fn begin(&mut self, headers: &soap::multipart::PartHeaders) -> Result<(), soap::multipart::SinkError> {
        self.1 = headers.is_root();
        Ok(())
    }
    fn data(&mut self, bytes: &[u8]) -> Result<(), soap::multipart::SinkError> {
        if self.1 {
            self.0.extend_from_slice(bytes);
        }
        Ok(())
    }
    fn end(&mut self) -> Result<(), soap::multipart::SinkError> {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_sent_is_what_the_service_authenticates() {
    let door = door(vec![receipt()]).await;
    let (submission, files) = door.submission();
    door.client().send(&submission, &files).await.unwrap();
    let (kind, body) = door.requests.lock().unwrap().remove(0);
    let mut root = Root::default();
    let mut reader = soap::multipart::Reader::new(&kind, &soap::multipart::Limits::default()).unwrap();
    reader.feed(&body, &mut root).unwrap();
    reader.finish(&mut root).unwrap();
    let envelope =
        soap::envelope::Envelope::parse(root.0, &|_| None, &soap::envelope::Rules::default()).unwrap();

    let read = |name| {
        ::pki::certificate::Certificate::from_pem(&std::fs::read(door.pki.certificate(name)).unwrap())
            .unwrap()
    };
    let crl = |name| ::pki::crl::Crl::from_der(&std::fs::read(door.pki.crls().join(name)).unwrap()).unwrap();
    let anchors = ::pki::path::TrustAnchors::new(read("senders-root"), read("senders-ca"));
    let crls = ::pki::crl::CrlSet::new(vec![crl("senders-root.crl"), crl("senders-ca.crl")]);
    let revocation = ::pki::path::Revocation::HardFail(&crls);
    let policy = soap::wss::Policy {
        environment: Some(erds::Environment::Tst),
        token_signed: true,
        ..soap::wss::Policy::new(&anchors, revocation, Timestamp::now())
    };
    let authenticated = soap::wss::authenticate(&envelope, &policy).unwrap();
    assert_eq!(authenticated.sender().cbe.digits(), "1000000021");
    assert_eq!(authenticated.sender().application.as_str(), "urn:be:fgov:epost:test:alice:letters");
    let soap::message::Request::SendDocument(read) = authenticated.request() else { panic!("sendDocument") };
    assert!(read.same_content(&submission));
}
