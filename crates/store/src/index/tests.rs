use erds::record::{
    Accepted, Accessed, Attempted, Consigned, ConsignmentFailed, Consulted, Control, DecisionFacts,
    Dispatched, EvidenceFacts, Evidenced, ExpiredUnread, HandedOver, Hex32, Packaged, Received, Removed,
    RequestFacts, Withdrawn,
};
use erds::{ApplicationId, EnterpriseNumber, Environment, FolderFile, Sender, Strictness};

use super::entry::REQUEUED;
use super::*;

const CHANNEL: ChannelName = ChannelName::EboxCitizen;
const HASH: Hex32 = Hex32([8; 32]);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn ticket(number: usize) -> Ticket {
    Ticket::parse(&format!("{number:013}")).unwrap()
}

fn request() -> RequestFacts {
    RequestFacts {
        request_id: "id".to_owned(),
        received_at: at(0),
        operation: "sendDocument".to_owned(),
        sender: Sender {
            cbe: EnterpriseNumber::parse("0123456749", Strictness::Strict).unwrap(),
            application: ApplicationId::parse("urn:be:example:letters").unwrap(),
            issuing_ca_spki_sha256: [1; 32],
            environment: Environment::Tst,
        },
        message_certificate: HASH,
        tls_certificate: None,
        peer_address: "::1".to_owned(),
        asserted_address: None,
        soap_digest: HASH,
        submission_key: HASH,
        signed_info: String::new(),
        signature_value: String::new(),
        signature_algorithm: String::new(),
        decision: DecisionFacts {
            grant_reference: "13/116".to_owned(),
            policy_digest: HASH,
            grant: None,
            program_number: None,
            decision_id: None,
        },
    }
}

fn received(item: usize) -> Record {
    Record::Received(Received {
        ticket: ticket(item),
        request: request(),
        token_key: Some(Hex32([item as u8; 32])),
        content_digest: HASH,
        channel: CHANNEL,
        folder: None,
        proof_to_mailbox: false,
        checks: Vec::new(),
        parts: Vec::new(),
    })
}

fn accepted(item: usize) -> Record {
    Record::Accepted(Accepted {
        ticket: ticket(item),
        at: at(1),
        received_position: 0,
        received_at: at(0),
        receipt_xml_sha256: HASH,
        receipt_p7s_sha256: HASH,
        channel: CHANNEL,
        tsa: "tsa".to_owned(),
        gen_time: at(1),
        evidence: None,
    })
}

fn withdrawn(item: usize) -> Record {
    let reason = "tsa.unavailable".to_owned();
    Record::Withdrawn(Withdrawn { ticket: ticket(item), at: at(1), received_position: 0, reason })
}

fn attempted(item: usize, attempt: u32, next: i64) -> Record {
    Record::Attempted(Attempted {
        ticket: ticket(item),
        at: at(2),
        channel: CHANNEL,
        attempt,
        idempotency_key: String::new(),
        outcome: "away".to_owned(),
        next_at: at(next),
    })
}

fn consigned(item: usize) -> Record {
    Record::Consigned(Consigned {
        ticket: ticket(item),
        consigned_at: at(3),
        channel: CHANNEL,
        attempt: 2,
        idempotency_key: String::new(),
        message_id: "m".to_owned(),
        answer_digest: HASH,
        no_digital_user: false,
        expires_at: None,
    })
}

fn failed(item: usize) -> Record {
    let reason = "refused".to_owned();
    Record::ConsignmentFailed(ConsignmentFailed {
        ticket: ticket(item),
        at: at(4),
        channel: CHANNEL,
        attempts: 3,
        reason,
    })
}

fn dispatched(item: usize) -> Record {
    Record::Dispatched(Dispatched {
        ticket: ticket(item),
        at: at(5),
        channel: CHANNEL,
        consigned_position: 0,
        proof_xml_sha256: HASH,
        proof_p7s_sha256: HASH,
        tsa: "tsa".to_owned(),
        gen_time: at(5),
    })
}

fn read(item: usize, proof: Option<&str>) -> Record {
    let (ticket, proof) = (Some(ticket(item)), proof.map(str::to_owned));
    Record::Consulted(Consulted { request: request(), ticket, answer: "OK".to_owned(), proof })
}

fn requeued(item: usize, second: i64) -> Record {
    let ticket = Some(ticket(item));
    Record::Control(Control { at: at(second), action: REQUEUED.to_owned(), ticket, detail: String::new() })
}

fn history() -> Vec<Record> {
    vec![
        received(1),
        received(2),
        accepted(1),
        withdrawn(2),
        received(3),
        attempted(1, 1, 60),
        accepted(3),
        received(4),
        consigned(1),
        failed(3),
        attempted(1, 2, 90),
        dispatched(1),
        requeued(3, 200),
        received(5),
        accepted(5),
        read(1, Some("DISPATCH")),
        read(1, None),
        failed(5),
    ]
}

fn grown(records: &[Record]) -> Index {
    let index = Index::open(None).unwrap();
    for (position, record) in (0..).zip(records) {
        index.apply(position, record).unwrap();
    }
    index
}

/// What is due, to be sealed or to be taken to its channel.
fn due_at(index: &Index, now: Timestamp) -> Vec<Due> {
    let of = |stage| index.due(CHANNEL, stage, now, 10).unwrap();
    [of(Stage::Seal), of(Stage::Consign)].concat()
}

#[test]
fn an_item_goes_its_way() {
    let index = grown(&[received(1), received(2)]);
    assert_eq!(index.unfinished().unwrap().len(), 2);
    assert_eq!(due_at(&index, at(1000)), []);
    assert_eq!(index.item_by_token_key(&[1; 32]).unwrap(), None, "not accepted yet");
    index.apply(2, &accepted(1)).unwrap();
    index.apply(3, &withdrawn(2)).unwrap();
    assert!(index.is_withdrawn(ticket(2)).unwrap() && !index.is_withdrawn(ticket(1)).unwrap());
    assert!(index.unfinished().unwrap().is_empty());
    assert_eq!(index.item_by_token_key(&[1; 32]).unwrap().unwrap().ticket, ticket(1));
    assert_eq!(index.item_by_token_key(&[2; 32]).unwrap(), None, "withdrawn");
    assert_eq!(index.item(ticket(1)).unwrap().unwrap().institution, "0123456749");

    let due =
        |attempts, stage| Due { ticket: ticket(1), channel: CHANNEL, attempts, accepted_at: at(1), stage };
    assert_eq!(due_at(&index, at(0)), []);
    assert_eq!(index.due(ChannelName::Batch, Stage::Consign, at(1), 10).unwrap(), [], "another channel's");
    assert_eq!(due_at(&index, at(1)), [due(0, Stage::Consign)]);
    index.apply(4, &attempted(1, 1, 60)).unwrap();
    assert_eq!(index.next_due_at().unwrap(), Some(at(60)));
    assert_eq!(due_at(&index, at(59)), []);
    assert_eq!(due_at(&index, at(60)), [due(1, Stage::Consign)]);
    index.apply(5, &consigned(1)).unwrap();
    assert_eq!(due_at(&index, at(3)), [due(2, Stage::Seal)]);
    assert_eq!(index.item(ticket(1)).unwrap().unwrap().status, Status::Pending, "not before the proof");
    index.apply(6, &attempted(1, 3, 90)).unwrap();
    assert_eq!(due_at(&index, at(89)), [], "a seal that failed waits too");
    assert_eq!(due_at(&index, at(90)), [due(3, Stage::Seal)]);
    index.apply(7, &dispatched(1)).unwrap();
    assert_eq!(index.next_due_at().unwrap(), None);
    let item = index.item(ticket(1)).unwrap().unwrap();
    assert_eq!(
        (item.status, item.accepted, item.consigned, item.dispatched),
        (Status::Sent, Some(2), Some(5), Some(7))
    );
    assert_eq!(index.counts().unwrap(), Counts { pending: 0, due: 0, sent: 1, error: 0 });
}

#[test]
fn what_may_still_be_read_is_asked_for_until_it_is_told() {
    let records = [1, 2, 3].into_iter().flat_map(|n| [received(n), accepted(n), consigned(n), dispatched(n)]);
    let index = grown(&records.collect::<Vec<_>>());
    let unread = |oldest, after, limit| {
        let items = index.unread(CHANNEL, oldest, after, limit).unwrap();
        items.iter().map(|item| item.ticket).collect::<Vec<_>>()
    };
    let mut tickets = [ticket(1), ticket(2), ticket(3)];
    tickets.sort();
    assert_eq!(unread(at(0), None, 2), tickets[..2]);
    assert_eq!(unread(at(0), Some(tickets[1]), 2), tickets[2..]);
    let received_at = index.item(ticket(1)).unwrap().unwrap().received_at;
    assert_eq!(unread(received_at, None, 9).len(), 3, "at the end of asking");
    assert!(unread(received_at + jiff::SignedDuration::from_nanos(1), None, 9).is_empty(), "one past");
    let (at, channel) = (at(9), CHANNEL);
    let read = Accessed { ticket: ticket(1), at, channel, not_before: None };
    index.apply(12, &Record::Accessed(read)).unwrap();
    index.apply(13, &Record::ExpiredUnread(ExpiredUnread { ticket: ticket(2), at, channel })).unwrap();
    assert_eq!(unread(self::at(0), None, 9), [ticket(3)]);
    assert_eq!(index.counts().unwrap().sent, 3, "SENT all the same");
}

#[test]
fn a_failed_item_put_back_has_its_whole_deadline_again() {
    let index = grown(&history());
    assert_eq!(index.item(ticket(5)).unwrap().unwrap().status, Status::Error);
    assert_eq!(index.counts().unwrap(), Counts { pending: 1, due: 1, sent: 1, error: 1 });
    let due = due_at(&index, at(200));
    let again =
        Due { ticket: ticket(3), channel: CHANNEL, attempts: 0, accepted_at: at(200), stage: Stage::Consign };
    assert_eq!(due, [again]);
}

#[test]
fn an_items_events_are_told_in_order_a_page_at_a_time() {
    let index = grown(&history());
    let events = |item, skipped, limit| index.history(ticket(item), skipped, limit).unwrap();
    assert_eq!(events(1, 0, 99), [0, 2, 5, 8, 10, 11, 15], "read without a proof is no event");
    assert_eq!(events(1, 0, 7).len(), 7, "the limit");
    assert_eq!([events(1, 0, 4), events(1, 4, 4)].concat(), events(1, 0, 99));
    assert_eq!(events(1, 7, 4), [0; 0], "one past the last");
    assert_eq!(events(3, 0, 99), [4, 6, 9, 12], "put back in the queue");
    let act = |action: &str| Control {
        at: at(0),
        action: action.to_owned(),
        ticket: Some(ticket(3)),
        detail: String::new(),
    };
    let next = index.next_position().unwrap();
    index.apply(next, &Record::Control(act("another.act"))).unwrap();
    index.apply(next + 1, &dispatched(3)).unwrap();
    assert_eq!(events(3, 0, 99), [4, 6, 9, 12], "neither another act nor what contradicts");
    index.apply(next + 3, &attempted(3, 1, 300)).unwrap();
    assert_eq!(events(3, 0, 99).len(), 4, "not while one before it may still come");
    index.apply(next + 2, &read(1, None)).unwrap();
    assert_eq!(events(3, 4, 99), [next + 3]);
}

#[test]
fn rebuilt_is_grown() {
    let records = history();
    let index = grown(&records);
    let dump = index.dump().unwrap();
    assert!(dump.lines().count() == 6, "{dump}");
    for (position, record) in (0..).zip(&records) {
        index.apply(position, record).unwrap();
    }
    assert_eq!(index.dump().unwrap(), dump, "applied twice");
    index.clear().unwrap();
    assert_eq!(index.next_position().unwrap(), 0);
    for (position, record) in (0..).zip(&records) {
        index.apply(position, record).unwrap();
    }
    assert_eq!(index.dump().unwrap(), dump);
}

#[test]
fn items_may_overtake_each_other_and_a_gap_is_caught_up() {
    let records = history();
    let dump = grown(&records).dump().unwrap();
    let dir = std::env::temp_dir().join(format!("epost-index-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("index.sqlite");
    let index = Index::open(Some(&path)).unwrap();
    // Item after item, as if every other caller slept.
    let mut places: Vec<usize> = (0..records.len()).collect();
    places.sort_by_key(|place| records[*place].ticket());
    for place in &places[1..] {
        index.apply(*place as u64, &records[*place]).unwrap();
    }
    assert_eq!(index.next_position().unwrap(), 0, "the first is missing");
    drop(index);
    let index = Index::open(Some(&path)).unwrap();
    for position in index.next_position().unwrap()..records.len() as u64 {
        index.apply(position, &records[position as usize]).unwrap();
    }
    // Item 1's records came before its Received: they were passed over, and told. All the others stand.
    let others = |dump: &str| dump.lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(others(&index.dump().unwrap()), others(&dump));
    index.clear().unwrap();
    for (position, record) in (0..).zip(&records) {
        index.apply(position, record).unwrap();
    }
    assert_eq!(index.dump().unwrap(), dump);
    let of_version = |index: Index, version: i64| {
        index.inner().connection.pragma_update(None, "user_version", version).unwrap();
    };
    of_version(index, SCHEMA_VERSION + 1);
    let written = std::fs::read(&path).unwrap();
    let newer = Index::open(Some(&path)).map(drop).unwrap_err();
    assert_eq!(newer.code(), "store.index.newer");
    let (seen, known) = (SCHEMA_VERSION + 1, SCHEMA_VERSION);
    assert!(
        newer.to_string().contains(&format!("version {seen}, and this program knows versions up to {known}"))
    );
    assert_eq!(std::fs::read(&path).unwrap(), written, "it is as it was");
    let index = Index::begin_anew(&path).unwrap();
    assert_eq!(index.next_position().unwrap(), 0, "for whom an operator wants it");
    index.apply(0, &records[0]).unwrap();
    of_version(index, SCHEMA_VERSION - 1);
    let index = Index::open(Some(&path)).unwrap();
    assert_eq!(index.next_position().unwrap(), 0, "an older version's is cleared");
    drop(index);
    std::fs::write(&path, "no database at all, and longer than a header of one hundred bytes ".repeat(4))
        .unwrap();
    assert_eq!(Index::open(Some(&path)).unwrap().next_position().unwrap(), 0, "a damaged one is made anew");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_a_crash_takes_of_the_last_records_is_applied_again() {
    let dir = std::env::temp_dir().join(format!("epost-index-crash-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("index.sqlite");
    // What another process would find that came now.
    let found = |name: &str| {
        let copy = dir.join(name);
        for suffix in ["", "-wal"] {
            let to = format!("{}{suffix}", copy.display());
            std::fs::copy(format!("{}{suffix}", path.display()), to).unwrap();
        }
        Index::open(Some(&copy)).unwrap()
    };
    let act =
        Record::Control(Control { at: at(9), action: "test".into(), ticket: None, detail: String::new() });
    let mut records = history();
    assert!(records.len() < COMMITTED_TOGETHER as usize);
    records.resize(COMMITTED_TOGETHER as usize + 2, act);
    let index = Index::open(Some(&path)).unwrap();
    let apply = |index: &Index, until: usize| {
        for position in index.next_position().unwrap()..until as u64 {
            index.apply(position, &records[position as usize]).unwrap();
        }
    };
    apply(&index, COMMITTED_TOGETHER as usize - 1);
    let before = found("before");
    assert_eq!(before.next_position().unwrap(), 0, "nothing is committed yet");
    apply(&before, COMMITTED_TOGETHER as usize - 1);
    assert_eq!(before.dump().unwrap(), index.dump().unwrap());

    apply(&index, records.len());
    let after = found("after");
    assert_eq!(after.next_position().unwrap(), u64::from(COMMITTED_TOGETHER));
    apply(&after, records.len());
    assert_eq!(after.dump().unwrap(), index.dump().unwrap());

    drop(index);
    let ended = Index::open(Some(&path)).unwrap();
    assert_eq!(ended.next_position().unwrap(), records.len() as u64, "an end in order commits");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn an_error_takes_back_to_what_was_committed() {
    let records = history();
    let index = grown(&records);
    assert_eq!(index.next_position().unwrap(), records.len() as u64);
    let act =
        Record::Control(Control { at: at(9), action: "test".into(), ticket: None, detail: String::new() });
    index.inner().connection.execute_batch("ALTER TABLE progress RENAME TO gone").unwrap();
    let error = index.apply(records.len() as u64, &act).unwrap_err();
    assert_eq!(error.code(), "store.index", "{error}");
    assert_eq!(index.next_position().unwrap(), 0, "the renaming with it");
    for (position, record) in (0..).zip(&records) {
        index.apply(position, record).unwrap();
    }
    assert_eq!(index.dump().unwrap(), grown(&records).dump().unwrap());
}

#[test]
fn what_contradicts_changes_nothing() {
    let index = grown(&[received(1), accepted(1)]);
    let before = index.item(ticket(1)).unwrap();
    for (position, record) in
        (2..).zip([dispatched(1), withdrawn(1), accepted(1), requeued(1, 9), consigned(7)])
    {
        index.apply(position, &record).unwrap();
    }
    assert_eq!(index.item(ticket(1)).unwrap(), before);
    assert_eq!(index.next_position().unwrap(), 7);
    assert_eq!(index.counts().unwrap(), Counts { pending: 1, due: 1, sent: 0, error: 0 });
}

const PARTNER: &str = "0000000196";

/// As [`received`], for a partner's folder and its sender's too.
fn received_for_folders(item: usize) -> Record {
    let Record::Received(received) = received(item) else { panic!("no Received") };
    let folder = Some(EnterpriseNumber::parse(PARTNER, Strictness::Strict).unwrap());
    Record::Received(Received { folder, proof_to_mailbox: true, ..received })
}

fn laid(item: usize) -> Record {
    let Record::Consigned(consigned) = consigned(item) else { panic!("no Consigned") };
    Record::Consigned(Consigned { channel: ChannelName::Batch, ..consigned })
}

fn unlaid(item: usize, next: i64) -> Record {
    let Record::Attempted(attempted) = attempted(item, 1, next) else { panic!("no Attempted") };
    Record::Attempted(Attempted { channel: ChannelName::Batch, ..attempted })
}

fn handed_over(item: usize) -> Record {
    let (ticket, at, channel) = (ticket(item), at(7), ChannelName::Batch);
    Record::HandedOver(HandedOver { ticket, at, channel, certificate: HASH, content_sha256: HASH })
}

fn removed(item: usize, file: FolderFile) -> Record {
    Record::Removed(Removed { ticket: ticket(item), at: at(8), file, certificate: HASH })
}

fn evidenced(item: usize) -> Record {
    let evidence = EvidenceFacts { sha256: HASH, tsa: "tsa".to_owned(), gen_time: at(8) };
    Record::Evidenced(Evidenced {
        ticket: ticket(item),
        at: at(8),
        event: "ContentHandover".to_owned(),
        of_position: 6,
        evidence,
    })
}

fn packaged(item: usize) -> Record {
    Record::Packaged(Packaged {
        ticket: ticket(item),
        at: at(8),
        proof: "CONSULTATION".to_owned(),
        of_positions: vec![0, 6],
        dispatched_position: Some(4),
        with_request: false,
        sha256: HASH,
        tsa: "tsa".to_owned(),
        gen_time: at(8),
    })
}

#[test]
fn a_folder_is_filled_beside_the_ebox_and_emptied_by_its_partner() {
    use FolderFile::{Data, Dispatch, DispatchSeal, Go, Receipt, ReceiptSeal, Seal};
    let in_folder = |index: &Index, folder: &str| {
        let files = index.folder(folder, 99).unwrap();
        files.iter().map(|shelved| (shelved.file, shelved.position)).collect::<Vec<_>>()
    };
    let institution = "0123456749";
    let mut records = vec![received_for_folders(1), accepted(1), unlaid(1, 60)];
    let index = grown(&records);
    let due = |now| index.due(ChannelName::Batch, Stage::Consign, at(now), 9).unwrap();
    assert_eq!((due(59).len(), due(60).len()), (0, 1));
    assert_eq!(index.next_due_at().unwrap(), Some(at(1)), "the eBox's");
    assert_eq!(index.undelivered().unwrap().len(), 1);
    assert!(in_folder(&index, PARTNER).is_empty(), "not before it is laid");
    assert_eq!(in_folder(&index, institution), [(Receipt, 1), (ReceiptSeal, 1)]);

    let more = [
        consigned(1),
        dispatched(1),
        laid(1),
        handed_over(1),
        removed(1, Data),
        removed(1, Receipt),
        evidenced(1),
        packaged(1),
    ];
    for record in &more[..2] {
        index.apply(records.len() as u64, record).unwrap();
        records.push(record.clone());
    }
    assert_eq!(index.item(ticket(1)).unwrap().unwrap().status, Status::Sent, "whatever the folder's fate");
    assert_eq!(index.undelivered().unwrap().len(), 1, "still to be laid");
    for record in &more[2..3] {
        index.apply(records.len() as u64, record).unwrap();
        records.push(record.clone());
    }
    assert_eq!((due(999), index.next_due_at().unwrap()), (Vec::new(), None));
    assert_eq!(in_folder(&index, PARTNER), [(Data, 5), (Seal, 5), (Go, 5)], "GO last");
    assert_eq!(index.folder(PARTNER, 2).unwrap().len(), 2, "the limit");
    assert_eq!(index.shelved(institution, ticket(1), Data).unwrap(), None, "another's folder");
    assert_eq!(index.lay(ticket(1)).unwrap().unwrap().state, State::Dispatched);
    for record in &more[3..] {
        index.apply(records.len() as u64, record).unwrap();
        records.push(record.clone());
    }
    let lay = index.lay(ticket(1)).unwrap().unwrap();
    assert_eq!((lay.folder.as_str(), lay.state), (PARTNER, State::HandedOver));
    assert_eq!(in_folder(&index, PARTNER), [(Seal, 5), (Go, 5)]);
    assert_eq!(in_folder(&index, institution), [(ReceiptSeal, 1), (Dispatch, 4), (DispatchSeal, 4)]);
    assert_eq!(
        index.history(ticket(1), 0, 99).unwrap(),
        [0, 1, 2, 3, 4, 5, 6],
        "removing is no event, nor evidence"
    );
    let acts = |kind, limit| index.acts(ticket(1), kind, limit).unwrap();
    assert_eq!((acts("consigned", 9), acts("handed_over", 9)), (vec![3, 5], vec![6]));
    assert_eq!((acts("consigned", 1), acts("accessed", 9)), (vec![5], vec![]), "the last ones");

    // Rebuilt, and with everything applied twice, it is the same; a second taking contradicts.
    let dump = grown(&records).dump().unwrap();
    assert_eq!(index.dump().unwrap(), dump);
    let contradicting = records.len() as u64;
    index.apply(contradicting, &handed_over(1)).unwrap();
    assert_eq!(index.history(ticket(1), 0, 99).unwrap().len(), 7);
    let erased = erds::record::Erased {
        at: at(9),
        act: 1,
        by: None,
        of: "item".to_owned(),
        class: "content".to_owned(),
        term_days: 1,
        ended_by: at(9),
        tickets: vec![ticket(1)],
    };
    index.apply(contradicting + 1, &Record::Erased(erased)).unwrap();
    assert!(in_folder(&index, PARTNER).is_empty() && in_folder(&index, institution).is_empty());
    assert_eq!(index.shelved(PARTNER, ticket(1), Seal).unwrap(), None, "erased");
}

#[test]
fn made_anew_it_takes_the_formers_place_once_it_is_whole() {
    let folder = std::env::temp_dir().join(format!("epost-index-anew-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("index.sqlite");
    let files = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let act = |index: &Index, position: u64| index.apply(position, &received(position as usize)).unwrap();
    let next = || Index::open(Some(&path)).unwrap().next_position().unwrap();
    // A log of the former one that a crash left must not meet the new file.
    std::mem::forget({
        let former = Index::open(Some(&path)).unwrap();
        (0..5).for_each(|position| act(&former, position));
        former.inner().commit().unwrap();
        former
    });
    assert!(files().len() > 1, "{:?}", files());
    let refused = made_anew(&path, |index| {
        act(index, 0);
        Err::<(), _>(StoreError::Stopped("no room".to_owned()))
    });
    assert_eq!(refused.unwrap_err().code(), "store.stopped");
    assert_eq!((next(), files().iter().any(|name| name.to_string_lossy().contains("new"))), (5, false));
    made_anew(&path, |index| {
        (0..7).for_each(|position| act(index, position));
        Ok::<_, StoreError>(())
    })
    .unwrap();
    assert_eq!((next(), files()), (7, vec!["index.sqlite".into()]));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_log_is_taken_into_the_database_by_nobody_who_applies() {
    let folder = std::env::temp_dir().join(format!("epost-index-checkpoint-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("index.sqlite");
    let index = Index::open(Some(&path)).unwrap();
    let by_commit = "PRAGMA wal_autocheckpoint";
    let by_commit: i64 = index.inner().connection.query_row(by_commit, [], |row| row.get(0)).unwrap();
    assert_eq!(by_commit, 0);
    let length = || std::fs::metadata(&path).unwrap().len();
    let empty = length();
    let records = u64::from(COMMITTED_TOGETHER * CHECKPOINT_COMMITS);
    (0..records).for_each(|position| index.apply(position, &received(position as usize)).unwrap());
    for _ in 0..6000 {
        if length() > empty {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(length() > empty);
    let dump = index.dump().unwrap();
    drop(index);
    assert!(!folder.join("index.sqlite-wal").exists(), "closed, all of it is in the database");
    assert_eq!(Index::open(Some(&path)).unwrap().dump().unwrap(), dump);
    std::fs::remove_dir_all(&folder).unwrap();
}
