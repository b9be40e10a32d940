//! One grant: who may do what, what for, on whose decision, from where, until when.

use std::collections::BTreeMap;

use erds::{EnterpriseNumber, FaultCode, Sender, Strictness};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use crate::policy::{Zone, day, filled};
use crate::{Cidr, Denied, PolicyError, Question, Transaction};

/// A grant as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantEntry {
    id: String,
    issuer: String,
    cbe: String,
    application: String,
    program_number: Option<String>,
    transactions: Vec<Transaction>,
    message_types: Option<Vec<String>>,
    purpose: String,
    reference: String,
    manager: String,
    addresses: Vec<Cidr>,
    zone: String,
    until: Date,
    reviewed: Option<Date>,
    derogation: Option<DerogationEntry>,
    mandate: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DerogationEntry {
    reference: String,
    until: Date,
}

/// A grant that was read whole: sending or consulting, for a purpose, with somebody who answers for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    pub(crate) id: String,
    issuing_ca_spki_sha256: [u8; 32],
    pub(crate) cbe: EnterpriseNumber,
    pub(crate) application: String,
    pub(crate) program_number: Option<String>,
    transactions: Vec<Transaction>,
    message_types: Option<Vec<String>>,
    purpose: String,
    reference: String,
    manager: String,
    addresses: Vec<Cidr>,
    zone: String,
    until: Date,
    reviewed: Option<Date>,
    derogation: Option<Derogation>,
    pub(crate) mandate: Option<String>,
}

/// The written decision by which an internet zone is let in, and its own end.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Derogation {
    reference: String,
    until: Date,
}

impl Grant {
    pub(crate) fn read(
        entry: GrantEntry,
        place: &str,
        zones: &BTreeMap<String, Zone>,
        issuers: &BTreeMap<String, [u8; 32]>,
    ) -> Result<Self, PolicyError> {
        let place = || place.to_owned();
        let issuer = erds::record::Hex32::from_hex(&entry.issuer)
            .map(|hex| hex.0)
            .or_else(|| issuers.get(&entry.issuer).copied());
        let Some(issuing_ca_spki_sha256) = issuer else {
            return Err(PolicyError::Issuer { place: place(), issuer: entry.issuer });
        };
        let cbe = EnterpriseNumber::parse(&entry.cbe, Strictness::Strict)
            .map_err(|error| PolicyError::Enterprise { place: place(), error })?;
        let derogation = entry.derogation;
        let texts = [
            ("id", Some(&entry.id)),
            ("application", Some(&entry.application)),
            ("program_number", entry.program_number.as_ref()),
            ("purpose", Some(&entry.purpose)),
            ("reference", Some(&entry.reference)),
            ("manager", Some(&entry.manager)),
            ("derogation", derogation.as_ref().map(|derogation| &derogation.reference)),
        ];
        for (key, text) in texts {
            filled(&place(), key, text.map(String::as_str))?;
        }
        let lists = [
            ("transactions", entry.transactions.is_empty()),
            ("message_types", entry.message_types.as_ref().is_some_and(Vec::is_empty)),
            ("addresses", entry.addresses.is_empty()),
        ];
        if let Some(&(key, _)) = lists.iter().find(|(_, empty)| *empty) {
            return Err(PolicyError::Empty { place: place(), key });
        }
        let sends = entry.transactions.iter().any(|transaction| transaction.sends());
        if sends && entry.transactions.iter().any(|transaction| transaction.consults()) {
            return Err(PolicyError::Mixed { place: place() });
        }
        let Some(zone) = zones.get(&entry.zone) else {
            return Err(PolicyError::ZoneUnknown { place: place(), zone: entry.zone });
        };
        if !entry.addresses.iter().all(|block| zone.addresses.iter().any(|outer| outer.covers(block))) {
            return Err(PolicyError::AddressOutsideZone { place: place(), zone: entry.zone });
        }
        Ok(Self {
            id: entry.id,
            issuing_ca_spki_sha256,
            cbe,
            application: entry.application,
            program_number: entry.program_number,
            transactions: entry.transactions,
            message_types: entry.message_types,
            purpose: entry.purpose,
            reference: entry.reference,
            manager: entry.manager,
            addresses: entry.addresses,
            zone: entry.zone,
            until: entry.until,
            reviewed: entry.reviewed,
            derogation: derogation.map(|entry| Derogation { reference: entry.reference, until: entry.until }),
            mandate: entry.mandate,
        })
    }

    /// Its name in the file: no other grant has it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The institution: 10 digits.
    pub fn institution(&self) -> &str {
        self.cbe.digits()
    }

    /// The application that it is given to.
    pub fn application(&self) -> &str {
        &self.application
    }

    /// What it lets do.
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    /// What for.
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// Who answers for it on the spot, and says each year whether it is still needed.
    pub fn manager(&self) -> &str {
        &self.manager
    }

    /// Its last day.
    pub fn until(&self) -> Date {
        self.until
    }

    /// When its manager last confirmed that it is needed; none: never.
    pub fn reviewed(&self) -> Option<Date> {
        self.reviewed
    }

    /// Whether it is in force and nobody confirmed it in the last `days_max` days.
    pub fn is_review_overdue(&self, at: Timestamp, days_max: u32) -> bool {
        let today = day(at);
        let oldest = today.saturating_sub(jiff::Span::new().days(i64::from(days_max)));
        today <= self.until && self.reviewed.is_none_or(|reviewed| reviewed < oldest)
    }

    /// The decision that it cites; with its derogation, if it rests on one.
    pub fn citation(&self) -> String {
        match &self.derogation {
            Some(derogation) => format!("{}; derogation: {}", self.reference, derogation.reference),
            None => self.reference.clone(),
        }
    }

    pub(crate) fn is_of(&self, sender: &Sender) -> bool {
        self.issuing_ca_spki_sha256 == sender.issuing_ca_spki_sha256
            && self.cbe == sender.cbe
            && self.application == sender.application.as_str()
    }

    /// The first check at which it does not fit; `mandate_holds` says whether the mandate that it rests on is in force for the
    /// transaction.
    pub(crate) fn judge(
        &self,
        zones: &BTreeMap<String, Zone>,
        question: &Question<'_>,
        mandate_holds: bool,
    ) -> Result<(), Step> {
        let require = |holds: bool, step| if holds { Ok(()) } else { Err(step) };
        require(self.is_of(question.sender), Step::Sender)?;
        let named = self.transactions.contains(&question.transaction);
        require(named || question.transaction == Transaction::Check, Step::Transaction)?;
        let today = day(question.at);
        require(today <= self.until, Step::Until)?;
        let zone = zones.get(&self.zone).ok_or(Step::Zone)?;
        require(zone.addresses.iter().any(|block| block.contains(question.address)), Step::Zone)?;
        require(self.addresses.iter().any(|block| block.contains(question.address)), Step::Address)?;
        if zone.kind.is_internet() {
            let derogation = self.derogation.as_ref().ok_or(Step::Internet)?;
            require(today <= derogation.until, Step::Derogation)?;
        }
        require(mandate_holds, Step::Mandate)?;
        let types = self.message_types.as_ref().filter(|_| question.transaction.sends());
        let fits = types
            .is_none_or(|types| question.message_type.is_some_and(|asked| types.iter().any(|t| t == asked)));
        require(fits, Step::MessageType)
    }
}

/// The checks in the order they run: the later one fails, the closer the grant came.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Step {
    Sender,
    Transaction,
    Until,
    Zone,
    Address,
    Internet,
    Derogation,
    Mandate,
    MessageType,
}

impl Step {
    pub(crate) fn denied(self) -> Denied {
        let check = match self {
            Self::Sender => "uam.sender",
            Self::Until => "uam.expired",
            Self::Transaction => "uam.transaction",
            Self::Zone => "uam.zone",
            Self::Address => "uam.address",
            Self::Internet => "uam.internet",
            Self::Derogation => "uam.derogation",
            Self::Mandate => "uam.mandate",
            Self::MessageType => "uam.message-type",
        };
        let code = if self == Self::MessageType { FaultCode::EpostB08 } else { FaultCode::Soa01002 };
        Denied { code, check }
    }
}
