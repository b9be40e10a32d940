//! The policy in force, and why the file is another one.

use std::sync::Arc;

use super::Service;
use crate::access::RemoteAuthorizer;

impl Service {
    /// The decision point that is asked instead of the policy's grants.
    pub fn remote(&self) -> Option<&RemoteAuthorizer> {
        self.outside.remote.as_deref()
    }

    /// The policy in force now.
    pub fn policy(&self) -> Arc<uam::PolicyFile> {
        self.policy.load_full()
    }

    /// Puts another policy in force for every request that is decided from now on; nothing is journalled, [`crate::access::Access::reload`] does
    /// that too.
    pub fn set_policy(&self, policy: uam::PolicyFile) {
        self.policy.store(Arc::new(policy));
    }

    /// Why the policy file as it stands is not the policy in force; none: it is.
    pub fn policy_problem(&self) -> Option<Arc<String>> {
        self.policy_problem.load_full()
    }

    /// Held from the reading of the policy file until it is in force: else an older text could come after a newer one.
    pub(crate) async fn policy_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.policy_turn.lock().await
    }

    pub(crate) fn set_policy_problem(&self, problem: Option<String>) {
        self.policy_problem.store(problem.map(Arc::new));
    }
}
