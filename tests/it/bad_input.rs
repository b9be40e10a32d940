//! Bad input: a submission of two parts, changed in one place, goes in by the front door. No test here knows which stage refuses it;
//! every refusal is a fault with its code, and the journal has it with the check that failed (E7).

use erds::{DigestMethod, Record, StatedDigest};
use jiff::{SignedDuration, Timestamp};
use pki::digest::{Digest, DigestAlgorithm};

use crate::house::draft::{Attachment, V2, submission};
use crate::house::{Draft, House, Signed, file};

#[tokio::test(flavor = "multi_thread")]
async fn untouched_is_accepted() {
    check(|_| {}, "accepted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_70_one_flipped_bit_of_any_part_is_refused() {
    check(|draft| draft.attachments[0].bytes[0] ^= 1, "FILE_B01 content.digest-mismatch").await;
    check(|draft| draft.attachments[1].bytes[699] ^= 128, "FILE_B01 content.digest-mismatch").await;
    check(|draft| draft.attachments.swap(0, 1), "accepted").await; // the order of parts is nothing
    check(
        |draft| {
            let (left, right) = draft.attachments.split_at_mut(1);
            std::mem::swap(&mut left[0].bytes, &mut right[0].bytes);
        },
        "FILE_B01 content.digest-mismatch",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_76_digests_of_other_methods() {
    let sha512 = |draft: &mut Draft, of: &[u8]| {
        let files = [file(1, 900), file(2, 700)];
        let mut item = submission("T", &files);
        let value = Digest::of(DigestAlgorithm::Sha512, of).as_bytes().to_vec();
        item.document.digest = StatedDigest { method: DigestMethod::Sha512, value };
        *draft = Draft::of(&item, &files);
    };
    check(|draft| sha512(draft, &file(1, 900)), "accepted").await;
    check(|draft| sha512(draft, &file(4, 900)), "FILE_B01 content.digest-mismatch").await;
    check(|draft| draft.replace("SHA-256", "SHA-1"), "FILE_B03 digest.method.sha1").await;
    check(|draft| draft.replace("SHA-256", "MD5"), "FILE_B02 digest.method.unknown").await;
    check(|draft| draft.replace("SHA-256", "SHA-512"), "FILE_B01 digest.length").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_70_attachments_are_those_that_the_signed_body_names() {
    let extra =
        Attachment { content_id: "extra".into(), content_type: "text/plain".into(), bytes: b"x".to_vec() };
    check(|draft| drop(draft.attachments.pop()), "EPOST_B07 content.part-missing").await;
    check(|draft| draft.attachments.clear(), "EPOST_B07 content.part-missing").await;
    check(|draft| draft.attachments.push(extra.clone()), "EPOST_B07 content.part-undeclared").await;
    check(|draft| draft.replace("cid:part-1@", "cid:part-0@"), "EPOST_B07 content.repeated").await;
    let doubled =
        |draft: &mut Draft| draft.attachments[1].content_id = draft.attachments[0].content_id.clone();
    check(doubled, "SOA-03004 multipart.content-id.repeated").await;
    // As CXF writes it: the bare id, and percent-encoded.
    check(|draft| draft.replace("cid:part-0@sender.example", "part-0@sender.example"), "accepted").await;
    check(|draft| draft.replace("cid:part-0@sender.example", "cid:part-0%40sender.example"), "accepted")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_is_what_counts() {
    for (from, to) in [
        ("Letter 0", "Letter 9"),
        ("</t:Token>", " </t:Token>"),
        ("<t:Title>Letter 0</t:Title>", "<t:Title><!-- -->Letter 0</t:Title><t:Title/>"),
        ("<wsu:Created>2", "<wsu:Created>3"),
        ("SignatureValue>", "SignatureValue>AAAA"),
    ] {
        let (code, verdict) = altered(|signed| signed.replace(from, to)).await;
        assert_eq!(code, "SOA-01001", "{from}: {verdict}");
    }
    // The Body moved aside and another in its place: the signature still holds, over what nobody dispatches.
    let (code, verdict) = altered(|signed| {
        let text = String::from_utf8(signed.root.clone()).unwrap();
        let (head, body) = text.split_at(text.find("<soap:Body").unwrap());
        let body = body.strip_suffix("</soap:Envelope>").unwrap();
        let forged = body.replace("wsu:Id=\"Body-", "wsu:Id=\"Other-").replace("Letter 0", "Forged");
        let head = head.replace(
            "</soap:Header>",
            &format!("<x:Wrapper xmlns:x=\"urn:x\">{body}</x:Wrapper></soap:Header>"),
        );
        signed.root = format!("{head}{forged}</soap:Envelope>").into_bytes();
    })
    .await;
    assert!(code.starts_with("SOA-0"), "{verdict}");
    assert_ne!(verdict, "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn sha_1_is_refused_with_the_remedy() {
    for (from, to) in [
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1"),
    ] {
        let house = House::new().await;
        let mut signed = Draft::submission("T").sign();
        signed.replace(from, to);
        let answer = house.send(&signed).await;
        let fault = answer.fault().unwrap();
        assert_eq!(fault.code, "SOA-01001");
        let text = fault.message("en").unwrap();
        assert!(text.contains("ws-security.") && text.contains("SHA"), "the remedy for CXF is named: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timestamp_is_signed_and_fresh() {
    let shifted =
        |seconds: i64| move |draft: &mut Draft| draft.signed_at += SignedDuration::from_secs(seconds);
    check(shifted(-900), "SOA-01001 wss.timestamp.stale").await;
    check(shifted(300), "SOA-01001 wss.timestamp.future").await;
    check(|draft| draft.lifetime_seconds = 601, "SOA-01001 wss.timestamp.lifetime").await;
    check(|draft| draft.lifetime_seconds = 600, "accepted").await;
    check(shifted(30), "accepted").await; // within the skew
    let (code, verdict) = altered(|signed| {
        let text = String::from_utf8(signed.root.clone()).unwrap();
        let (from, to) = (text.find("<wsu:Timestamp").unwrap(), text.find("</wsu:Timestamp>").unwrap());
        signed.root = [&text[..from], &text[to + "</wsu:Timestamp>".len()..]].concat().into_bytes();
    })
    .await;
    assert_eq!(code, "SOA-01001", "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_message_is_refused() {
    let (code, verdict) = altered(|signed| {
        let text = String::from_utf8(signed.root.clone()).unwrap();
        let (from, to) = (text.find("<soap:Header>").unwrap(), text.find("<soap:Body").unwrap());
        signed.root = [&text[..from], &text[to..]].concat().into_bytes();
    })
    .await;
    assert_eq!(code, "SOA-01001", "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn identifiers_are_judged() {
    check(|draft| draft.replace("00000000196", "00000000197"), "EPOST_B01 identifier.check-digits").await;
    check(
        |draft| *draft = Draft::to_enterprise("T", "1234567895", "QUAL_EMP_NOSS"),
        "EPOST_B01 identifier.check-digits",
    )
    .await;
    check(|draft| *draft = Draft::to_known_enterprise("T"), "accepted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_schema_does_not_know_is_refused() {
    check_code(|draft| draft.replace("<t:Title>", "<t:Titel/><t:Title>"), "SOA-03006").await;
    check_code(|draft| draft.replace("<t:Type>LETTER</t:Type>", ""), "SOA-03006").await;
    check_code(|draft| draft.replace("xsi:type=\"t:Citizen\"", "xsi:type=\"t:Enterprise\""), "SOA-03006")
        .await;
    check_code(|draft| draft.replace("xsi:type=\"t:Citizen\"", ""), "SOA-03006").await;
    check_code(|draft| draft.replace("<t:Language>nl", "<t:Language>xx"), "SOA-03006").await;
    check_code(|draft| draft.replace("ACTIVATED", "MAYBE"), "SOA-03006").await;
    let long = "x".repeat(51);
    check_code(|draft| draft.replace(">T<", &format!(">{long}<")), "SOA-03006").await;
    check(|draft| draft.replace(">T<", &format!(">{}<", &long[1..])), "accepted").await;
    check_code(|draft| *draft = Draft::asking("<x:Sing xmlns:x=\"urn:x\"/>".to_owned()), "SOA-03005").await;
    check_code(|draft| draft.path = V2, "SOA-03005").await;
    check_code(
        |draft| {
            draft.soap_action = Some("\"http://socialsecurity.be/registeredmail/v1/healthCheck\"".to_owned())
        },
        "SOA-03005",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_refused_and_recorded() {
    for (content_type, body, code) in [
        ("text/xml", "", "SOA-03004"),
        ("text/xml", "<a", "SOA-03001"),
        ("text/xml", "hello", "SOA-03001"),
        ("text/xml", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "SOA-03001"),
        ("text/xml", "<a/>", "SOA-03002"),
        ("text/xml; charset=utf-16", "<a/>", "SOA-03004"),
        ("text/xml", "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"/>", "SOA-03003"),
        (
            "text/xml",
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body/></s:Envelope>",
            "SOA-03003",
        ),
        ("multipart/related; type=\"text/xml\"", "", "SOA-03004"),
        ("multipart/related; type=\"text/xml\"; boundary=b", "no boundary in it", "SOA-03004"),
        ("multipart/related; type=\"text/xml\"; boundary=b", "--b\r\n\r\n<a/>\r\n", "SOA-03004"),
        ("application/json", "{}", "SOA-03004"),
    ] {
        let house = House::new().await;
        let answer = house.send_body(&Draft::submission("T").sign(), content_type, body.as_bytes()).await;
        let verdict = house.verdict(&answer);
        assert!(verdict.starts_with(code), "{content_type} {body}: {verdict}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_is_kept_and_told_the_same_again() {
    let house = House::new().await;
    let mut draft = Draft::submission("T");
    draft.attachments[0].bytes[5] ^= 1;
    let signed = draft.sign();
    let first = house.send(&signed).await;
    let again = house.send(&signed).await;
    assert_eq!(
        (first.code().as_str(), &first.body),
        ("FILE_B01", &again.body),
        "the same fault, byte for byte"
    );
    let kept = house.records();
    let kept: Vec<_> = kept.iter().filter(|stored| matches!(stored.record, Record::Refused(_))).collect();
    assert_eq!(kept.len(), 2, "each request is in the journal");
    for stored in kept {
        assert_eq!(
            house.service.open_frame(stored, "soap").unwrap(),
            signed.root,
            "E7: the exact signed message"
        );
    }
    draft.attachments[0].bytes[5] ^= 1;
    draft.signed_at = Timestamp::now();
    assert_eq!(
        house.verdict(&house.ask(&draft).await),
        "accepted",
        "mended, it may come again with the same Token"
    );
}

/// Changed before it is signed.
#[track_caller]
fn check(change: impl FnOnce(&mut Draft), expected: &str) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    let mut draft = Draft::submission("T");
    change(&mut draft);
    async move {
        let house = House::new().await;
        let signed = draft.sign();
        let answer = house.send(&signed).await;
        assert_eq!(house.verdict(&answer), expected, "{caller}\n{answer}");
        nothing_half_done(&house, &signed);
    }
}

/// As [`check`], where only the code is the contract's.
#[track_caller]
fn check_code(change: impl FnOnce(&mut Draft), code: &str) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    let mut draft = Draft::submission("T");
    change(&mut draft);
    async move {
        let house = House::new().await;
        let signed = draft.sign();
        let answer = house.send(&signed).await;
        let verdict = house.verdict(&answer);
        assert_eq!(verdict.split(' ').next(), Some(code), "{caller}\n{verdict}\n{answer}");
        nothing_half_done(&house, &signed);
    }
}

/// Changed after it was signed: the fault's code, and the verdict.
async fn altered(change: impl FnOnce(&mut Signed)) -> (String, String) {
    let house = House::new().await;
    let mut signed = Draft::submission("T").sign();
    change(&mut signed);
    let answer = house.send(&signed).await;
    nothing_half_done(&house, &signed);
    (answer.code(), house.verdict(&answer))
}

/// A refusal keeps the message and nothing else; an acceptance keeps both.
fn nothing_half_done(house: &House, signed: &Signed) {
    let records = house.records();
    let kept: Vec<_> = records
        .iter()
        .filter(|stored| matches!(stored.record, Record::Refused(_) | Record::Received(_)))
        .map(|stored| house.service.open_frame(stored, "soap").unwrap())
        .collect();
    assert_eq!(
        kept,
        std::slice::from_ref(&signed.root),
        "E7: refused or not, the signed message is in the log"
    );
    let refused = records.iter().any(|stored| matches!(stored.record, Record::Refused(_)));
    let left = disk::Disk::list(&house.disk, std::path::Path::new("data/content")).unwrap();
    let mut files: Vec<_> =
        left.iter().flat_map(|folder| disk::Disk::list(&house.disk, folder).unwrap()).collect();
    files.retain(|path| !path.ends_with("unnamed/whole"));
    assert!(!refused || files.is_empty(), "nothing half-done stays: {files:?}");
}
