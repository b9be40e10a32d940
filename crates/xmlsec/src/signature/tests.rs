use pki::digest::{Digest, DigestAlgorithm, Hasher};
use pki::signer::{FileSigner, Signer};

use super::*;
use crate::c14n::Sink;
use crate::{Document, Element, Limits, base64, namespace};

const WSSE: &str = namespace::WSSE;
const WSU: &str = namespace::WSU;
const SIGNATURE_SLOT: &str = "<!--signature-->";

fn signer() -> FileSigner {
    FileSigner::from_pem(
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test/alice.key")),
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test/alice.crt")),
    )
    .unwrap()
}

fn parse(source: &str) -> Document {
    Document::parse(source, &Limits::default()).unwrap()
}

fn envelope() -> String {
    format!(
        "<s:Envelope xmlns:s='urn:s' xmlns:wsu='{WSU}' xmlns:x='urn:unused'><s:Header>\
         <wsse:Security xmlns:wsse='{WSSE}'><wsu:Timestamp wsu:Id='TS'>now</wsu:Timestamp>\
         <wsse:BinarySecurityToken wsu:Id='T'>QUJD</wsse:BinarySecurityToken>\
         {SIGNATURE_SLOT}</wsse:Security></s:Header><s:Body wsu:Id='B'><x:a b='1'>t</x:a></s:Body></s:Envelope>"
    )
}

fn by_id<'d>(document: &'d Document, id: &str) -> Element<'d> {
    crate::ids::Ids::collect(document).unwrap().resolve(id).unwrap().0
}

/// The envelope, Timestamp and Body signed.
fn signed() -> String {
    let envelope = envelope();
    let document = parse(&envelope);
    let over = |id, prefixes: &[&str]| {
        SigningReference::over(by_id(&document, id), id, prefixes, DigestAlgorithm::Sha256).unwrap()
    };
    let references = [over("TS", &["s", "#default"]), over("B", &[])];
    let signed = sign(&references, Some("<k>who</k>"), &signer()).unwrap();
    envelope.replace(SIGNATURE_SLOT, &signed.xml)
}

fn signature_of(document: &Document) -> Result<Signature<'_>, SignatureError> {
    let found = document.root().descendants_and_self().find(|element| element.is(namespace::DS, "Signature"));
    Signature::parse(found.unwrap())
}

/// Signs SignedInfo as it stands in the text anew, so that what is wrong with a reference is what is seen.
fn resigned(source: &str) -> String {
    let document = parse(source);
    let Ok(signature) = signature_of(&document) else { return source.to_owned() };
    let Ok(bytes) = signature.canonical_signed_info() else { return source.to_owned() };
    let value = base64::encode(&signer().sign(&bytes).unwrap());
    source.replace(&base64::encode(signature.value()), &value)
}

fn verdict(source: &str, profile: &Profile) -> String {
    let document = parse(source);
    let signer = signer();
    let verified = signature_of(&document).and_then(|signature| {
        let key = signer.certificate().public_key();
        verify(&document, &signature, key, profile)
            .map(|verified| verified.elements().iter().map(|e| e.local_name()).collect::<Vec<_>>().join(" "))
    });
    verified.unwrap_or_else(|error| error.code().to_owned())
}

#[track_caller]
fn check(change: impl FnOnce(String) -> String, expected: &str) {
    let before = signed();
    let changed = change(before.clone());
    assert_ne!(changed, before, "nothing changed");
    assert_eq!(verdict(&resigned(&changed), &Profile::service()), expected, "{changed}");
}

fn replace(from: &'static str, to: &'static str) -> impl FnOnce(String) -> String {
    move |source| source.replacen(from, to, 1)
}

#[test]
fn what_we_sign_we_accept() {
    assert_eq!(verdict(&signed(), &Profile::service()), "Timestamp Body");
}

#[test]
fn canonical_signed_info_is_what_was_signed_and_verifies_from_the_archive() {
    let envelope = envelope();
    let document = parse(&envelope);
    let reference =
        SigningReference::over(by_id(&document, "B"), "B", &["s"], DigestAlgorithm::Sha512).unwrap();
    let signer = signer();
    let made = sign(&[reference], None, &signer).unwrap();
    let whole = envelope.replace(SIGNATURE_SLOT, &made.xml);
    let document = parse(&whole);
    let signature = signature_of(&document).unwrap();
    assert_eq!(signature.canonical_signed_info().unwrap(), made.signed_info);

    let key = signer.certificate().public_key();
    let archived = verify_archived(&made.signed_info, &made.value, key).unwrap();
    assert_eq!(archived.references[0].uri, "#B");
    assert_eq!(archived.references[0].value, signature.references()[0].value);
    let mut damaged = made.signed_info.clone();
    *damaged.last_mut().unwrap() = b' ';
    assert_eq!(verify_archived(&damaged, &made.value, key).unwrap_err().code(), "xml.tag.unterminated");
    let other = String::from_utf8(made.signed_info.clone()).unwrap().replace("#B", "#C");
    assert_eq!(
        verify_archived(other.as_bytes(), &made.value, key).unwrap_err().code(),
        "xmlsec.signature.value"
    );
    let spaced = String::from_utf8(made.signed_info).unwrap().replace("<ds:SignedInfo ", "<ds:SignedInfo  ");
    assert_eq!(
        verify_archived(spaced.as_bytes(), &made.value, key).unwrap_err().code(),
        "xmlsec.archive.not-canonical"
    );
}

#[test]
fn spellings_that_keep_the_infoset_are_accepted() {
    let spelled = signed()
        .replace("<x:a b='1'>t</x:a>", "<x:a  b = \"&#49;\" ><![CDATA[t]]><!--unsigned--></x:a >")
        .replace("</ds:SignatureValue>", "&#13;\n</ds:SignatureValue>")
        .replace("<ds:SignedInfo>", "<ds:SignedInfo\n>");
    assert_eq!(verdict(&spelled, &Profile::service()), "Timestamp Body");
}

#[test]
fn tampering_is_seen() {
    let unsigned_again = |change: &dyn Fn(String) -> String| verdict(&change(signed()), &Profile::service());
    for (from, to) in [("b='1'", "b='2'"), (">now<", ">then<"), ("<x:a ", "<x:c/><x:a "), ("'>t</", "'> t</")]
    {
        let answer = unsigned_again(&|source| source.replacen(from, to, 1));
        assert_eq!(answer, "xmlsec.reference.digest-mismatch", "{from}");
    }
    let answer = unsigned_again(&|source| source.replace("<ds:SignedInfo>", "<ds:SignedInfo Id='i'>"));
    assert_eq!(answer, "xmlsec.signature.value");
    let answer = unsigned_again(&|source| {
        let start = source.find("<ds:SignatureValue>").unwrap() + "<ds:SignatureValue>".len();
        let end = source.find("</ds:SignatureValue>").unwrap();
        source.replace(&source[start..end], &base64::encode(&[1; 256]))
    });
    assert_eq!(answer, "xmlsec.signature.value");
}

/// Rows 5, 15 to 20, 22, 23, 31 to 33 of the table of attacks, and the schema.
#[test]
fn references_and_algorithms_off_the_list_are_refused() {
    let exclusive = "Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform>";
    check(replace("#B\"", "\""), "xmlsec.reference.uri");
    check(replace(" URI=\"#B\"", ""), "xmlsec.reference.uri");
    for uri in
        ["#xpointer(id('B'))", "#%42", "http://127.0.0.1:1/", "cid:B", "file:///etc/passwd", "# B", "#"]
    {
        check(|source| source.replace("\"#B\"", &format!("\"{uri}\"")), "xmlsec.reference.uri");
    }
    check(replace("#B\"", "#C\""), "xmlsec.reference.dangling");
    check(replace("#B\"", "#TS\""), "xmlsec.reference.twice");
    check(replace("<x:a b='1'", "<x:a ID='B' b='1'"), "xmlsec.id.duplicate");
    check(replace("<x:a b='1'", "<x:a xml:id='B' b='1'"), "xmlsec.id.duplicate");
    check(replace("<x:a b='1'", "<x:a s:AssertionID='TS' b='1'"), "xmlsec.id.duplicate");
    check(replace("wsu:Id='B'", "ID='B'"), "xmlsec.reference.dangling");
    check(replace("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1"), "xmlsec.algorithm.digest");
    check(replace("xmldsig-more#rsa-sha256", "xmldsig-more#hmac-sha256"), "xmlsec.algorithm.signature");
    check(
        replace("2001/10/xml-exc-c14n#", "TR/2001/REC-xml-c14n-20010315"),
        "xmlsec.algorithm.canonicalization",
    );
    check(
        replace("2001/10/xml-exc-c14n#", "2001/10/xml-exc-c14n#WithComments"),
        "xmlsec.algorithm.canonicalization",
    );
    check(
        |source| source.replace(exclusive, "Transform Algorithm=\"http://www.w3.org/2006/12/xml-c14n11\"/>"),
        "xmlsec.algorithm.transform",
    );
    check(
        |source| {
            source.replace(exclusive, "Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>1</ds:XPath></ds:Transform>")
        },
        "xmlsec.algorithm.transform",
    );
    check(
        |source| source.replace(exclusive, &format!("{exclusive}<ds:{exclusive}")),
        "xmlsec.signature.too-many",
    );
    check(
        |source| source.replace(exclusive, &format!("{}{exclusive}", format!("{exclusive}<ds:").repeat(4))),
        "xmlsec.signature.too-many",
    );
    check(
        |source| source.replace(&format!("<ds:Transforms><ds:{exclusive}</ds:Transforms>"), ""),
        "xmlsec.reference.canonicalization-missing",
    );
    check(
        replace("PrefixList=\"s #default\"", "PrefixList=\"a b c d e f g h i j k l m n o p q\""),
        "xmlsec.signature.too-many",
    );
    check(replace("PrefixList=\"s #default\"", "PrefixList=\"s:t\""), "xmlsec.c14n.prefix-list");
    check(replace("<ds:DigestValue>", "<ds:DigestValue>AA"), "xmlsec.signature.base64");
    check(
        |source| edit_between(&source, "<ds:DigestValue>", "</ds:DigestValue>", |_| String::new()),
        "xmlsec.reference.digest-length",
    );
    check(
        |source| edit_between(&source, "<ds:DigestValue>", "</ds:DigestValue>", |_| "QUJD".to_owned()),
        "xmlsec.reference.digest-length",
    );
    check(replace("<ds:DigestValue>", "<ds:DigestValue><!--x-->"), "xmlsec.signature.comment");
    check(replace("<ds:KeyInfo>", "<?p?><ds:KeyInfo>"), "xmlsec.signature.comment");
    check(replace("</ds:Signature>", "<ds:Object/></ds:Signature>"), "xmlsec.signature.object");
    check(
        |source| {
            edit_between(&source, "<ds:Reference URI=\"#B\">", "</ds:SignedInfo>", |inside| {
                format!("{inside}{}", format!("<ds:Reference URI=\"#B\">{inside}").repeat(15))
            })
        },
        "xmlsec.signature.too-many",
    );
}

fn edit_between(source: &str, start: &str, end: &str, edit: impl FnOnce(&str) -> String) -> String {
    let from = source.find(start).unwrap() + start.len();
    let to = from + source[from..].find(end).unwrap();
    format!("{}{}{}", &source[..from], edit(&source[from..to]), &source[to..])
}

#[test]
fn the_schema_is_kept_to_the_letter() {
    let schema = "xmlsec.signature.schema";
    let again = |start: &'static str, end: &'static str| {
        move |source: String| {
            let from = source.find(start).unwrap();
            let to = from + source[from..].find(end).unwrap() + end.len();
            format!("{}{}{}", &source[..to], &source[from..to], &source[to..])
        }
    };
    check(again("<ds:SignedInfo>", "</ds:SignedInfo>"), schema);
    check(again("<ds:SignatureValue>", "</ds:SignatureValue>"), schema);
    check(again("<ds:DigestValue>", "</ds:DigestValue>"), schema);
    check(again("<ds:DigestMethod", "</ds:DigestMethod>"), schema);
    check(again("<ds:KeyInfo>", "</ds:KeyInfo>"), schema);
    check(again("<ds:SignatureMethod", "</ds:SignatureMethod>"), schema);
    check(replace("<ds:SignedInfo>", "x<ds:SignedInfo>"), schema);
    check(replace("<ds:SignedInfo>", "<ds:SignedInfo foo=''>"), schema);
    check(replace("<ds:SignedInfo>", "<ds:SignedInfo><k/>"), schema);
    check(replace("<ds:Reference URI=\"#B\">", "<ds:Reference URI=\"#B\" s:URI=\"#TS\">"), schema);
    check(replace("</ds:DigestMethod>", "x</ds:DigestMethod>"), schema);
    check(
        replace("</ds:SignatureMethod>", "<ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>"),
        schema,
    );
    check(
        |source| {
            edit_between(&source, "<ds:Reference URI=\"#TS\">", "</ds:SignedInfo>", |_| String::new())
                .replace("<ds:Reference URI=\"#TS\">", "")
        },
        schema,
    );
    check(replace("<ds:DigestValue>", "<ds:DigestValue><k/>"), schema);
}

#[test]
fn enveloped_signature_is_a_no_op_or_nothing() {
    let exclusive = "<ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">";
    let both = "<ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>\
                <ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">";
    let no_op = resigned(&signed().replace(exclusive, both));
    assert_eq!(verdict(&no_op, &Profile::service()), "Timestamp Body");
    let refusing = Profile { enveloped: Enveloped::Refused, ..Profile::service() };
    assert_eq!(verdict(&no_op, &refusing), "xmlsec.algorithm.transform");

    // Once, and before the canonicalisation, whose bytes it could do nothing to.
    let envelopeds = "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>";
    let twice = resigned(&no_op.replace(envelopeds, &envelopeds.repeat(2)));
    assert_eq!(verdict(&twice, &Profile::service()), "xmlsec.algorithm.transform");
    let after =
        no_op.replace(envelopeds, "").replace("</ds:Transforms>", &format!("{envelopeds}</ds:Transforms>"));
    assert_eq!(verdict(&resigned(&after), &Profile::service()), "xmlsec.algorithm.transform");

    // The whole envelope, the signature within it.
    let source = envelope().replace("<s:Envelope ", "<s:Envelope wsu:Id='E' ");
    let document = parse(&source.replace(SIGNATURE_SLOT, ""));
    let reference = SigningReference::over(document.root(), "E", &[], DigestAlgorithm::Sha384).unwrap();
    let made = sign(&[reference], None, &signer()).unwrap();
    let whole = resigned(&source.replace(SIGNATURE_SLOT, &made.xml.replace(exclusive, both)));
    assert_eq!(verdict(&whole, &Profile::service()), "xmlsec.reference.enveloped");
    let allowing = Profile { enveloped: Enveloped::Allowed, ..Profile::service() };
    assert_eq!(verdict(&whole, &allowing), "Envelope");
}

/// As of an assertion: [`verify_enveloped`] looks nothing up.
#[test]
fn an_enveloped_signature_is_the_elements_own_and_over_it() {
    let source = parse("<r><a Id='a'><i>t</i></a><b Id='b'/></r>");
    let [a, b] = source.root().children().collect::<Vec<_>>()[..] else { panic!() };
    let sha256 = DigestAlgorithm::Sha256;
    let exclusive = crate::c14n::Method::exclusive;
    let over_a = || SigningReference::enveloping(a, "a", exclusive(), sha256).unwrap();
    let over_b = || SigningReference::over_by(b, "b", exclusive(), sha256).unwrap();
    let signed = |parent, references: &[SigningReference]| {
        let made =
            sign_within(parent, &exclusive(), references, None, &signer(), &Limits::default()).unwrap();
        String::from_utf8(made).unwrap()
    };
    let verdict = |signed: &str, id: &str| {
        let (document, signer) = (parse(signed), signer());
        let a = document.root().children().next().unwrap();
        let profile = Profile { enveloped: Enveloped::Allowed, ..Profile::service() };
        let signature = signature_of(&document).unwrap();
        verify_enveloped(&signature, a, id, signer.certificate().public_key(), &profile)
            .map_or_else(|error| error.code(), |()| "held")
    };
    let good = signed(a, &[over_a()]);
    assert_eq!(verdict(&good, "a"), "held");
    assert_eq!(verdict(&good, "b"), "xmlsec.reference.dangling", "over another element");
    assert_eq!(verdict(&good.replace(">t<", ">u<"), "a"), "xmlsec.reference.digest-mismatch");
    let value = edit_between(&good, "<ds:SignatureValue>", "</ds:SignatureValue>", |value| {
        format!("{}{}", if value.starts_with('A') { 'B' } else { 'A' }, value.get(1..).unwrap())
    });
    assert_eq!(verdict(&value, "a"), "xmlsec.signature.value");
    let deeper = signed(a.children().next().unwrap(), &[over_a()]);
    assert_eq!(verdict(&deeper, "a"), "xmlsec.reference.enveloped", "of an element within it");
    assert_eq!(verdict(&signed(a, &[over_b()]), "b"), "xmlsec.reference.enveloped", "without the transform");
    assert_eq!(verdict(&signed(a, &[over_a(), over_b()]), "a"), "xmlsec.signature.too-many");
}

#[test]
fn so_many_transforms_are_read_and_not_one_more() {
    let of = |count: usize| {
        let source = edit_between(&signed(), "<ds:Transforms>", "</ds:Transforms>", |_| {
            "<ds:Transform Algorithm=\"urn:unknown\"/>".repeat(count)
        });
        verdict(&source, &Profile::service())
    };
    assert_eq!(of(TRANSFORMS_MAX), "xmlsec.algorithm.transform", "read, and refused by name");
    assert_eq!(of(TRANSFORMS_MAX + 1), "xmlsec.signature.too-many");
    assert_eq!(of(0), "xmlsec.signature.schema");
}

/// What is known here is not thereby taken.
#[test]
fn a_profile_of_fewer_algorithms_takes_no_others() {
    use pki::algorithm::SignatureAlgorithm as A;
    let others = Profile { signatures: vec![A::RsaSha384, A::EcdsaSha256], ..Profile::service() };
    assert_eq!(verdict(&signed(), &others), "xmlsec.algorithm.signature");
    let others = Profile { digests: vec![DigestAlgorithm::Sha512], ..Profile::service() };
    assert_eq!(verdict(&signed(), &others), "xmlsec.algorithm.digest");
}

/// Before any cryptography: the value, which comes first of it, does not hold here.
#[test]
fn a_digest_of_another_length_is_told_by_the_profile_alone() {
    let short = edit_between(&signed(), "<ds:DigestValue>", "</ds:DigestValue>", |_| "QUJD".to_owned());
    assert_eq!(verdict(&short, &Profile::service()), "xmlsec.reference.digest-length");
}

#[test]
fn a_bare_id_is_resolved_and_told_apart() {
    let source = envelope().replace("wsu:Id='B'", "Id='B'");
    let document = parse(&source);
    let (_, found_by) = crate::ids::Ids::collect(&document).unwrap().resolve("B").unwrap();
    assert_eq!(found_by, crate::ids::IdAttribute::Bare);
}

/// SOAP Message Security 1.0 §8.3: the digest is of the token that the reference stands for.
#[test]
fn str_transform_digests_the_token() {
    let token = format!(
        "<wsse:BinarySecurityToken xmlns=\"\" xmlns:wsse=\"{WSSE}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"T\">QUJD</wsse:BinarySecurityToken>"
    );
    let certificate = format!(
        "<wsse:BinarySecurityToken xmlns=\"\" xmlns:wsse=\"{WSSE}\" ValueType=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3\">QUJD</wsse:BinarySecurityToken>"
    );
    let in_message = |document: &Document, _: Element<'_>| Some(by_id(document, "T").node_id());
    assert_eq!(str_verdict(&token, in_message), "BinarySecurityToken");
    assert_eq!(str_verdict(&certificate, |_, _| None), "");
    assert_eq!(str_verdict("<other/>", in_message), "xmlsec.reference.digest-mismatch");
    assert_eq!(str_verdict("<other/>", |_, _| None), "xmlsec.reference.digest-mismatch");
}

fn str_verdict(digested: &str, find: impl Fn(&Document, Element<'_>) -> Option<crate::NodeId>) -> String {
    let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
    hasher.write(digested.as_bytes());
    let digest: Digest = hasher.finish();
    let reference = SigningReference::of_digest("R", &[], digest).unwrap();
    let key_info = format!("<wsse:SecurityTokenReference xmlns:wsse='{WSSE}' xmlns:wsu='{WSU}' wsu:Id='R'/>");
    let made = sign(&[reference], Some(&key_info), &signer()).unwrap();
    let transform = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform>";
    let by_str = format!(
        "<ds:Transform Algorithm=\"{}\"><wsse:TransformationParameters><ds:CanonicalizationMethod \
         Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/></wsse:TransformationParameters></ds:Transform>",
        parse::STR_TRANSFORM_URI
    );
    let whole = resigned(&envelope().replace(SIGNATURE_SLOT, &made.xml.replace(transform, &by_str)));
    let document = self::parse(&whole);
    let signature = signature_of(&document).unwrap();
    let signer = signer();
    let resolver = |reference: Element<'_>| {
        Some(match find(&document, reference) {
            Some(id) => StrTarget::Element(document.element(id).unwrap()),
            None => StrTarget::Certificate(b"ABC".to_vec()),
        })
    };
    let key = signer.certificate().public_key();
    assert_eq!(
        verify(&document, &signature, key, &Profile::service()).unwrap_err().code(),
        "xmlsec.reference.str-unresolved"
    );
    match verify_with(
        &crate::ids::Ids::collect(&document).unwrap(),
        &signature,
        key,
        &Profile::service(),
        &resolver,
    ) {
        Ok(verified) => {
            assert_eq!(verified.references()[0].element.local_name(), "SecurityTokenReference");
            assert!(!verified.covers(verified.references()[0].element));
            verified.elements().iter().map(|element| element.local_name()).collect()
        }
        Err(error) => error.code().to_owned(),
    }
}

#[test]
fn str_transform_on_something_else_is_refused() {
    let exclusive = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform>";
    let by_str = format!(
        "<ds:Transform Algorithm=\"{}\"><w:TransformationParameters xmlns:w='{WSSE}'><ds:CanonicalizationMethod \
         Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/></w:TransformationParameters></ds:Transform>",
        parse::STR_TRANSFORM_URI
    );
    check(|source| source.replace(exclusive, &by_str), "xmlsec.reference.str-transform");
    // Nothing more in it than its schema has.
    for (end, more) in [
        (
            "</w:TransformationParameters>",
            "<ds:CanonicalizationMethod Algorithm=\"urn:x\"/></w:TransformationParameters>",
        ),
        ("</w:TransformationParameters>", "</w:TransformationParameters><w:more xmlns:w='urn:w'/>"),
        ("<w:TransformationParameters ", "<w:TransformationParameters more='' "),
    ] {
        let by_str = by_str.replace(end, more);
        check(|source| source.replace(exclusive, &by_str), "xmlsec.signature.schema");
    }
}
