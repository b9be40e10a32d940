//! The service is killed (SIGKILL) again and again while senders send: what was answered is there, and lies in one box once.

mod programs;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use epost::client::{Client, ContentFile, Progress, ProofFiles, Settings};
use erds::Ticket;
use jiff::Timestamp;
use programs::{Sandbox, copy_of_certs_test, submission};
use serde_json::Value;

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
        let mut service = Service::start(&config);
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

    let service = Service::start(&config);
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
    let mut verify = Command::new(env!("CARGO_BIN_EXE_epost"));
    let output = verify.args(["journal", "verify", "--signatures", "--config"]).arg(config).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// How many records of this kind the journal shows.
fn lines(config: &Path, arguments: &[&str], kind: &str) -> u64 {
    let mut show = Command::new(env!("CARGO_BIN_EXE_epost"));
    let output = show.arg("journal").args(arguments).arg("--config").arg(config).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let kinds =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["record"]["kind"].clone());
    kinds.filter(|it| it == kind).count() as u64
}

/// The sandbox's configuration, with another port and data of its own: its service is not the one that is killed.
fn own_config(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(folder.join("epost.toml")).unwrap();
    let own = text.lines().map(|line| match line {
        _ if line.starts_with("address = ") => "address = \"127.0.0.1:0\"",
        "directory = \"data\"" => "directory = \"served\"",
        _ => line,
    });
    let config = folder.join("serve.toml");
    std::fs::write(&config, own.collect::<Vec<_>>().join("\n")).unwrap();
    config
}

#[track_caller]
fn wait_for(reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !reached() {
        assert!(Instant::now() < deadline, "not within two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `epost serve` and the address it told; killed with this.
struct Service(Child, String);

impl Service {
    fn start(config: &Path) -> Self {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_epost"));
        let serve =
            serve.args(["serve", "--config"]).arg(config).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = serve.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address =
            said.find_map(|line| Some(line.strip_prefix("ePost serves on ")?.split(';').next()?.to_owned()));
        Self(child, address.expect("it starts"))
    }

    fn settings(&self, stand_ins: &Sandbox, folder: &Path) -> Settings {
        let endpoint = Some(format!("https://{}/RegisteredMail/v1", self.1));
        Settings { endpoint, ..stand_ins.settings(folder) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
