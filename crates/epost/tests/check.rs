//! `epost check --production` by its own program: what a sandbox lacks is named, and what it has is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use epost::dev::pki::Extent;
use epost::dev::start::{self, LOOPBACK};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_signs_contract_bs_answers_is_rsa() {
    let folder = tempfile::tempdir().unwrap();
    start::start(folder.path(), LOOPBACK, Extent::Senders).await.unwrap().stop().await;
    let findings = check(folder.path());
    assert_eq!((findings["listen.key"], findings["environment"]), (true, false), "{findings:?}");

    let pki = folder.path().join("pki");
    for suffix in ["crt", "key"] {
        std::fs::copy(pki.join(format!("seal.{suffix}")), pki.join(format!("server.{suffix}"))).unwrap();
    }
    assert!(!check(folder.path())["listen.key"], "P-256");
}

/// Each check, and whether it is in order.
fn check(folder: &Path) -> BTreeMap<String, bool> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epost"));
    let output = command
        .args(["check", "--production", "--json", "--config"])
        .arg(folder.join("epost.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let told = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    told.map(|told| (told["check"].as_str().unwrap().to_owned(), told["ok"].as_bool().unwrap())).collect()
}
