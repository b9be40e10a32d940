//! Recipients as contract B names them, and checkRecipient: whether one has an eBox.

use erds::{ChannelName, Recipient, Refusal};
use jiff::Timestamp;
use xmlsec::Element;
use xmlsec::write::Writer;

use super::super::Request;
use super::super::answer::{text, to_second};
use super::super::namespace::{TYPES, V2};
use super::super::read::{Allowed, Cursor};
use super::super::request::{ReadRules, citizen, enterprise};
use super::answer::boolean;

pub(in super::super) fn check_recipient(
    operation: Element<'_>,
    rules: &ReadRules,
) -> Result<Request, Refusal> {
    let mut request = Cursor::open(operation, "CheckRecipientRequest".to_owned(), Allowed::Nothing)?;
    let recipient = recipient(&mut request, rules)?;
    request.end()?;
    Ok(Request::CheckRecipient { recipient })
}

pub(super) fn recipient(request: &mut Cursor<'_>, rules: &ReadRules) -> Result<Recipient, Refusal> {
    let (element, path) = request.required(V2, "Recipient")?;
    let mut choice = Cursor::open(element, path, Allowed::Nothing)?;
    let recipient = match choice.optional(V2, "Citizen") {
        Some((element, path)) => {
            let mut entity = Cursor::open(element, path, Allowed::Nothing)?;
            let recipient = citizen(&mut entity, rules)?;
            entity.end()?;
            recipient
        }
        None => {
            let (element, path) = choice.required(V2, "Enterprise")?;
            let mut entity = Cursor::open(element, path, Allowed::Nothing)?;
            let recipient = enterprise(&mut entity, rules)?;
            entity.end()?;
            recipient
        }
    };
    choice.end()?;
    Ok(recipient)
}

pub(super) fn write_recipient(out: &mut Writer, recipient: &Recipient) {
    let (name, number) = match recipient {
        Recipient::Citizen { .. } => ("v2:Citizen", "t:INSS"),
        Recipient::Enterprise { .. } => ("v2:Enterprise", "t:CompanyID"),
    };
    out.start("v2:Recipient").start(name).element(number, recipient.number_as_given());
    out.element("t:QualityCode", recipient.quality().as_str()).end().end();
}

/// Does this recipient have an eBox?
pub fn write_check_recipient_request(recipient: &Recipient) -> String {
    let mut out = Writer::new();
    out.start("v2:CheckRecipientRequest").namespace("v2", V2).namespace("t", TYPES);
    write_recipient(&mut out, recipient);
    text(out)
}

/// What the e-Box says of a recipient.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecipientFacts {
    /// The channel of such recipients.
    pub channel: ChannelName,
    /// Whether there is a box; none where the e-Box does not tell: of a citizen it tells his consent alone.
    pub exists: Option<bool>,
    /// Whether it is in use: found, of an enterprise; consented to, of a citizen.
    pub activated: bool,
    /// Whether it was chosen as the only way.
    pub preferred: bool,
    /// When the e-Box was asked.
    pub asked_at: Timestamp,
}

/// The answer to checkRecipient.
pub fn write_check_recipient_response(facts: &RecipientFacts) -> String {
    let mut out = Writer::new();
    out.start("v2:CheckRecipientResponse").namespace("v2", V2);
    out.element("v2:Channel", facts.channel.as_str());
    if let Some(exists) = facts.exists {
        out.element("v2:Exists", boolean(exists));
    }
    out.element("v2:Activated", boolean(facts.activated));
    out.element("v2:Preferred", boolean(facts.preferred));
    out.element("v2:AskedAt", &to_second(facts.asked_at));
    text(out)
}
