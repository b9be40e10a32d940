//! Remembered paths: the same answer for less, and never one that would not be given afresh.

use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::crl::CrlSet;
use pki::path::{PATHS_HELD_MAX, PathError, Purpose, Revocation, TrustAnchors, ValidPath};

use crate::kit::*;

struct World {
    root: Party,
    ca: Party,
    leaf: Party,
    anchors: TrustAnchors,
}

impl World {
    fn new() -> Self {
        let root = Wanted::authority("Root", 1).itself();
        let ca = Wanted::authority("CA", 2).days(-10, 8).by(&root);
        let leaf = Wanted::leaf("Leaf", 3).by(&ca);
        let anchors = TrustAnchors::new(vec![root.certificate()], vec![ca.certificate()]);
        Self { root, ca, leaf, anchors }
    }

    /// Lists of both authorities; the leaf's one is this.
    fn lists(&self, of_ca: &List) -> CrlSet {
        let endless = List { next_update: Some(NOW + 100 * DAY), ..List::default() };
        CrlSet::new(vec![of_ca.by(&self.ca), endless.by(&self.root)])
    }

    fn judge(&self, revocation: Revocation<'_>, at: Timestamp) -> Result<ValidPath, PathError> {
        self.anchors.validate(&self.leaf.certificate(), &[], revocation, Purpose::MessageSigning, at)
    }
}

/// Whether both are one value in memory.
fn same(a: &ValidPath, b: &ValidPath) -> bool {
    std::ptr::eq(a.chain().as_ptr(), b.chain().as_ptr())
}

#[test]
fn a_path_is_found_once() {
    let world = World::new();
    let lists = world.lists(&List::default());
    let first = world.judge(Revocation::HardFail(&lists), at(NOW)).unwrap();
    let second = world.judge(Revocation::HardFail(&lists), at(NOW + 60)).unwrap();
    assert!(same(&first, &second));
    let unchecked = world.judge(Revocation::NotChecked, at(NOW)).unwrap();
    assert!(!same(&first, &unchecked), "revocation was not asked for");
    assert_eq!(world.anchors.paths_held(), 2);
}

#[test]
fn a_certificate_of_a_valid_path_is_parsed_once() {
    let world = World::new();
    let read = || Certificate::from_der(&world.leaf.der).unwrap();
    let place = |certificate: &Certificate| certificate.der().as_ptr();
    let stranger = read();
    assert_ne!(place(&stranger), place(&read()), "nothing is kept of what nobody vouched for");
    let path = world.judge(Revocation::NotChecked, at(NOW)).unwrap();
    assert_eq!(place(path.leaf()), place(&read()));
    assert_eq!(read(), stranger);
}

#[test]
fn another_question_is_another_path() {
    let world = World::new();
    let path = world.judge(Revocation::NotChecked, at(NOW)).unwrap();
    let leaf = world.leaf.certificate();
    let extra = [world.ca.certificate()];
    let ask = |extra: &[Certificate], purpose| {
        world.anchors.validate(&leaf, extra, Revocation::NotChecked, purpose, at(NOW))
    };
    assert!(!same(&path, &ask(&extra, Purpose::MessageSigning).unwrap()), "other helpers");
    assert!(!same(&path, &ask(&[], Purpose::TlsClient).unwrap()), "another purpose");
    assert_eq!(ask(&[], Purpose::TimeStamping).unwrap_err().code(), "path.wrong-usage");
    let others = TrustAnchors::new(vec![Wanted::authority("Root", 1).itself().certificate()], extra.to_vec());
    let judged = others.validate(&leaf, &[], Revocation::NotChecked, Purpose::MessageSigning, at(NOW));
    assert_eq!(judged.unwrap_err().code(), "path.unknown-issuer", "other anchors remember nothing of it");
}

#[test]
fn a_revocation_that_arrives_is_seen_at_once() {
    let world = World::new();
    let good = world.lists(&List::default());
    world.judge(Revocation::HardFail(&good), at(NOW)).unwrap();
    let revoked = world.lists(&List::revoking(&world.leaf));
    let judged = world.judge(Revocation::HardFail(&revoked), at(NOW));
    assert_eq!(judged.unwrap_err().code(), "path.revoked");
    assert_eq!(world.anchors.paths_held(), 0);

    // Fresh lists drop what the old ones said of everybody.
    world.judge(Revocation::HardFail(&good), at(NOW)).unwrap();
    let fresh = world.lists(&List::default());
    let other = Wanted::leaf("Other", 4).by(&world.ca).certificate();
    let revocation = Revocation::HardFail(&fresh);
    world.anchors.validate(&other, &[], revocation, Purpose::MessageSigning, at(NOW)).unwrap();
    assert_eq!(world.anchors.paths_held(), 1);
}

#[test]
fn nothing_outlives_what_it_rests_on() {
    let world = World::new();
    let hour = 3600;
    let begins_later = List { this_update: NOW + hour, ..List::revoking(&world.leaf) };
    let ends = |lists: CrlSet, last_good: i64, then: &str| {
        let revocation = Revocation::HardFail(&lists);
        let first = world.judge(revocation, at(NOW)).unwrap();
        assert!(same(&first, &world.judge(revocation, at(last_good)).unwrap()), "{then}: held until its end");
        let beyond = at(last_good) + jiff::SignedDuration::from_nanos(1);
        let code = world.judge(revocation, beyond).map(drop).map_err(|error| error.code());
        assert_eq!(code, Err(then));
    };
    ends(
        world.lists(&List { next_update: Some(NOW + hour), ..List::default() }),
        NOW + hour,
        "path.crl-stale",
    );
    let with_later =
        CrlSet::new([world.lists(&List::default()).crls(), &[begins_later.by(&world.ca)]].concat());
    let first = world.judge(Revocation::HardFail(&with_later), at(NOW)).unwrap();
    let before = at(NOW + hour) - jiff::SignedDuration::from_nanos(1);
    assert!(same(&first, &world.judge(Revocation::HardFail(&with_later), before).unwrap()));
    let judged = world.judge(Revocation::HardFail(&with_later), at(NOW + hour));
    assert_eq!(judged.unwrap_err().code(), "path.revoked", "by a list that is current from then on");

    // The authority ends before the leaf does.
    let endless = world.lists(&List { next_update: Some(NOW + 100 * DAY), ..List::default() });
    let last = at(NOW + 8 * DAY) - jiff::SignedDuration::from_nanos(1);
    for revocation in [Revocation::HardFail(&endless), Revocation::NotChecked] {
        let first = world.judge(revocation, at(NOW)).unwrap();
        assert!(same(&first, &world.judge(revocation, last).unwrap()));
        assert_eq!(world.judge(revocation, at(NOW + 8 * DAY)).unwrap_err().code(), "path.expired");
        world.judge(revocation, at(NOW)).unwrap();
        let early = at(NOW - 10 * DAY - 1);
        assert!(world.judge(revocation, early).is_err(), "nor was it there before");
    }
}

#[test]
fn so_many_are_held_and_not_one_more() {
    let world = World::new();
    let leaf = world.leaf.certificate();
    let strangers: Vec<_> = (0..7).map(|serial| Wanted::leaf("X", serial).itself().certificate()).collect();
    // Each order of helpers is a question of its own.
    let mut orders = Vec::new();
    permute(&mut strangers.clone(), 0, &mut orders);
    let mut ask = |count: usize| {
        for extra in orders.drain(..count) {
            let revocation = Revocation::NotChecked;
            world.anchors.validate(&leaf, &extra, revocation, Purpose::MessageSigning, at(NOW)).unwrap();
        }
        world.anchors.paths_held()
    };
    assert_eq!(ask(PATHS_HELD_MAX), PATHS_HELD_MAX);
    assert_eq!(ask(1), PATHS_HELD_MAX);
}

fn permute(items: &mut Vec<Certificate>, from: usize, found: &mut Vec<Vec<Certificate>>) {
    if from == items.len() {
        found.push(items.clone());
    }
    for place in from..items.len() {
        items.swap(from, place);
        permute(items, from + 1, found);
        items.swap(from, place);
    }
}
