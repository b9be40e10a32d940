//! The policy in force: read at start, and again while serving, so that a grant is given or ended without a restart.
//!
//! A file that is away or wrong leaves the policy before it in force: a slip of the pen locks nobody out and lets nobody in. A
//! change is journalled before it decides anything, so that the digest in each decision can be traced to the moment it came.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use erds::record::Hex32;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Uam;
use crate::service::{Failure, Service};
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
            Self::Unrecorded(_) => "policy.unrecorded",
        }
    }
}

/// Reads a policy file.
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

/// Puts the policy file as it stands in force, if it is another one; every request that is decided after the return is decided by
/// it. Returns whether it was another.
///
/// # Errors
/// [`PolicyUnread`]: the policy before stays in force, and `/health` and `/metrics` say so.
pub async fn reload(service: &Service, path: &Path) -> Result<bool, PolicyUnread> {
    let _turn = service.policy_turn().await;
    let outcome = replace(service, path).await;
    service.set_policy_problem(outcome.as_ref().err().map(ToString::to_string));
    outcome
}

async fn replace(service: &Service, path: &Path) -> Result<bool, PolicyUnread> {
    let policy = tokio::task::block_in_place(|| read(path))?;
    let before = service.policy().digest();
    if policy.digest() == before {
        return Ok(false);
    }
    let (sha256, grants) = (Hex32(policy.digest()).to_hex(), policy.grants_count());
    let act = format!("sha256 {sha256}; {grants} grants; before: sha256 {}", Hex32(before).to_hex());
    service.record_act("uam.policy", &act).await?;
    service.set_policy(policy);
    tracing::info!(event = "policy.changed", sha256, grants);
    Ok(true)
}

/// Looks at the policy file again and again, and at once on SIGHUP, until `stop` turns true.
pub async fn watch(service: Arc<Service>, setup: Uam, mut stop: tokio::sync::watch::Receiver<bool>) {
    let every = Duration::from_secs(setup.reload_seconds.max(1));
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => Some(hangup),
        Err(error) => {
            tracing::error!(event = "policy.no-sighup", %error);
            None
        }
    };
    loop {
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
        if let Err(error) = reload(&service, &setup.policy).await {
            tracing::error!(event = "alarm.policy-unreadable", code = error.code(), %error);
        }
    }
}
