//! The policy in force: read at start, and again while serving, so that a grant is given or ended without a restart.
//!
//! A file that is away, wrong, older or under-signed leaves the policy before it in force: a slip of the pen locks nobody out and lets
//! nobody in. A change is journalled before it decides anything, so that the digest in each decision can be traced to the moment it
//! came, to what it changed and to who signed it.

mod adopt;
mod remote;
mod signers;
mod ties;
mod withdrawn;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use erds::record::Hex32;
use jiff::civil::Date;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use adopt::ADOPTED;
pub use adopt::{Adopted, judge, last, last_of};
pub use remote::{ANSWER_BYTES_MAX, RemoteAuthorizer, RemoteError};
pub use signers::{SIGNATURES_MAX, SIGNERS_MIN, SignedBy, Signers, SignersError, Undersigned};
pub use withdrawn::{NotWithdrawn, Withdrawal};

use crate::config::Uam;
use crate::service::{Failure, Service, today};
use crate::trust::{self, TrustError};

/// Why the policy file as it stands does not come into force: the operator's, but for the journal's failure.
#[derive(Debug, thiserror::Error)]
pub enum PolicyUnread {
    /// The file cannot be had.
    #[error(transparent)]
    File(#[from] TrustError),
    /// It is no text.
    #[error("the policy file is not UTF-8")]
    Text,
    /// There is nothing in it: most likely it is being written.
    #[error("the policy file is empty")]
    Empty,
    /// It is no policy.
    #[error("{}: {_0}", _0.code())]
    Policy(#[from] uam::PolicyError),
    /// It is not newer than the one that the journal has.
    #[error(
        "version {seen}; expected more than {last}, which was in force last: count it up, and have it signed again"
    )]
    Version {
        /// Its own.
        seen: u64,
        /// The journal's.
        last: u64,
    },
    /// It has no version, where signatures are demanded.
    #[error("no version; expected `version = 1` or more at its head, and to have it signed")]
    Unnumbered,
    /// It lacks the signatures of two people.
    #[error(transparent)]
    Undersigned(#[from] Undersigned),
    /// A succession in a policy that nobody signs.
    #[error("a [[succession]] in an unsigned policy; it takes two people's signatures ([uam.signers])")]
    SuccessionUnsigned,
    /// Its coming into force could not be journalled: ours.
    #[error("not journalled: {0}")]
    Unrecorded(#[from] Failure),
}

impl PolicyUnread {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(_) => "policy.file",
            Self::Text => "policy.text",
            Self::Empty => "policy.empty-file",
            Self::Policy(error) => error.code(),
            Self::Version { .. } => "policy.version",
            Self::Unnumbered => "policy.unnumbered",
            Self::Undersigned(error) => error.code(),
            Self::SuccessionUnsigned => "policy.succession.unsigned",
            Self::Unrecorded(_) => "policy.unrecorded",
        }
    }
}

/// Reads a policy file; its signatures are not judged.
///
/// # Errors
/// [`PolicyUnread`]: the operator's fault.
pub fn read(path: &Path) -> Result<uam::PolicyFile, PolicyUnread> {
    let text = String::from_utf8(trust::read(path)?).map_err(|_| PolicyUnread::Text)?;
    if text.trim().is_empty() {
        return Err(PolicyUnread::Empty);
    }
    Ok(uam::PolicyFile::parse(&text)?)
}

/// What brings policies into force: where they lie, and who signs them.
pub struct Access {
    setup: Uam,
    signers: Option<Signers>,
}

impl Access {
    /// For a configuration; without signers a policy may be unsigned.
    pub fn new(setup: Uam, signers: Option<Signers>) -> Self {
        Self { setup, signers }
    }

    /// Journals the policy that the service was opened with, before a door opens; nothing where the journal has it.
    ///
    /// # Errors
    /// [`PolicyUnread`]: the service must not serve by it.
    pub async fn adopt(&self, service: &Service) -> Result<(), PolicyUnread> {
        let policy = service.policy();
        if adopt::adopt(service, &policy, self.signers.as_ref()).await?.is_some() {
            tell(&policy);
        }
        if self.signers.is_none() {
            tracing::warn!(event = "policy.unsigned", sha256 = %Hex32(policy.digest()));
        }
        Ok(())
    }

    /// Puts the policy file as it stands in force, if it is another one; every request that is decided after the return is decided by
    /// it. Returns whether it was another.
    ///
    /// # Errors
    /// [`PolicyUnread`]: the policy before stays in force, and `/health` and `/metrics` say so.
    pub async fn reload(&self, service: &Service) -> Result<bool, PolicyUnread> {
        let _turn = service.policy_turn().await;
        let outcome = self.replace(service).await;
        service.set_policy_problem(outcome.as_ref().err().map(ToString::to_string));
        outcome
    }

    async fn replace(&self, service: &Service) -> Result<bool, PolicyUnread> {
        let policy = tokio::task::block_in_place(|| read(&self.setup.policy))?;
        if policy.digest() == service.policy().digest() {
            return Ok(false);
        }
        adopt::adopt(service, &policy, self.signers.as_ref()).await?;
        tell(&policy);
        if self.signers.is_none() {
            tracing::warn!(event = "policy.unsigned", sha256 = %Hex32(policy.digest()));
        }
        service.set_policy(policy);
        Ok(true)
    }

    /// Tells once a day, and of each new policy, whose review is overdue.
    fn remind(&self, service: &Service, told: &mut Option<(Date, [u8; 32])>) {
        let (policy, now) = (service.policy(), service.now());
        let this = Some((today(now), policy.digest()));
        if self.setup.review_days_max == 0 || *told == this {
            return;
        }
        *told = this;
        let days = self.setup.review_days_max;
        for grant in policy.grants().iter().filter(|grant| grant.is_review_overdue(now, days)) {
            let reviewed = grant.reviewed().map_or("never".to_owned(), |date| date.to_string());
            tracing::warn!(event = "policy.review-overdue", grant = grant.id(), reviewed);
        }
    }
}

fn tell(policy: &uam::PolicyFile) {
    let (version, grants) = (policy.version(), policy.grants_count());
    tracing::info!(event = "policy.changed", version, sha256 = %Hex32(policy.digest()), grants);
}

/// Looks at the policy file again and again, and at once on SIGHUP, until `stop` turns true.
pub async fn watch(service: Arc<Service>, access: Arc<Access>, mut stop: tokio::sync::watch::Receiver<bool>) {
    let every = Duration::from_secs(access.setup.reload_seconds.max(1));
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => Some(hangup),
        Err(error) => {
            tracing::error!(event = "policy.no-sighup", %error);
            None
        }
    };
    let mut told = None;
    loop {
        access.remind(&service, &mut told);
        let asked = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(every) => {}
            _ = asked => {}
        }
        if let Err(error) = access.take_up(&service).await {
            tracing::error!(event = "policy.withdrawal-unrecorded", %error);
        }
        if let Err(error) = access.reload(&service).await {
            tracing::error!(event = "alarm.policy-unreadable", code = error.code(), %error);
        }
    }
}
