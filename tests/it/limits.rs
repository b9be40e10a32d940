//! Each limit on a request, at the limit and one past it: the fault names it.

use std::sync::Arc;

use epost::config::{Config, Limits};

use crate::house::inside::Plan;
use crate::house::{Draft, House, Sandbox, Signed};

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_body() {
    let signed = Draft::submission("T").sign();
    let length = signed.http().1.len() as u64;
    check(&signed, length, |limits, value| limits.body_bytes_max = value).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_part() {
    let signed = Draft::submission("T").sign();
    let length = signed.root.len() as u64;
    check(&signed, length, |limits, value| limits.root_part_bytes_max = value).await;
    // A message without attachments is one root part.
    let lone = Draft::proof(
        &soap::message::ItemName::Token(erds::Token::parse("none").unwrap()),
        soap::message::ProofKind::Receipt,
    );
    let lone = lone.sign();
    let house = with(|limits| limits.root_part_bytes_max = lone.root.len() as u64).await;
    assert_eq!(house.send(&lone).await.code(), "REPO_B01");
    let house = with(|limits| limits.root_part_bytes_max = lone.root.len() as u64 - 1).await;
    assert_eq!(house.send(&lone).await.code(), "SOA-03004");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_attachment() {
    let signed = Draft::submission("T").sign();
    check(&signed, 900, |limits, value| limits.part_bytes_max = value).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_parts() {
    let signed = Draft::submission("T").sign();
    check(&signed, 3, |limits, value| limits.parts_max = value as usize).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_headers_of_a_part() {
    let mut signed = Draft::submission("T").sign();
    signed.attachments[0].content_type = format!("application/pdf; x={}", "y".repeat(300));
    let body = String::from_utf8_lossy(&signed.http().1).into_owned();
    let part = body.find("Content-ID: <part-0").unwrap();
    let begin = body[..part].rfind("--epost-").unwrap();
    let begin = begin + body[begin..].find("\r\n").unwrap() + 2;
    let length = body[begin..].find("\r\n\r\n").unwrap() + 4;
    check(&signed, length as u64, |limits, value| limits.part_header_bytes_max = value as usize).await;
}

/// Accepted where the limit is exactly what the message needs; refused, told and recorded where it is one less.
async fn check(signed: &Signed, needed: u64, set: impl Fn(&mut Limits, u64)) {
    let house = with(|limits| set(limits, needed)).await;
    let answer = house.send(signed).await;
    assert_eq!(house.verdict(&answer), "accepted", "{answer}");
    let house = with(|limits| set(limits, needed - 1)).await;
    let answer = house.send(signed).await;
    let verdict = house.verdict(&answer);
    assert!(verdict.starts_with("SOA-03004") || verdict.starts_with("EPOST_B05"), "{verdict}");
    let told = answer.fault().unwrap();
    let told = told.message("en").unwrap();
    assert!(told.contains(&(needed - 1).to_string()), "the fault names the limit: {told}");
}

async fn with(set: impl FnOnce(&mut Limits)) -> House {
    let mut plan = Plan::default();
    set(&mut plan.limits);
    House::open(plan).await.unwrap()
}

/// What the start says of a sandbox's configuration with this change; none: it would start.
async fn refused_at_the_start(change: impl FnOnce(&mut Config)) -> Option<String> {
    let mut changed = None;
    let sandbox = Sandbox::start_tuned(|config| {
        changed = Some(config.clone());
    })
    .await;
    let mut config = changed.unwrap();
    change(&mut config);
    let prepared = epost::run::prepare(&config, Arc::new(disk::RealDisk), Arc::new(|_| {}));
    let refused = prepared.err().map(|error| error.to_string());
    sandbox.stop().await;
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_no_whole_body_fits_into_is_refused_at_the_start() {
    let shares = async |one: u64, all: u64| {
        refused_at_the_start(|config| {
            config.limits.body_bytes_max = 1000;
            (config.listen.spool_bytes_per_sender_max, config.listen.spool_bytes_max) = (one, all);
        })
        .await
    };
    assert_eq!(shares(1000, 1000).await, None);
    let told = shares(999, 1000).await.unwrap();
    assert!(told.starts_with("config.value: listen.spool_bytes_per_sender_max: 999;"), "{told}");
    let told = shares(1000, 999).await.unwrap();
    assert!(told.starts_with("config.value: listen.spool_bytes_max: 999; expected 1000"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_policies_are_identifiers() {
    let policies = async |text: &str| {
        refused_at_the_start(|config| config.senders.certificate_policies = vec![text.to_owned()]).await
    };
    assert_eq!(policies("2.16.56.12.1.1").await, None);
    for wrong in ["", "2.16.", "anyPolicy", "3.1"] {
        let told = policies(wrong).await.unwrap();
        assert!(told.starts_with("config.value: senders.certificate_policies"), "{wrong}: {told}");
    }
}
