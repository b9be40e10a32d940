//! What a time-stamp token must be beyond RFC 3161 so that every byte of a sealed proof is accounted for.
//!
//! Asked before a token is used and again by the verifier: a proof that our own verifier would refuse is never made.
//!
//! Source: RFC 5652 §5.1 and §5.3 (versions, digest algorithms).

use pki::certificate::Certificate;
use pki::der::{self, DerError, Value, tag};
use pki::path::ValidPath;

/// Judges the few bytes that neither the token's signature nor its path holds fast: the versions, and the list of
/// digest algorithms, which must be the signer's and no other.
pub(crate) fn is_tight(token: &[u8]) -> bool {
    read(token).unwrap_or(false)
}

fn read(token: &[u8]) -> Result<bool, DerError> {
    let mut content_info = der::whole(token, tag::SEQUENCE)?.inside();
    content_info.take(tag::OID)?;
    let mut signed_data = content_info.take(tag::CONTEXT_0)?.inside().take(tag::SEQUENCE)?.inside();
    let version = signed_data.take(tag::INTEGER)?.contents;
    let mut digests = signed_data.take(tag::SET)?.inside();
    let listed = algorithm(digests.take(tag::SEQUENCE)?)?;
    digests.end()?;
    signed_data.take(tag::SEQUENCE)?;
    signed_data.optional(tag::CONTEXT_0)?;
    let mut signer = signed_data.take(tag::SET)?.inside().take(tag::SEQUENCE)?.inside();
    let signer_version = signer.take(tag::INTEGER)?.contents;
    let signer_id = signer.any()?.tag;
    let used = algorithm(signer.take(tag::SEQUENCE)?)?;
    let expected_version: &[u8] = if signer_id == tag::SEQUENCE { &[1] } else { &[3] };
    Ok(version == [3] && signer_version == expected_version && listed == used)
}

fn algorithm<'a>(identifier: Value<'a>) -> Result<&'a [u8], DerError> {
    Ok(identifier.inside().take(tag::OID)?.contents)
}

/// Whether the token carries certificates of its path alone, each once: any other would be bytes that nobody reads.
pub(crate) fn carries_path_alone(path: &ValidPath, carried: &[Certificate]) -> bool {
    let in_path = |certificate: &Certificate| path.chain().iter().any(|step| step.der() == certificate.der());
    let mut ders: Vec<_> = carried.iter().map(Certificate::der).collect();
    ders.sort_unstable();
    ders.dedup();
    ders.len() == carried.len() && carried.iter().all(in_path)
}
