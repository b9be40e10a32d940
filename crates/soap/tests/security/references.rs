//! Rows 13 to 25, 31 to 34: transforms, references, digests, algorithms.

use crate::kit::*;
use openssl::hash::MessageDigest;

const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";

fn body_by(transforms: &str) -> String {
    let mut forge = Forge::new(&ALICE);
    forge.references = vec![Ref::to("T"), Ref::transform("B", transforms)];
    forge.sign()
}

fn before_canonicalisation(uri: &str) {
    check(
        body_by(&format!("<ds:Transform Algorithm=\"{uri}\"/><ds:Transform Algorithm=\"{EXC}\"/>")),
        "SOA-01001 wss.algorithm.transform",
    );
}

#[test]
fn row_13_xpath_cuts_nothing_out() {
    before_canonicalisation("http://www.w3.org/TR/1999/REC-xpath-19991116");
    before_canonicalisation("http://www.w3.org/2002/06/xmldsig-filter2");
    let cut = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>not(ancestor-or-self::*[local-name()='Ticket'])\
               </ds:XPath></ds:Transform>";
    check(body_by(cut), "SOA-01001 wss.algorithm.transform");
}

#[test]
fn row_14_xslt_never_runs() {
    before_canonicalisation("http://www.w3.org/TR/1999/REC-xslt-19991116");
    let endless = "<xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\" version=\"1.0\"><xsl:template match=\"/\">\
                   <xsl:apply-templates select=\"/\"/></xsl:template></xsl:stylesheet>";
    let transform = format!(
        "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\">{endless}</ds:Transform>"
    );
    check(body_by(&transform), "SOA-01001 wss.algorithm.transform");
    let within = format!(
        "<ds:Transform Algorithm=\"{STR_TRANSFORM}\"><wsse:TransformationParameters xmlns:wsse=\"{WSSE}\">{endless}\
         </wsse:TransformationParameters></ds:Transform>"
    );
    check(body_by(&within), "SOA-01001 xmlsec.signature.schema");
}

#[test]
fn row_15_transforms_beyond_the_allow_list() {
    for uri in [
        "http://www.w3.org/2000/09/xmldsig#base64",
        "http://www.w3.org/2002/07/decrypt#XML",
        "urn:unknown",
        "",
    ] {
        before_canonicalisation(uri);
    }
    let twice = format!("<ds:Transform Algorithm=\"{EXC}\"/>").repeat(2);
    check(body_by(&twice), "SOA-01001 xmlsec.signature.too-many");
    check(body_by(&twice.repeat(500)), "SOA-01001 xmlsec.signature.too-many");
}

#[test]
fn row_15_enveloped_as_a_no_op() {
    check(
        body_by(&format!(
            "<ds:Transform Algorithm=\"{DS}enveloped-signature\"/><ds:Transform Algorithm=\"{EXC}\"/>"
        )),
        ACCEPTED,
    );
}

#[test]
fn row_16_other_canonicalisations() {
    for uri in [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2006/12/xml-c14n11",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    ] {
        check(body_by(&format!("<ds:Transform Algorithm=\"{uri}\"/>")), "SOA-01001 wss.algorithm.transform");
        let mut forge = Forge::new(&ALICE);
        forge.canonicalization = format!("<ds:CanonicalizationMethod Algorithm=\"{uri}\"/>");
        check(forge.sign(), "SOA-01001 wss.algorithm.canonicalization");
    }
    let mut implicit = Forge::new(&ALICE);
    implicit.references[1].transforms = String::new();
    check(implicit.sign(), "SOA-01001 wss.reference.canonicalization-missing");
}

#[test]
fn row_17_reference_uris() {
    for uri in ["", "#", "B", "#xpointer(/)", "#xpointer(id('B'))", "#%42", "# B"] {
        check(body_at(uri), "SOA-01001 xmlsec.reference.uri");
    }
    let mut dangling = Forge::new(&ALICE);
    dangling.references[1].uri = "#nowhere".to_owned();
    check(dangling.sign(), "SOA-01001 xmlsec.reference.dangling");
    let message = Forge::new(&ALICE).sign().replace(" URI=\"#B\"", "");
    check(message, "SOA-01001 xmlsec.reference.uri");
}

#[test]
fn row_18_nothing_outside_the_message_is_signed_or_fetched() {
    for uri in
        ["http://localhost/B", "https://localhost/#B", "file:///etc/passwd", "cid:B", "../B", "//localhost/B"]
    {
        check(body_at(uri), "SOA-01001 xmlsec.reference.uri");
    }
}

fn body_at(uri: &str) -> String {
    let mut forge = Forge::new(&ALICE);
    forge.references[1].uri = uri.to_owned();
    forge.sign()
}

#[test]
fn row_19_too_many_references_and_prefixes() {
    let mut forge = Forge::new(&ALICE);
    forge.references = (0..17).map(|_| Ref::to("B")).collect();
    check(forge.sign(), "SOA-01001 xmlsec.signature.too-many");
    let prefixes = "a ".repeat(17);
    check(
        body_by(&format!(
            "<ds:Transform Algorithm=\"{EXC}\"><ec:InclusiveNamespaces xmlns:ec=\"{EXC}\" PrefixList=\"{prefixes}\"/>\
             </ds:Transform>"
        )),
        "SOA-01001 xmlsec.signature.too-many",
    );
}

#[test]
fn row_20_two_references_to_one_element() {
    for wrong in [0, 1, 2] {
        let mut forge = Forge::new(&ALICE);
        forge.references = vec![Ref::to("T"), Ref::to("B"), Ref::to("B")];
        forge.references[wrong].value = Some(openssl::base64::encode_block(&[0; 32]));
        let expected =
            if wrong == 2 { "SOA-01001 xmlsec.reference.twice" } else { "SOA-01001 wss.signature.digest" };
        check(forge.sign(), expected);
    }
}

#[test]
fn row_21_doubled_pieces() {
    let message = Forge::new(&ALICE).sign();
    for name in ["SignedInfo", "SignatureValue", "KeyInfo", "DigestValue", "DigestMethod", "SignatureMethod"]
    {
        let open = format!("<ds:{name}");
        let start = message.find(&open).expect("the piece");
        let close = format!("</ds:{name}>");
        let end = match message[start..].find(&close) {
            Some(at) if !name.ends_with("Method") => start + at + close.len(),
            _ => start + message[start..].find("/>").expect("an end") + 2,
        };
        let piece = &message[start..end];
        let doubled = message.replacen(piece, &format!("{piece}{piece}"), 1);
        check(doubled, "SOA-01001 xmlsec.signature.schema");
    }
}

#[test]
fn row_22_comments_in_the_signature() {
    let message = Forge::new(&ALICE).sign();
    check(
        message.replacen("</ds:DigestValue>", "<!-- c --></ds:DigestValue>", 1),
        "SOA-01001 xmlsec.signature.comment",
    );
}

#[test]
fn row_23_digests_of_wrong_length() {
    for value in
        ["", "AAAA", &openssl::base64::encode_block(&[0; 31]), &openssl::base64::encode_block(&[0; 64])]
    {
        let mut forge = Forge::new(&ALICE);
        forge.references[1].value = Some(value.to_owned());
        check(forge.sign(), "SOA-01001 xmlsec.reference.digest-length");
    }
}

#[test]
fn row_24_relative_namespace_names() {
    let message = Forge::new(&ALICE).sign().replace("<v1:Ticket>", "<v1:Ticket xmlns:r=\"relative/name\">");
    assert!(outcome(message, &Setting::default()).starts_with("SOA-03001 "));
}

#[test]
fn row_25_plain_tampering() {
    let message = Forge::new(&ALICE).sign();
    check(message.replace("0123456789ABC", "0123456789ABD"), "SOA-01001 wss.signature.digest");
    check(message.replace("<v1:Ticket>", "<v1:Ticket a=\"b\">"), "SOA-01001 wss.signature.digest");
    check(message.replace("11:59:58.123Z", "11:59:59.123Z"), "SOA-01001 wss.signature.digest");
    check(message.replace("URI=\"#B\"", "URI=\"#T\""), "SOA-01001 wss.signature.value");
    let mut flipped = Forge::new(&ALICE);
    flipped.value = Box::new(|mut value| {
        value[9] ^= 1;
        value
    });
    check(flipped.sign(), "SOA-01001 wss.signature.value");
}

#[test]
fn row_31_no_symmetric_algorithm_at_all() {
    for uri in [
        format!("{DS}hmac-sha1"),
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256".to_owned(),
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512".to_owned(),
    ] {
        // Keyed with what everybody can read: the certificate, and its public key.
        for key in [ALICE.der(), ALICE.key.public_key_to_der().expect("a key")] {
            let mut forge = Forge::new(&ALICE);
            forge.method = uri.clone();
            forge.hmac_key = Some(key);
            check(forge.sign(), "SOA-01001 wss.algorithm.signature");
        }
    }
}

#[test]
fn row_32_no_output_length() {
    for length in ["0", "8", "256"] {
        let parameter = format!("<ds:HMACOutputLength>{length}</ds:HMACOutputLength>");
        let mut forge = Forge::new(&ALICE);
        forge.parameters = parameter.clone();
        check(forge.sign(), "SOA-01001 xmlsec.signature.schema");
        forge.method = format!("{DS}hmac-sha1");
        check(forge.sign(), "SOA-01001 wss.algorithm.signature");
    }
}

#[test]
fn row_33_sha_1_says_the_remedy() {
    let mut pss = Forge::new(&ALICE);
    pss.method = "http://www.w3.org/2007/05/xmldsig-more#sha1-rsa-MGF1".to_owned();
    pss.pss = Some(Pss { hash: MessageDigest::sha1(), ..Pss::default() });
    check(pss.sign(), "SOA-01001 wss.algorithm.signature-sha1");
    let mut signature = Forge::new(&ALICE);
    signature.method = format!("{DS}rsa-sha1");
    signature.digest = MessageDigest::sha1();
    check(signature.sign(), "SOA-01001 wss.algorithm.signature-sha1");
    signature.references[1].digest_uri = SHA1.to_owned();
    check(signature.sign(), "SOA-01001 wss.algorithm.digest-sha1");
    let mut digest = Forge::new(&ALICE);
    digest.references[1].digest_uri = SHA1.to_owned();
    check(digest.sign(), "SOA-01001 wss.algorithm.digest-sha1");
    for uri in [
        "",
        "none",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
        "urn:x",
    ] {
        let mut forge = Forge::new(&ALICE);
        forge.method = uri.to_owned();
        check(forge.sign(), "SOA-01001 wss.algorithm.signature");
        let mut forge = Forge::new(&ALICE);
        forge.references[0].digest_uri = uri.to_owned();
        check(forge.sign(), "SOA-01001 wss.algorithm.digest");
    }
}

#[test]
fn row_34_method_and_key_of_different_kinds() {
    let mut forge = Forge::new(&ALICE);
    forge.method = ECDSA_SHA256.to_owned();
    check(forge.sign(), "SOA-01001 wss.signature.value");
    let mut forge = Forge::new(&BOB);
    forge.method = RSA_SHA256.to_owned();
    check(forge.sign(), "SOA-01001 wss.signature.value");
    let mut pss = Forge::new(&ALICE);
    pss.method = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1".to_owned();
    check(pss.sign(), "SOA-01001 wss.signature.value");
    let mut under_pkcs = Forge::new(&ALICE);
    under_pkcs.pss = Some(Pss::default());
    check(under_pkcs.sign(), "SOA-01001 wss.signature.value");
    let mut longer = Forge::new(&ALICE);
    longer.method = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512".to_owned();
    check(longer.sign(), "SOA-01001 wss.signature.value");
    longer.digest = MessageDigest::sha512();
    check(longer.sign(), ACCEPTED);
}
