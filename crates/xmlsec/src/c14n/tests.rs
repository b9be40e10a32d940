use super::*;
use crate::Limits;

fn parse(source: &str) -> Document {
    Document::parse(source, &Limits::default()).unwrap()
}

#[track_caller]
fn check(source: &str, path: &[&str], method: &Method, expected: &str) {
    let document = parse(source);
    let mut element = document.root();
    for name in path {
        element = element.children().find(|child| child.local_name() == *name).unwrap();
    }
    let mut canonical = Vec::new();
    canonicalize(element, method, &mut canonical).unwrap();
    assert_eq!(String::from_utf8(canonical).unwrap(), expected);
}

fn method(algorithm: Algorithm) -> Method {
    Method { algorithm, ..Method::exclusive() }
}

/// Canonical XML 1.0 §3.1: around the document element.
#[test]
fn around_the_document_element() {
    let source = "<?xml version=\"1.0\"?>\n\n<?xml-stylesheet   href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n\n\n\
                  <doc>Hello, world!<!-- Comment 1 --></doc>\n\n<?pi-without-data     ?>\n\n<!-- Comment 2 -->\n\n\
                  <!-- Comment 3 -->";
    let answer = |comments| {
        let mut canonical = Vec::new();
        let method = Method { comments, ..method(Algorithm::Inclusive10) };
        canonicalize_document(&parse(source), &method, &mut canonical).unwrap();
        String::from_utf8(canonical).unwrap()
    };
    assert_eq!(
        answer(false),
        "<?xml-stylesheet href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n<doc>Hello, world!</doc>\n<?pi-without-data?>"
    );
    assert_eq!(
        answer(true),
        "<?xml-stylesheet href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n<doc>Hello, world!<!-- Comment 1 --></doc>\n\
         <?pi-without-data?>\n<!-- Comment 2 -->\n<!-- Comment 3 -->"
    );
}

/// Canonical XML 1.0 §3.3, without its DTD.
#[test]
fn start_and_end_tags() {
    let source = "<doc>\n<e1   />\n<e3   name = \"elem3\"   id=\"elem3\"   />\n\
        <e5 a:attr=\"out\" b:attr=\"sorted\" attr2=\"all\" attr=\"I'm\"\n xmlns:b=\"http://www.ietf.org\"\n \
        xmlns:a=\"http://www.w3.org\"\n xmlns=\"http://example.org\"/>\n\
        <e6 xmlns=\"\" xmlns:a=\"http://www.w3.org\"><e7 xmlns=\"http://www.ietf.org\"><e8 xmlns=\"\" \
        xmlns:a=\"http://www.w3.org\"><e9 xmlns=\"\" xmlns:a=\"http://www.ietf.org\"/></e8></e7></e6>\n</doc>";
    let expected = "<doc>\n<e1></e1>\n<e3 id=\"elem3\" name=\"elem3\"></e3>\n\
        <e5 xmlns=\"http://example.org\" xmlns:a=\"http://www.w3.org\" xmlns:b=\"http://www.ietf.org\" attr=\"I'm\" \
        attr2=\"all\" b:attr=\"sorted\" a:attr=\"out\"></e5>\n\
        <e6 xmlns:a=\"http://www.w3.org\"><e7 xmlns=\"http://www.ietf.org\"><e8 xmlns=\"\">\
        <e9 xmlns:a=\"http://www.ietf.org\"></e9></e8></e7></e6>\n</doc>";
    check(source, &[], &method(Algorithm::Inclusive10), expected);
}

/// Exclusive XML Canonicalization 1.0 §2.2: one element in two surroundings.
#[test]
fn the_surroundings_do_not_matter() {
    let first = "<n0:local xmlns:n0=\"foo:bar\" xmlns:n3=\"ftp://example.org\"><n1:elem2 \
                 xmlns:n1=\"http://example.net\" xml:lang=\"en\"><n3:stuff/></n1:elem2></n0:local>";
    let second = "<n2:pdu xmlns:n1=\"http://example.com\" xmlns:n2=\"http://foo.example\" \
                  xmlns:n3=\"ftp://example.org\" xml:lang=\"fr\" xml:space=\"retain\"><n1:elem2 \
                  xmlns:n1=\"http://example.net\" xml:lang=\"en\"><n3:stuff/></n1:elem2></n2:pdu>";
    let expected = "<n1:elem2 xmlns:n1=\"http://example.net\" xml:lang=\"en\"><n3:stuff \
                    xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>";
    check(first, &["elem2"], &Method::exclusive(), expected);
    check(second, &["elem2"], &Method::exclusive(), expected);
    let inclusive = "<n1:elem2 xmlns:n0=\"foo:bar\" xmlns:n1=\"http://example.net\" \
                     xmlns:n3=\"ftp://example.org\" xml:lang=\"en\"><n3:stuff></n3:stuff></n1:elem2>";
    check(first, &["elem2"], &method(Algorithm::Inclusive10), inclusive);
    let listed = "<n1:elem2 xmlns:n1=\"http://example.net\" xmlns:n3=\"ftp://example.org\" \
                  xml:lang=\"en\"><n3:stuff></n3:stuff></n1:elem2>";
    check(second, &["elem2"], &Method::exclusive_with(["n3", "n9"]), listed);
}

#[test]
fn the_default_namespace_may_be_listed() {
    let source = "<a xmlns=\"urn:a\" xmlns:p=\"urn:p\"><p:b><c/><d xmlns=\"\"/></p:b></a>";
    let plain = "<p:b xmlns:p=\"urn:p\"><c xmlns=\"urn:a\"></c><d></d></p:b>";
    check(source, &["b"], &Method::exclusive(), plain);
    let listed = "<p:b xmlns=\"urn:a\" xmlns:p=\"urn:p\"><c></c><d xmlns=\"\"></d></p:b>";
    check(source, &["b"], &Method::exclusive_with(["#default"]), listed);
}

/// SOAP Message Security 1.0 §8.3, the note on the default namespace.
#[test]
fn the_default_namespace_may_be_forced_at_the_apex() {
    let answer = |source: &str, default_at_apex| {
        let document = parse(source);
        let token = document.root().children().next().unwrap();
        let mut canonical = Vec::new();
        canonicalize_token(token, &Method::exclusive(), default_at_apex, &mut canonical).unwrap();
        String::from_utf8(canonical).unwrap()
    };
    let without = "<a xmlns:p=\"urn:p\"><p:t><p:u/></p:t></a>";
    let with = "<a xmlns:p=\"urn:p\" xmlns=\"urn:d\"><p:t/></a>";
    let augmented = "<p:t xmlns=\"\" xmlns:p=\"urn:p\"><p:u></p:u></p:t>";
    assert_eq!(answer(without, DefaultAtApex::Write), augmented);
    assert_eq!(answer(without, DefaultAtApex::WriteIfNone), augmented);
    assert_eq!(answer(with, DefaultAtApex::Write), "<p:t xmlns=\"urn:d\" xmlns:p=\"urn:p\"></p:t>");
    assert_eq!(answer(with, DefaultAtApex::WriteIfNone), "<p:t xmlns:p=\"urn:p\"></p:t>");
}

/// Canonical XML 1.1 §2.4: values are joined from the inside, one alone is not touched, an empty result is not written.
#[test]
fn bases_of_ancestors_are_joined() {
    let eleven = method(Algorithm::Inclusive11);
    let joined = |outer: &str, inner: &str, own: &str, expected: &str| {
        let source = format!("<a xml:base='{outer}'><b {inner}><c {own}/></b></a>");
        check(&source, &["b", "c"], &eleven, expected);
    };
    joined("./x/../y", "", "", "<c xml:base=\"./x/../y\"></c>");
    joined("http://h/d/f", "xml:base='../z'", "xml:base='e'", "<c xml:base=\"http://h/e\"></c>");
    joined("abc/", "", "xml:base='../'", "<c></c>");
    joined("..", "", "xml:base='..'", "<c xml:base=\"../../\"></c>");
    let ten = "<c xml:base=\"u\" xml:id=\"i\" xml:lang=\"en\"></c>";
    let source = "<a xml:base='t' xml:id='i' xml:lang='en'><b xml:base='u'><c/></b></a>";
    check(source, &["b", "c"], &method(Algorithm::Inclusive10), ten);
    check(source, &["b", "c"], &eleven, "<c xml:base=\"u\" xml:lang=\"en\"></c>");
}

#[test]
fn a_subtree_can_be_left_out() {
    let document = parse("<a><b>x<c>y</c></b><d>z</d></a>");
    let root = document.root();
    let mut canonical = Vec::new();
    canonicalize_without(root, root.children().next().unwrap(), &Method::exclusive(), &mut canonical)
        .unwrap();
    assert_eq!(canonical, b"<a><d>z</d></a>");
}

/// What [`Blocks`](super::sink::Blocks) gathers is what came in, whatever the lengths.
#[test]
fn long_and_short_pieces_come_out_in_order() {
    for length in [1, 2000, 4090, 4096, 5000, 20_000] {
        let text = "x".repeat(length);
        let source = format!("<a><b>{text}</b>{text}<c d=\"{text}\">&gt;{text}</c></a>");
        check(&source, &[], &Method::exclusive(), &source);
    }
}

#[test]
fn a_prefix_list_that_is_none_is_an_error() {
    let document = parse("<a/>");
    let mut canonical = Vec::new();
    let answer = canonicalize(document.root(), &Method::exclusive_with(["a:b"]), &mut canonical);
    assert_eq!(answer.unwrap_err().code(), "xmlsec.c14n.prefix-list");
    assert!(canonical.is_empty());
}

#[test]
fn methods_and_identifiers_match() {
    for (uri, ..) in URIS {
        assert_eq!(Method::from_uri(uri).unwrap().uri(), uri);
    }
    assert_eq!(Method::from_uri("http://www.w3.org/2001/10/xml-exc-c14n"), None);
}

/// An element that is copied whole must be its own canonical form: each way not to be is told, deep inside too.
#[test]
fn one_step_from_canonical_is_not_taken_for_canonical() {
    for (written, canonical) in [
        ("<c a=\"1\" b=\"2\">t</c>", "<c a=\"1\" b=\"2\">t</c>"),
        ("<c a='1' b=\"2\">t</c>", "<c a=\"1\" b=\"2\">t</c>"),
        ("<c b=\"2\" a=\"1\">t</c>", "<c a=\"1\" b=\"2\">t</c>"),
        ("<c  a=\"1\">t</c>", "<c a=\"1\">t</c>"),
        ("<c\ta=\"1\">t</c>", "<c a=\"1\">t</c>"),
        ("<c a =\"1\">t</c>", "<c a=\"1\">t</c>"),
        ("<c a= \"1\">t</c>", "<c a=\"1\">t</c>"),
        ("<c a=\"1\" >t</c>", "<c a=\"1\">t</c>"),
        ("<c a=\"\t\">t</c>", "<c a=\" \">t</c>"),
        ("<c a=\"&#65;\">t</c>", "<c a=\"A\">t</c>"),
        ("<c a=\"&lt;\">t</c>", "<c a=\"&lt;\">t</c>"),
        ("<c a=\"'/\">t</c>", "<c a=\"'/\">t</c>"),
        ("<c >t</c>", "<c>t</c>"),
        ("<c>t</c\n>", "<c>t</c>"),
        ("<c/>", "<c></c>"),
        ("<c />", "<c></c>"),
        ("<c><![CDATA[t]]></c>", "<c>t</c>"),
        ("<c>&#65;</c>", "<c>A</c>"),
        ("<c>></c>", "<c>&gt;</c>"),
        ("<c>\r\n</c>", "<c>\n</c>"),
        ("<c><!--t--></c>", "<c></c>"),
        ("<c><?p  t?></c>", "<c><?p t?></c>"),
        ("<c xmlns:z=\"urn:z\">t</c>", "<c>t</c>"),
        ("<c xmlns=\"\">t</c>", "<c>t</c>"),
        ("<c xml:lang=\"e\">t</c>", "<c xml:lang=\"e\">t</c>"),
        ("<p:c>t</p:c>", "<p:c xmlns:p=\"urn:p\">t</p:c>"),
        ("<c p:a=\"1\">t</c>", "<c xmlns:p=\"urn:p\" p:a=\"1\">t</c>"),
    ] {
        let source = format!("<a xmlns:p=\"urn:p\"><b><d>{written}</d></b></a>");
        let expected = format!("<a><b><d>{canonical}</d></b></a>");
        check(&source, &[], &Method::exclusive(), &expected);
    }
}

/// What is plain is copied with its edits; those of what is not, or lies outside, are passed over.
#[test]
fn every_edit_is_made_in_its_place() {
    let source = "<r q='0' ><a  xmlns:p='urn:p' ><b y='2' x='1'><c\n x='1'\ty=\"&#65;\" /><d >a\r\nb</d\n></b ><e/>&#x3c;<f z = '1'\
                  ><g/></f></a ><h i='1' /></r >";
    let a =
        "<a><b x=\"1\" y=\"2\"><c x=\"1\" y=\"A\"></c><d>a\nb</d></b><e></e>&lt;<f z=\"1\"><g></g></f></a>";
    let inclusive = a.replacen("<a>", "<a xmlns:p=\"urn:p\">", 1);
    let h = "<h i=\"1\"></h>";
    check(source, &[], &Method::exclusive(), &format!("<r q=\"0\">{a}{h}</r>"));
    check(source, &[], &Method::inclusive(), &format!("<r q=\"0\">{inclusive}{h}</r>"));
    check(source, &["a"], &Method::exclusive(), a);
    check(
        source,
        &["a", "b"],
        &Method::exclusive(),
        "<b x=\"1\" y=\"2\"><c x=\"1\" y=\"A\"></c><d>a\nb</d></b>",
    );
    check(source, &["h"], &Method::exclusive(), h);
    let document = parse(source);
    let mut canonical = Vec::new();
    let excluded = document.root().child("", "a").unwrap().child("", "f").unwrap();
    canonicalize_without(document.root(), excluded, &Method::exclusive(), &mut canonical).unwrap();
    let without = a.replace("<f z=\"1\"><g></g></f>", "");
    assert_eq!(String::from_utf8(canonical).unwrap(), format!("<r q=\"0\">{without}{h}</r>"));
}

/// There are bits for the first prefixes alone; the others are looked at one by one.
#[test]
fn prefixes_beyond_the_bits_are_declared_where_they_are_used() {
    let declared = |range: std::ops::Range<u32>| -> String {
        range.map(|number| format!(" xmlns:p{number}=\"urn:n:{number}\"")).collect()
    };
    let used: String = (0..40).map(|number| format!("<p{number}:e>t</p{number}:e>")).collect();
    let source = format!("<a{}><b{}><c>{used}</c></b></a>", declared(0..20), declared(20..40));
    let rendered: String = (0..40).map(|n| format!("<p{n}:e xmlns:p{n}=\"urn:n:{n}\">t</p{n}:e>")).collect();
    check(&source, &[], &Method::exclusive(), &format!("<a><b><c>{rendered}</c></b></a>"));
}

#[test]
fn what_is_left_out_is_left_out_of_what_is_as_written() {
    let document = parse("<a><b><c>t</c><d>t</d></b></a>");
    let b = document.root().child("", "b").unwrap();
    let mut canonical = Vec::new();
    let excluded = b.child("", "c").unwrap();
    canonicalize_without(document.root(), excluded, &Method::exclusive(), &mut canonical).unwrap();
    assert_eq!(String::from_utf8(canonical).unwrap(), "<a><b><d>t</d></b></a>");
}

#[test]
fn a_listed_prefix_stands_on_what_is_as_written() {
    let source = "<a xmlns:p=\"urn:p\"><b><c>t</c></b></a>";
    let method = Method::exclusive_with(["p"]);
    check(source, &[], &method, source);
    check(source, &["b"], &method, "<b xmlns:p=\"urn:p\"><c>t</c></b>");
    let source = "<x><a xmlns:p=\"urn:p\"><b><c>t</c></b></a></x>";
    check(source, &[], &method, source);
}
