//! `epost uam check` by its own program: what a helpdesk asks when a sender was denied.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use epost::dev::pki::Extent;
use epost::dev::start::{self, LOOPBACK};
use serde_json::Value;
use uam::Transaction;

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

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_point_of_dev_decides_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    start::start(folder.path(), LOOPBACK, Extent::Senders).await.unwrap().stop().await;
    let mut point = Command::new(env!("CARGO_BIN_EXE_epost"));
    point.args(["dev", "decisions", "--listen", "127.0.0.1:0", "--permit", "urn:x=getStatus"]);
    let point = point.arg(folder.path().join("pki")).stdout(Stdio::piped()).spawn().unwrap();
    let mut point = Ended(point);
    let mut lines = BufReader::new(point.0.stdout.take().unwrap()).lines();
    let section: Vec<String> = lines.by_ref().take(5).map(Result::unwrap).collect();
    assert_eq!(section[0], "[uam.remote]");
    let remote =
        epost::access::RemoteAuthorizer::read(&toml::from_str(&section[1..].join("\n")).unwrap()).unwrap();
    let sender = erds::Sender {
        cbe: erds::EnterpriseNumber::parse("1000000021", erds::Strictness::Strict).unwrap(),
        application: erds::ApplicationId::parse("urn:x").unwrap(),
        environment: erds::Environment::Tst,
        issuing_ca_spki_sha256: [7; 32],
    };
    for (transaction, permitted) in [(Transaction::GetStatus, true), (Transaction::SendDocument, false)] {
        let (address, at) = ([127, 0, 0, 1].into(), jiff::Timestamp::now());
        let question = uam::Question { sender: &sender, transaction, message_type: None, address, at };
        let verdict = remote.ask(&question, [0; 32]).await.unwrap();
        assert_eq!(verdict.permit(()).is_ok(), permitted, "{transaction:?}");
    }
    // And who explains a decision asks it too: alice's grants, which would let her in, decide nothing.
    let path = folder.path().join("epost.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let asked = || check(folder.path(), "alice", &["--transaction", "getStatus"]);
    assert_eq!(asked().status.code(), Some(0), "by the grants");
    std::fs::write(&path, format!("{config}\n{}\n", section.join("\n"))).unwrap();
    let denied = asked();
    let said = String::from_utf8_lossy(&denied.stdout).into_owned();
    assert!(denied.status.code() == Some(1) && said.contains("it decides, not the grants\n"), "{denied:?}");
    assert!(said.contains("denied   SOA-01002 uam.remote"), "{said}");
    drop(point);
    assert_eq!(asked().status.code(), Some(3), "without its answer there is none");
}

/// A program that ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `epost uam` by alice or bob, on the sandbox's policy.
fn change(folder: &Path, by: &str, step: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epost"));
    command.arg("uam").args(step).arg("--config").arg(folder.join("epost.toml"));
    if !by.is_empty() {
        command.arg("--certificate").arg(folder.join(format!("pki/{by}.crt")));
        command.arg("--key").arg(folder.join(format!("pki/{by}.key")));
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_change_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    start::start(folder, LOOPBACK, Extent::WithStrangers).await.unwrap().stop().await;
    let person = |name: &str| {
        let certificate = epost::trust::read_certificates(&[folder.join(format!("pki/{name}.crt"))]).unwrap();
        let fingerprint = erds::record::Hex32(certificate[0].fingerprint()).to_hex();
        format!("[[uam.signers.person]]\nname = \"{name}\"\ncertificates = [\"{fingerprint}\"]\n")
    };
    let path = folder.join("epost.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let signers = "[uam.signers]\nanchors = [\"pki/senders-root.crt\"]\nintermediates = [\"pki/senders-ca.crt\"]\ncrls = [\"pki/crls\"]\n";
    let config = format!("{config}\n{signers}{}{}", person("alice"), person("bob"));
    std::fs::write(&path, config).unwrap();
    let read = || epost::access::read(&folder.join("policy.toml")).unwrap();
    let approved = |by: &str| {
        let (code, said) = change(folder, by, &["approve"]);
        assert_eq!(code, 0, "{said}");
        let config = epost::config::Config::read(&path).unwrap();
        let signers = epost::access::Signers::read(&config.uam.signers.unwrap()).unwrap();
        let now = Some(jiff::Timestamp::now());
        assert_eq!(signers.judge(&read(), now).unwrap().len(), 2, "what the service will judge");
        said
    };

    let text = std::fs::read_to_string(folder.join("policy.toml")).unwrap();
    let new = text.split("\n[[grant]]\n").nth(1).unwrap().replace("alice-sending", "alice-more");
    let new_file = folder.join("new.toml");
    std::fs::write(&new_file, format!("[[grant]]\n{new}")).unwrap();
    let new_file = new_file.to_str().unwrap();

    let (code, said) = change(folder, "alice", &["add", new_file]);
    assert!(code == 0 && said.contains("adds     alice-more\n"), "{said}");
    assert_eq!(read().grants_count(), 4, "nothing is in force yet");
    for (by, step, expected) in [
        ("bob", &["add", new_file][..], "uam.proposal.waits"),
        ("alice", &["approve"], "policy.signers.too-few"),
        ("not_authorised", &["approve"], "policy.signer.unknown"),
    ] {
        let (code, said) = change(folder, by, step);
        assert!(code == 3 && said.contains(expected), "{by} {step:?}: {said}");
    }
    assert!(change(folder, "", &["list"]).1.contains("waits for another person"));
    assert!(approved("bob").contains("signed   by alice, bob\n"));
    assert_eq!((read().version(), read().grants_count()), (1, 5));
    assert!(
        read().text().starts_with("version = 1\n") && read().text().contains("# Made by"),
        "comments stay"
    );

    for (step, expected) in [
        (&["add", new_file][..], "policy.repeated"),
        (&["review", "nobody"], "uam.change.unknown"),
        (&["end", "alice-more", "--on", "2035-12-31"], "uam.change.none"),
        (&["change", folder.join("epost.toml").to_str().unwrap()], "uam.change.entry"),
        (&["approve"], "uam.proposal.none"),
    ] {
        let (code, said) = change(folder, "bob", step);
        assert!(code == 3 && said.contains(expected), "{step:?}: {said}");
    }
    let of = |id: &str| read().grants().iter().find(|grant| grant.id() == id).unwrap().clone();
    assert_eq!(change(folder, "bob", &["end", "alice-more", "--on", "2030-01-31"]).0, 0);
    approved("alice");
    assert_eq!(of("alice-more").until().to_string(), "2030-01-31");
    let replaced = std::fs::read_to_string(new_file).unwrap().replace("testing a client", "another purpose");
    std::fs::write(new_file, replaced.replace("2026-11-21", "2020-01-01")).unwrap();
    assert_eq!(change(folder, "alice", &["change", new_file]).0, 0);
    approved("bob");
    assert_eq!((of("alice-more").purpose(), read().version()), ("another purpose", 3));
    let (_, listed) = change(folder, "", &["list", "--json"]);
    let overdue = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let overdue: Vec<Value> = overdue.filter(|grant| grant["overdue"] == true).collect();
    assert!(matches!(&overdue[..], [grant] if grant["id"] == "alice-more"), "{overdue:?}");
    assert_eq!(change(folder, "bob", &["review", "alice-more"]).0, 0);
    approved("alice");
    let today = epost::service::today(jiff::Timestamp::now());
    assert!(of("alice-more").reviewed().is_some_and(|day| today.duration_since(day).as_hours() <= 24));
    assert!(!change(folder, "", &["list"]).1.contains("OVERDUE"));

    let merger = [
        "succeed",
        "--predecessor",
        "1000000021",
        "--successor",
        "0000000196",
        "--since",
        "2027-01-01",
        "--reference",
        "royal decree",
    ];
    let mandate = [
        "mandate",
        "--id",
        "M-7",
        "--mandator",
        "1000000021",
        "--mandatary",
        "0000000196",
        "--transaction",
        "getStatus",
        "--transaction",
        "getProof",
        "--until",
        "2030-12-31",
        "--reference",
        "agreement",
    ];
    for (step, adds) in
        [(&merger[..], "adds     1000000021>0000000196\n"), (&mandate[..], "adds     mandate M-7\n")]
    {
        let (code, said) = change(folder, "alice", step);
        assert!(code == 0 && said.contains(adds), "{said}");
        assert!(change(folder, "alice", &["approve"]).1.contains("policy.signers.too-few"));
        assert!(approved("bob").contains("signed   by alice, bob\n"));
    }
    let (code, said) = change(folder, "alice", &merger);
    assert!(code == 3 && said.contains("policy.repeated"), "{said}");
    assert_eq!(change(folder, "alice", &["end", "M-7"]).0, 0);
    let (code, said) = change(folder, "not_authorised", &["withdraw"]);
    assert!(code == 3 && said.contains("policy.signer.unknown"), "{said}");
    let (code, said) = change(folder, "bob", &["withdraw"]);
    assert!(code == 0 && said.contains("withdrawn version 7 "), "{said}");
    assert!(folder.join("policy.toml.withdrawn").exists() && !folder.join("policy.toml.proposed").exists());
    assert!(change(folder, "bob", &["approve"]).1.contains("uam.proposal.none"));

    // Another policy was put in place meanwhile: the proposal can only be withdrawn.
    assert_eq!(change(folder, "alice", &["end", "M-7"]).0, 0);
    let newer = read().text().replacen("version = 6\n", "version = 7\n", 1);
    std::fs::write(folder.join("policy.toml"), newer).unwrap();
    let (code, said) = change(folder, "bob", &["approve"]);
    assert!(code == 3 && said.contains("policy.version: version 7 is not above 7"), "{said}");
    assert!(said.contains("epost uam withdraw"), "{said}");
    assert_eq!(read().mandates()[0].until().to_string(), "2030-12-31", "nothing was put in place");
    assert_eq!(change(folder, "alice", &["withdraw"]).0, 0);
    let (merger, mandate) = (read().successions()[0].clone(), read().mandates()[0].clone());
    assert_eq!(
        (merger.name(), merger.since().to_string()),
        ("1000000021>0000000196".to_owned(), "2027-01-01".to_owned())
    );
    assert_eq!((mandate.transactions().len(), mandate.until().to_string()), (2, "2030-12-31".to_owned()));
    let (_, listed) = change(folder, "", &["list"]);
    assert!(
        listed.contains("0000000196 takes the place of 1000000021") && listed.contains("mandate M-7"),
        "{listed}"
    );
}
