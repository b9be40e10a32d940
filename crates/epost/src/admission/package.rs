//! The package of a proof: sealed when it is first asked for, and the same bytes for everybody who asks for the same from then on.
//!
//! What of it can be had again (evidence, receipt, request) is read where it lies; what changes with time (its signature, the log's
//! proofs) lies in the frames of its record, under the item's key. *Crash before the record: given to nobody, and the next request
//! seals another one.* Two that race are one: the second finds the first one's key.

use erds::record::{Hex32, Packaged};
use erds::{FaultCode, Record, Refusal, Sender, Status, Ticket};
use evidence::event::Evidence;
use evidence::package::{self, Contents, Policy, SealedFile};
use jiff::Timestamp;
use journal::{Appended, Entry, Frame, Position, Stored, UniqueKey};
use pki::digest::sha256;
use soap::message::{PackageAnswer, ProofKind};
use store::index::Item;

use super::evidence::{Given, no_such_proof};
use super::facts::keyed;
use super::refuse::unknown_ticket;
use crate::service::{Failure, Service, StoredProof};

/// What a package is of: with the item, the same package.
struct Parts {
    kind: ProofKind,
    /// The acts whose evidence it holds, the request's own record first.
    acts: Vec<Position>,
    dispatched: Option<Position>,
}

impl Parts {
    fn key(&self, ticket: Ticket, with_request: bool) -> UniqueKey {
        let acts: Vec<u8> = self.acts.iter().flat_map(|act| act.to_be_bytes()).collect();
        let dispatched: Vec<u8> =
            self.dispatched.iter().flat_map(|position| position.to_be_bytes()).collect();
        let parts: [&[u8]; 4] = [ticket.as_str().as_bytes(), &acts, &dispatched, &[u8::from(with_request)]];
        UniqueKey(keyed("package", &parts))
    }
}

impl Service {
    /// The package of a proof. The sender's own message is in it for `own` alone, and up to `package_request_bytes_max`.
    ///
    /// # Errors
    /// REPO_B03: there is no such act (yet). SOA-02002: no time-stamp is to be had, or the log cannot be published; nothing was given,
    /// and the same request may come again.
    pub(super) async fn package_of(
        &self,
        item: &Item,
        kind: ProofKind,
        own: bool,
    ) -> Result<PackageAnswer, Refusal> {
        let acts = self.acts_of(item, kind)?;
        if acts.is_empty() {
            return Err(no_such_proof(item.status, kind));
        }
        let beyond_the_request = acts.into_iter().filter(|act| *act != item.received);
        let parts = Parts {
            kind,
            acts: std::iter::once(item.received).chain(beyond_the_request).collect(),
            dispatched: item.dispatched.filter(|_| kind != ProofKind::Receipt && item.status == Status::Sent),
        };
        let content = self.packed(item, &parts, own).await?;
        Ok(PackageAnswer { file_name: format!("{}.asice", kind.file_stem()), content })
    }

    /// The same with its sender's message, for who is not its sender: two people have answered for that before.
    ///
    /// # Errors
    /// As there; REPO_B01: no such item; REPO_B02: erased.
    pub(crate) async fn package_with_request(
        &self,
        ticket: Ticket,
        kind: ProofKind,
    ) -> Result<PackageAnswer, Refusal> {
        let item = self.index().item(ticket).map_err(Failure::from)?;
        let item = item.filter(|item| item.accepted.is_some()).ok_or_else(unknown_ticket)?;
        self.require_kept(&item)?;
        self.package_of(&item, kind, true).await
    }

    async fn packed(&self, item: &Item, parts: &Parts, own: bool) -> Result<Vec<u8>, Failure> {
        // Whatever the limit says today: what was given is given again.
        if own && let Some(position) = self.journal().find(&parts.key(item.ticket, true))? {
            return self.package_again(&self.journal().read(position)?).await;
        }
        let received = self.journal().read(item.received)?;
        let Record::Received(record) = &received.record else {
            return Err(Failure::journal("an item without its Received"));
        };
        let sender = record.request.sender.clone();
        let request = if own { Some(self.open_frame(&received, SOAP)?) } else { None };
        let bytes_max = self.limits().package_request_bytes_max;
        let request = request.filter(|request| request.len() as u64 <= bytes_max);
        drop(received);
        let key = parts.key(item.ticket, request.is_some());
        if let Some(position) = self.journal().find(&key)? {
            return self.package_again(&self.journal().read(position)?).await;
        }
        let contents = self.new_contents(item, parts, request).await?;
        self.seal_new(item, parts, key, contents, &sender).await
    }

    /// All that a package of now holds.
    async fn new_contents(
        &self,
        item: &Item,
        parts: &Parts,
        request: Option<Vec<u8>>,
    ) -> Result<Contents, Failure> {
        let unsigned = || {
            let detail = "packages need the log's proofs, and data.log_key is not configured";
            Failure::broken(FaultCode::Soa02001, "journal.unsigned", detail)
        };
        let publication = self.publication().ok_or_else(unsigned)?;
        let evidence = self.packed_evidence(item, &parts.acts).await?;
        let (receipt, dispatch) = self.sealed_files(item, parts.dispatched)?;
        let log_proofs = tokio::task::block_in_place(|| publication.prove(self.journal(), &parts.acts))?;
        let stamped = evidence.iter().map(|one| one.gen_time).chain([receipt.gen_time]);
        let stamped: Vec<_> = stamped.chain(dispatch.iter().map(|proof| proof.gen_time)).collect();
        let evidence: Vec<_> = evidence.into_iter().map(Given::into_xml).collect();
        Ok(Contents {
            policies: self.policies_of(&evidence)?,
            evidence,
            receipt: sealed_file(receipt),
            dispatch: dispatch.map(sealed_file),
            request,
            log_proofs: log_proofs.iter().map(ToString::to_string).collect(),
            log_key: publication.verifier().to_string(),
            crls: self.crls_at(stamped.into_iter().chain([self.now()])),
        })
    }

    async fn packed_evidence(&self, item: &Item, acts: &[Position]) -> Result<Vec<Given>, Failure> {
        let mut evidence = Vec::new();
        for act in acts {
            evidence.push(self.evidence_of_act(item, *act).await?);
        }
        Ok(evidence)
    }

    fn sealed_files(
        &self,
        item: &Item,
        dispatched: Option<Position>,
    ) -> Result<(StoredProof, Option<StoredProof>), Failure> {
        let dispatch = dispatched.map(|_| self.stored_dispatch(item.ticket)).transpose()?;
        Ok((self.stored_receipt(item.ticket)?, dispatch))
    }

    /// The lists that were current at any of these times, each once.
    pub(super) fn crls_at(&self, times: impl Iterator<Item = Timestamp>) -> Vec<Vec<u8>> {
        let mut crls: Vec<Vec<u8>> = Vec::new();
        for crl in times.flat_map(|at| self.proof_crls(at)) {
            if !crls.contains(&crl) {
                crls.push(crl);
            }
        }
        crls
    }

    /// The text of each policy that these name.
    fn policies_of(&self, evidence: &[Vec<u8>]) -> Result<Vec<Policy>, Failure> {
        let mut policies: Vec<Policy> = Vec::new();
        for xml in evidence {
            let read = Evidence::parse(xml).map_err(|error| Failure::store(&error.to_string()))?;
            for uri in read.policies {
                if policies.iter().any(|policy| policy.uri == uri) {
                    continue;
                }
                let text = self.settings().evidence_policy_texts.get(&uri).ok_or_else(|| {
                    let detail =
                        format!("seal.evidence_policy_texts has none for {uri}, which an evidence names");
                    Failure::broken(FaultCode::Soa02001, "package.policy-text", &detail)
                })?;
                policies.push(Policy { uri, text: text.to_string() });
            }
        }
        Ok(policies)
    }

    async fn seal_new(
        &self,
        item: &Item,
        parts: &Parts,
        key: UniqueKey,
        contents: Contents,
        sender: &Sender,
    ) -> Result<Vec<u8>, Failure> {
        let last = parts.acts.last().copied().unwrap_or(item.received);
        let recorded = self.journal().recorded(last)?;
        let (sealed, authority) = self.seal_package(&recorded, &contents, sender).await?;
        let gen_time = sealed.gen_time();
        let package = tokio::task::block_in_place(|| package::assemble(&contents, sealed.signatures_xml()));
        let package = package.map_err(|error| not_made(&error))?;
        let record = Record::Packaged(Packaged {
            ticket: item.ticket,
            at: self.now(),
            proof: parts.kind.as_str().to_owned(),
            of_positions: parts.acts.clone(),
            dispatched_position: parts.dispatched,
            with_request: contents.request.is_some(),
            sha256: Hex32(sha256(&package)),
            tsa: authority,
            gen_time,
        });
        let frames = self.package_frames(item.ticket, &contents, sealed.signatures_xml())?;
        match self.append(Entry { record, frames, unique_keys: vec![key] }).await? {
            Appended::Recorded(_) => Ok(package),
            Appended::Existing(position) => {
                drop((package, contents));
                self.package_again(&self.journal().read(position)?).await
            }
        }
    }

    fn package_frames(
        &self,
        ticket: Ticket,
        contents: &Contents,
        signatures_xml: &[u8],
    ) -> Result<Vec<Frame>, Failure> {
        let absent = || Failure::broken(FaultCode::RepoT01, "key.absent", ticket.as_str());
        let item_key = self.keys().open_key(ticket)?.ok_or_else(absent)?;
        let kept = Kept {
            log_proofs: contents.log_proofs.clone(),
            log_key: contents.log_key.clone(),
            policies: contents
                .policies
                .iter()
                .map(|policy| (policy.uri.clone(), policy.text.clone()))
                .collect(),
        };
        let kept = serde_json::to_vec(&kept).map_err(|error| Failure::store(&error.to_string()))?;
        Ok(vec![
            self.frame(ticket, &item_key, SIGNATURES, signatures_xml)?,
            self.frame(ticket, &item_key, KEPT, &kept)?,
        ])
    }

    /// The package that a record is of, put together again: the very bytes that were given.
    ///
    /// # Errors
    /// Ours: something that it holds is gone, or what is put together is not what the record names.
    pub(crate) async fn package_again(&self, stored: &Stored) -> Result<Vec<u8>, Failure> {
        let Record::Packaged(record) = &stored.record else {
            return Err(Failure::journal(&format!("a package in a {} record", stored.record.kind())));
        };
        let item = self.index().item(record.ticket)?;
        let item = item.ok_or_else(|| Failure::journal("a package of no item"))?;
        let request = match record.with_request {
            true => Some(self.open_frame(&self.journal().read(item.received)?, SOAP)?),
            false => None,
        };
        let signatures_xml = self.open_frame(stored, SIGNATURES)?;
        let kept: Kept = serde_json::from_slice(&self.open_frame(stored, KEPT)?)
            .map_err(|error| Failure::store(&error.to_string()))?;
        let (receipt, dispatch) = self.sealed_files(&item, record.dispatched_position)?;
        let evidence = self.packed_evidence(&item, &record.of_positions).await?;
        let contents = Contents {
            evidence: evidence.into_iter().map(Given::into_xml).collect(),
            receipt: sealed_file(receipt),
            dispatch: dispatch.map(sealed_file),
            request,
            log_proofs: kept.log_proofs,
            log_key: kept.log_key,
            policies: kept.policies.into_iter().map(|(uri, text)| Policy { uri, text }).collect(),
            crls: package::revocation_lists(&signatures_xml).map_err(|error| not_made(&error))?,
        };
        let package = tokio::task::block_in_place(|| package::assemble(&contents, &signatures_xml));
        let package = package.map_err(|error| not_made(&error))?;
        match Hex32(sha256(&package)) == record.sha256 {
            true => Ok(package),
            false => Err(Failure::journal("a package that is not the one that its record names")),
        }
    }
}

/// What of a package is found nowhere else, beside its signature.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    log_proofs: Vec<String>,
    log_key: String,
    /// URI and text.
    policies: Vec<(String, String)>,
}

fn sealed_file(proof: StoredProof) -> SealedFile {
    SealedFile { xml: proof.xml, p7s: proof.p7s }
}

fn not_made(error: &package::PackageError) -> Failure {
    Failure::broken(FaultCode::SepiaT02, error.code(), &error.to_string())
}

/// The frame that holds the sender's message, beside his item's Received.
const SOAP: &str = "soap";
/// The frames of a package's record.
const SIGNATURES: &str = "signatures.xml";
const KEPT: &str = "package.json";
