//! How this crate words a refusal.

use erds::refusal::{FaultCode, Refusal};

/// A refusal; what was seen is bounded and escaped, so that nobody's megabyte comes back or lies in the journal. The other
/// texts are ours, and longer than a bound for strangers' text would leave them.
pub(crate) fn refusal(
    code: FaultCode,
    check: &'static str,
    seen: &str,
    expected: &str,
    remedy: &str,
) -> Refusal {
    Refusal {
        code,
        check,
        seen: erds::record::bounded(if seen.is_empty() { "an empty value" } else { seen }),
        expected: expected.to_owned(),
        remedy: remedy.to_owned(),
    }
}
