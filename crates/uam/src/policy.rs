//! The policy file and its reading.

use std::collections::{BTreeMap, BTreeSet};

use erds::Sender;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::grant::{GrantEntry, Step};
use crate::signed::{SIGNATURE_LINE, split, with_signature};
use crate::tie::{self, MandateEntry, SuccessionEntry};
use crate::{
    Cidr, CidrError, Decision, Denied, Explained, Grant, Mandate, Question, Readable, Succession, Transaction,
};

/// A policy that was read whole and makes sense: every grant names a zone that exists and addresses inside it.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    version: u64,
    zones: BTreeMap<String, Zone>,
    grants: Vec<Grant>,
    mandates: Vec<Mandate>,
    successions: Vec<Succession>,
    text: String,
    signatures: Vec<Vec<u8>>,
    digest: [u8; 32],
}

/// What is wrong with a policy file: its writer's fault. The service does not start with it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// Not TOML, a key unknown or missing, a value of the wrong kind.
    #[error("{0}")]
    Form(String),
    /// An issuer that is neither 64 hex digits nor the name of a configured one.
    #[error("{place}: issuer `{issuer}` is neither 64 hex digits nor the name of a configured issuer")]
    Issuer {
        /// Which entry, as `grant 1`.
        place: String,
        /// As written.
        issuer: String,
    },
    /// No enterprise number.
    #[error("{place}: enterprise number: {error}")]
    Enterprise {
        /// Which entry.
        place: String,
        /// What is wrong with it.
        error: erds::IdentifierError,
    },
    /// A list that must name something is empty, or a text that must say something is.
    #[error("{place}: `{key}` is empty")]
    Empty {
        /// Which entry.
        place: String,
        /// Which key.
        key: &'static str,
    },
    /// A text that no record could take.
    #[error("{place}: `{key}` has {characters} characters; at most {TEXT_CHARACTERS_MAX}")]
    Long {
        /// Which entry.
        place: String,
        /// Which key.
        key: &'static str,
        /// How many.
        characters: usize,
    },
    /// An id that no act could name.
    #[error("{place}: id `{id}`; expected 1 to {ID_BYTES_MAX} letters, digits, `.`, `_` or `-`")]
    Id {
        /// Which entry.
        place: String,
        /// As written.
        id: String,
    },
    /// Two entries of one id.
    #[error("{place}: id `{id}` stands twice")]
    Repeated {
        /// The second entry.
        place: String,
        /// The id.
        id: String,
    },
    /// Sending and consulting in one grant: they are granted apart (N1).
    #[error("{place}: sending and consulting in one grant; give each its own")]
    Mixed {
        /// Which entry.
        place: String,
    },
    /// A mandate or a succession between an institution and itself.
    #[error("{place}: an institution and itself")]
    Itself {
        /// Which entry.
        place: String,
    },
    /// A grant rests on a mandate that is not in the file, or is another institution's.
    #[error("{place}: there is no mandate `{mandate}` to its institution")]
    MandateUnknown {
        /// Which entry.
        place: String,
        /// As written.
        mandate: String,
    },
    /// A zone that is not in the file.
    #[error("{place}: there is no zone `{zone}`")]
    ZoneUnknown {
        /// Which entry.
        place: String,
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
    #[error("{place}: an address lies outside zone `{zone}`")]
    AddressOutsideZone {
        /// Which entry.
        place: String,
        /// Its zone.
        zone: String,
    },
    /// A signature line that is none, or something behind the signatures.
    #[error(
        "line {line}: after the first `{SIGNATURE_LINE}` only such lines may follow, each with base64 alone"
    )]
    Signature {
        /// Which line, from 1.
        line: usize,
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
            Self::Long { .. } => "policy.long",
            Self::Id { .. } => "policy.id",
            Self::Repeated { .. } => "policy.repeated",
            Self::Mixed { .. } => "policy.mixed",
            Self::Itself { .. } => "policy.itself",
            Self::MandateUnknown { .. } => "policy.mandate.unknown",
            Self::ZoneUnknown { .. } => "policy.zone.unknown",
            Self::ZoneRepeated { .. } => "policy.zone.repeated",
            Self::AddressOutsideZone { .. } => "policy.address.outside-zone",
            Self::Signature { .. } => "policy.signature.form",
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
    version: u64,
    #[serde(default)]
    zone: Vec<ZoneEntry>,
    #[serde(default)]
    grant: Vec<GrantEntry>,
    #[serde(default)]
    mandate: Vec<MandateEntry>,
    #[serde(default)]
    succession: Vec<SuccessionEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneEntry {
    name: String,
    kind: ZoneKind,
    addresses: Vec<Cidr>,
}

/// What network a zone is of.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ZoneKind {
    Extranet,
    Private,
    Vpn,
    Internet,
}

impl ZoneKind {
    pub(crate) fn is_internet(self) -> bool {
        self == Self::Internet
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) kind: ZoneKind,
    pub(crate) addresses: Vec<Cidr>,
}

/// What differs between two policies.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Difference {
    /// Grants and mandates by id, successions as `A>B`: new ones.
    pub added: Vec<String>,
    /// Those with another text.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// The zones are others.
    pub zones: bool,
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
        let (text, signatures) = split(text)?;
        let file: File = toml::from_str(text).map_err(|error| PolicyError::Form(error.to_string()))?;
        let mut zones = BTreeMap::new();
        for entry in file.zone {
            let zone = Zone { kind: entry.kind, addresses: entry.addresses };
            if zones.insert(entry.name.clone(), zone).is_some() {
                return Err(PolicyError::ZoneRepeated { zone: entry.name });
            }
        }
        let grants =
            read_all("grant", file.grant, |entry, place| Grant::read(entry, place, &zones, issuers))?;
        let mandates = read_all("mandate", file.mandate, Mandate::read)?;
        let successions = read_all("succession", file.succession, Succession::read)?;
        once("grant", grants.iter().map(Grant::id))?;
        once("mandate", mandates.iter().map(Mandate::id))?;
        once("succession", successions.iter().map(Succession::name))?;
        for (grant, number) in grants.iter().zip(1..) {
            let Some(cited) = &grant.mandate else { continue };
            let known = |mandate: &Mandate| mandate.id == *cited && mandate.mandatary == grant.cbe;
            if !mandates.iter().any(known) {
                let (place, mandate) = (format!("grant {number}"), cited.clone());
                return Err(PolicyError::MandateUnknown { place, mandate });
            }
        }
        let digest = pki::digest::sha256(text.as_bytes());
        let text = text.to_owned();
        Ok(Self { version: file.version, zones, grants, mandates, successions, text, signatures, digest })
    }

    /// Which of the policies this is: a later one has a higher number; 0: it is not numbered.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// SHA-256 of the file's text, its signatures apart.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The text that is signed: the file up to its first signature.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures that it came with, DER, in the file's order; not judged.
    pub fn signatures(&self) -> &[Vec<u8>] {
        &self.signatures
    }

    /// The file, signatures and all.
    pub fn to_file(&self) -> String {
        self.signatures.iter().fold(self.text.clone(), |file, der| with_signature(&file, der))
    }

    /// How many grants there are.
    pub fn grants_count(&self) -> usize {
        self.grants.len()
    }

    /// The grants, in the file's order.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The mandates, in the file's order.
    pub fn mandates(&self) -> &[Mandate] {
        &self.mandates
    }

    /// The successions, in the file's order.
    pub fn successions(&self) -> &[Succession] {
        &self.successions
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
                Ok(()) => return Ok(self.decision(grant)),
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
                Explained { number, grant: grant.clone(), denied }
            })
            .collect()
    }

    /// Whose items the institution (10 digits) may read in this transaction: its own first.
    pub fn readable(&self, institution: &str, transaction: Transaction, at: Timestamp) -> Vec<Readable> {
        tie::readable(&self.mandates, &self.successions, institution, transaction, at)
    }

    /// What this policy changes of an earlier one.
    pub fn difference(&self, earlier: &Self) -> Difference {
        let mut difference =
            Difference { zones: !same_zones(&self.zones, &earlier.zones), ..Difference::default() };
        let (after, before) = (self.entries(), earlier.entries());
        for (id, text) in &after {
            match before.get(id) {
                None => difference.added.push(id.clone()),
                Some(former) if former != text => difference.changed.push(id.clone()),
                Some(_) => {}
            }
        }
        difference.removed.extend(before.into_keys().filter(|id| !after.contains_key(id)));
        difference
    }

    /// What each grant, mandate and succession says, by its name.
    fn entries(&self) -> BTreeMap<String, String> {
        let grants = self.grants.iter().map(|grant| (grant.id.clone(), format!("{grant:?}")));
        let mandates = self.mandates.iter().map(|it| (format!("mandate {}", it.id), format!("{it:?}")));
        let successions = self.successions.iter().map(|it| (it.name(), format!("{it:?}")));
        grants.chain(mandates).chain(successions).collect()
    }

    fn judge(&self, grant: &Grant, question: &Question<'_>) -> Result<(), Step> {
        let mandate_holds = grant.mandate.is_none()
            || self.mandate(grant).is_some_and(|mandate| mandate.holds(question.transaction, question.at));
        grant.judge(&self.zones, question, mandate_holds)
    }

    fn mandate(&self, grant: &Grant) -> Option<&Mandate> {
        let cited = grant.mandate.as_ref()?;
        self.mandates.iter().find(|mandate| mandate.id == *cited)
    }

    fn decision(&self, grant: &Grant) -> Decision {
        let citation = grant.citation();
        let grant_reference = match self.mandate(grant) {
            Some(mandate) => format!("{citation}; {}", mandate.citation()),
            None => citation,
        };
        Decision {
            grant_reference,
            policy_digest: self.digest,
            grant: Some(grant.id.clone()),
            program_number: grant.program_number.clone(),
            decision_id: None,
        }
    }
}

fn same_zones(one: &BTreeMap<String, Zone>, other: &BTreeMap<String, Zone>) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

fn read_all<E, T>(
    kind: &str,
    entries: Vec<E>,
    read: impl Fn(E, &str) -> Result<T, PolicyError>,
) -> Result<Vec<T>, PolicyError> {
    entries.into_iter().zip(1..).map(|(entry, number)| read(entry, &format!("{kind} {number}"))).collect()
}

fn once<T: Into<String>>(kind: &str, ids: impl Iterator<Item = T>) -> Result<(), PolicyError> {
    let mut seen = BTreeSet::new();
    for (id, number) in ids.map(Into::into).zip(1..) {
        if seen.contains(&id) {
            return Err(PolicyError::Repeated { place: format!("{kind} {number}"), id });
        }
        seen.insert(id);
    }
    Ok(())
}

/// A text that is there says something, and fits a record.
pub(crate) fn filled(place: &str, key: &'static str, text: Option<&str>) -> Result<(), PolicyError> {
    let Some(text) = text else { return Ok(()) };
    let place = place.to_owned();
    if text.trim().is_empty() {
        return Err(PolicyError::Empty { place, key });
    }
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if key == "id" && (text.len() > ID_BYTES_MAX || !text.bytes().all(named)) {
        return Err(PolicyError::Id { place, id: text.chars().take(ID_BYTES_MAX).collect() });
    }
    match text.chars().count() {
        characters if characters > TEXT_CHARACTERS_MAX => Err(PolicyError::Long { place, key, characters }),
        _ => Ok(()),
    }
}

/// The day by which ends are judged: UTC.
pub(crate) fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The most characters of a text of the policy: citations of a grant, its derogation and its mandate stand in one record.
pub const TEXT_CHARACTERS_MAX: usize = 200;
/// The most bytes of an id: an act names dozens of them.
pub const ID_BYTES_MAX: usize = 64;

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
