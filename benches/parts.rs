//! The parts of a submission, each beside the least that it could cost.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{line, median};
use disk::RealDisk;
use erds::record::Control;
use erds::{Environment, Record, Strictness};
use jiff::Timestamp;
use journal::{Entry, Frame, Journal, Options};
use pki::certificate::Certificate;
use pki::digest::{Digest, DigestAlgorithm, Hasher, sha256};
use pki::path::{Revocation, TrustAnchors};
use pki::signer::{FileSigner, Signer};
use soap::envelope::{Envelope, Rules};
use soap::multipart::{Limits, PartHeaders, PartSink, Reader, SinkError, Writer};
use soap::wss::client::{SignOptions, sign_request};
use soap::wss::{Policy, authenticate_with};
use xmlsec::{Document, c14n};

fn main() {
    let alice = FileSigner::from_pem(&file("alice.key"), &file("alice.crt")).unwrap();
    xml();
    for kilobytes in [4, 100, 1000] {
        verify(&alice, kilobytes);
    }
    for megabytes in [1, 16] {
        multipart(megabytes);
    }
    sign();
    append();
}

/// Markup-heavy XML: parse, exclusive C14N and SHA-256 together.
fn xml() {
    let mut text = String::from("<a xmlns='urn:a' xmlns:b='urn:b'>");
    while text.len() < 1_000_000 {
        text.push_str("<b:c x='1' b:y=\"two &amp; three\"><d>text</d><e/></b:c>\n");
    }
    text.push_str("</a>");
    let limits =
        xmlsec::Limits { nodes_max: 10_000_000, document_bytes_max: 1 << 24, ..xmlsec::Limits::default() };
    let ours = median(|| {
        let document = Document::parse(text.as_bytes().to_vec(), &limits).unwrap();
        let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
        c14n::canonicalize(document.root(), &c14n::Method::exclusive(), &mut hasher).unwrap();
        std::hint::black_box(hasher.finish());
    });
    let floor = median(|| {
        std::hint::black_box(sha256(text.as_bytes()));
    });
    line("parse + exclusive C14N + SHA-256, 1 MB markup", ours, "SHA-256 alone", floor);
    println!("{:<46} {:>12.0} MB/s", "", text.len() as f64 / ours.as_secs_f64() / 1e6);
}

/// A signed request from its bytes to the authenticated sender: path, signature, digests.
fn verify(alice: &FileSigner, kilobytes: usize) {
    let payload = format!("<p:text xmlns:p='urn:p'>{}</p:text>", "QUJD".repeat(kilobytes * 250));
    let now = Timestamp::now();
    let message = sign_request(&payload, alice, now, &SignOptions::default()).unwrap();
    let anchors = TrustAnchors::new(certificates("senders-root.crt"), certificates("senders-ca.crt"));
    let policy = Policy {
        environment: Some(Environment::Tst),
        strictness: Strictness::Lax,
        ..Policy::new(&anchors, Revocation::NotChecked, now)
    };
    let ours = median(|| {
        let envelope = Envelope::parse(message.clone(), &|_| None, &Rules::default()).unwrap();
        std::hint::black_box(authenticate_with(&envelope, &policy, |_| Ok(())).unwrap());
    });
    let certificate = alice.certificate();
    let value = alice.sign(b"short").unwrap();
    let key = certificate.public_key();
    let digest = median(|| {
        std::hint::black_box(sha256(&message));
    });
    let bare = median(|| key.verify(alice.algorithm(), b"short", std::hint::black_box(&value)).unwrap());
    line(
        &format!("verify a signed request, {kilobytes} KB"),
        ours,
        "SHA-256 + bare RSA-2048 verify",
        digest + bare,
    );
}

struct Hashing(Option<Hasher>, Vec<Digest>);

impl PartSink for Hashing {
    fn begin(&mut self, _: &PartHeaders) -> Result<(), SinkError> {
        self.0 = Some(Hasher::new(DigestAlgorithm::Sha256));
        Ok(())
    }
    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        if let Some(hasher) = &mut self.0 {
            hasher.update(bytes);
        }
        Ok(())
    }
    fn end(&mut self) -> Result<(), SinkError> {
        self.1.extend(self.0.take().map(Hasher::finish));
        Ok(())
    }
}

/// An attachment from the first multipart byte to its digest, in chunks as TLS gives them.
fn multipart(megabytes: usize) {
    let content: Vec<u8> = (0..megabytes << 20).map(|i| (i * 31 + (i >> 9)) as u8).collect();
    let writer = Writer::new([7; 16]);
    let body = writer.body(b"<e/>".to_vec(), &[("d@b", "application/pdf", &content)]).unwrap();
    let ours = median(|| {
        let mut reader = Reader::new(&writer.content_type(), &Limits::default()).unwrap();
        let mut sink = Hashing(None, Vec::new());
        for chunk in body.chunks(16 * 1024) {
            reader.feed(chunk, &mut sink).unwrap();
        }
        reader.finish(&mut sink).unwrap();
        std::hint::black_box(sink.1);
    });
    let floor = median(|| {
        std::hint::black_box(sha256(&content));
    });
    line(&format!("multipart part to digest, {megabytes} MB"), ours, "SHA-256 alone", floor);
}

/// An XML signature over a small message with the seal's kind of key.
fn sign() {
    let seal = FileSigner::from_pem(&file("seal.key"), &file("seal-chain.crt")).unwrap();
    let payload = format!("<p:text xmlns:p='urn:p'>{}</p:text>", "QUJD".repeat(250));
    let now = Timestamp::now();
    let ours = median(|| {
        std::hint::black_box(sign_request(&payload, &seal, now, &SignOptions::default()).unwrap());
    });
    let bare = median(|| {
        std::hint::black_box(seal.sign(b"short").unwrap());
    });
    line("sign a whole SOAP answer, 1 KB, P-256", ours, "bare P-256 sign", bare);
}

/// Appended records, 1 KB of frame each, by how many wait at once; the floor writes and syncs the same bytes a batch.
fn append() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = Options {
        origin: "bench".into(),
        segment_bytes_max: 1 << 30,
        on_fatal: Arc::new(|reason| panic!("{reason}")),
    };
    let (journal, _) = Journal::open(Arc::new(RealDisk), &folder.path().join("journal"), options).unwrap();
    for batch in [1usize, 16, 256] {
        let rounds = 2048 / batch.max(8);
        let begun = Instant::now();
        for _ in 0..rounds {
            runtime.block_on(async {
                let waiting: Vec<_> = (0..batch).map(|_| tokio::spawn(append_one(journal.clone()))).collect();
                for one in waiting {
                    one.await.unwrap();
                }
            });
        }
        let ours = begun.elapsed() / rounds as u32;
        let mut plain = std::fs::File::create(folder.path().join("plain")).unwrap();
        let bytes = vec![7u8; 1400 * batch];
        let begun = Instant::now();
        for _ in 0..rounds {
            plain.write_all(&bytes).unwrap();
            plain.sync_data().unwrap();
        }
        let floor = begun.elapsed() / rounds as u32;
        line(&format!("append {batch} records that wait together"), ours, "write + fdatasync", floor);
        println!(
            "{:<46} {:>12.0} records/s",
            "",
            batch as f64 / ours.as_secs_f64().max(Duration::from_nanos(1).as_secs_f64())
        );
    }
}

async fn append_one(journal: Journal) {
    let record = Record::Control(Control {
        at: Timestamp::now(),
        action: "bench".into(),
        ticket: None,
        detail: "a record of usual size, with what a control act would say".into(),
    });
    let frames = vec![Frame { name: "f".into(), ciphertext: vec![9; 1024] }];
    journal.append(Entry { record, frames, unique_keys: Vec::new() }).await.unwrap();
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../certs-test/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn certificates(name: &str) -> Vec<Certificate> {
    Certificate::from_pem(&file(name)).unwrap()
}
