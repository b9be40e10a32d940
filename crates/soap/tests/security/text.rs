//! Rows 26, 28 to 30, 59 to 68: text, envelope, XOP.

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

/// What is put before the message, after it, and in the ticket's place must not be read as XML.
fn not_xml(bad: impl AsRef<[u8]>) {
    let told = outcome(&bad, &Setting::default());
    let start = String::from_utf8_lossy(&bad.as_ref()[..bad.as_ref().len().min(80)]).into_owned();
    assert!(told.starts_with("SOA-03001 "), "{told}: {start}");
}

fn in_ticket(content: &str) -> String {
    Forge::new(&ALICE).sign().replace("0123456789ABC", content)
}

#[test]
fn row_59_any_document_type() {
    let message = Forge::new(&ALICE).sign();
    let laughs = "<!ENTITY a \"&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">";
    for subset in [
        "x",
        "x SYSTEM \"file:///etc/passwd\"",
        "x PUBLIC \"-//x\" \"http://localhost/x.dtd\"",
        "x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]",
        "x [<!ENTITY e SYSTEM \"http://localhost/\">]",
        "x [<!ENTITY % p SYSTEM \"http://localhost/\"> %p;]",
        "x [<!ATTLIST x y CDATA \"z\">]",
        "x [<!ATTLIST x wsu:Id ID #IMPLIED>]",
        &format!("x [{laughs}]"),
    ] {
        not_xml(format!("<!DOCTYPE {subset}>{message}"));
        not_xml(format!("<?xml version=\"1.0\"?><!DOCTYPE {subset}>{message}"));
    }
    not_xml(format!("<!doctype x>{message}"));
    not_xml(message.replace("<v1:Ticket>", "<!DOCTYPE x><v1:Ticket>"));
    not_xml(in_ticket("&e;"));
}

#[test]
fn row_60_deep_wide_and_endless() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    not_xml(in_ticket(&nested(100)));
    not_xml(in_ticket(&nested(200_000)));
    not_xml(in_ticket(&"<a>".repeat(2_000_000)));
    not_xml(in_ticket(&"<a/>".repeat(300_000)));
    not_xml(in_ticket(&"<!-- -->x".repeat(300_000)));
    not_xml(in_ticket(&"<![CDATA[]]>&#65;".repeat(600_000)));
    let message = Forge::new(&ALICE).sign();
    let blocks = |count: usize| {
        message
            .replace("<soap:Header>", &format!("<soap:Header>{}", "<x:b xmlns:x=\"urn:x\"/>".repeat(count)))
    };
    check(blocks(31), ACCEPTED);
    check(blocks(32), "SOA-03002 soap.header.too-many");
}

#[test]
fn row_61_attribute_and_namespace_floods() {
    let message = Forge::new(&ALICE).sign();
    let flood = |count: usize, one: &dyn Fn(usize) -> String| -> String {
        let all: String = (0..count).map(one).collect();
        message.replace("<soap:Header>", &format!("<soap:Header><x:b xmlns:x=\"urn:x\"{all}/>"))
    };
    check(flood(63, &|n| format!(" a{n}=\"\"")), ACCEPTED);
    check(flood(31, &|n| format!(" xmlns:a{n}=\"urn:a\"")), ACCEPTED);
    for count in [65, 100_000] {
        not_xml(flood(count, &|n| format!(" a{n}=\"\"")));
        not_xml(flood(count, &|n| format!(" xmlns:a{n}=\"urn:a\"")));
    }
}

#[test]
fn row_62_not_well_formed() {
    let message = Forge::new(&ALICE).sign();
    for (before, after) in [
        ("", "<x/>"),
        ("", "text"),
        ("", "&#32;"),
        ("", "<![CDATA[]]>"),
        ("x", ""),
        ("", "</soap:Envelope>"),
        (" <?xml version=\"1.0\"?>", ""),
        ("<?xml version=\"1.1\"?>", ""),
        ("<?xml?>", ""),
    ] {
        not_xml(format!("{before}{message}{after}"));
    }
    for content in [
        "&unknown;",
        "&;",
        "& ",
        "&#0;",
        "&#x110000;",
        "&#xD800;",
        "&#-1;",
        "&#;",
        "&#x;",
        "\u{1}",
        "\u{b}",
        "\u{fffe}",
        "\u{ffff}",
        "]]>",
        "<",
        "<>",
        "< a/>",
        "<1a/>",
        "<a",
        "<a b/>",
        "<a b=c/>",
        "<a b=\"<\"/>",
        "<a b='\"/>",
        "<a b=\"1\"c=\"2\"/>",
        "<a></b>",
        "</a>",
        "<a/ >",
        "<!-- -- -->",
        "<!-->",
        "<!--",
        "<![CDATA[",
        "<![cdata[]]>",
        "<?x",
        "<?xml version=\"1.0\"?>",
        "<!ELEMENT a ANY>",
        "<a:b:c/>",
        "<:a/>",
    ] {
        not_xml(in_ticket(content));
    }
    for cut in [1, 10, message.len() / 2, message.len() - 1] {
        not_xml(&message[..cut]);
    }
    not_xml("");
    not_xml("garbage");
}

#[test]
fn row_63_other_encodings() {
    let message = Forge::new(&ALICE).sign();
    let sixteen = |to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{message}").encode_utf16().flat_map(to_bytes).collect()
    };
    not_xml(sixteen(u16::to_be_bytes));
    not_xml(sixteen(u16::to_le_bytes));
    not_xml(message.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect::<Vec<_>>());
    for name in ["iso-8859-1", "utf-16", "UTF-7", "utf-32", "cp037", "ascii", "x"] {
        not_xml(format!("<?xml version=\"1.0\" encoding=\"{name}\"?>{message}"));
    }
    check(format!("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>{message}"), ACCEPTED);
    let at = message.find("0123456789ABC").expect("the ticket");
    for bytes in [
        &b"\xff"[..],
        b"\xe9",
        b"\xc0\xbc",
        b"\xe0\x80\xbc",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
    ] {
        not_xml([&message.as_bytes()[..at], bytes, &message.as_bytes()[at..]].concat());
    }
}

#[test]
fn row_64_processing_instructions() {
    let message = Forge::new(&ALICE).sign();
    check(format!("<?xml-stylesheet href=\"x\"?>{message}"), "SOA-03002 soap.processing-instruction");
    check(message.replace("<v1:Ticket>", "<?p i?><v1:Ticket>"), "SOA-03002 soap.processing-instruction");
    // Inert: nothing is included or looked up.
    let hint = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"urn:x http://localhost/x.xsd\"";
    let payload = Forge::new(&ALICE).with("<v1:Ticket>", &format!("<v1:Ticket {hint}>"));
    check(payload.sign(), ACCEPTED);
    let include = "<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"file:///etc/passwd\" parse=\"text\"/>";
    check(Forge::new(&ALICE).with("0123456789ABC", include).sign(), &ACCEPTED.replace("0123456789ABC", ""));
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
    let start = message.find("<wsse:Security").expect("a Security");
    let end = message.find("</wsse:Security>").expect("a Security") + "</wsse:Security>".len();
    let security = &message[start..end];
    check(message.replace(security, &security.repeat(2)), "SOA-01001 wss.header.several");
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
