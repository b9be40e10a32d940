//! `epost check --production` by its own program: what a sandbox lacks is named, and what it has is not; a policy is judged as at a start.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use epost::dev::pki::Extent;
use epost::dev::start::{self, LOOPBACK};
use pki::signer::Signer;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_judged_as_the_start_would() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let sandbox = start::start(folder, LOOPBACK, Extent::Senders).await.unwrap();
    let (path, config) = (folder.join("policy.toml"), folder.join("epost.toml"));
    let text = std::fs::read_to_string(&path).unwrap();
    let judged = || {
        let told = told(folder).remove("uam.policy").unwrap();
        (told["ok"] == true, format!("{}{}", told["problem"], told["note"]))
    };
    let said = |expected: (bool, &str)| {
        let (ok, said) = judged();
        assert!(ok == expected.0 && said.contains(expected.1), "{expected:?}: {said}");
    };
    // Beside the service that runs.
    said((true, "version 0, the one in force"));
    std::fs::write(&path, format!("version = 3\n{text}")).unwrap();
    said((true, "version 3, unsigned, not in force yet"));
    sandbox.service.access.reload(&sandbox.service.service).await.unwrap();
    said((true, "version 3, the one in force"));
    std::fs::write(&path, format!("version = 2\n{text}")).unwrap();
    said((false, "policy.version"));
    sandbox.stop().await;
    said((false, "policy.version"));

    let signer = |name: &str| {
        let read = |kind| std::fs::read(folder.join(format!("pki/{name}.{kind}"))).unwrap();
        pki::signer::FileSigner::from_pem(&read("key"), &read("crt")).unwrap()
    };
    let person = |name: &str| {
        let fingerprint = erds::record::Hex32(signer(name).certificate().fingerprint()).to_hex();
        format!("[[uam.signers.person]]\nname = \"{name}\"\ncertificates = [\"{fingerprint}\"]\n")
    };
    let signers = "[uam.signers]\nanchors = [\"pki/senders-root.crt\"]\nintermediates = [\"pki/senders-ca.crt\"]\ncrls = [\"pki/crls\"]\n";
    let written = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{written}\n{signers}{}{}", person("alice"), person("bob"))).unwrap();
    let next = format!("version = 4\n{text}");
    let signed = |by: &[&str]| {
        let sign = |file: String, name: &&str| {
            uam::with_signature(&file, &signer(name).sign_detached(next.as_bytes()).unwrap())
        };
        std::fs::write(&path, by.iter().fold(next.clone(), sign)).unwrap();
    };
    signed(&[]);
    said((false, "policy.signers.too-few"));
    signed(&["alice"]);
    said((false, "policy.signers.too-few"));
    signed(&["alice", "bob"]);
    said((true, "version 4, signed by alice and bob, not in force yet"));
}

/// Each check, and whether it is in order.
fn check(folder: &Path) -> BTreeMap<String, bool> {
    told(folder).into_iter().map(|(check, told)| (check, told["ok"] == true)).collect()
}

/// Each check's line.
fn told(folder: &Path) -> BTreeMap<String, Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epost"));
    let output = command
        .args(["check", "--production", "--json", "--config"])
        .arg(folder.join("epost.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let told = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    told.map(|told| (told["check"].as_str().unwrap().to_owned(), told)).collect()
}
