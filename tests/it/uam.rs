//! Who is granted what, at the front door: what the journal keeps of it, and whose items are read.

use erds::Record;

use crate::house::door::Door;
use crate::house::inside::Plan;
use crate::house::{Draft, House, certificate};

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
