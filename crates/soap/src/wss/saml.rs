//! SAML assertions that confirm a key: who the person is behind the application that signs.
//!
//! The sender is who he is by his certificate, as without an assertion. The assertion is by a configured token service, for this
//! service, valid now, and about the holder of exactly the key that signs the message and opens the TLS connection.
//!
//! Sources: WSS SAML Token Profile 1.1 §3.4–3.5 (holder-of-key), SAML 2.0 Core §2, SAML 1.1 Core §2; `security.md` row 88.

mod parts;
mod v1;
mod v2;

use super::namespace::DS;
use super::refuse::security;
use super::timestamp::instant;
use super::token::lone_certificate;
use erds::refusal::Refusal;
use jiff::{SignedDuration, Timestamp};
use pki::certificate::Certificate;
use xmlsec::Element;
use xmlsec::signature::{Enveloped, Profile, Signature, verify_enveloped};

/// The namespace of SAML 1.1 assertions.
pub const SAML_11: &str = "urn:oasis:names:tc:SAML:1.0:assertion";
/// The namespace of SAML 2.0 assertions.
pub const SAML_20: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// `ValueType` of a KeyIdentifier that names a SAML 1.1 assertion.
pub const ASSERTION_ID_11: &str =
    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID";
/// `ValueType` of a KeyIdentifier that names a SAML 2.0 assertion.
pub const ASSERTION_ID_20: &str = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID";

/// A token service whose assertions are taken: by its name and by its keys.
#[derive(Clone, Debug)]
pub struct TokenService {
    /// What its assertions say as Issuer.
    pub issuer: String,
    /// The certificates of its keys, trusted themselves; out of their time they count for nothing.
    pub certificates: Vec<Certificate>,
    /// What an AudienceRestriction must name: this service, as that token service knows it.
    pub audience: String,
}

/// Which assertions are taken.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The token services; none: no assertion is taken.
    pub services: &'a [TokenService],
    /// The certificate of the TLS connection: the confirmed key must be its key.
    pub tls: &'a Certificate,
}

/// What an assertion that was judged says of the person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person {
    /// The token service.
    pub issuer: String,
    /// The assertion's own id.
    pub assertion_id: String,
    /// The subject's name, as the token service gives it.
    pub name: String,
    /// Whether the assertion may be used once only (OneTimeUse, DoNotCacheCondition).
    pub once: bool,
}

/// An assertion as it stands, judged by nobody yet.
pub(super) struct Assertion<'d> {
    element: Element<'d>,
    id: String,
    issuer: String,
    name: String,
    not_before: Option<Timestamp>,
    not_on_or_after: Timestamp,
    /// Each restriction, with its audiences: all must be met.
    audiences: Vec<Vec<String>>,
    once: bool,
    /// Of the subject confirmation.
    window: parts::Window,
    confirmed: Certificate,
    signature: Element<'d>,
}

/// Whether the element is an assertion of either version.
pub(super) fn is_assertion(element: Element<'_>) -> bool {
    element.is(SAML_11, "Assertion") || element.is(SAML_20, "Assertion")
}

impl<'d> Assertion<'d> {
    /// Reads an assertion strictly: what is not known here is refused, not skipped.
    pub(super) fn read(element: Element<'d>) -> Result<Self, Refusal> {
        if element.is(SAML_20, "Assertion") { v2::read(element) } else { v1::read(element) }
    }

    pub(super) fn element(&self) -> Element<'d> {
        self.element
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The certificate of the key that the subject must hold.
    pub(super) fn confirmed(&self) -> &Certificate {
        &self.confirmed
    }

    /// Judges it: its token service, its time, its audience, its signature, and that `signer`'s key is the confirmed one and the
    /// TLS connection's.
    pub(super) fn judge(
        &self,
        rules: Rules<'_>,
        signer: &Certificate,
        profile: &Profile,
        now: Timestamp,
        skew_seconds: u64,
    ) -> Result<Person, Refusal> {
        let known: Vec<&TokenService> =
            rules.services.iter().filter(|service| service.issuer == self.issuer).collect();
        if known.is_empty() {
            return Err(refused("wss.saml.issuer", &self.issuer, "a token service that this service trusts"));
        }
        self.judge_time(now, skew_seconds)?;
        let service = *known
            .iter()
            .find(|service| self.audiences.iter().all(|one| one.contains(&service.audience)))
            .ok_or_else(|| {
                form("wss.assertion.audience", &format!("{:?}", self.audiences), "this service's name")
            })?;
        self.verify(service, profile, now)?;
        let key = self.confirmed.spki_sha256();
        if key != signer.spki_sha256() || key != rules.tls.spki_sha256() {
            return Err(refused(
                "wss.saml.key",
                "a confirmed key that is not the one that signs, or not the one of the TLS connection",
                "one key: confirmed by the assertion, signing the message, opening the connection",
            ));
        }
        Ok(Person {
            issuer: self.issuer.clone(),
            assertion_id: self.id.clone(),
            name: self.name.clone(),
            once: self.once,
        })
    }

    fn judge_time(&self, now: Timestamp, skew_seconds: u64) -> Result<(), Refusal> {
        let skew = SignedDuration::from_secs(i64::try_from(skew_seconds).unwrap_or(i64::MAX));
        let begins = [self.not_before, self.window.not_before].into_iter().flatten().max();
        let ends =
            self.window.not_on_or_after.map_or(self.not_on_or_after, |end| end.min(self.not_on_or_after));
        if begins.is_some_and(|begin| begin.duration_since(now) > skew) || now.duration_since(ends) >= skew {
            let seen = format!("{begins:?} to {ends}");
            return Err(form("wss.assertion.time", &seen, &format!("an assertion that is valid at {now}")));
        }
        Ok(())
    }

    /// The signature within it, over it whole, by a key of its token service.
    fn verify(&self, service: &TokenService, profile: &Profile, now: Timestamp) -> Result<(), Refusal> {
        let profile = Profile { enveloped: Enveloped::Allowed, str_transform: false, ..profile.clone() };
        let wrong = |seen: &str| {
            refused("wss.saml.signature", seen, "a signature over the assertion by its token service")
        };
        let signature = Signature::parse(self.signature).map_err(|error| wrong(&error.to_string()))?;
        let in_time =
            service.certificates.iter().filter(|one| one.not_before() <= now && now <= one.not_after());
        let mut told = String::from("no certificate of the token service is in its time");
        for certificate in in_time {
            match verify_enveloped(&signature, self.element, &self.id, certificate.public_key(), &profile) {
                Ok(_) => return Ok(()),
                Err(error) => told = error.to_string(),
            }
        }
        Err(wrong(&told))
    }
}

/// What is wrong with an assertion's form: no oracle, told in full.
fn form(check: &'static str, seen: &str, expected: &str) -> Refusal {
    security(check, seen, expected, "Ask your token service for an assertion of that form, for this service.")
}

/// What would tell a guesser something: the class alone is told.
fn refused(check: &'static str, seen: &str, expected: &str) -> Refusal {
    security(
        check,
        seen,
        expected,
        "Get an assertion for your own key from a token service that the platform knows.",
    )
}
