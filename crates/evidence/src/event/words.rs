//! The fact in words: which one, by whom, for whom. The facts are never blurred.
//!
//! Source: `evidence.md`, Facts, never blurred.

use erds::ChannelName;

use super::{Event, Evidence};
use crate::dispatch::to_the_second;

impl Evidence {
    /// The fact as a sentence, in English; what it does not attest is said too.
    pub fn statement(&self) -> String {
        let request = &self.request;
        let name = &request.message_identifier;
        let sender = format!("enterprise {} ({})", request.sender.company_id, request.sender.application_id);
        let at = to_the_second(self.event_time);
        let recipient =
            || request.recipient.as_ref().map_or_else(|| "nobody named".to_owned(), ToString::to_string);
        match &self.event {
            Event::SubmissionAcceptance(_) => format!(
                "item {name} was HANDED TO ePost by {sender} and accepted, addressed to {}; received at {at}. It says \
                 nothing of delivery.",
                recipient()
            ),
            Event::SubmissionRejection(rejection) => format!(
                "request {name} of {sender} was REFUSED by ePost ({}, {}); received at {at}. Nothing was accepted.",
                rejection.code, rejection.check
            ),
            Event::ContentConsignment(consignment) => format!(
                "ePost PLACED item {name} of {sender} {} of {}, through {}; confirmed at {at}. It says nothing of \
                 reading.",
                place(consignment.channel).to_uppercase(),
                recipient(),
                consignment.channel.as_str()
            ),
            Event::ContentConsignmentFailure(failure) => format!(
                "ePost did NOT place item {name} of {sender} {} of {}, through {}: given up at {at} ({}).",
                place(failure.channel),
                recipient(),
                failure.channel.as_str(),
                failure.reason
            ),
            Event::ContentAccessTracking(access) => format!(
                "{} reported that item {name} of {sender}, addressed to {}, was OPENED for the first time, {}. It says \
                 nothing of who opened it.",
                access.channel.as_str(),
                recipient(),
                match access.not_before {
                    Some(from) => format!("between {} and {at}", to_the_second(from)),
                    None => format!("at {at}"),
                }
            ),
            Event::ContentHandover(handover) => format!(
                "item {name} of {sender}, addressed to {}, was TAKEN OUT of {} with the certificate that is named; \
                 known at {at}. It says nothing of reading.",
                recipient(),
                handover.channel.as_str()
            ),
            Event::ContentHandoverFailure(unopened) => format!(
                "item {name} of {sender} lay {} of {}, through {}, to its date, and was NOT REPORTED AS OPENED; recorded \
                 at {at}. It is no failure of delivery.",
                place(unopened.channel),
                recipient(),
                unopened.channel.as_str()
            ),
        }
    }
}

fn place(channel: ChannelName) -> &'static str {
    match channel {
        ChannelName::EboxCitizen | ChannelName::EboxEnterprise => "in the box",
        ChannelName::Batch => "in the folder",
    }
}
