//! findItems: recovery after a lost answer, and bulk reconciliation.

use erds::{Refusal, Status, Ticket, Token};
use jiff::Timestamp;
use xmlsec::Element;
use xmlsec::write::Writer;

use super::super::Request;
use super::super::answer::{text, to_millisecond};
use super::super::client::{AnswerError, named};
use super::super::namespace::V2;
use super::super::read::{Allowed, Cursor, violation};
use super::super::request::{naming_token, ticket, token};

/// Which of the caller's items are asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ItemSearch {
    /// By the caller's own name, or by when they were received.
    pub by: SearchBy,
    /// Only those that stand so.
    pub status: Option<Status>,
    /// Only those behind this one, in the order of the answers.
    pub after: Option<Ticket>,
}

/// By what items are searched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SearchBy {
    /// Their sender's name: never empty; one at most has it.
    Token(Token),
    /// Received at `from` or later, and before `to`.
    Received {
        /// The first instant.
        from: Timestamp,
        /// The first instant that is too late.
        to: Timestamp,
    },
}

/// One item that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundItem {
    /// Its name.
    pub ticket: Ticket,
    /// The sender's own; none where the content was erased.
    pub token: Option<Token>,
    /// Where it stands.
    pub status: Status,
    /// When its request's last byte was read.
    pub received_at: Timestamp,
}

pub(in super::super) fn find_items(operation: Element<'_>) -> Result<Request, Refusal> {
    let mut request = Cursor::open(operation, "FindItemsRequest".to_owned(), Allowed::Nothing)?;
    let (element, path) = request.required(V2, "By")?;
    let mut choice = Cursor::open(element, path, Allowed::Nothing)?;
    let by = match choice.optional_text(V2, "Token")? {
        Some(text) => SearchBy::Token(naming_token(text, "a Token that names an item")?),
        None => {
            let (element, path) = choice.required(V2, "Received")?;
            let mut range = Cursor::open(element, path, Allowed::Nothing)?;
            let (from, to) = (instant(&mut range, "From")?, instant(&mut range, "To")?);
            range.end()?;
            SearchBy::Received { from, to }
        }
    };
    choice.end()?;
    let status = request.optional_text(V2, "Status")?;
    let status = status.map(|text| text.one_of(Status::from_name, "PENDING, SENT or ERROR")).transpose()?;
    let after = request.optional_text(V2, "After")?.map(|text| ticket(&text)).transpose()?;
    request.end()?;
    Ok(Request::FindItems(ItemSearch { by, status, after }))
}

/// `xs:dateTime` with its time zone: without one it would be nobody's instant.
fn instant(range: &mut Cursor<'_>, name: &'static str) -> Result<Timestamp, Refusal> {
    let text = range.text(V2, name)?;
    let value = text.collapsed();
    let formed = value.as_bytes().get(10) == Some(&b'T') && value.len() <= INSTANT_CHARACTERS_MAX;
    value.parse().ok().filter(|_| formed).ok_or_else(|| {
        violation(
            "schema.pattern",
            text.path(),
            &text.seen(),
            "an instant with its time zone, e.g. 2026-01-31T00:00:00Z",
        )
    })
}

/// `2026-01-31T00:00:00.123456789+01:00`.
const INSTANT_CHARACTERS_MAX: usize = 35;

/// Which of my items?
pub fn write_find_items_request(search: &ItemSearch) -> String {
    let mut out = Writer::new();
    out.start("v2:FindItemsRequest").namespace("v2", V2).start("v2:By");
    match &search.by {
        SearchBy::Token(token) => out.element("v2:Token", token.as_str()),
        SearchBy::Received { from, to } => out
            .start("v2:Received")
            .element("v2:From", &from.to_string())
            .element("v2:To", &to.to_string())
            .end(),
    };
    out.end();
    if let Some(status) = search.status {
        out.element("v2:Status", status.as_str());
    }
    if let Some(after) = &search.after {
        out.element("v2:After", after.as_str());
    }
    text(out)
}

/// The answer to findItems: one page, oldest first; `more`: there are others behind its last item.
pub fn write_find_items_response(items: &[FoundItem], more: bool) -> String {
    let mut out = Writer::new();
    out.start("v2:FindItemsResponse").namespace("v2", V2);
    for item in items {
        out.start("v2:Item").element("v2:Ticket", item.ticket.as_str());
        if let Some(token) = &item.token {
            out.element("v2:Token", token.as_str());
        }
        out.element("v2:Status", item.status.as_str());
        out.element("v2:ReceivedAt", &to_millisecond(item.received_at)).end();
    }
    out.element("v2:More", if more { "true" } else { "false" });
    text(out)
}

/// Reads the answer to findItems, whose signature was verified before: the page, and whether there are others behind it.
///
/// # Errors
/// [`AnswerError`]: the service's fault.
pub fn parse_find_items_response(element: Element<'_>) -> Result<(Vec<FoundItem>, bool), AnswerError> {
    named(element, V2, "FindItemsResponse")?;
    let mut response = Cursor::open(element, "FindItemsResponse".to_owned(), Allowed::Nothing)?;
    let mut items = Vec::new();
    while let Some((element, path)) = response.optional(V2, "Item") {
        let mut item = Cursor::open(element, path, Allowed::Nothing)?;
        let ticket = ticket(&item.text(V2, "Ticket")?)?;
        let token = item.optional_text(V2, "Token")?.map(token).transpose()?;
        let status = item.text(V2, "Status")?.one_of(Status::from_name, "PENDING, SENT or ERROR")?;
        let received_at = item.text(V2, "ReceivedAt")?.one_of(|text| text.parse().ok(), "an instant")?;
        item.end()?;
        items.push(FoundItem { ticket, token, status, received_at });
    }
    let more = response.text(V2, "More")?.one_of(|text| text.parse().ok(), "true or false")?;
    response.end()?;
    Ok((items, more))
}
