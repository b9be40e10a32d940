//! `ds:Signature` as its schema has it, nothing more and nothing less.
//!
//! Algorithms that are not known stay as their identifiers, so that a refusal can name what it saw.

mod pss;

use std::borrow::Cow;

use pki::algorithm::SignatureAlgorithm;
use pki::digest::DigestAlgorithm;

use super::{PREFIXES_MAX, REFERENCES_MAX, SignatureError, TRANSFORMS_MAX};
use crate::namespace::{DS, EC, WSSE};
use crate::{Element, base64, c14n};

/// A signature that has the schema's shape; whether it verifies is another question.
#[derive(Clone, Debug)]
pub struct Signature<'d> {
    element: Element<'d>,
    signed_info: Element<'d>,
    canonicalization: Algorithm<'d, c14n::Method>,
    method: Algorithm<'d, SignatureAlgorithm>,
    references: Vec<Reference<'d>>,
    value: Vec<u8>,
    key_info: Option<Element<'d>>,
    objects: Vec<Element<'d>>,
}

/// An algorithm identifier as seen, and what it stands for if this library knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Algorithm<'d, T> {
    /// The identifier as seen.
    pub uri: Cow<'d, str>,
    /// `None`: not known here.
    pub known: Option<T>,
}

impl<T> Algorithm<'_, T> {
    /// For who outlives the document.
    pub(super) fn into_owned(self) -> Algorithm<'static, T> {
        Algorithm { uri: Cow::Owned(self.uri.into_owned()), known: self.known }
    }
}

/// One `ds:Reference`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reference<'d> {
    /// `URI` as seen; `None` if there is none.
    pub uri: Option<Cow<'d, str>>,
    /// `Type` as seen.
    pub kind: Option<Cow<'d, str>>,
    /// In order.
    pub transforms: Vec<Transform<'d>>,
    /// `ds:DigestMethod`.
    pub method: Algorithm<'d, DigestAlgorithm>,
    /// `ds:DigestValue`, decoded, of whatever length.
    pub value: Vec<u8>,
}

/// One `ds:Transform`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transform<'d> {
    /// Canonicalisation.
    C14n(c14n::Method),
    /// Enveloped signature.
    Enveloped,
    /// STR-Transform, with the canonicalisation in its TransformationParameters.
    Str(Algorithm<'d, c14n::Method>),
    /// Anything else, by its identifier.
    Unknown(Cow<'d, str>),
}

pub(super) const ENVELOPED_URI: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub(super) const STR_TRANSFORM_URI: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#STR-Transform";

type Parsed<T> = Result<T, SignatureError>;

impl<'d> Signature<'d> {
    /// Reads a `ds:Signature`: children in the schema's order and number, no attribute that the schema does not have, no text
    /// between, no comment or instruction anywhere.
    ///
    /// # Errors
    /// What the schema forbids, base64 that is none, and the caps. Algorithms are not judged here.
    pub fn parse(element: Element<'d>) -> Parsed<Self> {
        expect(element, "Signature")?;
        if element.has_comments() || element.has_processing_instructions() {
            return Err(SignatureError::Comment);
        }
        only_attributes(element, &["Id"])?;
        let mut children = children(element)?;
        let signed_info = take(&mut children, element, "SignedInfo")?;
        let value = take(&mut children, element, "SignatureValue")?;
        only_attributes(value, &["Id"])?;
        let value = bytes_of(value, "SignatureValue")?;
        let key_info = take_if(&mut children, "KeyInfo");
        let mut objects = Vec::new();
        while let Some(object) = take_if(&mut children, "Object") {
            objects.push(object);
        }
        nothing_more(&mut children)?;
        let (canonicalization, method, references) = signed_info_parts(signed_info)?;
        Ok(Self { element, signed_info, canonicalization, method, references, value, key_info, objects })
    }

    /// The `ds:Signature` itself.
    pub fn element(&self) -> Element<'d> {
        self.element
    }

    /// The `ds:SignedInfo`.
    pub fn signed_info(&self) -> Element<'d> {
        self.signed_info
    }

    /// How SignedInfo is canonicalised.
    pub fn canonicalization(&self) -> &Algorithm<'d, c14n::Method> {
        &self.canonicalization
    }

    /// The signature method.
    pub fn method(&self) -> &Algorithm<'d, SignatureAlgorithm> {
        &self.method
    }

    /// The references, at least one.
    pub fn references(&self) -> &[Reference<'d>] {
        &self.references
    }

    /// The signature value.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// `ds:KeyInfo`, uninterpreted: who the signer is, is the caller's question.
    pub fn key_info(&self) -> Option<Element<'d>> {
        self.key_info
    }

    /// The `ds:Object` elements, uninterpreted.
    pub fn objects(&self) -> &[Element<'d>] {
        &self.objects
    }

    /// The bytes that the signature value is over; the journal keeps them.
    ///
    /// # Errors
    /// `Algorithm`: the canonicalisation is not known; `C14n`.
    pub fn canonical_signed_info(&self) -> Parsed<Vec<u8>> {
        let method = self.canonicalization.known.as_ref().ok_or_else(|| SignatureError::Algorithm {
            role: super::AlgorithmRole::Canonicalization,
            uri: self.canonicalization.uri.to_string(),
        })?;
        let mut bytes = Vec::with_capacity(self.signed_info.source_range().len() + 256);
        c14n::canonicalize(self.signed_info, method, &mut bytes)?;
        Ok(bytes)
    }
}

pub(super) type SignedInfoParts<'d> =
    (Algorithm<'d, c14n::Method>, Algorithm<'d, SignatureAlgorithm>, Vec<Reference<'d>>);

/// Reads a `ds:SignedInfo`.
pub(super) fn signed_info_parts<'d>(signed_info: Element<'d>) -> Parsed<SignedInfoParts<'d>> {
    expect(signed_info, "SignedInfo")?;
    only_attributes(signed_info, &["Id"])?;
    let mut children = children(signed_info)?;
    let canonicalization = canonicalization(take(&mut children, signed_info, "CanonicalizationMethod")?)?;
    let method = take(&mut children, signed_info, "SignatureMethod")?;
    let method = signature_method(method)?;
    let mut references = Vec::new();
    while let Some(reference) = take_if(&mut children, "Reference") {
        if references.len() >= REFERENCES_MAX {
            return Err(SignatureError::TooMany { what: "references", max: REFERENCES_MAX });
        }
        references.push(parse_reference(reference)?);
    }
    if references.is_empty() {
        return Err(schema("ds:Reference", "none", signed_info));
    }
    nothing_more(&mut children)?;
    Ok((canonicalization, method, references))
}

/// HMACOutputLength would stand in it; of the methods that are known, RSA-PSS alone may say more than its name.
fn signature_method<'d>(method: Element<'d>) -> Parsed<Algorithm<'d, SignatureAlgorithm>> {
    let uri = algorithm_uri(method)?;
    if uri == pss::URI {
        let known = pss::parameters(method)?;
        return Ok(Algorithm { uri, known });
    }
    let known = SignatureAlgorithm::from_xmldsig_uri(&uri);
    // What an unknown method holds is nobody's to judge: it is refused by name.
    if known.is_some() {
        empty(method)?;
    }
    Ok(Algorithm { uri, known })
}

fn parse_reference<'d>(reference: Element<'d>) -> Parsed<Reference<'d>> {
    only_attributes(reference, &["Id", "URI", "Type"])?;
    let mut children = children(reference)?;
    let mut transforms = Vec::new();
    if let Some(list) = take_if(&mut children, "Transforms") {
        only_attributes(list, &[])?;
        let mut items = self::children(list)?;
        while let Some(transform) = take_if(&mut items, "Transform") {
            if transforms.len() >= TRANSFORMS_MAX {
                return Err(SignatureError::TooMany { what: "transforms", max: TRANSFORMS_MAX });
            }
            transforms.push(parse_transform(transform)?);
        }
        nothing_more(&mut items)?;
        if transforms.is_empty() {
            return Err(schema("ds:Transform", "none", list));
        }
    }
    let method = take(&mut children, reference, "DigestMethod")?;
    let uri = algorithm_uri(method)?;
    let known = DigestAlgorithm::from_xmldsig_uri(&uri);
    if known.is_some() {
        empty(method)?;
    }
    let value = take(&mut children, reference, "DigestValue")?;
    only_attributes(value, &[])?;
    nothing_more(&mut children)?;
    Ok(Reference {
        uri: reference.attribute(None, "URI"),
        kind: reference.attribute(None, "Type"),
        transforms,
        method: Algorithm { uri, known },
        value: bytes_of(value, "DigestValue")?,
    })
}

fn parse_transform<'d>(transform: Element<'d>) -> Parsed<Transform<'d>> {
    let uri = algorithm_uri(transform)?;
    if uri == ENVELOPED_URI {
        empty(transform)?;
        return Ok(Transform::Enveloped);
    }
    if uri == STR_TRANSFORM_URI {
        let mut outer = children(transform)?;
        let Some(parameters) = outer.next() else {
            return Err(schema("wsse:TransformationParameters", "nothing", transform));
        };
        if !parameters.is(WSSE, "TransformationParameters") {
            return Err(unexpected("wsse:TransformationParameters", parameters));
        }
        nothing_more(&mut outer)?;
        only_attributes(parameters, &[])?;
        let mut inner = children(parameters)?;
        let method = canonicalization(take(&mut inner, parameters, "CanonicalizationMethod")?)?;
        nothing_more(&mut inner)?;
        return Ok(Transform::Str(method));
    }
    match canonicalization(transform)? {
        Algorithm { known: Some(method), .. } => Ok(Transform::C14n(method)),
        Algorithm { uri, .. } => Ok(Transform::Unknown(uri)),
    }
}

/// A `ds:CanonicalizationMethod`, or a `ds:Transform` that may be one.
fn canonicalization<'d>(element: Element<'d>) -> Parsed<Algorithm<'d, c14n::Method>> {
    let uri = algorithm_uri(element)?;
    let Some(mut method) = c14n::Method::from_uri(&uri) else {
        // What an unknown algorithm holds is nobody's to judge: it is refused by name.
        return Ok(Algorithm { uri, known: None });
    };
    let mut children = children(element)?;
    if let Some(inclusive) = children.next() {
        if method.algorithm != c14n::Algorithm::Exclusive || !inclusive.is(EC, "InclusiveNamespaces") {
            return Err(unexpected("nothing but ec:InclusiveNamespaces", inclusive));
        }
        only_attributes(inclusive, &["PrefixList"])?;
        empty(inclusive)?;
        let list = inclusive.attribute(None, "PrefixList").unwrap_or_default();
        for prefix in list.split_ascii_whitespace() {
            if method.prefixes.len() >= PREFIXES_MAX {
                return Err(SignatureError::TooMany { what: "prefixes", max: PREFIXES_MAX });
            }
            method.prefixes.push(prefix.to_owned());
        }
    }
    nothing_more(&mut children)?;
    Ok(Algorithm { uri, known: Some(method) })
}

fn algorithm_uri<'d>(element: Element<'d>) -> Parsed<Cow<'d, str>> {
    only_attributes(element, &["Algorithm"])?;
    element.attribute(None, "Algorithm").ok_or_else(|| schema("Algorithm", "no such attribute", element))
}

fn bytes_of(element: Element<'_>, name: &'static str) -> Parsed<Vec<u8>> {
    base64::decode_text(&text_of(element)?).map_err(|_| SignatureError::Base64 { element: name })
}

fn text_of<'d>(element: Element<'d>) -> Parsed<Cow<'d, str>> {
    element.text().map_err(|error| SignatureError::Schema {
        expected: "text alone",
        found: "an element".to_owned(),
        offset: error.offset,
    })
}

/// The child elements, of an element that holds no text but white space.
fn children<'d>(element: Element<'d>) -> Parsed<Children<'d>> {
    if element.has_text_content() {
        return Err(schema("elements", "text", element));
    }
    Ok(element.children().peekable())
}

type Children<'d> = std::iter::Peekable<crate::Children<'d>>;

fn take_if<'d>(children: &mut Children<'d>, name: &str) -> Option<Element<'d>> {
    children.next_if(|child| child.is(DS, name))
}

fn empty(element: Element<'_>) -> Parsed<()> {
    nothing_more(&mut children(element)?)
}

fn take<'d>(children: &mut Children<'d>, parent: Element<'d>, name: &'static str) -> Parsed<Element<'d>> {
    match children.next() {
        Some(child) if child.is(DS, name) => Ok(child),
        Some(child) => Err(unexpected(name, child)),
        None => Err(schema(name, "nothing", parent)),
    }
}

fn expect(element: Element<'_>, name: &'static str) -> Parsed<()> {
    if element.is(DS, name) { Ok(()) } else { Err(unexpected(name, element)) }
}

fn nothing_more(children: &mut Children<'_>) -> Parsed<()> {
    children.next().map_or(Ok(()), |child| Err(unexpected("nothing more", child)))
}

fn only_attributes(element: Element<'_>, allowed: &[&str]) -> Parsed<()> {
    let stray = element
        .attributes()
        .find(|attribute| !attribute.namespace().is_empty() || !allowed.contains(&attribute.local_name()));
    match stray {
        Some(attribute) => Err(SignatureError::Schema {
            expected: "no such attribute",
            found: attribute.local_name().to_owned(),
            offset: attribute.offset(),
        }),
        None => Ok(()),
    }
}

fn unexpected(expected: &'static str, found: Element<'_>) -> SignatureError {
    schema(expected, &format!("{{{}}}{}", found.namespace(), found.local_name()), found)
}

fn schema(expected: &'static str, found: &str, at: Element<'_>) -> SignatureError {
    SignatureError::Schema { expected, found: found.to_owned(), offset: at.source_range().start }
}
