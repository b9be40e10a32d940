//! WS-Security by X.509 certificates: who signed this request, and that what was signed is what is read.
//!
//! Order of the checks, cheap ones first: the header's form, the algorithms, the Timestamp, the token and its path, the
//! signature, what it covers, the sender's identity, and last the schema of the Body.
//!
//! Sources: SOAP Message Security 1.0, X.509 Token Profile 1.0, WS-I Basic Security Profile; `security.md` A to F.

mod addressing;
pub mod client;
mod header;
mod name;
pub mod namespace;
mod refuse;
pub mod saml;
mod thumbprint;
mod timestamp;
mod token;
mod verify;

pub use refuse::{SIGNATURE_SHA1, SecurityRefusal, Signatory};

use crate::envelope::{Envelope, Tree};
use crate::message::{ReadRules, Request};
use crate::refuse::refusal;
use erds::refusal::{FaultCode, Refusal};
use erds::{Environment, Sender, Strictness};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use pki::algorithm::SignatureAlgorithm;
use pki::certificate::Certificate;
use pki::path::{Revocation, TrustAnchors, ValidPath};
use xmlsec::Element;
use xmlsec::signature::Profile;

/// What a request is judged by, at one instant.
pub struct Policy<'a> {
    /// The CAs whose senders may sign.
    pub anchors: &'a TrustAnchors,
    /// Where revocation is looked up.
    pub revocation: Revocation<'a>,
    /// The instant of judgement: when the last byte came in.
    pub now: Timestamp,
    /// How old `Created` may be.
    pub age_seconds_max: u64,
    /// How far `Expires` may lie after `Created`.
    pub lifetime_seconds_max: u64,
    /// How far clocks may differ.
    pub skew_seconds: u64,
    /// This instance's environment; `None` takes senders of any.
    pub environment: Option<Environment>,
    /// The algorithms taken.
    pub profile: Profile,
    /// Certificates that a bare name in KeyInfo may mean: the TLS client's, then those registered for that sender.
    pub candidates: &'a [Certificate],
    /// This service's addresses, for wsa:To; empty takes any.
    pub addresses: &'a [String],
    /// Whether the BinarySecurityToken must be signed too (ProtectTokens).
    pub token_signed: bool,
    /// Whether a signature over the `xop:Include` of contract B's documents, as it stands, is taken: only if the caller then holds
    /// every document to its digest in the Body.
    pub contents_as_sent: bool,
    /// Which SAML assertions are taken beside the certificate; `None`: none at all.
    pub saml: Option<saml::Rules<'a>>,
    /// How identifiers in the request are judged.
    pub strictness: Strictness,
    /// The day at `now`: no date of birth lies after it.
    pub today: Date,
}

impl<'a> Policy<'a> {
    /// The service's policy: 300 s of age, 600 s of lifetime, 60 s of skew, any environment, SHA-2 only.
    pub fn new(anchors: &'a TrustAnchors, revocation: Revocation<'a>, now: Timestamp) -> Self {
        Self {
            anchors,
            revocation,
            now,
            age_seconds_max: 300,
            lifetime_seconds_max: 600,
            skew_seconds: 60,
            environment: None,
            profile: Profile::service(),
            candidates: &[],
            addresses: &[],
            token_signed: false,
            contents_as_sent: false,
            saml: None,
            strictness: Strictness::Strict,
            today: now.to_zoned(TimeZone::UTC).date(),
        }
    }

    /// A policy to be completed: at the epoch, so that every message is from the future until `now` is set, and without
    /// revocation until that is.
    pub fn default_for(anchors: &'a TrustAnchors) -> Self {
        Self::new(anchors, Revocation::NotChecked, Timestamp::UNIX_EPOCH)
    }
}

/// What the record keeps of a signature, so that it can be verified again without the message's other parts.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The canonical SignedInfo: the bytes that were signed.
    pub signed_info: Vec<u8>,
    /// Their SHA-256: what tells a replay, whatever was done to the message around it.
    pub signed_info_sha256: [u8; 32],
    /// The signature value, decoded.
    pub signature_value: Vec<u8>,
    /// The signature method.
    pub algorithm: SignatureAlgorithm,
    /// The identifier of SignedInfo's canonicalisation.
    pub canonicalization: String,
    /// The Timestamp's Created.
    pub created: Timestamp,
    /// The Timestamp's Expires, where it has one.
    pub expires: Option<Timestamp>,
    /// The Timestamp's Id.
    pub timestamp_id: String,
    /// Whether the token is covered by the signature as well.
    pub token_signed: bool,
    /// The person behind the application, where a token service says who.
    pub person: Option<saml::Person>,
}

/// A request whose sender is proven: the signature covers the Body that `request` was read from and a fresh Timestamp,
/// and its certificate has a path to an anchor.
///
/// Only [`authenticate`] and [`authenticate_with`] make one.
///
/// A handler that takes it takes nothing that was only read (`security.md` rule 1):
/// ```
/// use soap::{message::Request, wss::Authenticated};
/// fn handler(_: Authenticated<Request>) {}
/// fn read(request: Authenticated<Request>) {
///     handler(request);
/// }
/// ```
/// ```compile_fail,E0308
/// use soap::{message::Request, wss::Authenticated};
/// fn handler(_: Authenticated<Request>) {}
/// fn read(request: Request) {
///     handler(request);
/// }
/// ```
///
/// Nor is one put together of what another proved:
/// ```
/// use soap::wss::Authenticated;
/// fn made(of: Authenticated<()>) -> Authenticated<()> {
///     of
/// }
/// ```
/// ```compile_fail,E0451
/// use soap::wss::Authenticated;
/// fn made(of: Authenticated<()>) -> Authenticated<()> {
///     Authenticated { ..of }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Authenticated<T> {
    request: T,
    sender: Sender,
    path: ValidPath,
    proof: Proof,
    contents_as_sent: bool,
}

impl<T> Authenticated<T> {
    /// The request.
    pub fn request(&self) -> &T {
        &self.request
    }

    /// Who signed it, by the certificate.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The certificate that signed.
    pub fn certificate(&self) -> &Certificate {
        self.path.leaf()
    }

    /// Its path.
    pub fn path(&self) -> &ValidPath {
        &self.path
    }

    /// SHA-256 of the certificate.
    pub fn certificate_fingerprint(&self) -> [u8; 32] {
        self.path.leaf().fingerprint()
    }

    /// Whether the signature is over `xop:Include` as it stands: then a document is bound by its digest in the Body alone.
    pub fn contents_as_sent(&self) -> bool {
        self.contents_as_sent
    }

    /// What the record keeps of the signature.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The canonical SignedInfo: the bytes that were signed.
    pub fn signed_info(&self) -> &[u8] {
        &self.proof.signed_info
    }

    /// The signature value, decoded.
    pub fn signature_value(&self) -> &[u8] {
        &self.proof.signature_value
    }

    /// The signature method.
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.proof.algorithm
    }

    /// The Timestamp's Created.
    pub fn created(&self) -> Timestamp {
        self.proof.created
    }

    /// The Timestamp's Expires.
    pub fn expires(&self) -> Option<Timestamp> {
        self.proof.expires
    }

    /// Goes on with a part or another reading of the request; the proof stays with it.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Authenticated<U> {
        let Self { request, sender, path, proof, contents_as_sent } = self;
        Authenticated { request: change(request), sender, path, proof, contents_as_sent }
    }

    /// Takes it apart; what comes out proves nothing any more.
    pub fn into_request(self) -> T {
        self.request
    }
}

/// Proves who signed the request, then reads the signed operation to its schema.
///
/// # Errors
/// As [`authenticate_with`]; a schema error (SOA-03005, SOA-03006, an identifier's) carries the sender.
pub fn authenticate(
    envelope: &Envelope,
    policy: &Policy<'_>,
) -> Result<Authenticated<Request>, SecurityRefusal> {
    let rules = ReadRules { strictness: policy.strictness, today: policy.today };
    authenticate_with(envelope, policy, |operation| Request::parse(operation, &rules))
}

/// Proves who signed the request, then reads the signed operation with `read`.
///
/// # Errors
/// SOA-01001 for what is wrong with signature, token or Timestamp; SOA-01002 for a certificate that names no sender or one
/// of another environment; SOA-02002 if revocation cannot be judged (ours); whatever `read` refuses, with the sender known.
pub fn authenticate_with<T>(
    envelope: &Envelope,
    policy: &Policy<'_>,
    read: impl FnOnce(Element<'_>) -> Result<T, Refusal>,
) -> Result<Authenticated<T>, SecurityRefusal> {
    let (tree, (path, proof)) = proven(envelope, policy)?;
    let sender = Sender::from_path(&path).map_err(|error| {
        refusal(
            FaultCode::Soa01002,
            error.code(),
            &error.to_string(),
            "a certificate of the sector's form: one CBE number in an OU, the application in the CN",
            "Ask your certificate's issuer for a certificate of that form.",
        )
    })?;
    if policy.environment.is_some_and(|ours| sender.environment != ours) {
        let expected = policy.environment.map(Environment::as_str).unwrap_or_default();
        let refused = refusal(
            FaultCode::Soa01002,
            "wss.sender.environment",
            sender.environment.as_str(),
            expected,
            "Use the certificate of this environment, or the address of yours.",
        );
        return Err(SecurityRefusal::by(refused, sender, proof));
    }
    let contents_as_sent = !std::ptr::eq(tree, envelope.tree());
    match read(tree.operation()) {
        Ok(request) => Ok(Authenticated { request, sender, path, proof, contents_as_sent }),
        Err(refused) => Err(SecurityRefusal::by(refused, sender, proof)),
    }
}

/// The tree that the signature is over, which is the one to read: the expanded one, or else, where the policy says so, the one as
/// sent whose documents alone were moved out.
fn proven<'e>(
    envelope: &'e Envelope,
    policy: &Policy<'_>,
) -> Result<(&'e Tree, (ValidPath, Proof)), SecurityRefusal> {
    match verify::prove(envelope, envelope.tree(), policy) {
        Ok(proven) => Ok((envelope.tree(), proven)),
        Err(refused) => {
            let as_sent = policy.contents_as_sent && refused.code() == refuse::NOT_EXPANDED;
            match envelope.with_contents_as_sent().filter(|_| as_sent) {
                Some(sent) => Ok((sent, verify::prove(envelope, sent, policy)?)),
                None => Err(refused),
            }
        }
    }
}
