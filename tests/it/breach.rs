//! Breach detection (N9): each kind of attack is counted as what it is, and an honest mistake is not.

use jiff::{SignedDuration, Timestamp};

use crate::house::door::Door;
use crate::house::wire::client_config;
use crate::house::{Draft, House, until};

/// How many of each kind.
fn events(service: &std::sync::Arc<epost::service::Service>) -> Vec<(String, u64)> {
    let text = service.metrics().scrape(service, &[]).unwrap();
    let line = |line: &str| {
        let (kind, count) = line.strip_prefix("epost_security_events_total{kind=\"")?.split_once("\"} ")?;
        Some((kind.to_owned(), count.parse().unwrap()))
    };
    let mut events: Vec<_> = text.lines().filter_map(line).collect();
    events.sort();
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_counted_as_what_it_is() {
    let mut changed = Draft::submission("T");
    changed.attachments[0].bytes[5] ^= 1;
    let mut signed = Draft::submission("T").sign();
    let value = String::from_utf8(signed.root.clone()).unwrap();
    let begin = value.find("SignatureValue>").unwrap() + "SignatureValue>".len();
    signed.root[begin] = if signed.root[begin] == b'A' { b'B' } else { b'A' };
    let mut captured = Draft::submission("T").sign();
    captured.tls = "bob".to_owned();
    let mut stale = Draft::submission("T");
    stale.signed_at = Timestamp::now() - SignedDuration::from_hours(1);
    let mut wrong_form = Draft::submission("T");
    wrong_form.replace(epost::dev::sandbox::CITIZEN, "00000000000");
    for (signed, kind) in [
        (changed.sign(), Some("hash-mismatch")),
        (signed, Some("signature")),
        (captured, Some("replay")),
        (stale.sign(), Some("replay")),
        (Draft::submission("T").by("revoked").sign(), Some("certificate")),
        (wrong_form.sign(), None),
        (Draft::submission("T").sign(), None),
    ] {
        let house = House::new().await;
        let verdict = house.verdict(&house.send(&signed).await);
        let expected: Vec<_> = kind.map(|kind| (kind.to_owned(), 1)).into_iter().collect();
        assert_eq!(events(&house.service), expected, "{verdict}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_granted_and_whom_nobody_knows() {
    let house = House::new().await;
    house.ask(&Draft::submission("T").by("not_authorised")).await;
    assert_eq!(events(&house.service), [("authorisation".to_owned(), 1)]);
    let door = Door::open().await;
    let _ = door.connect_with(client_config(Some("unknown_ca"))).await;
    until(async || (events(&door.house.service) == [("certificate".to_owned(), 1)]).then_some(())).await;
}
