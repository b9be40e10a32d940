//! Verification under a profile.
//!
//! In this order: what the profile takes (no cryptography yet), identifiers, the signature value, the digests. Only
//! [`verify`] and [`verify_with`] make a [`Verified`].

use std::borrow::Cow;

use pki::certificate::PublicKey;
use pki::digest::{Digest, DigestAlgorithm, Hasher};

use super::ahead::Resumed;
use super::parse::{ENVELOPED_URI, STR_TRANSFORM_URI};
use super::{AlgorithmRole, Enveloped, Profile, Reference, Signature, SignatureError, Transform};
use crate::c14n::{self, DefaultAtApex, Method, Sink};
use crate::ids::{IdAttribute, Ids};
use crate::{Document, Element, base64, chars, namespace};

/// A signature whose value and every digest hold: its elements are what the key's owner signed.
///
/// Nobody else puts one together (`security.md` rule 1):
/// ```
/// use xmlsec::signature::Verified;
/// fn made(of: Verified<'_>) -> Verified<'_> {
///     of
/// }
/// ```
/// ```compile_fail,E0451
/// use xmlsec::signature::Verified;
/// fn made(of: Verified<'_>) -> Verified<'_> {
///     Verified { ..of }
/// }
/// ```
#[derive(Debug)]
pub struct Verified<'d> {
    covered: Vec<Covered<'d>>,
    elements: Vec<Element<'d>>,
    signed_info: Vec<u8>,
    signed_info_digest: Digest,
}

impl<'d> Verified<'d> {
    /// The elements that were digested as they stand, in the order of the references; a token reached by STR-Transform is
    /// among them, the reference to it is not.
    pub fn elements(&self) -> &[Element<'d>] {
        &self.elements
    }

    /// Whether that very element was digested as it stands.
    pub fn covers(&self, element: Element<'_>) -> bool {
        self.elements.contains(&element)
    }

    /// What each reference covers.
    pub fn references(&self) -> &[Covered<'d>] {
        &self.covered
    }

    /// The canonical SignedInfo that the value is over.
    pub fn signed_info(&self) -> &[u8] {
        &self.signed_info
    }

    /// Its digest, by the algorithm of the signature method: what the value was verified with.
    pub fn signed_info_digest(&self) -> &Digest {
        &self.signed_info_digest
    }
}

/// One reference whose digest matched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Covered<'d> {
    /// The element that the URI leads to.
    pub element: Element<'d>,
    /// By which attribute it was found; `None` for the whole document.
    pub id_attribute: Option<IdAttribute>,
    /// What was digested.
    pub coverage: Coverage<'d>,
}

/// What a reference's digest is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Coverage<'d> {
    /// The element itself.
    Element,
    /// The whole document, whose root the element is.
    Document,
    /// By STR-Transform, the token that the element (a SecurityTokenReference) refers to.
    Token(StrTarget<'d>),
}

/// The token that a SecurityTokenReference stands for.
///
/// It is here or it was given; it is never somewhere (`security.md` rule 6):
/// ```
/// use xmlsec::signature::StrTarget;
/// let target = StrTarget::Certificate(Vec::new());
/// ```
/// ```compile_fail,E0599
/// use xmlsec::signature::StrTarget;
/// let target = StrTarget::Location(Vec::new());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StrTarget<'d> {
    /// A token within the message.
    Element(Element<'d>),
    /// A certificate (DER) that the message only names: it is digested as the BinarySecurityToken that it would be.
    Certificate(Vec<u8>),
}

/// Finds the token of a `wsse:SecurityTokenReference`, by the SOAP room's rules; `None` if there is none.
pub type StrResolver<'r, 'd> = &'r dyn Fn(Element<'d>) -> Option<StrTarget<'d>>;

/// Verifies a signature that uses no STR-Transform.
///
/// # Errors
/// As [`verify_with`].
pub fn verify<'d>(
    document: &'d Document,
    signature: &Signature<'d>,
    key: &PublicKey,
    profile: &Profile,
) -> Result<Verified<'d>, SignatureError> {
    check_profile(signature, profile)?;
    verify_checked(&Ids::collect(document)?, signature, key, profile, &|_| None)
}

/// Verifies a signature in the document of these Ids: the profile takes it, the value is the key's over the canonical SignedInfo,
/// every reference's digest matches, and no element is referenced twice.
///
/// Whose key it is, and whether the right elements are covered, is the caller's to judge.
///
/// # Errors
/// The first thing that does not hold: [`SignatureError`].
///
/// Of a document alone nothing is verified: its identifiers come first (`security.md` rule 3):
/// ```
/// use xmlsec::{ids::Ids, signature::{Profile, Signature, verify_with}};
/// fn judge(of: &Ids<'_>, signature: &Signature<'_>, key: &pki::certificate::PublicKey) {
///     let _ = verify_with(of, signature, key, &Profile::service(), &|_| None);
/// }
/// ```
/// ```compile_fail,E0308
/// use xmlsec::{ids::Ids, signature::{Profile, Signature, verify_with}};
/// fn judge(of: &xmlsec::Document, signature: &Signature<'_>, key: &pki::certificate::PublicKey) {
///     let _ = verify_with(of, signature, key, &Profile::service(), &|_| None);
/// }
/// ```
pub fn verify_with<'d>(
    ids: &Ids<'d>,
    signature: &Signature<'d>,
    key: &PublicKey,
    profile: &Profile,
    resolver: StrResolver<'_, 'd>,
) -> Result<Verified<'d>, SignatureError> {
    check_profile(signature, profile)?;
    verify_checked(ids, signature, key, profile, resolver)
}

fn verify_checked<'d>(
    ids: &Ids<'d>,
    signature: &Signature<'d>,
    key: &PublicKey,
    profile: &Profile,
    resolver: StrResolver<'_, 'd>,
) -> Result<Verified<'d>, SignatureError> {
    let signed_info = signature.canonical_signed_info()?;
    let method = signature.method().known.ok_or_else(|| refused_method(signature))?;
    let signed_info_digest = Digest::of(method.digest(), &signed_info);
    key.verify_digest(method, &signed_info_digest, signature.value())
        .map_err(|error| SignatureError::Value(error.code()))?;
    let covered = cover(ids, signature, profile, resolver)?;
    let elements = covered
        .iter()
        .filter_map(|covered| match &covered.coverage {
            Coverage::Element | Coverage::Document => Some(covered.element),
            Coverage::Token(StrTarget::Element(token)) => Some(*token),
            Coverage::Token(StrTarget::Certificate(_)) => None,
        })
        .collect();
    Ok(Verified { covered, elements, signed_info, signed_info_digest })
}

/// Verifies the signature within `element`, over that very element: one Reference, to `id`, with the enveloped-signature transform.
///
/// For elements whose identifier is no `wsu:Id` (an assertion's `ID`): nothing is looked up, so that the caller must have seen to
/// it that `id` is the element's own and unique in the document.
///
/// # Errors
/// As [`verify_with`]; `Enveloped` where the signature is not the element's own child, `ReferenceDangling` where it is over
/// something else, or over more.
pub fn verify_enveloped<'d>(
    signature: &Signature<'d>,
    element: Element<'d>,
    id: &str,
    key: &PublicKey,
    profile: &Profile,
) -> Result<(), SignatureError> {
    check_profile(signature, profile)?;
    let [reference] = signature.references() else {
        return Err(SignatureError::TooMany { what: "references of an enveloped signature", max: 1 });
    };
    if reference_id(reference)? != id {
        return Err(SignatureError::ReferenceDangling { uri: uri_of(reference) });
    }
    if !element.children().any(|child| child == signature.element()) {
        return Err(SignatureError::Enveloped { uri: uri_of(reference) });
    }
    let signed_info = signature.canonical_signed_info()?;
    let method = signature.method().known.ok_or_else(|| refused_method(signature))?;
    key.verify(method, &signed_info, signature.value())
        .map_err(|error| SignatureError::Value(error.code()))?;
    let plan = Plan::of(reference, profile)?;
    if !plan.enveloped {
        return Err(SignatureError::Enveloped { uri: uri_of(reference) });
    }
    plan.digest(element, signature.element(), reference, profile, &|_| None).map(|_| ())
}

/// Judges by the profile alone: algorithms, shapes, lengths. No cryptography, no search.
///
/// # Errors
/// `Algorithm` names the identifier as seen; the others say what stands where it may not.
pub fn check_profile(signature: &Signature<'_>, profile: &Profile) -> Result<(), SignatureError> {
    let canonicalization = signature.canonicalization();
    if !canonicalization.known.as_ref().is_some_and(|method| profile.takes(method)) {
        let uri = canonicalization.uri.to_string();
        return Err(SignatureError::Algorithm { role: AlgorithmRole::Canonicalization, uri });
    }
    if !signature.method().known.is_some_and(|method| profile.signatures.contains(&method)) {
        return Err(refused_method(signature));
    }
    if !profile.objects && !signature.objects().is_empty() {
        return Err(SignatureError::Object);
    }
    for reference in signature.references() {
        let plan = Plan::of(reference, profile)?;
        if !plan.whole {
            reference_id(reference)?;
        }
        if reference.value.len() != plan.digest.length_bytes() {
            return Err(SignatureError::DigestLength { uri: uri_of(reference) });
        }
    }
    Ok(())
}

/// Digests what each reference leads to and compares; the signature value is not looked at.
///
/// What it returns proves nothing about who signed: it serves diagnosis (which tree do the digests match?).
///
/// # Errors
/// The first reference that does not hold.
pub fn digest_references<'d>(
    document: &'d Document,
    signature: &Signature<'d>,
    profile: &Profile,
    resolver: StrResolver<'_, 'd>,
) -> Result<Vec<Covered<'d>>, SignatureError> {
    cover(&Ids::collect(document)?, signature, profile, resolver)
}

fn cover<'d>(
    ids: &Ids<'d>,
    signature: &Signature<'d>,
    profile: &Profile,
    resolver: StrResolver<'_, 'd>,
) -> Result<Vec<Covered<'d>>, SignatureError> {
    let mut covered: Vec<Covered<'d>> = Vec::with_capacity(signature.references().len());
    for reference in signature.references() {
        let plan = Plan::of(reference, profile)?;
        let (element, id_attribute) = if plan.whole {
            (ids.document().root(), None)
        } else {
            ids.resolve(reference_id(reference)?)
                .map(|(element, attribute)| (element, Some(attribute)))
                .ok_or_else(|| SignatureError::ReferenceDangling { uri: uri_of(reference) })?
        };
        if covered.iter().any(|before| before.element == element) {
            return Err(SignatureError::ReferenceTwice { uri: uri_of(reference) });
        }
        let coverage = plan.digest(element, signature.element(), reference, profile, resolver)?;
        covered.push(Covered { element, id_attribute, coverage });
    }
    Ok(covered)
}

/// What a reference comes to: at most one enveloped-signature, then exactly one canonicalisation.
struct Plan<'r> {
    whole: bool,
    enveloped: bool,
    by_str: bool,
    method: Cow<'r, Method>,
    digest: DigestAlgorithm,
}

impl<'r> Plan<'r> {
    fn of(reference: &'r Reference<'_>, profile: &Profile) -> Result<Self, SignatureError> {
        let refused = |role, uri: &str| SignatureError::Algorithm { role, uri: uri.to_owned() };
        let mut enveloped = false;
        let mut last: Option<(&Method, bool)> = None;
        for transform in &reference.transforms {
            let (method, by_str) = match transform {
                Transform::Unknown(uri) => return Err(refused(AlgorithmRole::Transform, uri)),
                Transform::Enveloped => {
                    if enveloped || last.is_some() || profile.enveloped == Enveloped::Refused {
                        return Err(refused(AlgorithmRole::Transform, ENVELOPED_URI));
                    }
                    enveloped = true;
                    continue;
                }
                Transform::C14n(method) => (method, false),
                Transform::Str(method) if profile.str_transform => {
                    let known = method.known.as_ref();
                    (known.ok_or_else(|| refused(AlgorithmRole::Transform, &method.uri))?, true)
                }
                Transform::Str(_) => return Err(refused(AlgorithmRole::Transform, STR_TRANSFORM_URI)),
            };
            if !profile.takes(method) {
                return Err(refused(AlgorithmRole::Transform, method.uri()));
            }
            if last.replace((method, by_str)).is_some() {
                return Err(SignatureError::TooMany { what: "canonicalisations of one reference", max: 1 });
            }
        }
        let (mut method, by_str) = match last {
            Some((method, by_str)) => (Cow::Borrowed(method), by_str),
            None if profile.implicit_c14n => (Cow::Owned(Method::inclusive()), false),
            None => return Err(SignatureError::CanonicalizationMissing { uri: uri_of(reference) }),
        };
        // §4.4.3.3: the node-set of `#id` and of the empty URI has no comments, whatever follows.
        if method.comments {
            method.to_mut().comments = false;
        }
        let whole = profile.whole_document && reference.uri.as_deref() == Some("");
        let digest = reference.method.known.filter(|digest| profile.digests.contains(digest));
        let digest = digest.ok_or_else(|| refused(AlgorithmRole::Digest, &reference.method.uri))?;
        Ok(Self { whole, enveloped, by_str, method, digest })
    }

    fn digest<'d>(
        &self,
        element: Element<'d>,
        signature: Element<'d>,
        reference: &Reference<'_>,
        profile: &Profile,
        resolver: StrResolver<'_, 'd>,
    ) -> Result<Coverage<'d>, SignatureError> {
        let uri = || uri_of(reference);
        let expected = Digest::new(self.digest, &reference.value)
            .map_err(|_| SignatureError::DigestLength { uri: uri() })?;
        let inside = self.enveloped && element.contains(signature);
        if inside && profile.enveloped != Enveloped::Allowed {
            return Err(SignatureError::Enveloped { uri: uri() });
        }
        if self.by_str {
            if !element.is(namespace::WSSE, "SecurityTokenReference") {
                return Err(SignatureError::StrTransform { uri: uri() });
            }
            let target = resolver(element).ok_or_else(|| SignatureError::StrUnresolved { uri: uri() })?;
            return if self.token_matches(element, &target, &expected)? {
                Ok(Coverage::Token(target))
            } else {
                Err(SignatureError::DigestMismatch { uri: uri() })
            };
        }
        let mut hasher = Resumed::new(element.document(), self.digest);
        match (self.whole, inside) {
            (true, true) => {
                c14n::canonicalize_document_without(signature, &self.method, &mut hasher)?;
            }
            (true, false) => {
                c14n::canonicalize_document(element.document(), &self.method, &mut hasher)?;
            }
            (false, true) => c14n::canonicalize_without(element, signature, &self.method, &mut hasher)?,
            (false, false) => c14n::canonicalize(element, &self.method, &mut hasher)?,
        }
        if hasher.finish().matches(&expected) {
            Ok(if self.whole { Coverage::Document } else { Coverage::Element })
        } else {
            Err(SignatureError::DigestMismatch { uri: uri() })
        }
    }

    /// Whether the digest is that of the token, in one of the forms that are in use.
    ///
    /// SOAP Message Security 1.0 §8.3 adds `xmlns=""` to a token that no default namespace reaches; WSS4J adds the default
    /// namespace whatever it is. All forms bind the same token.
    fn token_matches(
        &self,
        reference: Element<'_>,
        target: &StrTarget<'_>,
        expected: &Digest,
    ) -> Result<bool, SignatureError> {
        match target {
            StrTarget::Element(token) => {
                for default_at_apex in [DefaultAtApex::Write, DefaultAtApex::WriteIfNone, DefaultAtApex::AsIs]
                {
                    let mut hasher = Hasher::new(self.digest);
                    c14n::canonicalize_token(*token, &self.method, default_at_apex, &mut hasher)?;
                    if hasher.finish().matches(expected) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            StrTarget::Certificate(der) => {
                let plain = base64::encode(der);
                // Lines of 76, as older encoders write them: LF, or CR LF whose CR is canonical as a reference.
                let forms = [plain.clone(), wrapped(&plain, "\n"), wrapped(&plain, "&#xD;\n")];
                Ok(forms.iter().any(|text| {
                    let mut hasher = Hasher::new(self.digest);
                    hasher.write(binary_security_token(reference.prefix(), text).as_bytes());
                    hasher.finish().matches(expected)
                }))
            }
        }
    }
}

/// The canonical form of the token that §8.3 has one make of a certificate.
fn binary_security_token(prefix: &str, text: &str) -> String {
    const X509V3: &str =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
    let wsse = namespace::WSSE;
    let (name, declarations) = if prefix.is_empty() {
        ("BinarySecurityToken".to_owned(), format!("xmlns=\"{wsse}\""))
    } else {
        (format!("{prefix}:BinarySecurityToken"), format!("xmlns=\"\" xmlns:{prefix}=\"{wsse}\""))
    };
    format!("<{name} {declarations} ValueType=\"{X509V3}\">{text}</{name}>")
}

fn wrapped(text: &str, line_end: &str) -> String {
    const LINE_CHARS: usize = 76;
    let mut out = String::with_capacity(text.len() + text.len() / LINE_CHARS * line_end.len());
    for (index, c) in text.chars().enumerate() {
        if index > 0 && index % LINE_CHARS == 0 {
            out.push_str(line_end);
        }
        out.push(c);
    }
    out
}

/// The identifier in `#id`; no other form of URI is taken.
fn reference_id<'r>(reference: &'r Reference<'_>) -> Result<&'r str, SignatureError> {
    reference
        .uri
        .as_deref()
        .and_then(|uri| uri.strip_prefix('#'))
        .filter(|id| chars::is_ncname(id))
        .ok_or_else(|| SignatureError::ReferenceUri { uri: uri_of(reference) })
}

fn uri_of(reference: &Reference<'_>) -> String {
    reference.uri.as_deref().unwrap_or_default().to_owned()
}

fn refused_method(signature: &Signature<'_>) -> SignatureError {
    SignatureError::Algorithm { role: AlgorithmRole::Signature, uri: signature.method().uri.to_string() }
}
