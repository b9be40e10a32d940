//! What honest stacks send gets in (`clients.md`).

use crate::kit::*;
use soap::envelope::{Rules, SoapVersion};
use soap::wss::client::{SignOptions, sign_request};

const STR: &str = "<wsse:SecurityTokenReference>";
const STR_END: &str = "</wsse:SecurityTokenReference>";

#[test]
fn rsa_by_hand() {
    check(Forge::new(&ALICE).sign(), ACCEPTED);
}

#[test]
fn ecdsa_by_hand() {
    check(Forge::new(&BOB).sign(), "accepted 0206731645 urn:be:test:bob GetStatusRequest 0123456789ABC");
    let longer = pki().issue(&Person::alice(), KeyKind::P384);
    check(Forge::new(&longer).sign(), ACCEPTED);
    let mut mixed = Forge::new(&longer);
    mixed.method = ECDSA_SHA256.to_owned();
    check(mixed.sign(), "SOA-01001 wss.signature.value");
}

fn pss(method: &str, parameters: &str, pss: Pss) -> String {
    let mut forge = Forge::new(&ALICE);
    method.clone_into(&mut forge.method);
    parameters.clone_into(&mut forge.parameters);
    forge.pss = Some(pss);
    forge.sign()
}

#[test]
fn rsa_pss_with_and_without_its_parameters() {
    const SHA256_MGF1: &str = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1";
    const RSA_PSS: &str = "http://www.w3.org/2007/05/xmldsig-more#rsa-pss";
    let digest = |uri: &str| format!("<ds:DigestMethod Algorithm=\"{uri}\"/>");
    let said = |hash: &str, mask: &str, salt: &str, trailer: &str| {
        format!(
            "<m:RSAPSSParams xmlns:m=\"http://www.w3.org/2007/05/xmldsig-more#\">{}<m:MaskGenerationFunction \
             Algorithm=\"http://www.w3.org/2007/05/xmldsig-more#{mask}\">{}</m:MaskGenerationFunction>\
             <m:SaltLength>{salt}</m:SaltLength><m:TrailerField>{trailer}</m:TrailerField></m:RSAPSSParams>",
            digest(hash),
            digest(SHA256),
        )
    };
    let usual = said(SHA256, "MGF1", "32", "1");
    let none = "<m:RSAPSSParams xmlns:m=\"http://www.w3.org/2007/05/xmldsig-more#\"/>";
    check(pss(SHA256_MGF1, "", Pss::default()), ACCEPTED);
    for parameters in [usual.as_str(), none, ""] {
        check(pss(RSA_PSS, parameters, Pss::default()), ACCEPTED);
    }
    check(pss(SHA256_MGF1, &usual, Pss::default()), "SOA-01001 xmlsec.signature.schema");
    check(pss(RSA_PSS, &format!("{usual}{usual}"), Pss::default()), "SOA-01001 xmlsec.signature.schema");
    check(
        pss(RSA_PSS, &usual.replace("<m:SaltLength>", "<m:Salt/><m:SaltLength>"), Pss::default()),
        "SOA-01001 xmlsec.signature.schema",
    );
    // Off the list by name, whatever the value is.
    for other in [
        said("http://www.w3.org/2000/09/xmldsig#sha1", "MGF1", "32", "1"),
        said("http://www.w3.org/2001/04/xmlenc#sha512", "MGF1", "32", "1"),
        said(SHA256, "MGF2", "32", "1"),
        said(SHA256, "MGF1", "20", "1"),
        said(SHA256, "MGF1", "0", "1"),
        said(SHA256, "MGF1", "32", "2"),
    ] {
        check(pss(RSA_PSS, &other, Pss::default()), "SOA-01001 wss.algorithm.signature");
    }
    // On the list by name, and the value is made otherwise.
    for other in [
        Pss { hash: openssl::hash::MessageDigest::sha512(), ..Pss::default() },
        Pss { mask: openssl::hash::MessageDigest::sha1(), ..Pss::default() },
        Pss { salt_bytes: 0, ..Pss::default() },
        Pss { salt_bytes: 20, ..Pss::default() },
    ] {
        check(pss(RSA_PSS, &usual, other), "SOA-01001 wss.signature.value");
    }
}

#[test]
fn a_pki_path_brings_its_authorities() {
    let wish = Wish { usage: Use::Ca, ..Wish::default() };
    let mut person = Person::alice();
    person.name = "Sub CA";
    let authority = pki().grant(&person, KeyKind::Rsa, &wish);
    let leaf =
        pki().grant(&Person::alice(), KeyKind::Rsa, &Wish { issuer: Some(&authority), ..Wish::default() });
    let [issuing, root] = pki().authorities();
    let sent = |path: &[&Identity]| Forge::new(&leaf).with_path(path).sign();
    check(Forge::new(&leaf).sign(), "SOA-01001 wss.token.unknown");
    for path in [&[&authority, &leaf][..], &[issuing, &authority, &leaf], &[root, issuing, &authority, &leaf]]
    {
        check(sent(path), ACCEPTED);
    }
    check(sent(&[&leaf]), "SOA-01001 wss.token.unknown");
    let explicit = Forge::new(&leaf).with_path(&[&authority, &leaf]);
    let stated = |kind: &str| {
        let mut forge = Forge { by: &leaf, ..Forge::new(&leaf) };
        forge.envelope = explicit.envelope.clone();
        forge.key_info = forge.key_info.replace("URI=", &format!("ValueType=\"{kind}\" URI="));
        forge.sign()
    };
    check(stated(&X509V3.replace("#X509v3", "#X509PKIPathv1")), ACCEPTED);
    check(stated(X509V3), "SOA-01001 wss.token.value-type");
    // The signer is the last; what does not lead to him, or too much of it, is refused by its form.
    check(sent(&[&leaf, &authority]), "SOA-01001 wss.token.path");
    check(sent(&[&authority, issuing, &leaf]), "SOA-01001 wss.token.path");
    check(sent(&[]), "SOA-01001 wss.token.path");
    check(sent(&[root, root, issuing, &authority, &leaf]), "SOA-01001 wss.token.path");
    let plain = Forge::new(&ALICE).with("#X509v3", "#X509PKIPathv1");
    check(plain.sign(), "SOA-01001 wss.token.path");
    let path_as_certificate =
        Forge::new(&leaf).with_path(&[&authority, &leaf]).with("#X509PKIPathv1", "#X509v3");
    check(path_as_certificate.sign(), "SOA-01001 wss.token.certificate");
}

#[test]
fn our_own_client() {
    for version in [SoapVersion::V11, SoapVersion::V12] {
        for protect_token in [true, false] {
            let options = SignOptions { version, protect_token, ..SignOptions::default() };
            let signed = sign_request(forge_payload(), &ALICE.signer(), now(), &options).expect("signs");
            check(&signed, ACCEPTED);
        }
    }
    let signed = sign_request(forge_payload(), &BOB.signer(), now(), &SignOptions::default()).expect("signs");
    check(&signed, "accepted 0206731645 urn:be:test:bob GetStatusRequest 0123456789ABC");
}

fn forge_payload() -> &'static str {
    "<v1:GetStatusRequest xmlns:v1=\"http://socialsecurity.be/registeredmail/v1\"><v1:Ticket>0123456789ABC</v1:Ticket>\
     </v1:GetStatusRequest>"
}

#[test]
fn children_of_the_header_in_any_order() {
    let forge = Forge::new(&ALICE);
    let token = forge.token();
    let forge = forge.with(&token, "").with("{SIG}", &format!("{{SIG}}{token}"));
    check(forge.sign(), ACCEPTED);
}

#[test]
fn must_understand_and_actor_spellings() {
    for spelling in ["soap:mustUnderstand=\"true\"", "soap:mustUnderstand=\"0\"", "", "soap:actor=\"\""] {
        check(Forge::new(&ALICE).with("soap:mustUnderstand=\"1\"", spelling).sign(), ACCEPTED);
    }
}

#[test]
fn prefix_lists_as_cxf_writes_them() {
    let list = |id: &str, prefixes: &str| {
        Ref::transform(
            id,
            &format!(
                "<ds:Transform Algorithm=\"{EXC}\"><ec:InclusiveNamespaces xmlns:ec=\"{EXC}\" PrefixList=\"{prefixes}\"/>\
                 </ds:Transform>"
            ),
        )
    };
    let mut forge = Forge::new(&ALICE);
    forge.references = vec![list("T", "wsse soap"), Ref::to("B"), list("X", "soap")];
    check(forge.sign(), ACCEPTED);
}

#[test]
fn bare_ids_as_node_soap_writes_them() {
    let forge = Forge::new(&ALICE).with("wsu:Id=\"T\"", "Id=\"T\"").with("wsu:Id=\"B\"", "Id=\"B\"");
    check(forge.sign(), ACCEPTED);
}

#[test]
fn str_transform_covers_the_token() {
    let transform = format!(
        "<ds:Transform Algorithm=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0\
         #STR-Transform\"><wsse:TransformationParameters xmlns:wsse=\"{WSSE}\"><ds:CanonicalizationMethod Algorithm=\"{EXC}\"/>\
         </wsse:TransformationParameters></ds:Transform>"
    );
    let mut forge = Forge::new(&ALICE);
    forge.references.push(Ref::transform("STR", &transform));
    let must = |policy: &mut soap::wss::Policy<'_>| policy.token_signed = true;
    check_in(forge.sign(), &Setting { policy: Some(&must), ..Setting::default() }, ACCEPTED);
}

#[test]
fn wrapped_base64_with_carriage_returns() {
    let forge = Forge::new(&ALICE);
    let text = ALICE.base64();
    let wrapped: String =
        text.as_bytes().chunks(76).map(|line| format!("{}&#13;\n", String::from_utf8_lossy(line))).collect();
    check(forge.with(&text, &wrapped).sign(), ACCEPTED);
}

#[test]
fn certificates_in_key_info() {
    let certificate = ALICE.base64();
    let identifier = format!(
        "{STR}<wsse:KeyIdentifier ValueType=\"{X509V3}\">{certificate}</wsse:KeyIdentifier>{STR_END}"
    );
    check(Forge::new(&ALICE).named(&identifier).sign(), ACCEPTED);
    let data = format!(
        "{STR}<ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data>{STR_END}"
    );
    check(Forge::new(&ALICE).named(&data).sign(), ACCEPTED);
}

#[test]
fn row_41_bare_names_mean_the_candidates_only() {
    let ski = ALICE.certificate.subject_key_id().map(|id| openssl::base64::encode_block(id.as_slice()));
    let ski = ski.expect("a SKI");
    let sha1 = openssl::hash::hash(openssl::hash::MessageDigest::sha1(), &ALICE.der()).expect("digest");
    let thumbprint = openssl::base64::encode_block(&sha1);
    let serial = ALICE.certificate.serial_number().to_bn().and_then(|n| n.to_dec_str()).expect("a number");
    let profile = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0";
    let names = [
        format!(
            "<wsse:KeyIdentifier ValueType=\"{profile}#X509SubjectKeyIdentifier\">{ski}</wsse:KeyIdentifier>"
        ),
        format!("<ds:X509Data><ds:X509SKI>{ski}</ds:X509SKI></ds:X509Data>"),
        format!(
            "<wsse:KeyIdentifier ValueType=\"http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1\
             #ThumbprintSHA1\">{thumbprint}</wsse:KeyIdentifier>"
        ),
        format!(
            "<ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName>CN=Test Issuing CA, OU=CAs, O=\"Test, NV\", \
             C=BE</ds:X509IssuerName><ds:X509SerialNumber>{serial}</ds:X509SerialNumber></ds:X509IssuerSerial>\
             </ds:X509Data>"
        ),
    ];
    for name in names {
        let message = Forge::new(&ALICE).named(&format!("{STR}{name}{STR_END}")).sign();
        let known = |candidates| Setting { candidates, ..Setting::default() };
        check_in(&message, &known(vec![BOB.read(), ALICE.read()]), ACCEPTED);
        check_in(&message, &known(vec![BOB.read()]), "SOA-01001 wss.token.unresolved");
        check_in(&message, &known(vec![]), "SOA-01001 wss.token.unresolved");
    }
}

#[test]
fn row_30_spellings_that_keep_the_infoset() {
    let message = Forge::new(&ALICE).sign();
    check(message.replace("0123456789ABC", "<![CDATA[01234]]>56789&#x41;BC"), ACCEPTED);
    check(message.replace("<v1:Ticket>", "<v1:Ticket >"), ACCEPTED);
    check(message.replace("wsu:Id=\"B\"", "wsu:Id='B'"), ACCEPTED);
    check(format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<!-- c -->{message}\n"), ACCEPTED);
}

#[test]
fn xop_includes_of_digest_and_token_are_expanded() {
    let forge = Forge::new(&ALICE);
    let text = ALICE.base64();
    let include = "<xop:Include xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:t%40x\"/>";
    let message = forge.sign().replace(&text, include);
    let setting =
        Setting { parts: vec![("t@x", ALICE.der())], rules: Rules::default(), ..Setting::default() };
    check_in(&message, &setting, ACCEPTED);
    check(&message, "SOA-03004 xop.include.missing");
}

#[test]
fn addressing_is_taken_when_signed() {
    let wsa = "http://www.w3.org/2005/08/addressing";
    let blocks = format!(
        "<wsa:To xmlns:wsa=\"{wsa}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"To\">https://epost/RegisteredMail/v1</wsa:To>\
         <wsa:ReplyTo xmlns:wsa=\"{wsa}\"><wsa:Address>{wsa}/anonymous</wsa:Address></wsa:ReplyTo></soap:Header>"
    );
    let mut forge = Forge::new(&ALICE).with("</soap:Header>", &blocks);
    check(forge.sign(), "SOA-01001 wsa.unsigned");
    forge.references.push(Ref::to("To"));
    check(forge.sign(), ACCEPTED);
    let ours = ["https://other/".to_owned()];
    let policy = |policy: &mut soap::wss::Policy<'_>| policy.addresses = Box::leak(Box::new(ours.clone()));
    check_in(forge.sign(), &Setting { policy: Some(&policy), ..Setting::default() }, "SOA-01001 wsa.to");
    let elsewhere = forge.sign().replace(&format!("{wsa}/anonymous"), "http://evil/");
    check(elsewhere, "SOA-01001 wsa.reply");
}

#[test]
fn a_signed_answer_is_verified_by_the_client() {
    let options = SignOptions::answer(SoapVersion::V11);
    let signed = sign_request(forge_payload(), &BOB.signer(), now(), &options).expect("signs");
    let rules = Rules::answer();
    let envelope = soap::envelope::Envelope::parse(signed.clone(), &|_| None, &rules).expect("an envelope");
    let anchors = pki().anchors(&[]);
    let policy = soap::wss::Policy::new(&anchors, pki::path::Revocation::NotChecked, now());
    let answer = soap::wss::client::verify_answer(&envelope, &policy).expect("verifies");
    assert_eq!(answer.content.local_name(), "GetStatusRequest");
    assert_eq!(answer.path.leaf().der(), BOB.der());
    let flipped = String::from_utf8(signed).expect("text").replace("0123456789ABC", "0123456789ABD");
    let envelope =
        soap::envelope::Envelope::parse(flipped.into_bytes(), &|_| None, &rules).expect("an envelope");
    let refused = soap::wss::client::verify_answer(&envelope, &policy).map(|_| ()).map_err(|r| r.code());
    assert_eq!(refused, Err("wss.signature.digest"));
}
