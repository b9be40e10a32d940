//! Rows 27, 76, 77, 81 to 83, 87: what is in a document or a proof, and what is only said of it.

use crate::house::draft::submission;
use crate::house::reply::committed_crls;
use crate::house::{Draft, House, file};

#[tokio::test(flavor = "multi_thread")]
async fn row_27_a_type_whose_prefix_is_rebound_outside_the_signature() {
    // Exclusive canonicalisation leaves a prefix out that only a value uses: whoever carries the message can bind it anew.
    let mut draft = Draft::submission("T");
    draft.replace("xsi:type=\"t:Citizen\"", "xsi:type=\"x:Citizen\"");
    let signed = draft.sign();
    for (bound_to, expected) in [
        ("http://socialsecurity.be/registeredmail/types/v1", "accepted"),
        ("urn:evil", "SOA-03006"),
        ("http://socialsecurity.be/registeredmail/v1", "SOA-03006"),
    ] {
        let house = House::new().await;
        let mut rebound = signed.clone();
        rebound.replace("<soap:Envelope ", &format!("<soap:Envelope xmlns:x=\"{bound_to}\" "));
        let verdict = house.verdict(&house.send(&rebound).await);
        assert!(verdict.starts_with(expected), "{bound_to}: {verdict}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_76_digests_that_are_not_the_documents() {
    let good = base64_simd::STANDARD.encode_to_string(pki::digest::sha256(&file(1, 900)));
    let empty = base64_simd::STANDARD.encode_to_string(pki::digest::sha256(b""));
    let text = base64_simd::STANDARD.encode_to_string(pki::digest::sha256(good.as_bytes()));
    for (value, expected) in [
        (empty.as_str(), "FILE_B01 content.digest-mismatch"),
        (text.as_str(), "FILE_B01 content.digest-mismatch"),
        ("", "SOA-03006"),
        (&good[..40], "FILE_B01 digest.length"),
        (good.trim_end_matches('='), "SOA-03006"),
        (&format!("{}*{}", &good[..10], &good[10..]), "SOA-03006"),
        (&good.replace('=', "=="), "SOA-03006"),
    ] {
        let house = House::new().await;
        let mut draft = Draft::submission("T");
        draft.replace(&good, value);
        let verdict = house.verdict(&house.ask(&draft).await);
        assert!(verdict.starts_with(expected), "{value:?}: {verdict}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_77_a_documents_name_is_only_said() {
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\Windows\\x",
        "a&#10;b",
        "META-INF/signatures.xml",
        "\u{202e}fdp.exe",
        "con",
        "&lt;script&gt;",
    ] {
        let house = House::new().await;
        let before = places(&house);
        let mut draft = Draft::submission("T");
        draft.replace("letter-0.pdf", name);
        let answer = house.ask(&draft).await;
        let verdict = house.verdict(&answer);
        assert!(verdict == "accepted" || verdict.starts_with("SOA-03006"), "{verdict}");
        assert_eq!(places(&house), before, "nothing is stored under a sender's name");
        if verdict == "accepted" {
            answer.receipt().must_pass(&[file(1, 900), file(2, 700)], &committed_crls());
        }
    }
}

fn places(house: &House) -> Vec<std::path::PathBuf> {
    disk::Disk::list(&house.disk, std::path::Path::new("data")).unwrap()
}

/// A receipt's file and seal, replaced by something else; must not pass.
async fn must_not_pass(what: &str, change: impl Fn(&mut crate::house::reply::Proof)) {
    let house = House::new().await;
    let mut receipt = house.ask(&Draft::submission("T")).await.receipt();
    change(&mut receipt);
    let report = receipt.judge(&[file(1, 900), file(2, 700)], &committed_crls());
    println!("verdict: {what}: {}", if report.passed() { "passed" } else { "not passed" });
    assert!(!report.passed(), "{what}: {}", report.render());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_81_a_signature_in_xml_is_no_seal() {
    // The one form of a seal is a detached CAdES: XAdES, with its references that can be moved, is not read at all.
    let xades = "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:Object><xades:QualifyingProperties \
                 xmlns:xades=\"http://uri.etsi.org/01903/v1.3.2#\"/></ds:Object></ds:Signature>";
    must_not_pass("XAdES for the seal", |proof| proof.p7s = xades.as_bytes().to_vec()).await;
    must_not_pass("XAdES in the file", |proof| {
        let text = String::from_utf8(proof.xml.clone()).unwrap();
        let end = text.rfind("</").unwrap();
        proof.xml = format!("{}{xades}{}", &text[..end], &text[end..]).into_bytes();
    })
    .await;
    must_not_pass("no seal", |proof| proof.p7s.clear()).await;
    must_not_pass("two seals", |proof| proof.p7s = proof.p7s.repeat(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_82_a_container_is_no_proof() {
    must_not_pass("a container for the file", |proof| {
        proof.xml = container(&[("mimetype", &[0; 8]), ("Receipt.xml", &proof.xml)])
    })
    .await;
    must_not_pass("a container for the seal", |proof| {
        proof.p7s = container(&[("META-INF/signature.p7s", &proof.p7s)])
    })
    .await;
    must_not_pass("a file that is both", |proof| {
        let more = container(&[("Receipt.xml", b"<other/>")]);
        proof.xml.extend(more);
    })
    .await;
}

/// A ZIP of stored entries, without checksums.
fn container(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let offset = (bytes.len() as u32).to_le_bytes();
        let (length, name_length) = ((content.len() as u32).to_le_bytes(), (name.len() as u16).to_le_bytes());
        let head =
            [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &length, &length, &name_length, &[0, 0]]
                .concat();
        bytes.extend([b"PK\x03\x04", &head[..], name.as_bytes(), content].concat());
        central.extend([b"PK\x01\x02\x14\0", &head[..], &[0; 10], &offset, name.as_bytes()].concat());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let (at, length) = ((bytes.len() as u32).to_le_bytes(), (central.len() as u32).to_le_bytes());
    [&bytes[..], &central, b"PK\x05\x06\0\0\0\0", &count, &count, &length, &at, &[0, 0]].concat()
}

/// Goes in as a document, and comes out of the house as it went in: nobody looks inside.
async fn opaque(what: &str, document: Vec<u8>) {
    let house =
        House::open(crate::house::inside::Plan { delivers: true, ..Default::default() }).await.unwrap();
    let before = places(&house);
    let answer = house
        .ask(&Draft::of(&submission("T", std::slice::from_ref(&document)), std::slice::from_ref(&document)))
        .await;
    println!("verdict: {what}: HTTP {}", answer.status);
    answer.receipt().must_pass(std::slice::from_ref(&document), &committed_crls());
    crate::house::until(async || house.boxes.files().first().cloned()).await;
    assert!(house.boxes.files().contains(&document), "{what}: delivered byte for byte");
    assert_eq!(places(&house), before, "{what}: nothing was unpacked");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_83_archives_are_not_opened() {
    opaque(
        "zip slip",
        container(&[("../../../../tmp/slipped", b"x"), ("/etc/passwd", b"x"), ("a\0b", b"x")]),
    )
    .await;
    opaque("case twins", container(&[("A", b"x"), ("a", b"y"), ("C:\\x", b"z")])).await;
    // Says that it holds four gigabytes.
    let mut lies = container(&[("bomb", b"x")]);
    lies[18..26].fill(0xff);
    opaque("a lie of its size", lies).await;
    let many: Vec<(String, &[u8])> = (0..2000).map(|number| (format!("{number}"), &b""[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    opaque("thousands of entries", container(&many)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_87_active_content_is_carried_and_never_run() {
    let eicar = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat();
    opaque("a scanner's test file", eicar.into_bytes()).await;
    opaque(
        "a script",
        b"%PDF-1.7 1 0 obj<</OpenAction<</S/JavaScript/JS(app.launchURL('http://localhost/'))>>>>".to_vec(),
    )
    .await;
    opaque("a document type", b"<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>&e;</x>".to_vec())
        .await;
}
