//! Digested ahead or not: the verdict is the same. And what is taken over is taken over: a state that is spoilt is seen.

use pki::signer::{FileSigner, Signer};

use super::*;
use crate::base64::{self, Content};
use crate::c14n::Algorithm;
use crate::ids::Ids;
use crate::signature::{Profile, SigningReference, digest_references, sign, verify};

const SIGNATURE_SLOT: &str = "<slot/>";

fn signer() -> FileSigner {
    FileSigner::from_pem(
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test/seal.key")),
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test/seal.crt")),
    )
    .unwrap()
}

/// Long enough that a whole step lies in it, wherever it begins.
fn long() -> String {
    base64::encode(&(0..36_000_u32).map(|i| (i * 31 + (i >> 9)) as u8).collect::<Vec<_>>())
}

fn envelope(body: &str) -> String {
    let wsu = namespace::WSU;
    format!(
        "<?xml version='1.0'?><s:Envelope xmlns:s='urn:s' xmlns:wsu='{wsu}' xmlns:n='urn:n'><s:Header a='>'>\
         <wsu:Timestamp wsu:Id='TS'>now</wsu:Timestamp>{SIGNATURE_SLOT}</s:Header><s:Body wsu:Id='B' >{body}</s:Body>\
         </s:Envelope>"
    )
}

struct Signed {
    prefixes: &'static [&'static str],
    digest: DigestAlgorithm,
}

const USUAL: Signed = Signed { prefixes: &[], digest: DigestAlgorithm::Sha256 };

impl Signed {
    fn message(&self, envelope: &str) -> String {
        let document = Document::parse(envelope, &Limits::default()).unwrap();
        let ids = Ids::collect(&document).unwrap();
        let references = ["TS", "B"].map(|id| {
            SigningReference::over(ids.resolve(id).unwrap().0, id, self.prefixes, self.digest).unwrap()
        });
        envelope.replacen(SIGNATURE_SLOT, &sign(&references, None, &signer()).unwrap().xml, 1)
    }
}

fn is_content(element: Element<'_>) -> bool {
    element.is("urn:n", "Content")
}

fn verdict(document: &Document) -> String {
    let signer = signer();
    let signature =
        document.root().descendants_and_self().find(|element| element.is(namespace::DS, "Signature"));
    let verified = Signature::parse(signature.unwrap()).and_then(|signature| {
        verify(document, &signature, signer.certificate().public_key(), &Profile::service()).map(|_| "holds")
    });
    verified.unwrap_or_else(|error| error.code()).to_owned()
}

/// The verdict, and whether it is by what was digested ahead.
fn judged(message: &str) -> (String, bool) {
    let plain = Document::parse(message, &Limits::default());
    let ahead = parse_any_ahead(message.as_bytes().to_vec(), &Limits::default(), &is_content, true);
    let (plain, mut ahead) = match (plain, ahead) {
        (Ok(plain), Ok(ahead)) => (plain, ahead),
        (plain, ahead) => {
            let code = plain.map(|_| ()).unwrap_err();
            assert_eq!(ahead.map(|_| ()).unwrap_err(), code);
            return (code.code().to_owned(), false);
        }
    };
    let verdict_of_plain = verdict(&plain);
    assert_eq!(verdict(&ahead), verdict_of_plain, "digesting ahead changes nothing");
    let spoilt = ahead.ahead.as_mut().map(|ahead| ahead.sha256.update(b"spoilt"));
    (verdict_of_plain.clone(), spoilt.is_some() && verdict(&ahead) != verdict_of_plain)
}

#[track_caller]
fn check(signed: &Signed, body: &str, expected_ahead: bool) {
    assert_eq!(judged(&signed.message(&envelope(body))), ("holds".to_owned(), expected_ahead));
}

#[test]
fn what_is_taken_over() {
    let long = long();
    let within = |before: &str, after: &str| format!("<n:a>{before}{long}{after}</n:a>");
    check(&USUAL, &long, true);
    check(&USUAL, &within("", ""), true);
    check(&USUAL, &within("<n:b c='2' b=\"1\"/> ", "<n:c> </n:c >&#65;<!---->"), true);
    check(&USUAL, &within("é&#65;<!-- > --><?pi >?>", ""), true);
    check(&USUAL, &within("", "&amp;é"), true);
    check(&USUAL, &within("", &format!("<n:c>{long}</n:c>")), true);
    check(&Signed { prefixes: &["n", "#default"], ..USUAL }, &within("", ""), true);
    check(&USUAL, &format!("<e xmlns='urn:e'><n:a/>{long}</e>"), true);
}

#[test]
fn what_is_not() {
    let long = long();
    let within = |before: &str, after: &str| format!("<n:a>{before}{long}{after}</n:a>");
    check(&USUAL, "short", false);
    check(&USUAL, &within("", "&#65;"), false);
    check(&USUAL, &within("", "\r\n"), false);
    check(&USUAL, &within("", "<![CDATA[]]>"), false);
    check(&USUAL, &within("<![CDATA[>", "]]>"), false);
    check(&USUAL, &within("<!-- > ", "-->"), false);
    check(&USUAL, &within("<?pi > ", "?>"), false);
    check(&USUAL, &within("<n:b c='>", "'/>"), false);
    check(&Signed { digest: DigestAlgorithm::Sha512, ..USUAL }, &within("", ""), false);
    // The header alone is signed; the signature comes too late; another signature, over the same, stands first.
    let message = USUAL.message(&envelope(&within("", "")));
    let moved = message.replace("wsu:Id='B'", "wsu:Id='C'");
    assert_eq!(judged(&moved), ("xmlsec.reference.dangling".to_owned(), false));
    let signature = message.find("<ds:Signature").unwrap()..message.find("</s:Header>").unwrap();
    let signature = message[signature].to_owned();
    let late = message.replace(&signature, "").replace("</s:Envelope>", &format!("{signature}</s:Envelope>"));
    assert_eq!(judged(&late), ("holds".to_owned(), false));
}

#[test]
fn a_changed_byte_is_seen_wherever_it_is() {
    let message = USUAL.message(&envelope(&format!("<n:a b='1'>{}</n:a>", long())));
    let text = message.find("<n:a b='1'>").unwrap();
    let mismatch = "xmlsec.reference.digest-mismatch";
    for at in
        [text + 8, text + 11, text + 12, text + 20_000, text + 48_000, message.rfind("</n:a>").unwrap() - 1]
    {
        let mut changed = message.clone().into_bytes();
        changed[at] = if changed[at] == b'7' { b'8' } else { b'7' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(judged(&changed).0, mismatch, "{at}");
    }
    // In the text: the signature's own base64, other each time, may have it too.
    let (before, within) = message.split_at(text);
    assert_eq!(judged(&format!("{before}{}", within.replacen("QA", "Q", 1))).0, mismatch);
    assert_eq!(judged(&message.replace("</n:a>", "</n:b>")).0, "xml.tag.mismatch");
}

#[test]
fn inclusive_forms_too() {
    let text = long();
    for algorithm in [Algorithm::Inclusive10, Algorithm::Inclusive11, Algorithm::Exclusive] {
        let method = c14n::Method { algorithm, ..c14n::Method::exclusive() };
        let source =
            format!("<a xml:lang='en' xmlns:b='urn:b'><b:c xmlns:d='urn:d' b:e=''>{text}<d:f/></b:c></a>");
        let document = Document::parse(source.as_str(), &Limits::default()).unwrap();
        let mut canonical = Vec::new();
        let element = document.root().children().next().unwrap();
        c14n::canonicalize(element, &method, &mut canonical).unwrap();
        let begins = source.find(&text).unwrap();
        let (beginning, open) =
            read::read_beginning(&source.as_bytes()[..begins], &Limits::default()).unwrap();
        let mut of_beginning = Vec::new();
        let element = beginning.element(open[1]).unwrap();
        c14n::canonicalize(element, &method, &mut of_beginning).unwrap();
        let of_beginning = String::from_utf8(of_beginning).unwrap();
        let before = of_beginning.strip_suffix("</b:c>").unwrap();
        assert!(canonical.starts_with(format!("{before}{text}").as_bytes()), "{algorithm:?}");
    }
}

fn content(message: &str) -> Option<Content> {
    let document =
        parse_any_ahead(message.as_bytes().to_vec(), &Limits::default(), &is_content, true).unwrap();
    let element = document.root().descendants_and_self().find(|element| is_content(*element)).unwrap();
    let content = element.base64_content();
    assert_eq!(verdict(&document), "holds", "whatever the content is");
    assert!(element.base64_content().is_none(), "it is handed over once");
    content
}

#[test]
fn content_is_decoded_on_the_way_or_not_at_all() {
    let long = long();
    let expected = Some(Content::of(base64::decode_text(&long).unwrap()));
    let of = |inside: &str| content(&USUAL.message(&envelope(&format!("<n:Content>{inside}</n:Content>"))));
    assert_eq!(of(&long), expected);
    let unpadded = &long[..long.len() - 4];
    for padded in ["QQ==", "QUI=", "QUJD"] {
        let text = format!("{unpadded}{padded}");
        assert_eq!(of(&text), Some(Content::of(base64::decode_text(&text).unwrap())), "{padded}");
    }
    let halves = (&long[..30_001], &long[30_001..]);
    for other in [
        format!("{}=", &long),
        format!("{unpadded}Q==="),
        format!("QQ=={long}"),
        format!("{}\n{}", halves.0, halves.1),
        format!("{}-{}", halves.0, halves.1),
        format!("{}é{}", halves.0, halves.1),
        format!("{long}<!---->"),
        format!("<!---->{long}"),
        format!("<n:a/>{long}"),
        format!("<![CDATA[{long}]]>"),
        "QUJD".to_owned(),
    ] {
        assert_eq!(of(&other), None, "{}", &other[..10]);
    }
    let elsewhere = envelope(&format!("<n:a>{long}</n:a><n:Content>{long}</n:Content>"));
    assert_eq!(content(&USUAL.message(&elsewhere)), None);
}

/// A message whose one Reference is to the Body, by that method and digest, with the value that it should have; nobody signed it.
fn referring(body: &str, method: &c14n::Method, digest: DigestAlgorithm) -> String {
    let envelope = envelope(body);
    let document = Document::parse(envelope.as_str(), &Limits::default()).unwrap();
    let mut hasher = Hasher::new(digest);
    let uncommented = c14n::Method { comments: false, ..method.clone() };
    let (body, _) = Ids::collect(&document).unwrap().resolve("B").unwrap();
    c14n::canonicalize(body, &uncommented, &mut hasher).unwrap();
    let value = base64::encode(hasher.finish().as_bytes());
    let (ds, ec, uri, prefixes) = (namespace::DS, namespace::EC, method.uri(), method.prefixes.join(" "));
    let list = if prefixes.is_empty() {
        String::new()
    } else {
        format!("<c:InclusiveNamespaces xmlns:c='{ec}' PrefixList='{prefixes}'/>")
    };
    let signature = format!(
        "<ds:Signature xmlns:ds='{ds}'><ds:SignedInfo><ds:CanonicalizationMethod Algorithm='{uri}'/>\
         <ds:SignatureMethod Algorithm='http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'/><ds:Reference URI='#B'>\
         <ds:Transforms><ds:Transform Algorithm='{uri}'>{list}</ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm='{}'/><ds:DigestValue>{value}</ds:DigestValue></ds:Reference></ds:SignedInfo>\
         <ds:SignatureValue>AAAA</ds:SignatureValue></ds:Signature>",
        digest.xmldsig_uri()
    );
    envelope.replacen(SIGNATURE_SLOT, &signature, 1)
}

/// Whether the digests are those of the References, or the code of the first that is not.
fn digests(document: &Document) -> Result<(), &'static str> {
    let profile = Profile { inclusive_c14n: true, comments: true, ..Profile::service() };
    let signature =
        document.root().descendants_and_self().find(|element| element.is(namespace::DS, "Signature"));
    let signature = Signature::parse(signature.unwrap()).unwrap();
    digest_references(document, &signature, &profile, &|_| None).map(|_| ()).map_err(|error| error.code())
}

#[test]
fn generated_messages_have_the_same_digests_either_way_by_every_algorithm() {
    let long = long();
    let halves = long.split_at(20_001);
    let pieces = [
        long.as_str(),
        halves.0,
        halves.1,
        "short ",
        "é&#65;&amp;",
        "\r\n",
        "<!-- > -->",
        "<?pi >?>",
        "<![CDATA[>]]>",
        "<n:b c='2' b=\"1\"/>",
        "<e xmlns='urn:e' xml:lang='en'><n:f  n:g=''/></e >",
        "<m:b xmlns:m='urn:m' m:c='&quot;'>",
        "</m:b>",
        "<n:Content>",
        "</n:Content>",
    ];
    let algorithms = [Algorithm::Inclusive10, Algorithm::Inclusive11, Algorithm::Exclusive];
    let lists: [&[&str]; 2] = [&[], &["n", "#default"]];
    let mut state = 0x9e37_79b9_u32;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below
    };
    let (mut read, mut taken_over) = (0, 0);
    for turn in 0..300 {
        let body: String = (0..=draw(6)).map(|_| pieces[draw(pieces.len())]).collect();
        let body = format!("<n:a xml:space='preserve'>{}{body}</n:a>", pieces[draw(3)]);
        let prefixes = lists[draw(2)].iter().map(|&prefix| prefix.to_owned()).collect();
        let method = c14n::Method { algorithm: algorithms[turn % 3], comments: draw(2) == 0, prefixes };
        let method = match method.algorithm {
            Algorithm::Exclusive => method,
            _ => c14n::Method { prefixes: Vec::new(), ..method },
        };
        // What has tags that do not match is for both to refuse.
        if let Err(error) = Document::parse(envelope(&body), &Limits::default()) {
            let ahead = parse_any_ahead(envelope(&body).into_bytes(), &Limits::default(), &is_content, true);
            assert_eq!(ahead.unwrap_err(), error, "{turn}");
            continue;
        }
        read += 1;
        let digest = if draw(4) == 0 { DigestAlgorithm::Sha512 } else { DigestAlgorithm::Sha256 };
        let message = referring(&body, &method, digest);
        let source_too = draw(2) == 0;
        let mut ahead =
            parse_any_ahead(message.into_bytes(), &Limits::default(), &is_content, source_too).unwrap();
        assert_eq!(digests(&ahead), Ok(()), "{turn}: {method:?}");
        assert_eq!(ahead.source_sha256(), pki::digest::sha256(ahead.source()), "{turn}");
        for element in ahead.root().descendants_and_self().filter(|element| is_content(*element)) {
            if let Some(content) = element.base64_content() {
                assert_eq!(
                    content,
                    Content::of(base64::decode_text(&element.text().unwrap()).unwrap()),
                    "{turn}"
                );
            }
        }
        let spoilt = ahead.ahead.as_mut().map(|ahead| ahead.sha256.update(b"spoilt"));
        taken_over += usize::from(spoilt.is_some() && digests(&ahead).is_err());
    }
    assert!(read > 100 && taken_over > 50, "{taken_over} of {read}");
}
