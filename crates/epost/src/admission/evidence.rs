//! ERDS evidence of an item: sealed when it is first asked for, and the same bytes for everybody from then on.
//!
//! Its event is the act's, at the time in the act's record; its time-stamp is of when it was sealed, and says so. What a crash leaves: an
//! evidence that was sealed and not recorded was given to nobody, and the next request makes another one. Two that race are one: the
//! second finds the first one's key.

use erds::record::{self, EvidenceFacts, Evidenced, Hex32, Received};
use erds::{FaultCode, Record, Refusal, Sender, Status, Submission, Ticket};
use evidence::event::{
    Acceptance, Access, Assurance, Attempt, AuthenticationMethod, CheckDescription, Consignment,
    ConsignmentFailure, Event, Evidence, Handover, LogEntry, RequestDescription, Sealed, Unopened,
};
use journal::{Appended, Entry, Frame, Position, Recorded, Stored, UniqueKey};
use pki::digest::sha256;
use soap::message::{EvidenceAnswer, ProofKind};
use store::index::Item;
use store::keys::ItemKey;

use super::facts::keyed;
use crate::service::{Failure, Service};

/// An evidence as it was sealed.
pub(super) struct Given {
    /// The event's name in the standard.
    event: String,
    xml: Vec<u8>,
    /// The time of its stamp.
    pub(super) gen_time: jiff::Timestamp,
}

impl Given {
    pub(super) fn into_xml(self) -> Vec<u8> {
        self.xml
    }

    /// As contract B answers it.
    pub(super) fn answer(&self) -> EvidenceAnswer {
        EvidenceAnswer {
            event: format!("{EVENT_URI}{}", self.event),
            file_name: format!("{}.xml", self.event),
            content: self.xml.clone(),
        }
    }
}

/// The evidence of a submission that is being accepted: in the frames of its Accepted it takes effect, and nowhere before.
pub(super) struct Sealing {
    pub(super) sealed: Sealed,
    authority: String,
}

impl Sealing {
    pub(super) fn facts(&self) -> EvidenceFacts {
        facts(&self.sealed, &self.authority)
    }

    pub(super) fn given(self) -> Given {
        let gen_time = self.sealed.gen_time();
        Given { event: SUBMISSION_ACCEPTANCE.to_owned(), xml: self.sealed.into_xml(), gen_time }
    }
}

fn facts(sealed: &Sealed, authority: &str) -> EvidenceFacts {
    EvidenceFacts {
        sha256: Hex32(sha256(sealed.xml())),
        tsa: authority.to_owned(),
        gen_time: sealed.gen_time(),
    }
}

impl Service {
    /// The evidence of every act that a proof of this kind is of.
    ///
    /// # Errors
    /// REPO_B03: there is no such act (yet). SOA-02002: no time-stamp is to be had; nothing was given, and the same request may come again.
    pub(super) async fn evidence_of(&self, item: &Item, kind: ProofKind) -> Result<Vec<Given>, Refusal> {
        let acts = self.acts_of(item, kind)?;
        if acts.is_empty() {
            return Err(no_such_proof(item.status, kind));
        }
        let mut given = Vec::new();
        for act in acts {
            given.push(self.evidence_of_act(item, act).await?);
        }
        Ok(given)
    }

    /// The places of the acts' records.
    pub(super) fn acts_of(&self, item: &Item, kind: ProofKind) -> Result<Vec<Position>, Failure> {
        let last = |record: &str| self.index().acts(item.ticket, record, 1);
        Ok(match kind {
            ProofKind::Receipt => vec![item.received],
            // Only what getStatus calls SENT: there is one truth about an item.
            ProofKind::Dispatch if item.status == Status::Sent => item.consigned.into_iter().collect(),
            ProofKind::Consultation => [last("accessed")?, last("handed_over")?].concat(),
            ProofKind::Expiry => last("expired_unread")?,
            // Put back in the queue it has not failed any more; another failure is another act.
            ProofKind::NonDelivery if item.status == Status::Error => last("consignment_failed")?,
            ProofKind::Dispatch | ProofKind::NonDelivery => Vec::new(),
        })
    }

    /// The evidence of one act, sealed now if it never was.
    pub(super) async fn evidence_of_act(&self, item: &Item, act: Position) -> Result<Given, Failure> {
        if act == item.received
            && let Some(accepted) = item.accepted
            && let stored = self.journal().read(accepted)?
            && matches!(&stored.record, Record::Accepted(record) if record.evidence.is_some())
        {
            return self.stored_evidence(&stored);
        }
        let key = UniqueKey(keyed("evidence", &[item.ticket.as_str().as_bytes(), &act.to_be_bytes()]));
        if let Some(position) = self.journal().find(&key)? {
            return self.stored_evidence(&self.journal().read(position)?);
        }
        let (recorded, evidence, sender) = tokio::task::block_in_place(|| self.evidence(item, act))?;
        let (sealed, authority) = self.seal_evidence(&recorded, &evidence, &sender).await?;
        let absent = || Failure::broken(FaultCode::RepoT01, "key.absent", item.ticket.as_str());
        let item_key = self.keys().open_key(item.ticket)?.ok_or_else(absent)?;
        let event = evidence.event.name();
        let record = Record::Evidenced(Evidenced {
            ticket: item.ticket,
            at: self.now(),
            event: event.to_owned(),
            of_position: act,
            evidence: facts(&sealed, &authority),
        });
        let frames = vec![self.evidence_frame(item.ticket, &item_key, &sealed)?];
        match self.append(Entry { record, frames, unique_keys: vec![key] }).await? {
            Appended::Existing(position) => self.stored_evidence(&self.journal().read(position)?),
            Appended::Recorded(_) => {
                let gen_time = sealed.gen_time();
                Ok(Given { event: event.to_owned(), xml: sealed.into_xml(), gen_time })
            }
        }
    }

    /// The evidence that a record holds.
    fn stored_evidence(&self, stored: &Stored) -> Result<Given, Failure> {
        let (event, facts) = match &stored.record {
            Record::Evidenced(record) => (record.event.as_str(), Some(&record.evidence)),
            Record::Accepted(record) => (SUBMISSION_ACCEPTANCE, record.evidence.as_ref()),
            other => return Err(Failure::journal(&format!("evidence in a {} record", other.kind()))),
        };
        let facts = facts.ok_or_else(|| Failure::journal("an Accepted without its evidence"))?;
        let xml = self.open_frame(stored, FRAME)?;
        Ok(Given { event: event.to_owned(), xml, gen_time: facts.gen_time })
    }

    pub(super) fn evidence_frame(
        &self,
        ticket: Ticket,
        key: &ItemKey,
        sealed: &Sealed,
    ) -> Result<Frame, Failure> {
        self.frame(ticket, key, FRAME, sealed.xml())
    }

    /// Seals the evidence of a submission that was just recorded (A.1).
    pub(super) async fn seal_acceptance(
        &self,
        recorded: &Recorded,
        submission: &Submission,
        method: AuthenticationMethod,
    ) -> Result<Sealing, Failure> {
        let Record::Received(received) = recorded.record() else {
            return Err(Failure::journal("evidence of a submission that was not received"));
        };
        let entry = LogEntry::of(recorded);
        let event = Event::SubmissionAcceptance(acceptance(received));
        let evidence = self.describe_act(received, submission, method, entry, (recorded, event))?;
        let (sealed, authority) = self.seal_evidence(recorded, &evidence, &received.request.sender).await?;
        Ok(Sealing { sealed, authority })
    }

    /// What the evidence of an act says, and of whose item.
    fn evidence(&self, item: &Item, act: Position) -> Result<(Recorded, Evidence, Sender), Failure> {
        let stored = self.journal().read(item.received)?;
        let submission = self.submission_of(&stored)?;
        let Record::Received(received) = &stored.record else {
            return Err(Failure::journal("an item without its Received"));
        };
        let method = match stored.frames.iter().any(|frame| frame.name.ends_with("/person")) {
            true => AuthenticationMethod::SamlHolderOfKey,
            false => AuthenticationMethod::X509,
        };
        let request = LogEntry { index: stored.position, leaf_hash: stored.leaf_hash };
        let recorded = self.journal().recorded(act)?;
        let event = self.event(item, &recorded)?;
        let evidence = self.describe_act(received, &submission, method, request, (&recorded, event))?;
        Ok((recorded, evidence, received.request.sender.clone()))
    }

    fn describe_act(
        &self,
        received: &Received,
        submission: &Submission,
        method: AuthenticationMethod,
        request_entry: LogEntry,
        (recorded, event): (&Recorded, Event),
    ) -> Result<Evidence, Failure> {
        let received_at = received.request.received_at;
        // The signature was verified as of this time.
        let assurance = Assurance { method, at: received_at };
        let sender = &received.request.sender;
        let request =
            RequestDescription::of_item(&received.ticket, submission, sender, assurance, received_at);
        Ok(Evidence {
            environment: self.settings().environment,
            event,
            event_time: recorded.record().at(),
            policies: self.settings().evidence_policies.clone(),
            request: request
                .map_err(|error| Failure::broken(FaultCode::SepiaT02, "proof.digest", &error.to_string()))?,
            log_origin: self.log_origin().to_owned(),
            request_entry,
            event_entry: LogEntry::of(recorded),
        })
    }

    /// The act as its evidence names it.
    fn event(&self, item: &Item, recorded: &Recorded) -> Result<Event, Failure> {
        Ok(match recorded.record() {
            Record::Received(received) => Event::SubmissionAcceptance(acceptance(received)),
            Record::Consigned(done) => Event::ContentConsignment(Consignment {
                channel: done.channel,
                message_id: done.message_id.clone(),
                answer_sha256: done.answer_digest.0,
                no_digital_user: done.no_digital_user,
            }),
            Record::ConsignmentFailed(failed) => {
                Event::ContentConsignmentFailure(self.failure_of(recorded.position(), failed)?)
            }
            Record::Accessed(read) => {
                Event::ContentAccessTracking(Access { channel: read.channel, not_before: read.not_before })
            }
            Record::ExpiredUnread(expired) => Event::ContentHandoverFailure(Unopened {
                channel: expired.channel,
                kept_until: self.kept_until(item)?,
            }),
            Record::HandedOver(taken) => Event::ContentHandover(Handover {
                channel: taken.channel,
                certificate_sha256: taken.certificate.0,
                content_sha256: taken.content_sha256.0,
            }),
            other => return Err(Failure::journal(&format!("evidence of a {} record", other.kind()))),
        })
    }

    /// Every try by the channel that gave up, the last of them the one that ended it.
    fn failure_of(
        &self,
        position: Position,
        failed: &record::ConsignmentFailed,
    ) -> Result<ConsignmentFailure, Failure> {
        let mut attempts = Vec::new();
        for tried in self.index().acts(failed.ticket, "attempted", ATTEMPTS_MAX - 1)? {
            if let Record::Attempted(attempt) = self.journal().read(tried)?.record
                && tried < position
                && attempt.channel == failed.channel
            {
                attempts.push(Attempt { at: attempt.at, outcome: attempt.outcome });
            }
        }
        attempts.push(Attempt { at: failed.at, outcome: failed.reason.clone() });
        Ok(ConsignmentFailure {
            channel: failed.channel,
            reason: failed.reason.clone(),
            attempts,
            next_channel: None,
        })
    }

    /// Until when the channel kept it, if it said so when it took it.
    fn kept_until(&self, item: &Item) -> Result<Option<jiff::Timestamp>, Failure> {
        let Some(position) = item.consigned else { return Ok(None) };
        match self.journal().read(position)?.record {
            Record::Consigned(consigned) => Ok(consigned.expires_at),
            _ => Err(Failure::journal("a dispatched item without its Consigned")),
        }
    }
}

fn acceptance(received: &Received) -> Acceptance {
    let request = &received.request;
    let check = |check: &record::CheckFacts| CheckDescription {
        name: check.name.clone(),
        outcome: check.outcome.clone(),
    };
    Acceptance {
        soap_sha256: request.soap_digest.0,
        message_certificate_sha256: request.message_certificate.0,
        tls_certificate_sha256: request.tls_certificate.map(|digest| digest.0),
        checks: received.checks.iter().map(check).collect(),
    }
}

/// The item is the sender's own, so all may be told: how it stands, and what to ask instead or when.
pub(super) fn no_such_proof(status: Status, kind: ProofKind) -> Refusal {
    let expected = match kind {
        ProofKind::Receipt => "an accepted item",
        ProofKind::Dispatch => "an item that is SENT",
        ProofKind::Consultation => {
            "an item whose first opening its channel reported, or that was taken out of a partner's folder"
        }
        ProofKind::Expiry => "an item that its channel kept to its date and that nobody opened",
        ProofKind::NonDelivery => "an item that is ERROR",
    };
    let remedy = match (status, kind) {
        (Status::Error, _) => "It was not delivered: ask for NON_DELIVERY.",
        (Status::Sent, ProofKind::NonDelivery) => "It was delivered: ask for DISPATCH.",
        (Status::Pending, ProofKind::NonDelivery) => {
            "Delivery goes on: ask again once getStatus says ERROR, or for DISPATCH once it says SENT."
        }
        (Status::Pending, _) => "Delivery goes on: ask again once getStatus says SENT.",
        (Status::Sent, _) => {
            "It lies in the box: ask for DISPATCH. Its channel has not reported this; getDeliveryHistory tells when it does."
        }
    };
    let seen = format!("{} of an item that is {status} and has no such proof", kind.as_str());
    Refusal::new(FaultCode::RepoB03, "item.proof-absent", &seen, expected, remedy)
}

/// The frame that holds an evidence.
const FRAME: &str = "evidence.xml";
/// How the URI of each event begins.
const EVENT_URI: &str = "http://uri.etsi.org/19522/Event/";
const SUBMISSION_ACCEPTANCE: &str = "SubmissionAcceptance";
/// Tries that one evidence lists: the last ones.
const ATTEMPTS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_that_is_not_there_says_what_is() {
        for (status, kind, words) in [
            (Status::Pending, ProofKind::Dispatch, "once getStatus says SENT"),
            (Status::Error, ProofKind::Dispatch, "ask for NON_DELIVERY"),
            (Status::Sent, ProofKind::NonDelivery, "ask for DISPATCH"),
            (Status::Pending, ProofKind::NonDelivery, "says ERROR"),
            (Status::Sent, ProofKind::Expiry, "getDeliveryHistory"),
        ] {
            let refusal = no_such_proof(status, kind);
            assert!(refusal.remedy.contains(words), "{refusal}");
            assert!(refusal.seen.contains(status.as_str()) && refusal.seen.contains(kind.as_str()));
            assert!(!refusal.is_class_only());
        }
    }
}
