//! getDeliveryHistory: what became of one item, event by event.

use erds::{ChannelName, Refusal, Status, Ticket};
use jiff::Timestamp;
use xmlsec::Element;
use xmlsec::write::Writer;

use super::super::answer::{text, to_second};
use super::super::client::{AnswerError, named};
use super::super::namespace::V2;
use super::super::read::{Allowed, Cursor, Text, violation};
use super::super::request::{PROOF_KINDS, ticket};
use super::super::{ProofKind, Request};

/// What happened.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventCode {
    /// The last byte of the request was read.
    Received,
    /// The receipt was sealed.
    Accepted,
    /// A try to deliver, or to seal the proof of dispatch, failed; another follows.
    AttemptFailed,
    /// The channel confirmed that the item is in the box.
    Consigned,
    /// The proof of dispatch was sealed.
    Dispatched,
    /// Delivery was given up.
    Failed,
    /// An operator put it back in the queue.
    Requeued,
    /// The channel reported the first opening.
    Accessed,
    /// It was kept to its date and never opened.
    ExpiredUnread,
    /// It was taken out of a partner's folder, whole.
    HandedOver,
    /// A proof was handed out, again after the first answer.
    ProofHandedOut,
}

impl EventCode {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Received,
        Self::Accepted,
        Self::AttemptFailed,
        Self::Consigned,
        Self::Dispatched,
        Self::Failed,
        Self::Requeued,
        Self::Accessed,
        Self::ExpiredUnread,
        Self::HandedOver,
        Self::ProofHandedOut,
    ];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::Accepted => "ACCEPTED",
            Self::AttemptFailed => "ATTEMPT_FAILED",
            Self::Consigned => "CONSIGNED",
            Self::Dispatched => "DISPATCHED",
            Self::Failed => "FAILED",
            Self::Requeued => "REQUEUED",
            Self::Accessed => "ACCESSED",
            Self::ExpiredUnread => "EXPIRED_UNREAD",
            Self::HandedOver => "HANDED_OVER",
            Self::ProofHandedOut => "PROOF_HANDED_OUT",
        }
    }

    /// The code of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

/// Whose word an event is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventSource {
    /// ePost's own act or observation.
    Own,
    /// What the channel said; the time is when ePost read it.
    Channel,
}

impl EventSource {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "OWN",
            Self::Channel => "CHANNEL",
        }
    }

    /// The source of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Own, Self::Channel].into_iter().find(|source| source.as_str() == name)
    }
}

/// One thing that happened to an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeliveryEvent {
    /// Its place in the item's history, from 1; it keeps it.
    pub number: u64,
    /// When; on the wire to the second.
    pub at: Timestamp,
    /// What.
    pub code: EventCode,
    /// Whose word it is.
    pub source: EventSource,
    /// By which channel, where one has part in it.
    pub channel: Option<ChannelName>,
    /// The channel's own id of the item, where it gave one.
    pub external_id: Option<String>,
    /// Which try it was, or how many there were; from 1.
    pub attempt: Option<u32>,
    /// Where `at` is the end of a window: its begin.
    pub not_before: Option<Timestamp>,
    /// Why: ePost's own dotted code, or the channel's.
    pub reason: Option<String>,
    /// Which proof was handed out.
    pub proof: Option<ProofKind>,
    /// Of `BATCH`: whose folder it is, by enterprise number: 10 digits.
    pub folder: Option<String>,
}

/// One page of an item's history, oldest event first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeliveryHistory {
    /// The item.
    pub ticket: Ticket,
    /// Where it stands.
    pub status: Status,
    /// What happened.
    pub events: Vec<DeliveryEvent>,
    /// There are others behind the last one.
    pub more: bool,
}

pub(in super::super) fn get_delivery_history(operation: Element<'_>) -> Result<Request, Refusal> {
    let mut request = Cursor::open(operation, "GetDeliveryHistoryRequest".to_owned(), Allowed::Nothing)?;
    let ticket = ticket(&request.text(V2, "Ticket")?)?;
    let first = request.optional_text(V2, "First")?.map(|text| event_number(&text)).transpose()?;
    request.end()?;
    Ok(Request::GetDeliveryHistory { ticket, first: first.unwrap_or(1) })
}

/// `xs:long` from 1 on.
fn event_number(text: &Text<'_>) -> Result<u64, Refusal> {
    let number = text.collapsed().parse::<i64>().ok().and_then(|number| u64::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| {
        violation("schema.pattern", text.path(), &text.seen(), "the number of an event: 1 or more")
    })
}

/// What became of this item, from event number `first` on?
pub fn write_get_delivery_history_request(ticket: &Ticket, first: u64) -> String {
    let mut out = Writer::new();
    out.start("v2:GetDeliveryHistoryRequest").namespace("v2", V2);
    out.element("v2:Ticket", ticket.as_str()).element("v2:First", &first.to_string());
    text(out)
}

/// The answer to getDeliveryHistory.
pub fn write_get_delivery_history_response(history: &DeliveryHistory) -> String {
    let mut out = Writer::new();
    out.start("v2:GetDeliveryHistoryResponse").namespace("v2", V2);
    out.element("v2:Ticket", history.ticket.as_str()).element("v2:Status", history.status.as_str());
    for event in &history.events {
        out.start("v2:Event").element("v2:Number", &event.number.to_string());
        out.element("v2:At", &to_second(event.at));
        out.element("v2:Code", event.code.as_str()).element("v2:Source", event.source.as_str());
        let attempt = event.attempt.map(|attempt| attempt.to_string());
        let not_before = event.not_before.map(to_second);
        let optional = [
            ("v2:Channel", event.channel.map(ChannelName::as_str)),
            ("v2:ExternalId", event.external_id.as_deref()),
            ("v2:Attempt", attempt.as_deref()),
            ("v2:NotBefore", not_before.as_deref()),
            ("v2:Reason", event.reason.as_deref()),
            ("v2:ProofType", event.proof.map(ProofKind::as_str)),
            ("v2:Folder", event.folder.as_deref()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                out.element(name, value);
            }
        }
        out.end();
    }
    out.element("v2:More", if history.more { "true" } else { "false" });
    text(out)
}

/// Reads the answer to getDeliveryHistory, whose signature was verified before.
///
/// # Errors
/// [`AnswerError`]: the service's fault.
pub fn parse_get_delivery_history_response(element: Element<'_>) -> Result<DeliveryHistory, AnswerError> {
    named(element, V2, "GetDeliveryHistoryResponse")?;
    let mut response = Cursor::open(element, "GetDeliveryHistoryResponse".to_owned(), Allowed::Nothing)?;
    let ticket = ticket(&response.text(V2, "Ticket")?)?;
    let status = response.text(V2, "Status")?.one_of(Status::from_name, "PENDING, SENT or ERROR")?;
    let mut events = Vec::new();
    while let Some((element, path)) = response.optional(V2, "Event") {
        events.push(event(Cursor::open(element, path, Allowed::Nothing)?)?);
    }
    let more = response.text(V2, "More")?.one_of(|text| text.parse().ok(), "true or false")?;
    response.end()?;
    Ok(DeliveryHistory { ticket, status, events, more })
}

fn event(mut event: Cursor<'_>) -> Result<DeliveryEvent, Refusal> {
    let number = event_number(&event.text(V2, "Number")?)?;
    let instant = |text: Text<'_>| text.one_of(|text| text.parse().ok(), "an instant");
    let at = instant(event.text(V2, "At")?)?;
    let code = event.text(V2, "Code")?.one_of(EventCode::from_name, "the name of an event")?;
    let source = event.text(V2, "Source")?.one_of(EventSource::from_name, "OWN or CHANNEL")?;
    let channel = event.optional_text(V2, "Channel")?;
    let channel =
        channel.map(|text| text.one_of(ChannelName::from_name, "the name of a channel")).transpose()?;
    let external_id = event.optional_text(V2, "ExternalId")?.map(|text| text.as_str().to_owned());
    let attempt = event.optional_text(V2, "Attempt")?;
    let attempt = attempt.map(|text| text.one_of(|text| text.parse().ok(), "a number")).transpose()?;
    let not_before = event.optional_text(V2, "NotBefore")?.map(instant).transpose()?;
    let reason = event.optional_text(V2, "Reason")?.map(|text| text.as_str().to_owned());
    let proof = event.optional_text(V2, "ProofType")?;
    let proof = proof.map(|text| text.one_of(ProofKind::from_name, PROOF_KINDS)).transpose()?;
    let folder = event.optional_text(V2, "Folder")?.map(|text| text.as_str().to_owned());
    event.end()?;
    Ok(DeliveryEvent {
        number,
        at,
        code,
        source,
        channel,
        external_id,
        attempt,
        not_before,
        reason,
        proof,
        folder,
    })
}
