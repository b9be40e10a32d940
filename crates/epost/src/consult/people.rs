//! Who may ask for, decide and audit consultations: people by their personal certificates.

use std::collections::BTreeSet;

use erds::record::Hex32;
use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::path::{Purpose, Revocation};

use super::{ConsultError, Facts};
use crate::config::{Consult, Role};
use crate::trust::{self, Authorities, TrustError};

/// The people of a configuration, and the authorities that vouch for their certificates.
pub struct People {
    authorities: Authorities,
    listed: Vec<Listed>,
}

struct Listed {
    name: String,
    certificates: Vec<Hex32>,
    roles: Vec<Role>,
}

/// A person who came with a certificate in force; only [`People::admit`] makes one.
#[derive(Clone, Debug)]
pub struct Person {
    /// The configured name: two entries never share one.
    pub name: String,
    /// SHA-256 of the certificate that the person came with.
    pub certificate: Hex32,
    /// The certificate's subject.
    pub subject: String,
    roles: Vec<Role>,
}

/// Why the people of a configuration cannot be used; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// Files of authorities and CRLs.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// An entry that cannot be.
    #[error("consult.entry: {option}: {seen}; expected {expected}")]
    Entry {
        /// Which option.
        option: &'static str,
        /// What was found.
        seen: String,
        /// What was expected.
        expected: &'static str,
    },
}

impl People {
    /// Reads the configured authorities and judges the list: no name and no certificate twice, or one person could be two.
    ///
    /// # Errors
    /// [`PeopleError`].
    pub fn read(config: &Consult) -> Result<Self, PeopleError> {
        let entry = |option, seen: &dyn std::fmt::Display, expected| PeopleError::Entry {
            option,
            seen: seen.to_string(),
            expected,
        };
        let (mut names, mut seen, mut listed) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for person in &config.person {
            let name = person.name.trim().to_owned();
            if name.is_empty()
                || name.chars().count() > NAME_CHARACTERS_MAX
                || !names.insert(name.to_lowercase())
            {
                return Err(entry(
                    "consult.person.name",
                    &person.name,
                    "1 to 200 characters, one entry a person",
                ));
            }
            let certificates = trust::fingerprints(&person.certificates, &mut seen).map_err(|text| {
                let expected = "SHA-256 fingerprints in hex, each of one person";
                entry("consult.person.certificates", &text, expected)
            })?;
            listed.push(Listed { name, certificates, roles: person.roles.clone() });
        }
        if config.results_max == 0 || config.results_max > RESULTS_MAX {
            return Err(entry("consult.results_max", &config.results_max, "1 to 10000"));
        }
        if config.validity_hours == 0 {
            return Err(entry("consult.validity_hours", &config.validity_hours, "1 or more"));
        }
        let authorities = Authorities::read(&config.anchors, &config.intermediates, &config.crls)?;
        Ok(Self { authorities, listed })
    }

    /// Who vouches for them, for the door's handshake.
    pub fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// Who comes with this certificate, in force at `now` by the CRL files as they are now: consultations are rare.
    ///
    /// # Errors
    /// `Certificate`, `Stranger`, `Trust`.
    pub fn admit(&self, certificate: &Certificate, now: Timestamp) -> Result<Person, ConsultError> {
        let crls = self.authorities.crls().map_err(ConsultError::Trust)?;
        let anchors = self.authorities.anchors();
        anchors
            .validate(certificate, &[], Revocation::HardFail(&crls), Purpose::TlsClient, now)
            .map_err(ConsultError::Certificate)?;
        let fingerprint = Hex32(certificate.fingerprint());
        let known = self.listed.iter().find(|listed| listed.certificates.contains(&fingerprint));
        let known = known.ok_or_else(|| ConsultError::Stranger { fingerprint: fingerprint.to_hex() })?;
        Ok(Person {
            name: known.name.clone(),
            certificate: fingerprint,
            subject: erds::record::bounded(&certificate.subject().to_string()),
            roles: known.roles.clone(),
        })
    }
}

impl Person {
    /// Whether the person has the role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    pub(crate) fn require(&self, role: Role) -> Result<(), ConsultError> {
        match self.has(role) {
            true => Ok(()),
            false => Err(ConsultError::Role { name: self.name.clone(), role }),
        }
    }

    pub(super) fn facts(&self, consultation: u64) -> Facts {
        Facts {
            consultation,
            certificate: self.certificate,
            expires_at: None,
            results: None,
            more: None,
            package: None,
        }
    }
}

const NAME_CHARACTERS_MAX: usize = 200;
/// What an operator may allow at most: each result is held in memory, and may have 8 KiB.
const RESULTS_MAX: usize = 10_000;
