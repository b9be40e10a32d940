//! Rows 52, 54, 56, 78, 89: who sends, to whom, when, and what he may learn from a refusal.

use std::collections::BTreeSet;
use std::sync::Arc;

use erds::{Record, Ticket};
use jiff::{SignedDuration, Timestamp};
use soap::message::{ItemName, ProofKind};

use crate::house::draft::V2;
use crate::house::inside::{Plan, stamper_by};
use crate::house::scripted::Gate;
use crate::house::{Draft, House, Signed};

#[tokio::test(flavor = "multi_thread")]
async fn row_52_what_was_done_around_the_signature_makes_no_second_item() {
    let house = House::new().await;
    let signed = Draft::submission("").sign();
    let receipt = house.send(&signed).await.receipt();
    let text = String::from_utf8(signed.root.clone()).unwrap();
    let value = text.split("SignatureValue>").nth(1).unwrap().trim_end_matches("</ds:").to_owned();
    let reflowed: String =
        value.as_bytes().chunks(40).map(|line| format!("{}\n ", String::from_utf8_lossy(line))).collect();
    for (from, to) in [
        (value.as_str(), reflowed.as_str()),
        ("<soap:Header>", "<soap:Header>\n<!-- c --> "),
        ("<soap:Header>", "<soap:Header><x:y xmlns:x=\"urn:x\"/>"),
        ("<soap:Envelope ", "<soap:Envelope xmlns:unused=\"urn:x\" "),
    ] {
        let mut again = signed.clone();
        again.replace(from, to);
        assert_eq!(house.send(&again).await.receipt(), receipt, "{to}");
        println!("verdict: the first one's receipt");
    }
    assert_eq!(house.accepted_and_withdrawn().0, [receipt.ticket]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_54_a_clock_that_is_moved() {
    // The service's clock is wrong, the sender's wrong with it, and the time-stamp's is right: nothing is sealed.
    let moved: [fn() -> Timestamp; 2] = [
        || Timestamp::now() + SignedDuration::from_hours(1),
        || Timestamp::now() - SignedDuration::from_hours(1),
    ];
    for clock in moved {
        let plan = Plan { clock: Arc::new(clock), stamper: Gate::open(stamper_by(clock)), ..Plan::default() };
        let house = House::open(plan).await.unwrap();
        let mut draft = Draft::submission("T");
        draft.signed_at = clock();
        let answer = house.ask(&draft).await;
        let fault = answer.fault().expect("nothing is accepted");
        assert_eq!(house.verdict(&answer), "SOA-02002 tsa.none-answered");
        assert_eq!(fault.retry, Some(true), "{answer}");
        assert!(house.accepted_and_withdrawn().0.is_empty());
    }
}

/// A status request with a signed wsa:To.
fn addressed(to: &str) -> Signed {
    let header = format!(
        "<wsa:To xmlns:wsa=\"http://www.w3.org/2005/08/addressing\" xmlns:wsu=\"{}\" wsu:Id=\"To\">{to}</wsa:To></soap:Header>",
        xmlsec::namespace::WSU
    );
    let mut signed = Draft::status(&Ticket::parse("0000000000000").unwrap()).sign();
    signed.sign_again("alice", None, |text| text.replace("</soap:Header>", &header));
    signed
}

#[tokio::test(flavor = "multi_thread")]
async fn row_56_a_message_for_another_service() {
    let house = House::new().await;
    for (to, expected) in [
        ("https://localhost:8443/RegisteredMail/v1", "REPO_B01 item.unknown"),
        ("http://www.w3.org/2005/08/addressing/anonymous", "REPO_B01 item.unknown"),
        ("https://other.example/RegisteredMail/v1", "SOA-01001 wsa.to"),
        ("https://localhost:8443.other.example/RegisteredMail/v1", "SOA-01001 wsa.to"),
    ] {
        let verdict = house.verdict(&house.send(&addressed(to)).await);
        assert_eq!(verdict, expected, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_78_nobody_speaks_for_another() {
    let house = House::new().await;
    let receipt = house.ask(&Draft::submission("T")).await.receipt();
    // bob signs, alice's connection; alice's certificate named in bob's message.
    for (signer, tls) in [("bob", "alice"), ("alice", "bob")] {
        let mut draft = Draft::status(&receipt.ticket).by(signer);
        tls.clone_into(&mut draft.tls);
        let verdict = house.verdict(&house.ask(&draft).await);
        assert_eq!(verdict, "SOA-01001 tls.peer.other-sender");
    }
    let drawn = house.ask(&Draft::submission("U")).await.receipt().ticket;
    assert_ne!(drawn, receipt.ticket);
    let bob = Draft::proof(&ItemName::Ticket(receipt.ticket), ProofKind::Receipt).by("bob");
    assert_eq!(house.verdict(&house.ask(&bob).await), "REPO_B01 item.unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_89_no_fault_tells_what_a_guess_was_worth() {
    let house = House::new().await;
    let token = |name: &str| base64_simd::STANDARD.encode_to_string(crate::house::certificate(name).der());
    let mut guesses = Vec::new();
    // A value of zeros; one flipped; another's certificate; one of an authority that nobody knows.
    let signed = || Draft::submission("T").sign();
    let mut zeros = signed();
    let text = String::from_utf8(zeros.root.clone()).unwrap();
    let value = text.split("<ds:SignatureValue>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let zero = base64_simd::STANDARD.encode_to_string([0; 256]);
    zeros.replace(&value, &zero);
    guesses.push(zeros);
    let mut flipped = signed();
    let text = String::from_utf8(flipped.root.clone()).unwrap();
    let value = text.split("<ds:SignatureValue>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let first = if value.starts_with('A') { "B" } else { "A" };
    flipped.replace(&value, &format!("{first}{}", &value[1..]));
    guesses.push(flipped);
    for other in ["bob", "unknown_ca"] {
        let mut substituted = signed();
        substituted.replace(&token("alice"), &token(other));
        guesses.push(substituted);
    }
    guesses.push(Draft { tls: "alice".to_owned(), ..Draft::submission("T").by("unknown_ca") }.sign());
    one_fault(&house, &guesses).await;
    for guess in &mut guesses {
        guess.path = V2;
    }
    one_fault(&house, &guesses).await;
}

/// All of these get one fault, to the byte: but for its Id and time, and in contract B for the Ids, times, digests and value of our signature.
async fn one_fault(house: &House, guesses: &[Signed]) {
    let mut faults = BTreeSet::new();
    for guess in guesses {
        let answer = house.send(guess).await;
        house.verdict(&answer);
        let id = answer.fault().and_then(|fault| fault.id).expect("a fault with its Id");
        faults.insert((answer.status, answer.content_type.clone(), without_marks(&answer.body, &id)));
    }
    assert_eq!(faults.len(), 1, "{faults:#?}");
}

/// A fault without what is drawn, counted or signed anew for each.
fn without_marks(body: &[u8], id: &str) -> String {
    let mut text = String::from_utf8(body.to_vec()).unwrap().replace(id, "");
    for (start, end) in [
        ("DateTime>", "<"),
        ("Created>", "<"),
        ("Expires>", "<"),
        ("DigestValue>", "<"),
        ("SignatureValue>", "<"),
        ("Id=\"TS-", "\""),
        ("Id=\"Body-", "\""),
        ("Id=\"X509-", "\""),
        ("URI=\"#", "\""),
    ] {
        let mut parts = text.split(start);
        let first = parts.next().unwrap_or_default().to_owned();
        text = parts.fold(first, |all, part| {
            let rest = part.find(end).map_or("", |at| &part[at..]);
            format!("{all}{start}{rest}")
        });
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn row_89_absent_and_foreign_are_one_fault() {
    let house = House::new().await;
    let ticket = house.ask(&Draft::submission("T")).await.receipt().ticket;
    let absent = Ticket::parse("0000000000000").unwrap();
    for ask in [
        Draft::status,
        |ticket: &Ticket| Draft::history(ticket, 1),
        |ticket: &Ticket| Draft::proof(&ItemName::Ticket(*ticket), ProofKind::Receipt),
    ] {
        let of = |ticket: &Ticket| ask(ticket).by("bob").sign();
        one_fault(&house, &[of(&ticket), of(&absent)]).await;
    }
    let named = |token: &str| {
        Draft::proof(&ItemName::Token(erds::Token::parse(token).unwrap()), ProofKind::Receipt)
            .by("bob")
            .sign()
    };
    one_fault(&house, &[named("T"), named("U")]).await;
    let codes = house.records().into_iter().filter_map(|stored| match stored.record {
        Record::Refused(refused) => Some(refused.check),
        _ => None,
    });
    assert_eq!(codes.collect::<Vec<_>>(), ["item.unknown"; 8]);
}
