//! Legal holds: what is named by one in force is not erased, whatever its term.

use std::collections::HashMap;

use erds::record::{Control, Hex32};
use erds::{EnterpriseNumber, Record, Ticket};
use jiff::Timestamp;
use journal::{Appended, Entry, UniqueKey};
use pki::digest::sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Retention, RetentionError};
use crate::consult::{ConsultError, Person, REASON_CHARACTERS_MAX, bounded_text};
use crate::service::{Failure, open_frame_with};

/// What is to be held: an item or all of a sender, and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HoldAsked {
    /// This item, and the requests that read it.
    #[serde(default)]
    pub ticket: Option<String>,
    /// Every item and request of this institution: its enterprise number.
    #[serde(default)]
    pub sender: Option<String>,
    /// The case, decision or order that it rests on.
    pub reason: String,
}

/// Why a hold ends.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HoldLifted {
    /// The decision that it rests on.
    pub reason: String,
}

/// What a step's record says: nothing personal.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Facts {
    hold: u64,
    certificate: Hex32,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Ticket>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
}

/// One hold as the journal has it.
struct Hold {
    set: Step,
    lifted: Option<Step>,
}

/// One step of it.
struct Step {
    at: Timestamp,
    key: Ticket,
    facts: Facts,
    /// Reason and name; none where the hold's own key was destroyed.
    told: Option<Value>,
}

/// The holds in force, by what they name.
#[derive(Default)]
pub(super) struct Holds {
    by_ticket: HashMap<Ticket, u64>,
    by_sender: HashMap<String, u64>,
}

impl Holds {
    /// The hold that keeps what is about one of these items, or of this institution.
    pub(super) fn on(&self, tickets: [Option<Ticket>; 2], sender: Option<&str>) -> Option<u64> {
        let by_ticket = tickets.iter().flatten().find_map(|ticket| self.by_ticket.get(ticket));
        by_ticket.or_else(|| self.by_sender.get(sender?)).copied()
    }
}

impl Retention {
    /// Sets a hold; gives it as [`Retention::list_holds`] shows it. It waits for a run that goes on.
    ///
    /// # Errors
    /// `Field`: the person's. `Retention`, `Failed`: ours, and nothing was recorded.
    pub async fn hold(&self, person: &Person, asked: &HoldAsked) -> Result<Value, ConsultError> {
        bounded_text("reason", &asked.reason, 1, REASON_CHARACTERS_MAX)?;
        let (item, sender) = self.held(asked)?;
        let _turn = self.turn.lock().await;
        let (key_ticket, key) = self.service.draw_item().map_err(|error| Failure::store(&error))?;
        self.service.keys().create(key_ticket, &key).await.map_err(Failure::from)?;
        let number = self.last_hold()? + 1;
        let facts = Facts { hold: number, certificate: person.certificate, item, sender };
        self.record(SET, key_ticket, person, facts, &asked.reason).await?;
        Ok(self.load(number)?.ok_or(RetentionError::HoldAbsent(number))?.line())
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// `Field`, `Retention` (`HoldAbsent`, `HoldLifted`): the person's. `Failed`: ours.
    pub async fn lift(&self, person: &Person, number: u64, why: &HoldLifted) -> Result<Value, ConsultError> {
        bounded_text("reason", &why.reason, 1, REASON_CHARACTERS_MAX)?;
        let _turn = self.turn.lock().await;
        let hold = self.load(number)?.ok_or(RetentionError::HoldAbsent(number))?;
        if hold.lifted.is_some() {
            return Err(RetentionError::HoldLifted(number).into());
        }
        let facts = Facts { hold: number, certificate: person.certificate, item: None, sender: None };
        self.record(LIFTED, hold.set.key, person, facts, &why.reason).await?;
        Ok(self.load(number)?.ok_or(RetentionError::HoldAbsent(number))?.line())
    }

    /// Every hold, the oldest first, lifted ones too; who looked is on record.
    ///
    /// # Errors
    /// `Failed`: ours.
    pub async fn list_holds(&self, person: &Person) -> Result<Vec<Value>, Failure> {
        let detail = json!({"certificate": person.certificate}).to_string();
        self.service.record_act(LISTED, &detail).await?;
        let all = (1..=self.last_hold()?).filter_map(|number| self.load(number).transpose());
        all.map(|hold| Ok(hold?.line())).collect()
    }

    /// Those in force.
    pub(super) fn holds(&self) -> Result<Holds, Failure> {
        let mut holds = Holds::default();
        for number in 1..=self.last_hold()? {
            let Some(Hold { set, lifted: None }) = self.load(number)? else { continue };
            holds.by_ticket.extend(set.facts.item.map(|item| (item, number)));
            holds.by_sender.extend(set.facts.sender.map(|sender| (sender, number)));
        }
        Ok(holds)
    }

    /// Exactly one of both, and of the right form.
    fn held(&self, asked: &HoldAsked) -> Result<(Option<Ticket>, Option<String>), ConsultError> {
        let wrong = |field, seen: &str, expected: &str| ConsultError::Field {
            field,
            seen: erds::record::bounded(seen),
            expected: expected.to_owned(),
        };
        match (&asked.ticket, &asked.sender) {
            (Some(ticket), None) => {
                let item = Ticket::parse(ticket)
                    .ok()
                    .filter(|item| matches!(self.service.index().item(*item), Ok(Some(_))));
                let item = item.ok_or_else(|| wrong("ticket", ticket, "the ticket of an item"))?;
                Ok((Some(item), None))
            }
            (None, Some(sender)) => {
                let number = EnterpriseNumber::parse(sender, self.service.settings().strictness);
                let number = number.map_err(|_| wrong("sender", sender, "an enterprise number"))?;
                Ok((None, Some(number.digits().to_owned())))
            }
            _ => Err(wrong("ticket, sender", "none, or both", "one of them")),
        }
    }

    async fn record(
        &self,
        action: &str,
        key_ticket: Ticket,
        person: &Person,
        facts: Facts,
        reason: &str,
    ) -> Result<(), ConsultError> {
        let key = self.service.keys().open_key(key_ticket).map_err(Failure::from)?;
        let key = key.ok_or_else(|| Failure::store("a hold without its key"))?;
        let told = json!({"name": person.name, "subject": person.subject, "reason": reason});
        let frame = self.service.frame(key_ticket, &key, FRAME, told.to_string().as_bytes())?;
        let unique_keys = vec![step_key(action, facts.hold)];
        let detail = serde_json::to_string(&facts).map_err(|error| Failure::store(&error.to_string()))?;
        let record = Record::Control(Control {
            at: self.service.now(),
            action: action.to_owned(),
            ticket: Some(key_ticket),
            detail,
        });
        match self.service.append(Entry { record, frames: vec![frame], unique_keys }).await? {
            Appended::Recorded(_) => Ok(()),
            Appended::Existing(_) => Err(Failure::journal("two steps of a hold at once").into()),
        }
    }

    fn last_hold(&self) -> Result<u64, Failure> {
        self.service.last_numbered(|number| step_key(SET, number))
    }

    fn load(&self, number: u64) -> Result<Option<Hold>, Failure> {
        let Some(set) = self.step(SET, number)? else { return Ok(None) };
        Ok(Some(Hold { set, lifted: self.step(LIFTED, number)? }))
    }

    fn step(&self, action: &str, number: u64) -> Result<Option<Step>, Failure> {
        let strange = || Failure::journal("a record under a hold's key that is none");
        let Some(position) = self.service.journal().find(&step_key(action, number))? else { return Ok(None) };
        let stored = self.service.journal().read(position)?;
        let told = open_frame_with(&|ticket| self.service.keys().open_key(ticket), &stored, FRAME)?;
        let told = told.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(|_| strange())?;
        let Record::Control(Control { at, ticket: Some(key), detail, .. }) = stored.record else {
            return Err(strange());
        };
        let facts = serde_json::from_str(&detail).map_err(|_| strange())?;
        Ok(Some(Step { at, key, facts, told }))
    }
}

impl Hold {
    fn line(&self) -> Value {
        let (set, lifted) = (&self.set, self.lifted.as_ref());
        let said = |step: &Step, field: &str| step.told.as_ref().map(|told| told[field].clone());
        json!({
            "hold": set.facts.hold, "in_force": lifted.is_none(), "ticket": set.facts.item, "sender": set.facts.sender,
            "set_at": set.at, "set_by": said(set, "name"), "setter_certificate": set.facts.certificate,
            "reason": said(set, "reason"),
            "lifted_at": lifted.map(|step| step.at), "lifted_by": lifted.and_then(|step| said(step, "name")),
            "lifter_certificate": lifted.map(|step| step.facts.certificate),
            "lifted_because": lifted.and_then(|step| said(step, "reason")),
        })
    }
}

fn step_key(action: &str, number: u64) -> UniqueKey {
    UniqueKey(sha256(format!("{action}\0{number}").as_bytes()))
}

pub(super) const SET: &str = "hold.set";
pub(super) const LIFTED: &str = "hold.lifted";
const LISTED: &str = "hold.listed";
/// The name of a step's frame.
const FRAME: &str = "hold";
