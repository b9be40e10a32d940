//! The sender's commands by their own program, against a sandbox.

use std::process::{Command, Output};

use epost::dev::pki::{Extent, SENDERS};
use epost::dev::sandbox::{CITIZEN, ENTERPRISE, MANDATARY, MANDATARY_QUALITY};
use epost::dev::start::{self, LOOPBACK};
use pki::certificate::Certificate;
use pki::path::TrustAnchors;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_follows_his_items_by_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = start::start(folder.path(), LOOPBACK, Extent::Senders).await.unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (alice, bob, letter) = (path("alice.toml"), path("bob.toml"), path("letter.txt"));
    std::fs::write(&letter, "A letter.").unwrap();

    let told = done(&epost(&["check-connection", "--profile", &alice, "--json"]));
    let party = SENDERS.iter().find(|sender| sender.name == "alice").unwrap();
    assert_eq!(
        (&told[0]["company_id"], &told[0]["application_id"]),
        (&party.cbe.into(), &party.application.into())
    );
    assert_eq!(told[0]["gateway"], false);
    let words = epost(&["check-connection", "--profile", &alice]);
    assert!(String::from_utf8_lossy(&words.stdout).contains(&format!("institution   {}\n", party.cbe)));

    let begun = jiff::Timestamp::now().to_string();
    let send = |token: &str| {
        let (out, log) = (path("proofs"), path("sent.jsonl"));
        let what = ["send", &letter, "--to-citizen", CITIZEN, "--title", "A letter", "--type", "LETTER"];
        let how = ["--wait", "--token", token, "--out", &out, "--log", &log, "--profile", &alice, "--json"];
        done(&epost(&[what.as_slice(), how.as_slice()].concat()))[0]["ticket"].as_str().unwrap().to_owned()
    };
    let tickets = [send("first"), send("second")];

    let found = done(&epost(&["find", "--from", &begun, "--profile", &alice, "--json"]));
    let listed: Vec<_> = found.iter().map(|item| item["ticket"].as_str().unwrap()).collect();
    assert_eq!(listed, tickets, "oldest first");
    let by_token = done(&epost(&["find", "--token", "second", "--profile", &alice, "--json"]));
    assert_eq!(
        (&by_token[0]["ticket"], &by_token[0]["status"]),
        (&tickets[1].as_str().into(), &"SENT".into())
    );
    assert_eq!(
        done(&epost(&["find", "--from", &begun, "--status", "ERROR", "--profile", &alice, "--json"])),
        [Value::Null; 0]
    );
    assert_eq!(epost(&["find", "--profile", &alice]).status.code(), Some(3), "by what?");

    let history = &done(&epost(&["history", &tickets[0], "--profile", &alice, "--json"]))[0];
    let codes: Vec<_> =
        history["events"].as_array().unwrap().iter().map(|event| event["code"].as_str().unwrap()).collect();
    // He asked for his proofs meanwhile.
    let steps: Vec<_> = codes.iter().copied().filter(|code| *code != "PROOF_HANDED_OUT").collect();
    assert_eq!(steps, ["RECEIVED", "ACCEPTED", "CONSIGNED", "DISPATCHED"], "{history}");
    let rest = &done(&epost(&["history", &tickets[0], "--first", "3", "--profile", &alice, "--json"]))[0];
    assert_eq!(rest["events"].as_array().unwrap().len(), codes.len() - 2);
    let foreign = epost(&["history", &tickets[0], "--profile", &bob, "--json"]);
    let told: Value = serde_json::from_slice(&foreign.stdout).unwrap();
    assert_eq!((foreign.status.code(), &told["error"]["code"]), (Some(1), &"REPO_B01".into()));
    assert_eq!(epost(&["history", "0", "--profile", &alice]).status.code(), Some(3), "no ticket");

    let out = path("proofs");
    let package = |kind: &str, profile: &str| {
        let what = ["proof", &tickets[0], "--kind", kind, "--form", "package", "--out", &out, "--json"];
        epost(&[what.as_slice(), &["--profile", profile]].concat())
    };
    let told = done(&package("dispatch", &alice));
    let saved = folder.path().join("proofs").join(&tickets[0]).join("ProofOfDispatch.asice");
    assert_eq!(told[0]["files"], serde_json::json!([saved]));
    assert_eq!(
        told[0]["verify"],
        format!("epost-verify {} --seal-anchors SEAL-ROOT.pem --tsa-anchors TSA-ROOT.pem", saved.display())
    );
    judged_by_anchors_alone(&folder.path().join("pki"), &std::fs::read(&saved).unwrap());
    for (kind, profile, code) in [("expiry", &alice, "REPO_B03"), ("receipt", &bob, "REPO_B01")] {
        let refused = package(kind, profile);
        let told: Value = serde_json::from_slice(&refused.stdout).unwrap();
        assert_eq!((refused.status.code(), &told["error"]["code"]), (Some(1), &code.into()));
    }
    sandbox.stop().await;
}

/// The offline verifier passes it, and was given two roots and nothing else.
#[track_caller]
fn judged_by_anchors_alone(pki: &std::path::Path, package: &[u8]) {
    let anchors = |name: &str| {
        let pem = std::fs::read(pki.join(name)).unwrap();
        TrustAnchors::new(Certificate::from_pem(&pem).unwrap(), Vec::new())
    };
    let report = evidence::verify::verify(&evidence::verify::Inputs {
        xml: package,
        p7s: &[],
        documents: &[],
        crls: &[],
        seal_anchors: &anchors("seal-root.crt"),
        tsa_anchors: &anchors("tsa-root.crt"),
        log_key: None,
        now: jiff::Timestamp::now(),
    });
    assert!(report.passed(), "{}", report.render());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_beside_the_e_box_lies_in_the_sandboxs_folders() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = start::start(folder.path(), LOOPBACK, Extent::Senders).await.unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (alice, letter) = (path("alice.toml"), path("letter.txt"));
    std::fs::write(&letter, "A letter.").unwrap();
    let (out, log) = (path("proofs"), path("sent.jsonl"));
    let send = |beside: &[&str]| {
        let what =
            ["send", &letter, "--to-enterprise", ENTERPRISE, "--title", "A letter", "--type", "LETTER"];
        let how = ["--wait", "--out", &out, "--log", &log, "--profile", &alice, "--json"];
        epost(&[what.as_slice(), beside, how.as_slice()].concat())
    };
    let both = ["--channel", "EBOX_ENTERPRISE", "--channel", "BATCH"];
    let delegate = ["--delegate", MANDATARY, "--delegate-quality", MANDATARY_QUALITY];
    let own = done(&send(&[&both[..], &["--proof-to-mailbox"]].concat()));
    let delegates = done(&send(&[&both[..], &delegate].concat()));
    let ticket = |told: &[Value]| told[0]["ticket"].as_str().unwrap().to_owned();
    let proofs = folder.path().join("proofs").join(ticket(&own));
    assert!(proofs.join("ProofOfDispatch.p7s").is_file());
    let evidence = proofs.join("SubmissionAcceptance.xml").display().to_string();
    assert!(own[0]["files"].as_array().unwrap().contains(&evidence.into()), "{own:?}");
    for wrong in [&both[2..], &delegate] {
        let refused = send(wrong);
        let told: Value = serde_json::from_slice(&refused.stdout).unwrap();
        assert_eq!((refused.status.code(), &told["error"]["code"]), (Some(1), &"EPOST_B09".into()));
    }

    let text = std::fs::read_to_string(path("sandbox.json")).unwrap();
    let batch = serde_json::from_str::<Value>(&text).unwrap()["batch"].take();
    let listed = async |who: &str, wanted: &str| {
        let pem = |file: &str| path(batch["partners"][who][file].as_str().unwrap());
        let http = https(&path("pki/server-root.crt"), &pem("cert"), &pem("key"));
        for _ in 0..600 {
            let page = http.get(batch["url"].as_str().unwrap()).send().await.unwrap().text().await.unwrap();
            if page.contains(wanted) {
                return page;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{wanted} is not in the folder of {who}");
    };
    let page = listed("enterprise", &ticket(&own)).await;
    assert!(!page.contains(&ticket(&delegates)), "{page}");
    listed("mandatary", &ticket(&delegates)).await;
    listed("alice", &format!("{}.ProofOfDispatch.p7s", ticket(&own))).await;
    assert!(!listed("bob", "").await.contains(&ticket(&own)));
    sandbox.stop().await;
}

/// HTTPS as a browser with that certificate.
fn https(authority: &str, certificate: &str, key: &str) -> reqwest::Client {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls_openssl::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let tls = builder.unwrap().with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

fn epost(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_epost")).args(args).output().unwrap()
}

#[track_caller]
fn done(output: &Output) -> Vec<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
