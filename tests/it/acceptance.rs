//! The main job from the front door: an item goes in, receipts and proofs come out, and the offline verifier passes them.

use erds::{Status, Ticket, Token};
use soap::message::{HealthCheckKind, HealthLevel, ItemName, ProofKind};

use crate::house::draft::submission;
use crate::house::reply::{Proof, committed_crls};
use crate::house::{Draft, House, Sandbox, file};

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_accepted_delivered_and_proved() {
    let sandbox = Sandbox::start().await;
    let files = [file(9, 40_000), file(8, 200_000)];
    let draft = Draft::of(&submission("T-1", &files), &files);
    let receipt = sandbox.ask(&draft).await.receipt();

    let named = ItemName::Ticket(receipt.ticket);
    let reply = sandbox.ask(&Draft::proof(&named, ProofKind::Receipt)).await.proof_reply();
    assert_eq!(reply.proof.unwrap().content, receipt.xml, "RECEIPT at every status");
    receipt.must_pass(&files, &reply.crls);

    let dispatch =
        sandbox.status(&receipt.ticket, Status::Sent).await.expect("from SENT on the proof is there");
    dispatch.must_pass(&files, &reply.crls);
    let facts = dispatch.judge(&files, &reply.crls).facts.unwrap();
    assert_eq!((facts.kind, facts.ticket.as_str()), ("PROOF_OF_DISPATCH", receipt.ticket.as_str()));

    for by in [named, ItemName::Token(Token::parse("T-1").unwrap())] {
        for (kind, of) in [(ProofKind::Receipt, &receipt), (ProofKind::Dispatch, &dispatch)] {
            let reply = sandbox.ask(&Draft::proof(&by, kind)).await.proof_reply();
            assert_eq!((reply.ticket, reply.status), (receipt.ticket, Status::Sent));
            let proof = reply.proof.unwrap();
            assert_eq!((&proof.content, &proof.signature), (&of.xml, &of.p7s));
        }
    }
    let received = sandbox.ebox_received().await;
    assert_eq!((received["items"].as_u64(), received["posts"].as_u64()), (Some(1), Some(1)), "{received}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_senders_own_program_gets_the_same() {
    let sandbox = Sandbox::start().await;
    let layout = sandbox.layout();
    let settings = epost::client::Settings::read(&layout.profile("alice")).unwrap();
    let progress = epost::client::Progress::new(true);
    let client = epost::client::Client::new(&settings, "en", progress, jiff::Timestamp::now).unwrap();
    let path = layout.directory.join("letter.pdf");
    std::fs::write(&path, epost::dev::sample::letter()).unwrap();
    let content = epost::client::ContentFile::digest(&path, &progress).unwrap();
    let item = submission("by-the-program", &[epost::dev::sample::letter()]);
    let sent = client.send(&item, &[content]).await.unwrap();
    let ticket = Ticket::parse(&sent.ticket).unwrap();
    sandbox.status(&ticket, Status::Sent).await;
    let fetched = client.proof(&ItemName::Ticket(ticket), ProofKind::Receipt).await.unwrap();
    assert_eq!((&fetched.xml, &fetched.p7s), (&sent.xml, &sent.p7s));
    Proof { ticket, xml: fetched.xml, p7s: fetched.p7s }
        .must_pass(&[epost::dev::sample::letter()], &fetched.crls);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_passes_with_what_was_sent_and_with_nothing_else() {
    let house = House::new().await;
    let receipt = house.ask(&Draft::submission("T")).await.receipt();
    receipt.must_pass(&[file(1, 900), file(2, 700)], &committed_crls());
    assert!(!receipt.judge(&[file(1, 901)], &committed_crls()).passed(), "another document");
    assert!(!receipt.judge(&[file(1, 900)], &[]).passed(), "no revocation data: indeterminate, never passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_78_an_unknown_ticket_and_another_institutions_get_one_answer() {
    let house = House::new().await;
    let receipt = house.ask(&Draft::submission("T")).await.receipt();
    let unknown = Ticket::parse("0000000000000").unwrap();
    let mut texts = Vec::new();
    for ticket in [receipt.ticket, unknown] {
        let by_ticket = ItemName::Ticket(ticket);
        let by_token = ItemName::Token(Token::parse(if ticket == unknown { "U" } else { "T" }).unwrap());
        for draft in [
            Draft::status(&ticket),
            Draft::proof(&by_ticket, ProofKind::Receipt),
            Draft::proof(&by_token, ProofKind::Receipt),
            Draft::proof(&by_ticket, ProofKind::Dispatch),
            Draft::history(&ticket, 1),
        ] {
            let answer = house.ask(&draft.by("bob")).await;
            assert_eq!(house.verdict(&answer), "REPO_B01 item.unknown");
            let mut fault = answer.fault().unwrap();
            fault.id = None;
            texts.push(fault);
        }
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "no oracle: {texts:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_in_three_depths() {
    let sandbox = Sandbox::start().await;
    for kind in [HealthCheckKind::Ping, HealthCheckKind::Default, HealthCheckKind::Deep] {
        let mut draft = Draft::health(kind);
        draft.soap_action = Some("\"http://socialsecurity.be/registeredmail/v1/healthCheck\"".to_owned());
        let answer = sandbox.ask(&draft).await;
        assert_eq!(answer.health().level, HealthLevel::Ok, "{answer}");
        let checks = String::from_utf8_lossy(&answer.body).matches("SanityCheck id=").count();
        assert_eq!(checks > 0, kind != HealthCheckKind::Ping, "{answer}");
    }
    sandbox.tsa_fault(serde_json::json!({"kind": "down", "count": 100})).await;
    let deep = sandbox.ask(&Draft::health(HealthCheckKind::Deep)).await;
    assert!(deep.health().level > HealthLevel::Ok, "{deep}");
    let local = sandbox.ask(&Draft::health(HealthCheckKind::Default)).await;
    assert_eq!(local.health().level, HealthLevel::Ok, "the outside is no part of DEFAULT: {local}");
    sandbox.stop().await;
}
