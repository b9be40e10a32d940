//! The reads: getStatus and getProof. They change nothing; the journal has them before their answer leaves (E7).

use std::sync::Arc;

use erds::record::Consulted;
use erds::{FaultCode, Record, Refusal, Status, Ticket, Token};
use jiff::Timestamp;
use journal::{Appended, Entry, UniqueKey};
use soap::message::{ItemName, ProofAnswer, ProofForm, ProofKind};
use store::StoreError;
use store::index::Item;

use super::answer::GivenProofs;
use super::evidence::Given;
use super::facts::{SignedMessage, token_key};
use super::refuse::unknown_ticket;
use super::{Arrived, Reply};
use crate::service::{Failure, Service};

impl Service {
    pub(super) async fn get_status(
        self: &Arc<Self>,
        arrived: &Arc<Arrived>,
        message: SignedMessage,
        ticket: Ticket,
    ) -> Result<Reply, Refusal> {
        let item = self.owned(self.index().item(ticket).map_err(Failure::from)?, &message)?;
        self.require_kept(&item)?;
        let token = self.token_of(&item)?;
        let proof = match item.status {
            Status::Sent => Some(self.stored_dispatch(ticket)?),
            Status::Pending | Status::Error => None,
        };
        let held = proof.as_ref().map(|_| ProofKind::Dispatch);
        self.record_proof(arrived, &message, Some(ticket), held).await?;
        let proof = proof.map(|proof| (proof.xml, proof.p7s));
        Ok(self.status_reply(message.version, ticket, &token, item.status, proof)?)
    }

    pub(super) async fn get_proof(
        self: &Arc<Self>,
        arrived: &Arc<Arrived>,
        message: SignedMessage,
        item: ItemName,
        (kind, form): (ProofKind, ProofForm),
    ) -> Result<Reply, Refusal> {
        let found = match &item {
            ItemName::Ticket(ticket) => self.index().item(*ticket),
            ItemName::Token(token) => {
                self.items_by_token(&message, token).map(|found| found.into_iter().next())
            }
        };
        let item = self.owned(found.map_err(Failure::from)?, &message)?;
        self.require_kept(&item)?;
        let token = self.token_of(&item)?;
        let given = match form {
            ProofForm::Seal => self.given_seal(&item, kind)?,
            ProofForm::Evidence => {
                let evidence = self.evidence_of(&item, kind).await?;
                let crls = self.crls_at(evidence.iter().map(|one| one.gen_time));
                let evidence = evidence.iter().map(Given::answer).collect();
                GivenProofs { evidence, crls, ..GivenProofs::default() }
            }
            ProofForm::Package => {
                // A mandate or a succession opens the proofs, not what another institution wrote.
                let own = message.sender.cbe.digits() == item.institution;
                let package = Some(self.package_of(&item, kind, own).await?);
                GivenProofs { package, ..GivenProofs::default() }
            }
        };
        let held = given.holds_any().then_some(kind);
        self.record_proof(arrived, &message, Some(item.ticket), held).await?;
        Ok(self.proof_reply(message.version, item.ticket, &token, item.status, given)?)
    }

    fn given_seal(&self, item: &Item, kind: ProofKind) -> Result<GivenProofs, Failure> {
        let Some((proof, gen_time)) = self.sealed_proof(item, kind)? else {
            return Ok(GivenProofs::default());
        };
        let crls = self.crls_at(std::iter::once(gen_time));
        Ok(GivenProofs { proof: Some(proof), crls, ..GivenProofs::default() })
    }

    /// The proof with its detached seal, and the time of its stamp; none: not there yet, or never, and the status says which.
    fn sealed_proof(
        &self,
        item: &Item,
        kind: ProofKind,
    ) -> Result<Option<(ProofAnswer, Timestamp)>, Failure> {
        let (name, proof) = match kind {
            ProofKind::Receipt => ("Receipt.xml", self.stored_receipt(item.ticket)?),
            ProofKind::Dispatch if item.status == Status::Sent => {
                ("ProofOfDispatch.xml", self.stored_dispatch(item.ticket)?)
            }
            _ => return Ok(None),
        };
        let answer = ProofAnswer { file_name: name.to_owned(), content: proof.xml, signature: proof.p7s };
        Ok(Some((answer, proof.gen_time)))
    }

    /// The item, if there is one and the sender's institution may read it: its own, a predecessor's or a mandator's; else the one
    /// answer for all.
    pub(super) fn owned(&self, item: Option<Item>, message: &SignedMessage) -> Result<Item, Refusal> {
        let readable = |item: &Item| message.readable.iter().any(|one| one.institution == item.institution);
        item.filter(|item| item.accepted.is_some() && readable(item)).ok_or_else(unknown_ticket)
    }

    /// The items of that Token that the sender may read: his own first.
    pub(super) fn items_by_token(
        &self,
        message: &SignedMessage,
        token: &Token,
    ) -> Result<Vec<Item>, StoreError> {
        let keys = message.readable.iter().filter_map(|one| token_key(&one.institution, token));
        keys.filter_map(|key| self.index().item_by_token_key(&key).transpose()).collect()
    }

    /// By what right items that are not the sender's own are read: the item's, or all that a list was looked up in.
    fn citations<'a>(
        &self,
        message: &'a SignedMessage,
        ticket: Option<Ticket>,
    ) -> Result<Vec<&'a str>, Failure> {
        if message.readable.len() < 2 {
            return Ok(Vec::new());
        }
        let item = match ticket {
            Some(ticket) => self.index().item(ticket)?,
            None => None,
        };
        let read = |institution: &str| item.as_ref().is_none_or(|item| item.institution == institution);
        let cited = message.readable.iter().filter(|one| read(&one.institution));
        Ok(cited.filter_map(|one| one.citation.as_deref()).collect())
    }

    /// What was erased is said to be, to its owner: when, and how the item stood.
    pub(super) fn require_kept(&self, item: &Item) -> Result<(), Refusal> {
        let Some(position) = item.erased else { return Ok(()) };
        let erased_at = self.journal().read(position).map_err(Failure::from)?.record.at();
        let (received_at, status) = (item.received_at, item.status);
        Err(Refusal::new(
            FaultCode::RepoB02,
            "item.erased",
            &format!(
                "an item received at {received_at}, {status}, what was stored of it erased at {erased_at}"
            ),
            "an item whose retention has not ended",
            "Use the receipt and the proof of dispatch that you hold: they verify as before.",
        ))
    }

    pub(super) async fn record_read(
        &self,
        arrived: &Arc<Arrived>,
        message: &SignedMessage,
        ticket: Option<Ticket>,
    ) -> Result<(), Refusal> {
        self.record_proof(arrived, message, ticket, None).await
    }

    /// As `record_read`; the answer holds this proof of the item.
    pub(super) async fn record_proof(
        &self,
        arrived: &Arc<Arrived>,
        message: &SignedMessage,
        ticket: Option<Ticket>,
        held: Option<ProofKind>,
    ) -> Result<(), Refusal> {
        let request = message.facts_citing(arrived, &self.citations(message, ticket)?);
        let submission_key = request.submission_key;
        let record = Record::Consulted(Consulted {
            request,
            ticket,
            answer: "OK".to_owned(),
            proof: held.map(|kind| kind.as_str().to_owned()),
        });
        let frames = self.message_frames(arrived, message, &[])?;
        let unique_keys: Vec<UniqueKey> = message.assertion_key().map(UniqueKey).into_iter().collect();
        let entry = Entry { record: record.clone(), frames: frames.clone(), unique_keys };
        let Appended::Existing(position) = self.append(entry).await? else { return Ok(()) };
        // The same signed message again is the same use.
        match self.journal().read(position).map_err(Failure::from)?.record {
            Record::Consulted(earlier) if earlier.request.submission_key == submission_key => {
                self.append(Entry { record, frames, unique_keys: Vec::new() }).await?;
                Ok(())
            }
            _ => Err(Refusal::new(
                FaultCode::Soa01001,
                "wss.assertion.used",
                "an assertion for one use, a second time",
                "an assertion that was not used before",
                "Get a new assertion from your token service for each message.",
            )),
        }
    }
}
