//! Sealing an evidence: signed for a record that is durable, then time-stamped.

use erds::Record;
use jiff::Timestamp;
use pki::digest::Digest;
use pki::signer::Signer;
use pki::tsp::CheckedToken;

use super::signed::{Signed, place};
use super::write::{self, Unsigned};
use super::{Event, Evidence, LogEntry};
use crate::schema::ProofReadError;
use crate::seal::{SealError, Stampable, checked_token};
use crate::xades::{Covered, Form};

/// An evidence that is signed but has no trusted time yet: it proves nothing. It can only be stamped or dropped.
#[derive(Debug)]
#[must_use = "an unstamped evidence proves nothing: stamp it"]
pub struct Unstamped {
    unsigned: Unsigned,
    form: Form,
}

/// A sealed evidence: one file, with its signature and a time-stamp that was checked in full.
///
/// Only [`Stampable::stamp`] makes one, and only for something that the journal holds durably.
#[derive(Clone, Debug)]
pub struct Sealed {
    xml: Vec<u8>,
    gen_time: Timestamp,
}

/// Signs `evidence` of the event that `recorded` holds; `at` is the claimed signing-time, cut to the second.
///
/// One signature, no I/O of its own (a signer may do some). In it are the signer's certificate and its intermediates, never the root.
///
/// # Errors
/// [`SealError`]: ours, never the sender's. `OtherItem`: event, item, time, entry or facts are not
/// those of the record, or the core is not there. `Evidence`: a text beyond its
/// length, which the verifier would refuse.
pub fn seal(
    recorded: &journal::Recorded,
    evidence: &Evidence,
    signer: &dyn Signer,
    at: Timestamp,
) -> Result<Unstamped, SealError> {
    if evidence.event_entry != LogEntry::of(recorded) || !attests(recorded.record(), evidence) {
        return Err(SealError::OtherItem);
    }
    sign(evidence, signer, at)
}

/// Whether the evidence is of the record's event, item and time, and says of it what the record says: no mix-up of variables brings a
/// proof of another fact into the world.
pub(crate) fn attests(record: &Record, evidence: &Evidence) -> bool {
    let is_own = evidence.event_entry == evidence.request_entry;
    let (name, at, fits) = match (record, &evidence.event) {
        (Record::Received(r), Event::SubmissionAcceptance(said)) => {
            let same = r.request.soap_digest.0 == said.soap_sha256
                && r.request.message_certificate.0 == said.message_certificate_sha256;
            (r.ticket.as_str(), r.request.received_at, is_own && same)
        }
        (Record::Accepted(a), Event::SubmissionAcceptance(_)) => (a.ticket.as_str(), a.received_at, !is_own),
        (Record::Refused(r), Event::SubmissionRejection(said)) => {
            (r.request_id.as_str(), r.received_at, is_own && r.code.as_str() == said.code)
        }
        (Record::Consigned(c), Event::ContentConsignment(said)) => {
            let same = c.channel == said.channel
                && c.message_id == said.message_id
                && c.answer_digest.0 == said.answer_sha256
                && c.no_digital_user == said.no_digital_user;
            (c.ticket.as_str(), c.consigned_at, same)
        }
        (Record::ConsignmentFailed(f), Event::ContentConsignmentFailure(said)) => {
            (f.ticket.as_str(), f.at, f.channel == said.channel && f.reason == said.reason)
        }
        (Record::Accessed(a), Event::ContentAccessTracking(said)) => {
            // An evidence that was read back has its times to the second.
            let begin = |at: Option<Timestamp>| at.map(Timestamp::as_second);
            let same = a.channel == said.channel && begin(a.not_before) == begin(said.not_before);
            (a.ticket.as_str(), a.at, same)
        }
        (Record::HandedOver(h), Event::ContentHandover(said)) => {
            let same = h.channel == said.channel
                && h.content_sha256.0 == said.content_sha256
                && h.certificate.0 == said.certificate_sha256;
            (h.ticket.as_str(), h.at, same)
        }
        (Record::ExpiredUnread(e), Event::ContentHandoverFailure(said)) => {
            (e.ticket.as_str(), e.at, e.channel == said.channel)
        }
        _ => return false,
    };
    evidence.missing().is_empty()
        && fits
        && name == evidence.request.message_identifier
        && at.as_second() == evidence.event_time.as_second()
}

/// The part of [`seal`] that does not ask for a witness: for the tests of this crate.
pub(crate) fn sign(evidence: &Evidence, signer: &dyn Signer, at: Timestamp) -> Result<Unstamped, SealError> {
    let unsigned = write::write(evidence, signer.certificate());
    let covered = Covered::Root(pki::digest::sha256(&unsigned.canonical()));
    let mut form = Form::new(signer, at, covered)?;
    // What the verifier would refuse is never signed: texts and lists beyond their lengths.
    Signed::parse(&place(&form, &unsigned))?;
    form.value = signer.sign(&form.signed_info())?;
    Ok(Unstamped { unsigned, form })
}

#[cfg(test)]
impl Unstamped {
    /// The file with any token, checked or not.
    pub(super) fn into_xml_with(mut self, token: Vec<u8>) -> Vec<u8> {
        self.form.token = Some(token);
        place(&self.form, &self.unsigned)
    }
}

impl Stampable for Unstamped {
    type Sealed = Sealed;

    /// SHA-256 over the canonical signature value.
    fn signature_digest(&self) -> Digest {
        self.form.imprint()
    }

    fn stamp(mut self, checked: CheckedToken) -> Result<Sealed, SealError> {
        let (token, gen_time) = checked_token(&checked, &self.signature_digest())?;
        self.form.token = Some(token);
        Ok(Sealed { xml: place(&self.form, &self.unsigned), gen_time })
    }
}

impl Sealed {
    /// The file.
    pub fn xml(&self) -> &[u8] {
        &self.xml
    }

    /// The file.
    pub fn into_xml(self) -> Vec<u8> {
        self.xml
    }

    /// The trusted time.
    pub fn gen_time(&self) -> Timestamp {
        self.gen_time
    }
}

impl Evidence {
    /// Reads a sealed evidence back, in the one way in which it is written; nothing of its signature is judged
    /// ([`crate::verify`] does).
    ///
    /// # Errors
    /// [`ProofReadError`]: the file is not one of our evidences.
    pub fn parse(xml: &[u8]) -> Result<Self, ProofReadError> {
        Ok(Signed::parse(xml)?.evidence)
    }
}
