//! The package (getProof, Form PACKAGE) at the front door: one container that a third party judges by his anchors alone.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use disk::{Fault, ForgetfulDisk};
use epost::config::Limits;
use erds::record::Packaged;
use erds::{Record, Status, Ticket};
use journal::{Appended, Entry};
use soap::message::v2::{ProofToVerify, write_verify_proof_request};
use soap::message::{ItemName, PackageAnswer, ProofKind};

use crate::evidence::{Fate, files, submit};
use crate::house::draft::{Signed, V2};
use crate::house::inside::{Plan, policy, stamper};
use crate::house::reply::{Answered, Proof};
use crate::house::scripted::Gate;
use crate::house::{Draft, House, until};
use crate::scrub::round;

fn package_of(ticket: Ticket, kind: ProofKind) -> Draft {
    Draft::package(&ItemName::Ticket(ticket), kind)
}

/// The package of an answer; with nothing but anchors the offline verifier passes it, and none with a byte flipped.
#[track_caller]
fn given(answer: &Answered) -> PackageAnswer {
    assert_eq!(answer.fault().map(|fault| fault.code), None);
    answer.must_be_signed();
    let reply = answer.proof_reply();
    assert_eq!((reply.proof, reply.evidence.len(), reply.crls.len()), (None, 0, 0), "all is within");
    let package = reply.package.unwrap();
    judge(&package.content);
    package
}

#[track_caller]
pub fn judge(content: &[u8]) {
    let judged = |bytes: &[u8]| {
        let ticket = Ticket::parse("0000000000000").unwrap();
        Proof { ticket, xml: bytes.to_vec(), p7s: Vec::new() }.judge(&files(), &[])
    };
    let report = judged(content);
    assert!(report.passed(), "{}", report.render());
    let mut flipped = content.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    assert!(!judged(&flipped).passed());
}

/// The container's files, in order.
fn inside(package: &PackageAnswer) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&package.content)).unwrap();
    let files = archive.len();
    let file = |number| {
        let mut file = archive.by_index(number).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        (file.name().unwrap().to_string(), bytes)
    };
    (0..files).map(file).collect()
}

fn named(package: &PackageAnswer, folder: &str) -> Vec<String> {
    let names = inside(package).into_iter().map(|(name, _)| name);
    names.filter_map(|name| Some(name.strip_prefix(folder)?.to_owned())).collect()
}

/// The events of which it holds evidence, in the log's order.
fn events(package: &PackageAnswer) -> Vec<String> {
    named(package, "evidence/").iter().map(|name| name.split('-').next().unwrap().to_owned()).collect()
}

/// The sender's message in it, if it is there.
pub fn request(package: &PackageAnswer) -> Option<Vec<u8>> {
    inside(package).into_iter().find(|(name, _)| name == "request/request.xml").map(|(_, bytes)| bytes)
}

fn packaged(house: &House) -> Vec<Packaged> {
    let records = house.records().into_iter();
    records
        .filter_map(|stored| if let Record::Packaged(record) = stored.record { Some(record) } else { None })
        .collect()
}

fn plan() -> Plan {
    Plan { publishes: true, ..Plan::default() }
}

async fn accept(house: &House, signed: &Signed) -> Ticket {
    house.send(signed).await.submitted().ticket
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_party_judges_each_kind_by_his_anchors_alone_and_the_bytes_stay() {
    let plan = Plan { publishes: true, ..Fate::open(0, false, Some(true)) };
    let disk = plan.disk.clone();
    let house = House::open(plan).await.unwrap();
    let signed = submit("T").sign();
    let ticket = accept(&house, &signed).await;
    until(async || house.records().iter().any(|one| one.record.kind() == "accessed").then_some(())).await;

    let mut first = BTreeMap::new();
    for (kind, name, told, dispatch) in [
        (ProofKind::Receipt, "Receipt.asice", vec!["SubmissionAcceptance"], 0),
        (ProofKind::Dispatch, "ProofOfDispatch.asice", vec!["SubmissionAcceptance", "ContentConsignment"], 2),
        (
            ProofKind::Consultation,
            "Consultation.asice",
            vec!["SubmissionAcceptance", "ContentAccessTracking"],
            2,
        ),
    ] {
        let answer = house.ask(&package_of(ticket, kind)).await;
        assert_eq!(house.verdict(&answer), "HTTP 200 consulted", "{kind:?}");
        let package = given(&answer);
        assert_eq!(package.file_name, name);
        assert_eq!(events(&package), told);
        assert_eq!(named(&package, "dispatch/").len(), dispatch, "{kind:?}");
        assert_eq!(named(&package, "receipt/"), ["Receipt.xml", "Receipt.p7s"]);
        assert_eq!(request(&package).as_deref(), Some(signed.root.as_slice()), "its sender's own words");
        assert_eq!(named(&package, "journal/").len(), told.len() + 1, "a proof of each entry, and the key");
        let policy = inside(&package).into_iter().find(|(name, _)| name == "policy/1.txt").unwrap().1;
        assert_eq!(policy, epost::config::EVIDENCE_POLICY_TEXT.as_bytes());
        let again =
            house.ask(&Draft::package(&ItemName::Token(erds::Token::parse("T").unwrap()), kind)).await;
        assert_eq!(given(&again), package, "by its Token, the same bytes");
        first.insert(kind.as_str(), package);
    }
    let content = first["DISPATCH"].content.clone();
    let asked = ProofToVerify { content, signature: Vec::new(), crls: Vec::new() };
    let asked = Draft { path: V2, ..Draft::asking(write_verify_proof_request(&asked)) };
    let verdict = house.ask(&asked).await;
    assert!(String::from_utf8_lossy(&verdict.body).contains(">TOTAL-PASSED<"), "{verdict}");
    let records = packaged(&house);
    assert_eq!(
        records.iter().map(|one| one.proof.as_str()).collect::<Vec<_>>(),
        ["RECEIPT", "DISPATCH", "CONSULTATION"]
    );
    assert!(records.iter().all(|one| one.with_request && one.of_positions[0] == 0));
    for kind in [ProofKind::Expiry, ProofKind::NonDelivery] {
        let answer = house.ask(&package_of(ticket, kind)).await;
        assert_eq!(house.verdict(&answer), "REPO_B03 item.proof-absent", "{kind:?}");
    }
    let history = house.ask(&Draft::history(&ticket, 1)).await.history();
    let handed_out = history.events.iter().filter(|event| event.proof.is_some()).count();
    assert_eq!(handed_out, 6, "each that went out is an event of the item, no sealing is");
    house.stop().await;

    // The index is made anew with each house.
    let house = House::open(Plan { disk, ..self::plan() }).await.unwrap();
    for kind in [ProofKind::Receipt, ProofKind::Dispatch, ProofKind::Consultation] {
        assert_eq!(
            given(&house.ask(&package_of(ticket, kind)).await),
            first[kind.as_str()],
            "after a restart"
        );
    }
    assert_eq!(packaged(&house).len(), 3);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_over_all_that_is_stored_puts_each_package_together_again() {
    let house = House::open(plan()).await.unwrap();
    let ticket = accept(&house, &submit("T").sign()).await;
    given(&house.ask(&package_of(ticket, ProofKind::Receipt)).await);
    let found = round(&house.service).await;
    assert_eq!(found.wrong, 0, "{found:?}");

    // As if another version of the program had made it.
    let stored = house.records().into_iter().find(|stored| stored.record.kind() == "packaged").unwrap();
    let Record::Packaged(mut record) = stored.record else { panic!() };
    record.sha256.0[0] ^= 1;
    let record = Record::Packaged(record);
    let entry = Entry { record, frames: stored.frames, unique_keys: Vec::new() };
    let Appended::Recorded(recorded) = house.service.append(entry).await.unwrap() else { panic!() };
    let found = round(&house.service).await;
    let expected = format!("record {}, package: ", recorded.position());
    assert!(found.first.as_ref().unwrap().starts_with(&expected), "{found:?}");
    assert_eq!(found.wrong, 1, "{found:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_opened_or_not_delivered_is_packed_as_that() {
    for (fate, act, kind, event) in [
        (Fate::open(0, false, Some(false)), "expired_unread", ProofKind::Expiry, "ContentHandoverFailure"),
        (
            Fate::open(1, true, None),
            "consignment_failed",
            ProofKind::NonDelivery,
            "ContentConsignmentFailure",
        ),
    ] {
        let house = House::open(Plan { publishes: true, ..fate }).await.unwrap();
        let ticket = accept(&house, &submit("T").sign()).await;
        until(async || house.records().iter().any(|one| one.record.kind() == act).then_some(())).await;
        let package = given(&house.ask(&package_of(ticket, kind)).await);
        assert_eq!(events(&package), ["SubmissionAcceptance", event]);
        let sent = house.service.index().item(ticket).unwrap().unwrap().status == Status::Sent;
        assert_eq!(named(&package, "dispatch/").len(), if sent { 2 } else { 0 }, "{kind:?}");
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_by_a_mandate_gets_it_without_the_senders_message_and_a_stranger_nothing() {
    let house = House::open(plan()).await.unwrap();
    let ticket = accept(&house, &submit("T").sign()).await;
    let told = |answer: &Answered| {
        let mut fault = answer.fault().unwrap();
        fault.id = None;
        fault
    };
    let nobodys = Ticket::parse("0000000000000").unwrap();
    let foreign = house.ask(&package_of(ticket, ProofKind::Receipt).by("bob")).await;
    assert_eq!(house.verdict(&foreign), "REPO_B01 item.unknown");
    let absent = house.ask(&package_of(nobodys, ProofKind::Receipt).by("bob")).await;
    assert_eq!(told(&foreign), told(&absent));

    let mandate = "[[mandate]]\nid = \"M-1\"\nmandator = \"1000000021\"\nmandatary = \"0000000196\"\n\
                   transactions = [\"getProof\"]\nuntil = \"2045-12-31\"\nreference = \"agreement\"\n";
    house.service.set_policy(uam::PolicyFile::parse(&format!("{}{mandate}", policy())).unwrap());
    let read = given(&house.ask(&package_of(ticket, ProofKind::Receipt).by("bob")).await);
    assert_eq!(request(&read), None);
    let own = given(&house.ask(&package_of(ticket, ProofKind::Receipt)).await);
    assert!(request(&own).is_some());
    assert_eq!(given(&house.ask(&package_of(ticket, ProofKind::Receipt).by("bob")).await), read);
    let records = packaged(&house);
    assert_eq!(records.iter().map(|one| one.with_request).collect::<Vec<_>>(), [false, true], "each its own");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_beyond_the_limit_is_there_by_its_digest_alone_and_what_was_given_stays() {
    let signed = submit("T").sign();
    let limited = |bytes: usize, disk: &ForgetfulDisk| Plan {
        disk: disk.clone(),
        limits: Limits { package_request_bytes_max: bytes as u64, ..Limits::default() },
        ..plan()
    };
    let disk = ForgetfulDisk::new();
    let mut ticket = None;
    let mut whole = None;
    let size = signed.root.len();
    for (limit, there) in [(size - 1, false), (size, true), (size - 1, true)] {
        let house = House::open(limited(limit, &disk)).await.unwrap();
        let ticket = match ticket {
            Some(ticket) => ticket,
            None => *ticket.insert(accept(&house, &signed).await),
        };
        let package = given(&house.ask(&package_of(ticket, ProofKind::Receipt)).await);
        assert_eq!(request(&package), there.then(|| signed.root.clone()), "{limit}");
        if there {
            assert_eq!(*whole.get_or_insert_with(|| package.clone()), package);
        }
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_ask_at_once_get_the_same_bytes() {
    let gate = Gate::closed(stamper());
    let house = Arc::new(House::open(Plan { stamper: gate.clone(), ..plan() }).await.unwrap());
    gate.passes.add_permits(2);
    let ticket = accept(&house, &submit("T").sign()).await;
    let asking = [(); 2].map(|()| {
        let house = house.clone();
        tokio::spawn(async move { house.ask(&package_of(ticket, ProofKind::Receipt)).await })
    });
    let _ = gate.asked.acquire_many(4).await.unwrap(); // those of the submission, and theirs: both have signed
    gate.passes.add_permits(2);
    let [one, other] = asking;
    assert_eq!(given(&one.await.unwrap()), given(&other.await.unwrap()));
    assert_eq!(packaged(&house).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_stamp_nothing_is_given_and_the_next_one_who_asks_gets_it() {
    let gate = Gate::closed(stamper());
    let plan = Plan { stamper: gate.clone(), ..plan() };
    let disk = plan.disk.clone();
    let house = House::open(plan).await.unwrap();
    gate.passes.add_permits(2);
    let ticket = accept(&house, &submit("T").sign()).await;
    gate.passes.close();
    let answer = house.ask(&package_of(ticket, ProofKind::Receipt)).await;
    assert_eq!(house.verdict(&answer), "SOA-02002 tsa.none-answered");
    assert_eq!(answer.fault().unwrap().retry, Some(true));
    assert!(packaged(&house).is_empty());
    house.stop().await;
    let house = House::open(Plan { disk, ..self::plan() }).await.unwrap();
    given(&house.ask(&package_of(ticket, ProofKind::Receipt)).await);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_a_key_has_no_packages_and_says_so() {
    let house = House::new().await;
    let ticket = accept(&house, &submit("T").sign()).await;
    let answer = house.ask(&package_of(ticket, ProofKind::Receipt)).await;
    assert_eq!(house.verdict(&answer), "SOA-02001 journal.unsigned");
    answer.must_be_signed();
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_under_a_policy_whose_text_is_gone_is_not_packed() {
    let evidence_policies = vec!["https://example.org/policy/1".to_owned()];
    let house = House::open(Plan { evidence_policies, ..plan() }).await.unwrap();
    let ticket = accept(&house, &submit("T").sign()).await;
    let answer = house.ask(&package_of(ticket, ProofKind::Receipt)).await;
    assert_eq!(house.verdict(&answer), "SOA-02001 package.policy-text");
    assert!(packaged(&house).is_empty());
    house.stop().await;
}

/// Before the first package a power cut at each of its operations; whatever was answered is answered again, and what was not is made.
#[tokio::test(flavor = "multi_thread")]
async fn the_power_goes_out_at_every_operation_of_a_package() {
    let mut number = 0;
    loop {
        number += 1;
        let disk = ForgetfulDisk::new();
        let house = House::open(Plan { disk: disk.clone(), ..plan() }).await.unwrap();
        let ticket = accept(&house, &submit("T").sign()).await;
        let before = disk.operations();
        disk.fail_at(before + number, Fault::PowerCut);
        let answer = house.ask(&package_of(ticket, ProofKind::Receipt)).await;
        let ended = disk.operations() < before + number;
        let held = (answer.status == 200).then(|| given(&answer));
        house.stop().await;
        for seed in [0, number] {
            let disk = disk.after_power_cut(seed);
            let house = House::open(Plan { disk, ..plan() }).await.unwrap();
            let now = given(&house.ask(&package_of(ticket, ProofKind::Receipt)).await);
            assert!(held.as_ref().is_none_or(|held| *held == now), "cut at {number}, seed {seed}");
            assert_eq!(packaged(&house).len(), 1, "cut at {number}, seed {seed}");
            house.stop().await;
        }
        if ended {
            break;
        }
    }
    assert!(number > 5, "{number}");
    println!("{} cases: the power cut at each of {number} operations, two worlds each", 2 * number);
}
