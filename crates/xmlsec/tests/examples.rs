//! What the examples of Canonical XML (§3) and Exclusive XML Canonicalization (§2) show, in documents of our own; those that need a
//! DTD or an XPath have no place here. `src/c14n/tests.rs` has §3.1, §3.3 and the exclusive §2.2.

use xmlsec::c14n::{Algorithm, Method, canonicalize, canonicalize_document};
use xmlsec::ids::Ids;
use xmlsec::{Document, Limits};

const ALL: [Algorithm; 3] = [Algorithm::Inclusive10, Algorithm::Inclusive11, Algorithm::Exclusive];

/// The document, or the element of that Id, without comments and without PrefixList.
fn canonical(source: &str, apex: Option<&str>, algorithm: Algorithm) -> String {
    let document = Document::parse(source, &Limits::default()).unwrap();
    let method = Method { algorithm, ..Method::exclusive() };
    let mut out = Vec::new();
    match apex {
        Some(id) => canonicalize(Ids::collect(&document).unwrap().resolve(id).unwrap().0, &method, &mut out),
        None => canonicalize_document(&document, &method, &mut out),
    }
    .unwrap();
    String::from_utf8(out).unwrap()
}

/// §3.2: white space in content stays, around the document element and in tags it goes.
#[test]
fn white_space_in_content_stays() {
    let source = "\n<list >\n  <item> </item>\n\n  <item>one\t two </item  >\n  <item>\n one\n <b> two </b>\n </item>\n</list>\n ";
    let expected = "<list>\n  <item> </item>\n\n  <item>one\t two </item>\n  <item>\n one\n <b> two </b>\n </item>\n</list>";
    for algorithm in ALL {
        assert_eq!(canonical(source, None, algorithm), expected);
    }
}

/// §3.4: references and CDATA are replaced, and what must be escaped is escaped in one way only.
#[test]
fn characters_have_one_spelling() {
    let source = "<r><t>line one&#x0d;&#10;line two</t><v>&#x31;</v><c><![CDATA[v>\"0\" && v<\"9\" ?\"ok\":\"no\"]]></c>\
                  <q x='v>\"0\" &amp;&amp; v&lt;\"9\" ?\"ok\":\"no\"'>ok</q><n a=\" &apos; &#x20;&#13;&#xa;&#9; &apos; \"/></r>";
    let expected = "<r><t>line one&#xD;\nline two</t><v>1</v><c>v&gt;\"0\" &amp;&amp; v&lt;\"9\" ?\"ok\":\"no\"</c>\
                    <q x=\"v>&quot;0&quot; &amp;&amp; v&lt;&quot;9&quot; ?&quot;ok&quot;:&quot;no&quot;\">ok</q>\
                    <n a=\" '  &#xD;&#xA;&#x9; ' \"></n></r>";
    for algorithm in ALL {
        assert_eq!(canonical(source, None, algorithm), expected);
    }
}

/// §3.6: a character is its UTF-8, whatever it was written as.
#[test]
fn references_become_utf8() {
    for algorithm in ALL {
        assert_eq!(
            canonical("<d>&#169;&#x20AC;&#x1F600;</d>", None, algorithm).as_bytes(),
            "<d>©€😀</d>".as_bytes()
        );
    }
}

/// §3.7 and 1.1 §3.8 without their XPath: what a part of a document takes along of what surrounds it.
#[test]
fn a_part_takes_along_what_its_algorithm_says() {
    let source = "<a xmlns='urn:a' xmlns:w='urn:w' xml:base='http://h/x/y/' xml:lang='en' xml:id='top'><b xml:base='../z' \
                  xml:space='preserve'><c xmlns='' Id='c'><d/><w:e/></c></b></a>";
    let inside = "<d></d><w:e></w:e></c>";
    assert_eq!(
        canonical(source, Some("c"), Algorithm::Inclusive10),
        format!(
            "<c xmlns:w=\"urn:w\" Id=\"c\" xml:base=\"../z\" xml:id=\"top\" xml:lang=\"en\" xml:space=\"preserve\">{inside}"
        )
    );
    assert_eq!(
        canonical(source, Some("c"), Algorithm::Inclusive11),
        format!(
            "<c xmlns:w=\"urn:w\" Id=\"c\" xml:base=\"http://h/x/z\" xml:lang=\"en\" xml:space=\"preserve\">{inside}"
        )
    );
    assert_eq!(
        canonical(source, Some("c"), Algorithm::Exclusive),
        "<c Id=\"c\"><d></d><w:e xmlns:w=\"urn:w\"></w:e></c>"
    );
}

/// Exclusive §2.1: one element, the same bytes in whatever envelope, where the inclusive form differs.
#[test]
fn only_the_exclusive_form_is_free_of_the_envelope() {
    let inner = "<p:order xmlns:p='urn:p' Id='o'><p:line n='1'/></p:order>";
    let envelopes = [
        inner.to_owned(),
        format!("<e xmlns:x='urn:x' xml:lang='nl'>{inner}</e>"),
        format!("<e xmlns='urn:d'>{inner}</e>"),
    ];
    let forms = |algorithm| envelopes.each_ref().map(|source| canonical(source, Some("o"), algorithm));
    let [alone, first, second] = forms(Algorithm::Exclusive);
    assert!(alone == first && first == second, "{first} {second}");
    let [alone, first, second] = forms(Algorithm::Inclusive10);
    assert!(alone != first && first != second && second != alone);
}
