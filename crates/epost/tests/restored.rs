//! A machine is lost: from the backup and the keys under escrow, another one goes on serving.

mod programs;
mod served;

use std::path::Path;
use std::process::Command;

use epost::client::{Client, ContentFile, Progress, Settings};
use erds::Ticket;
use jiff::Timestamp;
use programs::{Sandbox, copy_of_certs_test, submission};
use served::{PROGRAM, Service, own_config, wait_for};

/// What `deploy/operating.md` names as to be kept apart.
const ESCROW: [&str; 5] =
    ["secrets/master.key", "secrets/log.key", "pki/server.key", "pki/seal.key", "pki/ebox-client.key"];

/// A responder that is away: the lists decide.
const OCSP: &str = "[[senders.ocsp]]\nissuer = \"pki/asked.crt\"\nurl = \"http://127.0.0.1:1\"\n";

#[test]
fn a_backup_and_the_escrowed_keys_are_all_it_takes_to_serve_again() {
    let lost = tempfile::tempdir().unwrap();
    copy_of_certs_test(&lost.path().join("pki"));
    let stand_ins = Sandbox::start(lost.path());
    std::fs::copy(lost.path().join("pki/senders-ca.crt"), lost.path().join("pki/asked.crt")).unwrap();
    let config = own_config(lost.path());
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n{OCSP}")).unwrap();
    let letter = lost.path().join("letter.pdf");
    std::fs::write(&letter, vec![b'x'; 200_000]).unwrap();
    let file = ContentFile::digest(&letter, &Progress::new(true)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client =
        |settings: Settings| Client::new(&settings, "en", Progress::new(true), Timestamp::now).unwrap();
    let send = |client: &Client, token: &str| {
        runtime.block_on(client.send(&submission(token, &file), std::slice::from_ref(&file))).unwrap()
    };

    let service = Service::start(Path::new(PROGRAM), &config);
    let sender = client(service.settings(&stand_ins, lost.path()));
    let receipt = send(&sender, "before");
    let backup = lost.path().join("backup");
    done(Command::new(PROGRAM).args(["backup", "--config"]).args([&config, &backup]));
    drop(service);
    std::fs::remove_dir_all(lost.path().join("served")).unwrap();

    let found = tempfile::tempdir().unwrap();
    let place = found.path().join("place");
    done(Command::new(PROGRAM).args(["restore", "--into"]).args([&place, &backup]));
    for key in ESCROW {
        let to = place.join("config").join(key);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(lost.path().join(key), to).unwrap();
    }
    let restored = place.join("config/serve.toml");
    let text = std::fs::read_to_string(&restored).unwrap();
    assert!(text.contains("directory = \"served\""));
    std::fs::write(&restored, text.replace("directory = \"served\"", "directory = \"../data\"")).unwrap();

    let program = place.join("binary/epost");
    let service = Service::start(&program, &restored);
    let sender = client(service.settings(&stand_ins, lost.path()));
    let again = send(&sender, "before");
    assert_eq!((&again.xml, &again.p7s), (&receipt.xml, &receipt.p7s), "the same receipt, byte for byte");
    for receipt in [again, send(&sender, "after")] {
        let ticket = Ticket::parse(&receipt.ticket).unwrap();
        wait_for(|| runtime.block_on(sender.status(&ticket)).unwrap().status == "SENT");
    }
    drop(service);
    done(Command::new(&program).args(["journal", "verify", "--signatures", "--config"]).arg(&restored));
}

#[track_caller]
fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
