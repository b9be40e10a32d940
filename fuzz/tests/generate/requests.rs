//! Requests that soap's security tests do not send: one for each refusal that they leave out.

use soap::wss::Policy;

use crate::kit::*;

const STR: &str = "<wsse:SecurityTokenReference>";
const STR_END: &str = "</wsse:SecurityTokenReference>";
const WSA: &str = "http://www.w3.org/2005/08/addressing";

fn send(forge: &Forge<'_>) {
    check(forge.sign(), "");
}

/// The same body under other letters.
fn judged(letters: &str, message: &str) {
    keep(format!("{letters} text/xml\n{message}").as_bytes());
}

#[test]
fn settings() {
    let honest = Forge::new(&ALICE).sign();
    for letters in ["c", "!", "t"] {
        judged(letters, &honest);
    }
    let two = Forge::new(&ALICE).with("<soap:Header>", "<soap:Header><x:a xmlns:x=\"urn:x\"/>").sign();
    judged("h", &two);
    let required = |policy: &mut Policy<'_>| policy.token_signed = true;
    check_in(&honest, &Setting { policy: Some(&required), ..Setting::default() }, "");
    let include = "<ds:DigestValue xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><xop:Include \
                   xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:a\"/></ds:DigestValue>";
    for count in [1, 2] {
        let root = Forge::new(&ALICE).with("0123456789ABC", &include.repeat(count)).sign();
        let body = format!(
            "i multipart/related; boundary=b\n--b\r\nContent-Type: text/xml\r\n\r\n{root}\r\n--b\r\nContent-ID: <a>\r\n\r\n\
             12345\r\n--b--\r\n"
        );
        keep(if count == 1 { body } else { body.replace("12345", "1234") }.as_bytes());
    }
}

#[test]
fn headers() {
    send(&Forge::new(&ALICE).with("<soap:Header>", "<soap:Header><a></a>"));
    let to =
        format!("<soap:Header><wsa:To xmlns:wsa=\"{WSA}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"to\">no iri</wsa:To>");
    let mut addressed = Forge::new(&ALICE).with("<soap:Header>", &to);
    addressed.references.push(Ref::to("to"));
    send(&addressed);
    let created = "<wsu:Created>2026-03-01T11:59:58.123Z</wsu:Created>";
    let expires = "<wsu:Expires>2026-03-01T12:04:58.123Z</wsu:Expires>";
    let old =
        "<wsu:Created>2026-03-01T11:55:00Z</wsu:Created><wsu:Expires>2026-03-01T11:58:00Z</wsu:Expires>";
    send(&Forge::new(&ALICE).with(&format!("{created}{expires}"), old));
    let enveloped = "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>";
    let mut whole = Forge::new(&ALICE)
        .with("<soap:Envelope ", &format!("<soap:Envelope xmlns:wsu=\"{WSU}\" wsu:Id=\"E\" "));
    whole.references.push(Ref::transform("E", &format!("{enveloped}<ds:Transform Algorithm=\"{EXC}\"/>")));
    send(&whole);
    let mut value = Forge::new(&ALICE).sign();
    let start = value.find("<ds:SignatureValue>").expect("a value") + "<ds:SignatureValue>".len();
    value.insert(start, '!');
    check(value, "");
}

#[test]
fn tokens() {
    let other_type = format!("<wsse:KeyIdentifier ValueType=\"urn:x\">{}</wsse:KeyIdentifier>", "AAAA");
    let large =
        format!("<wsse:KeyIdentifier ValueType=\"{X509V3}\">{}</wsse:KeyIdentifier>", "AAAA".repeat(8200));
    for reference in [other_type, "<ds:X509Data><ds:X509CRL/></ds:X509Data>".to_owned(), large] {
        send(&Forge::new(&ALICE).named(&format!("{STR}{reference}{STR_END}")));
    }
    // One key identifier for two certificates: the same key, issued twice.
    let again = ::pki::certificate::Certificate::from_der(&ALICE.der()).expect("alice");
    let ski = openssl::base64::encode_block(again.subject_key_id().expect("a key identifier"));
    let kind = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509SubjectKeyIdentifier";
    let named = format!("{STR}<wsse:KeyIdentifier ValueType=\"{kind}\">{ski}</wsse:KeyIdentifier>{STR_END}");
    judged("ad", &Forge::new(&ALICE).named(&named).sign());
}

#[test]
fn identities() {
    const ALICE_UNIT: &str = "urn:be:fgov:kbo-bce:organization:cbe-number:0244640631";
    const BOB_UNIT: &str = "urn:be:fgov:kbo-bce:organization:cbe-number:0206731645";
    let named = "urn:be:test:alice";
    let cases: [(&[&str], &'static str); 7] = [
        (&[ALICE_UNIT, "TST"], "urn:be:\u{1}"),
        (&[ALICE_UNIT, "TST"], ""),
        (&[ALICE_UNIT, "TST", "PRD"], named),
        (&[ALICE_UNIT], named),
        (&["TST"], named),
        (&[ALICE_UNIT, BOB_UNIT, "TST"], named),
        (&["urn:be:fgov:kbo-bce:organization:cbe-number:0244640632", "TST"], named),
    ];
    for (units, name) in cases {
        let mut person = Person::alice();
        person.units = units.iter().map(|unit| (*unit).to_owned()).collect();
        person.name = name;
        send(&Forge::new(&pki().issue(&person, KeyKind::P256)));
    }
    let production = |policy: &mut Policy<'_>| policy.environment = Some(erds::Environment::Prd);
    check_in(Forge::new(&ALICE).sign(), &Setting { policy: Some(&production), ..Setting::default() }, "");
}
