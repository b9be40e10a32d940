//! checkRecipient: the question before sending, asked without sending. A consultation: a grant names it, or it is refused.

use std::sync::Arc;

use delivery::InquireError;
use erds::{EboxCheck, FaultCode, Recipient, Refusal};
use soap::message::v2::{RecipientFacts, write_check_recipient_response};

use super::accept::inquire_refusal;
use super::facts::SignedMessage;
use super::{Arrived, Reply};
use crate::service::Service;

impl Service {
    pub(super) async fn check_recipient(
        self: &Arc<Self>,
        arrived: &Arc<Arrived>,
        message: SignedMessage,
        recipient: Recipient,
    ) -> Result<Reply, Refusal> {
        let channel = self.channel_for(&recipient)?;
        let asked_at = self.now();
        // The most that a sender can demand: what is refused of it says what there is.
        let (activated, preferred) = match channel.inquire(&recipient, EboxCheck::Preferred).await {
            Ok(_) => (true, true),
            Err(InquireError::Refused(refusal)) if refusal.code == FaultCode::EpostB03 => (true, false),
            Err(InquireError::Refused(refusal)) if refusal.code == FaultCode::EpostB02 => (false, false),
            Err(error) => return Err(inquire_refusal(error)),
        };
        let exists = match recipient {
            Recipient::Citizen { .. } => activated.then_some(true),
            Recipient::Enterprise { .. } => Some(activated),
        };
        self.record_read(arrived, &message, None).await?;
        let facts = RecipientFacts { channel: channel.name(), exists, activated, preferred, asked_at };
        Ok(self.signed(message.version, 200, &write_check_recipient_response(&facts))?)
    }
}
