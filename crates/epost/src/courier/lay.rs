//! Laying an item in a partner's folder: its archive is measured and signed, and one record puts data, signature and GO there at once.
//!
//! *A crash before the record*: nothing lies there, and the next start lays it. *After it*: it lies there, whole. The signature is in
//! the record's frames, the archive's bytes follow from the item's parts: a repeat gives the same file, under a new signature.

use std::sync::Arc;

use delivery::ContentSource;
use delivery::batch::{Package, entry_name};
use delivery::retry::{Next, Schedule};
use erds::record::{self, Hex32, bounded};
use erds::{ChannelName, FaultCode, FolderFile, Record, Submission};
use journal::Entry;
use pki::digest::{DigestAlgorithm, Hasher};
use store::index::{Due, Item};

use super::Courier;
use crate::folder::{PACKAGE, SEAL};
use crate::service::Failure;

impl Courier {
    /// One try. It is tried again until it lies there: nobody outside can refuse it.
    pub(super) async fn lay(
        &self,
        due: &Due,
        item: &Item,
        received: &record::Received,
        submission: &Submission,
    ) -> Result<(), Failure> {
        let entry = match self.laid(due, item, received, submission).await {
            Ok(entry) => entry,
            Err(failure) => {
                tracing::error!(event = "alarm.batch-unlaid", ticket = due.ticket.as_str(), %failure);
                let record = self.unlaid(due, failure.code());
                Entry { record, frames: Vec::new(), unique_keys: Vec::new() }
            }
        };
        self.service.append(entry).await?;
        Ok(())
    }

    async fn laid(
        &self,
        due: &Due,
        item: &Item,
        received: &record::Received,
        submission: &Submission,
    ) -> Result<Entry, Failure> {
        let service = &self.service;
        let content = service.folder_content(item)?;
        let (package, sha256) =
            tokio::task::block_in_place(|| measure(&names(received, submission), content))?;
        let accepted = item.accepted.ok_or_else(|| Failure::journal("a lay of what is not accepted"))?;
        let sealed = service.seal_file(&service.journal().recorded(accepted)?, sha256).await?;
        let absent = || Failure::broken(FaultCode::RepoT01, "key.absent", due.ticket.as_str());
        let key = service.keys().open_key(due.ticket)?.ok_or_else(absent)?;
        let list = serde_json::to_vec(&package).map_err(|error| Failure::store(&error.to_string()))?;
        let frames = vec![
            service.frame(due.ticket, &key, PACKAGE, &list)?,
            service.frame(due.ticket, &key, SEAL, sealed.p7s())?,
        ];
        let record = Record::Consigned(record::Consigned {
            ticket: due.ticket,
            consigned_at: service.now(),
            channel: ChannelName::Batch,
            attempt: due.attempts + 1,
            idempotency_key: delivery::ebox::idempotency_key(&due.ticket, ChannelName::Batch).to_string(),
            message_id: service.folder_name(item, FolderFile::Data),
            answer_digest: Hex32(sha256),
            no_digital_user: false,
            expires_at: None,
        });
        tracing::info!(event = "item.laid", ticket = due.ticket.as_str());
        Ok(Entry { record, frames, unique_keys: Vec::new() })
    }

    fn unlaid(&self, due: &Due, outcome: &str) -> Record {
        let (at, attempt) = (self.service.now(), due.attempts + 1);
        let schedule = Schedule { deadline_seconds: u64::MAX, ..self.schedule() };
        let next_at = match schedule.next(attempt, due.accepted_at, at, self.service.draw_number(), None) {
            Next::At(next_at) => next_at,
            // At the end of time.
            Next::Spent(_) => jiff::Timestamp::MAX,
        };
        Record::Attempted(record::Attempted {
            ticket: due.ticket,
            at,
            channel: ChannelName::Batch,
            attempt,
            idempotency_key: delivery::ebox::idempotency_key(&due.ticket, ChannelName::Batch).to_string(),
            outcome: bounded(outcome),
            next_at,
        })
    }
}

/// The archive's files: their names in it, and their parts. The first two say and prove to whom, from whom and what the others are.
fn names(received: &record::Received, submission: &Submission) -> Vec<(String, String)> {
    let receipt = [("Receipt.xml", "receipt.xml"), ("Receipt.p7s", "receipt.p7s")];
    let receipt = receipt.map(|(name, part)| (name.to_owned(), part.to_owned()));
    let files = submission.parts().zip(&received.parts).enumerate();
    let files = files.map(|(place, (part, facts))| {
        let name = if place == 0 { "document".to_owned() } else { format!("annex-{place}") };
        (entry_name(&name, &part.download_file_name), facts.name.clone())
    });
    receipt.into_iter().chain(files).collect()
}

/// The archive, and its SHA-256.
fn measure(
    names: &[(String, String)],
    content: Arc<dyn ContentSource>,
) -> Result<(Package, [u8; 32]), Failure> {
    let unread = |error: std::io::Error| Failure::store(&error.to_string());
    let package = Package::of(names, content.as_ref())
        .map_err(|error| Failure::broken(FaultCode::RepoT01, error.code(), &error.to_string()))?;
    let (mut reader, mut hasher) = (package.read(content), Hasher::new(DigestAlgorithm::Sha256));
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match std::io::Read::read(&mut reader, &mut buffer).map_err(unread)? {
            0 => break,
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
    let digest = hasher.finish().as_bytes().try_into().unwrap_or_default();
    Ok((package, digest))
}

const BUFFER_BYTES: usize = 64 * 1024;
