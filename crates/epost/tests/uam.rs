//! `epost uam check` by its own program: what a helpdesk asks when a sender was denied.

use std::path::Path;
use std::process::{Command, Output};

use epost::dev::pki::Extent;
use epost::dev::start::{self, LOOPBACK};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_explained_grant_by_grant() {
    let folder = tempfile::tempdir().unwrap();
    start::start(folder.path(), LOOPBACK, Extent::WithStrangers).await.unwrap().stop().await;
    let granted = check(folder.path(), "alice", &["--transaction", "sendDocument", "--type", "LETTER"]);
    assert_eq!(granted.status.code(), Some(0), "{granted:?}");
    let said = String::from_utf8_lossy(&granted.stdout).into_owned();
    assert!(said.contains("sender   1000000021 urn:be:fgov:epost:test:alice:letters (TST)\n"), "{said}");
    assert!(said.contains(": fits\n") && said.contains("\ngranted  by "), "{said}");

    for (who, question, check_expected, grants) in [
        ("alice", &["--transaction", "getStatus", "--address", "192.0.2.1"][..], "uam.zone", 2),
        ("not_authorised", &["--transaction", "getStatus"], "uam.sender", 0),
    ] {
        let denied = check(folder.path(), who, &[question, &["--json"]].concat());
        assert_eq!(denied.status.code(), Some(1), "{denied:?}");
        let told: Value = serde_json::from_slice(&denied.stdout).unwrap();
        assert_eq!((&told["granted"], &told["check"]), (&false.into(), &check_expected.into()), "{told}");
        assert_eq!(told["grants"].as_array().map(Vec::len), Some(grants), "{told}");
    }
    for (who, question, said) in [
        ("unknown_ca", &["--transaction", "getStatus"][..], "path.unknown-issuer"),
        ("alice", &["--transaction", "getStatus", "--at", "2046-01-15T00:00:00Z"], "path.expired"),
        ("alice", &["--transaction", "everything"], "expected one of sendDocument, getStatus"),
    ] {
        let refused = check(folder.path(), who, question);
        assert_eq!(refused.status.code(), Some(3), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(said), "{refused:?}");
    }
}

fn check(folder: &Path, who: &str, question: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epost"));
    command.args(["uam", "check", "--config"]).arg(folder.join("epost.toml"));
    command.arg("--certificate").arg(folder.join(format!("pki/{who}.crt")));
    if !question.contains(&"--address") {
        command.args(["--address", "127.0.0.1"]);
    }
    command.args(question).output().unwrap()
}
