//! `[uam]`: who is granted what, who says so, and who signs it.

use std::path::PathBuf;

use serde::Deserialize;

/// Who is granted what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uam {
    /// The policy file (`deploy/policy.toml` is an example).
    pub policy: PathBuf,
    /// Seconds between two looks at the policy file while serving; SIGHUP looks at once.
    #[serde(default = "policy_reload_seconds")]
    pub reload_seconds: u64,
    /// Days after which a grant's review is overdue; 0: never.
    #[serde(default = "policy_review_days")]
    pub review_days_max: u32,
    /// Who may sign a policy: two of them sign each one. None: it may be unsigned, outside PRD.
    pub signers: Option<PolicySigners>,
    /// A decision point that is asked instead of the policy file's grants.
    pub remote: Option<RemoteDecisions>,
}

/// A remote decision point (AuthZEN 1.0).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteDecisions {
    /// Where access evaluations are posted: https.
    pub url: String,
    /// PEM files: the roots of its TLS certificate.
    pub anchors: Vec<PathBuf>,
    /// PEM: the certificate by which it knows this service, then its intermediates.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// Seconds to wait for a whole answer.
    #[serde(default = "remote_timeout_seconds")]
    pub timeout_seconds: u64,
}

fn remote_timeout_seconds() -> u64 {
    2
}

/// The people whose signatures put a policy in force.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySigners {
    /// PEM files: the roots of the people's certificates.
    pub anchors: Vec<PathBuf>,
    /// PEM files: intermediates.
    #[serde(default)]
    pub intermediates: Vec<PathBuf>,
    /// CRL files or folders of every authority in those paths.
    pub crls: Vec<PathBuf>,
    /// The people.
    pub person: Vec<PolicySigner>,
}

/// One person, known by certificates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySigner {
    /// The name; one entry a person.
    pub name: String,
    /// SHA-256 fingerprints (hex) of the person's certificates.
    pub certificates: Vec<String>,
}

fn policy_review_days() -> u32 {
    365
}

fn policy_reload_seconds() -> u64 {
    10
}
