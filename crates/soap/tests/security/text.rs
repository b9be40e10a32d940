//! Rows 26 to 29, 59 to 68: text, envelope, XOP.

use crate::kit::*;
use soap::envelope::Rules;
use soap::multipart::RootMedia;

#[test]
fn row_26_comments_do_not_cut_text() {
    let message = Forge::new(&ALICE).sign();
    check(message.replace("0123456789ABC", "0123<!-- -->456789ABC"), ACCEPTED);
    let split = Forge::new(&ALICE).with("0123456789ABC", "0123456789ABC<!-- -->.evil").sign();
    check(split, &format!("{ACCEPTED}.evil"));
}

#[test]
fn row_28_namespaces_are_checked() {
    let message = Forge::new(&ALICE).sign();
    for (from, to) in [
        ("<v1:Ticket>", "<v1:Ticket xmlns:a=\"urn:a\" xmlns:b=\"urn:a\" a:x=\"1\" b:x=\"2\">"),
        ("<v1:Ticket>", "<v1:Ticket u:x=\"1\">"),
        ("<v1:Ticket>", "<v1:Ticket xmlns:u=\"\">"),
        ("<v1:Ticket>", "<v1:Ticket xmlns:xml=\"urn:x\">"),
        ("<v1:Ticket>", "<v1:Ticket x=\"1\" x=\"2\">"),
    ] {
        assert!(outcome(message.replace(from, to), &Setting::default()).starts_with("SOA-03001 "), "{to}");
    }
}

#[test]
fn row_59_to_63_not_the_xml_that_is_taken() {
    let message = Forge::new(&ALICE).sign();
    for bad in [
        format!("<!DOCTYPE x>{message}"),
        format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{message}"),
        format!("{message}<x/>"),
        format!("{message}text"),
        message.replace("0123456789ABC", "&unknown;"),
        message.replace("0123456789ABC", "&#0;"),
        message.replace("0123456789ABC", "\u{1}"),
        format!("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>{message}"),
        message.replace("0123456789ABC", &format!("{}{}", "<a>".repeat(100), "</a>".repeat(100))),
        String::new(),
        "garbage".to_owned(),
    ] {
        let told = outcome(&bad, &Setting::default());
        assert!(told.starts_with("SOA-03001 "), "{told}: {}", &bad[..bad.len().min(80)]);
    }
    let utf16: Vec<u8> = message.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert!(outcome(utf16, &Setting::default()).starts_with("SOA-03001 "));
    assert!(outcome([message.as_bytes(), b"\xff"].concat(), &Setting::default()).starts_with("SOA-03001 "));
}

#[test]
fn row_64_processing_instructions() {
    let message = Forge::new(&ALICE).sign();
    check(format!("<?xml-stylesheet href=\"x\"?>{message}"), "SOA-03002 soap.processing-instruction");
    check(message.replace("<v1:Ticket>", "<?p i?><v1:Ticket>"), "SOA-03002 soap.processing-instruction");
}

#[test]
fn row_65_security_header() {
    let message = Forge::new(&ALICE).sign();
    check(
        message.replace("soap:mustUnderstand=\"1\"", "soap:actor=\"urn:other\""),
        "SOA-01001 wss.header.missing",
    );
    let draft = message.replace(WSSE, "http://schemas.xmlsoap.org/ws/2002/07/secext");
    check(&draft, "SOA-03002 soap.must-understand");
    let plain = format!("<s:Envelope xmlns:s=\"{SOAP11}\"><s:Body><x/></s:Body></s:Envelope>");
    check(&plain, "SOA-01001 wss.header.missing");
    let empty =
        plain.replace("<s:Body>", &format!("<s:Header><w:Security xmlns:w=\"{WSSE}\"/></s:Header><s:Body>"));
    check(empty, "SOA-01001 wss.signature.missing");
}

#[test]
fn row_66_must_understand_version_and_type() {
    let message = Forge::new(&ALICE).sign();
    let block = |attribute: &str| {
        message.replace("<soap:Header>", &format!("<soap:Header><x:B xmlns:x=\"urn:x\" {attribute}/>"))
    };
    check(block("soap:mustUnderstand=\"1\""), "SOA-03002 soap.must-understand");
    check(block("soap:mustUnderstand=\"2\""), "SOA-03002 soap.must-understand.value");
    check(block("soap:mustUnderstand=\"1\" soap:actor=\"urn:other\""), ACCEPTED);
    check(block(""), ACCEPTED);
    check(message.replace(SOAP11, "urn:soap-3"), "SOA-03002 soap.version-mismatch");
    check("<x/>", "SOA-03002 soap.envelope.missing");
    let typed =
        |media| Setting { rules: Rules { media: Some(media), ..Rules::default() }, ..Setting::default() };
    check_in(&message, &typed(RootMedia::Soap11), ACCEPTED);
    check_in(&message, &typed(RootMedia::Xop), ACCEPTED);
    check_in(&message, &typed(RootMedia::Soap12), "SOA-03002 soap.content-type.differs");
}

#[test]
fn row_67_what_may_stand_in_a_body() {
    let message =
        |body: &str| format!("<s:Envelope xmlns:s=\"{SOAP11}\"><s:Body>{body}</s:Body></s:Envelope>");
    check(message(""), "SOA-03003 soap.body.empty");
    check(message("<x/><y/>"), "SOA-03003 soap.body.content");
    check(message("<x/>text"), "SOA-03003 soap.body.content");
    check(message("<s:Fault/>"), "SOA-03003 soap.body.fault");
    check(
        message("<x s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"/>"),
        "SOA-03002 soap.encoding-style",
    );
    check(
        format!("<s:Envelope xmlns:s=\"{SOAP11}\"><s:Header/></s:Envelope>"),
        "SOA-03003 soap.body.missing",
    );
}

const TYPES: &str = "http://socialsecurity.be/registeredmail/types/v1";

fn digest(content: &str) -> String {
    Forge::new(&ALICE)
        .with(
            "</v1:GetStatusRequest>",
            &format!("<t:DigestValue xmlns:t=\"{TYPES}\">{content}</t:DigestValue></v1:GetStatusRequest>"),
        )
        .sign()
}

fn include(attributes: &str) -> String {
    format!("<xop:Include xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" {attributes}/>")
}

#[test]
fn row_68_digest_moved_out_verifies_expanded_only() {
    let setting = || Setting { parts: vec![("d@x", b"digest".to_vec())], ..Setting::default() };
    let inline = digest(&openssl::base64::encode_block(b"digest"));
    let moved = inline.replace(&openssl::base64::encode_block(b"digest"), &include("href=\"cid:d%40x\""));
    check_in(&moved, &setting(), ACCEPTED);
    check_in(digest(&include("href=\"cid:d%40x\"")), &setting(), "SOA-01001 wss.signature.xop-not-expanded");
    let other = Setting { parts: vec![("d@x", b"other".to_vec())], ..Setting::default() };
    check_in(&moved, &other, "SOA-01001 wss.signature.digest");
}

#[test]
fn row_68_forms_of_an_include() {
    let setting = || Setting { parts: vec![("d@x", b"digest".to_vec())], ..Setting::default() };
    for (content, expected) in [
        (include("href=\"http://localhost/\""), "xop.include.href"),
        (include("href=\"file:///etc/passwd\""), "xop.include.href"),
        (include("href=\"d@x\""), "xop.include.href"),
        (include("href=\"cid:\""), "xop.include.href"),
        (include("href=\"cid:D@x\""), "xop.include.missing"),
        (include("href=\"cid:../d@x\""), "xop.include.missing"),
        (include(""), "xop.include.form"),
        (include("href=\"cid:d@x\" a=\"b\""), "xop.include.form"),
        (include("href=\"cid:d@x\"").replace("/>", ">text</xop:Include>"), "xop.include.form"),
        (include("href=\"cid:d@x\"").repeat(2), "xop.include.place"),
        (format!("text{}", include("href=\"cid:d@x\"")), "xop.include.place"),
        (include("href=\"cid:d@x\"").replace("xop:Include", "xop:Other"), "xop.include.place"),
    ] {
        check_in(digest(&content), &setting(), &format!("SOA-03004 {expected}"));
    }
    let ticket = Forge::new(&ALICE).with("0123456789ABC", &include("href=\"cid:d@x\"")).sign();
    check_in(ticket, &setting(), "SOA-03004 xop.include.place");
    let twice = digest("").replace(
        "</v1:GetStatusRequest>",
        &format!("<t:DigestValue xmlns:t=\"{TYPES}\">{}</t:DigestValue>", include("href=\"cid:d@x\""))
            .repeat(2),
    );
    let twice = twice.replace("</soap:Body>", "</v1:GetStatusRequest></soap:Body>");
    check_in(twice, &setting(), "SOA-03004 xop.include.repeated");
}
