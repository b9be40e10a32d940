//! A refusal: recorded like an acceptance (E7), then told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use erds::record::{Hex32, Refused, bounded};
use erds::{FaultCode, Record, Refusal};
use journal::{Appended, Entry, Frame, Position, UniqueKey};
use pki::digest::sha256;
use soap::envelope::SoapVersion;
use soap::wss::saml::Person;

use super::duplicates::Fate;
use super::spool::{Spool, SpoolError};
use super::{Arrived, Head, PeerFacts, Reply, Stopped};
use crate::breach::{Breach, Seen};
use crate::service::{Failure, Service};

impl Service {
    /// Records why a request ends here, and answers with its fault; the same signed message again gets the same fault.
    pub(super) async fn refuse(
        &self,
        arrived: &Arc<Arrived>,
        version: Option<SoapVersion>,
        stopped: Stopped,
    ) -> Reply {
        let version = version.unwrap_or(arrived.head.version());
        let spooled = &arrived.spooled;
        if !spooled.named.load(Ordering::SeqCst) {
            self.discard(spooled.ticket);
        }
        let refusal = &stopped.refusal;
        self.metrics().answered(stopped.operation, refusal.code.as_str());
        tracing::info!(
            event = "request.refused",
            id = spooled.request_id,
            code = refusal.code.as_str(),
            check = refusal.check,
            address = %arrived.peer.address.ip(),
        );
        if let Some(kind) = Breach::of_check(refusal.check) {
            let (sender, certificate) = (stopped.sender.as_ref(), Some(&arrived.peer.certificate));
            let (id, address) = (&spooled.request_id, arrived.peer.address.ip());
            self.breach(kind, &Seen { id, check: refusal.check, address, sender, certificate });
        }
        let reply =
            self.fault_reply(refusal, &spooled.request_id, &arrived.peer, arrived.head.contract, version);
        let record = self.refused(arrived, &stopped);
        let frames = match self.refused_frames(arrived, version, &reply, stopped.person.as_ref()) {
            Ok(frames) => frames,
            Err(failure) => {
                return self.fault_reply(
                    &failure.into(),
                    &spooled.request_id,
                    &arrived.peer,
                    arrived.head.contract,
                    version,
                );
            }
        };
        match self.append_refused(record, frames, &stopped).await {
            Ok(None) => reply,
            Ok(Some(earlier)) => earlier,
            Err(failure) => self.fault_reply(
                &failure.into(),
                &spooled.request_id,
                &arrived.peer,
                arrived.head.contract,
                version,
            ),
        }
    }

    /// A body that could not be read as a message: its digest and first 64 KiB are kept.
    pub async fn refuse_unread(
        self: &Arc<Self>,
        head: Head,
        peer: PeerFacts,
        spool: Option<Spool>,
        error: SpoolError,
    ) -> Reply {
        let refusal = match error {
            SpoolError::Multipart(error) => soap::multipart::refusal(&error),
            SpoolError::Full => Failure::away("store.full", "the disk is full").into(),
            SpoolError::Store(reason) => Failure::store(&reason).into(),
        };
        self.refuse_without_message(head, peer, spool, refusal).await
    }

    pub(super) async fn refuse_without_message(
        self: &Arc<Self>,
        head: Head,
        peer: PeerFacts,
        spool: Option<Spool>,
        refusal: Refusal,
    ) -> Reply {
        let spooled = match spool {
            Some(spool) => spool.abandon().await,
            None => match Spool::begin(self, &Head { content_type: "text/xml".into(), ..head.clone() }) {
                Ok(spool) => spool.abandon().await,
                Err(error) => Err(error),
            },
        };
        match spooled {
            Ok(mut spooled) => {
                spooled.root.truncate(KEPT_BYTES_MAX);
                let arrived = Arrived { head, peer, received_at: self.now(), spooled };
                self.refuse(&Arc::new(arrived), None, refusal.into()).await
            }
            // Not even a key can be written: the technical log is all that is left, and nothing was accepted.
            Err(error) => {
                tracing::error!(event = "alarm.request-unrecorded", %error);
                self.fault_reply(&refusal, &self.draw_request_id(), &peer, head.contract, head.version())
            }
        }
    }

    /// The fault that an earlier identical message got, byte for byte.
    pub(super) fn stored_fault(&self, position: Position) -> Result<Reply, Failure> {
        let stored = self.journal().read(position)?;
        let content_type = self.open_frame(&stored, "fault-type")?;
        let body = self.open_frame(&stored, "fault")?;
        Ok(Reply { status: 500, content_type: String::from_utf8_lossy(&content_type).into_owned(), body })
    }

    fn refused(&self, arrived: &Arrived, stopped: &Stopped) -> Record {
        let refusal = &stopped.refusal;
        Record::Refused(Refused {
            request_id: arrived.spooled.request_id.clone(),
            received_at: arrived.received_at,
            code: refusal.code,
            check: refusal.check.to_owned(),
            operation: stopped.operation.map(str::to_owned),
            sender: stopped.sender.clone(),
            tls_certificate: Some(Hex32(arrived.peer.certificate.fingerprint())),
            message_certificate: stopped.certificate.as_ref().map(|signed| Hex32(signed.fingerprint())),
            peer_address: arrived.peer.address.ip().to_string(),
            asserted_address: self.asserted_address(arrived).flatten().map(|address| address.to_string()),
            seen: bounded(&refusal.seen),
            expected: bounded(&refusal.expected),
            remedy: bounded(&refusal.remedy),
            soap_digest: Some(Hex32(sha256(&arrived.spooled.root))),
            submission_key: stopped.submission_key.map(Hex32),
        })
    }

    fn refused_frames(
        &self,
        arrived: &Arrived,
        version: SoapVersion,
        reply: &Reply,
        person: Option<&Person>,
    ) -> Result<Vec<Frame>, Failure> {
        let spooled = &arrived.spooled;
        let mut frames = self.soap_frames(arrived, &[], &[])?;
        frames.extend(self.person_frame(spooled, person)?);
        frames.push(self.frame(spooled.ticket, &spooled.key, "fault", &reply.body)?);
        frames.push(self.frame(
            spooled.ticket,
            &spooled.key,
            "fault-type",
            version.content_type().as_bytes(),
        )?);
        Ok(frames)
    }

    /// Appends; where the same signed message was refused before, gives that fault instead.
    async fn append_refused(
        &self,
        record: Record,
        frames: Vec<Frame>,
        stopped: &Stopped,
    ) -> Result<Option<Reply>, Failure> {
        // After a failure of ours the same message may come again and be tried anew: it claims no key.
        let ours = stopped.refusal.code.origin() == erds::FaultOrigin::Provider;
        let Some(base) = stopped.submission_key.filter(|_| !ours) else {
            return self.append_plain(record, frames).await.map(|()| None);
        };
        let earlier = match self.claim(base)? {
            Ok(key) => {
                let entry = Entry { record: record.clone(), frames: frames.clone(), unique_keys: vec![key] };
                match self.append(entry).await? {
                    Appended::Recorded(_) => return Ok(None),
                    Appended::Existing(position) => position,
                }
            }
            Err(Fate::Refused(position)) => position,
            Err(Fate::Item { received, .. }) => received,
        };
        self.append_plain(record, frames).await?;
        match self.journal().read(earlier)?.record {
            Record::Refused(_) => match self.stored_fault(earlier) {
                // Erased when its term ended: then the new one stands for it.
                Err(failure) if failure.code() == "content.absent" => Ok(None),
                fault => fault.map(Some),
            },
            _ => Ok(None),
        }
    }

    async fn append_plain(&self, record: Record, frames: Vec<Frame>) -> Result<(), Failure> {
        self.append(Entry { record, frames, unique_keys: Vec::<UniqueKey>::new() }).await.map(|_| ())
    }
}

/// A ticket that is unknown and a ticket that is another institution's: one answer, no oracle.
pub(super) fn unknown_ticket() -> Refusal {
    Refusal::new(
        FaultCode::RepoB01,
        "item.unknown",
        "",
        "a ticket of an item that your institution sent",
        "Look the ticket up in your receipts, or ask by Token with getProof.",
    )
}

const KEPT_BYTES_MAX: usize = 64 * 1024;
