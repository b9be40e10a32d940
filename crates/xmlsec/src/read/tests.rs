use crate::{Document, Limits, ReadErrorKind as Wrong};

#[track_caller]
fn check(source: &str, limits: &Limits, expected: Result<(), (Wrong, usize)>) {
    let answer = Document::parse(source, limits).map(|_| ()).map_err(|error| (error.kind, error.offset));
    assert_eq!(answer, expected, "{source}");
}

#[test]
fn each_cap_holds_at_its_limit_and_one_past() {
    let default = Limits::default;
    let limits = Limits { document_bytes_max: 4, ..default() };
    check("<a/>", &limits, Ok(()));
    check("<a/> ", &limits, Err((Wrong::DocumentBytes, 4)));
    let limits = Limits { depth_max: 2, ..default() };
    check("<a><b/></a>", &limits, Ok(()));
    check("<a><b><c/></b></a>", &limits, Err((Wrong::Depth, 6)));
    let limits = Limits { attributes_max: 1, namespaces_max: 1, ..default() };
    check("<a b='' xmlns='urn:x'/>", &limits, Ok(()));
    check("<a b='' c=''/>", &limits, Err((Wrong::Attributes, 8)));
    check("<a xmlns='' xmlns:b='urn:x'/>", &limits, Err((Wrong::Namespaces, 12)));
    let limits = Limits { attributes_total_max: 2, ..default() };
    check("<a b=''><a xmlns='urn:x'/></a>", &limits, Ok(()));
    check("<a b=''><a xmlns='urn:x' c=''/></a>", &limits, Err((Wrong::AttributesTotal, 25)));
    let limits = Limits { nodes_max: 3, ..default() };
    check("<a>x<!----></a>", &limits, Ok(()));
    check("<a>x<!---->x</a>", &limits, Err((Wrong::Nodes, 11)));
    let limits = Limits { text_bytes_max: 13, ..default() };
    check("<a><![CDATA[x]]></a>", &limits, Ok(()));
    check("<a><![CDATA[x]]>y</a>", &limits, Err((Wrong::TextBytes, 16)));
    let limits = Limits { attribute_bytes_max: 1, name_bytes_max: 2, ..default() };
    check("<ab c='x'/>", &limits, Ok(()));
    check("<ab c='xy'/>", &limits, Err((Wrong::AttributeBytes, 7)));
    check("<abc/>", &limits, Err((Wrong::NameBytes, 1)));
    let limits = Limits { distinct_namespaces_max: 3, ..default() };
    check("<a xmlns='urn:x'/>", &limits, Ok(()));
    check("<a xmlns='urn:x' xmlns:b='urn:y'/>", &limits, Err((Wrong::DistinctNamespaces, 17)));
}

/// The reader is quick where bytes enough follow, and has slower ways near the end: a cap is a cap in both.
#[test]
fn the_caps_hold_far_from_the_end_too() {
    let far = |source: &str, limits: &Limits, expected| {
        check(&format!("{source}{}", " ".repeat(64)), limits, expected);
    };
    let limits = Limits { text_bytes_max: 3, ..Limits::default() };
    far("<a>xyz</a>", &limits, Ok(()));
    far("<a>wxyz</a>", &limits, Err((Wrong::TextBytes, 6)));
    let limits = Limits { attribute_bytes_max: 3, ..Limits::default() };
    far("<a b='xyz' c=\"x&amp;\"/>", &limits, Err((Wrong::AttributeBytes, 14)));
    far("<a b='xyz'/>", &limits, Ok(()));
    far("<a b='wxyz'/>", &limits, Err((Wrong::AttributeBytes, 6)));
    let limits = Limits { name_bytes_max: 3, ..Limits::default() };
    far("<abc a:b='' xmlns:a='urn:a'/>", &limits, Err((Wrong::NameBytes, 12)));
    far("<abc/>", &limits, Ok(()));
    far("<abcd/>", &limits, Err((Wrong::NameBytes, 1)));
    far("<a><?abcd?></a>", &limits, Err((Wrong::NameBytes, 5)));
    // More than that no name can be, whatever is configured.
    let limits = Limits { name_bytes_max: usize::MAX, ..Limits::default() };
    let longest = "n".repeat(usize::from(u16::MAX));
    far(&format!("<{longest}/>"), &limits, Ok(()));
    far(&format!("<{longest}n/>"), &limits, Err((Wrong::NameBytes, 1)));
}

/// Few attributes are compared each with each, many are sorted: of either, no two are one.
#[test]
fn an_attribute_that_stands_twice_is_found_among_however_many() {
    for count in [2, 8, 9, 40] {
        for (first, second) in [("p:same", "p:same"), ("q:same", "p:same"), ("zz", "zz"), ("aa", "aa")] {
            for place in [0, count / 2, count - 1] {
                let mut names: Vec<String> = (0..count).rev().map(|number| format!("n{number:02}")).collect();
                let with = |names: &[String]| {
                    let attributes: String = names.iter().map(|name| format!(" {name}=''")).collect();
                    format!("<a xmlns:p='urn:p' xmlns:q='urn:p'{attributes}/>")
                };
                names[place] = first.to_owned();
                check(&with(&names), &Limits::default(), Ok(()));
                names.push(second.to_owned());
                let source = with(&names);
                let offset = source.rfind(second).unwrap();
                check(&source, &Limits::default(), Err((Wrong::AttributeDuplicate, offset)));
            }
        }
    }
}

#[test]
fn both_parts_of_a_name_begin_as_names_do() {
    for name in ["1:b", "a:1", "-a:b", "a:-b", "\u{B7}:b", "a:\u{B7}"] {
        check(&format!("<r><{name}/></r>"), &Limits::default(), Err((Wrong::Name, 4)));
        check(&format!("<r {name}=''/>"), &Limits::default(), Err((Wrong::Name, 3)));
    }
}

/// What libxml2 takes for no URI, too, has no canonical form there.
#[test]
fn namespace_names_are_uris() {
    for uri in ["urn:a", "http://h", "http://u:p@h:80/p?q#f", "http://h/a:b@c", "x+1-.:", "urn:%c3%A9"] {
        check(&format!("<a xmlns='{uri}'/>"), &Limits::default(), Ok(()));
    }
    for uri in [
        "a",
        "1:a",
        ":a",
        "urn:[a]",
        "urn:a#b#c",
        "http://h:",
        "http://h:p/",
        "http://:1/",
        "http://h:123456/",
        "urn:%c",
        "urn: a",
    ] {
        let wrong = Err((Wrong::NamespaceRelative, 3));
        check(&format!("<a xmlns='{uri}'/>"), &Limits::default(), wrong);
    }
}

#[test]
fn spellings_of_one_infoset_are_read_alike() {
    let expected = "a<&>\r\n\u{1F600}";
    for source in [
        "<r v='a&lt;&amp;&gt;&#13;&#10;&#x1F600;'>a&lt;&amp;&gt;&#xD;\r\n\u{1F600}</r>",
        "<r\n\tv = \"a&#60;&#38;>&#x0D;&#x0a;\u{1F600}\"><![CDATA[a<&]]>>&#0013;<![CDATA[\n]]>&#128512;</r >",
        "\u{FEFF}<?xml version=\"1.0\" encoding='utf-8' standalone=\"yes\" ?>\r\n<!-- - -->\
         <r v='a&lt;&amp;>&#13;&#10;&#x1F600;'>a&lt;&amp;&gt;&#xD;\r&#x1F600;</r>\n<?p?>",
    ] {
        let document = Document::parse(source, &Limits::default()).unwrap();
        assert_eq!(document.root().text().unwrap(), expected, "{source}");
        assert_eq!(document.root().attribute(None, "v").unwrap(), expected, "{source}");
    }
}

#[test]
fn white_space_in_attributes_is_normalised() {
    let document = Document::parse("<r v=' a\tb\nc\rd\r\ne&#9;f '/>", &Limits::default()).unwrap();
    assert_eq!(document.root().attribute(None, "v").unwrap(), " a b c d e\tf ");
}

#[test]
fn the_tree_says_what_the_document_says() {
    let source =
        "<?go  now ?><p:a xmlns:p='urn:x' xmlns='urn:y' p:i='1' i='2'>t<b xmlns=''><!--c--></b><c/>u</p:a>";
    let document = Document::parse(source, &Limits::default()).unwrap();
    let root = document.root();
    assert!(root.is("urn:x", "a"));
    assert_eq!((root.prefix(), root.qualified_name()), ("p", "p:a"));
    assert_eq!(root.attribute(Some("urn:x"), "i").unwrap(), "1");
    assert_eq!(root.attribute(None, "i").unwrap(), "2");
    assert_eq!(root.attribute(Some("urn:y"), "i"), None);
    let [b, c] = root.children().collect::<Vec<_>>()[..] else { panic!() };
    assert!(b.is("", "b") && c.is("urn:y", "c"));
    assert_eq!(root.children().map(|child| child.parent() == Some(root)).collect::<Vec<_>>(), [true, true]);
    assert_eq!(
        (b.resolve_prefix(""), b.resolve_prefix("p"), b.resolve_prefix("q")),
        (None, Some("urn:x"), None)
    );
    assert_eq!(c.resolve_prefix(""), Some("urn:y"));
    assert!(b.has_comments() && !c.has_comments() && root.has_comments() && document.has_comments());
    assert!(document.has_processing_instructions() && !root.has_processing_instructions());
    assert_eq!(&source[b.source_range()], "<b xmlns=''><!--c--></b>");
    assert_eq!(&source[b.content_range()], "<!--c-->");
    assert_eq!(&source[c.source_range()], "<c/>");
    assert_eq!(root.text().unwrap_err().offset, b.source_range().start);
    assert!(root.has_text_content() && !b.has_text_content());
    assert!(root.contains(c) && !b.contains(c) && c.contains(c));
    assert_eq!(root.nodes().count(), 4);
    assert_eq!(document.nodes().count(), 2);
    assert_eq!(document.element(c.node_id()), Some(c));
}

/// Near the end and far from it: what is one text to a reader is one node, and under one cap.
#[test]
fn text_and_cdata_side_by_side_are_one_text() {
    for behind in ["", &" ".repeat(64)] {
        let source = format!("<a>x<![CDATA[y]]>z<![CDATA[]]></a>{behind}");
        let document = Document::parse(source.as_str(), &Limits::default()).unwrap();
        assert_eq!(document.root().nodes().count(), 1);
        assert_eq!(document.root().text().unwrap(), "xyz");
        let limits = Limits { text_bytes_max: 26, ..Limits::default() };
        check(&source, &limits, Err((Wrong::TextBytes, 29)));
        check(&source, &Limits { text_bytes_max: 27, ..limits }, Ok(()));
    }
}

#[test]
fn text_around_a_comment_is_whole() {
    let document = Document::parse("<a>adm<!--x-->in<?p?>!</a>", &Limits::default()).unwrap();
    assert_eq!(document.root().text().unwrap(), "admin!");
}

#[test]
fn depth_and_width_cost_time_in_proportion() {
    // No clock: a quadratic reader or walk would not come back from this.
    let limits = Limits { depth_max: 200_000, attributes_max: 60_000, ..Limits::default() };
    let deep = "<a>".repeat(200_000) + &"</a>".repeat(200_000);
    let wide = format!("<r>{}</r>", "<a b='1'>x&#13;<![CDATA[y]]></a>".repeat(100_000));
    let attributes: String = (0..60_000).map(|number| format!(" a{number}=''")).collect();
    for source in [deep, wide, format!("<a{attributes}/>")] {
        let document = Document::parse(source, &limits).unwrap();
        let mut canonical = Vec::new();
        crate::c14n::canonicalize(document.root(), &crate::c14n::Method::exclusive(), &mut canonical)
            .unwrap();
        assert!(canonical.len() > 400_000);
    }
}
