//! Whole submissions over mutual TLS, sealed, stamped and fsynced: requests per second, p50, p99 at 8 and 64 connections.
//!
//! Service, TSA and e-Box stand-ins and the signing clients share the machine's cores, so this is a floor of what the service does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use epost::client::{Client, ContentFile, Progress, Settings};
use epost::dev::pki::Extent;
use epost::dev::sandbox::CITIZEN;
use epost::dev::start::{self, LOOPBACK};
use erds::{
    DigestMethod, EboxCheck, Part, QualityCode, Recipient, Ssin, StatedDigest, Strictness, Submission, Token,
};
use jiff::Timestamp;

const SUBMISSIONS: usize = 1000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir_in(".").unwrap();
        let sandbox = start::start(folder.path(), LOOPBACK, Extent::Senders).await.unwrap();
        let letter = folder.path().join("letter.bin");
        std::fs::write(&letter, vec![0x25; 20 * 1024]).unwrap();
        let file = ContentFile::digest(&letter, &Progress::new(true)).unwrap();
        let settings = Settings::read(&sandbox.layout.profile("alice")).unwrap();
        for connections in [8, 64] {
            run(connections, &settings, &file).await;
        }
        sandbox.stop().await;
    });
}

async fn run(connections: usize, settings: &Settings, file: &ContentFile) {
    let left = Arc::new(AtomicUsize::new(SUBMISSIONS));
    let mut senders = Vec::new();
    let begun = Instant::now();
    for _ in 0..connections {
        let client = Client::new(settings, "en", Progress::new(true), Timestamp::now).unwrap();
        let (left, file) = (left.clone(), file.clone());
        senders.push(tokio::spawn(async move {
            let mut times = Vec::new();
            while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                let begun = Instant::now();
                client.send(&submission(&file), std::slice::from_ref(&file)).await.unwrap();
                times.push(begun.elapsed());
            }
            times
        }));
    }
    let mut times: Vec<Duration> = Vec::new();
    for sender in senders {
        times.extend(sender.await.unwrap());
    }
    let all = begun.elapsed();
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!(
        "{connections:>3} connections: {:>6.0} submissions/s   p50 {:>6.1} ms   p99 {:>6.1} ms   ({} of 20 KB)",
        times.len() as f64 / all.as_secs_f64(),
        at(0.5),
        at(0.99),
        times.len()
    );
}

fn submission(file: &ContentFile) -> Submission {
    let today = epost::service::today(Timestamp::now());
    Submission {
        token: Token::parse(&uuid::Uuid::new_v4().simple().to_string()).unwrap(),
        recipient: Recipient::Citizen {
            inss: Ssin::parse(CITIZEN, Strictness::Strict, today).unwrap(),
            quality: QualityCode::parse("CITIZEN").unwrap(),
        },
        document: Part {
            title: "A letter".into(),
            digest: StatedDigest { method: DigestMethod::Sha256, value: file.sha256.clone() },
            download_file_name: "letter.bin".into(),
            mime: None,
            document_type: Some("LETTER".into()),
            language: None,
            content_id: "document@epost".into(),
        },
        annexes: Vec::new(),
        meta: Vec::new(),
        check: EboxCheck::Activated,
    }
}
