//! The service is killed (SIGKILL) again and again while senders send: what was answered is there, and lies in one box once.

mod programs;
mod served;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use epost::client::{Client, ContentFile, Progress, ProofFiles, Settings};
use erds::Ticket;
use jiff::Timestamp;
use programs::{Sandbox, copy_of_certs_test, submission};
use serde_json::Value;
use served::{PROGRAM, Service, own_config, wait_for};

const KILLS: usize = 12;
const SENDERS: usize = 4;

/// What senders were answered: token and receipt.
type Held = Arc<Mutex<Vec<(String, ProofFiles)>>>;

#[test]
fn killed_again_and_again_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    copy_of_certs_test(&folder.join("pki"));
    let stand_ins = Sandbox::start(folder);
    let config = own_config(folder);
    let letter = folder.join("letter.pdf");
    std::fs::write(&letter, vec![b'x'; 100_000]).unwrap();
    let file = ContentFile::digest(&letter, &Progress::new(true)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (held, tokens) = (Held::default(), Arc::new(AtomicUsize::new(0)));

    for kill in 0..KILLS {
        let mut service = Service::start(Path::new(PROGRAM), &config);
        let settings = service.settings(&stand_ins, folder);
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| runtime.spawn(send(settings.clone(), file.clone(), held.clone(), tokens.clone())))
            .collect();
        // Killed by what was answered, not by a clock: each time elsewhere on the others' way.
        let enough = held.lock().unwrap().len() + 1 + kill % 5;
        wait_for(|| held.lock().unwrap().len() >= enough);
        service.0.kill().unwrap();
        service.0.wait().unwrap();
        senders.iter().for_each(tokio::task::JoinHandle::abort);
        whole(&config);
    }

    let service = Service::start(Path::new(PROGRAM), &config);
    let client =
        Client::new(&service.settings(&stand_ins, folder), "en", Progress::new(true), Timestamp::now);
    let client = client.unwrap();
    let held = held.lock().unwrap();
    for (token, receipt) in held.iter() {
        let again =
            runtime.block_on(client.send(&submission(token, &file), std::slice::from_ref(&file))).unwrap();
        assert_eq!(
            (&again.xml, &again.p7s),
            (&receipt.xml, &receipt.p7s),
            "{token}: the same receipt, byte for byte"
        );
        let ticket = Ticket::parse(&receipt.ticket).unwrap();
        wait_for(|| runtime.block_on(client.status(&ticket)).unwrap().status == "SENT");
    }
    let accepted = || lines(&config, &["show", "--json", "--count", "1000000"], "accepted");
    // Also what was accepted and never answered goes to its box.
    let ebox = |name: &str| runtime.block_on(received(folder))[name].as_u64();
    wait_for(|| ebox("items") >= Some(accepted()));
    let accepted = accepted();
    assert!(accepted >= held.len() as u64, "{accepted} of {}", held.len());
    assert_eq!((ebox("items"), ebox("postsWithoutKey")), (Some(accepted), Some(0)), "no second publication");
    drop(service);
    whole(&config);
    println!("{KILLS} kills: {} receipts held, {accepted} items accepted, each in its box once", held.len());
}

/// Sends one item after the other, each under a token of its own, for ever.
async fn send(settings: Settings, file: ContentFile, held: Held, tokens: Arc<AtomicUsize>) {
    let client = Client::new(&settings, "en", Progress::new(true), Timestamp::now).unwrap();
    loop {
        let token = format!("T{}", tokens.fetch_add(1, Ordering::SeqCst));
        let receipt = client.send(&submission(&token, &file), std::slice::from_ref(&file)).await;
        // Refused or broken off: the service has just begun, or is gone.
        if let Ok(receipt) = receipt {
            held.lock().unwrap().push((token, receipt));
        }
    }
}

/// What the e-Box stand-in took.
async fn received(folder: &Path) -> Value {
    let sandbox: Value =
        serde_json::from_slice(&std::fs::read(folder.join("sandbox.json")).unwrap()).unwrap();
    let address = sandbox["controls"]["ebox"].as_str().unwrap();
    let http = epost::transport::client(&[], None, Duration::from_secs(5)).unwrap();
    let answer = http.get(format!("{address}/received")).send().await.unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// Every byte of the journal is judged, with the senders' signatures.
#[track_caller]
fn whole(config: &Path) {
    let mut verify = Command::new(PROGRAM);
    let output = verify.args(["journal", "verify", "--signatures", "--config"]).arg(config).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// How many records of this kind the journal shows.
fn lines(config: &Path, arguments: &[&str], kind: &str) -> u64 {
    let mut show = Command::new(PROGRAM);
    let output = show.arg("journal").args(arguments).arg("--config").arg(config).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let kinds =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["record"]["kind"].clone());
    kinds.filter(|it| it == kind).count() as u64
}
