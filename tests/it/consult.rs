//! Consultations of the log (N3) at their door: two people's certificates, every step in the journal, nothing without the other's word.
//!
//! alice asks and runs; bob asks, approves and audits; `expired` and `revoked` are listed, and may do everything but for their
//! certificates; `not_authorised` is nobody, `unknown_ca` of no authority.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use epost::config::{Consult, ConsultPerson, Role};
use epost::consult::{Desk, HISTORY_LINES_MAX, People};
use epost::retention::Retention;
use erds::Record;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use soap::message::{ItemName, PackageAnswer, ProofKind};
use tokio::sync::watch;

use crate::house::draft::submission;
use crate::house::inside::Plan;
use crate::house::wire::{client_config, read};
use crate::house::{Draft, House, Sandbox, certificate, certs_test};
use epost::dev::sandbox::CITIZEN;

/// A house, and its door for consultations.
pub struct Room {
    pub house: House,
    address: SocketAddr,
    pub ahead_seconds: Arc<AtomicI64>,
    _stop: watch::Sender<bool>,
}

pub fn setup() -> Consult {
    let person = |name: &str, roles: &[Role]| ConsultPerson {
        name: format!("{name} A. Person"),
        certificates: vec![erds::record::Hex32(certificate(name).fingerprint()).to_hex()],
        roles: roles.to_vec(),
    };
    let all = [Role::Request, Role::Approve, Role::Audit, Role::Retain];
    Consult {
        address: "127.0.0.1:0".parse().unwrap(),
        anchors: vec![certs_test("senders-root.crt")],
        intermediates: vec![certs_test("senders-ca.crt")],
        crls: vec![certs_test("crls")],
        validity_hours: 24,
        results_max: 3,
        person: vec![
            person("alice", &[Role::Request]),
            person("bob", &all),
            person("expired", &all),
            person("revoked", &all),
        ],
    }
}

impl Room {
    async fn open() -> Self {
        Self::with(Plan::default(), setup()).await
    }

    pub async fn with(plan: Plan, setup: Consult) -> Self {
        let ahead_seconds = Arc::new(AtomicI64::new(0));
        let ahead = ahead_seconds.clone();
        let clock =
            Arc::new(move || Timestamp::now() + SignedDuration::from_secs(ahead.load(Ordering::SeqCst)));
        let house = House::open(Plan { clock, ..plan }).await.unwrap();
        let people = People::read(&setup).unwrap();
        let pem = |name| std::fs::read(certs_test(name)).unwrap();
        let (anchors, named) = (people.authorities().anchors().clone(), people.authorities().named());
        let tls =
            epost::door::tls::server_config(&pem("server.crt"), &pem("server.key"), anchors, named).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let retention = Arc::new(Retention::new(house.service.clone(), Default::default()));
        let desk = Desk::new(house.service.clone(), people, &setup).with_retention(retention);
        tokio::spawn(epost::door::consult::serve(listener, tls, Arc::new(desk), stopped));
        Self { house, address, ahead_seconds, _stop: stop }
    }

    async fn post(&self, person: &str, path: &str, body: Value) -> (u16, Vec<Value>) {
        post(self.address, person, path, body.to_string()).await
    }

    /// What is answered, or the error's code; every error says all that it must.
    pub async fn step(&self, person: &str, path: &str, body: Value) -> Result<Vec<Value>, String> {
        let (status, lines) = self.post(person, path, body).await;
        if status == 200 {
            return Ok(lines);
        }
        let error = &lines[0]["error"];
        for field in ["code", "seen", "expected", "remedy"] {
            assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {error}");
        }
        Err(error["code"].as_str().unwrap().to_owned())
    }

    async fn request(&self, person: &str, query: Value) -> u64 {
        let lines = self.step(person, "/consult", asked(query)).await.unwrap();
        lines[0]["consultation"].as_u64().unwrap()
    }

    async fn approved(&self, query: Value) -> u64 {
        let number = self.request("alice", query).await;
        self.step("bob", &format!("/consult/{number}/approve"), json!({})).await.unwrap();
        number
    }

    async fn run(&self, person: &str, number: u64) -> Result<Vec<Value>, String> {
        self.step(person, &format!("/consult/{number}/run"), json!({})).await
    }

    async fn look_up(&self, query: Value) -> Vec<Value> {
        let number = self.approved(query).await;
        self.run("alice", number).await.unwrap()
    }

    /// The acts of consultations in the journal, with their details.
    fn acts(&self) -> Vec<(String, Value)> {
        let acts = self.house.records().into_iter().filter_map(|stored| match stored.record {
            Record::Control(control) => Some((control.action, control.detail)),
            _ => None,
        });
        let of_ours = acts.filter(|(action, _)| action.starts_with("consult."));
        of_ours.map(|(action, detail)| (action, serde_json::from_str(&detail).unwrap())).collect()
    }

    fn actions(&self) -> Vec<String> {
        self.acts().into_iter().map(|(action, _)| action).collect()
    }
}

async fn post(address: SocketAddr, person: &str, path: &str, body: String) -> (u16, Vec<Value>) {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(client_config(Some(person)))
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    let sent = client.post(format!("https://{address}{path}")).body(body).send().await.unwrap();
    let answer = read(sent).await.unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    (answer.status, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn asked(query: Value) -> Value {
    json!({"purpose": "complaint", "reason": "case 2026/17 of the ombudsman", "query": query})
}

#[tokio::test(flavor = "multi_thread")]
async fn one_asks_another_approves_and_it_is_run_once() {
    let room = Room::open().await;
    let receipt = room.house.ask(&Draft::submission("T-1")).await.receipt();
    let query = json!({"ticket": receipt.ticket.as_str()});
    let number = room.request("alice", query.clone()).await;
    assert_eq!(number, 1);
    assert_eq!(room.run("alice", 1).await, Err("consult.not-approved".into()));
    let approved = room.step("bob", "/consult/1/approve", json!({"note": "granted"})).await.unwrap();
    assert_eq!(
        (&approved[0]["state"], &approved[0]["decided_by"]),
        (&json!("approved"), &json!("bob A. Person"))
    );
    assert_eq!(room.run("bob", 1).await, Err("consult.not-requester".into()));

    let lines = room.run("alice", 1).await.unwrap();
    assert_eq!(lines[0]["results"], 2, "{lines:?}");
    let kinds: Vec<_> = lines[1..].iter().map(|line| line["record"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["received", "accepted"]);
    assert!(lines[1..].iter().all(|line| line["recipient"] == CITIZEN), "{lines:?}");
    assert_eq!(room.run("alice", 1).await, Err("consult.run-already".into()));

    let history = room.step("bob", "/consult/history", json!({})).await.unwrap();
    let shown = &history[0];
    assert_eq!(history.len(), 1);
    for (field, expected) in [
        ("state", json!("run")),
        ("requested_by", json!("alice A. Person")),
        ("purpose", json!("complaint")),
        ("reason", json!("case 2026/17 of the ombudsman")),
        ("decided_by", json!("bob A. Person")),
        ("note", json!("granted")),
        ("results", json!(2)),
        ("more", json!(false)),
    ] {
        assert_eq!(shown[field], expected, "{field}: {shown}");
    }
    assert_eq!(shown["query"]["ticket"], query["ticket"]);
    let steps = [
        "consult.requested",
        "consult.denied",
        "consult.approved",
        "consult.denied",
        "consult.ran",
        "consult.denied",
        "consult.listed",
    ];
    assert_eq!(room.actions(), steps);
    assert_eq!(room.acts()[4].1["results"], 2);
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_decides_on_his_own_request_and_nobody_decides_twice() {
    let room = Room::open().await;
    let number = room.request("bob", json!({"recipient": CITIZEN})).await;
    let path = |step: &str| format!("/consult/{number}/{step}");
    for step in ["approve", "refuse"] {
        let denied = room.step("bob", &path(step), json!({"note": "mine"})).await;
        assert_eq!(denied, Err("consult.approver-is-requester".into()), "{step}");
    }
    assert_eq!(room.step("alice", &path("approve"), json!({})).await, Err("consult.role".into()));

    let number = room.request("alice", json!({"recipient": CITIZEN})).await;
    let path = |step: &str| format!("/consult/{number}/{step}");
    assert_eq!(room.step("bob", &path("refuse"), json!({})).await, Err("consult.field".into()), "says why");
    let refused = room.step("bob", &path("refuse"), json!({"note": "no ground"})).await.unwrap();
    assert_eq!(refused[0]["state"], "refused");
    assert_eq!(room.step("bob", &path("approve"), json!({})).await, Err("consult.decided-already".into()));
    assert_eq!(room.run("alice", number).await, Err("consult.not-approved".into()));
    room.house.stop().await;
}

/// A renewed certificate does not make another person of anybody.
#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_of_the_same_person_is_no_other_person() {
    let mut setup = setup();
    setup.person[0].roles.push(Role::Approve);
    let second = setup.person.remove(1).certificates;
    setup.person[0].certificates.extend(second);
    let room = Room::with(Plan::default(), setup).await;
    let number = room.request("alice", json!({"recipient": CITIZEN})).await;
    let denied = room.step("bob", &format!("/consult/{number}/approve"), json!({})).await;
    assert_eq!(denied, Err("consult.approver-is-requester".into()));
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_certificates_out_of_force_get_nowhere() {
    let room = Room::open().await;
    let expected = [
        ("not_authorised", "consult.unknown-person"),
        ("expired", "consult.certificate"),
        ("revoked", "consult.certificate"),
    ];
    for (who, code) in expected {
        for path in ["/consult", "/consult/1/approve", "/consult/1/run", "/consult/history"] {
            assert_eq!(room.step(who, path, asked(json!({}))).await, Err(code.into()), "{who} {path}");
        }
    }
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(client_config(Some("unknown_ca")))
        .no_proxy()
        .build()
        .unwrap();
    let sent = client.post(format!("https://{}/consult/history", room.address)).body("{}").send().await;
    assert!(sent.is_err(), "TLS ends it");
    assert_eq!(room.actions(), [""; 0], "nothing of strangers in the journal");
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_lives_so_long_and_no_longer() {
    let room = Room::open().await;
    let query = || json!({"recipient": CITIZEN});
    let undecided = room.request("alice", query()).await;
    let (in_time, late) = (room.approved(query()).await, room.approved(query()).await);
    room.ahead_seconds.store(24 * 3600 - 60, Ordering::SeqCst);
    assert!(room.run("alice", in_time).await.is_ok());
    room.ahead_seconds.store(24 * 3600 + 60, Ordering::SeqCst);
    assert_eq!(room.run("alice", late).await, Err("consult.expired".into()));
    let approve = format!("/consult/{undecided}/approve");
    assert_eq!(room.step("bob", &approve, json!({})).await, Err("consult.expired".into()));
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_shows_as_many_records_as_are_allowed_and_says_if_there_are_more() {
    let room = Room::open().await;
    room.house.ask(&Draft::submission("T-1")).await.receipt();
    let at_limit = room.request("alice", json!({"sender": "1000000021"})).await; // alice's; the limit is 3
    room.step("bob", &format!("/consult/{at_limit}/approve"), json!({})).await.unwrap();
    let wrong = Draft { attachments: Vec::new(), ..Draft::submission("T-2") };
    assert!(!room.house.ask(&wrong).await.code().is_empty());
    let lines = room.run("alice", at_limit).await.unwrap();
    assert_eq!(
        (&lines[0]["results"], &lines[0]["more"], lines.len()),
        (&json!(3), &json!(false), 4),
        "{lines:?}"
    );

    room.house.ask(&wrong.clone().by("alice")).await;
    let receipt = room.house.ask(&Draft::submission("T-3")).await.receipt();
    let lines = room.look_up(json!({"sender": "1000000021"})).await;
    assert_eq!((&lines[0]["results"], &lines[0]["more"], lines.len()), (&json!(3), &json!(true), 4));

    let fewer = room.approved(json!({"ticket": receipt.ticket.as_str()})).await;
    for (limit, refused) in [(0, true), (4, true), (1, false)] {
        let ran = room.step("alice", &format!("/consult/{fewer}/run"), json!({"results_max": limit})).await;
        match ran {
            Err(code) => assert!(refused && code == "consult.field", "{limit}: {code}"),
            Ok(lines) => {
                assert!(!refused && lines.len() == 2 && lines[0]["more"] == true, "{limit}: {lines:?}")
            }
        }
    }
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_by_ticket_sender_recipient_user_and_time() {
    let room = Room::with(Plan::default(), Consult { results_max: 100, ..setup() }).await;
    let before = Timestamp::now();
    let alices = room.house.ask(&Draft::submission("T-1")).await.receipt().ticket;
    let bobs = room.house.ask(&Draft::to_known_enterprise("T-2").by("bob")).await.receipt().ticket;
    let found = async |query: Value| {
        let lines = room.look_up(query).await;
        let tickets = lines[1..].iter().filter(|line| line["record"]["kind"] != "control");
        tickets.map(|line| line["record"]["ticket"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (alices, bobs) = (alices.as_str(), bobs.as_str());
    assert_eq!(found(json!({"ticket": bobs})).await, [bobs, bobs]);
    assert_eq!(found(json!({"sender": "1000000021"})).await, [alices, alices]);
    assert_eq!(found(json!({"recipient": CITIZEN})).await, [alices, alices]);
    assert_eq!(found(json!({"user_id": "urn:be:fgov:epost:test:bob:letters"})).await, [bobs, bobs]);
    assert_eq!(found(json!({"recipient": CITIZEN, "sender": "0000000196"})).await, [""; 0], "both must hold");
    assert_eq!(found(json!({"from": before, "to": Timestamp::now()})).await, [alices, alices, bobs, bobs]);
    assert_eq!(found(json!({"to": before, "recipient": CITIZEN})).await, [""; 0]);
    assert_eq!(found(json!({"from": Timestamp::now(), "recipient": CITIZEN})).await, [""; 0]);
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_none_is_refused_by_name() {
    let room = Room::open().await;
    let long = |count: usize| "é".repeat(count);
    let with = |purpose: &str, reason: &str| json!({"purpose": purpose, "reason": reason, "query": {"recipient": CITIZEN}});
    assert!(room.step("alice", "/consult", with(&long(200), &long(4000))).await.is_ok(), "at the limits");
    for (wrong, code) in [
        (with(&long(201), "r"), "consult.field"),
        (with("p", &long(4001)), "consult.field"),
        (with(" ", "r"), "consult.field"),
        (with("p", "\u{7}"), "consult.field"),
        (asked(json!({})), "consult.field"),
        (asked(json!({"ticket": "no ticket"})), "consult.field"),
        (asked(json!({"sender": "12"})), "consult.field"),
        (asked(json!({"recipient": long(201)})), "consult.field"),
        (asked(json!({"from": "2026-11-02T00:00:00Z", "to": "2026-11-01T00:00:00Z"})), "consult.field"),
        (asked(json!({"from": "yesterday"})), "consult.json"),
        (asked(json!({"everything": true})), "consult.json"),
        (json!([]), "consult.json"),
        (json!({"x": "y".repeat(epost::door::consult::BODY_BYTES_MAX)}), "consult.json"),
    ] {
        let text = wrong.to_string().chars().take(80).collect::<String>();
        assert_eq!(room.step("alice", "/consult", wrong).await, Err(code.into()), "{text}");
    }
    for path in ["/", "/consult/1", "/consult/x/run", "/consult/1/drop", "/metrics"] {
        assert_eq!(room.step("alice", path, json!({})).await, Err("consult.path".into()), "{path}");
    }
    for number in ["0", "2", "18446744073709551615"] {
        let absent = room.step("bob", &format!("/consult/{number}/approve"), json!({})).await;
        assert_eq!(absent, Err("consult.absent".into()), "{number}");
    }
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_nothing() {
    let room = Room::open().await;
    let (ran, approved) = (
        room.approved(json!({"recipient": CITIZEN})).await,
        room.approved(json!({"recipient": CITIZEN})).await,
    );
    room.run("alice", ran).await.unwrap();
    let disk = room.house.disk.clone();
    room.house.stop().await;
    drop(room._stop);

    let room = Room::with(Plan { disk, ..Plan::default() }, setup()).await;
    assert_eq!(room.run("alice", ran).await, Err("consult.run-already".into()));
    assert!(room.run("alice", approved).await.is_ok());
    assert_eq!(room.request("alice", json!({"recipient": CITIZEN})).await, 3);
    room.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_is_recorded() {
    let room = Room::open().await;
    let asked = (0..8).map(|_| room.request("alice", json!({"recipient": CITIZEN})));
    let mut numbers = join(asked).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>(), "each has a number of its own");
    let approvals = join((0..4).map(|_| room.step("bob", "/consult/1/approve", json!({})))).await;
    assert_eq!(approvals.iter().filter(|answer| answer.is_ok()).count(), 1, "{approvals:?}");
    let runs = join((0..4).map(|_| room.run("alice", 1))).await;
    assert_eq!(runs.iter().filter(|answer| answer.is_ok()).count(), 1, "{runs:?}");
    let ran = room.actions().into_iter().filter(|action| action == "consult.ran");
    assert_eq!(ran.count(), 1);
    room.house.stop().await;
}

async fn join<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = all.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        pending.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                done.push(answer);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_paged_filtered_and_ones_own_for_who_only_asks() {
    let room = Room::open().await;
    room.request("bob", json!({"recipient": CITIZEN})).await;
    for _ in 0..HISTORY_LINES_MAX {
        room.request("alice", json!({"recipient": CITIZEN})).await;
    }
    room.step("bob", "/consult/2/approve", json!({})).await.unwrap();
    let numbers = async |person: &str, filter: Value| {
        let lines = room.step(person, "/consult/history", filter).await.unwrap();
        lines.iter().map(|line| line["consultation"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let last = HISTORY_LINES_MAX as u64 + 1;
    assert_eq!(numbers("bob", json!({})).await, (1..last).collect::<Vec<_>>(), "one page");
    assert_eq!(numbers("bob", json!({"after": last - 1})).await, [last]);
    assert_eq!(numbers("bob", json!({"after": last})).await, [0; 0]);
    assert_eq!(numbers("alice", json!({})).await, (2..=last).collect::<Vec<_>>(), "her own");
    assert_eq!(numbers("alice", json!({"number": 1})).await, [0; 0]);
    assert_eq!(numbers("bob", json!({"state": "approved"})).await, [2]);
    assert_eq!(numbers("bob", json!({"person": "bob A. Person"})).await, [1, 2], "asked or decided by");
    assert_eq!(numbers("bob", json!({"to": "2026-01-01T00:00:00Z"})).await, [0; 0]);
    room.house.stop().await;
}

/// What is personal goes with the consultation's key; that it was, and by which certificates, stays.
#[tokio::test(flavor = "multi_thread")]
async fn no_record_names_a_person_and_what_was_erased_is_said_to_be() {
    let room = Room::open().await;
    let number = room.approved(json!({"recipient": CITIZEN})).await;
    let mut tickets = Vec::new();
    for stored in room.house.records() {
        let json = String::from_utf8(stored.record.to_json().unwrap()).unwrap();
        for personal in [CITIZEN, "A. Person", "ombudsman", "complaint"] {
            assert!(!json.contains(personal), "{json}");
        }
        tickets.extend(stored.record.ticket());
    }
    room.house.service.keys().destroy(tickets[0]).await.unwrap();
    assert_eq!(room.run("alice", number).await, Err("consult.erased".into()));
    let history = room.step("bob", "/consult/history", json!({})).await.unwrap();
    assert_eq!((&history[0]["erased"], &history[0]["purpose"]), (&json!(true), &Value::Null));
    assert_eq!(history[0]["state"], "approved");
    assert!(history[0]["decider_certificate"].is_string());
    room.house.stop().await;
}

#[test]
fn a_list_that_makes_one_person_two_is_refused() {
    let refused = |change: &dyn Fn(&mut Consult)| {
        let mut setup = setup();
        change(&mut setup);
        People::read(&setup).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(refused(&|_| ()), "");
    assert!(
        refused(&|setup| setup.person[1].name = "ALICE a. person ".into()).contains("consult.person.name")
    );
    let again = |setup: &mut Consult| setup.person[1].certificates = setup.person[0].certificates.clone();
    assert!(refused(&again).contains("consult.person.certificates"));
    assert!(
        refused(&|setup| setup.person[0].certificates[0].clear()).contains("consult.person.certificates")
    );
    for (results_max, fits) in [(0, false), (1, true), (10_000, true), (10_001, false)] {
        assert_eq!(refused(&|setup| setup.results_max = results_max).is_empty(), fits, "{results_max}");
    }
    assert!(refused(&|setup| setup.validity_hours = 0).contains("consult.validity_hours"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_opens_the_door_that_its_configuration_names() {
    let sandbox = Sandbox::start_tuned(|config| config.consult = Some(setup())).await;
    let address = sandbox.consult_address().unwrap();
    let (status, lines) =
        post(address, "alice", "/consult", asked(json!({"recipient": CITIZEN})).to_string()).await;
    assert_eq!((status, &lines[0]["state"]), (200, &json!("requested")));
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_get_an_items_package_with_its_senders_message() {
    let room = Room::with(Plan { publishes: true, ..Plan::default() }, setup()).await;
    let files = crate::evidence::files();
    let signed = Draft::of(&submission("T-1", &files), &files).sign();
    let ticket = room.house.send(&signed).await.receipt().ticket;
    let approved = async |kind: &str| {
        let mut body = asked(json!({"ticket": ticket.as_str()}));
        body["package"] = json!(kind);
        let number = room.step("alice", "/consult", body).await.unwrap()[0]["consultation"].as_u64().unwrap();
        room.step("bob", &format!("/consult/{number}/approve"), json!({})).await.unwrap();
        number
    };
    let number = approved("RECEIPT").await;
    let given = room.run("alice", number).await.unwrap().pop().unwrap();
    let content = given["package"]["content"].as_str().unwrap();
    let content = base64_simd::STANDARD.decode_to_vec(content).unwrap();
    let package = PackageAnswer { file_name: "Receipt.asice".to_owned(), content };
    assert_eq!(given["package"]["file_name"], package.file_name);
    crate::package::judge(&package.content);
    assert_eq!(crate::package::request(&package), Some(signed.root));
    let own = room.house.ask(&Draft::package(&ItemName::Ticket(ticket), ProofKind::Receipt)).await;
    assert_eq!(own.proof_reply().package, Some(package), "the very one that its sender has");
    let history = room.step("bob", "/consult/history", json!({})).await.unwrap();
    assert_eq!(
        (&history[0]["package"], &history[0]["package_sha256"]),
        (&json!("RECEIPT"), &given["package"]["sha256"])
    );

    let number = approved("EXPIRY").await;
    for _ in 0..2 {
        assert_eq!(room.run("alice", number).await, Err("item.proof-absent".into()), "and may be run again");
    }
    for (query, kind) in
        [(json!({"ticket": ticket.as_str()}), "RELAY"), (json!({"recipient": CITIZEN}), "RECEIPT")]
    {
        let mut body = asked(query);
        body["package"] = json!(kind);
        assert_eq!(room.step("alice", "/consult", body).await, Err("consult.field".into()), "{kind}");
    }
    room.house.stop().await;
}
