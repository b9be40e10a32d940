//! Who sends and who receives.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::identifier::{ApplicationId, EnterpriseNumber, QualityCode, Ssin, Strictness};

/// The one recipient of an item, exactly as the sender gave it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Recipient {
    /// A natural person.
    Citizen {
        /// The person's number.
        inss: Ssin,
        /// `CITIZEN`.
        quality: QualityCode,
    },
    /// An enterprise, or its mandatary, in a quality.
    Enterprise {
        /// The enterprise named in that quality; no employer is inferred.
        company: EnterpriseNumber,
        /// The quality.
        quality: QualityCode,
    },
}

impl Recipient {
    /// The quality in which the recipient is addressed.
    pub fn quality(&self) -> &QualityCode {
        match self {
            Self::Citizen { quality, .. } | Self::Enterprise { quality, .. } => quality,
        }
    }

    /// The `xsi:type` on the wire: `Citizen` or `Enterprise`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Citizen { .. } => "Citizen",
            Self::Enterprise { .. } => "Enterprise",
        }
    }

    /// The identifying number as given.
    pub fn number_as_given(&self) -> &str {
        match self {
            Self::Citizen { inss, .. } => inss.as_given(),
            Self::Enterprise { company, .. } => company.as_given(),
        }
    }

    /// Judges the number again; `Lax` values come from an item stored under another switch.
    ///
    /// # Errors
    /// The identifier's error.
    pub fn check(&self, strictness: Strictness, today: Date) -> Result<(), crate::IdentifierError> {
        match self {
            Self::Citizen { inss, .. } => Ssin::parse(inss.as_given(), strictness, today).map(drop),
            Self::Enterprise { company, .. } => {
                EnterpriseNumber::parse(company.as_given(), strictness).map(drop)
            }
        }
    }
}

/// Who sends, read from a certificate whose path is valid; never from a message's body.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Sender {
    /// The institution: the owner of what it sends.
    pub cbe: EnterpriseNumber,
    /// The application: the certificate's CN.
    pub application: ApplicationId,
    /// SHA-256 of the issuing authority's SubjectPublicKeyInfo: the issuer by its key, never by its name.
    #[serde(with = "crate::record::hex32")]
    pub issuing_ca_spki_sha256: [u8; 32],
    /// The environment that the certificate is for.
    pub environment: Environment,
}

impl Sender {
    /// Institution and application, as logs and reports name a sender.
    pub fn name(&self) -> String {
        format!("{} {}", self.cbe.digits(), self.application.as_str())
    }
}

/// Why a certificate names no sender: the holder's fault, or its authority's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// No OU holds an enterprise number.
    #[error("no OU of the form {CBE_URN}<10 digits>")]
    EnterpriseMissing,
    /// More than one OU holds an enterprise number.
    #[error("more than one OU of the form {CBE_URN}<10 digits>")]
    EnterpriseRepeated,
    /// The enterprise number is none.
    #[error("the enterprise number in the OU is not valid")]
    EnterpriseInvalid,
    /// No OU names an environment.
    #[error("no OU names an environment (PRD, ACC, INT …)")]
    EnvironmentMissing,
    /// More than one OU names an environment.
    #[error("more than one OU names an environment")]
    EnvironmentRepeated,
    /// Not exactly one CN.
    #[error("not exactly one CN")]
    ApplicationCount,
    /// The CN is no application's name.
    #[error("the CN is empty, over 150 characters or holds control characters")]
    ApplicationInvalid,
}

impl IdentityError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::EnterpriseMissing => "identity.enterprise.missing",
            Self::EnterpriseRepeated => "identity.enterprise.repeated",
            Self::EnterpriseInvalid => "identity.enterprise.invalid",
            Self::EnvironmentMissing => "identity.environment.missing",
            Self::EnvironmentRepeated => "identity.environment.repeated",
            Self::ApplicationCount => "identity.application.count",
            Self::ApplicationInvalid => "identity.application.invalid",
        }
    }
}

/// How an OU begins that holds an enterprise number.
pub const CBE_URN: &str = "urn:be:fgov:kbo-bce:organization:cbe-number:";

impl Sender {
    /// Reads the sender from the leaf of a validated path.
    ///
    /// # Errors
    /// [`IdentityError`]: the certificate does not name exactly one institution, application and environment.
    /// Source: contract.md, "Who the sender is".
    ///
    /// A certificate whose path nobody judged names nobody (`security.md` rule 4):
    /// ```
    /// use erds::Sender;
    /// fn sender(path: &pki::path::ValidPath) -> bool {
    ///     Sender::from_path(path).is_ok()
    /// }
    /// ```
    /// ```compile_fail,E0308
    /// use erds::Sender;
    /// fn sender(path: &pki::certificate::Certificate) -> bool {
    ///     Sender::from_path(path).is_ok()
    /// }
    /// ```
    pub fn from_path(path: &pki::path::ValidPath) -> Result<Self, IdentityError> {
        use pki::certificate::NameAttribute::{CommonName, OrganizationalUnit};
        let subject = path.leaf().subject();
        let units: Vec<&str> = subject.values(OrganizationalUnit).collect();
        let names: Vec<&str> = subject.values(CommonName).collect();
        Self::from_names(&units, &names, path.issuing_ca().spki_sha256())
    }

    /// Reads the sender from the subject's OUs and CNs, every one of them, as decoded.
    ///
    /// Calling it for a certificate whose path was not validated proves nothing.
    ///
    /// # Errors
    /// As [`Sender::from_path`].
    pub fn from_names(
        units: &[&str],
        common_names: &[&str],
        issuing_ca_spki_sha256: [u8; 32],
    ) -> Result<Self, IdentityError> {
        let mut numbers = units.iter().filter_map(|unit| unit.strip_prefix(CBE_URN));
        let number = numbers.next().ok_or(IdentityError::EnterpriseMissing)?;
        if numbers.next().is_some() {
            return Err(IdentityError::EnterpriseRepeated);
        }
        let cbe = EnterpriseNumber::parse(number, Strictness::Strict)
            .map_err(|_| IdentityError::EnterpriseInvalid)?;
        let mut environments = units.iter().filter_map(|unit| Environment::from_name(unit));
        let environment = environments.next().ok_or(IdentityError::EnvironmentMissing)?;
        if environments.next().is_some() {
            return Err(IdentityError::EnvironmentRepeated);
        }
        let [name] = common_names else { return Err(IdentityError::ApplicationCount) };
        if name.chars().any(char::is_control) {
            return Err(IdentityError::ApplicationInvalid);
        }
        let application = ApplicationId::parse(name).map_err(|_| IdentityError::ApplicationInvalid)?;
        Ok(Self { cbe, application, issuing_ca_spki_sha256, environment })
    }

    /// Whether both are the same institution's same application (the certificates may differ).
    pub fn same_party(&self, other: &Self) -> bool {
        self.cbe == other.cbe && self.application == other.application
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CBE: &str = "urn:be:fgov:kbo-bce:organization:cbe-number:0123456749";
    const GOVERNMENT: &str = "Belgian Federal Government";

    #[test]
    fn one_of_each() {
        let sender = Sender::from_names(&[GOVERNMENT, CBE, "TST"], &["urn:be:app"], [7; 32]).unwrap();
        assert_eq!(sender.cbe.digits(), "0123456749");
        assert_eq!(sender.environment, Environment::Tst);
        let again: Sender = serde_json::from_str(&serde_json::to_string(&sender).unwrap()).unwrap();
        assert_eq!(again, sender);
    }

    #[test]
    fn nine_digits_are_padded() {
        let sender = Sender::from_names(
            &["urn:be:fgov:kbo-bce:organization:cbe-number:000000196", "ACC"],
            &["a"],
            [0; 32],
        );
        assert_eq!(sender.unwrap().cbe.digits(), "0000000196");
    }

    #[test]
    fn anything_else_is_refused() {
        let other = "urn:be:fgov:kbo-bce:organization:cbe-number:0000000196";
        let wrong = "urn:be:fgov:kbo-bce:organization:cbe-number:0123456789";
        let long = "x".repeat(151);
        let cases: &[(&[&str], &[&str], IdentityError)] = &[
            (&["PRD"], &["a"], IdentityError::EnterpriseMissing),
            (&["PRD", CBE, other], &["a"], IdentityError::EnterpriseRepeated),
            (&["PRD", CBE, CBE], &["a"], IdentityError::EnterpriseRepeated),
            (&["PRD", wrong], &["a"], IdentityError::EnterpriseInvalid),
            (&[CBE], &["a"], IdentityError::EnvironmentMissing),
            (&[CBE, "prd"], &["a"], IdentityError::EnvironmentMissing),
            (&[CBE, "PRD", "ACC"], &["a"], IdentityError::EnvironmentRepeated),
            (&[CBE, "PRD"], &[], IdentityError::ApplicationCount),
            (&[CBE, "PRD"], &["a", "b"], IdentityError::ApplicationCount),
            (&[CBE, "PRD"], &[""], IdentityError::ApplicationInvalid),
            (&[CBE, "PRD"], &["a\nb"], IdentityError::ApplicationInvalid),
            (&[CBE, "PRD"], &[&long], IdentityError::ApplicationInvalid),
        ];
        for (units, names, expected) in cases {
            assert_eq!(Sender::from_names(units, names, [0; 32]), Err(*expected), "{units:?} {names:?}");
        }
    }
}
