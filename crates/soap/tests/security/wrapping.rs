//! Rows 1 to 12: the signature is good, and over something else than what is read.

use crate::kit::*;

/// The signed Body, cut out of a signed message, and the message with `{BODY}` in its place.
fn cut(message: &str) -> (String, String) {
    let start = message.find("<soap:Body").expect("a Body");
    let end = message.find("</soap:Body>").expect("a Body") + "</soap:Body>".len();
    (message[start..end].to_owned(), format!("{}{{BODY}}{}", &message[..start], &message[end..]))
}

fn evil(id: &str) -> String {
    format!(
        "<soap:Body xmlns:wsu=\"{WSU}\"{id}><v1:GetStatusRequest xmlns:v1=\"http://socialsecurity.be/registeredmail/v1\">\
         <v1:Ticket>EVIL</v1:Ticket></v1:GetStatusRequest></soap:Body>"
    )
}

#[test]
fn row_01_signed_body_in_a_header_block() {
    let (body, rest) = cut(&Forge::new(&ALICE).sign());
    let moved = |id: &str| {
        rest.replace("{BODY}", &evil(id)).replace(
            "</soap:Header>",
            &format!("<x:Wrapper xmlns:x=\"urn:x\">{body}</x:Wrapper></soap:Header>"),
        )
    };
    check(moved(""), "SOA-01001 wss.body.unsigned");
    check(moved(" wsu:Id=\"E\""), "SOA-01001 wss.body.unsigned");
    check(moved(" wsu:Id=\"B\""), "SOA-01001 wss.id.duplicate");
}

#[test]
fn row_02_signed_body_elsewhere() {
    let (body, rest) = cut(&Forge::new(&ALICE).sign());
    let evil = evil("");
    let inside = rest.replace("{BODY}", &evil);
    check(
        inside.replace("</wsse:Security>", &format!("{body}</wsse:Security>")),
        "SOA-01001 wss.header.content",
    );
    check(
        inside.replace("</ds:Signature>", &format!("<ds:Object>{body}</ds:Object></ds:Signature>")),
        "SOA-01001 xmlsec.signature.object",
    );
    check(inside.replace("</ds:KeyInfo>", &format!("{body}</ds:KeyInfo>")), "SOA-01001 wss.key-info.form");
    check(rest.replace("{BODY}", &format!("{evil}{body}")), "SOA-03002 soap.envelope.children");
    check(rest.replace("{BODY}", &format!("{body}{evil}")), "SOA-03002 soap.envelope.children");
    let nested = evil.replace("</soap:Body>", &format!("{body}</soap:Body>"));
    check(rest.replace("{BODY}", &nested), "SOA-03003 soap.body.content");
    let payload = evil.replace("</v1:GetStatusRequest>", &format!("{body}</v1:GetStatusRequest>"));
    check(rest.replace("{BODY}", &payload), "SOA-01001 wss.body.unsigned");
}

#[test]
fn row_03_two_bodies_headers_versions() {
    let message = Forge::new(&ALICE).sign();
    check(message.replace("<soap:Body", "<soap:Header/><soap:Body"), "SOA-03003 soap.body.missing");
    check(message.replace("<soap:Header>", "<soap:Header/><soap:Header>"), "SOA-03003 soap.body.missing");
    let (body, rest) = cut(&message);
    let other =
        body.replace("soap:Body", "o:Body").replace("<o:Body", &format!("<o:Body xmlns:o=\"{SOAP12}\""));
    check(rest.replace("{BODY}", &other), "SOA-03003 soap.body.missing");
    let local = body.replace("soap:Body", "o:Body").replace("<o:Body", "<o:Body xmlns:o=\"urn:o\"");
    check(rest.replace("{BODY}", &local), "SOA-03003 soap.body.missing");
    check(message.replace("</soap:Envelope>", "<x/></soap:Envelope>"), "SOA-03002 soap.envelope.children");
    check(message.replace("<soap:Header>", "text<soap:Header>"), "SOA-03002 soap.text");
}

#[test]
fn row_04_the_whole_envelope_in_another() {
    let message = Forge::new(&ALICE).sign();
    let outer = |header: &str, body: &str| {
        format!(
            "<soap:Envelope xmlns:soap=\"{SOAP11}\"><soap:Header>{header}</soap:Header>{body}</soap:Envelope>"
        )
    };
    let in_header = format!("<x:W xmlns:x=\"urn:x\">{message}</x:W>");
    check(outer(&in_header, &evil("")), "SOA-01001 wss.header.missing");
    check(outer("", &format!("<soap:Body>{message}</soap:Body>")), "SOA-01001 wss.header.missing");
}

#[test]
fn row_05_duplicate_ids_in_either_order() {
    let message = Forge::new(&ALICE).sign();
    for twin in ["Id=\"B\"", "ID=\"B\"", "id=\"B\"", "AssertionID=\"B\"", "xml:id=\"B\"", "x:Id=\"B\""] {
        let decoy = format!("<x:Decoy xmlns:x=\"urn:x\" {twin}/>");
        let before = message.replace("<soap:Header>", &format!("<soap:Header>{decoy}"));
        check(before, "SOA-01001 wss.id.duplicate");
        let after = message.replace("</v1:GetStatusRequest>", &format!("{decoy}</v1:GetStatusRequest>"));
        check(after, "SOA-01001 wss.id.duplicate");
    }
}

#[test]
fn row_06_other_spellings_are_not_resolved() {
    for spelling in ["ID=\"B\"", "id=\"B\"", "AssertionID=\"B\"", "xml:id=\"B\""] {
        let forge = Forge::new(&ALICE).with("wsu:Id=\"B\"", spelling);
        check(forge.sign(), "SOA-01001 xmlsec.reference.dangling");
    }
}

#[test]
fn row_07_timestamp_moved_doubled_or_elsewhere() {
    let message = Forge::new(&ALICE).sign();
    let stamp = kit_timestamp();
    let fresh = stamp.replace("wsu:Id=\"T\"", "wsu:Id=\"T2\"");
    check(message.replace(&stamp, &format!("{stamp}{fresh}")), "SOA-01001 wss.header.repeated");
    check(message.replace(&stamp, ""), "SOA-01001 wss.timestamp.missing");
    let wrapped = format!("<x:W xmlns:x=\"urn:x\" xmlns:wsu=\"{WSU}\">{stamp}</x:W></soap:Header>");
    check(
        message.replace(&stamp, &fresh).replace("</soap:Header>", &wrapped),
        "SOA-01001 wss.timestamp.unsigned",
    );
    let second = format!(
        "<wsse:Security xmlns:wsse=\"{WSSE}\" xmlns:wsu=\"{WSU}\">{fresh}</wsse:Security></soap:Header>"
    );
    check(message.replace("</soap:Header>", &second), "SOA-01001 wss.header.several");
    let other = second.replace("<wsse:Security ", "<wsse:Security soap:actor=\"urn:other\" ");
    check(message.replace("</soap:Header>", &other), ACCEPTED);
}

fn kit_timestamp() -> String {
    let message = Forge::new(&ALICE).envelope;
    let start = message.find("<wsu:Timestamp").expect("a Timestamp");
    let end = message.find("</wsu:Timestamp>").expect("a Timestamp") + "</wsu:Timestamp>".len();
    message[start..end].to_owned()
}

#[test]
fn row_08_addressing_headers_doubled() {
    for (name, value) in [("To", "urn:a"), ("Action", "urn:x/getStatus"), ("MessageID", "urn:a")] {
        doubled_or_moved(name, value);
    }
}

fn doubled_or_moved(name: &str, value: &str) {
    let wsa = "http://www.w3.org/2005/08/addressing";
    let to = |id: &str| {
        format!("<wsa:{name} xmlns:wsa=\"{wsa}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"{id}\">{value}</wsa:{name}>")
    };
    let mut forge = Forge::new(&ALICE).with("</soap:Header>", &format!("{}</soap:Header>", to("To")));
    forge.references.push(Ref::to("To"));
    let message = forge.sign();
    check(
        message.replace("</soap:Header>", &format!("{}</soap:Header>", to("To2"))),
        "SOA-01001 wsa.repeated",
    );
    let moved =
        message.replace(&to("To"), &format!("{}<x:W xmlns:x=\"urn:x\">{}</x:W>", to("To2"), to("To")));
    check(moved, "SOA-01001 wsa.unsigned");
}

#[test]
fn row_09_token_substituted() {
    let forge = Forge::new(&ALICE);
    let bob = forge.token().replace(&ALICE.base64(), &BOB.base64());
    let message = forge.sign();
    check(message.replace(&forge.token(), &bob), "SOA-01001 wss.signature.value");
    let both = format!("{}{}", forge.token(), bob.replace("wsu:Id=\"X\"", "wsu:Id=\"X2\""));
    check(message.replace(&forge.token(), &both), "SOA-01001 wss.header.repeated");
    let data = format!(
        "<wsse:SecurityTokenReference><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>\
         </wsse:SecurityTokenReference>",
        BOB.base64()
    );
    let mut beside = Forge::new(&BOB).with(&BOB.base64(), &ALICE.base64());
    beside.key_info = data;
    check(beside.sign(), "SOA-01001 wss.token.several");
}

#[test]
fn row_09_str_transform_elsewhere() {
    let transform = format!(
        "<ds:Transform Algorithm=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0\
         #STR-Transform\"><wsse:TransformationParameters xmlns:wsse=\"{WSSE}\"><ds:CanonicalizationMethod Algorithm=\"{EXC}\"/>\
         </wsse:TransformationParameters></ds:Transform>"
    );
    let decoy = format!(
        "<wsse:SecurityTokenReference xmlns:wsse=\"{WSSE}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"S2\"><wsse:Reference URI=\"#X\"/>\
         </wsse:SecurityTokenReference></soap:Header>"
    );
    let mut forge = Forge::new(&ALICE).with("</soap:Header>", &decoy);
    forge.references.push(Ref::transform("S2", &transform));
    check(forge.sign(), "SOA-01001 xmlsec.reference.str-unresolved");
    let mut body = Forge::new(&ALICE);
    body.references = vec![Ref::to("T"), Ref::transform("B", &transform)];
    check(body.sign(), "SOA-01001 xmlsec.reference.str-transform");
}

#[test]
fn row_10_required_parts_not_signed() {
    let only = |ids: &[&str]| {
        let mut forge = Forge::new(&ALICE);
        forge.references = ids.iter().map(|id| Ref::to(id)).collect();
        forge
    };
    check(only(&["T"]).sign(), "SOA-01001 wss.body.unsigned");
    check(only(&["B"]).sign(), "SOA-01001 wss.timestamp.unsigned");
    check(only(&[]).sign(), "SOA-01001 xmlsec.signature.schema");
    let payload = only(&["T", "P"])
        .with("<v1:GetStatusRequest ", &format!("<v1:GetStatusRequest xmlns:wsu=\"{WSU}\" wsu:Id=\"P\" "));
    check(payload.sign(), "SOA-01001 wss.body.unsigned");
}

#[test]
fn row_11_manifest_is_no_coverage() {
    let mut forge = Forge::new(&ALICE);
    forge.references = vec![Ref::to("T")];
    forge.more = "<ds:Object><ds:Manifest Id=\"M\"/></ds:Object>".to_owned();
    check(forge.sign(), "SOA-01001 xmlsec.signature.object");
}

#[test]
fn row_12_a_second_signature() {
    let other = Forge::new(&BOB).signature();
    let message = Forge::new(&ALICE).sign();
    check(
        message.replace("</wsse:Security>", &format!("{other}</wsse:Security>")),
        "SOA-01001 wss.header.repeated",
    );
    let declared = format!("<ds:Signature xmlns:wsse=\"{WSSE}\" xmlns:wsu=\"{WSU}\"");
    let signature = Forge::new(&ALICE).signature().replace("<ds:Signature", &declared);
    let signature = signature.replace(&format!("{declared}Value"), "<ds:SignatureValue");
    let signature = signature.replace(&format!("{declared}Method"), "<ds:SignatureMethod");
    let outside = Forge::new(&ALICE).with("{SIG}", "").envelope;
    check(
        outside.replace("</soap:Header>", &format!("{signature}</soap:Header>")),
        "SOA-01001 wss.signature.missing",
    );
}
