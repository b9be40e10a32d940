//! The policy file and its reading.

use std::collections::BTreeMap;

use erds::{EnterpriseNumber, FaultCode, Sender, Strictness};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::{Cidr, CidrError, Decision, Denied, Explained, Question, Transaction};

/// A policy that was read whole and makes sense: every grant names a zone that exists and addresses inside it.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    zones: BTreeMap<String, Zone>,
    grants: Vec<Grant>,
    digest: [u8; 32],
}

/// What is wrong with a policy file: its writer's fault. The service does not start with it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// Not TOML, a key unknown or missing, a value of the wrong kind.
    #[error("{0}")]
    Form(String),
    /// An issuer that is neither 64 hex digits nor the name of a configured one.
    #[error("grant {grant}: issuer `{issuer}` is neither 64 hex digits nor the name of a configured issuer")]
    Issuer {
        /// Which grant, from 1.
        grant: usize,
        /// As written.
        issuer: String,
    },
    /// No enterprise number.
    #[error("grant {grant}: cbe: {error}")]
    Enterprise {
        /// Which grant, from 1.
        grant: usize,
        /// What is wrong with it.
        error: erds::IdentifierError,
    },
    /// A list that must name something is empty, or a text that must say something is.
    #[error("grant {grant}: `{key}` is empty")]
    Empty {
        /// Which grant, from 1.
        grant: usize,
        /// Which key.
        key: &'static str,
    },
    /// A zone that is not in the file.
    #[error("grant {grant}: there is no zone `{zone}`")]
    ZoneUnknown {
        /// Which grant, from 1.
        grant: usize,
        /// As written.
        zone: String,
    },
    /// Two zones of one name.
    #[error("zone `{zone}` stands twice")]
    ZoneRepeated {
        /// The name.
        zone: String,
    },
    /// An official address outside the grant's zone.
    #[error("grant {grant}: an address lies outside zone `{zone}`")]
    AddressOutsideZone {
        /// Which grant, from 1.
        grant: usize,
        /// Its zone.
        zone: String,
    },
}

impl PolicyError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(_) => "policy.form",
            Self::Issuer { .. } => "policy.issuer",
            Self::Enterprise { .. } => "policy.cbe",
            Self::Empty { .. } => "policy.empty",
            Self::ZoneUnknown { .. } => "policy.zone.unknown",
            Self::ZoneRepeated { .. } => "policy.zone.repeated",
            Self::AddressOutsideZone { .. } => "policy.address.outside-zone",
        }
    }
}

impl From<CidrError> for PolicyError {
    fn from(error: CidrError) -> Self {
        Self::Form(error.to_string())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    zone: Vec<ZoneEntry>,
    #[serde(default)]
    grant: Vec<GrantEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneEntry {
    name: String,
    addresses: Vec<Cidr>,
    #[serde(default)]
    internet: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantEntry {
    issuer: String,
    cbe: String,
    application: String,
    transactions: Vec<Transaction>,
    message_types: Option<Vec<String>>,
    addresses: Vec<Cidr>,
    zone: String,
    until: Date,
    reference: String,
    derogation: Option<String>,
}

#[derive(Clone, Debug)]
struct Zone {
    addresses: Vec<Cidr>,
    internet: bool,
}

#[derive(Clone, Debug)]
struct Grant {
    issuing_ca_spki_sha256: [u8; 32],
    cbe: EnterpriseNumber,
    application: String,
    transactions: Vec<Transaction>,
    message_types: Option<Vec<String>>,
    addresses: Vec<Cidr>,
    zone: String,
    until: Date,
    reference: String,
    derogation: Option<String>,
}

impl PolicyFile {
    /// Reads a policy whose issuers are all given by key.
    ///
    /// # Errors
    /// [`PolicyError`]: the writer's fault.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Self::parse_with_issuers(text, &BTreeMap::new())
    }

    /// Reads a policy; `issuers` are the SHA-256 of configured authorities' SubjectPublicKeyInfo, by name.
    ///
    /// # Errors
    /// [`PolicyError`]: the writer's fault.
    pub fn parse_with_issuers(text: &str, issuers: &BTreeMap<String, [u8; 32]>) -> Result<Self, PolicyError> {
        let file: File = toml::from_str(text).map_err(|error| PolicyError::Form(error.to_string()))?;
        let mut zones = BTreeMap::new();
        for entry in file.zone {
            let zone = Zone { addresses: entry.addresses, internet: entry.internet };
            if zones.insert(entry.name.clone(), zone).is_some() {
                return Err(PolicyError::ZoneRepeated { zone: entry.name });
            }
        }
        let grants = file.grant.into_iter().zip(1..);
        let grants = grants
            .map(|(entry, number)| Grant::read(entry, number, &zones, issuers))
            .collect::<Result<_, _>>()?;
        Ok(Self { zones, grants, digest: pki::digest::sha256(text.as_bytes()) })
    }

    /// SHA-256 of the file's text.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// How many grants there are.
    pub fn grants_count(&self) -> usize {
        self.grants.len()
    }

    /// Whether any grant, in force or not, is this sender's.
    pub fn knows(&self, sender: &Sender) -> bool {
        self.grants.iter().any(|grant| grant.is_of(sender))
    }

    /// Decides by the first grant that fits in everything. Pure.
    ///
    /// # Errors
    /// [`Denied`]: none fits; it names the check at which the closest grant failed.
    pub fn decide(&self, question: &Question<'_>) -> Result<Decision, Denied> {
        let mut closest = Step::Sender;
        for grant in &self.grants {
            match self.judge(grant, question) {
                Ok(()) => {
                    return Ok(Decision { grant_reference: grant.citation(), policy_digest: self.digest });
                }
                Err(step) => closest = closest.max(step),
            }
        }
        Err(closest.denied())
    }

    /// Each grant of the sender's institution, in the file's order, and why it does not fit, if it does not. [`Self::decide`] decides by the
    /// first that fits.
    pub fn explain(&self, question: &Question<'_>) -> Vec<Explained> {
        let of_institution = (1..).zip(&self.grants).filter(|(_, grant)| grant.cbe == question.sender.cbe);
        of_institution
            .map(|(number, grant)| {
                let denied = self.judge(grant, question).err().map(Step::denied);
                Explained {
                    number,
                    reference: grant.citation(),
                    application: grant.application.clone(),
                    denied,
                }
            })
            .collect()
    }

    fn judge(&self, grant: &Grant, question: &Question<'_>) -> Result<(), Step> {
        let require = |holds: bool, step| if holds { Ok(()) } else { Err(step) };
        require(grant.is_of(question.sender), Step::Sender)?;
        require(question.at.to_zoned(TimeZone::UTC).date() <= grant.until, Step::Until)?;
        let named = grant.transactions.contains(&question.transaction);
        require(named || question.transaction == Transaction::Check, Step::Transaction)?;
        let zone = self.zones.get(&grant.zone).ok_or(Step::Zone)?;
        require(zone.addresses.iter().any(|block| block.contains(question.address)), Step::Zone)?;
        require(grant.addresses.iter().any(|block| block.contains(question.address)), Step::Address)?;
        require(!zone.internet || grant.derogation.is_some(), Step::Internet)?;
        let types =
            grant.message_types.as_ref().filter(|_| question.transaction == Transaction::SendDocument);
        let fits = types
            .is_none_or(|types| question.message_type.is_some_and(|asked| types.iter().any(|t| t == asked)));
        require(fits, Step::MessageType)
    }
}

/// The checks in the order they run: the later one fails, the closer the grant came.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Step {
    Sender,
    Until,
    Transaction,
    Zone,
    Address,
    Internet,
    MessageType,
}

impl Step {
    fn denied(self) -> Denied {
        let check = match self {
            Self::Sender => "uam.sender",
            Self::Until => "uam.expired",
            Self::Transaction => "uam.transaction",
            Self::Zone => "uam.zone",
            Self::Address => "uam.address",
            Self::Internet => "uam.internet",
            Self::MessageType => "uam.message-type",
        };
        let code = if self == Self::MessageType { FaultCode::EpostB08 } else { FaultCode::Soa01002 };
        Denied { code, check }
    }
}

impl Grant {
    fn read(
        entry: GrantEntry,
        grant: usize,
        zones: &BTreeMap<String, Zone>,
        issuers: &BTreeMap<String, [u8; 32]>,
    ) -> Result<Self, PolicyError> {
        let issuer = erds::record::Hex32::from_hex(&entry.issuer)
            .map(|hex| hex.0)
            .or_else(|| issuers.get(&entry.issuer).copied());
        let Some(issuing_ca_spki_sha256) = issuer else {
            return Err(PolicyError::Issuer { grant, issuer: entry.issuer });
        };
        let cbe = EnterpriseNumber::parse(&entry.cbe, Strictness::Strict);
        let cbe = cbe.map_err(|error| PolicyError::Enterprise { grant, error })?;
        let empties = [
            ("application", entry.application.is_empty()),
            ("transactions", entry.transactions.is_empty()),
            ("message_types", entry.message_types.as_ref().is_some_and(Vec::is_empty)),
            ("addresses", entry.addresses.is_empty()),
            ("reference", entry.reference.trim().is_empty()),
            ("derogation", entry.derogation.as_ref().is_some_and(|text| text.trim().is_empty())),
        ];
        if let Some(&(key, _)) = empties.iter().find(|(_, empty)| *empty) {
            return Err(PolicyError::Empty { grant, key });
        }
        let Some(zone) = zones.get(&entry.zone) else {
            return Err(PolicyError::ZoneUnknown { grant, zone: entry.zone });
        };
        if !entry.addresses.iter().all(|block| zone.addresses.iter().any(|outer| outer.covers(block))) {
            return Err(PolicyError::AddressOutsideZone { grant, zone: entry.zone });
        }
        Ok(Self {
            issuing_ca_spki_sha256,
            cbe,
            application: entry.application,
            transactions: entry.transactions,
            message_types: entry.message_types,
            addresses: entry.addresses,
            zone: entry.zone,
            until: entry.until,
            reference: entry.reference,
            derogation: entry.derogation,
        })
    }

    fn is_of(&self, sender: &Sender) -> bool {
        self.issuing_ca_spki_sha256 == sender.issuing_ca_spki_sha256
            && self.cbe == sender.cbe
            && self.application == sender.application.as_str()
    }

    fn citation(&self) -> String {
        match &self.derogation {
            Some(derogation) => format!("{}; derogation: {derogation}", self.reference),
            None => self.reference.clone(),
        }
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
