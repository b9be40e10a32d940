//! Who opens which folder: by certificate alone, never by anything that a request says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use erds::record::Hex32;
use erds::{EnterpriseNumber, Strictness};
use jiff::{SignedDuration, Timestamp};
use pki::certificate::Certificate;
use pki::crl::CrlSet;
use pki::path::{PathError, Purpose, Revocation};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Batch;
use crate::trust::{self, Authorities, TrustError};

/// The partners of a configuration, and the authorities that vouch for their certificates.
pub struct Partners {
    authorities: Authorities,
    /// As read at that time.
    crls: Mutex<Option<(Timestamp, Arc<CrlSet>)>>,
    by_certificate: HashMap<Hex32, EnterpriseNumber>,
    places: BTreeMap<String, Arc<Semaphore>>,
}

/// A partner who came with a certificate in force; only [`Partners::admit`] makes one.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Whose folder it is: an enterprise number.
    pub cbe: EnterpriseNumber,
    /// SHA-256 of the certificate.
    pub certificate: Hex32,
    _place: Arc<OwnedSemaphorePermit>,
}

/// Why the partners of a configuration cannot be used; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum PartnersError {
    /// Files of authorities and CRLs.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// An entry that cannot be.
    #[error("batch.entry: {option}: {seen}; expected {expected}")]
    Entry {
        /// Which option.
        option: &'static str,
        /// What was found.
        seen: String,
        /// What was expected.
        expected: &'static str,
    },
}

/// Why somebody is not let in. The door answers all but the last alike.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// Not in force, or of no authority of partners: the visitor's to mend.
    #[error("{0}")]
    Certificate(PathError),
    /// The CRLs cannot be read: the operator's to mend.
    #[error("{0}")]
    Trust(TrustError),
    /// A good certificate of nobody who is listed.
    #[error("a certificate of no partner")]
    Stranger,
    /// More connections than one partner may have.
    #[error("more connections than batch.connections_per_partner_max")]
    Crowded,
}

impl Denied {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "batch.certificate",
            Self::Trust(_) => "batch.crls",
            Self::Stranger => "batch.stranger",
            Self::Crowded => "batch.crowded",
        }
    }
}

impl Partners {
    /// Reads the configured authorities and judges the list: no institution and no certificate twice, or one folder could be
    /// another's.
    ///
    /// # Errors
    /// [`PartnersError`].
    pub fn read(config: &Batch) -> Result<Self, PartnersError> {
        let entry = |option, seen: &dyn std::fmt::Display, expected| PartnersError::Entry {
            option,
            seen: seen.to_string(),
            expected,
        };
        let (mut by_certificate, mut seen, mut places) = (HashMap::new(), BTreeSet::new(), BTreeMap::new());
        for partner in &config.partner {
            let cbe = EnterpriseNumber::parse(&partner.cbe, Strictness::Lax);
            let cbe = cbe.map_err(|error| entry("batch.partner.cbe", &error, "10 digits"))?;
            let place = Arc::new(Semaphore::new(config.connections_per_partner_max));
            if places.insert(cbe.digits().to_owned(), place).is_some() {
                return Err(entry("batch.partner.cbe", &partner.cbe, "one entry an institution"));
            }
            let own = trust::fingerprints(&partner.certificates, &mut seen).map_err(|text| {
                let expected = "SHA-256 fingerprints in hex, each of one partner";
                entry("batch.partner.certificates", &text, expected)
            })?;
            by_certificate.extend(own.into_iter().map(|fingerprint| (fingerprint, cbe.clone())));
        }
        let authorities = Authorities::read(&config.anchors, &config.intermediates, &config.crls)?;
        Ok(Self { authorities, crls: Mutex::default(), by_certificate, places })
    }

    /// Who vouches for them, for the door's handshake.
    pub fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// Who has a folder: enterprise numbers of 10 digits.
    pub fn numbers(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// Who comes with this certificate, in force at `now` by CRLs read within the last minute.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn admit(&self, certificate: &Certificate, now: Timestamp) -> Result<Visitor, Denied> {
        let crls = self.current_crls(now).map_err(Denied::Trust)?;
        let anchors = self.authorities.anchors();
        anchors
            .validate(certificate, &[], Revocation::HardFail(&crls), Purpose::TlsClient, now)
            .map_err(Denied::Certificate)?;
        let certificate = Hex32(certificate.fingerprint());
        let cbe = self.by_certificate.get(&certificate).ok_or(Denied::Stranger)?;
        let place = self.places.get(cbe.digits()).cloned().ok_or(Denied::Stranger)?;
        let place = place.try_acquire_owned().map_err(|_| Denied::Crowded)?;
        Ok(Visitor { cbe: cbe.clone(), certificate, _place: Arc::new(place) })
    }

    fn current_crls(&self, now: Timestamp) -> Result<Arc<CrlSet>, TrustError> {
        let mut known = self.crls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read_at, crls)) = known.as_ref() {
            let age = now.duration_since(*read_at);
            if !age.is_negative() && age < CRLS_AGE_MAX {
                return Ok(crls.clone());
            }
        }
        let crls = Arc::new(self.authorities.crls()?);
        *known = Some((now, crls.clone()));
        Ok(crls)
    }
}

const CRLS_AGE_MAX: SignedDuration = SignedDuration::from_secs(60);
