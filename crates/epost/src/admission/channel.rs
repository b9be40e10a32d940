//! By which channel an item goes: the recipient's eBox, which nothing replaces, whatever else the sender chooses.

use std::sync::Arc;

use delivery::Channel;
use erds::{ChannelName, FaultCode, Recipient, Refusal};

use crate::service::Service;

impl Service {
    /// The recipient's eBox, where the sender chose nothing that it cannot stand for.
    ///
    /// # Errors
    /// EPOST_B09: the choice leaves the eBox out, or names a channel that nothing here serves to this recipient.
    pub(super) fn chosen_channel(
        &self,
        recipient: &Recipient,
        chosen: &[ChannelName],
    ) -> Result<&Arc<dyn Channel>, Refusal> {
        let channel = self.channel_for(recipient)?;
        let own = channel.name();
        if !chosen.is_empty() && !chosen.contains(&own) {
            return Err(unserved(
                "channel.ebox-left-out",
                &format!("channels without {own}, the eBox of such a recipient"),
                &format!("{own}, alone or with others"),
                "Name the recipient's eBox too, or no channel at all.",
            ));
        }
        match chosen.iter().find(|chosen| **chosen != own) {
            None => Ok(channel),
            Some(other) => Err(unserved(
                "channel.not-served",
                &format!("{other}, which nothing here serves to such a recipient"),
                &own.to_string(),
                "Leave this channel out, or name none.",
            )),
        }
    }
}

fn unserved(check: &'static str, seen: &str, expected: &str, remedy: &str) -> Refusal {
    Refusal::new(FaultCode::EpostB09, check, seen, expected, remedy)
}
