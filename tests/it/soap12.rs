//! SOAP 1.2 at contract B's door: what is asked in it is answered in it, faults too, whichever step refuses (`clients.md` 1, 11).

use soap::envelope::SoapVersion;
use soap::message::v2::write_submit_request;
use soap::message::{ItemName, ProofKind};

use crate::house::draft::{V2, submission};
use crate::house::inside::{Plan, stamper};
use crate::house::reply::committed_crls;
use crate::house::scripted::Gate;
use crate::house::{Answered, Draft, House, Sandbox, Signed, file};

const BOTH: [SoapVersion; 2] = [SoapVersion::V11, SoapVersion::V12];

fn submit(version: SoapVersion) -> Draft {
    let files = [file(1, 900)];
    let payload = write_submit_request(&submission("T", &files), &[Some(files[0].as_slice())], &[]);
    Draft { path: V2, version, ..Draft::asking(payload) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_accepted_and_proved_in_either_version() {
    let sandbox = Sandbox::start().await;
    let answers = [sandbox.ask(&submit(BOTH[0])).await, sandbox.ask(&submit(BOTH[1])).await];
    for (answer, version) in answers.iter().zip(BOTH) {
        assert_eq!(answer.content_type, version.content_type());
        assert!(said(answer).contains(version.namespace()), "{answer}");
        assert!(
            said(answer).contains("xmldsig-more#rsa-sha256\""),
            "what every stack reads (clients.md 12): {answer}"
        );
        answer.submitted().must_pass(&[file(1, 900)], &committed_crls());
    }
    let receipt = answers[0].submitted();
    assert_eq!(answers[1].submitted(), receipt, "one item, whatever the envelope");
    let named = ItemName::Ticket(receipt.ticket);
    let asked = Draft { version: SoapVersion::V12, ..Draft::proof(&named, ProofKind::Receipt) };
    let answer = sandbox.ask(&asked).await;
    answer.must_be_signed();
    assert_eq!(answer.proof_reply().proof.unwrap().content, receipt.xml);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mtom_comes_in_either_version() {
    let house = House::new().await;
    for version in BOTH {
        let payload = write_submit_request(&submission("T", &[file(1, 900)]), &[], &[]);
        let signed = Draft { path: V2, version, ..Draft::asking(payload) }.sign();
        let soap = version.content_type().split(';').next().unwrap();
        let content_type = format!(
            "multipart/related; type=\"application/xop+xml\"; start=\"<root>\"; start-info=\"{soap}\"; boundary=\"b\""
        );
        let mut body =
            format!("--b\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"{soap}\"\r\n")
                .into_bytes();
        body.extend_from_slice(b"Content-ID: <root>\r\n\r\n");
        body.extend_from_slice(&signed.root);
        body.extend_from_slice(b"\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-ID: <part-0@sender.example>\r\n\r\n");
        body.extend_from_slice(&file(1, 900));
        body.extend_from_slice(b"\r\n--b--\r\n");
        let answer = house.send_body(&signed, &content_type, &body).await;
        assert_eq!(answer.content_type, version.content_type(), "inline always: {answer}");
        answer.submitted().must_pass(&[file(1, 900)], &committed_crls());

        let broken = [&body[..body.len() - 10], b"\r\n"].concat();
        let answer = house.send_body(&signed, &content_type, &broken).await;
        assert_eq!(form(&answer, version), "SOA-03004", "the version is known by the Content-Type alone");
    }
}

/// One request, and how it is changed before and after it is signed.
struct Wrong {
    code: &'static str,
    before: fn(&mut Draft),
    after: fn(&mut Signed),
}

const WRONG: [Wrong; 14] = [
    Wrong { code: "SOA-01001", before: |_| {}, after: |signed| signed.replace("Letter 0", "Letter 9") },
    Wrong {
        code: "SOA-01001",
        before: |_| {},
        after: |signed| signed.replace("xmlenc#sha256", "xmlenc#sha1"),
    },
    Wrong {
        code: "SOA-01001",
        before: |_| {},
        after: |signed| {
            signed.replace("<wsse:Security ", "<wsse:Insecurity ");
            signed.replace("</wsse:Security>", "</wsse:Insecurity>");
        },
    },
    Wrong { code: "SOA-01002", before: |draft| draft.signer = "wrong_environment".to_owned(), after: |_| {} },
    Wrong { code: "SOA-03001", before: |_| {}, after: |signed| signed.root.truncate(500) },
    Wrong {
        code: "SOA-03001",
        before: |_| {},
        after: |signed| signed.root.splice(..0, *b"<!DOCTYPE x>").for_each(drop),
    },
    Wrong { code: "SOA-03002", before: |_| {}, after: |signed| signed.root = b"<a/>".to_vec() },
    Wrong {
        code: "SOA-03002",
        before: |_| {},
        after: |signed| {
            signed.replace("</soap:Header>", "<x xmlns=\"urn:x\" soap:mustUnderstand=\"1\"/></soap:Header>")
        },
    },
    Wrong {
        code: "SOA-03003",
        before: |_| {},
        after: |signed| signed.replace("<v2:SubmitRequest", "<a/><v2:SubmitRequest"),
    },
    Wrong {
        code: "SOA-03005",
        before: |draft| draft.payload = "<a xmlns=\"urn:a\"/>".to_owned(),
        after: |_| {},
    },
    Wrong { code: "SOA-03006", before: |draft| draft.replace("LETTER</", "</"), after: |_| {} },
    Wrong { code: "FILE_B01", before: |draft| draft.replace(">AR4/", ">AA4/"), after: |_| {} },
    Wrong { code: "EPOST_B01", before: |draft| draft.replace("00000000196", "00000000197"), after: |_| {} },
    Wrong {
        code: "REPO_B01",
        before: |draft| {
            let absent = ItemName::Ticket(erds::Ticket::parse("0000000000000").unwrap());
            draft.payload = Draft::proof(&absent, ProofKind::Receipt).payload;
        },
        after: |_| {},
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_refused_is_told_in_the_requests_version() {
    let house = House::new().await;
    for (place, wrong) in WRONG.iter().enumerate() {
        for version in BOTH {
            let mut draft = submit(version);
            (wrong.before)(&mut draft);
            let mut signed = draft.sign();
            (wrong.after)(&mut signed);
            let answer = house.send(&signed).await;
            assert_eq!(form(&answer, version), wrong.code, "{place} {version:?}: {answer}");
            answer.must_be_signed();
            assert_eq!(house.verdict(&answer).split(' ').next(), Some(wrong.code), "{place} {version:?}");
            // The same message again: the stored fault, in the same version.
            assert_eq!(form(&house.send(&signed).await, version), wrong.code, "{place} {version:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_of_neither_version_is_a_version_mismatch() {
    let house = House::new().await;
    for version in BOTH {
        let mut signed = submit(version).sign();
        let text = String::from_utf8(signed.root.clone()).unwrap();
        signed.root = text.replace(version.namespace(), "urn:soap").into_bytes();
        let answer = house.send(&signed).await;
        assert!(said(&answer).contains("soapenv:VersionMismatch<"), "{answer}");
        assert_eq!(answer.content_type, version.content_type());
    }
    // Contract A knows SOAP 1.1 alone, and says so in it.
    let draft =
        Draft { version: SoapVersion::V12, ..Draft::status(&erds::Ticket::parse("0000000000000").unwrap()) };
    let answer = house.ask(&draft).await;
    assert_eq!(house.verdict(&answer), "SOA-03002 soap.version");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_ours_is_the_receivers() {
    let stamper = Gate::closed(stamper());
    stamper.passes.close();
    let stopped = House::open(Plan { stamper, ..Plan::default() }).await.unwrap();
    for version in BOTH {
        let answer = stopped.ask(&submit(version)).await;
        assert_eq!(form(&answer, version), "SOA-02002", "{answer}");
    }
}

/// A stack whose policy says RSA-SHA1 refuses any other signature, and with it the fault's text: it gets a Timestamp alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_signer_by_sha_1_can_read_the_remedy() {
    let house = House::new().await;
    for version in BOTH {
        let mut signed = submit(version).sign();
        signed.replace(
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        );
        let answer = house.send(&signed).await;
        assert_eq!(form(&answer, version), "SOA-01001");
        let text = said(&answer);
        assert!(
            text.contains("<wsu:Timestamp") && text.contains("ws-security.asymmetric.signature.algorithm"),
            "{text}"
        );
        assert!(!text.contains("BinarySecurityToken") && !text.contains("SignatureValue>"), "{text}");
        // With SHA-1 digests too it is a stack without policy, and zeep shows signed faults alone.
        let whole = String::from_utf8(signed.root.clone()).unwrap();
        signed.root = whole
            .replace("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1")
            .into_bytes();
        let answer = house.send(&signed).await;
        assert_eq!(form(&answer, version), "SOA-01001");
        answer.must_be_signed();
    }
}

fn said(answer: &Answered) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// The fault's code, once it has the form of that version.
#[track_caller]
fn form(answer: &Answered, version: SoapVersion) -> String {
    assert_eq!(answer.content_type, version.content_type(), "{answer}");
    let code = answer.fault().unwrap_or_else(|| panic!("no fault: {answer}")).code;
    let consumer = !code.starts_with("SOA-02");
    let expected = match (version, consumer) {
        (SoapVersion::V11, true) => {
            format!("<faultcode>soapenv:Client</faultcode><faultstring>{code}</faultstring><detail>")
        }
        (SoapVersion::V11, false) => {
            format!("<faultcode>soapenv:Server</faultcode><faultstring>{code}</faultstring><detail>")
        }
        (SoapVersion::V12, consumer) => format!(
            "<soapenv:Code><soapenv:Value>soapenv:{}</soapenv:Value></soapenv:Code><soapenv:Reason>\
             <soapenv:Text xml:lang=\"en\">{code}</soapenv:Text></soapenv:Reason><soapenv:Detail>",
            if consumer { "Sender" } else { "Receiver" }
        ),
    };
    let told = said(answer).replace(
        "soapenv:MustUnderstand",
        if version == SoapVersion::V11 { "soapenv:Client" } else { "soapenv:Sender" },
    );
    assert!(told.contains(&expected), "{expected} in {answer}");
    code
}
