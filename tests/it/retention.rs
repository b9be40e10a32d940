//! Retention (N5): what has ended its term is erased on record and said to be; never before, never under a hold, never by a clock alone.

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, Fault, ForgetfulDisk};
use epost::config;
use epost::retention::{Kind, Plan as Planned, Retention, RetentionError, RunAsked};
use erds::{Record, Status, Ticket, Token};
use evidence::verify::Indication;
use jiff::{SignedDuration, Timestamp};
use journal::Entry;
use pki::digest::sha256;
use serde_json::{Value, json};
use soap::message::v2::{self, ItemSearch, SearchBy};
use soap::message::{ItemName, ProofKind};

use crate::consult::{Room, setup};
use crate::house::inside::{JOURNAL, ORIGIN, Plan, policy, stamper_of};
use crate::house::reply::{Proof, committed_crls};
use crate::house::scripted::Gate;
use crate::house::{Draft, House, until};

/// Eleven years: every term of the default table has ended.
const LATER: SignedDuration = SignedDuration::from_hours(24 * 4018);

fn later() -> Timestamp {
    Timestamp::now() + LATER
}

/// On this disk, eleven years later by our clock and an authority's.
fn later_on(disk: ForgetfulDisk) -> Plan {
    Plan { disk, clock: Arc::new(later), stamper: Gate::open(stamper_of(later)), ..Plan::default() }
}

fn retention(house: &House) -> Retention {
    Retention::new(house.service.clone(), config::Retention::default())
}

/// What the plan would erase, by kind.
fn counts(plan: &Planned) -> Vec<(Kind, usize)> {
    plan.groups.iter().map(|group| (group.kind, group.tickets.len())).collect()
}

/// One item in its box, whose second part is a file of its own; a refused request, one that nobody signed, and a read.
async fn lived(disk: &ForgetfulDisk) -> (Proof, Proof) {
    let plan = Plan {
        disk: disk.clone(),
        delivers: true,
        inline_bytes_max: 800,
        publishes: true,
        ..Plan::default()
    };
    let house = House::open(plan).await.unwrap();
    let receipt = house.ask(&Draft::submission("T")).await.receipt();
    until(|| async { (house.service.index().counts().unwrap().sent == 1).then_some(()) }).await;
    let (_, dispatch) = house.ask(&Draft::status(&receipt.ticket)).await.status_answer();
    let evidence = Draft::evidence(&ItemName::Ticket(receipt.ticket), ProofKind::Dispatch);
    assert_eq!(house.ask(&evidence).await.proof_reply().evidence.len(), 1);
    let package = Draft::package(&ItemName::Ticket(receipt.ticket), ProofKind::Dispatch);
    assert!(house.ask(&package).await.proof_reply().package.is_some());
    let mut wrong = Draft::submission("wrong");
    wrong.attachments.clear();
    assert_eq!(house.ask(&wrong).await.code(), "EPOST_B07");
    assert_eq!(house.send_body(&Draft::submission("x").sign(), "text/xml", b"<a").await.code(), "SOA-03001");
    house.stop().await;
    (receipt, dispatch.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_its_term_is_erased_on_record_and_is_said_to_be() {
    let disk = ForgetfulDisk::new();
    let (receipt, dispatch) = lived(&disk).await;
    let house = House::open(later_on(disk.clone())).await.unwrap();
    let folder = Path::new("data/content").join(receipt.ticket.as_str());
    assert_eq!(disk.list(&folder).unwrap().len(), 1);
    let records = house.records().len();

    let plan = retention(&house).plan().await.unwrap();
    assert_eq!(
        counts(&plan),
        [(Kind::Item, 1), (Kind::Refused, 1), (Kind::Unidentified, 1), (Kind::Read, 3)],
        "{plan:?}"
    );
    assert_eq!(
        (house.records().len(), house.service.keys().has(receipt.ticket).unwrap()),
        (records, true),
        "a dry run"
    );
    let asked = RunAsked { as_of: plan.as_of, plan: plan.digest() };
    let done = retention(&house).run(None, Some(&asked)).await.unwrap();
    assert_eq!((done.acts, done.erased, done.more), (4, 6, false));
    let acts: Vec<_> = house.records().into_iter().skip(records).map(|stored| stored.record).collect();
    let named: Vec<_> = acts
        .iter()
        .map(|act| match act {
            Record::Erased(act) => {
                (act.act, act.of.as_str(), act.class.as_str(), act.term_days, act.tickets.len())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        (1, "item", "content", 3653, 1),
        (2, "refused", "transaction", 3653, 1),
        (3, "unidentified", "technical", 731, 1),
        (4, "read", "transaction", 3653, 3),
    ];
    assert_eq!(named, expected);
    assert!(acts[0].concerns(receipt.ticket));

    assert!(!house.service.keys().has(receipt.ticket).unwrap());
    assert_eq!(disk.list(&folder).unwrap().len(), 0, "its files are gone too");
    let records = house.records();
    let evidenced = records.iter().find(|stored| matches!(stored.record, Record::Evidenced(_))).unwrap();
    let opened = house.service.open_frame(evidenced, "evidence.xml");
    assert_eq!(opened.unwrap_err().code(), "content.absent", "one key, one end");
    let packaged = records.iter().find(|stored| matches!(stored.record, Record::Packaged(_))).unwrap();
    for frame in ["signatures.xml", "package.json"] {
        assert_eq!(house.service.open_frame(packaged, frame).unwrap_err().code(), "content.absent");
    }
    let found = crate::scrub::round(&house.service).await;
    assert_eq!(found.wrong, 0, "what is gone on record is not missed: {found:?}");
    said_to_be_erased(&house, receipt.ticket).await;
    // Chain and proofs are what they were.
    let whole = journal::verify(&disk, Path::new(JOURNAL), ORIGIN, &mut |_| Ok(())).unwrap();
    assert_eq!((whole.records, whole.root), house.service.journal().root());
    for proof in [&receipt, &dispatch] {
        let report = proof.judge(&[], &committed_crls());
        assert_eq!(report.indication, Indication::TotalPassed, "{report:?}");
        assert!(format!("{report:?}").contains("content absent"), "{report:?}");
    }
    house.stop().await;

    // After a restart it is still so, the index made anew says so too, and nothing is left to erase but what was asked since.
    let house = House::open(later_on(disk)).await.unwrap();
    assert!(house.service.index().item(receipt.ticket).unwrap().unwrap().erased.is_some());
    said_to_be_erased(&house, receipt.ticket).await;
    assert_eq!(counts(&retention(&house).plan().await.unwrap()), []);
    house.stop().await;
}

async fn said_to_be_erased(house: &House, ticket: Ticket) {
    let by_token = ItemName::Token(Token::parse("T").unwrap());
    let drafts = [
        Draft::status(&ticket),
        Draft::proof(&by_token, ProofKind::Receipt),
        Draft::proof(&ItemName::Ticket(ticket), ProofKind::Dispatch),
        Draft::evidence(&ItemName::Ticket(ticket), ProofKind::Receipt),
        Draft::package(&ItemName::Ticket(ticket), ProofKind::Dispatch),
        Draft::submission("T"),
    ];
    for mut draft in drafts {
        draft.signed_at = later();
        let answer = house.ask(&draft).await;
        assert_eq!(house.verdict(&answer), "REPO_B02 item.erased");
        let told = String::from_utf8_lossy(&answer.body);
        assert!(told.contains("SENT") && told.contains("erased at"), "{told}");
    }
    let search = ItemSearch { by: SearchBy::Token(Token::parse("T").unwrap()), status: None, after: None };
    let mut draft = Draft::asking(v2::write_find_items_request(&search));
    (draft.path, draft.signed_at) = (crate::house::draft::V2, later());
    let answer = house.ask(&draft).await;
    let answer = String::from_utf8_lossy(&answer.body);
    assert!(
        answer.contains(ticket.as_str()) && !answer.contains("<v2:Token>"),
        "found, without its Token: {answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn not_a_moment_before_the_term_and_only_what_has_ended() {
    let disk = ForgetfulDisk::new();
    let (receipt, _) = lived(&disk).await;
    let house = House::open(Plan { disk, ..Plan::default() }).await.unwrap();
    let on_its_way = house.ask(&Draft::submission("U")).await.receipt().ticket;
    let sent = house.records().into_iter().find_map(|stored| match stored.record {
        Record::Dispatched(dispatched) => Some(dispatched.at.max(dispatched.gen_time)),
        _ => None,
    });
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    let table = config::Retention {
        content_days: 30,
        content_days_of: [("LETTER".to_owned(), 7)].into(),
        ..config::Retention::default()
    };
    let of = |table: &config::Retention| Retention::new(house.service.clone(), table.clone());
    let items = |plan: &Planned| -> Vec<Ticket> {
        let groups = plan.groups.iter().filter(|group| group.kind == Kind::Item);
        groups.flat_map(|group| group.tickets.clone()).collect()
    };
    let nanosecond = SignedDuration::from_nanos(1);
    let as_other = config::Retention { content_days_of: [("BILL".to_owned(), 7)].into(), ..table.clone() };
    for (table, term) in [(&table, days(7)), (&as_other, days(30))] {
        let ends = sent.unwrap() + term;
        assert_eq!(items(&of(table).plan_as_of(ends - nanosecond).unwrap()), [], "{term}");
        assert_eq!(items(&of(table).plan_as_of(ends).unwrap()), [receipt.ticket], "{term}");
    }
    let plan = of(&table).plan_as_of(later()).unwrap();
    assert!(!items(&plan).contains(&on_its_way), "it has not ended");
    assert_eq!(plan.not_ended, 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policys_text_ends_with_the_next_policy_and_never_while_it_is_in_force() {
    let disk = ForgetfulDisk::new();
    let house = House::open(Plan { disk: disk.clone(), ..Plan::default() }).await.unwrap();
    let setup = config::Uam {
        policy: "policy.toml".into(),
        reload_seconds: 60,
        review_days_max: 0,
        signers: None,
        remote: None,
    };
    let access = epost::access::Access::new(setup, None);
    for version in 1..=3 {
        let text = format!("version = {version}\n{}", policy());
        house.service.set_policy(uam::PolicyFile::parse(&text).unwrap());
        access.adopt(&house.service).await.unwrap();
    }
    house.stop().await;
    let house = House::open(later_on(disk)).await.unwrap();
    let plan = retention(&house).plan().await.unwrap();
    assert_eq!((counts(&plan), plan.not_ended), (vec![(Kind::Policy, 2)], 1), "{plan:?}");
    let asked = RunAsked { as_of: plan.as_of, plan: plan.digest() };
    assert_eq!(retention(&house).run(None, Some(&asked)).await.unwrap().erased, 2);
    let (adopted, text) = epost::access::last(&house.service).unwrap().unwrap();
    assert_eq!((adopted.version, text.map(|text| text.version())), (3, Some(3)), "it is still there");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_asked_about_an_item_has_not_ended() {
    let disk = ForgetfulDisk::new();
    let (receipt, _) = lived(&disk).await;
    // The courier itself stays out of it.
    let house = House::open(Plan { disk, read_poll_seconds: 60, ..Plan::default() }).await.unwrap();
    let received_at = house.service.index().item(receipt.ticket).unwrap().unwrap().received_at;
    let table = config::Retention { content_days: 1, ..config::Retention::default() };
    let asked = i64::try_from(config::Delivery::default().read_poll_end_seconds).unwrap();
    let ends = received_at + SignedDuration::from_secs(asked) + SignedDuration::from_hours(24);
    for (as_of, expected) in [(ends - SignedDuration::from_nanos(1), 0), (ends, 1)] {
        let plan = Retention::new(house.service.clone(), table.clone()).plan_as_of(as_of).unwrap();
        assert_eq!(counts(&plan), if expected == 1 { vec![(Kind::Item, 1)] } else { vec![] }, "{as_of}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_clock_that_is_wrong_erases_anything() {
    let disk = ForgetfulDisk::new();
    let (receipt, _) = lived(&disk).await;
    let gate = Gate::open(stamper_of(later));
    type Case = (fn() -> Timestamp, Arc<dyn epost::trust::Stamper>, &'static str);
    let none: Arc<dyn epost::trust::Stamper> = Arc::new(NoTime);
    let cases: [Case; 4] = [
        (later, crate::house::inside::stamper(), "retention.clock-apart"),
        (Timestamp::now, gate, "retention.clock-apart"),
        (
            || Timestamp::now() - SignedDuration::from_hours(1),
            crate::house::inside::stamper(),
            "retention.clock-behind",
        ),
        (later, none, "retention.time-unknown"),
    ];
    for (clock, stamper, code) in cases {
        let plan = Plan { disk: disk.clone(), clock: Arc::new(clock), stamper, ..Plan::default() };
        let house = House::open(plan).await.unwrap();
        let refused = [
            retention(&house).plan().await.map(|_| ()).unwrap_err(),
            retention(&house).run(None, None).await.map(|_| ()).unwrap_err(),
        ];
        assert!(refused.iter().all(|error| error.code() == code), "{code}: {refused:?}");
        assert!(house.service.keys().has(receipt.ticket).unwrap());
        house.stop().await;
    }
}

struct NoTime;

#[async_trait::async_trait]
impl epost::trust::Stamper for NoTime {
    async fn stamp(
        &self,
        _imprint: &pki::digest::Digest,
    ) -> Result<epost::trust::Stamp, epost::trust::StampError> {
        Err(epost::trust::StampError(Vec::new()))
    }
}

/// Our clock was set back when the item ended: by what the record says its term would be over, by the stamp before it not.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_shortens_no_term() {
    let house = House::new().await;
    let receipt = house.ask(&Draft::submission("T")).await.receipt();
    let failed = Record::ConsignmentFailed(erds::record::ConsignmentFailed {
        ticket: receipt.ticket,
        at: Timestamp::UNIX_EPOCH,
        channel: erds::ChannelName::EboxCitizen,
        attempts: 1,
        reason: "test".to_owned(),
    });
    house
        .service
        .append(Entry { record: failed, frames: Vec::new(), unique_keys: Vec::new() })
        .await
        .unwrap();
    let plan =
        retention(&house).plan_as_of(Timestamp::now() + SignedDuration::from_hours(24 * 3652)).unwrap();
    assert_eq!((counts(&plan), plan.not_ended), (vec![], 0));
    let plan =
        retention(&house).plan_as_of(Timestamp::now() + SignedDuration::from_hours(24 * 3654)).unwrap();
    assert_eq!(counts(&plan), [(Kind::Item, 1)]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_keeps_what_it_names_by_the_door() {
    let disk = ForgetfulDisk::new();
    let (receipt, _) = lived(&disk).await;
    let room = Room::with(later_on(disk), setup()).await;
    room.ahead_seconds.store(LATER.as_secs(), std::sync::atomic::Ordering::SeqCst);
    let step = async |path: &str, body: Value| room.step("bob", path, body).await;
    let plan = async || step("/retention/plan", json!({})).await.unwrap();
    assert_eq!(room.step("alice", "/retention/plan", json!({})).await, Err("consult.role".into()));

    let stale = plan().await;
    assert_eq!(stale[0]["would_erase"], 6, "{stale:?}");
    let ticket = receipt.ticket.as_str();
    for (wrong, code) in [
        (json!({"reason": "r"}), "consult.field"),
        (json!({"reason": "r", "ticket": ticket, "sender": "1000000021"}), "consult.field"),
        (json!({"reason": "r", "ticket": "0000000000000"}), "consult.field"),
        (json!({"reason": "r", "sender": "12"}), "consult.field"),
        (json!({"reason": " ", "ticket": ticket}), "consult.field"),
        (json!({"ticket": ticket}), "consult.json"),
    ] {
        assert_eq!(step("/retention/hold", wrong.clone()).await, Err(code.into()), "{wrong}");
    }
    let hold = step("/retention/hold", json!({"ticket": ticket, "reason": "case 17"})).await.unwrap();
    assert_eq!((&hold[0]["hold"], &hold[0]["in_force"]), (&json!(1), &json!(true)));
    let held = plan().await;
    assert_eq!(
        held[0]["held"],
        json!([{"hold": 1, "keys": 4}]),
        "the item, and the requests that read it: {held:?}"
    );
    assert_eq!(held[0]["would_erase"], 2);
    let run = |of: &[Value]| json!({"as_of": of[0]["as_of"], "plan": of[0]["plan"]});
    assert_eq!(
        step("/retention/run", run(&stale)).await,
        Err("retention.plan-changed".into()),
        "a hold came between"
    );

    let of_all = step("/retention/hold", json!({"sender": "1000000021", "reason": "order"})).await.unwrap();
    assert_eq!(of_all[0]["hold"], 2);
    step("/retention/hold/1/lift", json!({"reason": "closed"})).await.unwrap();
    assert_eq!(
        step("/retention/hold/1/lift", json!({"reason": "closed"})).await,
        Err("retention.hold-lifted-already".into())
    );
    assert_eq!(
        step("/retention/hold/3/lift", json!({"reason": "closed"})).await,
        Err("retention.hold-absent".into())
    );
    let by_sender = plan().await;
    assert_eq!(by_sender[0]["held"], json!([{"hold": 2, "keys": 5}]), "{by_sender:?}");
    let ran = step("/retention/run", run(&by_sender)).await.unwrap();
    assert_eq!((&ran[0]["erased"], &ran[0]["acts"]), (&json!(1), &json!(1)), "what nobody signed alone");
    assert!(room.house.service.keys().has(receipt.ticket).unwrap());

    step("/retention/hold/2/lift", json!({"reason": "done"})).await.unwrap();
    let free = plan().await;
    let mut future = run(&free);
    future["as_of"] = json!(later() + SignedDuration::from_hours(1));
    assert_eq!(step("/retention/run", future).await, Err("retention.plan-future".into()));
    assert_eq!(step("/retention/run", run(&free)).await.unwrap()[0]["erased"], 5);
    assert!(!room.house.service.keys().has(receipt.ticket).unwrap());

    let holds = step("/retention/holds", json!({})).await.unwrap();
    assert_eq!(holds.len(), 2);
    assert_eq!(
        (&holds[0]["reason"], &holds[0]["set_by"], &holds[0]["lifted_because"]),
        (&json!("case 17"), &json!("bob A. Person"), &json!("closed"))
    );
    let by = room.house.records().into_iter().find_map(|stored| match stored.record {
        Record::Erased(act) => Some(act.by),
        _ => None,
    });
    assert_eq!(by.flatten().map(|by| by.0), Some(crate::house::certificate("bob").fingerprint()));
    for stored in room.house.records() {
        let json = String::from_utf8(stored.record.to_json().unwrap()).unwrap();
        assert!(!json.contains("case 17") && !json.contains("A. Person"), "{json}");
    }
    room.house.stop().await;
}

/// The power goes out, or an operation fails, at every one of a run: a key is gone only on record, and an act on record is carried out.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cut_at_any_operation_is_finished_at_the_start() {
    let made = ForgetfulDisk::new();
    let (receipt, _) = lived(&made).await;
    let stamper = Gate::open(stamper_of(later));
    let plan = |disk: ForgetfulDisk| Plan {
        disk,
        clock: Arc::new(later),
        stamper: stamper.clone(),
        ..Plan::default()
    };
    let mut cases = 0;
    for fault in [Fault::PowerCut, Fault::NotPersisted, Fault::PersistedButReportedFailed] {
        for number in 1.. {
            // Everything of the years before is durable.
            let disk = made.after_power_cut(0);
            let house = House::open(plan(disk.clone())).await.unwrap();
            let before = disk.operations();
            disk.fail_at(before + number, fault);
            // Whatever it answers: the disk is what counts.
            let ran = retention(&house).run(None, None).await;
            let over = disk.operations() < before + number;
            assert!(ran.is_ok() || !over, "{fault:?} at {number}: {ran:?}");
            house.stop().await;
            for seed in [0, number, number + 1000] {
                cases += 1;
                let what = format!("{fault:?} at {number}, seed {seed}");
                finished(plan(disk.after_power_cut(seed)), receipt.ticket, &what).await;
            }
            if over {
                break;
            }
        }
    }
    println!("retention: {cases} cases");
    assert!(cases > 60, "{cases}");
}

async fn finished(plan: Plan, ticket: Ticket, what: &str) {
    let disk = plan.disk.clone();
    let house = House::open(plan).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let recorded: Vec<Ticket> = house
        .records()
        .into_iter()
        .filter_map(|stored| match stored.record {
            Record::Erased(act) => Some(act.tickets),
            _ => None,
        })
        .flatten()
        .collect();
    for ticket in &recorded {
        assert!(!house.service.keys().has(*ticket).unwrap(), "{what}: on record, and its key is there");
    }
    assert_eq!(
        house.service.keys().has(ticket).unwrap(),
        !recorded.contains(&ticket),
        "{what}: gone, and not on record"
    );
    if !recorded.contains(&ticket) {
        let receipt = house.service.stored_receipt(ticket).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_ne!(sha256(&receipt.xml), [0; 32]);
    }
    retention(&house).run(None, None).await.unwrap_or_else(|error: RetentionError| panic!("{what}: {error}"));
    assert_eq!(counts(&retention(&house).plan().await.unwrap()), [], "{what}");
    assert!(!house.service.keys().has(ticket).unwrap(), "{what}");
    assert_eq!(house.service.index().item(ticket).unwrap().unwrap().status, Status::Sent);
    journal::verify(&disk, Path::new(JOURNAL), ORIGIN, &mut |_| Ok(()))
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    house.stop().await;
}

/// A key file of before, put back by hand: what is on record as erased is erased again.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_came_back_is_erased_again() {
    let disk = ForgetfulDisk::new();
    let (receipt, _) = lived(&disk).await;
    let house = House::open(later_on(disk)).await.unwrap();
    let key = house.service.keys().open_key(receipt.ticket).unwrap().unwrap();
    retention(&house).run(None, None).await.unwrap();
    house.service.keys().create(receipt.ticket, &key).await.unwrap();
    assert_eq!(counts(&retention(&house).plan().await.unwrap()), [(Kind::Item, 1)]);
    retention(&house).run(None, None).await.unwrap();
    assert!(!house.service.keys().has(receipt.ticket).unwrap());
    house.stop().await;
}
