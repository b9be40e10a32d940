//! The other targets' seeds: valid ones, and changes of them that reach another code.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use disk::{Disk, ForgetfulDisk, OpenMode, read_exactly};
use epost_fuzz::Codes;
use erds::Record;
use erds::record::Control;
use journal::{Entry, Frame, Journal};

use crate::kit::{place, write};

/// Keeps what reaches a code that nothing before it reached.
pub(crate) struct Keeper {
    target: &'static str,
    body: fn(&[u8]) -> Codes,
    seen: HashSet<&'static str>,
}

impl Keeper {
    pub(crate) fn new(target: &'static str, body: fn(&[u8]) -> Codes) -> Self {
        Self { target, body, seen: HashSet::new() }
    }

    pub(crate) fn seed(&mut self, name: &str, bytes: &[u8]) {
        self.seen.extend((self.body)(bytes));
        write(&format!("corpus/{}/{name}", self.target), bytes);
    }

    pub(crate) fn change(&mut self, bytes: &[u8]) {
        let codes = (self.body)(bytes);
        if let Some(code) = codes.iter().find(|code| !self.seen.contains(*code)) {
            write(&format!("corpus/{}/{code}", self.target), bytes);
            self.seen.extend(codes);
        }
    }
}

fn goldens(part: &str) -> Vec<(String, String)> {
    let folder = place("../crates/soap/tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let named = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let wanted = files.iter().filter(|path| named(path).contains(part));
    wanted.map(|path| (named(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// Where the tags of a document stand.
pub(crate) fn tags(xml: &str) -> Vec<std::ops::Range<usize>> {
    let starts = xml.match_indices('<').map(|(at, _)| at);
    starts.filter_map(|at| Some(at..at + xml[at..].find('>')? + 1)).collect()
}

#[test]
fn messages() {
    let mut keeper = Keeper::new("message", epost_fuzz::message);
    let mut seeds = goldens("-request");
    seeds.extend(goldens("-response"));
    for (name, xml) in &seeds {
        keeper.seed(name, xml.as_bytes());
    }
    for (_, xml) in &seeds {
        for tag in tags(xml) {
            let (before, after) = (&xml[..tag.start], &xml[tag.end..]);
            let whole = &xml[tag.clone()];
            let long = "9".repeat(5000);
            let inserted = [
                "",
                "text",
                "<x/>",
                "<!-- c -->",
                "<t:Title>x</t:Title>",
                &long,
                "\u{1f600}",
                "0",
                "1/1",
                "SHA1",
            ];
            for text in inserted {
                keeper.change(format!("{before}{whole}{text}{after}").as_bytes());
                let rest = after.find('<').map_or("", |at| &after[at..]);
                keeper.change(format!("{before}{whole}{text}{rest}").as_bytes());
            }
            let open = whole.trim_end_matches('>').trim_end_matches('/');
            keeper.change(format!("{before}{open} a=\"b\"{}{after}", &whole[open.len()..]).as_bytes());
            let name: String = whole.chars().filter(|c| c.is_alphanumeric() || *c == ':').collect();
            keeper.change(xml.replace(&name, "t:Other").as_bytes());
        }
        for (from, to) in [
            ("00010100173", "00010100174"),
            ("00010100173", "00023100174"),
            ("00010100173", "x"),
            ("00010100173", "99999999999"),
            ("000000196", "000000197"),
            ("0000000196", "0000000197"),
            ("000000196", "9999999999"),
            ("CITIZEN", "OTHER"),
            ("SHA-256", "SHA-1"),
            ("SHA-256", "MD5"),
            ("SHA-256", "SHA-512"),
            ("application/pdf", "a b"),
            ("nl", "xx"),
            ("annex-2@", "letter@"),
            ("PREFERRED", "OTHER"),
            ("v1\"", "v9\""),
            ("xsi:type=\"t:Citizen\"", ""),
            ("t:Citizen", "t:Sender"),
            ("http://socialsecurity.be/registeredmail/v1", "urn:other"),
            ("cid:letter@example.org", "http://x"),
            ("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "!"),
            ("0123456789ABC", "O"),
            ("DEEP", "OTHER"),
            ("CITIZEN", "QUAL_EMP_NOSS"),
            ("00010100173", "00133100173"),
            ("00010100173", "00130100173"),
            ("0123456789ABC", "0123456789ABI"),
            ("RECEIPT", "OTHER"),
            ("00010100173", "0001010017a"),
            ("00010100173", "00023100153"),
        ] {
            keeper.change(xml.replace(from, to).as_bytes());
        }
    }
    let annex = seeds.iter().find(|(name, _)| name.contains("citizen")).unwrap().1.clone();
    let item = "<t:Meta><t:Type>case</t:Type><t:Value>1</t:Value><t:Value>2</t:Value></t:Meta>";
    keeper.change(annex.replace(item, &item.repeat(200)).as_bytes());
    keeper.change(annex.replace("<t:Value>1</t:Value>", &"<t:Value>1</t:Value>".repeat(300)).as_bytes());
}

#[test]
fn bodies() {
    let mut keeper = Keeper::new("multipart", epost_fuzz::multipart);
    let two = "- Multipart/Related; type=\"text/xml\"; boundary=\"b/+=1\"\n--b/+=1\r\nContent-Type: text/xml; charset=UTF-8\r\n\
        Content-ID: <r@x>\r\n\r\n<e/>\r\n--b/+=1\r\nContent-ID: <a@null>\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\n\
        --b/+=\r\n-\r\r\n\r\n--b/+=1--\r\n";
    let base = "p\r\n--b\r\nA: b\r\nC: d\r\nContent-Type: text/xml\r\n\r\n1234\r\n--b\r\nContent-ID: <a>\r\n\r\n12345\r\n--b--\r\nlater";
    keeper.seed("two-parts", two.as_bytes());
    keeper.seed("plain", b"- text/xml; charset=utf-8\n<e/>");
    for cap in "-phHrabfl".chars() {
        keeper.change(format!("{cap}multipart/related; boundary=b\n{base}").as_bytes());
    }
    keeper.seed("start", format!("-multipart/related; boundary=b; start=\"<a>\"\n{base}").as_bytes());
    for kind in [
        "text/plain",
        "",
        "text/xml; charset=utf-16",
        "multipart/related",
        "multipart/related; boundary=b; boundary=b",
        "multipart/related; boundary=b; start=\"<x>\"",
        "multipart/related; boundary=b; type=\"text/html\"",
        "multipart/related; boundary=\"a \"",
        "multipart/related; boundary=b; start=\"<a>\"",
        ";",
    ] {
        keeper.change(format!("-{kind}\n{base}").as_bytes());
        keeper.change(format!("-{kind}\n{}", base.replace("12345", "")).as_bytes());
    }
    for (from, to) in [
        ("A: b", "Content-Transfer-Encoding: base64"),
        ("A: b", "no colon"),
        ("text/xml", "text/html"),
        ("Content-ID: <a>", "X: y"),
        ("--b--", "--bb--"),
        ("--b--", ""),
        ("p\r\n--b\r\n", "--b--"),
        ("12345", "1\r\n--b\r\nContent-ID: <A>\r\n\r\n2"),
        ("text/xml", "text/xml; charset=latin1"),
    ] {
        keeper.change(format!("-multipart/related; boundary=b\n{}", base.replacen(from, to, 1)).as_bytes());
    }
    let bare = "--b\r\n\r\nR\r\n--b\r\ncontent-id: a\r\n\r\nA\r\n--b--";
    keeper.change(format!("-multipart/related; boundary=b; start=\"<a>\"\n{bare}").as_bytes());
    let (preamble, epilogue) = ("p".repeat(2000), "e".repeat(2000));
    keeper.change(format!("-multipart/related; boundary=b\n{preamble}\r\n{base}").as_bytes());
    keeper.change(format!("-multipart/related; boundary=b\n{base}{epilogue}").as_bytes());
}

#[test]
fn documents() {
    let mut reader = Keeper::new("xml_reader", epost_fuzz::xml_reader);
    let mut forms = Keeper::new("c14n", epost_fuzz::c14n);
    let seeds = [
        "<a xmlns=\"urn:a\" xmlns:b=\"urn:b\" b:x=\"&#13;&#9;&lt;&quot;\" y='\u{e9}'><b:c xmlns=\"\"><!-- c --><?p i?>t<![CDATA[<&]]></b:c></a>",
        "<?xml version=\"1.0\"?>\r\n<!-- before --><?p?><e xml:lang=\"nl\" xml:base=\"http://x/a/\"><f xml:base=\"../b\" xml:id=\"i\"/></e><?q r?><!-- after -->",
    ];
    for (number, seed) in seeds.iter().enumerate() {
        reader.seed(&format!("seed-{number}.xml"), seed.as_bytes());
        forms.seed(&format!("seed-{number}"), format!("b #default\n{seed}").as_bytes());
    }
    for prefixes in ["b", "#default x", "1", ":", "b b", "a:b"] {
        forms.change(format!("{prefixes}\n{}", seeds[0]).as_bytes());
    }
    for (_, xml) in goldens("request") {
        forms.change(format!("t v1\n{xml}").as_bytes());
    }
    let mut hostile: Vec<_> = std::fs::read_dir(place("../crates/xmlsec/tests/hostile"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    hostile.sort();
    for path in hostile.iter().filter(|path| path.extension().is_some_and(|kind| kind == "xml")) {
        reader.change(&std::fs::read(path).unwrap());
    }
    reader.change(b"<a xmlns:a=\"u:a\" xmlns:b=\"u:b\" xmlns:c=\"u:c\" a:b=\"12345\" c=\"1\" d=\"2\"><b><c>text and more</c></b></a>");
    reader.change(b"<a b=\"1\" c=\"2\" d=\"3\"/>");
    reader.change(b"<a b=\"123456\"/>");
    reader.change(b"<a><b><c/></b></a>");
    reader.change(b"<a>123456</a>");
    reader.change(b"<abcdefgh/>");
}

#[test]
fn journals() {
    let disk = ForgetfulDisk::new();
    let dir = epost_fuzz::journal_dir();
    let (log, _) = Journal::open(Arc::new(disk.clone()), dir, epost_fuzz::journal_options()).unwrap();
    for number in 0..6 {
        let record = Record::Control(Control {
            at: epost_fuzz::now(),
            action: "item.requeued".to_owned(),
            ticket: None,
            detail: format!("number {number}"),
        });
        let frame = Frame { name: "soap".to_owned(), ciphertext: vec![number; 42] };
        log.append_blocking(Entry { record, frames: vec![frame], unique_keys: Vec::new() }).unwrap();
    }
    drop(log);
    let _ = std::fs::remove_dir_all(place("fixed/journal"));
    let mut last = Vec::new();
    for path in disk.list(dir).unwrap() {
        let Ok(file) = disk.open(&path, OpenMode::Read) else { continue };
        last = read_exactly(file.as_ref(), 0, file.length().unwrap() as usize).unwrap();
        write(&format!("fixed/journal/{}", path.file_name().unwrap().to_string_lossy()), &last);
    }
    let mut keeper = Keeper::new("journal_segment", epost_fuzz::journal_segment);
    keeper.seed("honest", b"");
    keeper.seed("segment", &[b"s".as_slice(), &last].concat());
    keeper.seed("cut", &[0x10, 0, 90, 0]);
    keeper.seed("appended", &[0x11, 0, 60, 7]);
    keeper.seed("copied", &[0x14, 0, 40, 60]);
    // Places in the files of 4 and of 2 records, all of the same length; a count of 255 reaches the end.
    let header = 30;
    let record = (last.len() - header) / 2;
    assert_eq!(record % 4, 0, "a count is in fours");
    let [one, other] = [1, 2].map(|number| ((header + record * (number - 1)) as u16).to_be_bytes());
    keeper.seed("record-copied-to-the-end", &[0x14, other[0], other[1], 255]);
    keeper.seed("record-copied-to-the-end-as-found", &[0x34, 0x04, 0x32, 0x55, 0x55]);
    keeper.seed("records-copied-to-the-end", &[0x14, one[0], one[1], 255]);
    keeper.seed("records-swapped", &[0x16, one[0], one[1], (record / 4) as u8]);
    keeper.seed("records-of-another-segment", &[0x07, one[0], one[1], 255]);
    for kind in 0..8 {
        for file in 0..2 {
            for at in [0, 3, 9, 40, 90, 255] {
                keeper.change(&[file << 4 | kind, 0, at, 1]);
            }
        }
    }
    crate::tlog::published();
}
