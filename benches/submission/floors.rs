//! What a submission cannot do without, measured on the same disk and machine just before each run, with nothing else to do.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use benches::micros;
use pki::digest::{Digest, DigestAlgorithm};
use pki::tsp::TimeStampRequest;

use super::floor::{self, BareSign, BareVerify};
use super::house::House;

/// Medians, wall-clock time.
pub(crate) struct Floors {
    sync: Duration,
    stamp: Duration,
    sign: Duration,
    verify: Duration,
    hash: Duration,
}

impl Floors {
    pub(crate) fn measure(house: &House) -> Self {
        let document = vec![7; super::DOCUMENT_BYTES];
        let mut sign = BareSign::new(&floor::file("seal.key"));
        let mut verify = BareVerify::new(&floor::file("alice.key"));
        Self {
            sync: sync(house),
            stamp: stamp(house),
            sign: median(|| sign.call()),
            verify: median(|| verify.call()),
            hash: median(|| floor::hash(&document)),
        }
    }

    /// Each floor, and how many of it a submission took: its time to the answer, its share of the run, the service's CPU.
    pub(crate) fn print(&self, p50: Duration, share: Duration, cpu: Duration) {
        println!("     floors of this run       µs   p50 is   1/rate is   service's CPU is");
        let bare = self.sign + self.verify + self.hash;
        for (name, floor) in [
            ("one fdatasync", self.sync),
            ("one round trip to the TSA", self.stamp),
            ("one bare P-256 signature", self.sign),
            ("one bare RSA verification", self.verify),
            ("SHA-256 of the document", self.hash),
            ("these three", bare),
            ("2 syncs, stamp, these", 2 * self.sync + self.stamp + bare),
        ] {
            let times = |time: Duration| time.as_secs_f64() / floor.as_secs_f64();
            println!(
                "       {name:<25} {:>8.1} {:>7.1} × {:>7.1} × {:>9.1} ×",
                micros(floor),
                times(p50),
                times(share),
                times(cpu),
            );
        }
    }
}

/// 4 KB at the end of a file, made durable.
fn sync(house: &House) -> Duration {
    let mut file = std::fs::File::create(house.folder().join("sync")).unwrap();
    median(|| {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
    })
}

/// A question to the TSA stand-in and its answer, on a connection that stays open.
fn stamp(house: &House) -> Duration {
    let address = house.sandbox["controls"]["tsa"].as_str().unwrap().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let imprint = Digest::of(DigestAlgorithm::Sha256, b"a signature value");
    let question = TimeStampRequest::new(&imprint, [7; 8], None).to_der();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/timestamp-query\r\ncontent-length: {}\r\n\r\n",
        question.len(),
    );
    let request = [head.into_bytes(), question].concat();
    let mut answer = Vec::new();
    median(|| {
        stream.write_all(&request).unwrap();
        answer.clear();
        let mut buffer = [0; 8192];
        while super::client::whole(&answer).is_none_or(|whole| answer.len() < whole) {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the TSA stand-in went away");
            answer.extend_from_slice(&buffer[..read]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    })
}

fn median(mut call: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..CALLS)
        .map(|_| {
            let begun = Instant::now();
            call();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[CALLS / 2]
}

const CALLS: usize = 301;
