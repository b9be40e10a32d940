//! Row 88: SAML assertions at the front door, by the stand-in token service. What an assertion may look like is held in the soap crate.

use std::sync::OnceLock;

use epost::dev::sts::{AUDIENCE, Asked, ISSUER, TokenServiceStandIn};
use erds::{Record, Token};
use jiff::{SignedDuration, Timestamp};
use soap::message::{ItemName, ProofKind};
use soap::wss::saml::TokenService;

use crate::house::draft::{V1, V2};
use crate::house::inside::Plan;
use crate::house::{Draft, House, Signed, certificate};

/// The stand-in, and what the service is told of it.
fn sts() -> &'static (TokenServiceStandIn, TokenService) {
    static STS: OnceLock<(TokenServiceStandIn, TokenService)> = OnceLock::new();
    STS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let stand_in = TokenServiceStandIn::open_or_create(folder.path(), Timestamp::now()).unwrap();
        let certificates = epost::trust::read_certificates(&[folder.path().join("sts.crt")]).unwrap();
        let service = TokenService { issuer: ISSUER.to_owned(), certificates, audience: AUDIENCE.to_owned() };
        (stand_in, service)
    })
}

fn assertion(id: &str, v2: bool, once: bool) -> String {
    let from = Timestamp::now();
    let until = from + SignedDuration::from_hours(1);
    let holder = certificate("alice");
    let asked = Asked { v2, id, name: "Person One", holder: holder.der(), from, until, once };
    sts().0.assertion(&asked).unwrap()
}

/// alice asks for her receipt's proof, with this assertion beside her token.
fn with(assertion: &str) -> Signed {
    let item = ItemName::Token(Token::parse("T").unwrap());
    carrying(&Draft::proof(&item, ProofKind::Receipt), assertion)
}

fn carrying(draft: &Draft, assertion: &str) -> Signed {
    let mut signed = draft.sign();
    signed.sign_again("alice", None, |text| {
        text.replace("</wsse:Security>", &format!("{assertion}</wsse:Security>"))
    });
    signed
}

/// A house that knows the token service, with alice's item in it.
async fn house() -> House {
    let plan = Plan { token_services: vec![sts().1.clone()], ..Plan::default() };
    let house = House::open(plan).await.unwrap();
    house.ask(&Draft::submission("T")).await.receipt();
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn the_person_is_in_the_journal() {
    for v2 in [true, false] {
        let house = house().await;
        house.send(&with(&assertion("A-1", v2, false))).await.proof_reply();
        house.send(&with(&assertion("A-1", v2, false))).await.proof_reply();
        let records = house.records();
        let last = records.last().unwrap();
        assert!(matches!(last.record, Record::Consulted(_)));
        let person = String::from_utf8(house.service.open_frame(last, "person").unwrap()).unwrap();
        assert!(
            person.contains("Person One") && person.contains(ISSUER) && person.contains("A-1"),
            "{person}"
        );
        let json = serde_json::to_string(&last.record).unwrap();
        assert!(!json.contains("Person One"), "it can be erased: {json}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_person_who_sends_and_the_one_who_is_denied_are_in_the_journal() {
    let house = house().await;
    let files = [crate::house::file(1, 900)];
    let submission = crate::house::draft::submission("S", &files);
    let payload = soap::message::v2::write_submit_request(&submission, &[Some(files[0].as_slice())], &[]);
    let sending =
        |assertion: &str| carrying(&Draft { path: V2, ..Draft::asking(payload.clone()) }, assertion);
    let person = |kind: &str| {
        let records = house.records();
        let stored = records.iter().rev().find(|stored| stored.record.kind() == kind).unwrap();
        let facts = String::from_utf8(house.service.open_frame(stored, "person").unwrap()).unwrap();
        assert!(facts.contains("Person One") && facts.contains(ISSUER), "{facts}");
        let record = serde_json::to_value(&stored.record).unwrap();
        assert!(!record.to_string().contains("Person One"), "it can be erased: {record}");
        record
    };
    let answer = house.send(&sending(&assertion("A-1", true, false))).await;
    assert_eq!(house.verdict(&answer), "accepted");
    let received = person("received");
    assert_eq!(received["request"]["sender"]["application"], "urn:be:fgov:epost:test:alice:letters");
    let none = crate::house::inside::policy().replace("2045-12-31", "2020-12-31");
    house.service.set_policy(uam::PolicyFile::parse(&none).unwrap());
    let answer = house.send(&sending(&assertion("A-2", false, false))).await;
    assert_eq!(house.verdict(&answer), "SOA-01002 uam.expired");
    let refused = person("refused");
    let fingerprint = erds::record::Hex32(certificate("alice").fingerprint()).to_hex();
    assert_eq!(refused["message_certificate"], fingerprint, "{refused}");
    assert_eq!(refused["sender"]["application"], "urn:be:fgov:epost:test:alice:letters");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_88_an_assertion_for_one_use_is_used_once() {
    let house = house().await;
    let first = with(&assertion("A-1", true, true));
    house.send(&first).await.proof_reply();
    house.send(&first).await.proof_reply(); // the same signed message is the same use
    let again = with(&assertion("A-1", true, true));
    assert_eq!(house.verdict(&house.send(&again).await), "SOA-01001 wss.assertion.used");
    house.send(&with(&assertion("A-2", false, true))).await.proof_reply();
    // And in the next process.
    let disk = house.disk.clone();
    house.stop().await;
    let plan = Plan { disk, token_services: vec![sts().1.clone()], ..Plan::default() };
    let house = House::open(plan).await.unwrap();
    for id in ["A-1", "A-2"] {
        let verdict = house.verdict(&house.send(&with(&assertion(id, true, true))).await);
        assert_eq!(verdict, "SOA-01001 wss.assertion.used", "{id}");
    }
    house.send(&with(&assertion("A-3", true, true))).await.proof_reply();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_88_nowhere_but_in_contract_b_and_by_a_known_token_service() {
    let unknown = House::new().await;
    for v2 in [true, false] {
        let verdict = unknown.verdict(&unknown.send(&with(&assertion("A", v2, false))).await);
        assert_eq!(verdict, "SOA-01001 wss.header.content");
    }
    let house = house().await;
    let mut contract_a = with(&assertion("A", true, false));
    contract_a.path = V1;
    assert_eq!(house.verdict(&house.send(&contract_a).await), "SOA-01001 wss.header.content");
    let mut changed = assertion("A", true, false);
    changed = changed.replace("Person One", "Person Two");
    let verdict = house.verdict(&house.send(&with(&changed)).await);
    assert_eq!(verdict, "SOA-01001 wss.saml.signature");
    let stolen = assertion("A", true, false);
    let mut bob = with(&stolen);
    bob.sign_again("bob", None, |text| {
        let token = |name: &str| base64_simd::STANDARD.encode_to_string(certificate(name).der());
        text.replacen(&token("alice"), &token("bob"), 1)
    });
    "bob".clone_into(&mut bob.tls);
    assert_eq!(house.verdict(&house.send(&bob).await), "SOA-01001 wss.saml.key");
}
