//! Whole submissions over mutual TLS: authenticated, recorded, sealed, stamped, fsynced, answered. README.md says what each
//! line means.
//!
//! Three processes: the service alone in one, its stand-ins (TSA, e-Box) in another, the clients here. Requests are signed
//! and connections open before the clock starts.

mod client;
#[path = "../floor.rs"]
mod floor;
mod floors;
mod house;

use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Connection, Sender};
use floors::Floors;
use house::{House, Process};

fn main() {
    let house = House::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("\nWhole submissions: a document of {} KB", DOCUMENT_BYTES >> 10);
    println!("  service, stand-ins (TSA, e-Box) and clients: three processes on the same cores");
    for (connections, submissions) in [(1, 400), (8, 1000), (64, 1000)] {
        let floors = Floors::measure(&house);
        run(&runtime, &house, &floors, connections, submissions);
    }
    println!("\n  killed without warning; then: {}", house.kill_and_verify());
}

fn run(
    runtime: &tokio::runtime::Runtime,
    house: &House,
    floors: &Floors,
    connections: usize,
    submissions: usize,
) {
    let sender = Sender::new(house);
    // One for each connection opens it and is not counted.
    let requests: Vec<Vec<u8>> = (0..connections + submissions)
        .map(|number| sender.request(&format!("{connections}-{number}"), DOCUMENT_BYTES))
        .collect();
    let requests = Arc::new(requests);
    let open = runtime.block_on(open(&sender, &requests, connections));
    house.wait_until_at_rest();

    let before = Spent::now(house);
    let begun = Instant::now();
    let mut times = runtime.block_on(send_all(open, &requests, connections));
    let all = begun.elapsed();
    let answered = Spent::now(house);
    house.wait_until_at_rest();
    let delivered = Spent::now(house);

    times.sort();
    assert_eq!(times.len(), submissions);
    let percentile = |share: usize| times[(times.len() * share).div_ceil(100) - 1];
    println!(
        "\n  {connections:>2} connections {:>8.0} submissions/s   p50 {:>7.2} ms   p99 {:>7.2} ms   ({submissions} sent)",
        submissions as f64 / all.as_secs_f64(),
        millis(percentile(50)),
        millis(percentile(99)),
    );
    let each = |from: Duration, to: Duration| millis(to - from) / submissions as f64;
    println!(
        "     CPU a submission: service {:.2} ms to the last answer, {:.2} ms with what was delivered after it; stand-ins {:.2} ms, clients {:.2} ms",
        each(before.service, answered.service),
        each(before.service, delivered.service),
        each(before.stand_ins, answered.stand_ins),
        each(before.clients, answered.clients),
    );
    let service = (delivered.service - before.service) / u32::try_from(submissions).unwrap();
    floors.print(percentile(50), all / u32::try_from(submissions).unwrap(), service);
}

async fn open(sender: &Sender, requests: &[Vec<u8>], connections: usize) -> Vec<Connection> {
    let mut open = Vec::new();
    for first in requests.iter().take(connections) {
        let mut connection = sender.connect().await;
        connection.exchange(first).await;
        open.push(connection);
    }
    open
}

/// Each connection sends its next request when the last one is answered; the time of each.
async fn send_all(open: Vec<Connection>, requests: &Arc<Vec<Vec<u8>>>, connections: usize) -> Vec<Duration> {
    let mut senders = Vec::new();
    for (place, mut connection) in open.into_iter().enumerate() {
        let requests = requests.clone();
        senders.push(tokio::spawn(async move {
            let mut times = Vec::new();
            for request in requests.iter().skip(connections + place).step_by(connections) {
                let begun = Instant::now();
                connection.exchange(request).await;
                times.push(begun.elapsed());
            }
            times
        }));
    }
    let mut times = Vec::new();
    for sender in senders {
        times.extend(sender.await.unwrap());
    }
    times
}

/// CPU time of the three processes so far.
struct Spent {
    service: Duration,
    stand_ins: Duration,
    clients: Duration,
}

impl Spent {
    fn now(house: &House) -> Self {
        Self {
            service: house.service.cpu(),
            stand_ins: house.stand_ins.cpu(),
            clients: Process::cpu_of(std::process::id()),
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

const DOCUMENT_BYTES: usize = 20 << 10;
