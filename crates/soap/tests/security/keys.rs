//! Rows 35, 36, 38 to 42: values, KeyInfo, tokens.

use crate::kit::*;

const STR: &str = "<wsse:SecurityTokenReference>";
const STR_END: &str = "</wsse:SecurityTokenReference>";

fn value(change: fn(Vec<u8>) -> Vec<u8>) -> String {
    let mut forge = Forge::new(&BOB);
    forge.value = Box::new(change);
    forge.sign()
}

#[test]
fn row_35_ecdsa_values() {
    for message in [
        value(|_| vec![0; 64]),
        value(|v| [vec![0; 32], v[32..].to_vec()].concat()),
        value(|v| [v[..32].to_vec(), vec![0; 32]].concat()),
        value(|v| [v[..32].to_vec(), vec![0xff; 32]].concat()),
        value(|_| order().repeat(2)),
        value(|v| [order(), v[32..].to_vec()].concat()),
        value(|v| [v[..32].to_vec(), order()].concat()),
        value(|v| {
            let longer = &openssl::bn::BigNum::from_slice(&v[32..]).expect("s") + &order_number();
            [v[..32].to_vec(), longer.to_vec()].concat()
        }),
        value(|v| der(&v)),
        value(|v| [vec![0], v].concat()),
        value(|v| [v, vec![0]].concat()),
        value(|v| v[..63].to_vec()),
        value(|_| Vec::new()),
    ] {
        check(message, "SOA-01001 wss.signature.value");
    }
}

/// The order of P-256.
fn order() -> Vec<u8> {
    order_number().to_vec()
}

fn order_number() -> openssl::bn::BigNum {
    let hex = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
    openssl::bn::BigNum::from_hex_str(hex).expect("a number")
}

#[test]
fn row_36_rsa_values() {
    for change in [
        (|v| [vec![0], v].concat()) as fn(Vec<u8>) -> Vec<u8>,
        |v| v[1..].to_vec(),
        |_| vec![0; 256],
        |_| vec![0xff; 256],
        |_| Vec::new(),
    ] {
        let mut forge = Forge::new(&ALICE);
        forge.value = Box::new(change);
        check(forge.sign(), "SOA-01001 wss.signature.value");
    }
    let mut longer = Forge::new(&ALICE);
    longer.value = Box::new(|value| {
        let number = openssl::bn::BigNum::from_slice(&value).expect("s");
        (&number + ALICE.key.rsa().expect("RSA").n()).to_vec()
    });
    check(longer.sign(), "SOA-01001 wss.signature.value");
}

#[test]
fn row_38_other_key_infos() {
    for key_info in [
        "",
        "<ds:KeyName>alice</ds:KeyName>",
        "<ds:KeyValue><ds:RSAKeyValue/></ds:KeyValue>",
        "<ds:KeyValue><ds:RSAKeyValue/></ds:KeyValue><wsse:SecurityTokenReference><wsse:Reference URI=\"#X\"/></wsse:SecurityTokenReference>",
        "<ds:PGPData/>",
        "<ds:X509Data/>",
        "<ds:RetrievalMethod URI=\"http://localhost/\"/>",
        "<wsse:SecurityTokenReference/><ds:KeyName>a</ds:KeyName>",
        "<wsse:SecurityTokenReference><wsse:Reference URI=\"#X\"/></wsse:SecurityTokenReference>text",
    ] {
        let mut forge = Forge::new(&ALICE);
        forge.key_info = key_info.to_owned();
        check(forge.sign(), "SOA-01001 wss.key-info.form");
    }
    let none = Forge::new(&ALICE).sign();
    let start = none.find("<ds:KeyInfo>").expect("KeyInfo");
    let end = none.find("</ds:KeyInfo>").expect("KeyInfo") + "</ds:KeyInfo>".len();
    check(none.replace(&none[start..end], ""), "SOA-01001 wss.key-info.form");
    for reference in ["", "<wsse:Embedded/>", "<wsse:Reference URI=\"#X\"/><wsse:Reference URI=\"#X\"/>"] {
        let mut forge = Forge::new(&ALICE);
        forge.key_info = format!("{STR}{reference}{STR_END}");
        check(forge.sign(), "SOA-01001 wss.key-info.reference");
    }
}

#[test]
fn row_39_two_references() {
    let mut forge = Forge::new(&ALICE);
    forge.key_info = forge.key_info.repeat(2).replacen("wsu:Id=\"STR\"", "", 1);
    check(forge.sign(), "SOA-01001 wss.key-info.form");
}

#[test]
fn row_40_references_elsewhere() {
    for retrieval in ["#KI", "http://localhost/cert", "#STR"] {
        let mut forge = Forge::new(&ALICE);
        forge.key_info = format!("<ds:RetrievalMethod URI=\"{retrieval}\" Type=\"{DS}X509Data\"/>");
        check(forge.sign(), "SOA-01001 wss.key-info.form");
    }
    let mut nested = Forge::new(&ALICE);
    nested.key_info = format!("{STR}{STR}<wsse:Reference URI=\"#X\"/>{STR_END}{STR_END}");
    check(nested.sign(), "SOA-01001 wss.key-info.reference");
    for uri in ["#STR", "#T", "#nowhere", "http://localhost/cert", "X", ""] {
        let mut forge = Forge::new(&ALICE);
        forge.key_info = forge.key_info.replace("#X", uri);
        check(forge.sign(), "SOA-01001 wss.token.missing");
    }
}

#[test]
fn row_42_tokens_that_are_no_certificate() {
    let der = ALICE.der();
    let encoded = openssl::base64::encode_block;
    let pem = String::from_utf8(ALICE.certificate.to_pem().expect("PEM")).expect("text");
    let hex: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
    for (content, expected) in [
        (String::new(), "wss.token.certificate"),
        (encoded(b"garbage"), "wss.token.certificate"),
        (encoded(&der[..der.len() - 1]), "wss.token.certificate"),
        (encoded(&[der.clone(), vec![0]].concat()), "wss.token.certificate"),
        (encoded(&[der.clone(), BOB.der()].concat()), "wss.token.certificate"),
        (encoded(pem.as_bytes()), "wss.token.certificate"),
        (pem.clone(), "wss.token.content"),
        ("not base64!".to_owned(), "wss.token.content"),
        ("A".repeat(8 << 20), "wss.token.size"),
        ("<x/>".to_owned(), "wss.token.content"),
    ] {
        let forge = Forge::new(&ALICE).with(&ALICE.base64(), &content);
        let setting = Setting {
            rules: soap::envelope::Rules {
                xml: xmlsec::Limits::default(),
                ..soap::envelope::Rules::default()
            },
            ..Setting::default()
        };
        check_in(forge.sign(), &setting, &format!("SOA-01001 {expected}"));
    }
    let hex = outcome(Forge::new(&ALICE).with(&ALICE.base64(), &hex).sign(), &Setting::default());
    assert!(hex.starts_with("SOA-01001 wss.token."), "{hex}");
    for kind in ["#PKCS7", "#X509v1", ""] {
        let forge = Forge::new(&ALICE).with("#X509v3", kind);
        check(forge.sign(), "SOA-01001 wss.token.value-type");
    }
    let encoding = Forge::new(&ALICE).with("#Base64Binary", "#HexBinary");
    check(encoding.sign(), "SOA-01001 wss.token.encoding");
}
