//! Log consultation: who asks, why, for what; approved or refused by another person; run once, with a bounded result (N3).
//!
//! Each step is a Control record. What is personal in it (names, reasons, the question) lies in a frame under the consultation's
//! own key, and is erased with that key; facts and certificates' digests stay. There is no state beside the journal: a step claims a
//! unique key made of the consultation's number, so that the journal itself finds it, and of two racing steps one is recorded.

mod error;
mod people;
mod search;

use std::sync::Arc;

use erds::record::{Control, Hex32};
use erds::{Record, Ticket};
use jiff::{SignedDuration, Timestamp};
use journal::{Appended, Entry, Stored, UniqueKey};
use pki::digest::sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use soap::message::{PackageAnswer, ProofKind};
use tokio::sync::Semaphore;

pub use error::ConsultError;
pub use people::{People, PeopleError, Person};
pub use search::{Found, Query};

use crate::config::{Consult, Role};
use crate::retention::Retention;
use crate::service::{Failure, Service, open_frame_with};

/// What a person asks for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What for, in a few words.
    pub purpose: String,
    /// The legal ground, or the decision or complaint that it rests on.
    pub reason: String,
    /// Which records.
    pub query: Query,
    /// The package of this proof (its ProofType) of the item that the query names, with its sender's message in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
}

/// The other person's word, or why not.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Why; a refusal needs it.
    #[serde(default)]
    pub note: String,
}

/// Which consultations a history shows.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryFilter {
    /// This one alone.
    pub number: Option<u64>,
    /// Those that stand so.
    pub state: Option<State>,
    /// Those that this person asked for or decided.
    pub person: Option<String>,
    /// Those asked for then or later.
    pub from: Option<Timestamp>,
    /// Those asked for then or before.
    pub to: Option<Timestamp>,
    /// Those of a higher number: the last one of the page before.
    pub after: u64,
}

/// How a consultation stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody has decided.
    Requested,
    /// It may be run.
    Approved,
    /// It may not.
    Refused,
    /// It was run.
    Run,
    /// Its time passed before it was run.
    Expired,
}

impl State {
    /// Its name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Run => "run",
            Self::Expired => "expired",
        }
    }
}

/// One step as the journal has it.
struct Step {
    at: Timestamp,
    action: String,
    ticket: Ticket,
    facts: Facts,
    /// The frame's text; none where its key was destroyed.
    told: Option<Value>,
}

impl Step {
    fn said(&self, field: &str) -> Option<&Value> {
        self.told.as_ref().and_then(|told| told.get(field)).filter(|value| !value.is_null())
    }

    fn name(&self) -> Option<&str> {
        self.said("name").and_then(Value::as_str)
    }

    fn is_by(&self, person: &Person, certificate: Hex32) -> bool {
        self.facts.certificate == certificate || self.name() == Some(&person.name)
    }
}

/// What a step's record says: nothing personal.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Facts {
    consultation: u64,
    certificate: Hex32,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<bool>,
    /// SHA-256 of the package that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<Hex32>,
}

/// A consultation with its steps so far.
struct Consultation {
    number: u64,
    requested: Step,
    decided: Option<Step>,
    ran: Option<Step>,
}

impl Consultation {
    fn state(&self, now: Timestamp) -> State {
        let expired = self.requested.facts.expires_at.is_none_or(|expires_at| now > expires_at);
        match (&self.decided, &self.ran) {
            (_, Some(_)) => State::Run,
            (Some(decided), None) if decided.action == REFUSED => State::Refused,
            _ if expired => State::Expired,
            (Some(_), None) => State::Approved,
            (None, None) => State::Requested,
        }
    }

    fn line(&self, now: Timestamp) -> Value {
        let (requested, decided, ran) = (&self.requested, self.decided.as_ref(), self.ran.as_ref());
        json!({
            "consultation": self.number, "state": self.state(now), "erased": requested.told.is_none(),
            "requested_at": requested.at, "requested_by": requested.said("name"),
            "requester_certificate": requested.facts.certificate, "expires_at": requested.facts.expires_at,
            "purpose": requested.said("purpose"), "reason": requested.said("reason"), "query": requested.said("query"),
            "package": requested.said("package"), "package_sha256": ran.and_then(|step| step.facts.package),
            "decided_at": decided.map(|step| step.at), "decided_by": decided.and_then(|step| step.said("name")),
            "decider_certificate": decided.map(|step| step.facts.certificate),
            "note": decided.and_then(|step| step.said("note")),
            "run_at": ran.map(|step| step.at), "results": ran.and_then(|step| step.facts.results),
            "more": ran.and_then(|step| step.facts.more),
        })
    }
}

/// Where consultations are asked for, decided and run.
pub struct Desk {
    service: Arc<Service>,
    people: People,
    validity: SignedDuration,
    results_max: usize,
    running: Semaphore,
    retention: Option<Arc<Retention>>,
}

impl Desk {
    /// Opens it over a service that runs.
    pub fn new(service: Arc<Service>, people: People, config: &Consult) -> Self {
        let hours = i64::try_from(config.validity_hours).unwrap_or(i64::MAX / 3600).min(i64::MAX / 3600);
        Self {
            service,
            people,
            validity: SignedDuration::from_secs(hours * 3600),
            results_max: config.results_max,
            running: Semaphore::new(1), // a search reads the journal from end to end: one at a time
            retention: None,
        }
    }

    /// The same, where retention is planned and run, too.
    pub fn with_retention(self, retention: Arc<Retention>) -> Self {
        Self { retention: Some(retention), ..self }
    }

    /// Where a person with the role plans and runs retention; none: not at this door.
    ///
    /// # Errors
    /// `Role`: the person's.
    pub fn retention(&self, person: &Person) -> Result<Option<&Retention>, ConsultError> {
        person.require(Role::Retain)?;
        Ok(self.retention.as_deref())
    }

    /// The service that it is over.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Who comes with this certificate.
    ///
    /// # Errors
    /// `Certificate`, `Stranger`, `Trust`: not in force, not listed, or no current CRL can be read.
    pub fn admit(&self, certificate: &pki::certificate::Certificate) -> Result<Person, ConsultError> {
        self.people.admit(certificate, self.service.now())
    }

    /// Records what a person asks for; gives the consultation as [`Desk::history`] shows it.
    ///
    /// # Errors
    /// `Role`, `Field`: the person's. `Failed`: ours, and nothing was recorded.
    pub async fn request(&self, person: &Person, asked: &Asked) -> Result<Value, ConsultError> {
        person.require(Role::Request)?;
        asked.check(self.service.settings())?;
        let (ticket, key) = self.service.draw_item().map_err(|error| Failure::store(&error))?;
        self.service.keys().create(ticket, &key).await.map_err(Failure::from)?;
        let expires_at = self.service.now().saturating_add(self.validity).unwrap_or(Timestamp::MAX);
        let told = json!({
            "purpose": asked.purpose, "reason": asked.reason, "query": asked.query, "package": asked.package,
        });
        loop {
            let number = self.last()? + 1;
            let facts = Facts { expires_at: Some(expires_at), ..person.facts(number) };
            // Taken by another request of the same moment: the next number.
            if self.record(REQUESTED, ticket, person, facts, told.clone()).await? {
                return Ok(self.load(number)?.line(self.service.now()));
            }
        }
    }

    /// Records another person's yes or no.
    ///
    /// # Errors
    /// `Role`, `Absent`, `Own`, `Decided`, `Expired`, `Erased`, `Field`: the person's. `Failed`: ours.
    pub async fn decide(
        &self,
        person: &Person,
        number: u64,
        approves: bool,
        decision: &Decision,
    ) -> Result<Value, ConsultError> {
        person.require(Role::Approve)?;
        bounded_text("note", &decision.note, if approves { 0 } else { 1 }, REASON_CHARACTERS_MAX)?;
        let consultation = self.load(number)?;
        let requested = &consultation.requested;
        // Whose name cannot be read any more may be the very person who decides.
        if requested.told.is_none() {
            return Err(ConsultError::Erased { number });
        }
        if requested.is_by(person, person.certificate) {
            return Err(ConsultError::Own { number, name: person.name.clone() });
        }
        let now = self.service.now();
        match consultation.state(now) {
            State::Requested => {}
            State::Expired if consultation.decided.is_none() => return Err(expired(&consultation)),
            state => return Err(ConsultError::Decided { number, state }),
        }
        let action = if approves { APPROVED } else { REFUSED };
        let told = json!({"note": decision.note});
        let recorded = self.record(action, requested.ticket, person, person.facts(number), told).await?;
        let decided = self.load(number)?;
        let state = decided.state(now);
        if recorded { Ok(decided.line(now)) } else { Err(ConsultError::Decided { number, state }) }
    }

    /// Runs an approved consultation, once; `results_max` may ask for fewer than are allowed.
    ///
    /// # Errors
    /// `Role`, `Absent`, `NotRequester`, `RunAlready`, `NotApproved`, `Expired`, `Erased`, `Field`: the person's. `Busy`: another one
    /// runs. `Package`: the item has none, or none now. `Failed`: ours. After the last three it may be run again.
    pub async fn run(
        &self,
        person: &Person,
        number: u64,
        results_max: Option<usize>,
    ) -> Result<Found, ConsultError> {
        person.require(Role::Request)?;
        let limit = self.limit(results_max)?;
        let consultation = self.load(number)?;
        let requested = &consultation.requested;
        if !requested.is_by(person, person.certificate) {
            return Err(ConsultError::NotRequester { number, name: person.name.clone() });
        }
        match consultation.state(self.service.now()) {
            State::Approved => {}
            State::Run => return Err(ConsultError::RunAlready { number }),
            State::Expired => return Err(expired(&consultation)),
            state => return Err(ConsultError::NotApproved { number, state }),
        }
        let query = requested.said("query").ok_or(ConsultError::Erased { number })?;
        let query: Query =
            serde_json::from_value(query.clone()).map_err(|error| Failure::store(&error.to_string()))?;
        let _running = self.running.try_acquire().map_err(|_| ConsultError::Busy)?;
        let mut found = tokio::task::block_in_place(|| search::search(&self.service, &query, limit))?;
        if let Some(kind) = requested.said("package").and_then(Value::as_str) {
            found.package = Some(self.package(kind, &query).await?);
        }
        let facts = Facts {
            results: Some(found.results.len()),
            more: Some(found.more),
            package: found.package.as_ref().map(|package| Hex32(sha256(&package.content))),
            ..person.facts(number)
        };
        // Recorded before anything is shown: what a crash takes from the requester was still looked up for him.
        match self.record(RAN, requested.ticket, person, facts, json!({})).await? {
            true => Ok(found),
            false => Err(ConsultError::RunAlready { number }),
        }
    }

    async fn package(&self, kind: &str, query: &Query) -> Result<PackageAnswer, ConsultError> {
        let (Some(kind), Some(ticket)) = (ProofKind::from_name(kind), query.ticket()) else {
            return Err(Failure::journal("a consultation for a package that is none").into());
        };
        self.service.package_with_request(ticket, kind).await.map_err(ConsultError::Package)
    }

    /// A page of consultations as JSON, the oldest first; who may only ask sees his own. An empty page is the end.
    ///
    /// # Errors
    /// `Failed`: ours.
    pub async fn history(&self, person: &Person, filter: &HistoryFilter) -> Result<Vec<Value>, ConsultError> {
        let sees_all = person.has(Role::Approve) || person.has(Role::Audit);
        let (now, last) = (self.service.now(), self.last()?);
        let first = filter.number.unwrap_or(filter.after.saturating_add(1)).max(1);
        let last = filter.number.map_or(last, |number| number.min(last));
        let mut lines = Vec::new();
        for number in first..=last {
            if lines.len() == HISTORY_LINES_MAX {
                break;
            }
            let consultation = self.load(number)?;
            let own = consultation.requested.is_by(person, person.certificate);
            if (sees_all || own) && filter.shows(&consultation, now) {
                lines.push(consultation.line(now));
            }
        }
        if !lines.is_empty() {
            let detail = json!({"certificate": person.certificate, "results": lines.len()});
            self.service.record_act(LISTED, &detail.to_string()).await?;
        }
        Ok(lines)
    }

    /// Leaves in the journal that a known person was denied a step.
    ///
    /// # Errors
    /// Ours.
    pub async fn record_denial(&self, person: &Person, denied: &ConsultError) -> Result<(), Failure> {
        let detail = json!({"certificate": person.certificate, "code": denied.code()});
        self.service.record_act(DENIED, &detail.to_string()).await
    }

    /// How many results a run gives at most.
    fn limit(&self, asked: Option<usize>) -> Result<usize, ConsultError> {
        let allowed = self.results_max;
        let limit = asked.unwrap_or(allowed);
        if limit == 0 || limit > allowed {
            return Err(ConsultError::Field {
                field: "results_max",
                seen: limit.to_string(),
                expected: format!("1 to {allowed} (consult.results_max)"),
            });
        }
        Ok(limit)
    }

    /// The highest number there is.
    fn last(&self) -> Result<u64, Failure> {
        self.service.last_numbered(|number| step_key(REQUESTED, number))
    }

    /// Appends a step; false: there is one already.
    async fn record(
        &self,
        action: &str,
        ticket: Ticket,
        person: &Person,
        facts: Facts,
        mut told: Value,
    ) -> Result<bool, ConsultError> {
        let key = self.service.keys().open_key(ticket).map_err(Failure::from)?;
        let key = key.ok_or(ConsultError::Erased { number: facts.consultation })?;
        told["name"] = json!(person.name);
        told["subject"] = json!(person.subject);
        let frame = self.service.frame(ticket, &key, FRAME, told.to_string().as_bytes())?;
        let detail = serde_json::to_string(&facts).map_err(|error| Failure::store(&error.to_string()))?;
        let record = Record::Control(Control {
            at: self.service.now(),
            action: action.to_owned(),
            ticket: Some(ticket),
            detail,
        });
        let unique_keys = vec![step_key(action, facts.consultation)];
        let appended = self.service.append(Entry { record, frames: vec![frame], unique_keys }).await?;
        Ok(matches!(appended, Appended::Recorded(_)))
    }

    fn load(&self, number: u64) -> Result<Consultation, ConsultError> {
        let requested = self.step(REQUESTED, number)?.ok_or(ConsultError::Absent { number })?;
        // Approved and Refused share one key.
        let (decided, ran) = (self.step(APPROVED, number)?, self.step(RAN, number)?);
        Ok(Consultation { number, requested, decided, ran })
    }

    fn step(&self, action: &str, number: u64) -> Result<Option<Step>, Failure> {
        let Some(position) = self.service.journal().find(&step_key(action, number))? else { return Ok(None) };
        let stored = self.service.journal().read(position)?;
        read_step(&self.service, &stored).map(Some)
    }
}

fn read_step(service: &Service, stored: &Stored) -> Result<Step, Failure> {
    let strange = || Failure::journal("a record under a consultation's key that is none");
    let Record::Control(Control { at, action, ticket: Some(ticket), detail }) = &stored.record else {
        return Err(strange());
    };
    let told = open_frame_with(&|ticket| service.keys().open_key(ticket), stored, FRAME)?;
    let told = told.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(|_| strange())?;
    let facts = serde_json::from_str(detail).map_err(|_| strange())?;
    Ok(Step { at: *at, action: action.clone(), ticket: *ticket, facts, told })
}

fn expired(consultation: &Consultation) -> ConsultError {
    let expires_at = consultation.requested.facts.expires_at.unwrap_or(consultation.requested.at);
    ConsultError::Expired { number: consultation.number, expires_at }
}

/// What a step claims: one request, one decision, one run for each number.
fn step_key(action: &str, number: u64) -> UniqueKey {
    let step = if action == REFUSED { APPROVED } else { action };
    UniqueKey(sha256(format!("{step}\0{number}").as_bytes()))
}

impl Asked {
    fn check(&self, settings: &crate::service::Settings) -> Result<(), ConsultError> {
        bounded_text("purpose", &self.purpose, 1, PURPOSE_CHARACTERS_MAX)?;
        bounded_text("reason", &self.reason, 1, REASON_CHARACTERS_MAX)?;
        self.query.check(settings)?;
        let wrong = |seen: &str, expected: &str| ConsultError::Field {
            field: "package",
            seen: erds::record::bounded(seen),
            expected: expected.to_owned(),
        };
        match &self.package {
            Some(kind) if ProofKind::from_name(kind).is_none() => {
                Err(wrong(kind, "RECEIPT, DISPATCH, CONSULTATION, EXPIRY or NON_DELIVERY"))
            }
            Some(_) if self.query.ticket.is_none() => {
                Err(wrong("no query.ticket", "a ticket beside it, of which the package is"))
            }
            _ => Ok(()),
        }
    }
}

impl HistoryFilter {
    fn shows(&self, consultation: &Consultation, now: Timestamp) -> bool {
        let requested = &consultation.requested;
        let decider = consultation.decided.as_ref().and_then(Step::name);
        let by = |name: &String| requested.name() == Some(name) || decider == Some(name);
        self.state.is_none_or(|state| state == consultation.state(now))
            && self.person.as_ref().is_none_or(by)
            && self.from.is_none_or(|from| requested.at >= from)
            && self.to.is_none_or(|to| requested.at <= to)
    }
}

/// Text of a person, within its bounds and fit to be shown.
pub(crate) fn bounded_text(
    field: &'static str,
    text: &str,
    characters_min: usize,
    characters_max: usize,
) -> Result<(), ConsultError> {
    let characters = text.trim().chars().count();
    let shown = text.chars().all(|c| !c.is_control() || c == '\n');
    if (characters_min..=characters_max).contains(&characters) && text.len() <= 4 * characters_max && shown {
        return Ok(());
    }
    Err(ConsultError::Field {
        field,
        seen: if shown { format!("{characters} characters") } else { "control characters".to_owned() },
        expected: format!("{characters_min} to {characters_max} characters of plain text"),
    })
}

const REQUESTED: &str = "consult.requested";
const APPROVED: &str = "consult.approved";
const REFUSED: &str = "consult.refused";
const RAN: &str = "consult.ran";
const LISTED: &str = "consult.listed";
const DENIED: &str = "consult.denied";

/// The name of a step's frame.
const FRAME: &str = "consultation";

/// The most characters of a purpose.
pub const PURPOSE_CHARACTERS_MAX: usize = 200;
/// The most characters of a reason or a note.
pub const REASON_CHARACTERS_MAX: usize = 4000;
/// The most lines of one page of the history.
pub const HISTORY_LINES_MAX: usize = 100;
