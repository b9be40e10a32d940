use erds::{ApplicationId, EnterpriseNumber, Environment, FaultCode, Strictness};

use super::*;

const POLICY: &str = r#"
version = 3

[[zone]]
name = "extranet"
kind = "extranet"
addresses = ["10.0.0.0/8", "::1/128"]

[[zone]]
name = "far"
kind = "internet"
addresses = ["0.0.0.0/0"]

[[grant]]
id = "send"
issuer = "0707070707070707070707070707070707070707070707070707070707070707"
cbe = "0123456749"
application = "urn:be:app"
program_number = "P-17"
transactions = ["sendDocument", "healthCheck"]
message_types = ["LETTER"]
purpose = "letters"
manager = "An"
addresses = ["10.1.0.0/16"]
zone = "extranet"
until = "2030-12-31"
reviewed = "2026-01-01"
reference = "sending"

[[grant]]
id = "consult"
issuer = "authority"
cbe = "0123456749"
application = "urn:be:app"
transactions = ["getStatus", "getProof"]
purpose = "letters"
manager = "An"
addresses = ["10.1.0.0/16"]
zone = "extranet"
until = "2030-12-31"
reference = "consulting"

[[grant]]
id = "far"
issuer = "authority"
cbe = "0000000196"
application = "urn:be:far"
transactions = ["sendDocument"]
purpose = "letters"
manager = "Jan"
addresses = ["8.8.8.8"]
zone = "far"
until = "2030-12-31"
reference = "far"
DEROGATION

[[mandate]]
id = "M-1"
mandator = "0123456749"
mandatary = "0000000196"
transactions = ["getStatus", "sendDocument"]
until = "2029-12-31"
reference = "agreement"

[[succession]]
predecessor = "1000000021"
successor = "0123456749"
since = "2027-01-01"
reference = "merger"
"#;

const DEROGATION: &str = "derogation = { reference = \"D-1\", until = \"2028-06-30\" }";

fn read(text: &str) -> Result<PolicyFile, PolicyError> {
    PolicyFile::parse_with_issuers(text, &BTreeMap::from([("authority".to_owned(), [7; 32])]))
}

fn policy(derogation: &str) -> PolicyFile {
    read(&POLICY.replace("DEROGATION", derogation)).unwrap()
}

fn sender(cbe: &str, application: &str) -> Sender {
    Sender {
        cbe: EnterpriseNumber::parse(cbe, Strictness::Strict).unwrap(),
        application: ApplicationId::parse(application).unwrap(),
        issuing_ca_spki_sha256: [7; 32],
        environment: Environment::Tst,
    }
}

fn ask(change: impl FnOnce(&mut Question<'_>, &mut Sender)) -> Result<String, &'static str> {
    ask_of(&policy(""), "0123456749", "urn:be:app", change)
}

fn ask_of(
    policy: &PolicyFile,
    cbe: &str,
    application: &str,
    change: impl FnOnce(&mut Question<'_>, &mut Sender),
) -> Result<String, &'static str> {
    let base = sender(cbe, application);
    let mut own = base.clone();
    let mut question = Question {
        sender: &base,
        transaction: Transaction::SendDocument,
        message_type: Some("LETTER"),
        address: "10.1.2.3".parse().unwrap(),
        at: "2030-12-31T23:59:59Z".parse().unwrap(),
    };
    change(&mut question, &mut own);
    let question = Question { sender: &own, ..question };
    policy.decide(&question).map(|decision| decision.grant_reference).map_err(|denied| denied.check)
}

#[test]
fn granted() {
    assert_eq!(ask(|_, _| {}), Ok("sending".to_owned()));
    assert_eq!(ask(|q, _| q.transaction = Transaction::GetStatus), Ok("consulting".to_owned()));
    let permitted = policy("").permit(
        42,
        &Question {
            sender: &sender("0123456749", "urn:be:app"),
            transaction: Transaction::SendDocument,
            message_type: Some("LETTER"),
            address: "::ffff:10.1.0.0".parse().unwrap(),
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
        },
    );
    let (request, decision) = permitted.unwrap().into_parts();
    assert_eq!((request, decision.policy_digest), (42, policy("").digest()));
    assert_eq!((decision.grant.as_deref(), decision.program_number.as_deref()), (Some("send"), Some("P-17")));
}

#[test]
fn denied_by_default() {
    assert_eq!(ask(|_, s| s.issuing_ca_spki_sha256 = [8; 32]), Err("uam.sender"));
    assert_eq!(ask(|_, s| *s = sender("1000000021", "urn:be:app")), Err("uam.sender"));
    assert_eq!(ask(|_, s| *s = sender("0123456749", "urn:be:APP")), Err("uam.sender"));
    assert_eq!(ask(|q, _| q.at = "2031-01-01T00:00:00Z".parse().unwrap()), Err("uam.expired"));
    assert_eq!(ask(|q, _| q.transaction = Transaction::FindItems), Err("uam.transaction"));
    assert_eq!(ask(|q, _| q.transaction = Transaction::CheckRecipient), Err("uam.transaction"));
    assert!(ask(|q, _| q.transaction = Transaction::Check).is_ok(), "every grant in force has it");
    assert_eq!(ask(|q, _| q.address = "10.2.0.0".parse().unwrap()), Err("uam.address"));
    assert_eq!(ask(|q, _| q.address = "11.1.0.0".parse().unwrap()), Err("uam.zone"));
    assert_eq!(ask(|q, _| q.message_type = Some("letter")), Err("uam.message-type"));
    assert_eq!(ask(|q, _| q.message_type = None), Err("uam.message-type"));
    assert_eq!(PolicyFile::parse("").unwrap().grants_count(), 0);
}

#[test]
fn the_internet_needs_a_derogation_that_has_not_ended() {
    let from_far = |policy: &PolicyFile, at: &str| {
        ask_of(policy, "0000000196", "urn:be:far", |q, _| {
            q.address = "8.8.8.8".parse().unwrap();
            q.at = at.parse().unwrap();
        })
    };
    let (last, next) = ("2028-06-30T23:59:59Z", "2028-07-01T00:00:00Z");
    assert_eq!(from_far(&policy(""), last), Err("uam.internet"));
    assert_eq!(from_far(&policy(DEROGATION), last), Ok("far; derogation: D-1".to_owned()));
    assert_eq!(from_far(&policy(DEROGATION), next), Err("uam.derogation"), "the grant itself is in force");
}

#[test]
fn what_rests_on_a_mandate_ends_with_it() {
    let policy = policy(&format!("{DEROGATION}\nmandate = \"M-1\""));
    let asked = |at: &str| {
        ask_of(&policy, "0000000196", "urn:be:far", |q, _| {
            q.address = "8.8.8.8".parse().unwrap();
            q.at = at.parse().unwrap();
        })
    };
    let cited = "far; derogation: D-1; mandate M-1 of 0123456749: agreement";
    assert_eq!(asked("2028-06-30T00:00:00Z"), Ok(cited.to_owned()));
    let narrow = POLICY.replace("[\"getStatus\", \"sendDocument\"]", "[\"getStatus\"]");
    let narrow = read(&narrow.replace("DEROGATION", &format!("{DEROGATION}\nmandate = \"M-1\""))).unwrap();
    let denied = ask_of(&narrow, "0000000196", "urn:be:far", |q, _| {
        q.address = "8.8.8.8".parse().unwrap();
        q.at = "2028-06-30T00:00:00Z".parse().unwrap();
    });
    assert_eq!(denied, Err("uam.mandate"));
}

#[test]
fn mandators_and_predecessors_are_readable() {
    let policy = policy("");
    let readable = |institution: &str, transaction, at: &str| -> Vec<(String, bool)> {
        let found = policy.readable(institution, transaction, at.parse().unwrap());
        found.into_iter().map(|one| (one.institution, one.citation.is_some())).collect()
    };
    let own = |institution: &str| vec![(institution.to_owned(), false)];
    let (before, after) = ("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z");
    let with = |institution: &str, other: &str| [own(institution), vec![(other.to_owned(), true)]].concat();
    assert_eq!(readable("0123456749", Transaction::GetProof, before), own("0123456749"));
    assert_eq!(readable("0123456749", Transaction::GetProof, after), with("0123456749", "1000000021"));
    assert_eq!(readable("1000000021", Transaction::GetProof, after), own("1000000021"), "one way");
    let by_mandate = readable("0000000196", Transaction::GetStatus, before);
    assert_eq!(by_mandate, with("0000000196", "0123456749"));
    assert_eq!(
        readable("0000000196", Transaction::GetStatus, after).len(),
        3,
        "the mandator's predecessor too"
    );
    assert_eq!(readable("0000000196", Transaction::GetProof, after), own("0000000196"), "not in the mandate");
    assert_eq!(readable("0000000196", Transaction::GetStatus, "2030-01-01T00:00:00Z"), own("0000000196"));
}

#[test]
fn a_ring_of_successions_ends() {
    let ring = "[[succession]]\npredecessor = \"0123456749\"\nsuccessor = \"1000000021\"\nsince = \"2026-01-01\"\nreference = \"r\"\n";
    let policy = read(&format!("{}{ring}", POLICY.replace("DEROGATION", ""))).unwrap();
    let at = "2027-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(policy.readable("0123456749", Transaction::GetProof, at).len(), 2);
}

#[test]
fn a_denial_tells_its_class_alone() {
    let denied = policy("").decide(&Question {
        sender: &sender("0000000196", "urn:x"),
        transaction: Transaction::SendDocument,
        message_type: None,
        address: "10.1.2.3".parse().unwrap(),
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
    });
    let refusal = denied.unwrap_err().to_refusal();
    assert_eq!(refusal.code, FaultCode::Soa01002);
    assert!(refusal.is_class_only());
}

#[test]
fn a_wrong_policy_is_refused() {
    let long = format!("purpose = \"{}\"", "x".repeat(TEXT_CHARACTERS_MAX + 1));
    let long_id = format!("id = \"{}\"", "x".repeat(ID_BYTES_MAX + 1));
    let cases = [
        ("zone = \"extranet\"", "zone = \"nowhere\"", "policy.zone.unknown"),
        ("name = \"far\"", "name = \"extranet\"", "policy.zone.repeated"),
        ("kind = \"internet\"", "kind = \"dmz\"", "policy.form"),
        ("kind = \"internet\"", "", "policy.form"),
        ("issuer = \"authority\"", "issuer = \"unknown\"", "policy.issuer"),
        ("cbe = \"0123456749\"", "cbe = \"0123456789\"", "policy.cbe"),
        ("mandator = \"0123456749\"", "mandator = \"0123456789\"", "policy.cbe"),
        ("addresses = [\"10.1.0.0/16\"]", "addresses = [\"11.0.0.0/8\"]", "policy.address.outside-zone"),
        ("addresses = [\"10.1.0.0/16\"]", "addresses = []", "policy.empty"),
        ("reference = \"sending\"", "reference = \" \"", "policy.empty"),
        ("reference = \"agreement\"", "reference = \" \"", "policy.empty"),
        ("reference = \"sending\"", "", "policy.form"),
        ("purpose = \"letters\"", "", "policy.form"),
        ("purpose = \"letters\"", &long, "policy.long"),
        ("manager = \"An\"", "", "policy.form"),
        ("id = \"consult\"", "id = \"con sult\"", "policy.id"),
        ("id = \"consult\"", &long_id, "policy.id"),
        ("id = \"consult\"", "id = \"send\"", "policy.repeated"),
        ("[\"getStatus\", \"getProof\"]", "[\"getStatus\", \"sendDocument\"]", "policy.mixed"),
        ("[\"sendDocument\"]", "[\"everything\"]", "policy.form"),
        ("until = \"2030-12-31\"", "until = \"soon\"", "policy.form"),
        ("version = 3", "version = -3", "policy.form"),
        ("DEROGATION", "derogations = \"D-1\"", "policy.form"),
        ("DEROGATION", "derogation = \"D-1\"", "policy.form"),
        ("DEROGATION", "derogation = { reference = \"\", until = \"2028-01-01\" }", "policy.empty"),
        ("DEROGATION", "derogation = { reference = \"D-1\" }", "policy.form"),
        ("DEROGATION", "mandate = \"M-2\"", "policy.mandate.unknown"),
        ("reviewed = \"2026-01-01\"", "mandate = \"M-1\"", "policy.mandate.unknown"),
        ("mandatary = \"0000000196\"", "mandatary = \"0123456749\"", "policy.itself"),
        ("successor = \"0123456749\"", "successor = \"1000000021\"", "policy.itself"),
        (
            "[[succession]]",
            "[[succession]]\npredecessor = \"1000000021\"\nsuccessor = \"0123456749\"\nsince = \"2028-01-01\"\nreference = \"x\"\n[[succession]]",
            "policy.repeated",
        ),
    ];
    for (from, to, expected) in cases {
        let text = POLICY.replacen(from, to, 1).replace("DEROGATION", "");
        let error = read(&text).unwrap_err();
        assert_eq!(error.code(), expected, "{to}: {error}");
    }
    let at_the_limit =
        POLICY.replace("DEROGATION", "").replace("\"letters\"", &format!("\"{}\"", "x".repeat(200)));
    read(&at_the_limit.replace("\"consult\"", &format!("\"{}\"", "x".repeat(64)))).unwrap();
}

#[test]
fn names_go_both_ways() {
    for transaction in Transaction::ALL {
        assert_eq!(Transaction::from_name(transaction.as_str()), Some(transaction));
        assert!(!(transaction.sends() && transaction.consults()));
    }
}

#[test]
fn every_grant_of_the_institution_says_why_it_does_not_fit() {
    let (policy, sender) = (policy(""), sender("0123456749", "urn:be:app"));
    let question = Question {
        sender: &sender,
        transaction: Transaction::SendDocument,
        message_type: Some("DECISION"),
        address: "10.1.2.3".parse().unwrap(),
        at: "2030-12-31T23:59:59Z".parse().unwrap(),
    };
    let told = |question: &Question<'_>| {
        let explained = policy.explain(question).into_iter();
        explained.map(|grant| (grant.number, grant.denied.map(|denied| denied.check))).collect::<Vec<_>>()
    };
    assert_eq!(told(&question), [(1, Some("uam.message-type")), (2, Some("uam.transaction"))]);
    let granted = Question { message_type: Some("LETTER"), ..question };
    assert_eq!(told(&granted), [(1, None), (2, Some("uam.transaction"))]);
}

#[test]
fn a_review_is_overdue_after_its_days_and_not_before() {
    let policy = policy("");
    let [send, consult, _] = policy.grants() else { panic!("three grants") };
    let at = |text: &str| format!("{text}T12:00:00Z").parse().unwrap();
    assert!(!send.is_review_overdue(at("2026-01-31"), 30), "the last day");
    assert!(send.is_review_overdue(at("2026-02-01"), 30), "one past it");
    assert!(consult.is_review_overdue(at("2026-01-01"), 30), "never reviewed");
    assert!(!consult.is_review_overdue(at("2031-01-01"), 30), "it has ended");
}

#[test]
fn the_difference_names_what_changed() {
    let (before, text) = (policy(""), POLICY.replace("DEROGATION", ""));
    assert_eq!(policy("# another comment").difference(&before), Difference::default());
    let after = text.replacen("until = \"2030-12-31\"", "until = \"2026-12-31\"", 1);
    let after =
        after.replace("id = \"consult\"", "id = \"read\"").replace("since = \"2027", "since = \"2026");
    let difference = read(&after).unwrap().difference(&before);
    let expected = Difference {
        added: vec!["read".to_owned()],
        changed: vec!["1000000021>0123456749".to_owned(), "send".to_owned()],
        removed: vec!["consult".to_owned()],
        zones: false,
    };
    assert_eq!(difference, expected);
    assert!(read(&text.replace("10.0.0.0/8", "10.0.0.0/7")).unwrap().difference(&before).zones);
}
