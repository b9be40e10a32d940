//! Who is granted what, at the front door: what the journal keeps of it, and whose items are read.

use epost::config::{Config, PolicySigner, PolicySigners};
use epost::dev::pki::Extent;
use epost::dev::start::{self, LOOPBACK};
use erds::record::Control;
use erds::{Record, Ticket, Token};
use soap::message::v2::{self, ItemSearch, SearchBy};
use soap::message::{ItemName, ProofKind};

use crate::house::door::Door;
use crate::house::draft::V2;
use crate::house::inside::{Plan, copy_of_certs_test, policy};
use crate::house::{Draft, House, Sandbox, certificate, certs_test, signer};

/// The last record as JSON.
fn last(house: &House) -> serde_json::Value {
    serde_json::to_value(&house.records().last().unwrap().record).unwrap()
}

/// A house whose gateway is bob, who says the sender's address.
async fn behind_bob(header: Option<&str>) -> Door {
    let gateway_address_header = header.map(str::to_owned);
    Door::with(Plan { gateways: vec![certificate("bob")], gateway_address_header, ..Plan::default() }, |_| {})
        .await
}

fn over_bob() -> crate::house::Signed {
    let mut signed = Draft::submission("T").sign();
    "bob".clone_into(&mut signed.tls);
    signed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateways_address_and_the_asserted_one_are_journalled() {
    let door = behind_bob(Some("x-forwarded-for")).await;
    let policy = crate::house::inside::policy().replace("127.0.0.1/32", "127.0.7.7/32");
    door.house.service.set_policy(uam::PolicyFile::parse(&policy).unwrap());
    let said = |address| [("x-forwarded-for", address)];
    for (address, expected) in [
        ("127.0.7.7", "accepted"),
        ("8.8.8.8, 127.0.7.7", "accepted"),
        ("127.0.7.7, 127.0.0.1", "SOA-01002 uam.address"),
        ("127.0.0.1", "SOA-01002 uam.address"),
        ("8.8.8.8", "SOA-01002 uam.zone"),
        ("unknown", "SOA-01002 uam.gateway-address"),
        ("127.0.7.7,", "SOA-01002 uam.gateway-address"),
    ] {
        let signed = {
            let mut signed = Draft::submission(&format!("T{}", door.house.records().len())).sign();
            "bob".clone_into(&mut signed.tls);
            signed
        };
        let answer = door.send(&signed, &said(address)).await;
        assert_eq!(door.house.verdict(&answer), expected, "{address}");
        if expected == "accepted" {
            let received = door.house.records().into_iter().rev().find_map(|stored| match stored.record {
                Record::Received(received) => Some(received.request),
                _ => None,
            });
            let request = received.unwrap();
            assert_eq!(request.peer_address, "127.0.0.1");
            assert_eq!(request.asserted_address.as_deref(), Some("127.0.7.7"));
        } else {
            let asserted = address.rsplit(',').next().unwrap().trim();
            let refused = last(&door.house);
            assert_eq!(refused["peer_address"], "127.0.0.1");
            let kept = asserted.parse::<std::net::IpAddr>().is_ok().then_some(asserted);
            assert_eq!(refused["asserted_address"].as_str(), kept, "{refused}");
        }
    }
    let answer = door.send(&over_bob(), &[]).await;
    assert_eq!(door.house.verdict(&answer), "SOA-01002 uam.gateway-address", "it says nothing");
    // Two lines: the last is the gateway's own.
    let answer = door.send(&over_bob(), &[said("8.8.8.8"), said("127.0.7.7")].concat()).await;
    assert_eq!(door.house.verdict(&answer), "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_asserts_an_address() {
    let door = behind_bob(Some("x-forwarded-for")).await;
    let answer = door.send(&Draft::submission("T").sign(), &[("x-forwarded-for", "8.8.8.8")]).await;
    assert_eq!(door.house.verdict(&answer), "accepted", "alice is no gateway: her own address counts");
    let silent = behind_bob(None).await;
    let answer = silent.send(&over_bob(), &[("x-forwarded-for", "8.8.8.8")]).await;
    assert_eq!(silent.house.verdict(&answer), "accepted", "no header was configured");
    for house in [&door.house, &silent.house] {
        assert!(house.records().iter().all(|stored| !format!("{:?}", stored.record).contains("8.8.8.8")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_has_application_grant_and_program_number() {
    let house = House::new().await;
    house.ask(&Draft::submission("T")).await.receipt();
    let records = house.records();
    let received = serde_json::to_value(&records.first().unwrap().record).unwrap();
    let request = &received["request"];
    assert_eq!(request["sender"]["application"], "urn:be:fgov:epost:test:alice:letters");
    assert_eq!(request["decision"]["program_number"], "P-17");
    assert_eq!(request["decision"]["grant"], "alice-sending");
}

/// alice, bob and somebody whose certificate is revoked.
fn signers() -> PolicySigners {
    let person = |name: &str| PolicySigner {
        name: format!("{name} A. Person"),
        certificates: vec![erds::record::Hex32(certificate(name).fingerprint()).to_hex()],
    };
    PolicySigners {
        anchors: vec![certs_test("senders-root.crt")],
        intermediates: vec![certs_test("senders-ca.crt")],
        crls: vec![certs_test("crls")],
        person: ["alice", "bob", "revoked"].map(person).to_vec(),
    }
}

fn signed(text: &str, by: &[&str]) -> String {
    by.iter().fold(text.to_owned(), |file, name| {
        uam::with_signature(&file, &signer(name).sign_detached(text.as_bytes()).unwrap())
    })
}

/// The tests' policy under a version, with more at its end.
fn versioned(version: u64, more: &str) -> String {
    format!("version = {version}\n{}{more}", policy())
}

/// The acts by which policies came into force.
fn adopted(sandbox: &Sandbox) -> Vec<serde_json::Value> {
    acts(sandbox, "uam.policy")
}

/// What the journal's acts of that name say.
fn acts(sandbox: &Sandbox, name: &str) -> Vec<serde_json::Value> {
    let acts = sandbox.records().into_iter().filter_map(|stored| match stored.record {
        Record::Control(Control { action, detail, .. }) if action == name => Some(detail),
        _ => None,
    });
    acts.map(|detail| serde_json::from_str(&detail).unwrap()).collect()
}

/// A sandbox that demands two signatures, with such a policy of version 1.
async fn signed_sandbox() -> Sandbox {
    Sandbox::start_tuned(|config| {
        config.uam.signers = Some(signers());
        std::fs::write(&config.uam.policy, signed(&versioned(1, ""), &["alice", "bob"])).unwrap();
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_takes_two_peoples_signatures_and_a_version_that_grows() {
    let sandbox = signed_sandbox().await;
    let path = sandbox.layout().policy.clone();
    let reload = async |file: &str| {
        std::fs::write(&path, file).unwrap();
        sandbox.access().reload(sandbox.service()).await.map_err(|error| error.code())
    };
    let next = versioned(2, "# next\n");
    let by_both = signed(&next, &["alice", "bob"]);
    for (file, expected) in [
        (next.clone(), "policy.signers.too-few"),
        (signed(&next, &["alice"]), "policy.signers.too-few"),
        (signed(&next, &["alice", "alice"]), "policy.signers.too-few"),
        (signed(&next, &["alice", "not_authorised"]), "policy.signer.unknown"),
        (signed(&next, &["alice", "revoked"]), "policy.signer.not-in-force"),
        (by_both.replace("# next", "# Next"), "policy.signature"),
        (by_both.replace("version = 2", "version = 3"), "policy.signature"),
        (signed(&next, &["alice"; 9]), "policy.signatures.too-many"),
        (signed(&versioned(1, "# other\n"), &["alice", "bob"]), "policy.version"),
        (signed(&policy(), &["alice", "bob"]), "policy.version"),
        (format!("{by_both}# more\n"), "policy.signature.form"),
    ] {
        assert_eq!(reload(&file).await, Err(expected), "{file}");
        assert_eq!(sandbox.service().policy().version(), 1, "the old one decides");
        assert!(sandbox.service().policy_problem().is_some());
    }
    let narrow = versioned(2, "").replace("\"sendDocument\", ", "");
    assert_eq!(reload(&signed(&narrow, &["bob", "alice"])).await, Ok(true));
    let verdict = sandbox.verdict(&sandbox.ask(&Draft::submission("T")).await);
    assert_eq!(verdict, "SOA-01002 uam.transaction");
    assert_eq!(
        reload(&signed(&versioned(1, ""), &["alice", "bob"])).await,
        Err("policy.version"),
        "no way back"
    );

    let acts = adopted(&sandbox);
    let fingerprint = |name: &str| erds::record::Hex32(certificate(name).fingerprint()).to_hex();
    assert_eq!(acts.len(), 2, "{acts:?}");
    assert_eq!(acts[1]["signers"], serde_json::json!([fingerprint("bob"), fingerprint("alice")]));
    assert_eq!(acts[1]["before"], acts[0]["sha256"]);
    assert_eq!(acts[1]["changed"], serde_json::json!(["alice-sending", "bob-sending"]));
    let (last, kept) = epost::access::last(sandbox.service()).unwrap().unwrap();
    assert_eq!((last.version, kept.unwrap().text()), (2, &*narrow), "the journal keeps the file itself");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_takes_no_older_policy_and_none_that_is_under_signed() {
    let folder = tempfile::tempdir().unwrap();
    copy_of_certs_test(&folder.path().join("pki"));
    let start = async |file: String, change: fn(&mut Config)| {
        let tune = |config: &mut Config| {
            config.uam.signers = Some(signers());
            std::fs::write(&config.uam.policy, file).unwrap();
            change(config);
        };
        match start::start_tuned(folder.path(), LOOPBACK, Extent::WithStrangers, tune).await {
            Ok(sandbox) => {
                let number = epost::access::last(&sandbox.service.service).unwrap().unwrap().0.number;
                sandbox.stop().await;
                Ok(number)
            }
            Err(error) => Err(error),
        }
    };
    let by_both = |version| signed(&versioned(version, ""), &["alice", "bob"]);
    let refused = |outcome: Result<u64, String>, code: &str| {
        let error = outcome.unwrap_err();
        assert!(error.contains(code), "{error}");
    };
    refused(start(signed(&policy(), &["alice", "bob"]), |_| ()).await, "policy.unnumbered");
    refused(start(versioned(2, ""), |_| ()).await, "policy.signers.too-few");
    assert_eq!(start(by_both(2), |_| ()).await, Ok(1));
    assert_eq!(start(by_both(2), |_| ()).await, Ok(1), "the same is no change");
    refused(start(by_both(1), |_| ()).await, "policy.version");
    refused(start(versioned(3, ""), |_| ()).await, "policy.signers.too-few");
    // Where nobody has to sign it may be unsigned, and still no older one.
    let unsigned: fn(&mut Config) = |config| config.uam.signers = None;
    refused(start(versioned(1, ""), unsigned).await, "policy.version");
    assert_eq!(start(versioned(3, ""), unsigned).await, Ok(2));
    refused(start(versioned(3, ""), |_| ()).await, "policy.signers.too-few");
    assert_eq!(start(by_both(3), |_| ()).await, Ok(3), "the same text, signed at last");
    let production: fn(&mut Config) = |config| {
        config.uam.signers = None;
        config.environment = "PRD".to_owned();
    };
    refused(start(by_both(3), production).await, "PRD demands it");
}

const SUCCESSION: &str = "
[[succession]]
predecessor = \"1000000021\"
successor = \"0000000196\"
since = \"2026-01-01\"
reference = \"royal decree\"
";

/// What bob is told of alice's item: by getStatus, by getProof with her Token, by findItems.
async fn told(sandbox: &Sandbox, who: &str, ticket: &Ticket) -> [String; 3] {
    let code = |answer: crate::house::Answered| answer.fault().map_or("OK".to_owned(), |fault| fault.code);
    let status = code(sandbox.ask(&Draft::status(ticket).by(who)).await);
    let item = ItemName::Token(Token::parse("T").unwrap());
    let proof = code(sandbox.ask(&Draft::proof(&item, ProofKind::Receipt).by(who)).await);
    let (now, hour) = (jiff::Timestamp::now(), jiff::SignedDuration::from_hours(1));
    let by = SearchBy::Received { from: now - hour, to: now + hour };
    let search = ItemSearch { by, status: None, after: None };
    let mut find = Draft::asking(v2::write_find_items_request(&search)).by(who);
    find.path = V2;
    let found = sandbox.ask(&find).await;
    let found = String::from_utf8(found.body).unwrap().matches("<v2:Ticket>").count();
    [status, proof, found.to_string()]
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_merger_the_successor_reads() {
    let sandbox = signed_sandbox().await;
    let ticket = sandbox.ask(&Draft::submission("T")).await.receipt().ticket;
    assert_eq!(told(&sandbox, "bob", &ticket).await, ["REPO_B01", "REPO_B01", "0"]);
    let merged = signed(&versioned(2, SUCCESSION), &["alice", "bob"]);
    std::fs::write(&sandbox.layout().policy, merged).unwrap();
    sandbox.access().reload(sandbox.service()).await.unwrap();
    assert_eq!(told(&sandbox, "bob", &ticket).await, ["OK", "OK", "1"]);
    assert_eq!(told(&sandbox, "alice", &ticket).await, ["OK", "OK", "1"], "what was hers stays hers");
    assert_eq!(adopted(&sandbox)[1]["added"], serde_json::json!(["1000000021>0000000196"]));
    let [merger] = &acts(&sandbox, "uam.succession")[..] else { panic!("one act of its own") };
    let fingerprint = |name: &str| erds::record::Hex32(certificate(name).fingerprint()).to_hex();
    let expected = serde_json::json!({
        "change": "added", "of": "1000000021", "by": "0000000196", "since": "2026-01-01", "reference": "royal decree",
        "policy": adopted(&sandbox)[1]["sha256"], "signers": [fingerprint("alice"), fingerprint("bob")],
    });
    assert_eq!(*merger, expected, "with both people");
    let reads = sandbox.records().into_iter().filter_map(|stored| match stored.record {
        Record::Consulted(read) if read.request.sender.cbe.digits() == "0000000196" => {
            Some(read.request.decision)
        }
        _ => None,
    });
    let cited: Vec<String> = reads.map(|decision| decision.grant_reference).collect();
    let by_succession = cited.iter().filter(|text| text.contains("succession of 1000000021: royal decree"));
    assert_eq!(by_succession.count(), 3, "{cited:?}");
    // A mandate beside it, then both otherwise: each its own act, and what stays has none.
    let mandate = "[[mandate]]\nid = \"M-1\"\nmandator = \"1000000021\"\nmandatary = \"0000000196\"\n\
                   transactions = [\"getStatus\"]\nuntil = \"2045-12-31\"\nreference = \"agreement\"\n";
    for (version, more) in [
        (3, format!("{SUCCESSION}{mandate}")),
        (4, format!("{}{mandate}", SUCCESSION.replace("2026-01-01", "2026-02-01"))),
        (5, mandate.replace("2045", "2044")),
    ] {
        let file = signed(&versioned(version, &more), &["bob", "alice"]);
        std::fs::write(&sandbox.layout().policy, file).unwrap();
        sandbox.access().reload(sandbox.service()).await.unwrap();
    }
    let said = |action| -> Vec<String> {
        let acts = acts(&sandbox, action);
        acts.iter().map(|act| format!("{} {}{}", act["change"], act["since"], act["until"])).collect()
    };
    let successions =
        ["\"added\" \"2026-01-01\"null", "\"changed\" \"2026-02-01\"null", "\"removed\" \"2026-02-01\"null"];
    assert_eq!(said("uam.succession"), successions);
    assert_eq!(said("uam.mandate"), ["\"added\" null\"2045-12-31\"", "\"changed\" null\"2044-12-31\""]);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_is_given_up_is_journalled_with_who_did() {
    let sandbox = signed_sandbox().await;
    let path = epost::access::Withdrawal::path(&sandbox.layout().policy);
    let take_up = async |file: &str| {
        std::fs::write(&path, file).unwrap();
        let new = sandbox.access().take_up(sandbox.service()).await.unwrap();
        assert!(!path.exists(), "it is not looked at twice");
        new
    };
    let proposal = signed(&versioned(2, "# next\n"), &["alice"]);
    let read = uam::PolicyFile::parse(&proposal).unwrap();
    let by = |name: &str, statement: &str| {
        let der = signer(name).sign_detached(statement.as_bytes()).unwrap();
        epost::access::Withdrawal::new(&proposal, &der).to_file().unwrap()
    };
    let statement = epost::access::Withdrawal::statement(&read);
    for refused in [
        "{}".to_owned(),
        by("not_authorised", &statement),
        by("revoked", &statement),
        by("bob", read.text()),
        by("bob", &statement).replace("# next", "# Next"),
    ] {
        assert!(!take_up(&refused).await, "{refused}");
    }
    assert!(acts(&sandbox, "uam.withdrawn").is_empty());
    assert!(take_up(&by("bob", &statement)).await);
    assert!(!take_up(&by("bob", &statement)).await, "once");
    let fingerprint = |name: &str| erds::record::Hex32(certificate(name).fingerprint()).to_hex();
    let expected = serde_json::json!({
        "version": 2, "sha256": erds::record::Hex32(read.digest()).to_hex(),
        "proposed_by": [fingerprint("alice")], "withdrawn_by": fingerprint("bob"),
    });
    assert_eq!(acts(&sandbox, "uam.withdrawn"), [expected]);
    // Who withdraws has not approved: his word makes no second signature.
    let both = proposal.clone() + &by("bob", &statement);
    std::fs::write(&sandbox.layout().policy, both).unwrap();
    assert!(sandbox.access().reload(sandbox.service()).await.is_err());
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_succeeds_by_an_unsigned_policy() {
    let sandbox = Sandbox::start().await;
    std::fs::write(&sandbox.layout().policy, versioned(1, SUCCESSION)).unwrap();
    let error = sandbox.access().reload(sandbox.service()).await.unwrap_err();
    assert_eq!(error.code(), "policy.succession.unsigned");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mandatary_reads_what_the_mandate_names_and_signs_as_himself() {
    let house = House::new().await;
    let ticket = house.ask(&Draft::submission("T")).await.receipt().ticket;
    let mandate = "[[mandate]]\nid = \"M-1\"\nmandator = \"1000000021\"\nmandatary = \"0000000196\"\n\
                   transactions = [\"getStatus\"]\nuntil = \"2045-12-31\"\nreference = \"agreement\"\n";
    let with = |mandate: &str| uam::PolicyFile::parse(&format!("{}{mandate}", policy())).unwrap();
    let status = async || house.ask(&Draft::status(&ticket).by("bob")).await;
    assert_eq!(house.verdict(&status().await), "REPO_B01 item.unknown");
    house.service.set_policy(with(mandate));
    assert_eq!(status().await.status, 200);
    let read = last(&house);
    assert_eq!(read["request"]["sender"]["cbe"], "0000000196", "{read}");
    let cited = read["request"]["decision"]["grant_reference"].as_str().unwrap().to_owned();
    assert!(cited.ends_with("; mandate M-1 of 1000000021: agreement"), "{cited}");
    let item = ItemName::Ticket(ticket);
    let answer = house.ask(&Draft::proof(&item, ProofKind::Receipt).by("bob")).await;
    assert_eq!(house.verdict(&answer), "REPO_B01 item.unknown", "getProof is not in the mandate");
    house.service.set_policy(with(&mandate.replace("2045", "2020")));
    assert_eq!(house.verdict(&status().await), "REPO_B01 item.unknown", "it has ended");
    let answer = house.ask(&Draft::status(&ticket)).await;
    assert_eq!(answer.status, 200, "the owner reads");
}
