//! Paths to trust anchors: RFC 5280 by OpenSSL's store, and on top our own judgement of keys, usages and revocation.
//!
//! Source: RFC 5280 §6; `security.md` rows 43–46.

use std::sync::Arc;

use jiff::Timestamp;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509StoreContext};

use crate::cache::Cache;
use crate::certificate::{Certificate, SHA2_SIGNATURES};
use crate::crl::{CrlAnswer, CrlSet};
use crate::policy;
use crate::window::Window;

/// What a leaf is to be used for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Purpose {
    /// Signing a message (WS-Security).
    MessageSigning,
    /// A TLS client.
    TlsClient,
    /// A TLS server.
    TlsServer,
    /// Sealing a proof: digitalSignature and nonRepudiation, no extended key usage.
    Sealing,
    /// Time-stamping: critical, sole extended key usage (RFC 3161 §2.3).
    TimeStamping,
}

/// How revocation is judged.
///
/// By what is at hand, never by an address that a certificate names (`security.md` rule 6):
/// ```
/// use pki::path::{Purpose, Revocation, TrustAnchors};
/// fn judge(anchors: &TrustAnchors, leaf: &pki::certificate::Certificate, held: &pki::crl::CrlSet, now: jiff::Timestamp) {
///     let _ = anchors.validate(leaf, &[], Revocation::HardFail(held), Purpose::TlsClient, now);
/// }
/// ```
/// ```compile_fail,E0308
/// use pki::path::{Purpose, Revocation, TrustAnchors};
/// fn judge(anchors: &TrustAnchors, leaf: &pki::certificate::Certificate, held: &str, now: jiff::Timestamp) {
///     let _ = anchors.validate(leaf, &[], Revocation::HardFail(held), Purpose::TlsClient, now);
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Revocation<'a> {
    /// A current CRL or OCSP response for every certificate below the anchor, or the path is refused.
    HardFail(&'a CrlSet),
    /// Not judged here.
    NotChecked,
}

/// Certificates that are trusted by their keys, and intermediates that help to reach them.
///
/// Neither ever changes: other anchors are another value, with a memory of its own.
pub struct TrustAnchors {
    anchors: Vec<Certificate>,
    intermediates: Vec<Certificate>,
    policies: Vec<String>,
    held: Cache<Question, Held>,
}

/// A path that held: leaf first, anchor last. Only [`TrustAnchors::validate`] makes one.
///
/// Nobody else puts one together (`security.md` rule 4):
/// ```
/// use pki::path::ValidPath;
/// fn made(of: ValidPath) -> ValidPath {
///     of
/// }
/// ```
/// ```compile_fail,E0451
/// use pki::path::ValidPath;
/// fn made(of: ValidPath) -> ValidPath {
///     ValidPath { ..of }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ValidPath {
    chain: Arc<[Certificate]>,
}

/// What was asked, but for the time and the revocation data. Certificates stand by the SHA-256 of their bytes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Question {
    leaf: [u8; 32],
    extra: Vec<[u8; 32]>,
    purpose: Purpose,
    revocation_checked: bool,
}

/// A path that held, and what that rests on.
#[derive(Clone, Debug)]
struct Held {
    path: ValidPath,
    /// [`CrlSet::identity`]; none where revocation was not asked for.
    judged_by: Option<u64>,
    window: Window,
}

/// Why a path does not hold: the most telling reason.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PathError {
    /// Past its end.
    #[error("{subject} expired on {at}")]
    Expired {
        /// Whose certificate.
        subject: String,
        /// Its end.
        at: Timestamp,
    },
    /// Before its begin.
    #[error("{subject} is not valid before {at}")]
    NotYetValid {
        /// Whose certificate.
        subject: String,
        /// Its begin.
        at: Timestamp,
    },
    /// No path to an anchor.
    #[error("no path from {subject} to a trusted authority")]
    UnknownIssuer {
        /// Whose certificate.
        subject: String,
    },
    /// A CRL names it.
    #[error("{subject} was revoked on {at}")]
    Revoked {
        /// Whose certificate.
        subject: String,
        /// Since when.
        at: Timestamp,
    },
    /// Its issuer's responder says that it does not know it.
    #[error("the authority's responder does not know {subject}")]
    StatusUnknown {
        /// Whose certificate.
        subject: String,
    },
    /// No CRL or OCSP response of its issuer is at hand.
    #[error("no revocation data for {subject}")]
    CrlMissing {
        /// Whose certificate.
        subject: String,
    },
    /// Its issuer's CRLs and OCSP responses are not current.
    #[error("no current revocation data for {subject}")]
    CrlStale {
        /// Whose certificate.
        subject: String,
    },
    /// keyUsage, extKeyUsage or basicConstraints do not fit the purpose.
    #[error("{subject} is not for this use: {expected}")]
    WrongUsage {
        /// Whose certificate.
        subject: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A key that is too weak.
    #[error("{subject} has {cause}")]
    WeakKey {
        /// Whose certificate.
        subject: String,
        /// What was expected.
        cause: crate::certificate::WeakKey,
    },
    /// Issued with SHA-1, MD5 or an unknown algorithm.
    #[error("{subject} was issued with algorithm {algorithm}, expected SHA-2")]
    WeakSignature {
        /// Whose certificate.
        subject: String,
        /// The algorithm, dotted.
        algorithm: String,
    },
    /// None of the required certificate policies holds for the whole path, or an authority's own demand is not met.
    #[error("{subject} is not under a required certificate policy: expected {expected}")]
    Policy {
        /// Whose certificate.
        subject: String,
        /// The policies that are accepted, dotted.
        expected: String,
    },
    /// Another rule of RFC 5280 §6.
    #[error("path of {subject}: {reason}")]
    Rule {
        /// Whose certificate.
        subject: String,
        /// What the store said.
        reason: String,
    },
}

impl PathError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "path.expired",
            Self::NotYetValid { .. } => "path.not-yet-valid",
            Self::UnknownIssuer { .. } => "path.unknown-issuer",
            Self::Revoked { .. } => "path.revoked",
            Self::StatusUnknown { .. } => "path.status-unknown",
            Self::CrlMissing { .. } => "path.crl-missing",
            Self::CrlStale { .. } => "path.crl-stale",
            Self::WrongUsage { .. } => "path.wrong-usage",
            Self::WeakKey { .. } => "path.weak-key",
            Self::WeakSignature { .. } => "path.weak-signature",
            Self::Policy { .. } => "path.policy",
            Self::Rule { .. } => "path.rule",
        }
    }
}

impl ValidPath {
    /// The certificate that was asked about.
    pub fn leaf(&self) -> &Certificate {
        // A path has a leaf and an anchor: validate() sees to it.
        &self.chain[0]
    }

    /// Leaf, intermediates, anchor.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The authority that issued the leaf.
    pub fn issuing_ca(&self) -> &Certificate {
        &self.chain[1]
    }
}

impl TrustAnchors {
    /// Anchors are trusted for their keys; intermediates for nothing.
    pub fn new(anchors: Vec<Certificate>, intermediates: Vec<Certificate>) -> Self {
        Self { anchors, intermediates, policies: Vec::new(), held: Cache::new(PATHS_HELD_MAX) }
    }

    /// The same, but a path holds only under one of these certificate policies (dotted); none: under any or none.
    ///
    /// The whole path must be under it (RFC 5280 §6.1). Policies are not mapped: a path that reaches one of these only by
    /// policyMappings is refused.
    #[must_use]
    pub fn requiring_policies(self, policies: Vec<String>) -> Self {
        Self { policies, held: Cache::new(PATHS_HELD_MAX), ..self }
    }

    /// The anchors.
    pub fn anchors(&self) -> &[Certificate] {
        &self.anchors
    }

    /// How many paths are remembered now.
    pub fn paths_held(&self) -> usize {
        self.held.len()
    }

    /// Finds and judges a path from `leaf`, over `extra` and the known intermediates, at the time `at`.
    ///
    /// A path that held is remembered, at most [`PATHS_HELD_MAX`] of them, and given again to the same question, while every
    /// certificate of it is valid and as long as the same lists of the same [`CrlSet`] are current. No refusal is remembered.
    ///
    /// # Errors
    /// [`PathError`]: the fault of who presents the leaf, but for missing and stale CRLs, which the operator mends.
    pub fn validate(
        &self,
        leaf: &Certificate,
        extra: &[Certificate],
        revocation: Revocation<'_>,
        purpose: Purpose,
        at: Timestamp,
    ) -> Result<ValidPath, PathError> {
        let judged_by = revocation.identity();
        let question = Question {
            leaf: leaf.fingerprint(),
            extra: extra.iter().map(Certificate::fingerprint).collect(),
            purpose,
            revocation_checked: judged_by.is_some(),
        };
        if let Some(held) = self.held.get(&question)
            && held.judged_by == judged_by
            && held.window.contains(at)
        {
            return Ok(held.path);
        }
        let found = self.find(leaf, extra, revocation, purpose, at);
        match &found {
            Ok(path) => {
                path.chain.iter().for_each(Certificate::remember);
                // Fresh revocation data: nothing that was judged by what is gone stays.
                if judged_by.is_some() {
                    self.held.retain(|held| held.judged_by.is_none() || held.judged_by == judged_by);
                }
                let window = path.window(at).and(revocation.window(at));
                self.held.insert(question, Held { path: path.clone(), judged_by, window });
            }
            Err(_) => self.held.remove(&question),
        }
        found
    }

    /// [`TrustAnchors::validate`], as if for the first time.
    fn find(
        &self,
        leaf: &Certificate,
        extra: &[Certificate],
        revocation: Revocation<'_>,
        purpose: Purpose,
        at: Timestamp,
    ) -> Result<ValidPath, PathError> {
        // Said first, because OpenSSL stops at the issuer when both are wrong. To it the last second is past already.
        let last =
            leaf.not_after().saturating_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(leaf.not_after());
        if leaf.not_after() < at
            && let Ok(path) = self.build(leaf, extra, last)
        {
            path.refuse_revoked(revocation, at)?;
            return Err(PathError::Expired { subject: leaf.subject().to_string(), at: leaf.not_after() });
        }
        let path = self.build(leaf, extra, at)?;
        path.refuse_revoked(revocation, at)?;
        path.check_strength()?;
        path.check_authorities()?;
        path.check_usage(purpose)?;
        path.check_policies(&self.policies)?;
        path.check_revocation(revocation, at)?;
        Ok(path)
    }

    fn build(
        &self,
        leaf: &Certificate,
        extra: &[Certificate],
        at: Timestamp,
    ) -> Result<ValidPath, PathError> {
        let subject = || leaf.subject().to_string();
        let rule = |error: openssl::error::ErrorStack| PathError::Rule {
            subject: subject(),
            reason: error.to_string(),
        };
        let store = self.store(at).map_err(rule)?;
        let mut helpers = Stack::<X509>::new().map_err(rule)?;
        for certificate in extra.iter().chain(&self.intermediates) {
            helpers.push(certificate.openssl().clone()).map_err(rule)?;
        }
        let mut context = X509StoreContext::new().map_err(rule)?;
        let found = context.init(&store, leaf.openssl(), &helpers, |context| {
            let good = context.verify_cert()?;
            let chain: Vec<Vec<u8>> =
                context.chain().into_iter().flatten().map(|step| step.to_der()).collect::<Result<_, _>>()?;
            let at_fault = context.current_cert().map(|step| step.to_der()).transpose()?;
            Ok((good, context.error(), chain, at_fault))
        });
        let (good, error, chain, at_fault) = found.map_err(rule)?;
        if !good {
            return Err(store_error(leaf, error, at_fault.as_deref()));
        }
        let malformed =
            |_| PathError::Rule { subject: subject(), reason: "a certificate of the path".into() };
        let chain: Arc<[Certificate]> = chain
            .iter()
            .map(|der| self.known(leaf, extra, der))
            .collect::<Result<_, _>>()
            .map_err(malformed)?;
        // A leaf that is itself an anchor has no issuer that answers for it.
        if chain.len() < 2 {
            return Err(PathError::UnknownIssuer { subject: subject() });
        }
        Ok(ValidPath { chain })
    }

    /// The certificate of these bytes, parsed already if we know it.
    fn known(
        &self,
        leaf: &Certificate,
        extra: &[Certificate],
        der: &[u8],
    ) -> Result<Certificate, crate::certificate::CertificateError> {
        let mut all = std::iter::once(leaf).chain(&self.intermediates).chain(&self.anchors).chain(extra);
        all.find(|known| known.der() == der).cloned().map_or_else(|| Certificate::from_der(der), Ok)
    }

    fn store(&self, at: Timestamp) -> Result<X509Store, openssl::error::ErrorStack> {
        let mut builder = X509StoreBuilder::new()?;
        for anchor in &self.anchors {
            builder.add_cert(anchor.openssl().clone())?;
        }
        let mut parameters = X509VerifyParam::new()?;
        // PARTIAL_CHAIN: an anchor need not be self-signed. TRUSTED_FIRST: never around an anchor. Policies are judged by us: to
        // OpenSSL's the policies that are required cannot be named through its binding, and without them none ever holds.
        parameters.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::TRUSTED_FIRST)?;
        parameters.set_time(at.as_second());
        parameters.set_depth(DEPTH_MAX);
        builder.set_param(&parameters)?;
        Ok(builder.build())
    }
}

impl Revocation<'_> {
    fn identity(&self) -> Option<u64> {
        match self {
            Self::HardFail(crls) => Some(crls.identity()),
            Self::NotChecked => None,
        }
    }

    /// When it says the same as at `at`.
    fn window(&self, at: Timestamp) -> Window {
        match self {
            Self::HardFail(crls) => crls.window(at),
            Self::NotChecked => Window::ALWAYS,
        }
    }
}

fn store_error(
    leaf: &Certificate,
    error: openssl::x509::X509VerifyResult,
    at_fault: Option<&[u8]>,
) -> PathError {
    let at_fault = at_fault.and_then(|der| Certificate::from_der(der).ok());
    let certificate = at_fault.as_ref().unwrap_or(leaf);
    let subject = certificate.subject().to_string();
    match error.as_raw() {
        9 => PathError::NotYetValid { subject, at: certificate.not_before() },
        10 => PathError::Expired { subject, at: certificate.not_after() },
        // 7: an authority of that name is known, but the signature is not by its key.
        2 | 7 | 18..=21 => PathError::UnknownIssuer { subject: leaf.subject().to_string() },
        24 | 26 | 32 | 79 => {
            PathError::WrongUsage { subject, expected: "an authority that may issue certificates" }
        }
        _ => PathError::Rule { subject, reason: error.error_string().to_owned() },
    }
}

impl ValidPath {
    /// When every certificate of it is valid, anchor included. OpenSSL judges whole seconds, and to it the last one is past.
    fn window(&self, at: Timestamp) -> Window {
        let mut window = Window::ALWAYS;
        for certificate in self.chain.iter() {
            window.keep_side_of_begin(certificate.not_before(), at);
            window.keep_side_of_begin(certificate.not_after(), at);
        }
        window
    }

    /// Keys of every certificate, and the algorithms that those below the anchor were issued with.
    fn check_strength(&self) -> Result<(), PathError> {
        for certificate in self.chain.iter() {
            let subject = || certificate.subject().to_string();
            certificate
                .public_key()
                .check_strength()
                .map_err(|cause| PathError::WeakKey { subject: subject(), cause })?;
        }
        for certificate in self.below_anchor() {
            if !SHA2_SIGNATURES.contains(&certificate.signature_oid()) {
                return Err(PathError::WeakSignature {
                    subject: certificate.subject().to_string(),
                    algorithm: certificate.signature_oid().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Those between leaf and anchor say themselves that they may issue certificates.
    fn check_authorities(&self) -> Result<(), PathError> {
        for authority in self.below_anchor().skip(1) {
            if !authority.is_ca() || !authority.key_usage().is_some_and(|usage| usage.key_cert_sign) {
                return Err(PathError::WrongUsage {
                    subject: authority.subject().to_string(),
                    expected: "basicConstraints CA and keyUsage keyCertSign",
                });
            }
        }
        Ok(())
    }

    fn check_usage(&self, purpose: Purpose) -> Result<(), PathError> {
        let leaf = self.leaf();
        let wrong = |expected| Err(PathError::WrongUsage { subject: leaf.subject().to_string(), expected });
        if leaf.is_ca() {
            return wrong("a certificate of an end entity, not of an authority");
        }
        let usage = leaf.key_usage();
        let extended = leaf.extended_key_usage();
        let may = |purposes: &[&str]| {
            extended
                .is_none_or(|extended| extended.purposes.iter().any(|one| purposes.contains(&one.as_str())))
        };
        match purpose {
            Purpose::MessageSigning => {
                if usage.is_some_and(|usage| !usage.digital_signature) {
                    return wrong("keyUsage digitalSignature");
                }
                if !may(&[CLIENT_AUTH, ANY]) {
                    return wrong("extKeyUsage clientAuth, or none");
                }
            }
            Purpose::TlsClient if usage.is_some_and(|usage| !usage.digital_signature) => {
                return wrong("keyUsage digitalSignature");
            }
            Purpose::TlsClient if !may(&[CLIENT_AUTH, ANY]) => {
                return wrong("extKeyUsage clientAuth, or none");
            }
            Purpose::TlsServer if !may(&[SERVER_AUTH, ANY]) => {
                return wrong("extKeyUsage serverAuth, or none");
            }
            Purpose::TlsClient | Purpose::TlsServer => {}
            Purpose::Sealing => {
                if !usage.is_some_and(|usage| usage.digital_signature && usage.non_repudiation) {
                    return wrong("keyUsage digitalSignature and nonRepudiation");
                }
                if extended.is_some() {
                    return wrong("no extKeyUsage");
                }
            }
            Purpose::TimeStamping => {
                if !extended.is_some_and(|extended| extended.critical && extended.purposes == [TIME_STAMPING])
                {
                    return wrong("extKeyUsage timeStamping, critical and alone");
                }
                if usage.is_some_and(|usage| !usage.digital_signature && !usage.non_repudiation) {
                    return wrong("keyUsage digitalSignature");
                }
            }
        }
        Ok(())
    }

    /// A required certificate policy holds, and what authorities demand of policies is met.
    fn check_policies(&self, required: &[String]) -> Result<(), PathError> {
        if policy::holds(self.below_anchor(), required) {
            return Ok(());
        }
        let expected =
            if required.is_empty() { "what its authorities demand".to_owned() } else { required.join(", ") };
        Err(PathError::Policy { subject: self.leaf().subject().to_string(), expected })
    }

    /// `Revoked` alone: what a list knows is told before what else is wrong.
    fn refuse_revoked(&self, revocation: Revocation<'_>, at: Timestamp) -> Result<(), PathError> {
        let Revocation::HardFail(crls) = revocation else { return Ok(()) };
        for (certificate, issuer) in self.chain.iter().zip(self.chain.iter().skip(1)) {
            if let CrlAnswer::Revoked(at) = crls.judge(certificate, issuer, at) {
                return Err(PathError::Revoked { subject: certificate.subject().to_string(), at });
            }
        }
        Ok(())
    }

    fn check_revocation(&self, revocation: Revocation<'_>, at: Timestamp) -> Result<(), PathError> {
        let Revocation::HardFail(crls) = revocation else { return Ok(()) };
        for (certificate, issuer) in self.chain.iter().zip(self.chain.iter().skip(1)) {
            let subject = certificate.subject().to_string();
            match crls.judge(certificate, issuer, at) {
                CrlAnswer::Good => {}
                CrlAnswer::Revoked(at) => return Err(PathError::Revoked { subject, at }),
                CrlAnswer::Unknown => return Err(PathError::StatusUnknown { subject }),
                CrlAnswer::Stale => return Err(PathError::CrlStale { subject }),
                CrlAnswer::Missing => return Err(PathError::CrlMissing { subject }),
            }
        }
        Ok(())
    }

    fn below_anchor(&self) -> impl DoubleEndedIterator<Item = &Certificate> {
        self.chain.iter().take(self.chain.len().saturating_sub(1))
    }
}

impl std::fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.anchors.iter().map(|anchor| anchor.subject().to_string())).finish()
    }
}

const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
const ANY: &str = "2.5.29.37.0";

const DEPTH_MAX: i32 = 8;

/// Paths remembered by one set of anchors: some for each application of every institution.
pub const PATHS_HELD_MAX: usize = 4096;
