//! A remote decision point (AuthZEN 1.0) in place of the policy file's grants: its yes, its no, and whatever else it may do.

use std::sync::Arc;

use epost::access::RemoteAuthorizer;
use epost::config::RemoteDecisions;
use epost::dev::pdp::{Behaviour, DecisionPoint};
use erds::Record;
use soap::message::Operation;
use soap::message::v2;

use crate::house::draft::V2;
use crate::house::inside::Plan;
use crate::house::{Draft, House, certs_test};

const ALICE: &str = "urn:be:fgov:epost:test:alice:letters";

fn remote(port: u16) -> Option<Arc<RemoteAuthorizer>> {
    let config = RemoteDecisions {
        url: format!("https://localhost:{port}/access/v1/evaluation"),
        anchors: vec![certs_test("server-root.crt")],
        certificate: certs_test("ebox-client.crt"),
        key: certs_test("ebox-client.key"),
        timeout_seconds: 1,
    };
    Some(Arc::new(RemoteAuthorizer::read(&config).unwrap()))
}

/// A house that asks a decision point, whose grants in the file are none; alice may send and have her rights told.
async fn house(clients: &str) -> (House, Arc<DecisionPoint>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let permitted = ["sendDocument", "check"].map(|action| (ALICE.to_owned(), action.to_owned()));
    let point = DecisionPoint::new(permitted.to_vec());
    let (certificate, key) = (certs_test("server.crt"), certs_test("server.key"));
    let (serving, clients) = (point.clone(), certs_test(clients));
    tokio::spawn(async move { serving.serve(listener, &certificate, &key, &clients).await });
    let house = House::open(Plan { remote: remote(port), ..Plan::default() }).await.unwrap();
    house.service.set_policy(uam::PolicyFile::parse("").unwrap());
    (house, point)
}

#[tokio::test(flavor = "multi_thread")]
async fn its_yes_lets_in_and_its_no_does_not() {
    let (house, point) = house("senders-ca.crt").await;
    let answer = house.ask(&Draft::submission("T")).await;
    assert_eq!(house.verdict(&answer), "accepted");
    let asked = &point.asked()[0];
    assert_eq!(asked["subject"]["properties"]["institution"], "1000000021", "{asked}");
    assert_eq!(
        (&asked["action"]["name"], &asked["context"]["address"]),
        (&"sendDocument".into(), &"127.0.0.1".into())
    );
    assert_eq!(asked["resource"]["properties"]["document_type"], "LETTER", "{asked}");
    let Record::Received(received) = &house.records()[0].record else { panic!("nothing received") };
    let decision = &received.request.decision;
    let id = decision.decision_id.as_deref().unwrap();
    let (request_id, named) = id.split_once(' ').unwrap();
    assert_eq!((request_id.len(), named), (36, "stand-in"), "{id}");
    assert_eq!(decision.grant, None, "no grant of the file");

    for draft in [Draft::status(&answer.receipt().ticket), Draft::submission("T").by("bob")] {
        let answer = house.ask(&draft).await;
        assert_eq!(house.verdict(&answer), "SOA-01002 uam.remote");
    }
    for (operation, granted) in [(Operation::SendDocument, "true"), (Operation::GetProof, "false")] {
        let mut draft = Draft::asking(v2::write_check_access_request(operation, None));
        draft.path = V2;
        let told = String::from_utf8(house.ask(&draft).await.body).unwrap();
        assert!(told.contains(&format!("<v2:Granted>{granted}</v2:Granted>")), "{operation:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_to_believe_nobody_is_let_in_and_may_come_again() {
    let (house, point) = house("senders-ca.crt").await;
    let signed = Draft::submission("T").sign();
    for behaviour in [
        Behaviour::Silent,
        Behaviour::OtherRequest,
        Behaviour::Oversized,
        Behaviour::Babbling,
        Behaviour::Broken,
    ] {
        point.behave(behaviour);
        let answer = house.send(&signed).await;
        assert_eq!(house.verdict(&answer), "SOA-02002 uam.remote.away", "{behaviour:?}");
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.contains("Retry>true<"), "{behaviour:?}: {text}");
    }
    point.behave(Behaviour::Honest);
    let answer = house.send(&signed).await;
    assert_eq!(house.verdict(&answer), "accepted", "the very same message, tried anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_away_or_does_not_know_us_lets_nobody_in() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let away = House::open(Plan { remote: remote(port), ..Plan::default() }).await.unwrap();
    let answer = away.ask(&Draft::submission("T")).await;
    assert_eq!(away.verdict(&answer), "SOA-02002 uam.remote.away", "though the file has a grant");
    // It takes clients of another authority.
    let (strange, point) = house("tsa-ca.crt").await;
    let answer = strange.ask(&Draft::submission("T")).await;
    assert_eq!(strange.verdict(&answer), "SOA-02002 uam.remote.away");
    assert!(point.asked().is_empty());
    let plain = RemoteDecisions {
        url: "http://localhost/access/v1/evaluation".to_owned(),
        anchors: vec![],
        certificate: certs_test("ebox-client.crt"),
        key: certs_test("ebox-client.key"),
        timeout_seconds: 1,
    };
    assert!(RemoteAuthorizer::read(&plain).is_err(), "no TLS, no decision");
}
