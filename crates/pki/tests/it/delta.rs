//! Deltas and lists by scope: RFC 5280 §5.2.4, §5.2.5 and §6.3.3.

use pki::crl::{Crl, CrlSet};
use pki::path::{Purpose, Revocation, TrustAnchors};

use crate::kit::*;

struct World {
    root: Party,
    ca: Party,
    leaf: Party,
    other: Party,
}

impl World {
    fn new() -> Self {
        let root = Wanted::authority("Root", 1).itself();
        let ca = Wanted::authority("CA", 2).by(&root);
        let leaf = Wanted::leaf("Leaf", 3).with(crl_point(&["http://crl/1"])).by(&ca);
        let other = Wanted::leaf("Other", 4).by(&ca);
        Self { root, ca, leaf, other }
    }

    /// What these lists of the leaf's authority say of the leaf.
    fn judge(&self, of_ca: &[&List]) -> Result<(), &'static str> {
        self.judge_crls(of_ca.iter().map(|list| list.by(&self.ca)).collect())
    }

    fn judge_crls(&self, mut crls: Vec<Crl>) -> Result<(), &'static str> {
        crls.push(List::default().by(&self.root));
        let lists = CrlSet::new(crls);
        let anchors = TrustAnchors::new(vec![self.root.certificate()], vec![self.ca.certificate()]);
        let revocation = Revocation::HardFail(&lists);
        let path =
            anchors.validate(&self.leaf.certificate(), &[], revocation, Purpose::MessageSigning, at(NOW));
        let judged = path.map(drop).map_err(|error| error.code());
        println!("verdict: {}", judged.err().unwrap_or("good"));
        judged
    }
}

const HOLD: u8 = 6;
const KEY_COMPROMISE: u8 = 1;
const REMOVE: u8 = 8;

/// A list that ended yesterday.
fn ended(list: List) -> List {
    List { this_update: NOW - 2 * DAY, next_update: Some(NOW - DAY), ..list }
}

#[test]
fn row_46_a_delta_says_what_changed() {
    let world = World::new();
    let base = List::default; // its number is 7
    let revoked = || List::delta(7, 8).naming(&world.leaf, KEY_COMPROMISE);
    let held = || base().naming(&world.leaf, HOLD);
    let (missing, is_revoked, stale) = (Err("path.crl-missing"), Err("path.revoked"), Err("path.crl-stale"));
    let cases = [
        ("nothing changed", vec![base(), List::delta(7, 8)], Ok(())),
        ("another was revoked", vec![base(), List::delta(7, 8).naming(&world.other, 1)], Ok(())),
        ("it was revoked", vec![base(), revoked()], is_revoked),
        ("whatever stands first", vec![revoked(), base()], is_revoked),
        ("it was on hold", vec![held()], is_revoked),
        ("and is no more", vec![held(), List::delta(7, 8).naming(&world.leaf, REMOVE)], Ok(())),
        ("and still is", vec![held(), List::delta(7, 8)], is_revoked),
        (
            "the youngest counts",
            vec![
                held(),
                List::delta(7, 8).naming(&world.leaf, REMOVE),
                revoked(),
                List::delta(7, 300).naming(&world.leaf, HOLD),
            ],
            is_revoked,
        ),
        ("no base", vec![List::delta(7, 8)], missing),
        ("of a younger base", vec![base(), List::delta(8, 9).naming(&world.leaf, 1)], Ok(())),
        ("of an older base", vec![base(), List::delta(3, 8).naming(&world.leaf, 1)], is_revoked),
        ("older than the base", vec![base(), List::delta(3, 7).naming(&world.leaf, 1)], Ok(())),
        ("the base ended, the delta did not", vec![ended(base()), List::delta(7, 8)], Ok(())),
        ("it was revoked before the base ended", vec![ended(held()), List::delta(7, 8)], is_revoked),
        ("both ended", vec![ended(base()), ended(List::delta(7, 8))], stale),
        ("a delta that ended is not forgotten", vec![base(), ended(revoked())], is_revoked),
        ("a delta to come", vec![base(), List { this_update: NOW + 1, ..revoked() }], Ok(())),
        ("a base to come", vec![List { this_update: NOW + 1, ..base() }, List::delta(7, 8)], stale),
    ];
    for (case, lists, expected) in cases {
        assert_eq!(world.judge(&lists.iter().collect::<Vec<_>>()), expected, "{case}");
    }
}

#[test]
fn row_46_a_delta_is_of_the_same_authority_and_scope() {
    let world = World::new();
    let scoped = |mut list: List| {
        list.extensions.push(extension("2.5.29.28", true, &seq(&[&[0x81, 1, 0xff]])));
        list
    };
    let revoked = || List::delta(7, 8).naming(&world.leaf, KEY_COMPROMISE);
    assert_eq!(world.judge(&[&scoped(List::default()), &scoped(revoked())]), Err("path.revoked"));
    assert_eq!(world.judge(&[&List::default(), &scoped(revoked())]), Ok(()), "another scope");
    // The name of the authority, and another key: neither its revocations nor its freshness count.
    let namesake = Wanted::authority("CA", 2).itself();
    let crls = |base: List, delta: List| vec![base.by(&world.ca), delta.by(&namesake)];
    assert_eq!(world.judge_crls(crls(List::default(), revoked())), Ok(()));
    assert_eq!(world.judge_crls(crls(ended(List::default()), List::delta(7, 8))), Err("path.crl-stale"));
}

#[test]
fn row_46_good_is_good_for_every_reason() {
    let world = World::new();
    let for_reasons = |unused: u8, flags: &[u8]| List::scoped(&[&tlv(0x83, &[&[unused], flags])]);
    let some = for_reasons(4, &[0x70]); // keyCompromise to affiliationChanged
    let others = for_reasons(7, &[0x0f, 0x80]); // superseded to aACompromise
    assert_eq!(world.judge(&[&some]), Err("path.crl-missing"), "some reasons alone");
    assert_eq!(world.judge(&[&some, &others]), Ok(()), "all of them, by two lists");
    let ended_others = ended(for_reasons(7, &[0x0f, 0x80]));
    assert_eq!(world.judge(&[&some, &ended_others]), Err("path.crl-stale"), "one of two ended");
    let names = for_reasons(4, &[0x70]).naming(&world.leaf, KEY_COMPROMISE);
    assert_eq!(world.judge(&[&names]), Err("path.revoked"), "revoked is revoked");
}

#[test]
fn an_operator_is_told_which_lists_do_not_answer() {
    let world = World::new();
    let set = |lists: &[List]| CrlSet::new(lists.iter().map(|list| list.by(&world.ca)).collect());
    let counts = |lists: &[List]| {
        let set = set(lists);
        (set.current_at(at(NOW)).count(), set.stale_at(at(NOW)).count())
    };
    assert_eq!(counts(&[List::default()]), (1, 0));
    assert_eq!(counts(&[ended(List::default())]), (0, 1));
    assert_eq!(counts(&[ended(List::default()), List::default()]), (1, 0), "a younger one is there");
    assert_eq!(counts(&[ended(List::default()), List::delta(7, 8)]), (2, 0), "a delta keeps its base alive");
    assert_eq!(counts(&[ended(List::default()), ended(List::delta(7, 8))]), (0, 1));
    assert_eq!(set(&[List::default()]).crls()[0].issuer(), "O=Test, CN=CA");
}
