//! Contract B's submit: one admission and one record with contract A's sendDocument, whatever form the content comes in.

use epost::config::Limits;
use erds::{Record, Status, Submission};
use soap::message::v2::write_submit_request;

use crate::house::draft::{Attachment, V2, submission};
use crate::house::inside::Plan;
use crate::house::reply::committed_crls;
use crate::house::{Draft, House, Sandbox, Signed, file};

fn files() -> [Vec<u8>; 2] {
    [file(1, 40_000), file(2, 700)]
}

/// The content stands in the Body.
fn in_place(submission: &Submission, files: &[Vec<u8>]) -> Draft {
    let contents: Vec<_> = files.iter().map(|bytes| Some(bytes.as_slice())).collect();
    Draft { path: V2, ..Draft::asking(write_submit_request(submission, &contents, &[])) }
}

/// Signed in place, then moved out into parts: CXF, Metro.
fn moved_out(submission: &Submission, files: &[Vec<u8>]) -> Signed {
    let mut signed = in_place(submission, files).sign();
    for (part, bytes) in submission.parts().zip(files) {
        let include = format!(
            "<xop:Include xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:{}\"/>",
            part.content_id
        );
        signed.replace(
            &format!("{}</v2:Content>", xmlsec::base64::encode(bytes)),
            &format!("{include}</v2:Content>"),
        );
    }
    signed.attachments = attachments(submission, files);
    signed
}

/// Moved out, then signed as it stands: Spring-WS, node-soap.
fn signed_as_sent(submission: &Submission, files: &[Vec<u8>]) -> Draft {
    let payload = write_submit_request(submission, &[], &[]);
    Draft { path: V2, attachments: attachments(submission, files), ..Draft::asking(payload) }
}

fn attachments(submission: &Submission, files: &[Vec<u8>]) -> Vec<Attachment> {
    let attachment = |(part, bytes): (&erds::Part, &Vec<u8>)| Attachment {
        content_id: part.content_id.clone(),
        content_type: "application/octet-stream".to_owned(),
        bytes: bytes.clone(),
    };
    submission.parts().zip(files).map(attachment).collect()
}

/// What the newest Received says of the contents.
fn recorded(house: &House) -> (String, Vec<u64>) {
    let records = house.records();
    let received = records.iter().rev().find_map(|stored| match &stored.record {
        Record::Received(received) => Some(received),
        _ => None,
    });
    let received = received.unwrap();
    let check = received.checks.iter().find(|check| check.name == "contents").unwrap();
    (check.outcome.clone(), received.parts.iter().map(|part| part.length_bytes).collect())
}

/// So large that the document is decoded and digested while the message is scanned.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_item_is_accepted() {
    let house = House::new().await;
    let files = [file(1, 300_000), file(2, 250_000)];
    let answer = house.send(&in_place(&submission("large", &files), &files).sign()).await;
    assert_eq!(house.verdict(&answer), "accepted");
    answer.submitted().must_pass(&files, &committed_crls());
    assert_eq!(recorded(&house), ("signed in place".to_owned(), vec![300_000, 250_000]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_accepted_in_each_form() {
    let house = House::new().await;
    let files = files();
    for (token, signed, outcome) in [
        ("in-place", in_place(&submission("in-place", &files), &files).sign(), "signed in place"),
        ("moved-out", moved_out(&submission("moved-out", &files), &files), "signed in place"),
        ("as-sent", signed_as_sent(&submission("as-sent", &files), &files).sign(), "signed as xop:Include"),
    ] {
        let answer = house.send(&signed).await;
        assert_eq!(house.verdict(&answer), "accepted", "{token}");
        answer.submitted().must_pass(&files, &committed_crls());
        assert_eq!(recorded(&house), (outcome.to_owned(), vec![40_000, 700]), "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mtoms_own_content_type_is_taken() {
    let house = House::new().await;
    let files = files();
    let signed = moved_out(&submission("T", &files), &files);
    let (content_type, body) = signed.http();
    let mtom = content_type.replacen("text/xml", "application/xop+xml", 1);
    let place = body.windows(8).position(|window| window == b"text/xml").unwrap();
    let body = [&body[..place], b"application/xop+xml", &body[place + 8..]].concat();
    let answer = house.send_body(&signed, &mtom, &body).await;
    assert_eq!(house.verdict(&answer), "accepted", "{content_type}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_delivered_and_proved_as_contract_as_is() {
    let sandbox = Sandbox::start().await;
    let files = files();
    let receipt = sandbox.ask(&in_place(&submission("T", &files), &files)).await.submitted();
    let dispatch = sandbox.status(&receipt.ticket, Status::Sent).await.unwrap();
    let named = soap::message::ItemName::Ticket(receipt.ticket);
    let again = sandbox.ask(&Draft::proof(&named, soap::message::ProofKind::Receipt)).await.proof_reply();
    assert_eq!(again.proof.unwrap().content, receipt.xml);
    dispatch.must_pass(&files, &again.crls);
    let received = sandbox.ebox_received().await;
    assert_eq!((received["items"].as_u64(), received["posts"].as_u64()), (Some(1), Some(1)), "{received}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_again_in_any_form_and_by_either_contract_it_gets_the_same_receipt() {
    let house = House::new().await;
    let files = files();
    let item = submission("T", &files);
    let signed = in_place(&item, &files).sign();
    let receipt = house.send(&signed).await.submitted();
    assert_eq!(house.send(&signed).await.submitted(), receipt, "the same bytes");
    assert_eq!(house.send(&moved_out(&item, &files)).await.submitted(), receipt, "moved out");
    assert_eq!(house.ask(&signed_as_sent(&item, &files)).await.submitted(), receipt, "signed as sent");
    assert_eq!(house.ask(&Draft::of(&item, &files)).await.receipt(), receipt, "by contract A");
    assert_eq!(house.accepted_and_withdrawn(), (vec![receipt.ticket], vec![]));
    let other = [file(3, 100), file(2, 700)];
    let answer = house.ask(&in_place(&submission("T", &other), &other)).await;
    assert_eq!(house.verdict(&answer), "EPOST_B04 submission.token-reused");
    answer.must_be_signed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_not_the_signed_one_is_refused_in_each_form() {
    let house = House::new().await;
    let files = files();
    let item = submission("T", &files);
    let other = [file(1, 40_000), file(9, 700)];

    let wrong = in_place(&item, &other).sign();
    let answer = house.send(&wrong).await;
    assert_eq!(house.verdict(&answer), "FILE_B01 content.digest-mismatch", "its digest is not its own");

    let mut moved = moved_out(&item, &files);
    moved.attachments[1].bytes[0] ^= 1;
    let answer = house.send(&moved).await;
    assert_eq!(
        house.verdict(&answer).split(' ').next(),
        Some("SOA-01001"),
        "the signature was over the document"
    );

    let mut as_sent = signed_as_sent(&item, &files).sign();
    as_sent.attachments[0].bytes[39_999] ^= 1;
    let answer = house.send(&as_sent).await;
    assert_eq!(
        house.verdict(&answer),
        "FILE_B01 content.digest-mismatch",
        "the signature was over its digest"
    );

    // File and digest changed together: the digest is signed, and covered in both forms.
    let mut both = signed_as_sent(&item, &other).sign();
    let hex =
        |bytes: &[u8]| pki::digest::sha256(bytes).iter().map(|b| format!("{b:02X}")).collect::<String>();
    both.replace(&hex(&files[1]), &hex(&other[1]));
    let answer = house.send(&both).await;
    assert_eq!(house.verdict(&answer).split(' ').next(), Some("SOA-01001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_named_once_each_and_none_is_left_over() {
    let house = House::new().await;
    let files = files();
    let item = submission("T", &files);
    let mut missing = signed_as_sent(&item, &files).sign();
    missing.attachments.pop();
    let answer = house.send(&missing).await;
    assert_eq!(house.verdict(&answer), "SOA-03004 xop.include.missing");

    for mut stray in
        [in_place(&item, &files).sign(), moved_out(&item, &files), signed_as_sent(&item, &files).sign()]
    {
        stray.attachments.push(Attachment {
            content_id: "stray@sender.example".to_owned(),
            content_type: "text/plain".to_owned(),
            bytes: b"nobody signed this".to_vec(),
        });
        let answer = house.send(&stray).await;
        assert_eq!(house.verdict(&answer), "EPOST_B07 content.part-undeclared");
    }

    let mut twice = item.clone();
    twice.annexes[0].content_id.clone_from(&twice.document.content_id);
    let mut twice = signed_as_sent(&twice, &files);
    twice.attachments.truncate(1);
    let answer = house.ask(&twice).await;
    assert_eq!(house.verdict(&answer), "SOA-03004 xop.include.repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mtom_holds_in_memory_is_bounded() {
    let files = files();
    let item = submission("T", &files);
    let whole = in_place(&item, &files).sign().root.len() as u64;
    for (included_bytes_max, verdict) in [(whole, "accepted"), (whole - 1, "SOA-03004 xop.include.too-large")]
    {
        let limits = Limits { included_bytes_max, ..Limits::default() };
        let house = House::open(Plan { limits, ..Plan::default() }).await.unwrap();
        let answer = house.send(&moved_out(&item, &files)).await;
        assert_eq!(house.verdict(&answer), verdict);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_is_held_to_the_schema() {
    let house = House::new().await;
    let files = files();
    let good = in_place(&submission("T", &files), &files);
    for (from, to, verdict) in [
        ("<v2:Citizen>", "<v2:Person>", "SOA-03006 schema.order"),
        ("<v2:Digest>", "<v2:Digest>00", "SOA-03006 schema.pattern"),
        ("<v2:Content>", "<v2:Content>!", "SOA-03006 schema.base64"),
        ("<v2:Type>LETTER</v2:Type>", "", "SOA-03006 schema.order"),
        ("application/pdf", "application/x-unknown", "EPOST_B05 content.mime"),
    ] {
        let mut draft = good.clone();
        draft.replace(from, to);
        draft.payload = draft.payload.replacen(
            "</v2:Citizen>",
            if to.contains("Person") { "</v2:Person>" } else { "</v2:Citizen>" },
            1,
        );
        let answer = house.ask(&draft).await;
        assert_eq!(house.verdict(&answer), verdict, "{from} -> {to}");
    }
    let answer = house.ask(&Draft { path: crate::house::draft::V1, ..good }).await;
    assert_eq!(house.verdict(&answer), "SOA-03005 soap.operation.other-contract");
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_chosen_among_those_that_reach_the_recipient() {
    use erds::ChannelName::{Batch, EboxCitizen, EboxEnterprise};
    let files = [file(1, 100)];
    let by = |token: &str, channels: &[erds::ChannelName]| {
        let payload =
            write_submit_request(&submission(token, &files), &[Some(files[0].as_slice())], channels);
        Draft { path: V2, ..Draft::asking(payload) }
    };
    let house = House::new().await;
    for (channels, check) in [
        ([Batch].as_slice(), "channel.ebox-left-out"),
        (&[EboxEnterprise], "channel.ebox-left-out"),
        (&[Batch, EboxEnterprise], "channel.ebox-left-out"),
        (&[EboxCitizen, Batch], "channel.batch-to-citizen"),
        (&[EboxEnterprise, EboxCitizen], "channel.not-served"),
    ] {
        let answer = house.ask(&by("T", channels)).await;
        assert_eq!(house.verdict(&answer), format!("EPOST_B09 {check}"), "{channels:?}");
    }
    let none = house.records().iter().all(|stored| matches!(stored.record, erds::Record::Refused(_)));
    assert!(none, "refused before there is a ticket");
    let receipt = house.ask(&by("T", &[EboxCitizen])).await.submitted();
    let again = house.ask(&by("T", &[])).await.submitted();
    assert_eq!(receipt, again, "the same item by the same channel");
    let mut twice = by("T", &[EboxCitizen, Batch]);
    twice.replace("BATCH", "EBOX_CITIZEN");
    assert_eq!(house.verdict(&house.ask(&twice).await), "SOA-03006 schema.repeated");
}
