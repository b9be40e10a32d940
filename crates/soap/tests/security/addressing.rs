//! Rows 55 to 58: what HTTP and WS-Addressing say beside the signed Body.

use crate::kit::*;
use soap::envelope::{Envelope, Rules};
use soap::wss::Policy;

const WSA: &str = "http://www.w3.org/2005/08/addressing";

fn block(name: &str, value: &str) -> String {
    format!("<wsa:{name} xmlns:wsa=\"{WSA}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"W\">{value}</wsa:{name}>")
}

/// With this addressing header, signed like the Body.
fn with(name: &str, value: &str) -> String {
    let mut forge =
        Forge::new(&ALICE).with("</soap:Header>", &format!("{}</soap:Header>", block(name, value)));
    forge.references.push(Ref::to("W"));
    forge.sign()
}

#[test]
fn row_55_an_action_that_names_another_operation() {
    check(with("Action", "urn:x/getStatus"), ACCEPTED);
    check(with("Action", "urn:x/sendDocument"), "SOA-03005 soap.action.differs");
    check(
        with("Action", "http://socialsecurity.be/registeredmail/v1/healthCheck"),
        "SOA-03005 soap.action.differs",
    );
    let message = Forge::new(&ALICE).sign();
    let envelope = Envelope::parse(message.into_bytes(), &|_| None, &Rules::default()).expect("an envelope");
    for (hint, expected) in [
        ("\"urn:x/getStatus\"", None),
        ("\"\"", None),
        ("\"urn:x/sendDocument\"", Some("soap.action.differs")),
        ("urn:x/getProofRequest", Some("soap.action.differs")),
    ] {
        let told = envelope.check_action(Some(hint)).err().map(|refusal| refusal.check);
        println!("verdict: SOAPAction {hint}: {}", told.unwrap_or("accepted"));
        assert_eq!(told, expected, "{hint}");
    }
}

#[test]
fn row_56_a_message_for_another_service() {
    let ours = ["https://epost.example/RegisteredMail/v1".to_owned()];
    let ours: &'static [String] = Box::leak(Box::new(ours));
    let policy = |policy: &mut Policy<'_>| policy.addresses = ours;
    let at_ours = || Setting { policy: Some(&policy), ..Setting::default() };
    check_in(with("To", "https://epost.example/RegisteredMail/v1"), &at_ours(), ACCEPTED);
    check_in(with("To", &format!("{WSA}/anonymous")), &at_ours(), ACCEPTED);
    check_in(Forge::new(&ALICE).sign(), &at_ours(), ACCEPTED);
    for other in [
        "https://other.example/RegisteredMail/v1",
        "https://epost.example/RegisteredMail/v1/",
        "https://EPOST.example/RegisteredMail/v1",
        "urn:x",
    ] {
        check_in(with("To", other), &at_ours(), "SOA-01001 wsa.to");
    }
    let unsigned = Forge::new(&ALICE)
        .sign()
        .replace("</soap:Header>", &format!("{}</soap:Header>", block("To", &ours[0])));
    check_in(unsigned, &at_ours(), "SOA-01001 wsa.unsigned");
}

#[test]
fn row_57_answers_go_nowhere_else() {
    for name in ["ReplyTo", "FaultTo"] {
        let to = |address: &str| with(name, &format!("<wsa:Address>{address}</wsa:Address>"));
        check(to(&format!("{WSA}/anonymous")), ACCEPTED);
        check(to(&format!("{WSA}/none")), ACCEPTED);
        for elsewhere in
            ["http://localhost/", "file:///tmp/x", "mailto:a@example.org", "", &format!("{WSA}/anonymous/x")]
        {
            check(to(elsewhere), "SOA-01001 wsa.reply");
        }
        check(with(name, ""), "SOA-01001 wsa.reply");
    }
}

#[test]
fn row_58_odd_message_ids() {
    check(with("MessageID", "urn:uuid:6f1ed002-ab5d-4d5b-9ae4-7c4a3e0f4c17"), ACCEPTED);
    for odd in [
        "",
        "../../x",
        "x",
        "urn:a b",
        "urn:a&#10;b",
        "urn:a&#xD;&#10;X: y",
        "&lt;x&gt;",
        "urn:a\u{7f}",
        "1urn:x",
    ] {
        check(with("MessageID", odd), "SOA-01001 wsa.form");
    }
    check(with("MessageID", &format!("urn:{}", "a".repeat(1020))), ACCEPTED);
    check(with("MessageID", &format!("urn:{}", "a".repeat(1021))), "SOA-01001 wsa.form");
    check(with("MessageID", &format!("urn:{}", "a".repeat(1 << 20))), "SOA-01001 wsa.form");
}
