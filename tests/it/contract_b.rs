//! Contract B at the front door: what integrators call first, and what contract A lacks.

use epost::dev::sandbox::{CITIZEN, CITIZEN_WITHOUT_EBOX, ENTERPRISE, ENTERPRISE_QUALITY};
use erds::{ChannelName, EnterpriseNumber, QualityCode, Recipient, Record, Status, Strictness};
use serde_json::json;
use soap::message::v2::{self, DeliveryEvent, EventCode, EventSource, ItemSearch, ProofToVerify, SearchBy};
use soap::message::{ItemName, Operation, ProofKind};

use crate::house::draft::{Attachment, V2, citizen};
use crate::house::{Answered, Draft, House, Sandbox, until};

/// A request to contract B.
fn asking(payload: String) -> Draft {
    Draft { path: V2, ..Draft::asking(payload) }
}

/// The text of the answer's first element of that name; its signature is checked on the way.
#[track_caller]
fn told(answer: &Answered, name: &str) -> Option<String> {
    assert_eq!(answer.status, 200, "{answer}");
    answer.must_be_signed();
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let (_, rest) = text.split_once(&format!("<v2:{name}>"))?;
    rest.split_once('<').map(|(value, _)| value.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_told_who_it_is() {
    let house = House::new().await;
    let alice = epost::dev::pki::SENDERS.iter().find(|sender| sender.name == "alice").unwrap();
    let answer = house.ask(&asking(v2::write_check_connection_request())).await;
    for (name, value) in [
        ("CompanyID", alice.cbe),
        ("ApplicationID", alice.application),
        ("Gateway", "false"),
        ("Address", "127.0.0.1"),
        ("Environment", "TST"),
        ("SoapPartBytesMax", "1048576"),
        ("TimestampSecondsMax", "600"),
    ] {
        assert_eq!(told(&answer, name).as_deref(), Some(value), "{name}: {answer}");
    }
    let records = house.records();
    assert!(
        matches!(&records.last().unwrap().record, Record::Consulted(read) if read.ticket.is_none()
            && read.request.operation == "checkConnection"),
        "the journal has it, as a consultation (E7)"
    );
    assert_eq!(records.len(), 1, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn access_is_told_and_nothing_is_sent() {
    let house = House::new().await;
    let narrow = crate::house::inside::policy().replace("\"getStatus\", \"getProof\", ", "").replace(
        "addresses = [\"127.0.0.1/32\"]",
        "message_types = [\"LETTER\"]\naddresses = [\"127.0.0.1/32\"]",
    );
    house.service.set_policy(uam::PolicyFile::parse(&narrow).unwrap());
    for (operation, document_type, code) in [
        (Operation::SendDocument, Some("LETTER"), None),
        (Operation::SendDocument, Some("INVOICE"), Some("EPOST_B08")),
        (Operation::SendDocument, None, Some("EPOST_B08")),
        (Operation::GetStatus, None, Some("SOA-01002")),
        (Operation::CheckConnection, None, None),
    ] {
        let answer = house.ask(&asking(v2::write_check_access_request(operation, document_type))).await;
        let granted = if code.is_none() { "true" } else { "false" };
        assert_eq!(told(&answer, "Granted").as_deref(), Some(granted), "{operation:?} {document_type:?}");
        assert_eq!(told(&answer, "Code").as_deref(), code, "{operation:?} {document_type:?}");
    }
    let all_read = house.records().iter().all(|stored| matches!(stored.record, Record::Consulted(_)));
    assert!(all_read, "nothing is recorded as sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_grant_is_told_nothing() {
    let house = House::new().await;
    house.service.set_policy(uam::PolicyFile::parse("").unwrap());
    for payload in [
        v2::write_check_connection_request(),
        v2::write_check_access_request(Operation::SendDocument, Some("LETTER")),
    ] {
        let answer = house.ask(&asking(payload)).await;
        assert_eq!(house.verdict(&answer), "SOA-01002 uam.sender");
        answer.must_be_signed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_served_on_its_own_address_alone() {
    let house = House::new().await;
    let misplaced = Draft::asking(v2::write_check_connection_request());
    let answer = house.ask(&misplaced).await;
    assert_eq!(house.verdict(&answer), "SOA-03005 soap.operation.other-contract");
    for (payload, check) in [
        (v2::write_check_connection_request().replace("></", "><x/></"), "schema.unexpected"),
        (
            v2::write_check_access_request(Operation::GetProof, None).replace("getProof", "eraseAll"),
            "schema.enumeration",
        ),
        (v2::write_check_access_request(Operation::GetProof, Some(&"é".repeat(81))), "schema.length"),
    ] {
        let answer = house.ask(&asking(payload)).await;
        assert_eq!(house.verdict(&answer), format!("SOA-03006 {check}"));
    }
}

fn search(by: SearchBy) -> ItemSearch {
    ItemSearch { by, status: None, after: None }
}

fn found_in(answer: &Answered) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer}");
    answer.must_be_signed();
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let tickets = text.split("<v2:Ticket>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned());
    tickets.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_finds_his_own_items_and_no_others() {
    let house = House::new().await;
    let mut own = Vec::new();
    for token in ["T-1", "T-2", ""] {
        own.push(house.ask(&Draft::submission(token)).await.receipt().ticket.as_str().to_owned());
    }
    let foreign = house.ask(&Draft::submission("T-1").by("bob")).await.receipt().ticket;
    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    let received = |from, to| search(SearchBy::Received { from, to });
    let today = received(now - hour, now + hour);

    let find = |search: &ItemSearch| asking(v2::write_find_items_request(search));
    let answer = house.ask(&find(&today)).await;
    assert_eq!(found_in(&answer), own, "oldest first");
    assert_eq!(
        (told(&answer, "More").as_deref(), told(&answer, "Token").as_deref()),
        (Some("false"), Some("T-1"))
    );
    let rest = ItemSearch { after: erds::Ticket::parse(&own[0]).ok(), ..today.clone() };
    assert_eq!(found_in(&house.ask(&find(&rest)).await), own[1..], "behind the first");
    assert_eq!(found_in(&house.ask(&find(&received(now - hour, now - hour))).await), Vec::<String>::new());
    let sent = ItemSearch { status: Some(erds::Status::Sent), ..today.clone() };
    assert_eq!(found_in(&house.ask(&find(&sent)).await), Vec::<String>::new(), "nothing was delivered");

    let by_token = |token: &str| search(SearchBy::Token(erds::Token::parse(token).unwrap()));
    assert_eq!(found_in(&house.ask(&find(&by_token("T-2"))).await), own[1..2]);
    assert_eq!(found_in(&house.ask(&find(&by_token("unknown"))).await), Vec::<String>::new());
    let bobs = house.ask(&find(&today).by("bob")).await;
    assert_eq!(found_in(&bobs), [foreign.as_str()]);

    let absent = erds::Ticket::parse("0000000000000").unwrap();
    for after in [foreign, absent] {
        let answer = house.ask(&find(&ItemSearch { after: Some(after), ..today.clone() })).await;
        assert_eq!(house.verdict(&answer), "REPO_B01 item.unknown", "absent and foreign are one");
    }
    let mut draft = find(&today);
    draft.payload = draft.payload.replacen("Z</v2:From>", "</v2:From>", 1);
    let answer = house.ask(&draft).await;
    assert_eq!(house.verdict(&answer), "SOA-03006 schema.pattern", "an instant of no time zone is nobody's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_bounded_and_the_next_goes_on_behind_it() {
    let house = House::new().await;
    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    let today = search(SearchBy::Received { from: now - hour, to: now + hour });
    let page = async |after: Option<&String>| {
        let after = after.map(|ticket| erds::Ticket::parse(ticket).unwrap());
        let payload = v2::write_find_items_request(&ItemSearch { after, ..today.clone() });
        let answer = house.ask(&asking(payload)).await;
        (found_in(&answer), told(&answer, "More").unwrap())
    };
    for number in 0..100 {
        house.ask(&Draft::submission(&format!("T-{number}"))).await.receipt();
    }
    let (whole, more) = page(None).await;
    assert_eq!((whole.len(), more.as_str()), (100, "false"), "the limit");
    house.ask(&Draft::submission("T-100")).await.receipt();
    let (first, more) = page(None).await;
    assert_eq!((&first, more.as_str()), (&whole, "true"), "one past it");
    let (second, more) = page(first.last()).await;
    assert_eq!((second.len(), more.as_str()), (1, "false"));
    assert!(!first.contains(&second[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_told_all_that_became_of_his_item() {
    let sandbox = Sandbox::start().await;
    sandbox.ebox_fault(json!({"kind": "status-503"})).await;
    let mut draft = Draft::submission("T");
    draft.replace("ACTIVATED", "BYPASS"); // the fault is for the delivery, not for the question before it
    let ticket = sandbox.ask(&draft).await.receipt().ticket;
    sandbox.status(&ticket, Status::Sent).await.unwrap();
    sandbox.ask(&Draft::proof(&ItemName::Ticket(ticket), ProofKind::Dispatch)).await.proof_reply();
    sandbox.ask(&draft).await.receipt();
    sandbox.ask(&Draft::status(&ticket).by("bob")).await.fault().unwrap();
    let history = until(async || {
        let history = sandbox.ask(&Draft::history(&ticket, 1)).await.history();
        (history.events.len() == 8).then_some(history)
    })
    .await;
    assert_eq!((history.ticket, history.status, history.more), (ticket, Status::Sent, false));
    let handed_out = |kind| (EventCode::ProofHandedOut, EventSource::Own, None, Some(kind));
    let by = |code, source| (code, source, Some(ChannelName::EboxCitizen), None);
    let told = |event: &DeliveryEvent| (event.code, event.source, event.channel, event.proof);
    assert_eq!(
        history.events.iter().map(told).collect::<Vec<_>>(),
        [
            (EventCode::Received, EventSource::Own, None, None),
            by(EventCode::Accepted, EventSource::Own),
            by(EventCode::AttemptFailed, EventSource::Own),
            by(EventCode::Consigned, EventSource::Channel),
            by(EventCode::Dispatched, EventSource::Own),
            handed_out(ProofKind::Dispatch), // with the status
            handed_out(ProofKind::Dispatch),
            handed_out(ProofKind::Receipt), // of the resend
        ]
    );
    let numbers: Vec<_> = history.events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    for stored in sandbox.records() {
        let event = match &stored.record {
            Record::Attempted(_) => &history.events[2],
            Record::Consigned(consigned) => {
                assert_eq!(history.events[3].external_id.as_deref(), Some(consigned.message_id.as_str()));
                &history.events[3]
            }
            Record::Dispatched(_) => &history.events[4],
            _ => continue,
        };
        assert_eq!(event.at.as_second(), stored.record.at().as_second(), "{event:?}");
        assert_eq!(event.at.subsec_nanosecond(), 0, "to the second");
    }
    assert!(history.events[2].reason.as_deref().unwrap().starts_with("delivery."), "{history:?}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_tells_in_whose_words_an_item_failed() {
    let sandbox = Sandbox::start().await;
    sandbox.ebox_fault(json!({"kind": "status-400"})).await;
    let ticket = sandbox.ask(&Draft::submission("T")).await.receipt().ticket;
    sandbox.status(&ticket, Status::Error).await;
    let failed = until(async || sandbox.ask(&Draft::history(&ticket, 3)).await.history().events.pop()).await;
    assert_eq!((failed.number, failed.code, failed.source), (3, EventCode::Failed, EventSource::Channel));
    assert_eq!(failed.attempt, Some(1));
    let reason = sandbox.records().into_iter().find_map(|stored| match stored.record {
        Record::ConsignmentFailed(failed) => Some(failed.reason),
        _ => None,
    });
    assert_eq!(failed.reason, reason);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_told_by_bounded_pages() {
    let house = House::new().await;
    let ticket = house.ask(&Draft::submission("T")).await.receipt().ticket;
    let proof = Draft::proof(&ItemName::Ticket(ticket), ProofKind::Receipt);
    for _ in 0..98 {
        house.ask(&proof).await.proof_reply();
    }
    let page = async |first| {
        let history = house.ask(&Draft::history(&ticket, first)).await.history();
        (history.events.iter().map(|event| event.number).collect::<Vec<_>>(), history.more)
    };
    assert_eq!(page(1).await, ((1..=100).collect(), false), "the limit; reading a history is no event of it");
    house.ask(&proof).await.proof_reply();
    assert_eq!(page(1).await, ((1..=100).collect(), true), "one past it");
    assert_eq!(page(101).await, (vec![101], false));
    assert_eq!(page(102).await, (vec![], false));
    assert_eq!(page(i64::MAX.unsigned_abs()).await, (vec![], false));
    let mut draft = Draft::history(&ticket, 7);
    draft.replace(">7<", ">0<");
    assert_eq!(house.verdict(&house.ask(&draft).await), "SOA-03006 schema.pattern");
}

/// Asks for the verdict on a proof: indication, sub-indication, and each check's name and outcome.
async fn judged(house: &House, proof: &ProofToVerify) -> (String, Option<String>, Vec<(String, String)>) {
    let answer = house.ask(&asking(v2::write_verify_proof_request(proof))).await;
    let indication = told(&answer, "Indication").unwrap();
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let value = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("<v2:{name}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    let checks =
        text.split("<v2:Check>").skip(1).map(|check| (value(check, "Name"), value(check, "Outcome")));
    (indication, told(&answer, "SubIndication"), checks.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_judged_as_the_offline_verifier_judges_it() {
    let house = House::new().await;
    let receipt = house.ask(&Draft::submission("T")).await.receipt();
    let reply =
        house.ask(&Draft::proof(&ItemName::Ticket(receipt.ticket), ProofKind::Receipt)).await.proof_reply();
    let proof = reply.proof.unwrap();
    let proof = ProofToVerify { content: proof.content, signature: proof.signature, crls: reply.crls };

    let (indication, why, checks) = judged(&house, &proof).await;
    assert_eq!((indication.as_str(), why), ("TOTAL-PASSED", None), "{checks:?}");
    let offline = receipt.judge(&[], &proof.crls);
    let names: Vec<_> = offline.checks.iter().map(|check| check.name).collect();
    assert_eq!(checks.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names, "each by name");

    let mut flipped = proof.clone();
    let middle = flipped.content.len() / 2;
    flipped.content[middle] ^= 1;
    let (indication, why, checks) = judged(&house, &flipped).await;
    assert_eq!((indication.as_str(), why.as_deref()), ("TOTAL-FAILED", Some("HASH_FAILURE")));
    assert!(checks.contains(&("digest of the proof".to_owned(), "FAILED".to_owned())), "{checks:?}");
    let mut flipped = proof.clone();
    let last = flipped.signature.len() / 2;
    flipped.signature[last] ^= 1;
    assert_eq!(judged(&house, &flipped).await.0, "TOTAL-FAILED");

    let unknown = ProofToVerify { crls: Vec::new(), ..proof.clone() };
    let (indication, why, _) = judged(&house, &unknown).await;
    assert_eq!((indication.as_str(), why.as_deref()), ("INDETERMINATE", Some("TRY_LATER")));

    let nonsense = ProofToVerify { content: vec![0; 9], signature: vec![1; 9], crls: Vec::new() };
    let (indication, why, _) = judged(&house, &nonsense).await;
    assert_eq!((indication.as_str(), why.as_deref()), ("TOTAL-FAILED", Some("FORMAT_FAILURE")));
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_judged_alone_and_nothing_else_is() {
    let house = House::new().await;
    let ticket = house.ask(&Draft::submission("T")).await.receipt().ticket;
    let named = ItemName::Ticket(ticket);
    let reply = house.ask(&Draft::evidence(&named, ProofKind::Receipt)).await.proof_reply();
    let content = reply.evidence[0].content.clone();
    let proof = ProofToVerify { content, signature: Vec::new(), crls: reply.crls };
    let (indication, why, checks) = judged(&house, &proof).await;
    assert_eq!((indication.as_str(), why), ("TOTAL-PASSED", None), "{checks:?}");
    let answer = house.ask(&asking(v2::write_verify_proof_request(&proof))).await;
    assert!(told(&answer, "Statement").unwrap().contains(&format!("item {ticket} was HANDED TO ePost")));

    let mut flipped = proof.clone();
    let middle = flipped.content.len() / 2;
    flipped.content[middle] ^= 1;
    assert_eq!(judged(&house, &flipped).await.0, "TOTAL-FAILED");
    let receipt = house.ask(&Draft::proof(&named, ProofKind::Receipt)).await.proof_reply().proof.unwrap();
    let unsigned = ProofToVerify { content: receipt.content, ..proof };
    assert_eq!(judged(&house, &unsigned).await.0, "TOTAL-FAILED", "a receipt without its seal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_moved_out_by_mtom_is_judged_only_where_the_signature_is_over_it() {
    let house = House::new().await;
    let receipt = house.ask(&Draft::submission("T")).await.receipt();
    let crls = crate::house::reply::committed_crls();
    let proof = ProofToVerify { content: receipt.xml, signature: receipt.p7s, crls };
    let in_place = format!("{}</v2:Content>", xmlsec::base64::encode(&proof.content));
    let include = "<xop:Include xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:proof@sender.example\"/></v2:Content>";
    let part = Attachment {
        content_id: "proof@sender.example".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        bytes: proof.content.clone(),
    };
    let draft = asking(v2::write_verify_proof_request(&proof));
    let mut moved_out = draft.sign();
    moved_out.replace(&in_place, include);
    moved_out.attachments.push(part.clone());
    assert_eq!(told(&house.send(&moved_out).await, "Indication").as_deref(), Some("TOTAL-PASSED"));
    let mut as_sent = draft.clone();
    as_sent.replace(&in_place, include);
    as_sent.attachments.push(part);
    let answer = house.ask(&as_sent).await;
    assert_eq!(house.verdict(&answer), "SOA-03006 schema.text", "nothing binds these bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judgement_names_whom_it_trusts_and_looks_nothing_up() {
    let house = House::new().await;
    let receipt = house.ask(&Draft::submission("T")).await.receipt();
    let crls = crate::house::reply::committed_crls();
    let proof = ProofToVerify { content: receipt.xml, signature: receipt.p7s, crls };
    let asked = asking(v2::write_verify_proof_request(&proof));
    let own = house.ask(&asked).await;
    let strip = |answer: &Answered| {
        answer.must_be_signed();
        let text = String::from_utf8(answer.body.clone()).unwrap();
        let (_, rest) = text.split_once("<v2:VerifyProofResponse").unwrap();
        let (rest, _) = rest.split_once("<v2:JudgedAt>").unwrap();
        // All but the two checks that tell the time of the judgement.
        let timed = ["<v2:Name>validation context<", "<v2:Name>proof of existence<"];
        let pieces =
            rest.split("<v2:Check>").filter(|piece| !timed.iter().any(|name| piece.starts_with(name)));
        pieces.collect::<Vec<_>>().join("<v2:Check>")
    };
    let text = strip(&own);
    for root in ["seal-root", "tsa-root"] {
        let sha256 = erds::record::Hex32(crate::house::certificate(root).fingerprint()).to_hex();
        assert!(text.contains(&sha256.to_ascii_uppercase()), "{root}: {text}");
    }
    assert_eq!(text.matches("<v2:TrustAnchor>").count(), 2);
    assert_eq!(told(&own, "Environment").as_deref(), Some("TST"));
    // Another institution, and a service that has never seen the item, say the same: it is a question about two files.
    assert_eq!(strip(&house.ask(&asked.clone().by("bob")).await), text);
    let elsewhere = House::new().await;
    assert_eq!(strip(&elsewhere.ask(&asked).await), text);
    assert_eq!(elsewhere.records().len(), 1);
    assert!(matches!(&elsewhere.records()[0].record, Record::Consulted(read) if read.ticket.is_none()
            && read.request.operation == "verifyProof"));

    let spoilt = ProofToVerify { crls: vec![vec![0x30, 0]], ..proof };
    let answer = house.ask(&asking(v2::write_verify_proof_request(&spoilt))).await;
    assert_eq!(house.verdict(&answer), "SOA-03006 crl.malformed");
    house.service.set_policy(
        uam::PolicyFile::parse(&crate::house::inside::policy().replace(", \"verifyProof\"", "")).unwrap(),
    );
    assert_eq!(house.verdict(&house.ask(&asked).await), "SOA-01002 uam.transaction");
}

fn enterprise(number: &str) -> Recipient {
    Recipient::Enterprise {
        company: EnterpriseNumber::parse(number, Strictness::Lax).unwrap(),
        quality: QualityCode::parse(ENTERPRISE_QUALITY).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_somebody_has_an_ebox_is_told_as_the_ebox_tells_it() {
    let sandbox = Sandbox::start().await;
    let ask = async |recipient: &Recipient| {
        sandbox.ask(&asking(v2::write_check_recipient_request(recipient))).await
    };
    for (recipient, channel, exists, activated, preferred) in [
        (citizen(CITIZEN), "EBOX_CITIZEN", Some("true"), "true", "true"),
        (citizen(CITIZEN_WITHOUT_EBOX), "EBOX_CITIZEN", None, "false", "false"),
        (enterprise(ENTERPRISE), "EBOX_ENTERPRISE", Some("true"), "true", "false"),
        (enterprise("0123456749"), "EBOX_ENTERPRISE", Some("false"), "false", "false"),
    ] {
        let answer = ask(&recipient).await;
        assert_eq!(told(&answer, "Channel").as_deref(), Some(channel));
        assert_eq!(told(&answer, "Exists").as_deref(), exists, "{answer}");
        assert_eq!(told(&answer, "Activated").as_deref(), Some(activated), "{answer}");
        assert_eq!(told(&answer, "Preferred").as_deref(), Some(preferred), "{answer}");
    }
    let records = sandbox.records();
    let asked = records.iter().filter(|stored| {
        matches!(&stored.record, Record::Consulted(read) if read.ticket.is_none()
            && read.request.operation == "checkRecipient")
    });
    assert_eq!(asked.count(), 4, "each has its record");
    assert_eq!(sandbox.ebox_received().await["posts"], 0, "nothing was sent");

    sandbox.ebox_fault(json!({"kind": "profile-away"})).await;
    let answer = ask(&citizen(CITIZEN)).await;
    assert!(sandbox.verdict(&answer).starts_with("SOA-02002 "), "{answer}");
    assert_eq!(answer.fault().unwrap().retry, Some(true));
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_about_others_without_a_grant_that_names_it() {
    let house = House::new().await;
    let asked = asking(v2::write_check_recipient_request(&citizen(CITIZEN)));
    assert_eq!(told(&house.ask(&asked).await, "Activated").as_deref(), Some("true"));
    let narrow = crate::house::inside::policy().replace(", \"checkRecipient\"", "");
    house.service.set_policy(uam::PolicyFile::parse(&narrow).unwrap());
    let answer = house.ask(&asked).await;
    assert_eq!(house.verdict(&answer), "SOA-01002 uam.transaction");
    answer.must_be_signed();
    house.ask(&Draft::submission("T")).await.receipt(); // sending does not bring it along
    let access = asking(v2::write_check_access_request(Operation::CheckRecipient, None));
    assert_eq!(told(&house.ask(&access).await, "Code").as_deref(), Some("SOA-01002"));
}
