//! The signature: over this Timestamp and this Body, by the certificate that KeyInfo names.

use super::header::{self, Header};
use super::namespace::WSU;
use super::refuse::{is_sha1, not_expanded, security, signature as refused_signature, value_invalid};
use super::saml::Assertion;
use super::timestamp::{self, Window};
use super::token::{self, Token};
use super::{Policy, Proof, SecurityRefusal, addressing};
use crate::envelope::{Envelope, Tree};
use crate::refuse::refusal;
use erds::refusal::{FaultCode, Refusal};
use pki::certificate::{Certificate, PublicKey};
use pki::path::{PathError, Purpose, ValidPath};
use xmlsec::signature::{
    AlgorithmRole, Profile, Signature, SignatureError, StrTarget, Verified, check_profile, verify_with,
};
use xmlsec::{Element, ids::Ids};

/// Judges everything but who the sender is.
pub(super) fn prove(
    envelope: &Envelope,
    tree: &Tree,
    policy: &Policy<'_>,
) -> Result<(ValidPath, Proof), SecurityRefusal> {
    let header = header::read(tree, policy.saml.is_some())?;
    let signature = Signature::parse(header.signature).map_err(|error| refused_signature(&error))?;
    check_profile(&signature, &policy.profile)
        .map_err(|error| refused_signature(&digests_first(error, &signature)))?;
    let ids = unique_ids(tree)?;
    let validity = timestamp::read(header.timestamp)?;
    timestamp::judge(validity, window(policy))?;
    let assertion = header.assertion.map(Assertion::read).transpose()?;
    let token = token::resolve(signature.key_info(), header.token, assertion.as_ref(), policy.candidates)?;
    let path = policy
        .anchors
        .validate(
            &token.certificate,
            &token.authorities,
            policy.revocation,
            Purpose::MessageSigning,
            policy.now,
        )
        .map_err(|error| refused_path(&error))?;
    let key = path.leaf().public_key();
    let verified = verified(&ids, &signature, &header, &token, key, &policy.profile)
        .map_err(|error| told(&error, envelope, key, &policy.profile, &token.certificate))?;
    let token_signed = cover(tree, &header, &verified, policy)?;
    addressing::check(tree, envelope, &verified, policy.addresses)?;
    let person = match (&assertion, policy.saml) {
        (Some(assertion), Some(rules)) => {
            let signer = &token.certificate;
            Some(assertion.judge(rules, signer, &policy.profile, policy.now, policy.skew_seconds)?)
        }
        _ => None,
    };
    let algorithm = signature.method().known.ok_or_else(|| value_invalid("method"))?;
    let proof = Proof {
        signed_info: verified.signed_info().to_vec(),
        signed_info_sha256: signed_info_sha256(&verified),
        signature_value: signature.value().to_vec(),
        algorithm,
        canonicalization: signature.canonicalization().uri.to_string(),
        created: validity.created,
        expires: validity.expires,
        timestamp_id: id(header.timestamp).unwrap_or_default(),
        token_signed,
        person,
    };
    Ok((path, proof))
}

/// Where digests are SHA-1 too, they are what is told: a signature by SHA-1 alone has an answer of its own.
fn digests_first(error: SignatureError, signature: &Signature<'_>) -> SignatureError {
    let by_sha1 =
        matches!(&error, SignatureError::Algorithm { role: AlgorithmRole::Signature, uri } if is_sha1(uri));
    let digest =
        signature.references().iter().map(|reference| &reference.method.uri).find(|uri| is_sha1(uri));
    match digest {
        Some(uri) if by_sha1 => {
            SignatureError::Algorithm { role: AlgorithmRole::Digest, uri: uri.to_string() }
        }
        _ => error,
    }
}

fn signed_info_sha256(verified: &Verified<'_>) -> [u8; 32] {
    match <[u8; 32]>::try_from(verified.signed_info_digest().as_bytes()) {
        // Of the digests taken, SHA-256 alone has that length.
        Ok(verified_with) => verified_with,
        Err(_) => pki::digest::sha256(verified.signed_info()),
    }
}

fn window(policy: &Policy<'_>) -> Window {
    Window {
        now: policy.now,
        age_seconds_max: policy.age_seconds_max,
        lifetime_seconds_max: policy.lifetime_seconds_max,
        skew_seconds: policy.skew_seconds,
    }
}

/// Verifies in the tree of these Ids. An STR-Transform may be on KeyInfo's own SecurityTokenReference only.
fn verified<'d>(
    ids: &Ids<'d>,
    signature: &Signature<'d>,
    header: &Header<'d>,
    token: &Token<'d>,
    key: &PublicKey,
    profile: &Profile,
) -> Result<Verified<'d>, SignatureError> {
    let resolver = |reference: Element<'d>| {
        (reference == token.reference).then(|| match token.assertion.or(header.token) {
            Some(carried) => StrTarget::Element(carried),
            None => StrTarget::Certificate(token.certificate.der().to_vec()),
        })
    };
    verify_with(ids, signature, key, profile, &resolver)
}

/// The Body that is dispatched and the Timestamp that was judged must be the very elements signed; says whether the token
/// is.
fn cover(
    tree: &Tree,
    header: &Header<'_>,
    verified: &Verified<'_>,
    policy: &Policy<'_>,
) -> Result<bool, Refusal> {
    if !verified.covers(tree.body()) {
        return Err(security(
            "wss.body.unsigned",
            "a signature that does not cover the Body",
            "a Reference to the Body, the Envelope's own child",
            "Sign the soap:Body by its wsu:Id. .NET signs only the Timestamp by policy: see the manual's C# signer.",
        ));
    }
    if !verified.covers(header.timestamp) {
        return Err(security(
            "wss.timestamp.unsigned",
            "a signature that does not cover the Timestamp",
            "a Reference to the wsu:Timestamp in the same Security header",
            "Sign the Timestamp along with the Body.",
        ));
    }
    let token_signed = header.token.is_some_and(|token| verified.covers(token));
    if policy.token_signed && header.token.is_some() && !token_signed {
        return Err(security(
            "wss.token.unsigned",
            "a signature that does not cover the BinarySecurityToken",
            "a Reference to the token (ProtectTokens)",
            "Sign the token too.",
        ));
    }
    Ok(token_signed)
}

/// A mismatch in the expanded tree may be a signature over `xop:Include` as it stands: that one has a remedy.
fn told(
    error: &SignatureError,
    envelope: &Envelope,
    key: &PublicKey,
    profile: &Profile,
    certificate: &Certificate,
) -> Refusal {
    let mismatch = matches!(error, SignatureError::DigestMismatch { .. } | SignatureError::Value(_));
    let holds_as_sent = || {
        let tree = envelope.as_sent()?;
        let header = header::read(tree, false).ok()?;
        let signature = Signature::parse(header.signature).ok()?;
        let reference = signature.key_info()?.children().next()?;
        let token =
            Token { certificate: certificate.clone(), authorities: Vec::new(), assertion: None, reference };
        let ids = Ids::collect(tree.document()).ok()?;
        verified(&ids, &signature, &header, &token, key, profile).ok()
    };
    if mismatch && holds_as_sent().is_some() { not_expanded() } else { refused_signature(error) }
}

/// Row 5: before anything is resolved or judged by an Id.
fn unique_ids(tree: &Tree) -> Result<Ids<'_>, Refusal> {
    Ids::collect(tree.document()).map_err(|twice| refused_signature(&SignatureError::DuplicateId(twice)))
}

fn id(element: Element<'_>) -> Option<String> {
    let id = element.attribute(Some(WSU), "Id").or_else(|| element.attribute(None, "Id"))?;
    Some(id.into_owned())
}

fn refused_path(error: &PathError) -> Refusal {
    let expected = "a valid certificate for signing, of a CA that this service trusts, not revoked";
    match error {
        // Ours: the lists are fetched by the service.
        PathError::CrlMissing { .. } | PathError::CrlStale { .. } => refusal(
            FaultCode::Soa02002,
            error.code(),
            "no current revocation list",
            "a current one of every authority in the path",
            "Nothing was accepted; send again later.",
        ),
        PathError::UnknownIssuer { .. } => security(
            "wss.token.unknown",
            error.code(),
            expected,
            "Use the certificate that was registered for this service.",
        ),
        _ => security(
            error.code(),
            &error.to_string(),
            expected,
            "Renew or replace the certificate that signs.",
        ),
    }
}
