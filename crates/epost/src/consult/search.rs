//! The journal's records that a question is about.

use std::collections::HashMap;
use std::rc::Rc;

use erds::record::RequestFacts;
use erds::{EnterpriseNumber, Record, Ticket};
use jiff::{SignedDuration, Timestamp};
use journal::{Position, Stored};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use soap::message::PackageAnswer;

use super::{ConsultError, bounded_text};
use crate::service::{Failure, Service, Settings, open_frame_with};

/// Which records: all that is named must hold, and something must be.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// About this item.
    pub ticket: Option<String>,
    /// Asked by this institution, or about an item of it: its enterprise number.
    pub sender: Option<String>,
    /// About items to this recipient: INSS or enterprise number, as the sender gave it.
    pub recipient: Option<String>,
    /// Asked by this USERID, or about an item sent by it: the application's name or program number, or the person's that a token service
    /// named.
    pub user_id: Option<String>,
    /// Of this time or later.
    pub from: Option<Timestamp>,
    /// Of this time or before.
    pub to: Option<Timestamp>,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The records with recipient and person, in the journal's order.
    pub results: Vec<Value>,
    /// There are more than were allowed.
    pub more: bool,
    /// How many records were looked at.
    pub examined: u64,
    /// Items whose recipient and person are erased, so that nothing can be found by these.
    pub content_absent: u64,
    /// The package, where it was asked for.
    pub package: Option<PackageAnswer>,
}

impl Query {
    /// The item that is named.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        self.ticket.as_deref().and_then(|text| Ticket::parse(text).ok())
    }

    /// Judges what was asked.
    pub(super) fn check(&self, settings: &Settings) -> Result<(), ConsultError> {
        let wrong = |field, seen: &str, expected: &str| ConsultError::Field {
            field,
            seen: erds::record::bounded(seen),
            expected: expected.to_owned(),
        };
        if *self == Self::default() {
            return Err(wrong(
                "query",
                "nothing",
                "at least one of ticket, sender, recipient, user_id, from, to",
            ));
        }
        for (field, text) in [("query.recipient", &self.recipient), ("query.user_id", &self.user_id)] {
            text.as_ref().map_or(Ok(()), |text| bounded_text(field, text, 1, NAME_CHARACTERS_MAX))?;
        }
        if let Some(ticket) = self.ticket.as_ref().filter(|text| Ticket::parse(text).is_err()) {
            return Err(wrong("query.ticket", ticket, "a ticket, as a receipt names it"));
        }
        if let Some(sender) = self.sender.as_ref().filter(|text| cbe(text, settings).is_none()) {
            return Err(wrong("query.sender", sender, "an enterprise number"));
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) if from > to => {
                Err(wrong("query.from", &format!("{from} after {to}"), "a time before query.to"))
            }
            _ => Ok(()),
        }
    }
}

fn cbe(text: &str, settings: &Settings) -> Option<String> {
    let number = EnterpriseNumber::parse(text, settings.strictness).ok()?;
    Some(number.digits().to_owned())
}

/// Reads the journal for a question that was checked; `results_max` at most are kept.
///
/// # Errors
/// Journal, keys or index cannot be read: ours.
pub(super) fn search(service: &Service, query: &Query, results_max: usize) -> Result<Found, Failure> {
    let mut reader = Reader {
        service,
        ticket: query.ticket(),
        sender: query.sender.as_deref().and_then(|text| cbe(text, service.settings())),
        query,
        items: HashMap::new(),
        content_absent: 0,
    };
    let mut found = Found { results: Vec::new(), more: false, examined: 0, content_absent: 0, package: None };
    for stored in service.journal().iter(reader.first()?) {
        let stored = stored?;
        if query.to.is_some_and(|to| stored.record.at() > later(to)) {
            break;
        }
        found.examined += 1;
        let Some(line) = reader.line(&stored)? else { continue };
        if found.results.len() == results_max {
            found.more = true;
            break;
        }
        found.results.push(line);
    }
    found.content_absent = reader.content_absent;
    Ok(found)
}

struct Reader<'a> {
    service: &'a Service,
    query: &'a Query,
    ticket: Option<Ticket>,
    sender: Option<String>,
    /// Of items met lately.
    items: HashMap<Ticket, Option<Rc<About>>>,
    content_absent: u64,
}

/// Whose a request or an item is.
#[derive(Clone)]
struct About {
    cbe: String,
    application: String,
    program_number: Option<String>,
    recipient: Option<String>,
    person: Option<String>,
}

impl Reader<'_> {
    /// Before it nothing can match. A record's time is that of its request, a little before that of its place.
    fn first(&self) -> Result<Position, Failure> {
        if let Some(ticket) = self.ticket
            && let Some(item) = self.service.index().item(ticket)?
        {
            return Ok(item.received);
        }
        let Some(from) = self.query.from else { return Ok(0) };
        let earliest = from.saturating_sub(MARGIN).unwrap_or(Timestamp::MIN);
        let (mut low, mut high) = (0, self.service.journal().size());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.service.journal().read(middle)?.record.at() < earliest {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The record as a result, if the question is about it.
    fn line(&mut self, stored: &Stored) -> Result<Option<Value>, Failure> {
        let (record, query) = (&stored.record, self.query);
        let at = record.at();
        let in_time = query.from.is_none_or(|from| at >= from) && query.to.is_none_or(|to| at <= to);
        if !in_time || self.ticket.is_some_and(|ticket| !record.concerns(ticket)) {
            return Ok(None);
        }
        let item = match record.ticket() {
            Some(ticket) => self.item(ticket)?,
            None => None,
        };
        let asker = self.asker(stored)?;
        let both = || asker.iter().chain(item.as_deref());
        let is =
            |wanted: &Option<String>, held: &dyn Fn(&About) -> bool| wanted.is_none() || both().any(held);
        let wanted = is(&self.sender, &|about| self.sender.as_ref() == Some(&about.cbe))
            && is(&query.recipient, &|about| query.recipient == about.recipient)
            && is(&query.user_id, &|about| {
                query.user_id.as_ref() == Some(&about.application)
                    || query.user_id == about.program_number
                    || query.user_id == about.person
            });
        let line = || {
            json!({
                "position": stored.position, "leaf_hash": erds::record::Hex32(stored.leaf_hash), "record": record,
                "recipient": both().find_map(|about| about.recipient.as_ref()),
                "person": both().find_map(|about| about.person.as_ref()),
            })
        };
        Ok(wanted.then(line))
    }

    /// Who made the request that the record is of.
    fn asker(&self, stored: &Stored) -> Result<Option<About>, Failure> {
        let of = |sender: &erds::Sender| About {
            cbe: sender.cbe.digits().to_owned(),
            application: sender.application.as_str().to_owned(),
            program_number: None,
            recipient: None,
            person: None,
        };
        Ok(match &stored.record {
            Record::Consulted(consulted) => {
                let program_number = consulted.request.decision.program_number.clone();
                Some(About { person: self.person(stored)?, program_number, ..of(&consulted.request.sender) })
            }
            Record::Refused(refused) => match &refused.sender {
                Some(sender) => Some(About { person: self.person(stored)?, ..of(sender) }),
                None => None,
            },
            _ => None, // a Received is its item's
        })
    }

    /// Whose the item is, by its Received.
    fn item(&mut self, ticket: Ticket) -> Result<Option<Rc<About>>, Failure> {
        if let Some(known) = self.items.get(&ticket) {
            return Ok(known.clone());
        }
        let about = match self.service.index().item(ticket)? {
            Some(item) => self.received(&self.service.journal().read(item.received)?)?.map(Rc::new),
            None => None,
        };
        self.content_absent += u64::from(about.as_ref().is_some_and(|about| about.recipient.is_none()));
        if self.items.len() == ITEMS_HELD_MAX {
            self.items.clear();
        }
        self.items.insert(ticket, about.clone());
        Ok(about)
    }

    fn received(&self, stored: &Stored) -> Result<Option<About>, Failure> {
        let Record::Received(received) = &stored.record else { return Ok(None) };
        let RequestFacts { sender, decision, .. } = &received.request;
        let submission = self.frame(stored, "submission")?;
        let submission: Option<erds::Submission> = submission
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()
            .map_err(|error| Failure::store(&error.to_string()))?;
        Ok(Some(About {
            cbe: sender.cbe.digits().to_owned(),
            application: sender.application.as_str().to_owned(),
            program_number: decision.program_number.clone(),
            recipient: submission.map(|submission| submission.recipient.number_as_given().to_owned()),
            person: self.person(stored)?,
        }))
    }

    fn person(&self, stored: &Stored) -> Result<Option<String>, Failure> {
        let Some(bytes) = self.frame(stored, "person")? else { return Ok(None) };
        let facts: Value =
            serde_json::from_slice(&bytes).map_err(|error| Failure::store(&error.to_string()))?;
        Ok(facts.get("name").and_then(Value::as_str).map(ToOwned::to_owned))
    }

    fn frame(&self, stored: &Stored, part: &str) -> Result<Option<Vec<u8>>, Failure> {
        open_frame_with(&|ticket| self.service.keys().open_key(ticket), stored, part)
    }
}

fn later(at: Timestamp) -> Timestamp {
    at.saturating_add(MARGIN).unwrap_or(Timestamp::MAX)
}

/// How far a record's time may lie from those of its neighbours: longer than any request or clock's correction takes.
const MARGIN: SignedDuration = SignedDuration::from_hours(24);
const ITEMS_HELD_MAX: usize = 1024;
const NAME_CHARACTERS_MAX: usize = 200;
