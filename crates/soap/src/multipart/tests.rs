//! Method: a body goes in whole, byte by byte, and split in two at every place; all must give the same, printed as one
//! line a part.

use super::*;

const TYPE: &str = r#"Multipart/Related; type="text/xml"; boundary="b/+=1""#;

#[derive(Default)]
struct Parts(Vec<(PartHeaders, Vec<u8>, bool)>);

impl PartSink for Parts {
    fn begin(&mut self, headers: &PartHeaders) -> Result<(), SinkError> {
        self.0.push((headers.clone(), Vec::new(), false));
        Ok(())
    }
    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        assert!(!bytes.is_empty());
        self.0.last_mut().expect("begun").1.extend_from_slice(bytes);
        Ok(())
    }
    fn end(&mut self) -> Result<(), SinkError> {
        self.0.last_mut().expect("begun").2 = true;
        Ok(())
    }
}

fn read<'b>(
    kind: &str,
    limits: &Limits,
    chunks: impl IntoIterator<Item = &'b [u8]>,
) -> Result<Parts, MultipartError> {
    let mut parts = Parts::default();
    let mut reader = Reader::new(kind, limits)?;
    for chunk in chunks {
        reader.feed(chunk, &mut parts)?;
    }
    reader.finish(&mut parts)?;
    assert!(parts.0.iter().all(|(_, _, ended)| *ended));
    Ok(parts)
}

fn told(outcome: Result<Parts, MultipartError>) -> String {
    match outcome {
        Err(error) => error.code().to_owned(),
        Ok(parts) => parts
            .0
            .iter()
            .map(|(headers, bytes, _)| {
                let root = if headers.is_root() { "root " } else { "" };
                let id = headers.content_id().unwrap_or("-");
                format!("{root}{id}={}", String::from_utf8_lossy(bytes).escape_default())
            })
            .collect::<Vec<_>>()
            .join(" | "),
    }
}

#[track_caller]
fn check_limited(kind: &str, limits: &Limits, body: &str, expected: &str) {
    let body = body.as_bytes();
    let whole = told(read(kind, limits, [body]));
    println!("verdict: {whole}"); // what tests/attacks/run prints
    assert_eq!(whole, expected, "whole");
    assert_eq!(told(read(kind, limits, body.chunks(1))), expected, "byte by byte");
    for at in 0..body.len() {
        let (before, after) = body.split_at(at);
        assert_eq!(told(read(kind, limits, [before, after])), expected, "split at {at}");
    }
    for size in [2, 3, 5, 7, 11] {
        assert_eq!(told(read(kind, limits, body.chunks(size))), expected, "chunks of {size}");
    }
}

#[track_caller]
fn check(kind: &str, body: &str, expected: &str) {
    check_limited(kind, &Limits::default(), body, expected);
}

const TWO: &str = "--b/+=1\r\nContent-Type: text/xml; charset=UTF-8\r\nContent-ID: <r@x>\r\n\r\n<e/>\r\n\
    --b/+=1\r\nContent-ID: <a@null>\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\n--b/+=\r\n-\r\r\n\r\n--b/+=1--\r\n";

#[test]
fn two_parts_with_near_boundaries_inside() {
    check(TYPE, TWO, "root r@x=<e/> | a@null=\\r\\n--b/+=\\r\\n-\\r\\r\\n");
}

#[test]
fn leading_line_preamble_padding_and_no_final_line() {
    check(TYPE, &format!("\r\n{}", TWO.trim_end()), "root r@x=<e/> | a@null=\\r\\n--b/+=\\r\\n-\\r\\r\\n");
    check(
        TYPE,
        &format!("for old mail\r\n{TWO}later"),
        "root r@x=<e/> | a@null=\\r\\n--b/+=\\r\\n-\\r\\r\\n",
    );
    let padded = TWO.replace("--b/+=1\r\n", "--b/+=1 \t\r\n");
    check(TYPE, &padded, "root r@x=<e/> | a@null=\\r\\n--b/+=\\r\\n-\\r\\r\\n");
}

#[test]
fn root_by_place_by_start_and_without_id() {
    let body = "--b\r\nContent-ID: <a>\r\n\r\nA\r\n--b\r\nContent-ID: <r>\r\n\r\nR\r\n--b--";
    check("multipart/related; boundary=b", body, "root a=A | r=R");
    check("multipart/related; boundary=b; start=\"<r>\"", body, "a=A | root r=R");
    check("multipart/related; boundary=b; start=\"<R>\"", body, "multipart.root.missing");
    let bare = "--b\r\n\r\nR\r\n--b\r\ncontent-id: a\r\n\r\nA\r\n--b--";
    check("multipart/related; boundary=b", bare, "root -=R | a=A");
    check("multipart/related; boundary=b; start=\"<r>\"", bare, "root -=R | a=A");
    check("multipart/related; boundary=b; start=\"<a>\"", bare, "multipart.root.ambiguous");
}

#[test]
fn empty_parts_and_folded_headers() {
    let body =
        "--b\r\nContent-Type: text/xml;\r\n charset=utf-8\r\n\r\n\r\n--b\r\nContent-ID: <a>\r\n\r\n--b--";
    check("multipart/related; boundary=b", body, "root -= | a=");
}

#[test]
fn plain_xml_is_one_root_part() {
    check("text/xml; charset=utf-8", "<e/>", "root -=<e/>");
    check("application/soap+xml", "<e/>", "root -=<e/>");
    check("text/xml", "", "multipart.root.missing");
    check("text/xml; charset=utf-16", "<e/>", "multipart.charset.unsupported");
    check("text/plain", "<e/>", "multipart.content-type.unsupported");
    check("multipart/form-data; boundary=b", "", "multipart.content-type.unsupported");
}

#[test]
fn row_68_content_ids_are_unique_letter_case_aside() {
    for twin in ["<a@x>", "<A@X>"] {
        let body = format!(
            "--b\r\n\r\nR\r\n--b\r\nContent-ID: <a@x>\r\n\r\n1\r\n--b\r\nContent-ID: {twin}\r\n\r\n2\r\n--b--"
        );
        check("multipart/related; boundary=b", &body, "multipart.content-id.repeated");
    }
    let body = "--b\r\n\r\nR\r\n--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--";
    check("multipart/related; boundary=b", body, "multipart.content-id.missing");
}

#[test]
fn row_69_forms_that_confuse() {
    let kind = "multipart/related; boundary=b";
    for (header, expected) in [
        ("Content-Transfer-Encoding: base64", "multipart.transfer-encoding.unsupported"),
        ("Content-Transfer-Encoding: quoted-printable", "multipart.transfer-encoding.unsupported"),
        ("Content-Transfer-Encoding: x", "multipart.transfer-encoding.unsupported"),
        ("Content-ID: <a>\r\nContent-ID: <b>", "multipart.headers.malformed"),
        ("Content-ID: <>", "multipart.headers.malformed"),
        ("Content-ID : <a>", "multipart.headers.malformed"),
        (" folded first", "multipart.headers.malformed"),
        ("no colon", "multipart.headers.malformed"),
        ("A: b\rc", "multipart.headers.malformed"),
        ("A: b\nc: d", "multipart.headers.malformed"),
        ("Content-Type: text/html", "multipart.root.type-unsupported"),
        ("Content-Type: text/xml; charset=latin1", "multipart.charset.unsupported"),
    ] {
        check(kind, &format!("--b\r\n{header}\r\n\r\nR\r\n--b--"), expected);
    }
    check(kind, "--b\r\n\r\nR\r\n--bb--", "multipart.boundary.line-malformed");
    check(kind, "--b\r\n\r\nR\r\n--b-\r\n", "multipart.boundary.line-malformed");
    check(kind, "--b\r\n\r\nR\r\n--b", "multipart.truncated");
    check(kind, "--b\r\n\r\nR", "multipart.truncated");
    check(kind, "--b--", "multipart.root.missing");
    check(kind, "", "multipart.truncated");
    check("multipart/related", "", "multipart.boundary.invalid");
    check("multipart/related; boundary=\"a \"", "", "multipart.boundary.invalid");
    check("multipart/related; boundary=a; boundary=b", "", "multipart.content-type.malformed");
    check("multipart/related; boundary=a; type=\"text/html\"", "", "multipart.root.type-unsupported");
}

#[test]
fn row_69_limits_at_the_cap_and_one_past() {
    let kind = "multipart/related; boundary=b";
    let body = "p\r\n--b\r\nA: b\r\n\r\n123\r\n--b\r\nContent-ID: <a>\r\n\r\n1234\r\n--b--\r\n";
    let fits = Limits {
        parts_max: 2,
        part_headers_max: 1,
        part_header_bytes_max: 19,
        root_part_bytes_max: 3,
        part_bytes_max: 4,
        body_bytes_max: body.len() as u64,
        preamble_bytes_max: 1,
        epilogue_bytes_max: 2,
    };
    check_limited(kind, &fits, body, "root -=123 | a=1234");
    let past = |change: fn(&mut Limits), expected: &str| {
        let mut limits = fits.clone();
        change(&mut limits);
        check_limited(kind, &limits, body, expected);
    };
    past(|l| l.parts_max = 1, "multipart.parts.too-many");
    past(|l| l.part_headers_max = 0, "multipart.headers.too-many");
    past(|l| l.part_header_bytes_max = 18, "multipart.headers.too-large");
    past(|l| l.root_part_bytes_max = 2, "multipart.root.too-large");
    past(|l| l.part_bytes_max = 3, "multipart.part.too-large");
    past(|l| l.body_bytes_max -= 1, "multipart.body.too-large");
    past(|l| l.preamble_bytes_max = 0, "multipart.preamble.too-large");
    past(|l| l.epilogue_bytes_max = 1, "multipart.epilogue.too-large");
}

#[test]
fn raw_headers_are_kept_as_they_came() {
    let parts = read(TYPE, &Limits::default(), [TWO.as_bytes()]).expect("reads");
    assert_eq!(parts.0[0].0.raw(), b"Content-Type: text/xml; charset=UTF-8\r\nContent-ID: <r@x>\r\n\r\n");
}

#[test]
fn what_the_writer_makes_the_reader_reads() {
    let writer = Writer::new([7; 16]);
    let body = writer.body(b"<e/>".to_vec(), &[("a@x", "application/pdf", b"%PDF\r\n")]).expect("writes");
    let text = String::from_utf8(body).expect("text");
    check(&writer.content_type(), &text, "root root@epost=<e/> | a@x=%PDF\\r\\n");
    let part = OutgoingPart { content_id: "a@x".into(), content_type: "application/pdf".into(), bytes: 6 };
    let layout = writer.layout(b"<e/>".to_vec(), &[part]).expect("writes");
    assert_eq!(layout.total_bytes, text.len() as u64);
    assert_eq!(writer.body(Vec::new(), &[("a\r\nX: y", "a/b", b"")]), Err(WriteError::HeaderValue));
}

#[test]
fn after_an_error_the_reader_has_ended() {
    let mut parts = Parts::default();
    let mut reader = Reader::new("multipart/related; boundary=b", &Limits::default()).expect("reads");
    assert!(reader.feed(b"--bx", &mut parts).is_err());
    assert_eq!(reader.feed(b"--b", &mut parts).map_err(|e| e.code()), Err("multipart.ended"));
    assert_eq!(reader.finish(&mut parts).map_err(|e| e.code()), Err("multipart.ended"));
}
