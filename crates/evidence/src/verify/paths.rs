//! Which paths hold, at which time, by which revocation lists.
//!
//! Source: ETSI EN 319 102-1 §5.2.6 (X.509 certificate validation), §5.5.4 (with a proof of existence).

use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::crl::CrlSet;
use pki::path::{PathError, Purpose, Revocation, TrustAnchors, ValidPath};

use super::{Checks, Inputs, Outcome, SubIndication, second};

/// One question about one certificate.
pub(super) struct Judge<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) anchors: &'a TrustAnchors,
    pub(super) purpose: Purpose,
    /// When what the certificate signed is proved to have existed.
    pub(super) proven_at: Timestamp,
}

/// The answer; a path even if revocation leaves it open, so that the other checks can go on.
pub(super) struct Judged {
    pub(super) path: Option<ValidPath>,
    outcome: Outcome,
    sub_indication: Option<SubIndication>,
    found: String,
}

impl Judged {
    pub(super) fn report(&self, name: &'static str, clause: &'static str, checks: &mut Checks) {
        let expected = "a valid path to a given anchor, nothing in it revoked, by current revocation lists";
        checks.push(name, clause, expected, self.found.clone(), self.outcome, self.sub_indication);
    }

    fn not_passed(path: Option<ValidPath>, outcome: Outcome, why: SubIndication, found: String) -> Self {
        Self { path, outcome, sub_indication: Some(why), found }
    }
}

impl Judge<'_> {
    /// For the seal: it existed at `proven_at`, so what came later (expiry, revocation) does not matter.
    pub(super) fn with_proof_of_existence(&self, leaf: &Certificate, extra: &[Certificate]) -> Judged {
        let path = match self.path_alone(leaf, extra, self.proven_at) {
            Ok(path) => path,
            Err(error) => return path_failure(&error),
        };
        let crls = CrlSet::new(self.inputs.crls.to_vec());
        match self.ask(leaf, extra, &crls) {
            Answer::Revoked(at) if at <= self.proven_at => {
                let found = format!("revoked on {}, sealed on {}", second(at), second(self.proven_at));
                Judged::not_passed(Some(path), Outcome::Failed, SubIndication::Revoked, found)
            }
            Answer::Revoked(at) => {
                let found =
                    format!("{}; revoked on {}, after the seal was stamped", describe(&path), second(at));
                Judged { path: Some(path), outcome: Outcome::Passed, sub_indication: None, found }
            }
            Answer::Good => {
                let found = describe(&path);
                Judged { path: Some(path), outcome: Outcome::Passed, sub_indication: None, found }
            }
            Answer::Unknown(error) => unknown(path, &error),
        }
    }

    /// For the time-stamp: nothing else proves when it existed, so it must hold now, and never have been revoked.
    pub(super) fn by_itself(&self, leaf: &Certificate, extra: &[Certificate]) -> Judged {
        let path = match self.path_alone(leaf, extra, self.proven_at) {
            Ok(path) => path,
            Err(error) => return path_failure(&error),
        };
        if let Err(error) = self.path_alone(leaf, extra, self.inputs.now) {
            let found = format!("no longer valid on {}: {error}", second(self.inputs.now));
            let why = SubIndication::OutOfBoundsNoPoe;
            return Judged::not_passed(Some(path), Outcome::Indeterminate, why, found);
        }
        let crls = CrlSet::new(self.inputs.crls.to_vec());
        match self.ask(leaf, extra, &crls) {
            Answer::Revoked(at) => {
                let (outcome, why) = if at <= self.proven_at {
                    (Outcome::Failed, SubIndication::Revoked)
                } else {
                    // A key that got loose after can still have written an earlier time.
                    (Outcome::Indeterminate, SubIndication::RevokedNoPoe)
                };
                Judged::not_passed(Some(path), outcome, why, format!("revoked on {}", second(at)))
            }
            Answer::Good => {
                let found = describe(&path);
                Judged { path: Some(path), outcome: Outcome::Passed, sub_indication: None, found }
            }
            Answer::Unknown(error) => unknown(path, &error),
        }
    }

    fn path_alone(
        &self,
        leaf: &Certificate,
        extra: &[Certificate],
        at: Timestamp,
    ) -> Result<ValidPath, PathError> {
        self.anchors.validate(leaf, extra, Revocation::NotChecked, self.purpose, at)
    }

    /// Asks at every instant at which some list may be current: a list from the day of the seal answers as well as
    /// one of today, and a revocation that any of them knows counts.
    fn ask(&self, leaf: &Certificate, extra: &[Certificate], crls: &CrlSet) -> Answer {
        let between = |at: &Timestamp| self.proven_at < *at && *at < self.inputs.now;
        let mut instants: Vec<_> =
            self.inputs.crls.iter().map(|crl| crl.this_update()).filter(between).collect();
        instants.extend([self.proven_at, self.inputs.now.max(self.proven_at)]);
        instants.sort_unstable();
        instants.dedup();
        let mut good = false;
        let mut revoked: Option<Timestamp> = None;
        let mut unknown = None;
        for at in instants {
            match self.anchors.validate(leaf, extra, Revocation::HardFail(crls), self.purpose, at) {
                Ok(_) => good = true,
                Err(PathError::Revoked { at, .. }) => {
                    revoked = Some(revoked.map_or(at, |first| first.min(at)))
                }
                // The first is the one at the time of the seal: the one that a list kept with the proof would mend.
                Err(error) => unknown = unknown.or(Some(error)),
            }
        }
        match (revoked, good, unknown) {
            (Some(at), ..) => Answer::Revoked(at),
            (None, false, Some(error)) => Answer::Unknown(error),
            (None, ..) => Answer::Good,
        }
    }
}

enum Answer {
    Good,
    Revoked(Timestamp),
    Unknown(PathError),
}

fn unknown(path: ValidPath, error: &PathError) -> Judged {
    let found = format!("revocation cannot be judged: {error}");
    Judged::not_passed(Some(path), Outcome::Indeterminate, SubIndication::TryLater, found)
}

/// A path that does not hold even with revocation left out of account.
fn path_failure(error: &PathError) -> Judged {
    let (outcome, why) = match error {
        // Another anchor may know it: not the proof's fault.
        PathError::UnknownIssuer { .. } => (Outcome::Indeterminate, SubIndication::NoCertificateChainFound),
        PathError::Expired { .. } => (Outcome::Failed, SubIndication::Expired),
        PathError::NotYetValid { .. } => (Outcome::Failed, SubIndication::NotYetValid),
        PathError::WrongUsage { .. } => (Outcome::Failed, SubIndication::ChainConstraintsFailure),
        PathError::WeakKey { .. } | PathError::WeakSignature { .. } => {
            (Outcome::Failed, SubIndication::CryptoConstraintsFailure)
        }
        _ => (Outcome::Failed, SubIndication::CertificateChainGeneralFailure),
    };
    Judged::not_passed(None, outcome, why, error.to_string())
}

fn describe(path: &ValidPath) -> String {
    let names: Vec<_> = path
        .chain()
        .iter()
        .map(|certificate| {
            let subject = certificate.subject();
            let common_name = subject.one(pki::certificate::NameAttribute::CommonName);
            common_name.map_or_else(|| subject.to_string(), str::to_owned)
        })
        .collect();
    names.join(" < ")
}
