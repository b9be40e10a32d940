//! What has ended its term: one pass over the journal, by recorded times alone.
//!
//! A record is as old as it says, or younger: where an earlier record holds a time-stamp of later, our clock had been set back, and
//! that stamp's time counts. So a clock that was wrong for a while makes a term longer, never shorter.

use std::collections::{BTreeMap, HashMap};

use erds::record::{Control, ERASED_TICKETS_MAX, Erased, Hex32};
use erds::{Record, Ticket};
use jiff::{SignedDuration, Timestamp};
use journal::{Position, Stored};
use pki::digest::sha256;
use serde_json::{Value, json};
use store::StoreError;
use store::index::REQUEUED;

use super::hold::{Holds, LIFTED, SET};
use crate::access::ADOPTED;
use crate::config::{Class, Retention as Table};
use crate::service::{Failure, Service};

/// What a key opens, and so what its destruction erases.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// An accepted item.
    Item,
    /// A submission that was withdrawn.
    Withdrawn,
    /// A refused request of a verified sender.
    Refused,
    /// Any other refused request.
    Unidentified,
    /// A request that reads.
    Read,
    /// A consultation of the log.
    Consultation,
    /// A legal hold.
    Hold,
    /// The text of a policy.
    Policy,
}

impl Kind {
    /// Its name in the configuration and in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Withdrawn => "withdrawn",
            Self::Refused => "refused",
            Self::Unidentified => "unidentified",
            Self::Read => "read",
            Self::Consultation => "consultation",
            Self::Hold => "hold",
            Self::Policy => "policy",
        }
    }

    fn class(self, table: &Table) -> Class {
        match self {
            Self::Item => table.classes.item,
            Self::Withdrawn => table.classes.withdrawn,
            Self::Refused => table.classes.refused,
            Self::Unidentified => table.classes.unidentified,
            Self::Read => table.classes.read,
            Self::Consultation => table.classes.consultation,
            Self::Hold => table.classes.hold,
            Self::Policy => table.classes.policy,
        }
    }
}

/// What is erased for one reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// What the keys open.
    pub kind: Kind,
    /// Its class in the table.
    pub class: Class,
    /// The term.
    pub term_days: u32,
    /// Each of them ended by then.
    pub ended_by: Timestamp,
    /// Whose keys, in the journal's order.
    pub tickets: Vec<Ticket>,
}

/// What a run would erase, and what it would not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The time that terms are counted to.
    pub as_of: Timestamp,
    /// What would be erased.
    pub groups: Vec<Group>,
    /// There is more than one run takes.
    pub more: bool,
    /// Keys past their term that a hold keeps, by the hold's number.
    pub held: BTreeMap<u64, u64>,
    /// Old enough, but not ended: on its way, or a hold in force.
    pub not_ended: u64,
    /// Items past their term whose message type cannot be read, so that their own term is not known.
    pub unreadable: u64,
}

impl Plan {
    /// By which a run names it: of everything that it would erase.
    pub fn digest(&self) -> Hex32 {
        let groups: Vec<_> = self.groups.iter().map(Group::line).collect();
        let told = json!({"as_of": self.as_of, "groups": groups});
        Hex32(sha256(told.to_string().as_bytes()))
    }

    /// The acts that a run would write, in order; their numbers are still to be given.
    pub(super) fn records(&self, at: Timestamp, by: Option<Hex32>) -> Vec<Erased> {
        let of_group = |group: &Group| {
            let record = |tickets: &[Ticket]| Erased {
                at,
                act: 0,
                by,
                of: group.kind.as_str().to_owned(),
                class: group.class.as_str().to_owned(),
                term_days: group.term_days,
                ended_by: group.ended_by,
                tickets: tickets.to_vec(),
            };
            group.tickets.chunks(ERASED_TICKETS_MAX).map(record).collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(of_group).collect()
    }

    /// As the door answers it: a summary, then a line a group with the tickets that its records would name.
    pub fn lines(&self) -> Vec<Value> {
        let count: usize = self.groups.iter().map(|group| group.tickets.len()).sum();
        let held: Vec<_> = self.held.iter().map(|(hold, keys)| json!({"hold": hold, "keys": keys})).collect();
        let acts = self.records(self.as_of, None).len();
        let summary = json!({
            "as_of": self.as_of, "plan": self.digest(), "would_erase": count, "acts": acts, "more": self.more,
            "held": held, "not_ended": self.not_ended, "message_type_unreadable": self.unreadable,
        });
        std::iter::once(summary).chain(self.groups.iter().map(Group::line)).collect()
    }
}

impl Group {
    fn line(&self) -> Value {
        json!({
            "kind": "erased", "of": self.kind.as_str(), "class": self.class.as_str(), "term_days": self.term_days,
            "ended_by": self.ended_by, "count": self.tickets.len(), "tickets": self.tickets,
        })
    }
}

/// Makes the plan as of a time that is certain.
///
/// # Errors
/// Journal or keys cannot be read: ours.
pub(super) fn plan(
    service: &Service,
    table: &Table,
    holds: &Holds,
    as_of: Timestamp,
) -> Result<Plan, Failure> {
    let mut reader = Reader {
        service,
        newest: before(as_of, shortest_days(table)),
        certain: Timestamp::MIN,
        units: HashMap::new(),
        policy: None,
        full: false,
    };
    for stored in service.journal().iter(0) {
        reader.follow(&stored?)?;
    }
    let mut units: Vec<(Ticket, Unit)> = reader.units.into_iter().collect();
    units.sort_by_key(|(_, unit)| unit.first);
    let mut plan = Plan {
        as_of,
        groups: Vec::new(),
        more: reader.full,
        held: BTreeMap::new(),
        not_ended: 0,
        unreadable: 0,
    };
    let mut groups: BTreeMap<(Kind, Class, u32), Vec<Ticket>> = BTreeMap::new();
    let mut planned = 0;
    for (ticket, unit) in units {
        let Some(ended_at) = unit.ended_at else {
            plan.not_ended += 1;
            continue;
        };
        let class = unit.kind.class(table);
        let Some(days) = term_days(service, table, class, &unit)? else {
            plan.unreadable += 1;
            continue;
        };
        if ended_at > before(as_of, days) {
            continue;
        }
        if let Some(hold) = holds.on([Some(ticket), unit.about], unit.sender.as_deref()) {
            *plan.held.entry(hold).or_default() += 1;
        } else if planned == KEYS_MAX {
            plan.more = true;
        } else {
            planned += 1;
            groups.entry((unit.kind, class, days)).or_default().push(ticket);
        }
    }
    plan.groups = groups
        .into_iter()
        .map(|((kind, class, term_days), tickets)| Group {
            kind,
            class,
            term_days,
            ended_by: before(as_of, term_days),
            tickets,
        })
        .collect();
    Ok(plan)
}

/// The term of a key; none: it depends on a message type that cannot be read.
fn term_days(service: &Service, table: &Table, class: Class, unit: &Unit) -> Result<Option<u32>, Failure> {
    let of_type = class == Class::Content && unit.kind == Kind::Item && !table.content_days_of.is_empty();
    if !of_type {
        return Ok(Some(days_of(table, class)));
    }
    let stored = service.journal().read(unit.first)?;
    let Ok(submission) = service.open_frame(&stored, "submission") else { return Ok(None) };
    let Ok(submission) = serde_json::from_slice::<erds::Submission>(&submission) else { return Ok(None) };
    let own = submission.document.document_type.as_ref().and_then(|name| table.content_days_of.get(name));
    Ok(Some(own.copied().unwrap_or(table.content_days)))
}

fn days_of(table: &Table, class: Class) -> u32 {
    match class {
        Class::Transaction => table.transaction_days,
        Class::Technical => table.technical_days,
        Class::Content => table.content_days,
    }
}

fn shortest_days(table: &Table) -> u32 {
    let classes = [table.transaction_days, table.technical_days, table.content_days];
    classes.into_iter().chain(table.content_days_of.values().copied()).min().unwrap_or(u32::MAX)
}

fn before(as_of: Timestamp, days: u32) -> Timestamp {
    as_of.checked_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MIN)
}

/// A key that may have ended its term.
struct Unit {
    kind: Kind,
    /// Its first record.
    first: Position,
    /// The item that a request read.
    about: Option<Ticket>,
    sender: Option<String>,
    received_at: Timestamp,
    ended_at: Option<Timestamp>,
}

struct Reader<'a> {
    service: &'a Service,
    /// What began later cannot have ended any term.
    newest: Timestamp,
    /// The latest time-stamp so far.
    certain: Timestamp,
    units: HashMap<Ticket, Unit>,
    /// The policy in force by then.
    policy: Option<Ticket>,
    full: bool,
}

impl Reader<'_> {
    fn follow(&mut self, stored: &Stored) -> Result<(), StoreError> {
        let record = &stored.record;
        let at = record.at().max(self.certain);
        let ends = |reader: &mut Self, ticket: &Ticket, ended_at: Option<Timestamp>| {
            if let Some(unit) = reader.units.get_mut(ticket) {
                unit.ended_at = ended_at;
            }
        };
        match record {
            Record::Received(r) => {
                self.begin(stored, Kind::Item, r.ticket, Some(r.request.sender.cbe.digits()), None, None)?;
            }
            Record::Withdrawn(r) => {
                if let Some(unit) = self.units.get_mut(&r.ticket) {
                    (unit.kind, unit.ended_at) = (Kind::Withdrawn, Some(at));
                }
            }
            Record::Accepted(r) => self.certain = self.certain.max(r.gen_time),
            Record::Dispatched(r) => {
                self.certain = self.certain.max(r.gen_time);
                let at = at.max(self.certain);
                let asked_until = self.units.get(&r.ticket).and_then(|unit| self.asked_until(unit));
                ends(self, &r.ticket, Some(asked_until.map_or(at, |until| until.max(at))));
            }
            Record::Accessed(r) => ends(self, &r.ticket, Some(at)),
            Record::ExpiredUnread(r) => ends(self, &r.ticket, Some(at)),
            Record::ConsignmentFailed(r) => ends(self, &r.ticket, Some(at)),
            Record::HandedOver(r) => {
                // Beside its way into the eBox, which alone ends it; but what was taken later was needed later.
                if let Some(unit) = self.units.get_mut(&r.ticket) {
                    unit.ended_at = unit.ended_at.map(|ended_at| ended_at.max(at));
                }
            }
            Record::Evidenced(r) => self.certain = self.certain.max(r.evidence.gen_time),
            Record::Packaged(r) => self.certain = self.certain.max(r.gen_time),
            Record::Attempted(_) | Record::Consigned(_) | Record::Removed(_) => {}
            Record::Refused(r) => {
                let kind = if r.sender.is_some() { Kind::Refused } else { Kind::Unidentified };
                let sender = r.sender.as_ref().map(|sender| sender.cbe.digits());
                self.request(stored, kind, sender, None, at)?;
            }
            Record::Consulted(r) => {
                self.request(stored, Kind::Read, Some(r.request.sender.cbe.digits()), r.ticket, at)?;
            }
            Record::Control(control) => self.act(stored, control, at)?,
            // A key that is there all the same came back with an older key file: it is erased again, on record again.
            Record::Erased(_) => {}
        }
        Ok(())
    }

    fn begin(
        &mut self,
        stored: &Stored,
        kind: Kind,
        ticket: Ticket,
        sender: Option<&str>,
        about: Option<Ticket>,
        ended_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let received_at = stored.record.at().max(self.certain);
        // With the key gone there is nothing to erase; so the units of a service that runs regularly are few.
        if received_at > self.newest || !self.service.keys().has(ticket)? {
            return Ok(());
        }
        if self.units.len() == UNITS_MAX {
            self.full = true;
            return Ok(());
        }
        let (first, sender) = (stored.position, sender.map(ToOwned::to_owned));
        self.units.entry(ticket).or_insert(Unit { kind, first, about, sender, received_at, ended_at });
        Ok(())
    }

    /// A request that ends with its one record; the key is its own, named by its frames.
    fn request(
        &mut self,
        stored: &Stored,
        kind: Kind,
        sender: Option<&str>,
        about: Option<Ticket>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let named = stored.frames.first().and_then(|frame| frame.name.split_once('/'));
        if let Some(ticket) = named.and_then(|(ticket, _)| Ticket::parse(ticket).ok()) {
            self.begin(stored, kind, ticket, sender, about, Some(at))?;
        }
        Ok(())
    }

    /// Consultations and holds have keys of their own, and more than one step; a policy ends with the next one.
    fn act(&mut self, stored: &Stored, control: &Control, at: Timestamp) -> Result<(), StoreError> {
        let Some(ticket) = control.ticket else { return Ok(()) };
        if control.action == REQUEUED {
            // Failed, and on its way again.
            if let Some(unit) = self.units.get_mut(&ticket) {
                unit.ended_at = None;
            }
            return Ok(());
        }
        if stored.frames.is_empty() {
            return Ok(());
        }
        if control.action == ADOPTED {
            let former = self.policy.replace(ticket);
            if let Some(unit) = former.and_then(|former| self.units.get_mut(&former)) {
                unit.ended_at = Some(at);
            }
        }
        let facts: Value = serde_json::from_str(&control.detail).unwrap_or_default();
        let expires_at = facts["expires_at"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let (kind, ended_at) = match control.action.as_str() {
            SET => (Kind::Hold, None),
            LIFTED => (Kind::Hold, Some(at)),
            ADOPTED => (Kind::Policy, None),
            _ => (Kind::Consultation, Some(expires_at.map_or(at, |end| end.max(at)))),
        };
        self.begin(stored, kind, ticket, None, None, ended_at)?;
        if let Some(unit) = self.units.get_mut(&ticket).filter(|unit| unit.kind == kind) {
            unit.ended_at = unit.ended_at.max(ended_at);
        }
        Ok(())
    }

    /// Until when the channel is asked whether the item was read: so long it is not at its end.
    fn asked_until(&self, unit: &Unit) -> Option<Timestamp> {
        let delivery = &self.service.settings().delivery;
        let seconds = i64::try_from(delivery.read_poll_end_seconds).unwrap_or(i64::MAX);
        let until = || unit.received_at.checked_add(SignedDuration::from_secs(seconds));
        (delivery.read_poll_seconds > 0).then(|| until().unwrap_or(Timestamp::MAX))
    }
}

/// Keys of one plan: its lines fit an answer, and a run's acts are few.
const KEYS_MAX: usize = 10_000;
/// Keys past the shortest term that are held in mind at once.
const UNITS_MAX: usize = 1_000_000;
