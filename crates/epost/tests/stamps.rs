//! The time-stamp on the log's checkpoint: had once, kept beside the log, recorded, and judged by `epost journal verify`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use epost::dev::pki::Extent;
use epost::dev::start::{self, LOOPBACK, Sandbox};
use erds::Record;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_stamped_once_and_the_stamp_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let stamps = folder.path().join("data/tlog/stamps");
    let sandbox = open(folder.path()).await;
    let stamp = until(|| stamp_in(&stamps));
    let note = stamp.with_extension("");
    until(|| (recorded(&sandbox) == 1).then_some(()));
    sandbox.stop().await;
    // Not old enough: a restart stamps no other.
    let sandbox = open(folder.path()).await;
    let checkpoint = folder.path().join("data/tlog/checkpoint");
    let before = std::fs::read(&checkpoint).unwrap();
    until(|| (std::fs::read(&checkpoint).unwrap() != before).then_some(()));
    assert_eq!(recorded(&sandbox), 1);
    sandbox.stop().await;

    let (code, told) = verify(folder.path());
    let size: u64 = note.file_name().unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!((code, &told["stamped_records"]), (Some(0), &size.into()), "{told}");
    assert_eq!(told["stamped_by"], "sandbox");
    a_record_is_proved_with_its_time(folder.path());
    for (path, place) in [(&note, 3), (&stamp, 200)] {
        let whole = std::fs::read(path).unwrap();
        let mut changed = whole.clone();
        changed[place] ^= 1;
        std::fs::write(path, changed).unwrap();
        let (code, told) = verify(folder.path());
        assert_eq!((code, &told["code"]), (Some(1), &"journal.stamp".into()), "{}: {told}", path.display());
        std::fs::write(path, whole).unwrap();
    }
    std::fs::remove_file(&note).unwrap();
    assert_eq!(verify(folder.path()).1["code"], "journal.stamp");
}

/// Offline: by the log's public key and the authority's root alone.
fn a_record_is_proved_with_its_time(folder: &Path) {
    let journal = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_epost")).arg("journal").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let place = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (config, proof, stamp) = (place("epost.toml"), place("record"), place("record.tsr"));
    let key = journal(&["key", "--config", &config]).1;
    let proved = journal(&["proof", "0", "--config", &config, "--out", &proof, "--stamped"]);
    assert_eq!(proved.0, Some(0), "{}", proved.1);
    let (anchors, crls) = (place("pki/tsa-root.crt"), place("pki/crls"));
    let check = |stamp: &[&str]| {
        let told = journal(&[&["check-proof", &proof, "--json", "--key", key.trim()], stamp].concat());
        (told.0, serde_json::from_str::<Value>(&told.1).unwrap())
    };
    let with_crls = ["--stamp", &stamp, "--tsa-anchors", &anchors, "--crl", &crls];
    let (code, told) = check(&with_crls);
    assert_eq!((code, told["stamped_at"].is_string()), (Some(0), true), "{told}");
    let (code, told) = check(&[]);
    assert_eq!((code, told["stamped_at"].is_null()), (Some(0), true), "{told}");
    let (code, told) = check(&with_crls[..4]);
    assert_eq!((code, &told["error"]["code"]), (Some(1), &"journal.stamp".into()), "without a CRL: {told}");
    // Of another checkpoint: that of the newest, of which there is no stamp.
    let newest = journal(&["proof", "0", "--config", &config, "--out", &proof]);
    assert_eq!((newest.0, check(&with_crls).0), (Some(0), Some(1)), "{}", newest.1);
}

async fn open(folder: &Path) -> Sandbox {
    start::start_tuned(folder, LOOPBACK, Extent::Senders, |config| config.data.stamp_hours = 24)
        .await
        .unwrap()
}

fn stamp_in(stamps: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(stamps).ok()?.map(|entry| entry.unwrap().path());
    files.into_iter().find(|path| path.extension().is_some_and(|found| found == "tsr"))
}

fn recorded(sandbox: &Sandbox) -> usize {
    let records = sandbox.service.service.journal().iter(0).map(|stored| stored.unwrap().record);
    records
        .filter(|record| matches!(record, Record::Control(act) if act.action == "checkpoint.stamped"))
        .count()
}

fn verify(folder: &Path) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_epost"))
        .args(["journal", "verify", "--json", "--config"])
        .arg(folder.join("epost.toml"))
        .output()
        .unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

/// Asks again until there is an answer; a minute without one fails the test.
#[track_caller]
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let Some(answer) = ask() {
            return answer;
        }
        tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(10)));
    }
    panic!("nothing came within a minute");
}
