//! Certificate policies along a path.
//!
//! RFC 5280 §6.1 with initial-policy-mapping-inhibit set, which makes the policy tree one set a level: a policy means below
//! an authority what it means above it, or nothing.

use std::collections::BTreeSet;

use crate::certificate::Certificate;

/// What a certificate says of policies; identifiers dotted.
#[derive(Debug, Default)]
pub(crate) struct PolicyExtensions {
    /// certificatePolicies (§4.2.1.4), if it has some.
    pub(crate) named: Option<BTreeSet<String>>,
    /// The issuerDomainPolicies of policyMappings (§4.2.1.5).
    pub(crate) mapped: Vec<String>,
    /// requireExplicitPolicy of policyConstraints (§4.2.1.11).
    pub(crate) require_explicit: Option<u32>,
    /// inhibitAnyPolicy (§4.2.1.14).
    pub(crate) inhibit_any: Option<u32>,
}

/// Whether the path, leaf first and without its anchor, is valid as to policies: under one of `required`, where any are, and
/// under some policy where an authority demands that.
pub(crate) fn holds<'a>(path: impl DoubleEndedIterator<Item = &'a Certificate>, required: &[String]) -> bool {
    let mut path = path.rev().peekable();
    let mut valid = BTreeSet::from([ANY_POLICY.to_owned()]);
    // How many certificates may still come before the rule begins to bind (§6.1.2 (d) and (e)).
    let mut explicit = if required.is_empty() { u32::MAX } else { 0 };
    let mut any_until = u32::MAX;
    while let Some(certificate) = path.next() {
        let (said, is_leaf) = (certificate.policies(), path.peek().is_none());
        let self_issued = certificate.subject().der() == certificate.issuer().der();
        let any_counts = any_until > 0 || (self_issued && !is_leaf);
        valid = said.named.as_ref().map_or_else(BTreeSet::new, |named| under(&valid, named, any_counts));
        if explicit == 0 && valid.is_empty() {
            return false;
        }
        if said.mapped.iter().any(|policy| policy == ANY_POLICY) {
            return false;
        }
        valid.retain(|policy| !said.mapped.contains(policy));
        if is_leaf || !self_issued {
            explicit = explicit.saturating_sub(1);
            any_until = any_until.saturating_sub(1);
        }
        // The leaf's own counts only where it demands at once (§6.1.5 (b)).
        let demanded = said.require_explicit.filter(|skip| !is_leaf || *skip == 0);
        explicit = explicit.min(demanded.unwrap_or(u32::MAX));
        any_until = any_until.min(said.inhibit_any.unwrap_or(u32::MAX));
    }
    let accepted = |policy: &String| required.is_empty() || policy == ANY_POLICY || required.contains(policy);
    explicit > 0 || valid.iter().any(accepted)
}

/// §6.1.3 (d): what remains of the policies that were valid above.
fn under(above: &BTreeSet<String>, named: &BTreeSet<String>, any_counts: bool) -> BTreeSet<String> {
    if any_counts && named.contains(ANY_POLICY) {
        let added = named.iter().filter(|_| above.contains(ANY_POLICY));
        return above.iter().chain(added.filter(|policy| *policy != ANY_POLICY)).cloned().collect();
    }
    let remains =
        |policy: &&String| *policy != ANY_POLICY && (above.contains(*policy) || above.contains(ANY_POLICY));
    named.iter().filter(remains).cloned().collect()
}

const ANY_POLICY: &str = "2.5.29.32.0";
