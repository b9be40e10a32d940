//! The envelope by itself; what is wrong in a signed message is held in `tests/security`.

use super::*;
use crate::wss::client::{SignOptions, sign_request};
use jiff::Timestamp;
use xmlsec::base64::Content;

const V11: &str = "http://schemas.xmlsoap.org/soap/envelope/";

fn read(body: &str) -> Result<Envelope, Refusal> {
    let text = format!("<s:Envelope xmlns:s=\"{V11}\"><s:Body>{body}</s:Body></s:Envelope>");
    Envelope::parse(text.into_bytes(), &|_| None, &Rules::default())
}

#[test]
fn row_55_hints_that_name_another_operation() {
    let envelope = read("<v:GetStatusRequest xmlns:v=\"urn:v\"/>").expect("an envelope");
    for same in [
        None,
        Some(""),
        Some("\"\""),
        Some("urn:x/getStatus"),
        Some("\"urn:x/GetStatusRequest\""),
        Some("urn:y"),
    ] {
        assert!(envelope.check_action(same).is_ok(), "{same:?}");
        println!("verdict: {}: accepted", same.unwrap_or("none"));
    }
    for other in [
        "urn:x/sendDocument",
        "\"http://socialsecurity.be/registeredmail/v1/healthCheck\"",
        "getProofRequest",
    ] {
        let told = envelope.check_action(Some(other)).map_err(|r| r.check);
        println!("verdict: {other}: {}", told.err().unwrap_or("accepted"));
        assert_eq!(told, Err("soap.action.differs"), "{other}");
    }
}

#[test]
fn answers_may_hold_a_fault() {
    let text = format!("<s:Envelope xmlns:s=\"{V11}\"><s:Body><s:Fault/></s:Body></s:Envelope>");
    let read = |rules: &Rules| Envelope::parse(text.clone().into_bytes(), &|_| None, rules);
    assert!(read(&Rules::answer()).is_ok());
    assert_eq!(read(&Rules::default()).map(|_| ()).map_err(|r| r.check), Err("soap.body.fault"));
}

#[test]
fn a_large_content_is_decoded_and_digested_while_its_message_is_scanned() {
    let signer = pki::signer::FileSigner::from_pem(
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test/alice.key")),
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test/alice.crt")),
    )
    .expect("a key");
    let bytes: Vec<u8> = (0..300_000_u32).map(|i| (i * 31 + (i >> 9)) as u8).collect();
    for (namespace, is_content) in [(xop::CONTENT.0, true), ("urn:v", false)] {
        let text = xmlsec::base64::encode(&bytes);
        let payload = format!("<v:Content xmlns:v=\"{namespace}\">{text}</v:Content>");
        let signed = sign_request(&payload, &signer, Timestamp::UNIX_EPOCH, &SignOptions::default());
        let signed = signed.expect("signed");
        for root_digest in [false, true] {
            let rules = Rules { root_digest, ..Rules::default() };
            let envelope = Envelope::parse(signed.clone(), &|_| None, &rules).expect("an envelope");
            let content = envelope.operation().base64_content();
            assert_eq!(content, is_content.then(|| Content::of(bytes.clone())));
            assert_eq!(envelope.root_sha256(), pki::digest::sha256(&signed));
        }
    }
}

#[test]
fn the_root_s_digest_is_of_what_came_not_of_what_was_expanded() {
    let (namespace, name) = xop::CONTENT;
    let include = format!("<x:Include xmlns:x=\"{}\" href=\"cid:a\"/>", crate::wss::namespace::XOP);
    let text = format!(
        "<s:Envelope xmlns:s=\"{V11}\"><s:Body><v:{name} xmlns:v=\"{namespace}\">{include}</v:{name}></s:Body></s:Envelope>"
    );
    let part = |_: &str| Some(b"a part".to_vec());
    let rules = Rules { root_digest: true, ..Rules::default() };
    let envelope = Envelope::parse(text.clone().into_bytes(), &part, &rules).expect("an envelope");
    assert_ne!(envelope.document().source(), text.as_bytes(), "it was expanded");
    assert_eq!(envelope.root_sha256(), pki::digest::sha256(text.as_bytes()));
}
