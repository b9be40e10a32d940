//! Witnesses of the log: what they cosign is published and verifies; one that is away, forgets or lies holds up nothing.

use std::path::Path;
use std::sync::Arc;

use epost::config;
use epost::dev::witness::WitnessStandIn;
use epost::witness::{Standing, Witnesses};
use jiff::Timestamp;
use journal::checkpoint::LogKey;
use journal::proof::{Proof, read_salted};
use journal::tiles::Publisher;
use journal::witness::Witness;
use tokio::net::TcpListener;

use crate::house::House;
use crate::house::inside::{JOURNAL, ORIGIN};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_witness_cosigns_is_published_and_one_that_is_away_holds_up_nothing() {
    let house = House::new().await;
    let pem = pki::ed25519::Ed25519Key::random().and_then(|key| key.to_pem()).unwrap();
    let key = || LogKey::from_pem(ORIGIN, &pem).unwrap();
    let mut publisher = Publisher::open(Arc::new(house.disk.clone()), Path::new("t"), key()).unwrap();
    let (one, other) = (started("w.one", &key()).await, started("w.two", &key()).await);
    let mut witnesses = Witnesses::read(&[one.setup.clone(), other.setup.clone()]).unwrap();
    let mut publish = async |witnesses: &mut Witnesses| {
        house.service.record_act("test", "something new").await.unwrap();
        let size = publisher.publish(house.service.journal()).unwrap().unwrap().size();
        let published = publisher.published().unwrap().unwrap();
        let cosignatures = witnesses.cosign(&published, Timestamp::now()).await;
        publisher.cosign(&cosignatures).unwrap();
        let published = publisher.published().unwrap().unwrap();
        let cosigners = [&one, &other].map(|witness| {
            let checkpoint = published.checkpoint();
            witness.key.cosignature(checkpoint, checkpoint.note()).is_ok()
        });
        assert_eq!(published.checkpoint().size(), size);
        (size, cosigners, witnesses.standings(size))
    };
    let behind = |one: u64, two: u64| {
        let standing = |witness: &str, behind_records| Standing { witness: witness.into(), behind_records };
        vec![standing("w.one", one), standing("w.two", two)]
    };

    for _ in 0..5 {
        assert_eq!(publish(&mut witnesses).await.1, [true, true], "each grows on what it saw");
    }
    other.stand_in.set_fault("down");
    let (size, cosigners, standings) = publish(&mut witnesses).await;
    assert_eq!((cosigners, standings), ([true, false], behind(0, 1)));
    other.stand_in.set_fault("lie");
    let (now, cosigners, standings) = publish(&mut witnesses).await;
    assert_eq!((cosigners, standings), ([true, false], behind(0, now - size + 1)), "of another text");
    other.stand_in.set_fault("none");
    one.stand_in.forget();
    let (size, cosigners, standings) = publish(&mut witnesses).await;
    assert_eq!(
        (cosigners, standings),
        ([true, true], behind(0, 0)),
        "told what it saw, it is shown the rest"
    );

    // A service that starts anew does not know what they saw.
    let mut witnesses = Witnesses::read(&[one.setup.clone(), other.setup.clone()]).unwrap();
    assert_eq!(witnesses.standings(size), behind(size, size));
    assert_eq!(publish(&mut witnesses).await.1, [true, true]);

    let salted = read_salted(&house.disk, Path::new(JOURNAL), ORIGIN, 1).unwrap();
    let published = publisher.published().unwrap().unwrap();
    let proof = Proof::new(&published, 1, salted).unwrap().to_string();
    let proved = proof.parse::<Proof>().unwrap().verify(key().verifier()).unwrap();
    for witness in [&one, &other] {
        witness.key.cosignature(&proved.checkpoint, proved.checkpoint.note()).unwrap();
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_refuses_another_log_and_one_that_was_cut() {
    let house = House::new().await;
    let fresh = || pki::ed25519::Ed25519Key::random().and_then(|key| key.to_pem()).unwrap();
    let pem = fresh();
    let key = LogKey::from_pem(ORIGIN, &pem).unwrap();
    let witness = started("w.one", &key).await;
    let publish = async |dir: &str, key: LogKey| {
        house.service.record_act("test", "something new").await.unwrap();
        let mut publisher = Publisher::open(Arc::new(house.disk.clone()), Path::new(dir), key).unwrap();
        publisher.publish(house.service.journal()).unwrap();
        let mut witnesses = Witnesses::read(std::slice::from_ref(&witness.setup)).unwrap();
        let published = publisher.published().unwrap().unwrap();
        witnesses.cosign(&published, Timestamp::now()).await.len()
    };
    assert_eq!(publish("t", key).await, 1);
    assert_eq!(
        publish("u", LogKey::from_pem(ORIGIN, &fresh()).unwrap()).await,
        0,
        "of our name, by another key"
    );

    // The same key, and a journal of its own: other records under the name.
    let shorter = House::new().await;
    let signing = LogKey::from_pem(ORIGIN, &pem).unwrap();
    let mut publisher = Publisher::open(Arc::new(shorter.disk.clone()), Path::new("t"), signing).unwrap();
    let mut witnesses = Witnesses::read(std::slice::from_ref(&witness.setup)).unwrap();
    while shorter.service.journal().size() < house.service.journal().size() + 2 {
        publisher.publish(shorter.service.journal()).unwrap();
        let published = publisher.published().unwrap().unwrap();
        assert!(witnesses.cosign(&published, Timestamp::now()).await.is_empty(), "forked");
        shorter.service.record_act("test", "something else").await.unwrap();
    }
    house.stop().await;
    shorter.stop().await;
}

struct Watching {
    stand_in: WitnessStandIn,
    key: Witness,
    setup: config::Witness,
}

async fn started(name: &str, log: &LogKey) -> Watching {
    let stand_in = WitnessStandIn::new(name, &log.verifier().to_string()).unwrap().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a/prefix/", listener.local_addr().unwrap());
    tokio::spawn(stand_in.clone().serve(listener));
    let key = stand_in.key().unwrap();
    let setup = config::Witness {
        key: key.clone(),
        url,
        tls_anchors: Vec::new(),
        timeout_seconds: 5,
        behind_seconds_max: 3600,
    };
    Watching { stand_in, key: key.parse().unwrap(), setup }
}
