//! By which channels an item goes: the recipient's eBox, which nothing replaces, and what contract B's sender asks beside it.

use std::sync::Arc;

use delivery::Channel;
use delivery::batch::{PACKAGE_BYTES_MAX, PACKAGE_SPARE_BYTES};
use erds::{ChannelName, EnterpriseNumber, FaultCode, Recipient, Refusal, Sender, Strictness, Submission};

use crate::service::{Failure, Service};

/// The ways of one item; only [`Service::chosen_channels`] makes one.
pub(super) struct Chosen<'a> {
    /// The recipient's eBox.
    pub(super) ebox: &'a Arc<dyn Channel>,
    /// The partner into whose folder it goes too.
    pub(super) folder: Option<EnterpriseNumber>,
}

impl Service {
    /// The recipient's eBox, and the folder that it goes into too, where the sender chose nothing that these cannot stand for.
    /// `part_bytes` are the files' sizes.
    ///
    /// # Errors
    /// EPOST_B09: the choice leaves the eBox out, or names what nothing here serves to this recipient or sender, or cannot carry.
    pub(super) fn chosen_channels(
        &self,
        sender: &Sender,
        submission: &Submission,
        chosen: &[ChannelName],
        part_bytes: &[u64],
    ) -> Result<Chosen<'_>, Refusal> {
        let ebox = self.channel_for(&submission.recipient)?;
        let own = ebox.name();
        if !chosen.is_empty() && !chosen.contains(&own) {
            return Err(unserved(
                "channel.ebox-left-out",
                &format!("channels without {own}, the eBox of such a recipient"),
                &format!("{own}, alone or with others"),
                "Name the recipient's eBox too, or no channel at all.",
            ));
        }
        if let Some(other) = chosen.iter().find(|chosen| **chosen != own && **chosen != ChannelName::Batch) {
            return Err(unserved(
                "channel.not-served",
                &format!("{other}, which nothing here serves to such a recipient"),
                &own.to_string(),
                "Leave this channel out, or name none.",
            ));
        }
        ebox.can_carry(submission, part_bytes)?;
        let folder = self.chosen_folder(submission)?;
        if folder.is_some()
            && part_bytes.iter().fold(PACKAGE_SPARE_BYTES, |sum, bytes| sum.saturating_add(*bytes))
                > PACKAGE_BYTES_MAX
        {
            return Err(unserved(
                "channel.batch-size",
                "files that together are larger than one file of a folder may be",
                &format!("{} bytes at most", PACKAGE_BYTES_MAX - PACKAGE_SPARE_BYTES),
                "Send smaller files, or leave BATCH out.",
            ));
        }
        if submission.beside.proof_to_mailbox && !self.has_folder(sender.cbe.digits()) {
            return Err(unserved(
                "channel.no-mailbox",
                "ProofToSenderMailbox, and your institution has no folder here",
                "a folder of the batch channel, which the operator of this service sets up",
                "Leave ProofToSenderMailbox out and fetch the proofs by getProof, or ask the operator for a folder.",
            ));
        }
        Ok(Chosen { ebox, folder })
    }

    /// Whose folder: the delegate's where one is named, else the recipient's own.
    fn chosen_folder(&self, submission: &Submission) -> Result<Option<EnterpriseNumber>, Refusal> {
        let beside = &submission.beside;
        let company = match (&submission.recipient, &beside.delegate) {
            (_, Some(_)) if !beside.batch => {
                return Err(unserved(
                    "channel.delegate-without-batch",
                    "a RecipientsDelegate, for whom the eBox has no field, and not the channel BATCH",
                    "BATCH beside the recipient's eBox",
                    "Name BATCH and the recipient's eBox, or leave the delegate out.",
                ));
            }
            _ if !beside.batch => return Ok(None),
            (Recipient::Citizen { .. }, _) => {
                return Err(unserved(
                    "channel.batch-to-citizen",
                    "BATCH for a citizen, who has no folder and no delegate with one",
                    &ChannelName::EboxCitizen.to_string(),
                    "Leave BATCH and the delegate out: a citizen's item goes to his eBox.",
                ));
            }
            (_, Some(delegate)) => &delegate.company,
            (Recipient::Enterprise { company, .. }, None) => company,
        };
        if !self.has_folder(company.digits()) {
            let whose = if beside.delegate.is_some() { "delegate" } else { "recipient" };
            return Err(unserved(
                "channel.no-folder",
                &format!("BATCH, and the {whose} has no folder here"),
                &format!("a {whose} with a folder of the batch channel, or no BATCH"),
                "Leave BATCH and the delegate out: the item then goes to the recipient's eBox alone.",
            ));
        }
        // By its digits alone: the record says whose folder it is, not how the sender spelled it.
        let folder = EnterpriseNumber::parse(company.digits(), Strictness::Lax);
        folder.map(Some).map_err(|error| Failure::journal(&error.to_string()).into())
    }

    /// Whether the institution has a folder: its enterprise number, 10 digits.
    fn has_folder(&self, cbe: &str) -> bool {
        self.settings().folders.contains(cbe)
    }
}

fn unserved(check: &'static str, seen: &str, expected: &str, remedy: &str) -> Refusal {
    Refusal::new(FaultCode::EpostB09, check, seen, expected, remedy)
}
