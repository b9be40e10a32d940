//! sendDocument and submit: from an authorised submission to its receipt.
//!
//! Order of writes: parts and key (durable before this begins) → Received → seal and stamp → Accepted with the receipt → answer.
//! A crash before Accepted leaves a Received that the next start withdraws; after it, the resend finds the receipt.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use erds::record::{self, CheckFacts, Hex32, PartFacts, Received, Withdrawn};
use erds::{ChannelName, FaultCode, Record, Refusal, Submission, Ticket};
use evidence::description::ItemDescription;
use evidence::event::AuthenticationMethod;
use evidence::receipt::ReceiptContent;
use evidence::seal::Sealed;
use journal::{Appended, Entry, Frame, Recorded, UniqueKey};
use pki::digest::{DigestAlgorithm, sha256};
use soap::message::ProofKind;
use soap::message::v2::InlineContent;

use super::channel::Chosen;
use super::duplicates::Fate;
use super::evidence::{Given, Sealing};
use super::facts::{SignedMessage, keyed, token_key};
use super::inline::Inline;
use super::{Arrived, Reply};
use crate::aside::aside;
use crate::door::soap::Contract;
use crate::metrics::Stage;
use crate::service::{Failure, Service};

/// A submission whose every part was hashed as it arrived and equals what the sender signed; its parts in the item's order.
///
/// Only [`Service::match_digests`] makes one.
struct Admitted<'a> {
    parts: Vec<&'a super::spool::SpooledPart>,
}

impl Service {
    pub(super) async fn submit(
        self: &Arc<Self>,
        arrived: &Arc<Arrived>,
        message: SignedMessage,
        submission: Submission,
        inline: Vec<InlineContent>,
        chosen: &[ChannelName],
    ) -> Result<Reply, Refusal> {
        let inline = aside(arrived.spooled.bytes(), || self.spool_inline(arrived, &message, inline))?;
        let admitted = aside(arrived.spooled.bytes(), || {
            let _timed = self.metrics().time(Stage::Digests);
            self.match_digests(arrived, &message, &submission, &inline)
        })?;
        let sizes: Vec<u64> = admitted.parts.iter().map(|part| part.stored.bytes).collect();
        let Chosen { ebox: channel, folder } =
            self.chosen_channels(&message.sender, &submission, chosen, &sizes)?;
        loop {
            let keys = match self.claim_all(&message, &submission, arrived)? {
                Ok(keys) => keys,
                Err(fate) => match self.repeat(arrived, fate, &submission, &message).await? {
                    Some((reply, ticket)) => {
                        self.discard(arrived.spooled.ticket);
                        let held = ticket.map(|_| ProofKind::Receipt);
                        self.record_proof(arrived, &message, ticket, held).await?;
                        return Ok(reply);
                    }
                    None => continue,
                },
            };
            let timed = self.metrics().time(Stage::Inquire);
            let facts = channel.inquire(&submission.recipient, submission.check).await;
            drop(timed);
            let mut checks = checks(facts.map_err(inquire_refusal)?, &submission);
            checks.extend(contents_check(arrived, &message));
            let received = Received {
                ticket: arrived.spooled.ticket,
                request: message.facts(arrived),
                token_key: token_key(message.sender.cbe.digits(), &submission.token).map(Hex32),
                content_digest: Hex32(submission.content_digest()),
                channel: channel.name(),
                folder: folder.clone(),
                proof_to_mailbox: submission.beside.proof_to_mailbox,
                checks,
                parts: admitted.part_facts(),
            };
            let frames = self.received_frames(arrived, &message, &submission, &admitted)?;
            let under_way = self.in_flight().begin(arrived.spooled.ticket);
            let record = Record::Received(received);
            let entry = Entry { record, frames, unique_keys: keys };
            arrived.spooled.named.store(true, Ordering::SeqCst);
            match self.append(entry).await? {
                // Somebody was quicker with the same key: look again what became of it.
                Appended::Existing(_) => {
                    arrived.spooled.named.store(false, Ordering::SeqCst);
                    drop(under_way);
                }
                Appended::Recorded(recorded) => {
                    let accepted = self.accept(arrived, &message, &submission, recorded).await;
                    drop(under_way);
                    let (sealed, evidence) = accepted?;
                    let reply = self.receipt_reply(
                        message.version,
                        arrived.spooled.ticket,
                        &submission.token,
                        (sealed.xml(), sealed.p7s()),
                        evidence.as_ref(),
                    );
                    return Ok(reply?);
                }
            }
        }
    }

    /// Every digest under the sender's signature equals that of the bytes that arrived (E8), and nothing arrived that nobody signed.
    fn match_digests<'a>(
        &self,
        arrived: &'a Arrived,
        message: &SignedMessage,
        submission: &Submission,
        inline: &'a [Inline],
    ) -> Result<Admitted<'a>, Refusal> {
        let spooled = &arrived.spooled;
        let mut parts = Vec::new();
        for stated in submission.parts() {
            // Both sides may be percent-encoded, or not (clients.md 8).
            let named = |part: &&super::spool::SpooledPart| {
                part.content_id == stated.content_id
                    || soap::message::normalised_content_id(&part.content_id).as_ref()
                        == Some(&stated.content_id)
            };
            let in_body = inline.iter().find(|inline| inline.content_id == stated.content_id);
            let in_body = in_body.and_then(|inline| inline.part(&spooled.parts));
            let Some(part) = in_body.or_else(|| spooled.parts.iter().find(named)) else {
                return Err(attachment(
                    "content.part-missing",
                    "a Content that names no attachment of this message",
                ));
            };
            if parts.iter().any(|other: &&super::spool::SpooledPart| std::ptr::eq(*other, part)) {
                return Err(attachment("content.part-twice", "two Contents that name one attachment"));
            }
            parts.push(part);
            let digest = stated.digest.to_digest().ok_or_else(|| {
                mismatch("a DigestValue that is not as long as its DigestMethod's", parts.len())
            })?;
            let same = match digest.algorithm() {
                DigestAlgorithm::Sha256 => part.stored.sha256.matches(&digest),
                other => self.rehash(spooled.ticket, &spooled.key, part, other)?.matches(&digest),
            };
            if !same {
                return Err(mismatch(
                    "its DigestValue, which you signed, is not the digest of the bytes that arrived",
                    parts.len(),
                ));
            }
        }
        let included = |part: &super::spool::SpooledPart| message.included.contains(&part.content_id);
        let used = |part: &super::spool::SpooledPart| parts.iter().any(|used| std::ptr::eq(*used, part));
        if spooled.parts.iter().any(|part| !used(part) && !included(part)) {
            return Err(attachment(
                "content.part-undeclared",
                "an attachment that the signed Body does not name",
            ));
        }
        Ok(Admitted { parts })
    }

    /// The keys of this submission, all free, or the fate of the first one that is not.
    fn claim_all(
        &self,
        message: &SignedMessage,
        submission: &Submission,
        arrived: &Arrived,
    ) -> Result<Result<Vec<UniqueKey>, Fate>, Failure> {
        let mut keys = vec![UniqueKey(keyed("ticket", &[arrived.spooled.ticket.as_str().as_bytes()]))];
        let bases =
            [token_key(message.sender.cbe.digits(), &submission.token), Some(message.submission_key())];
        for base in bases.into_iter().flatten() {
            match self.claim(base)? {
                Ok(key) => keys.push(key),
                Err(fate) => return Ok(Err(fate)),
            }
        }
        Ok(Ok(keys))
    }

    /// The answer to a repeat; none: what held the key was withdrawn meanwhile, so this request may try itself.
    async fn repeat(
        &self,
        arrived: &Arrived,
        fate: Fate,
        submission: &Submission,
        message: &SignedMessage,
    ) -> Result<Option<(Reply, Option<Ticket>)>, Refusal> {
        let (position, ticket) = match fate {
            Fate::Refused(position) => return Ok(Some((self.stored_fault(position)?, None))),
            Fate::Item { received, ticket } => (received, ticket),
        };
        self.in_flight().wait(ticket).await;
        if self.index().is_withdrawn(ticket).map_err(Failure::from)? {
            return Ok(None);
        }
        let Record::Received(received) = self.journal().read(position).map_err(Failure::from)?.record else {
            return Err(Failure::journal("a key without its Received").into());
        };
        if received.content_digest != Hex32(submission.content_digest()) {
            return Err(Refusal::new(
                FaultCode::EpostB04,
                "submission.token-reused",
                "a Token that this institution used before, with other content",
                "one Token for one item",
                "Give the new item a Token of its own; to send the same item again, send it unchanged.",
            ));
        }
        let item = self.index().item(ticket).map_err(Failure::from)?;
        let item = item.ok_or_else(|| Failure::store("an item that is not in the index"))?;
        self.require_kept(&item)?;
        let receipt = self.stored_receipt(ticket)?;
        // Sent by contract A, or before there was any, it has none yet: this is the first time that it is asked for.
        let evidence = match arrived.head.contract {
            Contract::A => None,
            Contract::B => self.evidence_of(&item, ProofKind::Receipt).await?.pop(),
        };
        let sealed = (receipt.xml.as_slice(), receipt.p7s.as_slice());
        let reply =
            self.receipt_reply(message.version, ticket, &submission.token, sealed, evidence.as_ref())?;
        Ok(Some((reply, Some(ticket))))
    }

    fn received_frames(
        &self,
        arrived: &Arrived,
        message: &SignedMessage,
        submission: &Submission,
        admitted: &Admitted<'_>,
    ) -> Result<Vec<Frame>, Failure> {
        let spooled = &arrived.spooled;
        let mut frames = self.message_frames(arrived, message, &admitted.parts)?;
        let item = serde_json::to_vec(submission).map_err(|error| Failure::store(&error.to_string()))?;
        frames.push(self.frame(spooled.ticket, &spooled.key, "submission", &item)?);
        for part in &admitted.parts {
            frames.extend(crate::service::inline_frame(spooled.ticket, &part.stored));
        }
        Ok(frames)
    }

    /// Seals, stamps and records; or withdraws, and says that nothing was accepted.
    async fn accept(
        self: &Arc<Self>,
        arrived: &Arrived,
        message: &SignedMessage,
        submission: &Submission,
        recorded: Recorded,
    ) -> Result<(Sealed, Option<Given>), Refusal> {
        let position = recorded.position();
        let ticket = arrived.spooled.ticket;
        match self.seal_answer(arrived, message, submission, &recorded).await {
            Ok(((sealed, authority), evidence)) => {
                let record = Record::Accepted(record::Accepted {
                    ticket,
                    at: self.now(),
                    received_position: position,
                    received_at: arrived.received_at,
                    receipt_xml_sha256: Hex32(sha256(sealed.xml())),
                    receipt_p7s_sha256: Hex32(sha256(sealed.p7s())),
                    channel: self.channel_for(&submission.recipient)?.name(),
                    tsa: authority,
                    gen_time: sealed.gen_time(),
                    evidence: evidence.as_ref().map(Sealing::facts),
                });
                let key = &arrived.spooled.key;
                let mut frames = vec![
                    self.frame(ticket, key, "receipt.xml", sealed.xml())?,
                    self.frame(ticket, key, "receipt.p7s", sealed.p7s())?,
                ];
                if let Some(evidence) = &evidence {
                    frames.push(self.evidence_frame(ticket, key, &evidence.sealed)?);
                }
                self.append(Entry { record, frames, unique_keys: Vec::new() }).await?;
                self.wake_courier();
                Ok((sealed, evidence.map(Sealing::given)))
            }
            Err(failure) => {
                let record = Record::Withdrawn(Withdrawn {
                    ticket,
                    at: self.now(),
                    received_position: position,
                    reason: failure.code().to_owned(),
                });
                self.append(Entry { record, frames: Vec::new(), unique_keys: Vec::new() }).await?;
                // Durably withdrawn: its content may go.
                arrived.spooled.named.store(false, Ordering::SeqCst);
                Err(failure.into())
            }
        }
    }

    /// The receipt; for contract B its evidence beside it, each with a time-stamp of its own, asked for at once.
    async fn seal_answer(
        &self,
        arrived: &Arrived,
        message: &SignedMessage,
        submission: &Submission,
        recorded: &Recorded,
    ) -> Result<((Sealed, String), Option<Sealing>), Failure> {
        let receipt = self.seal_receipt(arrived, message, submission, recorded);
        if arrived.head.contract == Contract::A {
            return Ok((receipt.await?, None));
        }
        let method = match message.person {
            Some(_) => AuthenticationMethod::SamlHolderOfKey,
            None => AuthenticationMethod::X509,
        };
        let evidence = async {
            let sealing = self.seal_acceptance(recorded, submission, method).await?;
            self.require_prompt(arrived, sealing.sealed.gen_time())?;
            Ok(sealing)
        };
        let (receipt, evidence) = tokio::try_join!(receipt, evidence)?;
        Ok((receipt, Some(evidence)))
    }

    async fn seal_receipt(
        &self,
        arrived: &Arrived,
        message: &SignedMessage,
        submission: &Submission,
        recorded: &Recorded,
    ) -> Result<(Sealed, String), Failure> {
        let receipt = ReceiptContent {
            environment: self.settings().environment,
            item: describe(arrived.spooled.ticket, &message.sender, submission)?,
        };
        let (sealed, authority) = self.seal(recorded, &receipt.to_xml()).await?;
        self.require_prompt(arrived, sealed.gen_time())?;
        Ok((sealed, authority))
    }

    fn require_prompt(&self, arrived: &Arrived, gen_time: jiff::Timestamp) -> Result<(), Failure> {
        let lag = gen_time.duration_since(arrived.received_at);
        if lag.as_secs() > self.settings().seal_lag_seconds_max {
            return Err(Failure::away(
                "seal.lag",
                "the time-stamp came later than seal.lag_seconds_max after reception",
            ));
        }
        Ok(())
    }
}

impl Admitted<'_> {
    fn part_facts(&self) -> Vec<PartFacts> {
        let facts = |part: &&super::spool::SpooledPart| PartFacts {
            name: part.stored.name.clone(),
            length_bytes: part.stored.bytes,
            ciphertext_sha256: Hex32(part.stored.ciphertext_sha256),
        };
        self.parts.iter().map(facts).collect()
    }
}

/// What every proof repeats of an item.
pub(crate) fn describe(
    ticket: Ticket,
    sender: &erds::Sender,
    submission: &Submission,
) -> Result<ItemDescription, Failure> {
    let described = ItemDescription::of(&ticket, submission, sender);
    described.map_err(|error| Failure::broken(FaultCode::SepiaT02, "proof.digest", &error.to_string()))
}

fn checks(facts: delivery::Facts, submission: &Submission) -> Vec<CheckFacts> {
    let said = |value: Option<bool>| match value {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not asked",
    };
    let check = |name: &str, outcome: &str| CheckFacts { name: name.into(), outcome: outcome.into() };
    vec![
        check("digests", "equal"),
        check("malware", "not scanned"),
        check("ebox.demand", submission.check.as_str()),
        check("ebox.activated", said(facts.activated)),
        check("ebox.exclusively", said(facts.exclusively)),
    ]
}

/// Contract B: what the signature is over, the documents themselves or what stands for them (`clients.md` 9).
fn contents_check(arrived: &Arrived, message: &SignedMessage) -> Option<CheckFacts> {
    let outcome = if message.contents_as_sent { "signed as xop:Include" } else { "signed in place" };
    (arrived.head.contract == Contract::B)
        .then(|| CheckFacts { name: "contents".into(), outcome: outcome.into() })
}

pub(super) fn inquire_refusal(error: delivery::InquireError) -> Refusal {
    match error {
        delivery::InquireError::Refused(refusal) => *refusal,
        delivery::InquireError::Away(away) => Failure::away(away.code, &away.detail).into(),
    }
}

fn mismatch(seen: &str, place: usize) -> Refusal {
    let which = match place {
        1 => "Document".to_owned(),
        annex => format!("Annex {}", annex - 1),
    };
    Refusal::new(
        FaultCode::FileB01,
        "content.digest-mismatch",
        &format!("{which}: {seen}"),
        "the digest of the attached bytes, as they travel",
        "Compute DigestValue over the very bytes that you attach; look for a proxy or a library that changes attachments.",
    )
}

fn attachment(check: &'static str, seen: &str) -> Refusal {
    Refusal::new(
        FaultCode::EpostB07,
        check,
        seen,
        "each Content names one attachment by its Content-ID, and each attachment is named once",
        "Attach every file once, with a Content-ID of its own, and name it in Content as cid:ID.",
    )
}
