use super::*;
use erds::{
    DigestMethod, EboxCheck, EnterpriseNumber, Environment, FaultCode, Language, Meta, Part, QualityCode,
    Recipient, Refusal, Ssin, StatedDigest, Status, Strictness,
};
use jiff::Timestamp;
use xmlsec::{Document, Limits};

pub(crate) fn golden(name: &str, actual: &[u8]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("EPOST_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read(&path).unwrap_or_default();
    assert!(expected == actual, "{name} differs: remake with EPOST_BLESS=1 and review the diff");
}

pub(crate) fn document(xml: &str) -> Document {
    Document::parse(xml.as_bytes().to_vec(), &Limits::default()).unwrap()
}

fn rules(strictness: Strictness) -> ReadRules {
    ReadRules { strictness, today: jiff::civil::date(2026, 6, 1) }
}

fn parse(xml: &str) -> Result<Request, Refusal> {
    Request::parse(document(xml).root(), &rules(Strictness::Strict))
}

fn part(content_id: &str) -> Part {
    Part {
        title: " A letter <1> & more ".to_owned(),
        digest: StatedDigest { method: DigestMethod::Sha256, value: vec![7; 32] },
        download_file_name: "letter.pdf".to_owned(),
        mime: Some("application/pdf".to_owned()),
        document_type: None,
        language: None,
        content_id: content_id.to_owned(),
    }
}

pub(crate) fn submission() -> Submission {
    let mut letter = part("letter@example.org");
    letter.document_type = Some("LETTER".to_owned());
    letter.language = Some(Language::Nl);
    Submission {
        token: Token::parse("2026/001").unwrap(),
        recipient: Recipient::Citizen {
            inss: Ssin::parse("00010100173", Strictness::Strict, jiff::civil::date(2026, 6, 1)).unwrap(),
            quality: QualityCode::parse("CITIZEN").unwrap(),
        },
        document: letter,
        annexes: vec![part("annex 1%é@example.org"), Part { mime: None, ..part("annex-2@example.org") }],
        meta: vec![Meta { name: "case".to_owned(), values: vec!["1".to_owned(), "2".to_owned()] }],
        check: EboxCheck::Preferred,
        beside: Default::default(),
    }
}

fn enterprise() -> Submission {
    Submission {
        recipient: Recipient::Enterprise {
            company: EnterpriseNumber::parse("000000196", Strictness::Strict).unwrap(),
            quality: QualityCode::parse("QUAL_EMP_NOSS").unwrap(),
        },
        annexes: Vec::new(),
        meta: Vec::new(),
        check: EboxCheck::Activated,
        beside: Default::default(),
        ..submission()
    }
}

#[test]
fn what_the_client_writes_is_read() {
    for (name, submission) in [("citizen", submission()), ("enterprise", enterprise())] {
        let xml = write_send_document_request(&submission);
        golden(&format!("send-document-request-{name}.xml"), xml.as_bytes());
        let Request::SendDocument(read) = parse(&xml).unwrap() else { panic!("{xml}") };
        assert_eq!(read, submission);
        assert_eq!(read.recipient.number_as_given(), submission.recipient.number_as_given());
    }
    let ticket = Ticket::parse("0123456789ABC").unwrap();
    let xml = write_get_status_request(&ticket);
    golden("get-status-request.xml", xml.as_bytes());
    assert_eq!(parse(&xml), Ok(Request::GetStatus { ticket }));
    let xml = write_health_check_request(HealthCheckKind::Deep);
    golden("health-check-request.xml", xml.as_bytes());
    assert_eq!(parse(&xml), Ok(Request::HealthCheck { kind: HealthCheckKind::Deep }));
    let bare = format!("<HealthCheckRequest xmlns=\"{}\"/>", namespace::MONITORING);
    assert_eq!(parse(&bare), Ok(Request::HealthCheck { kind: HealthCheckKind::Default }));
    for item in [ItemName::Ticket(ticket), ItemName::Token(Token::parse("t").unwrap())] {
        for proof in ProofKind::ALL {
            for form in [proof.default_form(), ProofForm::Evidence, ProofForm::Package] {
                let xml = write_get_proof_request(&item, proof, form);
                assert_eq!(parse(&xml), Ok(Request::GetProof { item: item.clone(), proof, form }));
            }
        }
    }
    let by_ticket = ItemName::Ticket(ticket);
    let xml = write_get_proof_request(&by_ticket, ProofKind::Receipt, ProofForm::Seal);
    golden("get-proof-request.xml", xml.as_bytes());
    let xml = write_get_proof_request(&by_ticket, ProofKind::Dispatch, ProofForm::Evidence);
    golden("get-proof-request-evidence.xml", xml.as_bytes());
    let package = write_get_proof_request(&by_ticket, ProofKind::Receipt, ProofForm::Package);
    golden("get-proof-request-package.xml", package.as_bytes());
    let said = |kind, form| parse(&xml.replace("DISPATCH", kind).replace("EVIDENCE", form)).map(drop);
    assert_eq!(said("DISPATCH", "SEAL"), Ok(()));
    for (kind, form) in [("DISPATCH", "ASICE"), ("EXPIRY", "SEAL"), ("RELAY", "EVIDENCE")] {
        assert_eq!(said(kind, form).unwrap_err().check, "schema.enumeration", "{kind} {form}");
    }
}

#[test]
fn operations_have_names() {
    for (request, name) in [
        (write_send_document_request(&submission()), "sendDocument"),
        (write_get_status_request(&Ticket::parse("0123456789ABC").unwrap()), "getStatus"),
        (write_health_check_request(HealthCheckKind::Ping), "healthCheck"),
    ] {
        let document = document(&request);
        let root = document.root();
        assert_eq!(operation_name(root.namespace(), root.local_name()), Some(name));
        assert_eq!(parse(&request).unwrap().operation(), name);
    }
    assert_eq!(operation_name("", "SendDocumentRequest"), None);
}

#[test]
fn the_type_is_resolved_as_a_qname() {
    let xml = write_send_document_request(&submission());
    let types = namespace::TYPES;
    let accepted = [
        xml.replace("xsi:type=\"t:Citizen\"", &format!("xmlns=\"{types}\" xsi:type=\"Citizen\"")),
        xml.replace("xsi:type=\"t:Citizen\"", &format!("xmlns:q=\"{types}\" xsi:type=\" q:Citizen \"")),
    ];
    for xml in accepted {
        assert_eq!(parse(&xml), Ok(Request::SendDocument(submission())));
    }
    for value in ["Citizen", "x:Citizen", "t:Sender", "t:Entity", "", ":", "v1:Citizen", "t:Citizen:x"] {
        let xml = xml.replace("xsi:type=\"t:Citizen\"", &format!("xsi:type=\"{value}\""));
        assert_eq!(parse(&xml).unwrap_err().check, "schema.xsi-type", "{value}");
    }
    // The children must be that type's: a rebound prefix can only refuse.
    let swapped = xml.replace("t:Citizen", "t:Enterprise");
    assert_eq!(parse(&swapped).unwrap_err().check, "schema.order");
}

#[test]
fn content_ids_in_every_spelling() {
    let cases = [
        ("cid:a@b", Some("a@b")),
        ("CID:a@b", Some("a@b")),
        ("a@b", Some("a@b")),
        ("\n a@b \t", Some("a@b")),
        ("<a@b>", Some("a@b")),
        ("cid:a%40b%20c", Some("a@b c")),
        ("http%3A%2F%2Fx", Some("http://x")),
        ("cid:é", Some("é")),
        ("cid:", None),
        ("", None),
        ("cid:%ff", None),
        ("a%0d%0ab", None),
    ];
    for (text, expected) in cases {
        assert_eq!(normalised_content_id(text).as_deref(), expected, "{text}");
    }
}

/// One change of a good request, and the code and check that must answer it.
#[test]
fn what_is_not_to_the_schema_is_refused() {
    let title = "<t:Title> A letter &lt;1&gt; &amp; more </t:Title>";
    let digest = xmlsec::base64::encode(&[7; 32]);
    let long = |tag: &str, count: usize| format!("<t:{tag}>{}</t:{tag}>", "é".repeat(count));
    use FaultCode::{EpostB01, EpostB05, EpostB07, FileB01, FileB02, FileB03, Soa03005, Soa03006};
    let cases: Vec<(&str, String, FaultCode, &str)> = vec![
        ("v1:SendDocumentRequest", "v1:SendDocument".to_owned(), Soa03005, "soap.operation.unknown"),
        ("<t:Token>2026/001</t:Token>", String::new(), Soa03006, "schema.order"),
        ("<t:Token>2026/001</t:Token>", long("Token", 51), Soa03006, "schema.length"),
        ("<t:Token>2026/001</t:Token>", "<t:Token>2026/001</t:Token>".repeat(2), Soa03006, "schema.order"),
        ("<t:Token>", "x<t:Token>".to_owned(), Soa03006, "schema.text"),
        ("<t:Token>", "<t:Token id=\"1\">".to_owned(), Soa03006, "schema.attribute"),
        ("<t:Token>", "<t:Token xsi:nil=\"true\">".to_owned(), Soa03006, "schema.attribute"),
        ("<t:Token>", "<t:Token xsi:type=\"t:Token\">".to_owned(), Soa03006, "schema.attribute"),
        ("<t:Token>2026", "<t:Token><t:x/>2026".to_owned(), Soa03006, "schema.text"),
        (title, String::new(), Soa03006, "schema.order"),
        (title, "<t:Title></t:Title>".to_owned(), Soa03006, "schema.length"),
        (title, long("Title", 401), Soa03006, "schema.length"),
        (
            "<t:DownloadFileName>letter.pdf</t:DownloadFileName>",
            long("DownloadFileName", 81),
            Soa03006,
            "schema.length",
        ),
        ("<t:Type>LETTER</t:Type>", long("Type", 81), Soa03006, "schema.length"),
        ("<t:Type>LETTER</t:Type>", String::new(), Soa03006, "schema.order"),
        ("<t:Language>nl", "<t:Language>NL".to_owned(), Soa03006, "schema.enumeration"),
        ("<t:Language>nl", "<t:Language> nl".to_owned(), Soa03006, "schema.enumeration"),
        ("<t:MIME>application/pdf", "<t:MIME>image/png".to_owned(), EpostB05, "content.mime"),
        (&digest, "=".to_owned(), Soa03006, "schema.base64"),
        (&digest, String::new(), Soa03006, "schema.length"),
        (&digest, xmlsec::base64::encode(&[7; 151]), Soa03006, "schema.length"),
        (&digest, xmlsec::base64::encode(&[7; 31]), FileB01, "digest.length"),
        ("SHA-256", "SHA-512".to_owned(), FileB01, "digest.length"),
        ("SHA-256", "SHA-1".to_owned(), FileB03, "digest.method.sha1"),
        ("SHA-256", "sha-256".to_owned(), FileB02, "digest.method.unknown"),
        ("00010100173", "0001010017".to_owned(), Soa03006, "schema.length"),
        ("00010100173", "00010100174".to_owned(), EpostB01, "identifier.check-digits"),
        ("00010100173", "0001010017a".to_owned(), EpostB01, "identifier.form"),
        (">CITIZEN<", ">QUAL_SSC<".to_owned(), EpostB01, "identifier.quality"),
        ("cid:letter@example.org", "cid:".to_owned(), Soa03006, "schema.content"),
        ("cid:annex-2@example.org", "letter@example.org".to_owned(), EpostB07, "content.repeated"),
        ("<t:Value>1</t:Value><t:Value>2</t:Value>", String::new(), Soa03006, "schema.order"),
        ("<t:Value>1</t:Value>", "<t:Value>1</t:Value>".repeat(10), Soa03006, "schema.unexpected"),
        ("<t:Value>1</t:Value>", long("Value", 26), Soa03006, "schema.length"),
        ("<t:Meta><t:Type>case</t:Type>", "<t:Meta>".to_owned(), Soa03006, "schema.order"),
        ("PREFERRED", "preferred".to_owned(), Soa03006, "schema.enumeration"),
        (
            "</v1:SendDocumentRequest>",
            "<t:More/></v1:SendDocumentRequest>".to_owned(),
            Soa03006,
            "schema.unexpected",
        ),
        (
            "<t:CheckEboxStatus>",
            "<CheckEboxStatus xmlns=\"\"/><t:CheckEboxStatus>".to_owned(),
            Soa03006,
            "schema.unexpected",
        ),
    ];
    let good = write_send_document_request(&submission());
    for (from, to, code, check) in cases {
        assert!(good.contains(from), "{from}");
        let count = if from.contains("SendDocumentRequest") && !from.starts_with('<') { 9 } else { 1 };
        let refusal = parse(&good.replacen(from, &to, count)).unwrap_err();
        assert_eq!((refusal.code, refusal.check), (code, check), "{from} -> {to}: {refusal}");
        for personal in ["00010100173", "letter &lt;1", "A letter", "0001010017a"] {
            assert!(!refusal.seen.contains(personal), "{refusal}");
        }
    }
}

#[test]
fn limits_hold_and_not_one_less() {
    let mut most = submission();
    most.token = Token::parse(&"é".repeat(50)).unwrap();
    most.document.title = "é".repeat(400);
    most.annexes = (0..5).map(|n| part(&format!("annex-{n}"))).collect();
    most.meta = (0..100).map(|_| Meta { name: "k".repeat(25), values: vec!["v".repeat(25); 10] }).collect();
    assert_eq!(parse(&write_send_document_request(&most)), Ok(Request::SendDocument(most.clone())));
    let mut more = most.clone();
    more.annexes.push(part("annex-6"));
    assert_eq!(parse(&write_send_document_request(&more)).unwrap_err().check, "schema.unexpected");
    most.meta.push(Meta { name: "k".to_owned(), values: vec!["v".to_owned()] });
    assert_eq!(parse(&write_send_document_request(&most)).unwrap_err().check, "schema.unexpected");
}

#[test]
fn spelling_variants_are_accepted() {
    let good = write_send_document_request(&submission());
    let digest = xmlsec::base64::encode(&[7; 32]);
    let wrapped = format!("\r\n{}&#13;\n {}\t", &digest[..20], &digest[20..]);
    for xml in [
        good.replace("><t:", ">\n  <t:"),
        good.replace(&digest, &wrapped),
        good.replace("2026/001", "20<!-- x -->26<![CDATA[/0]]>&#48;1"),
        good.replacen("<v1:SendDocumentRequest", "<v1:SendDocumentRequest xsi:schemaLocation=\"urn:x y\"", 1),
    ] {
        assert_eq!(parse(&xml), Ok(Request::SendDocument(submission())), "{xml}");
    }
    let absent = good.replace("<t:CheckEboxStatus>PREFERRED</t:CheckEboxStatus>", "");
    let Ok(Request::SendDocument(read)) = parse(&absent) else { panic!() };
    assert_eq!(read.check, EboxCheck::Activated);
}

#[test]
fn other_requests_are_strict_too() {
    let (v1, types, v2, mon) = (namespace::V1, namespace::TYPES, namespace::V2, namespace::MONITORING);
    let cases = [
        (format!("<GetStatusRequest xmlns=\"{v1}\"/>"), "schema.order"),
        (
            format!(
                "<v:GetStatusRequest xmlns:v=\"{v1}\" xmlns=\"{types}\"><Ticket>0123456789ABO</Ticket></v:GetStatusRequest>"
            ),
            "schema.pattern",
        ),
        (
            format!(
                "<v:GetStatusRequest xmlns:v=\"{v1}\" xmlns=\"{types}\"><Ticket> 0123456789ABC</Ticket></v:GetStatusRequest>"
            ),
            "schema.pattern",
        ),
        (format!("<HealthCheckRequest xmlns=\"{mon}\" type=\"ping\"/>"), "schema.enumeration"),
        (format!("<HealthCheckRequest xmlns=\"{mon}\" kind=\"PING\"/>"), "schema.attribute"),
        (format!("<HealthCheckRequest xmlns=\"{mon}\"><x/></HealthCheckRequest>"), "schema.unexpected"),
        (
            format!("<GetProofRequest xmlns=\"{v2}\"><ProofType>RECEIPT</ProofType></GetProofRequest>"),
            "schema.order",
        ),
        (
            format!(
                "<GetProofRequest xmlns=\"{v2}\"><Token/><ProofType>RECEIPT</ProofType></GetProofRequest>"
            ),
            "schema.length",
        ),
        (
            format!(
                "<GetProofRequest xmlns=\"{v2}\"><Token>t</Token><ProofType>RELAY</ProofType></GetProofRequest>"
            ),
            "schema.enumeration",
        ),
        (
            format!(
                "<GetProofRequest xmlns=\"{v2}\"><Token>t</Token><Ticket>0123456789ABC</Ticket><ProofType>RECEIPT</ProofType></GetProofRequest>"
            ),
            "schema.order",
        ),
    ];
    for (xml, check) in cases {
        assert_eq!(parse(&xml).unwrap_err().check, check, "{xml}");
    }
}

#[test]
fn lax_looks_at_the_form_alone() {
    let xml = write_send_document_request(&submission()).replace("00010100173", "00010100174");
    let document = document(&xml);
    assert!(Request::parse(document.root(), &rules(Strictness::Lax)).is_ok());
}

#[test]
fn answers_are_written_and_read() {
    let (ticket, token) = (Ticket::parse("0123456789ABC").unwrap(), Token::parse("2026/<1>").unwrap());
    let receipt = SealedFile::receipt([1; 32], "receipt-1@epost".to_owned(), vec![2; 100]);
    let xml = write_send_document_response(&ticket, &token, &receipt);
    golden("send-document-response.xml", xml.as_bytes());
    let read = parse_send_document_response(document(&xml).root()).unwrap();
    assert_eq!((read.ticket, &read.token), (ticket, &token));
    assert_eq!(read.receipt.content_id, "receipt-1@epost");
    assert_eq!(read.receipt.signature, vec![2; 100]);

    let proof = SealedFile::proof_of_dispatch([1; 32], "proof-1@epost".to_owned(), vec![3; 100]);
    let xml = write_get_status_response(&ticket, &token, Status::Sent, Some(&proof));
    golden("get-status-response-sent.xml", xml.as_bytes());
    let read = parse_get_status_response(document(&xml).root()).unwrap();
    assert_eq!(
        (read.status, read.proof.unwrap().file_name),
        (Status::Sent, "ProofOfDispatch.xml".to_owned())
    );
    let xml = write_get_status_response(&ticket, &token, Status::Pending, None);
    golden("get-status-response-pending.xml", xml.as_bytes());
    assert_eq!(parse_get_status_response(document(&xml).root()).unwrap().proof, None);

    let proof =
        ProofAnswer { file_name: "Receipt.xml".to_owned(), content: b"<a/>".to_vec(), signature: vec![4; 9] };
    let xml = write_get_proof_response(
        &ticket,
        &token,
        Status::Sent,
        Some(&proof),
        &[],
        None,
        &[vec![5; 4], vec![6; 5]],
    );
    golden("get-proof-response.xml", xml.as_bytes());
    let read = parse_get_proof_response(document(&xml).root()).unwrap();
    assert_eq!((read.proof, read.crls.len()), (Some(proof), 2));
    let flipped = xml.replace("PGEvPg==", "PGIvPg==");
    assert_eq!(parse_get_proof_response(document(&flipped).root()).unwrap_err().code(), "answer.digest");
    assert!(parse_send_document_response(document(&xml).root()).is_err());

    let evidence = [evidence("ContentAccessTracking"), evidence("ContentHandover")];
    let xml = write_get_proof_response(&ticket, &token, Status::Sent, None, &evidence, None, &[vec![5; 4]]);
    golden("get-proof-response-evidence.xml", xml.as_bytes());
    let read = parse_get_proof_response(document(&xml).root()).unwrap();
    assert_eq!((read.proof, read.evidence, read.crls.len()), (None, evidence.to_vec(), 1));
    let flipped = xml.replacen("PGIvPg==", "PGMvPg==", 1);
    assert_eq!(parse_get_proof_response(document(&flipped).root()).unwrap_err().code(), "answer.digest");

    let package = PackageAnswer { file_name: "Receipt.asice".to_owned(), content: b"<b/>".to_vec() };
    let xml = write_get_proof_response(&ticket, &token, Status::Sent, None, &[], Some(&package), &[]);
    golden("get-proof-response-package.xml", xml.as_bytes());
    let read = parse_get_proof_response(document(&xml).root()).unwrap();
    assert_eq!((read.proof, read.evidence, read.package), (None, Vec::new(), Some(package)));
    let flipped = xml.replacen("PGIvPg==", "PGMvPg==", 1);
    assert_eq!(parse_get_proof_response(document(&flipped).root()).unwrap_err().code(), "answer.digest");
}

pub(crate) fn evidence(event: &str) -> EvidenceAnswer {
    EvidenceAnswer {
        event: format!("http://uri.etsi.org/19522/Event/{event}"),
        file_name: format!("{event}.xml"),
        content: b"<b/>".to_vec(),
    }
}

#[test]
fn a_health_report_is_written_and_read() {
    let report = HealthReport {
        at: Timestamp::from_millisecond(1_800_000_000_123).unwrap(),
        level: HealthLevel::Warning,
        message: Some("queue filled".to_owned()),
        component: ComponentHealth { name: "ePost".to_owned(), version: "0.1.0".to_owned() },
        location: ServiceLocation {
            environment: Environment::Tst,
            host: "localhost".to_owned(),
            port: Some(8443),
            url: Some("https://localhost:8443/RegisteredMail/v1".to_owned()),
        },
        checks: vec![CheckOutcome {
            id: "journal".to_owned(),
            level: HealthLevel::Fatal,
            message: None,
            resource_name: "journal".to_owned(),
            resource_type: ResourceType::Filesystem,
            kind: HealthCheckKind::Default,
            time_ms: 3,
        }],
    };
    let xml = write_health_check_response(&report);
    golden("health-check-response.xml", xml.as_bytes());
    let read = parse_health_check_response(document(&xml).root()).unwrap();
    assert_eq!(read, HealthAnswer { level: HealthLevel::Warning, message: Some("queue filled".to_owned()) });
    assert!(!xml.contains("FATAL"));
}

#[test]
fn an_envelope_holds_the_answer() {
    let xml = envelope(crate::envelope::SoapVersion::V11, "<a/>");
    assert_eq!(
        String::from_utf8(xml).unwrap(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <soapenv:Body><a/></soapenv:Body></soapenv:Envelope>"
    );
}
