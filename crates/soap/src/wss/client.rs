//! The other side: signed envelopes to send, and signed answers to verify.
//!
//! What is made here is what the strictest measured client takes: Timestamp, BinarySecurityToken, Signature in this order,
//! exclusive canonicalisation, at most three fraction digits (`clients.md` 12).

use super::namespace::{BASE64_BINARY, WSSE, WSU, X509_V3};
use super::{Policy, Proof, SecurityRefusal, verify};
use crate::envelope::{Envelope, SoapVersion};
use jiff::{SignedDuration, Timestamp, Unit};
use pki::digest::DigestAlgorithm;
use pki::path::ValidPath;
use pki::signer::Signer;
use xmlsec::signature::{SigningError, SigningReference};
use xmlsec::{Document, Element, Limits, ReadError};

/// How an envelope is signed.
#[derive(Clone, Debug)]
pub struct SignOptions {
    /// The envelope's version.
    pub version: SoapVersion,
    /// From Created to Expires.
    pub lifetime_seconds: u32,
    /// Whether the token is signed too (ProtectTokens).
    pub protect_token: bool,
    /// `mustUnderstand="1"` on the Security header: for requests, never for answers.
    pub must_understand: bool,
    /// Goes into every Id, so that two messages of one instant differ; letters and digits.
    pub id_suffix: String,
}

impl Default for SignOptions {
    /// A SOAP 1.1 request, five minutes, token signed.
    fn default() -> Self {
        Self {
            version: SoapVersion::V11,
            lifetime_seconds: 300,
            protect_token: true,
            must_understand: true,
            id_suffix: String::from("1"),
        }
    }
}

impl SignOptions {
    /// For an answer or fault of contract B.
    pub fn answer(version: SoapVersion) -> Self {
        Self { version, must_understand: false, ..Self::default() }
    }
}

/// Why nothing was signed: the caller's mistake, or the key's failure.
#[derive(Debug, thiserror::Error)]
pub enum SignRequestError {
    /// The payload is not one well-formed element that declares its own prefixes.
    #[error("the payload does not fit into a Body: {0}")]
    Payload(ReadError),
    /// The suffix makes no NCName, or the payload holds an Id that is ours.
    #[error("an Id of the envelope is not usable")]
    Id,
    /// The instant is beyond what a Timestamp can say.
    #[error("the instant is out of range")]
    Instant,
    /// The key or the references.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl SignRequestError {
    /// The stable name of what failed.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Payload(_) => "wss.sign.payload",
            Self::Id => "wss.sign.id",
            Self::Instant => "wss.sign.instant",
            Self::Signing(error) => error.code(),
        }
    }
}

/// A complete signed envelope around `payload`, one element as text that declares the namespaces it uses.
///
/// References go to Timestamp and Body, and to the BinarySecurityToken if the options say so; the key's own algorithm with
/// SHA-256 digests. The result is what the root part of a request holds.
///
/// # Errors
/// [`SignRequestError`]: the payload or the key.
pub fn sign_request(
    payload: &str,
    signer: &dyn Signer,
    now: Timestamp,
    options: &SignOptions,
) -> Result<Vec<u8>, SignRequestError> {
    let suffix = &options.id_suffix;
    if !suffix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(SignRequestError::Id);
    }
    let ids = Ids {
        timestamp: format!("TS-{suffix}"),
        token: format!("X509-{suffix}"),
        body: format!("Body-{suffix}"),
    };
    let (before, after) = unsigned(payload, Some(signer), now, options, &ids)?;
    let whole = format!("{before}{after}");
    let document = Document::parse(whole, &Limits::default()).map_err(SignRequestError::Payload)?;
    let mut signed = vec![&ids.timestamp, &ids.body];
    if options.protect_token {
        signed.push(&ids.token);
    }
    let mut references = Vec::new();
    for id in signed {
        let element = only_with_id(&document, id).ok_or(SignRequestError::Id)?;
        references.push(SigningReference::over(element, id, &[], DigestAlgorithm::Sha256)?);
    }
    let key_info = format!(
        "<wsse:SecurityTokenReference xmlns:wsse=\"{WSSE}\"><wsse:Reference URI=\"#{}\" ValueType=\"{X509_V3}\"/>\
         </wsse:SecurityTokenReference>",
        ids.token
    );
    let signature = xmlsec::signature::sign(&references, Some(&key_info), signer)?;
    Ok([before, signature.xml, after].concat().into_bytes())
}

/// The same envelope with a Timestamp alone in its Security header, unsigned; of `options`, version and lifetime count.
///
/// For whoever would refuse any signature that we make, and with it what it is over.
///
/// # Errors
/// [`SignRequestError::Instant`].
pub fn timestamp_only(
    payload: &str,
    now: Timestamp,
    options: &SignOptions,
) -> Result<Vec<u8>, SignRequestError> {
    let suffix = &options.id_suffix;
    let ids = Ids { timestamp: format!("TS-{suffix}"), token: String::new(), body: format!("Body-{suffix}") };
    let (before, after) = unsigned(payload, None, now, options, &ids)?;
    Ok([before, after].concat().into_bytes())
}

struct Ids {
    timestamp: String,
    token: String,
    body: String,
}

/// The envelope without its signature, cut where the signature goes.
fn unsigned(
    payload: &str,
    signer: Option<&dyn Signer>,
    now: Timestamp,
    options: &SignOptions,
    ids: &Ids,
) -> Result<(String, String), SignRequestError> {
    let created = now.round(Unit::Millisecond).map_err(|_| SignRequestError::Instant)?;
    let lifetime = SignedDuration::from_secs(i64::from(options.lifetime_seconds));
    let expires = created.checked_add(lifetime).map_err(|_| SignRequestError::Instant)?;
    let token = signer.map(|signer| {
        let certificate = xmlsec::base64::encode(signer.certificate().der());
        format!(
            "<wsse:BinarySecurityToken EncodingType=\"{BASE64_BINARY}\" ValueType=\"{X509_V3}\" wsu:Id=\"{}\">\
             {certificate}</wsse:BinarySecurityToken>",
            ids.token
        )
    });
    let token = token.unwrap_or_default();
    let must = if options.must_understand { " soap:mustUnderstand=\"1\"" } else { "" };
    let soap = options.version.namespace();
    let before = format!(
        "<soap:Envelope xmlns:soap=\"{soap}\"><soap:Header>\
         <wsse:Security xmlns:wsse=\"{WSSE}\" xmlns:wsu=\"{WSU}\"{must}>\
         <wsu:Timestamp wsu:Id=\"{}\"><wsu:Created>{created:.3}</wsu:Created>\
         <wsu:Expires>{expires:.3}</wsu:Expires></wsu:Timestamp>{token}",
        ids.timestamp
    );
    let after = format!(
        "</wsse:Security></soap:Header><soap:Body xmlns:wsu=\"{WSU}\" wsu:Id=\"{}\">{payload}</soap:Body></soap:Envelope>",
        ids.body
    );
    Ok((before, after))
}

/// The element with that `wsu:Id`; `None` if the payload has it too.
fn only_with_id<'d>(document: &'d Document, id: &str) -> Option<Element<'d>> {
    let mut found = document
        .root()
        .descendants_and_self()
        .filter(|element| element.attribute(Some(WSU), "Id").is_some_and(|value| value == id));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// A verified answer: its Body (one element, perhaps a Fault) is what the owner of `path`'s leaf signed.
#[derive(Debug)]
pub struct Answer<'e> {
    /// The element in the Body.
    pub content: Element<'e>,
    /// The signer's path.
    pub path: ValidPath,
    /// What the signature says.
    pub proof: Proof,
}

/// Verifies a signed answer of contract B; read it with [`crate::envelope::Rules::answer`].
///
/// Who may sign answers is what the policy's anchors say; no sender is read from the certificate.
///
/// # Errors
/// What is wrong with the answer, in the words of a refusal: the service's fault, or an attack.
pub fn verify_answer<'e>(answer: &'e Envelope, policy: &Policy<'_>) -> Result<Answer<'e>, SecurityRefusal> {
    let (path, proof) = verify::prove(answer, answer.tree(), policy)?;
    Ok(Answer { content: answer.operation(), path, proof })
}
