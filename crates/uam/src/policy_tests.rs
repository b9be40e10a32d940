use erds::{ApplicationId, Environment};

use super::*;

const POLICY: &str = r#"
[[zone]]
name = "extranet"
addresses = ["10.0.0.0/8", "::1/128"]

[[zone]]
name = "internet"
addresses = ["0.0.0.0/0"]
internet = true

[[grant]]
issuer = "0707070707070707070707070707070707070707070707070707070707070707"
cbe = "0123456749"
application = "urn:be:app"
transactions = ["sendDocument"]
message_types = ["LETTER"]
addresses = ["10.1.0.0/16"]
zone = "extranet"
until = "2030-12-31"
reference = "sending"

[[grant]]
issuer = "authority"
cbe = "0123456749"
application = "urn:be:app"
transactions = ["getStatus", "getProof"]
addresses = ["10.1.0.0/16"]
zone = "extranet"
until = "2030-12-31"
reference = "consulting"

[[grant]]
issuer = "authority"
cbe = "0000000196"
application = "urn:be:far"
transactions = ["sendDocument"]
addresses = ["8.8.8.8"]
zone = "internet"
until = "2030-12-31"
reference = "far"
DEROGATION
"#;

fn policy(derogation: &str) -> PolicyFile {
    let issuers = BTreeMap::from([("authority".to_owned(), [7; 32])]);
    PolicyFile::parse_with_issuers(&POLICY.replace("DEROGATION", derogation), &issuers).unwrap()
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
            transaction: Transaction::GetProof,
            message_type: None,
            address: "::ffff:10.1.0.0".parse().unwrap(),
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
        },
    );
    let (request, decision) = permitted.unwrap().into_parts();
    assert_eq!((request, decision.policy_digest), (42, policy("").digest()));
}

#[test]
fn denied_by_default() {
    assert_eq!(ask(|_, s| s.issuing_ca_spki_sha256 = [8; 32]), Err("uam.sender"));
    assert_eq!(ask(|_, s| *s = sender("0000000196", "urn:be:app")), Err("uam.sender"));
    assert_eq!(ask(|_, s| *s = sender("0123456749", "urn:be:APP")), Err("uam.sender"));
    assert_eq!(ask(|q, _| q.at = "2031-01-01T00:00:00Z".parse().unwrap()), Err("uam.expired"));
    assert_eq!(ask(|q, _| q.transaction = Transaction::HealthCheck), Err("uam.transaction"));
    assert_eq!(ask(|q, _| q.transaction = Transaction::CheckRecipient), Err("uam.transaction"));
    assert!(ask(|q, _| q.transaction = Transaction::Check).is_ok(), "every grant in force has it");
    assert_eq!(ask(|q, _| q.address = "10.2.0.0".parse().unwrap()), Err("uam.address"));
    assert_eq!(ask(|q, _| q.address = "11.1.0.0".parse().unwrap()), Err("uam.zone"));
    assert_eq!(ask(|q, _| q.message_type = Some("letter")), Err("uam.message-type"));
    assert_eq!(ask(|q, _| q.message_type = None), Err("uam.message-type"));
    assert_eq!(PolicyFile::parse("").unwrap().grants_count(), 0);
}

#[test]
fn the_internet_needs_a_derogation() {
    let from_far = |policy: &PolicyFile| {
        ask_of(policy, "0000000196", "urn:be:far", |q, _| q.address = "8.8.8.8".parse().unwrap())
    };
    assert_eq!(from_far(&policy("")), Err("uam.internet"));
    assert_eq!(from_far(&policy("derogation = \"D-1\"")), Ok("far; derogation: D-1".to_owned()));
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
    let cases = [
        ("zone = \"extranet\"", "zone = \"nowhere\"", "policy.zone.unknown"),
        ("name = \"internet\"", "name = \"extranet\"", "policy.zone.repeated"),
        ("issuer = \"authority\"", "issuer = \"unknown\"", "policy.issuer"),
        ("cbe = \"0123456749\"", "cbe = \"0123456789\"", "policy.cbe"),
        ("addresses = [\"10.1.0.0/16\"]", "addresses = [\"11.0.0.0/8\"]", "policy.address.outside-zone"),
        ("addresses = [\"10.1.0.0/16\"]", "addresses = []", "policy.empty"),
        ("reference = \"sending\"", "reference = \" \"", "policy.empty"),
        ("reference = \"sending\"", "", "policy.form"),
        ("[\"sendDocument\"]", "[\"everything\"]", "policy.form"),
        ("until = \"2030-12-31\"", "until = \"soon\"", "policy.form"),
        ("internet = true", "internet = true\nextra = 1", "policy.form"),
        ("DEROGATION", "derogations = \"D-1\"", "policy.form"),
        ("DEROGATION", "derogation = \"\"", "policy.empty"),
    ];
    let issuers = BTreeMap::from([("authority".to_owned(), [7; 32])]);
    for (from, to, expected) in cases {
        let text = POLICY.replacen(from, to, 1).replace("DEROGATION", "");
        let error = PolicyFile::parse_with_issuers(&text, &issuers).unwrap_err();
        assert_eq!(error.code(), expected, "{to}: {error}");
    }
}

#[test]
fn names_go_both_ways() {
    for transaction in Transaction::ALL {
        assert_eq!(Transaction::from_name(transaction.as_str()), Some(transaction));
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
