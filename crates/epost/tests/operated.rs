//! What an operator of the program meets: an alarm, told with what to do; an older state that was restored after a newer checkpoint went
//! out, so that the log has forked, and how `deploy/operating.md` says to go on.

mod programs;
mod served;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use epost::client::{Client, ContentFile, Progress, Settings};
use jiff::Timestamp;
use pki::ed25519::Ed25519Key;
use programs::{Sandbox, copy_of_certs_test, submission};
use serde_json::Value;
use served::{PROGRAM, Service, own_config, wait_for};

#[test]
fn what_goes_wrong_while_serving_is_told_to_the_command_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    copy_of_certs_test(&path.join("pki"));
    let _stand_ins = Sandbox::start(path);
    let config = own_config(path);
    let told = path.join("told");
    // A policy of its own, and a clock that nobody keeps.
    std::fs::copy(path.join("policy.toml"), path.join("own-policy.toml")).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains("policy = \"policy.toml\""), "{text}");
    let text = text.replace("policy = \"policy.toml\"", "policy = \"own-policy.toml\"\nreload_seconds = 1");
    let command = format!("command = [\"sh\", \"-c\", \"cat >> '{}'\"]", told.display());
    let clock = "[clock]\nsynchronised_command = [\"false\"]\n";
    std::fs::write(&config, format!("{text}\n[alarm]\n{command}\n{clock}")).unwrap();
    let _service = Service::start(Path::new(PROGRAM), &config);
    let of = |event: &str| {
        let lines = std::fs::read_to_string(&told).unwrap_or_default();
        lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["event"] == event)
    };
    wait_for(|| of("alarm.clock-unsynchronised").is_some());
    assert!(of("alarm.policy-unreadable").is_none());
    std::fs::write(path.join("own-policy.toml"), "[[grunt]]").unwrap();
    wait_for(|| of("alarm.policy-unreadable").is_some());
    let alarm = of("alarm.policy-unreadable").unwrap();
    assert_eq!(alarm["fields"]["code"], "policy.form", "{alarm}");
    for event in ["alarm.policy-unreadable", "alarm.clock-unsynchronised"] {
        let remedy = epost::alarm::REMEDIES.iter().find(|(name, _)| *name == event).unwrap().1;
        assert_eq!(of(event).unwrap()["what_to_do"], remedy);
    }
}

#[test]
fn a_log_that_forked_by_a_restore_goes_on_under_a_key_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    copy_of_certs_test(&path.join("pki"));
    let stand_ins = Sandbox::start(path);
    let config = own_config(path);
    let letter = path.join("letter.pdf");
    std::fs::write(&letter, b"a letter").unwrap();
    let file = ContentFile::digest(&letter, &Progress::new(true)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let send = |service: &Service, token: &str| {
        let settings: Settings = service.settings(&stand_ins, path);
        let client = Client::new(&settings, "en", Progress::new(true), Timestamp::now).unwrap();
        runtime.block_on(client.send(&submission(token, &file), std::slice::from_ref(&file))).unwrap()
    };
    let data = path.join("served");
    let signed = || {
        let note = std::fs::read_to_string(data.join("tlog/checkpoint")).unwrap_or_default();
        note.lines().nth(1).map_or(0, |size| size.parse::<u64>().unwrap())
    };
    let epost = |arguments: &[&str], more: &[&Path]| {
        Command::new(PROGRAM).args(arguments).arg("--config").arg(&config).args(more).output().unwrap()
    };

    let service = Service::start(Path::new(PROGRAM), &config);
    send(&service, "before");
    let backup = path.join("backup");
    wait_for(|| signed() > 0);
    done(&epost(&["backup"], &[&backup]));
    let of_backup = signed();
    let receipt = send(&service, "lost");
    wait_for(|| signed() > of_backup + 2);
    drop(service);
    let published = path.join("published-last");
    std::fs::copy(data.join("tlog/checkpoint"), &published).unwrap();
    let key_of_before = told(&epost(&["journal", "key"], &[]));

    // The machine is lost; an auditor kept the checkpoint. With it beside the restored journal nothing starts.
    std::fs::remove_dir_all(&data).unwrap();
    let place = path.join("place");
    done(&Command::new(PROGRAM).args(["restore", "--into"]).args([&place, &backup]).output().unwrap());
    std::fs::rename(place.join("data"), &data).unwrap();
    let tlog = data.join("tlog");
    let of_the_backup = std::fs::read(tlog.join("checkpoint")).unwrap();
    std::fs::copy(&published, tlog.join("checkpoint")).unwrap();
    let refused = epost(&["serve"], &[]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("journal.forked"), "{refused:?}");

    // With the backup's own it starts, and signs another log under the same key; every auditor sees that.
    std::fs::write(tlog.join("checkpoint"), of_the_backup).unwrap();
    let compared = epost(&["journal", "compare", "--json"], &[&published]);
    assert_eq!(compared.status.code(), Some(1), "{compared:?}");
    assert!(told(&compared).contains("journal.forked"));

    // So it gets a key of its own, and what was published before is kept, away.
    std::fs::rename(&tlog, path.join("tlog-of-before")).unwrap();
    std::fs::write(path.join("secrets/log-2.key"), Ed25519Key::random().unwrap().to_pem().unwrap()).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains("secrets/log.key"));
    std::fs::write(&config, text.replace("secrets/log.key", "secrets/log-2.key")).unwrap();
    let service = Service::start(Path::new(PROGRAM), &config);
    let again = send(&service, "lost");
    assert_ne!(again.ticket, receipt.ticket, "it was lost: the resend is another item, with another receipt");
    wait_for(|| signed() > of_backup);
    drop(service);
    let key = told(&epost(&["journal", "key"], &[]));
    assert_ne!(key, key_of_before);
    done(&epost(&["journal", "verify", "--signatures"], &[]));
    // Nobody can take the one log for the other.
    let compared = epost(&["journal", "compare", "--json"], &[&published]);
    assert!(told(&compared).contains("journal.checkpoint.unsigned"), "{compared:?}");
    // A proof of before verifies by the key of before, a new one by the new key.
    let proof: PathBuf = path.join("record.tlog-proof");
    done(&epost(&["journal", "proof", "0", "--out", proof.to_str().unwrap()], &[]));
    let check = |key: &str| {
        Command::new(PROGRAM)
            .args(["journal", "check-proof", "--key", key.trim()])
            .arg(&proof)
            .output()
            .unwrap()
    };
    done(&check(&key));
    assert_eq!(check(&key_of_before).status.code(), Some(1));
}

#[track_caller]
fn done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
