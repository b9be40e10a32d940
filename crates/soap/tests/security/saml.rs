//! Row 88: SAML assertions. Each is made right, changed in one place, signed by the token service, and carried by alice's message.

use crate::kit::*;
use openssl::hash::{MessageDigest, hash};
use openssl::sign::Signer;
use soap::wss::Policy;
use soap::wss::saml::{ASSERTION_ID_11, ASSERTION_ID_20, Rules as SamlRules, SAML_11, SAML_20, TokenService};
use std::sync::LazyLock;
use xmlsec::c14n::{Method, canonicalize};
use xmlsec::{Document, Limits};

/// Accepted, and for whom.
const TAKEN: &str = "accepted 0244640631 urn:be:test:alice GetStatusRequest 0123456789ABC for person-1";
const ISSUER: &str = "https://sts.example/";
const AUDIENCE: &str = "https://epost.example/";

static STS: LazyLock<Identity> = LazyLock::new(|| self_signed(&Person::bob()));
static ROGUE: LazyLock<Identity> = LazyLock::new(|| self_signed(&Person::bob()));

/// An assertion before it is signed: `{SIG}` where the signature goes.
struct Saml {
    text: String,
    id_attribute: &'static str,
    by: &'static Identity,
    transforms: String,
    /// What the Reference names.
    uri: String,
}

fn key_info(of: &Identity) -> String {
    format!(
        "<ds:KeyInfo xmlns:ds=\"{DS}\"><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
        of.base64()
    )
}

impl Saml {
    fn made(text: String, id_attribute: &'static str) -> Self {
        let transforms = format!(
            "<ds:Transform Algorithm=\"{DS}enveloped-signature\"/><ds:Transform Algorithm=\"{EXC}\"/>"
        );
        Self { text, id_attribute, by: &STS, transforms, uri: "#A".to_owned() }
    }

    fn v2() -> Self {
        let confirmation = format!(
            "<s:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:holder-of-key\"><s:SubjectConfirmationData>{}\
             </s:SubjectConfirmationData></s:SubjectConfirmation>",
            key_info(&ALICE)
        );
        let text = format!(
            "<s:Assertion xmlns:s=\"{SAML_20}\" ID=\"A\" Version=\"2.0\" IssueInstant=\"2026-03-01T11:50:00Z\"><s:Issuer>{ISSUER}</s:Issuer>\
             {{SIG}}<s:Subject><s:NameID>person-1</s:NameID>{confirmation}</s:Subject><s:Conditions NotBefore=\"2026-03-01T11:50:00Z\" \
             NotOnOrAfter=\"2026-03-01T12:30:00Z\"><s:AudienceRestriction><s:Audience>{AUDIENCE}</s:Audience></s:AudienceRestriction>\
             </s:Conditions><s:AuthnStatement AuthnInstant=\"2026-03-01T11:50:00Z\"/></s:Assertion>"
        );
        Self::made(text, "ID")
    }

    fn v1() -> Self {
        let subject = format!(
            "<s:Subject><s:NameIdentifier>person-1</s:NameIdentifier><s:SubjectConfirmation><s:ConfirmationMethod>\
             urn:oasis:names:tc:SAML:1.0:cm:holder-of-key</s:ConfirmationMethod>{}</s:SubjectConfirmation></s:Subject>",
            key_info(&ALICE)
        );
        let text = format!(
            "<s:Assertion xmlns:s=\"{SAML_11}\" AssertionID=\"A\" MajorVersion=\"1\" MinorVersion=\"1\" Issuer=\"{ISSUER}\" \
             IssueInstant=\"2026-03-01T11:50:00Z\"><s:Conditions NotBefore=\"2026-03-01T11:50:00Z\" NotOnOrAfter=\"2026-03-01T12:30:00Z\">\
             <s:AudienceRestrictionCondition><s:Audience>{AUDIENCE}</s:Audience></s:AudienceRestrictionCondition></s:Conditions>\
             <s:AttributeStatement>{subject}<s:Attribute AttributeName=\"a\" AttributeNamespace=\"b\"/></s:AttributeStatement>{{SIG}}\
             </s:Assertion>"
        );
        Self::made(text, "AssertionID")
    }

    #[track_caller]
    fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "nothing to replace: {from}");
        self.text = self.text.replacen(from, to, 1);
        self
    }

    fn signed_by(mut self, by: &'static Identity) -> Self {
        self.by = by;
        self
    }

    /// The assertion, signed.
    fn sign(&self) -> String {
        let octets = canonical(&self.text.replace("{SIG}", ""));
        let digest =
            openssl::base64::encode_block(&hash(MessageDigest::sha256(), &octets).expect("a digest"));
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{EXC}\"/><ds:SignatureMethod \
             Algorithm=\"{RSA_SHA256}\"/><ds:Reference URI=\"{}\"><ds:Transforms>{}</ds:Transforms><ds:DigestMethod Algorithm=\"{SHA256}\"/>\
             <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
            self.uri, self.transforms
        );
        let mut signer = Signer::new(MessageDigest::sha256(), &self.by.key).expect("a signer");
        let value =
            openssl::base64::encode_block(&signer.sign_oneshot_to_vec(&canonical(&info)).expect("a value"));
        let signature = format!(
            "<ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue>{}</ds:Signature>",
            key_info(self.by)
        );
        self.text.replace("{SIG}", &signature)
    }

    fn identifier(&self) -> String {
        let kind = if self.id_attribute == "ID" { ASSERTION_ID_20 } else { ASSERTION_ID_11 };
        format!(
            "<wsse:SecurityTokenReference><wsse:KeyIdentifier ValueType=\"{kind}\">A</wsse:KeyIdentifier></wsse:SecurityTokenReference>"
        )
    }
}

fn canonical(xml: &str) -> Vec<u8> {
    let document = Document::parse(xml.as_bytes().to_vec(), &Limits::default()).expect(xml);
    let mut octets = Vec::new();
    canonicalize(document.root(), &Method::exclusive_with([]), &mut octets).expect("canonical");
    octets
}

/// alice's message with this assertion in its header, KeyInfo naming it.
fn carrying(assertion: &str, saml: &Saml) -> String {
    Forge::new(&ALICE).named(&saml.identifier()).with("{SIG}", &format!("{assertion}{{SIG}}")).sign()
}

#[track_caller]
fn judged(message: &str, tls: &Identity, expected: &str) {
    judged_by(message, tls, vec![STS.read()], expected);
}

/// By a token service of these certificates.
#[track_caller]
fn judged_by(
    message: &str,
    tls: &Identity,
    certificates: Vec<pki::certificate::Certificate>,
    expected: &str,
) {
    let services = [TokenService { issuer: ISSUER.to_owned(), certificates, audience: AUDIENCE.to_owned() }];
    let services: &'static [TokenService] = Box::leak(Box::new(services));
    let tls: &'static pki::certificate::Certificate = Box::leak(Box::new(tls.read()));
    let policy = |policy: &mut Policy<'_>| policy.saml = Some(SamlRules { services, tls });
    check_in(message, &Setting { policy: Some(&policy), ..Setting::default() }, expected);
}

#[track_caller]
fn told(saml: Saml, expected: &str) {
    judged(&carrying(&saml.sign(), &saml), &ALICE, expected);
}

#[test]
fn assertions_of_both_versions_are_taken() {
    for saml in [Saml::v1(), Saml::v2()] {
        let assertion = saml.sign();
        judged(&carrying(&assertion, &saml), &ALICE, TAKEN);
        // Beside a certificate that KeyInfo names: the same key, confirmed.
        let beside = Forge::new(&ALICE).with("{SIG}", &format!("{assertion}{{SIG}}")).sign();
        judged(&beside, &ALICE, TAKEN);
    }
    let saml = Saml::v2();
    let reference = "<wsse:SecurityTokenReference><wsse:Reference URI=\"#A\"/></wsse:SecurityTokenReference>";
    let message =
        Forge::new(&ALICE).named(reference).with("{SIG}", &format!("{}{{SIG}}", saml.sign())).sign();
    judged(&message, &ALICE, TAKEN);
    let once = Saml::v2().with("</s:Conditions>", "<s:OneTimeUse/></s:Conditions>");
    told(once, TAKEN);
    told(Saml::v1().with("</s:Conditions>", "<s:DoNotCacheCondition/></s:Conditions>"), TAKEN);
    let data = "<s:SubjectConfirmationData>";
    told(Saml::v2().with(data, "<s:SubjectConfirmationData NotOnOrAfter=\"2026-03-01T12:10:00Z\">"), TAKEN);
}

#[test]
fn row_88_without_a_token_service_no_assertion_is_read() {
    for saml in [Saml::v1(), Saml::v2()] {
        check(carrying(&saml.sign(), &saml), "SOA-01001 wss.header.content");
    }
}

#[test]
fn row_88_unsigned_foreign_or_changed() {
    for made in [Saml::v1, Saml::v2] {
        let saml = made();
        let signed = saml.sign();
        let unsigned = saml.text.replace("{SIG}", "");
        judged(&carrying(&unsigned, &saml), &ALICE, "SOA-01001 wss.assertion.form");
        told(made().signed_by(&ROGUE), "SOA-01001 wss.saml.signature");
        told(made().with(ISSUER, "https://other.example/"), "SOA-01001 wss.saml.issuer");
        for (from, to) in [
            ("person-1", "person-2"),
            ("12:30:00Z", "12:40:00Z"),
            ("</s:Audience>", "/x</s:Audience><s:Audience>https://epost.example/</s:Audience>"),
        ] {
            judged(&carrying(&signed.replacen(from, to, 1), &saml), &ALICE, "SOA-01001 wss.saml.signature");
        }
        // alice has herself confirmed in an assertion about somebody else's key.
        let other =
            made().with(&key_info(&ALICE), &key_info(&BOB)).sign().replace(&BOB.base64(), &ALICE.base64());
        judged(&carrying(&other, &saml), &ALICE, "SOA-01001 wss.saml.signature");
        let mut bare = made();
        bare.transforms = format!("<ds:Transform Algorithm=\"{EXC}\"/>");
        told(bare, "SOA-01001 wss.saml.signature");
        let mut elsewhere = made();
        elsewhere.uri = "#T".to_owned();
        told(elsewhere, "SOA-01001 wss.saml.signature");
    }
}

#[test]
fn row_88_a_token_services_certificate_has_its_time() {
    for (not_before, not_after, expected) in [
        ("20260301120000Z", "20350101000000Z", TAKEN),
        ("20260301120001Z", "20350101000000Z", "SOA-01001 wss.saml.signature"),
        ("20200101000000Z", "20260301120000Z", TAKEN),
        ("20200101000000Z", "20260301115959Z", "SOA-01001 wss.saml.signature"),
    ] {
        let service = self_signed(&Person { not_before, not_after, ..Person::bob() });
        let certificate = service.read();
        let saml = Saml::v2().signed_by(Box::leak(Box::new(service)));
        let message = carrying(&saml.sign(), &saml);
        judged_by(&message, &ALICE, vec![certificate.clone()], expected);
        // Its successor beside it: whichever signed is the one whose time counts.
        judged_by(&message, &ALICE, vec![STS.read(), certificate], expected);
    }
}

#[test]
fn row_88_wrapped_assertions() {
    for made in [Saml::v1, Saml::v2] {
        let saml = made();
        let signed = saml.sign();
        let start = signed.find("<ds:Signature ").expect("a signature");
        let end = signed.find("</ds:Signature>").expect("a signature") + "</ds:Signature>".len();
        let signature = &signed[start..end];
        let evil = |id: &str| {
            saml.text
                .replace("{SIG}", "")
                .replace("person-1", "evil")
                .replace("=\"A\"", &format!("=\"{id}\""))
        };
        let into =
            |outer: &str, inner: &str| outer.replacen("</s:Assertion>", &format!("{inner}</s:Assertion>"), 1);
        let carried = |assertions: &str, id: &str| {
            let identifier = saml.identifier().replace(">A<", &format!(">{id}<"));
            Forge::new(&ALICE).named(&identifier).with("{SIG}", &format!("{assertions}{{SIG}}")).sign()
        };
        // The signed one within the evil one; its signature within the evil one; the signed one within that signature.
        judged(&carried(&into(&evil("E"), &signed), "E"), &ALICE, "SOA-01001 wss.assertion.form");
        judged(&carried(&into(&evil("E"), signature), "E"), &ALICE, "SOA-01001 wss.saml.signature");
        let object =
            signature.replace("</ds:Signature>", &format!("<ds:Object>{signed}</ds:Object></ds:Signature>"));
        judged(&carried(&into(&evil("E"), &object), "E"), &ALICE, "SOA-01001 wss.saml.signature");
        // Both of one id; both beside each other; the signed one in another header, the evil one here.
        judged(&carried(&into(&evil("A"), &object), "A"), &ALICE, "SOA-01001 wss.id.duplicate");
        judged(&carried(&format!("{}{signed}", evil("E")), "E"), &ALICE, "SOA-01001 wss.header.repeated");
        let header = format!("<x:W xmlns:x=\"urn:x\">{signed}</x:W></soap:Header>");
        let beside = carried(&into(&evil("E"), signature), "E");
        let beside = beside.replacen(signature, "", 1).replace("</soap:Header>", &header);
        judged(&beside, &ALICE, "SOA-01001 wss.assertion.form");
        // What is signed is read in place, with what was put around it.
        judged(
            &carried(&format!("<x:W xmlns:x=\"urn:x\">{signed}</x:W>"), "A"),
            &ALICE,
            "SOA-01001 wss.header.content",
        );
    }
}

#[test]
fn row_88_a_key_that_is_not_the_senders() {
    for made in [Saml::v1, Saml::v2] {
        // Stolen: bob signs with his own key, naming alice's assertion; or signs by his certificate beside it.
        let saml = made();
        let assertion = saml.sign();
        let named = Forge::new(&BOB).named(&saml.identifier());
        let mut named = named.with("{SIG}", &format!("{assertion}{{SIG}}"));
        judged(&named.sign(), &BOB, "SOA-01001 wss.signature.value");
        named.method = RSA_SHA256.to_owned();
        judged(&named.sign(), &BOB, "SOA-01001 wss.signature.value");
        let beside = Forge::new(&BOB).with("{SIG}", &format!("{assertion}{{SIG}}")).sign();
        judged(&beside, &BOB, "SOA-01001 wss.saml.key");
        judged(&beside, &ALICE, "SOA-01001 wss.saml.key");
        // Over another's connection.
        judged(&carrying(&assertion, &saml), &BOB, "SOA-01001 wss.saml.key");
        // Another token beside it.
        let forge = Forge::new(&ALICE).with(&ALICE.base64(), &BOB.base64());
        let mut two = forge.with("{SIG}", &format!("{assertion}{{SIG}}"));
        two.key_info = saml.identifier();
        judged(&two.sign(), &ALICE, "SOA-01001 wss.token.several");
        // A confirmed key whose certificate no authority of ours issued.
        let stranger: &'static Identity = Box::leak(Box::new(self_signed(&Person::alice())));
        let saml = made().with(&key_info(&ALICE), &key_info(stranger));
        let forge = Forge::new(stranger).named(&saml.identifier());
        let message = forge.with("{SIG}", &format!("{}{{SIG}}", saml.sign())).sign();
        judged(&message, stranger, "SOA-01001 wss.token.unknown");
    }
}

#[test]
fn row_88_bearer_and_other_confirmations() {
    for (made, holder) in [
        (Saml::v1 as fn() -> Saml, "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key"),
        (Saml::v2, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"),
    ] {
        for method in ["bearer", "sender-vouches", "artifact", ""] {
            let other = format!("{}{method}", holder.trim_end_matches("holder-of-key"));
            told(made().with(holder, &other), "SOA-01001 wss.assertion.confirmation");
        }
        let key = key_info(&ALICE);
        told(made().with(&key, ""), "SOA-01001 wss.assertion.form");
        told(made().with(&key, &key.repeat(2)), "SOA-01001 wss.assertion.form");
        told(
            made().with("<ds:X509Data>", "<ds:KeyName>alice</ds:KeyName><ds:X509Data>"),
            "SOA-01001 wss.assertion.form",
        );
        let value = "<ds:KeyValue><ds:RSAKeyValue/></ds:KeyValue>";
        let bare = format!("<ds:KeyInfo xmlns:ds=\"{DS}\">{value}</ds:KeyInfo>");
        told(made().with(&key, &bare), "SOA-01001 wss.assertion.form");
    }
    let confirmation = "</s:SubjectConfirmation>";
    let bearer = "<s:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"/>";
    told(Saml::v2().with(confirmation, &format!("{confirmation}{bearer}")), "SOA-01001 wss.assertion.form");
    for bound in ["Recipient=\"https://other.example/\"", "InResponseTo=\"R\"", "Address=\"10.0.0.7\""] {
        let data = format!("<s:SubjectConfirmationData {bound}>");
        told(Saml::v2().with("<s:SubjectConfirmationData>", &data), "SOA-01001 wss.assertion.form");
    }
}

#[test]
fn row_88_time_audience_and_conditions() {
    for made in [Saml::v1, Saml::v2] {
        let until = |end: &str| made().with("2026-03-01T12:30:00Z", end);
        told(until("2026-03-01T11:59:01Z"), TAKEN);
        told(until("2026-03-01T11:59:00Z"), "SOA-01001 wss.assertion.time");
        told(made().with("NotBefore=\"2026-03-01T11:50:00Z\"", "NotBefore=\"2026-03-01T12:01:00Z\""), TAKEN);
        told(
            made().with("NotBefore=\"2026-03-01T11:50:00Z\"", "NotBefore=\"2026-03-01T12:01:01Z\""),
            "SOA-01001 wss.assertion.time",
        );
        told(made().with(" NotOnOrAfter=\"2026-03-01T12:30:00Z\"", ""), "SOA-01001 wss.assertion.form");
        told(until("2026-03-01T13:30:00+01:00"), "SOA-01001 wss.assertion.form");
        told(made().with(AUDIENCE, "https://other.example/"), "SOA-01001 wss.assertion.audience");
        told(made().with(AUDIENCE, &format!("{AUDIENCE}x")), "SOA-01001 wss.assertion.audience");
        let several = format!("https://other.example/</s:Audience><s:Audience>{AUDIENCE}");
        told(made().with(AUDIENCE, &several), TAKEN);
        told(
            made().with("</s:Conditions>", "<s:Condition/></s:Conditions>"),
            "SOA-01001 wss.assertion.condition",
        );
        told(made().with("</s:Conditions>", "</s:Conditions><s:Advice/>"), "SOA-01001 wss.assertion.form");
    }
    let restriction =
        format!("<s:AudienceRestriction><s:Audience>{AUDIENCE}</s:Audience></s:AudienceRestriction>");
    told(Saml::v2().with(&restriction, ""), "SOA-01001 wss.assertion.audience");
    let second = restriction.replace(AUDIENCE, "https://other.example/");
    told(
        Saml::v2().with(&restriction, &format!("{restriction}{second}")),
        "SOA-01001 wss.assertion.audience",
    );
    let data = "<s:SubjectConfirmationData NotOnOrAfter=\"2026-03-01T11:58:00Z\">";
    told(Saml::v2().with("<s:SubjectConfirmationData>", data), "SOA-01001 wss.assertion.time");
    told(Saml::v2().with("Version=\"2.0\"", "Version=\"2.1\""), "SOA-01001 wss.assertion.form");
    told(Saml::v1().with("MinorVersion=\"1\"", "MinorVersion=\"0\""), "SOA-01001 wss.assertion.form");
    let encrypted = Saml::v2().with("<s:NameID>person-1</s:NameID>", "<s:EncryptedID/>");
    told(encrypted, "SOA-01001 wss.assertion.form");
    // A comment splits the name: what is read is the whole of it, as it was signed.
    told(Saml::v2().with("person-1", "person-1<!-- -->.evil"), &format!("{TAKEN}.evil"));
}
