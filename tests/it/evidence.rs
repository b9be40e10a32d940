//! ERDS evidence at the front door: beside the receipt of contract B, and of every act that became of an item, by getProof.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use delivery::{
    Away, Channel, ContentSource, Facts, InquireError, Item, Outcome, PollError, Published, ReadStatus,
};
use erds::record::Control;
use erds::{ChannelName, EboxCheck, Recipient, Record, Refusal, Status, Submission, Ticket};
use evidence::event::{AuthenticationMethod, Event, Evidence};
use jiff::Timestamp;
use journal::Entry;
use pki::digest::{Digest, DigestAlgorithm};
use soap::message::v2::write_submit_request;
use soap::message::{EvidenceAnswer, ItemName, ProofKind};

use crate::house::draft::{V2, submission};
use crate::house::inside::{Plan, stamper};
use crate::house::reply::{Answered, committed_crls, evidence_must_pass};
use crate::house::scripted::{Boxes, Counting, Gate};
use crate::house::{Draft, House, file, until};

pub fn files() -> [Vec<u8>; 2] {
    [file(1, 4_000), file(2, 700)]
}

/// By contract B, to a citizen, the files in the Body.
pub fn submit(token: &str) -> Draft {
    let files = files();
    let contents: Vec<_> = files.iter().map(|bytes| Some(bytes.as_slice())).collect();
    let payload = write_submit_request(&submission(token, &files), &contents, &[]);
    Draft { path: V2, ..Draft::asking(payload) }
}

/// The same item by contract A.
fn send_document(token: &str) -> Draft {
    Draft::of(&submission(token, &files()), &files())
}

fn evidence_of(ticket: Ticket, kind: ProofKind) -> Draft {
    Draft::evidence(&ItemName::Ticket(ticket), kind)
}

/// The evidence of an answer to getProof, each judged by the offline verifier with the CRLs that came along.
#[track_caller]
fn given(answer: &Answered) -> Vec<EvidenceAnswer> {
    answer.must_be_signed();
    let reply = answer.proof_reply();
    assert_eq!(reply.proof, None);
    for evidence in &reply.evidence {
        evidence_must_pass(&evidence.content, &files(), &reply.crls);
    }
    reply.evidence
}

#[track_caller]
fn read(answer: &EvidenceAnswer) -> Evidence {
    let evidence = Evidence::parse(&answer.content).unwrap();
    let name = evidence.event.name();
    assert_eq!(answer.event, format!("http://uri.etsi.org/19522/Event/{name}"));
    assert_eq!(answer.file_name, format!("{name}.xml"));
    evidence
}

fn of_kind(house: &House, kind: &str) -> usize {
    house.records().iter().filter(|stored| stored.record.kind() == kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn submit_answers_with_evidence_beside_the_receipt_and_a_resend_with_the_same_bytes() {
    let gate = Gate::open(stamper());
    let house = House::open(Plan { stamper: gate.clone(), ..Plan::default() }).await.unwrap();
    let signed = submit("T").sign();
    let answer = house.send(&signed).await;
    let (receipt, evidence) = (answer.submitted(), answer.evidence());
    receipt.must_pass(&files(), &committed_crls());
    evidence_must_pass(&evidence.content, &files(), &committed_crls());
    assert_eq!(gate.asked.available_permits(), 2, "each has a token of its own");

    let records = house.records();
    let Record::Received(received) = &records[0].record else { panic!("{records:?}") };
    let said = read(&evidence);
    assert_eq!(said.request.message_identifier, receipt.ticket.as_str());
    assert_eq!(said.event_time.as_second(), received.request.received_at.as_second());
    assert_eq!((said.request_entry.index, said.request_entry.leaf_hash), (0, records[0].leaf_hash));
    assert_eq!(said.request.assurance.method, AuthenticationMethod::X509);
    let Event::SubmissionAcceptance(acceptance) = &said.event else { panic!("{said:?}") };
    assert_eq!(acceptance.soap_sha256, received.request.soap_digest.0);

    let again = house.send(&signed).await;
    assert_eq!(
        (again.submitted(), again.evidence()),
        (receipt.clone(), evidence.clone()),
        "the same message"
    );
    let again = house.ask(&submit("T")).await;
    assert_eq!((again.submitted(), again.evidence()), (receipt.clone(), evidence.clone()), "signed anew");
    assert_eq!(house.ask(&send_document("T")).await.receipt(), receipt, "by contract A, which has none");
    let asked = house.ask(&evidence_of(receipt.ticket, ProofKind::Receipt)).await;
    assert_eq!(given(&asked), [evidence], "and by getProof");
    assert_eq!((of_kind(&house, "accepted"), of_kind(&house, "evidenced")), (1, 0));
    assert_eq!(gate.asked.available_permits(), 2, "nothing was sealed again");
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_pays_nothing_and_its_item_has_evidence_when_it_is_asked_for() {
    let gate = Gate::open(stamper());
    let plan = Plan { stamper: gate.clone(), ..Plan::default() };
    let disk = plan.disk.clone();
    let house = House::open(plan).await.unwrap();
    let receipt = house.ask(&send_document("T")).await.receipt();
    assert_eq!(gate.asked.available_permits(), 1, "the receipt's alone");
    let records = house.records();
    assert!(matches!(&records[1].record, Record::Accepted(accepted) if accepted.evidence.is_none()));

    let first = given(&house.ask(&evidence_of(receipt.ticket, ProofKind::Receipt)).await);
    let said = read(&first[0]);
    assert_eq!(said.event_time.as_second(), records[0].record.at().as_second(), "the act's time");
    assert_eq!(of_kind(&house, "evidenced"), 1);
    assert_eq!(house.ask(&submit("T")).await.evidence(), first[0], "sent again by contract B");
    house.stop().await;
    let house = House::open(Plan { disk, ..Plan::default() }).await.unwrap();
    assert_eq!(given(&house.ask(&evidence_of(receipt.ticket, ProofKind::Receipt)).await), first);
    assert_eq!(of_kind(&house, "evidenced"), 1, "found again after a restart");
}

/// One that fails so often for a while, then once for good or not at all, and is then asked whether the item was read.
pub struct Fate {
    inner: Counting,
    retries: AtomicU32,
    fails: bool,
    read: Option<bool>,
}

impl Fate {
    pub fn open(retries: u32, fails: bool, read: Option<bool>) -> Plan {
        let inner = Counting { name: ChannelName::EboxCitizen, boxes: Boxes::default() };
        let fate = Arc::new(Self { inner, retries: AtomicU32::new(retries), fails, read });
        Plan { channels: Some(vec![fate]), delivers: true, read_poll_seconds: 1, ..Plan::default() }
    }
}

#[async_trait]
impl Channel for Fate {
    fn name(&self) -> ChannelName {
        self.inner.name()
    }

    async fn inquire(&self, recipient: &Recipient, check: EboxCheck) -> Result<Facts, InquireError> {
        self.inner.inquire(recipient, check).await
    }

    fn can_carry(&self, submission: &Submission, part_bytes: &[u64]) -> Result<(), Refusal> {
        self.inner.can_carry(submission, part_bytes)
    }

    async fn consign(&self, item: &Item, content: &dyn ContentSource) -> Outcome {
        let left = self.retries.load(Ordering::SeqCst);
        if left > 0 {
            self.retries.store(left - 1, Ordering::SeqCst);
            return Outcome::Retry(Away {
                code: "test.away",
                detail: String::new(),
                retry_after_seconds: None,
                maybe_published: false,
            });
        }
        match self.fails {
            true => Outcome::Failed {
                code: "INVALID_INPUT".to_owned(),
                message: "no".to_owned(),
                answer_digest: Digest::of(DigestAlgorithm::Sha256, b"no"),
            },
            false => self.inner.consign(item, content).await,
        }
    }

    async fn poll_read(&self, asked: &[Published]) -> Result<Vec<ReadStatus>, PollError> {
        let asked_at = Timestamp::now();
        let told = |published: &Published| {
            let read = self.read?;
            let message_id = published.message_id.clone();
            Some(ReadStatus { message_id, read, expires_at: Some(asked_at), asked_at })
        };
        Ok(asked.iter().filter_map(told).collect())
    }
}

fn status(house: &House, ticket: Ticket) -> Status {
    house.service.index().item(ticket).unwrap().unwrap().status
}

/// The one evidence of that kind, the same when it is asked for again, of the newest such act in the journal.
async fn proved(house: &House, ticket: Ticket, kind: ProofKind, act: &str) -> (Evidence, EvidenceAnswer) {
    let mut given_first = given(&house.ask(&evidence_of(ticket, kind)).await);
    assert_eq!(given(&house.ask(&evidence_of(ticket, kind)).await), given_first, "{kind:?}");
    let evidence = given_first.pop().unwrap();
    assert!(given_first.is_empty(), "{kind:?}");
    let records = house.records();
    let stored = records.iter().rfind(|stored| stored.record.kind() == act).unwrap();
    let said = read(&evidence);
    assert_eq!(said.event_time.as_second(), stored.record.at().as_second(), "the act's time");
    assert_eq!((said.event_entry.index, said.event_entry.leaf_hash), (stored.position, stored.leaf_hash));
    assert_eq!(said.request_entry.index, 0, "and the request's entry");
    (said, evidence)
}

/// What the sender of an item without that fact is told: nothing was recorded but the refusal.
async fn absent(house: &House, ticket: Ticket, kind: ProofKind, words: [&str; 2]) {
    let answer = house.ask(&evidence_of(ticket, kind)).await;
    assert_eq!(house.verdict(&answer), "REPO_B03 item.proof-absent", "{kind:?}");
    answer.must_be_signed();
    let fault = answer.fault().unwrap();
    let told = fault.message("en").unwrap();
    assert!(words.iter().all(|word| told.contains(word)), "{kind:?}: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_proved_with_its_window_and_what_is_not_is_told() {
    let house = House::open(Fate::open(0, false, Some(true))).await.unwrap();
    let ticket = house.ask(&submit("T")).await.submitted().ticket;
    until(async || (of_kind(&house, "accessed") == 1).then_some(())).await;
    let (dispatch, _) = proved(&house, ticket, ProofKind::Dispatch, "consigned").await;
    let Event::ContentConsignment(consigned) = dispatch.event else { panic!("{dispatch:?}") };
    assert_eq!(consigned.message_id, format!("message-{ticket}"));
    let (read, _) = proved(&house, ticket, ProofKind::Consultation, "accessed").await;
    let Event::ContentAccessTracking(access) = read.event else { panic!("{read:?}") };
    assert!(access.not_before.unwrap() <= read.event_time, "{access:?}");
    absent(&house, ticket, ProofKind::Expiry, ["SENT", "ask for DISPATCH"]).await;
    absent(&house, ticket, ProofKind::NonDelivery, ["SENT", "ask for DISPATCH"]).await;

    // The detached seal is what is given where no form is asked for; history tells that proofs went out, and no sealing.
    let sealed = house.ask(&Draft::proof(&ItemName::Ticket(ticket), ProofKind::Dispatch)).await.proof_reply();
    assert_eq!((sealed.proof.is_some(), sealed.evidence.len()), (true, 0));
    let history = house.ask(&Draft::history(&ticket, 1)).await.history();
    let handed_out: Vec<_> = history.events.iter().filter_map(|event| event.proof).collect();
    let (dispatch, consultation) = (ProofKind::Dispatch, ProofKind::Consultation);
    assert_eq!(handed_out, [dispatch, dispatch, consultation, consultation, dispatch]);
    assert_eq!(history.events.len(), 5 + handed_out.len(), "{history:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_to_its_date_unread_is_proved_as_that() {
    let house = House::open(Fate::open(0, false, Some(false))).await.unwrap();
    let ticket = house.ask(&submit("T")).await.submitted().ticket;
    until(async || (of_kind(&house, "expired_unread") == 1).then_some(())).await;
    let (expired, _) = proved(&house, ticket, ProofKind::Expiry, "expired_unread").await;
    assert!(matches!(expired.event, Event::ContentHandoverFailure(_)), "{expired:?}");
    absent(&house, ticket, ProofKind::Consultation, ["SENT", "getDeliveryHistory"]).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_proved_with_every_attempt_and_each_failure_is_its_own() {
    let house = House::open(Fate::open(2, true, None)).await.unwrap();
    let ticket = house.ask(&submit("T")).await.submitted().ticket;
    until(async || (status(&house, ticket) == Status::Error).then_some(())).await;
    let (failed, first) = proved(&house, ticket, ProofKind::NonDelivery, "consignment_failed").await;
    let Event::ContentConsignmentFailure(failure) = failed.event else { panic!("{failed:?}") };
    let attempts = |failure: &evidence::event::ConsignmentFailure| {
        failure.attempts.iter().map(|attempt| attempt.outcome.clone()).collect::<Vec<_>>()
    };
    assert_eq!(failure.reason, "INVALID_INPUT");
    assert_eq!(attempts(&failure), ["test.away", "test.away", "INVALID_INPUT"]);
    let told = |kind| house.records().into_iter().filter(move |stored| stored.record.kind() == kind);
    let times: Vec<_> = told("attempted").chain(told("consignment_failed")).collect();
    for (attempt, stored) in failure.attempts.iter().zip(&times) {
        assert_eq!(attempt.at.as_second(), stored.record.at().as_second());
    }
    absent(&house, ticket, ProofKind::Dispatch, ["ERROR", "ask for NON_DELIVERY"]).await;

    // Put back in the queue it has not failed; failing again is another act, with evidence of its own.
    let (at, action) = (Timestamp::now(), store::index::REQUEUED.to_owned());
    let record = Record::Control(Control { at, action, ticket: Some(ticket), detail: String::new() });
    house.service.append(Entry { record, frames: Vec::new(), unique_keys: Vec::new() }).await.unwrap();
    absent(&house, ticket, ProofKind::NonDelivery, ["PENDING", "says ERROR"]).await;
    house.service.wake_courier();
    until(async || (of_kind(&house, "consignment_failed") == 2).then_some(())).await;
    let (failed, second) = proved(&house, ticket, ProofKind::NonDelivery, "consignment_failed").await;
    let Event::ContentConsignmentFailure(failure) = &failed.event else { panic!("{failed:?}") };
    assert_eq!(failure.attempts.len(), 3, "the two that passed, and the one that ended it");
    assert_ne!(first.content, second.content);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_it_is_in_the_box_there_is_evidence_of_its_sending_alone() {
    let house = House::new().await;
    let ticket = house.ask(&submit("T")).await.submitted().ticket;
    for kind in [ProofKind::Dispatch, ProofKind::Consultation, ProofKind::Expiry, ProofKind::NonDelivery] {
        absent(&house, ticket, kind, ["PENDING", "Delivery goes on"]).await;
    }
    let sealed = house.ask(&Draft::proof(&ItemName::Ticket(ticket), ProofKind::Dispatch)).await.proof_reply();
    assert_eq!(
        (sealed.proof, sealed.status),
        (None, Status::Pending),
        "a seal that is not there is no fault"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_ticket_is_an_absent_one_for_every_kind() {
    let house = House::new().await;
    let ticket = house.ask(&submit("T")).await.submitted().ticket;
    let nobodys = Ticket::parse("0000000000000").unwrap();
    for kind in ProofKind::ALL {
        let foreign = house.ask(&evidence_of(ticket, kind).by("bob")).await;
        assert_eq!(house.verdict(&foreign), "REPO_B01 item.unknown");
        let absent = house.ask(&evidence_of(nobodys, kind).by("bob")).await;
        let told = |answer: &Answered| {
            let mut fault = answer.fault().unwrap();
            fault.id = None;
            fault
        };
        assert_eq!(told(&foreign), told(&absent), "{kind:?}");
    }
    assert_eq!(of_kind(&house, "evidenced"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_ask_at_once_get_the_same_bytes() {
    let gate = Gate::closed(stamper());
    let house = Arc::new(House::open(Plan { stamper: gate.clone(), ..Plan::default() }).await.unwrap());
    gate.passes.add_permits(1);
    let ticket = house.ask(&send_document("T")).await.receipt().ticket;
    let asking = [(); 2].map(|()| {
        let house = house.clone();
        tokio::spawn(async move { house.ask(&evidence_of(ticket, ProofKind::Receipt)).await })
    });
    let _ = gate.asked.acquire_many(3).await.unwrap(); // the receipt's, and theirs: both have signed
    gate.passes.add_permits(2);
    let [one, other] = asking;
    let (one, other) = (given(&one.await.unwrap()), given(&other.await.unwrap()));
    assert_eq!((one.len(), &one), (1, &other));
    assert_eq!(of_kind(&house, "evidenced"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_stamp_nothing_is_given_and_the_next_one_who_asks_gets_it() {
    let gate = Gate::closed(stamper());
    let plan = Plan { stamper: gate.clone(), ..Plan::default() };
    let disk = plan.disk.clone();
    let house = House::open(plan).await.unwrap();
    gate.passes.add_permits(1);
    let ticket = house.ask(&send_document("T")).await.receipt().ticket;
    // Of the two that a submission needs, one comes: nothing is accepted.
    gate.passes.add_permits(1);
    let other = submit("U");
    let half = tokio::join!(house.ask(&other), async {
        let _ = gate.asked.acquire_many(3).await.unwrap();
        while gate.passes.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        gate.passes.close();
    })
    .0;
    let fault = half.fault().unwrap();
    assert_eq!((fault.code.as_str(), fault.retry), ("SOA-02002", Some(true)));
    let (accepted, withdrawn) = house.accepted_and_withdrawn();
    assert_eq!((accepted, withdrawn.len()), (vec![ticket], 1));
    let answer = house.ask(&evidence_of(ticket, ProofKind::Receipt)).await;
    assert_eq!(house.verdict(&answer), "SOA-02002 tsa.none-answered");
    assert_eq!(answer.fault().unwrap().retry, Some(true));
    assert_eq!(of_kind(&house, "evidenced"), 0);
    house.stop().await;

    let house = House::open(Plan { disk, ..Plan::default() }).await.unwrap();
    assert_eq!(given(&house.ask(&evidence_of(ticket, ProofKind::Receipt)).await).len(), 1);
    assert_eq!(house.verdict(&house.ask(&submit("U")).await), "accepted");
}
